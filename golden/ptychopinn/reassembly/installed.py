"""Stitch patches on a canvas with the installed package ``ptycho``."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, tensor, unexpected


def position(*, patches: np.ndarray, offsets: np.ndarray, M: int) -> dict[str, np.ndarray]:
    total = _on_canvas("tf_helper.shift_and_sum", patches, offsets, M)
    mosaic = _on_canvas("tf_helper.reassemble_position", patches, offsets, M)
    count = _on_canvas("tf_helper.shift_and_sum", np.ones_like(patches), offsets, M)
    if count.imag.any():
        raise unexpected("tf_helper.shift_and_sum", "a real sum of ones", "an imaginary part")
    side = np.array(len(total), np.int64)
    return {"shift_and_sum": total, "count": count.real.copy(), "mosaic": mosaic, "canvas_side": side}


def scan_mosaic(
    *, object: np.ndarray, positions: np.ndarray, patches: np.ndarray, N: int, M: int
) -> dict[str, np.ndarray]:
    outputs = position(patches=patches, offsets=positions, M=M)
    del outputs["shift_and_sum"]
    return outputs


def _on_canvas(call: str, patches: np.ndarray, offsets: np.ndarray, M: int) -> np.ndarray:
    """Return the canvas (S, S, 1) complex64 that a call returns for patches (n, N, N, 1) at offsets (n, 1, 2, 1)."""
    flat = offsets.reshape(-1, 1, 1, 2)
    with global_parameters(N=patches.shape[1], gridsize=1):
        canvas = offered(call)(tensor(patches), tensor(flat), M=M)
    return checked(call, canvas, np.complex64, "S", "S", 1)
