"""Code that the fuzzers share: the outcome of reading a file, and unpacking and packing zip archives."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.memory import memory_growth

Found = TypeVar("Found")
REFUSED, WRONG, GREEDY = "refused", "wrong exception", "greedy"


@dataclass(frozen=True)
class Outcome:
    """The outcome of reading one corrupt file, which its kind and seed reproduce."""

    kind: str
    seed: int
    verdict: str
    message: str


def outcome_of(
    kind: str,
    seed: int,
    path: Path,
    read: Callable[[Path], Found],
    judge: Callable[[Found], tuple[str, str]],
    most: int,
) -> Outcome:
    """Read a corrupt file.

    Args:
        kind, seed: of the corruption.
        path: of the file.
        read: reads it; to refuse it, raises a ValueError with one line that names the file.
        judge: returns a verdict and a message for what was read.
        most: bytes by which reading may raise the memory.
    """
    grown = memory_growth()
    try:
        verdict, message = judge(read(path))
    except ValueError as refused:
        message = str(refused)
        verdict = REFUSED if str(path) in message and message.isprintable() else WRONG
    except Exception as problem:
        verdict, message = WRONG, f"{type(problem).__name__}: {problem}"
    if (more := grown()) > most:
        verdict, message = GREEDY, f"{more >> 20} MiB; {verdict}: {message}"
    return Outcome(kind, seed, verdict, message)


def members(archive: bytes) -> dict[str, bytes]:
    """Return the content of each member of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def zipped(found: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED, level: int | None = None) -> bytes:
    """Write members to a zip archive, including repeated ones."""
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in found:
            archive.writestr(zipfile.ZipInfo(name), data, compression, level)
    return stream.getvalue()
