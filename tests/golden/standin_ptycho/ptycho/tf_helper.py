"""Translation, reassembly, merge, extraction, diffraction. The crop depends on the global N."""

import numpy as np

from golden.ptychopinn.coordinates import formulas as coordinates
from golden.ptychopinn.formats import formulas as formats
from golden.ptychopinn.merge import formulas as merge
from golden.ptychopinn.physics.formulas import amplitude_of
from golden.ptychopinn.physics.formulas import padded as with_margin
from golden.ptychopinn.reassembly import formulas as reassembly
from ptycho import params


def translate(imgs, offsets, interpolation="bilinear"):
    assert interpolation == "bilinear"
    if imgs.dtype not in (np.float32, np.complex64):
        raise TypeError(f"float32 or complex64 only, not {imgs.dtype}")
    moves = offsets[np.arange(len(imgs)) % len(offsets)]  # silently repeated if there are too few
    return coordinates.translated(imgs, moves).astype(imgs.dtype)


def shift_and_sum(obj_tensor, global_offsets, M=10):
    assert obj_tensor.dtype == np.complex64
    assert global_offsets.dtype == np.float64
    assert global_offsets.ndim == 4
    first = params.get("N") // 2 - M // 2
    crops = obj_tensor[:, first : first + M, first : first + M, 0]
    moves = global_offsets.reshape(-1, 2)
    moves = moves - moves.mean(axis=0)
    return reassembly.shift_and_sum(crops, moves, reassembly.reach(moves))[..., None]


def reassemble_position(obj_tensor, global_offsets, M=10):
    count = shift_and_sum(np.ones_like(obj_tensor), global_offsets, M)
    return (shift_and_sum(obj_tensor, global_offsets, M) / (count + np.float32(1e-9))).astype(np.complex64)


def mk_reassemble_position_real(input_positions):
    positions = formats.positions_to_flat(input_positions).astype(np.float64)
    moves = -(positions - positions.mean(axis=0))

    def reassemble_real(imgs, N, gridsize):
        assert imgs.dtype == np.float32
        assert (N, gridsize) == (params.get("N"), params.get("gridsize"))
        flat = merge.on_canvas(formats.channel_to_flat(imgs), params.get_padded_size())
        return merge.group_sum(flat, moves, imgs.shape[3]).astype(np.float32)

    return reassemble_real


def reassemble_patches(channels, fn_reassemble_real, N, gridsize):
    if channels.dtype != np.complex64:
        raise TypeError(f"complex64 only, not {channels.dtype}")
    mask = np.broadcast_to(merge.centre_mask(N)[None, :, :, None], channels.shape).astype(np.float32)
    norm = fn_reassemble_real(mask, N=N, gridsize=gridsize) + np.float32(1e-3)
    real, imaginary = (fn_reassemble_real(part, N=N, gridsize=gridsize) for part in (channels.real, channels.imag))
    return (real / norm + 1j * (imaginary / norm)).astype(np.complex64)


def extract_patches_position(inputs, offsets, jitter, N, gridsize):
    assert jitter == 0.0
    assert offsets.shape[3] == gridsize**2
    moves = formats.positions_to_flat(offsets).astype(np.float64)
    moved = coordinates.translated(np.repeat(inputs, gridsize**2, axis=0), moves)
    cut = (inputs.shape[1] - N) // 2
    return moved[:, cut:-cut, cut:-cut].astype(np.complex64)  # flat, and empty without a margin


def pad_and_diffract(input, h, w, pad=True):
    assert input.shape[1:3] == (h, w)
    padded = with_margin(input) if pad else input
    return padded, (amplitude_of(padded) * (padded.shape[1] / h)).astype(np.float32)


def _grid_to_channel(grid):
    assert grid.shape[1] == params.get("gridsize")
    return formats.grid_to_channel(grid)


def _flat_to_channel(img, N=None, gridsize=None):
    assert img.shape[1:3] == (N, N)
    return formats.flat_to_channel(img, gridsize**2)


def _channel_to_flat(img):
    return formats.channel_to_flat(img)


def _togrid(img, gridsize=None, N=None):
    return img.reshape(-1, gridsize, gridsize, N, N, 1)


def flatten_offsets(channels):
    return formats.positions_to_flat(channels)


def pad_reconstruction(channels):
    return merge.on_canvas(formats.channel_to_flat(channels), params.get_padded_size()).astype(channels.dtype)
