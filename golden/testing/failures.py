"""Report the failed goldens of a run by cause: one golden in full, then a few others in one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from golden.report.run import ERROR, NO_FAULT, UNEXPLAINED, Check, by_cause, without_numbers
from golden.report.text import share_text

_ANYWHERE = 1000
_MOST_LISTED = 8
"""Further goldens with the same cause that are listed by name; pytest's last lines list all."""


class Told:
    """The text that pytest shows for a failed golden, in place of the source of the test."""

    def __init__(self, lines: Sequence[str], summary: str) -> None:
        self.lines = lines
        self.reprcrash = SimpleNamespace(message=summary)  # quoted in pytest's summary

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def toterminal(self, terminal: Any) -> None:
        """Write the lines. Called by pytest."""
        for line in self.lines:
            terminal.line(line, red=True)


@dataclass(frozen=True, eq=False)
class Failure:
    """A pytest report of a test whose golden does not agree, or that raised an exception before it compared."""

    report: Any
    check: Check

    @property
    def is_error(self) -> bool:
        """Return whether the port, or the test, raised an exception. Then its traceback is shown."""
        return not self.check.outputs

    @property
    def is_explained(self) -> bool:
        """Return whether the diagnosis explains the failure without a declared fault."""
        return UNEXPLAINED not in self.check.cause


def failure_of(report: Any) -> Failure | None:
    """Return the golden that failed in a report; None if the test failed for another reason."""
    checks = [Check(**told) for told in getattr(report, "golden_checks", [])]
    failed = [check for check in checks if not check.passed and check.lines]
    if not failed or not hasattr(report.longrepr, "reprcrash"):
        return None
    message = getattr(report.longrepr.reprcrash, "message", "")
    last = Failure(report, failed[-1])
    return last if last.is_error or message.startswith(f"AssertionError: {last.check.lines[0]}") else None


def told_by_cause(failures: Sequence[Failure], every: bool) -> list[Any]:
    """Replace the texts of the reports, and choose the reports to show.

    Args:
        failures: of the run.
        every: whether each failure is shown in full.

    Returns:
        All reports, in order; or one for each cause: the one with the fewest places to look and the fewest outputs.
        Explained failures come first.
    """
    if every:
        for one in failures:
            _tell(one)
        return [one.report for one in failures]
    groups = [sorted(alike, key=lambda one: (_places(one), len(one.check.outputs))) for alike in _groups(failures)]
    groups.sort(key=lambda alike: (alike[0].is_error, not alike[0].check.faults, _places(alike[0])))
    for first, *others in groups:
        _tell(first, others)
        for one in others:
            _tell(one)
    return [first.report for first, *_ in groups]


def _places(one: Failure) -> int:
    """Count the places in the port to look at. An unknown place counts as anywhere."""
    return len(one.check.places) or _ANYWHERE


def _groups(failures: Sequence[Failure]) -> Iterator[list[Failure]]:
    """Group by the fault, transform or exception that explains them; others by operation, not finite ones together."""
    by_check = {id(one.check): one for one in failures}
    for cause, checks in by_cause([one.check for one in failures]).items():
        alike = [by_check[id(check)] for check in checks]
        if cause == NO_FAULT:
            yield from _by(alike, _likeness)
        elif cause == ERROR:
            yield from _by(alike, lambda one: without_numbers(one.check.cause))
        else:
            yield alike


def _likeness(one: Failure) -> str:
    if _is_not_finite(one):
        return ""
    return without_numbers(one.check.cause) if one.is_explained else one.check.operation


def _is_not_finite(one: Failure) -> bool:
    return "finite" in one.check.cause


def _by(failures: Iterable[Failure], key: Callable[[Failure], str]) -> Iterable[list[Failure]]:
    found: dict[str, list[Failure]] = {}
    for one in failures:
        found.setdefault(key(one), []).append(one)
    return found.values()


def _tell(one: Failure, others: Sequence[Failure] = ()) -> None:
    """Replace the text of a report by what is wrong, and list other goldens with the same cause."""
    if not one.is_error:
        lines = [*one.check.lines, *([_heading(one, others), *_in_short(others)] if others else [])]
        one.report.longrepr = Told([f"E   {line}" for line in lines], one.check.cause)
    elif others and hasattr(one.report.longrepr, "addsection"):
        one.report.longrepr.addsection(_heading(one, others), "\n".join(_in_short(others)))


def _heading(one: Failure, others: Sequence[Failure]) -> str:
    count = "1 more golden fails" if len(others) == 1 else f"{len(others)} more goldens fail"
    if one.check.faults or one.is_error:
        why = " for the same reason"
    elif _is_not_finite(one):
        why = " because values are not finite"
    else:
        why = " in the same way" if one.is_explained else ", unexplained by any known fault"
    return f"{count}{why}; -v shows all:"


def _in_short(others: Sequence[Failure]) -> Iterator[str]:
    for one in others[:_MOST_LISTED]:
        way = f" ({one.check.way})" if one.check.way else ""
        yield f"  {one.check.case}{way}{'' if one.is_error else _worst(one.check)}"
    if others[_MOST_LISTED:]:
        yield f"  and {len(others) - _MOST_LISTED} more"


def _worst(check: Check) -> str:
    return f": {check.worst!r}, {check.outputs[check.worst].get('reason') or share_text(check.share)}"
