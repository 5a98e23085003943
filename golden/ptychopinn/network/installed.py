"""Run the network of the installed package ``ptycho``, with its gradients and training steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, unexpected
from golden.ptychopinn.network.formulas import Structure, entries, merged_border, merged_centre
from golden.ptychopinn.physics.installed import intensity_scale_of

_CALL = "model.create_compiled_model"
NEEDS = dict.fromkeys(("layers", "forward", "gradients", "training"), _CALL)

_SWITCHES = {"object_big": "object.big", "probe_big": "probe.big", "probe_mask": "probe.mask"}
"""Settings of a case -> the package's global parameters, if the names differ."""
_LAYERS = {
    "object_patches": "obj",
    "object": "trimmed_obj",
    "patches": "padded_objs_with_offsets",
    "illuminated": "probe_illumination",
    "predicted_amplitude": "intensity_scaler_inv",
}
"""Outputs of a golden -> the names of the package's layers that compute them."""
_STEPS, _KEPT = 5, (1, 2, 5)


def layers(**settings: Any) -> dict[str, np.ndarray]:
    """Return the shapes of kernels, which do not depend on the physics."""
    light = np.ones((settings["N"], settings["N"]), np.complex64)
    physics: dict[str, Any] = {"amp_activation": "sigmoid", "probe_mask": False, "probe_scale": 4.0, "nphotons": 1e9}
    with opened(probe=light, **physics, **settings) as model:
        return {"kernels": np.array([weights.shape for weights in model.weights() if weights.ndim == 4])}


def forward(*, X: np.ndarray, coords_relative: np.ndarray, **settings: Any) -> dict[str, np.ndarray]:
    with _loaded(**settings) as model:
        taps = model.taps(X, coords_relative)
        return {**taps, "loss": np.asarray(model.loss(X, coords_relative))}


def gradients(*, X: np.ndarray, coords_relative: np.ndarray, **settings: Any) -> dict[str, np.ndarray]:
    with _loaded(**settings) as model:
        loss, found = model.loss_and_gradients(X, coords_relative)
        return {"loss": loss, **dict(zip(model.structure.shapes(), found))}


def training(
    *, X: np.ndarray, coords_relative: np.ndarray, learning_rate: float, **settings: Any
) -> dict[str, np.ndarray]:
    """Train on the same batch in every step, and record the gradients before each."""
    with _loaded(**settings) as model:
        model.autoencoder.optimizer.learning_rate = learning_rate
        followed = list(entries(model.structure).values())
        start, moved, sizes = _sample(model.weights(), followed), {}, []
        largest: list[np.ndarray] = []
        for step in range(1, _STEPS + 1):
            _, found = model.loss_and_gradients(X, coords_relative)
            largest = largest or [np.abs(gradient).max() for gradient in found]
            sizes.append(_sample([np.abs(part) / most for part, most in zip(found, largest)], followed))
            model.train(X, coords_relative)
            moved[step] = (_sample(model.weights(), followed) - start) / np.float32(learning_rate)
    return {**{f"step_{step}": moved[step] for step in _KEPT}, "least_gradient": np.min(sizes, axis=0)}


def _sample(arrays: list[np.ndarray], followed: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.reshape(-1)[at] for array, at in zip(arrays, followed)])


@contextmanager
def _loaded(*, seed: np.ndarray, groups: int, weights: np.ndarray, **settings: Any) -> Iterator[Model]:
    """Make a model with given weights. Seed and number of groups are not used: they determined the inputs."""
    with opened(**settings) as model:
        model.load(weights)
        yield model


@contextmanager
def opened(*, probe: np.ndarray, members: int, **settings: Any) -> Iterator[Model]:
    """Make the package's compiled model as its training does, with these settings.

    The model depends on scale, probe and switches in the global parameters; some layers read them when called.
    """
    N, grid = settings["N"], math.isqrt(members)
    structure = Structure.of(N, members, settings)
    given = {_SWITCHES.get(name, name): value for name, value in settings.items()}
    with global_parameters(gridsize=grid, **given), _nothing_kept():
        scale = intensity_scale_of(settings["nphotons"], N)
        offered("params.set")("intensity_scale", scale)
        offered("probe.set_probe_guess")(None, probe)
        autoencoder, to_object = offered(_CALL)(gridsize=grid, N=N)
        yield Model(autoencoder, to_object, structure, scale)


@contextmanager
def _nothing_kept() -> Iterator[None]:
    """Clear the scale and the probe that the package keeps from one model to the next; restore them afterwards."""
    kept = offered("model._lazy_cache")
    before = dict(kept)
    kept.clear()
    try:
        yield
    finally:
        kept.clear()
        kept.update(before)


@dataclass(frozen=True)
class Model:
    """The package's compiled model.

    Attributes:
        autoencoder: the model that is trained; it returns objects, amplitudes and intensities.
        to_object: the model that returns only objects.
        structure: its layers, according to the golden.
        scale: factor of normalised patterns.
    """

    autoencoder: Any
    to_object: Any
    structure: Structure
    scale: np.float32

    def load(self, weights: np.ndarray) -> None:
        """Set all weights from one array, in Keras's order."""
        shapes = list(self.structure.shapes().values())
        variables = self.autoencoder.trainable_weights
        found = [tuple(variable.shape) for variable in variables]
        if found != shapes:
            raise unexpected(_CALL, f"a model with weights of shapes {shapes}", str(found))
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        for variable, values in zip(variables, np.split(weights, ends)):
            variable.assign(values.reshape(variable.shape))

    def weights(self) -> list[np.ndarray]:
        """Return copies of all weights, in Keras's order."""
        return [np.array(variable) for variable in self.autoencoder.trainable_weights]

    def inputs(self, X: np.ndarray, coords_relative: np.ndarray) -> list[np.ndarray]:
        """Return the arguments of the model for normalised patterns."""
        return [X * self.scale, coords_relative]

    def targets(self, X: np.ndarray) -> list[np.ndarray]:
        """Return the targets of the model. Objects have no weight in the loss, so any object will do."""
        scaled = X * self.scale
        return [scaled[..., :1], scaled, scaled**2]

    def loss(self, X: np.ndarray, coords_relative: np.ndarray) -> Any:
        """Return the sum of the package's own losses, with its own weights; a tensor."""
        predicted = self.autoencoder(self.inputs(X, coords_relative), training=True)
        return self.autoencoder.compute_loss(y=self.targets(X), y_pred=predicted)

    def loss_and_gradients(self, X: np.ndarray, coords_relative: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self.loss(X, coords_relative)
        found = tape.gradient(loss, [variable.value for variable in self.autoencoder.trainable_weights])
        return np.asarray(loss), [np.asarray(gradient) for gradient in found]

    def train(self, X: np.ndarray, coords_relative: np.ndarray) -> float:
        """Train on one batch; returns its loss before the step."""
        return self._loss_by(self.autoencoder.train_on_batch, X, coords_relative)

    def test(self, X: np.ndarray, coords_relative: np.ndarray) -> float:
        """Return the loss of one batch, as Keras computes it."""
        return self._loss_by(self.autoencoder.test_on_batch, X, coords_relative)

    def _loss_by(self, call: Any, X: np.ndarray, coords_relative: np.ndarray) -> float:
        self.autoencoder.reset_metrics()  # otherwise it is the mean over all batches so far
        return float(np.ravel(call(self.inputs(X, coords_relative), self.targets(X)))[0])

    def objects(self, X: np.ndarray, coords_relative: np.ndarray) -> np.ndarray:
        """Return the objects of a batch (B, N, N, 1) complex64."""
        found = self.to_object.predict_on_batch(self.inputs(X, coords_relative))
        N = self.structure.N
        return checked("model's objects", found, np.complex64, len(X), N, N, 1)

    def taps(self, X: np.ndarray, coords_relative: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs of its layers."""
        layers = self._layers()
        found = type(self.autoencoder)(self.autoencoder.inputs, layers)(self.inputs(X, coords_relative))
        taps = {name: np.asarray(value) for name, value in found.items()}
        for decoder in ("amplitude", "phase"):
            if self.structure.has_border:  # exact: at every pixel, one of the two summands is 0
                taps[f"{decoder}_border"] = taps[decoder] - taps[f"{decoder}_inner"]
        canvas = taps.pop("canvas")
        if self.structure.object_big:
            taps["merged_centre"] = merged_centre(canvas, self.structure.N)
            taps["merged_border"] = merged_border(canvas, self.structure.N)
        return taps

    def _layers(self) -> dict[str, Any]:
        """Return the symbolic outputs of its layers by the golden's names."""
        structure = self.structure
        pooled, doubled = (self._outputs_of(kind) for kind in ("MaxPooling2D", "UpSampling2D"))
        up = [
            f"{decoder}_up_{block}" for block in range(1, len(structure.up) + 1) for decoder in ("amplitude", "phase")
        ]
        layers = {f"encoder_{block}": output for block, output in enumerate(pooled, 1)}
        layers |= dict(zip(up, doubled))
        combining = self._layer("obj")
        layers |= dict(zip(("amplitude", "phase"), combining.input))
        if structure.pad_object:
            layers |= {"amplitude_inner": self._layer("amp_padded").output}
            layers |= {"phase_inner": self._layer("phase_padded").output}
        layers |= {name: self._layer(layer).output for name, layer in _LAYERS.items()}
        layers["illuminated"] = layers["illuminated"][0]  # the layer also returns the probe
        return {**layers, "canvas": self._layer("padded_obj_2").output}

    def _outputs_of(self, kind: str) -> list[Any]:
        return [layer.output for layer in self.autoencoder.layers if type(layer).__name__ == kind]

    def _layer(self, name: str) -> Any:
        try:
            return self.autoencoder.get_layer(name)
        except ValueError:
            raise unexpected(_CALL, f"a model with a layer {name!r}", str(self._names())) from None

    def _names(self) -> list[str]:
        return [layer.name for layer in self.autoencoder.layers]
