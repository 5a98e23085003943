"""The comparison of two large HDF5 files beside its peers: ``python -m benchmarks.compare [MIB]``.

Ratios in one run, on complex64: against reading both files, h5diff (where it is installed) and pytest-regressions'
``ndarrays_regression``. Each runs in a process of its own, which also gives its peak memory above the imports.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

from golden.judge.compare import Tolerance, Verdict, compare

TOLERANCE = Tolerance(8e-7, 8e-7, 1e-7, 1e-7)
COLUMNS = 4096
REPEATS = 5


def write_pair(directory: Path, mib: int, noise: float) -> None:
    """``a.h5`` and ``b.h5``, whose elements differ by errors of that size, and ``a.npz``."""
    random = np.random.default_rng(1)
    shape = (mib * 2**20 // 8 // COLUMNS, COLUMNS)
    parts = random.standard_normal((2, *shape), dtype=np.float32)
    a = (parts[0] + 1j * parts[1]).astype(np.complex64)
    parts = noise * random.standard_normal((2, *shape), dtype=np.float32)
    for name, array in (("a", a), ("b", a + (parts[0] + 1j * parts[1]).astype(np.complex64))):
        with h5py.File(directory / f"{name}.h5", "w") as file:
            file.create_dataset("y", data=array)
    np.savez(directory / "a.npz", y=a)


def read(directory: Path) -> str:
    buffer = np.empty((64, COLUMNS), np.complex64)
    for name in "ab":
        with h5py.File(directory / f"{name}.h5") as file:
            for start in range(0, len(file["y"]), len(buffer)):
                file["y"].read_direct(buffer, np.s_[start : start + len(buffer)])
    return "-"


def ours(directory: Path) -> str:
    with h5py.File(directory / "a.h5") as one, h5py.File(directory / "b.h5") as other:
        return compare("y", one["y"], other["y"], TOLERANCE).verdict.label


def h5diff(directory: Path) -> str:
    command = ["h5diff", "--relative=1e-6", str(directory / "a.h5"), str(directory / "b.h5")]
    return f"exit status {subprocess.run(command, capture_output=True, check=False).returncode}"


def ndarrays_regression(directory: Path) -> str:
    """pytest-regressions' fixture on arrays in memory, its expected file written beforehand."""
    from pytest_regressions.ndarrays_regression import NDArraysRegressionFixture

    with h5py.File(directory / "b.h5") as file:
        obtained = {"y": file["y"][()]}
    options = {"force_regen": False, "regen_all": False, "with_test_class_names": False}
    request = SimpleNamespace(
        config=SimpleNamespace(getoption=options.get), node=SimpleNamespace(name="y", originalname="y"), cls=None
    )
    fixture = NDArraysRegressionFixture(directory, directory, request)  # type: ignore[arg-type]
    fixture.check(obtained, basename="a", default_tolerance={"atol": 1e-6, "rtol": 1e-6})
    return "passed"


def measured(work: Callable[[Path], str], directory: Path, repeats: int) -> tuple[str, float, float]:
    """What it says, its best time in seconds, and the MiB that it needed above the imports."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        said = work(directory)
        times.append(time.perf_counter() - started)
    return said, min(times), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def in_a_process(work: Callable[..., Any], *arguments: Any) -> Any:
    # Even the writing: a process begins with the peak memory of the one that made it.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def main() -> None:
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    table = Table("files", "what", "says", "seconds", "x reading both", "x our comparison", "MiB above imports")
    with tempfile.TemporaryDirectory(prefix="golden-compare-") as scratch:
        directory = Path(scratch)
        for label, noise in (("identical", 0.0), (Verdict.WITHIN_NOISE.label, 2e-8), ("within tolerance", 1e-7)):
            in_a_process(write_pair, directory, mib, noise)
            reading = in_a_process(measured, read, directory, REPEATS)
            own = in_a_process(measured, ours, directory, REPEATS)
            results = {"reading both": reading, "golden.judge.compare": own}
            if label == Verdict.WITHIN_NOISE.label:
                results["ndarrays_regression"] = in_a_process(measured, ndarrays_regression, directory, 1)
            if shutil.which("h5diff"):
                results["h5diff"] = in_a_process(measured, h5diff, directory, 1)
            for what, (said, seconds, memory) in results.items():
                peers = f"{seconds / reading[1]:.2f}", f"{seconds / own[1]:.1f}"
                table.add_row(label, what, said, f"{seconds:.3f}", *peers, f"{memory:.0f}" if what != "h5diff" else "-")
    Console(width=132).print(table)


if __name__ == "__main__":
    main()
