"""Write down a test run: Markdown for a CI job summary, JSON for programs, a page with pictures for people.

The file's ending chooses. Nothing numeric is decided here: verdicts and shares are the comparison's.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from golden.judge.judgement import judge
from golden.report.files import write_whole
from golden.report.page import CaseView, Heading, PassedRow, render, require_libraries, with_comparisons
from golden.review.margins import MOST_USED
from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden, read_outputs

FORMAT = "ptycho-golden run 2"
ENDINGS = (".md", ".json", ".html")
_NAMED = 5
PASSED = ("identical", "within noise", "within tolerance")
SIDES = ("expected", "obtained")


@dataclass(frozen=True)
class Check:
    """Holds one comparison of a port with a golden, in types that JSON knows.

    Attributes:
        case, operation: which.
        outputs: name -> {"verdict": label, "share": of the tolerance, or None when no number can say it}. Empty when
            the port, or the golden, broke before anything was compared.
        lines: what a person is told of a failure; empty when it passed.
        faults: declared faults, each of which explains the whole failure.
        diagnoses: {"outputs": names, "sentence": why they are wrong} each.
        remarks: output -> what else is to be said of it.
        obtained: file of the outputs of the port, or an empty text.
    """

    case: str
    operation: str
    outputs: Mapping[str, Mapping[str, Any]]
    lines: Sequence[str] = ()
    faults: Sequence[str] = ()
    diagnoses: Sequence[Mapping[str, Any]] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)
    obtained: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.outputs) and all(output["verdict"] in PASSED for output in self.outputs.values())

    @property
    def worst(self) -> str:
        """Return the output that uses most of its tolerance; an empty text when nothing was compared."""
        return max(sorted(self.outputs), key=lambda name: _share(self.outputs[name]), default="")

    @property
    def share(self) -> float:
        return _share(self.outputs[self.worst]) if self.outputs else math.inf

    @property
    def verdict(self) -> str:
        return str(self.outputs[self.worst]["verdict"]) if self.outputs else "error"


@dataclass(frozen=True)
class Run:
    """Holds what a test run found out about the goldens.

    Attributes:
        checks: every comparison.
        problems: why the run is not complete.
        slow: tests of slow goldens that were not run.
        narrowed: whether some parity tests were not collected.
        versions: name -> version of what took part.
        status: how pytest ended: "ok", "tests failed", "interrupted", ...
    """

    checks: Sequence[Check] = ()
    problems: Sequence[str] = ()
    slow: Sequence[str] = ()
    narrowed: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    status: str = "ok"

    @property
    def green(self) -> bool:
        """Tell whether nothing failed, nothing is missing, and something was compared."""
        sound = self.status == "ok" and not self.problems
        return sound and bool(self.checks) and all(check.passed for check in self.checks)


def _share(output: Mapping[str, Any]) -> float:
    return math.inf if output["share"] is None else float(output["share"])


def require_report(path: Path) -> None:
    """Refuse, before anything is run, a report that could not be written.

    Raises:
        GoldenError: it ends in something else than the three kinds, it is a directory, or its libraries are missing.
    """
    if path.suffix not in ENDINGS:
        raise GoldenError(f"--golden-report {path}: expected a file that ends in {', '.join(ENDINGS)}")
    if path.is_dir():
        raise GoldenError(f"--golden-report {path}: is a directory")
    if path.suffix == ".html":
        require_libraries()


def write_run(path: Path, run: Run, fixtures: Path) -> None:
    """Write the report; a reader never sees half of it.

    Args:
        path: the file; its ending chooses the kind.
        run: what to write down.
        fixtures: directory of the goldens, whose expected outputs a page shows.

    Raises:
        GoldenError: it cannot be made, or not be written there.
    """
    text = html(run, fixtures) if path.suffix == ".html" else {".md": markdown, ".json": _json}[path.suffix](run)
    write_whole(path, text.encode())


def read_shares(path: Path) -> dict[str, float]:
    """Return case -> largest share of its tolerance, from a JSON report.

    Raises:
        GoldenError: the file is no such report.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}")
        checks = [Check(**check) for check in document["checks"]]
        shares: dict[str, float] = {}
        for check in checks:
            shares[check.case] = max(shares.get(check.case, 0.0), check.share)
        return shares
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise GoldenError(
            f"run report {path}: {type(broken).__name__}: {broken}; expected what 'pytest --golden-report=FILE.json' "
            f"writes"
        ) from broken


def headline(run: Run) -> str:
    """Say in one sentence how the run went."""
    failed = [check for check in run.checks if not check.passed]
    outputs = sum(len(check.outputs) for check in run.checks)
    if not run.checks:
        return "no golden was compared"
    start = f"{len(run.checks)} checked, {outputs} outputs"
    if failed:
        names = sorted({check.case for check in failed})
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"{start}; {len(failed)} failed: {', '.join(names[:_NAMED])}{more}"
    worst = max(run.checks, key=lambda check: check.share)
    return f"{start}; most of its tolerance ({worst.share:.2g}) is used by {worst.case}, output {worst.worst!r}"


def causes(run: Run) -> list[str]:
    """Say which fault explains most of the failures, then which explains most of those that are left, and so on."""
    left = [check for check in run.checks if not check.passed]
    failed, told = len(left), []
    while left:
        counts = Counter(name for check in left for name in check.faults)
        if not counts:
            told.append(f"{len(left)} of {failed} failed goldens look like no declared fault")
            break
        name, count = max(counts.items(), key=lambda item: (item[1], item[0]))
        told.append(f"{count} of {failed} failed goldens look like fault {name!r}")
        left = [check for check in left if name not in check.faults]
    return told


def remarks(run: Run) -> list[str]:
    """Say what else must be known of a run: how it ended, what it left out, what is wrong with it."""
    ended = [] if run.status in ("ok", "tests failed") else [f"pytest ended with: {run.status}"]
    narrowed = ["a narrowed run: it was not checked that every case is claimed"] if run.narrowed else []
    return [*ended, *causes(run), *run.problems, *narrowed, *(f"slow, not run: {name}" for name in run.slow)]


def markdown(run: Run) -> str:
    """Return the report for a CI job summary."""
    lines = [f"## Goldens: {headline(run)}", "", _versions(run), ""]
    lines += [f"* {escape(remark, quote=False)}" for remark in remarks(run)]
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
    """Return the report as a page: what a failed golden expected and what it obtained, then the goldens that agree.

    Raises:
        GoldenError: Jinja2 or Matplotlib is not installed.
    """
    heading = Heading("Goldens", headline(run), "ok" if run.green else "bad", remarks(run), _versions(run))
    passed = sorted((check for check in run.checks if check.passed), key=lambda check: (-check.share, check.case))
    return render(heading, _failures(run, fixtures), SIDES, [_passed_row(check) for check in passed])


def write_failure(path: Path, check: Check, golden: Golden, obtained: Arrays) -> None:
    """Write the page of one golden that a port does not agree with.

    Raises:
        GoldenError: it cannot be made, or not be written there.
    """
    heading = Heading(check.case, f"{check.operation}: {check.verdict}", "bad")
    write_whole(path, render(heading, [_failure(check, golden, obtained)], SIDES).encode())


def _failures(run: Run, fixtures: Path) -> Iterator[CaseView]:
    for check in run.checks:
        if check.passed:
            continue
        if not check.obtained:
            yield _told(check, _error_line(check.lines))
            continue
        try:
            golden, obtained = read_golden(golden_path(fixtures, check.case)), read_outputs(Path(check.obtained))
        except GoldenError as lost:
            yield _told(check, str(lost))
        else:
            yield _failure(check, golden, obtained)


def _failure(check: Check, golden: Golden, obtained: Arrays) -> CaseView:
    comparisons = judge(golden, obtained).comparisons
    diagnoses = [(one["outputs"], one["sentence"]) for one in check.diagnoses]
    view = CaseView(check.case, check.verdict, summary=golden.summary, diagnoses=diagnoses)
    return with_comparisons(view, golden, obtained, comparisons, SIDES, check.remarks)


def _told(check: Check, sentence: str) -> CaseView:
    """Return what is to be read of a failure that cannot be drawn."""
    return CaseView(check.case, check.verdict, sentence=sentence, summary=check.operation, text="\n".join(check.lines))


def _error_line(lines: Sequence[str]) -> str:
    """Return what pytest marks as the error in a report."""
    return next((line[1:].strip() for line in lines if line.startswith("E ")), "nothing was compared")


def _passed_row(check: Check) -> PassedRow:
    colour = "warn" if check.share > MOST_USED else "ok"
    percent = round(100 * min(check.share, 1.0), 1)
    share = _share_text(check.share)
    return PassedRow(check.case, check.verdict, colour, percent, share, check.worst)


def _json(run: Run) -> str:
    return json.dumps({"format": FORMAT, "headline": headline(run), **asdict(run)}, indent=1) + "\n"


def _plain(lines: Sequence[str]) -> str:
    """Return the lines without control characters, which a terminal or a page would obey."""
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)


def _share_text(share: float) -> str:
    return "not equal" if math.isinf(share) else f"{share:.2g}"


def _versions(run: Run) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.versions.items())
