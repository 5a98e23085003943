"""Forward physics: diffraction, illumination, photon scales, the Poisson term, the noise-free simulation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.operators import physics
from tests.torch.subject.physics import (
    physics_diffraction,
    physics_padded_diffraction,
    physics_photon_scale,
    physics_poisson,
    physics_simulation,
)
from tests.vectors import assert_close, records


def random_field(*shape: int, dtype: torch.dtype = torch.complex64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape)))


def test_energy_is_kept() -> None:
    """Parseval: what leaves the object arrives on the detector; padding samples it more finely."""
    field = random_field(2, 3, 32, 32)
    sent = field.abs().square().sum().item()
    assert physics.diffraction_amplitude(field).square().sum().item() == pytest.approx(sent, rel=1e-5)
    finer = physics.padded_diffraction_amplitude(field)
    assert finer.square().sum().item() == pytest.approx(sent * 1.5**2, rel=1e-5)


def test_a_constant_field_is_a_bright_pixel_at_the_centre() -> None:
    amplitude = physics.diffraction_amplitude(torch.ones(16, 16, dtype=torch.complex64))
    expected = torch.zeros(16, 16)
    expected[8, 8] = 16
    np.testing.assert_allclose(amplitude, expected, atol=1e-5)


def test_default_intensity_scale() -> None:
    assert physics.intensity_scale(1e9, 64) == pytest.approx(988.2118, abs=1e-4)
    assert physics.intensity_scale(0.25, 64) == pytest.approx(0.5 / 32, rel=1e-6)


def test_simulated_patterns_carry_the_photons() -> None:
    generator = torch.Generator().manual_seed(3)
    amplitude, phase = torch.rand(2, 4, 16, 16, generator=generator)
    simulation = physics.simulate(amplitude, phase, random_field(16, 16), 1e6)
    counts = (simulation.X * simulation.intensity_scale).square().sum(dim=(1, 2))
    assert counts.mean().item() == pytest.approx(1e6, rel=1e-5)
    other = physics.simulate(amplitude, phase, random_field(16, 16), 1e3)
    assert torch.equal(other.X, simulation.X)


def test_double_precision_stays_double() -> None:
    patches, probe = random_field(1, 2, 8, 8, dtype=torch.complex128), random_field(8, 8, dtype=torch.complex128)
    assert physics.predicted_amplitude(patches, probe, 3.0).dtype == torch.float64


def test_gradients() -> None:
    patches = random_field(1, 2, 4, 4, dtype=torch.complex128).requires_grad_()
    probe = random_field(4, 4, dtype=torch.complex128).requires_grad_()
    target = torch.rand(1, 2, 4, 4, dtype=torch.float64)

    def loss(patches: torch.Tensor, probe: torch.Tensor) -> torch.Tensor:
        return physics.poisson_loss(physics.predicted_amplitude(patches, probe, 2.0).square(), target)

    assert torch.autograd.gradcheck(loss, (patches, probe), fast_mode=True)


def test_gradient_of_a_dark_detector_is_zero() -> None:
    field = torch.zeros(8, 8, dtype=torch.complex64, requires_grad=True)
    physics.diffraction_amplitude(field).sum().backward()
    assert torch.equal(field.grad, torch.zeros_like(field))


ONES = torch.ones(2, 4, 8, 8, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: physics.diffraction_amplitude(ONES[..., :7]), "field: expected shape (..., N, N), found (2, 4, 8, 7)"),
        (lambda: physics.diffraction_amplitude(ONES.real), "field: expected a complex dtype, found torch.float32"),
        (lambda: physics.padded_field(ONES[..., :7]), "field: expected shape (..., N, N), found (2, 4, 8, 7)"),
        (
            lambda: physics.illuminate(ONES, ONES[:, 0]),
            "expected patches (B, C, N, N) and probe (N, N), found (2, 4, 8",
        ),
        (lambda: physics.illuminate(ONES[0], ONES[0, 0]), "found (4, 8, 8) and (8, 8)"),
        (lambda: physics.intensity_scale(0.0, 64), "nphotons: expected a positive number, found 0.0"),
        (lambda: physics.intensity_scale(math.inf, 64), "nphotons: expected a positive number, found inf"),
        (lambda: physics.intensity_scale(1e9, 0), "N: expected a positive number, found 0"),
        (lambda: physics.scale_nphotons(ONES[0].real, 1e9), "X: expected shape (B, C, N, N), found (4, 8, 8)"),
        (lambda: physics.scale_nphotons(ONES.real, float("nan")), "nphotons: expected a positive number, found nan"),
        (
            lambda: physics.poisson_term(ONES.real, ONES[0].real),
            "expected one shape, found predicted (2, 4, 8, 8), tar",
        ),
        (
            lambda: physics.simulate(ONES[0].real, ONES[:, 0].real, ONES[0, 0], 1e9),
            "expected amplitude and phase (n, N, N), found (4, 8, 8) and (2, 8, 8)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_recorded_diffraction(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "diffract_N"):
        found = physics_diffraction(field=record.inputs["field"])
        assert_close(record, "amplitude", found["amplitude"], record.outputs["amplitude"], 1e-5)
    for record in records(external_data, "physics*.h5", "diffract_padded"):
        found = physics_padded_diffraction(field=record.inputs["field"].astype(np.complex64))
        for name, array in found.items():
            assert_close(record, name, array, record.outputs[name], 1e-5)


def test_recorded_poisson_terms(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "nll_"):
        found = physics_poisson(predicted=record.inputs["pred"], target=record.inputs["target"])
        for name, array in found.items():
            assert_close(record, name, array, record.outputs[name], 1e-4)


def test_recorded_photon_scales(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "scale_nphotons"):
        X, nphotons = record.inputs["amplitude"], float(record.inputs["nphotons"])
        scale = physics_photon_scale(X=X, nphotons=nphotons)["scale"]
        assert_close(record, "scale", scale, record.outputs["scale"], 1e-6)
        default = np.array(physics.intensity_scale(nphotons, X.shape[1]))
        assert_close(record, "intensity scale", default, record.outputs["default_intensity_scale"], 1e-12)


def test_recorded_simulations(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "simulate_"):
        found = physics_simulation(**{**record.inputs, "nphotons": float(record.inputs["nphotons"])})
        assert_close(record, "X", found["X"], record.outputs["noisefree_X"], 1e-5)
        for name in ("Y_I", "Y_phi", "intensity_scale"):
            assert_close(record, name, found[name], record.outputs[name], 1e-5)
