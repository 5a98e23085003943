"""Read arrays of an untrusted NPZ archive. Nothing is unpickled, and damage is reported.

Only headers are read until values are needed. An array that is not compressed can be mapped, so it may be larger than
the memory. The caller passes a *look*, which sees every value of an array once.
"""

from __future__ import annotations

import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from ptycho_torch.scans.collect import collect
from ptycho_torch.scans.mapped import map_array
from ptycho_torch.scans.stored_array import Arrange, Convert, Look, StoredArray

_BLOCK = 2**24
"""Bytes that are checked at a time, because a scan may be larger than the memory."""
_INTERLEAVED_BLOCK = 2**28
"""The same for items that are interleaved in the file, where each block of items touches the whole file."""
DAMAGE = (
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    MemoryError,
    EOFError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions of zipfile, zlib and NumPy for files that are damaged, encrypted, or compressed by an unknown method."""


class FiniteNumbers:
    """Check that all numbers are finite, and stay finite in another dtype.

    Args:
        name: name of the array, for the message.
        dtype: dtype to which the numbers are converted.
    """

    def __init__(self, name: object, dtype: type) -> None:
        self._name = name
        self._dtype = np.dtype(dtype)
        self._wrong: tuple[list[int], Any] | None = None

    def take(self, first: int, block: np.ndarray) -> None:
        """Check some items (k, ...)."""
        with np.errstate(over="ignore", invalid="ignore"):
            converted = block.astype(self._dtype, copy=False)
        if self._wrong is None and not (finite := np.isfinite(converted)).all():
            place = np.unravel_index(int(np.argmin(finite)), block.shape)
            self._wrong = [first + int(place[0]), *map(int, place[1:])], block[place]

    def judge(self) -> None:
        """Raise ``ValueError`` if a number was not finite."""
        if self._wrong is not None:
            place, value = self._wrong
            if np.isfinite(value):
                raise ValueError(f"{self._name}: expected numbers that {self._dtype} can hold, found larger ones")
            raise ValueError(f"{self._name}: expected finite numbers, found {value} at {place}")


@dataclass(frozen=True)
class Member(StoredArray):
    """An array of an NPZ archive, of which only the header was read."""

    info: zipfile.ZipInfo
    fortran_order: bool
    header_bytes: int

    def load(
        self,
        dtype: type,
        arrange: Arrange = lambda array: array,
        *,
        mapped: bool = False,
        look: Look | None = None,
        convert: Convert | None = None,
    ) -> np.ndarray:
        look = FiniteNumbers(self, dtype) if look is None else look
        outline = arrange(np.broadcast_to(np.zeros((), self.dtype), self.shape))
        in_order = not self.fortran_order and outline.shape[:1] == self.shape[:1]
        in_place = mapped and self._in_place
        if not mapped:
            self.require_held(self.size)
        with self._telling_damage():
            array = arrange(self._map()) if in_place else outline if mapped and in_order else arrange(self._read())
        if mapped and in_order:
            stored = self._items(array.shape)
        else:
            stored = self._checked(array) if in_place else in_blocks(array, _BLOCK)
        blocks = looked_at(stored, look, convert)
        if in_place and self.dtype == np.dtype(dtype) and convert is None:
            deque(blocks, maxlen=0)
            return array
        with np.errstate(over="ignore", invalid="ignore"):
            if mapped:
                return collect(blocks, array.shape, dtype)
            deque(blocks, maxlen=0)
            return np.ascontiguousarray(array, dtype)

    @contextmanager
    def _telling_damage(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as damage:
            raise ValueError(
                f"{self}: cannot be read ({one_line(damage)}); the file is damaged or incomplete"
            ) from damage

    @property
    def _in_place(self) -> bool:
        """Return whether the bytes are uncompressed and complete; zipfile checks ``compress_size`` only."""
        return self.info.compress_type == zipfile.ZIP_STORED and self.info.compress_size == self.info.file_size

    def _read(self) -> np.ndarray:
        with zipfile.ZipFile(self.path) as archive, archive.open(self.info) as member:
            array: np.ndarray = np.asarray(npy.read_array(member, allow_pickle=False))
            member.read()  # to the end, where zipfile checks the checksum
            return array

    def _items(self, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
        """Yield the items of an array (M, ...), unpacked if necessary, in blocks of whole items."""
        item = self.dtype.itemsize * math.prod(shape[1:])
        for held in self._stored(max(1, _BLOCK // item) * item):
            yield np.frombuffer(held, self.dtype).reshape(-1, *shape[1:])

    def _checked(self, array: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the items of a mapped array (M, ...), after checking the checksum of its bytes."""
        deque(self._stored(_BLOCK), maxlen=0)
        yield from in_blocks(array, _INTERLEAVED_BLOCK)

    def _stored(self, block: int) -> Iterator[bytes]:
        """Read the values in the order of the file, in blocks of this many bytes; zipfile checks the checksum."""
        with self._telling_damage(), zipfile.ZipFile(self.path) as archive, archive.open(self.info) as member:
            member.read(self.header_bytes)
            there = 0
            while held := member.read(block):
                there += len(held)
                yield held
            if there != self.size:
                raise ValueError(f"expected {self.size} bytes, found {there}")

    def _map(self) -> np.ndarray:
        """Map the array in the file."""
        with self.path.open("rb") as file:
            # The archive's directory does not give the length of the member's own header.
            file.seek(self.info.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
            start = self.info.header_offset + 30 + name + extra + self.header_bytes
            return map_array(file, self.dtype, start, self.shape, "F" if self.fortran_order else "C")


def look_at(array: np.ndarray, look: Look) -> None:
    """Show a whole array in memory to a look, and let it judge."""
    deque(looked_at(in_blocks(array, _BLOCK), look), maxlen=0)


def looked_at(blocks: Iterable[np.ndarray], look: Look, convert: Convert | None = None) -> Iterator[np.ndarray]:
    """Show blocks of items (k, ...) to a look, yield them converted, and let the look judge at the end."""
    first = 0
    for block in blocks:
        look.take(first, block)
        first += len(block)
        yield block if convert is None else convert(block)
    look.judge()


def in_blocks(array: np.ndarray, block: int) -> Iterator[np.ndarray]:
    """Yield an array in parts (k, ...) of about ``block`` bytes."""
    items = np.atleast_1d(array)
    at_once = max(1, block // max(1, items[:1].nbytes))
    for first in range(0, len(items), at_once):
        yield items[first : first + at_once]


def one_line(problem: Exception) -> str:
    """Return an exception's message in one line."""
    return " ".join(str(problem).split()) or type(problem).__name__


@dataclass(frozen=True)
class Required:
    """Look up members of an archive by key."""

    path: Path
    members: Mapping[str, zipfile.ZipInfo]

    def __call__(self, key: str, kind: str) -> Member:
        """Return the member of this key, after reading its header.

        Args:
            key: key of the array.
            kind: kind of its numbers, a key of ``_KINDS``.
        """
        if key not in self.members:
            raise ValueError(f"data file {self.path}: expected the key {key!r}, found {sorted(self.members)}")
        member = _open_member(self.path, key, self.members[key])
        if member.dtype.hasobject:
            raise ValueError(f"{member}: holds Python objects, which are never unpickled; store plain numbers")
        member.expect_kind(kind)
        return member


def members_of(path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the members of an NPZ archive by key.

    The archive's directory must agree with its own count and with the names in the members' headers, and no key may
    occur twice. Otherwise an array could be lost or replaced unnoticed.

    Raises:
        ValueError: the file is not an archive, or is damaged, or a key occurs twice.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:  # given a path, zipfile would report an unreadable file as not an archive
        if not zipfile.is_zipfile(file):
            raise ValueError(f"data file {path}: expected an NPZ archive, found something else, or an incomplete one")
        counted = _counted_members(file)
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
            for info in listed:
                archive.open(info).close()  # compares the two names
    except DAMAGE as damage:
        raise ValueError(
            f"data file {path}: cannot be read ({one_line(damage)}); it is damaged or incomplete"
        ) from damage
    if len(listed) != counted:
        raise ValueError(f"data file {path}: expected {counted} arrays, found {len(listed)}; it is damaged")
    times = Counter(_key(info) for info in listed)
    twice = sorted(key for key, count in times.items() if count > 1)
    if twice:
        raise ValueError(
            f"data file {path}: expected every key once, found {twice} more than once; write the file again"
        )
    return {_key(info): info for info in listed}


def holds_none(path: Path, key: str, info: zipfile.ZipInfo) -> bool:
    """Return whether a member is None as NumPy writes it, a scalar Python object. It is not unpickled.

    Raises:
        ValueError: the member is damaged.
    """
    member = _open_member(path, key, info)
    return member.dtype.hasobject and member.shape == ()


def _counted_members(file: IO[bytes]) -> int:
    """Read the number of members from the record at the archive's end, which zipfile found."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2**16 - 22))  # the record and the longest possible comment after it
    end = file.read()
    (count,) = struct.unpack_from("<H", end, end.rfind(b"PK\x05\x06") + 10)
    return int(count)


def _key(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _open_member(path: Path, key: str, info: zipfile.ZipInfo) -> Member:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(info) as member:
            version = npy.read_magic(member)
            read: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran_order, dtype = read(member)
            header_bytes = member.tell()
    except DAMAGE as damage:
        raise ValueError(
            f"data file {path}: {key!r}: expected an array ({one_line(damage)}); the file is damaged"
        ) from damage
    found = Member(path, key, shape, dtype, info, fortran_order, header_bytes)
    declared = header_bytes + dtype.itemsize * int(np.prod(shape, dtype=object))
    if not dtype.hasobject and info.file_size != declared:
        # Refuse it before it takes any memory.
        raise ValueError(f"{found}: expected {declared} bytes for {dtype} {shape}, found {info.file_size}")
    return found
