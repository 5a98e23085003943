"""Say how far each fault lies outside the tolerance, across many goldens, for ``golden faults``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from golden.judge.compare import scale_of
from golden.store.golden import Golden

NEAR = 10.0
"""A fault within this many tolerances deserves a warning, because growing noise will soon hide it."""
MOST_DIFFERING = 0.05
"""The largest share of an output's elements that one machine may mask and another may compare."""
MOST_USED = 0.5
"""The share of a tolerance that a port may use without a warning."""


@dataclass(frozen=True)
class Margin:
    """One fault of one golden, seen in the output that shows it best.

    Attributes:
        case, output, fault: their names.
        noise, tolerance: allowed difference at the output's scale, absolute; 0 for exact outputs.
        distance: of the fault, absolute; inf if it cannot be expressed as a number (shape, dtype, exact output).
        margin: the same in units of the tolerance, where it is largest.
    """

    case: str
    output: str
    fault: str
    noise: float
    tolerance: float
    distance: float
    margin: float


def margins(golden: Golden) -> list[Margin]:
    """List the faults that a golden catches, the nearest first."""
    found = []
    for name, caught in golden.faults.items():
        output = caught.clearest
        tolerance = golden.tolerances[output]
        array, where = golden.outputs[output], golden.where.get(output)
        scale = scale_of(array if where is None else array[where]) if array.dtype.kind in "fc" else 0.0
        found.append(
            Margin(
                golden.case,
                output,
                name,
                tolerance.noise_atol + tolerance.noise_rtol * scale,
                tolerance.atol + tolerance.rtol * scale,
                caught.outputs[output].distance,
                caught.margin,
            )
        )
    return sorted(found, key=lambda margin: (margin.margin, margin.distance, margin.fault))


def warnings(goldens: Iterable[Golden], shares: Mapping[str, float]) -> list[str]:
    """Warn of faults close to the tolerance, and of a port that uses most of one.

    Args:
        goldens: those to look at.
        shares: case -> largest share of its tolerance that the port uses, from a run's report; may be empty.
    """
    told = []
    for golden in goldens:
        for margin in margins(golden):
            if margin.margin < NEAR:
                told.append(
                    f"{golden.case}: fault {margin.fault!r} is only {margin.margin:.2g} tolerances away (output "
                    f"{margin.output!r}); choose inputs that show it better, or growing noise will hide it"
                )
        share = shares.get(golden.case, 0.0)
        if share > 1:
            told.append(f"{golden.case}: the port fails it")
        elif share > MOST_USED:
            told.append(
                f"{golden.case}: the port uses {share:.0%} of the tolerance; either it rounds worse than it could, or "
                f"the measured noise is too small"
            )
    return told


def proof_moved(before: Golden, after: Golden) -> str:
    """Return the first way in which a new proof differs from the old one; empty if they agree.

    From machine to machine, rounding changes noise and margins a little, but not by a factor of two. It also changes
    the masks of unsteady elements, but not for more than ``MOST_DIFFERING`` of an output's elements.
    """
    if set(before.faults) != set(after.faults) or set(before.invisible) != set(after.invisible):
        return "its faults are not the stored ones"
    differing = {name: _differing(before, after, name) for name in after.outputs}
    for name, share in differing.items():
        if share > MOST_DIFFERING:
            return f"the mask of {name!r} changed for {share:.1%} of the elements"
    for name, tolerance in after.tolerances.items():
        scale = scale_of(after.outputs[name]) if after.outputs[name].dtype.kind in "fc" else 0.0
        old, new = (t.atol + t.rtol * scale for t in (before.tolerances[name], tolerance))
        if not _alike(old, new):
            return f"tolerance of {name!r} was {old:.1e}, is {new:.1e}"
    for name, caught in after.faults.items():
        stored = before.faults[name]
        if set(stored.outputs) != set(caught.outputs):
            return f"fault {name!r} got {sorted(stored.outputs)} wrong, now {sorted(caught.outputs)}"
        for output, wrong in caught.outputs.items():
            if not _alike(stored.outputs[output].share, wrong.share):
                return f"fault {name!r} was {stored.outputs[output].share:.1e} tolerances away, is {wrong.share:.1e}"
            if not differing[output] and not _same_sums(stored.outputs[output].sums, wrong.sums):
                return f"fault {name!r} gives a different wrong {output!r}"
    return ""


def _differing(before: Golden, after: Golden, output: str) -> float:
    """Return the share of an output's elements that only one of the goldens compares."""
    masks = [golden.where.get(output, np.bool_(True)) for golden in (before, after)]
    return float(np.mean(masks[0] != masks[1]))


def _alike(old: float, new: float) -> bool:
    return old == new or old / 2 <= new <= 2 * old


def _same_sums(old: np.ndarray, new: np.ndarray) -> bool:
    return bool(np.allclose(old, new, rtol=1e-3, atol=1e-3 * float(np.abs(new).max(initial=0.0))))
