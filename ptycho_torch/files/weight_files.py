"""A model's weights in a file: safetensors, which holds numbers and no code."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ptycho_torch.model import PtychoPINN

FORMAT = "ptycho_torch weights 2"
"""What the file says of itself; and, as JSON, how its model is configured: the same arrays fit several models."""


def save_weights(model: PtychoPINN, path: str | Path) -> None:
    """Write the model's parameters, its probe and its intensity scale.

    The file appears whole or not at all; one of that name is replaced.

    Args:
        model: on any device.
        path: by convention ``*.safetensors``; its directory exists.

    Raises:
        ValueError: the model holds numbers that are not finite; no file of them could be loaded.
        OSError: there is no such directory, or a directory has this name.
    """
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    require_fit(tensors, tensors, "the model")
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"weights {path}: there is no such directory")
    unfinished = Path(f"{path}.unfinished")
    try:
        save_file(tensors, unfinished, metadata={"format": FORMAT, "model": json.dumps(_settings(model))})
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_weights(model: PtychoPINN, path: str | Path) -> None:
    """Fill the model from a file that ``save_weights`` wrote, in whatever precision: it must be the model's own.

    Args:
        model: configured as the one that was saved; filled in place, on its device; untouched if anything is refused.
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is another kind of file; it is of a model configured otherwise; or arrays are missing, unknown,
            not finite, or of a shape or dtype that the model has not, each by name.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"weights {path}: no such file")
    expected = model.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            _require_settings(path, file.metadata() or {}, _settings(model))
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as unreadable:
        raise ValueError(f"weights {path}: not a safetensors file, or cut short ({unreadable})") from unreadable
    require_fit(expected, found, f"weights {path}")
    model.load_state_dict(found)


def _settings(model: PtychoPINN) -> dict[str, object]:
    """What decides how the model's arrays are used."""
    return dataclasses.asdict(model.config)


def _require_settings(path: str | Path, metadata: Mapping[str, str], expected: Mapping[str, object]) -> None:
    if metadata.get("format") != FORMAT:
        raise ValueError(f"weights {path}: expected a file of {FORMAT!r}, found {metadata.get('format')!r}")
    try:
        found = dict(json.loads(metadata["model"]))
    except (KeyError, TypeError, ValueError) as unreadable:
        raise ValueError(f"weights {path}: it does not say how its model is configured") from unreadable
    other = [
        f"{name}: expected {expected.get(name)!r}, found {found.get(name)!r}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
    if other:
        raise ValueError(f"weights {path}: of a model configured otherwise: " + "; ".join(other))


def require_fit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    """Refuse tensors that are not just those which are expected.

    Args:
        expected: name -> tensor of the right shape and dtype; its values are not looked at, it may have none ("meta").
        found: what is to take their place.
        where: they come from, for the message.

    Raises:
        ValueError: tensors are missing, unknown, not finite, or of another shape or dtype, each by name.
    """
    wrong = list(_misfits(expected, found))
    if wrong:
        more = f"; and {len(wrong) - 6} more" if len(wrong) > 6 else ""
        raise ValueError(f"{where}: do not fit the model: " + "; ".join(wrong[:6]) + more)


def _misfits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Iterator[str]:
    for name in [*expected, *sorted(found.keys() - expected.keys())]:
        if name not in found:
            yield f"{name}: missing"
        elif name not in expected:
            yield f"{name}: unknown"
        elif found[name].shape != expected[name].shape:
            yield f"{name}: expected shape {tuple(expected[name].shape)}, found {tuple(found[name].shape)}"
        elif found[name].dtype != expected[name].dtype:
            yield f"{name}: expected {expected[name].dtype}, found {found[name].dtype}"
        elif not torch.isfinite(found[name]).all():
            yield f"{name}: expected finite numbers, found NaN or infinity"
