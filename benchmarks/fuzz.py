"""Read thousands of corrupt and hostile goldens: ``python -m benchmarks.fuzz [N] [--seed S] [--kind KIND]``.

Each is read in a child process with limits on time and memory. The exit status is 1 if one of them passes silently,
raises anything but a GoldenError, takes too much memory, hangs or crashes. Kind and seed reproduce a corruption:
``python -m tests.golden.fuzzing KIND SEED``.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import click
from rich.console import Console
from rich.progress import track

from benchmarks.fuzzing import table_of
from tests.fuzzing import Outcome
from tests.golden.fuzzing import BAD, CONTAINED, HARMLESS, VERDICTS, fuzz, schedule

BATCH = 500


def read_all(corruptions: list[tuple[str, int]], jobs: int) -> list[Outcome]:
    batches = [corruptions[start : start + BATCH] for start in range(0, len(corruptions), BATCH)]
    with ThreadPoolExecutor(jobs) as pool:
        running = pool.map(lambda batch: list(fuzz(batch)), batches)
        shown = track(running, total=len(batches), console=Console(stderr=True), transient=True)
        return [outcome for batch in shown for outcome in batch]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("number", default=20000, metavar="[N]")
@click.option("--seed", default=0, show_default=True, help="Seed of the first corruption of each kind.")
@click.option("--kind", "chosen", multiple=True, help="Read only this kind; may be repeated.")
@click.option("--jobs", default=2, show_default=True)
def main(number: int, seed: int, chosen: tuple[str, ...], jobs: int) -> None:
    """Read N corruptions, as many of each kind (three times as many of resealed kinds), and report the results."""
    outcomes = read_all(list(islice(schedule(chosen, seed), number)), jobs)
    Console(width=150).print(table_of(outcomes, dict.fromkeys(one.kind for one in outcomes), VERDICTS))
    beside = sum(outcome.verdict == HARMLESS and bool(outcome.message) for outcome in outcomes)
    click.echo(f"{len(outcomes)} corruptions; {beside} harmless ones differ outside the content, which verify reports")
    contained = [one.message for one in outcomes if one.verdict == CONTAINED]
    reasons = Counter(re.sub(r"^.*?reading it |;.*", "", message) for message in contained)
    for reason, times in sorted(reasons.items()):
        click.echo(f"contained, {times} times: reading it {reason}")
    bad = [outcome for outcome in outcomes if outcome.verdict in BAD]
    for outcome in islice(bad, 200):
        click.echo(f"{outcome.verdict}: '{outcome.kind}' {outcome.seed}: {outcome.message}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
