"""From a data file and a few overrides to the configurations of a run."""

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
"""Names that people bring from TensorFlow PtychoPINN -> the port's field."""

Config = TypeVar("Config", DataConfig, ModelConfig, TrainingConfig, InferenceConfig)


@dataclass(frozen=True)
class TrainingPayload:
    """Everything that a training run is configured by."""

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig


@dataclass(frozen=True)
class InferencePayload:
    """Everything that an inference run is configured by."""

    model_path: Path
    test_data_file: Path
    data: DataConfig
    model: ModelConfig
    inference: InferenceConfig


def create_training_payload(
    train_data_file: str | Path, output_dir: str | Path, overrides: Mapping[str, Any] | None = None
) -> TrainingPayload:
    """The configurations of a training run.

    Args:
        train_data_file: NPZ with ``probeGuess``, whose side is N.
        output_dir: where results will go; not created here.
        overrides: field name -> value, of any of the configurations; TensorFlow's ``gridsize``, ``neighbor_count`` and
            ``nepochs`` are understood too.

    Raises:
        FileNotFoundError: there is no such data file.
        ValueError: the file has no square probe, N contradicts it, or an override is unknown or unfit.
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
    """The configurations of an inference run; arguments and errors as of ``create_training_payload``.

    Args:
        model_path: the directory that training wrote.
        test_data_file: NPZ to reconstruct.
        output_dir: where results will go; not created here.
        overrides: field name -> value.
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
    """Port names throughout; ``gridsize`` sets the grid and the number of channels together."""
    known = {field.name for part in _PARTS[payload] for field in dataclasses.fields(part)}
    accepted = sorted(known | {name for name, port in TENSORFLOW_NAMES.items() if port in known} | {"gridsize"})
    translated: dict[str, Any] = {}
    for name, value in overrides.items():
        if name in _PATHS:
            raise ValueError(f"overrides: {name!r} is an argument of its own; pass it there")
        if name not in accepted:
            near = ", ".join(difflib.get_close_matches(name, accepted, n=3)) or "see ptycho_torch/config_params.py"
            raise ValueError(f"overrides: unknown field {name!r}; nearest: {near}")
        fields = {TENSORFLOW_NAMES.get(name, name): value}
        if name == "gridsize":
            if not isinstance(value, int):
                raise ValueError(f"overrides: gridsize: expected a whole number, found {value!r}")
            fields = {"grid_size": (value, value)}
        elif name == "C":
            fields = {"C": value, "C_forward": value, "C_model": value}
        for field, new in fields.items():
            if translated.setdefault(field, new) != new:
                raise ValueError(f"overrides: {field} is given twice, as {translated[field]!r} and as {new!r}")
    if "grid_size" in translated:
        members = int(np.prod(translated["grid_size"]))
        for name in ("C", "C_forward", "C_model"):
            translated.setdefault(name, members)
    return translated


def _with_probe_side(given: dict[str, Any], path: Path) -> dict[str, Any]:
    side = read_probe_side(path)
    if given.setdefault("N", side) != side:
        raise ValueError(f"overrides: N = {given['N']}, but the probe in {path} has side {side}")
    return given


def _take(config: type[Config], given: Mapping[str, Any]) -> Config:
    """A configuration from those of the given fields that are its own."""
    names = {field.name for field in dataclasses.fields(config)}
    return config(**{name: value for name, value in given.items() if name in names})
