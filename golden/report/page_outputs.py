"""Prepare one output for a page: its comparison, pictures, histogram and profiles.

This module takes no numeric decision: worst elements, boxes and shares come from the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from golden.judge.compare import EXACT, Comparison, Offender, Tolerance, Verdict, scale_of
from golden.report.charts import ErrorHistogram, Strip, profile, window
from golden.report.text import reason_text, share_text, value_text, value_texts
from golden.spec.arrays import blocks, image_axes, images, is_picture

if TYPE_CHECKING:
    from golden.report.pictures import Picture

KINDS = {
    "unreadable": "bad",
    "error": "bad",
    "structural": "bad",
    "breaking": "bad",
    "known": "warn",
    "removed": "gone",
    "added": "new",
    "changed": "warn",
    "within tolerance": "warn",
    "within noise": "ok",
    "identical": "ok",
}
"""The kinds of a case, worst first, with their colours: the kind of a difference, or the worst verdict."""

Sides = tuple[str, str]
"""The names of the first and the second value of an output."""
_ROLES = ("first", "second")
_FEW = 32
"""An output with at most this many elements is listed in a table, not drawn."""
_MOST_ROWS = 12
_TIMES, _ARROW, _DASH = " \N{MULTIPLICATION SIGN} ", " \N{RIGHTWARDS ARROW} ", "\N{EM DASH}"


@dataclass(frozen=True)
class TableRow:
    """A line of a case's table: an element, or an output that fits in a line."""

    output: str
    verdict: str
    colour: str
    index: str
    first: str
    second: str
    note: str


@dataclass(frozen=True)
class Marks:
    """The positions of the worst element and the failing ones, in pixels of a picture; a box is x, y, width, height."""

    row: float
    column: float
    radius: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Chart:
    """A chart with its title.

    Attributes:
        svg: the chart; "" if there is nothing to draw.
        keys: class and name of each line in the legend.
        note: what the chart leaves out.
    """

    title: str
    svg: str
    keys: Sequence[tuple[str, str]]
    note: str = ""


@dataclass(frozen=True)
class OutputView:
    """An output with its pictures and charts.

    Attributes:
        name, verdict, colour, measure: of the output.
        facts: a term and a text each.
        pictures: rows of first, second, difference.
        caption: which image of a stack is shown, and which of its elements.
        marks: drawn over the pictures.
        charts: histogram and profiles.
    """

    name: str
    verdict: str
    colour: str
    measure: str
    facts: Sequence[tuple[str, str]]
    pictures: Sequence[Sequence[Picture]] = ()
    caption: str = ""
    marks: Marks | None = None
    charts: Sequence[Chart] = ()

    @property
    def blinks(self) -> bool:
        """Return whether there are two pictures to alternate."""
        return any({*_ROLES} <= {one.role for one in row} for row in self.pictures)


def measure(comparison: Comparison) -> str:
    """Describe in a few words how far an output is off."""
    if comparison.verdict is Verdict.STRUCTURAL:
        return "different shape or type"
    if comparison.worst is not None and comparison.compared == 1 and math.isinf(comparison.share):
        return _both_values(comparison.worst)
    if math.isinf(comparison.share):
        return f"{comparison.failing} of {comparison.compared} fail"
    return _share(comparison.share)


def _both_values(worst: Offender) -> str:
    return _ARROW.join(value_texts(worst.expected, worst.actual))


def _share(share: float) -> str:
    return share_text(share).replace(" x ", _TIMES)


# ------------------------------------------------------------------------------------------------ an output


def _is_drawn(array: np.ndarray) -> bool:
    return is_picture(array) or (array.dtype.kind in "fc" and array.size > _FEW)


def _separate_pictures(arrays: Mapping[str, np.ndarray]) -> tuple[list[list[Picture]], list[str]]:
    """Draw the first image of arrays that cannot be compared; return the pictures and their captions."""
    from golden.report.pictures import one_per_block, pictures

    shown, captions = {}, list[str]()
    for role, array in arrays.items():
        if is_picture(array):
            stack = images(array)
            image = stack[0]
            rows, columns = one_per_block(np.zeros(image.shape))
            shown[role] = image[rows, columns]
            told = [f"image 1 of {len(stack)}"] if len(stack) > 1 else []
            told += _block_texts(image.shape, shown[role].shape, "one element")
            captions.append("; ".join(told))
    of_one_kind = len({np.iscomplexobj(image) for image in shown.values()}) == 1
    groups = [shown] if of_one_kind else [{role: image} for role, image in shown.items()]
    return [row for group in groups if group for row in pictures(group)], captions


def _block_texts(shape: tuple[int, ...], shown: tuple[int, ...], what: str) -> list[str]:
    if shape == shown:
        return []
    factors = _TIMES.join(str(-(-whole // part)) for whole, part in zip(shape, shown))
    return [f"{_TIMES.join(map(str, shape))} elements: of each block of {factors}, {what} is shown"]


class OutputOfCase:
    """Prepares an output of a case for the page.

    Args:
        comparison: of the output.
        arrays: "first" and "second", or only one if the other side lacks it.
        tolerance: of the output.
        where: bool, the elements that are compared; None for all.
        sides: the names of the two values.
        note: a further note; may be empty.
        kind: replaces the verdict if only one side has the case: "added" or "removed".
    """

    def __init__(
        self,
        comparison: Comparison,
        arrays: Mapping[str, np.ndarray],
        tolerance: Tolerance,
        where: np.ndarray | None,
        sides: Sides,
        note: str = "",
        kind: str = "",
    ) -> None:
        self._comparison = comparison
        self._measure = "" if kind else reason_text(comparison, sides) or measure(comparison)
        self._head = (comparison.output, kind or comparison.verdict.label, KINDS[kind or comparison.verdict.label])
        self._arrays = arrays
        self._tolerance = tolerance
        self._sides = sides
        self._note = note
        both = list(arrays.values())
        self._is_comparable = (
            len(both) == 2 and both[0].shape == both[1].shape and all(a.dtype.kind in "biufc" for a in both)
        )
        self._has_tolerance = self._is_comparable and tolerance != EXACT and all(a.dtype.kind in "fc" for a in both)
        self._where = None if where is None or not both or where.shape != both[0].shape else where

    @property
    def is_drawn(self) -> bool:
        return any(_is_drawn(array) for array in self._arrays.values())

    def view(self) -> OutputView:
        rows, caption, marks = self._pictures()
        charts = [*self._histogram(), *self._profiles()]
        return OutputView(*self._head, self._measure, self._facts(), rows, caption, marks, charts)

    def table_rows(self) -> list[TableRow]:
        """Return the elements that differ, or the whole output if elements cannot be compared."""
        one = self._comparison
        first, second = (self._arrays.get(role) for role in _ROLES)
        if one.verdict is Verdict.STRUCTURAL or first is None or second is None:
            note = "; ".join(filter(None, (reason_text(one, self._sides), self._note))) + _other_texts(first, second)
            return [TableRow(*self._head, "", _array_text(first), _array_text(second), note)]
        errors = self._errors(first, second) if self._has_tolerance else np.asarray(first != second, float)
        errors = np.where((first == second) | ~self._compared_elements(first.shape), 0.0, errors)
        order = np.argsort(-errors.ravel(), kind="stable")[: np.count_nonzero(errors)]
        rows = []
        for flat in np.sort(order[:_MOST_ROWS]):
            index = tuple(int(i) for i in np.unravel_index(flat, first.shape))
            note = _share(float(errors[index])) if self._has_tolerance else ""
            rows.append(
                TableRow(
                    *self._head, str(list(index)) if index else "", *value_texts(first[index], second[index]), note
                )
            )
        if len(order) > _MOST_ROWS:
            rows.append(TableRow(*self._head, "", "", "", f"and {len(order) - _MOST_ROWS} more elements"))
        return rows

    def _facts(self) -> list[tuple[str, str]]:
        one, facts = self._comparison, list[tuple[str, str]]()
        facts.append(("type", _ARROW.join(dict.fromkeys(_type_text(array) for array in self._arrays.values()))))
        facts += [
            ("values", _array_text(a)) for a in self._arrays.values() if len(self._arrays) == 1 and not is_picture(a)
        ]
        if one.worst is not None:
            at = f"at {list(one.worst.index)}: " if one.worst.index else ""
            facts.append(("worst element", at + _both_values(one.worst)))
        if one.verdict is not Verdict.STRUCTURAL:
            box = ", ".join(f"{low}:{high}" for low, high in one.box)
            facts.append(("failing", f"{one.failing} of {one.compared}" + (f", in [{box}]" if box else "")))
        if one.amplitude_error or one.phase_error:
            facts.append(("largest error", f"amplitude {one.amplitude_error:.2g}, phase {one.phase_error:.2g} rad"))
        if self._has_tolerance:
            t = self._tolerance
            facts.append(("tolerance", _line_text(t.atol, t.rtol)))
            off = f"; off by {one.noise_share:.2g}{_TIMES}this" if math.isfinite(one.noise_share) else ""
            facts.append(("noise floor", _line_text(t.noise_atol, t.noise_rtol) + off))
        return facts + ([("note", self._note)] if self._note else [])

    # -------------------------------------------------------------------------------------------- pictures

    def _pictures(self) -> tuple[list[list[Picture]], str, Marks | None]:
        from golden.report.pictures import difference_pictures, one_per_block, pictures

        if not self._is_comparable or not is_picture(self._arrays["first"]):
            rows, captions = _separate_pictures(self._arrays)
            if len(self._arrays) == 1:  # amplitude and phase side by side
                rows = [[picture for row in rows for picture in row]] if rows else []
            return rows, captions[0] if len(set(captions)) == 1 else self._by_side(captions), None
        stacks = {role: images(array) for role, array in self._arrays.items()}
        number = self._image_number(stacks)
        first, second = (stack[number] for stack in stacks.values())
        counts = np.ones(first.shape, bool) if self._where is None else images(self._where)[number]
        with np.errstate(all="ignore"):
            apart = np.abs(second - 1.0 * first)
        elements = one_per_block(np.where(counts | ~np.isfinite(apart), apart, 0.0))
        first_shown, second_shown, counts_shown = (image[elements] for image in (first, second, counts))
        scale = scale_of(self._arrays["first"])
        allowed = self._allowed(first_shown)
        rows = pictures(dict(zip(_ROLES, (first_shown, second_shown))), self._tolerance.atol)
        for row, difference in zip(rows, difference_pictures(first_shown, second_shown, counts_shown, scale, allowed)):
            row.append(difference)
        most = ", which differs most" if apart.any() else ""
        told = [f"image {number + 1} of {len(stacks['first'])}{most}"] if len(stacks["first"]) > 1 else []
        told += _block_texts(first.shape, first_shown.shape, "the element that differs most")
        return rows, "; ".join(told), self._marks(first.shape, first_shown.shape)

    def _by_side(self, captions: Sequence[str]) -> str:
        return "; ".join(f"{side}: {caption}" for side, caption in zip(self._sides, captions) if caption)

    def _image_number(self, stacks: Mapping[str, np.ndarray]) -> int:
        """Return which image of a stack holds the worst element."""
        first, second = stacks.values()
        if self._comparison.worst is None:
            with np.errstate(all="ignore"):
                apart = np.nan_to_num(np.abs(second - 1.0 * first), nan=np.inf)
            return int(apart.max(axis=(1, 2)).argmax())
        shape, index = self._arrays["first"].shape, self._comparison.worst.index
        others = [axis for axis in range(len(shape)) if axis not in image_axes(len(shape))]
        if not others:
            return 0
        return int(np.ravel_multi_index([index[a] for a in others], [shape[a] for a in others]))

    def _marks(self, shape: tuple[int, ...], shown: tuple[int, ...]) -> Marks | None:
        one = self._comparison
        if one.worst is None:
            return None
        axes = image_axes(self._arrays["first"].ndim)
        down, across = (-(-whole // part) for whole, part in zip(shape, shown))
        row, column = one.worst.index[axes[0]] // down + 0.5, one.worst.index[axes[1]] // across + 0.5
        box = None
        if one.failing > 1:
            (top, bottom), (left, right) = (one.box[axis] for axis in axes)
            box = (left // across, top // down, -(-right // across) - left // across, -(-bottom // down) - top // down)
        return Marks(row, column, max(0.75, max(shown) / 28), box)

    # -------------------------------------------------------------------------------------------- charts

    def _histogram(self) -> list[Chart]:
        if not self._has_tolerance:
            return []
        counted = ErrorHistogram()
        for _, (e, a, where) in blocks(*self._arrays.values(), self._where):
            elements = np.ones(e.shape, bool) if where is None else where | ~np.isfinite(a)
            counted.add(self._errors(e[elements], a[elements]), self._floors(e[elements]))
        notes = [f"{counted.equal} equal"] if counted.equal else []
        notes += [f"{counted.infinite} infinite"] if counted.infinite else []
        keys = [("noise", "noise floor"), ("limit", "tolerance")]
        return [Chart("errors, in tolerances", counted.svg(), keys, "; ".join(notes))]

    def _profiles(self) -> list[Chart]:
        one = self._comparison
        if one.worst is None or not one.worst.index or not self._is_comparable:
            return []
        shape = self._arrays["first"].shape
        return [self._profile(axis, name) for axis, name in _profile_axes(self._arrays["first"]) if shape[axis] > 1]

    def _profile(self, axis: int, name: str) -> Chart:
        assert self._comparison.worst is not None
        index = list(self._comparison.worst.index)
        first, second = self._arrays.values()
        at, part = index[axis], window(first.shape[axis], index[axis])
        line: tuple[Any, ...] = (*index[:axis], part, *index[axis + 1 :])
        e, a = first[line], second[line]
        allowed = self._allowed(e)
        strips = [
            Strip(quantity, [("first", of(e)), ("second", of(a))], least=_finite(least(allowed, e)))
            for quantity, (of, least) in _quantities(first).items()
        ]
        if self._has_tolerance:
            errors = self._errors(e, a)
            elements = self._compared_elements(first.shape)[line] | ~np.isfinite(a)
            shown = np.where(elements & (errors > 0), errors, np.nan)
            if np.isfinite(shown).any():
                strips.append(Strip("error, in tolerances", [("error", shown)], is_logarithmic=True))
        where = ", ".join(":" if i == axis else str(at) for i, at in enumerate(index))
        title = f"{name} [{where}]"
        cut = f"elements {part.start} to {part.stop - 1}" if part.stop - part.start < first.shape[axis] else ""
        drawing = profile(strips, part.start, at, f"values {title}, through the worst element")
        return Chart(title, drawing, list(zip(_ROLES, self._sides)), cut)

    # ------------------------------------------------------------------------------------- numbers to draw

    def _compared_elements(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.True_, shape) if self._where is None else self._where

    def _allowed(self, first: np.ndarray) -> np.ndarray:
        """Return how far each element may be off."""
        with np.errstate(all="ignore"):
            allowed: np.ndarray = self._tolerance.atol + self._tolerance.rtol * np.abs(_wide(first))
        return allowed

    def _errors(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return errors in units of the tolerance, as in the comparison."""
        e, a = _wide(first), _wide(second)
        with np.errstate(all="ignore"):
            errors: np.ndarray = np.abs(a - e) / self._allowed(first)
        errors = np.where(np.isnan(errors), np.inf, errors)
        return np.where(e == a, 0.0, errors)

    def _floors(self, first: np.ndarray) -> np.ndarray:
        """Return the noise floor in units of the tolerance."""
        t, modulus = self._tolerance, np.abs(_wide(first))
        with np.errstate(all="ignore"):
            floors: np.ndarray = (t.noise_atol + t.noise_rtol * modulus) / (t.atol + t.rtol * modulus)
        return floors


def _profile_axes(array: np.ndarray) -> list[tuple[int, str]]:
    """Return rows and columns of a picture, or the longest axis of anything else."""
    if is_picture(array):
        rows, columns = image_axes(array.ndim)
        return [(columns, "along the row"), (rows, "along the column")]
    longest = int(np.argmax(array.shape))
    return [(longest, f"along axis {longest}")]


def _quantities(array: np.ndarray) -> Mapping[str, Any]:
    """Return the quantities of an array to draw: for each, a function for its values and one for its tolerance."""
    if array.dtype.kind != "c":
        return {"value": (_wide, lambda allowed, _: allowed)}
    return {
        "amplitude": (lambda x: np.abs(_wide(x)), lambda allowed, _: allowed),
        "phase (rad)": (_phase, _allowed_phase),
    }


def _allowed_phase(allowed: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Return how far a phase may be off; NaN if both the value and its tolerance are 0."""
    with np.errstate(all="ignore"):
        phase: np.ndarray = np.minimum(allowed / np.maximum(np.abs(_wide(e)), allowed), 1)
    return phase


def _finite(values: np.ndarray) -> float:
    """Return the largest of the values that are finite."""
    return float(np.max(values, where=np.isfinite(values), initial=0.0))


def _phase(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values) & (values != 0), np.angle(_wide(values)), np.nan)


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


# ------------------------------------------------------------------------------------------------ texts


def _type_text(array: np.ndarray) -> str:
    kind = "text" if array.dtype.kind == "S" else array.dtype.name
    return f"{kind}, {_TIMES.join(map(str, array.shape)) or 'one value'}"


def _array_text(array: np.ndarray | None) -> str:
    """Format an array in one line, with its first elements."""
    if array is None:
        return _DASH
    if not array.shape:
        return value_text(array[()])
    told = ", ".join(value_text(array.flat[i]) for i in range(min(array.size, _FEW)))
    return f"{_type_text(array)}: {told}" + (", …" if array.size > _FEW else "")


def _other_texts(first: np.ndarray | None, second: np.ndarray | None) -> str:
    """Name the texts that only one of two lists has."""
    if first is None or second is None or not first.dtype.kind == second.dtype.kind == "S":
        return ""
    sets = (set(first.ravel().tolist()), set(second.ravel().tolist()))
    told = ""
    for what, one, other in (("missing", *sets), ("new", *sets[::-1])):
        names = [value_text(name) for name in sorted(one - other)]
        told += f"; {what}: {', '.join(names[:_FEW])}" if names else ""
    return told


def _line_text(constant: float, relative: float) -> str:
    return f"{constant:.1e}" + (f" + {relative:.1e} |e|" if relative else "")
