"""Collect an array that cannot be mapped from its file, because it is compressed or must be converted.

A small array is collected in memory. A large one is written to a temporary file and mapped from there, so it may exceed
the memory. Unpacking everything once also saves time: in a chunked HDF5 file, each chunk holds parts of many patterns,
so reading one pattern costs as much as reading hundreds.
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
"""Largest array that is collected in memory, bytes."""


class Scratch:
    """A temporary file that lasts as long as this object, in the process that created it.

    Another process does not own the file: there, this object unpickles as None.
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
        The array, in memory; or read-only and mapped from a temporary file, which is removed together with the array.

    Raises:
        OSError: there is no space for the temporary file.
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
        f"expected {size / 1e9:.2g} GB for unpacked patterns, found {free / 1e9:.2g}; set TMPDIR to another directory",
        tempfile.gettempdir(),
    )


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process has a copy of this object, but does not own the file
        path.unlink(missing_ok=True)
