"""Two small drawings as SVG, to stand inside a page and take its colours: how errors are spread, and a line of values.

By hand rather than by Matplotlib: they follow the page's light and dark, are a tenth of the size, and take no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH, _LEFT, _RIGHT, _TOP = 320, 46, 8, 8
_HISTOGRAM, _STRIP, _HEAD, _GAP, _FOOT = 110, 58, 14, 6, 16
_MOST_BARS = 60
_FINEST = 8
"""Bins per factor of ten."""
_DECADES = 340
"""Powers of ten on either side of 1 that a float64 can reach."""
_FINE = 1e-3
"""Of the values: a smaller range than this is drawn about one of them, for its ticks would all read the same."""
LONGEST = 512
"""Elements of a profile."""


# ------------------------------------------------------------------------------------------------ errors


class Errors:
    """How many elements err by how much, in units of their tolerance; filled block by block."""

    def __init__(self) -> None:
        self.none = self.beyond_number = 0
        self.floor = (np.inf, -np.inf)
        self._bins = np.zeros(2 * _DECADES * _FINEST, np.int64)

    def add(self, shares: np.ndarray, floors: np.ndarray) -> None:
        """Count elements; ``floors`` is their noise floor, in units of the tolerance too."""
        self.none += int(np.count_nonzero(shares == 0))
        self.beyond_number += int(np.count_nonzero(~np.isfinite(shares)))
        told = shares[(shares > 0) & np.isfinite(shares)]
        # An element just at the tolerance passes: the upper edge belongs to a bin.
        numbers = np.ceil(np.log10(told) * _FINEST).astype(int) - 1 + _DECADES * _FINEST
        self._bins += np.bincount(np.clip(numbers, 0, len(self._bins) - 1), minlength=len(self._bins))
        floors = floors[np.isfinite(floors)]
        if floors.size:
            self.floor = (min(self.floor[0], float(floors.min())), max(self.floor[1], float(floors.max())))

    def bars(self) -> tuple[int, list[tuple[float, int]]]:
        """Bars per factor of ten, and each bar's lower end as a power of ten with its count."""
        filled = np.flatnonzero(self._bins)
        if not filled.size:
            return _FINEST, []
        per = next(n for n in (8, 4, 2, 1) if (filled[-1] - filled[0]) * n / _FINEST <= _MOST_BARS or n == 1)
        merged = self._bins.reshape(-1, _FINEST // per).sum(1)
        return per, [(int(i) / per - _DECADES, int(merged[i])) for i in np.flatnonzero(merged)]


def histogram(errors: Errors) -> str:
    """Bars over a logarithmic axis in units of the tolerance, with the noise floor and the tolerance itself."""
    per, bars = errors.bars()
    if not bars:
        return ""
    noise = [float(np.log10(value)) for value in errors.floor if 0 < value < np.inf]
    low = float(np.floor(min(bars[0][0], 0, *noise))) - (0.0 if bars[0][0] > np.floor(bars[0][0]) else 0.5)
    high = max(bars[-1][0] + 1 / per, 0) + 0.5
    top = float(np.log10(max(count for _, count in bars))) + 0.15
    base = _TOP + _HISTOGRAM

    def x(power: float) -> float:
        return _LEFT + (power - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(count: float) -> float:
        return base - (float(np.log10(count)) + 0.25) / (top + 0.25) * _HISTOGRAM

    parts = [_horizontal(y(10.0**power), _power(power)) for power in _ticks_of_powers(0, top, 3)]
    if noise:
        left, right = x(min(noise)), x(max(noise))
        parts.append(_bar("noise", left - 0.75, right + 0.75, _TOP, base))
    for power, count in bars:
        left, right = x(power) + 0.5, x(power + 1 / per) - 0.5
        parts.append(_bar("bar over" if power >= 0 else "bar", left, max(right, left + 2), y(count), base))
    parts.append(_vertical(x(0), _TOP, base, "limit"))
    parts.append(_line("axis", [(_LEFT, base), (_WIDTH - _RIGHT, base)]))
    parts += [_label(x(power), base + 13, _power(power)) for power in _ticks_of_powers(low, high, 6)]
    return _svg(base + _FOOT, parts, "histogram of the errors in units of the tolerance; both axes are logarithmic")


# ------------------------------------------------------------------------------------------------ profiles


@dataclass(frozen=True)
class Strip:
    """One of the drawings of a profile, above each other over one axis.

    Attributes:
        title: what is drawn.
        lines: class of the line ("before", "after", "error") and its values.
        powers: whether the axis is logarithmic, in units of the tolerance.
    """

    title: str
    lines: Sequence[tuple[str, np.ndarray]]
    powers: bool = False


def window(length: int, at: int) -> slice:
    """The elements of a line to draw: all, or the ``LONGEST`` about one."""
    start = max(0, min(at - LONGEST // 2, length - LONGEST))
    return slice(start, min(start + LONGEST, length))


def profile(strips: Sequence[Strip], start: int, worst: int, label: str) -> str:
    """Lines over the index of the elements, from ``start``; the worst one is marked."""
    length = max(len(values) for strip in strips for _, values in strip.lines)
    parts: list[str] = []
    y = 0.0

    def x(index: float) -> float:
        return _LEFT + (index - start + 0.5) / length * (_WIDTH - _LEFT - _RIGHT)

    for strip in strips:
        y += _HEAD
        parts += _strip(strip, y, [x(start + i) for i in range(length)], worst - start)
        y += _STRIP + _GAP
    base = y - _GAP
    parts += [_label(x(index), base + 13, str(index)) for index in _whole_ticks(start, start + length - 1)]
    return _svg(base + _FOOT, parts, label)


def _strip(strip: Strip, top: float, x: Sequence[float], worst: int) -> list[str]:
    base = top + _STRIP
    lines = [(kind, np.log10(values) if strip.powers else values) for kind, values in strip.lines]
    low, high = _range(np.concatenate([values for _, values in lines]), strip.powers)
    title, shift = strip.title, 0.0
    if not strip.powers and high / 2 - low / 2 < _FINE * max(abs(low), abs(high)):
        shift = float(f"{lines[0][1][np.isfinite(lines[0][1])][0]:.6g}")
        title = f"{title} \N{MINUS SIGN} {_number(shift, 6)}" if shift > 0 else f"{title} + {_number(-shift, 6)}"
        lines = [(kind, values - shift) for kind, values in lines]
        low, high = low - shift, high - shift
    scale = max(abs(low), abs(high), np.finfo(float).tiny)
    extent = high / scale - low / scale  # high - low may be too large for a number

    def y(value: float) -> float:
        return float(base - (value / scale - low / scale) / extent * _STRIP)

    if strip.powers:
        parts = [_horizontal(y(power), _power(power)) for power in _ticks_of_powers(low, high, 3)]
        parts += [_across(y(0), "limit")] if low <= 0 <= high else []
    else:
        parts = [_horizontal(y(value), _number(value)) for value in _ticks(low, high)]
    parts.append(_vertical(x[worst], top, base, "worst"))
    for kind, values in lines:
        for run in _runs(x, [y(v) if np.isfinite(v) else None for v in values.tolist()]):
            parts.append(_line(kind, run) if len(run) > 1 else _dot(kind, *run[0], 2.2))
        if np.isfinite(values[worst]):
            parts.append(_dot(kind, x[worst], y(float(values[worst])), 3))
    return [*parts, f'<text class="title" x="{_LEFT}" y="{top - 4:.1f}">{escape(title)}</text>']


def _range(values: np.ndarray, powers: bool) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (-1.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if powers:
        low, high = min(low, 0.0), max(high, 0.0)
        return max(low, high - 12) - 0.3, high + 0.3
    if low == high:
        room = abs(low) / 2 or 1.0
        return low - room, high + room
    room = 0.12 * (high / 2 - low / 2)
    most = np.finfo(float).max
    return max(low - room, -most), min(high + room, most)


def _runs(x: Sequence[float], y: Sequence[float | None]) -> Iterator[list[tuple[float, float]]]:
    """The stretches between what has no value."""
    run: list[tuple[float, float]] = []
    for across, down in [*zip(x, y), (0.0, None)]:
        if down is not None:
            run.append((across, down))
        elif run:
            yield run
            run = []


# ------------------------------------------------------------------------------------------------ axes


def _ticks(low: float, high: float) -> list[float]:
    """Two to four round numbers."""
    extent = high / 2 - low / 2
    power = np.floor(np.log10(extent)) if extent > 0 else 0
    for factor in (0.5, 1, 2, 5, 10):
        with np.errstate(all="ignore"):
            step = float(factor * 10.0**power)
            first = np.ceil(low / step) if step else np.nan
        count = np.floor(high / step) - first + 1 if step and np.isfinite(step) else np.inf
        if count <= 4:
            return [float((first + i) * step) for i in range(int(count))]
    return []


def _whole_ticks(first: int, last: int) -> list[int]:
    step = next(
        step for power in range(20) for step in (10**power, 2 * 10**power, 5 * 10**power) if (last - first) / step <= 6
    )
    return list(range(-(-first // step) * step, last + 1, step))


def _ticks_of_powers(low: float, high: float, most: int) -> list[int]:
    first, last = int(np.ceil(low)), int(np.floor(high))
    step = max(1, -(-(last - first) // most))
    return [power for power in range(first, last + 1) if power % step == 0]


def _power(power: int) -> str:
    if -2 <= power <= 3:
        return f"{10.0**power:g}"
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _number(value: float, digits: int = 3) -> str:
    return (
        f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "\N{MINUS SIGN}")
    )


def _svg(height: float, parts: Sequence[str], label: str) -> str:
    box = f"0 0 {_WIDTH} {height:.0f}"
    return f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="{box}">{"".join(parts)}</svg>'


def _line(kind: str, points: Sequence[tuple[float, float]]) -> str:
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _bar(kind: str, left: float, right: float, top: float, base: float) -> str:
    size = f'width="{right - left:.1f}" height="{base - top:.1f}"'
    return f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" {size}/>'


def _dot(kind: str, x: float, y: float, radius: float) -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'


def _vertical(x: float, top: float, base: float, kind: str) -> str:
    return _line(kind, [(x, top), (x, base)])


def _across(y: float, kind: str) -> str:
    return _line(kind, [(_LEFT, y), (_WIDTH - _RIGHT, y)])


def _horizontal(y: float, text: str) -> str:
    return _across(y, "grid") + f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}">{text}</text>'


def _label(x: float, y: float, text: str) -> str:
    return f'<text class="label" x="{x:.1f}" y="{y:.1f}">{text}</text>'
