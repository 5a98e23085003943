"""Collect an array that its file holds packed, or in another form, so that it may exceed the memory.

A small array is collected in memory. A large one goes to a temporary file and is mapped from there. Packed files are
unpacked once for that reason too: in a chunked HDF5, every chunk holds a part of many patterns, so a single pattern
costs as much as hundreds.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ptycho_torch.scans.mapped import map_array

IN_MEMORY = 2**28
"""Arrays of at most so many bytes are collected in memory."""


class Scratch:
    """A scratch is a temporary file that lasts as long as this object, in the process that made it.

    A copy in another process does not own the file: it unpickles as None.
    """

    def __init__(self) -> None:
        descriptor, name = tempfile.mkstemp(prefix="ptycho_torch-", suffix=".patterns")
        os.close(descriptor)
        self.path = Path(name)
        weakref.finalize(self, _remove, self.path, os.getpid())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


def collect(blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Collect the blocks of an array in their order.

    Args:
        blocks: items of the array, (k, ...) each.
        shape: shape of the array (M, ...).
        dtype: dtype of the array; blocks are converted.

    Returns:
        The array: in memory, or read-only and mapped from a temporary file, which is removed with it.

    Raises:
        OSError: the temporary file has no place.
    """
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        array: np.ndarray = np.empty(shape, dtype)
        first = 0
        for block in blocks:
            array[first : first + len(block)] = block
            first += len(block)
        return array
    _require_room(size)
    scratch = Scratch()
    try:
        with scratch.path.open("r+b") as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype).data)
            file.flush()
            mapped: Any = map_array(file, np.dtype(dtype), 0, shape, "C")
    except OSError as refused:
        if refused.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            _refuse(size, 0)
        raise
    mapped.owner = scratch
    return mapped  # type: ignore[no-any-return]


def _require_room(size: int) -> None:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < size:
        _refuse(size, free)


def _refuse(size: int, free: int) -> None:
    raise OSError(
        errno.ENOSPC,
        f"expected {size / 1e9:.2g} GB for unpacked patterns, found {free / 1e9:.2g}; name another directory in TMPDIR",
        tempfile.gettempdir(),
    )


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process has a copy of this object, and not the file
        path.unlink(missing_ok=True)
