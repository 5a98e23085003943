"""Small models and batches for the tests of the network."""

from __future__ import annotations

from typing import Any

import torch

from ptycho_torch.config_params import ModelConfig
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.physics import intensity_scale
from ptycho_torch.operators.probe import default_probe, normalize_probe_like_tf

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def small_model(C: int = 1, N: int = 64, *, device: str = "cpu", seed: int = 1, **settings: Any) -> PtychoPINN:
    """Make a model with the fewest filters, and always the same weights."""
    torch.manual_seed(seed)
    config = ModelConfig(C_model=C, C_forward=C, **{"n_filters_scale": 1, **settings})
    # Not symmetric: every flip or transposition changes it.
    ramp = torch.linspace(0.5, 1.5, N)
    probe = normalize_probe_like_tf(default_probe(N) * torch.exp(1j * ramp[:, None]) * ramp, 4.0)
    return PtychoPINN(config, probe, intensity_scale(1e9, N)).to(device)


def batch(groups: int = 2, C: int = 1, N: int = 64, *, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Make normalised amplitudes, and positions with zero mean in every group."""
    generator = torch.Generator().manual_seed(groups * 100 + C)
    x = torch.rand(groups, C, N, N, generator=generator)
    positions = 4 * torch.rand(groups, 1, 2, C, generator=generator)
    return x.to(device), (positions - positions.mean(dim=3, keepdim=True)).to(device)
