"""TensorFlow merges a group's patches on the padded canvas, and extracts them again."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from golden.ptychopinn.coordinates.reference import as_working, translated
from golden.ptychopinn.formats.reference import channel_to_flat, positions_to_flat

_CLIFF = 64
"""Number of patches from which TensorFlow sums all groups of a call into one canvas."""


def merge(
    real: tf.DType, *, patches: np.ndarray, coords_relative: np.ndarray, padded_size: int
) -> dict[str, tf.Tensor]:
    groups, members = len(patches), patches.shape[3]
    working, relative = as_working(patches, real), tf.cast(coords_relative, real)
    at_a_time = groups
    if groups * members >= _CLIFF:
        # The mean is taken over one call; several calls agree with one only if their means are 0.
        if np.abs(coords_relative.mean(axis=(0, 3))).max() > 1e-6:
            raise ValueError(f"{groups * members} patches in several calls: expected positions with zero mean")
        at_a_time = (_CLIFF - 1) // members
    calls = [
        sum_and_norm(working[start : start + at_a_time], relative[start : start + at_a_time], padded_size)
        for start in range(0, groups, at_a_time)
    ]
    total, norm = (tf.concat(parts, axis=0) for parts in zip(*calls))
    merged = total / tf.cast(norm, total.dtype)
    nothing = tf.zeros_like(merged)
    return {
        "sum": total,
        "norm": norm,
        "merged_centre": tf.where(norm > 0.5, merged, nothing),
        "merged_border": tf.where(norm <= tf.cast(0.001, real), merged, nothing),
    }


def extract(real: tf.DType, *, canvas: np.ndarray, coords_relative: np.ndarray, N: int) -> dict[str, tf.Tensor]:
    return {"patches": extract_flat(as_working(canvas, real), tf.cast(coords_relative, real), N)}


def extract_flat(canvas: tf.Tensor, relative: tf.Tensor, N: int) -> tf.Tensor:
    """Extract patches (B * C, N, N, 1) from canvases (B, P, P, 1)."""
    repeated = tf.repeat(canvas, relative.shape[3], axis=0)
    # Unlike the merge, this subtracts no mean.
    moved = translated(repeated, positions_to_flat(relative))
    margin = (canvas.shape[1] - N) // 2
    return moved[:, margin : margin + N, margin : margin + N]


def sum_and_norm(patches: tf.Tensor, relative: tf.Tensor, padded_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return sum and norm (B, P, P, 1) of patches (B, N, N, C): a canvas for each group, whatever their number."""
    groups, N, _, members = patches.shape
    flat = positions_to_flat(relative)
    moves = -(flat - tf.reduce_mean(flat, axis=0))
    margin = (padded_size - N) // 2
    side = N + 2 * margin

    def group_sum(images: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(images, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
        return tf.reduce_sum(tf.reshape(translated(padded, moves), [groups, members, side, side, 1]), axis=1)

    ones = tf.ones([groups * members, N // 2, N // 2, 1], moves.dtype)
    rest = N - N // 4 - N // 2
    centre = tf.pad(ones, [[0, 0], [N // 4, rest], [N // 4, rest], [0, 0]])
    return group_sum(channel_to_flat(patches)), group_sum(centre) + 0.001
