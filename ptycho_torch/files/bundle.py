"""The bundle: a trained model with all that is needed to use it elsewhere, in one file, ``wts.h5.zip``.

Configuration, weights, probe, intensity scale, losses and versions. It holds no code and is read on any machine
(``ptycho_torch.files.archive``). The name is TensorFlow PtychoPINN's, the content is not.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import torch

from ptycho_torch.config_params import DataConfig, ModelConfig, TrainingConfig
from ptycho_torch.files.archive import read_archive, write_archive
from ptycho_torch.files.loss_curve import LossCurve
from ptycho_torch.files.weight_files import require_fit
from ptycho_torch.model import PtychoPINN

NAME = "wts.h5.zip"
"""Of the file in a training's output directory."""
FORMAT = "ptycho_torch bundle 1"
_PROBE, _SCALE = "illuminate.probe_parts", "intensity_scale"

Config = TypeVar("Config", DataConfig, ModelConfig, TrainingConfig)


def installed_versions() -> dict[str, str]:
    """Of this program and of what it runs on."""
    found = {"python": platform.python_version()}
    for name, package in (("ptycho_torch", "ptycho-golden-port"), ("torch",) * 2, ("numpy",) * 2, ("lightning",) * 2):
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained model and where it comes from.

    Attributes:
        model: with its weights, its probe and its intensity scale.
        data, training: how it was trained; of files the names, without directories.
        seed: of that training.
        losses: of that training.
        versions: program -> version, of that training.
    """

    model: PtychoPINN
    data: DataConfig
    training: TrainingConfig
    seed: int
    losses: LossCurve
    versions: Mapping[str, str] = field(default_factory=installed_versions)


def save_bundle(path: str | Path, bundle: Bundle) -> None:
    """Write a bundle; the file appears whole or not at all, and one that was there is replaced.

    Args:
        path: by convention in a directory, under ``NAME``.
        bundle: what to write.
    """
    places: dict[str, Any] = {
        name: Path(given).name
        for name in ("train_data_file", "test_data_file", "output_dir")
        if (given := getattr(bundle.training, name)) is not None
    }
    about = {
        "versions": dict(bundle.versions),
        "model": dataclasses.asdict(bundle.model.config),
        "data": dataclasses.asdict(bundle.data),
        "training": dataclasses.asdict(dataclasses.replace(bundle.training, **places)),
        "seed": bundle.seed,
        "losses": bundle.losses.to_json(),
    }
    write_archive(path, FORMAT, about, bundle.model.state_dict())


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle.

    Nothing of it is believed before it is looked at: the model is made only when all tensors have the shapes that the
    configuration asks for.

    Args:
        path: of the file, or of the directory that holds it under ``NAME``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, another program's, or its parts do not fit each other, each by name.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / NAME).is_file():
            raise FileNotFoundError(f"{path}: holds no {NAME}; did the training in it come to its end?")
        path = path / NAME
    about, tensors = read_archive(path, FORMAT)
    try:
        model_config = from_json(ModelConfig, about.get("model"))
        data = from_json(DataConfig, about.get("data"))
        training = from_json(TrainingConfig, about.get("training"))
        losses = LossCurve.from_json(_mapping(about.get("losses"), "losses"))
        found = {str(name): str(version) for name, version in _mapping(about.get("versions"), "versions").items()}
        seed = about.get("seed")
        if type(seed) is not int:
            raise ValueError(f"seed: expected a whole number, found {seed!r}")
    except ValueError as misfit:
        raise ValueError(f"{path}: {misfit}") from misfit
    return Bundle(_model(path, model_config, data, tensors), data, training, seed, losses, found)


def from_json(config: type[Config], found: Any) -> Config:
    """A configuration from what ``dataclasses.asdict`` and JSON made of it.

    Raises:
        ValueError: fields are missing, unknown, of another type, or unfit, each by name.
    """
    name, found = config.__name__, _mapping(found, config.__name__)
    known = {one.name for one in dataclasses.fields(config)}
    if found.keys() != known:
        missing, unknown = sorted(known - found.keys()), sorted(found.keys() - known)
        raise ValueError(f"{name}: missing {missing}, unknown {unknown}; another version wrote it")
    types = get_type_hints(config)
    for field_name, value in found.items():
        if not _is(value, types[field_name]):
            raise ValueError(f"{name}.{field_name}: expected {types[field_name]}, found {value!r}")
    values: dict[str, Any] = {
        one: tuple(value) if isinstance(value, list) else value  # JSON has no tuples
        for one, value in found.items()
    }
    return config(**values)


def _model(path: Path, config: ModelConfig, data: DataConfig, tensors: dict[str, torch.Tensor]) -> PtychoPINN:
    if config.C_model != data.C:
        raise ValueError(f"{path}: DataConfig.C {data.C} and ModelConfig.C_model {config.C_model} must be the same")
    parts, shape = tensors.get(_PROBE), (data.N, data.N, 2)
    if parts is None or parts.shape != shape or parts.dtype != torch.float32:
        found = "none" if parts is None else f"{tuple(parts.shape)} {parts.dtype}"
        raise ValueError(f"{path}: {_PROBE}: expected shape {shape}, float32, real and imaginary part, found {found}")
    probe = torch.view_as_complex(parts)
    try:
        # Shapes only, no memory: widths are whatever the file says.
        with torch.device("meta"):
            empty = PtychoPINN(config, probe, 1.0)
    except (ValueError, RuntimeError) as misfit:
        raise ValueError(f"{path}: {misfit}") from misfit
    require_fit(empty.state_dict(), tensors, str(path))
    try:
        model = PtychoPINN(config, probe, tensors[_SCALE].item())
    except ValueError as misfit:
        raise ValueError(f"{path}: {misfit}") from misfit
    model.load_state_dict(tensors)
    return model


def _mapping(found: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{name}: expected a JSON object, found {type(found).__name__}")
    return found


def _is(value: Any, wanted: Any) -> bool:
    """Whether a value from JSON is of a type that a configuration declares."""
    if get_origin(wanted) in {UnionType, Union}:
        return any(_is(value, one) for one in get_args(wanted))
    if get_origin(wanted) is Literal:
        return value in get_args(wanted)
    if get_origin(wanted) is tuple:
        return isinstance(value, list) and [type(one) for one in value] == list(get_args(wanted))
    if wanted is float:
        return type(value) in {int, float}
    return type(value) is (NoneType if wanted is None else wanted)
