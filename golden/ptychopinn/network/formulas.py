"""These formulas compute the network: its structure, layers, heads, canvas and physics, up to the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from golden.ptychopinn.formats.formulas import channel_to_flat, flat_to_channel
from golden.ptychopinn.merge import formulas as merge
from golden.ptychopinn.physics.formulas import amplitude_of, intensity_scale_of
from golden.ptychopinn.probe.formulas import mask, normalised
from golden.spec.arrays import Arrays, sampled
from golden.spec.parameters import Parameters

BORDER_CHANNELS = 4
"""Number of channels, the decoder's last, that give the border; the others give the centre."""
DECODERS = ("amplitude", "phase")
ENTRIES = 64
"""Number of entries of each array of weights that are followed through the training."""

Map = Callable[[np.ndarray], np.ndarray]

# ------------------------------------------------------------------------------------------------ structure


@dataclass(frozen=True)
class Structure:
    """The layers of a network.

    Attributes:
        N: side of a pattern, pixels: 64, 128 or 256.
        members: C, patterns in a group.
        scale: ``n_filters_scale``.
        object_big, probe_big, pad_object: switches of the model configuration.
    """

    N: int
    members: int
    scale: int
    object_big: bool
    probe_big: bool
    pad_object: bool

    @classmethod
    def of(cls, N: int, members: int, parameters: Parameters) -> Structure:
        """Return the structure of a case, from its parameters."""
        switches = (parameters[name] for name in ("object_big", "probe_big", "pad_object"))
        return cls(N, members, parameters["n_filters_scale"], *switches)

    @property
    def has_border(self) -> bool:
        return self.pad_object and self.probe_big

    @property
    def fills_border(self) -> bool:
        """Return whether patches have a border, which the merge divides by 0.001."""
        return self.has_border or not self.pad_object

    @property
    def border_channels(self) -> int:
        """Return the number of channels, the decoder's last, that give the border; the others give the centre."""
        return BORDER_CHANNELS

    @property
    def outputs(self) -> int:
        """Return the number of images that a decoder returns for a group."""
        return self.members if self.object_big else 1

    @property
    def down(self) -> list[int]:
        """Return the filters of the encoder's blocks; each halves the image, down to 8 x 8."""
        depth = int(math.log2(self.N // 8))
        return [128 * self.scale >> depth - 1 - k for k in range(depth)]

    @property
    def up(self) -> list[int]:
        """Return the filters of a decoder's blocks; each doubles the image, up to N / 2."""
        depth = int(math.log2(self.N // 8))
        return [32 * self.scale << depth - 2 - k for k in range(depth - 1)]

    @property
    def last(self) -> int:
        """Return the filters of the block from N / 2 to N pixels."""
        return self.scale * (2048 // self.N)

    @property
    def last_of_border(self) -> int:
        """Return the filters of the same block in the border's branch."""
        return self.last

    def decoder(self) -> Iterator[tuple[str, int, int]]:
        """Yield the layers of one decoder, in order: name, channels in and out."""
        into = self.down[-1]
        for block, filters in enumerate(self.up, 1):
            yield f"up_{block}a", into, filters
            yield f"up_{block}b", filters, filters
            into = filters
        if not self.pad_object:
            yield from (("whole_a", into, self.last), ("whole_b", self.last, self.last))
            yield "whole_c", self.last, self.outputs
            return
        if self.has_border:
            wide = self.last_of_border
            yield from (("border_a", self.border_channels, wide), ("border_b", wide, wide))
            yield "border_c", wide, self.outputs
        yield "inner", into - self.border_channels, self.outputs

    def encoder(self) -> Iterator[tuple[str, int, int]]:
        """Yield the layers of the encoder, in the same way."""
        into = self.members
        for block, filters in enumerate(self.down, 1):
            yield f"encoder_{block}a", into, filters
            yield f"encoder_{block}b", filters, filters
            into = filters

    def layers(self) -> list[tuple[str, int, int]]:
        """Return all layers in the order of their weights, in which the decoders alternate."""
        pairs = ((f"{decoder}_{name}", *sizes) for name, *sizes in self.decoder() for decoder in DECODERS)
        return [*self.encoder(), *pairs]  # type: ignore[list-item]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all arrays of weights, in order: kernels (row, column, in, out), then their biases."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, into, out in self.layers():
            shapes |= {f"{name}_kernel": (3, 3, into, out), f"{name}_bias": (out,)}
        return shapes


def layers(*, structure: type[Structure] = Structure, **settings: Any) -> dict[str, np.ndarray]:
    """Return the shapes of all kernels; ``settings`` are the attributes of a structure, by TensorFlow's names."""
    one = structure.of(settings["N"], settings["members"], settings)
    return {"kernels": np.array([shape for shape in one.shapes().values() if len(shape) == 4])}


def split(weights: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Split one array of all weights into arrays by name."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    return {name: part.reshape(shapes[name]) for name, part in zip(shapes, np.split(weights, ends[:-1]))}


def central(images: np.ndarray, side: int) -> np.ndarray:
    """Cut the central pixels of images (n, P, P, 1); P - side is even."""
    first = (images.shape[1] - side) // 2
    return images[:, first : first + side, first : first + side]


def merged_centre(canvas: np.ndarray, N: int) -> np.ndarray:
    """Cut from a canvas (B, P, P, 1) the part in the centres of all members, which are at most 4 pixels apart."""
    return central(canvas, N // 2 - 8)


def merged_border(canvas: np.ndarray, N: int) -> np.ndarray:
    """Set a canvas to 0 where there may be centres of members."""
    inside = np.zeros(canvas.shape)
    central(inside, N // 2 + 8)[:] = 1
    return (canvas * (1 - inside)).astype(canvas.dtype)


# ------------------------------------------------------------------------------------------------ parts


def correlate(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Correlate images (B, H, W, in), padded with zeros, with a kernel (3, 3, in, out)."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = (padded[:, r : r + height, c : c + width] @ kernel[r, c] for r in range(3) for c in range(3))
    return sum(taps, np.zeros(()))


def rectify(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))


def swish(x: np.ndarray) -> np.ndarray:
    return x * logistic(x)


ACTIVATIONS: Mapping[str, Map] = {
    "sigmoid": logistic,
    "swish": swish,
    "softplus": lambda x: np.logaddexp(x, 0),
    "relu": rectify,
}


def windows(images: np.ndarray) -> np.ndarray:
    """Return windows of 2 x 2 pixels, (B, H / 2, W / 2, channels, 2, 2)."""
    return sliding_window_view(images, (2, 2), (1, 2))[:, ::2, ::2]


def largest(images: np.ndarray) -> np.ndarray:
    """Return the maximum of every 2 x 2 pixels."""
    return windows(images).max(axis=(4, 5))


def repeated(images: np.ndarray) -> np.ndarray:
    """Repeat every pixel four times."""
    return images.repeat(2, axis=1).repeat(2, axis=2)


def polar(amplitude: np.ndarray, phase: np.ndarray) -> np.ndarray:
    return np.asarray(amplitude * np.exp(1j * phase))


def border_mask(N: int) -> np.ndarray:
    """Return the mask (N, N, 1) of the border: 0 in the centre, 1 around it."""
    return 1 - merge.centre_mask(N)[..., None]


@dataclass(frozen=True)
class Network:
    """The forward computation in double precision, right unless a part is replaced.

    Attributes:
        order: structure -> its layers, in the order in which the weights are read.
        kernel, bias: change of the arrays of weights.
        encode: normalised patterns and intensity scale -> input of the encoder.
        correlate, pool, enlarge: operations of every layer and block.
        hidden: activation of the blocks.
        amplitude: name of the configured activation -> activation of the amplitude's head.
        phase: activation of the phase's head.
        border: activation of the head -> activation of the border.
        activate_padded: pad the centre before the head's activation.
        border_channels: channels of a decoder -> those for (border, centre).
        mask: mask of the border.
        combine: amplitude and phase -> patches.
        patches: change of the combined patches.
        merge_by: change of the patches' displacements in the merge.
        counted: N -> mask of the pixels of a patch that the merge counts.
        epsilon: number that is added to the count.
        groups: change of all groups' sums, and of their counts.
        extract_by: change of the canvases' displacements.
        light: guessed probe and ``probe_scale`` -> probe that illuminates the object.
        masked: whether the field should be masked -> whether it is.
        detect: field -> amplitude.
        scale: right factor of the amplitudes -> factor that is used.
        predicted: change of the prediction.
        loss: predicted and target amplitude -> number.
    """

    order: Callable[[Structure], list[tuple[str, int, int]]] = Structure.layers
    kernel: Map = lambda kernel: kernel
    bias: Map = lambda bias: bias
    encode: Callable[[np.ndarray, float], np.ndarray] = lambda X, scale: X
    correlate: Callable[[np.ndarray, np.ndarray], np.ndarray] = correlate
    pool: Map = largest
    enlarge: Map = repeated
    hidden: Map = rectify
    amplitude: Callable[[str], Map] = ACTIVATIONS.__getitem__
    phase: Map = lambda x: np.pi * np.tanh(x)
    border: Callable[[Map], Map] = lambda head: swish
    activate_padded: bool = False
    border_channels: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] = lambda x: (x[..., -4:], x[..., :-4])
    mask: Callable[[int], np.ndarray] = border_mask
    combine: Callable[[np.ndarray, np.ndarray], np.ndarray] = polar
    patches: Map = lambda patches: patches
    merge_by: Map = lambda by: by
    counted: Callable[[int], np.ndarray] = merge.centre_mask
    epsilon: float = 1e-3
    groups: Map = lambda one: one
    extract_by: Map = lambda by: by
    light: Callable[[np.ndarray, float], np.ndarray] = normalised
    masked: Callable[[bool], bool] = bool
    detect: Map = amplitude_of
    scale: Callable[[float], float] = float
    predicted: Map = lambda amplitude: amplitude
    loss: Callable[[np.ndarray, np.ndarray], float] = lambda predicted, target: float(
        poisson_of_amplitudes(predicted, target).mean()
    )

    def taps(
        self,
        X: np.ndarray,
        coords_relative: np.ndarray,
        probe: np.ndarray,
        weights: np.ndarray,
        settings: Parameters,
    ) -> dict[str, np.ndarray]:
        """Return the outputs of ``network.forward``, from its inputs and parameters."""
        X = X.astype(np.float64)
        N, members = X.shape[1], X.shape[3]
        structure, scale = Structure.of(N, members, settings), intensity_scale_of(settings["nphotons"], N)
        arrays = self._arrays(weights.astype(np.float64), structure)
        images, taps = self.encode(X, scale), {}
        for block in range(1, len(structure.down) + 1):
            images = taps[f"encoder_{block}"] = self.pool(self._pair(arrays, f"encoder_{block}", images))
        head = self.amplitude(settings["amp_activation"])
        for decoder, activation in (("amplitude", head), ("phase", self.phase)):
            taps |= self._decoded(arrays, decoder, images, structure, activation)
        patches = self.patches(self.combine(taps["amplitude"], taps["phase"]))
        taps["object_patches"] = patches
        taps |= self._placed(patches, coords_relative, structure)
        field = taps["patches"] * self.light(probe, settings["probe_scale"])[None, :, :, None]
        if self.masked(settings["probe_mask"]):
            field = field * mask(N)[None, :, :, None]
        taps["illuminated"] = field
        amplitude = flat_to_channel(self.detect(field), members)
        taps["predicted_amplitude"] = self.predicted(amplitude * self.scale(scale))
        taps["loss"] = np.array(self.loss(taps["predicted_amplitude"], scale * X))
        return {name: _single(array) for name, array in taps.items()}

    def _arrays(self, flat: np.ndarray, structure: Structure) -> dict[str, np.ndarray]:
        shapes = structure.shapes()
        order = [f"{name}_{part}" for name, *_ in self.order(structure) for part in ("kernel", "bias")]
        arrays = split(flat, {name: shapes[name] for name in order})
        return {name: (self.kernel if array.ndim == 4 else self.bias)(array) for name, array in arrays.items()}

    def _layer(self, weights: Arrays, name: str, images: np.ndarray) -> np.ndarray:
        return self.correlate(images, weights[f"{name}_kernel"]) + weights[f"{name}_bias"]

    def _pair(self, weights: Arrays, name: str, images: np.ndarray) -> np.ndarray:
        for part in "ab":
            images = self.hidden(self._layer(weights, f"{name}{part}", images))
        return images

    def _decoded(
        self, weights: Arrays, decoder: str, images: np.ndarray, structure: Structure, activation: Map
    ) -> dict[str, np.ndarray]:
        taps = {}
        for block in range(1, len(structure.up) + 1):
            name = f"{decoder}_up_{block}"
            images = taps[name] = self.enlarge(self._pair(weights, name, images))
        if not structure.pad_object:
            images = self.enlarge(self._pair(weights, f"{decoder}_whole_", images))
            taps[decoder] = activation(self._layer(weights, f"{decoder}_whole_c", images))
            return taps
        outer, centre = self.border_channels(images)
        image = taps[f"{decoder}_inner"] = self._inner(self._layer(weights, f"{decoder}_inner", centre), activation)
        if structure.probe_big:
            outer = self.enlarge(self._pair(weights, f"{decoder}_border_", outer))
            border = self.border(activation)(self._layer(weights, f"{decoder}_border_c", outer))
            taps[f"{decoder}_border"] = border * self.mask(structure.N)
            image = image + taps[f"{decoder}_border"]
        taps[decoder] = image
        return taps

    def _inner(self, images: np.ndarray, activation: Map) -> np.ndarray:
        margin = images.shape[1] // 2
        margins = ((0, 0), (margin, margin), (margin, margin), (0, 0))
        return activation(np.pad(images, margins)) if self.activate_padded else np.pad(activation(images), margins)

    def _placed(self, patches: np.ndarray, coords_relative: np.ndarray, structure: Structure) -> dict[str, np.ndarray]:
        N, padded = structure.N, merge.padded_size(structure.N, structure.members)
        taps = {}
        if structure.object_big:
            by = self.merge_by(merge.moves(coords_relative))
            total, count = merge.sums(patches, by, padded, mask=self.counted)
            canvas = self.groups(total) / (self.groups(count) + self.epsilon)
            taps["merged_centre"], taps["merged_border"] = merged_centre(canvas, N), merged_border(canvas, N)
        else:
            canvas = merge.on_canvas(channel_to_flat(patches), padded)
        taps["object"] = central(canvas, N)
        canvases = merge.for_each_member(canvas, structure.members)
        taps["patches"] = merge.extracted(canvases, self.extract_by(merge.displacements(coords_relative)), N)
        return taps


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex64 if np.iscomplexobj(array) else np.float32)


def poisson_of_amplitudes(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the Poisson term of the intensities of amplitudes."""
    return predicted**2 - target**2 * np.log(predicted**2)


def forward(
    *,
    seed: np.ndarray,
    X: np.ndarray,
    coords_relative: np.ndarray,
    probe: np.ndarray,
    weights: np.ndarray,
    network: Network = Network(),
    **settings: Any,
) -> dict[str, np.ndarray]:
    return network.taps(X, coords_relative, probe, weights, settings)


# ------------------------------------------------------------------------------------------------ training


def entries(structure: Structure) -> dict[str, np.ndarray]:
    """Return the flat indices that the training follows, by array of weights, in order."""
    return {name: sampled(shape, ENTRIES) for name, shape in structure.shapes().items()}


def split_entries(followed: np.ndarray, structure: Structure) -> dict[str, np.ndarray]:
    """Split an output of the training into its entries, by array of weights."""
    return split(followed, {name: at.shape for name, at in entries(structure).items()})
