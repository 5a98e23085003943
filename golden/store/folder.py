"""Look at what a stranger may have put in the place of a golden's files, before anything is opened or shown.

A link leads elsewhere, perhaps to a device that never ends; a pipe is waited for; a sparse file declares terabytes; a
name can hold what a terminal obeys. Goldens need none of these: they are files in ``TOPIC/CASE``, of known names.
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
"""Bytes of an entry, a page or settings that are read. The largest that we write have some 20 kB."""
MOST_ENTRIES = 2**26
"""Bytes of all entries of a directory together."""
MOST_FILES = 5000
"""Files of a fixtures directory that are looked at; ours have 450."""
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
"""Windows lacks some of them, and has no such pipes or links."""


def printable(text: str) -> str:
    """Write out what a terminal would obey, or could not show."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def read_small(path: Path, most: int = SMALL) -> bytes:
    """Read a file that should be small.

    Raises:
        FileNotFoundError: there is none.
        GoldenError: it is a link, no file, too large, or cannot be read. The message does not name it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as refused:
        what = "a symbolic link, not a file" if refused.errno == errno.ELOOP else refused.strerror
        raise GoldenError(str(what)) from refused
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise GoldenError(f"{_kind(found.st_mode)}, not a file")
        if found.st_size > most:
            raise GoldenError(f"{found.st_size} bytes; at most {most} are read")
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(most)
    finally:
        os.close(descriptor)


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a directory" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"


@dataclass(frozen=True)
class Survey:
    """What lies in a fixtures directory, hidden names left out.

    Attributes:
        files: bytes of each file, by ``NAME`` or ``TOPIC/NAME``.
        strange: what is neither that nor a topic's directory, and why, a sentence each.
    """

    files: Mapping[str, int]
    strange: tuple[str, ...]


def survey(fixtures: Path) -> Survey:
    """Look at the names and kinds of all that lies in a fixtures directory. Nothing is opened, no link followed."""
    files: dict[str, int] = {}
    strange: list[str] = []
    found = _walked(fixtures)
    for name, about in islice(found, MOST_FILES):
        mode = about.st_mode
        if stat.S_ISREG(mode):
            files[name] = about.st_size
        elif not stat.S_ISDIR(mode) or "/" in name:
            strange.append(f"{printable(name)}: {_kind(mode)}; expected files in TOPIC/CASE")
    if next(found, None):
        strange.append(f"{fixtures}: more than {MOST_FILES} files; the others were not looked at")
    return Survey(files, tuple(strange))


def _walked(fixtures: Path) -> Iterator[tuple[str, os.stat_result]]:
    """List the names of two levels, and what they are."""
    for name, about in _listed(fixtures):
        yield name, about
        if stat.S_ISDIR(about.st_mode):
            yield from ((f"{name}/{below}", found) for below, found in _listed(fixtures / name))


def _listed(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield entry.name, entry.stat(follow_symlinks=False)
