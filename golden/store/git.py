"""Set up git to show goldens as text in a diff (a textconv driver), and never to merge a part of one.

``.gitattributes`` names the drivers (``*.h5 diff=golden merge=golden``). The commands that they run are configured in
each clone, because a repository cannot carry them. ``git diff``, ``git log -p`` and ``git blame`` then show a golden
as the text of its entry. If both sides changed a golden, all three of its files keep our version and stay in conflict:
only the generator can compute a golden of the merged code.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from golden.spec.errors import GoldenError

_DRIVER = "golden"
_SECTION, _MERGE = f"diff.{_DRIVER}", f"merge.{_DRIVER}"
_OF_GOLDENS = "*.h5 diff=golden merge=golden"
_MISLEADING = frozenset(
    (
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"),
        *(f"GIT_{kind}_PATHSPECS" for kind in ("LITERAL", "GLOB", "NOGLOB", "ICASE")),
    )
)
"""Variables that hooks and other programs set for their own git: they name a repository, or say what a path means."""


def enable(directory: Path, fixtures: Path) -> list[str]:
    """Set the drivers up in the clone that holds ``directory``, and return what was done.

    Args:
        directory: somewhere in the clone.
        fixtures: directory of the goldens; the merge driver also covers their entries and pictures.

    Raises:
        GoldenError: git is not installed, or this is not a clone.
    """
    python = f"{shlex.quote(sys.executable)} -m golden"
    _git(directory, "config", "--local", f"{_SECTION}.textconv", f"{python} text")
    _git(directory, "config", "--local", f"{_SECTION}.cachetextconv", "true")
    _git(directory, "config", "--local", f"{_MERGE}.name", "a golden that both sides changed is left to the generator")
    _git(directory, "config", "--local", f"{_MERGE}.driver", f"{python} unmerged %P")
    _forget(directory)
    done = [
        f"git shows goldens with: {python} text",
        "a golden that both sides changed keeps our version and stays in conflict",
    ]
    wanted = [line for line in _lines(directory, fixtures) if not _is_named(directory, line)]
    if wanted:
        attributes = _attributes(directory)
        attributes.parent.mkdir(exist_ok=True)
        before = attributes.read_text(encoding="utf-8") if attributes.exists() else ""
        attributes.write_text("\n".join([*before.splitlines(), *wanted]) + "\n", encoding="utf-8")
        done += [
            f"{attributes}: {line} (commit that line in .gitattributes, so that others need not add it)"
            for line in wanted
        ]
    return done


def _lines(directory: Path, fixtures: Path) -> list[str]:
    """Return the lines of attributes that name the drivers for a golden's three files."""
    top = Path(_git(directory, "rev-parse", "--show-toplevel").strip())
    if not fixtures.resolve().is_relative_to(top.resolve()):
        return [_OF_GOLDENS]
    inside = fixtures.resolve().relative_to(top.resolve()).as_posix()
    return [_OF_GOLDENS, *(f"/{inside}/*/*.{kind} merge={_DRIVER}" for kind in ("json", "png"))]


def conflicted(fixtures: Path) -> list[str]:
    """List the files of a directory with an unresolved merge conflict; nothing outside a clone."""
    try:
        listed = run_git(fixtures, "ls-files", "--unmerged", "-z").decode(errors="backslashreplace")
    except GoldenError:
        return []
    return sorted({line.partition("\t")[2] for line in listed.split("\0") if line})


def disable(directory: Path) -> list[str]:
    """Undo what ``enable`` did, and return what was done.

    Raises:
        GoldenError: git is not installed, or this is not a clone.
    """
    if not is_enabled(directory):
        return ["git does not show goldens as text here"]
    for section in (_SECTION, _MERGE):
        _run(directory, "config", "--local", "--remove-section", section)
    _forget(directory)
    attributes = _attributes(directory)
    if attributes.exists():
        lines = attributes.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.strip().endswith((f"merge={_DRIVER}", f"diff={_DRIVER}"))]
        attributes.write_text("".join(kept), encoding="utf-8")
    return ["git shows goldens as binary files again, and merges them as such"]


def _forget(directory: Path) -> None:
    """Drop the texts that git cached, because another release may write different ones."""
    _git(directory, "update-ref", "-d", f"refs/notes/textconv/{_DRIVER}")


def is_enabled(directory: Path) -> bool:
    """Tell whether the clone that holds ``directory`` has the driver."""
    _git(directory, "rev-parse", "--git-dir")
    return _run(directory, "config", "--local", "--get", f"{_SECTION}.textconv").returncode == 0


def _is_named(directory: Path, line: str) -> bool:
    """Tell whether the files that a line applies to already have its attributes."""
    pattern, *wanted = line.split()
    top = Path(_git(directory, "rev-parse", "--show-toplevel").strip())
    file = pattern.removeprefix("/").replace("*", "x")
    found = _git(top, "check-attr", *(attribute.partition("=")[0] for attribute in wanted), "--", file)
    return all(told.endswith(f": {_DRIVER}") for told in found.splitlines())


def _attributes(directory: Path) -> Path:
    return directory / _git(directory, "rev-parse", "--git-path", "info/attributes").strip()


def run_git(directory: Path, *arguments: str) -> bytes:
    """Run git, and return what it prints.

    Raises:
        GoldenError: git is not installed, or fails; the message gives its reason.
    """
    return _required(_run(directory, *arguments), arguments)


def write_blob(directory: Path, blob: str, path: Path) -> None:
    """Write a blob of the clone that holds ``directory`` into a file. It may be larger than memory.

    Raises:
        GoldenError: git does not have it, or cannot write it.
    """
    command = ("cat-file", "blob", blob)
    with path.open("wb") as file:
        _required(_run(directory, *command, stdout=file), command)


def _required(result: subprocess.CompletedProcess[bytes], arguments: Sequence[str]) -> bytes:
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip()
        raise GoldenError(f"git {' '.join(arguments)}: {reason or 'failed'}")
    return result.stdout


def _git(directory: Path, *arguments: str) -> str:
    return os.fsdecode(run_git(directory, *arguments))


def _run(
    directory: Path, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    environment["LC_ALL"] = "C"  # in English, because store.sources looks for words in its messages
    command = ["git", *arguments]
    try:
        return subprocess.run(
            command, cwd=directory, env=environment, stdout=stdout, stderr=subprocess.PIPE, check=False
        )
    except FileNotFoundError as absent:
        if absent.filename != "git":
            raise GoldenError(f"{absent.filename}: no such directory") from None
        raise GoldenError("git is not installed, or not on the PATH") from None
    except OSError as refused:
        raise GoldenError(f"git cannot be run: {refused}") from refused
