"""Measure a mosaic: its covered area, its coarse appearance, its orientation.

The same functions measure the mosaics of reference and port. Images are (row, column); only NumPy is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

COVERED = 0.99
"""Number of patches from which a pixel counts as covered; below is the edge of a moved patch."""
BLOCK, BAND = 4, 16
"""Pixels that ``block_means`` averages along each axis, and ``band_means`` along one."""
PATCH = 21
"""Side of the square in which a single patch is judged, pixels; odd, so that it has a centre."""
QUANTILES = np.arange(1, 20) / 20

View = Callable[[np.ndarray], np.ndarray]

TURNS: Mapping[str, View] = MappingProxyType(
    {
        "upright": lambda a: a,
        "flipped_up_down": lambda a: a[..., ::-1, :],
        "flipped_left_right": lambda a: a[..., ::-1],
        "turned_by_180": lambda a: a[..., ::-1, ::-1],
        "transposed": lambda a: a.swapaxes(-1, -2),
        "transposed_flipped_up_down": lambda a: a.swapaxes(-1, -2)[..., ::-1, :],
        "transposed_flipped_left_right": lambda a: a.swapaxes(-1, -2)[..., ::-1],
        "transposed_turned_by_180": lambda a: a.swapaxes(-1, -2)[..., ::-1, ::-1],
    }
)
"""Functions that turn upright images (..., S, S) into each of the eight orientations."""


def covered_box(count: np.ndarray) -> np.ndarray:
    """Return width and height of the covered area's bounding box, (2,) int64, pixels; zeros if nothing is covered.

    Args:
        count: (S, S), number of patches that cover each pixel.
    """
    axes = [np.flatnonzero((count > COVERED).any(axis=axis)) for axis in (0, 1)]
    return np.array([np.ptp(at) + 1 if at.size else 0 for at in axes], np.int64)


def block_means(mosaic: np.ndarray) -> np.ndarray:
    """Average the modulus of a mosaic (S, S, 1) over blocks of 4 x 4 pixels, (S // 4, S // 4) float32."""
    blocks = len(mosaic) // BLOCK
    modulus = np.abs(mosaic[: blocks * BLOCK, : blocks * BLOCK]).astype(np.float64)
    return np.asarray(modulus.reshape(blocks, BLOCK, blocks, BLOCK).mean(axis=(1, 3)), np.float32)


def band_means(mosaic: np.ndarray) -> np.ndarray:
    """Average the modulus of a mosaic (S, S, 1) over bands of 16 rows, and of 16 columns: (2, S // 16) float32.

    Pixels that are 0 do not count; a band of zeros has mean 0. The mosaics of two right trainings differ in their fine
    texture, which these means do not show.
    """
    n = len(mosaic) // BAND
    modulus = np.abs(mosaic[: n * BAND, : n * BAND, 0]).astype(np.float64)
    sums = [part.reshape(n, BAND, n * BAND).sum(axis=(1, 2)) for part in (modulus, modulus.T)]
    counts = [part.reshape(n, BAND, n * BAND).sum(axis=(1, 2)) for part in (modulus != 0, modulus.T != 0)]
    return np.divide(sums, counts, out=np.zeros((2, n)), where=np.array(counts) > 0).astype(np.float32)


def modulus_quantiles(patches: np.ndarray) -> np.ndarray:
    """Return quantiles 0.05, 0.10, ... of the central 20 x 20 moduli of patches (n, N, N, 1), (19,) float32."""
    first = patches.shape[1] // 2 - 10
    centre = np.abs(patches[:, first : first + 20, first : first + 20])
    return np.asarray(np.quantile(centre.astype(np.float64), QUANTILES), np.float32)


def orientation(mosaic: np.ndarray, mask: np.ndarray, known: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Correlate the modulus of a mosaic with that of a known object at its place, for each turn; (8,) float32.

    Args:
        mosaic: (S, S) complex.
        mask: (S, S) bool, true where it is covered.
        known: (H, W) complex.
        centre: (2,), [x, y] of the mosaic's index S // 2 in the object, pixels; rounded to whole pixels.

    Returns:
        Correlation coefficients, in the order of ``TURNS``: entry k is large if the mosaic is turned by turn k. 0 if
        one of the two is flat.
    """
    expected, inside = window(np.abs(known), centre, len(mosaic))
    modulus = np.abs(mosaic).astype(np.float64)
    return np.array(
        [_correlation(turn(expected), modulus, mask & turn(inside)) for turn in TURNS.values()],
        np.float32,
    )


def patch_orientation(patches: np.ndarray, positions: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Correlate single patches, before stitching, with a known object's amplitude, for each turn; (8,) float32.

    Args:
        patches: (n, N, N, 1) complex.
        positions: (n, 2), [x, y] of a patch's index N // 2 in the object, pixels; rounded to whole pixels.
        known: (H, W) complex.

    Returns:
        Correlation coefficients of the moduli in the central 21 x 21 pixels, turned about their centre, averaged over
        the patches, in the order of ``TURNS``: entry k is large if the patches are turned by turn k.
    """
    first = patches.shape[1] // 2 - PATCH // 2
    shown = np.abs(patches[:, first : first + PATCH, first : first + PATCH, 0]).astype(np.float64)
    corners = np.rint(positions).astype(int) - PATCH // 2 + PATCH
    around = np.pad(np.abs(known), PATCH).astype(np.float64)
    true = np.stack([around[y : y + PATCH, x : x + PATCH] for x, y in corners])
    everywhere = np.ones(true.shape[1:], bool)
    scores = [[_correlation(turn(b), a, everywhere) for a, b in zip(shown, true)] for turn in TURNS.values()]
    return np.asarray(np.mean(scores, axis=1), np.float32)


def quality(mosaic: np.ndarray, mask: np.ndarray, known: np.ndarray, centre: np.ndarray) -> dict[str, np.ndarray]:
    """Measure how well a mosaic shows a known object, as float32 scalars by name; arguments as for ``orientation``.

    ``correlation``, modulus of the complex correlation coefficient; ``amplitude_error``, root mean square, relative;
    ``phase_error``, root mean square, radians. A factor is removed from the amplitude and a constant from the phase,
    because ptychography measures neither. The values are 0, infinity and infinity if the mosaic is empty.
    """
    names = ("correlation", "amplitude_error", "phase_error")
    return {name: np.asarray(value, np.float32) for name, value in zip(names, _quality(mosaic, mask, known, centre))}


def _quality(mosaic: np.ndarray, mask: np.ndarray, known: np.ndarray, centre: np.ndarray) -> tuple[float, float, float]:
    expected, inside = window(known, centre, len(mosaic))
    found, true = (image[mask & inside].astype(np.complex128) for image in (mosaic, expected))
    if not np.abs(found).any():
        return 0.0, np.inf, np.inf
    a, b = found - found.mean(), true - true.mean()
    modulus, wanted = np.abs(found), np.abs(true)
    level = (modulus @ wanted) / (modulus @ modulus)
    amplitude = np.sqrt(np.mean((level * modulus - wanted) ** 2) / np.mean(wanted**2))
    turned = found * true.conj()
    phase = np.angle(turned * np.exp(-1j * np.angle(turned.sum())))
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.abs(np.vdot(a, b)) / norm) if norm else 0.0, float(amplitude), float(np.sqrt(np.mean(phase**2)))


def window(known: np.ndarray, centre: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of an object (H, W) that a mosaic shows, (side, side), and a mask, true inside the object."""
    x, y = np.rint(np.asarray(centre) - side / 2).astype(int) + side
    part = (slice(y, y + side), slice(x, x + side))
    return np.pad(known, side)[part], np.pad(np.ones(known.shape, bool), side)[part]


def _correlation(one: np.ndarray, other: np.ndarray, mask: np.ndarray) -> float:
    a, b = (image[mask] - image[mask].mean() if mask.any() else np.zeros(1) for image in (one, other))
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else 0.0
