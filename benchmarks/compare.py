"""Compare the speed of golden's comparison of two large arrays with that of other libraries, on complex64.

The table has ratios within one run: to reading both arrays once, to NumPy's ``allclose``, and to pytest-regressions'
``ndarrays_regression``. Each runs in its own process, which also reports its peak memory beyond the arrays.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from golden.judge.compare import Tolerance, Verdict, compare
from tests.memory import memory_growth

TOLERANCE = Tolerance(8e-7, 8e-7, 1e-7, 1e-7)
COLUMNS = 4096
REPEATS = 5

Pair = tuple[np.ndarray, np.ndarray]


def pair(mib: int, noise: float) -> Pair:
    """Make two arrays whose elements differ by errors of this size."""
    random = np.random.default_rng(1)
    shape = (mib * 2**20 // 8 // COLUMNS, COLUMNS)
    a, b = np.empty(shape, np.complex64), np.empty(shape, np.complex64)
    for row, other in zip(a, b):  # without a temporary array, which would raise the peak
        parts = random.standard_normal((2, 2, COLUMNS), dtype=np.float32)
        row[:] = parts[0, 0] + 1j * parts[0, 1]
        other[:] = row + np.float32(noise) * (parts[1, 0] + 1j * parts[1, 1])
    return a, b


def read(a: np.ndarray, b: np.ndarray) -> str:
    for array in (a, b):
        array.view(np.float32).max()
    return "-"


def ours(a: np.ndarray, b: np.ndarray) -> str:
    return compare("y", a, b, TOLERANCE).verdict.label


def allclose(a: np.ndarray, b: np.ndarray) -> str:
    return str(np.allclose(a, b, rtol=1e-6, atol=1e-6))


def ndarrays_regression(a: np.ndarray, b: np.ndarray) -> str:
    """Compare with the fixture of pytest-regressions, including the time to write and read its file."""
    from pytest_regressions.ndarrays_regression import NDArraysRegressionFixture

    options = {"force_regen": False, "regen_all": False, "with_test_class_names": False}
    request = SimpleNamespace(
        config=SimpleNamespace(getoption=options.get), node=SimpleNamespace(name="y", originalname="y"), cls=None
    )
    with tempfile.TemporaryDirectory(prefix="golden-compare-") as scratch:
        directory = Path(scratch)
        np.savez(directory / "a.npz", y=a)
        fixture = NDArraysRegressionFixture(directory, directory, request)  # type: ignore[arg-type]
        fixture.check({"y": b}, basename="a", default_tolerance={"atol": 1e-6, "rtol": 1e-6})
    return "passed"


def measured(work: Callable[..., str], mib: int, noise: float, repeats: int) -> tuple[str, float, float]:
    """Return the result, the best time in seconds, and the peak memory beyond the arrays in MiB."""
    arrays = pair(mib, noise)
    grown = memory_growth()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        said = work(*arrays)
        times.append(time.perf_counter() - started)
    return said, min(times), grown() / 2**20


def in_a_process(*arguments: Any) -> tuple[str, float, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measured, *arguments).result()


def main() -> None:
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    table = Table("arrays", "what", "says", "seconds", "x reading both", "x our comparison", "MiB beside the arrays")
    for label, noise in (("identical", 0.0), (Verdict.WITHIN_NOISE.label, 2e-8), ("within tolerance", 1e-7)):
        reading = in_a_process(read, mib, noise, REPEATS)
        own = in_a_process(ours, mib, noise, REPEATS)
        results = {"reading both": reading, "golden.judge.compare": own}
        results["numpy.allclose"] = in_a_process(allclose, mib, noise, 1)
        if label == Verdict.WITHIN_NOISE.label:
            results["ndarrays_regression"] = in_a_process(ndarrays_regression, mib, noise, 1)
        for what, (said, seconds, memory) in results.items():
            ratios = f"{seconds / reading[1]:.2f}", f"{seconds / own[1]:.1f}"
            table.add_row(label, what, said, f"{seconds:.3f}", *ratios, f"{memory:.0f}")
    Console(width=132).print(table)


if __name__ == "__main__":
    main()
