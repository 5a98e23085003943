"""Repeat the experiments behind K and HEADROOM (docs/tolerances.md): ``python -m benchmarks.tolerances``.

K: errors of float32 sums of n positive terms, in units of eps * sqrt(n) * sum.
HEADROOM: distance of the port from the goldens when only rounding changes, and distance of the nearest fault, both in
units of the noise floor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from golden.judge.judgement import judge
from golden.judge.tolerance import perturb
from golden.review.margins import margins
from golden.spec.catalogue import load_cases
from golden.spec.operation import HEADROOM, K
from golden.store.golden import golden_path
from golden.store.read import read_golden
from tests.torch.mutants import SUBJECT

FIXTURES = Path(__file__).resolve().parents[1] / "golden" / "fixtures"
TRIALS = 4000
Arrays = Mapping[str, np.ndarray]


def sums() -> Table:
    table = Table("terms n", "order", "root mean square", "99.9 %", "largest", title=f"rounding of a sum; K = {K}")
    rng = np.random.default_rng(1)
    eps = float(np.finfo(np.float32).eps)
    for n in (16, 256, 4096, 16384):
        for order in ("one after the other", "pairwise"):
            errors = []
            for _ in range(TRIALS // 8 if n > 4096 else TRIALS):
                terms = rng.random(n, np.float32)
                total = np.add.accumulate(terms)[-1] if order.startswith("one") else terms.sum()
                exact = float(terms.sum(dtype=np.float64))
                errors.append(abs(float(total) - exact) / exact / (eps * n**0.5))
            numbers = (np.sqrt(np.mean(np.square(errors))), np.quantile(errors, 0.999), max(errors))
            table.add_row(str(n), order, *(f"{number:.3f}" for number in numbers))
    return table


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextmanager
def flushed() -> Iterator[None]:
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)


def reverse(inputs: Arrays) -> Arrays:
    names = ("patches", "offsets", "positions")
    return {name: array[::-1].copy() if name in names else array for name, array in inputs.items()}


def port() -> Table:
    table = Table("what changes", "outputs", "median", "95 %", "largest", title="the port, in units of the noise floor")
    changes: Sequence[tuple[str, Callable[[Arrays], Arrays], str, Callable[[], AbstractContextManager[None]]]] = (
        ("nothing", lambda inputs: inputs, "", nullcontext),
        ("one thread", lambda inputs: inputs, "", one_thread),
        ("denormals flushed", lambda inputs: inputs, "", flushed),
        ("patches summed backwards", reverse, "reassembly.", nullcontext),
        *((f"inputs moved by 1 ULP, {run}", moved(run), "", nullcontext) for run in range(1001, 1011)),
    )
    for label, vary, only, setting in changes:
        with setting():
            shares = noise_shares(vary, only)
        numbers = (np.median(shares), np.quantile(shares, 0.95), max(shares))
        table.add_row(label, str(len(shares)), *(f"{number:.2f}" for number in numbers))
    return table


def moved(run: int) -> Callable[[Arrays], Arrays]:
    return lambda inputs: perturb(inputs, run)


def noise_shares(vary: Callable[[Arrays], Arrays], only: str) -> list[float]:
    shares = []
    for name, case in load_cases("golden.ptychopinn").items():
        # The noise of a training is that of whole runs, not of rounding alone.
        if case.topic in ("defaults", "run") or case.slow or not case.operation.name.startswith(only):
            continue
        golden = read_golden(golden_path(FIXTURES, name))
        subject: Any = SUBJECT.way(case.operation.name, "").function
        found = case.operation.kept(subject(**vary(golden.complete_inputs(case)), **case.parameters))
        shares += [
            c.noise_share for c in judge(golden, found).comparisons if golden.outputs[c.output].dtype.kind in "fc"
        ]
    return shares


def faults() -> str:
    nearest = min(
        (margins(read_golden(golden_path(FIXTURES, name)))[0] for name in load_cases("golden.ptychopinn")),
        key=lambda m: m.margin,
    )
    return (
        f"nearest fault: {nearest.margin * HEADROOM:.0f} floors ({nearest.fault} in {nearest.case}); "
        f"HEADROOM = {HEADROOM:g}"
    )


if __name__ == "__main__":
    console = Console(width=110)
    console.print(sums())
    console.print(port())
    console.print(faults())
