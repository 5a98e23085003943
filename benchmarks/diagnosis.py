"""What a diagnosis costs beside the comparison it explains: ``python -m benchmarks.diagnosis``.

A ratio in one run, and the peak memory that each adds to the arrays.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from golden.judge.compare import Tolerance, compare_outputs
from golden.judge.diagnose import diagnose

TOLERANCES = {"y": Tolerance(1e-5, 1e-6, 1e-6, 1e-7)}


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, seconds, and MiB at the peak."""
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    tracemalloc.start()
    result = work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, seconds, peak / 2**20


def failures(expected: np.ndarray) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(1).normal(size=expected.shape).astype(np.float32)
    return {
        "negated": -expected,
        "turned by 270 degrees": expected.swapaxes(1, 2)[:, :, ::-1].copy(),
        "channels permuted": expected[..., ::-1].copy(),
        "unknown": expected + noise,
    }


def costs(expected: np.ndarray, found: np.ndarray) -> list[str]:
    outputs, wrong = {"y": expected}, {"y": found}
    comparisons = compare_outputs(outputs, wrong, TOLERANCES, {})
    _, comparing, _ = measured(lambda: compare_outputs(outputs, wrong, TOLERANCES, {}))
    told, seconds, peak = measured(lambda: diagnose(outputs, wrong, comparisons, TOLERANCES, {}, {}))
    share = peak * 2**20 / expected.nbytes
    return [told[0].sentence[:60], f"{seconds / comparing:.2f}", f"{seconds:.2f}", f"{peak:.0f}", f"{share:.2f}"]


def main() -> None:
    table = Table("array", "failure", "diagnosis", "time / comparison", "seconds", "peak MiB", "of the array")
    for shape in ((4, 256, 256, 4), (16, 512, 512, 4), (32, 1024, 1024, 2)):
        rng = np.random.default_rng(0)
        expected = rng.normal(size=shape).astype(np.float32) + 1j * rng.normal(size=shape).astype(np.float32)
        expected = expected.astype(np.complex64)
        for name, found in failures(expected).items():
            table.add_row(f"{'x'.join(map(str, shape))}, {expected.nbytes >> 20} MiB", name, *costs(expected, found))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
