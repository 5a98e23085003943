"""Convert layouts: in TensorFlow, channels come last, (B, H, W, C); in the port, they come first."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

from ptycho_torch.data_container_bridge import PtychoDataContainerTorch

Outputs = dict[str, np.ndarray]


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def channels_first(channel: np.ndarray) -> torch.Tensor:
    """Convert (B, N, N, C) to (B, C, N, N)."""
    return torch.from_numpy(rearrange(channel, "b h w c -> b c h w"))


def channels_last(channel: torch.Tensor) -> np.ndarray:
    """Convert (B, C, N, N) to (B, N, N, C)."""
    return rearrange(array(channel), "b c h w -> b h w c")


def flat_last(flat: torch.Tensor) -> np.ndarray:
    """Convert (B * C, 1, N, N) to (B * C, N, N, 1)."""
    return rearrange(array(flat), "n 1 h w -> n h w 1")


def positions_of(coords_relative: np.ndarray) -> torch.Tensor:
    """Return positions (B, 1, 2, C) for the network, as the container negates them."""
    groups, _, _, members = coords_relative.shape
    grouped_data = {
        "X_full": np.ones((groups, 1, 1, members), np.float32),
        "coords_relative": coords_relative,
        "coords_offsets": np.zeros((groups, 1, 2, 1)),
        "nn_indices": np.zeros((groups, members), np.int64),
    }
    return PtychoDataContainerTorch(grouped_data, np.ones((1, 1), np.complex64)).coords_nominal
