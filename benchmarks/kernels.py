"""Check the port, and TensorFlow itself, against the goldens with every kernel that this processor has.

    make kernels  (or: python -m benchmarks.kernels --help)

An upper limit selects the kernels. So a processor can stand in for older ones, but not for newer ones or for Arm. The
exit status is 1 if a variant fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click

from golden.generator.worker import VARIANTS
from golden.report.run import read_shares

ROOT = Path(__file__).resolve().parents[1]
LIMITS = ("SSE41", "AVX", "AVX2", "DEFAULT")
PINNED = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Variant:
    """Kernels for Torch: environment variables of the process, and options of the tests."""

    name: str
    environment: Mapping[str, str]
    options: Sequence[str] = field(default_factory=tuple)


def _variants() -> list[Variant]:
    limits = [("Torch's oneDNN " + ("without limit" if one == "DEFAULT" else f"at {one}"), one) for one in LIMITS]
    found = []
    for threads in "12":
        of = f", {threads} thread" + "s" * (threads == "2")
        omp = {"OMP_NUM_THREADS": threads}
        found += [Variant(name + of, omp | {"ONEDNN_MAX_CPU_ISA": limit}) for name, limit in limits]
        found.append(Variant(f"no oneDNN{of}", omp, ("--no-mkldnn",)))
    return [*found, *(Variant(f"ATen at {one}", {"ATEN_CPU_CAPABILITY": one}) for one in ("avx2", "default"))]


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in PINNED} | dict(settings)


@dataclass(frozen=True)
class Result:
    """The result of a variant; ``largest`` is the case that uses most of its tolerance."""

    name: str
    is_green: bool
    goldens: int
    share: float
    largest: str
    seconds: float


def _port(variant: Variant, arguments: Sequence[str]) -> Result:
    """Check the port against the goldens."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "run.json"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "golden", f"--golden-report={report}"]
        command += [*variant.options, *(arguments or ["tests/torch"])]
        ended = subprocess.run(
            command, cwd=ROOT, env=_environment(variant.environment), capture_output=True, text=True, check=False
        )
        shares = read_shares(report) if report.exists() else {}
    if ended.returncode:
        click.echo(ended.stdout[-4000:] + ended.stderr[-2000:])
    largest = max(shares, key=lambda case: shares[case], default="")
    seconds = time.perf_counter() - started
    return Result(variant.name, ended.returncode == 0, len(shares), shares.get(largest, 0.0), largest, seconds)


def _tensorflow(python: str, under: str, patterns: Sequence[str]) -> Result:
    """Let TensorFlow recompute the goldens with settings for which their noise was measured."""
    started = time.perf_counter()
    command = [python, "generate_golden.py", "--under", under, *patterns]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        click.echo(ended.stdout[-4000:] + ended.stderr[-2000:])
    return Result(f"TensorFlow, {under}", ended.returncode == 0, 0, 0.0, "", time.perf_counter() - started)


def _line(one: Result) -> str:
    verdict = "green" if one.is_green else "RED"
    most = f"{one.goldens:4} goldens, most used {one.share:.0%} ({one.largest})" if one.goldens else ""
    return f"{one.name:40} {verdict:6} {one.seconds:5.0f} s  {most}".rstrip()


@click.command()
@click.option("--python", help="An interpreter with TensorFlow: let it recompute the goldens too.")
@click.option("--cases", "patterns", multiple=True, help="Goldens that TensorFlow recomputes; all by default.")
@click.argument("arguments", nargs=-1)
def main(python: str | None, patterns: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    """Run the parity tests with every kernel. ARGUMENTS are passed to pytest."""
    work = [partial(_port, one, arguments) for one in _variants()]
    if python:
        work += [partial(_tensorflow, python, under, patterns) for under in VARIANTS]
    results = []
    for number, one in enumerate(work, start=1):
        results.append(one())
        click.echo(f"[{number}/{len(work)}] {_line(results[-1])}")
    click.echo("\n" + "\n".join(_line(one) for one in results))
    sys.exit(not all(one.is_green for one in results))


if __name__ == "__main__":
    main()
