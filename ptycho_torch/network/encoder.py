"""The encoder, which maps measured patterns to features of 8 x 8 pixels. See docs/conventions.md, "Network"."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ptycho_torch.network.layers import DownBlock, chained, scaled_widths

ENCODER_WIDTHS: Mapping[int, tuple[int, ...]] = {
    64: (32, 64, 128),
    128: (16, 32, 64, 128),
    256: (8, 16, 32, 64, 128),
}
"""Patch side N -> channels after each of the encoder's blocks, before ``n_filters_scale``. All end at 8 x 8 pixels."""


class Encoder(nn.Sequential):
    """Map patterns (B, C, N, N) to features (B, 128 s, 8, 8), where s is ``n_filters_scale``.

    Args:
        N: patch side, pixels: 64, 128 or 256.
        channels: C, patches per group.
        scale: ``n_filters_scale``.

    Raises:
        ValueError: N has another value.
    """

    def __init__(self, N: int, channels: int, scale: int) -> None:
        super().__init__(chained(DownBlock, (channels, *scaled_widths(ENCODER_WIDTHS, N, scale))))
