"""Faults of the network: its layers, heads, canvas and physics, each a wrong part in an otherwise right computation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from golden.ptychopinn.formats.faults import channel_major, channel_to_flat, flat_to_channel
from golden.ptychopinn.merge import faults as merge
from golden.ptychopinn.physics import faults as physics
from golden.ptychopinn.probe.faults import mask, norm
from golden.spec.arrays import Arrays, sampled
from golden.spec.fault import Fault, Trial
from golden.spec.parameters import Parameters

BORDER_CHANNELS = 4
"""The last channels of a decoder; its border is made from them, its centre from the others."""
DECODERS = ("amplitude", "phase")
ENTRIES = 64
"""Of each array of weights, that are followed through the training."""

Map = Callable[[np.ndarray], np.ndarray]

# ------------------------------------------------------------------------------------------------ structure


@dataclass(frozen=True)
class Structure:
    """Which layers a network has.

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
        """Of a case, from the parameters of its operation."""
        switches = (bool(parameters[name]) for name in ("object_big", "probe_big", "pad_object"))
        return cls(N, members, int(parameters["n_filters_scale"] or 0), *switches)

    @property
    def has_border(self) -> bool:
        return self.pad_object and self.probe_big

    @property
    def fills_border(self) -> bool:
        """Whether patches have anything outside their centre, which the merge would divide by 0.001 alone."""
        return self.has_border or not self.pad_object

    @property
    def outputs(self) -> int:
        """Images that a decoder makes of a group."""
        return self.members if self.object_big else 1

    @property
    def down(self) -> list[int]:
        """Filters of the encoder's blocks; the image halves in each, down to 8 x 8."""
        depth = int(math.log2(self.N // 8))
        return [128 * self.scale >> depth - 1 - k for k in range(depth)]

    @property
    def up(self) -> list[int]:
        """Filters of a decoder's blocks; the image doubles in each, up to N / 2."""
        depth = int(math.log2(self.N // 8))
        return [32 * self.scale << depth - 2 - k for k in range(depth - 1)]

    @property
    def last(self) -> int:
        """Filters of the block that makes N pixels of N / 2."""
        return self.scale * (2048 // self.N)

    def decoder(self) -> Iterator[tuple[str, int, int]]:
        """The layers of one decoder, in order: name, channels in and out."""
        into = self.down[-1]
        for block, filters in enumerate(self.up, 1):
            yield f"up_{block}a", into, filters
            yield f"up_{block}b", filters, filters
            into = filters
        if not self.pad_object:
            yield from (("whole_a", into, self.last), ("whole_b", self.last, self.last))
            yield "whole_c", self.last, self.outputs
            return
        if self.probe_big:
            yield from (("border_a", BORDER_CHANNELS, self.last), ("border_b", self.last, self.last))
            yield "border_c", self.last, self.outputs
        yield "inner", into - BORDER_CHANNELS, self.outputs

    def encoder(self) -> Iterator[tuple[str, int, int]]:
        """The layers of the encoder, likewise."""
        into = self.members
        for block, filters in enumerate(self.down, 1):
            yield f"encoder_{block}a", into, filters
            yield f"encoder_{block}b", filters, filters
            into = filters

    def layers(self) -> list[tuple[str, int, int]]:
        """All layers in the order of their weights: the decoders alternate."""
        pairs = ((f"{decoder}_{name}", *sizes) for name, *sizes in self.decoder() for decoder in DECODERS)
        return [*self.encoder(), *pairs]  # type: ignore[list-item]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every array of weights, in order: kernels (row, column, in, out), and their biases."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, into, out in self.layers():
            shapes |= {f"{name}_kernel": (3, 3, into, out), f"{name}_bias": (out,)}
        return shapes


def split(weights: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """One array of all weights -> array by name."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    return {name: part.reshape(shapes[name]) for name, part in zip(shapes, np.split(weights, ends[:-1]))}


def padded_size(N: int, members: int) -> int:
    """Nominal side of the canvas with TensorFlow's default offset and jitter."""
    return N + (math.isqrt(members) - 1) * 4 + 10


def central(images: np.ndarray, side: int) -> np.ndarray:
    """The central pixels of images (n, P, P, 1); P - side is even."""
    first = (images.shape[1] - side) // 2
    return images[:, first : first + side, first : first + side]


def merged_centre(canvas: np.ndarray, N: int) -> np.ndarray:
    """Of a canvas (B, P, P, 1), what lies inside the centres of all members, which are at most 4 pixels apart."""
    return central(canvas, N // 2 - 8)


def merged_border(canvas: np.ndarray, N: int) -> np.ndarray:
    """The canvas, 0 where centres of members may lie."""
    inside = np.zeros(canvas.shape)
    central(inside, N // 2 + 8)[:] = 1
    return (canvas * (1 - inside)).astype(canvas.dtype)


# ------------------------------------------------------------------------------------------------ parts


def correlate(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Images (B, H, W, in) under a kernel (3, 3, in, out), zeros around them."""
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


def _windows(images: np.ndarray) -> np.ndarray:
    """(B, H / 2, W / 2, channels, 2, 2)."""
    return sliding_window_view(images, (2, 2), (1, 2))[:, ::2, ::2]


def largest(images: np.ndarray) -> np.ndarray:
    """The largest of every 2 x 2 pixels."""
    return _windows(images).max(axis=(4, 5))


def repeated(images: np.ndarray) -> np.ndarray:
    """Every pixel four times."""
    return images.repeat(2, axis=1).repeat(2, axis=2)


def _bilinear(images: np.ndarray) -> np.ndarray:
    for axis in (1, 2):
        margins = [(1, 1) if a == axis else (0, 0) for a in range(4)]
        padded = np.moveaxis(np.pad(images, margins, mode="edge"), axis, 0)
        near = padded[1:-1]
        doubled = np.stack([0.75 * near + 0.25 * padded[:-2], 0.75 * near + 0.25 * padded[2:]], axis=1)
        images = np.moveaxis(doubled.reshape(-1, *near.shape[1:]), 0, axis)
    return images


def polar(amplitude: np.ndarray, phase: np.ndarray) -> np.ndarray:
    return np.asarray(amplitude * np.exp(1j * phase))


def border_mask(N: int) -> np.ndarray:
    """(N, N, 1): 0 in the centre."""
    return 1 - merge.centre_mask(N)[..., None]


def _number(t: Trial, name: str) -> float:
    return float(t.parameters[name] or 0)


def normalised_probe(t: Trial) -> np.ndarray:
    """(N, N), as it should be."""
    probe = t.inputs["probe"].astype(np.complex128)
    return probe / (_number(t, "probe_scale") * norm(probe))


@dataclass(frozen=True)
class Network:
    """The forward computation in double precision, as it should be unless a part is replaced.

    Attributes:
        order: layers of a structure in the order in which the weights are read.
        kernel, bias: what is made of the arrays of weights.
        encode: what the encoder gets, from normalised patterns and the intensity scale.
        correlate, pool, enlarge: of every layer and block.
        hidden: activation of the blocks.
        amplitude: the head's activation, from the name of the one that is configured.
        phase: the head's activation.
        border: its activation, from that of the head.
        activate_padded: pad the centre before the head's activation.
        border_channels: which of a decoder's channels: (border, centre).
        mask: of the border.
        combine: amplitude and phase -> patches.
        patches: what is made of the combined patches.
        merge: keyword arguments of ``golden.ptychopinn.merge.faults.sums`` for the merge of a trial.
        epsilon: added to the count.
        groups: what is made of all groups' sums, and of their counts.
        extract_by: how far the canvases move, from what is right.
        probe: the probe, from the trial.
        masked: whether the field is masked, from whether it should be.
        detect: field -> amplitude.
        scale: what amplitudes are multiplied with, from what is right.
        predicted: what is made of the prediction.
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
    merge: Callable[[Trial], dict[str, Any]] = lambda t: {}
    epsilon: float = 1e-3
    groups: Map = lambda one: one
    extract_by: Map = lambda by: by
    probe: Callable[[Trial], np.ndarray] = normalised_probe
    masked: Callable[[bool], bool] = bool
    detect: Map = physics.diffraction
    scale: Callable[[float], float] = float
    predicted: Map = lambda amplitude: amplitude
    loss: Callable[[np.ndarray, np.ndarray], float] = lambda predicted, target: float(
        _poisson(predicted, target).mean()
    )

    def taps(self, t: Trial) -> dict[str, np.ndarray]:
        """The operation's outputs."""
        X = t.inputs["X"].astype(np.float64)
        N, members = X.shape[1], X.shape[3]
        structure, scale = Structure.of(N, members, t.parameters), physics.scale_of(_number(t, "nphotons"), N)
        weights = self._weights(t.inputs["weights"].astype(np.float64), structure)
        images, taps = self.encode(X, scale), {}
        for block in range(1, len(structure.down) + 1):
            images = taps[f"encoder_{block}"] = self.pool(self._pair(weights, f"encoder_{block}", images))
        head = self.amplitude(str(t.parameters["amp_activation"]))
        for decoder, activation in (("amplitude", head), ("phase", self.phase)):
            taps |= self._decoded(weights, decoder, images, structure, activation)
        patches = self.patches(self.combine(taps["amplitude"], taps["phase"]))
        taps["object_patches"] = patches
        taps |= self._placed(t, patches, structure)
        taps |= self._detected(t, taps["patches"], scale)
        taps["loss"] = np.array(self.loss(taps["predicted_amplitude"], scale * X))
        return {name: _single(array) for name, array in taps.items()}

    def _weights(self, flat: np.ndarray, structure: Structure) -> dict[str, np.ndarray]:
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

    def _placed(self, t: Trial, patches: np.ndarray, structure: Structure) -> dict[str, np.ndarray]:
        N, padded = structure.N, padded_size(structure.N, structure.members)
        placed = replace(t, inputs={**t.inputs, "patches": patches}, parameters={"padded_size": padded, "N": N})
        taps = {}
        if structure.object_big:
            total, count = merge.sums(placed, **self.merge(placed))
            canvas = self.groups(total) / (self.groups(count) + self.epsilon)
            taps["merged_centre"], taps["merged_border"] = merged_centre(canvas, N), merged_border(canvas, N)
        else:
            canvas = merge.on_canvas(channel_to_flat(patches), padded)
        taps["object"] = central(canvas, N)
        moved = replace(placed, inputs={**t.inputs, "canvas": canvas})
        taps["patches"] = merge.extract(moved, by=self.extract_by(merge.displacements(moved)))["patches"]
        return taps

    def _detected(self, t: Trial, patches: np.ndarray, scale: float) -> dict[str, np.ndarray]:
        N, members = t.inputs["X"].shape[1], t.inputs["X"].shape[3]
        field = patches * self.probe(t)[None, :, :, None]
        if self.masked(bool(t.parameters["probe_mask"])):
            field = field * mask(N)[None, :, :, None]
        amplitude = self.predicted(flat_to_channel(self.detect(field), members) * self.scale(scale))
        return {"illuminated": field, "predicted_amplitude": amplitude}


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex64 if np.iscomplexobj(array) else np.float32)


def _poisson(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    return predicted**2 - target**2 * np.log(predicted**2)


# ------------------------------------------------------------------------------------------------ faults


def _with(name: str, symptom: str, **parts: Any) -> Fault:
    """The network with other parts."""
    network = Network(**parts)
    return Fault(name, symptom, network.taps)


def _read_as_oihw(kernel: np.ndarray) -> np.ndarray:
    rows, columns, into, out = kernel.shape
    return kernel.reshape(out, into, rows, columns).transpose(2, 3, 1, 0)


def _decoders_in_turn(structure: Structure) -> list[tuple[str, int, int]]:
    layers = ((f"{decoder}_{name}", *sizes) for decoder in DECODERS for name, *sizes in structure.decoder())
    return [*structure.encoder(), *layers]  # type: ignore[list-item]


def _phase_first(structure: Structure) -> list[tuple[str, int, int]]:
    pairs = ((f"{decoder}_{name}", *sizes) for name, *sizes in structure.decoder() for decoder in reversed(DECODERS))
    return [*structure.encoder(), *pairs]  # type: ignore[list-item]


def _pooled_early(images: np.ndarray) -> np.ndarray:
    """Windows that begin one pixel before the image, as with a padding of 1."""
    return largest(np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)[:, :-2, :-2])


_log_factorial = np.vectorize(lambda count: math.lgamma(count + 1.0), otypes=[float])


def _misplaced(change: Map) -> Callable[[Trial], dict[str, Any]]:
    """Patches that move otherwise, and their count with them; ``change`` gets the right moves (B * C, 2)."""
    return lambda t: {"by": change(merge.moves(t)), "count_by": change(merge.moves(t))}


def _other_head(name: str) -> Map:
    return logistic if name == "swish" else swish


FORWARD = (
    _with(
        "kernels_read_as_oihw",
        "kernels are taken for (out, in, row, column); expected (row, column, in, out)",
        kernel=_read_as_oihw,
    ),
    _with(
        "kernels_flipped",
        "kernels are flipped, as in a convolution proper; expected the correlation that both frameworks compute",
        kernel=lambda kernel: kernel[::-1, ::-1],
    ),
    _with(
        "kernels_transposed",
        "rows and columns of kernels are exchanged; expected (row, column, in, out)",
        kernel=lambda kernel: kernel.swapaxes(0, 1),
    ),
    _with("biases_lost", "biases are zero; expected those that were given", bias=np.zeros_like),
    _with(
        "decoders_in_turn",
        "weights of the amplitude decoder are followed by those of the phase decoder; expected the two to alternate",
        order=_decoders_in_turn,
    ),
    _with(
        "decoders_exchanged",
        "of the alternating weights the phase decoder takes the first; expected the amplitude decoder to",
        order=_phase_first,
    ),
    _with(
        "scale_not_inverted",
        "the encoder gets scaled patterns; expected the intensity scale to be divided out",
        encode=lambda X, scale: X * scale,
    ),
    _with("hidden_silu", "the blocks' activation is silu; expected ReLU", hidden=swish),
    _with(
        "pooling_averages",
        "the encoder takes the mean of 2 x 2 pixels; expected the largest",
        pool=lambda images: _windows(images).mean(axis=(4, 5)),
    ),
    _with(
        "pooling_one_pixel_early",
        "windows of the pooling begin one pixel outside the image; expected them to begin at its corner",
        pool=_pooled_early,
    ),
    _with("upsampling_bilinear", "up-sampling is bilinear; expected nearest neighbour", enlarge=_bilinear),
    _with(
        "amplitude_of_other_activation",
        "the amplitude's activation is silu, or sigmoid where silu is configured; expected the configured one",
        amplitude=_other_head,
    ),
    _with("phase_without_pi", "the phase is tanh; expected pi times tanh", phase=np.tanh),
    _with(
        "activated_after_padding",
        "the centre is padded before its activation, which gives the border the activation of 0; expected zeros",
        activate_padded=True,
    ),
    _with(
        "border_channels_first",
        "the border is made from the first four channels; expected the last four",
        border_channels=lambda x: (x[..., :4], x[..., 4:]),
    ),
    _with(
        "border_of_head",
        "the border has the activation of the centre; expected swish for both decoders",
        border=lambda head: head,
    ),
    _with(
        "border_mask_inverted",
        "the border branch is kept in the centre; expected it around the centre",
        mask=lambda N: 1 - border_mask(N),
    ),
    _with(
        "border_mask_omitted",
        "the border branch is added everywhere; expected it around the centre only",
        mask=lambda N: np.ones_like(border_mask(N)),
    ),
    _with(
        "amplitude_plus_i_phase",
        "patches are amplitude + i phase; expected amplitude times exp(i phase)",
        combine=lambda amplitude, phase: amplitude + 1j * phase,
    ),
    _with(
        "imaginary_lost",
        "the imaginary part of the patches is lost; expected complex patches",
        patches=lambda patches: patches.real + 0j,
    ),
    _with(
        "merge_sign",
        "members merge at minus their position; expected at their position, -relative",
        merge=_misplaced(np.negative),
    ),
    _with(
        "merge_xy_swap",
        "in the merge x moves rows and y moves columns; expected x along columns, y along rows",
        merge=_misplaced(lambda by: by[:, ::-1]),
    ),
    _with(
        "count_of_ones",
        "all N x N pixels of a patch are counted, as in stitching; expected the central N // 2",
        merge=lambda t: {"mask": np.ones((t.inputs["patches"].shape[1],) * 2)},
    ),
    _with("epsilon_of_stitching", "the count is increased by 1e-9, as in stitching; expected 0.001", epsilon=1e-9),
    _with(
        "groups_summed",
        "all groups are merged on one canvas, as in TensorFlow from 64 patches on; expected a canvas for each group",
        groups=lambda one: np.broadcast_to(one.sum(axis=0, keepdims=True), one.shape),
    ),
    _with(
        "extraction_sign",
        "the canvas moves by -relative for the extraction, as patches do in the merge; expected +relative",
        extract_by=np.negative,
    ),
    _with("raw_probe", "the probe is used as guessed; expected the normalised one", probe=lambda t: t.inputs["probe"]),
    _with(
        "probe_scale_twice",
        "the normalised probe is divided by probe_scale again; expected it as it is",
        probe=lambda t: normalised_probe(t) / _number(t, "probe_scale"),
    ),
    _with(
        "probe_conjugated",
        "the probe's phase has the other sign; expected its own",
        probe=lambda t: normalised_probe(t).conj(),
    ),
    _with(
        "probe_mask_toggled",
        "the field is masked although probe_mask is off, or not although it is on",
        masked=lambda masked: not masked,
    ),
    _with(
        "fft_norm_omitted",
        "the transform is not divided by N; expected |F|^2 / N^2",
        detect=lambda field: physics.diffraction(field) * field.shape[1],
    ),
    _with(
        "fftshift_omitted",
        "zero frequency lies in the corner; expected it at N // 2",
        detect=lambda field: np.fft.fftshift(physics.diffraction(field), axes=(1, 2)),
    ),
    _with(
        "scale_omitted",
        "predicted amplitudes are those of the normalised data; expected them times the intensity scale",
        scale=lambda scale: 1.0,
    ),
    _with(
        "channel_major_order",
        "patterns come back in the order c * B + b; expected b * C + c",
        predicted=lambda amplitude: flat_to_channel(
            channel_major(channel_to_flat(amplitude), len(amplitude)), amplitude.shape[3]
        ),
    ),
    _with(
        "loss_summed",
        "the loss is a sum; expected the mean over all elements",
        loss=lambda predicted, target: float(_poisson(predicted, target).sum()),
    ),
    _with(
        "loss_summed_per_group",
        "the loss is summed over a group's pixels; expected the mean over all elements",
        loss=lambda predicted, target: float(_poisson(predicted, target).sum() / len(target)),
    ),
    _with(
        "log_factorial_included",
        "the loss includes log(target!); expected it without",
        loss=lambda predicted, target: float((_poisson(predicted, target) + _log_factorial(target**2)).mean()),
    ),
    _with(
        "loss_of_amplitudes",
        "the loss compares amplitudes as if they were counts; expected their squares",
        loss=lambda predicted, target: float(_poisson(np.sqrt(predicted), np.sqrt(target)).mean()),
    ),
)


# ------------------------------------------------------------------------------------------------ gradients


def _of_gradients(name: str, symptom: str, change: Callable[[str, np.ndarray], np.ndarray]) -> Fault:
    """``change`` gets the name of an array of weights and its gradient."""

    def commit(t: Trial) -> Arrays:
        return {of: change(of, gradient).astype(np.float32) for of, gradient in t.outputs.items() if of != "loss"}

    return Fault(name, symptom, commit)


def _summed(t: Trial) -> Arrays:
    return {name: (array * np.float64(t.inputs["X"].size)).astype(np.float32) for name, array in t.outputs.items()}


def _clipped(t: Trial) -> Arrays:
    gradients = {name: array.astype(np.float64) for name, array in t.outputs.items() if name != "loss"}
    norm_of_all = math.sqrt(sum(float(np.sum(array**2)) for array in gradients.values()))
    return {name: (array / norm_of_all).astype(np.float32) for name, array in gradients.items()}


def other_decoder(name: str) -> str:
    """The same array of the other decoder; the encoder's own."""
    part, joint, rest = name.partition("_")
    return {"amplitude": "phase", "phase": "amplitude"}.get(part, part) + joint + rest


def _exchanged(t: Trial) -> Arrays:
    return {name: t.outputs[other_decoder(name)] for name in t.outputs}


def _written_as_oihw(name: str, gradient: np.ndarray) -> np.ndarray:
    return gradient.transpose(3, 2, 0, 1).reshape(gradient.shape) if gradient.ndim == 4 else gradient


GRADIENTS = (
    Fault("loss_summed", "the loss is a sum; expected the mean over all elements", _summed),
    Fault("clipped", "gradients are clipped to a norm of 1; expected them as they are", _clipped),
    Fault("decoders_exchanged", "each decoder has the other's gradients; expected its own", _exchanged),
    _of_gradients(
        "accumulated",
        "gradients of two passes are added up; expected those of one",
        lambda name, gradient: 2 * gradient,
    ),
    _of_gradients(
        "kernels_written_as_oihw",
        "gradients of kernels are in the order (out, in, row, column); expected (row, column, in, out)",
        _written_as_oihw,
    ),
    _of_gradients(
        "kernels_flipped",
        "gradients of kernels are flipped; expected those of the correlation",
        lambda name, gradient: gradient[::-1, ::-1] if gradient.ndim == 4 else gradient,
    ),
    _of_gradients(
        "biases_not_trained",
        "gradients of biases are zero; expected all weights to be trained",
        lambda name, gradient: gradient * (gradient.ndim == 4),
    ),
    _of_gradients(
        "border_not_trained",
        "gradients of the border branches are zero; expected all weights to be trained",
        lambda name, gradient: gradient * ("border" not in name),
    ),
)

# ------------------------------------------------------------------------------------------------ training


def entries(structure: Structure) -> dict[str, np.ndarray]:
    """Name of every array of weights, in order -> the flat indices that are followed through the training."""
    return {name: sampled(shape, ENTRIES) for name, shape in structure.shapes().items()}


def split_entries(followed: np.ndarray, structure: Structure) -> dict[str, np.ndarray]:
    """An output of the training -> its entries, by array of weights."""
    return split(followed, {name: at.shape for name, at in entries(structure).items()})


def _structure(t: Trial) -> Structure:
    return Structure.of(t.inputs["X"].shape[1], t.inputs["X"].shape[3], t.parameters)


def _of_steps(name: str, symptom: str, change: Callable[[Trial, np.ndarray, int], np.ndarray]) -> Fault:
    """``change`` gets the trial, a change of the weights in units of the learning rate, and after how many steps."""

    def commit(t: Trial) -> Arrays:
        return {f"step_{step}": change(t, t.outputs[f"step_{step}"], step).astype(np.float32) for step in (1, 2, 5)}

    return Fault(name, symptom, commit)


def _by_array(change: Callable[[dict[str, np.ndarray], str], np.ndarray]) -> Callable[..., np.ndarray]:
    """``change`` gets the entries of all arrays, and the name of one."""

    def of_all(t: Trial, followed: np.ndarray, step: int) -> np.ndarray:
        parts = split_entries(followed, _structure(t))
        return np.concatenate([change(parts, name) for name in parts])

    return of_all


def _decayed(t: Trial, followed: np.ndarray, step: int) -> np.ndarray:
    structure = _structure(t)
    weights = split(t.inputs["weights"].astype(np.float64), structure.shapes())
    taken = np.concatenate([weights[name].ravel()[at] for name, at in entries(structure).items()])
    return followed - step * taken


TRAINING = (
    _of_steps("ascent", "weights move up the gradient; expected down", lambda t, followed, step: -followed),
    _of_steps(
        "learning_rate_tenfold",
        "steps are ten times as long; expected the learning rate that was given",
        lambda t, followed, step: 10 * followed,
    ),
    _of_steps(
        "bias_correction_omitted",
        "the moments are used as they are; expected their bias to be corrected",
        lambda t, followed, step: followed * (1 - 0.9**step) / math.sqrt(1 - 0.999**step),
    ),
    _of_steps("decayed", "weights decay by the learning rate; expected no decay", _decayed),
    _of_steps(
        "biases_not_trained",
        "biases stay as they are; expected all weights to be trained",
        _by_array(lambda parts, name: parts[name] * name.endswith("kernel")),
    ),
    _of_steps(
        "decoders_exchanged",
        "each decoder is trained with the other's gradients; expected its own",
        _by_array(lambda parts, name: parts[other_decoder(name)]),
    ),
)
"""As they show in the first step, which the optimiser's own goldens go beyond."""
