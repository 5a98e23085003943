"""Parity task 3: ``object_big`` and every other default that the port mirrors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.ptychopinn.defaults.cases import FIELDS
from ptycho_torch.config_factory import create_inference_payload, create_training_payload
from ptycho_torch.config_params import DataConfig, ModelConfig, TrainingConfig


@pytest.mark.golden(*(f"defaults.{table}" for table in FIELDS))
def test_defaults(golden):
    golden.check_subject()


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    np.savez(tmp_path / "scan.npz", probeGuess=np.ones((32, 32), np.complex64))
    return tmp_path / "scan.npz"


def test_object_big_is_true_by_every_route(scan: Path, tmp_path: Path) -> None:
    assert ModelConfig().object_big is True
    assert create_training_payload(scan, tmp_path).model.object_big is True
    assert create_inference_payload(tmp_path, scan, tmp_path).model.object_big is True


def test_configurations_as_callers_build_them() -> None:
    assert DataConfig(N=64, grid_size=(1, 1), C=1) == DataConfig()
    assert ModelConfig(C_forward=1, C_model=1, object_big=True) == ModelConfig()


def test_factory_reads_the_probe_side_and_applies_overrides(scan: Path, tmp_path: Path) -> None:
    payload = create_training_payload(scan, tmp_path / "out", {"gridsize": 2, "nepochs": 20, "neighbor_count": 7})
    assert payload.data == DataConfig(N=32, grid_size=(2, 2), C=4, K=7)
    assert payload.model == ModelConfig(C_forward=4, C_model=4)
    assert payload.training == TrainingConfig(train_data_file=str(scan), output_dir=str(tmp_path / "out"), epochs=20)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"object_bigg": False}, "expected the name of a field, found 'object_bigg'; nearest: object_big"),
        ({"N": 64}, "N: expected "),
        ({"C": 4}, "C must be the product of grid_size (1, 1), found 4"),
        ({"K": 4, "neighbor_count": 5}, "expected K once, found it as 4 and as 5"),
        ({"gridsize": "2"}, "gridsize: expected a whole number, found '2'"),
        ({"gridsize": 2, "C_model": 1}, "C_forward 4 and C_model 1 must be the same"),
        ({"output_dir": "elsewhere"}, "found 'output_dir', which is a separate argument"),
        ({"batch_size": 12}, "expected a power of two, found 12"),
        ({"amp_activation": "silu"}, "amp_activation: expected one of"),
        ({"probe_scale": -1.0}, "probe_scale: expected a positive number"),
    ],
)
def test_factory_refuses_what_does_not_fit(scan: Path, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        create_training_payload(scan, "out", overrides)


def test_factory_names_the_file_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.npz: no such file"):
        create_training_payload(tmp_path / "absent.npz", tmp_path)
    np.savez(tmp_path / "empty.npz", diff3d=np.ones(3))
    with pytest.raises(ValueError, match=re.escape("expected the key 'probeGuess', found ['diff3d']")):
        create_training_payload(tmp_path / "empty.npz", tmp_path)
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(ValueError, match=r"text\.npz: expected an NPZ archive"):
        create_training_payload(tmp_path / "text.npz", tmp_path)
    with pytest.raises(FileNotFoundError, match="model_path"):
        create_inference_payload(tmp_path / "nowhere", tmp_path / "empty.npz", tmp_path)
