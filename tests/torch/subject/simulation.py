"""Patterns of an object at given positions."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

from ptycho_torch.operators.physics import scale_nphotons
from ptycho_torch.simulate import diffraction_patterns
from tests.torch.subject.layouts import Outputs, array


def simulation_patterns(*, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, nphotons: float) -> Outputs:
    centres = torch.from_numpy(rearrange(positions, "n 1 xy 1 -> n xy"))
    amplitude = diffraction_patterns(torch.from_numpy(object), torch.from_numpy(probe), centres)
    return {
        "amplitude": rearrange(array(amplitude), "n h w -> n h w 1"),
        "intensity_scale": array(scale_nphotons(rearrange(amplitude, "n h w -> n 1 h w"), nphotons)),
    }
