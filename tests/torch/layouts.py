"""Holds the port to the goldens: a function per operation, named like it, with ``_`` for the dot.

Each takes the operation's inputs and parameters by name, and returns its outputs by name, as the reference does. One
layout becomes another only here: TensorFlow keeps channels last, (B, H, W, C), the port keeps them first.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange

from golden.ptychopinn.defaults.cases import FIELDS
from golden.ptychopinn.network.formulas import Structure, entries, merged_border, merged_centre
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.dataloader import GroupBatch, MemoryMappedDataset, batches
from ptycho_torch.files.tensorflow_weights import (
    from_tensorflow_weights,
    tensorflow_order,
    to_tensorflow_gradients,
    to_tensorflow_layout,
    to_tensorflow_weights,
)
from ptycho_torch.helper import reassemble_patches_position_real
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.coordinates import relative_coordinates
from ptycho_torch.operators.formats import (
    big_size,
    canvas_side,
    channel_to_flat,
    channel_to_grid,
    flat_to_channel,
    grid_to_channel,
    padded_size,
    positions_to_flat,
)
from ptycho_torch.operators.ground_truth import ground_truth_at_members, ground_truth_like_tf, patches_at
from ptycho_torch.operators.grouping import draw_groups, draw_patterns
from ptycho_torch.operators.merge import extract_patches, merge_patches, sum_and_norm, trim
from ptycho_torch.operators.normalization import normalize_data
from ptycho_torch.operators.physics import (
    diffraction_amplitude,
    illuminate,
    intensity_scale,
    padded_diffraction_amplitude,
    padded_field,
    poisson_loss,
    poisson_term,
    predicted_amplitude,
    scale_nphotons,
    simulate,
)
from ptycho_torch.operators.probe import default_probe, hard_mask, normalize_probe_like_tf
from ptycho_torch.operators.reassembly import shift_and_sum
from ptycho_torch.operators.translation import translate
from ptycho_torch.raw_data_bridge import RawDataTorch
from ptycho_torch.scans.scan import Scan, load_scan, save_scan
from ptycho_torch.simulate import diffraction_patterns
from ptycho_torch.training.keras_rules import EpochEnd, adam
from ptycho_torch.training.losses import objective
from ptycho_torch.training.taps import taps

Outputs = dict[str, np.ndarray]


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


# ------------------------------------------------------------------------------------------------ probe


def probe_hard_mask(*, N: int) -> Outputs:
    return {"mask": rearrange(array(hard_mask(N)), "h w -> h w 1")}


def probe_normalise(*, probe: np.ndarray, probe_scale: float) -> Outputs:
    normalised = normalize_probe_like_tf(torch.from_numpy(probe), probe_scale)
    return {"normalised": rearrange(array(normalised), "h w -> h w 1")}


def probe_default_disk(*, N: int, default_probe_scale: float) -> Outputs:
    return {"probe": array(default_probe(N, default_probe_scale))}


# ------------------------------------------------------------------------------------------------ coordinates


def coordinates_relative(*, coords_nn: np.ndarray) -> Outputs:
    offsets, relative = relative_coordinates(torch.from_numpy(coords_nn))
    return {"coords_offsets": array(offsets), "coords_relative": array(relative)}


def coordinates_translate(*, images: np.ndarray, displacements: np.ndarray) -> Outputs:
    channels_first = torch.from_numpy(rearrange(images, "b h w c -> b c h w"))
    moved = translate(channels_first, torch.from_numpy(displacements))
    return {"moved": rearrange(array(moved), "b c h w -> b h w c")}


def coordinates_place_in_group(*, patches: np.ndarray, coords_nn: np.ndarray) -> Outputs:
    """Place patches as the port does: through the container's one negation, then by ``+coords_nominal``."""
    container = container_of(patches, coords_nn)
    members = patches.shape[-1]
    single = torch.from_numpy(rearrange(patches, "b h w c -> (b c) 1 h w"))
    moved = translate(single, rearrange(container.coords_nominal, "b 1 xy c -> (b c) xy"))
    return {"placed": rearrange(array(moved), "(b c) 1 h w -> b h w c", c=members)}


def container_of(patches: np.ndarray, coords_nn: np.ndarray) -> PtychoDataContainerTorch:
    """Return the container of a grouped record with these patches and positions."""
    offsets, relative = relative_coordinates(torch.from_numpy(coords_nn))
    groups, N, _, members = patches.shape
    grouped_data = {
        "X_full": np.abs(patches),
        "coords_relative": array(relative),
        "coords_offsets": array(offsets),
        "nn_indices": np.arange(groups * members).reshape(groups, members),
    }
    return PtychoDataContainerTorch(grouped_data, np.ones((N, N), np.complex64))


# ------------------------------------------------------------------------------------------------ grouping


def grouping_sample(*, xcoords: np.ndarray, ycoords: np.ndarray, nsamples: int, **parameters: Any) -> Outputs:
    return {"nn_indices": draw_groups(xcoords, ycoords, nsamples, **parameters)}


def grouping_subsample(*, xcoords: np.ndarray, n_subsample: int, subsample_seed: int) -> Outputs:
    indices = draw_patterns(len(xcoords), n_subsample, subsample_seed)
    return {"sample_indices": indices, "xcoords": xcoords[indices]}


def grouping_oversample(*, xcoords: np.ndarray, ycoords: np.ndarray, nsamples: int, **parameters: Any) -> Outputs:
    return {"nn_indices": draw_groups(xcoords, ycoords, nsamples, enable_oversampling=True, **parameters)}


def grouping_record(
    *, xcoords: np.ndarray, ycoords: np.ndarray, diff3d: np.ndarray, object: np.ndarray, **parameters: Any
) -> Outputs:
    record = grouped_record(xcoords, ycoords, diff3d, object, **parameters)
    names = ("nn_indices", "coords_nn", "coords_offsets", "coords_relative", "diffraction", "X_full", "Y")
    return {name: record[name] for name in names}


def grouped_record(
    xcoords: np.ndarray, ycoords: np.ndarray, diff3d: np.ndarray, object: np.ndarray, **parameters: Any
) -> dict[str, Any]:
    """Return the whole grouped record of a scan of a known object."""
    N = diff3d.shape[1]
    raw = RawDataTorch(xcoords, ycoords, diff3d, np.ones((N, N), np.complex64), objectGuess=object)
    return raw.generate_grouped_data(N, **parameters)


def grouping_start_positions(
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    xcoords_start: np.ndarray,
    ycoords_start: np.ndarray,
    **parameters: Any,
) -> Outputs:
    patterns, probe = np.ones((len(xcoords), 4, 4), np.float32), np.ones((4, 4), np.complex64)
    raw = RawDataTorch(xcoords, ycoords, patterns, probe, xcoords_start=xcoords_start, ycoords_start=ycoords_start)
    record = raw.generate_grouped_data(4, **parameters)
    return {name: record[name] for name in ("coords_start_nn", "coords_start_offsets", "coords_start_relative")}


def grouping_normalise(*, diffraction: np.ndarray) -> Outputs:
    return {"X_full": normalize_data(diffraction)}


def grouping_ground_truth(
    *, object: np.ndarray, coords_offsets: np.ndarray, coords_relative: np.ndarray, gridsize: int, N: int
) -> Outputs:
    tensors = map(torch.from_numpy, (object, coords_offsets, coords_relative))
    return {"patches": array(ground_truth_like_tf(*tensors, N))}


def grouping_member_patches(*, object: np.ndarray, coords_nn: np.ndarray, N: int) -> Outputs:
    return {"patches": array(ground_truth_at_members(torch.from_numpy(object), torch.from_numpy(coords_nn), N))}


# ------------------------------------------------------------------------------------------------ reassembly


def scan_tensors(patches: np.ndarray, offsets: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a whole scan of n patches as one canvas: patches (1, n, N, N) and positions (1, n, 1, 2)."""
    return (
        torch.from_numpy(rearrange(patches, "n h w 1 -> 1 n h w")),
        torch.from_numpy(rearrange(offsets, "n 1 xy 1 -> 1 n 1 xy")),
    )


def reassembly_position(*, patches: np.ndarray, offsets: np.ndarray, M: int) -> Outputs:
    stack, positions = scan_tensors(patches, offsets)
    total, count = shift_and_sum(stack, positions, M)
    image, _, side = reassemble_patches_position_real(
        stack, positions, DataConfig(N=stack.shape[-1]), ModelConfig(), M=M
    )
    return {
        "shift_and_sum": rearrange(array(total), "1 h w -> h w 1"),
        "count": rearrange(array(count), "1 h w -> h w 1"),
        "mosaic": rearrange(array(image), "1 h w -> h w 1"),
        "canvas_side": np.array(side, np.int64),
    }


def reassembly_scan_mosaic(
    *, object: np.ndarray, positions: np.ndarray, patches: np.ndarray, N: int, M: int
) -> Outputs:
    outputs = reassembly_position(patches=patches, offsets=positions, M=M)
    del outputs["shift_and_sum"]
    return outputs


# ------------------------------------------------------------------------------------------------ formats


def channels_first(channel: np.ndarray) -> torch.Tensor:
    """Turn (B, N, N, C) into (B, C, N, N)."""
    return torch.from_numpy(rearrange(channel, "b h w c -> b c h w"))


def channels_last(channel: torch.Tensor) -> np.ndarray:
    """Turn (B, C, N, N) into (B, N, N, C)."""
    return rearrange(array(channel), "b c h w -> b h w c")


def flat_last(flat: torch.Tensor) -> np.ndarray:
    """Turn (B * C, 1, N, N) into (B * C, N, N, 1)."""
    return rearrange(array(flat), "n 1 h w -> n h w 1")


def formats_to_channel(*, grid: np.ndarray, flat: np.ndarray) -> Outputs:
    members = grid.shape[1] * grid.shape[2]
    of_grid = grid_to_channel(torch.from_numpy(rearrange(grid, "b row column h w 1 -> b row column h w")))
    of_flat = flat_to_channel(torch.from_numpy(rearrange(flat, "n h w 1 -> n 1 h w")), members)
    return {"channel_of_grid": channels_last(of_grid), "channel_of_flat": channels_last(of_flat)}


def formats_from_channel(*, channel: np.ndarray, positions: np.ndarray) -> Outputs:
    first = channels_first(channel)
    return {
        "grid": rearrange(array(channel_to_grid(first)), "b row column h w -> b row column h w 1"),
        "flat": flat_last(channel_to_flat(first)),
        "positions_flat": array(positions_to_flat(torch.from_numpy(positions))),
    }


def formats_canvas(*, settings: np.ndarray) -> Outputs:
    rows = settings.tolist()
    padded = [padded_size(*row) for row in rows]
    return {
        "bigN": np.array([big_size(*row[:3]) for row in rows], np.int64),
        "padded_size": np.array(padded, np.int64),
        "canvas_side": np.array([canvas_side(row[0], side) for row, side in zip(rows, padded)], np.int64),
    }


# ------------------------------------------------------------------------------------------------ merge


def positions_of(coords_relative: np.ndarray) -> torch.Tensor:
    """Return positions (B, 1, 2, C) as the network gets them: through the container's one negation."""
    groups, _, _, members = coords_relative.shape
    grouped_data = {
        "X_full": np.ones((groups, 1, 1, members), np.float32),
        "coords_relative": coords_relative,
        "coords_offsets": np.zeros((groups, 1, 2, 1)),
        "nn_indices": np.zeros((groups, members), np.int64),
    }
    return PtychoDataContainerTorch(grouped_data, np.ones((1, 1), np.complex64)).coords_nominal


def merge_merge(*, patches: np.ndarray, coords_relative: np.ndarray, padded_size: int) -> Outputs:
    stack, positions = channels_first(patches), positions_of(coords_relative)
    total, norm = sum_and_norm(stack, positions, padded_size)
    merged = rearrange(array(merge_patches(stack, positions, padded_size)), "b h w -> b h w 1")
    return {
        "sum": rearrange(array(total), "b h w -> b h w 1"),
        "norm": rearrange(array(norm), "b h w -> b h w 1"),
        # One array; the golden's masks take from it the region that each is about.
        "merged_centre": merged,
        "merged_border": merged,
    }


def merge_extract(*, canvas: np.ndarray, coords_relative: np.ndarray, N: int) -> Outputs:
    first = torch.from_numpy(rearrange(canvas, "b h w 1 -> b h w"))
    patches = extract_patches(first, positions_of(coords_relative), N)
    return {"patches": rearrange(array(patches), "b c h w -> (b c) h w 1")}


# ------------------------------------------------------------------------------------------------ physics


def physics_diffraction(*, field: np.ndarray) -> Outputs:
    amplitude = diffraction_amplitude(torch.from_numpy(rearrange(field, "n h w 1 -> n h w")))
    return {"amplitude": rearrange(array(amplitude), "n h w -> n h w 1")}


def physics_padded_diffraction(*, field: np.ndarray) -> Outputs:
    first = torch.from_numpy(rearrange(field, "n h w 1 -> n h w"))
    return {
        "padded": rearrange(array(padded_field(first)), "n h w -> n h w 1"),
        "amplitude": rearrange(array(padded_diffraction_amplitude(first)), "n h w -> n h w 1"),
    }


def physics_forward(*, patches: np.ndarray, probe: np.ndarray, probe_scale: float, nphotons: float) -> Outputs:
    light = normalize_probe_like_tf(torch.from_numpy(probe), probe_scale)
    scale = intensity_scale(nphotons, len(probe))
    return {"amplitude": channels_last(predicted_amplitude(channels_first(patches), light, scale))}


def physics_intensity_scale(*, nphotons: np.ndarray, N: np.ndarray) -> Outputs:
    # A number in double precision, which Torch rounds where it multiplies a pattern with it.
    return {"scale": np.array([intensity_scale(*row) for row in zip(nphotons.tolist(), N.tolist())], np.float32)}


def physics_photon_scale(*, X: np.ndarray, nphotons: float) -> Outputs:
    first = channels_first(X)
    scale = scale_nphotons(first, nphotons)
    return {"scale": array(scale), "scaled": channels_last(first * scale)}


def physics_poisson(*, predicted: np.ndarray, target: np.ndarray) -> Outputs:
    both = channels_first(predicted), channels_first(target)
    return {"elementwise": channels_last(poisson_term(*both)), "mean": array(poisson_loss(*both))}


def physics_poisson_at_zero(*, predicted: np.ndarray, target: np.ndarray) -> Outputs:
    term = channels_last(poisson_term(channels_first(predicted), channels_first(target)))
    return {"infinite": np.isposinf(term), "undefined": np.isnan(term)}


def physics_simulation(*, amplitude: np.ndarray, phase: np.ndarray, probe: np.ndarray, nphotons: float) -> Outputs:
    parts = (torch.from_numpy(rearrange(part, "n h w 1 -> n h w")) for part in (amplitude, phase))
    found = simulate(*parts, torch.from_numpy(probe), nphotons)
    return {
        "X": rearrange(array(found.X), "n h w -> n h w 1"),
        "Y_I": rearrange(array(found.Y_I), "n h w -> n h w 1"),
        "Y_phi": rearrange(array(found.Y_phi), "n h w -> n h w 1"),
        "intensity_scale": array(found.intensity_scale),
    }


# ------------------------------------------------------------------------------------------------ scan


def scan_read(*, stack: np.ndarray, probe: np.ndarray, key: str, starts: bool, **coords: np.ndarray) -> Outputs:
    """Read the scan from a file that ``numpy.savez`` wrote."""
    kept = {name: array for name, array in coords.items() if starts or not name.endswith("_start")}
    with tempfile.TemporaryDirectory() as directory:
        np.savez(Path(directory) / "scan.npz", **{key: stack, "probeGuess": probe}, **kept)
        scan = load_scan(Path(directory) / "scan.npz")
        diffraction = np.array(scan.diffraction)  # a copy: the file goes
    (x, y), (x_start, y_start) = scan.positions.T, scan.start_positions.T
    return {
        "diffraction": diffraction,
        "xcoords": x,
        "ycoords": y,
        "xcoords_start": x_start,
        "ycoords_start": y_start,
        "probe": scan.probe,
        "scan_index": scan.scan_index,
    }


# ------------------------------------------------------------------------------------------------ simulation


def simulation_patterns(*, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, nphotons: float) -> Outputs:
    centres = torch.from_numpy(rearrange(positions, "n 1 xy 1 -> n xy"))
    amplitude = diffraction_patterns(torch.from_numpy(object), torch.from_numpy(probe), centres)
    return {
        "amplitude": rearrange(array(amplitude), "n h w -> n h w 1"),
        "intensity_scale": array(scale_nphotons(rearrange(amplitude, "n h w -> n 1 h w"), nphotons)),
    }


# ------------------------------------------------------------------------------------------------ net shift


def net_shift_container(
    *, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, probe_scale: float, batch: int = 2, **given: int
) -> Outputs:
    """Go from the raw record through the grouped one to the container; then take ``batch`` groups at a time."""
    raw = RawDataTorch.from_scan(scan_of(object, probe, positions))
    drawn = {name: given[name] for name in ("nsamples", "K", "gridsize", "seed")}
    record = raw.generate_grouped_data(len(probe), **drawn)
    light = normalize_probe_like_tf(torch.from_numpy(raw.probeGuess), probe_scale)
    container = PtychoDataContainerTorch(record, light)
    tensors = (
        rearrange(container.X, "b h w c -> b c h w"),
        container.coords_nominal,
        container.global_offsets,
        container.nn_indices,
    )
    groups = [GroupBatch(*parts) for parts in zip(*(tensor.split(batch) for tensor in tensors))]
    outputs = through_the_network(object, positions, groups, container.probe, given["padded_size"], given["M"])
    return {"coords_relative": record["coords_relative"], **outputs}


def net_shift_memory_mapped(
    *, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, probe_scale: float, batch: int = 2, **given: int
) -> Outputs:
    """Write a file and map it; then take ``batch`` groups at a time."""
    drawn = {name: given[name] for name in ("K", "gridsize", "seed")}
    with tempfile.TemporaryDirectory() as directory:
        save_scan(Path(directory) / "scan.npz", scan_of(object, probe, positions))
        scan = load_scan(Path(directory) / "scan.npz")
        dataset = MemoryMappedDataset(scan, draw_groups(*scan.positions.T, given["nsamples"], **drawn), probe_scale)
        groups = list(batches(dataset, batch))
    return through_the_network(object, positions, groups, dataset.probe, given["padded_size"], given["M"])


def scan_of(object: np.ndarray, probe: np.ndarray, positions: np.ndarray) -> Scan:
    """Return the scan that is measured of an object, without noise."""
    centres = rearrange(positions, "m 1 xy 1 -> m xy")
    amplitude = diffraction_patterns(*(torch.from_numpy(given) for given in (object, probe, centres)))
    index = np.zeros(len(centres), np.int64)
    return Scan(None, array(amplitude), centres, centres, probe, index)


def through_the_network(
    object: np.ndarray, positions: np.ndarray, groups: Sequence[GroupBatch], light: torch.Tensor, padded: int, M: int
) -> Outputs:
    """Merge, extract and diffract each batch, and stitch one mosaic of all.

    True patches take the place of what the network returns. A pattern's patch is found by the pattern's number. Around
    its central N // 2 pixels are zeros, as a decoder without a border branch leaves them.
    """
    N = light.shape[-1]
    centres = torch.from_numpy(rearrange(positions, "m 1 xy 1 -> m xy"))
    centre = slice(N // 4, N // 4 + N // 2)
    true = patches_at(torch.from_numpy(object), centres, N)
    confined = torch.zeros_like(true)
    confined[:, centre, centre] = true[:, centre, centre]
    canvases = [merge_patches(confined[group.nn_indices], group.positions, padded) for group in groups]
    extracted = [extract_patches(canvas, group.positions, N) for canvas, group in zip(canvases, groups)]
    X, nominal, offsets = (
        torch.cat([getattr(group, name) for group in groups]) for name in ("X", "positions", "offsets")
    )
    merged = torch.cat(canvases)
    tiles, places = trim(merged, N)[None], rearrange(offsets, "n 1 xy 1 -> 1 n 1 xy")
    mosaic, _, _ = reassemble_patches_position_real(tiles, places, DataConfig(N=N), ModelConfig(), M=M)
    return {
        "X_full": channels_last(X),
        "coords_offsets": array(offsets),
        "positions": array(nominal),
        "merged": rearrange(array(merged), "b h w -> b h w 1"),
        "amplitude": channels_last(diffraction_amplitude(illuminate(torch.cat(extracted), light))),
        "count": rearrange(array(shift_and_sum(tiles, places, M)[1]), "1 h w -> h w 1"),
        "mosaic": rearrange(array(mosaic), "1 h w -> h w 1"),
    }


# ------------------------------------------------------------------------------------------------ network


def network_of(
    *,
    N: int,
    members: int,
    probe: np.ndarray,
    weights: np.ndarray,
    probe_scale: float,
    nphotons: float,
    **switches: Any,
) -> PtychoPINN:
    """Make the model with the weights of a golden: one array of all of them, in TensorFlow's order and layout."""
    config = ModelConfig(C_forward=members, C_model=members, **switches)
    light = normalize_probe_like_tf(torch.from_numpy(probe), probe_scale)
    model = PtychoPINN(config, light, intensity_scale(nphotons, N))
    parameters = dict(model.named_parameters())
    shapes = [to_tensorflow_layout(parameters[name]).shape for name in tensorflow_order(model)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = zip(np.split(weights, ends[:-1]), shapes)
    from_tensorflow_weights(model, [part.reshape(shape) for part, shape in parts])
    return model


def network_forward(
    *, seed: np.ndarray, groups: int, X: np.ndarray, coords_relative: np.ndarray, **settings: Any
) -> Outputs:
    model = network_of(**settings)
    found = taps(model, channels_first(X), positions_of(coords_relative))
    single = ("merged", "object", "patches", "illuminated", "loss", "amplitude_whole", "phase_whole")
    outputs = {name: channels_last(tap) for name, tap in found.items() if name not in single}
    if settings["object_big"]:
        canvas = rearrange(array(found["merged"]), "b h w -> b h w 1")
        outputs["merged_border"] = merged_border(canvas, settings["N"])
        outputs["merged_centre"] = merged_centre(canvas, settings["N"])
    outputs["object"] = rearrange(array(found["object"]), "b h w -> b h w 1")
    for name in ("patches", "illuminated"):
        outputs[name] = rearrange(array(found[name]), "b c h w -> (b c) h w 1")
    outputs["loss"] = array(found["loss"])
    return outputs


def loss_of(model: PtychoPINN, X: np.ndarray, coords_relative: np.ndarray) -> torch.Tensor:
    """Return the training's loss of a batch."""
    x = channels_first(X)
    prediction = model(x, positions_of(coords_relative))
    return objective(prediction.amplitude, x * model.intensity_scale, TrainingConfig())


def network_gradients(
    *, seed: np.ndarray, groups: int, X: np.ndarray, coords_relative: np.ndarray, **settings: Any
) -> Outputs:
    model = network_of(**settings)
    loss = loss_of(model, X, coords_relative)
    loss.backward()
    return {"loss": array(loss), **dict(zip(array_names(settings), to_tensorflow_gradients(model)))}


def network_training(
    *,
    seed: np.ndarray,
    groups: int,
    X: np.ndarray,
    coords_relative: np.ndarray,
    learning_rate: float,
    **settings: Any,
) -> Outputs:
    model = network_of(**settings)
    optimizer = adam(model, TrainingConfig(learning_rate=learning_rate))
    start, moved, sizes = followed(to_tensorflow_weights(model), settings), {}, []
    largest: list[np.ndarray] = []
    for step in range(1, 6):
        optimizer.zero_grad()
        loss_of(model, X, coords_relative).backward()
        gradients = [np.abs(gradient) for gradient in to_tensorflow_gradients(model)]
        largest = largest or [gradient.max() for gradient in gradients]
        sizes.append(followed([gradient / most for gradient, most in zip(gradients, largest)], settings))
        optimizer.step()
        moved[f"step_{step}"] = (followed(to_tensorflow_weights(model), settings) - start) / np.float32(learning_rate)
    steps = {name: moved[name] for name in ("step_1", "step_2", "step_5")}
    return {**steps, "least_gradient": np.min(sizes, axis=0)}


def array_names(settings: Mapping[str, Any]) -> list[str]:
    """Return the names that goldens give to the arrays of weights, in TensorFlow's order."""
    return list(Structure.of(settings["N"], settings["members"], settings).shapes())


def followed(arrays: Sequence[np.ndarray], settings: Mapping[str, Any]) -> np.ndarray:
    """Return the entries of these arrays that a training golden follows."""
    places = entries(Structure.of(settings["N"], settings["members"], settings)).values()
    return np.concatenate([array.ravel()[at] for array, at in zip(arrays, places, strict=True)])


# ------------------------------------------------------------------------------------------------ run


def run_training(**given: Any) -> Outputs:
    from tests.torch.runs import training  # it needs what programs need

    return training(**given)


def run_reconstruction(**given: Any) -> Outputs:
    from tests.torch.runs import reconstruction

    return reconstruction(**given)


# ------------------------------------------------------------------------------------------------ optimizer


def optimizer_adam(*, start: np.ndarray, gradients: np.ndarray, learning_rate: float) -> Outputs:
    model = torch.nn.ParameterList([torch.from_numpy(start.copy())])
    optimizer = adam(model, TrainingConfig(learning_rate=learning_rate))
    values = []
    for gradient in gradients:
        model[0].grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        values.append(array(model[0]).copy())
    return {"values": np.array(values)}


def optimizer_schedule(*, losses: np.ndarray, learning_rate: float) -> Outputs:
    rates, epochs = zip(*(epochs_of(sequence, learning_rate) for sequence in losses.tolist()))
    return {"learning_rates": np.array(rates, np.float32), "epochs": np.array(epochs, np.int64)}


def epochs_of(losses: Sequence[tuple[float, float]], learning_rate: float) -> tuple[list[float], int]:
    """Return the learning rate of every epoch, also after the end, and how many epochs there are until then."""
    config = TrainingConfig(learning_rate=learning_rate)
    optimizer = adam(torch.nn.ParameterList([torch.zeros(1)]), config)
    epoch_end, rates, ended = EpochEnd(optimizer, config), [], []
    for loss, val_loss in losses:
        rates.append(optimizer.param_groups[0]["lr"])
        ended.append(epoch_end.step(loss=loss, val_loss=val_loss))
    return rates, ended.index(True) + 1 if any(ended) else len(losses)


# ------------------------------------------------------------------------------------------------ defaults

MIRRORED_BY: Mapping[str, tuple[type, ...]] = {
    "model": (ModelConfig, DataConfig),
    "training": (TrainingConfig, DataConfig, ModelConfig),
    "inference": (InferenceConfig, DataConfig),
    "optimizer": (TrainingConfig,),
    "schedule": (TrainingConfig,),
}
"""TensorFlow's table -> the port's configurations that mirror it; the first that has a field wins."""

PORT_NAMES: Mapping[str, str] = {
    "gridsize": "grid_size",
    "neighbor_count": "K",
    "nepochs": "epochs",
    "beta_1": "adam_beta_1",
    "beta_2": "adam_beta_2",
    "epsilon": "adam_epsilon",
    "amsgrad": "adam_amsgrad",
    "clipnorm": "gradient_clip_norm",
}


def defaults_model() -> Outputs:
    return _defaults("model")


def defaults_training() -> Outputs:
    return _defaults("training")


def defaults_inference() -> Outputs:
    return _defaults("inference")


def defaults_optimizer() -> Outputs:
    return _defaults("optimizer")


def defaults_schedule() -> Outputs:
    return _defaults("schedule")


def _defaults(table: str) -> Outputs:
    values = {name: _default(MIRRORED_BY[table], name) for name in FIELDS[table]}
    return {
        "fields": np.array(sorted(values), dtype=bytes),
        **{name: np.array(json.dumps(value).encode()) for name, value in values.items()},
    }


def _default(configs: tuple[type, ...], tensorflow_name: str) -> Any:
    name = PORT_NAMES.get(tensorflow_name, tensorflow_name)
    for config in configs:
        if name in {field.name for field in dataclasses.fields(config)}:
            value = getattr(config(), name)
            return value[0] if tensorflow_name == "gridsize" else value
    raise AttributeError(f"no field {name!r} (TensorFlow: {tensorflow_name!r}) in {[c.__name__ for c in configs]}")
