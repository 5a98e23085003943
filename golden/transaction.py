"""Replacing several files as one step, whatever interrupts it.

Files are written and flushed into a staging directory on the same file system. Then a journal that lists the renames
appears under its final name, in one rename: that is the moment of commit. Before it, an interruption leaves every
file as it was; after it, whoever opens the directory next finishes the renames, as SQLite's readers do with a hot
journal. A full disk shows while staging, before anything is touched.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from golden.case import GoldenError

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
        for staged in self._written.values():
            _flush(self._staging / staged)
        journal = self._staging / "journal"
        journal.write_text(json.dumps({"write": self._written, "remove": self._removed}, indent=1))
        _flush(journal)
        _flush(self._staging)
        os.replace(journal, self._directory / _JOURNAL)
        _flush(self._directory)
        _finish(self._directory)

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
        if not (directory / _JOURNAL).exists():
            update.discard()
        raise


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """One writer at a time.

    Raises:
        GoldenError: another process is updating the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    guard = FileLock(directory / _LOCK)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        raise GoldenError(f"{directory}: another generator is at work here; wait until it ends and run again") from None
    try:
        _finish(directory)
        yield
    finally:
        guard.release()


def finish_interrupted(directory: Path) -> bool:
    """Finish an update that was cut off after its commit. True if there was one."""
    if not (directory / _JOURNAL).exists():
        return False
    with FileLock(directory / _LOCK):
        return _finish(directory)


def _finish(directory: Path) -> bool:
    journal = directory / _JOURNAL
    if not journal.exists():
        return False
    entries = json.loads(journal.read_text())
    for relative, staged in entries["write"].items():
        source, target = directory / _STAGING / staged, directory / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.exists():  # else renamed before the interruption
            os.replace(source, target)
    for relative in entries["remove"]:
        (directory / relative).unlink(missing_ok=True)
    journal.unlink()
    shutil.rmtree(directory / _STAGING, ignore_errors=True)
    return True


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a directory
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
