"""Translation and reassembly. The crop hangs on the global N."""

import numpy as np

from golden.faults import coordinates, reassembly, simulation
from ptycho import params


def translate(imgs, offsets, interpolation="bilinear"):
    assert interpolation == "bilinear"
    if imgs.dtype not in (np.float32, np.complex64):
        raise TypeError(f"float32 or complex64 only, not {imgs.dtype}")
    moves = offsets[np.arange(len(imgs)) % len(offsets)]  # silently repeated where there are too few
    return coordinates.translate(imgs, moves).astype(imgs.dtype)


def shift_and_sum(obj_tensor, global_offsets, M=10):
    assert obj_tensor.dtype == np.complex64
    assert global_offsets.dtype == np.float64
    assert global_offsets.ndim == 4
    first = params.get("N") // 2 - M // 2
    crops = obj_tensor[:, first : first + M, first : first + M, 0]
    moves = global_offsets.reshape(-1, 2)
    moves = moves - moves.mean(axis=0)
    pad = int(np.ceil(np.abs(moves).max()))
    return reassembly.shift_and_sum(crops, moves, pad + pad % 2)[..., None]


def reassemble_position(obj_tensor, global_offsets, M=10):
    count = shift_and_sum(np.ones_like(obj_tensor), global_offsets, M)
    return (shift_and_sum(obj_tensor, global_offsets, M) / (count + np.float32(1e-9))).astype(np.complex64)


def pad_and_diffract(input, h, w, pad=True):
    assert not pad
    assert input.dtype == np.complex64
    return input, simulation.amplitude(input[..., 0]).astype(np.float32)[..., None]
