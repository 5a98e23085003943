"""Move images by bilinear translation with zero fill, as merge and extraction do."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


def translate(images: Shaped[Tensor, "B C H W"], displacements: Float[Tensor, "B 2"]) -> Shaped[Tensor, "B C H W"]:
    """Move every image by its displacement; content moves toward +columns for dx > 0 and +rows for dy > 0.

    A neighbour of a sampling point that is outside the image counts as zero; the other neighbours keep their weight.
    Real and imaginary part are interpolated, not the phase. The result is differentiable in both arguments.

    Args:
        images: (B, C, H, W), real or complex floating point; rows, columns. All channels of an image move together.
        displacements: (B, 2), [dx, dy] for each image, pixels.

    Returns:
        (B, C, H, W), dtype and device of ``images``.

    Raises:
        ValueError: a shape is wrong. (TensorFlow repeats the rows of too short a list, which hides mistakes.)
    """
    if images.ndim != 4:
        raise ValueError(f"images: expected shape (B, C, H, W), found {tuple(images.shape)}")
    if displacements.shape != (len(images), 2):
        raise ValueError(f"displacements: expected shape ({len(images)}, 2), found {tuple(displacements.shape)}")
    if images.is_complex():
        channels = images.shape[1]
        parts = translate(torch.cat([images.real, images.imag], dim=1), displacements)
        return torch.complex(parts[:, :channels], parts[:, channels:])
    dx, dy = displacements.to(images.dtype).unbind(1)
    return _move(_move(images, dy, 2), dx, 3)


def _move(images: Tensor, distance: Tensor, axis: int) -> Tensor:
    """Move images (B, C, H, W) along one axis by a distance (B,) each, pixels."""
    size = images.shape[axis]
    whole = distance.detach().floor()
    fraction = (distance - whole)[:, None, None, None]
    # Indices 0 and size + 1 of the padded axis are zero and represent everything outside.
    padding = (0, 0, 1, 1) if axis == 2 else (1, 1)
    padded = torch.nn.functional.pad(images, padding)
    # Clamp before the conversion, so that a distance beyond the range of integers cannot wrap around.
    source = torch.arange(size, device=images.device) - whole.clamp(-size - 1, size + 1)[:, None].long()
    near, far = (_take(padded, (source + shift).clamp(0, size + 1), axis) for shift in (1, 0))
    return torch.lerp(near, far, fraction)


def _take(images: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Take rows (axis 2) or columns (axis 3) of each image by the indices of that image."""
    view = indices[:, None, :, None] if axis == 2 else indices[:, None, None, :]
    shape = list(images.shape)
    shape[axis] = indices.shape[1]
    return images.gather(axis, view.expand(shape))
