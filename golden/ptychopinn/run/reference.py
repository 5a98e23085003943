"""TensorFlow trains on a scan, epoch by epoch; the trained network's patches of other patterns are stitched."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from golden.ptychopinn.grouping.reference import normalise
from golden.ptychopinn.network.reference import Network
from golden.ptychopinn.optimizer.reference import Callbacks, keras_adam
from golden.ptychopinn.physics.reference import intensity_scale_of
from golden.ptychopinn.probe import reference as probes
from golden.ptychopinn.reassembly.reference import position
from golden.ptychopinn.run import mosaics

FIRST = 3
"""Number of first steps whose losses and changes of weights are separate outputs."""
_PREDICTED = 32
_STATES = Path(".artifacts/runs")
"""Directory in which a long training is saved after every epoch, to continue from there."""

Arrays = dict[str, np.ndarray]


def training(real: tf.DType, **given: Any) -> Arrays:
    """Train again at every call, because differences between repeated trainings are part of the noise."""
    task = Task.of(real, given)
    _LEFT.pop(task, None)
    return _training(task)


def reconstruction(real: tf.DType, **given: Any) -> Arrays:
    return _reconstruction(Task.of(real, given))


def long_reconstruction(real: tf.DType, **given: Any) -> Arrays:
    """Return the last losses above those of a perfect prediction, and how well the mosaic shows the object."""
    task = Task.of(real, given, _STATES)
    found = _training(task) | _reconstruction(task)
    del found["first_losses"]
    found["weight_changes"] = trained(task)["changes"].astype(task.real.as_numpy_dtype)
    found |= _excess(task)
    mosaic, mask = found["mosaic"][..., 0], found["mosaic"][..., 0] != 0
    places = given["positions"][given["inferred"]]
    found["patch_orientation"] = mosaics.patch_orientation(found["patches"], places, given["object"])
    return found | mosaics.quality(mosaic, mask, given["object"], places.mean(axis=0))


# ------------------------------------------------------------------------------------------------ outputs


def _training(task: Task) -> Arrays:
    left, dtype = trained(task), task.real.as_numpy_dtype
    return {
        "first_loss": left["losses"][0].astype(dtype),
        "first_losses": left["losses"][:FIRST].astype(dtype),
        "step_losses": left["losses"].astype(dtype),
        "epoch_losses": left["epochs"][:, :2].T.astype(dtype),
    }


def _excess(task: Task) -> Arrays:
    """Return the logarithm of the last epoch's losses minus those of a perfect prediction."""
    given = task.given
    light = (task.scale * normalised(given["diffraction"][given["trained"]]).astype(np.float64)) ** 2
    perfect = light - tf.math.xlogy(light, light).numpy()
    loss, val_loss, _ = trained(task)["epochs"][-1]
    told = {"training_excess": (loss, given["order"][0]), "validation_excess": (val_loss, given["held_back"])}
    excess = {name: np.log(last - perfect[samples].mean()) for name, (last, samples) in told.items()}
    return {name: value.astype(task.real.as_numpy_dtype) for name, value in excess.items()}


def _reconstruction(task: Task) -> Arrays:
    network, given, real = task.network(), task.given, task.real
    network.load(trained(task)["weights"])
    offsets = given["positions"][given["inferred"]].reshape(-1, 1, 2, 1)
    patches = Inference(task, network).patches()
    stitched = position(real, patches=patches, offsets=offsets, M=given["M"])
    count, mosaic = (stitched[name].numpy()[..., 0] for name in ("count", "mosaic"))
    mask, centre = count > mosaics.COVERED, offsets.reshape(-1, 2).mean(axis=0)
    light = probes.normalise(real, probe=given["probe"], probe_scale=given["probe_scale"])["normalised"].numpy()
    inside = probes.hard_mask(real, N=len(light))["mask"].numpy()
    dtype = real.as_numpy_dtype
    return {
        "patches": patches,
        "canvas_side": stitched["canvas_side"],
        "covered": mosaics.covered_box(count),
        "mosaic": (mosaic * mask)[..., None],
        "orientation": mosaics.orientation(mosaic, mask, given["object"], centre).astype(dtype),
        "probe_mean": np.asarray(np.abs(light * inside).mean(), dtype),
        "intensity_scale": np.asarray(task.scale, dtype),
    }


class Inference:
    """A network's inference from patterns to objects, as a graph, as in Keras's ``predict``."""

    def __init__(self, task: Task, network: Network) -> None:
        self.real = task.real
        self.X = normalised(task.given["diffraction"][task.given["inferred"]])
        probe = task.given["probe"]
        self._object = tf.function(lambda x, relative: network.taps(x, relative, probe)["object"], autograph=False)

    def patches(self) -> np.ndarray:
        """Return the patches, (k, N, N, 1)."""
        parts = (self.X[first : first + _PREDICTED] for first in range(0, len(self.X), _PREDICTED))
        return np.concatenate([self._object(*batch(part, self.real)).numpy() for part in parts])


# ------------------------------------------------------------------------------------------------ the training


@dataclass(frozen=True)
class Task:
    """Data and settings of a training; tasks with equal digests are equal.

    Attributes:
        real: dtype of the computation.
        digest: digest of all inputs and parameters, and of this package's source.
        given: inputs and parameters by name.
        states: directory in which the training is saved, or None.
    """

    real: tf.DType
    digest: str
    given: Mapping[str, Any] = field(compare=False)
    states: Path | None = None

    @classmethod
    def of(cls, real: tf.DType, given: Mapping[str, Any], states: Path | None = None) -> Task:
        digest = hashlib.sha256(f"{real.name} {tf.__version__}".encode())
        for file in sorted(Path(__file__).parents[1].glob("**/*.py")):
            digest.update(file.read_bytes())
        for name, value in sorted(given.items()):
            digest.update(f"{name} {value!r}".encode() if not isinstance(value, np.ndarray) else value.tobytes())
        return cls(real, digest.hexdigest()[:16], given, states)

    @property
    def scale(self) -> float:
        return float(intensity_scale_of(self.given["nphotons"], self.given["probe"].shape[0]))

    def network(self) -> Network:
        """Return a network for groups of one, with the switches of the structured configuration."""
        return Network(
            self.real,
            N=self.given["probe"].shape[0],
            members=1,
            amp_activation="sigmoid",
            object_big=True,
            probe_big=True,
            pad_object=True,
            probe_mask=False,
            **{name: self.given[name] for name in ("n_filters_scale", "probe_scale", "nphotons")},
        )


_LEFT: dict[Task, Arrays] = {}
"""Results of trainings, from which the other operation of the same run continues."""


def trained(task: Task) -> Arrays:
    """Return the training's results: ``weights`` (P,), ``losses`` of all steps, ``epochs`` (n, 3), ``changes``."""
    if task not in _LEFT:
        _LEFT[task] = train(task)
    return _LEFT[task]


def train(task: Task) -> Arrays:
    """Return the same, after training from the beginning or from a saved state."""
    training = Training(task)
    kept = None if task.states is None else task.states / f"{task.digest}.npz"
    if kept is not None and kept.exists():
        with np.load(kept, allow_pickle=False) as state:
            training.restore(dict(state))
    orders = task.given["order"]
    while training.finished < len(orders) and not training.stopped:
        began = time.monotonic()
        training.epoch(orders[training.finished])
        if kept is not None:
            _keep(training, kept)
            losses = "loss {:.6g}, validation {:.6g}, learning rate {:.3g}".format(*training.epochs[-1])
            took = f"{time.monotonic() - began:.1f} s"
            print(f"epoch {training.finished} of {len(orders)}: {losses}, {took}", file=sys.stderr, flush=True)
    return training.left()


def _keep(training: Training, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial.npz")
    np.savez(partial, **training.state())  # type: ignore[arg-type]
    partial.replace(kept)


class Training:
    """A training, epoch by epoch; its steps are graphs, as in Keras's ``fit``."""

    def __init__(self, task: Task) -> None:
        given, self.real = task.given, task.real
        self.network, self.given = task.network(), given
        self.network.load(given["weights"])
        self.optimizer = keras_adam(self.real, given["learning_rate"], given["epsilon"])
        self.optimizer.build(self.network.variables)
        self.X = normalised(given["diffraction"][given["trained"]])
        self.callbacks = Callbacks(self.optimizer)
        self.losses: list[float] = []
        self.epochs: list[tuple[float, float, float]] = []
        self.stopped = False
        self.changes = np.zeros(len(self.network.variables))
        self._step, self._loss = (tf.function(one, autograph=False) for one in (self._stepped, self._looked_at))

    @property
    def finished(self) -> int:
        """Return the number of finished epochs."""
        return len(self.epochs)

    def epoch(self, numbers: np.ndarray) -> None:
        """Train on these samples, in this order; then validate on the rest."""
        rate = float(self.optimizer.learning_rate)
        loss = self._mean(self._step_and_tell, numbers)
        self._ends(loss, self._mean(self._tell, self.given["held_back"]), rate)

    def _ends(self, loss: float, val_loss: float, rate: float) -> None:
        self.stopped = self.callbacks.epoch_ends(self.finished, loss, val_loss)
        self.epochs.append((loss, val_loss, rate))

    def _mean(self, loss_of: Callable[[tf.Tensor, tf.Tensor], float], numbers: np.ndarray) -> float:
        """Return the mean over samples, so that a smaller batch counts less."""
        total = sum(loss_of(*batch(self.X[part], self.real)) * len(part) for part in self._batches(numbers))
        return total / len(numbers)

    def _batches(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        size = self.given["batch_size"]
        return (numbers[first : first + size] for first in range(0, len(numbers), size))

    def _step_and_tell(self, x: tf.Tensor, relative: tf.Tensor) -> float:
        self.losses.append(float(self._step(x, relative)))
        if len(self.losses) == FIRST:
            self.changes = self._moved()
        return self.losses[-1]

    def _tell(self, x: tf.Tensor, relative: tf.Tensor) -> float:
        return float(self._loss(x, relative))

    def _stepped(self, x: tf.Tensor, relative: tf.Tensor) -> tf.Tensor:
        loss, gradients = self.network.loss_and_gradients(x, relative, self.given["probe"])
        self.optimizer.apply(gradients, self.network.variables)
        return loss

    def _looked_at(self, x: tf.Tensor, relative: tf.Tensor) -> tf.Tensor:
        return self.network.taps(x, relative, self.given["probe"])["loss"]

    def _moved(self) -> np.ndarray:
        """Return the root mean square change of each array of weights, in units of the learning rate."""
        sizes = [int(np.prod(variable.shape)) for variable in self.network.variables]
        moved = (self._weights() - self.given["weights"]) / self.given["learning_rate"]
        return np.array([np.sqrt(np.mean(part**2)) for part in np.split(moved, np.cumsum(sizes)[:-1])])

    def _weights(self) -> np.ndarray:
        arrays = (variable.numpy() for variable in self.network.variables)
        return np.concatenate([array.astype(np.float64).ravel() for array in arrays])

    def left(self) -> Arrays:
        return {
            "weights": self._weights(),
            "losses": np.array(self.losses),
            "epochs": np.array(self.epochs),
            "changes": self.changes,
        }

    def state(self) -> Arrays:
        """Return the state that ``restore`` needs to continue exactly."""
        moments = {f"moment_{n}": variable.numpy() for n, variable in enumerate(self.optimizer.variables)}
        return self.left() | moments

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.network.load(state["weights"])
        for epoch in state["epochs"]:  # the callbacks' own state cannot be read, so it is rebuilt
            self._ends(*map(float, epoch))
        for number, variable in enumerate(self.optimizer.variables):
            variable.assign(state[f"moment_{number}"])
        self.losses, self.changes = state["losses"].tolist(), state["changes"]


def normalised(diffraction: np.ndarray) -> np.ndarray:
    """Scale these patterns by one common factor; (n, N, N, 1) float32."""
    return normalise(tf.float64, diffraction=diffraction[..., None])["X_full"]


def batch(X: np.ndarray, real: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Return patterns and relative positions, which are 0 in groups of one."""
    return tf.constant(X), tf.zeros([len(X), 1, 2, 1], real)
