"""One output of a case as a page shows it: what the comparison says of it, pictures, histogram and profiles.

Decides nothing numeric: worst elements, boxes and shares are the comparison's. It draws what they speak of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from golden.judge.compare import EXACT, Comparison, Offender, Tolerance, Verdict, scale_of
from golden.report import charts
from golden.report.text import reason_text, share_text, value_text, value_texts
from golden.spec.arrays import blocks, image_axes, images, is_picture

if TYPE_CHECKING:
    from golden.report.pictures import Pixels

KINDS = {
    "unreadable": "bad",
    "structural": "bad",
    "breaking": "bad",
    "removed": "gone",
    "added": "new",
    "changed": "warn",
    "within tolerance": "warn",
    "within noise": "ok",
    "identical": "ok",
}
"""What a case is, worst first, and its colour: the kind of its difference, or the verdict over its outputs."""

SIDES = ("before", "after")
"""What a page calls the two values."""
_SMALL = 32
"""Elements of an output that is told in a table rather than drawn."""
_MOST_ROWS = 12


@dataclass(frozen=True)
class Value:
    """A line of a table: an element, or an output told in one line."""

    output: str
    verdict: str
    colour: str
    index: str
    before: str
    after: str
    note: str


@dataclass(frozen=True)
class Marks:
    """Where the worst element and the box of failing ones lie, in pixels of a picture."""

    row: float
    column: float
    radius: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Chart:
    """A drawing with its title; ``keys`` are the lines in it that want a name, ``note`` is what it leaves out."""

    title: str
    svg: str
    keys: Sequence[tuple[str, str]]
    note: str = ""


@dataclass(frozen=True)
class Drawn:
    """An output with its pictures and charts.

    Attributes:
        name, verdict, colour, measure: what it is, and how far it moved.
        facts: a term and a text each.
        pictures: rows of before, after, difference.
        caption: which image of a stack, and which of its elements.
        marks: what to point at in the pictures.
        charts: histogram and profiles.
    """

    name: str
    verdict: str
    colour: str
    measure: str
    facts: Sequence[tuple[str, str]]
    pictures: Sequence[Sequence[Pixels]] = ()
    caption: str = ""
    marks: Marks | None = None
    charts: Sequence[Chart] = ()

    @property
    def blinks(self) -> bool:
        """Whether there are two pictures to show by turns."""
        return any({"before", "after"} <= {one.what for one in row} for row in self.pictures)


def measure(comparison: Comparison) -> str:
    if comparison.verdict is Verdict.STRUCTURAL:
        return "other shape or type"
    if comparison.worst is not None and comparison.compared == 1 and math.isinf(comparison.share):
        return _change(comparison.worst)
    if math.isinf(comparison.share):
        return f"{comparison.failing} of {comparison.compared} fail"
    return _share(comparison.share)


def _change(worst: Offender) -> str:
    """Both values."""
    before, after = value_texts(worst.expected, worst.actual)
    return f"{before} \N{RIGHTWARDS ARROW} {after}"


def _share(share: float) -> str:
    return share_text(share).replace(" x ", " \N{MULTIPLICATION SIGN} ")


# ------------------------------------------------------------------------------------------------ an output


def _is_drawn(array: np.ndarray) -> bool:
    return is_picture(array) or (array.dtype.kind in "fc" and array.size > _SMALL)


class Alone:
    """An output of a case that was added or removed."""

    def __init__(self, kind: str, name: str, array: np.ndarray) -> None:
        self._head = (name, kind, KINDS[kind])
        self._what = "before" if kind == "removed" else "after"
        self._array = array

    @property
    def is_drawn(self) -> bool:
        return _is_drawn(self._array)

    def drawn(self) -> Drawn:
        facts = [("type", _type(self._array))]
        if not is_picture(self._array):
            return Drawn(*self._head, "", [*facts, ("values", _text_of(self._array))])
        rows, caption = _pictures_alone({self._what: self._array})
        beside = [[picture for row in rows for picture in row]]
        return Drawn(*self._head, "", facts, beside, caption)

    def values(self) -> list[Value]:
        text = _text_of(self._array)
        return [Value(*self._head, "", *((text, "") if self._what == "before" else ("", text)), "")]


def _pictures_alone(arrays: Mapping[str, np.ndarray]) -> tuple[list[list[Pixels]], str]:
    """Pictures of arrays that cannot be held against each other; the first image of each."""
    from golden.report.pictures import one_per_block, pixels_of

    shown, captions = {}, []
    for what, array in arrays.items():
        if is_picture(array):
            stack = images(array)
            image = stack[0]
            rows, columns = one_per_block(np.zeros(image.shape))
            shown[what] = image[rows, columns]
            told = [f"image 1 of {len(stack)}"] if len(stack) > 1 else []
            told += _blocks(image.shape, shown[what].shape, "one element")
            captions += [f"{what}: {'; '.join(told)}"] if told else []
    of_one_kind = len({np.iscomplexobj(image) for image in shown.values()}) == 1
    groups = [shown] if of_one_kind else [{what: image} for what, image in shown.items()]
    return [row for group in groups if group for row in pixels_of(group)], "; ".join(captions)


def _blocks(shape: tuple[int, ...], shown: tuple[int, ...], what: str) -> list[str]:
    if shape == shown:
        return []
    factors = " \N{MULTIPLICATION SIGN} ".join(str(-(-whole // part)) for whole, part in zip(shape, shown))
    size = " \N{MULTIPLICATION SIGN} ".join(map(str, shape))
    return [f"{size} elements: of each block of {factors}, {what} is shown"]


class Moved:
    """An output of a case in both states, or in one where the other lacks it."""

    def __init__(
        self, comparison: Comparison, arrays: Mapping[str, np.ndarray], tolerance: Tolerance, where: np.ndarray | None
    ) -> None:
        self._comparison = comparison
        self._arrays = arrays
        self._tolerance = tolerance
        both = list(arrays.values())
        self._comparable = (
            len(both) == 2 and both[0].shape == both[1].shape and all(a.dtype.kind in "biufc" for a in both)
        )
        self._measured = self._comparable and tolerance != EXACT and all(a.dtype.kind in "fc" for a in both)
        self._counts = None if where is None or not both or where.shape != both[0].shape else where

    @property
    def is_drawn(self) -> bool:
        return any(_is_drawn(array) for array in self._arrays.values())

    def drawn(self) -> Drawn:
        one = self._comparison
        pictures, caption, marks = self._pictures()
        facts = self._facts()
        return Drawn(
            one.output,
            one.verdict.label,
            KINDS[one.verdict.label],
            reason_text(one, SIDES) or measure(one),
            facts,
            pictures,
            caption,
            marks,
            [*self._histogram(), *self._profiles()],
        )

    def values(self) -> list[Value]:
        """The elements that changed; the output as a whole where they cannot be told apart."""
        one = self._comparison
        head = (one.output, one.verdict.label, KINDS[one.verdict.label])
        before, after = self._arrays.get("before"), self._arrays.get("after")
        if one.verdict is Verdict.STRUCTURAL or before is None or after is None:
            return [
                Value(
                    *head, "", _text_of(before), _text_of(after), reason_text(one, SIDES) + _other_texts(before, after)
                )
            ]
        shares = self._shares(before, after) if self._measured else np.asarray(before != after, float)
        shares = np.where((before == after) | ~self._counted(before.shape), 0.0, shares)
        order = np.argsort(-shares.ravel(), kind="stable")[: np.count_nonzero(shares)]
        rows = []
        for flat in np.sort(order[:_MOST_ROWS]):
            index = tuple(int(i) for i in np.unravel_index(flat, before.shape))
            note = _share(float(shares[index])) if self._measured else ""
            rows.append(
                Value(*head, str(list(index)) if index else "", *value_texts(before[index], after[index]), note)
            )
        if len(order) > _MOST_ROWS:
            rows.append(Value(*head, "", "", "", f"and {len(order) - _MOST_ROWS} more elements"))
        return rows

    def _facts(self) -> list[tuple[str, str]]:
        one, facts = self._comparison, list[tuple[str, str]]()
        types = [_type(array) for array in self._arrays.values()]
        facts.append(("type", types[0] if len(set(types)) == 1 else " \N{RIGHTWARDS ARROW} ".join(types)))
        if one.worst is not None:
            at = f"at {list(one.worst.index)}: " if one.worst.index else ""
            facts.append(("worst element", at + _change(one.worst)))
        if one.verdict is not Verdict.STRUCTURAL:
            box = ", ".join(f"{low}:{high}" for low, high in one.box)
            facts.append(("failing", f"{one.failing} of {one.compared}" + (f", in [{box}]" if box else "")))
        if one.amplitude_error is not None:
            facts.append(("largest error", f"amplitude {one.amplitude_error:.2g}, phase {one.phase_error:.2g} rad"))
        if self._measured:
            t = self._tolerance
            facts.append(("tolerance", _line_text(t.atol, t.rtol)))
            noise = _line_text(t.noise_atol, t.noise_rtol)
            times = (
                f"; moved by {one.noise_share:.2g} \N{MULTIPLICATION SIGN} this"
                if math.isfinite(one.noise_share)
                else ""
            )
            facts.append(("noise floor", noise + times))
        return facts

    # -------------------------------------------------------------------------------------------- pictures

    def _pictures(self) -> tuple[list[list[Pixels]], str, Marks | None]:
        from golden.report.pictures import difference_pixels, one_per_block, pixels_of

        if not self._comparable or not is_picture(self._arrays["before"]):
            return (*_pictures_alone(self._arrays), None)
        stacks = {what: images(array) for what, array in self._arrays.items()}
        number = self._image_number(stacks)
        before, after = (stack[number] for stack in stacks.values())
        counts = np.ones(before.shape, bool) if self._counts is None else images(self._counts)[number]
        with np.errstate(all="ignore"):
            apart = np.abs(after - 1.0 * before)
        rows, columns = one_per_block(np.where(counts | ~np.isfinite(apart), apart, 0.0))
        before_shown, after_shown, counts_shown = (image[rows, columns] for image in (before, after, counts))
        scale = scale_of(self._arrays["before"])
        pictures = pixels_of({"before": before_shown, "after": after_shown})
        for row, difference in zip(pictures, difference_pixels(before_shown, after_shown, counts_shown, scale)):
            row.append(difference)
        most = ", which differs most" if apart.any() else ""
        told = [f"image {number + 1} of {len(stacks['before'])}{most}"] if len(stacks["before"]) > 1 else []
        told += _blocks(before.shape, before_shown.shape, "the element that differs most")
        return pictures, "; ".join(told), self._marks(before.shape, before_shown.shape)

    def _image_number(self, stacks: Mapping[str, np.ndarray]) -> int:
        """The image of a stack that holds the worst element."""
        before, after = stacks.values()
        if self._comparison.worst is None:
            with np.errstate(all="ignore"):
                apart = np.nan_to_num(np.abs(after - 1.0 * before), nan=np.inf)
            return int(apart.max(axis=(1, 2)).argmax())
        shape, index = self._arrays["before"].shape, self._comparison.worst.index
        others = [axis for axis in range(len(shape)) if axis not in image_axes(len(shape))]
        if not others:
            return 0
        return int(np.ravel_multi_index([index[a] for a in others], [shape[a] for a in others]))

    def _marks(self, shape: tuple[int, ...], shown: tuple[int, ...]) -> Marks | None:
        one = self._comparison
        if one.worst is None:
            return None
        axes = image_axes(self._arrays["before"].ndim)
        down, across = (-(-whole // part) for whole, part in zip(shape, shown))
        row, column = one.worst.index[axes[0]] // down + 0.5, one.worst.index[axes[1]] // across + 0.5
        box = None
        if one.failing > 1:
            (top, bottom), (left, right) = (one.box[axis] for axis in axes)
            box = (left // across, top // down, -(-right // across) - left // across, -(-bottom // down) - top // down)
        return Marks(row, column, max(0.75, max(shown) / 28), box)

    # -------------------------------------------------------------------------------------------- charts

    def _histogram(self) -> list[Chart]:
        if not self._measured:
            return []
        errors = charts.Errors()
        for _, (e, a, counts) in blocks(*self._arrays.values(), self._counts):
            counted = np.ones(e.shape, bool) if counts is None else counts | ~np.isfinite(a)
            errors.add(self._shares(e[counted], a[counted]), self._floors(e[counted]))
        told = [f"{errors.none} equal"] if errors.none else []
        told += [f"{errors.beyond_number} beyond any number"] if errors.beyond_number else []
        keys = [("noise", "noise floor"), ("limit", "tolerance")]
        return [Chart("errors, in tolerances", charts.histogram(errors), keys, "; ".join(told))]

    def _profiles(self) -> list[Chart]:
        one = self._comparison
        if one.worst is None or not one.worst.index or not self._comparable:
            return []
        shape = self._arrays["before"].shape
        return [self._profile(axis, name) for axis, name in _profile_axes(self._arrays["before"]) if shape[axis] > 1]

    def _profile(self, axis: int, name: str) -> Chart:
        assert self._comparison.worst is not None
        index = list(self._comparison.worst.index)
        before, after = self._arrays.values()
        at, part = index[axis], charts.window(before.shape[axis], index[axis])
        line: tuple[Any, ...] = (*index[:axis], part, *index[axis + 1 :])
        e, a = before[line], after[line]
        strips = [
            charts.Strip(quantity, [("before", of(e)), ("after", of(a))])
            for quantity, of in _quantities(before).items()
        ]
        if self._measured:
            shares = self._shares(e, a)
            counted = self._counted(before.shape)[line] | ~np.isfinite(a)
            shown = np.where(counted & (shares > 0), shares, np.nan)
            if np.isfinite(shown).any():
                strips.append(charts.Strip("error, in tolerances", [("error", shown)], powers=True))
        where = ", ".join(":" if i == axis else str(at) for i, at in enumerate(index))
        label = f"values before and after {name} through the worst element, [{where}]"
        cut = f"elements {part.start} to {part.stop - 1}" if part.stop - part.start < before.shape[axis] else ""
        drawing = charts.profile(strips, part.start, at, label)
        return Chart(f"{name} [{where}]", drawing, [("before", "before"), ("after", "after")], cut)

    # ------------------------------------------------------------------------------------- what is drawn of numbers

    def _counted(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.True_, shape) if self._counts is None else self._counts

    def _shares(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Errors in units of the tolerance, as the comparison takes them."""
        e, a = _wide(before), _wide(after)
        with np.errstate(all="ignore"):
            shares: np.ndarray = np.abs(a - e) / (self._tolerance.atol + self._tolerance.rtol * np.abs(e))
        shares = np.where(np.isnan(shares), np.inf, shares)
        return np.where(e == a, 0.0, shares)

    def _floors(self, before: np.ndarray) -> np.ndarray:
        """The noise floor in units of the tolerance."""
        t, modulus = self._tolerance, np.abs(_wide(before))
        with np.errstate(all="ignore"):
            floors: np.ndarray = (t.noise_atol + t.noise_rtol * modulus) / (t.atol + t.rtol * modulus)
        return floors


def _profile_axes(array: np.ndarray) -> list[tuple[int, str]]:
    """Along rows and columns of a picture; along the longest axis of anything else."""
    if is_picture(array):
        rows, columns = image_axes(array.ndim)
        return [(columns, "along the row"), (rows, "along the column")]
    longest = int(np.argmax(array.shape))
    return [(longest, f"along axis {longest}")]


def _quantities(array: np.ndarray) -> Mapping[str, Any]:
    if array.dtype.kind != "c":
        return {"value": _wide}
    return {"amplitude": lambda x: np.abs(_wide(x)), "phase (rad)": _phase}


def _phase(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values) & (values != 0), np.angle(_wide(values)), np.nan)


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


# ------------------------------------------------------------------------------------------------ texts


def _type(array: np.ndarray) -> str:
    kind = "text" if array.dtype.kind == "S" else array.dtype.name
    shape = " \N{MULTIPLICATION SIGN} ".join(map(str, array.shape))
    return f"{kind}, {shape}" if shape else f"{kind}, one value"


def _text_of(array: np.ndarray | None) -> str:
    """An array in a line: its first elements."""
    if array is None:
        return "\N{EM DASH}"
    if not array.shape:
        return value_text(array[()])
    told = ", ".join(value_text(array.flat[i]) for i in range(min(array.size, _SMALL)))
    return f"{_type(array)}: {told}" + (", …" if array.size > _SMALL else "")


def _other_texts(before: np.ndarray | None, after: np.ndarray | None) -> str:
    """Of two lists of texts, what only one of them has."""
    if before is None or after is None or not before.dtype.kind == after.dtype.kind == "S":
        return ""
    sets = (set(before.ravel().tolist()), set(after.ravel().tolist()))
    told = ""
    for what, one, other in (("no longer", *sets), ("new", *sets[::-1])):
        names = [value_text(name) for name in sorted(one - other)]
        told += f"; {what}: {', '.join(names[:_SMALL])}" if names else ""
    return told


def _line_text(constant: float, relative: float) -> str:
    return f"{constant:.1e}" + (f" + {relative:.1e} |e|" if relative else "")
