"""Merge a group and extract it again with the installed package ``ptycho``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, tensor, unexpected

_OFFSET = 4
"""Offset of raster neighbours, pixels. It and the jitter give the padded size of a case."""


def merge(*, patches: np.ndarray, coords_relative: np.ndarray, padded_size: int) -> dict[str, np.ndarray]:
    """Observe the function that sums, which is an argument of the function that divides.

    This function keeps the groups apart, whatever their number. The package's network uses another one, which sums in
    blocks, and puts all groups on one canvas from 64 patches on.
    """
    groups, N, _, members = patches.shape
    call, grid = "tf_helper.reassemble_patches", math.isqrt(members)
    summed: list[tuple[np.ndarray, np.ndarray]] = []
    with global_parameters(**_of_canvas(N, grid, padded_size)):
        place = offered("tf_helper.mk_reassemble_position_real")(tensor(coords_relative))

        def watched(images: Any, *arguments: Any, **options: Any) -> Any:
            total = place(images, *arguments, **options)
            summed.append((np.asarray(images), np.asarray(total)))
            return total

        merged = offered(call)(tensor(patches), fn_reassemble_real=watched, N=N, gridsize=grid)
    shape = (groups, "P", "P", 1)
    merged = checked(call, merged, np.complex64, *shape)
    parts = (patches.real, patches.imag)
    real, imaginary = ([total for images, total in summed if np.array_equal(images, part)] for part in parts)
    counts = [total for images, total in summed if not any(np.array_equal(images, part) for part in parts)]
    if not (real and imaginary and counts):
        raise unexpected(call, "sums of the real part, the imaginary part and a mask", f"{len(summed)} other sums")
    total, rest, count = (checked(call, sums[0], np.float32, *shape) for sums in (real, imaginary, counts))
    return {
        "sum": total + np.complex64(1j) * rest,
        "norm": count + np.float32(1e-3),
        "merged_centre": merged,
        "merged_border": merged,
    }


def extract(*, canvas: np.ndarray, coords_relative: np.ndarray, N: int) -> dict[str, np.ndarray]:
    groups, members = len(canvas), coords_relative.shape[3]
    call, grid = "tf_helper.extract_patches_position", math.isqrt(members)
    with global_parameters(**_of_canvas(N, grid, canvas.shape[1])):
        patches = offered(call)(tensor(canvas), tensor(coords_relative), 0.0, N=N, gridsize=grid)
    return {"patches": checked(call, patches, np.complex64, groups * members, N, N, 1)}


def _of_canvas(N: int, grid: int, padded_size: int) -> dict[str, int]:
    """Return the global parameters that give a padded size."""
    jitter = padded_size - N - (grid - 1) * _OFFSET
    return {"N": N, "gridsize": grid, "offset": _OFFSET, "max_position_jitter": jitter}
