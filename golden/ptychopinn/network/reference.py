"""TensorFlow computes the network: an encoder, two decoders, the physics after them; loss, gradients and steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from golden.ptychopinn.formats.reference import channel_to_flat, flat_to_channel
from golden.ptychopinn.merge.reference import extract_flat, sum_and_norm
from golden.ptychopinn.optimizer.reference import keras_adam
from golden.ptychopinn.physics.reference import amplitude_of, intensity_scale_of, poisson_term
from golden.ptychopinn.probe import reference as probes
from golden.spec.arrays import sampled

keras = tf.keras

_OFFSET, _JITTER = 4, 10
"""Offset and jitter of a group's canvas; no configuration changes them."""
_BORDER_CHANNELS = 4
"""Number of channels, the decoder's last, that give the border, whatever ``n_filters_scale`` is."""
STEPS = 5
KEPT = ("step_1", "step_2", "step_5")
ENTRIES = 64
"""Number of entries of each array of weights that are followed through the training."""
_HEADS = {
    "sigmoid": keras.activations.sigmoid,
    "swish": keras.activations.silu,
    "softplus": keras.activations.softplus,
    "relu": keras.activations.relu,
}

Taps = dict[str, tf.Tensor]


def layers(real: tf.DType, **settings: Any) -> Taps:
    """Return the shapes of kernels, which do not depend on the physics."""
    network = Network(real, amp_activation="sigmoid", probe_mask=False, probe_scale=4.0, nphotons=1e9, **settings)
    return {"kernels": tf.constant([layer.kernel.shape for layer in network.layers], tf.int64)}


def forward(real: tf.DType, *, X: np.ndarray, coords_relative: np.ndarray, probe: np.ndarray, **settings: Any) -> Taps:
    network = _loaded(real, **settings)
    return network.taps(X, coords_relative, probe)


def gradients(
    real: tf.DType, *, X: np.ndarray, coords_relative: np.ndarray, probe: np.ndarray, **settings: Any
) -> Taps:
    network = _loaded(real, **settings)
    loss, found = network.loss_and_gradients(X, coords_relative, probe)
    return {"loss": loss, **dict(zip(network.names, found))}


def training(
    real: tf.DType,
    *,
    X: np.ndarray,
    coords_relative: np.ndarray,
    probe: np.ndarray,
    learning_rate: float,
    **settings: Any,
) -> Taps:
    network = _loaded(real, **settings)
    optimizer = keras_adam(real, learning_rate)
    start, moved, sizes = network.sample(network.variables), {}, []
    largest: list[tf.Tensor] = []
    for step in range(1, STEPS + 1):
        _, found = network.loss_and_gradients(X, coords_relative, probe)
        largest = largest or [tf.reduce_max(tf.abs(gradient)) for gradient in found]
        sizes.append(network.sample([tf.abs(gradient) / most for gradient, most in zip(found, largest)]))
        optimizer.apply(found, network.variables)
        moved[f"step_{step}"] = (network.sample(network.variables) - start) / learning_rate
    return {
        **{name: change for name, change in moved.items() if name in KEPT},
        "least_gradient": tf.reduce_min(tf.stack(sizes), axis=0),
    }


def _loaded(real: tf.DType, *, seed: np.ndarray, groups: int, weights: np.ndarray, **settings: Any) -> Network:
    """Make a network with given weights. Seed and number of groups are not used: they determined the inputs."""
    network = Network(real, **settings)
    network.load(weights)
    return network


class Network:
    """The network, with Keras's own initial weights until others are loaded.

    Args:
        real: dtype of the computation.
        N, members: side of a pattern; patterns in a group, C.
        n_filters_scale: factor of the number of filters.
        amp_activation: name of the amplitude's activation.
        object_big, probe_big, pad_object, probe_mask: switches of the model configuration.
        probe_scale: scale of the probe's normalisation.
        nphotons: photons per pattern.
    """

    def __init__(
        self,
        real: tf.DType,
        *,
        N: int,
        members: int,
        n_filters_scale: int,
        amp_activation: str,
        object_big: bool,
        probe_big: bool,
        pad_object: bool,
        probe_mask: bool,
        probe_scale: float,
        nphotons: float,
    ) -> None:
        if N not in (64, 128, 256):
            raise ValueError(f"expected N = 64, 128 or 256, found {N}")
        self._real, self._N, self._members, self._s = real, N, members, n_filters_scale
        self._object_big, self._probe_big, self._pad_object = object_big, probe_big, pad_object
        self._probe_mask, self._probe_scale = probe_mask, probe_scale
        self._activations = {
            "amplitude": _HEADS[amp_activation],
            "phase": lambda x: math.pi * keras.activations.tanh(x),
        }
        self._scale = intensity_scale_of(nphotons, N)
        # The scale is stored as its logarithm.
        self._log_scale = tf.math.log(tf.cast(self._scale, real))
        depth = int(math.log2(N // 8))
        self._down = [128 * n_filters_scale >> (depth - 1 - k) for k in range(depth)]
        self._up = [32 * n_filters_scale << (depth - 2 - k) for k in range(depth - 1)]
        self._layers = dict(self._convolutions())

    # -------------------------------------------------------------------------------------------- weights

    @property
    def names(self) -> list[str]:
        """Return the names of all arrays of weights in Keras's order, that of the graph: the decoders alternate."""
        return [f"{name}_{part}" for name in self._layers for part in ("kernel", "bias")]

    @property
    def layers(self) -> list[Any]:
        """Return the convolutions in this order."""
        return list(self._layers.values())

    @property
    def variables(self) -> list[Any]:
        """Return the arrays of weights, in this order."""
        return [variable for layer in self._layers.values() for variable in (layer.kernel, layer.bias)]

    def sample(self, arrays: Sequence[Any]) -> tf.Tensor:
        """Take at most 64 entries of each array, one after the other; arrays have the shapes of the weights."""
        taken = [sampled(tuple(array.shape), ENTRIES) for array in arrays]
        return tf.concat([tf.gather(tf.reshape(array, [-1]), at) for array, at in zip(arrays, taken)], axis=0)

    def load(self, weights: np.ndarray) -> None:
        """Set all weights from one array: the arrays in this order, each C-contiguous, kernels (row, column, in, out).

        Raises:
            ValueError: the number of weights is wrong.
        """
        sizes = [math.prod(variable.shape) for variable in self.variables]
        if weights.shape != (sum(sizes),):
            raise ValueError(f"expected {sum(sizes)} weights in one array, found shape {weights.shape}")
        for variable, values in zip(self.variables, np.split(weights, np.cumsum(sizes)[:-1])):
            variable.assign(values.reshape(variable.shape))

    def _convolutions(self) -> Iterator[tuple[str, Any]]:
        into = self._members
        for block, filters in enumerate(self._down, 1):
            for part in "ab":
                yield f"encoder_{block}{part}", self._convolution(into, filters, "relu")
                into = filters
        for block, filters in enumerate(self._up, 1):
            for part in "ab":
                yield from self._pair(f"up_{block}{part}", into, filters, "relu")
                into = filters
        out = self._members if self._object_big else 1
        last = self._s * (2048 // self._N)
        if not self._pad_object:
            yield from self._pair("whole_a", into, last, "relu")
            yield from self._pair("whole_b", last, last, "relu")
            yield from self._pair("whole_c", last, out, None)
            return
        if self._probe_big:
            yield from self._pair("border_a", _BORDER_CHANNELS, last, "relu")
            yield from self._pair("border_b", last, last, "relu")
            yield from self._pair("border_c", last, out, "silu")
        yield from self._pair("inner", into - _BORDER_CHANNELS, out, None)

    def _pair(self, name: str, into: int, filters: int, activation: str | None) -> Iterator[tuple[str, Any]]:
        for decoder in ("amplitude", "phase"):
            yield f"{decoder}_{name}", self._convolution(into, filters, activation)

    def _convolution(self, into: int, filters: int, activation: str | None) -> Any:
        layer = keras.layers.Conv2D(filters, 3, padding="same", activation=activation, dtype=self._real.name)
        layer.build((None, None, None, into))
        return layer

    # -------------------------------------------------------------------------------------------- forward

    def loss_and_gradients(
        self, X: np.ndarray, coords_relative: np.ndarray, probe: np.ndarray
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss, and its gradient for every array of weights, in their order."""
        with tf.GradientTape() as tape:
            loss = self.taps(X, coords_relative, probe)["loss"]
        return loss, tape.gradient(loss, [variable.value for variable in self.variables])

    def taps(self, X: np.ndarray, coords_relative: np.ndarray, probe: np.ndarray) -> Taps:
        """Return all intermediate results up to the loss, in order.

        Args:
            X: (B, N, N, C), normalised amplitudes.
            coords_relative: (B, 1, 2, C).
            probe: (N, N), as guessed.
        """
        scaled = tf.cast(self._scale, self._real) * tf.cast(X, self._real)
        taps = dict(self._encoded(scaled / tf.exp(self._log_scale)))
        encoded = taps[f"encoder_{len(self._down)}"]
        for decoder in ("amplitude", "phase"):
            taps |= self._decoded(encoded, decoder)
        amplitude, phase = taps["amplitude"], taps["phase"]
        taps["object_patches"] = tf.complex(amplitude * tf.cos(phase), amplitude * tf.sin(phase))
        taps |= self._placed(taps["object_patches"], tf.cast(coords_relative, self._real))
        taps |= self._detected(taps["patches"], probe)
        target = scaled**2
        taps["loss"] = tf.reduce_mean(poisson_term(taps["predicted_amplitude"] ** 2, target))
        return taps

    def _encoded(self, images: tf.Tensor) -> Iterator[tuple[str, tf.Tensor]]:
        for block in range(1, len(self._down) + 1):
            images = self._apply(f"encoder_{block}", images)
            images = keras.layers.MaxPooling2D(2, dtype=self._real.name)(images)
            yield f"encoder_{block}", images

    def _decoded(self, images: tf.Tensor, decoder: str) -> Taps:
        taps = {}
        for block in range(1, len(self._up) + 1):
            images = taps[f"{decoder}_up_{block}"] = self._up_block(f"{decoder}_up_{block}", images)
        activation, margin = self._activations[decoder], self._N // 4
        if not self._pad_object:
            images = self._up_block(f"{decoder}_whole_", images)
            taps[decoder] = activation(self._layers[f"{decoder}_whole_c"](images))
            return taps
        inner = activation(self._layers[f"{decoder}_inner"](images[..., :-_BORDER_CHANNELS]))
        inner = tf.pad(inner, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
        image = taps[f"{decoder}_inner"] = inner
        if self._probe_big:
            border = self._up_block(f"{decoder}_border_", images[..., -_BORDER_CHANNELS:])
            border = self._layers[f"{decoder}_border_c"](border) * self._border_mask()
            taps[f"{decoder}_border"] = border
            image = inner + border
        taps[decoder] = image
        return taps

    def _up_block(self, name: str, images: tf.Tensor) -> tf.Tensor:
        doubled = keras.layers.UpSampling2D(2, interpolation="nearest", dtype=self._real.name)
        return doubled(self._apply(name, images))

    def _apply(self, name: str, images: tf.Tensor) -> tf.Tensor:
        for part in "ab":
            images = self._layers[f"{name}{part}"](images)
        return images

    def _border_mask(self) -> tf.Tensor:
        """Return the mask (N, N, 1) of the border: 0 in the centre, which is the inner branch's."""
        quarter, half = self._N // 4, self._N // 2
        return 1 - tf.pad(tf.ones([half, half, 1], self._real), [[quarter, quarter], [quarter, quarter], [0, 0]])

    def _placed(self, patches: tf.Tensor, relative: tf.Tensor) -> Taps:
        """Return the object, and each member's patch of it."""
        N = self._N
        padded = N + (math.isqrt(self._members) - 1) * _OFFSET + _JITTER
        margin = (padded - N) // 2
        taps = {}
        if self._object_big:
            total, norm = sum_and_norm(patches, relative, padded)
            canvas = total / tf.cast(norm, total.dtype)
            # Centre and border differ by a factor of 1000. Between them, where moved masks end, are all scales.
            taps["merged_centre"] = _central(canvas, N // 2 - 8)
            taps["merged_border"] = canvas - _padded_like(_central(canvas, N // 2 + 8), canvas)
        else:
            canvas = tf.pad(channel_to_flat(patches), [[0, 0], [margin, margin], [margin, margin], [0, 0]])
        taps["object"] = _central(canvas, N)
        taps["patches"] = extract_flat(canvas, relative, N)
        return taps

    def _detected(self, patches: tf.Tensor, probe: np.ndarray) -> Taps:
        light = probes.normalise(self._real, probe=probe, probe_scale=self._probe_scale)["normalised"]
        illuminated = patches * light[None]
        if self._probe_mask:
            mask = probes.hard_mask(self._real, N=self._N)["mask"]
            illuminated *= tf.cast(mask, illuminated.dtype)[None]
        amplitude = flat_to_channel(amplitude_of(illuminated, self._N), self._members) * tf.exp(self._log_scale)
        return {"illuminated": illuminated, "predicted_amplitude": amplitude}


def _central(images: tf.Tensor, side: int) -> tf.Tensor:
    """Cut the central pixels of images (n, P, P, 1); P - side is even."""
    first = (images.shape[1] - side) // 2
    return images[:, first : first + side, first : first + side]


def _padded_like(images: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    margin = (like.shape[1] - images.shape[1]) // 2
    return tf.pad(images, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
