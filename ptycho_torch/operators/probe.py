"""The illumination: hard mask, normalisation, default disk."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Complex64, Float64, Num
from torch import Tensor


def hard_mask(N: int, *, device: torch.device | str | None = None) -> Bool[Tensor, "N N"]:
    """Pixels whose distance from the mask's centre is below ``N // 4``.

    Index i lies at ``i - N // 2 + 0.5``, so for odd N the mask sits half a pixel low, as in TensorFlow.

    Args:
        N: patch side, pixels; at least 4.
        device: of the result.

    Returns:
        (N, N) bool; rows, columns.
    """
    if N < 4:
        raise ValueError(f"N: expected at least 4 (the mask's radius is N // 4 pixels), found {N}")
    distance = torch.arange(N, dtype=torch.float32, device=device) - N // 2 + 0.5
    return distance[:, None] ** 2 + distance[None, :] ** 2 < float(N // 4) ** 2


def normalize_probe_like_tf(
    probe_guess: Num[Tensor, "N N"] | Num[Tensor, "N N 1"] | np.ndarray, probe_scale: float
) -> Complex64[Tensor, "N N"]:
    """The probe that TensorFlow stores: ``P / (probe_scale * mean(|mask * P|))``.

    The mean runs over all N * N pixels. The mask enters only this norm: the result keeps what lies outside it. So
    ``mean(|mask * result|) = 1 / probe_scale``, and normalising twice changes nothing.

    Args:
        probe_guess: (N, N) or (N, N, 1), complex or real; N is taken from it. Arrays are accepted too.
        probe_scale: positive; 4.0 in the structured configuration.

    Returns:
        (N, N) complex64, on the device of the input.

    Raises:
        ValueError: not square, not finite, zero inside the mask, or a scale that is not positive.
    """
    # A copy: arrays may be read-only, reversed or of another byte order, which Torch cannot take.
    probe = probe_guess if isinstance(probe_guess, Tensor) else torch.from_numpy(np.array(probe_guess, np.complex64))
    if probe.ndim == 3 and probe.shape[-1] == 1:
        probe = probe[..., 0]
    if probe.ndim != 2 or probe.shape[0] != probe.shape[1]:
        raise ValueError(f"probe_guess: expected shape (N, N) or (N, N, 1), found {tuple(probe.shape)}")
    if not (math.isfinite(probe_scale) and probe_scale > 0):
        raise ValueError(f"probe_scale: expected a positive number, found {probe_scale}")
    probe = probe.to(torch.complex64)
    norm = probe_scale * torch.where(hard_mask(len(probe), device=probe.device), probe, 0).abs().mean()
    normalised = probe / norm
    # One number that is finite only if all is: the norm, every pixel, and none of them overflowed.
    value = (norm + 0 * normalised.abs().sum()).item()
    if not 0 < value < math.inf:
        raise ValueError(
            f"probe_guess: its mean modulus within {len(probe) // 4} pixels of the centre times probe_scale is "
            f"{value}; expected a finite, positive number. Is the probe empty, not finite, or off centre?"
        )
    return normalised


def default_probe(
    N: int, default_probe_scale: float = 0.7, *, device: torch.device | str | None = None
) -> Float64[Tensor, "N N"]:
    """A blurred disk, for data without a probe guess.

    A Gaussian window (standard deviation ``N / (default_probe_scale * pi**2)``, maximum 1) times itself, above 0.5;
    blurred by a Gaussian of one pixel, cut at four, reflected at the edges; plus 1e-9.

    Args:
        N: patch side, pixels; at least 4.
        default_probe_scale: larger makes a smaller disk.
        device: of the result.

    Returns:
        (N, N) float64; modulus, between 1e-9 and 1; not normalised.
    """
    if N < 4:
        raise ValueError(f"N: expected at least 4, found {N}")
    if not default_probe_scale > 0:
        raise ValueError(f"default_probe_scale: expected a positive number, found {default_probe_scale}")
    sigma = N / (default_probe_scale * math.pi**2)
    distance = torch.arange(N, dtype=torch.float64) - (N - 1) / 2
    window = torch.exp(-(distance**2) / (2 * sigma**2))
    window = window / window.max()
    disk = (torch.outer(window, window) > 0.5).to(torch.float64)
    # The blur is separable, and linear along each axis: a banded matrix from either side.
    blur = _blur_matrix(N)
    return (blur @ disk @ blur.T + 1e-9).to(device)


def _blur_matrix(N: int) -> Float64[Tensor, "N N"]:
    """Row i holds the weights of the pixels that a reflected Gaussian blur mixes into pixel i."""
    reach = torch.arange(-4, 5)
    taps = torch.exp(-(reach.to(torch.float64) ** 2) / 2)
    taps = taps / taps.sum()
    source = torch.arange(N)[:, None] + reach
    source = torch.where(source < 0, -source - 1, source)
    source = torch.where(source >= N, 2 * N - 1 - source, source)
    return torch.zeros(N, N, dtype=torch.float64).scatter_add_(1, source, taps.expand(N, -1).contiguous())
