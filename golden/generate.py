"""The generator's command: recompute the goldens, say what moved, and, when told to, write it down."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from golden.generator.accept import accepted
from golden.generator.regenerate import Regeneration
from golden.report.page import page, write_page
from golden.report.text import (
    case_list,
    common_causes,
    crossing_lines,
    difference_lines,
    differences_markdown,
    regeneration_table,
)
from golden.review.difference import Change, Difference
from golden.spec.case import Case
from golden.spec.catalogue import load_cases, select
from golden.spec.errors import GoldenError
from golden.spec.references import module_of
from golden.store.entry import NAME
from golden.store.transaction import is_committed, lock

FIXTURES = Path(__file__).resolve().parent / "fixtures"
CONTENT = "golden.ptychopinn"
"""The cases that are bundled, and the references that they name."""
NOTHING_MOVED, SOMETHING_MOVED, COULD_NOT_RUN = 0, 1, 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("patterns", metavar="[CASE]...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="List the cases and leave.")
@click.option("--check", is_flag=True, help="Recompute and compare, write nothing. This is also the default.")
@click.option("--prove", is_flag=True, help="Measure the noise and commit the faults again too; takes longer.")
@click.option("--update", is_flag=True, help="Rewrite the goldens that moved. Needs --reason.")
@click.option("--redraw", is_flag=True, help="With --update and CASE: draw new inputs for these cases.")
@click.option("--reason", metavar="TEXT", help="Why the goldens may change; kept in the manifest's history.")
@click.option("--yes", is_flag=True, help="In a terminal: write all that moved, without asking about each case.")
@click.option(
    "--report",
    "reports",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    multiple=True,
    help="Write down what moved: .md for a job summary, .html with pictures. May be repeated.",
)
@click.option("--slow", is_flag=True, help="Recompute slow cases too, not only those named.")
@click.option(
    "--fixtures",
    type=click.Path(path_type=Path, file_okay=False),
    default=FIXTURES,
    metavar="DIR",
    help="The goldens' directory.  [default: golden/fixtures]",
)
@click.option(
    "--cases",
    "cases_module",
    default=CONTENT,
    metavar="MODULE",
    show_default=True,
    help="Where cases are declared.",
)
@click.option(
    "--reference",
    default="tensorflow",
    metavar="NAME",
    show_default=True,
    help="What computes: a module, or a name that the cases declare. Bundled: 'tensorflow', our reading of PtychoPINN; "
    "'ptycho', PtychoPINN's own package, which must be installed.",
)
@click.option(
    "--cross-check",
    "other",
    metavar="NAME",
    help="Let this reference compute too and compare the two within each golden's tolerance; write nothing.",
)
def main(
    patterns: tuple[str, ...],
    listing: bool,
    check: bool,
    prove: bool,
    update: bool,
    redraw: bool,
    reason: str | None,
    yes: bool,
    reports: tuple[Path, ...],
    slow: bool,
    fixtures: Path,
    cases_module: str,
    reference: str,
    other: str | None,
) -> None:
    """Recompute the goldens with TensorFlow from their stored inputs and say what moved.

    CASE is a case's name or a glob pattern ('probe/*'); all cases when there is none. Without --update nothing is
    written; with it, in a terminal, each change is shown and asked about. Differences are given in units of the
    tolerance.

    \b
    Exit status: 0  nothing moved beyond noise (with --update: written; with --cross-check: both agree within tolerance)
                 1  something moved, is new, or is gone, and was not written (with --cross-check: they do not agree)
                 2  could not run
    """  # noqa: D301 - click's mark for a paragraph to be left as it is
    strange = [file for file in reports if file.suffix not in WRITERS]
    for wrong, message in (
        (update and check, "--check writes nothing and --update writes; give one of them"),
        (update and not (reason or "").strip(), "--update needs --reason TEXT: say why the goldens may change"),
        (reason and not update, "--reason goes with --update"),
        (yes and not update, "--yes goes with --update"),
        (redraw and not (update and patterns), "--redraw goes with --update and names its cases"),
        (
            other and (update or prove or redraw or reports),
            "--cross-check writes nothing and proves nothing; give it without --update, --prove and --report",
        ),
        (strange, f"--report {' '.join(map(str, strange))}: expected a file that ends in {' or '.join(WRITERS)}"),
    ):
        if wrong:
            raise click.UsageError(message)
    before = _state(fixtures)
    try:
        if listing:
            cases = _declared(cases_module)
            _console().print(case_list([cases[name] for name in select(cases, patterns)]))
            status = NOTHING_MOVED
        elif other:
            status = _cross_check(patterns, slow, fixtures, cases_module, reference, other)
        else:
            asked = _Asked(patterns, prove, redraw, reason or "", yes, reports, slow, fixtures)
            status = _run(asked, cases_module, reference)
    except GoldenError as problem:
        _fail(str(problem))
    except OSError as problem:
        _fail(f"{problem}; {_became_of(fixtures, before)}")
    except (KeyboardInterrupt, click.Abort):
        _fail(f"interrupted; {_became_of(fixtures, before)}")
    except Exception:  # exit status 1 would say that something moved
        traceback.print_exc()
        _fail(f"this is a fault of the generator, or of a case; {_became_of(fixtures, before)}")
    sys.exit(status)


def _state(fixtures: Path) -> bytes:
    """What changes with every update: the manifest."""
    with suppress(OSError):
        return (fixtures / NAME).read_bytes()
    return b""


def _became_of(fixtures: Path, before: bytes) -> str:
    if is_committed(fixtures):
        return "the update is committed, the next command finishes it"
    return "nothing was changed" if _state(fixtures) == before else "the goldens were written before"


def _fail(message: str) -> None:
    click.echo(f"generate_golden.py: {message}", err=True)
    sys.exit(COULD_NOT_RUN)


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for, but for where cases and reference come from."""

    patterns: tuple[str, ...]
    prove: bool
    redraw: bool
    reason: str
    yes: bool
    reports: tuple[Path, ...]
    slow: bool
    fixtures: Path


def _run(asked: _Asked, cases_module: str, reference: str) -> int:
    cases = _declared(cases_module)
    if not (asked.fixtures.is_dir() or asked.reason):
        raise GoldenError(f"fixtures {asked.fixtures}: no such directory; --update would make it")
    for file in asked.reports:
        _require_report(file)
    with ExitStack() as held:
        if asked.reason:
            held.enter_context(lock(asked.fixtures))
        run = held.enter_context(Regeneration(cases, asked.fixtures, module_of(reference, cases_module, CONTENT)))
        rows = _inspected(run, cases, asked)
        written: list[str] = []
        if asked.reason:
            proved = _proved(run, rows, asked)
            rows = [proved.get(row.case, row) for row in rows]
            written = _accepted(rows, asked)
        remarks = run.remarks()
        found = [row for row in rows if row.moved]
        for file in asked.reports:  # before anything is written, so that a report that fails changes nothing
            WRITERS[file.suffix](file, found, _headline(rows, asked))
        if written:
            run.write([proved[name] for name in written], asked.reason)
    _say(rows, found, written, remarks, asked)
    return _status(rows, written)


def _status(rows: list[Difference], written: list[str]) -> int:
    if any(row.change is Change.FAILED for row in rows):
        return COULD_NOT_RUN
    return SOMETHING_MOVED if sum(row.moved for row in rows) > len(written) else NOTHING_MOVED


def _require_report(file: Path) -> None:
    """Refuse, before anything is computed, a report that could not be written."""
    try:
        file.open("ab").close()
    except OSError as problem:
        raise GoldenError(f"--report {file}: {problem.strerror}") from problem
    if file.suffix == ".html":
        page([], "", "")


def _inspected(run: Regeneration, cases: Mapping[str, Case], asked: _Asked) -> list[Difference]:
    """What became of every chosen case."""
    rows = []
    with _progress() as track:
        for name in track("proving" if asked.prove else "recomputing", select(run.names, asked.patterns)):
            if asked.redraw and name in cases:
                rows.append(Difference(name, Change.REDRAWN, path=cases[name].operation.path))
            elif name in cases and cases[name].slow and not (asked.patterns or asked.slow):
                row = run.inspect(name)
                rows.append(row if row.change else Difference(name, Change.SKIPPED))
            else:
                rows.append(run.check_proof(name) if asked.prove else run.check(name))
    return rows


def _proved(run: Regeneration, rows: list[Difference], asked: _Asked) -> dict[str, Difference]:
    """What moved, by case, with goldens that may be written: what a person accepts is what is then written."""
    moved = [row for row in rows if row.moved]
    if any(row.change is not Change.GONE for row in moved):
        run.load()
    proved = {}
    with _progress() as track:
        for row in track("proving", moved):
            proved[row.case] = _proved_one(run, row, asked)
    return proved


def _proved_one(run: Regeneration, row: Difference, asked: _Asked) -> Difference:
    if row.change is Change.PICTURE or (asked.prove and row.after is not None):
        return row
    row = replace(row, before=row.before or run.stored(row.case), after=None)
    if row.change is Change.GONE:
        return row
    try:
        return replace(row, after=run.prove(row.case, redraw=row.change is Change.REDRAWN))
    except GoldenError as problem:
        return replace(row, change=Change.FAILED, notes=(str(problem),))


def _accepted(rows: list[Difference], asked: _Asked) -> list[str]:
    """The cases to write: all that moved, or those that a person says yes to; none when one of them failed."""
    if any(row.change is Change.FAILED for row in rows):
        return []
    moved = [row for row in rows if row.moved]
    return accepted(moved, _show) if _asks(asked) else [row.case for row in moved]


def _asks(asked: _Asked) -> bool:
    return bool(asked.reason) and not asked.yes and _in_terminal()


def _in_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _show(one: Difference) -> None:
    """The pictures of a change, as a page."""
    file = Path(tempfile.mkdtemp(prefix="golden-review-")) / f"{one.case.replace('/', '-')}.html"
    try:
        write_page(file, [one], "a change to accept", one.case)
    except GoldenError as problem:
        click.echo(problem, err=True)
    else:
        click.echo(f"  {file.as_uri()}", err=True)


def _headline(rows: list[Difference], asked: _Asked) -> str:
    computed, moved = sum(bool(row.comparisons) for row in rows), sum(row.moved for row in rows)
    failed = sum(row.change is Change.FAILED for row in rows)
    of = "" if computed == len(rows) else f"of {len(rows)} "
    done = f"{computed} {of}cases {'proved again' if asked.prove else 'recomputed'}"
    return f"{done}, {f'{moved} moved' if moved else 'nothing moved'}" + (f", {failed} failed" if failed else "")


def _say(
    rows: list[Difference], found: list[Difference], written: list[str], remarks: list[str], asked: _Asked
) -> None:
    """Print what was found and what was done."""
    _console().print(regeneration_table(rows, written))
    for one in [] if _asks(asked) else found:  # who was asked has seen them
        click.echo("\n".join(difference_lines(one)))
    failed = [row for row in rows if row.change is Change.FAILED]
    for row in failed:
        click.echo(f"generate_golden.py: {' '.join(row.notes)}", err=True)
    for line in (*common_causes(found), *remarks):
        click.echo(line)
    skipped = sum(row.change is Change.SKIPPED for row in rows)
    if skipped:
        click.echo(f"{skipped} slow case(s) not recomputed; name them or give --slow")
    for file in asked.reports:
        click.echo(f"report      {file}")
    click.echo(_headline(rows, asked))
    if written:
        click.echo(f"{len(written)} golden(s) and {asked.fixtures / NAME} written: {asked.reason}")
    left = sum(row.moved for row in rows) - len(written)
    if failed and asked.reason:
        click.echo("nothing was written: choose other cases, or see to those that failed")
    elif left and asked.reason:
        click.echo(f"{left} golden(s) left as they were")
    elif left:
        click.echo("accept with --update --reason TEXT")


def _write_markdown(file: Path, found: Sequence[Difference], headline: str) -> None:
    file.write_text(differences_markdown(found, headline), encoding="utf-8")


def _write_html(file: Path, found: Sequence[Difference], headline: str) -> None:
    write_page(file, found, headline, "Regenerated goldens")


WRITERS: Mapping[str, Callable[[Path, Sequence[Difference], str], None]] = {
    ".md": _write_markdown,
    ".html": _write_html,
}
"""What writes a report, by the ending of its file."""


def _declared(cases_module: str) -> dict[str, Case]:
    sys.path.append(str(Path.cwd()))  # last: --cases and --reference find the project at hand, and shadow nothing
    return load_cases(cases_module)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 132, highlight=False)


def _cross_check(
    patterns: tuple[str, ...], slow: bool, fixtures: Path, cases_module: str, reference: str, other: str
) -> int:
    cases = _declared(cases_module)
    modules = [module_of(name, cases_module, CONTENT) for name in (reference, other)]
    if modules[0] == modules[1]:
        raise GoldenError(f"--cross-check {other}: that is the reference itself; name another one")
    if not fixtures.is_dir():
        raise GoldenError(f"fixtures {fixtures}: no such directory; a cross-check takes inputs and tolerances from it")
    with Regeneration(cases, fixtures, *modules) as run, _progress() as track:
        found = []
        for name in track("comparing", select(run.names, patterns)):
            if name in cases and cases[name].slow and not (patterns or slow):
                found.append(Difference(name, Change.SKIPPED))
            else:
                found.append(run.cross_check(name))
        compared = [one for one in found if one.comparisons]
        one, two = run.crossed() if compared else ("", "")
    _say_crossed(found)
    if not compared:
        raise GoldenError("nothing was compared: no chosen case has a golden, or none can be expressed")
    apart = sum(not one.agrees for one in found)
    if apart:
        click.echo(f"{one} (expected) and {two} (found, 'the port'): {apart} case(s) do not agree")
        return SOMETHING_MOVED
    click.echo(f"{one} and {two}: {len(compared)} cases compared, all agree within tolerance")
    return NOTHING_MOVED


def _say_crossed(found: list[Difference]) -> None:
    changes = [one.change for one in found]
    _console().print(regeneration_table([one for one in found if one.has_golden], ()))
    for line in crossing_lines(found):
        click.echo(line)
    if Change.SKIPPED in changes:
        click.echo(f"{changes.count(Change.SKIPPED)} slow case(s) not compared; name them or give --slow")
    without = sum(not one.has_golden for one in found)
    if without:
        click.echo(f"{without} case(s) without a golden, or goldens without a case, left out")


@contextmanager
def _progress() -> Iterator[Callable[[str, Iterable], Iterator]]:
    """A bar on the error stream, shown only in a terminal, gone when done."""
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:

        def track(verb: str, items: Iterable) -> Iterator:
            items = list(items)
            task = bar.add_task(verb, total=len(items))
            for item in items:
                bar.update(task, description=f"{verb} {getattr(item, 'case', item)}")
                yield item
                bar.advance(task)

        yield track
