"""From a field to photons, by the calls of the installed package."""

from __future__ import annotations

import math

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, tensor, unexpected
from golden.ptychopinn.probe import installed as probes

NO_CALL = {
    "intensity_scale": "it is computed where its model is made; no call returns it",
    "padded_diffraction": "its padding is known for real fields only",
    "poisson": "its loss stands in its model; no call returns it",
    "poisson_at_zero": "its loss stands in its model; no call returns it",
}


def diffraction(*, field: np.ndarray) -> dict[str, np.ndarray]:
    call, N = "tf_helper.pad_and_diffract", field.shape[1]
    with global_parameters(N=N, gridsize=1):
        answer = offered(call)(tensor(field), N, N, pad=False)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise unexpected(call, "a pair (field, amplitude)", type(answer).__name__)
    return {"amplitude": checked(call, answer[1], np.float32, *field.shape)}


def forward(*, patches: np.ndarray, probe: np.ndarray, probe_scale: float, nphotons: float) -> dict[str, np.ndarray]:
    """Ask for its probe, then its diffraction, as its model does; the scale is a number."""
    groups, N, _, members = patches.shape
    light = probes.normalise(probe=probe, probe_scale=probe_scale)["normalised"]
    flat = np.moveaxis(patches, 3, 1).reshape(groups * members, N, N, 1) * light[None]
    amplitude = diffraction(field=flat)["amplitude"].reshape(groups, members, N, N)
    return {"amplitude": np.moveaxis(amplitude, 1, 3) * np.float32(math.sqrt(nphotons) / (N / 2))}


def photon_scale(*, X: np.ndarray, nphotons: float) -> dict[str, np.ndarray]:
    with global_parameters(nphotons=nphotons):
        scale = offered("diffsim.scale_nphotons")(tensor(X))
    scale = checked("diffsim.scale_nphotons", scale, np.float32)
    return {"scale": scale, "scaled": scale * X}


def simulation(
    *, amplitude: np.ndarray, phase: np.ndarray, probe: np.ndarray, nphotons: float
) -> dict[str, np.ndarray]:
    """Ask for its diffraction and its scale, as its simulation does before it draws photons."""
    light = probe[None, :, :, None]
    illuminated = amplitude * np.abs(light)
    return {
        "X": diffraction(field=amplitude * np.exp(np.complex64(1j) * phase) * light)["amplitude"],
        "Y_I": illuminated,
        "Y_phi": phase,
        "intensity_scale": photon_scale(X=illuminated, nphotons=nphotons)["scale"],
    }
