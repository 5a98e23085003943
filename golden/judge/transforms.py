"""Find the transform (flip, shift, sign, ...) that explains a wrong output, or else describe the difference.

The work is limited by a number of elements, never by time, so a failure gives the same sentence on every machine. A
candidate is tried on a few thousand elements, and on all of them only if it fits there. The search for shifts uses one
image of at most a million pixels; the shape of a difference is taken from at most four million elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise, permutations
from types import MappingProxyType
from typing import Any

import numpy as np

from golden.judge.compare import Comparison, Tolerance, Verdict, scale_of
from golden.judge.factors import named_factor
from golden.spec.arrays import blocks

LOOSER = 4.0
"""A match may be off by this many tolerances, because two computations round, not one."""

_SAMPLE = 4096
"""A candidate is first tried on this many elements."""
_PASSES, _LEAST_WORK = 8, 1 << 24
"""A search ends after eight passes over the array, but not before 2**24 elements."""
_SHIFT_SIDE = 1 << 10
"""Largest side of the image in which shifts are searched."""
_THINNED = 1 << 22
"""Largest number of elements from which the shape of a difference is taken."""
_LEAST_SIDE = 8
"""Smallest side of an image in which a border, rings and masks can be told apart."""
_MOST_CHANNELS = 4
"""A last axis up to this length is taken as channels, a longer one as columns."""

View = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Explanation:
    """A sentence; if a transform fits, also its name and the largest difference from it."""

    sentence: str
    transform: str = ""
    distance: float = float("nan")


@dataclass(frozen=True)
class Candidate:
    """A way to derive a wrong array from the right one: rearrange it (a view or one copy), then change each element."""

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
    Candidate("squared", change=np.square),
    Candidate("replaced by the square root", change=np.sqrt),
    Candidate("replaced by the modulus (sign or phase lost)", change=np.abs),
    Candidate("replaced by the squared modulus", change=lambda a: np.abs(a) ** 2),
    Candidate("replaced by zeros", change=np.zeros_like),
)
_POINTWISE_COMPLEX = (
    Candidate("conjugated", change=np.conj),
    Candidate("negated and conjugated", change=lambda a: -a.conj()),
    Candidate("reduced to the real part (imaginary part lost)", change=np.real),
    Candidate("reduced to the imaginary part (real part lost)", change=lambda a: 1j * a.imag),
    Candidate("with real and imaginary parts exchanged", change=lambda a: a.imag + 1j * a.real),
    Candidate("reduced to the phase (modulus lost)", change=lambda a: np.exp(1j * np.angle(a))),
    Candidate("replaced by modulus + i phase", change=lambda a: np.abs(a) + 1j * np.angle(a)),
)


_NARROWER: Mapping[str, tuple[float, View]] = {
    "bfloat16": (2.0**-6, lambda a: (a.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)),
    "float16": (2.0**-9, lambda a: a.astype(np.float16)),
    "float32": (2.0**-22, lambda a: a.astype(np.float32)),
}
"""Floating-point dtypes, the narrowest first: how far several roundings move a value of the scale; how to round."""


def spatial_axes(array: np.ndarray) -> tuple[int, int] | None:
    """Find the axes of rows and columns of an array in one of TensorFlow's layouts; None for any other array.

    The layouts are (H, W), (H, W, ch), (B, H, W), (B, H, W, ch). An array of two columns holds x and y, not an image.
    """
    if array.ndim == 2 and min(array.shape) > 2:
        return 0, 1
    if array.ndim == 3:
        axes = (0, 1) if array.shape[2] <= _MOST_CHANNELS else (1, 2)
        return axes if min(array.shape[axis] for axis in axes) > 2 else None
    if array.ndim == 4 and min(array.shape[1:3]) > 2:
        return 1, 2
    return None


def distance_if_alike(wanted: np.ndarray, found: np.ndarray, tolerance: Tolerance, scale: float) -> float | None:
    """Find the largest difference relative to the scale; None when an element is off by more than a few tolerances.

    A wrong convention may enlarge elements, and their rounding with them. The difference of such an element is taken
    relative to the element itself.
    """
    modulus = np.abs(wanted.astype(np.complex128))
    enlarged = np.maximum(1.0, modulus / scale) if scale else np.ones(modulus.shape)
    difference = np.abs(found.astype(np.complex128) - wanted) / enlarged
    same = difference <= LOOSER * (tolerance.atol + tolerance.rtol * np.minimum(modulus, scale))
    same |= (np.isnan(wanted) & np.isnan(found)) | (wanted == found)
    if not same.all():
        return None
    return float(np.max(difference, where=np.isfinite(difference), initial=0.0)) / (scale or 1.0)


class Search:
    """Searches for the explanation of one failed output.

    Args:
        comparison: of the output.
        expected, found: its arrays.
        tolerance: how far it may be off.
        where: bool, the elements that are compared; None for all.
        parameters: of the golden; a constant factor may come from one of them.
    """

    def __init__(
        self,
        comparison: Comparison,
        expected: np.ndarray,
        found: np.ndarray,
        tolerance: Tolerance,
        where: np.ndarray | None,
        parameters: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self._comparison = comparison
        self._parameters = parameters
        self._expected = np.atleast_1d(expected)
        self._found = np.atleast_1d(found)
        self._tolerance = tolerance
        self._where = None if where is None else np.atleast_1d(where)
        self._looked_at = 0
        self._scale = scale_of(expected) if expected.dtype.kind in "fc" else 1.0

    def run(self) -> Explanation:
        """Find the first explanation that fits. The caller silences floating-point warnings."""
        if self._expected.dtype.kind not in "biufc" or self._found.dtype.kind not in "biufc":
            return Explanation("no known fault explains this value")
        if self._comparison.verdict is Verdict.STRUCTURAL:
            return self._structural()
        return self._of_values()

    def _of_values(self) -> Explanation:
        aside = self._set_aside()
        if aside and self._where is not None and not self._where.any():
            return Explanation("no known fault; none of the compared values is finite")
        if aside and self._fits(Candidate("")) is not None:
            return Explanation(f"no known fault; the finite values agree, but {aside}")
        if not aside and self._fits(Candidate("")) is not None:
            share = self._comparison.share
            reason = self._precision() or "rounding or a small factor?"
            return Explanation(f"no known fault; off by only {share:.2g} tolerances: {reason}")
        besides = f"; besides, {aside}" if aside else ""
        for candidate in self._candidates():
            distance = self._fits(candidate)
            if distance is not None:
                close = f" (to {distance:.1e})" if distance else " (exactly)"
                return Explanation(
                    f"the expected values, but {candidate.name}{close}{besides}", candidate.name, distance
                )
            if self._has_seen_enough():
                besides += "; the array is too large to try every transform"
                break
        reason = f": {precision}" if (precision := self._precision()) else ""
        return Explanation(f"no known fault; the difference {self._shape_of_difference()}{reason}{besides}")

    def _has_seen_enough(self) -> bool:
        """Return whether enough elements were examined to stop the search."""
        return self._looked_at > max(_LEAST_WORK, _PASSES * self._expected.size)

    def _set_aside(self) -> str:
        """Exclude elements that are not finite, and describe them."""
        if self._found.dtype.kind not in "fc":
            return ""
        not_finite = ~np.isfinite(self._found) & np.isfinite(self._expected)
        count = int(np.count_nonzero(not_finite))
        if not count:
            return ""
        everywhere = np.ones(not_finite.shape, bool) if self._where is None else self._where
        # Masked elements may have any finite value.
        outside = "" if (not_finite & everywhere).any() else ", all of them masked; masked elements need only be finite"
        self._where = everywhere & ~not_finite
        return f"{count} of {not_finite.size} elements {'is' if count == 1 else 'are'} not finite{outside}"

    def _structural(self) -> Explanation:
        """Check whether an output of another shape or dtype has the right values, or a transform of them."""
        expected, found = self._expected, self._found
        if found.dtype != expected.dtype and found.shape == expected.shape:
            told = self._of_values()
            if self._fits(Candidate("")) is not None:
                return Explanation(f"the values are right, but the dtype is {found.dtype} instead of {expected.dtype}")
            if told.transform:
                return Explanation(f"{told.sentence}; and the dtype is {found.dtype} instead of {expected.dtype}")
        elif found.dtype == expected.dtype:
            other = self._in_another_order() if found.size == expected.size else self._with_another_border()
            if other:
                return Explanation(other)
        return Explanation("no known fault has this shape and dtype")

    def _in_another_order(self) -> str:
        expected, found = self._expected, self._found
        if self._agree(expected, found.reshape(expected.shape)):
            return "the values are right and in order; only the shape differs: a missing reshape"
        for axes in islice(permutations(range(expected.ndim)), 1, 1000):
            turned = expected.transpose(axes)
            if expected.size and not self._has_seen_enough() and self._agree(turned, found.reshape(turned.shape)):
                return f"the values are right with the axes in the order {list(axes)}: another layout"
        return ""

    def _with_another_border(self) -> str:
        """Recognise a canvas that is a few pixels wider, or narrower, on every side."""
        axes, other = spatial_axes(self._expected), spatial_axes(self._found)
        if axes is None or axes != other:
            return ""
        more = {self._found.shape[axis] - self._expected.shape[axis] for axis in axes}
        pixels = more.pop()
        if more or pixels % 2 or not pixels:
            return ""
        large, small = (self._found, self._expected) if pixels > 0 else (self._expected, self._found)
        inner: list[Any] = [slice(None)] * large.ndim
        for axis in axes:
            inner[axis] = slice(abs(pixels) // 2, -(abs(pixels) // 2))
        if large[tuple(inner)].shape == small.shape and self._agree(large[tuple(inner)], small):
            much = "many" if pixels > 0 else "few"
            return f"the values are right, with {abs(pixels) // 2} pixel(s) too {much} on every side"
        return ""

    def _agree(self, one: np.ndarray, other: np.ndarray) -> bool:
        at = _pick(one.shape, _SAMPLE)
        if distance_if_alike(one[at], other[at], self._tolerance, self._scale) is None:
            return False
        for _, (a, b) in blocks(one, other):
            self._looked_at += a.size
            if distance_if_alike(a, b, self._tolerance, self._scale) is None:
                return False
        return True

    def _fits(self, candidate: Candidate) -> float | None:
        """Return how far off the candidate is, relative to the scale; None if it does not fit."""
        arranged = candidate.rearrange(self._expected)
        if arranged.shape != self._found.shape:
            return None
        if not np.may_share_memory(arranged, self._expected):
            self._looked_at += arranged.size  # a copy
        at = self._sample
        if distance_if_alike(candidate.change(arranged[at]), self._found[at], self._tolerance, self._scale) is None:
            return None
        worst = 0.0
        for _, (right, found, counts) in blocks(arranged, self._found, self._where):
            self._looked_at += right.size
            picked = slice(None) if counts is None else counts
            distance = distance_if_alike(candidate.change(right[picked]), found[picked], self._tolerance, self._scale)
            if distance is None:
                return None
            worst = max(worst, distance)
        return worst

    @cached_property
    def _sample(self) -> tuple[np.ndarray, ...]:
        """Return indices of some unmasked elements, including the one that differs most."""
        at = _pick(self._expected.shape, _SAMPLE)
        worst = self._comparison.worst
        if worst is not None and worst.index:
            at = tuple(np.append(index, place) for index, place in zip(at, worst.index))
        return at if self._where is None else tuple(index[self._where[at]] for index in at)

    # ------------------------------------------------------------------------------------------------ candidates

    def _candidates(self) -> Iterator[Candidate]:
        kind = self._expected.dtype.kind
        if kind == "b":
            yield Candidate("inverted", change=np.logical_not)
        if kind in "ifc":
            yield Candidate("negated", change=np.negative)
        if kind == "c":
            yield from _POINTWISE_COMPLEX
        if kind in "fc":
            yield from _POINTWISE
        yield from self._pairs()
        yield from self._orientations()
        if kind in "fc":
            yield from self._scaled()
        yield from self._shifted()
        yield from self._permuted()

    def _pairs(self) -> Iterator[Candidate]:
        """Treat an axis of two entries as [x, y]: exchange them, or negate one."""
        for axis, size in enumerate(self._expected.shape):
            if size != 2:
                continue
            name = f"with the two entries of axis {axis} exchanged (x and y?)"
            yield Candidate(name, lambda a, axis=axis: np.flip(a, axis))  # type: ignore[misc]
            if self._expected.dtype.kind not in "ifc":
                continue
            for entry, letter in enumerate("xy"):
                name = f"with entry {entry} of axis {axis} negated ({letter}?)"
                yield Candidate(name, lambda a, axis=axis, entry=entry: _negate_entry(a, axis, entry))  # type: ignore[misc]

    def _orientations(self) -> Iterator[Candidate]:
        axes = spatial_axes(self._expected)
        if axes is None or (self._expected.ndim == 2 and self._expected.dtype.kind in "iu"):  # a table of indices
            for axis, size in enumerate(self._expected.shape):
                if size > 2:
                    yield Candidate(f"reversed along axis {axis}", lambda a, axis=axis: np.flip(a, axis))  # type: ignore[misc]
            return

        def of_images(turn: View) -> View:
            return lambda a: np.moveaxis(turn(np.moveaxis(a, axes, (-2, -1))), (-2, -1), axes)

        for name, turn in _ORIENTATIONS:
            yield Candidate(name, of_images(turn))
            if self._expected.dtype.kind == "c":
                yield Candidate(f"{name} and conjugated", of_images(turn), np.conj)
        sides = [self._expected.shape[axis] for axis in axes]
        half = [side // 2 for side in sides]
        yield Candidate("with the quadrants swapped (fftshift)", lambda a: np.roll(a, half, axes))
        if any(side % 2 for side in sides):
            yield Candidate("with the quadrants swapped (ifftshift)", lambda a: np.roll(a, [-h for h in half], axes))

    def _scaled(self) -> Iterator[Candidate]:
        """Fit a factor (of modulus 1, complex, real) by least squares, and a constant."""
        at = self._sample
        e, f = (a[at].astype(np.complex128) for a in (self._expected, self._found))
        e, f = e[np.isfinite(f)], f[np.isfinite(f)]
        unit = self._scale or 1.0
        power = float(np.sum(np.abs(e / unit) ** 2))
        if not power:
            return
        factor, constant = complex(np.vdot(e / unit, f / unit)) / power, complex(np.mean(f - e))
        if self._expected.dtype.kind == "f":
            factor, constant = factor.real, constant.real  # type: ignore[assignment]
        elif factor and abs(np.angle(factor)) > 1e-6:
            turn = np.exp(1j * np.angle(factor))
            yield Candidate(f"multiplied by a global phase of {np.angle(factor):+.4g} rad", change=lambda a: a * turn)
            yield Candidate(f"multiplied by the complex factor {_number(factor)}", change=lambda a: a * factor)
        named = self._named(factor.real)
        told = f"{factor.real:.6g} ({named})" if named else _factor(factor.real)
        if self._expected.size > 1 or named or _is_round(factor.real):  # a factor always exists between two numbers
            yield Candidate(f"multiplied by {told}", change=lambda a: a * factor.real)
        if self._expected.size > 1:
            yield Candidate(f"with the constant {_number(constant)} added", change=lambda a: a + constant)

    def _named(self, factor: float) -> str:
        """Return the number of the golden that the factor probably comes from."""
        axes = spatial_axes(self._expected)
        sides = set() if axes is None else {self._expected.shape[axis] for axis in axes}
        side = sides.pop() if len(sides) == 1 else None
        return named_factor(factor, self._parameters, self._expected.shape, side)

    def _shifted(self) -> Iterator[Candidate]:
        """Find a shift by whole pixels from the cross-correlation of one image, or of one line."""
        axes: tuple[int, ...] | None = spatial_axes(self._expected)
        if axes is None:
            longest = max(range(self._expected.ndim), key=lambda axis: self._expected.shape[axis])
            if self._expected.shape[longest] < 3:
                return
            axes = (longest,)
        one, other = (_one_of(a, axes) for a in (self._expected, self._found))
        one, other = (np.where(np.isfinite(a), a, 0) / (self._scale or 1.0) for a in (one, other))
        transform = tuple(range(one.ndim))
        spectrum = (
            np.fft.fftn(other - other.mean(), axes=transform) * np.fft.fftn(one - one.mean(), axes=transform).conj()
        )
        peak = np.unravel_index(int(np.abs(np.fft.ifftn(spectrum, axes=transform)).argmax()), one.shape)
        by = [int(p) if p <= n // 2 else int(p) - n for p, n in zip(peak, one.shape)]
        if any(by):
            if len(axes) == 2:
                name = f"shifted by {by[0]:+d} rows and {by[1]:+d} columns"
            else:
                name = f"shifted by {by[0]:+d} along axis {axes[0]}"
            yield Candidate(f"{name}, filled with zeros", lambda a: _shift(a, by, axes))
            yield Candidate(f"{name}, wrapped around", lambda a: np.roll(a, by, axes))
            if all(2 * abs(step) < self._expected.shape[axis] for axis, step in zip(axes, by)):
                fresh = _shift(np.ones(self._expected.shape, bool), by, axes)
                yield Candidate(
                    f"{name}, filled with other content: cut from another place",
                    lambda a: np.where(fresh, np.roll(a, by, axes), self._found),
                )

    def _permuted(self) -> Iterator[Candidate]:
        """Find another order of channels, or of the batch, by comparing each entry with all others."""
        for axis, what in ((self._expected.ndim - 1, "channels"), (0, "entries of axis 0")):
            count = self._expected.shape[axis] if self._expected.ndim > 1 else 0
            if not 1 < count <= 512:
                continue
            e, f = (np.moveaxis(a, axis, 0) for a in (self._expected, self._found))
            at = _pick(e.shape[1:], max(8, min(256, _THINNED // count**2)))
            e, f = (np.stack([entry[at] for entry in a]).astype(np.complex128) for a in (e, f))
            order = np.abs(f[:, None] - e[None]).max(axis=-1).argmin(axis=1)
            if len(set(order.tolist())) == count and (order != np.arange(count)).any():
                shown = ", ".join(map(str, order[:9])) + (", ..." if count > 9 else "")
                is_reversed = count > 2 and (order == np.arange(count)[::-1]).all()
                name = f"reversed along axis {axis}" if is_reversed else f"with the {what} in the order [{shown}]"
                yield Candidate(name, lambda a, order=order, axis=axis: np.take(a, order, axis))  # type: ignore[misc]

    # -------------------------------------------------------------------------------- the shape of the difference

    def _shape_of_difference(self) -> str:
        failing, worst = self._comparison.failing, self._comparison.worst
        if failing == 1 and worst is not None:
            return f"is a single element, at {list(worst.index)}" if worst.index else "is in the only element"
        thin = _thinning(self._expected.shape)
        expected, found = self._expected[thin], self._found[thin]
        counts = np.broadcast_to(np.True_, expected.shape) if self._where is None else self._where[thin]
        difference = np.abs(found.astype(np.complex128) - expected)
        bad = counts & (difference > self._tolerance.atol + self._tolerance.rtol * np.abs(expected))
        if not bad.any():
            return "is in a few elements"
        axes = spatial_axes(expected)
        spot = _of_slices(bad, axes) or (_in_the_image(bad, difference, axes) if axes is not None else "")
        spot = spot or self._scattered()
        if expected.dtype.kind not in "fc":
            return spot
        size = difference[bad] / (self._scale or 1.0)
        return f"{spot}; typically {np.median(size):.1e} of the scale, at most {size.max():.1e}"

    def _precision(self) -> str:
        """Return that all values found are exact in a narrower dtype, and off by its rounding; otherwise nothing."""
        if {self._expected.dtype.kind, self._found.dtype.kind} - {*"fc"}:
            return ""
        thin = _thinning(self._expected.shape)
        expected, found = (np.stack([one.real, one.imag]) for one in (self._expected[thin], self._found[thin]))
        counts = np.isfinite(found) & np.isfinite(expected) & (True if self._where is None else self._where[thin])
        expected, found = expected[counts], found[counts]
        off = float(np.abs(found - expected).max(initial=0.0)) / (self._scale or 1.0)
        for name, (rounding, narrowed) in _NARROWER.items():
            if off > rounding or np.array_equal(narrowed(expected), expected):
                continue
            if np.array_equal(narrowed(found), found):
                return f"all values found are exact in {name}, so something is computed in that precision"
        return ""

    def _scattered(self) -> str:
        failing, compared = self._comparison.failing, self._comparison.compared
        box, shape = self._comparison.box, self._expected.shape
        boxed = tuple(slice(*span) for span in box)
        inside = np.count_nonzero(self._where[boxed]) if self._where is not None else self._expected[boxed].size
        if box and inside < 0.75 * compared:
            within = ", ".join(f"{low}:{high}" for low, high in box)
            likely = _cause_of(box, shape, spatial_axes(self._expected))
            return f"is only in the box [{within}] of {list(shape)}{likely}, in {failing} of its {inside} elements"
        return f"is scattered over {failing} of {compared} elements" if failing < compared else "is in every element"


def _cause_of(box: Sequence[tuple[int, int]], shape: tuple[int, ...], axes: tuple[int, int] | None) -> str:
    """Name likely mistakes from the position of the box; "" if the position is not typical of any."""
    if axes is None or min(shape[axis] for axis in axes) < _LEAST_SIDE:
        return ""
    spans = [(*box[axis], shape[axis]) for axis in axes]
    if all(abs(low - side // 4) <= 1 and abs(high - side // 4 - side // 2) <= 1 for low, high, side in spans):
        return ", its central half (a centre mask, its radius, or where the centre meets the border?)"
    for (low, high, side), (first, last) in zip(spans, (("top", "bottom"), ("left", "right"))):
        thin = high - low <= side // 4
        if thin and (low == 0) != (high == side):
            edge = first if low == 0 else last
            return f", along its {edge} edge (a crop, a shift, or padding on one side only?)"
    return ""


def _negate_entry(array: np.ndarray, axis: int, entry: int) -> np.ndarray:
    signs = np.ones(array.shape[axis], array.real.dtype)
    signs[entry] = -1
    return np.asarray(array * signs.reshape([-1 if a == axis else 1 for a in range(array.ndim)]))


def _one_of(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Take the first image, or line, along these axes, and at most 1024 pixels of it in each direction."""
    at: list[Any] = [slice(_SHIFT_SIDE) if axis in axes else 0 for axis in range(array.ndim)]
    return np.asarray(array[tuple(at)], np.complex128)


def _shift(array: np.ndarray, by: Sequence[int], axes: Sequence[int]) -> np.ndarray:
    """Move content by whole pixels, and fill with zeros."""
    moved = np.roll(array, by, axes)
    for axis, distance in zip(axes, by):
        emptied: list[Any] = [slice(None)] * moved.ndim
        emptied[axis] = slice(0, distance) if distance >= 0 else slice(distance, None)
        moved[tuple(emptied)] = 0
    return moved


def _thinning(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Halve the longest axis, by skipping every other element, until few enough elements are left."""
    steps = [1] * len(shape)
    while np.prod([-(-n // step) for n, step in zip(shape, steps)]) > _THINNED:
        longest = max(range(len(shape)), key=lambda axis: shape[axis] / steps[axis])
        steps[longest] *= 2
    return tuple(slice(None, None, step) for step in steps)


def _of_slices(bad: np.ndarray, axes: tuple[int, int] | None) -> str:
    """Name the entries of an axis that fail, if other entries are completely right."""
    for axis, size in enumerate(bad.shape):
        if (axes is not None and axis in axes) or size < 2:
            continue
        wrong = np.flatnonzero(bad.any(axis=tuple(a for a in range(bad.ndim) if a != axis)))
        if len(wrong) <= 0.75 * size:
            shown = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
            return f"is only in entries [{shown}] of axis {axis}, which has {size}"
    return ""


def _in_the_image(bad: np.ndarray, difference: np.ndarray, axes: tuple[int, int]) -> str:
    others = tuple(a for a in range(bad.ndim) if a not in axes)
    wrong, size = np.asarray(bad.any(axis=others)), np.asarray(difference.max(axis=others))
    height, width = wrong.shape
    if min(height, width) < _LEAST_SIDE:
        return ""
    rows, columns = np.nonzero(wrong)
    to_border = np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns))
    on_every_side = {rows.min(), height - 1 - rows.max(), columns.min(), width - 1 - columns.max()} == {0}
    if on_every_side and to_border.max() < max(1, min(height, width) // 8):
        return f"is only at the border, within {to_border.max() + 1} pixels of it"
    radius: np.ndarray = np.hypot(*np.ogrid[-(height - 1) / 2 : height / 2, -(width - 1) / 2 : width / 2])
    nearest, farthest = radius[wrong].min(), radius[wrong].max()
    if nearest > 2 and wrong[radius >= nearest].mean() > 0.5:
        return f"is only beyond {nearest:.1f} pixels from the centre, as if outside a mask"
    if farthest < radius.max() / 2 and wrong[radius <= farthest].mean() > 0.5:
        return f"is only within {farthest:.1f} pixels of the centre, as if inside a mask"
    rings = np.linspace(0, min(height, width) / 2, 5)
    means = [size[(radius >= low) & (radius < high)].mean() for low, high in pairwise(rings)]
    if all(a < b for a, b in pairwise(means)) and means[-1] > 3 * means[0]:
        return "grows with the distance from the centre"
    inner = size[wrong]
    if wrong.all() and inner.std() < 0.05 * inner.mean():
        return f"is a uniform offset of modulus {inner.mean():.3g}"
    return ""


def _pick(shape: tuple[int, ...], most: int) -> tuple[np.ndarray, ...]:
    """Choose all elements of a small array, else a fixed random selection."""
    size = int(np.prod(shape))
    flat = np.arange(size) if size <= most else np.random.default_rng(0).integers(0, size, most)
    return tuple(np.unravel_index(flat, shape))


def _number(value: complex) -> str:
    if isinstance(value, complex):
        return f"{value.real:.6g}{value.imag:+.6g}j"
    return f"{value:.6g}"


def _is_round(factor: float) -> bool:
    """Return whether a factor is a whole number, or 1 divided by one."""
    return any(0 < abs(one) < 1e6 and abs(one - round(one)) < 1e-5 for one in (factor, 1 / factor if factor else 0.0))


def _factor(value: float) -> str:
    """Format a factor: near 1 as ``1 + x``; below 1 also as ``1 / n`` if n is whole."""
    if abs(value - 1) < 1e-4:
        return f"1 {'+' if value >= 1 else '-'} {abs(value - 1):.2g}"
    inverse = 1 / value if value else 0.0
    if abs(value) < 1 and math.isfinite(inverse) and abs(inverse - round(inverse)) < 1e-4 * abs(inverse):
        return f"{value:.6g} (1 / {inverse:.6g})"
    return f"{value:.6g}"
