"""Run the commands that the documents show, in a scratch clone: ``python -m docs.commands``.

Each line of a code block that begins with a program's name is a command. It runs in the Torch environment. Each
document has its own clone, so a command can use the results of earlier ones. ``SHORTENED`` shortens slow commands.
``ELSEWHERE`` lists the commands that cannot run here, with what runs them instead. The exit status is 1 if a command
fails.

The Torch environment must exist (``make test``). Only committed files are used.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TORCH = REPOSITORY / ".venv-torch" / "bin"
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{name}.md" for name in ("how-to", "ports", "run", "beamline", "faults")),
)
PROGRAMS = ("make", "golden", "python", "pip", "pytest", "source", "git", "pre-commit")

SHORTENED = {
    "python -m ptycho_torch.train ": " --n_images 32 --max_epochs 1 --n_filters_scale 1",
    "python -m ptycho_torch.inference ": " --n_images 32",
}
"""Beginning of a command -> options that are added. If an option is repeated, the last one counts."""
STANDING_FOR = {
    " CASE": " probe/hard_mask_n64",
}
"""Placeholder -> its value here."""
PROVIDED = {
    "mine.npz": "scan.npz",
    "scan.npz": "scan.npz",
    "scan.h5": "tests/torch/data/1-mode.h5",
    "picture.jpg": "docs/mosaic.png",
}
"""The reader's own file -> the file used in its place."""

ELSEWHERE = {
    r"make (test|golden|lint)": ".ci/run",
    r"pytest( .*)?": ".ci/run",
    r"source .*/activate": "the environment is active",
    r"pip install .*": "make test and .ci/wheels",
    r"pre-commit install": "by hand",
    r"git clone .*|make confirm .*": "by hand: it needs PtychoPINN's checkout",
    r"python generate_golden\.py .*": "tests/reference and docs/walk.py: it needs TensorFlow",
    r"golden check (my|golden)_subject.*": "tests/golden/test_check.py",
}
"""Pattern of commands -> what runs them instead."""

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def main() -> None:
    failed = [command for document in DOCUMENTS for command in run_document(document)]
    print(f"{len(failed)} command(s) failed" + "".join(f"\n  {command}" for command in failed))
    sys.exit(bool(failed))


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a document, without comments. Lines joined by a backslash are one command."""
    for _, language, code in _FENCE.findall(text):
        if language not in ("", "sh"):
            continue
        for line in code.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+#.*|^\$ ", "", line.strip())
            if command.split(" ")[0] in PROGRAMS:
                yield re.sub(r" +", " ", command)


def elsewhere(command: str) -> str:
    """Return what runs a command instead; empty if it runs here."""
    return next((where for pattern, where in ELSEWHERE.items() if re.fullmatch(pattern, command)), "")


def run_document(document: str) -> Iterator[str]:
    """Run a document's commands, and yield those that fail."""
    print(f"=== {document}", flush=True)
    with tempfile.TemporaryDirectory(prefix="commands-") as scratch:
        clone = Path(scratch) / "ptycho-golden"
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        subprocess.run(
            ["git", "checkout", "-q", "-B", "main"], cwd=clone, check=True
        )  # the documents compare with main
        for command in commands((clone / document).read_text(encoding="utf-8")):
            where = elsewhere(command)
            if where:
                print(f"      -  {command}  ({where})", flush=True)
            elif not run(command, clone):
                yield f"{document}: {command}"


def run(command: str, clone: Path) -> bool:
    """Run a command in the clone, with the files it needs. Print its exit status and, if it failed, its output."""
    for words, meant in STANDING_FOR.items():
        command = command.replace(words, meant)
    shown = command + next((more for start, more in SHORTENED.items() if command.startswith(start)), "")
    provide(command, clone)
    started = time.monotonic()
    environment = {**os.environ, "PATH": f"{TORCH}:{os.environ['PATH']}", "VIRTUAL_ENV": str(TORCH.parent)}
    ended = subprocess.run(
        ["bash", "-c", shown], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    verdict = "ok" if ended.returncode == 0 else f"exit status {ended.returncode}"
    print(f"{time.monotonic() - started:5.1f} s  {shown}  {verdict}", flush=True)
    if ended.returncode:
        print(ended.stdout[-3000:] + ended.stderr[-3000:], flush=True)
    return ended.returncode == 0


def provide(command: str, clone: Path) -> None:
    """Create the reader's own files that a command names, unless they exist."""
    for name, source in PROVIDED.items():
        if f" {name}" not in command or (clone / name).exists() or f"simulate {name}" in command:
            continue
        if source.endswith(".npz"):
            subprocess.run([TORCH / "golden", "scan", name], cwd=clone, capture_output=True, check=True)
        else:
            shutil.copyfile(clone / source, clone / name)


if __name__ == "__main__":
    main()
