"""Compare an output with its golden. NumPy only.

An element passes when ``|actual - expected| <= atol + rtol * |expected|``: scaled by the golden, never by the
subject. Complex differences are taken by modulus. NaN never equals anything. dtype and shape must match exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from golden.spec.arrays import Arrays, blocks


class Verdict(IntEnum):
    """How far an output is from its golden, mildest first."""

    IDENTICAL = 0
    WITHIN_NOISE = 1
    WITHIN_TOLERANCE = 2
    BREAKING = 3
    STRUCTURAL = 4

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Tolerance:
    """How far an output may differ: ``atol + rtol * |expected|``. The noise floor has the same form.

    All four numbers are zero for exact outputs (integers, booleans, strings).
    """

    atol: float = 0.0
    rtol: float = 0.0
    noise_atol: float = 0.0
    noise_rtol: float = 0.0


EXACT = Tolerance()


@dataclass(frozen=True)
class Offender:
    """One element, expected and found."""

    index: tuple[int, ...]
    expected: object
    actual: object


@dataclass(frozen=True)
class Comparison:
    """The result of comparing one output.

    Attributes:
        output: name.
        verdict: the worst over all elements.
        share: largest difference in units of the tolerance (1 is the limit); inf if it has no number.
        noise_share: the same in units of the noise floor.
        reason: why the verdict is structural; else empty.
        compared, failing: numbers of elements.
        box: for each axis, first and last+1 index of the failing elements.
        worst: the element that uses most of its tolerance; None when all are identical or the verdict is structural.
        amplitude_error, phase_error: the largest errors of a complex output that moved beyond noise. The phase is in
            radians, and taken only where the modulus exceeds 1e-3 of the output's scale.
    """

    output: str
    verdict: Verdict
    share: float = 0.0
    noise_share: float = 0.0
    reason: str = ""
    compared: int = 0
    failing: int = 0
    box: tuple[tuple[int, int], ...] = ()
    worst: Offender | None = None
    amplitude_error: float | None = None
    phase_error: float | None = None

    @property
    def passed(self) -> bool:
        return self.verdict <= Verdict.WITHIN_TOLERANCE


def compare_outputs(
    expected: Arrays,
    actual: Mapping[str, object],
    tolerances: Mapping[str, Tolerance],
    where: Arrays,
) -> list[Comparison]:
    """Compare every output of a case, sorted by name. A missing or an extra output is structural."""
    comparisons = []
    for name in sorted(set(expected) | set(actual)):
        if name not in actual:
            reason = f"output missing; found {sorted(actual)}"
            comparisons.append(_structural(name, reason))
        elif name not in expected:
            reason = f"output not in the golden, which has {sorted(expected)}"
            comparisons.append(_structural(name, reason))
        else:
            comparisons.append(compare(name, expected[name], actual[name], tolerances[name], where.get(name)))
    return comparisons


def compare(
    output: str,
    expected: np.ndarray,
    actual: object,
    tolerance: Tolerance,
    where: np.ndarray | None = None,
) -> Comparison:
    """Compare one output with what was expected.

    Args:
        output: name, repeated in the result.
        expected: the golden's array.
        actual: what the subject returned; anything but an array is structural.
        tolerance: how far it may differ.
        where: bool, of the shape of ``expected``: the elements that are compared; None for all. The others need only
            be finite.
    """
    if not isinstance(actual, np.ndarray):
        return _structural(output, f"expected an ndarray, found {type(actual).__name__}")
    if not _same_dtype(expected.dtype, actual.dtype):
        return _structural(output, f"expected dtype {expected.dtype}, found {actual.dtype}")
    if expected.shape != actual.shape:
        return _structural(output, f"expected shape {expected.shape}, found {actual.shape}")
    if expected.dtype.kind not in "fc":
        return _compare_exact(output, expected, actual, where)
    return _compare_floating(output, expected, actual, tolerance, where)


def _structural(output: str, reason: str) -> Comparison:
    return Comparison(output, Verdict.STRUCTURAL, share=np.inf, noise_share=np.inf, reason=reason)


def _same_dtype(expected: np.dtype, actual: np.dtype) -> bool:
    if expected.kind == actual.kind == "S":
        return True  # the width of a text belongs to its value, not to its type
    return expected == actual


def _compare_exact(output: str, expected: np.ndarray, actual: np.ndarray, where: np.ndarray | None) -> Comparison:
    failures = _Failures(expected.shape)
    for start, (e, a, counts) in blocks(expected, actual, where):
        failures.add(start, np.flatnonzero((e != a) if counts is None else (e != a) & counts))
    if not failures.count:
        return Comparison(output, Verdict.IDENTICAL, compared=expected.size)
    return Comparison(
        output,
        Verdict.BREAKING,
        share=np.inf,
        noise_share=np.inf,
        compared=expected.size,
        failing=failures.count,
        box=failures.box(),
        worst=_offender(failures.first, expected, actual),
    )


def _compare_floating(
    output: str, expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, where: np.ndarray | None
) -> Comparison:
    failures = _Failures(expected.shape)
    compared, worst = 0, _Worst()
    with np.errstate(all="ignore"):
        for start, (e, a, counts) in blocks(expected, actual, where):
            compared += e.size if counts is None else int(np.count_nonzero(counts | ~np.isfinite(a)))
            if _equal(e, a):
                continue
            found = _passing(e, a, tolerance) if counts is None else None
            if found is None:
                found, failing = _judged(e, a, tolerance, counts)
                failures.add(start, failing)
            worst = worst.or_worse(found, start)
    if worst.at is None or worst.noise_share == 0:
        return Comparison(output, Verdict.IDENTICAL, compared=compared)
    verdict = _grade(failures.count, worst.noise_share)
    amplitude_error, phase_error = None, None
    if expected.dtype.kind == "c" and verdict > Verdict.WITHIN_NOISE:
        amplitude_error, phase_error = _errors_of_parts(expected, actual, where)
    return Comparison(
        output,
        verdict,
        share=worst.share,
        noise_share=worst.noise_share,
        compared=compared,
        failing=failures.count,
        box=failures.box(),
        worst=_offender(worst.at, expected, actual),
        amplitude_error=amplitude_error,
        phase_error=phase_error,
    )


@dataclass(frozen=True)
class _Worst:
    """The largest shares so far, and the flat index of the element that uses most of its tolerance."""

    share: float = 0.0
    noise_share: float = 0.0
    at: int | None = None

    def or_worse(self, found: _Worst, start: int) -> _Worst:
        """Merge the result of a block that begins at the flat index ``start``."""
        assert found.at is not None
        noise_share = max(self.noise_share, found.noise_share)
        if self.at is None or found.share > self.share:
            return _Worst(found.share, noise_share, start + found.at)
        return _Worst(self.share, noise_share, self.at)


class _Failures:
    """Counts the elements that fail, and records the first of them and their bounding box."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape or (1,)  # a scalar is treated as an array of one element
        self._axes = len(shape)
        self._low = np.full(len(self._shape), np.iinfo(np.int64).max)
        self._high = np.full(len(self._shape), -1)
        self.count = 0
        self.first = -1

    def add(self, start: int, failing: np.ndarray) -> None:
        """Add a block that begins at ``start``; ``failing`` are flat indices within it."""
        if not failing.size:
            return
        if not self.count:
            self.first = start + int(failing[0])
        self.count += failing.size
        places = np.array(np.unravel_index(failing + start, self._shape))
        self._low = np.minimum(self._low, places.min(axis=1))
        self._high = np.maximum(self._high, places.max(axis=1))

    def box(self) -> tuple[tuple[int, int], ...]:
        """Return the first and the last+1 index for each axis; empty if no element fails."""
        if not self.count:
            return ()
        return tuple((int(low), int(high) + 1) for low, high in zip(self._low, self._high))[: self._axes]


def _equal(e: np.ndarray, a: np.ndarray) -> bool:
    """Return whether all values are equal. NaN equals nothing, not even itself."""
    if e.dtype.kind == "c":  # part by part: four times as fast
        part = e.real.dtype
        e, a = e.view(part), a.view(part)
    return np.array_equal(e[:64], a[:64]) and np.array_equal(e, a)


def _passing(e: np.ndarray, a: np.ndarray, tolerance: Tolerance) -> _Worst | None:
    """Find the worst element of a block in its own precision; None unless the whole block clearly passes."""
    # Squares of differences as small as the tolerance must not underflow.
    if e.dtype.char == "e" or min(tolerance.atol, tolerance.noise_atol) < 1e4 * math.sqrt(np.finfo(e.dtype).tiny):
        return None
    difference, modulus = np.abs(a - e), np.abs(e)
    shares = difference / (modulus * tolerance.rtol + tolerance.atol)
    at = int(shares.argmax())
    share = float(shares[at])
    if not share < 0.99:
        return None
    noise_share = float((difference / (modulus * tolerance.noise_rtol + tolerance.noise_atol)).max())
    if not math.isfinite(noise_share) or 1.98 < noise_share < 2.02:  # too close to a limit
        return None
    return _Worst(share, noise_share, at)


def _judged(e: np.ndarray, a: np.ndarray, tolerance: Tolerance, counts: np.ndarray | None) -> tuple[_Worst, np.ndarray]:
    """Find the worst element of a block in double precision, and the flat indices of those that fail."""
    modulus = np.abs(e.astype(_wide(e)))
    difference = np.abs(a.astype(_wide(e)) - e)
    difference[a == e] = 0  # infinities too
    shares = _ratio(difference, tolerance.atol + tolerance.rtol * modulus)
    noise_shares = _ratio(difference, tolerance.noise_atol + tolerance.noise_rtol * modulus)
    if counts is not None:
        ignored = ~counts & np.isfinite(a)
        shares[ignored] = 0
        noise_shares[ignored] = 0
    at = int(shares.argmax())
    return _Worst(float(shares[at]), float(noise_shares.max()), at), np.flatnonzero(shares > 1)


def _errors_of_parts(expected: np.ndarray, actual: np.ndarray, where: np.ndarray | None) -> tuple[float, float]:
    """Find the largest errors of amplitude and of phase."""
    weak = 1e-3 * scale_of(expected)
    amplitude_error = phase_error = 0.0
    with np.errstate(all="ignore"):
        for _, (right, found, counts) in blocks(expected, actual, where):
            e, a = (right, found) if counts is None else (right[counts], found[counts])
            modulus = np.abs(e)
            amplitude_error = max(amplitude_error, _largest(np.abs(a) - modulus))
            # Angles are slow to compute. After the first block, few elements can exceed the largest error so far.
            turned = a * np.conj(e)
            least = 0.99 * math.tan(phase_error) if phase_error < math.pi / 2 else 0.0
            can_exceed = (np.abs(turned.imag) >= least * turned.real) & (modulus > weak)
            phase_error = max(phase_error, _largest(np.angle(turned[can_exceed])))
    return amplitude_error, phase_error


def scale_of(array: np.ndarray) -> float:
    """Return the largest finite modulus of an array, against which absolute errors are judged; 0 when empty."""
    return max((_largest(block) for _, (block,) in blocks(array)), default=0.0)


def _largest(array: np.ndarray) -> float:
    """Return the largest finite modulus; 0 when there is none."""
    moduli = np.abs(array)
    top = float(moduli.max(initial=0.0))
    return top if math.isfinite(top) else float(np.max(moduli, where=np.isfinite(moduli), initial=0.0))


def _offender(flat: int, expected: np.ndarray, actual: np.ndarray) -> Offender:
    shape = expected.shape
    index = tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()
    return Offender(index, expected[index], actual[index])


def _grade(failing: int, noise_share: float) -> Verdict:
    if failing:
        return Verdict.BREAKING
    return Verdict.WITHIN_NOISE if noise_share <= 2 else Verdict.WITHIN_TOLERANCE


def _wide(array: np.ndarray) -> type:
    return np.complex128 if array.dtype.kind == "c" else np.float64


def _ratio(difference: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Divide; 0 where nothing differs, even if nothing is allowed; inf for NaN and where nothing is allowed."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio: np.ndarray = difference / allowed
    ratio[difference == 0] = 0
    ratio[np.isnan(ratio)] = np.inf
    return ratio
