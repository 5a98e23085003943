"""The command ``golden``: options and exit codes. It never writes a golden."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from golden.interrupts import Interrupts, run
from golden.report import obtained
from golden.report.conformance import conformance
from golden.report.console import console
from golden.report.documents import (
    comparison_json,
    differences_json,
    faults_json,
    list_json,
    show_json,
    verify_json,
)
from golden.report.files import write_arrays
from golden.report.gate import gate_json, gate_markdown, gate_text
from golden.report.run import Check, read_shares, require_report, write_run
from golden.report.run import as_json as run_as_json
from golden.report.text import (
    catchers_table,
    colour_of,
    confirmation_lines,
    describe,
    difference_lines,
    differences_markdown,
    fault_table,
    faults_headline,
    golden_list,
    preface_lines,
)
from golden.review.claims import Claim, claims
from golden.review.confirmations import confirmations_changed
from golden.review.difference import Difference, differences, summary
from golden.review.gate import review
from golden.review.margins import warnings
from golden.spec.catalogue import load_cases, select
from golden.spec.errors import GoldenError
from golden.store import git
from golden.store.checkout import choose
from golden.store.confirmation import counted
from golden.store.entry import Entry, as_text, entry_path, read_entries, read_entry_file
from golden.store.folder import printable
from golden.store.gallery import PAGE
from golden.store.golden import Golden, stored_cases
from golden.store.guard import read_chosen, read_untrusted
from golden.store.read import read_outputs
from golden.store.request import request_of
from golden.store.sources import described, only, places, read, read_entries_of, sources
from golden.store.spoilt import recipe
from golden.store.verify import blind_spots, verify

CONTENT = "golden.ptychopinn"
"""The package of the bundled cases."""
_MOST_LINES = 500
SCAN = "golden.ptychopinn.simulation.embedded"
"""The module of the bundled scan."""


class _Group(click.Group):
    """Turns a GoldenError of any command into one line and exit status 2: the command could not be carried out.

    An interrupt becomes one line and exit status 130, even if a library swallowed or replaced its exception.
    """

    def main(self, *arguments: Any, **options: Any) -> Any:
        run(lambda: super(_Group, self).main(*arguments, **options))

    def invoke(self, context: click.Context) -> Any:
        interrupts, files = Interrupts(), _Files()
        context.obj = files
        try:
            with interrupts.handled():
                result = super().invoke(context)
        except GoldenError as problem:
            if not interrupts.number:
                click.echo(f"golden: {problem}", err=True)
                sys.exit(2)
        except BaseException as problem:
            if not (interrupts.number or isinstance(problem, KeyboardInterrupt)):
                raise
        else:
            if not interrupts.number:
                return result
        click.echo(f"golden: interrupted; {files.written()}", err=True)
        sys.exit(interrupts.status)


class _Files:
    """The files that a command should write. Knows which of them were written."""

    def __init__(self) -> None:
        self._before: dict[Path, tuple[int, int]] = {}

    def asked_for(self, path: Path) -> None:
        self._before[path] = _stamp(path)

    def written(self) -> str:
        names = [str(path) for path, before in self._before.items() if _stamp(path) != before]
        return f"written before: {', '.join(names)}" if names else "nothing was written"


def _stamp(path: Path) -> tuple[int, int]:
    """Return modification time and inode, which change if a file is replaced; zeros if there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


class _OutputFile(click.Path):
    """The type of an option that names a file to write."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        path = super().convert(value, parameter, context)
        if context is not None and isinstance(files := context.obj, _Files):
            files.asked_for(Path(str(path)))
        return path


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ptycho-golden", prog_name="golden")
def main() -> None:
    """Inspect and compare goldens, and check a port against them. A golden is a stored answer of TensorFlow PtychoPINN.

    To make or change goldens: python generate_golden.py --help

    \b
    For completion of commands and options in your shell, run one of
      eval "$(_GOLDEN_COMPLETE=bash_source golden)"    in ~/.bashrc
      eval "$(_GOLDEN_COMPLETE=zsh_source golden)"     in ~/.zshrc
      _GOLDEN_COMPLETE=fish_source golden | source     in ~/.config/fish/config.fish
    """  # noqa: D301 - \b tells click not to wrap a paragraph


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")


_OUTPUT_FILE = _OutputFile(path_type=Path, dir_okay=False)


def _fixtures_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--fixtures",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        callback=_chosen,
        metavar="DIR",
        help="Directory of the goldens.  [default: golden/fixtures of the current checkout, else the bundled goldens]",
    )(command)


def _chosen(context: click.Context, parameter: click.Parameter, named: Path | None) -> Path:
    fixtures, remark = choose(named, Path.cwd())
    if remark and not (named is None and _are_files(context)):
        click.echo(f"golden: {remark}", err=True)
    if not fixtures.is_dir():
        raise click.UsageError(f"{fixtures}: no such directory; the goldens of this checkout are missing")
    return fixtures


def _are_files(context: click.Context) -> bool:
    """Return whether the arguments name goldens by path; click parses arguments before options."""
    given = (context.params.get(name) for name in ("case", "first", "second"))
    return any(Path(path).exists() for path in given if path)


@main.command("list")
@click.argument("patterns", metavar="[CASE]...", nargs=-1)
@_json_option
@_fixtures_option
def list_command(patterns: tuple[str, ...], as_json: bool, fixtures: Path) -> None:
    """List goldens, and which release of PtychoPINN confirmed each.

    CASE is a case's name or a glob pattern ('merge/*'); without it, all goldens are listed.
    """
    entries = read_entries(fixtures)
    chosen = {name: entries[name] for name in select(entries, patterns)}
    if as_json:
        click.echo(list_json(chosen), nl=False)
        return
    console().print(golden_list(chosen))
    click.echo(counted(chosen))


@main.command("show")
@click.argument("case", metavar="CASE|FILE")
@click.option(
    "--picture",
    type=_OUTPUT_FILE,
    metavar="PNG",
    help="Also draw the inputs and outputs that are images, into this file.",
)
@_json_option
@_fixtures_option
def show_command(case: str, picture: Path | None, as_json: bool, fixtures: Path) -> None:
    """Show the contents of a golden.

    These are inputs, outputs, parameters, tolerance, provenance, confirmation, history.

    Give the name of a case, or the file of a golden (x.h5). If there is a .json file beside it, that is its entry.
    """
    shown = [(golden, _entry_of(golden, case, fixtures)) for golden in _goldens_at(case, fixtures)]
    if as_json:
        click.echo(show_json(shown), nl=False)
    for golden, entry in shown:
        for part in describe(golden, entry) if not as_json else ():
            console().print(part)
        if picture is not None:
            from golden.report.thumbnail import draw_inputs_and_outputs

            draw_inputs_and_outputs(golden, picture)
            click.echo(f"picture     {picture}", err=as_json)


def _entry_of(golden: Golden, case: str, fixtures: Path) -> Entry | None:
    """Read a golden's entry; None if there is none beside a file that was given by path."""
    is_file = case.endswith(".h5")
    beside = Path(case).with_suffix(".json") if is_file else entry_path(fixtures, golden.case)
    return read_entry_file(beside) if beside.exists() or not is_file else None


@main.command("faults")
@click.argument("patterns", metavar="[CASE]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="List all faults of each case, not only the nearest.")
@click.option("--by-fault", is_flag=True, help="List each fault of an operation once, with the cases that catch it.")
@click.option(
    "--run",
    "report",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="JSON",
    help="Report of 'pytest --golden-report=FILE.json': also warn where the port uses more than half of a tolerance.",
)
@_json_option
@_fixtures_option
def faults_command(
    patterns: tuple[str, ...], every: bool, by_fault: bool, report: Path | None, as_json: bool, fixtures: Path
) -> None:
    """Show which wrong conventions each golden catches.

    The margin of a fault is the distance of its outputs from the right ones, in units of the tolerance.

    Exit status 1 if a golden catches no fault, or if a fault is caught by no golden.
    """
    goldens = read_chosen(fixtures, patterns)
    warned = warnings(goldens, read_shares(report) if report else {})
    problems = [] if patterns else blind_spots(goldens)
    if as_json:
        click.echo(faults_json(goldens, warned, problems), nl=False)
        sys.exit(1 if problems else 0)
    console().print(catchers_table(goldens) if by_fault else fault_table(goldens, every))
    for line in warned:
        click.secho(line, fg="yellow")
    for line in problems:
        click.secho(line, fg="red")
    click.echo(faults_headline(goldens, len(warned)))
    sys.exit(1 if problems else 0)


@main.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="[B]", required=False)
@click.option(
    "--only", "patterns", multiple=True, metavar="CASE", help="Compare only this case or glob pattern. May be repeated."
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a comment on a pull request.")
@_json_option
@click.option(
    "--html",
    "page",
    type=_OUTPUT_FILE,
    metavar="FILE",
    help="Also write a page with pictures, histograms and profiles.",
)
@click.option("--exit-code", is_flag=True, help="End with exit status 1 if something differs.")
@_fixtures_option
def diff_command(
    first: str,
    second: str | None,
    patterns: tuple[str, ...],
    markdown: bool,
    as_json: bool,
    page: Path | None,
    exit_code: bool,
    fixtures: Path,
) -> None:
    """Show what differs between two sets of goldens.

    Differences are in units of the old tolerance.

    \b
    golden diff OLD NEW          two files, or two directories of fixtures
    golden diff main..HEAD       two git revisions, read without a checkout
    golden diff main...HEAD      the same, from the commit where HEAD left main
    golden diff HEAD             a revision and the working tree
    golden diff GOLDEN x.obtained.h5    a golden (file or case) and the outputs that a test run obtained
    """  # noqa: D301 - \b tells click not to wrap a paragraph
    if second is not None and second.endswith(obtained.ENDING):
        differs = _diff_obtained(first, Path(second), markdown, as_json, page, fixtures)
        sys.exit(1 if differs and exit_code else 0)
    with Console(stderr=True).status("comparing"):
        asked = places(first, second, fixtures)
        chosen = only(*sources(asked, fixtures), patterns)
        paths = {name: case.operation.path for name, case in load_cases(CONTENT).items()}
        before, after = read(*chosen)
        found = differences(before, after, paths)
        entries = read_entries_of(*chosen)
        confirmed = confirmations_changed(*entries)
        remarks = confirmation_lines(confirmed)
        said = claims(*entries, changed={*before, *after})
        is_told = (found or said) and not all(isinstance(place, Path) for place in asked)
        compared = [described(place, fixtures) for place in asked] if is_told else []
    if as_json:
        click.echo(differences_json(found, summary(found), confirmed, said, compared), nl=False)
    elif markdown:
        click.echo(differences_markdown(found, summary(found), remarks, said, compared), nl=False)
    else:
        for line in preface_lines(said, compared):
            click.echo(line)
        for one in found:
            head, *rest = difference_lines(one)
            click.secho(head, fg=colour_of(one.verdict))
            click.echo("\n".join([*rest, ""]))
        for line in (*remarks, summary(found)):
            click.echo(line)
    if page is not None:
        title = f"Goldens: {first} and {second}" if second else f"Goldens: {first}"
        _write_page(page, found, title, remarks, said, compared)
    if (found or remarks) and exit_code:
        sys.exit(1)


def _diff_obtained(first: str, file: Path, markdown: bool, as_json: bool, page: Path | None, fixtures: Path) -> bool:
    """Compare the outputs that a test run obtained with their golden; return whether they differ."""
    [golden] = _goldens_at(first, fixtures)
    found = read_outputs(file)
    cases = load_cases(CONTENT)
    judgement = obtained.hold(golden, found, cases[golden.case].operation.path if golden.case in cases else {})
    absent = sorted({*golden.outputs} - {*found})
    told = obtained.lines(golden, judgement, absent)
    if as_json:
        sentences = [cause.sentence for cause in judgement.causes]
        click.echo(comparison_json(golden.case, judgement.comparisons, sentences, absent), nl=False)
    else:
        click.echo(obtained.as_markdown(told) if markdown else "\n".join(told) + "\n", nl=False)
    if page is not None:
        obtained.write_obtained(page, golden, judgement, found)
        click.echo(f"page: {page}", err=True)
    return not judgement.passed


def _goldens_at(place: str, fixtures: Path) -> list[Golden]:
    """Read the golden of a file, or those of a case or a pattern."""
    if not (place.endswith(".h5") or Path(place).is_file()):
        return read_chosen(fixtures, [place])
    (golden,) = read_untrusted([Path(place)])
    if isinstance(golden, str):
        raise GoldenError(golden)
    return [golden]


def _write_page(
    path: Path,
    found: Sequence[Difference],
    title: str,
    remarks: Sequence[str],
    said: Sequence[Claim],
    compared: Sequence[str],
) -> None:
    from rich.progress import track

    from golden.report.page import Heading, write_page

    screen = Console(stderr=True)
    drawn = track(found, "drawing", console=screen, transient=True, disable=not screen.is_terminal)
    heading = Heading(title, summary(found), remarks=remarks, claims=said, compared=compared)
    write_page(path, drawn, heading)
    click.echo(f"page: {path}", err=True)  # not part of the output of --markdown


@main.command("text")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def text_command(file: Path) -> None:
    """Print a golden as text.

    This is what git shows after 'golden git --enable'.
    """
    (golden,) = read_untrusted([file])
    # Not an error, because git would then show no difference at all.
    click.echo(f"not a sound golden: {golden}" if isinstance(golden, str) else as_text(golden))


@main.command("git")
@click.option("--enable/--disable", "wanted", default=None, help="Set this up in the current clone, or undo it.")
@_fixtures_option
def git_command(wanted: bool | None, fixtures: Path) -> None:
    """Let git show goldens as text in this clone.

    This applies to git diff, log -p and blame. It also keeps git from merging parts of two goldens.
    """
    here = Path.cwd()
    if wanted is None:
        click.echo(f"goldens as text: {'enabled' if git.is_enabled(here) else 'not enabled; use --enable'}")
        return
    for line in git.enable(here, fixtures) if wanted else git.disable(here):
        click.echo(line)


@main.command("unmerged", hidden=True)
@click.argument("file")
def unmerged_command(file: str) -> None:
    """Keep our version of a golden that both sides of a merge changed. For git's merge driver; exit status 1."""
    file = printable(file)
    stem = file.rpartition(".")[0]
    click.echo(f"golden: {file}: both sides changed it; {recipe(stem, '/'.join(stem.split('/')[-2:]))}", err=True)
    sys.exit(1)


@main.command("verify")
@click.option(
    "--cases", "module", default=CONTENT, metavar="MODULE", show_default=True, help="Module that declares the cases."
)
@_json_option
@_fixtures_option
def verify_command(module: str, as_json: bool, fixtures: Path) -> None:
    """Check that all goldens are sound and complete.

    Each digest, tolerance, mask and fault must follow from the rest of the file and its case. Files, entries and
    pictures must match. Every golden needs a case, and every case a golden. Exit status 1 if there is a problem.
    """
    sys.path.append(str(Path.cwd()))
    problems = [*_conflicts(fixtures), *verify(fixtures, load_cases(module))]
    if as_json:
        click.echo(verify_json(len(stored_cases(fixtures)), problems), nl=False)
        sys.exit(1 if problems else 0)
    for problem in problems[:_MOST_LINES]:
        click.secho(problem, fg="red")
    if problems[_MOST_LINES:]:
        click.echo(f"... and {len(problems) - _MOST_LINES} more")
    if problems:
        click.echo(f"{len(problems)} problem(s) in {fixtures}")
        sys.exit(1)
    count = len(stored_cases(fixtures))
    click.secho(f"{count} goldens: digests match, entries match, nothing is orphaned", fg="green")


def _conflicts(fixtures: Path) -> list[str]:
    """List the goldens, and the page of all goldens, that a merge left in conflict, with advice."""
    files = [printable(name) for name in git.conflicted(fixtures)]
    cases = sorted({name.rpartition(".")[0] for name in files if name != PAGE})
    told = [f"{case}: an unresolved merge conflict; {recipe(os.path.relpath(fixtures / case), case)}" for case in cases]
    page = os.path.relpath(fixtures / PAGE)
    advice = (
        f"git checkout --ours -- {page}; python generate_golden.py --update --reason ... rewrites it; git add {page}"
    )
    return told + [f"{PAGE}: an unresolved merge conflict; {advice}" for name in files if name == PAGE]


@main.command("check")
@click.argument("subject")
@click.argument("patterns", metavar="[CASE]...", nargs=-1)
@click.option(
    "--known",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="TOML",
    help="File that declares known differences, slack, and operations that the port does not offer.",
)
@click.option(
    "--report",
    "reports",
    type=_OUTPUT_FILE,
    metavar="FILE",
    multiple=True,
    help="Write a report: .html with pictures, .md or .json. May be repeated.",
)
@_json_option
@click.option("-v", "--verbose", is_flag=True, help="Print the details of each golden that differs.")
@click.option("--slow", is_flag=True, help="Also compare slow goldens that are not named.")
@click.option("--jobs", type=click.IntRange(1), default=1, metavar="N", help="Number of processes.  [default: 1]")
@click.option(
    "--cases", "module", default=CONTENT, metavar="MODULE", show_default=True, help="Module that declares the cases."
)
@_fixtures_option
def check_command(
    subject: str,
    patterns: tuple[str, ...],
    known: Path | None,
    reports: tuple[Path, ...],
    as_json: bool,
    verbose: bool,
    slow: bool,
    jobs: int,
    module: str,
    fixtures: Path,
) -> None:
    """Check a port against the goldens.

    SUBJECT is a module with one function per operation (docs/ports.md). CASE is a case's name or a glob pattern
    ('merge/*').

    \b
    golden check my_port.golden_subject
    golden check golden.ptychopinn.formulas      our NumPy formulas, to see what the result looks like

    \b
    Exit status: 0  everything offered agrees, or differs as declared
                 1  something differs
                 2  nothing could be compared
    """  # noqa: D301 - \b tells click not to wrap a paragraph
    from golden.testing.check import Request, check_all, plan, run_of

    for report in reports:
        require_report(report, "--report")
    sys.path.append(str(Path.cwd()))
    places = [report.absolute() for report in reports]  # the subject may change the current directory
    with tempfile.TemporaryDirectory(prefix="golden-check-") as scratch:
        drawn = any(report.suffix == ".html" for report in reports)
        request = Request(
            subject, fixtures.absolute(), module, known.absolute() if known else None, Path(scratch) if drawn else None
        )
        items, left_out = plan(request, patterns, slow)
        run = run_of(request, _with_progress(check_all(request, items, jobs), len(items)), patterns, left_out)
        for report, place in zip(reports, places):
            write_run(place, run, request.fixtures)
            click.echo(f"report: {report}", err=True)
    if as_json:
        click.echo(run_as_json(run), nl=False)
    else:
        for part in conformance(run, verbose):
            console().print(part)
    sys.exit(0 if run.green else 1)


def _with_progress(results: Iterator[Check | str], total: int) -> list[Check | str]:
    from rich.progress import track

    screen = Console(stderr=True)
    return list(
        track(results, "comparing", total=total, console=screen, transient=True, disable=not screen.is_terminal)
    )


@main.command("gate")
@click.argument("span", metavar="BASE...HEAD")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a comment on a pull request.")
@_json_option
@click.option(
    "--cases", "module", default=CONTENT, metavar="MODULE", show_default=True, help="Module that declares the cases."
)
@_fixtures_option
def gate_command(span: str, markdown: bool, as_json: bool, module: str, fixtures: Path) -> None:
    """List the checks that a pull request weakens.

    For example: a wider tolerance, a fault that is no longer caught, a removed golden.

    \b
    golden gate main...HEAD      a branch, compared with the commit where it left main
    golden gate main             the working tree, compared with main
    golden gate A..B             two git revisions

    Exit status 1 if a check gets weaker and no new event in the golden's history declares it.
    """  # noqa: D301 - \b tells click not to wrap a paragraph
    from golden.report.thumbnail import drawn_otherwise

    sys.path.append(str(Path.cwd()))
    cases = load_cases(module)
    with tempfile.TemporaryDirectory(prefix="golden-gate-") as scratch:
        found = review(request_of(span, fixtures), module, cases, Path(scratch), drawn_otherwise)
    shown = gate_json if as_json else gate_markdown if markdown else gate_text
    click.echo(shown(found), nl=False)
    sys.exit(1 if found.unsaid else 0)


@main.command("scan")
@click.argument("file", metavar="OUT.npz", type=_OUTPUT_FILE)
def scan_command(file: Path) -> None:
    """Write the bundled scan of 1087 diffraction patterns.

    The file has PtychoPINN's format. An existing file is replaced.
    """
    click.echo("reading 1087 patterns", err=True)
    write_arrays(file, importlib.import_module(SCAN).as_ptychopinn())
    click.echo(f"scan: {file}")
