"""Prove that a case catches its declared faults, and choose which part of each wrong output the golden keeps.

Every fault of the case's operation is committed against the reference. Its outputs must leave the tolerance in some
output, or, if the fault or the case declares it invisible, stay within the noise in all of them. The wrong outputs are
kept, or a sample of large ones, so that the diagnosis of a failure can recognise them.

Symmetric inputs need no separate check: if symmetry hides a fault, the fault is not caught and the golden is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from golden.judge.compare import Comparison, Tolerance, Verdict, compare_outputs
from golden.spec.arrays import Arrays
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.fault import Fault, Trial
from golden.spec.parameters import Parameters

SAMPLE = 32
"""Elements kept of a larger wrong output: half of them where it is most wrong, half evenly spread."""
_MOST_WEIGHED = 1 << 20
"""At most this many elements are searched for the most wrong ones."""
_BLOCK = 1 << 18
"""Elements that share a stream of signs. The sums are stored in goldens, so this must not change."""


@dataclass(frozen=True, eq=False)
class Wrong:
    """The part of one wrong output of a fault that a golden keeps.

    Attributes:
        shape, dtype: of the wrong output.
        share: its largest difference in units of the tolerance; inf if it has no number (shape, exact).
        distance: its largest difference, absolute; inf if it has no number.
        indices: (k,) int64, flat indices into the wrong output.
        values: (k,) the elements at these indices.
        sums: (2,) complex128, ``signed_sums`` of all elements, because the sample covers only a few.
    """

    shape: tuple[int, ...]
    dtype: str
    share: float
    distance: float
    indices: np.ndarray
    values: np.ndarray
    sums: np.ndarray


@dataclass(frozen=True)
class Caught:
    """A fault that a golden was proved to catch: its symptom, and the outputs that leave their tolerance."""

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
    """Commit every fault of the case's operation, and require that the case catches it.

    Args:
        case: the case.
        inputs: all inputs, derived ones too.
        outputs: all outputs of the reference.
        tolerances: of every output.
        where: bool, the elements that are compared, of outputs with a mask.
        run: the reference: (inputs, parameters) -> outputs.

    Returns:
        The faults that the case catches, by name: all except invisible ones.

    Raises:
        GoldenError: a fault is not caught, one declared invisible can be seen, or there is nothing to catch.
    """
    trial = Trial(_read_only(inputs), case.parameters, _read_only(outputs), run)
    outputs = case.operation.kept(outputs)
    invisible = case.invisible_on(inputs)
    caught: dict[str, Caught] = {}
    for fault in case.operation.faults:
        wrong = case.operation.kept(_commit(case, fault, trial))
        comparisons = compare_outputs(outputs, wrong, tolerances, where)
        reason = invisible.get(fault.name)
        if reason is None:
            caught[fault.name] = _require_caught(case, fault, outputs, wrong, tolerances, where, comparisons)
        else:
            _require_invisible(case, fault, reason, comparisons)
    if not caught:
        raise GoldenError(
            f"case {case.name}: catches no fault, so nothing shows that a wrong port would fail it. Give its operation "
            f"{case.operation.name} faults: the mistakes that a port of it could make"
        )
    return caught


def _read_only(arrays: Arrays) -> dict[str, np.ndarray]:
    """Return read-only views: a fault must not change the arrays that the golden will store."""
    views = {name: array.view() for name, array in arrays.items()}
    for view in views.values():
        view.flags.writeable = False
    return views


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
        raise GoldenError(f"case {case.name}: fault {fault.name!r} changes {sorted(unknown)}, which are not outputs")
    wrong = {name: np.asarray(array) for name, array in changed.items()}
    for name, array in wrong.items():
        if array.dtype.kind not in "biufcS":
            raise GoldenError(
                f"case {case.name}: fault {fault.name!r} gives {array.dtype} for {name!r}; expected numbers or bytes"
            )
    return {**trial.outputs, **wrong}


def _require_caught(
    case: Case,
    fault: Fault,
    outputs: Arrays,
    wrong: Arrays,
    tolerances: Mapping[str, Tolerance],
    where: Arrays,
    comparisons: list[Comparison],
) -> Caught:
    failed = {comparison.output: comparison for comparison in comparisons if not comparison.passed}
    if not failed:
        nearest = max(comparisons, key=lambda comparison: comparison.share)
        by = f"by more than {nearest.share:.2g} of its tolerance" if nearest.share else "at all"
        raise GoldenError(
            f"case {case.name}: does not catch the fault {fault.name!r} ({fault.symptom}): it moves no output {by}. "
            f"Choose inputs that show it (asymmetric, several patches, sub-pixel, not centred), or say why it cannot "
            f"show: in Fault.invisible for all cases like this, in Case.invisible for this one; or, if the reference "
            f"has become what the fault describes, correct {_formula(case)} first"
        )
    for name in failed:
        if _differs_by_dtype_alone(outputs[name], wrong[name], tolerances[name]):
            raise GoldenError(
                f"case {case.name}: fault {fault.name!r} changes the dtype of {name!r} from {outputs[name].dtype} "
                f"to {wrong[name].dtype} and hardly its values: any case would catch that. Cast it back"
            )
    kept = [name for name in case.operation.path if name in failed][:1] or list(failed)
    return Caught(
        fault.symptom,
        {name: _keep(outputs[name], wrong[name], where.get(name), failed[name].share) for name in kept},
    )


def _differs_by_dtype_alone(right: np.ndarray, wrong: np.ndarray, tolerance: Tolerance) -> bool:
    if right.dtype == wrong.dtype or right.shape != wrong.shape or "S" in (right.dtype.kind, wrong.dtype.kind):
        return False
    allowed = tolerance.atol + tolerance.rtol * np.abs(right.astype(np.complex128))
    return bool((_difference(right, wrong) <= allowed).all())


def _formula(case: Case) -> str:
    """Return the name of the code that computes the outputs of the faults."""
    formula = case.operation.formula
    return f"{formula.__module__}.{formula.__name__}" if formula else f"the faults of {case.operation.name}"


def _require_invisible(case: Case, fault: Fault, reason: str, comparisons: list[Comparison]) -> None:
    seen = [comparison for comparison in comparisons if comparison.verdict > Verdict.WITHIN_NOISE]
    if seen:
        share = seen[0].share
        by = f" by {share:.2g} of its tolerance" if math.isfinite(share) else ""
        raise GoldenError(
            f"case {case.name}: the fault {fault.name!r} is declared invisible ({reason}), but it moves output "
            f"{seen[0].output!r}{by}. If the reference changed, {_formula(case)} still computes the old outputs: "
            f"correct that. If only the inputs changed, correct the declaration"
        )


def _keep(expected: np.ndarray, wrong: np.ndarray, where: np.ndarray | None, share: float) -> Wrong:
    floating = expected.dtype.kind in "fc" and wrong.dtype.kind in "fc"
    distance = math.inf
    if wrong.shape != expected.shape:
        where, weight = None, np.abs(wrong) if wrong.dtype.kind in "fc" else np.ones(wrong.shape)
    elif floating:
        weight = _difference(expected, wrong)
        distance = _six_digits(float(np.max(weight if where is None else weight[where])))
    else:
        weight = np.asarray(expected != wrong).astype(float)
    indices = _sample(weight, where)
    return Wrong(
        wrong.shape,
        wrong.dtype.str,
        _six_digits(share),
        distance,
        indices,
        wrong.reshape(-1)[indices],
        _ten_digits(signed_sums(wrong, where)),
    )


def signed_sums(array: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    """Sum all finite compared elements twice, with random signs.

    The signs are fixed for each position, so an array that agrees in the sample but not elsewhere has other sums.

    Args:
        array: of any shape and dtype.
        where: bool, the elements that are compared; None for all.

    Returns:
        (2,) complex128; zeros for an array of texts.
    """
    sums = np.zeros(2, np.complex128)
    if array.dtype.kind == "S":
        return sums
    flat, counts = array.reshape(-1), None if where is None else where.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK].astype(np.complex128)
        block[~np.isfinite(block)] = 0
        if counts is not None:
            block[~counts[start : start + _BLOCK]] = 0
        for k in range(2):
            bits = np.random.Philox(key=2 * start + k).random_raw(_BLOCK // 64)
            signs = np.unpackbits(bits.astype("<u8").view(np.uint8))[: block.size]
            sums[k] += block[signs == 1].sum() - block[signs == 0].sum()
    return sums


def _six_digits(value: float) -> float:
    return float(f"{value:.5e}")


def _ten_digits(sums: np.ndarray) -> np.ndarray:
    """Round sums to ten digits, which suffice to compare them. More digits are noise, which does not compress."""
    return np.array([complex(float(f"{one.real:.9e}"), float(f"{one.imag:.9e}")) for one in sums.tolist()])


def _difference(expected: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(wrong.astype(np.complex128) - expected)
    return np.where(np.isnan(difference), np.inf, difference)


def _sample(weight: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    """Choose sorted flat indices: all of a small array, else the heaviest and some evenly spread."""
    flat = weight.reshape(-1)
    candidates = np.arange(flat.size) if where is None else np.flatnonzero(where)
    if candidates.size <= SAMPLE:
        return candidates.astype(np.int64)
    spread = candidates[np.linspace(0, candidates.size - 1, SAMPLE // 2).astype(np.int64)]
    looked_at = candidates[:: max(1, candidates.size // _MOST_WEIGHED)]
    heaviest = looked_at[np.argsort(-flat[looked_at], kind="stable")[: SAMPLE // 2]]
    return np.unique(np.concatenate([spread, heaviest])).astype(np.int64)
