"""A test run as a file: Markdown for a CI job summary, JSON for programs, HTML with its pictures for people.

The file's ending chooses. Nothing numeric is decided here: verdicts and shares come from the comparison.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from golden.review.margins import MOST_USED
from golden.spec.errors import GoldenError

FORMAT = "ptycho-golden run 1"
ENDINGS = (".md", ".json", ".html")
_NAMED = 5
PASSED = ("identical", "within noise", "within tolerance")


@dataclass(frozen=True)
class Check:
    """One comparison of a port with a golden, in types that JSON knows.

    Attributes:
        case, operation: which.
        outputs: name -> {"verdict": label, "share": of the tolerance, or None when no number can say it}. Empty when
            the port, or the golden, broke before anything was compared.
        lines: the explanation of a failure; empty when it passed.
        faults: declared faults, each of which explains the whole failure.
        picture: file with expected, found and difference, or an empty text.
    """

    case: str
    operation: str
    outputs: Mapping[str, Mapping[str, Any]]
    lines: Sequence[str] = ()
    faults: Sequence[str] = ()
    picture: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.outputs) and all(output["verdict"] in PASSED for output in self.outputs.values())

    @property
    def worst(self) -> str:
        """The output that uses most of its tolerance; an empty text when nothing was compared."""
        return max(sorted(self.outputs), key=lambda name: _share(self.outputs[name]), default="")

    @property
    def share(self) -> float:
        return _share(self.outputs[self.worst]) if self.outputs else math.inf

    @property
    def verdict(self) -> str:
        return str(self.outputs[self.worst]["verdict"]) if self.outputs else "error"


@dataclass(frozen=True)
class Run:
    """What a test run found out about the goldens.

    Attributes:
        checks: every comparison.
        problems: why the run is not complete.
        slow: tests of slow goldens that were not run.
        narrowed: not all parity tests were collected.
        versions: of what took part.
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
        """Nothing failed, nothing is missing, and something was compared."""
        sound = self.status == "ok" and not self.problems
        return sound and bool(self.checks) and all(check.passed for check in self.checks)


def _share(output: Mapping[str, Any]) -> float:
    return math.inf if output["share"] is None else float(output["share"])


def require_ending(path: Path) -> None:
    """Refuse a file that is none of the three kinds.

    Raises:
        GoldenError: it ends in something else, or is a directory.
    """
    if path.suffix not in ENDINGS:
        raise GoldenError(f"--golden-report {path}: expected a file that ends in {', '.join(ENDINGS)}")
    if path.is_dir():
        raise GoldenError(f"--golden-report {path}: is a directory")


def write_run(path: Path, run: Run) -> None:
    """Write the report; a reader never sees half of it."""
    text = {".md": markdown, ".json": _json, ".html": html}[path.suffix](run)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def read_shares(path: Path) -> dict[str, float]:
    """Case -> largest share of its tolerance, from a JSON report.

    Raises:
        GoldenError: it is not one.
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
    """The run in one sentence."""
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
    """Which fault explains how many of the failures: the one that explains most, then the rest likewise."""
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
    """What else must be known of a run: how it ended, what it left out, what is wrong with it."""
    ended = [] if run.status in ("ok", "tests failed") else [f"pytest ended with: {run.status}"]
    narrowed = ["a narrowed run: it was not checked that every case is claimed"] if run.narrowed else []
    return [*ended, *causes(run), *run.problems, *narrowed, *(f"slow, not run: {name}" for name in run.slow)]


def markdown(run: Run) -> str:
    """For a CI job summary."""
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


def html(run: Run) -> str:
    """A page that needs no other file."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only this kind of report needs it

    environment = Environment(loader=PackageLoader("golden.report"), autoescape=True, undefined=StrictUndefined)
    checks = [_shown(check) for check in sorted(run.checks, key=lambda check: check.case)]
    return environment.get_template("run.html").render(
        title="Goldens",
        headline=headline(run),
        versions=_versions(run),
        remarks=remarks(run),
        green=run.green,
        checks=checks,
        failed=[check for check in checks if check["lines"]],
    )


def _json(run: Run) -> str:
    return json.dumps({"format": FORMAT, "headline": headline(run), **asdict(run)}, indent=1) + "\n"


def _shown(check: Check) -> dict[str, Any]:
    colour = "bad" if not check.passed else "warn" if check.share > MOST_USED else "ok"
    return {
        "case": check.case,
        "operation": check.operation,
        "verdict": check.verdict,
        "worst": check.worst,
        "share_text": _share_text(check.share),
        "percent": round(100 * min(check.share, 1.0), 1),
        "colour": colour,
        "lines": _plain(check.lines),
        "image": _image(check.picture),
    }


def _image(picture: str) -> str:
    try:
        return base64.b64encode(Path(picture).read_bytes()).decode() if picture else ""
    except OSError:
        return ""  # pytest keeps the directories of the last three runs only


def _plain(lines: Sequence[str]) -> str:
    """Without control characters, which a terminal or a page would obey."""
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)


def _share_text(share: float) -> str:
    return "not equal" if math.isinf(share) else f"{share:.2g}"


def _versions(run: Run) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.versions.items())
