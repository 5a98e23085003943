"""Arrays in, a Comparison out: no I/O, no asserts, no formatting. NumPy only.

An element passes when ``|actual - expected| <= atol + rtol * |expected|``: scaled by the golden, never by the
subject. Complex differences are taken by modulus. NaN never equals anything. dtype and shape must match exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

_BLOCK = 1 << 18
"""Elements compared at a time: temporaries stay at a few MB whatever the size of the arrays."""


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
    """What an output may differ by: ``atol + rtol * |expected|``; the noise floor has the same form.

    All zero for exact outputs (integers, booleans, strings).
    """

    atol: float = 0.0
    rtol: float = 0.0
    noise_atol: float = 0.0
    noise_rtol: float = 0.0


EXACT = Tolerance()


@dataclass(frozen=True)
class Offender:
    """The element that uses most of its tolerance."""

    index: tuple[int, ...]
    expected: object
    actual: object


@dataclass(frozen=True)
class Comparison:
    """The outcome for one output.

    Attributes:
        output: its name.
        verdict: the worst over all elements.
        share: largest difference in units of the tolerance (1 is the limit); inf where it cannot be expressed.
        noise_share: the same in units of the noise floor.
        reason: for a structural verdict, what differs.
        compared, failing: numbers of elements.
        box: for each axis, first and last+1 index of the failing elements.
        worst: the worst element; None when all are identical or the verdict is structural.
        amplitude_error, phase_error: largest, for complex outputs; the phase in radians over elements whose modulus
            exceeds 1e-3 of the output's scale.
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
    expected: Mapping[str, np.ndarray],
    actual: Mapping[str, np.ndarray],
    tolerances: Mapping[str, Tolerance],
    where: Mapping[str, np.ndarray],
) -> list[Comparison]:
    """Compare every output of a case. A missing or an extra output is structural."""
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
    """Hold ``actual`` against ``expected``.

    Args:
        output: name, repeated in the result.
        expected: the golden's array.
        actual: what the subject returned; anything but an ndarray is structural.
        tolerance: of this output.
        where: bool, of expected's shape: elements that count. Those outside it need only be finite.
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
        return True  # the width of a text is part of its value, not of its type
    return expected == actual


def _compare_exact(output: str, expected: np.ndarray, actual: np.ndarray, where: np.ndarray | None) -> Comparison:
    differs = np.asarray(expected != actual) & (True if where is None else where)
    failing = int(np.count_nonzero(differs))
    if not failing:
        return Comparison(output, Verdict.IDENTICAL, compared=expected.size)
    indices = np.argwhere(differs)
    index = tuple(int(i) for i in indices[0])
    return Comparison(
        output,
        Verdict.BREAKING,
        share=np.inf,
        noise_share=np.inf,
        compared=expected.size,
        failing=failing,
        box=tuple((int(low), int(high) + 1) for low, high in zip(indices.min(0), indices.max(0))),
        worst=Offender(index, expected[index], actual[index]),
    )


def _blocks(*arrays: np.ndarray) -> Iterator[tuple[int, list[np.ndarray]]]:
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _BLOCK):
        yield start, [array[start : start + _BLOCK] for array in flat]


def scale_of(array: np.ndarray) -> float:
    """The largest finite modulus of an array: what its absolute errors are judged against. 0 when empty."""
    moduli = (np.abs(block) for _, (block,) in _blocks(array))
    return max((float(np.max(m, where=np.isfinite(m), initial=0.0)) for m in moduli), default=0.0)


def _compare_floating(
    output: str, expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, where: np.ndarray | None
) -> Comparison:
    is_complex = expected.dtype.kind == "c"
    weak = 1e-3 * scale_of(expected)
    everywhere = np.broadcast_to(np.True_, expected.shape) if where is None else where
    share = noise_share = amplitude_error = phase_error = 0.0
    compared = failing = 0
    identical = True
    worst_at = None
    shape = expected.shape or (1,)  # a scalar is looked up like an array of one
    low = np.full(len(shape), np.iinfo(np.int64).max)
    high = np.full(len(shape), -1)

    for start, (e, a, counts) in _blocks(expected, actual, everywhere):
        compared += int(np.count_nonzero(counts))
        if np.array_equal(e, a):  # NaN is equal to nothing, itself included
            continue
        identical = False
        modulus = np.abs(e.astype(_wide(e)))
        with np.errstate(invalid="ignore", over="ignore"):
            difference = np.abs(a.astype(_wide(e)) - e)
        shares = _ratio(difference, tolerance.atol + tolerance.rtol * modulus)
        noise_shares = _ratio(difference, tolerance.noise_atol + tolerance.noise_rtol * modulus)
        ignored = ~counts & np.isfinite(a)
        shares[ignored] = 0
        noise_shares[ignored] = 0
        noise_share = max(noise_share, float(noise_shares.max()))
        block_worst = int(shares.argmax())
        if worst_at is None or shares[block_worst] > share:
            share, worst_at = float(shares[block_worst]), start + block_worst
        bad = np.flatnonzero(shares > 1)
        if bad.size:
            failing += bad.size
            where_bad = np.array(np.unravel_index(bad + start, shape))
            low = np.minimum(low, where_bad.min(axis=1))
            high = np.maximum(high, where_bad.max(axis=1))
        if is_complex:
            meaningful = counts & np.isfinite(a)
            with np.errstate(invalid="ignore", over="ignore"):
                amplitude = np.abs(np.abs(a) - np.abs(e))
                phase = np.abs(np.angle(a * np.conj(e)))
            amplitude_error = max(amplitude_error, float(np.max(amplitude, where=meaningful, initial=0.0)))
            phase_error = max(phase_error, float(np.max(phase, where=meaningful & (modulus > weak), initial=0.0)))

    if identical:
        return Comparison(output, Verdict.IDENTICAL, compared=compared)
    assert worst_at is not None
    index = tuple(int(i) for i in np.unravel_index(worst_at, shape))[: expected.ndim]
    return Comparison(
        output,
        _grade(failing, noise_share),
        share=share,
        noise_share=noise_share,
        compared=compared,
        failing=failing,
        box=tuple((int(lo), int(hi) + 1) for lo, hi in zip(low, high))[: expected.ndim] if failing else (),
        worst=Offender(index, expected[index], actual[index]),
        amplitude_error=amplitude_error if is_complex else None,
        phase_error=phase_error if is_complex else None,
    )


def _grade(failing: int, noise_share: float) -> Verdict:
    if failing:
        return Verdict.BREAKING
    return Verdict.WITHIN_NOISE if noise_share <= 2 else Verdict.WITHIN_TOLERANCE


def _wide(array: np.ndarray) -> type:
    return np.complex128 if array.dtype.kind == "c" else np.float64


def _ratio(difference: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Difference / allowed; 0 where they are equal in a zero tolerance, inf where NaN or where nothing is allowed."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio: np.ndarray = difference / allowed
    ratio[difference == 0] = 0
    ratio[np.isnan(ratio)] = np.inf
    return ratio
