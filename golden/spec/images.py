"""Which arrays can be looked at as images, and how; NumPy only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_LEAST_SIDE = 4


def image_axes(ndim: int) -> tuple[int, int]:
    """The axes of rows and columns in TensorFlow's layouts (H, W), (H, W, ch), (B, H, W, ch)."""
    return (1, 2) if ndim == 4 else (0, 1)


def images(array: np.ndarray) -> np.ndarray:
    """A stack (k, H, W) of an array in one of these layouts.

    Empty for other shapes, for images with fewer than 4 rows or columns, and for what is no number.
    """
    rows, columns = image_axes(array.ndim)
    is_image = 2 <= array.ndim <= 4 and min(array.shape[rows], array.shape[columns]) >= _LEAST_SIDE
    if not is_image or array.dtype.kind not in "biufc":
        return np.empty((0, 0, 0))
    return np.moveaxis(array, (rows, columns), (-2, -1)).reshape(-1, array.shape[rows], array.shape[columns])


def is_picture(array: np.ndarray) -> bool:
    """Whether an array can be looked at."""
    return len(images(array)) > 0


def main_output(outputs: Mapping[str, np.ndarray]) -> str | None:
    """The output that a viewer shows first: images before other numbers, complex before real; None without numbers."""
    numbers = [name for name in sorted(outputs) if outputs[name].dtype.kind in "biufc" and outputs[name].ndim]
    return min(numbers, key=lambda name: _rank(outputs[name]), default=None)


def _rank(array: np.ndarray) -> tuple[bool, bool]:
    return not is_picture(array), array.dtype.kind != "c"
