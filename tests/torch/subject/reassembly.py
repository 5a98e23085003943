"""Stitching of whole scans."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

from ptycho_torch.config_params import DataConfig, ModelConfig
from ptycho_torch.helper import reassemble_patches_position_real
from ptycho_torch.operators.reassembly import shift_and_sum
from tests.torch.subject.layouts import Outputs, array


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
