"""Check what a stranger may have put in place of a golden's files, before anything is opened or shown.

A link may lead to a device that never ends. Opening a pipe blocks. A sparse file may declare terabytes. A name may
contain control sequences of a terminal. Goldens need none of these: they are files ``TOPIC/CASE`` with known suffixes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from golden.spec.errors import GoldenError

SMALL = 2**20
"""The largest entry, page or settings file that is read, in bytes. The largest that we write has about 20 kB."""
MOST_ENTRIES = 2**26
"""Bytes of all entries of a directory together."""
MOST_FILES = 5000
"""Files of a fixtures directory that are checked at most; ours has 450."""
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
"""Windows lacks some of them, and has no such pipes or links."""


class UnreadableError(GoldenError):
    """The system refuses to read a file. This says nothing about its contents."""

    def __init__(self, why: OSError) -> None:
        super().__init__(f"the system refuses to read it: {why.strerror or why}")


def printable(text: str) -> str:
    """Escape characters that a terminal would obey or could not show."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def read_small(path: Path, most: int = SMALL) -> bytes:
    """Read a file that should be small.

    Raises:
        FileNotFoundError: there is none.
        GoldenError: it is a link, not a file, or too large. The message does not name the file.
        UnreadableError: the system refuses to read it. The message does not name the file either.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as refused:
        if refused.errno == errno.ELOOP:
            raise GoldenError("a symbolic link, not a file") from refused
        raise UnreadableError(refused) from refused
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise GoldenError(f"{_kind(found.st_mode)}, not a file")
        if found.st_size > most:
            raise GoldenError(f"{found.st_size} bytes; at most {most} are read")
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(most)
    except OSError as broken:
        raise UnreadableError(broken) from broken
    finally:
        os.close(descriptor)


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a directory" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"


@dataclass(frozen=True)
class Survey:
    """The contents of a fixtures directory, without hidden names.

    Attributes:
        files: bytes of each file, by ``NAME`` or ``TOPIC/NAME``.
        strange: everything that is neither such a file nor a topic's directory, a sentence each.
    """

    files: Mapping[str, int]
    strange: tuple[str, ...]


def survey(fixtures: Path) -> Survey:
    """List the names and kinds of everything in a fixtures directory. No file is opened, no link is followed."""
    files: dict[str, int] = {}
    strange: list[str] = []
    found = _walked(fixtures, strange)
    for name, about in islice(found, MOST_FILES):
        mode = about.st_mode
        if stat.S_ISREG(mode):
            files[name] = about.st_size
        elif not stat.S_ISDIR(mode) or "/" in name:
            strange.append(f"{printable(name)}: {_kind(mode)}; expected files in TOPIC/CASE")
    if next(found, None):
        strange.append(f"{fixtures}: more than {MOST_FILES} files; the others were not checked")
    return Survey(files, tuple(strange))


def _walked(fixtures: Path, closed: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """List the names of two levels with their kinds; add directories that cannot be listed to ``closed``."""
    for name, about in _listed(fixtures):
        yield name, about
        if stat.S_ISDIR(about.st_mode):
            try:
                yield from ((f"{name}/{below}", found) for below, found in _listed(fixtures / name))
            except OSError as refused:
                closed.append(f"{printable(name)}: {UnreadableError(refused)}")


def _listed(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield entry.name, entry.stat(follow_symlinks=False)
