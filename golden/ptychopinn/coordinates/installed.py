"""Compute relative positions and moves with the installed package ``ptycho``."""

from __future__ import annotations

import math

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, tensor, unexpected

DOUBLE = {"relative"}


def relative(*, coords_nn: np.ndarray) -> dict[str, np.ndarray]:
    groups, _, _, members = coords_nn.shape
    with global_parameters(gridsize=math.isqrt(members)):
        answer = offered("raw_data.get_relative_coords")(coords_nn)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise unexpected("raw_data.get_relative_coords", "a pair (offsets, relative)", type(answer).__name__)
    offsets, relative = (
        checked("raw_data.get_relative_coords", array, np.float64, groups, 1, 2, count)
        for array, count in zip(answer, (1, members))
    )
    return {"coords_offsets": offsets, "coords_relative": relative}


def translate(*, images: np.ndarray, displacements: np.ndarray) -> dict[str, np.ndarray]:
    with global_parameters(gridsize=1):
        moved = offered("tf_helper.translate")(tensor(images), tensor(displacements), interpolation="bilinear")
    return {"moved": checked("tf_helper.translate", moved, images.dtype.type, *images.shape)}


def place_in_group(*, patches: np.ndarray, coords_nn: np.ndarray) -> dict[str, np.ndarray]:
    """Compute relative positions, then move by their negative, as the package's merge does.

    (The merge itself returns the sum over the members, divided.) The flat order is group-major, b * C + c.
    """
    groups, side, _, members = patches.shape
    positions = relative(coords_nn=coords_nn)["coords_relative"].astype(np.float32)
    flat = np.ascontiguousarray(np.moveaxis(patches, 3, 1)).reshape(groups * members, side, side, 1)
    moves = np.ascontiguousarray(np.moveaxis(-positions[:, 0], 2, 1)).reshape(groups * members, 2)
    moved = translate(images=flat, displacements=moves)["moved"]
    return {"placed": np.moveaxis(moved.reshape(groups, members, side, side), 1, 3).copy()}
