"""Check the values of a scan: refuse wrong ones, warn of implausible ones, and find the bad pixels.

A wrong unit or a gap in the detector costs an hour of training before anyone notices. So it is reported on loading,
with its location. These reports are warnings, because such data may be intended.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Real
from scipy.spatial import cKDTree

_LARGEST = float(np.finfo(np.float32).max)
_FULL_SCALES = frozenset(float(np.float32(np.iinfo(kind).max)) for kind in ("int16", "uint16", "int32", "uint32"))
"""Largest values of integer dtypes, as float32. Detectors store these in gaps and saturated pixels."""
_ROOTS = frozenset(float(np.float32(math.sqrt(np.iinfo(kind).max))) for kind in ("int16", "uint16", "int32", "uint32"))
"""Their square roots, which a file holds if the square root of all counts was taken."""
_OFF_CENTRE = 1 / 8
"""Largest plausible distance of the light's centre from N // 2, as a fraction of N. Dark fields and gaps move it."""
_CONCENTRATED = 0.3
"""Light is concentrated if its first Fourier coefficient exceeds this fraction of the total; uniform light has 0."""
_LEAST_STEP = 0.25
"""Positions that are closer together than this, pixels, have another unit."""
_LEAST_SIDE = 64
"""Side of the smallest patch that the network takes, pixels. Smaller ones occur in tests only."""


class ZeroOrOne:
    """Check that all values are true or false, or 1 or 0.

    Args:
        name: name of the array, for the message.
    """

    def __init__(self, name: object) -> None:
        self._name = name
        self._found: Any = None

    def take(self, first: int, block: np.ndarray) -> None:
        """Check some items (k, ...)."""
        numbers = block.view(np.uint8) if block.dtype == np.bool_ else block  # a forged bool may be neither 0 nor 1
        if self._found is None and (other := (numbers != 0) & (numbers != 1)).any():
            self._found = numbers[other][0]

    def judge(self) -> None:
        """Raise ``ValueError`` if another number was found."""
        if self._found is not None:
            raise ValueError(f"{self._name}: expected true (bad) or false, or 1 or 0, found {self._found}")


class Patterns:
    """Check the M patterns of a scan, N x N, as they are stored.

    Args:
        name: name of the array, for messages.
        dtype: dtype of the array in the file.
        bad_pixels: (N, N) or (M, N, N) bool, true for pixels that were not measured and whose values do not matter; or
            None.
        invalid_is_bad: also treat pixels as bad if they are NaN, infinite or negative, or have the largest value of
            their integer dtype.
        measurement: whether the patterns are counts or amplitudes. None if unknown: they are taken as amplitudes, with
            a remark if they look like counts.
    """

    def __init__(
        self,
        name: object,
        dtype: np.dtype,
        bad_pixels: Bool[np.ndarray, "*M N N"] | None,
        *,
        invalid_is_bad: bool,
        measurement: Literal["counts", "amplitude"] | None = None,
    ) -> None:
        self._name = name
        self._measurement = measurement
        self._given = bad_pixels
        self._marks = invalid_is_bad
        self._whole_dtype = dtype.kind in "iu"
        self._ceiling = float(np.iinfo(dtype).max) if dtype.kind in "iu" else math.inf
        self._marked: list[tuple[int, np.ndarray]] = []
        self._shape: tuple[int, ...] = ()
        self._wrong: tuple[list[int], Any] | None = None
        self._light: Any = 0.0
        self._dark: list[int] = []
        self._whole = True
        self._largest = 0.0
        self._at_largest: list[int] = []
        self._times = 0

    def take(self, first: int, block: Real[np.ndarray, "k N N"]) -> None:
        """Check some patterns (k, N, N)."""
        with np.errstate(all="ignore"):
            valid = (block >= 0) & (block <= _LARGEST)
        self._shape = first + len(block), *block.shape[1:]
        bad = self._bad_among(first, len(block))
        if self._marks:
            marked = ~valid | (block == self._ceiling) if self._whole_dtype else ~valid
            bad = marked if bad is None else marked | bad
            self._marked.append((bad.size, np.packbits(bad)))
        elif self._wrong is None:
            wrong = ~valid if bad is None else ~valid & ~bad
            if wrong.any():
                place = np.unravel_index(int(np.argmax(wrong)), block.shape)
                self._wrong = [first + int(place[0]), *map(int, place[1:])], block[place]
        if self._wrong is None:
            self._take_statistics(first, block if bad is None else np.where(bad, block.dtype.type(0), block))

    def judge(self) -> None:
        """Refuse wrong values.

        Raises:
            ValueError: a pixel that is not marked as bad is negative or not finite.
        """
        if self._wrong is not None:
            place, value = self._wrong
            if 0 <= value < math.inf:
                raise ValueError(f"{self._name}: expected numbers that float32 can hold, found larger ones")
            raise ValueError(f"{self._name}: expected finite numbers, at least 0, found {value} at {place}")

    def bad_pixels(self) -> Bool[np.ndarray, "*M N N"] | None:
        """Return all bad pixels.

        Returns:
            (N, N) bool if they are the same in all patterns, else (M, N, N); None if there are none.

        Raises:
            ValueError: all pixels are bad.
        """
        bad = self._given
        if self._marks:
            bad, first = np.empty(self._shape, bool), 0
            for size, packed in self._marked:
                bad.reshape(-1)[first : first + size] = np.unpackbits(packed, count=size)
                first += size
        if bad is None or not bad.any():
            return None
        if bad.all():
            raise ValueError(f"{self._name}: expected some good pixels, found only bad ones")
        same = bad.ndim == 3 and all(np.array_equal(one, bad[0]) for one in bad)
        return np.ascontiguousarray(bad[0]) if same else bad

    def remarks(self) -> list[str]:
        """Return a sentence for each implausible finding."""
        found = (self._counts(), self._full_scale(), self._darkness(), self._off_centre())
        return [f"{self._name}: {one}" for one in found if one]

    # -------------------------------------------------------------------------------------------- statistics

    def _bad_among(self, first: int, count: int) -> np.ndarray | None:
        if self._given is None:
            return None
        return self._given[None] if self._given.ndim == 2 else self._given[first : first + count]

    def _take_statistics(self, first: int, good: np.ndarray) -> None:
        """Update the statistics with patterns whose bad pixels are 0."""
        if self._measurement == "counts":
            self._light = self._light + good.sum(axis=0, dtype=np.float64)
        else:
            self._light = self._light + np.einsum("kij,kij->ij", good, good, dtype=np.float64, casting="unsafe")
        lit = good.any(axis=(1, 2))
        self._dark += (first + np.flatnonzero(~lit)).tolist()
        self._whole = self._whole and (self._whole_dtype or bool((good == np.rint(good)).all()))
        largest = float(good.max())
        if largest > self._largest:
            place = np.unravel_index(int(np.argmax(good)), good.shape)
            self._largest, self._times = largest, 0
            self._at_largest = [first + int(place[0]), *map(int, place[1:])]
        if largest == self._largest:
            self._times += int(np.count_nonzero(good == good.max()))

    # -------------------------------------------------------------------------------------------- what is implausible

    def _counts(self) -> str:
        # All amplitudes are whole numbers only if every count is 0, 1, 4, 9, …, which is unlikely.
        if self._measurement or not (self._whole_dtype or (self._whole and self._largest >= 2)):
            return ""
        return (
            f"expected amplitudes, found whole numbers up to {self._largest:g}; if they are counts, store their "
            f"square root, or pass --measurement counts"
        )

    def _full_scale(self) -> str:
        largest = float(np.float32(self._largest))
        is_root = not self._whole_dtype and largest in _ROOTS
        if not (is_root or self._largest == self._ceiling or (not self._whole_dtype and largest in _FULL_SCALES)):
            return ""
        also = ", or treat all such pixels as bad (--bad-pixels)" if self._whole_dtype else ""
        of_what = "the square root of the largest value" if is_root else "the largest value"
        number = f"{self._largest:.7g}" if is_root else f"{self._largest:.0f}"
        return (
            f"expected measured values, found {self._times} at {of_what} of an integer dtype, {number}, the first at "
            f"{self._at_largest}: gaps, or saturated pixels? Mark them in the key 'bad_pixels'{also}"
        )

    def _darkness(self) -> str:
        if not self._dark:
            return ""
        some = ", ".join(map(str, self._dark[:8])) + (", …" if len(self._dark) > 8 else "")
        return f"expected some light in every pattern, found only zeros in {len(self._dark)} of them: {some}"

    def _off_centre(self) -> str:
        """Find the centre of all light with a circular mean along each axis, because the far field is periodic."""
        N = self._shape[-1]
        total = float(np.sum(self._light))
        if not 0 < total < math.inf or self._full_scale():  # the values in gaps would dominate
            return ""
        waves = np.exp(2j * np.pi * np.arange(N) / N)
        along = [complex(self._light.sum(axis=1 - axis) @ waves) / total for axis in (0, 1)]
        middle = [round(float(np.angle(one)) * N / (2 * np.pi)) % N for one in along]
        away = max(abs(place - N // 2) for place in middle)
        if min(map(abs, along)) < _CONCENTRATED or away <= max(1, N * _OFF_CENTRE):
            return ""
        in_corner = max(min(place, N - place) for place in middle) <= 1
        advice = ". Use numpy.fft.fftshift(patterns, axes=(1, 2))" if in_corner else ""
        return f"expected the zero frequency at {[N // 2, N // 2]}, found the light around {middle}{advice}"


def remarks_on_positions(name: object, positions: Float[np.ndarray, "M 2"], N: int) -> list[str]:
    """Return a sentence if positions are probably not in object pixels.

    Args:
        name: name of the file, for the message.
        positions: (M, 2), [x, y], finite.
        N: patch side, pixels.
    """
    found = _positions_finding(positions, N)
    return [f"{name}: 'xcoords', 'ycoords': expected object pixels, found {found}"] if found else []


def _positions_finding(positions: np.ndarray, N: int) -> str:
    M = len(positions)
    if M == 1:
        return ""
    span = np.ptp(positions, axis=0)
    if not span.any():
        return f"all {M} positions at the same place; a reconstruction needs a stage that moves"
    spanned = f"{M} positions that span only {span[0]:.3g} x {span[1]:.3g}"
    if span.max() / math.sqrt(M) < _LEAST_STEP:
        return f"{spanned}. Are they metres or micrometres? Divide them by the size of an object pixel"
    step = float(np.median(cKDTree(positions).query(positions, k=2)[0][:, 1]))
    if step > max(N, _LEAST_SIDE):
        return (
            f"neighbours {step:.4g} apart, more than a patch of {N}: nothing overlaps. Are they nanometres? Divide "
            f"them by the size of an object pixel"
        )
    return ""
