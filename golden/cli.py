"""``golden list | show | verify``: look at the goldens; nothing here writes one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from golden.case import GoldenError
from golden.cases import load_cases, select
from golden.manifest import read_manifest, stored_cases, verify
from golden.report import describe, golden_list
from golden.store import golden_path, read_golden

FIXTURES = Path(__file__).resolve().parent / "fixtures"


class _Group(click.Group):
    """Turns a GoldenError of any command into one line and exit status 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except GoldenError as problem:
            click.echo(f"golden: {problem}", err=True)
            sys.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Golden artefacts: what TensorFlow PtychoPINN computes, frozen.

    To make or change them: python generate_golden.py --help
    """


def _fixtures_option(command: Callable[..., None]) -> Callable[..., None]:
    kind = click.Path(path_type=Path, exists=True, file_okay=False)
    return click.option(
        "--fixtures",
        type=kind,
        default=FIXTURES,
        metavar="DIR",
        help="The goldens' directory.  [default: golden/fixtures]",
    )(command)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 132, highlight=False)


@main.command("list")
@click.argument("patterns", metavar="[CASE]...", nargs=-1)
@_fixtures_option
def list_command(patterns: tuple[str, ...], fixtures: Path) -> None:
    """List the goldens that match; all without a pattern."""
    entries = read_manifest(fixtures)
    _console().print(golden_list((name, entries[name]) for name in select(entries, patterns)))


@main.command("show")
@click.argument("case")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PNG",
    help="Draw its inputs and outputs into this file too.",
)
@_fixtures_option
def show_command(case: str, picture: Path | None, fixtures: Path) -> None:
    """Show all that a golden holds: inputs, outputs, parameters, tolerance, provenance, history."""
    for name in select(stored_cases(fixtures), [case]):
        golden = read_golden(golden_path(fixtures, name))
        console = _console()
        for part in describe(golden):
            console.print(part)
        for event in read_manifest(fixtures).get(name, {}).get("history", []):
            console.print(
                f"history     {event['date']}  {event['before'] or 'new'} -> {event['after']}  {event['reason']}",
                markup=False,
            )
        if picture is not None:
            _draw(golden, picture)


def _draw(golden: Any, picture: Path) -> None:
    try:
        from golden.pictures import draw_golden

        draw_golden(golden, picture)
    except ModuleNotFoundError:
        raise GoldenError("pictures need Matplotlib: pip install matplotlib") from None
    except (ValueError, OSError) as problem:
        raise GoldenError(str(problem)) from problem
    click.echo(f"picture     {picture}")


@main.command("verify")
@click.option(
    "--cases",
    "cases_module",
    default="golden.cases",
    metavar="MODULE",
    show_default=True,
    help="Where cases are declared.",
)
@_fixtures_option
def verify_command(cases_module: str, fixtures: Path) -> None:
    """Check every digest, that the manifest is in step, and that nothing is orphaned. Exit status 1 if not."""
    sys.path.append(str(Path.cwd()))
    problems = verify(fixtures, frozenset(load_cases(cases_module)))
    for problem in problems:
        click.echo(problem)
    if problems:
        click.echo(f"{len(problems)} problem(s) in {fixtures}")
        sys.exit(1)
    click.echo(f"{len(stored_cases(fixtures))} goldens: digests match, manifest in step, nothing orphaned")
