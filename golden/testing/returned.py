"""Turn what a subject returned into NumPy arrays, or say what is wrong with it. Names no framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError

_KINDS = "biufcS"
"""dtype kinds that a golden may hold: numbers, booleans, bytes."""


def as_arrays(returned: object, expected: Arrays) -> dict[str, np.ndarray]:
    """Return outputs by name. What lies in another framework's tensors is copied, from whatever device.

    dtypes and shapes stay as they are: the comparison tells of them. An output that is None is left out: the subject
    does not offer it.

    Args:
        returned: what the subject gave.
        expected: the golden's outputs.

    Raises:
        GoldenError: it holds something that is no array of numbers or bytes, or nothing at all.
    """
    if not isinstance(returned, Mapping):
        names = ", ".join(f"{name!r}: …" for name in expected)
        raise GoldenError(f"expected outputs by name, {{{names}}}, found {_kind(returned)}")
    offered = {str(name): value for name, value in returned.items() if value is not None}
    if returned and not offered:
        raise GoldenError("every output is None: leave the function out where the subject offers none of them")
    return {name: _as_array(name, value, expected.get(name)) for name, value in offered.items()}


def left_out(returned: object, expected: Arrays) -> list[str]:
    """Name the outputs that a subject does not offer: those of the golden that it returns as None."""
    if not isinstance(returned, Mapping):
        return []
    return sorted(name for name in expected if name in returned and returned[name] is None)


def _as_array(name: str, value: object, expected: np.ndarray | None) -> np.ndarray:
    wanted = f", {expected.dtype} of shape {expected.shape}" if expected is not None else ""
    try:
        array = _converted(value)
    except Exception as broken:
        raise GoldenError(
            f"output {name!r}: expected an array{wanted}, found {_kind(value)}, which NumPy cannot take "
            f"({type(broken).__name__}: {broken})"
        ) from None
    if array is None or array.dtype.kind not in _KINDS:
        found = _kind(value) + (f" of dtype {value.dtype}" if isinstance(value, np.ndarray) else "")
        raise GoldenError(f"output {name!r}: expected an array of numbers or bytes{wanted}, found {found}")
    if isinstance(array, np.ma.MaskedArray):
        raise GoldenError(
            f"output {name!r}: expected a plain array{wanted}, found a masked array; say what its "
            f"{np.sum(np.ma.getmaskarray(array))} masked elements are: array.filled(0)"
        )
    return array


def _converted(value: Any) -> np.ndarray | None:
    """Return an array, masked if the value is; None where the value has no dtype of its own, as a list."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value)
    if callable(getattr(value, "detach", None)):  # Torch: away from gradients and from devices
        value = value.detach()
        for step in ("cpu", "resolve_conj", "resolve_neg"):
            value = getattr(value, step)() if callable(getattr(value, step, None)) else value
    if callable(getattr(value, "numpy", None)):
        return _plain(value.numpy())
    if hasattr(value, "__array__"):
        return _plain(value.__array__())
    if hasattr(value, "__dlpack__"):
        return np.array(np.from_dlpack(value))
    return None


def _plain(value: Any) -> np.ndarray:
    return value if isinstance(value, np.ma.MaskedArray) else np.asarray(value)


def _kind(value: object) -> str:
    """Name a value's type, with dtype and shape where it has them."""
    if isinstance(value, np.ndarray):
        return "an array" if type(value) is np.ndarray else f"a {type(value).__name__}"
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    dtype = getattr(value, "dtype", None)
    return f"{kind} ({dtype})" if dtype is not None else kind
