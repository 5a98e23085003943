"""Compute the coordinates of a group's members relative to their mean."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def relative_coordinates(
    coords_nn: Float[Tensor, "n 1 2 C"],
) -> tuple[Float[Tensor, "n 1 2 1"], Float[Tensor, "n 1 2 C"]]:
    """Return the mean position of each group, and TensorFlow's relative positions ``-(coords_nn - mean)``.

    These are the arrays of the grouped record, with its sign. The container negates them; nothing else in the port
    negates an offset.

    Args:
        coords_nn: (n, 1, 2, C) float64, positions of the members, [x, y] on axis 2, pixels.

    Returns:
        coords_offsets (n, 1, 2, 1) and coords_relative (n, 1, 2, C), dtype of the input.

    Raises:
        ValueError: the shape is wrong.
    """
    if coords_nn.ndim != 4 or coords_nn.shape[1:3] != (1, 2):
        raise ValueError(f"coords_nn: expected shape (n, 1, 2, C), found {tuple(coords_nn.shape)}")
    offsets = torch.mean(coords_nn, dim=3, keepdim=True)
    return offsets, -(coords_nn - offsets)
