"""Stitch patches into a mosaic exactly as PtychoPINN does: each crop is padded to the canvas and moved."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from golden.ptychopinn.coordinates.reference import as_working, translated

_AT_A_TIME = 32


def position(real: tf.DType, *, patches: np.ndarray, offsets: np.ndarray, M: int) -> dict[str, tf.Tensor]:
    working = as_working(patches, real)
    flat = tf.cast(tf.reshape(offsets, [-1, 2]), real)
    total, side = _shift_and_sum(working, flat, M)
    # Ones, cropped like the patches, so all M x M of them count. (PtychoPINN uses complex ones and moves both parts.)
    count, _ = _shift_and_sum(tf.ones(patches.shape, real), flat, M)
    mosaic = total / tf.cast(count + 1e-9, total.dtype)
    return {"shift_and_sum": total, "count": count, "mosaic": mosaic, "canvas_side": np.int64(side)}


def scan_mosaic(
    real: tf.DType, *, object: np.ndarray, positions: np.ndarray, patches: np.ndarray, N: int, M: int
) -> dict[str, tf.Tensor]:
    outputs = position(real, patches=patches, offsets=positions, M=M)
    del outputs["shift_and_sum"]
    return outputs


def _shift_and_sum(patches: tf.Tensor, offsets: tf.Tensor, M: int) -> tuple[tf.Tensor, int]:
    """Sum the M x M centres of patches (n, N, N, 1), each moved by its offset from the mean; also return the side."""
    first = patches.shape[1] // 2 - M // 2
    crops = patches[:, first : first + M, first : first + M]
    moves = offsets - tf.reduce_mean(offsets, axis=0)
    pad = int(tf.math.ceil(tf.reduce_max(tf.abs(moves))))
    pad += pad % 2
    side = M + 2 * pad
    total = tf.zeros([side, side, 1], patches.dtype)
    for start in range(0, len(patches), _AT_A_TIME):
        stop = start + _AT_A_TIME
        padded = tf.pad(crops[start:stop], [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        total += tf.reduce_sum(translated(padded, moves[start:stop]), axis=0)
    return total, side
