"""The formula reads a scan in any layout, and fills in defaults for missing fields."""

from __future__ import annotations

import numpy as np


def read(
    *,
    stack: np.ndarray,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    xcoords_start: np.ndarray,
    ycoords_start: np.ndarray,
    probe: np.ndarray,
    key: str,
    starts: bool,
) -> dict[str, np.ndarray]:
    patterns = stack if len(stack) == len(xcoords) else np.moveaxis(stack, -1, 0)
    return {
        "diffraction": patterns.reshape(len(xcoords), *patterns.shape[1:3]),
        "xcoords": xcoords,
        "ycoords": ycoords,
        "xcoords_start": xcoords_start if starts else xcoords,
        "ycoords_start": ycoords_start if starts else ycoords,
        "probe": probe,
        "scan_index": np.zeros(len(xcoords), np.int64),
    }
