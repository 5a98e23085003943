"""Draw the charts of a page as SVG: a histogram of the errors, and values along a line through the worst element.

They are drawn without Matplotlib, whose charts are ten times as large, take 50 ms each, and do not follow the page's
light and dark colours. Coordinates are whole thirds of a pixel, relative to the previous point, to keep the page small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH, _LEFT, _RIGHT, _TOP = 960, 138, 24, 24
_HISTOGRAM, _STRIP, _HEAD, _GAP, _FOOT = 330, 174, 42, 18, 48
_MOST_BARS = 60
_BINS_PER_DECADE = 8
_DECADES = 340
"""Every float64 lies between these powers of ten, negative and positive."""
_SMALLEST_RANGE = 1e-3
"""If the range of values is a smaller share of them, they are drawn relative to the first: else ticks look equal."""
LONGEST = 256
"""A profile shows at most this many elements."""

Point = tuple[float, float]


# ------------------------------------------------------------------------------------------------ histogram


class ErrorHistogram:
    """Counts elements by their error in units of the tolerance, block by block.

    Attributes:
        equal: how many elements have no error.
        infinite: how many have an error without a number.
        floor: the smallest and the largest noise floor, in units of the tolerance.
    """

    def __init__(self) -> None:
        self.equal = self.infinite = 0
        self.floor = (np.inf, -np.inf)
        self._bins = np.zeros(2 * _DECADES * _BINS_PER_DECADE, np.int64)

    def add(self, errors: np.ndarray, floors: np.ndarray) -> None:
        """Count the elements of a block; both arrays are in units of the tolerance."""
        self.equal += int(np.count_nonzero(errors == 0))
        self.infinite += int(np.count_nonzero(~np.isfinite(errors)))
        counted = errors[(errors > 0) & np.isfinite(errors)]
        # An element exactly at the tolerance passes, so the upper edge belongs to the bin.
        numbers = np.ceil(np.log10(counted) * _BINS_PER_DECADE).astype(int) - 1 + _DECADES * _BINS_PER_DECADE
        self._bins += np.bincount(np.clip(numbers, 0, len(self._bins) - 1), minlength=len(self._bins))
        floors = floors[np.isfinite(floors)]
        if floors.size:
            self.floor = (min(self.floor[0], float(floors.min())), max(self.floor[1], float(floors.max())))

    def bars(self) -> tuple[int, list[tuple[float, int]]]:
        """Return the bars per factor of ten, and each bar's lower end as a power of ten with its count."""
        filled = np.flatnonzero(self._bins)
        if not filled.size:
            return _BINS_PER_DECADE, []
        decades = (filled[-1] - filled[0]) / _BINS_PER_DECADE
        per_decade = next(n for n in (8, 4, 2, 1) if decades * n <= _MOST_BARS or n == 1)
        merged = self._bins.reshape(-1, _BINS_PER_DECADE // per_decade).sum(1)
        return per_decade, [(int(i) / per_decade - _DECADES, int(merged[i])) for i in np.flatnonzero(merged)]

    def svg(self) -> str:
        """Draw bars over the error, on logarithmic axes, with noise floor and tolerance; "" if there are no bars."""
        per_decade, bars = self.bars()
        if not bars:
            return ""
        noise = [float(np.log10(value)) for value in self.floor if 0 < value < np.inf]
        low = float(np.floor(min(bars[0][0], 0, *noise))) - (0.0 if bars[0][0] > np.floor(bars[0][0]) else 0.5)
        high = max(bars[-1][0] + 1 / per_decade, 0) + 0.5
        top = float(np.log10(max(count for _, count in bars))) + 0.15
        base = _TOP + _HISTOGRAM

        def x(power: float) -> float:
            return _LEFT + (power - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

        def y(count: float) -> float:
            return base - (float(np.log10(count)) + 0.25) / (top + 0.25) * _HISTOGRAM

        parts = _grid([(y(10.0**power), _power_text(power)) for power in _power_ticks(0, top, 3)])
        if noise:
            left, right = x(min(noise)), x(max(noise))
            parts.append(_path("noise", [_box(left - 2, right + 2, _TOP, base)]))
        boxes: dict[bool, list[str]] = {False: [], True: []}
        for power, count in bars:
            left, right = x(power) + 1.5, x(power + 1 / per_decade) - 1.5
            boxes[power >= 0].append(_box(left, max(right, left + 6), y(count), base))
        parts += [_path("over" if over else "bar", drawn) for over, drawn in boxes.items() if drawn]
        parts.append(_path("limit", [f"M{x(0):.0f} {_TOP}V{base}"]))
        parts.append(_path("axis", [_across(base)]))
        parts.append(_labels(base, [(x(power), _power_text(power)) for power in _power_ticks(low, high, 6)]))
        return _svg(base + _FOOT, parts, "histogram of the errors in units of the tolerance")


# ------------------------------------------------------------------------------------------------ profile


@dataclass(frozen=True)
class Strip:
    """One of the plots of a profile, which are stacked over one axis.

    Attributes:
        title: of the plot.
        lines: kind ("first", "second", "error") and values of each line.
        is_logarithmic: whether the axis is logarithmic, in units of the tolerance.
        least: the smallest half-range of a linear axis: the tolerance, so that rounding looks flat.
    """

    title: str
    lines: Sequence[tuple[str, np.ndarray]]
    is_logarithmic: bool = False
    least: float = 0.0


def window(length: int, at: int) -> slice:
    """Choose the elements of a line to draw: all, or ``LONGEST`` elements around one."""
    start = max(0, min(at - LONGEST // 2, length - LONGEST))
    return slice(start, min(start + LONGEST, length))


def profile(strips: Sequence[Strip], start: int, worst: int, label: str) -> str:
    """Draw lines over the index of the elements, from ``start``, with a mark at the worst element."""
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
    parts.append(_path("worst", [f"M{x(worst):.0f} {_HEAD}V{base:.0f}"]))
    parts.append(_labels(base, [(x(index), str(index)) for index in _whole_ticks(start, start + length - 1)]))
    return _svg(base + _FOOT, parts, label)


def _strip(strip: Strip, top: float, x: Sequence[float], worst: int) -> list[str]:
    base = top + _STRIP
    lines = [(kind, np.log10(values) if strip.is_logarithmic else values) for kind, values in strip.lines]
    low, high = _range(np.concatenate([values for _, values in lines]), strip.is_logarithmic, strip.least)
    title = strip.title
    if not strip.is_logarithmic and high / 2 - low / 2 < _SMALLEST_RANGE * max(abs(low), abs(high)):
        shift = float(f"{lines[0][1][np.isfinite(lines[0][1])][0]:.6g}")
        title = f"{title} \N{MINUS SIGN} {_number(shift, 6)}" if shift > 0 else f"{title} + {_number(-shift, 6)}"
        lines = [(kind, values - shift) for kind, values in lines]
        low, high = low - shift, high - shift
    scale = max(abs(low), abs(high), np.finfo(float).tiny)
    extent = high / scale - low / scale  # high - low may overflow

    def y(value: float) -> float:
        return float(base - (value / scale - low / scale) / extent * _STRIP)

    if strip.is_logarithmic:
        parts = _grid([(y(power), _power_text(power)) for power in _power_ticks(low, high, 3)])
        parts += [_path("limit", [_across(y(0))])] if low <= 0 <= high else []
    else:
        parts = _grid([(y(value), _number(value)) for value in _ticks(low, high)])
    for kind, values in lines:
        runs = list(_runs(x, [y(value) if np.isfinite(value) else None for value in values.tolist()]))
        parts.append(_path(kind, [_line(run) for run in runs if len(run) > 1]))
        parts += [_dot(kind, run[0], 7) for run in runs if len(run) == 1]
        if np.isfinite(values[worst]):
            parts.append(_dot(kind, (x[worst], y(float(values[worst]))), 9))
    return [*parts, f'<text class="title" x="{_LEFT}" y="{top - 12:.0f}">{escape(title)}</text>']


def _range(values: np.ndarray, is_logarithmic: bool, least: float) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (-1.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if is_logarithmic:
        low, high = min(low, 0.0), max(high, 0.0)
        return max(low, high - 12) - 0.3, high + 0.3
    if low == high:
        room = max(abs(low) / 2 or 1.0, least)
        return low - room, high + room
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    if half < least:
        return middle - least, middle + least
    room = 0.12 * (high / 2 - low / 2)
    most = np.finfo(float).max
    return max(low - room, -most), min(high + room, most)


def _runs(x: Sequence[float], y: Sequence[float | None]) -> Iterable[list[Point]]:
    """Yield the parts of a line between elements without a value."""
    run: list[Point] = []
    for across, down in [*zip(x, y), (0.0, None)]:
        if down is not None:
            run.append((across, down))
        elif run:
            yield run
            run = []


# ------------------------------------------------------------------------------------------------ axes


def _ticks(low: float, high: float) -> list[float]:
    """Choose up to four round numbers."""
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


def _power_ticks(low: float, high: float, most: int) -> list[int]:
    first, last = int(np.ceil(low)), int(np.floor(high))
    step = max(1, -(-(last - first) // most))
    return [power for power in range(first, last + 1) if power % step == 0]


def _power_text(power: int) -> str:
    if -2 <= power <= 3:
        return f"{10.0**power:g}"
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _number(value: float, digits: int = 3) -> str:
    return (
        f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "\N{MINUS SIGN}")
    )


# ------------------------------------------------------------------------------------------------ SVG


def _svg(height: float, parts: Sequence[str], label: str) -> str:
    box = f"0 0 {_WIDTH} {height:.0f}"
    return f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="{box}">{"".join(parts)}</svg>'


def _path(kind: str, pieces: Iterable[str]) -> str:
    drawn = "".join(pieces)
    return f'<path class="{kind}" d="{drawn}"/>' if drawn else ""


def _line(points: Sequence[Point]) -> str:
    """Return the points as path data: the first absolute, each other relative to the one before."""
    whole = [(round(x), round(y)) for x, y in points]
    steps = (f"{_joined(x - before)}{_joined(y - above)}" for (x, y), (before, above) in zip(whole[1:], whole))
    return f"M{whole[0][0]} {whole[0][1]}l{''.join(steps).lstrip()}"


def _joined(number: int) -> str:
    """Format a number after another one: a minus sign separates them like a space."""
    return f"{number}" if number < 0 else f" {number}"


def _box(left: float, right: float, top: float, base: float) -> str:
    return f"M{left:.0f} {base:.0f}V{top:.0f}H{right:.0f}V{base:.0f}z"


def _dot(kind: str, point: Point, radius: float) -> str:
    return f'<circle class="{kind}" cx="{point[0]:.0f}" cy="{point[1]:.0f}" r="{radius}"/>'


def _across(y: float) -> str:
    return f"M{_LEFT} {y:.0f}H{_WIDTH - _RIGHT}"


def _grid(lines: Sequence[tuple[float, str]]) -> list[str]:
    """Draw horizontal lines, each with a text before it."""
    texts = "".join(f'<text x="{_LEFT - 18}" y="{y + 10:.0f}">{text}</text>' for y, text in lines)
    return [_path("grid", [_across(y) for y, _ in lines]), f'<g class="tick">{texts}</g>' if texts else ""]


def _labels(base: float, labels: Sequence[tuple[float, str]]) -> str:
    """Draw texts below the axis."""
    texts = "".join(f'<text x="{x:.0f}" y="{base + 39:.0f}">{text}</text>' for x, text in labels)
    return f'<g class="label">{texts}</g>'
