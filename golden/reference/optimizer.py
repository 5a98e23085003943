"""The optimiser: Keras's Adam."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

keras = tf.keras


def adam(real: tf.DType, *, start: np.ndarray, gradients: np.ndarray, learning_rate: float) -> dict[str, tf.Tensor]:
    optimizer = keras_adam(real, learning_rate)
    values = keras.Variable(start, dtype=real.name)
    followed = []
    for gradient in gradients:
        optimizer.apply([tf.cast(gradient, real)], [values])
        followed.append(tf.identity(values.value))
    return {"values": tf.stack(followed)}


def keras_adam(real: tf.DType, learning_rate: float, epsilon: float = 1e-7) -> Any:
    """Adam with Keras's own betas and, unless another is given, epsilon."""
    optimizer = keras.optimizers.Adam(learning_rate, epsilon=epsilon)
    if real == tf.float64:
        # Keras rounds them to float32 before it corrects the bias: 1 - 0.999 is then off by 1e-5 of itself. That is
        # rounding, which this precision is to tell.
        optimizer.beta_1, optimizer.beta_2 = (tf.constant(b, real) for b in (optimizer.beta_1, optimizer.beta_2))
    return optimizer
