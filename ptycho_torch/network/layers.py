"""The layers that the network is made of: convolutions that start as Keras's do, and blocks that halve or double."""

from __future__ import annotations

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, max_pool2d, pixel_shuffle, relu


class Convolution(nn.Conv2d):
    """3 x 3, stride 1, zeros around the image so that it keeps its size, with a bias.

    It starts as Keras starts it: Glorot uniform weights, their limit ``sqrt(6 / (9 inputs + 9 outputs))``, and zero
    biases. (Torch's own start is wider for few outputs and has random biases.) Input (B, inputs, H, W), output
    (B, outputs, H, W).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=3, padding=1)

    def reset_parameters(self) -> None:
        """Draw the weights anew, from Torch's generator."""
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class UpsampledConvolution(Convolution):
    """Every pixel four times, then the convolution: (B, inputs, H, W) -> (B, outputs, 2H, 2W).

    Of three neighbours in the doubled image, two are one pixel. So each of its four kinds of pixels (even or odd row,
    even or odd column) is a convolution of the image as it was, with taps added up: a quarter of the pixels, and the
    doubled image is never made.
    """

    folds: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        # Which taps fall on the pixel before, on the pixel itself, on the one after: of an even row, of an odd one.
        even, odd = [[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]
        self.register_buffer("folds", torch.tensor([even, odd], dtype=self.weight.dtype), persistent=False)

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B outputs 2*H 2*W"]:
        """Args and result as of the class."""
        assert self.bias is not None
        kernels = einsum(self.folds, self.folds, self.weight, "r h row, c w column, o i row column -> o r c i h w")
        kernels = rearrange(kernels, "o r c i h w -> (o r c) i h w")
        return pixel_shuffle(conv2d(images, kernels, repeat(self.bias, "o -> (o 4)"), padding=1), 2)


class ConvolutionPair(nn.Module):
    """Two convolutions with ReLU: (B, inputs, H, W) -> (B, width, H, W)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv_1 = Convolution(inputs, width)
        self.conv_2 = Convolution(width, width)

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B width H W"]:
        """Args and result as of the class."""
        return relu(self.conv_2(relu(self.conv_1(images), inplace=True)), inplace=True)


class DownBlock(ConvolutionPair):
    """The pair, then the largest of every 2 x 2 pixels: (B, inputs, H, W) -> (B, width, H/2, W/2)."""

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B width H//2 W//2"]:
        """Args and result as of the class."""
        wide = self.conv_2(relu(self.conv_1(images), inplace=True))
        # The largest, then ReLU: the same as the other way round, at a quarter of the pixels.
        return relu(max_pool2d(wide, 2), inplace=True)


class UpBlock(ConvolutionPair):
    """The pair, then every pixel four times: (B, inputs, H, W) -> (B, width, 2H, 2W)."""

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B width 2*H 2*W"]:
        """Args and result as of the class."""
        return interpolate(super().forward(images), scale_factor=2, mode="nearest")


def centre_mask(N: int) -> Float[Tensor, "N N"]:
    """Ones in rows and columns ``N // 4 … N // 4 + N // 2 - 1``, zeros around them; float32."""
    mask = torch.zeros(N, N)
    centre = slice(N // 4, N // 4 + N // 2)
    mask[centre, centre] = 1
    return mask
