"""Parity task 2: the normalised probe that TensorFlow stores (not the raw one that its setter returns)."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.config_factory import create_training_payload
from ptycho_torch.config_params import DataConfig
from ptycho_torch.operators.probe import hard_mask, normalize_probe_like_tf
from tests.torch.subject.probe import probe_normalise
from tests.vectors import assert_close, records


@pytest.mark.golden("probe.normalise")
def test_normalised_probe(golden):
    golden.check_subject()


def test_scale_default_is_the_structured_configurations(tmp_path: Path) -> None:
    np.savez(tmp_path / "scan.npz", probeGuess=np.ones((64, 64), np.complex64))
    assert DataConfig().probe_scale == 4.0
    assert create_training_payload(tmp_path / "scan.npz", tmp_path).data.probe_scale == 4.0


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0, 10.0])
def test_mean_masked_modulus_is_the_inverse_scale(scale: float) -> None:
    generator = torch.Generator().manual_seed(1)
    probe = torch.randn(64, 64, dtype=torch.complex64, generator=generator)
    normalised = normalize_probe_like_tf(probe, scale)
    assert (normalised * hard_mask(64)).abs().mean().item() == pytest.approx(1 / scale, rel=1e-5)
    np.testing.assert_allclose(normalize_probe_like_tf(normalised, scale), normalised, rtol=1e-6)


def test_size_comes_from_the_probe_alone() -> None:
    for N in (32, 64):
        assert normalize_probe_like_tf(torch.ones(N, N, 1), 4.0).shape == (N, N)


def test_arrays_of_any_layout_are_taken() -> None:
    probe = np.arange(64.0).reshape(8, 8)
    expected = normalize_probe_like_tf(torch.from_numpy(probe[::-1].copy()), 4.0)
    frozen = probe[::-1].astype(">c8")
    frozen.flags.writeable = False
    assert torch.equal(normalize_probe_like_tf(frozen, 4.0), expected)


def test_gradient_reaches_the_probe() -> None:
    probe = torch.randn(8, 8, dtype=torch.complex64, requires_grad=True)
    normalize_probe_like_tf(probe, 4.0).abs().sum().backward()
    assert torch.isfinite(torch.view_as_real(probe.grad)).all()


@pytest.mark.parametrize(
    ("probe", "scale", "message"),
    [
        (torch.ones(8, 9), 4.0, "expected shape (N, N) or (N, N, 1), found (8, 9)"),
        (torch.ones(8, 8, 2), 4.0, "expected shape (N, N) or (N, N, 1), found (8, 8, 2)"),
        (torch.ones(8, 8), 0.0, "expected a positive number, found 0.0"),
        (torch.ones(8, 8), math.inf, "expected a positive number, found inf"),
        (torch.zeros(8, 8), 4.0, "Is the probe empty"),
        (torch.full((8, 8), float("nan")), 4.0, "not finite"),
        (torch.full((8, 8), float("nan")).index_fill(0, torch.arange(1, 8), 1.0), 4.0, "not finite"),
        (torch.full((8, 8), 1e-40), 4.0, "not finite"),
        (torch.ones(2, 2), 4.0, "expected at least 4"),
    ],
)
def test_bad_probe_is_refused(probe: torch.Tensor, scale: float, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        normalize_probe_like_tf(probe, scale)


def test_a_probe_whose_mean_overflows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found (inf|nan)"):  # an old Torch computes nan
        normalize_probe_like_tf(torch.full((8, 8), 3e38), 4.0)


def test_recorded_vectors(external_data: Path) -> None:
    for record in records(external_data, "probe_*.h5", "normalise_"):
        found = probe_normalise(probe=record.inputs["probe"], probe_scale=float(record.inputs["probe_scale"]))
        assert_close(record, "normalised", found["normalised"], record.outputs["stored"], 1e-6)
