"""Set up git to show goldens as text in a diff (a textconv driver).

``.gitattributes`` names the driver (``*.h5 diff=golden``); what it runs is configuration of each clone, which no
repository can carry. ``git diff``, ``git log -p`` and ``git blame`` then show a golden in the words of its entry.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from golden.spec.errors import GoldenError

_DRIVER = "golden"
_SECTION = f"diff.{_DRIVER}"
_LINE = "*.h5 diff=golden"


def enable(directory: Path) -> list[str]:
    """Set the driver up in the clone that holds ``directory``, and say what was done.

    Raises:
        GoldenError: no git, or no clone.
    """
    command = f"{shlex.quote(sys.executable)} -m golden text"
    _git(directory, "config", "--local", f"{_SECTION}.textconv", command)
    _git(directory, "config", "--local", f"{_SECTION}.cachetextconv", "true")
    _forget(directory)
    done = [f"git shows goldens with: {command}"]
    if not _is_named(directory):
        attributes = _attributes(directory)
        attributes.parent.mkdir(exist_ok=True)
        before = attributes.read_text(encoding="utf-8") if attributes.exists() else ""
        lines = [*before.splitlines(), _LINE]
        attributes.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done.append(f"{attributes}: {_LINE} (commit that line in .gitattributes to spare others this)")
    return done


def disable(directory: Path) -> list[str]:
    """Undo what ``enable`` did, and say what was done.

    Raises:
        GoldenError: no git, or no clone.
    """
    if not is_enabled(directory):
        return ["git does not show goldens as text here"]
    _git(directory, "config", "--local", "--remove-section", _SECTION)
    _forget(directory)
    attributes = _attributes(directory)
    if attributes.exists():
        lines = attributes.read_text(encoding="utf-8").splitlines(keepends=True)
        attributes.write_text("".join(line for line in lines if line.strip() != _LINE), encoding="utf-8")
    return ["git shows goldens as binary files again"]


def _forget(directory: Path) -> None:
    """Drop the texts that git remembers: another release writes others."""
    _git(directory, "update-ref", "-d", f"refs/notes/textconv/{_DRIVER}")


def is_enabled(directory: Path) -> bool:
    """Tell whether the clone that holds ``directory`` has the driver."""
    _git(directory, "rev-parse", "--git-dir")
    return _run(directory, "config", "--local", "--get", f"{_SECTION}.textconv").returncode == 0


def _is_named(directory: Path) -> bool:
    return _git(directory, "check-attr", "diff", "--", "x.h5").strip().endswith(": golden")


def _attributes(directory: Path) -> Path:
    return directory / _git(directory, "rev-parse", "--git-path", "info/attributes").strip()


def run_git(directory: Path, *arguments: str) -> bytes:
    """Run git, and return what it prints.

    Raises:
        GoldenError: git is not there, or refuses; with its reason.
    """
    result = _run(directory, *arguments)
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip()
        raise GoldenError(f"git {' '.join(arguments)}: {reason or 'failed'}")
    return result.stdout


def write_blob(directory: Path, blob: str, path: Path) -> None:
    """Write a blob of the clone that holds ``directory`` into a file. It may be larger than memory."""
    with path.open("wb") as file:
        subprocess.run(["git", "cat-file", "blob", blob], cwd=directory, stdout=file, check=False)


def _git(directory: Path, *arguments: str) -> str:
    return run_git(directory, *arguments).decode()


def _run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], cwd=directory, capture_output=True, check=False)
    except FileNotFoundError:
        raise GoldenError("git is not installed, or not on the PATH") from None
