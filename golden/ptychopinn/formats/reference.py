"""TensorFlow changes array formats and computes canvas sizes."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf


def to_channel(real: tf.DType, *, grid: np.ndarray, flat: np.ndarray) -> dict[str, tf.Tensor]:
    groups, side, _, N = grid.shape[:4]
    members = side * side
    # Move the two grid axes last, then merge them.
    of_grid = tf.reshape(tf.transpose(tf.cast(grid[..., 0], real), [0, 3, 4, 1, 2]), [groups, N, N, members])
    return {"channel_of_grid": of_grid, "channel_of_flat": flat_to_channel(tf.cast(flat, real), members)}


def from_channel(real: tf.DType, *, channel: np.ndarray, positions: np.ndarray) -> dict[str, tf.Tensor]:
    groups, N, _, members = channel.shape
    side = math.isqrt(members)
    working = tf.cast(channel, real)
    split = tf.reshape(working, [groups, N, N, side, side])
    return {
        "grid": tf.transpose(split, [0, 3, 4, 1, 2])[..., None],
        "flat": channel_to_flat(working),
        "positions_flat": positions_to_flat(tf.cast(positions, real)),
    }


def canvas(real: tf.DType, *, settings: np.ndarray) -> dict[str, tf.Tensor]:
    N, side, offset, jitter = tf.unstack(tf.constant(settings), axis=1)
    big = N + (side - 1) * offset
    padded = big + jitter
    return {"bigN": big, "padded_size": padded, "canvas_side": N + 2 * ((padded - N) // 2)}


def channel_to_flat(channel: tf.Tensor) -> tf.Tensor:
    """Convert (B, N, N, C) to (B * C, N, N, 1), group-major."""
    _, N, _, _ = channel.shape
    return tf.reshape(tf.transpose(channel, [0, 3, 1, 2]), [-1, N, N, 1])


def flat_to_channel(flat: tf.Tensor, members: int) -> tf.Tensor:
    """Convert (B * C, N, N, 1) to (B, N, N, C)."""
    _, N, _, _ = flat.shape
    return tf.transpose(tf.reshape(flat, [-1, members, N, N]), [0, 2, 3, 1])


def positions_to_flat(positions: tf.Tensor) -> tf.Tensor:
    """Convert (B, 1, 2, C) to (B * C, 2), in the order of the flat patches."""
    return tf.reshape(tf.transpose(positions[:, 0], [0, 2, 1]), [-1, 2])
