"""These formulas compute diffraction, scales, the Poisson term, and the simulation without noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from golden.ptychopinn.formats.formulas import channel_to_flat, flat_to_channel
from golden.ptychopinn.probe.formulas import normalised

Map = Callable[[np.ndarray], np.ndarray]
Term = Callable[[np.ndarray, np.ndarray], np.ndarray]

# ------------------------------------------------------------------------------------------------ diffraction


def spectrum(field: np.ndarray) -> np.ndarray:
    """Return the amplitude of the far field of fields (n, N, N, ...), divided by N; zero frequency at index 0."""
    return np.abs(np.fft.fft2(field.astype(np.complex128), axes=(1, 2))) / field.shape[1]


def amplitude_of(field: np.ndarray) -> np.ndarray:
    """Return the amplitude of fields (n, N, N, ...) on the detector; zero frequency at index N // 2."""
    return np.fft.fftshift(spectrum(field), axes=(1, 2))


def padded(field: np.ndarray) -> np.ndarray:
    """Pad fields (n, N, N, 1) with N // 4 zeros on each side."""
    margin = field.shape[1] // 4
    return np.pad(field, ((0, 0), (margin, margin), (margin, margin), (0, 0)))


def diffraction(*, field: np.ndarray, detect: Map = amplitude_of) -> dict[str, np.ndarray]:
    return {"amplitude": detect(field).astype(np.float32)}


def padded_diffraction(*, field: np.ndarray, detect: Map = amplitude_of) -> dict[str, np.ndarray]:
    """Divide the padded field's transform by the side of the unpadded field, so the norm is not orthonormal."""
    wide = padded(field)
    amplitude = detect(wide) * (wide.shape[1] / field.shape[1])
    return {"padded": wide, "amplitude": amplitude.astype(np.float32)}


# ------------------------------------------------------------------------------------------------ forward


def intensity_scale_of(nphotons: float, N: int) -> float:
    """Return the factor that scales normalised amplitudes of N x N pixels to ``nphotons`` photons."""
    return math.sqrt(nphotons) / (N / 2)


def forward(
    *,
    patches: np.ndarray,
    probe: np.ndarray,
    probe_scale: float,
    nphotons: float,
    light: Callable[[np.ndarray, float], np.ndarray] = normalised,
    detect: Map = amplitude_of,
    factor: float = 1.0,
) -> dict[str, np.ndarray]:
    """Predict amplitudes.

    ``light`` maps probe and scale to the probe that illuminates the object; ``factor`` multiplies the intensity scale.
    """
    flat = channel_to_flat(patches.astype(np.complex128)) * light(probe, probe_scale)[None, :, :, None]
    scale = intensity_scale_of(nphotons, patches.shape[1]) * factor
    return {"amplitude": (scale * flat_to_channel(detect(flat), patches.shape[3])).astype(np.float32)}


# ------------------------------------------------------------------------------------------------ scales


def intensity_scale(*, nphotons: np.ndarray, N: np.ndarray) -> dict[str, np.ndarray]:
    return {"scale": np.array([intensity_scale_of(*row) for row in zip(nphotons, N)], np.float32)}


def energy(X: np.ndarray) -> np.ndarray:
    """Return the sum of squares of each pattern of X (n, N, N, ...), without axes 1 and 2."""
    return np.asarray(np.abs(X).astype(np.float64) ** 2).sum(axis=(1, 2))


def photons_to_scale(X: np.ndarray, nphotons: float) -> float:
    """Return the factor that scales amplitudes (n, N, N, ...) to ``nphotons`` photons per pattern, on average."""
    return math.sqrt(nphotons / energy(X).mean())


def photon_scale(
    *, X: np.ndarray, nphotons: float, scale: Callable[[np.ndarray, float], float] = photons_to_scale
) -> dict[str, np.ndarray]:
    factor = scale(X, nphotons)
    return {"scale": np.array(factor, np.float32), "scaled": (X * factor).astype(np.float32)}


# ------------------------------------------------------------------------------------------------ Poisson term


def poisson_term(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the negative log-likelihood of target counts, without log(target!)."""
    return predicted - target * np.log(predicted)


def poisson(*, predicted: np.ndarray, target: np.ndarray, term: Term = poisson_term) -> dict[str, np.ndarray]:
    elementwise = term(predicted.astype(np.float64), target.astype(np.float64))
    return {"elementwise": elementwise.astype(np.float32), "mean": np.array(elementwise.mean(), np.float32)}


def poisson_at_zero(*, predicted: np.ndarray, target: np.ndarray, term: Term = poisson_term) -> dict[str, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = term(predicted, target)
    return {"infinite": np.isposinf(found), "undefined": np.isnan(found)}


# ------------------------------------------------------------------------------------------------ simulation


def exit_wave(amplitude: np.ndarray, phase: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return the field behind an object of this amplitude and phase."""
    return amplitude * np.exp(1j * phase) * light


def simulation(
    *,
    amplitude: np.ndarray,
    phase: np.ndarray,
    probe: np.ndarray,
    nphotons: float,
    field: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] = exit_wave,
) -> dict[str, np.ndarray]:
    a, phi, light = object_and_light(amplitude, phase, probe)
    illuminated = a * np.abs(light)
    return {
        "X": amplitude_of(field(a, phi, light)).astype(np.float32),
        "Y_I": illuminated.astype(np.float32),
        "Y_phi": phase,
        "intensity_scale": np.array(photons_to_scale(illuminated, nphotons), np.float32),
    }


def object_and_light(
    amplitude: np.ndarray, phase: np.ndarray, probe: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return amplitude and phase of the object (n, N, N, 1) and the probe (1, N, N, 1), in double precision."""
    return amplitude.astype(np.float64), phase.astype(np.float64), probe.astype(np.complex128)[None, :, :, None]
