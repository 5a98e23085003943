"""What differs between two sets of goldens as a page that needs no other file, for the reviewer of a change.

Decides nothing numeric: verdicts, worst elements and boxes are the comparison's. It draws what they speak of.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from golden import charts
from golden.blocks import blocks
from golden.case import GoldenError
from golden.compare import EXACT, Comparison, Offender, Tolerance, Verdict, scale_of
from golden.diff import Difference
from golden.images import image_axes, images, is_picture
from golden.report import change_sentence, times_text, value_text
from golden.store import Golden

if TYPE_CHECKING:
    from golden.pictures import Pixels

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

_SMALL = 32
"""Elements of an output that is told in a table rather than drawn."""
_MOST_ROWS = 12
_MOST_DRAWN = 24
"""Outputs of a case, and rows of its table times the above: a page stays a page whatever a file declares."""
_LONGEST_TEXT = 1500


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


@dataclass(frozen=True)
class Shown:
    """A case as the page shows it."""

    name: str
    kind: str
    measure: str
    sentence: str
    summary: str
    remarks: Sequence[str] = ()
    diagnoses: Sequence[tuple[str, str]] = ()
    drawn: Sequence[Drawn] = ()
    values: Sequence[Value] = ()
    same: Sequence[str] = ()
    left_out: int = 0
    explanations: frozenset[str] = field(default=frozenset())

    @property
    def topic(self) -> str:
        return self.name.split("/")[0]

    @property
    def colour(self) -> str:
        return KINDS[self.kind]


def page(found: Iterable[Difference], headline: str, title: str) -> str:
    """The whole page. ``found`` is gone through once, each case being drawn as it comes.

    Raises:
        GoldenError: Jinja2 or Matplotlib is not installed.
    """
    template, tools = _template()
    cases = sorted((_case(one) for one in found), key=lambda case: (list(KINDS).index(case.kind), case.name))
    text: str = template.render(
        title=title,
        headline=headline,
        cases=cases,
        kinds=[(kind, KINDS[kind], count) for kind in KINDS if (count := sum(case.kind == kind for case in cases))],
        topics=sorted(Counter(case.topic for case in cases).items()),
        explanations=_shared(cases),
        zoom=_zoom,
        **tools,
    )
    return text


def _template() -> tuple[Any, dict[str, Any]]:
    """The page's template, and what it needs beside the cases."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup

        from golden.pictures import NOT_FINITE, colour_bar
    except ModuleNotFoundError as missing:
        raise GoldenError(
            f"a page needs Jinja2 and Matplotlib, found no {missing.name}: pip install jinja2 matplotlib"
        ) from None

    loader = PackageLoader("golden")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda data: Markup(base64.b64encode(data).decode())
    style, script = (loader.get_source(environment, name)[0] for name in ("diff.css", "diff.js"))
    tools = {
        "style": Markup(style),
        "script": Markup(script),
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "svg": Markup,
        "colour_bar": colour_bar,
        "not_finite": "#{:02x}{:02x}{:02x}".format(*NOT_FINITE),
    }
    return environment.get_template("diff.html"), tools


def write_page(path: Path, found: Iterable[Difference], headline: str, title: str) -> None:
    """Write the page; a reader never sees half of it.

    Raises:
        GoldenError: it cannot be made, or not be written there.
    """
    text = page(found, headline, title)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    except OSError as refused:
        partial.unlink(missing_ok=True)
        raise GoldenError(f"page {path}: {refused.strerror or refused}") from refused


def _shared(cases: Sequence[Shown]) -> list[tuple[str, int]]:
    """What explains more than one case, most first."""
    counts = Counter(name for case in cases for name in sorted(case.explanations))
    return [(name, count) for name, count in counts.most_common(5) if count > 1]


def _zoom(row: Sequence[Pixels]) -> int:
    """Screen pixels per element for pictures beside each other: whole ones, so that all elements look alike."""
    side = max(max(one.rows, one.columns) for one in row)
    times = max(1, 264 // side)
    return times + 1 if times * side < 180 and (times + 1) * side <= 320 else times


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _plain(value: Any) -> Any:
    """Texts without control characters, among them those that reverse the direction of reading, and not too long."""
    if type(value) is not str:  # markup is of a type of its own
        return value
    text = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in value[:_LONGEST_TEXT])
    return text if len(value) <= _LONGEST_TEXT else f"{text}… ({len(value)} characters)"


# ------------------------------------------------------------------------------------------------ a case


def _case(one: Difference) -> Shown:
    if one.before is not None and one.after is not None:
        return _changed(one, one.before, one.after)
    golden = one.after or one.before
    if golden is None:
        return Shown(one.case, one.kind, "", one.remarks[0] if one.remarks else "", "", one.remarks[1:])
    outputs = sorted(golden.outputs.items())
    drawn = [_alone(one.kind, name, array) for name, array in outputs if _is_drawn(array)]
    values = [
        Value(name, one.kind, KINDS[one.kind], "", *_on_side(one.kind, _text_of(array)), "")
        for name, array in outputs
        if not _is_drawn(array)
    ]
    count = f"{len(outputs)} output{'s' if len(outputs) != 1 else ''}"
    remarks = [remark for remark in one.remarks if remark != golden.summary]
    shown = Shown(one.case, one.kind, count, golden.summary, golden.operation, remarks)
    return _limited(replace(shown, drawn=drawn, values=values))


def _changed(one: Difference, before: Golden, after: Golden) -> Shown:
    moved = [c for c in one.comparisons if c.verdict is not Verdict.IDENTICAL]
    drawn, values = [], []
    for comparison in sorted(moved, key=lambda c: (-c.verdict, c.output)):
        name = comparison.output
        arrays = {
            what: golden.outputs[name]
            for what, golden in (("before", before), ("after", after))
            if name in golden.outputs
        }
        output = _Output(comparison, arrays, before.tolerances.get(name, EXACT), before.where.get(name))
        if any(_is_drawn(array) for array in arrays.values()):
            drawn.append(output.drawn())
        else:
            values += output.values()
    worst = max(moved, key=lambda c: (c.verdict, c.share), default=None)
    diagnoses = [(", ".join(cause.outputs), change_sentence(cause)) for cause in one.diagnoses]
    sentences = [sentence for _, sentence in diagnoses] + list(one.remarks) + [c.reason for c in moved if c.reason]
    shown = Shown(
        one.case,
        one.verdict.label,
        _measure(worst) if worst else "outputs identical",
        sentences[0] if sentences else "",
        after.summary,
        one.remarks,
        diagnoses,
        drawn,
        values,
        [c.output for c in one.comparisons if c.verdict is Verdict.IDENTICAL],
        explanations=frozenset(_explanation(cause.faults, cause.transform) for cause in one.diagnoses) - {""},
    )
    return _limited(shown)


def _limited(shown: Shown) -> Shown:
    most = _MOST_DRAWN * _MOST_ROWS
    left_out = max(0, len(shown.drawn) - _MOST_DRAWN) + max(0, len(shown.values) - most)
    return replace(shown, drawn=shown.drawn[:_MOST_DRAWN], values=shown.values[:most], left_out=left_out)


def _explanation(faults: Sequence[str], transform: str) -> str:
    return f"fault {faults[0]!r}" if faults else transform


def _measure(comparison: Comparison) -> str:
    if comparison.verdict is Verdict.STRUCTURAL:
        return "other shape or type"
    if comparison.worst is not None and comparison.compared == 1 and math.isinf(comparison.share):
        return _change(comparison.worst)
    if math.isinf(comparison.share):
        return f"{comparison.failing} of {comparison.compared} fail"
    return _times(comparison.share) + " tolerance"


def _change(worst: Offender) -> str:
    """Both values, and how far apart they are where their first digits do not tell."""
    before, after = value_text(worst.expected), value_text(worst.actual)
    apart = ""
    if before == after and isinstance(worst.expected, np.inexact) and isinstance(worst.actual, np.inexact):
        with np.errstate(all="ignore"):
            apart = f", {abs(worst.actual - worst.expected):.2g} apart"
    return f"{before} \N{RIGHTWARDS ARROW} {after}{apart}"


def _times(share: float) -> str:
    return times_text(share).replace(" x", " \N{MULTIPLICATION SIGN}")


# ------------------------------------------------------------------------------------------------ an output


def _is_drawn(array: np.ndarray) -> bool:
    return is_picture(array) or (array.dtype.kind in "fc" and array.size > _SMALL)


def _alone(kind: str, name: str, array: np.ndarray) -> Drawn:
    """An output of a case that was added or removed."""
    facts = [("type", _type(array))]
    if not is_picture(array):
        return Drawn(name, kind, KINDS[kind], "", [*facts, ("values", _text_of(array))])
    what = "after" if kind == "added" else "before"
    rows, caption = _pictures_alone({what: array})
    pictures = [[picture for row in rows for picture in row]]  # amplitude and phase beside each other
    return Drawn(name, kind, KINDS[kind], "", facts, pictures, caption)


def _pictures_alone(arrays: Mapping[str, np.ndarray]) -> tuple[list[list[Pixels]], str]:
    """Pictures of arrays that cannot be held against each other; the first image of each."""
    from golden.pictures import one_per_block, pixels_of

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


class _Output:
    """One output of a case in both states."""

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

    def drawn(self) -> Drawn:
        one = self._comparison
        pictures, caption, marks = self._pictures()
        facts = self._facts()
        return Drawn(
            one.output,
            one.verdict.label,
            KINDS[one.verdict.label],
            one.reason or _measure(one),
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
            return [Value(*head, "", _text_of(before), _text_of(after), one.reason + _other_texts(before, after))]
        shares = self._shares(before, after) if self._measured else np.asarray(before != after, float)
        shares = np.where((before == after) | ~self._counted(before.shape), 0.0, shares)
        order = np.argsort(-shares.ravel(), kind="stable")[: np.count_nonzero(shares)]
        rows = []
        for flat in np.sort(order[:_MOST_ROWS]):
            index = tuple(int(i) for i in np.unravel_index(flat, before.shape))
            note = _times(float(shares[index])) + " tolerance" if self._measured else ""
            rows.append(
                Value(
                    *head, str(list(index)) if index else "", value_text(before[index]), value_text(after[index]), note
                )
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
            times = f"; moved by {_times(one.noise_share)} this" if math.isfinite(one.noise_share) else ""
            facts.append(("noise floor", noise + times))
        return facts

    # -------------------------------------------------------------------------------------------- pictures

    def _pictures(self) -> tuple[list[list[Pixels]], str, Marks | None]:
        from golden.pictures import difference_pixels, one_per_block, pixels_of

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


def _on_side(kind: str, text: str) -> tuple[str, str]:
    return ("", text) if kind == "added" else (text, "")


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
