"""Compute diffraction, scales and the Poisson term with the installed package ``ptycho``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, tensor, unexpected
from golden.ptychopinn.probe import installed as probes

_DIFFRACT = "tf_helper.pad_and_diffract"


def diffraction(*, field: np.ndarray) -> dict[str, np.ndarray]:
    _, amplitude = _diffracted(field, pad=False)
    return {"amplitude": checked(_DIFFRACT, amplitude, np.float32, *field.shape)}


def padded_diffraction(*, field: np.ndarray) -> dict[str, np.ndarray]:
    n, N = field.shape[:2]
    padded, amplitude = _diffracted(field, pad=True)
    shape = (n, N + N // 4 * 2, N + N // 4 * 2, 1)
    return {
        "padded": checked(_DIFFRACT, padded, np.complex64, *shape),
        "amplitude": checked(_DIFFRACT, amplitude, np.float32, *shape),
    }


def _diffracted(field: np.ndarray, *, pad: bool) -> tuple[Any, Any]:
    """Return the transformed field and the amplitude of its far field."""
    N = field.shape[1]
    with global_parameters(N=N, gridsize=1):
        answer = offered(_DIFFRACT)(tensor(field), N, N, pad=pad)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise unexpected(_DIFFRACT, "a pair (field, amplitude)", type(answer).__name__)
    return answer


def forward(*, patches: np.ndarray, probe: np.ndarray, probe_scale: float, nphotons: float) -> dict[str, np.ndarray]:
    """Use its probe, its diffraction and its scale, as its model does."""
    groups, N, _, members = patches.shape
    light = probes.normalise(probe=probe, probe_scale=probe_scale)["normalised"]
    flat = np.moveaxis(patches, 3, 1).reshape(groups * members, N, N, 1) * light[None]
    amplitude = diffraction(field=flat)["amplitude"].reshape(groups, members, N, N)
    return {"amplitude": np.moveaxis(amplitude, 1, 3) * intensity_scale_of(nphotons, N)}


def intensity_scale(*, nphotons: np.ndarray, N: np.ndarray) -> dict[str, np.ndarray]:
    return {"scale": np.array([intensity_scale_of(*row) for row in zip(nphotons.tolist(), N.tolist())])}


def intensity_scale_of(nphotons: float, N: int) -> np.float32:
    """Return the scale of a model. The call takes a container, but reads only global parameters."""
    call = "train_pinn.calculate_intensity_scale"
    with global_parameters(nphotons=nphotons, N=N):
        return np.float32(checked(call, offered(call)(SimpleNamespace(X=None)), np.float32))


def photon_scale(*, X: np.ndarray, nphotons: float) -> dict[str, np.ndarray]:
    with global_parameters(nphotons=nphotons):
        scale = offered("diffsim.scale_nphotons")(tensor(X))
    scale = checked("diffsim.scale_nphotons", scale, np.float32)
    return {"scale": scale, "scaled": scale * X}


def poisson(*, predicted: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    """Compute its term; Keras takes the mean over all elements, as here."""
    term = _poisson_term(predicted, target)
    return {"elementwise": term, "mean": np.asarray(term.mean(dtype=np.float32))}


def poisson_at_zero(*, predicted: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    term = _poisson_term(predicted, target)
    return {"infinite": np.isposinf(term), "undefined": np.isnan(term)}


def _poisson_term(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    call = "model.negloglik"
    return checked(call, offered(call)(tensor(target), tensor(predicted)), np.float32, *predicted.shape)


def simulation(
    *, amplitude: np.ndarray, phase: np.ndarray, probe: np.ndarray, nphotons: float
) -> dict[str, np.ndarray]:
    """Use its diffraction and its scale, as its simulation does before it draws photons."""
    light = probe[None, :, :, None]
    illuminated = amplitude * np.abs(light)
    return {
        "X": diffraction(field=amplitude * np.exp(np.complex64(1j) * phase) * light)["amplitude"],
        "Y_I": illuminated,
        "Y_phi": phase,
        "intensity_scale": photon_scale(X=illuminated, nphotons=nphotons)["scale"],
    }
