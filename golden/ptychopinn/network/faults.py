"""These faults put a wrong layer, head, canvas or physics into an otherwise right network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.ptychopinn.formats.formulas import channel_major, channel_to_flat, flat_to_channel
from golden.ptychopinn.network.formulas import (
    DECODERS,
    Map,
    Network,
    Structure,
    border_mask,
    entries,
    forward,
    largest,
    layers,
    logistic,
    poisson_of_amplitudes,
    split,
    split_entries,
    swish,
    windows,
)
from golden.ptychopinn.physics.formulas import amplitude_of
from golden.ptychopinn.probe.formulas import normalised
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial

# ------------------------------------------------------------------------------------------------ conditions

_ONE_MEMBER = Condition("each group has one member", lambda _, p: p["members"] == 1)
_NO_BORDER = Condition("the network has no border branch", lambda _, p: not (p["pad_object"] and p["probe_big"]))
_WHOLE = Condition("the decoder makes the whole patch, without a border", lambda _, p: not p["pad_object"])
_ZERO_AT_ZERO = Condition("the activation maps 0 to 0", lambda _, p: p["amp_activation"] in ("relu", "swish"))
_SMALLEST = Condition("N is 64, for which both are the same", lambda _, p: p["N"] == 64)
_FOUR_MEMBERS = Condition("each group has four members", lambda _, p: p["members"] == 4)
_NARROW = Condition(
    "n_filters_scale is 1, so an eighth of the channels is four", lambda _, p: p["n_filters_scale"] == 1
)
_BORDER_OR_WHOLE = Condition(
    "there is a border's branch, or no border", lambda _, p: p["probe_big"] or not p["pad_object"]
)
_MERGED = Condition("patches are merged, so there is one image for each member", lambda _, p: p["object_big"])
_NO_MERGE = Condition("patches are not merged", lambda _, p: not p["object_big"])


# ------------------------------------------------------------------------------------------------ layers


class _WideBorder(Structure):
    @property
    def last_of_border(self) -> int:
        return 32 * self.scale


class _BorderOfMembers(Structure):
    @property
    def border_channels(self) -> int:
        return self.members


class _BorderOfAnEighth(Structure):
    @property
    def border_channels(self) -> int:
        return self.up[-1] // 8


class _BorderAlways(Structure):
    @property
    def has_border(self) -> bool:
        return self.pad_object


class _ThreeBlocks(Structure):
    @property
    def down(self) -> list[int]:
        return [32 * self.scale, 64 * self.scale, 128 * self.scale]


class _ImagesOfMembers(Structure):
    @property
    def outputs(self) -> int:
        return self.members


class _DecodersInTurn(Structure):
    def layers(self) -> list[tuple[str, int, int]]:
        return _decoders_in_turn(self)


def _built(name: str, symptom: str, structure: type[Structure]) -> Fault:
    return Fault.of_formula(name, symptom, layers, structure=structure)


LAYERS = (
    _built(
        "border_width_fixed",
        "the border's block has 32 s filters whatever N is; expected s (2048 // N)",
        _WideBorder,
    ).invisible_when(_SMALLEST, _NO_BORDER),
    _built(
        "border_of_members",
        "the border is made from as many channels as a group has members; expected from four",
        _BorderOfMembers,
    ).invisible_when(_FOUR_MEMBERS, _NO_BORDER),
    _built(
        "border_of_an_eighth",
        "the border is made from an eighth of the channels; expected from four",
        _BorderOfAnEighth,
    ).invisible_when(_NARROW, _NO_BORDER),
    _built(
        "border_always",
        "the border's branch is built although probe_big is off; expected none then",
        _BorderAlways,
    ).invisible_when(_BORDER_OR_WHOLE),
    _built(
        "three_blocks",
        "the encoder has three blocks whatever N is; expected log2(N / 8)",
        _ThreeBlocks,
    ).invisible_when(_SMALLEST),
    _built(
        "images_of_members",
        "a decoder makes an image for each member although object_big is off; expected one",
        _ImagesOfMembers,
    ).invisible_when(_ONE_MEMBER, _MERGED),
    _built(
        "decoders_in_turn",
        "the weights of one decoder follow the other's; expected them to alternate",
        _DecodersInTurn,
    ),
)

# ------------------------------------------------------------------------------------------------ forward


def _with(name: str, symptom: str, **parts: Any) -> Fault:
    """Replace parts of the network."""
    return Fault.of_formula(name, symptom, forward, network=Network(**parts))


def _bilinear(images: np.ndarray) -> np.ndarray:
    for axis in (1, 2):
        margins = [(1, 1) if a == axis else (0, 0) for a in range(4)]
        padded = np.moveaxis(np.pad(images, margins, mode="edge"), axis, 0)
        near = padded[1:-1]
        doubled = np.stack([0.75 * near + 0.25 * padded[:-2], 0.75 * near + 0.25 * padded[2:]], axis=1)
        images = np.moveaxis(doubled.reshape(-1, *near.shape[1:]), 0, axis)
    return images


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
    """Pool windows that begin one pixel before the image, as with a padding of 1."""
    return largest(np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)[:, :-2, :-2])


_log_factorial = np.vectorize(lambda count: math.lgamma(count + 1.0), otypes=[float])


def _other_head(name: str) -> Map:
    return logistic if name == "swish" else swish


FORWARD = (
    _with(
        "kernels_read_as_oihw",
        "kernels are read as (out, in, row, column); expected (row, column, in, out)",
        kernel=_read_as_oihw,
    ),
    _with(
        "kernels_flipped",
        "kernels are flipped, a true convolution; expected cross-correlation",
        kernel=lambda kernel: kernel[::-1, ::-1],
    ),
    _with(
        "kernels_transposed",
        "rows and columns of kernels are swapped; expected (row, column, in, out)",
        kernel=lambda kernel: kernel.swapaxes(0, 1),
    ),
    _with("biases_lost", "biases are zero; expected the given ones", bias=np.zeros_like),
    _with(
        "decoders_in_turn",
        "the decoders' weights are read one decoder after the other; expected them to alternate",
        order=_decoders_in_turn,
    ),
    _with(
        "decoders_exchanged",
        "the decoders' weights are swapped; expected the amplitude decoder's first",
        order=_phase_first,
    ),
    _with(
        "scale_not_inverted",
        "the encoder gets scaled patterns; expected them divided by the intensity scale",
        encode=lambda X, scale: X * scale,
    ),
    _with("hidden_silu", "hidden layers use silu; expected ReLU", hidden=swish),
    _with(
        "pooling_averages",
        "pooling takes the mean of 2 x 2 pixels; expected the maximum",
        pool=lambda images: windows(images).mean(axis=(4, 5)),
    ),
    _with(
        "pooling_one_pixel_early",
        "pooling windows begin one pixel outside the image; expected at its corner",
        pool=_pooled_early,
    ),
    _with("upsampling_bilinear", "up-sampling is bilinear; expected nearest neighbour", enlarge=_bilinear),
    _with(
        "amplitude_of_other_activation",
        "the amplitude uses silu or sigmoid whatever is configured; expected the configured one",
        amplitude=_other_head,
    ),
    _with("phase_without_pi", "the phase is tanh; expected pi * tanh", phase=np.tanh),
    _with(
        "activated_after_padding",
        "the centre is padded before its activation; expected zeros in the border",
        activate_padded=True,
    ).invisible_when(_WHOLE, _ZERO_AT_ZERO),
    _with(
        "border_channels_first",
        "the border uses the first four channels; expected the last four",
        border_channels=lambda x: (x[..., :4], x[..., 4:]),
    ).invisible_when(_WHOLE),
    _with(
        "border_of_head",
        "the border uses the activation of the centre; expected swish",
        border=lambda head: head,
    ).invisible_when(_NO_BORDER),
    _with(
        "border_mask_inverted",
        "the border branch is kept in the centre; expected it around the centre",
        mask=lambda N: 1 - border_mask(N),
    ).invisible_when(_NO_BORDER),
    _with(
        "border_mask_omitted",
        "the border branch is added everywhere; expected around the centre only",
        mask=lambda N: np.ones_like(border_mask(N)),
    ).invisible_when(_NO_BORDER),
    _with(
        "amplitude_plus_i_phase",
        "patches are amplitude + i * phase; expected amplitude * exp(i * phase)",
        combine=lambda amplitude, phase: amplitude + 1j * phase,
    ),
    _with(
        "imaginary_lost",
        "the imaginary part is lost; expected complex patches",
        patches=lambda patches: patches.real + 0j,
    ),
    _with(
        "merge_sign",
        "members merge at -position; expected at +position, which is -relative",
        merge_by=np.negative,
    ).invisible_when(_NO_MERGE),
    _with(
        "merge_xy_swap",
        "the merge swaps x and y; expected x along columns, y along rows",
        merge_by=lambda by: by[:, ::-1],
    ).invisible_when(_NO_MERGE),
    _with(
        "count_of_ones",
        "all N x N pixels are counted, as in stitching; expected the central N // 2",
        counted=lambda N: np.ones((N, N)),
    ).invisible_when(_NO_MERGE),
    _with(
        "epsilon_of_stitching", "1e-9 is added to the count, as in stitching; expected 0.001", epsilon=1e-9
    ).invisible_when(_NO_MERGE),
    _with(
        "groups_summed",
        "all groups are summed on one canvas; expected one canvas per group",
        groups=lambda one: np.broadcast_to(one.sum(axis=0, keepdims=True), one.shape),
    ).invisible_when(_NO_MERGE),
    _with(
        "extraction_sign",
        "the extraction moves the canvas by -relative; expected +relative",
        extract_by=np.negative,
    ),
    _with("raw_probe", "the probe is used as guessed; expected the normalised one", light=lambda probe, scale: probe),
    _with(
        "probe_scale_twice",
        "the probe is divided by probe_scale twice; expected once",
        light=lambda probe, scale: normalised(probe, scale) / scale,
    ),
    _with(
        "probe_conjugated",
        "the probe is complex-conjugated; expected no conjugation",
        light=lambda probe, scale: normalised(probe, scale).conj(),
    ),
    _with(
        "probe_mask_toggled",
        "the field is masked when probe_mask is off, or unmasked when on; expected the reverse",
        masked=lambda masked: not masked,
    ),
    _with(
        "fft_norm_omitted",
        "the FFT is not divided by N; expected F / N",
        detect=lambda field: amplitude_of(field) * field.shape[1],
    ),
    _with(
        "fftshift_omitted",
        "the zero frequency is at index 0; expected index N // 2",
        detect=lambda field: np.fft.fftshift(amplitude_of(field), axes=(1, 2)),
    ),
    _with(
        "scale_omitted",
        "predicted amplitudes lack the intensity scale; expected them multiplied by it",
        scale=lambda scale: 1.0,
    ),
    _with(
        "channel_major_order",
        "patterns are ordered c * B + b; expected b * C + c",
        predicted=lambda amplitude: flat_to_channel(
            channel_major(channel_to_flat(amplitude), len(amplitude)), amplitude.shape[3]
        ),
    ).invisible_when(_ONE_MEMBER),
    _with(
        "loss_summed",
        "the loss is a sum; expected the mean over all elements",
        loss=lambda predicted, target: float(poisson_of_amplitudes(predicted, target).sum()),
    ),
    _with(
        "loss_summed_per_group",
        "the loss is summed over each group; expected the mean over all elements",
        loss=lambda predicted, target: float(poisson_of_amplitudes(predicted, target).sum() / len(target)),
    ),
    _with(
        "log_factorial_included",
        "the loss includes log(target!); expected it left out",
        loss=lambda predicted, target: float(
            (poisson_of_amplitudes(predicted, target) + _log_factorial(target**2)).mean()
        ),
    ),
    _with(
        "loss_of_amplitudes",
        "the loss compares amplitudes; expected counts, their squares",
        loss=lambda predicted, target: float(poisson_of_amplitudes(np.sqrt(predicted), np.sqrt(target)).mean()),
    ),
)


# ------------------------------------------------------------------------------------------------ gradients


def _of_gradients(name: str, symptom: str, change: Callable[[str, np.ndarray], np.ndarray]) -> Fault:
    """Alter the gradients: ``change`` gets the name of an array of weights and its gradient."""

    def commit(t: Trial) -> Arrays:
        return {of: change(of, gradient).astype(np.float32) for of, gradient in t.outputs.items() if of != "loss"}

    return Fault(name, symptom, commit)


def _summed(t: Trial) -> Arrays:
    return {name: (array * np.float64(t.inputs["X"].size)).astype(np.float32) for name, array in t.outputs.items()}


def _clipped(t: Trial) -> Arrays:
    gradients = {name: array.astype(np.float64) for name, array in t.outputs.items() if name != "loss"}
    norm_of_all = math.sqrt(sum(float(np.sum(array**2)) for array in gradients.values()))
    return {name: (array / norm_of_all).astype(np.float32) for name, array in gradients.items()}


def _other_decoder(name: str) -> str:
    """Return the name of the same array in the other decoder; an array of the encoder keeps its name."""
    part, joint, rest = name.partition("_")
    return {"amplitude": "phase", "phase": "amplitude"}.get(part, part) + joint + rest


def _exchanged(t: Trial) -> Arrays:
    return {name: t.outputs[_other_decoder(name)] for name in t.outputs}


def _written_as_oihw(name: str, gradient: np.ndarray) -> np.ndarray:
    return gradient.transpose(3, 2, 0, 1).reshape(gradient.shape) if gradient.ndim == 4 else gradient


GRADIENTS = (
    Fault("loss_summed", "the loss is a sum; expected the mean over all elements", _summed),
    Fault("clipped", "gradients are clipped to norm 1; expected no clipping", _clipped),
    Fault("decoders_exchanged", "the decoders' gradients are swapped; expected each decoder's own", _exchanged),
    _of_gradients(
        "accumulated",
        "gradients of two passes are summed; expected those of one",
        lambda name, gradient: 2 * gradient,
    ),
    _of_gradients(
        "kernels_written_as_oihw",
        "kernel gradients are ordered (out, in, row, column); expected (row, column, in, out)",
        _written_as_oihw,
    ),
    _of_gradients(
        "kernels_flipped",
        "kernel gradients are flipped; expected those of cross-correlation",
        lambda name, gradient: gradient[::-1, ::-1] if gradient.ndim == 4 else gradient,
    ),
    _of_gradients(
        "biases_not_trained",
        "bias gradients are zero; expected all weights to be trained",
        lambda name, gradient: gradient * (gradient.ndim == 4),
    ),
    _of_gradients(
        "border_not_trained",
        "gradients of the border branches are zero; expected all weights to be trained",
        lambda name, gradient: gradient * ("border" not in name),
    ),
)

# ------------------------------------------------------------------------------------------------ training


def _structure(t: Trial) -> Structure:
    return Structure.of(t.inputs["X"].shape[1], t.inputs["X"].shape[3], t.parameters)


def _of_steps(name: str, symptom: str, change: Callable[[Trial, np.ndarray, int], np.ndarray]) -> Fault:
    """Alter the steps: ``change`` gets the trial, the change of weights in learning rates, and the number of steps."""

    def commit(t: Trial) -> Arrays:
        return {f"step_{step}": change(t, t.outputs[f"step_{step}"], step).astype(np.float32) for step in (1, 2, 5)}

    return Fault(name, symptom, commit)


def _by_array(change: Callable[[dict[str, np.ndarray], str], np.ndarray]) -> Callable[..., np.ndarray]:
    """Alter the entries of each array: ``change`` gets the entries of all arrays, and the name of one."""

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
        "the learning rate is ten times too large; expected the given one",
        lambda t, followed, step: 10 * followed,
    ),
    _of_steps(
        "bias_correction_omitted",
        "moments are not bias-corrected; expected bias correction",
        lambda t, followed, step: followed * (1 - 0.9**step) / math.sqrt(1 - 0.999**step),
    ),
    _of_steps("decayed", "weights decay by the learning rate; expected no weight decay", _decayed),
    _of_steps(
        "biases_not_trained",
        "biases do not change; expected all weights to be trained",
        _by_array(lambda parts, name: parts[name] * name.endswith("kernel")),
    ),
    _of_steps(
        "decoders_exchanged",
        "each decoder is trained with the other's gradients; expected its own",
        _by_array(lambda parts, name: parts[_other_decoder(name)]),
    ),
)
"""These faults show in the first step; the optimiser's own goldens cover later steps."""
