"""Code that the fuzzers share: read many corrupt files, and report the results."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.fuzzing import Outcome


def fuzz_command(
    what: str,
    kinds: Sequence[str],
    verdicts: Sequence[str],
    bad: Collection[str],
    read_one: Callable[[str, int, Path], Outcome],
) -> click.Command:
    """Return a program that reads corrupt files, as many of each kind, and exits with 1 if a verdict is bad."""

    @click.command(context_settings={"help_option_names": ["-h", "--help"]})
    @click.argument("number", default=3000, metavar="[N]")
    @click.option("--seed", default=0, show_default=True, help="Seed of the first corruption of each kind.")
    @click.option(
        "--kind", "chosen", multiple=True, type=click.Choice(kinds), help="Read only this kind; may be repeated."
    )
    def main(number: int, seed: int, chosen: tuple[str, ...]) -> None:
        some = chosen or tuple(kinds)
        with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
            shown = track(range(number), console=Console(stderr=True), transient=True)
            outcomes = [read_one(some[one % len(some)], seed + one // len(some), Path(scratch)) for one in shown]
        Console(width=120).print(table_of(outcomes, some, verdicts))
        ended_badly = [one for one in outcomes if one.verdict in bad]
        for one in ended_badly[:200]:
            click.echo(f"{one.verdict}: '{one.kind}' {one.seed}: {one.message[:300]}")
        click.echo(f"{len(outcomes)} corruptions, {len(ended_badly)} bad")
        sys.exit(1 if ended_badly else 0)

    main.help = f"Read N corrupt {what}, as many of each kind, and report the results."
    return main


def table_of(outcomes: Sequence[Outcome], kinds: Iterable[str], verdicts: Sequence[str]) -> Table:
    """Return a table of the number of outcomes of each kind and verdict."""
    table = Table("kind", *verdicts, box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    counts = Counter((one.kind, one.verdict) for one in outcomes)
    for kind in kinds:
        table.add_row(kind, *(str(counts[kind, verdict] or "-") for verdict in verdicts))
    table.add_row("all", *(str(sum(one.verdict == verdict for one in outcomes)) for verdict in verdicts))
    return table
