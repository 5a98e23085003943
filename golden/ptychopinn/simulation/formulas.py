"""These formulas cut patches of an object at the scan's positions, illuminate them, and compute the far field."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.coordinates.formulas import bilinear
from golden.ptychopinn.physics.formulas import amplitude_of, photons_to_scale


def cut(target: np.ndarray, positions: np.ndarray, N: int) -> np.ndarray:
    """Cut patches (n, N, N) complex128 of an object (H, W) whose index N // 2 is at positions (n, 2) = [x, y].

    The cut is bilinear, and zero beyond the object's edges.
    """
    images = np.broadcast_to(target.astype(np.complex128)[None, :, :, None], (len(positions), *target.shape, 1))
    x, y = positions.T[:, :, None] + (np.arange(N) - N // 2)
    return bilinear(images, y, x)[..., 0]


def patterns(
    *,
    object: np.ndarray,
    probe: np.ndarray,
    positions: np.ndarray,
    nphotons: float,
    patches: Callable[[np.ndarray, np.ndarray, int], np.ndarray] = cut,
) -> dict[str, np.ndarray]:
    """Simulate patterns; ``patches`` has the signature of ``cut``."""
    fields = patches(object, positions.reshape(-1, 2), len(probe)) * probe
    return {
        "amplitude": amplitude_of(fields).astype(np.float32)[..., None],
        "intensity_scale": np.array(photons_to_scale(fields, nphotons), np.float32),
    }
