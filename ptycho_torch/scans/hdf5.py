"""Read arrays of an untrusted HDF5 file. Damage is reported, and compressed arrays are read in parts.

Only headers are read until values are needed. In between, the file is closed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ptycho_torch.scans.collect import collect
from ptycho_torch.scans.npz import DAMAGE, FiniteNumbers, in_blocks, looked_at, one_line
from ptycho_torch.scans.stored_array import Arrange, Convert, Look, StoredArray

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_BLOCK = 2**24
"""Bytes that are read at a time, or one row of chunks if that is more, so that no chunk is unpacked twice."""
_LARGEST_BLOCK = 2**28
"""Largest number of bytes that are read at a time, whatever the size of the chunks."""
_STEP = 2**22
"""Bytes that are checked and converted at a time, to fit into the processor's cache."""


def is_hdf5(path: Path) -> bool:
    """Return whether a file begins with the signature of HDF5.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, without HDF5's lock: not every file system has locks."""
    with path.open("rb") as stream, h5py.File(stream, "r") as file:
        yield file


@dataclass(frozen=True)
class Dataset(StoredArray):
    """An array of an HDF5 file, of which only the header was read.

    Attributes:
        chunk: number of items (along the first axis) in a chunk; 1 without chunks.
        chunk_size: size of an unpacked chunk, bytes; 0 without chunks.
    """

    chunk: int
    chunk_size: int

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
        in_parts = mapped and outline.shape == self.shape
        self.require_held(self.chunk_size if in_parts else max(self.size, self.chunk_size))
        with np.errstate(over="ignore", invalid="ignore"):
            if in_parts:
                return collect(looked_at(self._blocks(), look, convert), self.shape, dtype)
            whole = arrange(np.concatenate(list(self._blocks())).reshape(self.shape or (1,)))
            return collect(looked_at(in_blocks(whole, _BLOCK), look, convert), whole.shape, dtype)

    def _blocks(self) -> Iterator[np.ndarray]:
        """Yield the items (k, ...), reading whole chunks at a time. A scalar is one item."""
        count = self.shape[0] if self.shape else 1
        item = self.dtype.itemsize * math.prod(self.shape[1:])
        together = self.chunk * max(1, _BLOCK // max(1, self.chunk * item))
        together = max(1, min(together, _LARGEST_BLOCK // max(1, item)))
        with telling_damage(self.path, self.key), opened(self.path) as file:
            dataset = file[self.key]
            for first in range(0, count, together):
                read = dataset[first : first + together] if self.shape else dataset[()]
                yield from in_blocks(np.asarray(read), _STEP)


@dataclass(frozen=True)
class Datasets:
    """Look up datasets of an HDF5 file by key.

    Attributes:
        path: path of the file.
        names: key -> name of the dataset, if they differ.
    """

    path: Path
    names: Mapping[str, str]

    def __call__(self, key: str, kind: str) -> Dataset:
        """Return the dataset of this key, after reading its header.

        Args:
            key: key of the array.
            kind: kind of its numbers: "real", "whole", "complex", "complex or real" or "true or false".
        """
        name = self.names.get(key, key)
        with telling_damage(self.path, name), opened(self.path) as file:
            listed, found = sorted(file), file.get(name)
            is_dataset = isinstance(found, h5py.Dataset)
            dataset = _header(self.path, name, found) if is_dataset else None
            is_here = is_dataset and not (found.is_virtual or found.external)
            is_written = is_here and found.id.get_storage_size() > 0
        if dataset is None:
            what = "a group, or a link to nothing here" if name in listed else str(listed)
            raise ValueError(f"data file {self.path}: expected the dataset {name!r}, found {what}")
        if not is_here:
            raise ValueError(
                f"{dataset}: expected values in this file, found virtual or external data; copy them into this file"
            )
        if dataset.size and not is_written:
            raise ValueError(
                f"{dataset}: expected values, found none, because they were never written; the file is incomplete"
            )
        dataset.expect_kind(kind)
        return dataset


def _header(path: Path, name: str, found: h5py.Dataset) -> Dataset:
    chunks = found.chunks or ()
    chunk_size = found.dtype.itemsize * math.prod(chunks) if chunks else 0
    return Dataset(path, name, found.shape or (), found.dtype, chunks[0] if chunks else 1, chunk_size)


@contextmanager
def telling_damage(path: Path, key: str = "") -> Iterator[None]:
    """Turn h5py's exceptions for damaged files into a clear message."""
    try:
        yield
    except DAMAGE as damage:
        said = one_line(damage)
        advice = "the file is damaged or incomplete"
        if "filter" in said or "plugin" in said:  # HDF5 searches its plugins for an unknown filter
            advice = "it is packed with a filter that h5py does not have; pack it with LZF or gzip"
        raise ValueError(f"data file {path}: {f'{key!r}: ' * bool(key)}cannot be read ({said}); {advice}") from damage


def names_in(path: Path) -> list[str]:
    """Return the names of the members of an HDF5 file's root group.

    Raises:
        ValueError: the file is not HDF5, or is damaged.
        OSError: the file cannot be read.
    """
    if not is_hdf5(path):
        raise ValueError(f"data file {path}: expected HDF5, found something else, or an incomplete file")
    with telling_damage(path), opened(path) as file:
        return sorted(file)
