"""Changes the port in small ways, and looks whether a test notices: ``python -m benchmarks.mutation [--sample]``.

mutmut makes the changes, its *mutants*, and runs the tests that reach each (``[tool.mutmut]`` in pyproject.toml). Exit
status 1 when one survives that docs/mutation.md does not excuse, or when the share of killed ones of a module falls
below what is written there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click

TOP = Path(__file__).resolve().parents[1]
DOCUMENT = TOP / "docs" / "mutation.md"
SAMPLE = "*__mutmut_*7"
"""The mutants of the sample, as mutmut numbers them within a function: every tenth."""
_HEADING = re.compile(r"### `(\S+)`")
_EXCUSE = re.compile(r"- `(\S+)`: `(.*)` → `(.*)`")
_ROW = re.compile(r"\| `(\S+)` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| .*")
KILLED, SURVIVED, NOT_REACHED = "killed", "survived", "not reached"
_FATES = {"killed": KILLED, "timeout": KILLED, "segfault": KILLED, "survived": SURVIVED, "no tests": NOT_REACHED}


@dataclass(frozen=True)
class Change:
    """What a mutant is: a text of a function, and what takes its place. It has no number: others would move it."""

    module: str
    function: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"- `{self.function}`: `{self.old}` → `{self.new}`"


def modules() -> list[str]:
    """Return the modules that are changed, as ``wing/module``."""
    wings = (TOP / "ptycho_torch" / wing for wing in ("operators", "network", "training"))
    return [f"{wing.name}/{path.stem}" for wing in wings for path in sorted(wing.glob("[!_]*.py"))]


def mutmut(*arguments: str) -> str:
    """Run the command ``mutmut`` on one core per process: Torch's threads would only wait for each other."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    found = subprocess.run(
        command, cwd=TOP, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True, capture_output=True, check=False
    )
    if found.returncode:
        raise click.ClickException(f"{' '.join(command)}: {found.stdout[-4000:]}{found.stderr[-4000:]}")
    return found.stdout


def fates(module: str) -> dict[str, str]:
    """Return what became of each mutant of a module that was tried, by its name."""
    prefix = f"ptycho_torch.{module.replace('/', '.')}."
    lines = (line.strip().rpartition(": ") for line in mutmut("results", "--all", "true").splitlines())
    return {name: _FATES[fate] for name, _, fate in lines if name.startswith(prefix) and fate != "not checked"}


def change_of(module: str, mutant: str) -> Change:
    """Return what a mutant changes, from the difference that mutmut shows."""
    lines = [line for line in mutmut("show", mutant).splitlines() if not line.startswith(("---", "+++"))]
    old, new = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    function = mutant.rpartition(".")[2].partition("__mutmut_")[0].removeprefix("x_").strip("xǁ").replace("ǁ", ".")
    return Change(module, function, old, new)


def excused(text: str) -> set[Change]:
    """Read the survivors that the document lists."""
    found, module = set(), ""
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            module = heading[1]
        elif excuse := _EXCUSE.match(line):
            found.add(Change(module, *excuse.groups()))
    return found


def shares(text: str) -> dict[str, float]:
    """Read the share of killed mutants of every module from the document's table."""
    rows = (_ROW.match(line) for line in text.splitlines())
    return {row[1]: int(row[3]) / int(row[2]) for row in rows if row}


def row(module: str, found: dict[str, str], seconds: float) -> str:
    counts, total = Counter(found.values()), len(found)
    numbers = " | ".join(str(counts[fate]) for fate in (KILLED, SURVIVED, NOT_REACHED))
    return f"| `{module}` | {total} | {numbers} | {counts[KILLED] / total:.1%} | {seconds:.0f} s |"


@click.command()
@click.argument("chosen", nargs=-1, metavar="[MODULE...]")
@click.option("--sample", is_flag=True, help="Try every tenth mutant only.")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
def main(chosen: tuple[str, ...], sample: bool, jobs: int) -> None:
    """Try the mutants of all modules, or of these (``operators/probe``)."""
    shutil.rmtree(TOP / "mutants", ignore_errors=True)
    text = DOCUMENT.read_text(encoding="utf-8")
    known, written = excused(text), shares(text)
    survivors: list[Change] = []
    fallen: list[str] = []
    for module in chosen or modules():
        pattern = f"ptycho_torch.{module.replace('/', '.')}.{SAMPLE if sample else '*'}"
        start = time.monotonic()
        mutmut("run", "--max-children", str(jobs), pattern)
        found = fates(module)
        click.echo(row(module, found, time.monotonic() - start))
        survivors += [change_of(module, mutant) for mutant, fate in found.items() if fate != KILLED]
        share = sum(fate == KILLED for fate in found.values()) / len(found)
        if not sample and share < written.get(module, 0):
            fallen.append(f"{module}: {share:.2%} were killed; {written[module]:.2%} is written down")
    unknown = [change for change in survivors if change not in known]
    for module in dict.fromkeys(change.module for change in unknown):
        click.echo(f"\n### `{module}`\n" + "\n".join(str(change) for change in unknown if change.module == module))
    if gone := [] if sample else [change for change in known if change.module in modules() and change not in survivors]:
        click.echo("\nListed, but killed or gone:\n" + "\n".join(f"{change.module} {change}" for change in gone))
    if unknown or fallen:
        raise click.ClickException(
            "; ".join([*fallen, f"{len(unknown)} survivors without a reason in {DOCUMENT.name}"])
        )


if __name__ == "__main__":
    main()
