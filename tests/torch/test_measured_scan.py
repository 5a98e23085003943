"""A measured Siemens star by both routes: they give the same tensors and show the star upright.

True patches of the known object replace the network's output. They are chosen by the index of a pattern, not by the
positions of the route, so a wrong sign anywhere on the route shows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ptycho_torch.config_params import DataConfig, ModelConfig
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.dataloader import GroupBatch, MemoryMappedDataset, batches
from ptycho_torch.helper import reassemble_patches_position_real
from ptycho_torch.operators.ground_truth import patches_at
from ptycho_torch.operators.grouping import draw_groups
from ptycho_torch.operators.merge import merge_patches, trim
from ptycho_torch.raw_data_bridge import RawDataTorch
from ptycho_torch.scans.scan import Scan, load_scan
from tests.torch.orientation import best_orientation

N, GROUPS = 128, 100
CANVAS = N + 40
"""Room for the widest group."""


@pytest.fixture
def star(external_data: Path) -> Scan:
    return load_scan(external_data / "data" / "siemens_star_516.npz")


def by_container(scan: Scan, gridsize: int) -> GroupBatch:
    record = RawDataTorch.from_scan(scan).generate_grouped_data(N, nsamples=GROUPS, gridsize=gridsize, seed=2)
    container = PtychoDataContainerTorch(record, torch.ones(N, N, dtype=torch.complex64))
    X = container.X.permute(0, 3, 1, 2)
    return GroupBatch(X, container.coords_nominal, container.global_offsets, container.nn_indices)


def by_file(scan: Scan, gridsize: int) -> GroupBatch:
    x, y = scan.positions.T
    dataset = MemoryMappedDataset(scan, draw_groups(x, y, GROUPS, gridsize=gridsize, seed=2))
    parts = list(batches(dataset, 16))
    return GroupBatch(
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("X", "positions", "offsets", "nn_indices"))
    )


@pytest.mark.parametrize("gridsize", [1, 2])
def test_both_routes_show_the_star_upright(star: Scan, gridsize: int) -> None:
    container, loaded = by_container(star, gridsize), by_file(star, gridsize)
    for name in ("X", "positions", "offsets", "nn_indices"):
        assert torch.equal(getattr(container, name), getattr(loaded, name)), name
    target = torch.from_numpy(np.array(star.object_guess))
    patches = patches_at(target, torch.from_numpy(star.positions), N)[loaded.nn_indices]
    merged = merge_patches(patches, loaded.positions, CANVAS)
    assert_upright(trim(merged, N)[None], loaded.offsets.permute(3, 0, 1, 2), target)
    members = loaded.offsets.to(torch.float64) + loaded.positions
    assert_upright(patches.flatten(0, 1)[None], members.permute(0, 3, 1, 2).flatten(0, 1)[None], target)


def assert_upright(patches: Tensor, offsets: Tensor, target: Tensor) -> None:
    """Stitch patches (1, n, N, N) at offsets (1, n, 1, 2); require the object upright and in place."""
    mosaics, covered, side = reassemble_patches_position_real(patches, offsets, DataConfig(N=N), ModelConfig())
    mosaic = torch.where(covered, mosaics, 0)[0].numpy()
    expected = patches_at(target, offsets.mean(dim=(1, 2)), side)[0].numpy()
    orientation, correlation = best_orientation(mosaic, expected)
    assert orientation == "upright"
    assert correlation > 0.99
    error = np.abs(mosaic - expected)[covered[0].numpy()]
    assert np.median(error) < 0.02 * np.abs(expected).mean()
