"""Print the result of a check in a terminal: a table by operation, with the cause of each difference in one line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from golden.report.run import AGREES, DIFFERS, KNOWN, OperationRow, Run, by_operation, headline, remarks

_COLUMNS = (AGREES, DIFFERS, KNOWN)


def conformance(run: Run, verbose: bool) -> Iterator[str | Table]:
    """Yield the parts of the result, for Rich to print one below the other.

    Args:
        run: the result.
        verbose: whether the details of each golden that differs follow the table.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("operation", overflow="fold")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    table.add_column("cause", overflow="fold")
    for row in by_operation(run):
        _add(table, row)
    yield table
    yield ""
    if verbose:
        for check in run.checks:
            if check.lines:
                yield escape("\n".join([f"[{check.label}]", *check.lines, ""]))
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    yield escape(f"{run.subject}: {headline(run)}")
    for remark in remarks(run):
        yield escape(remark)
    yield escape(f"with {versions}")
    if not verbose and any(check.lines and not check.passed for check in run.checks):
        yield "add -v for details, or --report FILE.html for a page with pictures"


def _add(table: Table, row: OperationRow) -> None:
    """Add an operation: its first cause in the same row, further causes in rows below."""
    numbers = [str(row.counts.get(name) or "") for name in _COLUMNS]
    colour = "red" if row.counts.get(DIFFERS) else "" if row.counts.get(AGREES) else "yellow"
    first, *others = row.causes or [""]
    table.add_row(f"[{colour}]{row.label}[/]" if colour else row.label, *numbers, escape(first))
    for cause in others:
        table.add_row("", "", "", "", escape(cause))
