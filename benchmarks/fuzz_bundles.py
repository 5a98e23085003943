"""Thousands of corrupt and hostile bundles read: ``python -m benchmarks.fuzz_bundles [N] [--seed S] [--kind KIND]``.

Exit status 1 when damage changes in silence what is read, when a bundle takes memory out of proportion, or raises
anything but a ValueError of one line that names the file. Kind and seed say which:
``python -m tests.torch.bundle_fuzzing KIND SEED`` shows it again.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.torch.bundle_fuzzing import BAD, KINDS, VERDICTS, read_one


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("number", default=3000, metavar="[N]")
@click.option("--seed", default=0, show_default=True, help="Of the first corruption of each kind.")
@click.option("--kind", "chosen", multiple=True, type=click.Choice(list(KINDS)), help="Only this; may be repeated.")
def main(number: int, seed: int, chosen: tuple[str, ...]) -> None:
    """Read N corrupt bundles, as many of each kind, and say what became of them."""
    kinds = chosen or tuple(KINDS)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        shown = track(range(number), console=Console(stderr=True), transient=True)
        outcomes = [read_one(kinds[one % len(kinds)], seed + one // len(kinds), Path(scratch)) for one in shown]
    table = Table("kind", *VERDICTS, box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    counts = Counter((one.kind, one.verdict) for one in outcomes)
    for kind in kinds:
        table.add_row(kind, *(str(counts[kind, verdict] or "-") for verdict in VERDICTS))
    table.add_row("all", *(str(sum(one.verdict == verdict for one in outcomes)) for verdict in VERDICTS))
    Console(width=120).print(table)
    bad = [one for one in outcomes if one.verdict in BAD]
    for one in bad[:200]:
        click.echo(f"{one.verdict}: '{one.kind}' {one.seed}: {one.message[:300]}")
    click.echo(f"{len(outcomes)} corruptions, {len(bad)} bad")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
