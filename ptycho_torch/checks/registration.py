"""Where in a known object a mosaic lies, and in which of the eight orientations.

Both are complex and may be masked; a global phase and a global scale change nothing. NumPy and SciPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import fft, ndimage, optimize

ORIENTATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "upright": lambda a: a,
        "flipped up-down": lambda a: a[..., ::-1, :],
        "flipped left-right": lambda a: a[..., :, ::-1],
        "turned by 180 degrees": lambda a: a[..., ::-1, ::-1],
        "transposed": lambda a: a.swapaxes(-1, -2),
        "transposed, flipped up-down": lambda a: a.swapaxes(-1, -2)[..., ::-1, :],
        "transposed, flipped left-right": lambda a: a.swapaxes(-1, -2)[..., :, ::-1],
        "transposed, turned": lambda a: a.swapaxes(-1, -2)[..., ::-1, ::-1],
    }
)
"""Name -> what happened to the last two axes of an image that looks like this."""
UNDONE_BY: Mapping[str, str] = MappingProxyType(
    {
        **{name: name for name in ORIENTATIONS},
        "transposed, flipped up-down": "transposed, flipped left-right",
        "transposed, flipped left-right": "transposed, flipped up-down",
    }
)
"""Orientation -> the one that makes it upright again. These two are quarter turns."""
LEAST_OVERLAP = 0.6
"""Part of the mosaic, or of a smaller object, that must meet the other; less makes a good match by chance."""

LEAST_GAIN = 0.05
"""Of the correlation, by which a negated phase must fit better to be believed: an object that is nearly real fits
both ways."""


@dataclass(frozen=True)
class Registration:
    """How a mosaic fits a known object best.

    Attributes:
        orientation: a name of ``ORIENTATIONS``.
        conjugated: the phase has the wrong sign.
        shift: [x, y], pixels: how much further right and down it fits than where it is expected; upright only, else
            relative to the same place.
        correlation: modulus of the complex correlation coefficient there, to a fraction of a pixel, 0..1.
        in_place: the same upright and where it is expected.
        scores: orientation -> the same at its best whole-pixel place.
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
    """Find the orientation and the place, to a fraction of a pixel, in which a mosaic fits a known object.

    In each of the eight orientations, with the phase as it is and negated, the correlation coefficient is computed for
    every whole-pixel place at which at least ``LEAST_OVERLAP`` of one of them meet the other (Padfield's masked
    correlation, IEEE Trans. Image Process. 21, 2706 (2012), of complex images). The best is refined by interpolating
    the object, cubic.

    Args:
        known: (H, W), the object; not flat.
        mosaic: (S, S).
        mask: (S, S), where the mosaic means anything.
        expected: [x, y]: the object's place under the mosaic's pixel [0, 0], pixels.

    Raises:
        ValueError: the mask is empty, or one of both is flat.
    """
    if not mask.any():
        raise ValueError("mosaic: expected some of it to be covered, found nothing")
    correlate = _correlator(known)
    best: dict[str, tuple[float, tuple[int, int], bool]] = {}
    for name in ORIENTATIONS:
        undo = ORIENTATIONS[UNDONE_BY[name]]
        as_it_is, negated = (_peak(scores, mosaic.shape) for scores in correlate(undo(mosaic), undo(mask)))
        best[name] = (*negated, True) if negated[0] > as_it_is[0] + LEAST_GAIN else (*as_it_is, False)
    orientation = max(best, key=lambda name: best[name][0])
    _, (row, column), conjugated = best[orientation]
    undo = ORIENTATIONS[UNDONE_BY[orientation]]
    values = undo(mosaic)
    fine = _refine(known, values.conj() if conjugated else values, undo(mask), (row, column))
    x, y = (float(place) for place in expected)
    placed, covered = placed_at(known, (y, x), mosaic.shape)
    return Registration(
        orientation=orientation,
        conjugated=conjugated,
        shift=(fine[1] - x, fine[0] - y),
        correlation=fine[2],
        in_place=correlation(placed, mosaic, mask & covered),
        scores={name: score for name, (score, _, _) in best.items()},
    )


def correlation(
    one: Complex[np.ndarray, "H W"], other: Complex[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"]
) -> float:
    """Modulus of the complex correlation coefficient of two images where the mask is true; 0 where one is flat."""
    a, b = one[mask], other[mask]
    if not len(a):
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(abs(np.vdot(a, b)) / norm) if norm > 1e-6 * float(np.abs(one).max() * np.abs(other).max()) else 0.0


def placed_at(
    known: Complex[np.ndarray, "H W"], place: tuple[float, float], shape: tuple[int, ...]
) -> tuple[Complex[np.ndarray, "S S"], Bool[np.ndarray, "S S"]]:
    """A window on an object, interpolated (cubic splines of real and imaginary part).

    Args:
        known: (H, W).
        place: [row, column] in the object under the window's pixel [0, 0]; any fractions.
        shape: of the window.

    Returns:
        The window, and where it lies within the object.
    """
    return _window(_splines(known), place, shape)


# ------------------------------------------------------------------------------------------------ parts


def _correlator(known: np.ndarray) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """What correlates a known image (H, W) with others.

    It takes an image (h, w) and its mask, and gives the modulus of the correlation coefficient for every whole-pixel
    place of it on the known one, as it is and complex conjugated: (H + h - 1, W + w - 1) each, at [i, j] that for the
    image's pixel [0, 0] at the known image's [i - h + 1, j - w + 1]; 0 where too little of them meets.
    """
    everywhere = np.ones(known.shape, bool)
    a = _centred(known, everywhere)

    def correlate(moving: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        full = tuple(one + other - 1 for one, other in zip(known.shape, moving.shape))
        size = tuple(fft.next_fast_len(side) for side in full)
        b = _centred(moving, mask)[::-1, ::-1]

        def transform(image: np.ndarray) -> np.ndarray:
            return np.asarray(fft.fft2(image.astype(np.complex64), size))

        def back(product: np.ndarray) -> np.ndarray:
            return np.asarray(fft.ifft2(product)[: full[0], : full[1]])

        A, A2, MA = transform(a), transform(np.abs(a) ** 2), transform(everywhere)
        B, B_negated, B2, MB = transform(b.conj()), transform(b), transform(np.abs(b) ** 2), transform(mask[::-1, ::-1])
        overlap = np.rint(back(MA * MB).real)
        pixels = np.maximum(overlap, 1)
        sum_a, sum_b = back(A * MB), back(MA * B)
        spread_a = back(A2 * MB).real - np.abs(sum_a) ** 2 / pixels
        spread_b = back(MA * B2).real - np.abs(sum_b) ** 2 / pixels
        norm = np.sqrt(np.maximum(spread_a, 0) * np.maximum(spread_b, 0))
        # Of flat images only rounding is left.
        least = 1e-4 * float(np.linalg.norm(a) * np.linalg.norm(b))
        usable = (overlap >= max(LEAST_OVERLAP * min(mask.sum(), known.size), 2)) & (norm > max(least, 1e-30))
        covariances = back(A * B) - sum_a * sum_b / pixels, back(A * B_negated) - sum_a * sum_b.conj() / pixels
        as_it_is, negated = (np.where(usable, np.abs(one) / np.where(usable, norm, 1), 0.0) for one in covariances)
        return as_it_is, negated

    return correlate


def _centred(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Zero mean within the mask, zeros outside of it, modulus at most 1: sums in single precision are good enough."""
    centred: np.ndarray = np.where(mask, image - image[mask].mean(), 0)
    return centred / max(float(np.abs(centred).max()), 1e-30)


def _peak(scores: np.ndarray, shape: tuple[int, ...]) -> tuple[float, tuple[int, int]]:
    row, column = np.unravel_index(np.argmax(scores), scores.shape)
    return float(scores[row, column]), (int(row) - shape[0] + 1, int(column) - shape[1] + 1)


def _refine(
    known: np.ndarray, moving: np.ndarray, mask: np.ndarray, start: tuple[int, int]
) -> tuple[float, float, float]:
    """Row, column and correlation of the best place within a pixel of ``start``."""
    splines = _splines(known)

    def badness(move: np.ndarray) -> float:
        window, covered = _window(splines, (start[0] + move[0], start[1] + move[1]), moving.shape)
        return -correlation(window, moving, mask & covered) + float(np.maximum(np.abs(move) - 1, 0).sum())

    simplex = np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]])
    found = optimize.minimize(
        badness, np.zeros(2), method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 2e-3, "fatol": 1e-7}
    )
    row, column = (float(place + move) for place, move in zip(start, found.x))
    return row, column, -float(found.fun)


def _splines(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    real, imaginary = (
        ndimage.spline_filter(part.astype(np.float64), mode="mirror") for part in (known.real, known.imag)
    )
    return np.asarray(real), np.asarray(imaginary)


def _window(
    splines: tuple[np.ndarray, np.ndarray], place: tuple[float, float], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    axes = [start + np.arange(side) for start, side in zip(place, shape)]
    inside = [(at >= 0) & (at <= side - 1) for at, side in zip(axes, splines[0].shape)]
    covered = inside[0][:, None] & inside[1]
    rows, columns = (slice(*_ends(one)) for one in inside)
    window = np.zeros(shape, np.complex128)
    points = np.meshgrid(axes[0][rows], axes[1][columns], indexing="ij")
    if points[0].size:
        real, imaginary = (ndimage.map_coordinates(one, points, prefilter=False, mode="mirror") for one in splines)
        window[rows, columns] = real + 1j * imaginary
    return window, covered


def _ends(inside: np.ndarray) -> tuple[int, int]:
    places = np.flatnonzero(inside)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
