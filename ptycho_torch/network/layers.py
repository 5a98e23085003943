"""The layers of the network: convolutions with Keras's initial weights, blocks that halve or double the resolution."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, max_pool2d, pixel_shuffle, relu


class Convolution(nn.Conv2d):
    """Convolve with a 3 x 3 kernel and a bias, with stride 1 and zero padding, so that the image keeps its size.

    Weights are initialised as in Keras: Glorot uniform within ``±sqrt(6 / (9 inputs + 9 outputs))``, and zero biases.
    (Torch's own initial weights are larger for few outputs, and its biases are random.) Input (B, inputs, H, W), output
    (B, outputs, H, W).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=3, padding=1)

    def reset_parameters(self) -> None:
        """Draw new weights from Torch's generator."""
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class UpsampledConvolution(Convolution):
    """Repeat every pixel four times, then convolve: (B, inputs, H, W) -> (B, outputs, 2H, 2W).

    In the doubled image, two of three neighbours are the same pixel. So each of its four kinds of pixels (even or odd
    row, even or odd column) is a convolution of the original image with a kernel of summed taps, of which only four are
    not zero. The doubled image is never computed.
    """

    folds: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        # Taps that fall on the previous pixel, the pixel itself and the next pixel: for even rows, then for odd rows.
        even, odd = [[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]
        self.register_buffer("folds", torch.tensor([even, odd], dtype=self.weight.dtype), persistent=False)

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B outputs 2*H 2*W"]:
        """Map images to images; see the class for the shapes."""
        assert self.bias is not None
        kernels = einsum(self.folds, self.folds, self.weight, "r h row, c w column, o i row column -> o r c i h w")
        kernels = rearrange(kernels, "o r c i h w -> (o r c) i h w")
        return pixel_shuffle(conv2d(images, kernels, repeat(self.bias, "o -> (o 4)"), padding=1), 2)


class ConvolutionPair(nn.Module):
    """Convolve twice, each time with ReLU: (B, inputs, H, W) -> (B, width, H, W)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv_1 = Convolution(inputs, width)
        self.conv_2 = Convolution(width, width)

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B width H W"]:
        """Map images to images; see the class for the shapes."""
        return relu(self.conv_2(relu(self.conv_1(images), inplace=True)), inplace=True)


class DownBlock(ConvolutionPair):
    """Convolve twice, then take the maximum of every 2 x 2 pixels: (B, inputs, H, W) -> (B, width, H/2, W/2)."""

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B width H//2 W//2"]:
        """Map images to images; see the class for the shapes."""
        wide = self.conv_2(relu(self.conv_1(images), inplace=True))
        # ReLU after the maximum gives the same result as before it, but for a quarter of the pixels.
        return relu(max_pool2d(wide, 2), inplace=True)


class UpBlock(ConvolutionPair):
    """Convolve twice, then repeat every pixel four times: (B, inputs, H, W) -> (B, width, 2H, 2W)."""

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B width 2*H 2*W"]:
        """Map images to images; see the class for the shapes."""
        return interpolate(super().forward(images), scale_factor=2, mode="nearest")


def border_mask(N: int) -> Float[Tensor, "N N"]:
    """Return zeros in rows and columns ``N // 4 … N // 4 + N // 2 - 1`` and ones around them; (N, N) float32."""
    mask = torch.ones(N, N)
    centre = slice(N // 4, N // 4 + N // 2)
    mask[centre, centre] = 0  # on the device "meta", 1 - mask would load Torch's compiler, which takes a second
    return mask


def scaled_widths(table: Mapping[int, tuple[int, ...]], N: int, scale: int) -> tuple[int, ...]:
    """Return the table's channels for patch side N, times ``n_filters_scale``.

    Raises:
        ValueError: the table has no such N.
    """
    if N not in table:
        raise ValueError(
            f"N: expected a patch side of {', '.join(map(str, table))} pixels, found {N}; crop or bin the patterns, as "
            f"Ptychodus does on loading"
        )
    return tuple(width * scale for width in table[N])


def chained(block: type[ConvolutionPair], widths: Sequence[int]) -> OrderedDict[str, nn.Module]:
    """Return blocks that lead from one width to the next, named ``block_1``, ``block_2``, … as in weight files."""
    return OrderedDict((f"block_{number}", block(*ends)) for number, ends in enumerate(pairwise(widths), start=1))
