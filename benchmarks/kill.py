"""Kill the generator at random moments, and find nothing torn: ``python -m benchmarks.kill [ROUNDS]``.

The generator runs over the stand-in reference and each time has something to write. It is killed without warning, with
all its processes: while it computes, while it stages what it will write, or while it commits. Then every file and the
manifest must be of before, or all of after. Some rounds start two generators at once. Exit status 1 if any round fails.
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
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from golden.store.entry import read_manifest
from golden.store.golden import golden_path, stored_cases
from golden.store.read import read_golden
from golden.store.transaction import lock
from golden.store.verify import verify
from tests.golden import standin
from tests.golden.conftest import fill

REPOSITORY = Path(__file__).resolve().parents[1]
CASES = {case.name: case for case in standin.CASES}
BEHAVIOURS = ("", "drift", "breaking")
PHASES = {"computing": 3, "staging": 3, "committing": 4}
"""How many of ten rounds are killed in each. Uniform over time, hardly one would be killed while it commits."""
MARKS = {"computing": (".",), "staging": (".staging",), "committing": (f".staging/{len(CASES)}.json", ".commit.json")}
"""What shows that a phase has begun: the manifest is staged last."""

State = Mapping[str, str]


@dataclass(frozen=True)
class Told:
    """Of one round: the phase that it was killed in, what was found, and what is wrong with that."""

    phase: str
    found: str
    problems: tuple[str, ...] = ()


class Playground:
    """A directory of stand-in goldens, and how long a generator takes for each phase of writing them."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._directory = directory
        self._random = random.Random(seed)
        fill(directory)
        self._states: dict[str, State] = {}
        self._seconds: dict[str, float] = {}
        for behaviour in reversed(BEHAVIOURS):
            self._seconds = self._measure(behaviour)
            self._states[behaviour] = self._state()
        self._behaviour = BEHAVIOURS[0]

    def kill_once(self, phase: str) -> Told:
        """One round: something new to write, a blow, a look."""
        wanted = self._another()
        generator = self._start(wanted)
        self._await(phase, generator)
        time.sleep(self._random.uniform(0, self._seconds[phase]))
        ended = generator.poll() is not None
        os.killpg(generator.pid, signal.SIGKILL)
        generator.communicate()
        return self._look("ended before" if ended else phase, wanted)

    def two_at_once(self) -> Told:
        wanted = self._another()
        both = [self._start(wanted) for _ in range(2)]
        ends = [(generator.communicate()[1], generator.returncode) for generator in both]
        told = self._look("two at once", wanted)
        refused = [error for error, status in ends if status == 2 and "another generator is at work here" in error]
        problems = [] if told.found == "new" else [f"two at once leave {told.found}"]
        if len(refused) + sum(status == 0 for _, status in ends) != 2 or len(refused) > 1:
            problems.append(f"two at once end with {ends}")
        return Told(told.phase, "one was told" if refused else "one after the other", (*told.problems, *problems))

    def finish(self) -> Told:
        """A generator that nobody disturbs still comes to its end."""
        wanted = self._another()
        generator = self._start(wanted)
        generator.communicate()
        told = self._look("undisturbed", wanted)
        return Told(told.phase, told.found, (*told.problems, *([] if told.found == "new" else ["the last run failed"])))

    def _another(self) -> str:
        return self._random.choice([behaviour for behaviour in BEHAVIOURS if behaviour != self._behaviour])

    def _start(self, behaviour: str) -> subprocess.Popen[str]:
        command = [sys.executable, "generate_golden.py", "--fixtures", str(self._directory), "--update"]
        command += ["--reason", f"behaviour {behaviour!r}", "--slow"]
        command += ["--cases", "tests.golden.standin", "--reference", "tests.golden.standin"]
        return subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=os.environ | {"STANDIN": behaviour},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _await(self, phase: str, generator: subprocess.Popen[str]) -> None:
        """Until a phase begins, and no longer than the generator lives."""
        marks = [self._directory / mark for mark in MARKS[phase]]
        while not any(mark.exists() for mark in marks) and generator.poll() is None:
            time.sleep(0.0001)

    def _measure(self, behaviour: str) -> dict[str, float]:
        generator = self._start(behaviour)
        begun = [time.monotonic()]
        for phase in ("staging", "committing"):
            self._await(phase, generator)
            begun.append(time.monotonic())
        while (self._directory / ".staging").exists():
            time.sleep(0.0001)
        begun.append(time.monotonic())
        if generator.wait() != 0:
            raise click.ClickException(f"the generator does not run: {generator.communicate()[1]}")
        return {phase: end - start for phase, start, end in zip(PHASES, begun, begun[1:])}

    def _state(self) -> State:
        return {
            name: read_golden(golden_path(self._directory, name)).content_digest()
            for name in sorted(stored_cases(self._directory))
        }

    def _look(self, phase: str, wanted: str) -> Told:
        """Whether all is old or all is new; the next reader finishes what was committed, the next writer sweeps."""
        problems = verify(self._directory, CASES)
        found, before = self._state(), self._behaviour
        listed = {name: entry["content"] for name, entry in read_manifest(self._directory).items()}
        with lock(self._directory):
            problems += [f"{path.name} is left" for path in self._directory.glob(".*") if path.name != ".lock"]
        if listed != found:
            problems.append("the manifest lists other contents than the files have")
        if found == self._states[wanted]:
            self._behaviour = wanted
            return Told(phase, "new", tuple(problems))
        if found == self._states[before]:
            return Told(phase, "old", tuple(problems))
        mixed = sorted(name for name in found if found[name] != self._states[before].get(name))
        self._behaviour = next((key for key, state in self._states.items() if state == found), before)
        return Told(phase, "torn", (*problems, f"neither old nor new: {mixed} moved"))


def play(rounds: Iterable[int], seed: int) -> list[Told]:
    """Rounds in a playground of their own; every tenth is followed by one of two generators."""
    phases = [phase for phase, count in PHASES.items() for _ in range(count)]
    told = []
    with tempfile.TemporaryDirectory(prefix="kill-") as scratch:
        playground = Playground(Path(scratch), seed)
        for number in rounds:
            told.append(playground.kill_once(phases[number % len(phases)]))
            if number % len(phases) == 0:
                told.append(playground.two_at_once())
        told.append(playground.finish())
    return told


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("rounds", default=200, metavar="[ROUNDS]")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Playgrounds side by side.")
def main(rounds: int, seed: int, jobs: int) -> None:
    """Kill the generator ROUNDS times, and say what was found."""
    with ProcessPoolExecutor(jobs) as pool:
        parts = pool.map(play, (range(job, rounds, jobs) for job in range(jobs)), range(seed, seed + jobs))
        told = [one for part in parts for one in part]
    counts = Counter((one.phase, one.found) for one in told)
    for (phase, found), count in sorted(counts.items()):
        click.echo(f"{phase:<14}{found:<22}{count:>4}")
    problems = [f"{one.phase}: {problem}" for one in told for problem in one.problems]
    for problem in problems:
        click.echo(problem)
    click.echo(f"{rounds} kills: {sum(one.found == 'torn' for one in told)} torn, {len(problems)} problem(s)")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
