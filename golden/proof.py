"""The proof that a case catches the faults that it declares, and what a golden keeps of it.

Every fault of the case's operation is committed against the reference. What comes out must lie outside the tolerance
in some output, or, where the case declares the fault invisible, within the noise in all of them. The wrong outputs are
kept, so that the diagnosis of a failure can recognise them; of large ones, a sample.

Symmetry needs no detector of its own: a fault that it hides is not caught, and the golden is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from golden.case import Arrays, Case, Fault, GoldenError, Parameters, Trial
from golden.compare import Comparison, Tolerance, Verdict, compare_outputs

SAMPLE = 32
"""Elements kept of a wrong output that is larger: half of them where it is most wrong, half spread evenly."""
_LARGE = 1 << 20


@dataclass(frozen=True, eq=False)
class Wrong:
    """One output that a fault gets wrong.

    Attributes:
        shape, dtype: of the wrong output.
        share: its largest difference in units of the tolerance; inf when it cannot be expressed (shape, exact).
        distance: the same, absolute; inf likewise.
        indices: (k,) int64, flat indices into the wrong output.
        values: (k,) what stands there. Empty when only the dtype is wrong.
    """

    shape: tuple[int, ...]
    dtype: str
    share: float
    distance: float
    indices: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Caught:
    """A fault that a golden was proved to catch: what it means, and the outputs outside their tolerance."""

    symptom: str
    outputs: Mapping[str, Wrong]

    @property
    def clearest(self) -> str:
        """The output that shows the fault best."""
        return max(sorted(self.outputs), key=lambda name: self.outputs[name].share)

    @property
    def margin(self) -> float:
        """How far the fault lies outside the tolerance, in units of it."""
        return self.outputs[self.clearest].share


def prove_faults(
    case: Case,
    inputs: Arrays,
    outputs: Arrays,
    tolerances: Mapping[str, Tolerance],
    where: Arrays,
    run: Callable[[Arrays, Parameters], Arrays],
) -> dict[str, Caught]:
    """Commit every fault of the case's operation; return what it catches.

    Args:
        case: the case.
        inputs: all of them, derived ones too.
        outputs: what the golden stores.
        tolerances: of every output.
        where: the elements that count.
        run: the reference: (inputs, parameters) -> outputs.

    Raises:
        GoldenError: a fault is not caught, one declared invisible can be seen, or there is nothing to catch.
    """
    trial = Trial(inputs, case.parameters, outputs, run)
    caught: dict[str, Caught] = {}
    for fault in case.operation.faults:
        wrong = _commit(case, fault, trial)
        comparisons = compare_outputs(outputs, wrong, tolerances, where)
        reason = case.invisible.get(fault.name)
        if reason is None:
            caught[fault.name] = _require_caught(case, fault, outputs, wrong, where, comparisons)
        else:
            _require_invisible(case, fault, reason, comparisons)
    if not caught:
        raise GoldenError(
            f"case {case.name}: catches no fault, so nothing shows that a wrong port would fail it. Give its operation "
            f"{case.operation.name} faults: the mistakes that a port of it could make"
        )
    return caught


def _commit(case: Case, fault: Fault, trial: Trial) -> dict[str, np.ndarray]:
    try:
        changed = dict(fault.commit(trial))
    except GoldenError:
        raise
    except Exception as failed:
        raise GoldenError(
            f"case {case.name}: fault {fault.name!r} cannot be committed ({type(failed).__name__}: {failed})"
        ) from failed
    unknown = set(changed) - set(trial.outputs)
    if unknown:
        raise GoldenError(f"case {case.name}: fault {fault.name!r} changes {sorted(unknown)}, which are no outputs")
    return {**trial.outputs, **{name: np.asarray(array) for name, array in changed.items()}}


def _require_caught(
    case: Case, fault: Fault, outputs: Arrays, wrong: Arrays, where: Arrays, comparisons: list[Comparison]
) -> Caught:
    failed = {comparison.output: comparison for comparison in comparisons if not comparison.passed}
    if not failed:
        nearest = max(comparisons, key=lambda comparison: comparison.share)
        raise GoldenError(
            f"case {case.name}: does not catch the fault {fault.name!r} ({fault.symptom}): it moves no output by more "
            f"than {nearest.share:.2g} of its tolerance. Choose inputs that show it (asymmetric, several patches, "
            f"sub-pixel, not centred), or declare it in invisible with the reason"
        )
    return Caught(
        fault.symptom,
        {
            name: _keep(outputs[name], wrong[name], where.get(name), comparison.share)
            for name, comparison in failed.items()
        },
    )


def _require_invisible(case: Case, fault: Fault, reason: str, comparisons: list[Comparison]) -> None:
    seen = [comparison for comparison in comparisons if comparison.verdict > Verdict.WITHIN_NOISE]
    if seen:
        raise GoldenError(
            f"case {case.name}: declares the fault {fault.name!r} invisible ({reason}), but it moves output "
            f"{seen[0].output!r} by {seen[0].share:.2g} of its tolerance; remove the declaration"
        )


def _keep(expected: np.ndarray, wrong: np.ndarray, where: np.ndarray | None, share: float) -> Wrong:
    kind, share = expected.dtype.kind, _six_digits(share)
    if wrong.dtype.kind != kind:  # told apart by its dtype alone
        return Wrong(wrong.shape, wrong.dtype.str, share, math.inf, np.empty(0, np.int64), np.empty(0, expected.dtype))
    distance = math.inf
    if wrong.shape != expected.shape:
        where, weight = None, np.abs(wrong) if kind in "fc" else np.ones(wrong.shape)
    elif kind in "fc":
        weight = _difference(expected, wrong)
        distance = _six_digits(float(np.max(weight if where is None else weight[where])))
    else:
        weight = np.asarray(expected != wrong).astype(float)
    indices = _sample(weight, where)
    return Wrong(wrong.shape, wrong.dtype.str, share, distance, indices, wrong.reshape(-1)[indices])


def _six_digits(value: float) -> float:
    return float(f"{value:.5e}")


def _difference(expected: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(wrong.astype(np.complex128) - expected)
    return np.where(np.isnan(difference), np.inf, difference)


def _sample(weight: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    """Flat indices, sorted: all of a small array, else those of largest weight and some spread evenly."""
    flat = weight.reshape(-1)
    candidates = np.arange(flat.size) if where is None else np.flatnonzero(where)
    if candidates.size <= SAMPLE:
        return candidates.astype(np.int64)
    spread = candidates[np.linspace(0, candidates.size - 1, SAMPLE // 2).astype(np.int64)]
    looked_at = candidates[:: max(1, candidates.size // _LARGE)]
    heaviest = looked_at[np.argsort(-flat[looked_at], kind="stable")[: SAMPLE // 2]]
    return np.unique(np.concatenate([spread, heaviest])).astype(np.int64)
