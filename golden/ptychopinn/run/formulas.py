"""These formulas compute the draws of a run before training, and its mosaic afterwards."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.reassembly.formulas import centres, moves, reach, shift_and_sum
from golden.ptychopinn.run import mosaics


def draw_patterns(M: int, n: int, seed: int) -> np.ndarray:
    """Draw n of M patterns, (n,) int64, ascending; if all are requested, return them without a draw."""
    if n >= M:
        return np.arange(M)
    return np.sort(np.random.RandomState(seed).choice(M, n, replace=False))


def orders(n: int, epochs: int, seed: int) -> np.ndarray:
    """Draw the order of n training samples, (epochs, n) int64."""
    return np.stack([np.random.RandomState([seed, epoch]).permutation(n) for epoch in range(1, epochs + 1)])


def stitched(patches: np.ndarray, places: np.ndarray, M: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Stitch patches (n, N, N, 1) at places (n, 2), [x, y]; return the mosaic and its count, (S, S) each."""
    by = moves(places)
    crops = centres(patches, M).astype(np.complex128)
    count = shift_and_sum(np.ones(crops.shape), by, reach(by))
    return shift_and_sum(crops, by, reach(by)) / (1e-9 + count), count


def judged(mosaic: np.ndarray, count: np.ndarray, places: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    """Judge a mosaic.

    Args:
        mosaic: (S, S) complex.
        count: (S, S), number of patches that cover each pixel.
        places: (n, 2), [x, y] of the patches in the object, pixels.
        known: (H, W) complex, the object.

    Returns:
        The outputs of ``run.long_reconstruction`` from the mosaic on.
    """
    covered = count > mosaics.COVERED
    centre = places.mean(axis=0)
    return {
        "canvas_side": np.array(len(mosaic), np.int64),
        "covered": mosaics.covered_box(count),
        "mosaic": np.where(covered, mosaic, 0).astype(np.complex64)[..., None],
        "orientation": mosaics.orientation(mosaic, covered, known, centre),
        **mosaics.quality(mosaic, covered, known, centre),
    }
