"""Functions under the names that users of PtychoPINN know."""

from __future__ import annotations

from jaxtyping import Bool, Complex, Float
from torch import Tensor

from ptycho_torch.config_params import DataConfig, ModelConfig
from ptycho_torch.operators.probe import default_probe, hard_mask, normalize_probe_like_tf
from ptycho_torch.operators.reassembly import overlap_ratio, shift_and_sum
from ptycho_torch.operators.translation import translate

__all__ = [
    "default_probe",
    "hard_mask",
    "normalize_probe_like_tf",
    "reassemble_patches_position_real",
    "translate",
]


def reassemble_patches_position_real(
    patches: Complex[Tensor, "B C N N"],
    offsets: Float[Tensor, "B C 1 2"],
    data_config: DataConfig,
    model_config: ModelConfig,
    *,
    M: int = 20,
) -> tuple[Complex[Tensor, "B S S"], Bool[Tensor, "B S S"], int]:
    """Stitch patches at their positions into a mosaic per batch entry, as TensorFlow does.

    The central M x M pixels of each patch are moved by ``+(offset - mean over C of the offsets)``, summed, and divided
    by the count of crops that cover a pixel. The mean position is at the canvas centre. So in the frame of the offsets,
    ``mosaic[r, c] = object[r - S // 2 + mean_y, c - S // 2 + mean_x]``. A whole scan of n patches is (1, n, N, N).

    Args:
        patches: (B, C, N, N) complex; rows = y, columns = x.
        offsets: (B, C, 1, 2), [x, y] of the patch centre (index N // 2), pixels.
        data_config: data configuration, whose N must be that of the patches.
        model_config: not used; accepted because callers pass it.
        M: side of the central crop, pixels; even, 2..N.

    Returns:
        The mosaics (B, S, S) complex; the mask (B, S, S) bool, true where the count exceeds 0.01, outside of which a
        mosaic is meaningless; and the canvas side S, the same for all.

    Raises:
        TypeError: patches or offsets are not tensors.
        ValueError: a shape, dtype or value is wrong.
    """
    if getattr(patches, "ndim", 0) == 4 and patches.shape[-1] != data_config.N:
        raise ValueError(f"patches: expected side N = {data_config.N} (data_config), found {patches.shape[-1]}")
    total, count = shift_and_sum(patches, offsets, M)
    return overlap_ratio(total, count), count > 0.01, total.shape[-1]
