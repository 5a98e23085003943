"""The only place that converts between the goldens' layout, TensorFlow's, and the port's.

A subject takes an operation's inputs and parameters by name and returns its outputs by name, as the reference does.
TensorFlow keeps channels last: (B, H, W, C). The port keeps them first.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange

from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.coordinates import relative_coordinates
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.helper import reassemble_patches_position_real
from ptycho_torch.probe import default_probe, hard_mask, normalize_probe_like_tf
from ptycho_torch.reassembly import shift_and_sum
from ptycho_torch.scan import load_scan
from ptycho_torch.simulate import diffraction_patterns, intensity_scale
from ptycho_torch.translation import translate

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
    """The net sense: through the container's one negation, then moved by ``+coords_nominal``."""
    container = container_of(patches, coords_nn)
    members = patches.shape[-1]
    single = torch.from_numpy(rearrange(patches, "b h w c -> (b c) 1 h w"))
    moved = translate(single, rearrange(container.coords_nominal, "b 1 xy c -> (b c) xy"))
    return {"placed": rearrange(array(moved), "(b c) 1 h w -> b h w c", c=members)}


def container_of(patches: np.ndarray, coords_nn: np.ndarray) -> PtychoDataContainerTorch:
    """The container of a grouped record with these patches and positions."""
    offsets, relative = relative_coordinates(torch.from_numpy(coords_nn))
    groups, N, _, members = patches.shape
    grouped_data = {
        "X_full": np.abs(patches),
        "coords_relative": array(relative),
        "coords_offsets": array(offsets),
        "nn_indices": np.arange(groups * members).reshape(groups, members),
    }
    return PtychoDataContainerTorch(grouped_data, np.ones((N, N), np.complex64))


# ------------------------------------------------------------------------------------------------ reassembly


def scan_tensors(patches: np.ndarray, offsets: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """A whole scan of n patches as one canvas: (1, n, N, N) and (1, n, 1, 2)."""
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


# ------------------------------------------------------------------------------------------------ scan


def scan_read(*, stack: np.ndarray, probe: np.ndarray, key: str, starts: bool, **coords: np.ndarray) -> Outputs:
    """Through a file, as ``numpy.savez`` writes it."""
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
        "intensity_scale": array(intensity_scale(amplitude, nphotons)),
    }


# ------------------------------------------------------------------------------------------------ defaults

MIRRORED_BY: Mapping[str, tuple[type, ...]] = {
    "model": (ModelConfig, DataConfig),
    "training": (TrainingConfig, DataConfig, ModelConfig),
    "inference": (InferenceConfig, DataConfig),
    "optimizer": (TrainingConfig,),
    "schedule": (TrainingConfig,),
}
"""Which of the port's configurations mirror a TensorFlow table, first match wins."""

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


def defaults_table(table: str, fields: tuple[str, ...]) -> Callable[[], Outputs]:
    def subject() -> Outputs:
        values = {name: _default(MIRRORED_BY[table], name) for name in fields}
        return {
            "fields": np.array(sorted(values), dtype=bytes),
            **{name: np.array(json.dumps(value).encode()) for name, value in values.items()},
        }

    return subject


def _default(configs: tuple[type, ...], tensorflow_name: str) -> Any:
    name = PORT_NAMES.get(tensorflow_name, tensorflow_name)
    for config in configs:
        if name in {field.name for field in dataclasses.fields(config)}:
            value = getattr(config(), name)
            return value[0] if tensorflow_name == "gridsize" else value
    raise AttributeError(f"no field {name!r} (TensorFlow: {tensorflow_name!r}) in {[c.__name__ for c in configs]}")
