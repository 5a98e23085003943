"""Run the optimizer of the installed package ``ptycho``, and the callbacks of its training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from golden.ptychopinn.installed_package import offered, stored, unexpected
from golden.ptychopinn.network import installed as networks

NEEDS = dict.fromkeys(("adam", "epoch", "schedule"), "model.create_compiled_model")

_N = 64
_SMALLEST: dict[str, Any] = {
    "N": _N,
    "members": 1,
    "n_filters_scale": 1,
    "amp_activation": "sigmoid",
    "object_big": True,
    "probe_big": True,
    "pad_object": True,
    "probe_mask": False,
    "probe_scale": 4.0,
    "nphotons": 1e9,
}
"""Settings of a model whose optimizer alone is used."""


def adam(*, start: np.ndarray, gradients: np.ndarray, learning_rate: float) -> dict[str, np.ndarray]:
    with compiled() as optimizer:
        import tensorflow as tf

        optimizer.learning_rate = learning_rate
        values, followed = tf.keras.Variable(start), []
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient)], [values])
            followed.append(np.array(values))
    return {"values": np.stack(followed)}


def epoch(*, losses: np.ndarray, validation_fraction: float, batch_size: int) -> dict[str, np.ndarray]:
    """Let Keras fit an observing model with the options of the package's own training, but without its callbacks."""
    from golden.ptychopinn.optimizer.reference import fitted  # imported here, because it imports TensorFlow

    with compiled():
        options = fit_options()
    given = {"validation_split": validation_fraction, "batch_size": batch_size}
    if not given.keys() <= options.keys():
        raise unexpected("model.train", f"{sorted(given)} for Keras's fit", str(sorted(options)))
    return fitted(losses, **(options | given | {"callbacks": [], "epochs": 1, "verbose": 0}))


def schedule(*, losses: np.ndarray, learning_rate: float) -> dict[str, np.ndarray]:
    followed = []
    with compiled() as optimizer:
        callbacks = fit_options()["callbacks"]
        for sequence in losses.tolist():
            optimizer.learning_rate = learning_rate
            followed.append(_followed(optimizer, callbacks, sequence))
    rates, epochs = zip(*followed)
    return {"learning_rates": np.array(rates, np.float32), "epochs": np.array(epochs, np.int64)}


def _followed(optimizer: Any, callbacks: list[Any], losses: list[tuple[float, float]]) -> tuple[list[float], int]:
    """Return the rate of each epoch and the number of trained epochs; the callbacks are called for all epochs."""
    epochs = Epochs(optimizer, callbacks)
    rates, ended = [], []
    for loss, val_loss in losses:
        rates.append(float(optimizer.learning_rate))
        ended.append(epochs.end(loss, val_loss))
    return rates, ended.index(True) + 1 if any(ended) else len(losses)


class Epochs:
    """Calls the callbacks of a training that does not use Keras's ``fit``, from its beginning."""

    def __init__(self, optimizer: Any, callbacks: list[Any]) -> None:
        self._model = SimpleNamespace(optimizer=optimizer, stop_training=False)
        self._callbacks = callbacks
        self._count = 0
        for callback in callbacks:
            callback.set_model(self._model)
            callback.on_train_begin()

    def end(self, loss: float, val_loss: float) -> bool:
        """End an epoch with these losses; returns whether the training is to stop."""
        for callback in self._callbacks:
            callback.on_epoch_end(self._count, {"loss": loss, "val_loss": val_loss})
        self._count += 1
        return bool(self._model.stop_training)


@contextmanager
def compiled() -> Iterator[Any]:
    """Make the package's compiled model and yield its optimizer."""
    with networks.opened(probe=np.ones((_N, _N), np.complex64), **_SMALLEST) as model:
        yield model.autoencoder.optimizer


def fit_options() -> dict[str, Any]:
    """Let the package train a model that only records; return the arguments that the package passes to ``fit``.

    Call it while a model is open, because its training reads the global parameters.
    """
    notes: dict[str, Any] = {}
    model = SimpleNamespace(fit=lambda *arrays, **options: notes.update(options))
    N, members = stored("N"), stored("gridsize") ** 2
    blank, at_rest = np.ones((1, N, N, members), np.float32), np.zeros((1, 1, 2, members), np.float32)
    container = offered("loader.PtychoDataContainer")(
        X=blank,
        Y_I=blank,
        Y_phi=blank,
        norm_Y_I=1.0,
        YY_full=None,
        coords_nominal=at_rest,
        coords_true=at_rest,
        nn_indices=None,
        global_offsets=None,
        local_offsets=None,
        probeGuess=None,
    )
    offered("model.train")(1, container, model_instance=model)
    if "callbacks" not in notes:
        raise unexpected("model.train", "callbacks for Keras's fit", str(sorted(notes)))
    return notes
