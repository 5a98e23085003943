"""A few items of an array that is larger than the memory.

A mapped array is handy to look at. But every page of it that was touched counts as the process's memory until the
system takes it back, pages arrive one fault at a time, pickling copies all of it, and a file that is cut short kills
the process. So whoever goes through a large array *reads* its items from where they lie, which a ``Window`` knows.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Shaped


@runtime_checkable
class Items(Protocol):
    """The items of an array (M, ...) along its first axis. It can be sent to another process."""

    def read(self, indices: Int[np.ndarray, " n"]) -> Shaped[np.ndarray, "n ..."]:
        """Some of them, a new array.

        Args:
            indices: (n,), 0..M - 1.

        Raises:
            ValueError: the file that holds the array changed.
        """
        ...


def items_of(array: Shaped[np.ndarray, "M ..."]) -> Items:
    """The items of an array: read from its file if it is mapped, else taken from memory.

    Raises:
        ValueError: another file has taken the place of the one that was mapped (``map_array``).
    """
    mapped = _mapped_by(array)
    return Held(array) if mapped is None else _window_of(array, mapped)


def map_array(
    file: IO[bytes], dtype: np.dtype[Any], offset: int, shape: tuple[int, ...], order: Literal["C", "F"]
) -> np.memmap[Any, Any]:
    """An array in place, read-only, that remembers which file it was mapped from, by name, size and time.

    Args:
        file: open for reading.
        dtype: of the array.
        offset: where its first element lies, bytes.
        shape: of the array.
        order: C or Fortran.
    """
    array: Any = np.memmap(file, dtype, "r", offset, shape, order)  # type: ignore[call-overload]
    array.stamp = _stamp(os.fstat(file.fileno()))
    return array  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Held:
    """An array in memory."""

    array: Shaped[np.ndarray, "M ..."]

    def read(self, indices: Int[np.ndarray, " n"]) -> Shaped[np.ndarray, "n ..."]:
        items: np.ndarray = self.array[indices]
        return items


@dataclass(frozen=True)
class Window:
    """An array in a file.

    Attributes:
        path: of the file.
        offset: where the array's first element lies, bytes.
        shape, strides, dtype: as of NumPy.
        stamp: size, bytes, and time of modification, ns, by which the file is known again.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    stamp: tuple[int, int]

    def read(self, indices: Int[np.ndarray, " n"]) -> Shaped[np.ndarray, "n ..."]:
        with self.path.open("rb", buffering=0) as file:
            if _stamp(os.fstat(file.fileno())) != self.stamp:
                raise ValueError(f"data file {self.path}: it changed since it was loaded; load it again")
            if not self._in_pieces or not hasattr(os, "preadv"):
                return Held(self._mapped()).read(indices)
            items = np.empty((len(indices), *self.shape[1:]), self.dtype)
            for item, index in zip(items, indices.tolist()):
                if os.preadv(file.fileno(), [item], self.offset + index * self.strides[0]) != item.nbytes:
                    raise ValueError(f"data file {self.path}: ends too early; it changed while it was read")
        return items

    @property
    def _in_pieces(self) -> bool:
        """Each item is one piece of the file; in a stack (N, N, M) they are interleaved."""
        return self.strides[1:] == np.empty(self.shape[1:], self.dtype).strides

    def _mapped(self) -> np.ndarray:
        pages = np.memmap(self.path, np.uint8, "r")
        return np.ndarray(self.shape, self.dtype, pages, self.offset, self.strides)


def _mapped_by(array: np.ndarray) -> np.memmap[Any, Any] | None:
    """The mapped array that this one is, or is a view of; None if its values are not those in the file.

    The type does not tell: a copy of a mapped array is a ``numpy.memmap`` too.
    """
    while array is not None and not isinstance(array.base, mmap.mmap):
        array = array.base  # type: ignore[assignment]
    in_file = isinstance(array, np.memmap) and array.mode != "c"  # c: copied where it was changed
    return array if in_file else None


def _window_of(array: np.ndarray, mapped: np.memmap[Any, Any]) -> Window:
    path = Path(str(mapped.filename))
    offset = mapped.offset + array.ctypes.data - mapped.ctypes.data
    stamp = getattr(mapped, "stamp", None) or _stamp(os.stat(path))
    return Window(path, offset, array.shape, array.strides, array.dtype, stamp)


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
