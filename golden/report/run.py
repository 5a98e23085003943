"""Write the report of a test run: Markdown for a CI job summary, JSON for programs, a page with pictures for people.

The suffix of the file chooses the kind. This module takes no numeric decision: verdicts and shares come from the
comparison.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

from golden.judge.judgement import judge
from golden.report.files import write_whole
from golden.report.obtained import SIDES
from golden.report.page import CaseView, Heading, PassedRow, render, require_libraries, with_comparisons
from golden.review.margins import MOST_USED
from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError
from golden.store.contents import parse_json
from golden.store.folder import read_small
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden, read_outputs

FORMAT = "ptycho-golden run 3"
ENDINGS = (".md", ".json", ".html")
_LARGEST_REPORT = 2**24
"""Largest JSON report that is read, in bytes. A run of this suite in which everything fails takes about 500 kB."""
_NAMED = 5
_NUMBERS = re.compile(r"(exactly|to )?-?\d[\d.]*(e[+-]?\d+)?|exactly")
_SAME_AS = re.compile(r" \(here the same as [^)]*\)")
WITHIN_SLACK = "within slack"
"""Beyond the tolerance, but within the declared slack of the port."""
PASSED = ("identical", "within noise", "within tolerance", WITHIN_SLACK)
UNEXPLAINED = "no known fault"
"""Part of the sentence of a diagnosis that found no explanation."""
NO_FAULT, ERROR = "no known fault", "an error"
"""The causes of failures without a declared fault: values differ, or the port raised an exception."""
PARTIAL = "a partial run: it was not checked that a test claims every case"
OUTCOMES = AGREES, DIFFERS, KNOWN, NOT_OFFERED = ("agrees", "differs", "known", "not offered")


@dataclass(frozen=True)
class Check:
    """Holds one comparison of a port with a golden, in JSON types.

    Attributes:
        case, operation: names.
        outputs: name -> {"verdict": label, "share": of the tolerance, or None if it has no number, "reason": why it
            cannot be compared, if so}. Empty if the port or the golden failed before anything was compared.
        lines: the description of a failure; empty if it passed.
        faults: declared faults that each explain the whole failure.
        diagnoses: each {"outputs": names, "sentence": why they are wrong, "fault": name of the declared fault or ""}.
        remarks: output -> a further remark.
        obtained: file with the outputs of the port, or "".
        way: the way in which the port computed it, if it has several; empty for the plain one.
        excuse: the declared reason why it may differ; empty if it must agree.
        contradiction: why the declaration is wrong; empty if it is right.
        error: the last line of the exception that the port raised; empty if it returned outputs.
        left_out: outputs that the port does not offer.
        places: functions of the port that computed them, with file and line.
    """

    case: str
    operation: str
    outputs: Mapping[str, Mapping[str, Any]]
    lines: Sequence[str] = ()
    faults: Sequence[str] = ()
    diagnoses: Sequence[Mapping[str, Any]] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)
    obtained: str = ""
    way: str = ""
    excuse: str = ""
    contradiction: str = ""
    error: str = ""
    left_out: Sequence[str] = ()
    places: Sequence[str] = ()

    @property
    def label(self) -> str:
        """Return the operation, with its way."""
        return f"{self.operation}__{self.way}" if self.way else self.operation

    @property
    def agrees(self) -> bool:
        return bool(self.outputs) and all(output["verdict"] in PASSED for output in self.outputs.values())

    @property
    def outcome(self) -> str:
        """Return ``AGREES``, ``DIFFERS``, ``KNOWN`` or ``NOT_OFFERED``."""
        if self.contradiction or not (self.agrees or self.excuse):
            return DIFFERS
        if self.agrees:
            return AGREES
        return KNOWN if self.outputs else NOT_OFFERED

    @property
    def passed(self) -> bool:
        return self.outcome != DIFFERS

    @property
    def cause(self) -> str:
        """Return in one line why it failed or differs; "" if it agrees."""
        if self.agrees and not self.contradiction:
            return ""
        reasons = [f"{name}: {one['reason']}" for name, one in self.outputs.items() if one.get("reason")]
        sentences = [str(one["sentence"]) for one in self.diagnoses]
        explained = [sentence for sentence in sentences if UNEXPLAINED not in sentence]
        told = [self.error, self.contradiction, *explained, *reasons, *sentences, _error_line(self.lines)]
        return next(line for line in told if line)

    @property
    def worst(self) -> str:
        """Return the output that uses most of its tolerance; "" if nothing was compared."""
        return max(sorted(self.outputs), key=lambda name: _share(self.outputs[name]), default="")

    @property
    def share(self) -> float:
        return _share(self.outputs[self.worst]) if self.outputs else math.inf

    @property
    def verdict(self) -> str:
        return str(self.outputs[self.worst]["verdict"]) if self.outputs else "error"


@dataclass(frozen=True)
class Run:
    """Holds the results of a test run.

    Attributes:
        checks: every comparison.
        problems: why the run is incomplete.
        slow: tests of slow goldens that were not run.
        narrowed: whether some parity tests were not collected.
        versions: name -> version of Python and of the packages involved.
        status: how pytest ended: "ok", "tests failed", "interrupted", ...
        subject: name of the subject that was checked; empty if tests call the port themselves.
        not_offered: operation -> why the subject does not offer it; "" if no reason is declared.
        declared: the declarations of the subject, a line each.
        again: tests that were rerun after a failure, a line each.
    """

    checks: Sequence[Check] = ()
    problems: Sequence[str] = ()
    slow: Sequence[str] = ()
    narrowed: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    status: str = "ok"
    subject: str = ""
    not_offered: Mapping[str, str] = field(default_factory=dict)
    declared: Sequence[str] = ()
    again: Sequence[str] = ()

    @property
    def goldens(self) -> list[Check]:
        """Return the worst check of each golden and way, because a test may compare a golden several times."""
        worst: dict[tuple[str, str], Check] = {}
        for check in self.checks:
            known = worst.setdefault((check.case, check.way), check)
            if (known.passed, known.agrees, -known.share) > (check.passed, check.agrees, -check.share):
                worst[check.case, check.way] = check
        return list(worst.values())

    @property
    def green(self) -> bool:
        """Return whether nothing failed, nothing is missing, and something was compared."""
        sound = self.status == "ok" and not self.problems
        return sound and bool(self.checks) and all(check.passed for check in self.checks)


def _share(output: Mapping[str, Any]) -> float:
    return math.inf if output["share"] is None else float(output["share"])


def require_report(path: Path, option: str = "--golden-report") -> None:
    """Refuse a report that cannot be written, before anything runs.

    Args:
        path: the file.
        option: that named it.

    Raises:
        GoldenError: the suffix is unknown, it is a directory, or its libraries are missing.
    """
    if path.suffix not in ENDINGS:
        raise GoldenError(f"{option} {path}: expected a file that ends in {', '.join(ENDINGS)}")
    if path.is_dir():
        raise GoldenError(f"{option} {path}: is a directory")
    if path.suffix == ".html":
        require_libraries()


def write_run(path: Path, run: Run, fixtures: Path) -> None:
    """Write the report atomically.

    Args:
        path: the file; its suffix chooses the kind.
        run: the results.
        fixtures: directory of the goldens, whose expected outputs a page shows.

    Raises:
        GoldenError: the report cannot be made or written.
    """
    text = html(run, fixtures) if path.suffix == ".html" else {".md": markdown, ".json": as_json}[path.suffix](run)
    write_whole(path, text.encode(errors="backslashreplace"))  # a path may hold any bytes


def read_shares(path: Path) -> dict[str, float]:
    """Return case -> largest share of its tolerance, from a JSON report.

    Raises:
        GoldenError: the file is not such a report.
    """
    try:
        document = parse_json(read_small(path, _LARGEST_REPORT).decode())
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}")
        checks = [Check(**check) for check in document["checks"]]
        shares: dict[str, float] = {}
        for check in checks:
            shares[check.case] = max(shares.get(check.case, 0.0), check.share)
        return shares
    except (FileNotFoundError, GoldenError, ValueError, LookupError, TypeError, AttributeError) as broken:
        kind = "" if isinstance(broken, GoldenError) else f"{type(broken).__name__}: "
        raise GoldenError(
            f"run report {path}: {kind}{broken}; expected a file from 'pytest --golden-report=FILE.json'"
        ) from broken


@dataclass(frozen=True)
class OperationRow:
    """Holds the outcomes of the goldens of one operation, computed in one way.

    Attributes:
        label: of the operation, with its way.
        counts: outcome -> number of goldens.
        causes: why they differ or are not offered, a line for each cause, the most frequent first.
    """

    label: str
    counts: Mapping[str, int]
    causes: Sequence[str]

    def texts(self) -> tuple[str, ...]:
        """Return the cells of a table: the label, a number for each outcome, and the causes."""
        return (self.label, *(str(self.counts.get(name) or "") for name in OUTCOMES), "; ".join(self.causes))


def by_operation(run: Run) -> list[OperationRow]:
    """Summarise the run by operation and way, sorted by name; operations that are not offered come last."""
    found: dict[str, list[Check]] = {}
    for check in run.goldens:
        found.setdefault(check.label, []).append(check)
    rows = []
    for label, checks in sorted(found.items()):
        told = _common(_cause(check) for check in checks if not check.agrees or check.contradiction)
        left_out = sorted({name for check in checks for name in check.left_out})
        told += [f"outputs {NOT_OFFERED}: {', '.join(left_out)}"] if left_out else []
        rows.append(OperationRow(label, dict(Counter(check.outcome for check in checks)), told))
    return rows + [
        OperationRow(label, {}, [f"{NOT_OFFERED}: {reason}"])
        for label, reason in sorted(run.not_offered.items())
        if reason
    ]


def _common(causes: Iterable[str]) -> list[str]:
    """Count causes that differ only in numbers or in the list of faults that look the same; keep the first of each."""
    alike: dict[str, list[str]] = {}
    for cause in causes:
        alike.setdefault(without_numbers(_SAME_AS.sub("", cause)), []).append(cause)
    told = []
    for group in sorted(alike.values(), key=len, reverse=True):
        count = f"{len(group)} x " if len(group) > 1 else ""
        told.append(f"{count}{_SAME_AS.sub('', group[0]) if count else group[0]}")
    return told


def without_numbers(cause: str) -> str:
    """Return a cause without its numbers, which vary from golden to golden."""
    return _NUMBERS.sub("", cause)


def _cause(check: Check) -> str:
    return f"{check.outcome} ({check.excuse}): {check.cause}" if check.excuse and check.passed else check.cause


def headline(run: Run) -> str:
    """Summarise the run in one sentence."""
    goldens = run.goldens
    failed = [check for check in goldens if not check.passed]
    outputs = sum(len(check.outputs) for check in goldens)
    if not goldens:
        return "no golden was compared"
    start = f"{len(goldens)} checked, {outputs} outputs"
    excused = Counter(check.outcome for check in goldens if check.passed and not check.agrees)
    start += "".join(f"; {count} {outcome}" for outcome, count in sorted(excused.items()))
    if failed:
        names = sorted({check.case for check in failed})
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"{start}; {len(failed)} failed: {', '.join(names[:_NAMED])}{more}"
    worst = max((check for check in goldens if check.agrees), key=lambda check: check.share, default=None)
    if worst is None:
        return start
    return f"{start}; closest to its tolerance: {worst.case}, output {worst.worst!r} ({worst.share:.2g} of it)"


def causes(run: Run) -> list[str]:
    """Name the fault that explains most of the failures, then the one that explains most of the rest, and so on."""
    failed = [check for check in run.goldens if not check.passed]
    verbs = {NO_FAULT: "match", ERROR: "ended with"}
    return [
        f"{len(alike)} of {len(failed)} failed goldens {verbs.get(cause, 'look like')} {cause}"
        for cause, alike in by_cause(failed).items()
    ]


def by_cause(failed: Sequence[Check]) -> dict[str, list[Check]]:
    """Group failures by cause: as few faults as possible, then several faults at once, no fault, an error."""
    errors = [check for check in failed if not check.outputs]
    left, groups = [check for check in failed if check.outputs], dict[str, list[Check]]()
    while counts := Counter(name for check in left for name in check.faults):
        name, _ = max(counts.items(), key=lambda item: (item[1], item[0]))
        groups[f"fault {name!r}"] = [check for check in left if name in check.faults]
        left = [check for check in left if name not in check.faults]
    several: dict[str, list[Check]] = {}
    for check in left:
        several.setdefault(_several(check), []).append(check)
    unknown = several.pop("", [])
    groups |= dict(sorted(several.items(), key=lambda item: -len(item[1])))
    return groups | {cause: alike for cause, alike in ((NO_FAULT, unknown), (ERROR, errors)) if alike}


def _several(check: Check) -> str:
    """Name the faults if each output of a golden is explained by one; "" if an output is not explained."""
    faults = [str(one.get("fault", "")) for one in check.diagnoses]
    return f"several faults at once, {' and '.join(map(repr, sorted(set(faults))))}" if faults and all(faults) else ""


def remarks(run: Run) -> list[str]:
    """List further remarks on a run: how it ended, what it left out, what is wrong with it."""
    ended = [] if run.status in ("ok", "tests failed") else [f"pytest ended with: {run.status}"]
    narrowed = [PARTIAL] if run.narrowed else []
    slow = [slow_line(run)] if run.slow else []
    unsaid = sorted(name for name, reason in run.not_offered.items() if not reason)
    absent = [f"{NOT_OFFERED}: {', '.join(unsaid)}"] if unsaid else []
    return [*ended, *causes(run), *run.problems, *narrowed, *run.declared, *run.again, *absent, *slow]


def slow_line(run: Run) -> str:
    """Name the slow goldens that were not run, in one line."""
    return f"{len(run.slow)} slow, not run: {', '.join(run.slow)}"


def markdown(run: Run) -> str:
    """Return the report for a CI job summary."""
    lines = [f"## Goldens: {headline(run)}", "", _versions(run), ""]
    lines += [f"* {escape(remark, quote=False)}" for remark in remarks(run)]
    if run.subject:
        heads = ("operation", *OUTCOMES, "cause")
        cells = [heads, ("---",) * len(heads), *(row.texts() for row in by_operation(run))]
        lines += ["", *(f"| {' | '.join(escape(text, quote=False) for text in row)} |" for row in cells)]
    for check in sorted(run.checks, key=lambda check: check.case):
        if not check.passed:
            lines += ["", f"### {check.case}", "", f"<pre>{escape(_plain(check.lines), quote=False)}</pre>"]
    lines += ["", "<details><summary>All goldens</summary>", ""]
    lines += ["| case | operation | verdict | share of the tolerance | output |", "|---|---|---|---|---|"]
    lines += [
        f"| {check.case} | {check.operation} | {check.verdict} | {_share_text(check.share)} | {check.worst} |"
        for check in sorted(run.checks, key=lambda check: check.case)
    ]
    return "\n".join([*lines, "", "</details>", ""])


def html(run: Run, fixtures: Path) -> str:
    """Return the report as a page: the failed goldens with expected and obtained outputs, then the goldens that agree.

    Raises:
        GoldenError: Jinja2 or Matplotlib is not installed.
    """
    title = f"Goldens: {run.subject}" if run.subject else "Goldens"
    heading = Heading(title, headline(run), "ok" if run.green else "bad", remarks(run), _versions(run))
    passed = sorted((check for check in run.checks if check.agrees), key=lambda check: (-check.share, check.case))
    table = [row.texts() for row in by_operation(run)] if run.subject else []
    rows = [_passed_row(check) for check in passed if check.passed]
    return render(heading, _failures(run, fixtures), SIDES, rows, ("operation", *OUTCOMES, "cause"), table)


def write_failure(path: Path, check: Check, golden: Golden, obtained: Arrays) -> None:
    """Write the page of one golden that a port does not agree with.

    Raises:
        GoldenError: the page cannot be made or written.
    """
    heading = Heading(check.case, f"{check.operation}: {check.verdict}", "bad")
    write_whole(path, render(heading, [_failure(check, golden, obtained)], SIDES).encode())


def _failures(run: Run, fixtures: Path) -> Iterator[CaseView]:
    """Yield the failed goldens, grouped by cause, and the goldens that differ as declared."""
    verbs = {NO_FAULT: "Matches", ERROR: "Ended with"}
    for cause, checks in by_cause([check for check in run.checks if not check.passed]).items():
        group = f"{verbs.get(cause, 'Looks like')} {cause}"
        for check in checks:
            yield replace(_drawn(check, fixtures), group=group, explanations=frozenset({cause}))
    for check in run.checks:
        if check.passed and not check.agrees:
            yield replace(_drawn(check, fixtures), group="Differs as declared")


def _drawn(check: Check, fixtures: Path) -> CaseView:
    if not check.obtained:
        return _told(check, check.cause)
    try:
        golden, obtained = read_golden(golden_path(fixtures, check.case)), read_outputs(Path(check.obtained))
    except GoldenError as lost:
        return _told(check, str(lost))
    return _failure(check, golden, obtained)


def _failure(check: Check, golden: Golden, obtained: Arrays) -> CaseView:
    comparisons = [one for one in judge(golden, obtained).comparisons if one.output in check.outputs]
    diagnoses = [(one["outputs"], one["sentence"]) for one in check.diagnoses]
    remarks = [line for line in (check.excuse, check.contradiction) if line]
    view = CaseView(_title(check), check.verdict, summary=golden.summary, diagnoses=diagnoses, remarks=remarks)
    view = with_comparisons(view, golden, obtained, comparisons, SIDES, check.remarks)
    return replace(view, kind=KNOWN) if check.passed else view


def _told(check: Check, sentence: str) -> CaseView:
    """Return the text of a failure that cannot be drawn."""
    kind = KNOWN if check.passed else check.verdict
    summary = check.excuse or check.operation
    return CaseView(_title(check), kind, sentence=sentence, summary=summary, text="\n".join(check.lines))


def _title(check: Check) -> str:
    return f"{check.case} ({check.way})" if check.way else check.case


def _error_line(lines: Sequence[str]) -> str:
    """Return the line that pytest marks as the error."""
    return next((line[1:].strip() for line in lines if line.startswith("E ")), "nothing was compared")


def _passed_row(check: Check) -> PassedRow:
    colour = "warn" if check.share > MOST_USED else "ok"
    percent = round(100 * min(check.share, 1.0), 1)
    share = _share_text(check.share)
    return PassedRow(_title(check), check.verdict, colour, percent, share, check.worst)


def as_json(run: Run) -> str:
    """Return the report for programs."""
    operations = [asdict(row) for row in by_operation(run)]
    return (
        json.dumps({"format": FORMAT, "headline": headline(run), "operations": operations, **asdict(run)}, indent=1)
        + "\n"
    )


def _plain(lines: Sequence[str]) -> str:
    """Replace control characters, which a terminal or a page would interpret."""
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)


def _share_text(share: float) -> str:
    return "not equal" if math.isinf(share) else f"{share:.2g}"


def _versions(run: Run) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.versions.items())
