"""Check that the numbers in a golden's file agree with each other and with its case: a single forged one does not.

The noise cannot be measured again without the reference (``--prove`` does that). But the file stores what each run
contributed to it, which bounds it from both sides. If a tolerance is too wide, a wrong output lies within it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from golden.judge.compare import Tolerance, scale_of
from golden.judge.proof import SAMPLE, Caught, Wrong
from golden.judge.tolerance import least_noise, require_not_vacuous, require_sharp
from golden.spec.arrays import Arrays
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.operation import ENVELOPE_HEADROOM, HEADROOM, MOST_UNSTEADY, Output
from golden.store.golden import Golden

_ROUNDING = 0.006
"""The contributions of the runs are stored with three digits."""
_SIX_DIGITS = 1e-5
_MASK_MAY_DIFFER = 0.01
"""A mask is made from float64 outputs, but the file stores float32: elements at the edge of a mask may differ."""


def unsound_in(golden: Golden, case: Case) -> list[str]:
    """List what in a golden contradicts the rest of it, or its case; a sentence each."""
    try:
        told = [*_unsound(golden, case)]
    except GoldenError as wrong:
        told = [str(wrong)]
    except Exception as failed:  # a case's functions may fail on arrays that they were not made for
        told = [f"its case fails on its arrays ({type(failed).__name__}: {failed})"]
    return [_of(golden, one) for one in told]


def unsound_alone(golden: Golden) -> list[str]:
    """List what in a golden contradicts the rest of it, as far as can be checked without its case."""
    told = [said for name, caught in sorted(golden.faults.items()) for said in _not_caught(golden, name, caught)]
    for name, tolerance in sorted(golden.tolerances.items()):
        line, noise = (tolerance.atol, tolerance.rtol), (tolerance.noise_atol, tolerance.noise_rtol)
        if all(line != tuple(headroom * n for n in noise) for headroom in (HEADROOM, ENVELOPE_HEADROOM)):
            told.append(f"output {name!r}: its tolerance is neither {HEADROOM:g} nor {ENVELOPE_HEADROOM:g} x its noise")
    if not golden.faults:
        told.append("it catches no fault")
    return [_of(golden, one) for one in told]


def is_declared_by(golden: Golden, case: Case) -> bool:
    """Tell whether a golden was made from what a case declares."""
    try:
        return _can_be_of(golden, case) and golden.definition == case.definition_digest(golden.complete_inputs(case))
    except Exception:  # a case's functions may fail on arrays that they were not made for
        return False


def _unsound(golden: Golden, case: Case) -> Iterator[str]:
    if not _can_be_of(golden, case):
        yield _otherwise(golden)
        return
    inputs = golden.complete_inputs(case)
    if golden.definition != case.definition_digest(inputs):
        yield _otherwise(golden)
    else:
        yield from _faults_declared(golden, case, inputs)
    yield from _complaints(lambda: require_not_vacuous(case, golden.outputs, golden.where))
    for output in case.operation.outputs:
        yield from _masked_otherwise(golden, case, output)
        if golden.outputs[output.name].dtype.kind in "fc":
            yield from _not_from_noise(golden, case, output, inputs)
    for name, caught in sorted(golden.faults.items()):
        yield from _not_caught(golden, name, caught)


def _of(golden: Golden, said: str) -> str:
    named = (f"golden {golden.case}", f"case {golden.case}")
    return said if said.startswith(named) else f"golden {golden.case}: {said}"


def _complaints(check: Callable[[], None]) -> list[str]:
    try:
        check()
    except GoldenError as refused:
        return [str(refused)]
    return []


# ------------------------------------------------------------------------------------------------ what is declared


def _can_be_of(golden: Golden, case: Case) -> bool:
    operation = case.operation
    return (
        golden.operation == operation.name
        and dict(golden.parameters) == dict(case.parameters)
        and {*golden.inputs, *golden.derived} == {*operation.inputs}
        and {*golden.outputs} == {output.name for output in operation.outputs}
    )


def _otherwise(golden: Golden) -> str:
    return (
        f"its case has changed since it was generated; "
        f"regenerate it with 'python generate_golden.py --update --reason ... {golden.case}'"
    )


def _faults_declared(golden: Golden, case: Case, inputs: Arrays) -> Iterator[str]:
    """Check the faults against those that the case declares: the file lists each as caught or as invisible."""
    declared, invisible = {fault.name for fault in case.operation.faults}, case.invisible_on(inputs)
    for name in sorted({*declared, *golden.faults, *golden.invisible}):
        if name not in declared:
            yield f"it names the fault {name!r}, which its operation does not declare"
        elif name in invisible and (name in golden.faults or name not in golden.invisible):
            yield f"fault {name!r} is invisible here ({invisible[name]}), but the file does not say so"
        elif name not in invisible and (name not in golden.faults or name in golden.invisible):
            yield f"it does not catch the fault {name!r}, which its case declares visible"
    if {*golden.expected_constant} != {*case.expected_constant}:
        yield "the outputs that it expects to be constant are not those that its case expects"


# ------------------------------------------------------------------------------------------------ masks


def _masked_otherwise(golden: Golden, case: Case, output: Output) -> Iterator[str]:
    """Check a mask against its definition. No file shows which elements are unsteady; the gate checks how many are."""
    mask, named = golden.where.get(output.name), f"output {output.name!r}"
    if mask is None:
        if output.where is not None or output.steady is not None:
            yield f"{named} has lost its mask of compared elements"
        return
    if output.steady is not None:
        return
    kinks = case.operation.kernels_matter and not output.envelope
    if output.where is None and not kinks:
        yield f"{named} has a mask, but its operation defines none"
        return
    defined = output.where(golden.outputs) if output.where is not None else np.ones(mask.shape, bool)
    lost, gained = np.count_nonzero(defined & ~mask), np.count_nonzero(mask & ~defined)
    most = _MASK_MAY_DIFFER * mask.size + (MOST_UNSTEADY * np.count_nonzero(defined) if kinks else 0)
    if lost > most or gained > _MASK_MAY_DIFFER * mask.size:
        yield (
            f"the mask of {named} is not what its operation defines: of {mask.size} elements, {lost} should be "
            f"compared but are not, and {gained} are compared but should not be"
        )


# ------------------------------------------------------------------------------------------------ noise, tolerance


def _not_from_noise(golden: Golden, case: Case, output: Output, inputs: Arrays) -> Iterator[str]:
    """Check a tolerance against its noise, and the noise against what the runs contributed.

    The noise is the lowest line above all differences. So its maximum is not below the largest difference, and its mean
    is not above it.
    """
    tolerance, array, mask = golden.tolerances[output.name], golden.outputs[output.name], golden.where.get(output.name)
    values = array.reshape(-1) if mask is None else array[mask]
    if not values.size:
        return  # already reported
    named, scale = f"output {output.name!r}", scale_of(values)
    if (tolerance.atol, tolerance.rtol) != tuple(
        output.headroom * n for n in (tolerance.noise_atol, tolerance.noise_rtol)
    ):
        yield (
            f"{named}: its tolerance, {tolerance.atol:.3g} + {tolerance.rtol:.3g} |expected|, is not "
            f"{output.headroom:g} times its noise, {tolerance.noise_atol:.3g} + {tolerance.noise_rtol:.3g} |expected|"
        )
    least = least_noise(case, output, inputs, values)
    # The outputs may come from another reference, which agrees within the tolerance with the one that was measured.
    rounding = 1 + _ROUNDING + (_at(tolerance, scale) / scale if scale else 0.0)
    if tolerance.noise_atol * rounding < least:
        yield f"{named}: its noise of {tolerance.noise_atol:.3g} is less than rounding itself, {least:.3g}"
    largest = scale * max(golden.noise.get(output.name, {}).values(), default=0.0)
    mean = float(np.abs(values).mean(dtype=np.float64))
    measured = tolerance.noise_rtol * mean + (tolerance.noise_atol if tolerance.noise_atol > least * rounding else 0.0)
    if not measured <= largest * rounding:
        yield f"{named}: its noise, {measured:.3g} on average, is more than any run contributed ({largest:.3g})"
    if not largest <= (tolerance.noise_atol + tolerance.noise_rtol * scale) * rounding:
        yield f"{named}: a run contributed {largest:.3g} to its noise, which is more than the whole noise"
    if output.name not in case.expected_constant:
        yield from _complaints(lambda: require_sharp(case, output, values, _at(tolerance, scale)))


def _at(tolerance: Tolerance, magnitude: float) -> float:
    return tolerance.atol + tolerance.rtol * magnitude


# ------------------------------------------------------------------------------------------------ faults


def _not_caught(golden: Golden, fault: str, caught: Caught) -> Iterator[str]:
    """Check the kept elements of a fault's wrong outputs against the tolerance, and against the stored distances."""
    for output, wrong in sorted(caught.outputs.items()):
        right, mask = golden.outputs[output], golden.where.get(output)
        named = f"fault {fault!r}, output {output!r}"
        if wrong.shape != right.shape or _kind(wrong.dtype) != _kind(right.dtype.str):
            continue  # no tolerance allows that
        number = right.size if mask is None else np.count_nonzero(mask)
        are_compared = mask is None or mask.reshape(-1)[wrong.indices].all()
        if len(wrong.values) < min(number, SAMPLE // 2) or not are_compared:
            yield f"{named}: too few of its elements are kept, or some that are not compared"
            continue
        share, distance = _farthest(right.reshape(-1)[wrong.indices], wrong, golden.tolerances[output])
        if not share > 1:
            yield f"{named}: its kept elements are within the tolerance, so a port with this fault would pass"
        elif not share <= wrong.share * (1 + _SIX_DIGITS) + 1:  # 1: as far as two references may differ
            yield f"{named}: it is {share:.3g} tolerances away, but the file says {wrong.share:.3g}"
        elif not (
            math.isclose(distance, wrong.distance, rel_tol=_SIX_DIGITS)
            or abs(distance - wrong.distance) <= _slack(golden, output)
        ):
            yield f"{named}: its kept elements are wrong by {distance:.3g}, but the file says {wrong.distance:.3g}"


def _slack(golden: Golden, output: str) -> float:
    """Return how far a golden's outputs may be from those that its faults were measured against, absolute."""
    array = golden.outputs[output]
    return _at(golden.tolerances[output], scale_of(array)) if array.dtype.kind in "fc" else 0.0


def _kind(dtype: str) -> str:
    return "S" if np.dtype(dtype).kind == "S" else dtype  # the width of a text is part of its value


def _farthest(right: np.ndarray, wrong: Wrong, tolerance: Tolerance) -> tuple[float, float]:
    """Return the largest difference among kept elements, in tolerances and absolute; inf if no number expresses it."""
    if right.dtype.kind not in "fc":
        return (math.inf, math.inf) if (right != wrong.values).any() else (0.0, math.inf)
    double = np.promote_types(right.dtype, np.float64)
    expected, found = right.astype(double), wrong.values.astype(double)
    with np.errstate(all="ignore"):
        difference = np.abs(found - expected)
        difference[np.isnan(difference)] = np.inf
        share = np.where(difference > 0, difference / (tolerance.atol + tolerance.rtol * np.abs(expected)), 0.0)
    return float(share.max(initial=0.0)), float(difference.max(initial=0.0))
