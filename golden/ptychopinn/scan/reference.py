"""Read a scan as PtychoPINN's loader does, which also uses NumPy: with the accepted layouts and the defaults."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def read(
    real: tf.DType,
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
    M = len(xcoords)
    patterns = stack[..., 0] if stack.ndim == 4 and stack.shape[-1] == 1 else stack
    if patterns.shape[0] != M and patterns.shape[-1] == M:
        patterns = np.moveaxis(patterns, -1, 0)
    return {
        "diffraction": patterns.astype(np.float32),
        "xcoords": xcoords,
        "ycoords": ycoords,
        "xcoords_start": xcoords_start if starts else xcoords,
        "ycoords_start": ycoords_start if starts else ycoords,
        "probe": probe,
        "scan_index": np.zeros(M, np.int64),
    }
