"""Grid, channel and flat format; sides of a canvas."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

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
from tests.torch.subject.layouts import Outputs, array, channels_first, channels_last, flat_last


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
