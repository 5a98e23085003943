"""Keras's Adam, its ``fit``, and its callbacks after each epoch, which set the learning rate and end the training."""

from __future__ import annotations

from types import SimpleNamespace
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
    """Return Adam with Keras's own betas and, unless another is given, epsilon."""
    optimizer = keras.optimizers.Adam(learning_rate, epsilon=epsilon)
    if real == tf.float64:
        # Keras rounds the betas to float32 before it corrects the bias, which changes 1 - 0.999 by 1e-5 of itself.
        # float64 must not contain this rounding, because it measures it.
        optimizer.beta_1, optimizer.beta_2 = (tf.constant(b, real) for b in (optimizer.beta_1, optimizer.beta_2))
    return optimizer


def epoch(real: tf.DType, *, losses: np.ndarray, validation_fraction: float, batch_size: int) -> dict[str, np.ndarray]:
    return fitted(losses, real, validation_split=validation_fraction, batch_size=batch_size)


def fitted(losses: np.ndarray, real: tf.DType = tf.float32, **options: Any) -> dict[str, np.ndarray]:
    """Let Keras fit a model whose loss on a sample is given; return the outputs of ``optimizer.epoch``.

    Args:
        losses: (n,), one of each sample.
        real: dtype of the computation.
        options: arguments of Keras's ``fit``, which runs one epoch.
    """
    model = _Observer(dtype=real.name)
    model.compile(keras.optimizers.SGD(), loss=lambda y_true, y_pred: y_true + y_pred, run_eagerly=True)
    numbers = np.arange(len(losses))[:, None]
    told = model.fit(numbers, losses[:, None].astype(real.as_numpy_dtype), **({"verbose": 0} | options)).history
    return {
        "trained": np.sort(np.concatenate(model.trained)),
        "held_back": np.concatenate(model.validated),
        "batch_sizes": np.array([len(batch) for batch in model.trained]),
        "epoch_losses": np.array([told["loss"][0], told["val_loss"][0]], real.as_numpy_dtype),
    }


class _Observer(keras.Model):  # type: ignore[misc, name-defined]
    """A model that notes which samples it is given, by their numbers; it predicts 0."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.trained: list[np.ndarray] = []
        self.validated: list[np.ndarray] = []
        self.weight = self.add_weight(shape=(), initializer="zeros")

    def call(self, numbers: tf.Tensor, training: bool = False) -> tf.Tensor:
        (self.trained if training else self.validated).append(np.array(numbers, np.int64)[:, 0])
        return 0 * self.weight * tf.cast(numbers, self.weight.dtype)


def schedule(real: tf.DType, *, losses: np.ndarray, learning_rate: float) -> dict[str, np.ndarray]:
    followed = [_followed(keras_adam(real, learning_rate), sequence.tolist()) for sequence in losses]
    rates, epochs = zip(*followed)
    return {"learning_rates": np.array(rates, np.float32), "epochs": np.array(epochs, np.int64)}


def _followed(optimizer: Any, losses: list[tuple[float, float]]) -> tuple[list[float], int]:
    """Return the rate of each epoch and the number of trained epochs; the callbacks are called for all epochs."""
    callbacks = Callbacks(optimizer)
    rates, ended = [], []
    for epoch, (loss, val_loss) in enumerate(losses):
        rates.append(float(optimizer.learning_rate))
        ended.append(callbacks.epoch_ends(epoch, loss, val_loss))
    return rates, ended.index(True) + 1 if any(ended) else len(losses)


class Callbacks:
    """PtychoPINN's two Keras callbacks, for a training that does not use Keras's ``fit``.

    Args:
        optimizer: its learning rate is halved, down to 1e-4, after two epochs whose validation loss was not better.
    """

    def __init__(self, optimizer: Any) -> None:
        self._model = SimpleNamespace(optimizer=optimizer, stop_training=False)
        self._callbacks = (
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2, min_lr=1e-4),
            keras.callbacks.EarlyStopping("loss", patience=3),
        )
        for callback in self._callbacks:
            callback.set_model(self._model)
            callback.on_train_begin()

    def epoch_ends(self, epoch: int, loss: float, val_loss: float) -> bool:
        """Return whether the training stops after this epoch, counted from 0."""
        for callback in self._callbacks:
            callback.on_epoch_end(epoch, {"loss": loss, "val_loss": val_loss})
        return bool(self._model.stop_training)
