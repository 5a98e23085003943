"""Relative coordinates, and patches of a known object (one per group)."""

import numpy as np

from golden.faults import simulation


def get_relative_coords(coords_nn):
    assert coords_nn.ndim == 4
    offsets = np.mean(coords_nn, axis=3, keepdims=True)
    return offsets, -(coords_nn - offsets)


def get_image_patches(gt_image, global_offsets, local_offsets, N=None, gridsize=None):
    assert gridsize == 1
    centres = (global_offsets + local_offsets).reshape(-1, 2)
    return simulation.cut(gt_image, centres, N).astype(np.complex64)[..., None]
