"""Stitch patches into a mosaic: crop, place at the position, sum, divide by the overlap count.

TensorFlow pads every crop to the whole canvas and moves it there. But a moved M x M crop covers only
(M + 1) x (M + 1) pixels. So here, each crop is interpolated at that size and added to the canvas: the cost grows with
patches x M**2, not with patches x canvas.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import pad as zero_pad

LARGEST_SIDE = 2**15
"""Largest side of a canvas, pixels; it takes 8 GB. A larger canvas means positions in another unit."""
_AT_A_TIME = 256
"""Number of patches that are interpolated together: enough to hide the cost of a call, and few enough for the cache."""


def shift_and_sum(
    patches: Complex[Tensor, "B C N N"], offsets: Float[Tensor, "B C 1 2"], M: int
) -> tuple[Complex[Tensor, "B S S"], Float[Tensor, "B S S"]]:
    """Sum the central crops of patches on a canvas per batch entry, and count the crops that cover each pixel.

    Each batch entry has its own canvas. Its C crops move by ``+(offset - mean over C of its offsets)``, so the mean
    position is at the canvas centre. All canvases have the same side S: M plus twice the largest distance from the
    mean, which is first rounded up to an even number. The result is differentiable in patches and offsets. The device
    is synchronised once, for S.

    Args:
        patches: (B, C, N, N) complex; rows = y, columns = x.
        offsets: (B, C, 1, 2), [x, y], pixels; positions in any frame.
        M: side of the central crop, pixels; even, 2..N.

    Returns:
        The sum (B, S, S), dtype of patches, and the count (B, S, S), its real dtype: the same sum of crops of ones.

    Raises:
        TypeError: patches or offsets are not tensors.
        ValueError: a shape is wrong, M is odd or out of range, or offsets are not finite or too far apart.
    """
    groups, members = _require_shapes(patches, offsets, M)
    # Use float64, because distances are differences of large coordinates.
    moves = offsets.reshape(groups, members, 2).to(torch.float64)
    moves = moves - moves.mean(dim=1, keepdim=True)
    reach = moves.detach().abs().amax().item()
    if not math.isfinite(reach):
        raise ValueError("offsets: expected finite numbers, found NaN or infinity")
    pad = math.ceil(reach)
    pad += pad % 2
    side = M + 2 * pad
    if side > LARGEST_SIDE:
        raise ValueError(
            f"offsets: expected a canvas of at most {LARGEST_SIDE} pixels a side, found {side:.3g}: they reach "
            f"{reach:.3g} from their mean. Offsets are in pixels, not in metres"
        )

    corner = (moves + pad).flatten(0, 1)
    whole = corner.detach().floor()
    fraction, whole = corner - whole, whole.long()
    canvas = torch.arange(groups, device=patches.device).repeat_interleave(members)
    total = _add_crops(patches.flatten(0, 1), canvas, whole, fraction.to(patches.real.dtype), groups, side, M)
    count = _count(canvas, whole, fraction, groups, side, M).to(patches.real.dtype)
    return total, count


def overlap_ratio(total: Complex[Tensor, "B S S"], count: Float[Tensor, "B S S"]) -> Complex[Tensor, "B S S"]:
    """Return the mosaics: the sum (B, S, S) divided by (1e-9 + count); 0 where there is no crop."""
    return total / (count + 1e-9)


def _require_shapes(patches: Tensor, offsets: Tensor, M: int) -> tuple[int, int]:
    for name, given in (("patches", patches), ("offsets", offsets)):
        if not isinstance(given, Tensor):
            raise TypeError(f"{name}: expected a torch.Tensor, found {type(given).__name__}")
    if patches.ndim != 4 or patches.shape[2] != patches.shape[3] or 0 in patches.shape:
        raise ValueError(f"patches: expected shape (B, C, N, N), none of them 0, found {tuple(patches.shape)}")
    if patches.dtype not in (torch.complex64, torch.complex128):
        raise ValueError(f"patches: expected a complex dtype, complex64 or complex128, found {patches.dtype}")
    groups, members, N = patches.shape[:3]
    if offsets.shape != (groups, members, 1, 2):
        raise ValueError(
            f"offsets: expected shape {(groups, members, 1, 2)} to go with these patches, found {tuple(offsets.shape)}"
        )
    if not offsets.is_floating_point():
        raise ValueError(f"offsets: expected a floating-point dtype, found {offsets.dtype}")
    if offsets.device != patches.device:
        raise ValueError(f"expected one device, found offsets on {offsets.device}, patches on {patches.device}")
    if not isinstance(M, int) or M % 2 or not 2 <= M <= N:
        raise ValueError(f"M: expected an even crop between 2 and N = {N}, found {M}")
    return groups, members


def _add_crops(
    patches: Tensor, canvas: Tensor, whole: Tensor, fraction: Tensor, groups: int, side: int, M: int
) -> Tensor:
    """Add the crops of patches (n, N, N) to their canvases; the upper left corners are at whole + fraction (n, 2)."""
    first = patches.shape[-1] // 2 - M // 2
    stride = side + 1  # a crop that ends at the edge writes one row and one column of zeros beyond it
    window = torch.arange(M + 1, device=patches.device)
    window = (window[:, None] * stride + window).flatten()
    start = (canvas * stride + whole[:, 1]) * stride + whole[:, 0]
    # The weights are real, so complex numbers are interpolated as pairs of real numbers.
    total = patches.new_zeros(groups * stride * stride)
    for block in range(0, len(patches), _AT_A_TIME):
        rows = slice(block, block + _AT_A_TIME)
        crops = patches[rows, first : first + M, first : first + M]
        bordered = torch.view_as_real(zero_pad(crops, (1, 1, 1, 1))).flatten(2)
        fx, fy = fraction[rows, None, None].unbind(-1)
        moved = torch.lerp(bordered[:, 1:], bordered[:, :-1], fy)
        moved = torch.lerp(moved[:, :, 2:], moved[:, :, :-2], fx).reshape(-1, 2)
        total.index_add_(0, (start[rows, None] + window).flatten(), torch.view_as_complex(moved))
    return total.view(groups, stride, stride)[:, :side, :side]


def _count(canvas: Tensor, whole: Tensor, fraction: Tensor, groups: int, side: int, M: int) -> Tensor:
    """Count the crops of ones that cover each pixel, float64.

    A row of M ones, moved by a fraction f, is the running sum of four steps: 1 - f, f, and M pixels later their
    negatives. So sixteen numbers per crop and a running sum along each axis give the count for any M.
    """
    stride = side + 2
    pair = torch.arange(2, device=whole.device)  # created on the device, because copying a list would synchronise it
    step = torch.cat([pair, pair + M])
    height = torch.stack([1 - fraction, fraction, fraction - 1, -fraction], dim=-1)
    at = whole[:, :, None] + step
    index = (canvas[:, None, None] * stride + at[:, 1, :, None]) * stride + at[:, 0, None, :]
    steps = height.new_zeros(groups * stride * stride)
    steps.index_add_(0, index.flatten(), (height[:, 1, :, None] * height[:, 0, None, :]).flatten())
    count = steps.view(groups, stride, stride).cumsum(1).cumsum(2)
    return count[:, :side, :side].clamp(min=0)  # rounding in running sums may leave less than 0
