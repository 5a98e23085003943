"""Make a self-contained page: of the differences between two sets of goldens, or of a test run.

This module takes no numeric decision: verdicts, worst elements and boxes come from the comparison.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from golden.judge.compare import EXACT, Comparison, Verdict
from golden.report.files import write_whole
from golden.report.page_outputs import KINDS, OutputOfCase, OutputView, Sides, TableRow, measure
from golden.report.text import change_sentence, claim_texts, reason_text
from golden.review.claims import Claim
from golden.review.difference import Difference, verdicts_counted
from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError
from golden.store.golden import Golden

if TYPE_CHECKING:
    from golden.report.pictures import Picture

_MOST_DRAWN, _MOST_ROWS = 24, 300
"""Most outputs of a case that are drawn, and most rows of its table, so that no file can make the page huge."""
_MOST_REASONS, _MOST_CAUSES = 5, 12
_MOST_UNFOLDED = 6
"""A page with more cases unfolds only the first, because a browser draws a folded case only when it is opened."""
_LONGEST_TEXT = 2500
_CHANGE: Sides = ("before", "after")


@dataclass(frozen=True)
class CaseView:
    """A case, as the page shows it.

    Attributes:
        name: of the case.
        kind: a key of ``KINDS``.
        measure: how far it is off, in a few words.
        sentence: shown when the case is folded.
        summary: what the case tests.
        remarks: a sentence each.
        diagnoses: names of outputs, and why they are wrong.
        text: lines to show unchanged, such as a traceback.
        drawn, rows: its outputs, as pictures or in a table.
        identical: names of outputs that are the same.
        left_out: number of outputs and rows that are not shown.
        explanations: its causes, to be counted over all cases.
        share: how far it is off, in tolerances; sorts the cases.
        group: heading of its group; empty if cases are not grouped.
    """

    name: str
    kind: str
    measure: str = ""
    sentence: str = ""
    summary: str = ""
    remarks: Sequence[str] = ()
    diagnoses: Sequence[tuple[Sequence[str], str]] = ()
    text: str = ""
    drawn: Sequence[OutputView] = ()
    rows: Sequence[TableRow] = ()
    identical: Sequence[str] = ()
    left_out: int = 0
    explanations: frozenset[str] = frozenset()
    share: float = 0.0
    group: str = ""

    @property
    def topic(self) -> str:
        return self.name.split("/")[0]

    @property
    def colour(self) -> str:
        return KINDS[self.kind]


@dataclass(frozen=True)
class PassedRow:
    """A golden that agrees, as a line of a table; ``percent`` is the share of its tolerance that is used."""

    case: str
    verdict: str
    colour: str
    percent: float
    share: str
    output: str


@dataclass(frozen=True)
class Heading:
    """The text above the cases.

    Attributes:
        title, headline: of the page.
        colour: of the headline: "ok", "bad", or "" for neither.
        remarks: a sentence each.
        versions: of the software involved.
        claims: why goldens changed.
        compared: the older and the newer state.
    """

    title: str
    headline: str
    colour: str = ""
    remarks: Sequence[str] = ()
    versions: str = ""
    claims: Sequence[Claim] = ()
    compared: Sequence[str] = ()

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Each reason, with its details; of many, those of the most goldens."""
        told = sorted(self.claims, key=lambda claim: -len(claim.cases))[:_MOST_REASONS]
        left = len(self.claims) - len(told)
        more = [(f"and {left} more", "golden show CASE prints the history of a golden")] if left else []
        return [claim_texts(claim) for claim in self.claims if claim in told] + more


def write_page(path: Path, found: Iterable[Difference], heading: Heading) -> None:
    """Write ``page`` to a file, atomically.

    Raises:
        GoldenError: the page cannot be made or written.
    """
    write_whole(path, page(found, heading).encode())


def page(found: Iterable[Difference], heading: Heading) -> str:
    """Make the page of differences. ``found`` is iterated once, and each case is drawn as it comes.

    Args:
        found: a difference per case.
        heading: the text above the cases.

    Raises:
        GoldenError: as ``render``.
    """
    require_libraries()
    return render(heading, (case_view(one) for one in found))


def require_libraries() -> None:
    """Check that the libraries for a page are installed.

    Raises:
        GoldenError: Jinja2, or Matplotlib with Pillow, is not installed.
    """
    missing = [name for name, module in (("jinja2", "jinja2"), ("matplotlib", "matplotlib")) if not find_spec(module)]
    if missing:
        needed = "a page needs Jinja2 and Matplotlib"
        raise GoldenError(f"{needed}, found no {' and no '.join(missing)}: pip install {' '.join(missing)}")


def render(
    heading: Heading,
    views: Iterable[CaseView],
    sides: Sides = _CHANGE,
    passed: Sequence[PassedRow] = (),
    heads: Sequence[str] = (),
    table: Sequence[Sequence[str]] = (),
) -> str:
    """Make a page, the worst cases first; where cases have groups, the largest group first.

    Args:
        heading: the text above the cases.
        views: the cases.
        sides: the names of the two values of an output.
        passed: goldens that agree, as the lines of a table below.
        heads: the column names of a table above the cases.
        table: its rows; without rows there is no table.

    Raises:
        GoldenError: Jinja2, or Matplotlib with Pillow, is not installed.
    """
    require_libraries()
    template, style, script = _template()
    cases = sorted(views, key=lambda case: (list(KINDS).index(case.kind), -case.share, case.name))
    sizes = Counter(case.group for case in cases if case.kind != "known")
    cases.sort(key=lambda case: (-sizes[case.group], case.group))
    causes = Counter(name for case in cases for name in sorted(case.explanations))
    text: str = template.render(
        heading=heading,
        groups=[
            (group, [each for _, each in of_group])
            for group, of_group in groupby(zip((case.group for case in cases), _placed(cases)), itemgetter(0))
        ],
        cases=cases,
        passed=passed,
        heads=heads,
        table=table,
        roles={"first": sides[0], "second": sides[1], "difference": "difference"},
        kinds=[(kind, KINDS[kind], count) for kind in KINDS if (count := sum(case.kind == kind for case in cases))],
        topics=sorted(Counter(case.topic for case in cases).items()),
        causes=causes.most_common(_MOST_CAUSES),
        palettes=_palettes(),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
    )
    return text


@cache
def _template() -> tuple[Any, Any, Any]:
    """Return the template, its style and its script."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from golden.report.pictures import colour_rules

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
    environment.filters["svg"] = Markup
    environment.filters["digest"] = lambda text: hashlib.sha256(str(text).encode()).hexdigest()[:16]
    environment.globals["zoom"] = _zoom
    style, script = (loader.get_source(environment, name)[0] for name in ("page.css", "page.js"))
    return environment.get_template("page.html"), Markup(style + colour_rules()), Markup(script)


def _placed(cases: Sequence[CaseView]) -> Iterator[tuple[str, CaseView, bool]]:
    """Yield for each case its anchor (the name, numbered if it occurs twice) and whether it is unfolded."""
    seen: Counter[str] = Counter()
    unfolded = len(cases) if len(cases) <= _MOST_UNFOLDED else 1
    for number, case in enumerate(cases):
        seen[case.name] += 1
        anchor = case.name if seen[case.name] == 1 else f"{case.name} ({seen[case.name]})"
        yield anchor, case, number < unfolded


def _zoom(row: Sequence[Picture]) -> int:
    """Return the screen pixels per element, a whole number that is the same for all pictures in a row."""
    side = max(max(one.rows, one.columns) for one in row)
    times = max(1, 264 // side)
    return times + 1 if times * side < 180 and (times + 1) * side <= 320 else times


def _palettes() -> dict[str, str]:
    """Return the colours of each colour map, from which the script reads the values of a picture."""
    from golden.report.pictures import palettes

    return palettes()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _plain(value: Any) -> Any:
    """Cut a long text, and replace control characters, including those that reverse the reading direction."""
    if type(value) is not str:  # markup has its own type
        return value
    text = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in value[:_LONGEST_TEXT])
    return text if len(value) <= _LONGEST_TEXT else f"{text}… ({len(value)} characters)"


# ------------------------------------------------------------------------------------------------ a case


def case_view(one: Difference) -> CaseView:
    """Prepare a case that differs for the page."""
    if one.before is not None and one.after is not None:
        diagnoses = [(cause.outputs, change_sentence(cause)) for cause in one.causes]
        view = CaseView(one.case, one.kind, summary=one.after.summary, remarks=one.remarks, diagnoses=diagnoses)
        view = replace(view, explanations=one.explanations)
        return with_comparisons(view, one.before, one.after.outputs, one.comparisons, _CHANGE, one.drifts)
    golden = one.after or one.before
    if golden is None:
        return CaseView(one.case, one.kind, sentence=one.remarks[0] if one.remarks else "", remarks=one.remarks[1:])
    count = f"{len(golden.outputs)} output{'s' if len(golden.outputs) != 1 else ''}"
    remarks = [remark for remark in one.remarks if remark != golden.summary]
    view = CaseView(one.case, one.kind, count, golden.summary, golden.operation, remarks)
    role = "first" if one.kind == "removed" else "second"
    return _with_outputs(
        view,
        [
            OutputOfCase(Comparison(name, Verdict.STRUCTURAL), {role: array}, EXACT, None, _CHANGE, kind=one.kind)
            for name, array in sorted(golden.outputs.items())
        ],
    )


def with_comparisons(
    view: CaseView,
    golden: Golden,
    outputs: Arrays,
    comparisons: Sequence[Comparison],
    sides: Sides,
    notes: Mapping[str, str] = MappingProxyType({}),
) -> CaseView:
    """Add to a case the comparison of its outputs with a golden's.

    Args:
        view: the case, with its diagnoses.
        golden: with the expected outputs and their tolerances.
        outputs: the outputs found.
        comparisons: of all outputs.
        sides: the names of the two values of an output.
        notes: output -> a further note.
    """
    moved = [comparison for comparison in comparisons if comparison.verdict is not Verdict.IDENTICAL]
    worst = max(moved, key=lambda c: (c.verdict, c.share), default=None)
    by_reach = sorted(view.diagnoses, key=lambda diagnosis: -len(diagnosis[0]))
    sentences = [sentence for _, sentence in by_reach] + list(view.remarks)
    sentences += [reason_text(c, sides) for c in moved if c.reason]
    sentences += [*notes.values(), verdicts_counted(comparisons)]
    view = replace(
        view,
        share=max((c.share for c in comparisons), default=0.0),
        kind=max(c.verdict for c in moved).label if moved else view.kind,
        measure=measure(worst) if worst else "outputs identical",
        sentence=sentences[0] if sentences else "",
        identical=[c.output for c in comparisons if c.verdict is Verdict.IDENTICAL],
    )
    explained = {name for names, _ in view.diagnoses for name in names}
    prepared = []
    for one in sorted(moved, key=lambda c: (-c.verdict, c.output not in explained)):
        both = (("first", golden.outputs), ("second", outputs))
        arrays = {role: of_side[one.output] for role, of_side in both if one.output in of_side}
        tolerance, where = golden.tolerances.get(one.output, EXACT), golden.where.get(one.output)
        prepared.append(OutputOfCase(one, arrays, tolerance, where, sides, notes.get(one.output, "")))
    return _with_outputs(view, prepared)


def _with_outputs(view: CaseView, outputs: Sequence[OutputOfCase]) -> CaseView:
    drawn = [output for output in outputs if output.is_drawn]
    rows = [row for output in outputs if not output.is_drawn for row in output.table_rows()]
    return replace(
        view,
        drawn=[output.view() for output in drawn[:_MOST_DRAWN]],
        rows=rows[:_MOST_ROWS],
        left_out=max(0, len(drawn) - _MOST_DRAWN) + max(0, len(rows) - _MOST_ROWS),
    )
