"""TensorFlow computes diffraction, illumination, photon scales, the Poisson term and the simulation without noise."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from golden.ptychopinn.coordinates.reference import as_working
from golden.ptychopinn.formats.reference import channel_to_flat, flat_to_channel
from golden.ptychopinn.probe import reference as probes


def diffraction(real: tf.DType, *, field: np.ndarray) -> dict[str, tf.Tensor]:
    return {"amplitude": amplitude_of(as_working(field, real), field.shape[1])}


def padded_diffraction(real: tf.DType, *, field: np.ndarray) -> dict[str, tf.Tensor]:
    margin = field.shape[1] // 4
    padded = tf.pad(as_working(field, real), [[0, 0], [margin, margin], [margin, margin], [0, 0]])
    return {"padded": padded, "amplitude": amplitude_of(padded, field.shape[1])}


def forward(
    real: tf.DType, *, patches: np.ndarray, probe: np.ndarray, probe_scale: float, nphotons: float
) -> dict[str, tf.Tensor]:
    N, members = patches.shape[1], patches.shape[3]
    light = probes.normalise(real, probe=probe, probe_scale=probe_scale)["normalised"]
    flat = channel_to_flat(as_working(patches, real)) * light[None]
    # The scale is stored as its logarithm.
    scale = tf.exp(tf.math.log(tf.cast(intensity_scale_of(nphotons, N), real)))
    return {"amplitude": flat_to_channel(amplitude_of(flat, N), members) * scale}


def intensity_scale(real: tf.DType, *, nphotons: np.ndarray, N: np.ndarray) -> dict[str, tf.Tensor]:
    return {"scale": tf.sqrt(tf.cast(nphotons, real)) / tf.cast(N / 2, real)}


def photon_scale(real: tf.DType, *, X: np.ndarray, nphotons: float) -> dict[str, tf.Tensor]:
    working = tf.cast(X, real)
    scale = photons_to_scale(working, nphotons)
    return {"scale": scale, "scaled": scale * working}


def poisson(real: tf.DType, *, predicted: np.ndarray, target: np.ndarray) -> dict[str, tf.Tensor]:
    elementwise = poisson_term(tf.cast(predicted, real), tf.cast(target, real))
    return {"elementwise": elementwise, "mean": tf.reduce_mean(elementwise)}


def poisson_at_zero(real: tf.DType, *, predicted: np.ndarray, target: np.ndarray) -> dict[str, tf.Tensor]:
    term = poisson_term(tf.cast(predicted, real), tf.cast(target, real))
    return {"infinite": tf.math.is_inf(term) & (term > 0), "undefined": tf.math.is_nan(term)}


def simulation(
    real: tf.DType, *, amplitude: np.ndarray, phase: np.ndarray, probe: np.ndarray, nphotons: float
) -> dict[str, tf.Tensor]:
    A, phi, P = tf.cast(amplitude, real), tf.cast(phase, real), as_working(probe, real)[None, :, :, None]
    illuminated = A * tf.abs(P)
    scale = photons_to_scale(illuminated, nphotons)
    # Photons would be drawn from the scaled amplitude; without noise, the scale cancels.
    field = tf.complex(scale * A * tf.cos(phi), scale * A * tf.sin(phi)) * P
    return {
        "X": amplitude_of(field, amplitude.shape[1]) / scale,
        "Y_I": illuminated,
        "Y_phi": phi,
        "intensity_scale": scale,
    }


def amplitude_of(field: tf.Tensor, N: int) -> tf.Tensor:
    """Transform fields (n, P, P, 1); divide the intensity by N^2, shift it, and take the square root."""
    spectrum = tf.signal.fft2d(field[..., 0])
    intensity = (tf.math.real(spectrum) ** 2 + tf.math.imag(spectrum) ** 2) / (N * N)
    return tf.sqrt(tf.signal.fftshift(intensity, axes=(1, 2)))[..., None]


def intensity_scale_of(nphotons: float | np.ndarray, N: int | np.ndarray) -> np.ndarray:
    """Compute the scale in float64. Rounded to float32, it equals TensorFlow's result in float32."""
    return np.sqrt(nphotons) / (N / 2)


def photons_to_scale(X: tf.Tensor, nphotons: float) -> tf.Tensor:
    return tf.sqrt(tf.cast(nphotons, X.dtype) / tf.reduce_mean(tf.reduce_sum(X**2, axis=(1, 2))))


def poisson_term(predicted: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    return predicted - target * tf.math.log(predicted)
