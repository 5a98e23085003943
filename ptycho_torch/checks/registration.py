"""Find where in a known object a mosaic lies, and in which of the eight orientations.

Both images are complex, and the mosaic is masked. A global phase or scale has no effect. (scikit-image's masked
registration supports only real images and whole pixels.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import fft, ndimage, optimize

ORIENTATIONS: Mapping[str, tuple[bool, int, int]] = MappingProxyType(
    {
        "upright": (False, 1, 1),
        "flipped up-down": (False, -1, 1),
        "flipped left-right": (False, 1, -1),
        "turned by 180 degrees": (False, -1, -1),
        "transposed": (True, 1, 1),
        "transposed, flipped up-down": (True, -1, 1),
        "transposed, flipped left-right": (True, 1, -1),
        "transposed, turned": (True, -1, -1),
    }
)
"""Orientation of an image -> whether it was transposed, then the steps through its rows and columns."""
LEAST_OVERLAP = 0.6
"""Smallest overlap, as a fraction of the smaller image; a smaller overlap may match well by chance."""
LEAST_GAIN = 0.05
"""Smallest gain in correlation by which a phase counts as negated, because a nearly real object fits both ways."""


@dataclass(frozen=True)
class Registration:
    """The best fit of a mosaic to a known object.

    Attributes:
        orientation: orientation of the mosaic, a key of ``ORIENTATIONS``.
        conjugated: whether its phase has the wrong sign.
        shift: [x, y], pixels: offset of the best place from the expected one, for the mosaic turned back; right and
            down are positive.
        correlation: modulus of the complex correlation coefficient at the best subpixel place, 0..1.
        in_place: the same for the unchanged mosaic at the expected place.
        scores: orientation -> the same at the best whole-pixel place.
    """

    orientation: str
    conjugated: bool
    shift: tuple[float, float]
    correlation: float
    in_place: float
    scores: Mapping[str, float]


def register(
    known: Complex[np.ndarray, "H W"],
    mosaic: Complex[np.ndarray, "S S"],
    mask: Bool[np.ndarray, "S S"],
    expected: Float[np.ndarray, " 2"],
) -> Registration:
    """Find the orientation and the subpixel place in which a mosaic best fits a known object.

    The correlation coefficient is computed in each of the eight orientations, with the original and the negated phase,
    for every whole-pixel place with an overlap of at least ``LEAST_OVERLAP`` (Padfield's masked correlation, IEEE
    Trans. Image Process. 21, 2706 (2012), of complex images). The best place is refined with cubic splines of the
    object.

    Args:
        known: (H, W) complex, the object; not flat.
        mosaic: (S, S) complex.
        mask: (S, S) bool, true where the mosaic is meaningful.
        expected: (2,), [x, y]: expected place in the object of the mosaic's pixel [0, 0], pixels.

    Raises:
        ValueError: the mosaic is not square, or the mask is empty.
    """
    if len(set(mosaic.shape)) != 1:
        raise ValueError(f"mosaic: expected a square, found shape {mosaic.shape}")
    if not mask.any():
        raise ValueError("mosaic: expected covered pixels, found none")
    correlate = _correlator(known, mosaic.shape[0])
    best: dict[str, tuple[float, tuple[int, int], bool]] = {}
    for name in ORIENTATIONS:
        both = correlate(turned_back(mosaic, name), turned_back(mask, name))
        as_it_is, negated = (_peak(scores, mosaic.shape) for scores in both)
        best[name] = (*negated, True) if negated[0] > as_it_is[0] + LEAST_GAIN else (*as_it_is, False)
    orientation = max(best, key=lambda name: best[name][0])
    _, (row, column), conjugated = best[orientation]
    values = turned_back(mosaic, orientation)
    fine = _refine(known, values.conj() if conjugated else values, turned_back(mask, orientation), (row, column))
    x, y = (float(place) for place in expected)
    placed, covered = window_at(known, (y, x), mosaic.shape)
    return Registration(
        orientation=orientation,
        conjugated=conjugated,
        shift=(fine[1] - x, fine[0] - y),
        correlation=fine[2],
        in_place=correlation(placed, mosaic, mask & covered),
        scores={name: score for name, (score, _, _) in best.items()},
    )


def turned(images: np.ndarray, orientation: str) -> np.ndarray:
    """Return a view of images (..., H, W) in the given orientation, a key of ``ORIENTATIONS``."""
    transposed, rows, columns = ORIENTATIONS[orientation]
    return (images.swapaxes(-1, -2) if transposed else images)[..., ::rows, ::columns]


def turned_back(images: np.ndarray, orientation: str) -> np.ndarray:
    """Undo ``turned``."""
    transposed, rows, columns = ORIENTATIONS[orientation]
    flipped = images[..., ::rows, ::columns]
    return flipped.swapaxes(-1, -2) if transposed else flipped


def correlation(
    one: Complex[np.ndarray, "H W"], other: Complex[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"]
) -> float:
    """Return the modulus of the complex correlation coefficient of two images where the mask is true, 0..1.

    It is 0 if one of them is flat there, or if the mask is empty.
    """
    a, b = one[mask], other[mask]
    if not len(a):
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(abs(np.vdot(a, b)) / norm) if norm > 1e-6 * float(np.abs(one).max() * np.abs(other).max()) else 0.0


def window_at(
    known: Complex[np.ndarray, "H W"], place: tuple[float, float], shape: tuple[int, ...]
) -> tuple[Complex[np.ndarray, "S S"], Bool[np.ndarray, "S S"]]:
    """Cut a window out of an object, interpolated with cubic splines of real and imaginary part.

    Args:
        known: (H, W) complex.
        place: [row, column] in the object under the window's pixel [0, 0]; any fractions.
        shape: shape of the window, (rows, columns).

    Returns:
        The window, complex128, zero outside the object; and a bool mask, true inside the object.
    """
    return _window(_spline(known), place, shape)


# ------------------------------------------------------------------------------------------------ parts


def _correlator(known: np.ndarray, side: int) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a function that correlates an image (S, S), S = ``side``, and its mask with a known image (H, W).

    The function returns the modulus of the correlation coefficient for every whole-pixel place of the image on the
    known one, and the same for its complex conjugate: (H + S - 1, W + S - 1) each. Entry [i, j] is for the image's
    pixel [0, 0] at the known image's [i - S + 1, j - S + 1]; it is 0 if the overlap is too small.
    """
    full = tuple(one + side - 1 for one in known.shape)
    size = tuple(fft.next_fast_len(length) for length in full)

    def transform(image: np.ndarray) -> np.ndarray:
        return np.asarray(fft.fft2(image.astype(np.complex64), size))

    def back(product: np.ndarray) -> np.ndarray:
        return np.asarray(fft.ifft2(product)[: full[0], : full[1]])

    everywhere = np.ones(known.shape, bool)
    a = _centred(known, everywhere)
    A, A2, MA = transform(a), transform(np.abs(a) ** 2), transform(everywhere)

    def correlate(moving: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        b = _centred(moving, mask)[::-1, ::-1]
        B, B_negated, B2, MB = transform(b.conj()), transform(b), transform(np.abs(b) ** 2), transform(mask[::-1, ::-1])
        overlap = np.rint(back(MA * MB).real)
        pixels = np.maximum(overlap, 1)
        sum_a, sum_b = back(A * MB), back(MA * B)
        spread_a = back(A2 * MB).real - np.abs(sum_a) ** 2 / pixels
        spread_b = back(MA * B2).real - np.abs(sum_b) ** 2 / pixels
        norm = np.sqrt(np.maximum(spread_a, 0) * np.maximum(spread_b, 0))
        # A flat image leaves only rounding errors.
        least = 1e-4 * float(np.linalg.norm(a) * np.linalg.norm(b))
        usable = (overlap >= max(LEAST_OVERLAP * min(mask.sum(), known.size), 2)) & (norm > max(least, 1e-30))
        covariances = back(A * B) - sum_a * sum_b / pixels, back(A * B_negated) - sum_a * sum_b.conj() / pixels
        as_it_is, negated = (np.where(usable, np.abs(one) / np.where(usable, norm, 1), 0.0) for one in covariances)
        return as_it_is, negated

    return correlate


def _centred(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Subtract the mean within the mask, set the rest to 0, and scale to modulus 1 for single precision."""
    centred: np.ndarray = np.where(mask, image - image[mask].mean(), 0)
    return centred / max(float(np.abs(centred).max()), 1e-30)


def _peak(scores: np.ndarray, shape: tuple[int, ...]) -> tuple[float, tuple[int, int]]:
    row, column = np.unravel_index(np.argmax(scores), scores.shape)
    return float(scores[row, column]), (int(row) - shape[0] + 1, int(column) - shape[1] + 1)


def _refine(
    known: np.ndarray, moving: np.ndarray, mask: np.ndarray, start: tuple[int, int]
) -> tuple[float, float, float]:
    """Return row, column and correlation of the best place within a pixel of ``start``."""
    spline = _spline(known)

    def badness(move: np.ndarray) -> float:
        window, covered = _window(spline, (start[0] + move[0], start[1] + move[1]), moving.shape)
        return -correlation(window, moving, mask & covered) + float(np.maximum(np.abs(move) - 1, 0).sum())

    simplex = np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]])
    found = optimize.minimize(
        badness, np.zeros(2), method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 2e-3, "fatol": 1e-7}
    )
    row, column = (float(place + move) for place, move in zip(start, found.x))
    return row, column, -float(found.fun)


def _spline(known: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.spline_filter(known.astype(np.complex128), output=np.complex128, mode="mirror"))


def _window(spline: np.ndarray, place: tuple[float, float], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate along rows, then along columns.

    All pixels of a window lie at the same fraction between two others, so this needs only four weights per axis.
    ``ndimage.affine_transform`` gives the same, but takes five times as long.
    """
    first = [math.floor(start) - 1 for start in place]
    reach = (np.arange(start, start + side + 3) for start, side in zip(first, shape))
    taken = spline[np.ix_(*map(_mirrored, reach, spline.shape))]
    rows, columns = (_weights(start - before - 1) for start, before in zip(place, first))
    between = sum(weight * taken[k : k + shape[0]] for k, weight in enumerate(rows))
    window = sum(weight * between[:, k : k + shape[1]] for k, weight in enumerate(columns))
    axes = (start + np.arange(side) for start, side in zip(place, shape))
    down, right = ((at >= 0) & (at <= side - 1) for at, side in zip(axes, spline.shape))
    covered = down[:, None] & right
    return np.where(covered, window, 0), covered


def _weights(t: float) -> tuple[float, float, float, float]:
    """Return the weights of four neighbouring pixels in a cubic B-spline, for a point between the middle two, 0..1."""
    return (1 - t) ** 3 / 6, (4 - 6 * t**2 + 3 * t**3) / 6, (1 + 3 * t + 3 * t**2 - 3 * t**3) / 6, t**3 / 6


def _mirrored(indices: np.ndarray, length: int) -> np.ndarray:
    """Mirror indices beyond an array at its first and last element."""
    within = indices % max(2 * length - 2, 1)
    return np.asarray(np.minimum(within, 2 * length - 2 - within))
