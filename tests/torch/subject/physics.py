"""Diffraction, scales, the Poisson term, and the simulation without noise."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

from ptycho_torch.operators.physics import (
    diffraction_amplitude,
    intensity_scale,
    padded_diffraction_amplitude,
    padded_field,
    poisson_loss,
    poisson_term,
    predicted_amplitude,
    scale_nphotons,
    simulate,
)
from ptycho_torch.operators.probe import normalize_probe_like_tf
from tests.torch.subject.layouts import Outputs, array, channels_first, channels_last


def physics_diffraction(*, field: np.ndarray) -> Outputs:
    amplitude = diffraction_amplitude(torch.from_numpy(rearrange(field, "n h w 1 -> n h w")))
    return {"amplitude": rearrange(array(amplitude), "n h w -> n h w 1")}


def physics_padded_diffraction(*, field: np.ndarray) -> Outputs:
    first = torch.from_numpy(rearrange(field, "n h w 1 -> n h w"))
    return {
        "padded": rearrange(array(padded_field(first)), "n h w -> n h w 1"),
        "amplitude": rearrange(array(padded_diffraction_amplitude(first)), "n h w -> n h w 1"),
    }


def physics_forward(*, patches: np.ndarray, probe: np.ndarray, probe_scale: float, nphotons: float) -> Outputs:
    light = normalize_probe_like_tf(torch.from_numpy(probe), probe_scale)
    scale = intensity_scale(nphotons, len(probe))
    return {"amplitude": channels_last(predicted_amplitude(channels_first(patches), light, scale))}


def physics_intensity_scale(*, nphotons: np.ndarray, N: np.ndarray) -> Outputs:
    # A number in double precision, which Torch rounds when it multiplies a pattern by it.
    return {"scale": np.array([intensity_scale(*row) for row in zip(nphotons.tolist(), N.tolist())], np.float32)}


def physics_photon_scale(*, X: np.ndarray, nphotons: float) -> Outputs:
    first = channels_first(X)
    scale = scale_nphotons(first, nphotons)
    return {"scale": array(scale), "scaled": channels_last(first * scale)}


def physics_poisson(*, predicted: np.ndarray, target: np.ndarray) -> Outputs:
    both = channels_first(predicted), channels_first(target)
    return {"elementwise": channels_last(poisson_term(*both)), "mean": array(poisson_loss(*both))}


def physics_poisson_at_zero(*, predicted: np.ndarray, target: np.ndarray) -> Outputs:
    term = channels_last(poisson_term(channels_first(predicted), channels_first(target)))
    return {"infinite": np.isposinf(term), "undefined": np.isnan(term)}


def physics_simulation(*, amplitude: np.ndarray, phase: np.ndarray, probe: np.ndarray, nphotons: float) -> Outputs:
    parts = (torch.from_numpy(rearrange(part, "n h w 1 -> n h w")) for part in (amplitude, phase))
    found = simulate(*parts, torch.from_numpy(probe), nphotons)
    return {
        "X": rearrange(array(found.X), "n h w -> n h w 1"),
        "Y_I": rearrange(array(found.Y_I), "n h w -> n h w 1"),
        "Y_phi": rearrange(array(found.Y_phi), "n h w -> n h w 1"),
        "intensity_scale": array(found.intensity_scale),
    }
