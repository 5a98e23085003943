"""TensorFlow moves the padded object under each patch, illuminates it, and propagates it to the far field."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from golden.ptychopinn.coordinates.reference import as_working
from golden.ptychopinn.grouping.reference import patches_at
from golden.ptychopinn.physics.reference import amplitude_of, photons_to_scale

_AT_A_TIME = 32


def patterns(
    real: tf.DType, *, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, nphotons: float
) -> dict[str, tf.Tensor]:
    N, light = len(probe), as_working(probe, real)[..., None]
    amplitudes, illuminated = [], []
    for start in range(0, len(positions), _AT_A_TIME):
        patches = patches_at(real, object, positions[start : start + _AT_A_TIME], N)
        illuminated.append(tf.abs(patches) * tf.abs(light))
        amplitudes.append(amplitude_of(patches * light, N))
    return {
        "amplitude": tf.concat(amplitudes, axis=0),
        "intensity_scale": photons_to_scale(tf.concat(illuminated, axis=0), nphotons),
    }
