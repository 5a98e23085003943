"""Tell the failed goldens of a run by their causes: one of each in full, the others in a line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from golden.report.run import NO_FAULT, Check, by_cause
from golden.report.text import share_text


class Told:
    """What pytest shows of a failed golden instead of the source of the test."""

    def __init__(self, lines: Sequence[str], summary: str) -> None:
        self.lines = lines
        self.reprcrash = SimpleNamespace(message=summary)  # pytest's last lines quote it

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def toterminal(self, terminal: Any) -> None:
        """Write the lines; pytest calls it."""
        for line in self.lines:
            terminal.line(line, red=True)


@dataclass(frozen=True, eq=False)
class Failure:
    """A failure is a pytest report of a test that failed because of what it compared."""

    report: Any
    check: Check


def failure_of(report: Any) -> Failure | None:
    """Find in a report the comparison that failed; None where the test failed for another reason."""
    checks = [Check(**told) for told in getattr(report, "golden_checks", [])]
    failed = [check for check in checks if not check.passed and check.outputs and check.lines]
    message = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
    return (
        Failure(report, failed[-1]) if failed and message.startswith(f"AssertionError: {failed[-1].lines[0]}") else None
    )


def told_by_cause(failures: Sequence[Failure], every: bool) -> list[Any]:
    """Let the reports say what a person should read.

    Args:
        failures: of the run.
        every: whether each is told in full.

    Returns:
        The reports to show: all in their order; or one of each cause, explained ones and the most frequent cause first.
    """
    for one in failures:
        _tell(one, one.check.lines)
    if every:
        return [one.report for one in failures]
    shown = []
    for first, *others in _groups(failures):
        _tell(first, [*first.check.lines, *_in_short(others)])
        shown.append(first.report)
    return shown


def _tell(one: Failure, lines: Iterable[str]) -> None:
    one.report.longrepr = Told([f"E   {line}" for line in lines], one.check.cause)


def _groups(failures: Sequence[Failure]) -> Iterator[list[Failure]]:
    """Group by the fault that explains them; what no fault explains, by the operation."""
    by_check = {id(one.check): one for one in failures}
    for cause, checks in by_cause([one.check for one in failures]).items():
        alike = [by_check[id(check)] for check in checks]
        if cause == NO_FAULT:
            yield from _by_operation(alike)
        else:
            yield alike


def _by_operation(failures: Iterable[Failure]) -> Iterable[list[Failure]]:
    found: dict[str, list[Failure]] = {}
    for one in failures:
        found.setdefault(one.check.operation, []).append(one)
    return found.values()


def _in_short(others: Sequence[Failure]) -> Iterator[str]:
    if others:
        why = "for the same reason" if others[0].check.faults else "and no known fault explains it"
        count = "1 more golden fails" if len(others) == 1 else f"{len(others)} more goldens fail"
        yield f"{count} {why}; -v tells all:"
    for one in others:
        way = f" ({one.check.way})" if one.check.way else ""
        yield f"  {one.check.case}{way}: {one.check.worst!r}, {share_text(one.check.share)}"
