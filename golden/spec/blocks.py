"""Arrays looked at block by block, in C order: those in memory, and HDF5 datasets, read a part at a time.

(A dataset stored as one compressed chunk, as goldens store theirs, can only be read as a whole.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Protocol, runtime_checkable

import numpy as np

_BLOCK = 1 << 15
"""Elements worked on at a time: what stays in a core's cache."""
_READ = 1 << 18
"""Elements read at a time: each call of HDF5 costs as much as the copy of 10,000 elements."""

_Index = tuple[int | slice, ...]


@runtime_checkable
class Sliceable(Protocol):
    """An ndarray, or an HDF5 dataset."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __getitem__(self, index: Any) -> Any: ...


def blocks(*arrays: Sliceable | None) -> Iterator[tuple[int, list[Any]]]:
    """The flat index at which a block begins, and the flat block of each array; None for a None."""
    first = arrays[0]
    assert first is not None
    readers = [None if array is None else _reader(array) for array in arrays]
    for start, index, size in _slabs(first.shape):
        slabs = [None if read is None else read(index, size) for read in readers]
        for begin in range(0, size, _BLOCK):
            yield start + begin, [None if slab is None else slab[begin : begin + _BLOCK] for slab in slabs]


def _reader(array: Sliceable) -> Callable[[_Index, int], np.ndarray]:
    """What gives a slab of an array, flat: a view, or for a dataset the same memory each time."""
    read_direct = getattr(array, "read_direct", None)
    if read_direct and math.prod(getattr(array, "chunks", None) or ()) > _READ:
        array, read_direct = array[()], None  # a compressed chunk is inflated as a whole: once, not once per slab
    if read_direct is None:
        return lambda index, size: np.ascontiguousarray(array[index]).reshape(-1)
    buffer = np.empty(min(_READ, math.prod(array.shape)), array.dtype)

    def read(index: _Index, size: int) -> np.ndarray:
        slab = buffer[:size]
        read_direct(slab.reshape([-1, *array.shape[len(index) :]]), index)
        return slab

    return read


def slab_shape(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The largest run of at most ``most`` elements in C order that tiles an array: 1, ..., 1, rows, all the rest."""
    axis = next(k for k in range(len(shape)) if math.prod(shape[k + 1 :]) <= most)
    rows = min(shape[axis], most // math.prod(shape[axis + 1 :]))
    return (*(1 for _ in range(axis)), rows, *shape[axis + 1 :])


def _slabs(shape: tuple[int, ...]) -> Iterator[tuple[int, _Index, int]]:
    """What cuts an array into slabs of at most ``_READ`` elements: flat index, index, and size of each."""
    if not shape:
        yield 0, (), 1
    if not shape or not math.prod(shape):
        return
    slab = slab_shape(shape, _READ)
    axis = next((k for k, length in enumerate(slab) if length > 1), len(shape) - 1)
    row = math.prod(shape[axis + 1 :])
    for number, leading in enumerate(product(*(range(n) for n in shape[:axis]))):
        for begin in range(0, shape[axis], slab[axis]):
            end = min(begin + slab[axis], shape[axis])
            yield (number * shape[axis] + begin) * row, (*leading, slice(begin, end)), (end - begin) * row
