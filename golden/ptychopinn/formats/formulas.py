"""These formulas change array formats and compute canvas sizes."""

from __future__ import annotations

import numpy as np

# ------------------------------------------------------------------------------------------------ operations


def to_channel(*, grid: np.ndarray, flat: np.ndarray) -> dict[str, np.ndarray]:
    return {"channel_of_grid": grid_to_channel(grid), "channel_of_flat": flat_to_channel(flat, grid.shape[1] ** 2)}


def from_channel(*, channel: np.ndarray, positions: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "grid": channel_to_grid(channel),
        "flat": channel_to_flat(channel),
        "positions_flat": positions_to_flat(positions),
    }


def canvas(*, settings: np.ndarray) -> dict[str, np.ndarray]:
    N, grid, offset, jitter = settings.T
    return sizes(N + (grid - 1) * offset, jitter, N)


# ------------------------------------------------------------------------------------------------ parts


def grid_to_channel(grid: np.ndarray) -> np.ndarray:
    """Convert (B, G, G, N, N, 1) to (B, N, N, C), c = row * G + column."""
    groups, side, _, N = grid.shape[:4]
    return np.moveaxis(grid[..., 0], (1, 2), (3, 4)).reshape(groups, N, N, side * side)


def flat_to_channel(flat: np.ndarray, members: int) -> np.ndarray:
    """Convert (B * C, N, N, 1), flat index b * C + c, to (B, N, N, C)."""
    N = flat.shape[1]
    return np.moveaxis(flat.reshape(-1, members, N, N), 1, 3)


def channel_to_grid(channel: np.ndarray) -> np.ndarray:
    """Convert (B, N, N, C) to (B, G, G, N, N, 1)."""
    groups, N, _, members = channel.shape
    side = round(members**0.5)
    return np.moveaxis(channel, 3, 1).reshape(groups, side, side, N, N, 1)


def channel_to_flat(channel: np.ndarray) -> np.ndarray:
    """Convert (B, N, N, C) to (B * C, N, N, 1)."""
    N = channel.shape[1]
    return np.moveaxis(channel, 3, 1).reshape(-1, N, N, 1)


def positions_to_flat(positions: np.ndarray) -> np.ndarray:
    """Convert (B, 1, 2, C) to (B * C, 2)."""
    return np.moveaxis(positions[:, 0], 2, 1).reshape(-1, 2)


def channel_major(flat: np.ndarray, members: int) -> np.ndarray:
    """Reorder rows from b * C + c to c * B + b."""
    return flat.reshape(-1, members, *flat.shape[1:]).swapaxes(0, 1).reshape(flat.shape)


def sizes(bigN: np.ndarray, jitter: np.ndarray, N: np.ndarray) -> dict[str, np.ndarray]:
    """Return three sides (k,) of canvases, pixels: bigN, bigN with the jitter, and that to which TensorFlow pads N."""
    padded = bigN + jitter
    return {"bigN": bigN, "padded_size": padded, "canvas_side": N + 2 * ((padded - N) // 2)}
