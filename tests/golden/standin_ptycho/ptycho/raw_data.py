"""Relative coordinates."""

import numpy as np


def get_relative_coords(coords_nn):
    assert coords_nn.ndim == 4
    offsets = np.mean(coords_nn, axis=3, keepdims=True)
    return offsets, -(coords_nn - offsets)
