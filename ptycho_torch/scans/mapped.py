"""Read items of an array from its file, so that the array may exceed the memory.

A mapped array is easy to index. But every page that was touched counts as the process's memory until the system
reclaims it, pages arrive one fault at a time, pickling copies the whole array, and truncating the file kills the
process. So code that goes through a large array *reads* its items from the file: ``InFile`` knows where they are.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Shaped


@runtime_checkable
class Items(Protocol):
    """The items of an array (M, ...) along its first axis. They can be sent to another process."""

    def read(self, indices: Int[np.ndarray, " n"]) -> Shaped[np.ndarray, "n ..."]:
        """Read some items into a new array.

        Args:
            indices: (n,) integer, 0..M - 1.

        Returns:
            (n, ...), dtype of the array.

        Raises:
            ValueError: the array's file has changed.
        """
        ...


def items_of(array: Shaped[np.ndarray, "M ..."]) -> Items:
    """Return the items of an array (M, ...): from its file if it is mapped, otherwise from memory."""
    mapped = _mapped_by(array)
    return InMemory(array) if mapped is None else _in_file(array, mapped)


def map_array(
    file: IO[bytes], dtype: np.dtype[Any], offset: int, shape: tuple[int, ...], order: Literal["C", "F"]
) -> np.memmap[Any, Any]:
    """Map an array in a file, read-only. The array remembers name, size and modification time of its file.

    Args:
        file: the file, open for reading.
        dtype: dtype of the array.
        offset: offset of its first element in the file, bytes.
        shape: shape of the array.
        order: order of the elements, C or Fortran.
    """
    array: Any = np.memmap(file, dtype, "r", offset, shape, order)  # type: ignore[call-overload]
    array.stamp = _stamp(os.fstat(file.fileno()))
    return array  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class InMemory:
    """The items of an array in memory."""

    array: Shaped[np.ndarray, "M ..."]

    def read(self, indices: Int[np.ndarray, " n"]) -> Shaped[np.ndarray, "n ..."]:
        items: np.ndarray = self.array[indices]
        return items


@dataclass(frozen=True, eq=False)
class Repeated:
    """The same item at every index."""

    item: Shaped[np.ndarray, "*item"]

    def read(self, indices: Int[np.ndarray, " n"]) -> Shaped[np.ndarray, "n ..."]:
        return np.broadcast_to(self.item, (len(indices), *self.item.shape))


@dataclass(frozen=True)
class InFile:
    """The items of an array in a file.

    Attributes:
        path: path of the file.
        offset: offset of the array's first element in the file, bytes.
        shape: shape of the array.
        strides: strides of the array, bytes.
        dtype: dtype of the array.
        stamp: the file's size (bytes) and modification time (ns), by which a change is noticed.
        owner: object that keeps a temporary file alive.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    stamp: tuple[int, int]
    owner: object = field(default=None, compare=False, repr=False)

    def read(self, indices: Int[np.ndarray, " n"]) -> Shaped[np.ndarray, "n ..."]:
        with self.path.open("rb", buffering=0) as file:
            if _stamp(os.fstat(file.fileno())) != self.stamp:
                raise ValueError(f"data file {self.path}: it has changed since it was loaded; load it again")
            if not self._in_pieces or not hasattr(os, "preadv"):
                return InMemory(self._mapped()).read(indices)
            items = np.empty((len(indices), *self.shape[1:]), self.dtype)
            for item, index in zip(items, indices.tolist()):
                if os.preadv(file.fileno(), [item], self.offset + index * self.strides[0]) != item.nbytes:
                    raise ValueError(f"data file {self.path}: ends too early; it changed while it was read")
        return items

    @property
    def _in_pieces(self) -> bool:
        """Return whether each item is contiguous in the file. In a stack (N, N, M), items are interleaved."""
        return self.strides[1:] == np.empty(self.shape[1:], self.dtype).strides

    def _mapped(self) -> np.ndarray:
        pages = np.memmap(self.path, np.uint8, "r")
        return np.ndarray(self.shape, self.dtype, pages, self.offset, self.strides)


def _mapped_by(array: np.ndarray) -> np.memmap[Any, Any] | None:
    """Return the mapped array that this one is, or is a view of; None if its values are not those in the file.

    The type does not suffice: a copy of a mapped array is a ``numpy.memmap`` too.
    """
    while array is not None and not isinstance(array.base, mmap.mmap):
        array = array.base  # type: ignore[assignment]
    in_file = isinstance(array, np.memmap) and array.mode != "c"  # "c": changed pages are copies
    return array if in_file else None


def _in_file(array: np.ndarray, mapped: np.memmap[Any, Any]) -> InFile:
    path = Path(str(mapped.filename))
    offset = mapped.offset + array.ctypes.data - mapped.ctypes.data
    stamp = getattr(mapped, "stamp", None) or _stamp(os.stat(path))
    owner = getattr(mapped, "owner", None)
    return InFile(path, offset, array.shape, array.strides, array.dtype, stamp, owner)


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
