"""Data from outside the repository: recorded vectors of the real TensorFlow PtychoPINN, and a measured scan."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path

import pytest

from golden.spec.catalogue import load_cases
from golden.store.golden import Golden, golden_path, stored_cases
from golden.store.read import read_golden

_VARIABLE = "PTYCHO_GOLDEN_DATA"
_PARITY = Path(__file__).resolve().parent / "torch"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--external-data",
        metavar="DIR",
        default=os.environ.get(_VARIABLE) or None,
        help="a directory with vectors/*.h5 and data/*.npz; tests that use them skip without it "
        f"(also: the environment variable {_VARIABLE})",
    )
    parser.addoption(
        "--all-mutations",
        action="store_true",
        help="require every case, not only one, to catch each fault that the port is made to commit",
    )
    parser.addoption(
        "--precision", default="32-true", help="precision of the long run's programs: 32-true or bf16-mixed"
    )
    parser.addoption(
        "--no-mkldnn", action="store_true", help="let Torch convolve with its own kernels instead of oneDNN's"
    )


QUICK = re.compile(r"golden(?! or)\b")
"""Mark expressions that select only tests of goldens."""


def may_hold_goldens(file: Path) -> bool:
    """Return whether a test of this file may use a golden, judged by its text, before it is imported."""
    return file.is_relative_to(_PARITY) and re.search(r"mark\.golden|test_goldens", file.read_text()) is not None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m 'golden …'``, ignore files without goldens, because their imports take longer than the tests."""
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    is_left_out = is_test and QUICK.match(config.option.markexpr) and not may_hold_goldens(collection_path)
    return True if is_left_out else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: list[object]) -> None:
    """Divide the cores among pytest-xdist's workers, whose threads would otherwise spin on each other's cores.

    Torch and NumPy read the variable when they are first imported. The workers, not yet started, inherit it.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // len(specs))))
    gc.enable()  # this process collects no tests


gc.disable()  # while modules load: looking for garbage takes a fifth of that time


def pytest_collection_finish() -> None:
    """Exempt what exists by now, mostly Torch's modules, from the search for garbage, which takes 0.2 s each time."""
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report tests that are skipped for the same reason in one line; pytest prints one line per location."""
    places: dict[str, tuple[str, int, str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        report.longrepr = places.setdefault(report.longrepr[2], report.longrepr)


@pytest.fixture(scope="session")
def goldens() -> dict[str, Golden]:
    """Return every committed golden that is not slow, by case."""
    fixtures = Path(__file__).resolve().parents[1] / "golden" / "fixtures"
    slow = {name for name, case in load_cases("golden.ptychopinn").items() if case.slow}
    return {name: read_golden(golden_path(fixtures, name)) for name in sorted(stored_cases(fixtures) - slow)}


@pytest.fixture(scope="session")
def external_data(pytestconfig: pytest.Config) -> Path:
    given = pytestconfig.getoption("--external-data")
    if given is None:
        pytest.skip(f"needs data from outside the repository: --external-data=DIR or {_VARIABLE}")
    directory = Path(given)
    if not directory.is_dir():
        pytest.fail(f"--external-data {directory}: no such directory", pytrace=False)
    return directory
