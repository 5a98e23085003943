"""Make the configurations of a run from a data file and a few overrides."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.scans.scan import read_probe_side

TENSORFLOW_NAMES: Mapping[str, str] = {
    "neighbor_count": "K",
    "nepochs": "epochs",
    "max_epochs": "epochs",
}
"""Name in TensorFlow PtychoPINN -> field of the port."""

Config = TypeVar("Config", DataConfig, ModelConfig, TrainingConfig, InferenceConfig)


@dataclass(frozen=True)
class TrainingPayload:
    """The configurations of a training run."""

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig


@dataclass(frozen=True)
class InferencePayload:
    """The files and configurations of an inference run."""

    model_path: Path
    test_data_file: Path
    data: DataConfig
    model: ModelConfig
    inference: InferenceConfig


def create_training_payload(
    train_data_file: str | Path, output_dir: str | Path, overrides: Mapping[str, Any] | None = None
) -> TrainingPayload:
    """Make the configurations of a training run.

    Args:
        train_data_file: scan that ``load_scan`` can read; the side of its probe is N.
        output_dir: directory of the results; it is not created here.
        overrides: name of a field of any configuration -> value; TensorFlow's ``gridsize``, ``neighbor_count`` and
            ``nepochs`` are also accepted.

    Raises:
        FileNotFoundError: the data file does not exist.
        ValueError: the file has no square probe, N is not its side, or an override is unknown or invalid.
    """
    given = {
        **_translate_overrides(overrides or {}, TrainingPayload),
        "train_data_file": str(train_data_file),
        "output_dir": str(output_dir),
    }
    given = _with_probe_side(given, Path(train_data_file))
    return TrainingPayload(_take(DataConfig, given), _take(ModelConfig, given), _take(TrainingConfig, given))


def create_inference_payload(
    model_path: str | Path,
    test_data_file: str | Path,
    output_dir: str | Path,
    overrides: Mapping[str, Any] | None = None,
) -> InferencePayload:
    """Make the configurations of an inference run.

    Args:
        model_path: directory that training wrote.
        test_data_file: scan to reconstruct.
        output_dir: directory of the results; it is not created here.
        overrides: as for ``create_training_payload``.

    Raises:
        FileNotFoundError: the model or the data file does not exist.
        ValueError: the file has no square probe, N is not its side, or an override is unknown or invalid.
    """
    if not Path(model_path).exists():
        raise FileNotFoundError(f"model_path: {model_path} does not exist")
    given = {**_translate_overrides(overrides or {}, InferencePayload), "output_dir": str(output_dir)}
    given = _with_probe_side(given, Path(test_data_file))
    return InferencePayload(
        Path(model_path),
        Path(test_data_file),
        _take(DataConfig, given),
        _take(ModelConfig, given),
        _take(InferenceConfig, given),
    )


_PATHS = frozenset({"train_data_file", "output_dir"})
_PARTS: Mapping[type, tuple[type, ...]] = {
    TrainingPayload: (DataConfig, ModelConfig, TrainingConfig),
    InferencePayload: (DataConfig, ModelConfig, InferenceConfig),
}


def _translate_overrides(overrides: Mapping[str, Any], payload: type) -> dict[str, Any]:
    """Translate TensorFlow's names to the port's; ``gridsize`` sets both the grid and the number of channels."""
    known = {field.name for part in _PARTS[payload] for field in dataclasses.fields(part)}
    accepted = sorted(known | {name for name, port in TENSORFLOW_NAMES.items() if port in known} | {"gridsize"})
    translated: dict[str, Any] = {}
    for name, value in overrides.items():
        if name in _PATHS:
            raise ValueError(f"overrides: found {name!r}, which is a separate argument; pass it there")
        if name not in accepted:
            near = ", ".join(difflib.get_close_matches(name, accepted, n=3)) or "see ptycho_torch/config_params.py"
            raise ValueError(f"overrides: expected the name of a field, found {name!r}; nearest: {near}")
        fields = {TENSORFLOW_NAMES.get(name, name): value}
        if name == "gridsize":
            if not isinstance(value, int):
                raise ValueError(f"overrides: gridsize: expected a whole number, found {value!r}")
            fields = {"grid_size": (value, value)}
        elif name == "C":
            fields = {"C": value, "C_forward": value, "C_model": value}
        for field, new in fields.items():
            first = translated.setdefault(field, new)
            if first is not new and first != new:  # NaN differs from itself
                raise ValueError(f"overrides: expected {field} once, found it as {first!r} and as {new!r}")
    if "grid_size" in translated:
        members = int(np.prod(translated["grid_size"]))
        for name in ("C", "C_forward", "C_model"):
            translated.setdefault(name, members)
    return translated


def _with_probe_side(given: dict[str, Any], path: Path) -> dict[str, Any]:
    side = read_probe_side(path)
    if given.setdefault("N", side) != side:
        raise ValueError(f"overrides: N: expected {side}, the side of the probe in {path}, found {given['N']}")
    return given


def _take(config: type[Config], given: Mapping[str, Any]) -> Config:
    """Make a configuration from the given fields, without those of other configurations."""
    names = {field.name for field in dataclasses.fields(config)}
    return config(**{name: value for name, value in given.items() if name in names})
