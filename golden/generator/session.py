"""Run the generator as asked: recompute, prove what changed, ask a person, write, and report.

``golden.generate`` is its command line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from golden.generator.accept import accepted, in_terminal
from golden.generator.regenerate import Regeneration, failed
from golden.report.console import console
from golden.report.gate import weaker_unsaid
from golden.report.page import Heading, require_libraries, write_page
from golden.report.text import (
    common_causes,
    confirmation_lines,
    crossing_lines,
    difference_lines,
    differences_markdown,
    regeneration_table,
)
from golden.review.claims import Claim, claim_of_update
from golden.review.confirmations import confirmations_changed
from golden.review.difference import Change, Difference, worst_first
from golden.review.gate import weakenings
from golden.review.restated import formulas_left_behind
from golden.spec.case import Case
from golden.spec.catalogue import select
from golden.spec.errors import GoldenError
from golden.store.confirmation import counted
from golden.store.entry import entry_path, listed_cases, read_entries
from golden.store.history import today
from golden.store.update import finish_interrupted, is_under_way, lock


class Outcome(IntEnum):
    """How a run ended; the numbers are the command's exit statuses."""

    SETTLED = 0
    """Nothing moved beyond noise, or what moved was written; two references agree."""
    OPEN = 1
    """Something moved and was not written; two references do not agree."""
    FAILED = 2
    """A case could not be computed or proved."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        cases: every declared case, by name.
        fixtures: the goldens' directory.
        reference: the module that computes.
        patterns: names and glob patterns of the cases to recompute; all if empty.
        left_out: names and glob patterns of the cases to leave out.
        slow: also recompute slow cases that are not named.
        prove: also measure the noise and compute the faults again.
        redraw: draw new inputs for the named cases.
        reason: why goldens are rewritten; empty if none may be.
        weakens: what gets weaker, and why; empty if nothing does.
        yes: write all that moved without asking.
        keep_going: write what was proved even if other cases fail, and at once unless a person is asked.
        reports: files for reports of what moved.
        under: the settings to recompute under (``golden.generator.worker.VARIANTS``); empty for the frozen ones.
    """

    cases: Mapping[str, Case]
    fixtures: Path
    reference: str
    patterns: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    slow: bool = False
    prove: bool = False
    redraw: bool = False
    reason: str = ""
    weakens: str = ""
    yes: bool = False
    keep_going: bool = False
    reports: tuple[Path, ...] = ()
    under: str = ""

    @property
    def asks(self) -> bool:
        """Whether a person is asked about each change."""
        return bool(self.reason) and not self.yes and in_terminal()

    @property
    def writes_at_once(self) -> bool:
        """Whether each case is written as soon as it is proved; the next run then continues an interrupted one."""
        return self.keep_going and not self.asks

    def leaves_out(self, name: str) -> bool:
        """Tell whether a chosen case is left out because it is slow, and neither cases nor ``slow`` were given."""
        return name in self.cases and self.cases[name].slow and not (self.patterns or self.slow)


def regenerate(asked: Request) -> Outcome:
    """Recompute goldens, report what moved, and write it if there is a reason.

    Raises:
        GoldenError: the run was not possible; nothing was written.
    """
    if not (asked.fixtures.is_dir() or asked.reason):
        raise GoldenError(f"fixtures {asked.fixtures}: no such directory; --update would create it")
    for file in asked.reports:
        _require_report(file)
    with ExitStack() as held:
        if asked.reason:
            held.enter_context(lock(asked.fixtures))
        else:
            finish_interrupted(asked.fixtures)
        run = held.enter_context(Regeneration(asked.cases, asked.fixtures, asked.reference, under=asked.under))
        rows = _inspected(run, asked)
        written: list[str] = []
        if asked.reason:
            proved = _proved(run, rows, asked)
            rows = [proved.get(row.case, row) for row in rows]
            written = _accepted(rows, asked)
        remarks = run.remarks()
        found = [row for row in rows if row.moved]
        for file in asked.reports:  # before anything is written, so that a report that fails changes nothing
            WRITERS[file.suffix](file, worst_first(found), _headline(rows, asked), _claims(found, asked))
        if written and not asked.writes_at_once:
            run.write([proved[name] for name in written], asked.reason, asked.weakens)
        if written:
            entries = read_entries(asked.fixtures)
            remarks += confirmation_lines(confirmations_changed(run.entries, entries))
            remarks += weaker_unsaid(weakenings(run.entries, entries))
    _announce(rows, found, written, remarks, asked)
    if any(row.change is Change.FAILED for row in rows):
        return Outcome.FAILED
    return Outcome.OPEN if sum(row.moved for row in rows) > len(written) else Outcome.SETTLED


def cross_check(asked: Request, other: str) -> Outcome:
    """Compute the goldens' outputs with two references, and compare them within each golden's tolerance.

    Args:
        asked: the request; its reference gives the expected outputs.
        other: the module that is compared with it.

    Raises:
        GoldenError: nothing could be compared.
    """
    _require_another(asked, other)
    finish_interrupted(asked.fixtures)
    with Regeneration(asked.cases, asked.fixtures, asked.reference, other) as run:
        found = _compared(run, asked, run.cross_check)
        one, two = run.crossed() if any(row.comparisons for row in found) else ("", "")
    return _announce_crossed(found, one, two)


def confirm(asked: Request, other: str) -> Outcome:
    """Compute the goldens' outputs with another reference, and record in their entries where it agrees.

    A golden that it has already confirmed is left out, unless it is named.

    Raises:
        GoldenError: nothing could be compared; the reference is not a release that a record could name; or another
            generator is running.
    """
    _require_another(asked, other)
    with lock(asked.fixtures), Regeneration(asked.cases, asked.fixtures, other) as run:
        by, before = run.release(), dict(run.entries)
        found = _compared(run, asked, lambda name: run.confirm(name, again=bool(asked.patterns)))
        after = run.entries
    outcome = _announce_crossed(found, "the goldens", by)
    recorded = sum(after[name] != before[name] for name in after)
    click.echo(f"{recorded} record(s) changed in {asked.fixtures}; {counted(after)}")
    return outcome


def _require_another(asked: Request, other: str) -> None:
    if asked.reference == other:
        raise GoldenError(f"--cross-check {other}: that is the reference itself; name another one")
    if not asked.fixtures.is_dir():
        raise GoldenError(
            f"fixtures {asked.fixtures}: no such directory; a cross-check needs its inputs and tolerances"
        )


def _compared(run: Regeneration, asked: Request, compare: Callable[[str], Difference]) -> list[Difference]:
    """Compare every chosen case."""
    found = []
    with _progress() as track:
        for name in track("comparing", select(run.names, asked.patterns, asked.left_out)):
            if asked.leaves_out(name):
                found.append(Difference(name, Change.SKIPPED))
            else:
                with _naming(name):
                    found.append(compare(name))
    return found


def state_of(fixtures: Path) -> dict[str, bytes]:
    """Read the entries, by case: every update changes some of them."""
    return {case: entry_path(fixtures, case).read_bytes() for case in listed_cases(fixtures)}


def aftermath(fixtures: Path, before: Mapping[str, bytes]) -> str:
    """Say which state the goldens are in after a run that did not finish.

    Args:
        fixtures: the directory.
        before: its state when the run began.
    """
    if is_under_way(fixtures):
        return "the update is incomplete, and the next run finishes it"
    after = state_of(fixtures)
    moved = sum(before.get(case) != after.get(case) for case in {*before, *after})
    return f"{moved} golden(s) had already been written or recorded" if moved else "nothing was changed"


# ------------------------------------------------------------------------------------------------ computing


def _inspected(run: Regeneration, asked: Request) -> list[Difference]:
    """Recompute every chosen case, and compare it with its golden."""
    rows = []
    with _progress() as track:
        for name in track(
            "proving" if asked.prove else "recomputing", select(run.names, asked.patterns, asked.left_out)
        ):
            if asked.redraw and name in asked.cases:
                rows.append(Difference(name, Change.REDRAWN, path=asked.cases[name].operation.path))
            elif asked.leaves_out(name):
                row = run.inspect(name)
                rows.append(row if row.change else Difference(name, Change.SKIPPED))
            else:
                with _naming(name):
                    rows.append(run.check_proof(name) if asked.prove else run.check(name))
    return rows


def _proved(run: Regeneration, rows: list[Difference], asked: Request) -> dict[str, Difference]:
    """Make new goldens of what moved, by case, before a person accepts them: exactly these are then written."""
    moved = [row for row in rows if row.moved]
    if known := [row.case for row in moved if row.change not in (Change.GONE, Change.REWRITTEN)]:
        run.load(known)
    proved = {}
    with _progress() as track:
        for row in track("proving", moved):
            with _naming(row.case):
                found = proved[row.case] = _proved_one(run, row, asked.prove)
            if asked.writes_at_once and found.moved:
                run.write([found], asked.reason, asked.weakens)
    return proved


def _proved_one(run: Regeneration, row: Difference, is_proved: bool) -> Difference:
    if row.change is Change.PICTURE or (is_proved and row.after is not None):
        return row
    row = replace(row, before=row.before or run.stored(row.case), after=None)
    if row.change is Change.GONE:
        return row
    try:
        if row.change is Change.REWRITTEN:
            return replace(row, after=run.rewrite(row.case))
        return replace(row, after=run.prove(row.case, redraw=row.change is Change.REDRAWN))
    except GoldenError as problem:
        return failed(row, problem)


def _accepted(rows: list[Difference], asked: Request) -> list[str]:
    """Choose the cases to write: all that moved, or those that a person accepts.

    If a case failed, none is written unless ``keep_going``.
    """
    if any(row.change is Change.FAILED for row in rows) and not asked.keep_going:
        return []
    moved = [row for row in rows if row.moved]
    return accepted(moved) if asked.asks else [row.case for row in moved]


# ------------------------------------------------------------------------------------------------ reports


def _claims(found: Sequence[Difference], asked: Request) -> list[Claim]:
    """Return the claim of an update; nothing if no reason was given."""
    made = [one.after.provenance for one in found if one.after is not None]
    if not (asked.reason and found):
        return []
    names = tuple(one.case for one in found)
    return [claim_of_update(asked.reason, today(), made[0] if made else {}, names)]


def _write_markdown(file: Path, found: Sequence[Difference], headline: str, claims: Sequence[Claim]) -> None:
    file.write_text(differences_markdown(found, headline, claims=claims), encoding="utf-8")


def _write_html(file: Path, found: Sequence[Difference], headline: str, claims: Sequence[Claim]) -> None:
    write_page(file, found, Heading("Regenerated goldens", headline, claims=claims))


WRITERS: Mapping[str, Callable[[Path, Sequence[Difference], str, Sequence[Claim]], None]] = {
    ".md": _write_markdown,
    ".html": _write_html,
}
"""The function that writes a report, by the suffix of its file."""


def _require_report(file: Path) -> None:
    """Refuse, before anything is computed, a report that could not be written."""
    try:
        file.open("ab").close()
    except OSError as problem:
        raise GoldenError(f"--report {file}: {problem.strerror}") from problem
    if file.suffix == ".html":
        require_libraries()


# ------------------------------------------------------------------------------------------------ printing


def _headline(rows: list[Difference], asked: Request) -> str:
    computed = sum(bool(row.comparisons) for row in rows if row.change is not Change.REWRITTEN)
    moved = sum(row.moved for row in rows)
    failed = sum(row.change is Change.FAILED for row in rows)
    of = "" if computed == len(rows) else f"of {len(rows)} "
    done = f"{computed} {of}cases {'proved again' if asked.prove else 'recomputed'}"
    return f"{done}, {f'{moved} moved' if moved else 'nothing moved'}" + (f", {failed} failed" if failed else "")


def _announce(
    rows: list[Difference], found: list[Difference], written: list[str], remarks: list[str], asked: Request
) -> None:
    """Print what was found and what was done."""
    console().print(regeneration_table(rows, written))
    for one in [] if asked.asks else found:  # a person who was asked has already seen them
        click.echo("\n".join(difference_lines(one)))
    failed = [row for row in rows if row.change is Change.FAILED]
    for row in failed:
        click.echo(f"generate_golden.py: {' '.join(row.notes)}", err=True)
    behind = [] if written else formulas_left_behind(found, asked.cases)
    for line in (*common_causes(found), *behind, *remarks):
        click.echo(line)
    skipped = sum(row.change is Change.SKIPPED for row in rows)
    if skipped:
        click.echo(f"{skipped} slow case(s) not recomputed; name them or give --slow")
    for file in asked.reports:
        click.echo(f"report      {file}")
    click.echo(_headline(rows, asked))
    if written:
        click.echo(f"{len(written)} golden(s) written in {asked.fixtures}: {asked.reason}")
    left = sum(row.moved for row in rows) - len(written)
    if failed and asked.reason and not written:
        click.echo("nothing was written: leave the failed cases out (--except), or write the others (--keep-going)")
    elif left and asked.reason:
        click.echo(f"{left} golden(s) left as they were")
    elif left:
        click.echo("accept with --update --reason TEXT")


def _announce_crossed(found: list[Difference], one: str, two: str) -> Outcome:
    """Print where two references agree, and where they do not.

    Args:
        found: a difference per case.
        one: name of the expected side.
        two: name of the side that is compared with it.

    Raises:
        GoldenError: nothing was compared.
    """
    changes = Counter(row.change for row in found)
    console().print(
        regeneration_table([row for row in found if row.has_golden and row.change is not Change.CONFIRMED], ())
    )
    for line in crossing_lines(found):
        click.echo(line)
    if changes[Change.SKIPPED]:
        click.echo(f"{changes[Change.SKIPPED]} slow case(s) not compared; name them or give --slow")
    without = sum(not row.has_golden for row in found)
    if without:
        click.echo(f"{without} case(s) without a golden, or goldens without a case, left out")
    already = changes[Change.CONFIRMED]
    if already:
        click.echo(f"{already} already confirmed by {two}; name them to check them again")
    compared, apart = sum(bool(row.comparisons) for row in found), sum(not row.agrees for row in found)
    if not (compared or already):
        raise GoldenError("nothing was compared: no chosen case has a golden that both references can compute")
    if apart:
        click.echo(f"{one} (expected) and {two} (found, 'the port'): {apart} case(s) do not agree")
        return Outcome.OPEN
    click.echo(f"{one} and {two}: {compared} cases compared, all agree within tolerance")
    return Outcome.SETTLED


@contextmanager
def _progress() -> Iterator[Callable[[str, Iterable], Iterator]]:
    """Show the current item on the error stream: in a bar that disappears at the end, or line by line in a pipe."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:

        def track(verb: str, items: Iterable) -> Iterator:
            items = list(items)
            task = bar.add_task(verb, total=len(items))
            for number, item in enumerate(items, 1):
                said = f"{verb} {getattr(item, 'case', item)}"
                bar.update(task, description=said)
                if not screen.is_terminal:
                    click.echo(f"[{number}/{len(items)}] {said}", err=True)
                yield item
                bar.advance(task)

        yield track


@contextmanager
def _naming(case: str) -> Iterator[None]:
    """Add the case's name to the traceback of an unexpected exception."""
    try:
        yield
    except Exception as unforeseen:
        unforeseen.add_note(f"case {case}")
        raise
