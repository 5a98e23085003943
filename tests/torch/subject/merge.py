"""Groups merged onto a canvas, and patches taken from it."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

from ptycho_torch.operators.merge import extract_patches, merge_patches, sum_and_norm
from tests.torch.subject.layouts import Outputs, array, channels_first, positions_of


def merge_merge(*, patches: np.ndarray, coords_relative: np.ndarray, padded_size: int) -> Outputs:
    stack, positions = channels_first(patches), positions_of(coords_relative)
    total, norm = sum_and_norm(stack, positions, padded_size)
    merged = rearrange(array(merge_patches(stack, positions, padded_size)), "b h w -> b h w 1")
    return {
        "sum": rearrange(array(total), "b h w -> b h w 1"),
        "norm": rearrange(array(norm), "b h w -> b h w 1"),
        # One array; each of the golden's masks selects its region.
        "merged_centre": merged,
        "merged_border": merged,
    }


def merge_extract(*, canvas: np.ndarray, coords_relative: np.ndarray, N: int) -> Outputs:
    first = torch.from_numpy(rearrange(canvas, "b h w 1 -> b h w"))
    patches = extract_patches(first, positions_of(coords_relative), N)
    return {"patches": rearrange(array(patches), "b c h w -> (b c) h w 1")}
