"""Find the setting or length behind a constant factor: 0.25 is probably 1 / probe_scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

_CLOSE = 3e-6
"""Relative difference allowed between a fitted factor, which has single precision, and the number that it matches."""
_MOST = 3
"""A factor that matches more numbers than this gets no name."""


def named_factor(factor: float, parameters: Mapping[str, object], shape: tuple[int, ...], side: int | None) -> str:
    """Return the numbers of the golden that give this factor, ``"1 / probe_scale"``; "" if none or too many do.

    Args:
        factor: ratio of the output to the expected one.
        parameters: of the golden; only numbers are used.
        shape: of the output.
        side: of its images in pixels; None if it has none.
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
