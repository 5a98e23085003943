"""The layers that the network is made of: convolutions that start as Keras's do, and blocks that halve or double."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, relu


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


class DownBlock(nn.Module):
    """Two convolutions with ReLU, then the largest of every 2 x 2 pixels: (B, inputs, H, W) -> (B, width, H/2, W/2)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv_1 = Convolution(inputs, width)
        self.conv_2 = Convolution(width, width)

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B width H/2 W/2"]:
        """Args and result as of the class."""
        wide = self.conv_2(relu(self.conv_1(images)))
        # The largest, then ReLU: the same as the other way round, at a quarter of the pixels.
        return relu(max_pool2d(wide, 2))


class UpBlock(nn.Module):
    """Two convolutions with ReLU, then every pixel four times: (B, inputs, H, W) -> (B, width, 2H, 2W)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv_1 = Convolution(inputs, width)
        self.conv_2 = Convolution(width, width)

    def forward(self, images: Float[Tensor, "B inputs H W"]) -> Float[Tensor, "B width 2*H 2*W"]:
        """Args and result as of the class."""
        wide = relu(self.conv_2(relu(self.conv_1(images))))
        return interpolate(wide, scale_factor=2, mode="nearest")


def centre_mask(N: int) -> Float[Tensor, "N N"]:
    """Ones in rows and columns ``N // 4 … N // 4 + N // 2 - 1``, zeros around them; float32."""
    mask = torch.zeros(N, N)
    centre = slice(N // 4, N // 4 + N // 2)
    mask[centre, centre] = 1
    return mask
