"""Convert array formats and compute canvas sides with the installed package ``ptycho``."""

from __future__ import annotations

import math

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, tensor


def to_channel(*, grid: np.ndarray, flat: np.ndarray) -> dict[str, np.ndarray]:
    groups, side, _, N = grid.shape[:4]
    with global_parameters(N=N, gridsize=side):
        found = {
            "channel_of_grid": offered("tf_helper._grid_to_channel")(tensor(grid)),
            "channel_of_flat": offered("tf_helper._flat_to_channel")(tensor(flat), N=N, gridsize=side),
        }
    return {
        name: checked(f"tf_helper's {name}", value, np.float32, groups, N, N, side**2) for name, value in found.items()
    }


def from_channel(*, channel: np.ndarray, positions: np.ndarray) -> dict[str, np.ndarray]:
    groups, N, _, members = channel.shape
    side = math.isqrt(members)
    with global_parameters(N=N, gridsize=side):
        flat = offered("tf_helper._channel_to_flat")(tensor(channel))
        grid = offered("tf_helper._togrid")(flat, gridsize=side, N=N)
        flat_positions = offered("tf_helper.flatten_offsets")(tensor(positions))
    return {
        "grid": checked("tf_helper._togrid", grid, np.float32, groups, side, side, N, N, 1),
        "flat": checked("tf_helper._channel_to_flat", flat, np.float32, groups * members, N, N, 1),
        "positions_flat": checked("tf_helper.flatten_offsets", flat_positions, np.float32, groups * members, 2),
    }


def canvas(*, settings: np.ndarray) -> dict[str, np.ndarray]:
    names = ("bigN", "padded_size", "canvas_side")
    return dict(zip(names, np.array([_sides(*row) for row in settings.tolist()], np.int64).T))


def _sides(N: int, gridsize: int, offset: int, jitter: int) -> tuple[int, int, int]:
    with global_parameters(N=N, gridsize=gridsize, offset=offset, max_position_jitter=jitter):
        padded = offered("tf_helper.pad_reconstruction")(tensor(np.zeros((1, N, N, 1), np.float32)))
        big, nominal = (offered(f"params.{call}")() for call in ("get_bigN", "get_padded_size"))
    return big, nominal, checked("tf_helper.pad_reconstruction", padded, np.float32, 1, "P", "P", 1).shape[1]
