"""Interrupt programs at random moments, from their start to their end: ``python -m benchmarks.signals [N]``.

N signals are sent to ``train``, ``inference``, ``simulate`` and ``golden scan`` in turn; every fourth is SIGTERM. The
exit status is 1 if a program ends with a status other than 0 (it had finished), 130 or 143; prints anything but its own
messages; prints a false message; or leaves an incomplete file. The seed reproduces the moments.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image

from ptycho_torch.files.bundle import NAME, load_bundle
from ptycho_torch.scans.scan import load_scan, save_scan
from ptycho_torch.simulate import Simulation, simulate_scan

TRAIN, INFERENCE, SIMULATE, SCAN = "train", "inference", "simulate", "golden scan"
TRAINED = {NAME, "losses.json", "losses.png"}
INFERRED = {
    *("reconstructed_amplitude.png", "reconstructed_phase.png", "reconstruction.npz"),
    *("diagnostics.txt", "diagnostics.json", "diagnostics.png"),
}
FOREIGN = re.compile(r"Traceback|Exception|Aborted|KeyboardInterrupt|Fatal|swallowed")
OURS = re.compile(r"interrupted|Error: |golden: |site-packages|/(golden|ptycho_torch)/")
EARLY = "the interpreter had not started the program"
"""In the first hundredths of a second, Python handles a signal itself, because the program does not run yet."""


@dataclass(frozen=True)
class Round:
    """The effect of a signal.

    Attributes:
        program: the interrupted program.
        moment: fraction of its time that had passed.
        status: its exit status; negative if the signal ended it before it could print anything.
        said: its last message.
        left: the files that it left, in one word.
        problems: errors in this result.
    """

    program: str
    moment: float
    status: int
    said: str
    left: str
    problems: tuple[str, ...] = ()


class Bench:
    """The programs on a scan of eight patterns, with the duration of each."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self._random = random.Random(seed)
        self.scan = directory / "scan.npz"
        save_scan(self.scan, simulate_scan(Simulation(patterns=8, seed=3)))
        self.trained = directory / "trained"
        self._seconds: dict[str, float] = {}
        for program in (TRAIN, INFERENCE, SIMULATE, SCAN):
            out = self.trained if program == TRAIN else directory / f"first {program}"
            begun = time.monotonic()
            process = self._start(program, out)
            said = process.communicate()[1]
            self._seconds[program] = time.monotonic() - begun
            if process.returncode:
                raise click.ClickException(f"{program} does not run: {said}")

    def interrupt(self, program: str, number: int) -> Round:
        """Send a program a signal at a random moment."""
        out = self.directory / "out"
        moment = self._random.uniform(0, 1.05)
        process = self._start(program, out)
        time.sleep(moment * self._seconds[program])
        process.send_signal(number)
        try:
            said = process.communicate(timeout=120)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            return Round(program, moment, 0, "", "", (f"{program} does not end", process.communicate()[1]))
        left, problems = self._look(program, out, process.returncode, said, number)
        for path in (out, out.with_suffix(".npz"), out.with_suffix(".png")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return Round(
            program, moment, process.returncode, said.strip().splitlines()[-1:][0] if said else "", left, problems
        )

    def _start(self, program: str, out: Path) -> subprocess.Popen[str]:
        options: list[object] = {
            TRAIN: [
                *("ptycho_torch.train", "--train_data_file", self.scan, "--output_dir", out, "--max_epochs", 3),
                *("--n_images", 6, "--batch_size", 4, "--n_filters_scale", 1, "--accelerator", "cpu"),
            ],
            INFERENCE: [
                *("ptycho_torch.inference", "--model_path", self.trained, "--test_data", self.scan),
                *("--output_dir", out, "--n_images", 6, "--accelerator", "cpu"),
            ],
            SIMULATE: [
                *("ptycho_torch.simulate", out.with_suffix(".npz"), "--patterns", 200, "--overwrite"),
                *("--preview", out.with_suffix(".png")),
            ],
            SCAN: ["golden", "scan", out.with_suffix(".npz")],
        }[program]
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, options)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def _look(self, program: str, out: Path, status: int, said: str, number: int) -> tuple[str, tuple[str, ...]]:
        """Check the files that were left, and the message."""
        problems = []
        left = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
        left += [path.name for path in (out.with_suffix(".npz"), out.with_suffix(".png")) if path.exists()]
        left += [path.name for path in self.directory.glob(".out*")]
        problems += [f"{name} is left" for name in left if name.startswith(".")]
        problems += _torn(out)
        whole = {TRAIN: TRAINED, INFERENCE: INFERRED, SIMULATE: {"out.npz", "out.png"}, SCAN: {"out.npz"}}[program]
        there = whole & set(left)
        results = "all" if there == whole else "some" if there else "none"
        if results == "some" and program != SIMULATE:
            problems.append(f"only {sorted(there)} are there")
        if status in (-number, 1) and not OURS.search(said):
            return f"{results}: {EARLY}", tuple(problems)
        if status not in (0, 128 + number):
            problems.append(f"exit status {status}")
        if FOREIGN.search(said):
            problems.append(f"unexpected output: {said[-400:]!r}")
        if status == 0 and results != "all":
            problems.append("exit status 0, but results are missing")
        if status and said.count("interrupted") != 1:
            problems.append(f"expected one line about the interruption, found {said[-400:]!r}")
        if status:
            problems += _untrue(said, results, sorted(there), out)
        return results + (" and a state" if "last.ckpt" in left else ""), tuple(problems)


def _untrue(said: str, results: str, there: list[str], out: Path) -> Iterator[str]:
    """Compare the message with the files on disk."""
    claims: dict[str, Callable[[], bool]] = {
        "nothing was written": lambda: not there and not (out / "last.ckpt").exists(),
        "no epoch was finished": lambda: not there and not (out / "last.ckpt").exists(),
        "is kept; the same": lambda: not there and (out / "last.ckpt").exists(),
        "all results are written": lambda: results == "all",
        "written before: ": lambda: said.count("/out.") == len(there) > 0,
    }
    made = [claim for claim in claims if claim in said]
    if len(made) != 1:
        yield f"expected one claim, found {made} in {said[-300:]!r}"
    for claim in made:
        if not claims[claim]():
            yield f"the message says {claim!r}, but the files are {there}"


def _torn(out: Path) -> Iterator[str]:
    """Report incomplete files."""
    readers: dict[str, Callable[[Path], object]] = {
        ".npz": lambda path: load_scan(path) if path.parent != out else np.load(path, allow_pickle=False)["mosaic"],
        ".png": lambda path: Image.open(path).load(),
        ".zip": load_bundle,
    }
    paths = [*(out.iterdir() if out.is_dir() else []), out.with_suffix(".npz"), out.with_suffix(".png")]
    for path in paths:
        if path.is_file() and path.suffix in readers:
            try:
                readers[path.suffix](path)
            except Exception as problem:
                yield f"{path.name} is torn: {problem}"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("number", default=100, metavar="[N]")
@click.option("--seed", default=0, show_default=True, help="Seed of the moments.")
@click.option("--program", "chosen", multiple=True, type=click.Choice([TRAIN, INFERENCE, SIMULATE, SCAN]))
def main(number: int, seed: int, chosen: tuple[str, ...]) -> None:
    """Send N signals, and report the results."""
    programs = chosen or (TRAIN, INFERENCE, SIMULATE, SCAN)
    with tempfile.TemporaryDirectory(prefix="signals-") as scratch:
        bench = Bench(Path(scratch), seed)
        rounds = []
        for count in range(number):
            sent = signal.SIGTERM if count // len(programs) % 4 == 3 else signal.SIGINT
            rounds.append(bench.interrupt(programs[count % len(programs)], sent))
    click.echo(f"{'program':<14}{'status':>8}{'rounds':>8}  results left: last message")
    told = Counter((one.program, one.status, one.left, re.sub(r"\d+|/\S+", "…", one.said)) for one in rounds)
    for (program, status, left, said), times in sorted(told.items()):
        click.echo(f"{program:<14}{status:>8}{times:>8}  {left}: {said[:110]}")
    problems = [f"{one.program} at {one.moment:.3f}: {problem}" for one in rounds for problem in one.problems]
    for problem in problems:
        click.echo(problem)
    early = sum(EARLY in one.left for one in rounds)
    click.echo(f"{len(rounds)} signals, {early} of them before a program's first line; {len(problems)} problem(s)")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
