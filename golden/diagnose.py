"""Which wrong convention explains a failure. NumPy only; explains, and never turns a failure into a pass.

First the faults that the golden was proved to catch: the wrong outputs that it keeps are held against what was found.
Then transforms that no case declares: an orientation, a sign, a shift, a scale, a permutation. Then, when nothing fits,
the shape of the difference: where it is, and how it grows.

Bounded: a candidate is a view or a formula, tried on a few thousand elements and only then, slab by slab, on all; the
search for shifts looks at one image of at most a million pixels, the shape of the difference at four million elements;
and after the deadline no new candidate is begun, nor one that fits looked at further.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Any

import numpy as np

from golden.case import Arrays
from golden.compare import Comparison, Tolerance, Verdict, scale_of
from golden.proof import Caught, Wrong

SECONDS = 2.0
"""After which a diagnosis settles for what it has."""

_LOOSER = 4.0
"""Tolerances that a match may be off by: a fault passes on the rounding of two computations, not of one."""
_TRIED = 4096
_SHIFT_PIXELS = 1 << 20
_LOOKED_AT = 1 << 22
_LEAST_RINGED = 10
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Diagnosis:
    """Why an output, or several, failed.

    Attributes:
        outputs: which.
        sentence: the explanation, for a person.
        faults: declared faults that match; several where they look the same.
        transform: the generic transform that matches, or an empty text.
        distance: largest difference from the explanation, relative to the output's scale; nan without one.
    """

    outputs: tuple[str, ...]
    sentence: str
    faults: tuple[str, ...] = ()
    transform: str = ""
    distance: float = float("nan")


def diagnose(
    expected: Arrays,
    actual: Mapping[str, object],
    comparisons: Sequence[Comparison],
    tolerances: Mapping[str, Tolerance],
    where: Arrays,
    faults: Mapping[str, Caught],
    *,
    seconds: float = SECONDS,
) -> list[Diagnosis]:
    """Explain every failed output; outputs with one explanation share it.

    Args:
        expected: the golden's outputs.
        actual: what was found, by name.
        comparisons: of all outputs.
        tolerances: of the golden's outputs.
        where: the elements that count, of some outputs.
        faults: those that the golden catches.
        seconds: after which no further explanation is tried.
    """
    deadline = time.monotonic() + seconds
    failed = [comparison.output for comparison in comparisons if not comparison.passed]
    found = {name: array for name, array in actual.items() if isinstance(array, np.ndarray)}
    present = [name for name in failed if name in expected and name in found]
    if not present:
        return []
    whole = _whole_fault(expected, found, failed, tolerances, faults)
    if whole is not None:
        return [whole]
    diagnoses: list[Diagnosis] = []
    for name in present:
        one = _fault_of_output(name, expected, found, tolerances, faults)
        if one is None:
            comparison = next(comparison for comparison in comparisons if comparison.output == name)
            search = _Search(comparison, expected[name], found[name], tolerances[name], where.get(name), deadline)
            one = search.run()
        diagnoses.append(one)
    return _merged(diagnoses)


# ------------------------------------------------------------------------------------------------ declared faults


def _whole_fault(
    expected: Arrays,
    found: Mapping[str, np.ndarray],
    failed: Sequence[str],
    tolerances: Mapping[str, Tolerance],
    faults: Mapping[str, Caught],
) -> Diagnosis | None:
    """A fault that gets exactly the failed outputs wrong, and as they were found."""
    matches = []
    for name, caught in faults.items():
        if set(caught.outputs) != set(failed):
            continue
        distances = [_distance(wrong, output, expected, found, tolerances) for output, wrong in caught.outputs.items()]
        if None not in distances:
            matches.append((max(d for d in distances if d is not None), name))
    return _matching(matches, faults, tuple(failed))


def _fault_of_output(
    output: str,
    expected: Arrays,
    found: Mapping[str, np.ndarray],
    tolerances: Mapping[str, Tolerance],
    faults: Mapping[str, Caught],
) -> Diagnosis | None:
    """A fault that explains this output, although others fail in another way."""
    matches = []
    for name, caught in faults.items():
        if output in caught.outputs:
            distance = _distance(caught.outputs[output], output, expected, found, tolerances)
            if distance is not None:
                matches.append((distance, name))
    return _matching(matches, faults, (output,))


def _matching(
    matches: list[tuple[float, str]], faults: Mapping[str, Caught], outputs: tuple[str, ...]
) -> Diagnosis | None:
    if not matches:
        return None
    matches.sort()
    names = tuple(name for _, name in matches)
    distance = matches[0][0]
    also = f" (here the same as {', '.join(repr(name) for name in names[1:])})" if len(names) > 1 else ""
    close = f" to {distance:.1e}" if distance else " exactly"
    sentence = f"matches fault {names[0]!r}{also}{close}: {faults[names[0]].symptom}"
    return Diagnosis(outputs, sentence, names, "", distance)


def _distance(
    wrong: Wrong,
    output: str,
    expected: Arrays,
    found: Mapping[str, np.ndarray],
    tolerances: Mapping[str, Tolerance],
) -> float | None:
    """How far what was found is from a fault's wrong output, relative to its scale; None when that is not it."""
    if output not in found:
        return None
    array = found[output]
    if array.shape != wrong.shape or array.dtype.kind != np.dtype(wrong.dtype).kind:
        return None
    if array.dtype.kind != "S" and array.dtype.str != wrong.dtype:
        return None
    if array.dtype.kind not in "fc" or not len(wrong.values):
        return 0.0 if np.array_equal(array.reshape(-1)[wrong.indices][: len(wrong.values)], wrong.values) else None
    return _apart(wrong.values, array.reshape(-1)[wrong.indices], tolerances[output], scale_of(expected[output]))


def _apart(wanted: np.ndarray, found: np.ndarray, tolerance: Tolerance, scale: float) -> float | None:
    """Largest difference relative to the scale, or None when an element is off by more than a few tolerances.

    A wrong convention may enlarge elements, and their rounding with them: those are judged, and told, relative to
    themselves.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        modulus = np.abs(wanted.astype(np.complex128))
        enlarged = np.maximum(1.0, modulus / scale) if scale else np.ones(modulus.shape)
        difference = np.abs(found.astype(np.complex128) - wanted) / enlarged
        same = difference <= _LOOSER * (tolerance.atol + tolerance.rtol * np.minimum(modulus, scale))
        same |= (np.isnan(wanted) & np.isnan(found)) | (wanted == found)
    if not same.all():
        return None
    return float(np.max(difference, where=np.isfinite(difference), initial=0.0)) / (scale or 1.0)


def _merged(diagnoses: list[Diagnosis]) -> list[Diagnosis]:
    """Outputs with the same explanation told once."""
    merged: dict[tuple[tuple[str, ...], str], Diagnosis] = {}
    for one in diagnoses:
        key = (one.faults, one.transform or (one.sentence if not one.faults else ""))
        if key in merged:
            first = merged[key]
            nearest = first if not one.distance < first.distance else one
            merged[key] = Diagnosis(
                first.outputs + one.outputs, nearest.sentence, one.faults, one.transform, nearest.distance
            )
        else:
            merged[key] = one
    return list(merged.values())


# ------------------------------------------------------------------------------------------------ generic transforms

View = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Candidate:
    """A wrong array made from the right one: rearranged (a view, or one copy), then changed element by element."""

    name: str
    rearrange: View = lambda array: array
    change: View = lambda array: array


_ORIENTATIONS: tuple[tuple[str, View], ...] = (
    ("flipped upside down", lambda a: a[..., ::-1, :]),
    ("mirrored left to right", lambda a: a[..., ::-1]),
    ("turned by 180 degrees", lambda a: a[..., ::-1, ::-1]),
    ("transposed", lambda a: a.swapaxes(-1, -2)),
    ("turned by 90 degrees", lambda a: a.swapaxes(-1, -2)[..., ::-1, :]),
    ("turned by 270 degrees", lambda a: a.swapaxes(-1, -2)[..., ::-1]),
    ("transposed along the other diagonal", lambda a: a.swapaxes(-1, -2)[..., ::-1, ::-1]),
)

_POINTWISE = (
    Candidate("negated", change=np.negative),
    Candidate("squared", change=np.square),
    Candidate("its square root", change=np.sqrt),
    Candidate("its modulus (sign or phase lost)", change=np.abs),
    Candidate("its modulus squared", change=lambda a: np.abs(a) ** 2),
    Candidate("zero everywhere", change=np.zeros_like),
)
_POINTWISE_COMPLEX = (
    Candidate("conjugated", change=np.conj),
    Candidate("negated and conjugated", change=lambda a: -a.conj()),
    Candidate("its real part only (imaginary part lost)", change=np.real),
    Candidate("its imaginary part only (real part lost)", change=lambda a: 1j * a.imag),
    Candidate("with real and imaginary part exchanged", change=lambda a: a.imag + 1j * a.real),
    Candidate("its phase only (modulus lost)", change=lambda a: np.exp(1j * np.angle(a))),
    Candidate("as modulus + i phase", change=lambda a: np.abs(a) + 1j * np.angle(a)),
)


def spatial_axes(array: np.ndarray) -> tuple[int, int] | None:
    """Rows and columns in TensorFlow's layouts: (H, W), (H, W, ch), (B, H, W, ch); None for anything else."""
    if array.ndim in (2, 3) and min(array.shape[:2]) > 1:
        return 0, 1
    if array.ndim == 4 and min(array.shape[1:3]) > 1:
        return 1, 2
    return None


class _Search:
    """The explanation of one output by transforms of what was expected, or by the shape of the difference."""

    def __init__(
        self,
        comparison: Comparison,
        expected: np.ndarray,
        found: np.ndarray,
        tolerance: Tolerance,
        where: np.ndarray | None,
        deadline: float,
    ) -> None:
        self._comparison = comparison
        self._expected = np.atleast_1d(expected)
        self._found = np.atleast_1d(found)
        self._tolerance = tolerance
        self._where = None if where is None else np.atleast_1d(where)
        self._deadline = deadline
        self._scale = scale_of(expected) if expected.dtype.kind in "fc" else 1.0

    def run(self) -> Diagnosis:
        if self._expected.dtype.kind not in "biufc" or self._found.dtype.kind not in "biufc":
            return self._say("no known fault explains this value")
        if self._comparison.verdict is Verdict.STRUCTURAL:
            return self._structural()
        if self._only_outside_the_mask():
            return self._say("no known fault; inside the compared mask all is well, outside of it are NaN or infinity")
        for candidate in self._candidates():
            distance = self._try(candidate)
            if distance is not None:
                close = f" (to {distance:.1e})" if distance else " (exactly)"
                close += ", as far as there was time to look" if self._late() else ""
                return self._say(f"found is expected, {candidate.name}{close}", candidate.name, distance)
            if self._late():
                return self._say("no known fault; the search for a transform was cut short")
        return self._say(f"no known fault; the difference {self._shape_of_difference()}")

    def _only_outside_the_mask(self) -> bool:
        if self._where is None or self._found.dtype.kind not in "fc":
            return False
        outside = int(np.count_nonzero(~self._where & ~np.isfinite(self._found)))
        return outside == self._comparison.failing

    def _late(self) -> bool:
        return time.monotonic() > self._deadline

    def _say(self, sentence: str, transform: str = "", distance: float = float("nan")) -> Diagnosis:
        return Diagnosis((self._comparison.output,), sentence, (), transform, distance)

    def _structural(self) -> Diagnosis:
        """For another shape or dtype: whether the values at least are the right ones."""
        expected, found = self._expected, self._found
        if found.dtype != expected.dtype and found.shape == expected.shape:
            if self._values_agree(expected, found):
                return self._say(f"the values are right, the dtype is {found.dtype} instead of {expected.dtype}")
        elif found.dtype == expected.dtype and found.size == expected.size:
            if self._values_agree(expected.reshape(-1), found.reshape(-1)):
                return self._say("the values are right and in order, only the shape differs: a missing reshape")
            for axes in _orders(expected.ndim):
                moved = expected.transpose(axes)
                if moved.size and self._values_agree(moved.reshape(-1), found.reshape(-1)):
                    return self._say(f"the values are right with the axes in the order {list(axes)}: another layout")
                if self._late():
                    break
        return self._say("no known fault has this shape and dtype")

    def _values_agree(self, expected: np.ndarray, found: np.ndarray) -> bool:
        at = _pick(expected.shape, _TRIED)
        return _apart(expected[at], found[at], self._tolerance, self._scale) is not None and all(
            _apart(e, f, self._tolerance, self._scale) is not None for e, f in _blocks(expected, found)
        )

    def _try(self, candidate: Candidate) -> float | None:
        """How far off, relative to the scale, the candidate is; None when it is not the explanation."""
        arranged = candidate.rearrange(self._expected)
        if arranged.shape != self._found.shape:
            return None
        at = self._some_elements()
        if self._apart(candidate, arranged[at], self._found[at]) is None:
            return None
        worst = 0.0
        everywhere = np.broadcast_to(np.True_, arranged.shape) if self._where is None else self._where
        for right, found, counts in _blocks(arranged, self._found, everywhere):
            distance = self._apart(candidate, right[counts], found[counts])
            if distance is None:
                return None
            worst = max(worst, distance)
            if self._late():  # the sample agreed; a part of the rest has to do
                break
        return worst

    def _apart(self, candidate: Candidate, right: np.ndarray, found: np.ndarray) -> float | None:
        with np.errstate(invalid="ignore", over="ignore"):
            return _apart(candidate.change(right), found, self._tolerance, self._scale)

    def _some_elements(self) -> tuple[np.ndarray, ...]:
        at = _pick(self._expected.shape, _TRIED)
        if self._where is None:
            return at
        inside = self._where[at]
        return tuple(index[inside] for index in at)

    def _candidates(self) -> Iterator[Candidate]:
        kind = self._expected.dtype.kind
        if kind == "b":
            yield Candidate("inverted", change=np.logical_not)
        if kind in "fc":
            yield from _POINTWISE
        if kind == "c":
            yield from _POINTWISE_COMPLEX
        yield from self._orientations()
        for axis, size in enumerate(self._expected.shape):
            if size == 2:
                name = f"with the two entries of axis {axis} exchanged (x and y?)"
                yield Candidate(name, lambda a, axis=axis: np.flip(a, axis))  # type: ignore[misc]
        if kind in "fc":
            yield from self._scaled()
        if not self._late():
            yield from self._shifted()
        if not self._late():
            yield from self._permuted()

    def _orientations(self) -> Iterator[Candidate]:
        axes = spatial_axes(self._expected)
        if axes is None:
            return

        def of_images(turn: View) -> View:
            return lambda a: np.moveaxis(turn(np.moveaxis(a, axes, (-2, -1))), (-2, -1), axes)

        for name, turn in _ORIENTATIONS:
            yield Candidate(name, of_images(turn))
            if self._expected.dtype.kind == "c":
                yield Candidate(f"{name} and conjugated", of_images(turn), np.conj)
        sides = [self._expected.shape[axis] for axis in axes]
        half = [side // 2 for side in sides]
        yield Candidate("with its quadrants swapped (fftshift)", lambda a: np.roll(a, half, axes))
        if any(side % 2 for side in sides):
            yield Candidate("with its quadrants swapped (ifftshift)", lambda a: np.roll(a, [-h for h in half], axes))

    def _scaled(self) -> Iterator[Candidate]:
        """The best factor by least squares, of modulus 1, complex, real; and the best constant."""
        at = self._some_elements()
        e, f = (a[at].astype(np.complex128) for a in (self._expected, self._found))
        e, f = e[np.isfinite(f)], f[np.isfinite(f)]
        power = float(np.sum(np.abs(e) ** 2))
        if not power:
            return
        factor, constant = complex(np.vdot(e, f)) / power, complex(np.mean(f - e))
        if self._expected.dtype.kind == "f":
            factor, constant = factor.real, constant.real  # type: ignore[assignment]
        elif factor and abs(np.angle(factor)) > 1e-6:
            turn = np.exp(1j * np.angle(factor))
            yield Candidate(f"times a global phase of {np.angle(factor):+.4g} rad", change=lambda a: a * turn)
            yield Candidate(f"times the complex factor {_number(factor)}", change=lambda a: a * factor)
        yield Candidate(f"times {_number(factor.real)}{_as_fraction(factor.real)}", change=lambda a: a * factor.real)
        yield Candidate(f"plus the constant {_number(constant)}", change=lambda a: a + constant)

    def _shifted(self) -> Iterator[Candidate]:
        """Rolled by whole pixels: the peak of the cross-correlation of one image."""
        axes = spatial_axes(self._expected)
        if axes is None:
            return
        one, other = (
            np.moveaxis(a, axes, (-2, -1)).reshape(-1, *(a.shape[axis] for axis in axes))[0].astype(np.complex64)
            for a in (self._first_entry(self._expected), self._first_entry(self._found))
        )
        if one.size > _SHIFT_PIXELS or not np.isfinite(other).all():
            return
        spectrum = np.fft.fft2(other - other.mean()) * np.fft.fft2(one - one.mean()).conj()
        peak = np.unravel_index(int(np.abs(np.fft.ifft2(spectrum)).argmax()), one.shape)
        by = [int(p) if p <= n // 2 else int(p) - n for p, n in zip(peak, one.shape)]
        if any(by):
            name = f"shifted by {by[0]:+d} rows and {by[1]:+d} columns"
            yield Candidate(f"{name}, zeros behind", lambda a: _shift(a, by, axes))
            yield Candidate(f"{name}, wrapped", lambda a: np.roll(a, by, axes))

    def _first_entry(self, array: np.ndarray) -> np.ndarray:
        return array[:1] if array.ndim == 4 else array

    def _permuted(self) -> Iterator[Candidate]:
        """Channels, or entries of the batch, in another order: each is held against all the others."""
        for axis, what in ((self._expected.ndim - 1, "channels"), (0, "entries of axis 0")):
            count = self._expected.shape[axis] if self._expected.ndim > 1 else 0
            if not 1 < count <= 64:
                continue
            e, f = (np.moveaxis(a, axis, 0) for a in (self._expected, self._found))
            at = _pick(e.shape[1:], 256)
            e, f = (np.stack([entry[at] for entry in a]).astype(np.complex128) for a in (e, f))
            order = np.abs(f[:, None] - e[None]).max(axis=-1).argmin(axis=1)
            if len(set(order.tolist())) == count and (order != np.arange(count)).any():
                shown = ", ".join(map(str, order[:9])) + (", ..." if count > 9 else "")
                name = f"with its {what} in the order [{shown}]"
                yield Candidate(name, lambda a, order=order, axis=axis: np.take(a, order, axis))  # type: ignore[misc]

    # -------------------------------------------------------------------------------- the shape of the difference

    def _shape_of_difference(self) -> str:
        if self._comparison.failing == 1 and self._comparison.worst is not None:
            return f"is a single element, at {list(self._comparison.worst.index)}"
        thin = _thinning(self._expected.shape)
        expected, found = self._expected[thin], self._found[thin]
        counts = np.broadcast_to(np.True_, expected.shape) if self._where is None else self._where[thin]
        strange = ~np.isfinite(found) if found.dtype.kind in "fc" else np.zeros(found.shape, bool)
        if strange.any():
            return f"is NaN or infinity in {np.count_nonzero(strange)} of {found.size} elements"
        if expected.dtype.kind in "fc":
            difference = np.abs(found - expected)
            bad = counts & (difference > self._tolerance.atol + self._tolerance.rtol * np.abs(expected))
        else:
            bad = counts & np.asarray(found != expected)
            difference = bad.astype(float)
        if not bad.any():
            return "is in a few elements"
        axes = spatial_axes(expected)
        spot = _of_slices(bad, axes) or (_in_the_image(bad, difference, axes) if axes is not None else "")
        spot = spot or f"is scattered over {self._comparison.failing} of {self._comparison.compared} elements"
        if expected.dtype.kind not in "fc":
            return spot
        size = difference[bad] / (self._scale or 1.0)
        return f"{spot}; typically {np.median(size):.1e} of the scale, at most {size.max():.1e}"


def _shift(array: np.ndarray, by: Sequence[int], axes: tuple[int, int]) -> np.ndarray:
    moved = np.roll(array, by, axes)
    for axis, distance in zip(axes, by):
        behind: list[Any] = [slice(None)] * moved.ndim
        behind[axis] = slice(0, distance) if distance >= 0 else slice(distance, None)
        moved[tuple(behind)] = 0
    return moved


def _thinning(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Every second, fourth, ... element of the longest axes, until few enough are left."""
    steps = [1] * len(shape)
    while np.prod([-(-n // step) for n, step in zip(shape, steps)]) > _LOOKED_AT:
        longest = max(range(len(shape)), key=lambda axis: shape[axis] / steps[axis])
        steps[longest] *= 2
    return tuple(slice(None, None, step) for step in steps)


def _of_slices(bad: np.ndarray, axes: tuple[int, int] | None) -> str:
    """Whole entries of an axis that are right while others fail."""
    for axis, size in enumerate(bad.shape):
        if (axes is not None and axis in axes) or size < 2:
            continue
        wrong = np.flatnonzero(bad.any(axis=tuple(a for a in range(bad.ndim) if a != axis)))
        if len(wrong) < size:
            shown = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
            return f"is only in entries [{shown}] of axis {axis}, of {size}"
    return ""


def _in_the_image(bad: np.ndarray, difference: np.ndarray, axes: tuple[int, int]) -> str:
    others = tuple(a for a in range(bad.ndim) if a not in axes)
    wrong, size = np.asarray(bad.any(axis=others)), np.asarray(difference.max(axis=others))
    height, width = wrong.shape
    rows, columns = np.nonzero(wrong)
    to_border = np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns))
    if to_border.max() < min(height, width) // 8:
        return f"is only at the border, within {to_border.max() + 1} pixels of it"
    radius: np.ndarray = np.hypot(*np.ogrid[-(height - 1) / 2 : height / 2, -(width - 1) / 2 : width / 2])
    nearest, farthest = radius[wrong].min(), radius[wrong].max()
    if nearest > 2 and wrong[radius >= nearest].mean() > 0.5:
        return f"is only farther than {nearest:.1f} pixels from the centre, as outside a mask"
    if farthest < radius.max() / 2 and wrong[radius <= farthest].mean() > 0.5:
        return f"is only within {farthest:.1f} pixels of the centre, as inside a mask"
    if min(height, width) >= _LEAST_RINGED:
        rings = np.linspace(0, min(height, width) / 2, 6)
        means = [size[(radius >= low) & (radius < high)].mean() for low, high in pairwise(rings)]
        if all(a < b for a, b in pairwise(means)) and means[-1] > 3 * means[0]:
            return "grows with the distance from the centre"
    inner = size[wrong]
    if wrong.all() and inner.std() < 0.05 * inner.mean():
        return f"is a uniform offset of modulus {inner.mean():.3g}"
    return ""


def _pick(shape: tuple[int, ...], most: int) -> tuple[np.ndarray, ...]:
    """Indices of some elements: all of a small array, else a fixed random choice."""
    size = int(np.prod(shape))
    flat = np.arange(size) if size <= most else np.random.default_rng(0).integers(0, size, most)
    return tuple(np.unravel_index(flat, shape))


def _blocks(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Slabs along the first axis, so that a view needs no copy of the whole."""
    length = len(arrays[0]) if arrays[0].ndim else 0
    if not length:
        yield [np.atleast_1d(array) for array in arrays]
        return
    step = max(1, _BLOCK // max(1, arrays[0].size // length))
    for start in range(0, length, step):
        yield [array[start : start + step] for array in arrays]


def _orders(dimensions: int) -> list[tuple[int, ...]]:
    return [order for order in permutations(range(dimensions)) if order != tuple(range(dimensions))]


def _number(value: complex) -> str:
    if isinstance(value, complex):
        return f"{value.real:.6g}{value.imag:+.6g}j"
    return f"{value:.6g}"


def _as_fraction(value: float) -> str:
    """Factors below one are often divisions by a round number."""
    inverse = 1 / value if value else 0.0
    return f" (1 / {inverse:.6g})" if abs(value) < 1 and abs(inverse - round(inverse)) < 1e-4 * abs(inverse) else ""
