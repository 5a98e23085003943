"""Three formats for a group's patches in an array, and the sizes of the canvas for merging them.

A group has C = G * G patches. *Grid* has one axis for grid rows and one for grid columns. *Channel*, the format of the
network, has one axis for both: c = row * G + column. *Flat* has one axis for groups and members: its index is
b * C + c, so the patches of a group are adjacent. In TensorFlow, channels come last; in the port, they come before rows
and columns. See docs/conventions.md, "Array formats".
"""

from __future__ import annotations

import math

from einops import rearrange
from jaxtyping import Shaped
from torch import Tensor


def grid_to_channel(grid: Shaped[Tensor, "B G G N N"]) -> Shaped[Tensor, "B C N N"]:
    """Arrange patches on a grid as channels: c = row * G + column.

    Args:
        grid: (B, G, G, N, N), any dtype; grid row, grid column, rows, columns.

    Returns:
        (B, C, N, N), dtype of ``grid``, C = G * G.

    Raises:
        ValueError: the shape is wrong.
    """
    if grid.ndim != 5 or grid.shape[1] != grid.shape[2] or grid.shape[3] != grid.shape[4]:
        raise ValueError(f"grid: expected shape (B, G, G, N, N), found {tuple(grid.shape)}")
    return rearrange(grid, "b row column h w -> b (row column) h w")


def channel_to_grid(channel: Shaped[Tensor, "B C N N"]) -> Shaped[Tensor, "B G G N N"]:
    """Arrange channels as patches on a grid: the inverse of ``grid_to_channel``.

    Args:
        channel: (B, C, N, N), any dtype; C is a square.

    Returns:
        (B, G, G, N, N), dtype of ``channel``.

    Raises:
        ValueError: the shape is wrong.
    """
    _require_channel(channel)
    side = math.isqrt(channel.shape[1])
    if side * side != channel.shape[1]:
        raise ValueError(f"channel: expected a square number of patches per group, found {channel.shape[1]}")
    return rearrange(channel, "b (row column) h w -> b row column h w", row=side)


def channel_to_flat(channel: Shaped[Tensor, "B C N N"]) -> Shaped[Tensor, "B*C 1 N N"]:
    """Arrange the patches of all groups along one axis: flat index b * C + c.

    Args:
        channel: (B, C, N, N), any dtype.

    Returns:
        (B * C, 1, N, N), dtype of ``channel``.

    Raises:
        ValueError: the shape is wrong.
    """
    _require_channel(channel)
    return rearrange(channel, "b c h w -> (b c) 1 h w")


def flat_to_channel(flat: Shaped[Tensor, "n 1 N N"], C: int) -> Shaped[Tensor, "B {C} N N"]:
    """Arrange flat patches as groups of C: the inverse of ``channel_to_flat``.

    Args:
        flat: (B * C, 1, N, N), any dtype; flat index b * C + c.
        C: number of patches in a group.

    Returns:
        (B, C, N, N), dtype of ``flat``.

    Raises:
        ValueError: the shape is wrong, or C does not divide the number of patches.
    """
    if flat.ndim != 4 or flat.shape[1] != 1 or flat.shape[2] != flat.shape[3]:
        raise ValueError(f"flat: expected shape (B * C, 1, N, N), found {tuple(flat.shape)}")
    if C < 1 or len(flat) % C:
        raise ValueError(f"flat: expected a multiple of C = {C} patches, found {len(flat)}")
    return rearrange(flat, "(b c) 1 h w -> b c h w", c=C)


def positions_to_flat(positions: Shaped[Tensor, "B 1 2 C"]) -> Shaped[Tensor, "B*C 2"]:
    """Arrange positions as one [x, y] per flat patch.

    Args:
        positions: (B, 1, 2, C), [x, y] on axis 2, pixels.

    Returns:
        (B * C, 2), [x, y], row b * C + c; dtype of ``positions``.

    Raises:
        ValueError: the shape is wrong.
    """
    if positions.ndim != 4 or positions.shape[1:3] != (1, 2):
        raise ValueError(f"positions: expected shape (B, 1, 2, C), found {tuple(positions.shape)}")
    return rearrange(positions, "b 1 xy c -> (b c) xy")


def big_size(N: int, G: int, offset: int) -> int:
    """Return the span of a raster of G x G patches, pixels: ``N + (G - 1) * offset``, TensorFlow's ``bigN``."""
    return N + (G - 1) * offset


def padded_size(N: int, G: int, offset: int, max_position_jitter: int) -> int:
    """Return the nominal side of the canvas for merging a group, pixels: ``big_size`` with room for jitter."""
    return big_size(N, G, offset) + max_position_jitter


def canvas_side(N: int, padded: int) -> int:
    """Return the actual side of the canvas, pixels: N and a margin on either side.

    It is one less than ``padded`` if ``padded - N`` is odd.
    """
    return N + 2 * canvas_margin(N, padded)


def canvas_margin(N: int, padded: int) -> int:
    """Return the number of zeros on each side of a patch on its canvas: half of ``padded - N``, rounded down.

    Raises:
        ValueError: the canvas is smaller than the patch.
    """
    if padded < N:
        raise ValueError(f"padded: expected a canvas of at least the patch's side N = {N}, found {padded}")
    return (padded - N) // 2


def _require_channel(channel: Tensor) -> None:
    if channel.ndim != 4 or channel.shape[2] != channel.shape[3]:
        raise ValueError(f"channel: expected shape (B, C, N, N), found {tuple(channel.shape)}")
