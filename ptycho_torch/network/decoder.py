"""The decoder, which maps features to one image per patch. There are two, with different last activations.

See docs/conventions.md, "Network".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad as zero_pad
from torch.nn.functional import relu, sigmoid, silu, softplus

from ptycho_torch.network.encoder import ENCODER_WIDTHS
from ptycho_torch.network.layers import (
    Convolution,
    ConvolutionPair,
    UpBlock,
    UpsampledConvolution,
    border_mask,
    chained,
    scaled_widths,
)

Activation = Callable[[Tensor], Tensor]

DECODER_WIDTHS: Mapping[int, tuple[int, ...]] = {
    64: (64, 32),
    128: (128, 64, 32),
    256: (256, 128, 64, 32),
}
"""Patch side N -> channels after each of a decoder's up blocks, before ``n_filters_scale``. All end at N / 2 pixels."""
BORDER_CHANNELS = 4
"""Number of channels, the decoder's last, that give the border of the patch; the others give its centre."""
AMPLITUDE_ACTIVATIONS: Mapping[str, Activation] = {
    "sigmoid": sigmoid,
    "swish": silu,
    "softplus": softplus,
    "relu": relu,
}
"""``ModelConfig.amp_activation`` -> the function."""


def phase_activation(x: Tensor) -> Tensor:
    """Return ``π tanh(x)``: a phase within ±π, radians."""
    return math.pi * torch.tanh(x)


class Decoder(nn.Module):
    """Map features (B, 128 s, 8, 8) to one image per patch (B, outputs, N, N), where s is ``n_filters_scale``.

    With ``pad_object``, the last ``BORDER_CHANNELS`` channels give the border of the patch (``border``), and the others
    its centre (``inner``). Without ``probe_big``, the border is zero and its channels are not used. Without
    ``pad_object``, all channels give the whole patch (``whole``).

    Args:
        N: patch side, pixels: 64, 128 or 256.
        outputs: images per group.
        scale: ``n_filters_scale``.
        activation: function applied to the centre, or to the whole patch. For the border, it is swish in both decoders.
        pad_object: see above; as in ``ModelConfig``.
        probe_big: see above; as in ``ModelConfig``.

    Raises:
        ValueError: N has another value.
    """

    def __init__(
        self, N: int, outputs: int, scale: int, activation: Activation, *, pad_object: bool, probe_big: bool
    ) -> None:
        super().__init__()
        widths = scaled_widths(ENCODER_WIDTHS, N, scale)[-1], *scaled_widths(DECODER_WIDTHS, N, scale)
        last, border_width = widths[-1], scale * (2048 // N)
        # Create submodules in TensorFlow's order of weights (ptycho_torch.files.tensorflow_weights).
        self.up = nn.Sequential(chained(UpBlock, widths))
        self.whole = None if pad_object else WholeHead(last, border_width, outputs, activation)
        self.border = BorderHead(N, border_width, outputs) if pad_object and probe_big else None
        self.inner = InnerHead(last - BORDER_CHANNELS, outputs, activation) if pad_object else None

    def forward(self, features: Float[Tensor, "B features 8 8"]) -> Float[Tensor, "B outputs N N"]:
        """Map features to images; see the class for the shapes."""
        decoded = self.up(features)
        if self.whole is not None:
            return self.whole(decoded)  # type: ignore[no-any-return]
        assert self.inner is not None
        image = self.inner(decoded[:, :-BORDER_CHANNELS])
        if self.border is None:
            return image  # type: ignore[no-any-return]
        return image + self.border(decoded[:, -BORDER_CHANNELS:])  # type: ignore[no-any-return]


class InnerHead(nn.Module):
    """Compute the centre of the patch, with zeros around it: (B, inputs, N/2, N/2) -> (B, outputs, N, N)."""

    def __init__(self, inputs: int, outputs: int, activation: Activation) -> None:
        super().__init__()
        self.conv = Convolution(inputs, outputs)
        self.activation = activation

    def forward(self, decoded: Float[Tensor, "B inputs H H"]) -> Float[Tensor, "B outputs 2*H 2*H"]:
        """Map features to images; see the class for the shapes."""
        centre = _in_full_precision(self.conv, self.activation, decoded)
        return zero_pad(centre, (decoded.shape[-1] // 2,) * 4)


class BorderHead(nn.Module):
    """Compute the border of the patch, with zeros inside: (B, ``BORDER_CHANNELS``, N/2, N/2) -> (B, outputs, N, N).

    The activation is swish, for both amplitude and phase: values are at least -0.28 and have no upper bound.
    """

    mask: Tensor

    def __init__(self, N: int, width: int, outputs: int) -> None:
        super().__init__()
        self.pair = ConvolutionPair(BORDER_CHANNELS, width)
        self.conv = UpsampledConvolution(width, outputs)
        self.register_buffer("mask", border_mask(N), persistent=False)

    def forward(self, decoded: Float[Tensor, "B 4 H H"]) -> Float[Tensor, "B outputs 2*H 2*H"]:
        """Map features to images; see the class for the shapes."""
        return _in_full_precision(self.conv, silu, self.pair(decoded)) * self.mask


class WholeHead(nn.Module):
    """Compute the whole patch: (B, inputs, N/2, N/2) -> (B, outputs, N, N)."""

    def __init__(self, inputs: int, width: int, outputs: int, activation: Activation) -> None:
        super().__init__()
        self.pair = ConvolutionPair(inputs, width)
        self.conv = UpsampledConvolution(width, outputs)
        self.activation = activation

    def forward(self, decoded: Float[Tensor, "B inputs H H"]) -> Float[Tensor, "B outputs 2*H 2*H"]:
        """Map features to images; see the class for the shapes."""
        return _in_full_precision(self.conv, self.activation, self.pair(decoded))


def _in_full_precision(conv: Convolution, activation: Activation, features: Tensor) -> Tensor:
    """Convolve and activate in the dtype of the weights, even under ``torch.autocast``.

    The result is the object itself, which bfloat16 would round to 8 bits.
    """
    with torch.autocast(features.device.type, enabled=False):
        return activation(conv(features.to(conv.weight.dtype)))
