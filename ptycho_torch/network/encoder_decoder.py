"""From measured patterns to an image per patch: an encoder, and two decoders that differ in their last activation.

See docs/conventions.md, "Network".
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad as zero_pad
from torch.nn.functional import relu, sigmoid, silu, softplus

from ptycho_torch.network.layers import (
    Convolution,
    ConvolutionPair,
    DownBlock,
    UpBlock,
    UpsampledConvolution,
    centre_mask,
)

Activation = Callable[[Tensor], Tensor]

ENCODER_WIDTHS: Mapping[int, tuple[int, ...]] = {
    64: (32, 64, 128),
    128: (16, 32, 64, 128),
    256: (8, 16, 32, 64, 128),
}
"""Patch side N -> channels after each of the encoder's blocks, before ``n_filters_scale``. All end at 8 x 8 pixels."""
DECODER_WIDTHS: Mapping[int, tuple[int, ...]] = {
    64: (64, 32),
    128: (128, 64, 32),
    256: (256, 128, 64, 32),
}
"""Patch side N -> channels after each of a decoder's up blocks, before ``n_filters_scale``. All end at N / 2 pixels."""
BORDER_CHANNELS = 4
"""The last channels of a decoder see the border of the patch, and no more; the others its centre."""
AMPLITUDE_ACTIVATIONS: Mapping[str, Activation] = {
    "sigmoid": sigmoid,
    "swish": silu,
    "softplus": softplus,
    "relu": relu,
}
"""``ModelConfig.amp_activation`` -> the function."""


def phase_activation(x: Tensor) -> Tensor:
    """Radians, within ±π: ``π tanh(x)``."""
    return math.pi * torch.tanh(x)


class Encoder(nn.Sequential):
    """Patterns (B, C, N, N) -> features (B, 128 s, 8, 8).

    Args:
        N: patch side, pixels: 64, 128 or 256.
        channels: C, patches per group.
        scale: ``n_filters_scale``.

    Raises:
        ValueError: another N.
    """

    def __init__(self, N: int, channels: int, scale: int) -> None:
        widths = channels, *_widths(ENCODER_WIDTHS, N, scale)
        super().__init__(_numbered(DownBlock(inputs, width) for inputs, width in pairwise(widths)))


class Decoder(nn.Module):
    """Features (B, 128 s, 8, 8) -> an image per patch (B, outputs, N, N).

    With ``pad_object`` the last ``BORDER_CHANNELS`` channels are kept from the centre: the others make the centre of
    the patch (``inner``), and they, with ``probe_big``, the border around it (``border``); without ``probe_big`` it is
    zero, and nobody reads them. Without ``pad_object`` all channels make the whole patch (``whole``).

    Args:
        N: patch side, pixels: 64, 128 or 256.
        outputs: images per group.
        scale: ``n_filters_scale``.
        activation: of the centre, or of the whole patch. The border's is swish, in either decoder.
        pad_object, probe_big: as in ``ModelConfig``.

    Raises:
        ValueError: another N.
    """

    def __init__(
        self, N: int, outputs: int, scale: int, activation: Activation, *, pad_object: bool, probe_big: bool
    ) -> None:
        super().__init__()
        widths = _widths(ENCODER_WIDTHS, N, scale)[-1], *_widths(DECODER_WIDTHS, N, scale)
        last, border_width = widths[-1], scale * (2048 // N)
        # In TensorFlow's order of weights (ptycho_torch.weights).
        self.up = nn.Sequential(_numbered(UpBlock(inputs, width) for inputs, width in pairwise(widths)))
        self.whole = None if pad_object else WholeHead(last, border_width, outputs, activation)
        self.border = BorderHead(N, border_width, outputs) if pad_object and probe_big else None
        self.inner = InnerHead(last - BORDER_CHANNELS, outputs, activation) if pad_object else None

    def forward(self, features: Float[Tensor, "B features 8 8"]) -> Float[Tensor, "B outputs N N"]:
        """Args and result as of the class."""
        decoded = self.up(features)
        if self.whole is not None:
            return self.whole(decoded)  # type: ignore[no-any-return]
        assert self.inner is not None
        image = self.inner(decoded[:, :-BORDER_CHANNELS])
        if self.border is None:
            return image  # type: ignore[no-any-return]
        return image + self.border(decoded[:, -BORDER_CHANNELS:])  # type: ignore[no-any-return]


class InnerHead(nn.Module):
    """The centre of the patch, zeros around it: (B, inputs, N/2, N/2) -> (B, outputs, N, N)."""

    def __init__(self, inputs: int, outputs: int, activation: Activation) -> None:
        super().__init__()
        self.conv = Convolution(inputs, outputs)
        self.activation = activation

    def forward(self, decoded: Float[Tensor, "B inputs H H"]) -> Float[Tensor, "B outputs 2*H 2*H"]:
        """Args and result as of the class."""
        centre = self.activation(self.conv(decoded))
        return zero_pad(centre, (decoded.shape[-1] // 2,) * 4)


class BorderHead(nn.Module):
    """What lies around the centre, zeros in it: (B, ``BORDER_CHANNELS``, N/2, N/2) -> (B, outputs, N, N).

    Swish, for amplitude and phase: values are not below -0.28 and not bounded above.
    """

    mask: Tensor

    def __init__(self, N: int, width: int, outputs: int) -> None:
        super().__init__()
        self.pair = ConvolutionPair(BORDER_CHANNELS, width)
        self.conv = UpsampledConvolution(width, outputs)
        self.register_buffer("mask", 1 - centre_mask(N), persistent=False)

    def forward(self, decoded: Float[Tensor, "B 4 H H"]) -> Float[Tensor, "B outputs 2*H 2*H"]:
        """Args and result as of the class."""
        return silu(self.conv(self.pair(decoded))) * self.mask


class WholeHead(nn.Module):
    """All of the patch at once: (B, inputs, N/2, N/2) -> (B, outputs, N, N)."""

    def __init__(self, inputs: int, width: int, outputs: int, activation: Activation) -> None:
        super().__init__()
        self.pair = ConvolutionPair(inputs, width)
        self.conv = UpsampledConvolution(width, outputs)
        self.activation = activation

    def forward(self, decoded: Float[Tensor, "B inputs H H"]) -> Float[Tensor, "B outputs 2*H 2*H"]:
        """Args and result as of the class."""
        return self.activation(self.conv(self.pair(decoded)))


def _widths(table: Mapping[int, tuple[int, ...]], N: int, scale: int) -> tuple[int, ...]:
    if N not in table:
        raise ValueError(f"N: expected a patch side of {', '.join(map(str, table))} pixels, found {N}")
    return tuple(width * scale for width in table[N])


def _numbered(blocks: Iterable[nn.Module]) -> OrderedDict[str, nn.Module]:
    return OrderedDict((f"block_{number}", block) for number, block in enumerate(blocks, start=1))
