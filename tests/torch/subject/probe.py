"""The mask, the normalised probe and the default disk."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

from ptycho_torch.operators.probe import default_probe, hard_mask, normalize_probe_like_tf
from tests.torch.subject.layouts import Outputs, array


def probe_hard_mask(*, N: int) -> Outputs:
    return {"mask": rearrange(array(hard_mask(N)), "h w -> h w 1")}


def probe_normalise(*, probe: np.ndarray, probe_scale: float) -> Outputs:
    normalised = normalize_probe_like_tf(torch.from_numpy(probe), probe_scale)
    return {"normalised": rearrange(array(normalised), "h w -> h w 1")}


def probe_default_disk(*, N: int, default_probe_scale: float) -> Outputs:
    return {"probe": array(default_probe(N, default_probe_scale))}
