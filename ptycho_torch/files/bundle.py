"""A bundle is one file, ``wts.h5.zip``, with a trained model and everything that is needed to use it elsewhere.

It holds configuration, weights, probe, intensity scale, losses and versions, but no code
(``ptycho_torch.files.archive``). TensorFlow PtychoPINN uses the same file name for other contents.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from ptycho_torch.config_params import DataConfig, ModelConfig, TrainingConfig
from ptycho_torch.files.archive import read_archive, write_archive
from ptycho_torch.files.loss_curve import LossCurve
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.formats import padded_size
from ptycho_torch.operators.reassembly import LARGEST_SIDE
from ptycho_torch.operators.torch_defaults import torch_defaults

NAME = "wts.h5.zip"
"""Name of the file in a training's output directory."""
FORMAT = "ptycho_torch bundle 1"
_PROBE, _SCALE = "illuminate.probe_parts", "intensity_scale"
_LATER = {"precision": "32-true"}
"""Settings that were added after the format, with the values of older bundles."""
_DISTRIBUTIONS = {"ptycho_torch": "ptycho-golden-port", "torch": "torch", "numpy": "numpy", "lightning": "lightning"}

Config = TypeVar("Config", DataConfig, ModelConfig, TrainingConfig)


def installed_versions() -> dict[str, str]:
    """Return the versions of this program and of its dependencies, or "not installed"."""
    found = {"python": platform.python_version()}
    for name, distribution in _DISTRIBUTIONS.items():
        try:
            found[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained model and how it was trained.

    Attributes:
        model: the model with its weights, probe and intensity scale.
        data: data configuration of the training.
        training: training configuration. In a bundle from a file, file names have no directories.
        seed: seed of the training.
        losses: losses of the training.
        versions: program -> version used for the training.
    """

    model: PtychoPINN
    data: DataConfig
    training: TrainingConfig
    seed: int
    losses: LossCurve
    versions: Mapping[str, str] = field(default_factory=installed_versions)


def save_bundle(path: str | Path, bundle: Bundle) -> None:
    """Write a bundle atomically.

    Args:
        path: path of the file, by convention ``NAME`` in some directory; an existing file is replaced.
        bundle: bundle to write.

    Raises:
        ValueError: the model's numbers are not float32 or not finite, so the bundle could not be loaded.
    """
    weights = bundle.model.state_dict()
    _require_fit({name: tensor.float() for name, tensor in weights.items()}, weights, "the model")
    names: dict[str, Any] = {
        name: Path(given).name
        for name in ("train_data_file", "test_data_file", "output_dir")
        if (given := getattr(bundle.training, name)) is not None
    }
    about = {
        "versions": dict(bundle.versions),
        "model": dataclasses.asdict(bundle.model.config),
        "data": dataclasses.asdict(bundle.data),
        "training": dataclasses.asdict(dataclasses.replace(bundle.training, **names)),
        "seed": bundle.seed,
        "losses": bundle.losses.to_json(),
    }
    write_archive(path, FORMAT, about, weights)


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle.

    Everything is checked first: memory for the model is allocated only if every tensor has the shape that the
    configuration requires.

    Args:
        path: path of the file, or of the directory that contains it as ``NAME``.

    Returns:
        The bundle, its model in host memory.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read.
        ValueError: the file is damaged or from another program, or its parts do not match; the message names each.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / NAME).is_file():
            raise FileNotFoundError(
                f"{path}: expected the file {NAME}, found none; did the training in this directory finish?"
            )
        path = path / NAME
    about, tensors = read_archive(path, FORMAT)
    try:
        model_config = _from_json(ModelConfig, about.get("model"))
        data = _from_json(DataConfig, about.get("data"))
        training = _from_json(TrainingConfig, {**_LATER, **_mapping(about.get("training"), "TrainingConfig")})
        losses = LossCurve.from_json(_mapping(about.get("losses"), "losses"))
        versions = {str(name): str(version) for name, version in _mapping(about.get("versions"), "versions").items()}
        seed = about.get("seed")
        if type(seed) is not int:
            raise ValueError(f"seed: expected a whole number, found {seed!r}")
        model = _model(model_config, data, tensors)
    except ValueError as misfit:
        raise ValueError(f"{path}: {misfit}") from misfit
    return Bundle(model, data, training, seed, losses, versions)


# ------------------------------------------------------------------------------------------------ the model


def _model(config: ModelConfig, data: DataConfig, tensors: dict[str, Tensor]) -> PtychoPINN:
    if config.C_model != data.C:
        raise ValueError(f"DataConfig.C {data.C} and ModelConfig.C_model {config.C_model} must be the same")
    parts, shape = tensors.get(_PROBE), (data.N, data.N, 2)
    if parts is None or parts.shape != shape or parts.dtype != torch.float32:
        found = "none" if parts is None else f"{tuple(parts.shape)} {parts.dtype}"
        raise ValueError(f"{_PROBE}: expected shape {shape}, float32, real and imaginary part, found {found}")
    padded = padded_size(data.N, data.grid_size[0], config.offset, config.max_position_jitter)
    if not data.N <= padded <= LARGEST_SIDE:
        raise ValueError(
            f"ModelConfig: offset {config.offset} and max_position_jitter {config.max_position_jitter}: expected a "
            f"canvas of {data.N} to {LARGEST_SIDE} pixels, found {padded}"
        )
    probe = torch.view_as_complex(parts)
    # A bundle has float32 weights in host memory, whatever Torch's defaults are.
    with torch_defaults(), torch.random.fork_rng(devices=[]):
        try:
            # The file may declare layers of any width. On the device "meta", tensors have shapes but take no memory.
            with torch.device("meta"):
                empty = PtychoPINN(config, probe, 1.0)
        except Exception as misfit:  # Torch raises many exceptions for numbers that it does not support
            reason = " ".join(str(misfit).split())[:200]
            raise ValueError(
                f"{config}: expected a configuration of a model, found an invalid one ({reason})"
            ) from misfit
        _require_fit(empty.state_dict(), tensors, "weights")
        model = PtychoPINN(config, probe, tensors[_SCALE].item())
        model.load_state_dict(tensors)
    return model


def _require_fit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    """Refuse missing, unknown, mismatched or non-finite tensors; the message names each."""
    wrong = list(_misfits(expected, found))
    if wrong:
        more = f"; and {len(wrong) - 6} more" if len(wrong) > 6 else ""
        raise ValueError(f"{where}: do not fit the model: " + "; ".join(wrong[:6]) + more)


def _misfits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Iterator[str]:
    for name in [*expected, *sorted(found.keys() - expected.keys())]:
        if name not in found:
            yield f"{name}: missing"
        elif name not in expected:
            yield f"{name if name.isprintable() else repr(name)}: unknown"
        elif found[name].shape != expected[name].shape:
            yield f"{name}: expected shape {tuple(expected[name].shape)}, found {tuple(found[name].shape)}"
        elif found[name].dtype != expected[name].dtype:
            yield f"{name}: expected {expected[name].dtype}, found {found[name].dtype}"
        elif not torch.isfinite(found[name]).all():
            yield f"{name}: expected finite numbers, found NaN or infinity"


# ------------------------------------------------------------------------------------------------ configurations


def _from_json(config: type[Config], found: Any) -> Config:
    """Restore a configuration from ``dataclasses.asdict`` and JSON.

    Raises:
        ValueError: a field is missing, unknown, of another type, or invalid; the message names it.
    """
    name, found = config.__name__, _mapping(found, config.__name__)
    known = {one.name for one in dataclasses.fields(config)}
    if found.keys() != known:
        missing, unknown = sorted(known - found.keys()), sorted(found.keys() - known)
        raise ValueError(f"{name}: missing {missing}, unknown {unknown}; the file is from another version")
    types = get_type_hints(config)
    for field_name, value in found.items():
        if not _is(value, types[field_name]):
            raise ValueError(f"{name}.{field_name}: expected {types[field_name]}, found {value!r}")
    values: dict[str, Any] = {
        one: tuple(value) if isinstance(value, list) else value  # JSON has no tuples
        for one, value in found.items()
    }
    return config(**values)


def _is(value: Any, wanted: Any) -> bool:
    """Return whether a value from JSON has a type that a configuration declares."""
    if get_origin(wanted) in {UnionType, Union}:
        return any(_is(value, one) for one in get_args(wanted))
    if get_origin(wanted) is Literal:
        return value in get_args(wanted)
    if get_origin(wanted) is tuple:
        return isinstance(value, list) and [type(one) for one in value] == list(get_args(wanted))
    if wanted is float:
        return type(value) in {int, float}
    return type(value) is (NoneType if wanted is None else wanted)


def _mapping(found: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{name}: expected a JSON object, found {type(found).__name__}")
    return found
