"""Both routes from positions to a mosaic."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange

from ptycho_torch.config_params import DataConfig, ModelConfig
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.dataloader import GroupBatch, MemoryMappedDataset, batches
from ptycho_torch.helper import reassemble_patches_position_real
from ptycho_torch.operators.ground_truth import patches_at
from ptycho_torch.operators.grouping import draw_groups
from ptycho_torch.operators.merge import extract_patches, merge_patches, trim
from ptycho_torch.operators.physics import diffraction_amplitude, illuminate
from ptycho_torch.operators.probe import normalize_probe_like_tf
from ptycho_torch.operators.reassembly import shift_and_sum
from ptycho_torch.raw_data_bridge import RawDataTorch
from ptycho_torch.scans.scan import Scan, load_scan, save_scan
from ptycho_torch.simulate import diffraction_patterns
from tests.torch.subject.layouts import Outputs, array, channels_last


def net_shift_container(
    *, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, probe_scale: float, batch: int = 3, **given: int
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
    *, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, probe_scale: float, batch: int = 3, **given: int
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
    """Return the scan of an object as measured without noise."""
    centres = rearrange(positions, "m 1 xy 1 -> m xy")
    amplitude = diffraction_patterns(*(torch.from_numpy(given) for given in (object, probe, centres)))
    index = np.zeros(len(centres), np.int64)
    return Scan(None, array(amplitude), centres, centres, probe, index)


def through_the_network(
    object: np.ndarray, positions: np.ndarray, groups: Sequence[GroupBatch], light: torch.Tensor, padded: int, M: int
) -> Outputs:
    """Merge, extract and diffract each batch, and stitch one mosaic of all batches.

    True patches replace the network's output. A pattern's patch is found by the pattern's index. Patches are zero
    outside their central N // 2 pixels, like the output of a decoder without a border.
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


def net_shift_container__one_by_one(**given: Any) -> Outputs:
    return net_shift_container(**given, batch=1)


def net_shift_memory_mapped__one_by_one(**given: Any) -> Outputs:
    return net_shift_memory_mapped(**given, batch=1)
