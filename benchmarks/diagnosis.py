"""Compare the cost of a diagnosis with that of the comparison that it explains: ``python -m benchmarks.diagnosis``.

The table has the ratio within one run, and the peak memory beyond the arrays.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from golden.judge.compare import Tolerance
from golden.judge.diagnose import diagnose
from golden.judge.judgement import judge
from tests.golden import standin

SMALL = standin.make_golden(standin.CASES[0])
TOLERANCES = {"y": Tolerance(1e-5, 1e-6, 1e-6, 1e-7)}


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result, processor time in seconds, and peak memory in MiB."""
    started = time.process_time()
    work()
    seconds = time.process_time() - started
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


def almost_empty(expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make two arrays that every transform maps onto each other, except for a few elements: the slowest diagnosis."""
    right, found = np.zeros_like(expected), np.zeros_like(expected)
    right[0, 3, 5], found[0, 3, 5], found[-1, -7, -9] = 1, 2, 1
    return right, found


def costs(expected: np.ndarray, found: np.ndarray) -> list[str]:
    golden = replace(SMALL, outputs={"y": expected}, tolerances=TOLERANCES, where={}, faults={})
    outputs = {"y": found}
    judgement, comparing, _ = measured(lambda: judge(golden, outputs))
    told, seconds, peak = measured(lambda: diagnose(golden, outputs, judgement.comparisons))
    share = peak * 2**20 / expected.nbytes
    return [told[0].sentence[:60], f"{seconds / comparing:.2f}", f"{seconds:.2f}", f"{peak:.0f}", f"{share:.2f}"]


def main() -> None:
    table = Table("array", "failure", "diagnosis", "time / comparison", "seconds", "peak MiB", "of the array")
    for shape in ((4, 256, 256, 4), (16, 512, 512, 4), (32, 1024, 1024, 2)):
        rng = np.random.default_rng(0)
        expected = rng.normal(size=shape).astype(np.float32) + 1j * rng.normal(size=shape).astype(np.float32)
        expected = expected.astype(np.complex64)
        size = f"{'x'.join(map(str, shape))}, {expected.nbytes >> 20} MiB"
        for name, found in failures(expected).items():
            table.add_row(size, name, *costs(expected, found))
        table.add_row(size, "almost empty", *costs(*almost_empty(expected)))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
