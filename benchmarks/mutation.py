"""Change the port in small ways, and check that a test notices: ``python -m benchmarks.mutation [--sample]``.

mutmut makes the changes, called *mutants*. For each it runs the tests that reach it (``[tool.mutmut]`` in
pyproject.toml).
The exit status is 1 if the share of killed mutants of a module, or of the sample, falls below that in docs/mutation.md,
or, without ``--sample``, if a mutant survives without a reason in that document.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

TOP = Path(__file__).resolve().parents[1]
FOLDERS = ("operators", "network", "training")
DOCUMENT = TOP / "docs" / "mutation.md"
SAMPLE = "*__mutmut_17"
"""The mutants of the sample, by mutmut's number within a function: one per function."""
_HEADING = re.compile(r"### `(\S+)`")
_SURVIVOR = re.compile(r"- `(\S+)`: `(.*)` → `(.*)`")
_ROW = re.compile(r"\| `(\S+)` \| (\d+) \| (\d+) \| ")
KILLED, SURVIVED, NOT_REACHED = "killed", "survived", "not reached"
_FATES = {"killed": KILLED, "timeout": KILLED, "segfault": KILLED, "survived": SURVIVED, "no tests": NOT_REACHED}


@dataclass(frozen=True, order=True)
class Change:
    """The change of a mutant. It does not include mutmut's number, which another line in the function would change.

    Attributes:
        module: the module, as ``folder/module``.
        function: the function, or ``Class.method``.
        old, new: the text and its replacement.
    """

    module: str
    function: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"- `{self.function}`: `{self.old}` → `{self.new}`"


def modules() -> list[str]:
    """Return the modules that are changed, as ``folder/module``."""
    paths = (path for folder in FOLDERS for path in sorted((TOP / "ptycho_torch" / folder).glob("[!_]*.py")))
    return [f"{path.parent.name}/{path.stem}" for path in paths]


def mutmut(*arguments: str) -> str:
    """Run the command with one core per process, because Torch's threads would wait for each other."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, cwd=TOP, env=environment, text=True, capture_output=True, check=False)
    if found.returncode:
        raise click.ClickException(f"{' '.join(command)}:\n{found.stdout[-4000:]}{found.stderr[-4000:]}")
    return found.stdout


def tried(module: str) -> dict[str, str]:
    """Return the results of a module's mutants that were tried, by name."""
    prefix = f"ptycho_torch.{module.replace('/', '.')}."
    lines = (line.strip().rpartition(": ") for line in mutmut("results", "--all", "true").splitlines())
    return {name: _FATES[fate] for name, _, fate in lines if name.startswith(prefix) and fate != "not checked"}


def change_of(module: str, mutant: str) -> Change:
    """Read the change of a mutant from mutmut's diff."""
    lines = [line for line in mutmut("show", mutant).splitlines() if not line.startswith(("---", "+++"))]
    old, new = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    mangled = mutant.rpartition(".")[2].partition("__mutmut_")[0]
    function = mangled.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return Change(module, function, old, new)


def listed(text: str) -> set[Change]:
    """Read the survivors for which the document gives a reason."""
    found, module = set(), ""
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            module = heading[1]
        elif survivor := _SURVIVOR.match(line):
            found.add(Change(module, *survivor.groups()))
    return found


def written_shares(text: str) -> dict[str, float]:
    """Read each module's share of killed mutants from the document's table."""
    rows = (_ROW.match(line) for line in text.splitlines())
    return {row[1]: int(row[3]) / int(row[2]) for row in rows if row}


def share_of(fates: Mapping[str, str]) -> float:
    return sum(fate == KILLED for fate in fates.values()) / len(fates)


def row(module: str, fates: Mapping[str, str], seconds: float) -> str:
    """Format a row of the document's table; the time is processor time."""
    counts = Counter(fates.values())
    numbers = " | ".join(str(counts[fate]) for fate in (KILLED, SURVIVED, NOT_REACHED))
    return f"| `{module}` | {len(fates)} | {numbers} | {share_of(fates):.1%} | {seconds:.0f} s |"


def processor_time() -> float:
    """Return the processor time of commands so far, over all cores, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def try_all(chosen: list[str], jobs: int) -> dict[str, dict[str, str]]:
    """Try every mutant of these modules."""
    found = {}
    for module in chosen:
        start = processor_time()
        try:
            mutmut("run", "--max-children", str(jobs), f"ptycho_torch.{module.replace('/', '.')}.*")
        except click.ClickException as failed:
            if "nothing matches" not in failed.message:
                raise
            click.echo(f"`{module}` has no mutants: mutmut does not change decorated functions")
            continue
        found[module] = tried(module)
        click.echo(row(module, found[module], processor_time() - start))
    return found


def try_sample(chosen: list[str], jobs: int) -> dict[str, dict[str, str]]:
    """Try the sample: one mutant of every function of these modules that has enough mutants."""
    start = processor_time()
    patterns = (f"ptycho_torch.{module.replace('/', '.')}.{SAMPLE}" for module in chosen)
    mutmut("run", "--max-children", str(jobs), *patterns)
    fates = {name: fate for module in chosen for name, fate in tried(module).items()}
    click.echo(row("sample", fates, processor_time() - start))
    return {"sample": fates}


@click.command()
@click.argument("chosen", nargs=-1, metavar="[MODULE...]")
@click.option("--sample", is_flag=True, help="Try the seventeenth mutant of each long function only.")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
def main(chosen: tuple[str, ...], sample: bool, jobs: int) -> None:
    """Try the mutants of all modules, or of the given ones (``operators/probe``)."""
    shutil.rmtree(TOP / "mutants", ignore_errors=True)
    text = DOCUMENT.read_text(encoding="utf-8")
    known, shares = listed(text), written_shares(text)
    if sample:
        found = try_sample(list(chosen) or [module for module in modules() if module in shares], jobs)
    else:
        found = try_all(list(chosen) or modules(), jobs)
    fell = {module: share for module, one in found.items() if (share := share_of(one)) < shares.get(module, 0)}
    problems = [f"{module}: {share:.2%} were killed, before {shares[module]:.2%}" for module, share in fell.items()]
    if not sample:
        alive = {
            change_of(module, name) for module, one in found.items() for name, fate in one.items() if fate != KILLED
        }
        gone = sorted(change for change in known - alive if change.module in found)
        problems += [f"no reason is given for {change.module} {change}" for change in sorted(alive - known)]
        problems += [f"killed or gone, but listed: {change.module} {change}" for change in gone]
    if problems:
        raise click.ClickException("\n".join([f"{DOCUMENT.relative_to(TOP)}:", *problems]))


if __name__ == "__main__":
    main()
