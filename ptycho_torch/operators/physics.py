"""Forward physics from object and probe to the detector, and the likelihood of counts.

Data are *amplitudes*, square roots of counts. See docs/conventions.md, "Forward physics".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import pad as zero_pad


def diffraction_amplitude(field: Complex[Tensor, "*batch N N"]) -> Float[Tensor, "*batch N N"]:
    """Compute the amplitude of a field on the detector, zero frequency at index N // 2.

    The Fourier transform is orthonormal, ``|F| / N``, so it keeps the sum of squares. The result is differentiable;
    where the amplitude is 0, its gradient is 0. (TensorFlow takes the square root of an intensity, whose gradient is
    not finite there.)

    Args:
        field: (..., N, N) complex; rows, columns.

    Returns:
        (..., N, N), the real dtype of ``field``.

    Raises:
        ValueError: the field is not square or not complex.
    """
    _require_field(field)
    amplitude = torch.fft.fft2(field, norm="ortho").abs()
    return torch.fft.fftshift(amplitude, dim=(-2, -1))  # type: ignore[no-any-return]


def padded_field(field: Complex[Tensor, "*batch N N"]) -> Complex[Tensor, "*batch P P"]:
    """Pad a field with N // 4 zeros on every side.

    Args:
        field: (..., N, N) complex; rows, columns.

    Returns:
        (..., P, P), P = N + 2 (N // 4), dtype of ``field``.

    Raises:
        ValueError: the field is not square or not complex.
    """
    _require_field(field)
    return zero_pad(field, (field.shape[-1] // 4,) * 4)


def padded_diffraction_amplitude(field: Complex[Tensor, "*batch N N"]) -> Float[Tensor, "*batch P P"]:
    """Compute the amplitude of the padded field on the detector: padding samples the pattern more finely.

    As in TensorFlow, it is divided by the N of the unpadded field. So the sum of squares is (P / N)² times that of the
    field.

    Args:
        field: (..., N, N) complex; rows, columns.

    Returns:
        (..., P, P), P = N + 2 (N // 4), the real dtype of ``field``.

    Raises:
        ValueError: the field is not square or not complex.
    """
    padded = padded_field(field)
    return diffraction_amplitude(padded) * (padded.shape[-1] / field.shape[-1])


def illuminate(patches: Complex[Tensor, "B C N N"], probe: Complex[Tensor, "N N"]) -> Complex[Tensor, "B C N N"]:
    """Compute the field behind each patch of the object: the patch times the probe, one probe for all.

    Args:
        patches: (B, C, N, N) complex.
        probe: (N, N) complex; normalised (``normalize_probe_like_tf``), not masked, and not divided by ``probe_scale``
            again.

    Returns:
        (B, C, N, N) complex.

    Raises:
        ValueError: a shape is wrong. (A probe with a batch axis would broadcast against the wrong axis.)
    """
    if patches.ndim != 4 or probe.shape != patches.shape[2:]:
        raise ValueError(
            f"expected patches (B, C, N, N) and probe (N, N), found {tuple(patches.shape)} and {tuple(probe.shape)}"
        )
    return patches * probe


def predicted_amplitude(
    patches: Complex[Tensor, "B C N N"], probe: Complex[Tensor, "N N"], scale: float | Float[Tensor, ""]
) -> Float[Tensor, "B C N N"]:
    """Predict the amplitude of patches of an object on the detector; its square is the expected count of photons.

    Args:
        patches: (B, C, N, N) complex.
        probe: (N, N) complex, normalised.
        scale: factor from normalised amplitudes to square roots of counts, ``intensity_scale``.

    Returns:
        (B, C, N, N), the square root of expected counts.

    Raises:
        ValueError: a shape is wrong.
    """
    return diffraction_amplitude(illuminate(patches, probe)) * scale


def intensity_scale(nphotons: float, N: int) -> float:
    """Return the factor from normalised amplitudes to square roots of counts: ``sqrt(nphotons) / (N / 2)``.

    Normalised patterns have a mean sum of squares of (N / 2)², scaled patterns one of ``nphotons``.

    Args:
        nphotons: photons per pattern, on average; positive.
        N: patch side, pixels.

    Raises:
        ValueError: an argument is not positive.
    """
    _require_positive("nphotons", nphotons)
    _require_positive("N", N)
    return math.sqrt(nphotons) / (N / 2)


def scale_nphotons(X: Float[Tensor, "B C N N"], nphotons: float) -> Float[Tensor, ""]:
    """Return the factor that scales amplitudes to ``nphotons`` photons per pattern, on average over groups and members.

    Args:
        X: (B, C, N, N), amplitude.
        nphotons: photons per pattern; positive.

    Returns:
        ``sqrt(nphotons / mean over (B, C) of the sum of X² over a pattern)``, scalar, dtype of ``X``.

    Raises:
        ValueError: the shape is wrong, or the number of photons is not positive.
    """
    if X.ndim != 4:
        raise ValueError(f"X: expected shape (B, C, N, N), found {tuple(X.shape)}")
    _require_positive("nphotons", nphotons)
    return torch.sqrt(nphotons / X.square().sum(dim=(-2, -1)).mean())


def poisson_term(predicted: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Compute the negative log-likelihood of each count, without the constant ``log(target!)``.

    As in TensorFlow, nothing keeps the logarithm finite: where no counts are expected, the term is +inf, or NaN if none
    were measured.

    Args:
        predicted: expected counts (intensities, not amplitudes), any shape.
        target: counts, the same shape.

    Returns:
        ``predicted - target * log(predicted)``, the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != target.shape:
        raise ValueError(f"expected one shape, found predicted {tuple(predicted.shape)}, target {tuple(target.shape)}")
    return predicted - target * torch.log(predicted)


def poisson_loss(predicted: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Average ``poisson_term`` over all elements. Arguments and errors are the same."""
    return poisson_term(predicted, target).mean()


@dataclass(frozen=True, eq=False)
class Simulation:
    """Patterns without noise, with TensorFlow's ground truth.

    Attributes:
        X: (n, N, N), amplitude on the detector.
        Y_I: (n, N, N), modulus of the object times that of the probe: *illuminated*.
        Y_phi: (n, N, N), phase of the object, *not* illuminated, radians. So ``Y_I exp(i Y_phi)`` is not the object.
        intensity_scale: scalar, the factor that scales the patterns to ``nphotons`` photons each, on average.
    """

    X: Float[Tensor, "n N N"]
    Y_I: Float[Tensor, "n N N"]
    Y_phi: Float[Tensor, "n N N"]
    intensity_scale: Float[Tensor, ""]


def simulate(
    amplitude: Float[Tensor, "n N N"], phase: Float[Tensor, "n N N"], probe: Complex[Tensor, "N N"], nphotons: float
) -> Simulation:
    """Simulate patterns of the object ``amplitude * exp(i phase)`` under a probe, without noise.

    Without noise, the number of photons affects only ``intensity_scale``.

    Args:
        amplitude: (n, N, N), amplitude of patches of the object.
        phase: (n, N, N), phase of the same patches, radians.
        probe: (N, N) complex; it is not normalised here.
        nphotons: photons per pattern, on average; positive.

    Raises:
        ValueError: a shape is wrong, or the number of photons is not positive.
    """
    if amplitude.ndim != 3 or phase.shape != amplitude.shape:
        raise ValueError(
            f"expected amplitude and phase (n, N, N), found {tuple(amplitude.shape)} and {tuple(phase.shape)}"
        )
    patches = torch.polar(amplitude, phase)[:, None]
    X = diffraction_amplitude(illuminate(patches, probe))[:, 0]
    illuminated = amplitude * probe.abs()
    return Simulation(X, illuminated, phase, scale_nphotons(illuminated[:, None], nphotons))


def _require_field(field: Tensor) -> None:
    if field.ndim < 2 or field.shape[-1] != field.shape[-2]:
        raise ValueError(f"field: expected shape (..., N, N), found {tuple(field.shape)}")
    if not field.is_complex():
        raise ValueError(f"field: expected a complex dtype, found {field.dtype}")


def _require_positive(name: str, value: float | int) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name}: expected a positive number, found {value}")
