"""Load TensorFlow's weights into the model, and return the model's weights in TensorFlow's order and layout.

TensorFlow's kernels are (row, column, in, out), Torch's (out, in, row, column). Both correlate: no kernel is flipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import h5py
import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ptycho_torch.model import PtychoPINN
from ptycho_torch.network.layers import Convolution
from ptycho_torch.scans.hdf5 import is_hdf5, opened

_LARGEST_EMPTY = 2**28
"""Bytes that even a smaller file may declare, because HDF5 compresses data and omits data that were never written."""


def tensorflow_order(model: PtychoPINN) -> list[str]:
    """Return the names of the model's parameters in the order in which TensorFlow lists its own.

    First come the encoder's convolutions. Those of the decoders follow, alternating, amplitude first: up blocks, then
    border, then centre. Each convolution has its kernel before its bias.
    """
    decoders = zip(_convolutions(model, "amplitude"), _convolutions(model, "phase"), strict=True)
    names = chain(_convolutions(model, "encoder"), chain.from_iterable(decoders))
    return [f"{name}.{parameter}" for name in names for parameter in ("weight", "bias")]


def from_tensorflow_weights(model: PtychoPINN, arrays: Sequence[np.ndarray]) -> None:
    """Load TensorFlow's weights into the model.

    Args:
        model: model, changed in place; unchanged if an error is raised.
        arrays: kernels (row, column, in, out) and biases (out,), floating point, in the order of ``tensorflow_order``.

    Raises:
        ValueError: the number of arrays differs, or an array has another shape, another dtype or a number that is not
            finite; the message names each.
    """
    names, parameters = tensorflow_order(model), dict(model.named_parameters())
    if len(arrays) != len(names):
        raise ValueError(f"arrays: expected {len(names)}, a kernel and a bias per convolution, found {len(arrays)}")
    wrong = []
    for place, (name, array) in enumerate(zip(names, arrays)):
        expected = to_tensorflow_layout(parameters[name])
        if array.shape != expected.shape:
            wrong.append(f"{place} ({name}): expected shape {expected.shape}, found {array.shape}")
        elif array.dtype.kind != "f" or not np.can_cast(array.dtype, expected.dtype):
            wrong.append(f"{place} ({name}): expected {expected.dtype}, found {array.dtype}")
        elif not np.isfinite(array).all():
            wrong.append(f"{place} ({name}): expected finite numbers, found NaN or infinity")
    if wrong:
        raise ValueError("arrays: " + "; ".join(wrong))
    with torch.no_grad():
        for name, array in zip(names, arrays):
            torch_layout = rearrange(array, "row column i o -> o i row column") if array.ndim == 4 else array
            # A copy in the machine's byte order, because Torch accepts no other.
            parameters[name].copy_(torch.from_numpy(np.array(torch_layout, array.dtype.newbyteorder("="))))


def to_tensorflow_weights(model: PtychoPINN) -> list[np.ndarray]:
    """Return copies of the model's parameters in TensorFlow's order; the inverse of ``from_tensorflow_weights``."""
    parameters = dict(model.named_parameters())
    return [to_tensorflow_layout(parameters[name]) for name in tensorflow_order(model)]


def to_tensorflow_gradients(model: PtychoPINN) -> list[np.ndarray]:
    """Return the gradients of the model's parameters, in the order and layout of ``to_tensorflow_weights``.

    Raises:
        ValueError: parameters have no gradient; the message names them.
    """
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    missing = [name for name, gradient in gradients.items() if gradient is None]
    if missing:
        raise ValueError(f"model: expected a gradient of every parameter (loss.backward()), found none of {missing}")
    found = (gradients[name] for name in tensorflow_order(model))
    return [to_tensorflow_layout(gradient) for gradient in found if gradient is not None]


def to_tensorflow_layout(parameter: Tensor) -> np.ndarray:
    """Return a kernel (out, in, row, column) as (row, column, in, out), and a bias (out,) unchanged.

    The array is a copy in host memory, of the same dtype.
    """
    array = parameter.detach().cpu().numpy()
    return np.array(rearrange(array, "o i row column -> row column i o") if array.ndim == 4 else array)


def read_tensorflow_weights(path: str | Path, group: str = "weights") -> list[np.ndarray]:
    """Read weights from an HDF5 file.

    Args:
        path: path of the file.
        group: HDF5 group of the arrays ``000``, ``001``, …, in the order of ``tensorflow_order``.

    Returns:
        The arrays in the order of their names.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read.
        ValueError: the file is not HDF5, is truncated, declares more data than it can hold, or lacks the group; or the
            group holds something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"weights {path}: no such file")
    if not is_hdf5(Path(path)):
        raise ValueError(f"weights {path}: expected HDF5, found another file")
    try:
        with opened(Path(path)) as file:
            return _arrays(file, group, path)
    except (OSError, RuntimeError, KeyError, TypeError, OverflowError, MemoryError) as unreadable:
        raise ValueError(f"weights {path}: the file is truncated or damaged ({unreadable})") from unreadable


def _arrays(file: h5py.File, group: str, path: str | Path) -> list[np.ndarray]:
    found = file.get(group)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"weights {path}: expected a group {group!r}, found {_listed(file)}")
    names = sorted(found)
    if names != [f"{place:03}" for place in range(len(names))] or not names:
        raise ValueError(f"weights {path}: expected arrays 000, 001, … in {group!r}, found {_listed(names)}")
    others = [name for name in names if not isinstance(found.get(name), h5py.Dataset)]
    if others:
        raise ValueError(
            f"weights {path}: expected arrays in {group!r}, found groups or broken links: {_listed(others)}"
        )
    declared, stored = sum(found[name].nbytes for name in names), Path(path).stat().st_size
    if declared > max(stored, _LARGEST_EMPTY):
        raise ValueError(
            f"weights {path}: expected arrays that the file can hold, found {declared} declared bytes in {stored}"
        )
    return [np.asarray(found[name]) for name in names]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:5]) or "nothing"


def _convolutions(model: PtychoPINN, part: str) -> list[str]:
    layers = model.get_submodule(part).named_modules(prefix=part)
    return [name for name, layer in layers if isinstance(layer, Convolution)]
