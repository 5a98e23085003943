"""Relative coordinates, translation, and placement of a group's patches."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.operators.coordinates import relative_coordinates
from ptycho_torch.operators.translation import translate
from tests.torch.subject.layouts import Outputs, array


def coordinates_relative(*, coords_nn: np.ndarray) -> Outputs:
    offsets, relative = relative_coordinates(torch.from_numpy(coords_nn))
    return {"coords_offsets": array(offsets), "coords_relative": array(relative)}


def coordinates_translate(*, images: np.ndarray, displacements: np.ndarray) -> Outputs:
    channels_first = torch.from_numpy(rearrange(images, "b h w c -> b c h w"))
    moved = translate(channels_first, torch.from_numpy(displacements))
    return {"moved": rearrange(array(moved), "b c h w -> b h w c")}


def coordinates_place_in_group(*, patches: np.ndarray, coords_nn: np.ndarray) -> Outputs:
    """Place patches as the port does: the container negates positions, then patches move by ``+coords_nominal``."""
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
