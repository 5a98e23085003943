"""These formulas compute relative coordinates, the translation, and the placement in a group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# ------------------------------------------------------------------------------------------------ operations


def mean_of_members(coords: np.ndarray) -> np.ndarray:
    """Return the mean position of each group, (n, 1, 2, 1), from coords (n, 1, 2, C)."""
    return coords.mean(axis=3, keepdims=True)


def relative(
    *, coords_nn: np.ndarray, centre: Callable[[np.ndarray], np.ndarray] = mean_of_members
) -> dict[str, np.ndarray]:
    offsets = np.broadcast_to(centre(coords_nn), (*coords_nn.shape[:3], 1))
    return {"coords_offsets": offsets, "coords_relative": -(coords_nn - offsets)}


def translate(*, images: np.ndarray, displacements: np.ndarray) -> dict[str, np.ndarray]:
    return {"moved": translated(images, displacements).astype(images.dtype)}


def place_in_group(*, patches: np.ndarray, coords_nn: np.ndarray) -> dict[str, np.ndarray]:
    return {"placed": placed(patches, moves_in_group(coords_nn))}


# ------------------------------------------------------------------------------------------------ parts


def bilinear(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sample images (B, H, W, ch) at rows (B, H) and columns (B, W); neighbours outside the image count as zero."""
    return _along(_along(images, rows, 1), columns, 2)


def _along(images: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    size = images.shape[axis]
    at = np.clip(at, -1, size)
    near = np.floor(at).astype(int)
    shape = [len(images), 1, 1, 1]
    shape[axis] = at.shape[1]
    padded = np.pad(images, [(0, 0), *((1, 2) if a == axis else (0, 0) for a in (1, 2)), (0, 0)])
    take = [np.take_along_axis(padded, (near + shift).reshape(shape), axis) for shift in (1, 2)]
    far = (at - near).reshape(shape)
    return (1 - far) * take[0] + far * take[1]


def translated(images: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Move the content of images (B, H, W, ch) by +displacement (B, 2) = [dx, dy], pixels; in double precision."""
    height, width = images.shape[1:3]
    dx, dy = np.asarray(displacements, np.float64).T[:, :, None]
    return bilinear(images, np.arange(height) - dy, np.arange(width) - dx)


def moves_in_group(coords_nn: np.ndarray) -> np.ndarray:
    """Return the position of each member relative to the mean of its group, (B, 2, C) float32, pixels."""
    return (coords_nn - mean_of_members(coords_nn))[:, 0].astype(np.float32)


def placed(patches: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Move each patch of (B, N, N, C) by moves (B, 2, C)."""
    groups, side, _, members = patches.shape
    flat = np.moveaxis(patches, 3, 1).reshape(groups * members, side, side, 1)
    moved = translated(flat, np.moveaxis(moves, 2, 1).reshape(-1, 2)).reshape(groups, members, side, side)
    return np.moveaxis(moved, 1, 3).astype(patches.dtype)
