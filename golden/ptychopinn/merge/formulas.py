"""These formulas merge a group's patches on the padded canvas, and extract them again."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from golden.ptychopinn.coordinates.formulas import translated
from golden.ptychopinn.formats.formulas import channel_to_flat, positions_to_flat

Moves = Callable[[np.ndarray], np.ndarray]
"""coords_relative (B, 1, 2, C) -> displacement of each flat image, (B * C, 2) float64; pixels."""

# ------------------------------------------------------------------------------------------------ merge


def moves(coords_relative: np.ndarray) -> np.ndarray:
    """Return the displacement of each flat patch, (B * C, 2), pixels."""
    flat = positions_to_flat(coords_relative).astype(np.float64)
    return -(flat - flat.mean(axis=0))


def padded_size(N: int, members: int) -> int:
    """Return the nominal side of the canvas with TensorFlow's default offset and jitter, pixels."""
    return N + (math.isqrt(members) - 1) * 4 + 10


def centre_mask(N: int) -> np.ndarray:
    """Return ones in the central N // 2 pixels of (N, N)."""
    mask = np.zeros((N, N))
    mask[N // 4 : N // 4 + N // 2, N // 4 : N // 4 + N // 2] = 1
    return mask


def on_canvas(images: np.ndarray, padded: int) -> np.ndarray:
    """Pad images (n, N, N, 1) on each side by half of what is missing to the canvas, rounded down."""
    margin = (padded - images.shape[1]) // 2
    return np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))


def group_sum(images: np.ndarray, by: np.ndarray, members: int) -> np.ndarray:
    """Move images (B * C, P, P, 1) by ``by`` (B * C, 2), and sum them over each group."""
    side = images.shape[1]
    return translated(images, by).reshape(-1, members, side, side, 1).sum(axis=1)


def sums(
    patches: np.ndarray,
    by: np.ndarray,
    padded: int,
    *,
    count_by: np.ndarray | None = None,
    mask: Callable[[int], np.ndarray] = centre_mask,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum and the count of each group, (B, P, P, 1), in double precision.

    Args:
        patches: (B, N, N, C).
        by: (B * C, 2), displacement of each patch, pixels.
        padded: nominal side of the canvas, pixels.
        count_by: displacement of each mask; None for that of the patches.
        mask: N -> mask of the pixels of a patch that are counted, (N, N).
    """
    N, members = patches.shape[1], patches.shape[3]
    flat = channel_to_flat(patches.astype(np.complex128))
    counted = np.broadcast_to(mask(N)[None, :, :, None], flat.shape)
    total = group_sum(on_canvas(flat, padded), by, members)
    return total, group_sum(on_canvas(counted, padded), by if count_by is None else count_by, members)


def divided(total: np.ndarray, count: np.ndarray, epsilon: float = 1e-3) -> dict[str, np.ndarray]:
    """Return the outputs of ``merge``; 0 where the divisor is 0."""
    norm = count + epsilon
    merged = np.divide(total, norm, out=np.zeros_like(total), where=norm != 0).astype(np.complex64)
    return {
        "sum": total.astype(np.complex64),
        "norm": norm.astype(np.float32),
        "merged_centre": merged,
        "merged_border": merged,
    }


def merge(
    *,
    patches: np.ndarray,
    coords_relative: np.ndarray,
    padded_size: int,
    by: Moves = moves,
    count_by: Moves | None = None,
    mask: Callable[[int], np.ndarray] = centre_mask,
    epsilon: float = 1e-3,
) -> dict[str, np.ndarray]:
    count_moves = None if count_by is None else count_by(coords_relative)
    both = sums(patches, by(coords_relative), padded_size, count_by=count_moves, mask=mask)
    return divided(*both, epsilon)


# ------------------------------------------------------------------------------------------------ extraction


def displacements(coords_relative: np.ndarray) -> np.ndarray:
    """Return the displacement of each flat canvas, (B * C, 2), pixels."""
    return positions_to_flat(coords_relative).astype(np.float64)


def for_each_member(canvas: np.ndarray, members: int) -> np.ndarray:
    """Repeat each canvas (B, P, P, 1) for its members, (B * C, P, P, 1)."""
    return np.repeat(canvas, members, axis=0)


def margin(P: int, N: int) -> int:
    """Return the margin that is cut off a canvas on every side, pixels."""
    return (P - N) // 2


def extracted(canvases: np.ndarray, by: np.ndarray, N: int, first: int | None = None) -> np.ndarray:
    """Move flat canvases (n, P, P, 1) by ``by`` (n, 2), and cut N x N pixels from ``first`` on; complex64."""
    first = margin(canvases.shape[1], N) if first is None else first
    moved = translated(canvases.astype(np.complex128), by)
    return moved[:, first : first + N, first : first + N].astype(np.complex64)


def extract(
    *,
    canvas: np.ndarray,
    coords_relative: np.ndarray,
    N: int,
    by: Moves = displacements,
    first: Callable[[int, int], int] = margin,
    repeat: Callable[[np.ndarray, int], np.ndarray] = for_each_member,
) -> dict[str, np.ndarray]:
    canvases = repeat(canvas, coords_relative.shape[3])
    return {"patches": extracted(canvases, by(coords_relative), N, first(canvas.shape[1], N))}
