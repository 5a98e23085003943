"""Recompute the goldens with the reference, say what moved, and, when told to, write it down.

The reference is imported in other processes only (``golden.worker``), and only once a case has to be computed.
"""

from __future__ import annotations

import datetime
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from golden import gallery
from golden.adapters import described, module_of
from golden.case import Arrays, Case, GoldenError
from golden.cases import load_cases, select
from golden.change import Change, Row
from golden.compare import Verdict, compare_outputs
from golden.cross_check import Crossing, cross
from golden.manifest import NAME, Entry, make_entry, read_manifest, read_page, stored_cases, write_manifest
from golden.margins import proof_moved
from golden.report import case_list, crossing_lines, explain, regeneration_table, shortened
from golden.store import Golden, golden_path, read_golden, write_golden
from golden.transaction import is_committed, lock, transaction
from golden.worker import FROZEN, VARIANTS, Reference

FIXTURES = Path(__file__).resolve().parent / "fixtures"
NOTHING_MOVED, SOMETHING_MOVED, COULD_NOT_RUN = 0, 1, 2


class Regeneration:
    """One run of the generator over a fixtures directory. Use it in a ``with`` statement.

    Args:
        cases: every declared case.
        fixtures: the directory.
        reference: the package that computes, or the name of an adapter.
        other: the one that ``cross_check`` compares it with.
    """

    def __init__(self, cases: Mapping[str, Case], fixtures: Path, reference: str, other: str = "") -> None:
        self._cases = cases
        self._fixtures = fixtures
        self._reference = module_of(reference)
        self._against = module_of(other)
        self._processes = ExitStack()
        self._computed: set[str] = set()

    def __enter__(self) -> Regeneration:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._processes.__exit__(*exc_info)  # type: ignore[arg-type]

    def _start(self, module: str, settings: Mapping[str, str]) -> Reference:
        return self._processes.enter_context(Reference(module, settings))

    def _load(self, module: str) -> Reference:
        reference = self._start(module, FROZEN)
        reference.provenance()  # waits until it is loaded, so that no case is charged with that
        return reference

    @cached_property
    def _asked(self) -> Reference:
        return self._load(self._reference)

    @cached_property
    def _other(self) -> Reference:
        return self._load(self._against)

    @cached_property
    def _behind(self) -> Reference:
        """What noise and faults come from, and the outputs that the reference has no call for; mostly it itself."""
        module = self._asked.behind()
        return self._load(module) if module else self._asked

    @cached_property
    def _varied(self) -> dict[str, Reference]:
        return {name: self._start(self._behind.module, settings) for name, settings in VARIANTS.items()}

    def _answering(self, case: Case) -> Reference:
        """Whose outputs this case's golden holds."""
        self._computed.add(case.name)
        return self._behind if self._asked.missing(case.operation) else self._asked

    @cached_property
    def _manifest(self) -> dict[str, Entry]:
        return read_manifest(self._fixtures)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every case that is declared, stored, or listed in the manifest."""
        return frozenset(self._cases) | stored_cases(self._fixtures) | frozenset(self._manifest)

    def inspect(self, name: str) -> Row:
        """What can be said without computing: a row with a change, or one without."""
        if name not in self._cases:
            return Row(name, Change.GONE)
        if name not in stored_cases(self._fixtures):
            return Row(name, Change.NEW)
        case = self._cases[name]
        try:
            golden = read_golden(golden_path(self._fixtures, name))
            if set(golden.inputs) | set(golden.derived) != set(case.operation.inputs):
                return Row(name, Change.REDEFINED)
            inputs = golden.complete_inputs(case)
        except GoldenError as problem:
            return Row(name, Change.UNREADABLE, note=str(problem))
        if case.definition_digest(inputs) != golden.definition:
            return Row(name, Change.REDEFINED)
        if self._manifest.get(name, {}).get("content") != golden.content_digest():
            return Row(name, Change.UNLISTED)
        return Row(name)

    def check(self, name: str) -> Row:
        """Recompute one golden from its stored inputs and compare."""
        row = self.inspect(name)
        if row.change is not None:
            return row
        case, golden = self._cases[name], read_golden(golden_path(self._fixtures, name))
        inputs = golden.complete_inputs(case)
        reference = self._answering(case)
        started = time.perf_counter()
        outputs = reference.evaluate(case.operation, inputs, case.parameters)
        comparisons = compare_outputs(golden.outputs, outputs, golden.tolerances, golden.where)
        return Row(name, None, tuple(comparisons), time.perf_counter() - started)

    def cross_check(self, name: str) -> Crossing:
        """Let both references compute one golden's outputs anew, and compare these within the golden's tolerance."""
        row = self.inspect(name)
        if row.change is not None:
            return Crossing(row)
        case, golden = self._cases[name], read_golden(golden_path(self._fixtures, name))
        references = (self._asked, self._other)
        for reference in references:
            if missing := reference.missing(case.operation):
                asked = described(reference.provenance())
                said = f"{asked} cannot answer {case.operation.name} ({missing}); not compared"
                return Crossing(Row(name, Change.UNANSWERED), unanswered=said)
        inputs = golden.complete_inputs(case)
        started = time.perf_counter()
        expected, found = (reference.evaluate(case.operation, inputs, case.parameters) for reference in references)
        return cross(golden, expected, found, time.perf_counter() - started)

    def crossed(self) -> tuple[str, str]:
        """The two references of a cross-check, for a person."""
        return described(self._asked.provenance()), described(self._other.provenance())

    def check_proof(self, name: str) -> Row:
        """Prove a golden again, from its stored inputs, and compare outputs, noise and faults."""
        row = self.inspect(name)
        if row.change is not None:
            return row
        before = read_golden(golden_path(self._fixtures, name))
        started = time.perf_counter()
        after = self.prove(name)
        comparisons = tuple(compare_outputs(before.outputs, after.outputs, before.tolerances, before.where))
        row = Row(name, None, comparisons, time.perf_counter() - started)
        moved = proof_moved(before, after)
        if moved and not row.moved:
            return Row(name, Change.REPROVED, comparisons, row.seconds, f"golden {name}: {moved}")
        return row

    def prove(self, name: str, redraw: bool = False) -> Golden:
        """Make a golden: freeze the outputs, measure the noise, refuse what proves nothing.

        Args:
            name: a declared case.
            redraw: draw new inputs although the golden has some.
        """
        from golden.freeze import freeze  # SciPy's optimiser; not needed to check

        case = self._cases[name]
        draw, stored = self._stored_inputs(case, redraw)
        golden = freeze(case, draw, stored, self._answering(case), self._behind, self._varied)
        missing = self._asked.missing(case.operation)
        if missing:
            instead = f"{described(self._asked.provenance())}: {missing}"
            golden = replace(golden, provenance={**golden.provenance, "instead_of": instead})
        return golden

    def remarks(self) -> list[str]:
        """Of the cases computed in this run: who answered, where that is not who was asked or not who did before."""
        told: dict[str, list[str]] = {}
        for name in sorted(self._computed):
            case = self._cases[name]
            answered = described(self._answering(case).provenance())
            missing = self._asked.missing(case.operation)
            if missing:
                asked = described(self._asked.provenance())
                said = f"{asked} cannot answer {case.operation.name} ({missing}); {answered} did"
                told.setdefault(said, []).append(name)
            entry = self._manifest.get(name)
            before = described(entry.get("provenance", {})) if entry else answered
            if before != answered:
                told.setdefault(f"made with {before}, recomputed with {answered}", []).append(name)
        return [f"{said}: {shortened(names)}" for said, names in told.items()]

    def _stored_inputs(self, case: Case, redraw: bool) -> tuple[int, Arrays]:
        if redraw:
            # Either the file or the history may be lost; no earlier draw must come again.
            number = len(self._manifest.get(case.name, {}).get("history", []))
            with suppress(GoldenError):
                number = max(number, read_golden(golden_path(self._fixtures, case.name)).draw + 1)
            return number, case.draw_inputs(number)
        if case.name not in stored_cases(self._fixtures):
            return 0, case.draw_inputs(0)
        golden = read_golden(golden_path(self._fixtures, case.name))
        wanted = set(case.operation.inputs)
        if set(golden.inputs) | set(golden.derived) != wanted:
            raise GoldenError(
                f"case {case.name}: its golden stores the inputs {sorted(golden.inputs)}, the operation now takes "
                f"{sorted(wanted)}; draw them anew with --redraw"
            )
        return golden.draw, golden.inputs

    def update(self, rows: Iterable[Row], reason: str, progress: Callable[[Iterable[Row]], Iterator[Row]]) -> None:
        """Write what moved, all of it or none of it."""
        entries = dict(self._manifest)
        with transaction(self._fixtures) as change:
            for row in progress(list(rows)):
                if row.change is Change.GONE:
                    gone = entries.pop(row.case, {})
                    change.remove(f"{row.case}.h5")
                    if gone.get("picture"):
                        change.remove(f"{row.case}.png")
                    continue
                golden = self.prove(row.case, redraw=row.change is Change.REDRAWN)
                staged = change.path_for(f"{row.case}.h5")
                write_golden(staged, golden)
                if read_golden(staged).content_digest() != golden.content_digest():
                    raise GoldenError(f"case {row.case}: what was written does not read back the same")
                before = entries.get(row.case)
                picture = gallery.renew(golden, (before or {}).get("picture", {}), self._fixtures, change)
                entries[row.case] = make_entry(golden, _history(before, golden, reason), picture)
            write_manifest(change.path_for(NAME), entries)
            page = gallery.page(entries)
            if page != read_page(self._fixtures):
                change.path_for(gallery.PAGE).write_text(page, encoding="utf-8")


def _history(entry: Entry | None, golden: Golden, reason: str) -> list[Entry]:
    before = entry["content"][:16] if entry else None
    versions = golden.provenance
    event = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "reason": reason,
        "reference": described(versions),
        "tensorflow": versions.get("tensorflow", "-"),
        "before": before,
        "after": golden.content_digest()[:16],
    }
    return [*(entry["history"] if entry else []), event]


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


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("patterns", metavar="[CASE]...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="List the cases and leave.")
@click.option("--check", is_flag=True, help="Recompute and compare, write nothing. This is also the default.")
@click.option("--prove", is_flag=True, help="Measure the noise and commit the faults again too; takes longer.")
@click.option("--update", is_flag=True, help="Rewrite the goldens that moved. Needs --reason.")
@click.option("--redraw", is_flag=True, help="With --update and CASE: draw new inputs for these cases.")
@click.option("--reason", metavar="TEXT", help="Why the goldens may change; kept in the manifest's history.")
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
    default="golden.cases",
    metavar="MODULE",
    show_default=True,
    help="Where cases are declared.",
)
@click.option(
    "--reference",
    default="golden.reference",
    metavar="NAME",
    show_default=True,
    help="The package that computes: a module, or 'ptycho', the TensorFlow package of that name that is installed.",
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
    slow: bool,
    fixtures: Path,
    cases_module: str,
    reference: str,
    other: str | None,
) -> None:
    """Recompute the goldens with TensorFlow from their stored inputs and say what moved.

    CASE is a case's name or a glob pattern ('probe/*'); all cases when there is none. Without --update nothing is
    written. Differences are given in units of the tolerance.

    \b
    Exit status: 0  nothing moved beyond noise (with --update: written; with --cross-check: both agree within tolerance)
                 1  something moved, is new, or is gone (with --cross-check: they do not agree)
                 2  could not run
    """  # noqa: D301 - click's mark for a paragraph to be left as it is
    if update and check:
        raise click.UsageError("--check writes nothing and --update writes; give one of them")
    if update and not (reason or "").strip():
        raise click.UsageError("--update needs --reason TEXT: say why the goldens may change")
    if reason and not update:
        raise click.UsageError("--reason goes with --update")
    if redraw and not (update and patterns):
        raise click.UsageError("--redraw goes with --update and names its cases")
    if other and (update or prove or redraw):
        raise click.UsageError("--cross-check writes nothing and proves nothing; give it without --update and --prove")
    try:
        if other and not listing:
            status = _cross_check(patterns, slow, fixtures, cases_module, reference, other)
        else:
            status = _run(patterns, listing, prove, redraw, reason, slow, fixtures, cases_module, reference)
    except GoldenError as problem:
        _fail(str(problem))
    except OSError as problem:
        _fail(f"{problem}; nothing was changed")
    except KeyboardInterrupt:
        committed = "the update is committed, the next command finishes it"
        _fail(f"interrupted; {committed if is_committed(fixtures) else 'nothing was changed'}")
    except Exception:  # exit status 1 would say that something moved
        traceback.print_exc()
        _fail("this is a fault of the generator, or of a case; nothing was changed")
    sys.exit(status)


def _fail(message: str) -> None:
    click.echo(f"generate_golden.py: {message}", err=True)
    sys.exit(COULD_NOT_RUN)


def _run(
    patterns: tuple[str, ...],
    listing: bool,
    prove: bool,
    redraw: bool,
    reason: str | None,
    slow: bool,
    fixtures: Path,
    cases_module: str,
    reference: str,
) -> int:
    cases = _declared(cases_module)
    console = _console()
    if listing:
        console.print(case_list([cases[name] for name in select(cases, patterns)]))
        return NOTHING_MOVED

    if not (fixtures.is_dir() or reason):
        raise GoldenError(f"fixtures {fixtures}: no such directory; --update would make it")
    with lock(fixtures), Regeneration(cases, fixtures, reference) as run, _progress() as track:
        names = select(run.names, patterns)
        rows = []
        for name in track("proving" if prove else "recomputing", names):
            if redraw and name in cases:
                rows.append(Row(name, Change.REDRAWN))
            elif name in cases and cases[name].slow and not (patterns or slow):
                row = run.inspect(name)
                rows.append(row if row.change else Row(name, Change.SKIPPED))
            else:
                rows.append(run.check_proof(name) if prove else run.check(name))
        skipped = [row for row in rows if row.change is Change.SKIPPED]
        moved = [row for row in rows if row.moved]
        if reason and moved:
            run.update(moved, reason, lambda items: track("proving", items))
        remarks = run.remarks()
    console.print(regeneration_table(rows, written=reason is not None))
    _say_moved(rows)
    for remark in remarks:
        click.echo(remark)
    if skipped:
        click.echo(f"{len(skipped)} slow case(s) not recomputed; name them or give --slow")
    if not moved:
        done = "proved again" if prove else "recomputed"
        click.echo(f"{len(rows) - len(skipped)} cases {done}, nothing moved")
        return NOTHING_MOVED
    if reason:
        click.echo(f"{len(moved)} golden(s) and {fixtures / NAME} written: {reason}")
        return NOTHING_MOVED
    click.echo(f"{len(moved)} of {len(rows)} cases moved; accept them with --update --reason TEXT")
    return SOMETHING_MOVED


def _declared(cases_module: str) -> dict[str, Case]:
    sys.path.append(str(Path.cwd()))  # last: --cases and --reference find the project at hand, and shadow nothing
    return load_cases(cases_module)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 132, highlight=False)


def _cross_check(
    patterns: tuple[str, ...], slow: bool, fixtures: Path, cases_module: str, reference: str, other: str
) -> int:
    if module_of(reference) == module_of(other):
        raise GoldenError(f"--cross-check {other}: that is the reference itself; name another one")
    cases = _declared(cases_module)
    if not fixtures.is_dir():
        raise GoldenError(f"fixtures {fixtures}: no such directory; a cross-check takes inputs and tolerances from it")
    with Regeneration(cases, fixtures, reference, other) as run, _progress() as track:
        found = []
        for name in track("comparing", select(run.names, patterns)):
            if name in cases and cases[name].slow and not (patterns or slow):
                found.append(Crossing(Row(name, Change.SKIPPED)))
            else:
                found.append(run.cross_check(name))
        compared = [crossing for crossing in found if crossing.row.comparisons]
        one, two = run.crossed() if compared else ("", "")
    _say_crossed(found)
    if not compared:
        raise GoldenError("nothing was compared: no chosen case has a golden, or none can be expressed")
    apart = sum(not crossing.agrees for crossing in found)
    if apart:
        click.echo(f"{one} (expected) and {two} (found, 'the port'): {apart} case(s) do not agree")
        return SOMETHING_MOVED
    click.echo(f"{one} and {two}: {len(compared)} cases compared, all agree within tolerance")
    return NOTHING_MOVED


def _say_crossed(found: list[Crossing]) -> None:
    changes = [crossing.row.change for crossing in found]
    _console().print(regeneration_table([crossing.row for crossing in found if crossing.has_golden], written=False))
    for line in crossing_lines(found):
        click.echo(line)
    if Change.SKIPPED in changes:
        click.echo(f"{changes.count(Change.SKIPPED)} slow case(s) not compared; name them or give --slow")
    without = sum(not crossing.has_golden for crossing in found)
    if without:
        click.echo(f"{without} case(s) without a golden, or goldens without a case, left out")


def _say_moved(rows: list[Row]) -> None:
    for row in rows:
        if row.note:
            click.echo(row.note)
        for comparison in row.comparisons:
            if comparison.verdict > Verdict.WITHIN_NOISE:
                click.echo("\n".join(explain(row.case, comparison)))
