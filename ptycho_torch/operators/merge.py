"""The overlap constraint of the network: merge a group's patches on one canvas, and extract them again.

The merge moves a patch by ``+(position - mean)``. The extraction is its inverse and moves the canvas by ``-position``.
See docs/conventions.md, "Merge and extraction".
"""

from __future__ import annotations

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import pad as zero_pad

from ptycho_torch.operators.formats import canvas_margin, flat_to_channel, positions_to_flat
from ptycho_torch.operators.translation import translate

EPSILON = 1e-3
"""The merge adds this to the count. (Stitching adds 1e-9.)"""


def merge_patches(
    patches: Complex[Tensor, "B C N N"], positions: Float[Tensor, "B 1 2 C"], padded: int
) -> Complex[Tensor, "B P P"]:
    """Merge each group's patches into one object: their sum on a canvas, divided by (count + 0.001).

    As in TensorFlow, the whole patch is summed, but only its central N // 2 pixels are counted. So outside all centres,
    the merged object is 1000 times the sum. Arguments, canvas and errors are those of ``sum_and_norm``.

    Returns:
        (B, P, P), dtype of ``patches``: a canvas for each group.
    """
    total, norm = sum_and_norm(patches, positions, padded)
    return total / norm


def sum_and_norm(
    patches: Complex[Tensor, "B C N N"], positions: Float[Tensor, "B 1 2 C"], padded: int
) -> tuple[Complex[Tensor, "B P P"], Float[Tensor, "B P P"]]:
    """Move each group's patches to their positions and sum them; also compute the divisor of the sum.

    A patch moves by ``+(position - mean)``: to the right for larger x, down for larger y. As in TensorFlow, the mean is
    over all B * C patches of the call; it is 0 for positions relative to the mean of their group. The result is
    differentiable in patches and positions.

    Args:
        patches: (B, C, N, N) complex; rows = y, columns = x.
        positions: (B, 1, 2, C), [x, y], pixels; the container's ``coords_nominal``.
        padded: nominal side of the canvas, pixels (``formats.padded_size``). Its actual side P is
            ``formats.canvas_side(N, padded)``.

    Returns:
        The sum (B, P, P), dtype of ``patches``; and the norm (B, P, P), its real dtype: the number of patch centres
        (the central N // 2 pixels, moved like the patches) that cover a pixel, plus 0.001.

    Raises:
        ValueError: a shape, dtype or device is wrong, or the canvas is smaller than a patch.
    """
    if patches.ndim != 4 or patches.shape[2] != patches.shape[3] or 0 in patches.shape:
        raise ValueError(f"patches: expected shape (B, C, N, N), none of them 0, found {tuple(patches.shape)}")
    groups, members, N, _ = patches.shape
    _require_complex("patches", patches)
    _require_positions(positions, (groups, 1, 2, members), patches)
    margin = canvas_margin(N, padded)
    moves = positions_to_flat(positions)
    moves = moves - moves.mean(dim=0)
    # Real part, imaginary part and the mask of the centre are three images that move together.
    mask = _centre_mask(patches.real).expand(patches.shape)
    images = rearrange([patches.real, patches.imag, mask], "part b c h w -> (b c) part h w")
    moved = translate(zero_pad(images, (margin, margin, margin, margin)), moves)
    real, imaginary, count = reduce(moved, "(b c) part h w -> part b h w", "sum", c=members)
    return torch.complex(real, imaginary), count + EPSILON


def extract_patches(
    canvas: Complex[Tensor, "B P P"], positions: Float[Tensor, "B 1 2 C"], N: int
) -> Complex[Tensor, "B C {N} {N}"]:
    """Extract the patches of each group's object: the inverse of placing them in the merge.

    For every member, the canvas moves by ``-position``, and its centre is cut out. The merge subtracts the mean from
    positions, the extraction does not, so they are inverse only if the mean is 0. The result is differentiable in
    canvas and positions.

    Args:
        canvas: (B, P, P) complex; rows = y, columns = x.
        positions: (B, 1, 2, C), [x, y], pixels; the container's ``coords_nominal``.
        N: patch side, pixels; P - N is even.

    Returns:
        (B, C, N, N), dtype of ``canvas``.

    Raises:
        ValueError: a shape, dtype or device is wrong, or a patch cannot be centred on the canvas.
    """
    if canvas.ndim != 3 or canvas.shape[1] != canvas.shape[2] or 0 in canvas.shape:
        raise ValueError(f"canvas: expected shape (B, P, P), none of them 0, found {tuple(canvas.shape)}")
    _require_complex("canvas", canvas)
    members = positions.shape[-1]
    _require_positions(positions, (len(canvas), 1, 2, members), canvas)
    repeated = repeat(canvas, "b h w -> (b c) 1 h w", c=members)
    moved = translate(repeated, -positions_to_flat(positions))
    return flat_to_channel(trim(moved, N), members)


def trim(canvas: Complex[Tensor, "*batch P P"], N: int) -> Complex[Tensor, "*batch {N} {N}"]:
    """Cut out the central N x N pixels: ``(P - N) // 2`` are cut from every side.

    Raises:
        ValueError: N is larger than the canvas, or P - N is odd, so there is no centre.
    """
    side = canvas.shape[-1]
    if not 0 < N <= side or (side - N) % 2:
        raise ValueError(f"N: expected a patch in the centre of a canvas of {side} pixels (P - N even), found {N}")
    first = (side - N) // 2
    return canvas[..., first : first + N, first : first + N]


def _centre_mask(like: Float[Tensor, "B C N N"]) -> Float[Tensor, "N N"]:
    """Return ones in the central N // 2 pixels of a patch and zeros around them."""
    N = like.shape[-1]
    mask = like.new_zeros(N, N)
    centre = slice(N // 4, N // 4 + N // 2)
    mask[centre, centre] = 1
    return mask


def _require_complex(name: str, given: Tensor) -> None:
    if given.dtype not in (torch.complex64, torch.complex128):
        raise ValueError(f"{name}: expected a complex dtype, complex64 or complex128, found {given.dtype}")


def _require_positions(positions: Tensor, shape: tuple[int, ...], beside: Tensor) -> None:
    if positions.shape != shape or 0 in shape:
        raise ValueError(f"positions: expected shape {shape}, one [x, y] per patch, found {tuple(positions.shape)}")
    if not positions.is_floating_point():
        raise ValueError(f"positions: expected a floating-point dtype, found {positions.dtype}")
    if positions.device != beside.device:
        raise ValueError(f"expected one device, found positions on {positions.device}, images on {beside.device}")
