"""Replacing several files as one step, whatever interrupts it.

Files are written and flushed into a staging directory on the same file system. Then a journal that lists the renames
appears under its final name, in one rename: that is the moment of commit. Before it, an interruption leaves every
file as it was; after it, whoever opens the directory next finishes the renames, as SQLite's readers do with a hot
journal. A full disk shows while staging, before anything is touched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from filelock import FileLock, Timeout

from golden.spec.errors import GoldenError

_STAGING = ".staging"
_JOURNAL = ".commit.json"
_LOCK = ".lock"


class Transaction:
    """The changes of one update of a directory. Paths are relative to it, with ``/``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._staging = directory / _STAGING
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)
        self._written: dict[str, str] = {}
        self._removed: list[str] = []

    def path_for(self, relative: str) -> Path:
        """Where to write the new version of ``relative``."""
        staged = f"{len(self._written)}{Path(relative).suffix}"
        self._written[relative] = staged
        return self._staging / staged

    def remove(self, relative: str) -> None:
        self._removed.append(relative)

    def commit(self) -> None:
        self._require_targets()
        for staged in self._written.values():
            _flush(self._staging / staged)
        journal = self._staging / "journal"
        journal.write_text(json.dumps({"write": self._written, "remove": self._removed}, indent=1), encoding="utf-8")
        _flush(journal)
        _flush(self._staging)
        os.replace(journal, self._directory / _JOURNAL)
        _flush(self._directory)
        _finish(self._directory)

    def _require_targets(self) -> None:
        """Whatever could keep a rename from succeeding is found before the commit, not after it."""
        for relative in (*self._written, *self._removed):
            target = self._directory / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() or not os.access(target.parent, os.W_OK):
                raise GoldenError(
                    f"{target}: cannot be replaced; expected a file in a directory that can be written to"
                )

    def discard(self) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)


@contextmanager
def transaction(directory: Path) -> Iterator[Transaction]:
    """Commit on leaving normally, leave everything as it was on an exception or a signal. Needs ``lock``."""
    update = Transaction(directory)
    try:
        yield update
        update.commit()
    except BaseException:
        if not is_committed(directory):
            update.discard()
        raise


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """One writer at a time.

    Raises:
        GoldenError: another process is updating the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _require_own(directory)
    guard = FileLock(directory / _LOCK)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        raise GoldenError(f"{directory}: another generator is at work here; wait until it ends and run again") from None
    try:
        _finish(directory)
        shutil.rmtree(directory / _STAGING, ignore_errors=True)  # of an update that never came to its commit
        yield
    finally:
        guard.release()


def is_committed(directory: Path) -> bool:
    """Whether an update is past its commit, but not finished yet."""
    return (directory / _JOURNAL).exists()


def finish_interrupted(directory: Path) -> bool:
    """Finish an update that was cut off after its commit. True if there was one.

    Raises:
        GoldenError: it cannot be finished; the message says what to do.
    """
    if not is_committed(directory):
        return False
    _require_own(directory)
    try:
        with FileLock(directory / _LOCK):
            return _finish(directory)
    except OSError as problem:
        raise _unfinished(directory, problem) from problem


def _require_own(directory: Path) -> None:
    """A repository can carry links; through one of these, files elsewhere would be moved, emptied or deleted."""
    for name in (_STAGING, _JOURNAL, _LOCK):
        if (directory / name).is_symlink():
            raise GoldenError(f"{directory / name}: a symbolic link, which no update leaves there; delete it")


def _unfinished(directory: Path, problem: Exception) -> GoldenError:
    what = f"{type(problem).__name__}: {problem}"
    return GoldenError(
        f"{directory / _JOURNAL}: an update was committed and cannot be finished ({what}). Make {directory} writable "
        f"and run again; or restore it from version control and delete {_JOURNAL} and {_STAGING}"
    )


def _finish(directory: Path) -> bool:
    if not is_committed(directory):
        return False
    try:
        _rename_all(directory, json.loads((directory / _JOURNAL).read_text(encoding="utf-8")))
        (directory / _JOURNAL).unlink()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise _unfinished(directory, problem) from problem
    shutil.rmtree(directory / _STAGING, ignore_errors=True)
    return True


def _rename_all(directory: Path, journal: dict[str, Any]) -> None:
    written, removed = journal["write"], journal["remove"]
    _require_inside(directory, (*written, *removed))
    for staged in written.values():
        if not re.fullmatch(r"[0-9]+(\.\w+)?", staged):
            raise ValueError(f"{staged!r} is no file that was staged")
    touched = {directory}
    for relative, staged in written.items():
        source, target = directory / _STAGING / staged, directory / relative
        if source.exists():
            os.replace(source, target)
        elif not target.exists():  # neither waiting nor renamed before the interruption
            raise FileNotFoundError(source)
        touched.add(target.parent)
    for relative in removed:
        (directory / relative).unlink(missing_ok=True)
        touched.add((directory / relative).parent)
    for parent in touched:
        _flush(parent)


def _require_inside(directory: Path, names: Iterable[str]) -> None:
    """A journal may come with a repository, from anyone: it must move and delete nothing elsewhere."""
    for relative in names:
        parent = (directory / relative).parent.resolve()
        hidden = any(part.startswith(".") for part in PurePath(relative).parts)
        if hidden or not parent.is_relative_to(directory.resolve()):
            raise ValueError(f"{relative!r} is no file of this directory")


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a directory
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
