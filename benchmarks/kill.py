"""Kill the generator 200 times, and check that no golden is half-written.

The generator runs with the stand-in reference. In each round there is something to write: other values, a new golden,
or a removal. The generator is killed without warning, with all its processes: at a random moment while it computes or
writes, or before one of the steps that replace files. Then each golden must be the old one, the new one, or reported as
interrupted, and the next run must finish the update. Some rounds start two generators at once. The exit status is 1 if
a round fails.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import click

from golden.generate import main as generate
from golden.spec.case import Case
from golden.store.entry import listed_cases
from golden.store.golden import golden_path, stored_cases
from golden.store.read import read_golden
from golden.store.update import interrupted, is_under_way, lock
from golden.store.verify import verify
from tests.golden import standin
from tests.golden.conftest import fill

REPOSITORY = Path(__file__).resolve().parents[1]
STEPS = 13
"""Renames and removals of a round that changes everything: 3 files of each of 3 goldens, 2 files of one, and a page."""

State = Mapping[str, str]
"""Case -> digest of its content."""


@dataclass(frozen=True)
class World:
    """The input of a generator: the behaviour of the reference, and the cases."""

    behaviour: str
    cases: str = "tests.golden.standin"


WORLDS = (
    World("breaking"),  # first, to replace the goldens that ``fill`` made without the generator
    World("drift"),
    World("drift", "tests.golden.standin_fewer"),
    World(""),
    World("", "tests.golden.standin_fewer"),
)


@dataclass(frozen=True)
class Round:
    """The result of a round.

    Attributes:
        when: when the generator was killed.
        found: numbers of goldens that were old, new, interrupted or torn.
        problems: errors in this result.
    """

    when: str
    found: Counter[str]
    problems: tuple[str, ...] = ()

    @property
    def is_kill(self) -> bool:
        return self.when.startswith(("while", "before"))


class Playground:
    """A directory of stand-in goldens, with the result and the duration of a generator's run for each world."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._directory = directory
        self._random = random.Random(seed)
        fill(directory)
        self._seconds: dict[str, float] = {}
        self._states = {world: self._measured(world) for world in WORLDS}

    def kill_while(self, phase: str) -> Round:
        """Kill a generator at a random moment of a phase, ``computing`` or ``writing``."""
        world = self._another()
        before = self._state()
        generator = self._start(world)
        if phase == "writing":
            self._await(lambda: is_under_way(self._directory), generator)
        time.sleep(self._random.uniform(0, self._seconds[phase]))
        alive = generator.poll() is None
        if alive:  # otherwise its process ID may belong to another process by now
            os.killpg(generator.pid, signal.SIGKILL)
        generator.communicate()
        return self._look(f"while {phase}" if alive else "too late", before, world)

    def kill_before(self, step: int) -> Round:
        """Kill a generator before a step of replacing files, unless it ends before that."""
        world, before = self._another(), self._state()
        generator = self._start(world, step)
        generator.communicate()
        return self._look(f"before step {step + 1:2}" if generator.returncode < 0 else "too late", before, world)

    def two_at_once(self) -> Round:
        world, before = self._another(), self._state()
        both = [self._start(world) for _ in range(2)]
        ends = [(generator.communicate()[1], generator.returncode) for generator in both]
        refused = [error for error, status in ends if status == 2 and "another generator is at work here" in error]
        told = self._look("two at once, one was refused" if refused else "two at once, in turn", before, world)
        problems = list(told.problems)
        if self._state() != self._states[world]:
            problems.append("two at once did not finish the update")
        if len(refused) + sum(status == 0 for _, status in ends) != 2 or len(refused) > 1:
            problems.append(f"two at once ended with {ends}")
        return Round(told.when, told.found, tuple(problems))

    def finish(self) -> Round:
        """Run the generator undisturbed; it must finish the update."""
        world, before = self._another(), self._state()
        self._start(world).communicate()
        told = self._look("undisturbed", before, world)
        problems = told.problems if self._state() == self._states[world] else (*told.problems, "the last run failed")
        return Round(told.when, told.found, problems)

    def _another(self) -> World:
        """Choose a world in which something changes."""
        state = self._state()
        return self._random.choice([world for world in WORLDS if self._states[world] != state])

    def _start(self, world: World, step: int | None = None) -> subprocess.Popen[str]:
        program = ["generate_golden.py"] if step is None else ["-m", "benchmarks.kill", "--before", str(step), "--"]
        arguments = ["--fixtures", str(self._directory), "--update", "--reason", f"{world.behaviour!r}", "--slow"]
        arguments += ["--cases", world.cases, "--reference", "tests.golden.standin"]
        return subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=REPOSITORY,
            env=os.environ | {"STANDIN": world.behaviour},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _await(self, begun: Callable[[], bool], generator: subprocess.Popen[str]) -> None:
        """Wait until something begins, or the generator ends."""
        while not begun() and generator.poll() is None:
            time.sleep(0.0001)

    def _measured(self, world: World) -> State:
        """Run the generator for a world, and record the result and the duration."""
        generator, begun = self._start(world), time.monotonic()
        self._await(lambda: is_under_way(self._directory), generator)
        writing = time.monotonic()
        errors = generator.communicate()[1]
        if generator.returncode != 0:
            raise click.ClickException(f"the generator does not run: {errors}")
        self._seconds = {"computing": writing - begun, "writing": time.monotonic() - writing}
        return self._state()

    def _state(self) -> State:
        return {
            name: read_golden(golden_path(self._directory, name)).content_digest()
            for name in sorted(stored_cases(self._directory))
        }

    def _look(self, when: str, before: State, world: World) -> Round:
        """Check the state of each golden; then run the next generator, after which nothing may be left to report."""
        after, waiting = self._state(), interrupted(self._directory)
        cases = {*before, *self._states[world]}
        found: dict[str, str] = {}
        for case in cases:
            if case in waiting or (case in after) != (case in listed_cases(self._directory)):
                found[case] = "interrupted"
            elif after.get(case) == before.get(case):
                found[case] = "old"
            else:
                found[case] = "new" if after.get(case) == self._states[world].get(case) else "torn"
        told = verify(self._directory, _declared({*after, *listed_cases(self._directory)}))
        problems = [problem for problem in told if not _is_expected(problem, found)]
        problems += [f"{case} is torn" for case, what in found.items() if what == "torn"]
        problems += [
            f"{case} was interrupted, but verify does not report it"
            for case, what in found.items()
            if what == "interrupted" and not any(f" {case}: " in problem for problem in told)
        ]
        return Round(when, Counter(found.values()), (*problems, *self._finished(before, world, found)))

    def _finished(self, before: State, world: World, found: Mapping[str, str]) -> list[str]:
        """Run the next generator, and return the remaining problems. It repeats an interrupted removal."""
        with lock(self._directory):
            pass
        wanted = self._states[world]
        removed = [case for case, what in found.items() if what == "interrupted" and case not in wanted]
        if removed:
            self._start(World("", "tests.golden.standin_fewer")).communicate()
        after = self._state()
        problems = verify(self._directory, _declared(after))
        problems += [f"{path} is left" for path in self._directory.rglob(".*") if path.name != ".lock"]
        if removed:
            return problems + [f"{case} is still there" for case in removed if case in after]
        expected = {case: (before if what == "old" else wanted).get(case) for case, what in found.items()}
        return problems + [f"{case} was not finished" for case in expected if after.get(case) != expected[case]]


def _declared(names: Iterable[str]) -> dict[str, Case]:
    return {case.name: case for case in standin.CASES if case.name in set(names)}


def _is_expected(problem: str, found: Mapping[str, str]) -> bool:
    """Return whether ``verify`` reports an interrupted golden, or the page, which is written last."""
    return any(f" {case}: " in problem for case, what in found.items() if what == "interrupted") or (
        "README.md: out of step" in problem
    )


def play(kills: int, seed: int) -> list[Round]:
    """Run a number of rounds in a new playground; in some rounds, start two generators at once instead of killing."""
    told: list[Round] = []
    steps = cycle(range(STEPS))
    with tempfile.TemporaryDirectory(prefix="kill-") as scratch:
        playground = Playground(Path(scratch), seed)
        for kind in cycle(("computing", "step", "step", "writing", "step", "step", "two at once")):
            if sum(one.is_kill for one in told) >= kills:
                break
            if kind == "two at once":
                told.append(playground.two_at_once())
            else:
                told.append(playground.kill_before(next(steps)) if kind == "step" else playground.kill_while(kind))
        told.append(playground.finish())
    return told


def generate_and_die(step: int, arguments: tuple[str, ...]) -> None:
    """Run the generator's command, and kill its whole session before a step of replacing or removing files."""
    left, fixtures = step, Path(arguments[arguments.index("--fixtures") + 1])

    def counting(real: Callable[..., None]) -> Callable[..., None]:
        def call(path: Any, *more: Any, **options: Any) -> None:
            nonlocal left
            target = Path(more[0] if more else path)
            if target.is_relative_to(fixtures) and not target.name.startswith("."):
                if left == 0:
                    os.killpg(0, signal.SIGKILL)
                left -= 1
            real(path, *more, **options)

        return call

    os.replace, os.unlink = counting(os.replace), counting(os.unlink)
    generate(list(arguments), prog_name="generate_golden.py")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("arguments", nargs=-1, metavar="[KILLS]")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Playgrounds that run in parallel.")
@click.option("--before", "step", type=int, hidden=True)
def main(arguments: tuple[str, ...], seed: int, jobs: int, step: int | None) -> None:
    """Kill the generator KILLS times, 200 by default, and report the results."""
    if step is not None:
        return generate_and_die(step, arguments)
    wanted = int(arguments[0]) if arguments else 200
    with ProcessPoolExecutor(jobs) as pool:
        parts = pool.map(play, (len(range(job, wanted, jobs)) for job in range(jobs)), range(seed, seed + jobs))
        told = [one for part in parts for one in part]
    kinds = ("old", "new", "interrupted", "torn")
    click.echo(f"{'killed':<28}{'rounds':>8}" + "".join(f"{kind:>13}" for kind in kinds))
    for when in sorted({one.when for one in told}):
        of = [one for one in told if one.when == when]
        sums = sum((one.found for one in of), Counter[str]())
        click.echo(f"{when:<28}{len(of):>8}" + "".join(f"{sums[kind]:>13}" for kind in kinds))
    problems = [f"{one.when}: {problem}" for one in told for problem in one.problems]
    for problem in problems:
        click.echo(problem)
    kills, torn = sum(one.is_kill for one in told), sum(one.found["torn"] for one in told)
    click.echo(f"{kills} kills: {torn} torn, {len(problems)} problem(s)")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
