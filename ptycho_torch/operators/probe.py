"""The probe's hard mask, its normalisation, and a default probe."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Complex64, Float64, Num
from scipy.ndimage import gaussian_filter
from torch import Tensor


def hard_mask(N: int, *, device: torch.device | str | None = None) -> Bool[Tensor, "N N"]:
    """Return a mask of the pixels whose distance from the centre is below ``N // 4``.

    The coordinate of index i is ``i - N // 2 + 0.5``. So for odd N, the mask is off centre by half a pixel, toward
    lower indices, as in TensorFlow.

    Args:
        N: patch side, pixels; at least 4.
        device: device of the result.

    Returns:
        (N, N) bool; rows, columns.

    Raises:
        ValueError: N is below 4.
    """
    if N < 4:
        raise ValueError(f"N: expected at least 4 (the mask's radius is N // 4 pixels), found {N}")
    distance = torch.arange(N, dtype=torch.float32, device=device) - N // 2 + 0.5
    return distance[:, None] ** 2 + distance[None, :] ** 2 < float(N // 4) ** 2


def normalize_probe_like_tf(
    probe_guess: Num[Tensor, "N N"] | Num[Tensor, "N N 1"] | np.ndarray, probe_scale: float
) -> Complex64[Tensor, "N N"]:
    """Normalise a probe as TensorFlow stores it: ``P / (probe_scale * mean(|mask * P|))``.

    The mean is over all N * N pixels. The mask is used only for this norm: the result is not masked. So
    ``mean(|mask * result|) = 1 / probe_scale``, and normalising again changes nothing.

    Args:
        probe_guess: (N, N) or (N, N, 1), complex or real, a tensor or an array.
        probe_scale: positive number; 4.0 in the structured configuration.

    Returns:
        (N, N) complex64, on the device of the input.

    Raises:
        ValueError: the probe is not square, not finite, or zero inside the mask; or the scale is not positive.
    """
    # Copy: an array may be read-only, reversed or of another byte order, which Torch does not support.
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
    # One number that is finite only if the norm and every pixel are, so that the device is synchronised only once.
    value = (norm + 0 * normalised.abs().sum()).item()
    if not 0 < value < math.inf:
        raise ValueError(
            f"probe_guess: expected a finite, positive mean modulus within {len(probe) // 4} pixels of the centre, "
            f"found {value} (times probe_scale). Is the probe empty, not finite, or off centre?"
        )
    return normalised


def default_probe(
    N: int, default_probe_scale: float = 0.7, *, device: torch.device | str | None = None
) -> Float64[Tensor, "N N"]:
    """Make a blurred disk, for data without a probe guess.

    The disk is where the outer product of a Gaussian window (standard deviation ``N / (default_probe_scale * pi**2)``,
    maximum 1) with itself exceeds 0.5. It is blurred by a Gaussian with a standard deviation of one pixel, truncated at
    four pixels and reflected at the edges. Then 1e-9 is added.

    Args:
        N: patch side, pixels; at least 4.
        default_probe_scale: positive number; larger for a smaller disk.
        device: device of the result.

    Returns:
        (N, N) float64, modulus between 1e-9 and 1, not normalised.

    Raises:
        ValueError: N is below 4, or the scale is not positive.
    """
    if N < 4:
        raise ValueError(f"N: expected at least 4, found {N}")
    if not default_probe_scale > 0:
        raise ValueError(f"default_probe_scale: expected a positive number, found {default_probe_scale}")
    sigma = N / (default_probe_scale * math.pi**2)
    distance = np.arange(N) - (N - 1) / 2
    window = np.exp(-(distance**2) / (2 * sigma**2))
    window = window / window.max()
    disk = (np.outer(window, window) > 0.5).astype(np.float64)
    blurred = gaussian_filter(disk, sigma=1, truncate=4, mode="reflect")
    return torch.from_numpy(blurred + 1e-9).to(device)
