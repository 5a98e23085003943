"""Name the setting or the length that a constant factor comes from: 0.25 is likely to be 1 / probe_scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

_CLOSE = 3e-6
"""How far, relatively, a factor may be from what it is named after; it is fitted to single precision."""
_MOST = 3
"""A factor that more numbers could explain is explained by none."""


def named_factor(factor: float, parameters: Mapping[str, object], shape: tuple[int, ...], side: int | None) -> str:
    """Say which numbers of the golden give this factor, ``"1 / probe_scale"``; an empty text if none or too many do.

    Args:
        factor: by which an output is too large.
        parameters: of the golden; those that are numbers count.
        shape: of the output.
        side: of its images, pixels; None where it has none.
    """
    named = [form for name, number in _numbers(parameters, shape, side) for form in _forms(factor, name, number)]
    return " or ".join(named) if len(named) <= _MOST else ""


def _numbers(parameters: Mapping[str, object], shape: tuple[int, ...], side: int | None) -> Iterator[tuple[str, float]]:
    for name, value in parameters.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)
    if side is not None and "N" not in parameters:
        yield "the side N of an image", float(side)
    if len(shape) > 1 and side not in (shape[0], shape[-1]):
        yield "the length of the first axis", float(shape[0])
        yield "the length of the last axis", float(shape[-1])
    yield "pi", math.pi


def _forms(factor: float, name: str, number: float) -> Iterator[str]:
    if number <= 0 or abs(number - 1) < _CLOSE:
        return
    forms = {
        name: number,
        f"1 / {name}": 1 / number,
        f"the square of {name}": number**2,
        f"1 / the square of {name}": number**-2,
        f"the square root of {name}": math.sqrt(number),
        f"1 / the square root of {name}": 1 / math.sqrt(number),
        f"half of {name}": number / 2,
        f"2 / {name}": 2 / number,
    }
    for form, value in forms.items():
        if np.isclose(abs(factor), value, rtol=_CLOSE, atol=0) and not math.isclose(value, 1, rel_tol=_CLOSE):
            yield form if factor > 0 else f"minus {form}"
