"""Detect that a change of an output is one factor, one constant or one shift, even if it is tiny.

Rounding moves elements at random. A common factor, constant or shift is a change of the computation, even within noise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from golden.spec.arrays import image_axes, images

_BEGINNING = "the change is "
_LEAST = 16
"""Fewer moved elements can follow one rule by accident."""
_EXPLAINED = 0.9
"""Share of the difference, as a sum of squares, that the rule explains."""
_MOST = 1 << 20
"""Larger arrays are not examined."""


def drift(expected: np.ndarray, found: np.ndarray, where: np.ndarray | None = None) -> str:
    """Return the one rule by which an output moved; "" if no single rule explains nine tenths of the difference.

    Args:
        expected: any shape, real or complex.
        found: of its shape.
        where: bool, the elements that are compared; None for all.
    """
    comparable = expected.shape == found.shape and expected.dtype.kind in "fc" and found.dtype.kind in "fc"
    if not comparable or expected.size > _MOST:
        return ""
    old, new = (array.astype(np.complex128 if np.iscomplexobj(expected) else np.float64) for array in (expected, found))
    with np.errstate(all="ignore"):
        apart = new - old
        counts = np.isfinite(apart) & (True if where is None else where)
        moved = int(np.count_nonzero(apart[counts]))
        total = float(np.sum(np.abs(apart[counts]) ** 2))
        if moved < _LEAST or 2 * moved < np.count_nonzero(counts) or not np.isfinite(total) or total == 0:
            return ""
        for sentence, left in _rules(old, apart, counts):
            if left <= (1 - _EXPLAINED) * total:
                return sentence
    return ""


def rule_of(sentence: str) -> str:
    """Name the rule of a sentence, without its numbers: ``one factor everywhere``."""
    return sentence.partition(":")[0].removeprefix(_BEGINNING)


def _rules(old: np.ndarray, apart: np.ndarray, counts: np.ndarray) -> Iterator[tuple[str, float]]:
    """Yield the sentence of each rule, and the sum of squares that it leaves unexplained."""
    values, moved = old[counts], apart[counts]
    factor, left = _fitted([values], moved)
    yield f"{_BEGINNING}one factor everywhere: 1 {_signed(factor[0])}", left
    constant, left = _fitted([np.ones_like(values)], moved)
    yield f"{_BEGINNING}one constant, added everywhere: {_signed(constant[0])}", left
    stack = images(old)
    if len(stack):
        axes = image_axes(old.ndim)
        slopes = [np.gradient(old, axis=axis)[counts] for axis in axes]
        shift, left = _fitted(slopes, moved)
        if all(np.isreal(shift)) or np.abs(np.imag(shift)).max() <= 0.1 * np.abs(np.real(shift)).max():
            down, across = (f"{-float(np.real(part)):+.2g}" for part in shift)
            yield f"{_BEGINNING}one shift everywhere: {down} rows, {across} columns", left


def _fitted(terms: list[np.ndarray], moved: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit a sum of terms to the change; return the weights, and the remaining sum of squares."""
    matrix = np.stack(terms, axis=-1)
    if not np.isfinite(matrix).all():
        return np.zeros(len(terms)), np.inf
    weights = np.linalg.lstsq(matrix, moved, rcond=None)[0]
    return weights, float(np.sum(np.abs(moved - matrix @ weights) ** 2))


def _signed(value: complex) -> str:
    if isinstance(value, complex) and abs(value.imag) > 1e-3 * abs(value):
        return f"+ ({value.real:.2g}{value.imag:+.2g}j)"
    real = float(np.real(value))
    return f"{'-' if real < 0 else '+'} {abs(real):.2g}"
