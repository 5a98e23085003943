"""Simulation, as TensorFlow does it: the padded object moved under each patch, lit, and propagated to the far field."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from golden.reference.coordinates import as_working, translated

_AT_A_TIME = 32


def patterns(
    real: tf.DType, *, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, nphotons: float
) -> dict[str, tf.Tensor]:
    working, beam = as_working(object, real), as_working(probe, real)
    centres = tf.cast(tf.reshape(positions, [-1, 2]), real)
    amplitudes, illuminated = [], []
    for start in range(0, len(centres), _AT_A_TIME):
        patches = patches_at(working, centres[start : start + _AT_A_TIME], len(probe))
        illuminated.append(tf.abs(patches) * tf.abs(beam))
        amplitudes.append(diffracted(patches * beam))
    return {
        "amplitude": tf.concat(amplitudes, axis=0)[..., None],
        "intensity_scale": photon_scale(tf.concat(illuminated, axis=0), nphotons),
    }


def patches_at(target: tf.Tensor, centres: tf.Tensor, N: int) -> tf.Tensor:
    """Patches (n, N, N) whose index N // 2 lies at the centres (n, 2): the padded object, moved by -centre."""
    half = N // 2
    padded = tf.pad(target, [[half, half], [half, half]])
    canvas = tf.tile(padded[None, ..., None], [len(centres), 1, 1, 1])
    return translated(canvas, -centres)[:, :N, :N, 0]


def diffracted(field: tf.Tensor) -> tf.Tensor:
    """Far-field amplitude of fields (n, N, N), the zero frequency in the middle; the energy is the field's."""
    spectrum = tf.signal.fft2d(field)
    intensity = tf.abs(spectrum) ** 2 / tf.cast(field.shape[1] * field.shape[2], spectrum.dtype.real_dtype)
    return tf.sqrt(tf.signal.fftshift(intensity, axes=[1, 2]))


def photon_scale(illuminated: tf.Tensor, nphotons: float) -> tf.Tensor:
    """What amplitudes (n, N, N) are multiplied by to hold ``nphotons`` photons each, on average."""
    photons = tf.reduce_sum(illuminated**2, axis=[1, 2])
    return tf.sqrt(tf.cast(nphotons, photons.dtype) / tf.reduce_mean(photons))
