"""Cut the patch of a known object that each pattern shows.

There are two kinds, which differ for groups of several members. ``ground_truth_like_tf`` returns the same as
TensorFlow: for each member, the patch at its position *mirrored through the group's mean*. ``ground_truth_at_members``
returns the patch that each pattern shows. Parity needs the first, supervised training the second.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import pad as zero_pad

_AT_A_TIME = 256
"""Number of patches that are cut together; more would only take memory."""


def ground_truth_like_tf(
    object_guess: Complex[Tensor, "H W"],
    coords_offsets: Float[Tensor, "n 1 2 1"],
    coords_relative: Float[Tensor, "n 1 2 C"],
    N: int,
) -> Complex[Tensor, "n N N C"]:
    """Cut TensorFlow's ground truth: the patch of a member is at ``coords_offsets + coords_relative``.

    With ``coords_relative = -(coords - mean)``, this is ``2 * mean - coords``. For groups of several members, this is
    the position mirrored through the group's mean, so the patch is not the one that the pattern shows. For groups of
    one, it is the position itself. See docs/conventions.md, "Ground truth".

    Args:
        object_guess: (H, W) complex; rows = y, columns = x.
        coords_offsets: (n, 1, 2, 1), mean positions of the groups, [x, y], pixels.
        coords_relative: (n, 1, 2, C), as in the grouped record, with TensorFlow's sign.
        N: patch side, pixels.

    Returns:
        (n, N, N, C), dtype of the object; zero outside the object.

    Raises:
        ValueError: a shape or dtype is wrong, or positions are not finite.
    """
    if coords_offsets.shape != (*coords_relative.shape[:3], 1):
        raise ValueError(
            f"coords_offsets: expected shape (n, 1, 2, 1) to go with coords_relative {tuple(coords_relative.shape)}, "
            f"found {tuple(coords_offsets.shape)}"
        )
    return _grouped_patches(object_guess, coords_offsets + coords_relative, N)


def ground_truth_at_members(
    object_guess: Complex[Tensor, "H W"], coords_nn: Float[Tensor, "n 1 2 C"], N: int
) -> Complex[Tensor, "n N N C"]:
    """Cut the patch at each member's own position, which its pattern shows and supervised training needs.

    TensorFlow does this only for groups of one; see ``ground_truth_like_tf``.

    Args:
        object_guess: (H, W) complex; rows = y, columns = x.
        coords_nn: (n, 1, 2, C), positions of the members, [x, y], pixels.
        N: patch side, pixels.

    Returns:
        (n, N, N, C), dtype of the object; zero outside the object.

    Raises:
        ValueError: a shape or dtype is wrong, or positions are not finite.
    """
    return _grouped_patches(object_guess, coords_nn, N)


def patches_at(
    object_guess: Complex[Tensor, "H W"], positions: Float[Tensor, "n 2"], N: int
) -> Complex[Tensor, "n N N"]:
    """Cut patches of an object at positions of their centre index ``N // 2``, with bilinear interpolation.

    Row i of a patch at (x, y) is row ``y - N // 2 + i`` of the object. Outside the object, patches are zero. Real and
    imaginary part are interpolated, not the phase. The result is differentiable in object and positions.

    Args:
        object_guess: (H, W) complex; rows = y, columns = x.
        positions: (n, 2), [x, y], pixels.
        N: patch side, pixels.

    Returns:
        (n, N, N), dtype of the object.

    Raises:
        ValueError: a shape or dtype is wrong, or positions are not finite.
    """
    if object_guess.ndim != 2 or not object_guess.is_complex():
        raise ValueError(
            f"object_guess: expected (H, W) complex, found {tuple(object_guess.shape)} {object_guess.dtype}"
        )
    if positions.ndim != 2 or positions.shape[1] != 2 or not positions.is_floating_point():
        raise ValueError(f"positions: expected (n, 2) real, found {tuple(positions.shape)} {positions.dtype}")
    if N < 1:
        raise ValueError(f"N: expected a positive number, found {N}")
    if not torch.isfinite(positions).all():
        raise ValueError("positions: expected finite numbers, found NaN or infinity")
    return torch.cat([_cut(object_guess, block, N) for block in torch.split(positions, _AT_A_TIME)])


def _grouped_patches(object_guess: Tensor, coords: Tensor, N: int) -> Tensor:
    """Cut the patches at positions (n, 1, 2, C), as (n, N, N, C)."""
    if coords.ndim != 4 or coords.shape[1:3] != (1, 2):
        raise ValueError(f"positions of groups: expected shape (n, 1, 2, C), found {tuple(coords.shape)}")
    patches = patches_at(object_guess, rearrange(coords, "n 1 xy c -> (n c) xy"), N)
    return rearrange(patches, "(n c) h w -> n h w c", c=coords.shape[3])


def _cut(object_guess: Tensor, positions: Tensor, N: int) -> Tensor:
    # Use float64, because fractions are differences of large coordinates.
    corner = positions.to(torch.float64) - N // 2
    whole = corner.detach().floor()
    fx, fy = (corner - whole).to(object_guess.real.dtype)[:, :, None, None].unbind(1)
    # One ring of zeros represents everything outside the object.
    bordered = zero_pad(object_guess, (1, 1, 1, 1))
    reach = torch.arange(N + 1, device=object_guess.device)
    columns, rows = (
        # Also clamp before the conversion, so that a position beyond the range of integers cannot wrap around.
        (start.clamp(-N - 1, size)[:, None].long() + reach + 1).clamp(0, size + 1)
        for start, size in zip(whole.unbind(1), reversed(object_guess.shape))
    )
    window = bordered[rows[:, :, None], columns[:, None, :]]
    along_y = (1 - fy) * window[:, :-1] + fy * window[:, 1:]
    return (1 - fx) * along_y[:, :, :-1] + fx * along_y[:, :, 1:]
