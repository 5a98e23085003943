"""What differs between two sets of goldens as a page that needs no other file, for the reviewer of a change.

Decides nothing numeric: verdicts, worst elements and boxes are the comparison's. It draws what they speak of.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from golden.judge.compare import EXACT, Comparison, Verdict
from golden.report.page_outputs import KINDS, SIDES, Alone, Drawn, Moved, Value, measure
from golden.report.text import change_sentence, reason_text
from golden.review.difference import Difference
from golden.spec.errors import GoldenError
from golden.store.golden import Golden

if TYPE_CHECKING:
    from golden.report.pictures import Pixels

_MOST_DRAWN, _MOST_ROWS = 24, 300
"""Outputs of a case, and rows of its table: a page stays a page whatever a file declares."""
_LONGEST_TEXT = 1500


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


@cache
def _template() -> tuple[Any, dict[str, Any]]:
    """The page's template, and what it needs beside the cases."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup

        from golden.report.pictures import NOT_FINITE, colour_bar
    except ModuleNotFoundError as missing:
        raise GoldenError(
            f"a page needs Jinja2 and Matplotlib, found no {missing.name}: pip install jinja2 matplotlib"
        ) from None

    loader = PackageLoader("golden.report")
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
        with suppress(OSError):
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
    count = f"{len(golden.outputs)} output{'s' if len(golden.outputs) != 1 else ''}"
    remarks = [remark for remark in one.remarks if remark != golden.summary]
    shown = Shown(one.case, one.kind, count, golden.summary, golden.operation, remarks)
    return _with(shown, [Alone(one.kind, name, array) for name, array in sorted(golden.outputs.items())])


def _changed(one: Difference, before: Golden, after: Golden) -> Shown:
    moved = [comparison for comparison in one.comparisons if comparison.verdict is not Verdict.IDENTICAL]
    worst = max(moved, key=lambda c: (c.verdict, c.share), default=None)
    diagnoses = [(", ".join(cause.outputs), change_sentence(cause)) for cause in one.causes]
    sentences = (
        [sentence for _, sentence in diagnoses] + list(one.remarks) + [reason_text(c, SIDES) for c in moved if c.reason]
    )
    shown = Shown(
        one.case,
        one.verdict.label if moved else one.kind,
        measure(worst) if worst else "outputs identical",
        sentences[0] if sentences else "",
        after.summary,
        one.remarks,
        diagnoses,
        same=[c.output for c in one.comparisons if c.verdict is Verdict.IDENTICAL],
        explanations=frozenset(_explanation(cause.faults, cause.transform) for cause in one.causes) - {""},
    )
    worst_first = sorted(moved, key=lambda c: -c.verdict)
    return _with(shown, [_moved(comparison, before, after) for comparison in worst_first])


def _moved(comparison: Comparison, before: Golden, after: Golden) -> Moved:
    name = comparison.output
    sides = (("before", before), ("after", after))
    arrays = {what: golden.outputs[name] for what, golden in sides if name in golden.outputs}
    return Moved(comparison, arrays, before.tolerances.get(name, EXACT), before.where.get(name))


def _with(shown: Shown, outputs: Sequence[Alone | Moved]) -> Shown:
    """A case with its outputs, as many as are of use."""
    large = [output for output in outputs if output.is_drawn]
    values = [value for output in outputs if not output.is_drawn for value in output.values()]
    return replace(
        shown,
        drawn=[output.drawn() for output in large[:_MOST_DRAWN]],
        values=values[:_MOST_ROWS],
        left_out=max(0, len(large) - _MOST_DRAWN) + max(0, len(values) - _MOST_ROWS),
    )


def _explanation(faults: Sequence[str], transform: str) -> str:
    return f"fault {faults[0]!r}" if faults else transform
