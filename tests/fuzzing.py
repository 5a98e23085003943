"""Code that the fuzzers share: the outcome of reading a file, and unpacking and packing zip archives."""

from __future__ import annotations

import io
import warnings
import zipfile
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The outcome of reading one corrupt file, which its kind and seed reproduce."""

    kind: str
    seed: int
    verdict: str
    message: str


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
