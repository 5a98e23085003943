"""Convert the outputs of a subject to NumPy arrays, or explain why they cannot be. Names no framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError

_KINDS = "biufcS"
"""dtype kinds that a golden may hold: numbers, booleans, bytes."""


def as_arrays(returned: object, expected: Arrays) -> dict[str, np.ndarray]:
    """Return outputs by name. Tensors of other frameworks are copied, from any device.

    dtypes and shapes are kept, because the comparison reports them. An output that is None is left out: the subject
    does not offer it.

    Args:
        returned: the value that the subject returned.
        expected: the golden's outputs.

    Raises:
        GoldenError: a value is not an array of numbers or bytes, or there is no output at all.
    """
    if not isinstance(returned, Mapping):
        names = ", ".join(f"{name!r}: …" for name in expected)
        raise GoldenError(f"expected outputs by name, {{{names}}}, found {_kind(returned)}")
    try:
        offered = {str(name): value for name, value in returned.items() if value is not None}
    except Exception as broken:  # such as a file that the subject has closed
        raise GoldenError(
            f"expected outputs by name, found {_kind(returned)}, which cannot be read "
            f"({type(broken).__name__}: {broken})"
        ) from None
    if returned and not offered:
        raise GoldenError("every output is None; if the subject offers none of them, remove the function")
    return {name: _as_array(name, value, expected.get(name)) for name, value in offered.items()}


def left_out(returned: object, expected: Arrays) -> list[str]:
    """Return the names of the golden's outputs that the subject does not offer: it returns None for them."""
    if not isinstance(returned, Mapping):
        return []
    return sorted(name for name in expected if name in returned and returned[name] is None)


def _as_array(name: str, value: object, expected: np.ndarray | None) -> np.ndarray:
    wanted = f", {expected.dtype} of shape {expected.shape}" if expected is not None else ""
    try:
        array = _converted(value)
    except Exception as broken:
        raise GoldenError(
            f"output {name!r}: expected an array{wanted}, found {_kind(value)}, which NumPy cannot convert "
            f"({type(broken).__name__}: {broken})"
        ) from None
    if array is None or array.dtype.kind not in _KINDS:
        found = _kind(value) + (f" of dtype {value.dtype}" if isinstance(value, np.ndarray) else "")
        raise GoldenError(f"output {name!r}: expected an array of numbers or bytes{wanted}, found {found}")
    if isinstance(array, np.ma.MaskedArray):
        raise GoldenError(
            f"output {name!r}: expected a plain array{wanted}, found a masked array; fill its "
            f"{np.sum(np.ma.getmaskarray(array))} masked elements: array.filled(0)"
        )
    return array


def _converted(value: Any) -> np.ndarray | None:
    """Return an array, masked if the value is masked; None if the value, such as a list, has no dtype of its own."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value)
    if callable(getattr(value, "detach", None)):  # Torch: without gradient, on the CPU
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
    """Return the name of a value's type, with its dtype if it has one."""
    if isinstance(value, np.ndarray):
        return "an array" if type(value) is np.ndarray else f"a {type(value).__name__}"
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    dtype = getattr(value, "dtype", None)
    return f"{kind} ({dtype})" if dtype is not None else kind
