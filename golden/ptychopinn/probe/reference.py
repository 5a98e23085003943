"""TensorFlow computes the hard mask, the normalised probe, and the default disk."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from golden.ptychopinn.coordinates.reference import as_working


def hard_mask(real: tf.DType, *, N: int) -> dict[str, tf.Tensor]:
    return {"mask": _hard_mask(N, real)[..., None]}


def normalise(real: tf.DType, *, probe: np.ndarray, probe_scale: float) -> dict[str, tf.Tensor]:
    working = as_working(probe, real)
    masked = tf.where(_hard_mask(probe.shape[0], real), working, tf.zeros_like(working))
    norm = tf.cast(probe_scale, real) * tf.reduce_mean(tf.abs(masked))
    return {"normalised": (working / tf.cast(norm, working.dtype))[..., None]}


def default_disk(real: tf.DType, *, N: int, default_probe_scale: float) -> dict[str, tf.Tensor]:
    sigma = N / (default_probe_scale * np.pi**2)
    distance = tf.range(N, dtype=real) - (N - 1) / 2
    window = tf.exp(-(distance**2) / (2 * sigma**2))
    window /= tf.reduce_max(window)
    disk = tf.cast(window[:, None] * window[None, :] > 0.5, real)
    return {"probe": _blur(disk) + 1e-9}


def _hard_mask(N: int, real: tf.DType) -> tf.Tensor:
    """Return the mask, (N, N) bool. The half pixel centres it for even N; for odd N, it is off by half a pixel."""
    distance = tf.range(N, dtype=real) - N // 2 + 0.5
    return tf.sqrt(distance[:, None] ** 2 + distance[None, :] ** 2) < N // 4


def _blur(image: tf.Tensor) -> tf.Tensor:
    """Blur by a Gaussian with a standard deviation of 1 pixel, truncated at 4; the image is reflected at its edges."""
    reach = tf.range(-4, 5, dtype=image.dtype)
    taps = tf.exp(-(reach**2) / 2)
    taps /= tf.reduce_sum(taps)
    for _ in range(2):
        padded = tf.pad(image, [[4, 4], [0, 0]], mode="SYMMETRIC")
        image = tf.add_n([taps[k] * padded[k : k + image.shape[0]] for k in range(9)])
        image = tf.transpose(image)
    return image
