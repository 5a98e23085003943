"""TensorFlow computes scan coordinates and the bilinear translation."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def relative(real: tf.DType, *, coords_nn: np.ndarray) -> dict[str, tf.Tensor]:
    coords = tf.cast(coords_nn, real)
    offsets = tf.reduce_mean(coords, axis=3, keepdims=True)
    return {"coords_offsets": offsets, "coords_relative": -(coords - offsets)}


def translate(real: tf.DType, *, images: np.ndarray, displacements: np.ndarray) -> dict[str, tf.Tensor]:
    moved = translated(as_working(images, real), tf.cast(displacements, real))
    return {"moved": moved}


def place_in_group(real: tf.DType, *, patches: np.ndarray, coords_nn: np.ndarray) -> dict[str, tf.Tensor]:
    # Positions are subtracted in float64, as the grouped record stores them, and rounded for the translation.
    relative_ = tf.cast(relative(tf.float64, coords_nn=coords_nn)["coords_relative"], real)
    groups, side, _, members = patches.shape
    flat = tf.reshape(tf.transpose(as_working(patches, real), [0, 3, 1, 2]), [groups * members, side, side, 1])
    moves = tf.reshape(tf.transpose(relative_[:, 0], [0, 2, 1]), [groups * members, 2])
    moved = tf.reshape(translated(flat, -moves), [groups, members, side, side])
    return {"placed": tf.transpose(moved, [0, 2, 3, 1])}


def as_working(array: np.ndarray, real: tf.DType) -> tf.Tensor:
    """Return a real or complex array in the working precision."""
    if not np.iscomplexobj(array):
        return tf.cast(array, real)
    return tf.cast(array, tf.complex64 if real == tf.float32 else tf.complex128)


def translated(images: tf.Tensor, displacements: tf.Tensor) -> tf.Tensor:
    """Move images (B, H, W, ch) by displacements (B, 2) = [dx, dy]; neighbours outside the image count as zero.

    Output pixel (r, c) samples the input at (r - dy, c - dx). As in PtychoPINN, weights are computed from absolute
    source coordinates in the working precision, and real and imaginary part move separately.
    """
    if images.dtype.is_complex:
        return tf.complex(
            translated(tf.math.real(images), displacements), translated(tf.math.imag(images), displacements)
        )
    height, width = images.shape[1:3]
    real = images.dtype
    y = tf.range(height, dtype=real)[None, :] - displacements[:, 1, None]
    x = tf.range(width, dtype=real)[None, :] - displacements[:, 0, None]
    top, left = tf.floor(y), tf.floor(x)
    fy, fx = (y - top)[:, :, None, None], (x - left)[:, None, :, None]

    def neighbour(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        inside_y = (rows >= 0) & (rows <= height - 1)
        inside_x = (columns >= 0) & (columns <= width - 1)
        r = tf.cast(tf.clip_by_value(rows, 0, height - 1), tf.int32)
        c = tf.cast(tf.clip_by_value(columns, 0, width - 1), tf.int32)
        values = tf.gather(tf.gather(images, r, axis=1, batch_dims=1), c, axis=2, batch_dims=1)
        return values * tf.cast(inside_y[:, :, None, None] & inside_x[:, None, :, None], real)

    return (
        neighbour(top, left) * (1 - fy) * (1 - fx)
        + neighbour(top, left + 1) * (1 - fy) * fx
        + neighbour(top + 1, left) * fy * (1 - fx)
        + neighbour(top + 1, left + 1) * fy * fx
    )
