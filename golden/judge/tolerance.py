"""Derive the tolerance of an output from its measured noise floor. NumPy only.

The reference is evaluated again in ways that may change only rounding (float64, other thread counts, oneDNN on and
off, inputs perturbed by one unit in the last place). The floor is a line ``atol + rtol * |expected|`` above every
difference seen; the tolerance is ``HEADROOM`` times that line. No test has a tolerance of its own. See
docs/tolerances.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from golden.judge.compare import EXACT, Tolerance, scale_of
from golden.spec.arrays import Arrays
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.operation import MOST_UNSTEADY, UNSTEADY, K, Output

_LARGEST_SHARE = 0.01
"""Largest tolerance, as a share of the spread of an output's values. A larger one could hide wrong values."""
_LARGEST_SHARE_OF_ENVELOPE = 0.5
"""The same for an envelope, where trajectories diverge. Wrong trainings differ by more than this."""
_BINS = 400
_MOST = 0.9
"""An element at a kink moves much further than this share of the output's elements."""


def perturb(inputs: Arrays, run: int) -> dict[str, np.ndarray]:
    """Move every floating input up or down, at random, by one unit in the last place of its own dtype."""
    rng = np.random.default_rng(run)
    return {name: _perturb(array, rng) for name, array in sorted(inputs.items())}


def _perturb(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if array.dtype.kind == "c":
        return (_perturb(array.real, rng) + 1j * _perturb(array.imag, rng)).astype(array.dtype)
    if array.dtype.kind != "f":
        return array
    # Zero stays zero: its ULP is a denormal, and a 0 marks an empty pixel, not a measurement.
    ulp = np.where(array == 0, 0, np.spacing(np.abs(array))).astype(array.dtype)
    moved: np.ndarray = array + rng.choice(np.array([-1, 1], dtype=array.dtype), size=array.shape) * ulp
    return np.asarray(moved, array.dtype)


def largest_differences(outputs: Arrays, variants: Iterable[Arrays]) -> dict[str, np.ndarray]:
    """Find how far each element of the floating outputs moves, at most, in any of the variants.

    Args:
        outputs: as the golden stores them.
        variants: the same outputs in each further run.

    Returns:
        Name -> float64 array of the output's shape.
    """
    floating = [name for name, array in outputs.items() if array.dtype.kind in "fc"]
    largest = {name: np.zeros(outputs[name].shape) for name in floating}
    for found in variants:
        for name in floating:
            if found[name].shape == outputs[name].shape:  # `measure` refuses another shape
                difference = np.abs(found[name].astype(np.complex128) - outputs[name])
                largest[name] = np.maximum(largest[name], difference)
    return largest


def without_kinks(case: Case, inputs: Arrays, outputs: Arrays, moved: Arrays, where: Arrays) -> dict[str, np.ndarray]:
    """Mask elements that jump between the runs: they are at a kink, and a right implementation may be on either side.

    An element jumps if it moves more than ``UNSTEADY`` times as far as nine tenths of the compared elements. A move
    within the least noise is not a jump. Envelopes are skipped, because there whole runs differ.

    Args:
        case: the case.
        inputs: all its inputs.
        outputs: as the golden stores them.
        moved: how far each element of the floating outputs moved (``largest_differences``).
        where: bool, the masks so far, of some outputs.

    Returns:
        ``where``, and the masks of outputs that have such elements.

    Raises:
        GoldenError: more than ``MOST_UNSTEADY`` of an output would be masked.
    """
    masks = dict(where)
    for output in case.operation.outputs:
        name = output.name
        if output.envelope or name not in moved:
            continue
        counts = where.get(name, np.ones(outputs[name].shape, bool))
        if not counts.any():
            continue
        usual = float(np.quantile(moved[name][counts], _MOST))
        least = least_noise(case, output, inputs, outputs[name][counts])
        jumps = counts & (moved[name] > UNSTEADY * max(usual, least))
        share = np.count_nonzero(jumps) / np.count_nonzero(counts)
        if share > MOST_UNSTEADY:
            raise GoldenError(
                f"case {case.name}: output {name!r}: {share:.1%} of its elements jump when only rounding changes, "
                f"more than the {MOST_UNSTEADY:.0%} that may be masked: rounding decides on which side of a kink "
                f"(ReLU, a maximum, a sign) they lie. Choose inputs that stay away from it"
            )
        if jumps.any():
            masks[name] = counts & ~jumps
    return masks


def least_noise(case: Case, output: Output, inputs: Arrays, values: np.ndarray) -> float:
    """Return the lower limit of the noise floor for an output with these values."""
    terms = output.count_terms(inputs, case.parameters)
    return K * float(np.finfo(values.dtype).eps) * scale_of(values) * float(np.sqrt(terms))


def measure(
    case: Case,
    output: Output,
    inputs: Arrays,
    frozen: np.ndarray,
    variants: Mapping[str, np.ndarray],
    where: np.ndarray | None,
) -> tuple[Tolerance, dict[str, float]]:
    """Measure the tolerance of one output and, for the record, how much each variant contributed.

    Args:
        case: the case.
        output: one of its outputs.
        inputs: all inputs of the case.
        frozen: the output that the golden stores.
        variants: name of the variant -> the same output under it.
        where: bool, the elements that are compared; None for all.

    Returns:
        The tolerance, and for each variant the largest difference as a fraction of the output's scale.

    Raises:
        GoldenError: a variant changes the shape or an exact output, or is not finite; or the tolerance would exceed
            1 % of the spread of the output's values (half of the spread for an envelope).
    """
    for name, array in variants.items():
        if array.shape != frozen.shape:
            raise GoldenError(
                f"case {case.name}: output {output.name!r} has shape {frozen.shape}, but {array.shape} in the run "
                f"{name!r}: rounding alone decides its size; move the inputs away from that edge"
            )
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise GoldenError(f"case {case.name}: output {output.name!r} is not finite in the run {name!r}")
    if frozen.dtype.kind not in "fc":
        moved = [name for name, array in variants.items() if not np.array_equal(array, frozen)]
        if moved:
            raise GoldenError(
                f"case {case.name}: output {output.name!r} is exact ({frozen.dtype}), but rounding changes it in the "
                f"run(s) {moved}; move the inputs away from that edge"
            )
        return EXACT, {}

    counts = np.ones(frozen.shape, bool) if where is None else where
    scale = scale_of(frozen[counts])
    magnitude = np.abs(frozen[counts]).astype(np.float64)
    differences = {
        name: np.abs(array[counts].astype(np.complex128) - frozen[counts]) for name, array in variants.items()
    }
    worst = np.max(list(differences.values()), axis=0)
    atol, rtol = tightest_line(magnitude, worst)
    noise_atol, noise_rtol = max(atol, least_noise(case, output, inputs, frozen[counts])), rtol
    if output.name not in case.expected_constant:
        require_sharp(case, output, frozen[counts], output.headroom * (noise_atol + noise_rtol * scale))
    # Three digits suffice for the record; the tolerance comes from the exact differences.
    contributions = {
        name: float(f"{d.max(initial=0.0) / scale:.2e}") if scale else 0.0 for name, d in differences.items()
    }
    return Tolerance(output.headroom * noise_atol, output.headroom * noise_rtol, noise_atol, noise_rtol), contributions


def require_sharp(case: Case, output: Output, values: np.ndarray, tolerance: float) -> None:
    """Refuse a tolerance that is so large, compared with the spread of an output's values, that it could hide errors.

    Raises:
        GoldenError: it is too large.
    """
    spread = float(np.abs(values - values.mean()).max())
    largest = _LARGEST_SHARE_OF_ENVELOPE if output.envelope else _LARGEST_SHARE
    if tolerance > largest * spread:
        raise GoldenError(
            f"case {case.name}: output {output.name!r}: the tolerance {tolerance:.1e} is more than "
            f"{largest:.0%} of the spread of its values, {spread:.1e}: noise would hide errors. Is the "
            f"reference reproducible?"
        )


def tightest_line(magnitude: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Find the line ``a + r * magnitude`` (a, r >= 0) that is on or above every error and lowest on average.

    Splitting at a fixed magnitude instead (relative above, absolute below) would give a sum with absolute noise a
    relative tolerance set by its weakest strong pixel: 1e-4 where 1e-7 is true.

    The points are first replaced by the upper left corners of at most 400 boxes in magnitude, which only raises the
    line.

    Args:
        magnitude: of every element, (n,) float64.
        error: the largest difference seen there, (n,) float64, not negative.

    Returns:
        a and r.
    """
    top = float(error.max(initial=0.0))
    if top == 0:
        return 0.0, 0.0
    full = float(magnitude.max())
    if full == 0:
        return top, 0.0
    edges = np.quantile(magnitude, np.linspace(0, 1, _BINS + 1))
    place = np.clip(np.searchsorted(edges, magnitude, side="right") - 1, 0, _BINS - 1)
    highest = np.zeros(_BINS)
    np.maximum.at(highest, place, error)
    lowest = np.full(_BINS, np.inf)
    np.minimum.at(lowest, place, magnitude)
    used = np.isfinite(lowest)
    x, y = lowest[used] / full, highest[used] / top
    slope = max(0.0, _slope_over(float(magnitude.mean()) / full, x, y))
    intercept = float((y - slope * x).max())
    if intercept < 0:  # then no x is 0
        intercept, slope = 0.0, float((y / x).max())
    return intercept * top, slope * top / full


def _slope_over(middle: float, x: np.ndarray, y: np.ndarray) -> float:
    """Find the slope of the lowest line above all points as seen at ``middle``: an edge of their upper hull."""
    left, right = x <= middle, x > middle
    if not left.any() or not right.any():
        return 0.0
    slopes = (y[right] - y[left, None]) / (x[right] - x[left, None])
    heights = y[left, None] + slopes * (middle - x[left, None])
    return float(slopes.flat[heights.argmax()])


def require_not_vacuous(case: Case, outputs: Arrays, where: Arrays) -> None:
    """Refuse outputs that almost anything would match, and outputs that are declared constant but are not.

    Raises:
        GoldenError: with the name of the output.
    """
    for name, array in outputs.items():
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise GoldenError(f"case {case.name}: output {name!r} is not finite everywhere")
        trivial = _trivial(array, where.get(name))
        if trivial and name not in case.expected_constant:
            raise GoldenError(
                f"case {case.name}: output {name!r} is {trivial}: almost anything would match it. Choose "
                f"inputs that move it, or declare it in expected_constant with the reason"
            )
        if not trivial and name in case.expected_constant:
            raise GoldenError(f"case {case.name}: output {name!r} is declared constant, but it is not")
    if all(name in case.expected_constant for name in outputs):
        raise GoldenError(f"case {case.name}: every output is constant; nothing is tested")


def _trivial(array: np.ndarray, where: np.ndarray | None) -> str:
    values = array[where] if where is not None else array.reshape(-1)
    if values.size == 0:
        return "empty"
    if (values == values[0]).all():
        return "zero" if not values[0] else "constant"
    return ""
