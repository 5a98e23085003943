"""An array in a file, of which only the header was read; each file format has a subclass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

Arrange = Callable[[np.ndarray], np.ndarray]
Convert = Callable[[np.ndarray], np.ndarray]
_KINDS = {"real": "fiu", "whole": "iu", "complex": "c", "complex or real": "cfiu", "true or false": "biu"}
_LARGEST_EMPTY = 2**28
"""Bytes that a smaller file may declare for an array, because constants and gaps take little space."""


@runtime_checkable
class Look(Protocol):
    """A check that sees every item of an array once, in order, and judges at the end."""

    def take(self, first: int, block: np.ndarray) -> None:
        """Check some items as they are stored; ``first`` is the index of the first one."""
        ...

    def judge(self) -> None:
        """Raise ``ValueError`` if a value was wrong."""
        ...


@dataclass(frozen=True)
class StoredArray:
    """An array in a file: its key, shape and dtype, but not its values."""

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Size of the values, bytes, as the file declares it."""
        return self.dtype.itemsize * math.prod(self.shape)

    def __str__(self) -> str:
        return f"data file {self.path}: {self.key!r}"

    def expect(self, expected: str, fits: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
        """Return the shape if it fits; otherwise raise ``ValueError``."""
        if not fits(self.shape):
            raise ValueError(f"{self}: expected shape {expected}, found {self.shape}")
        return self.shape

    def expect_kind(self, kind: str) -> None:
        """Raise ``ValueError`` unless the numbers are of this kind, a key of ``_KINDS``."""
        if self.dtype.kind not in _KINDS[kind]:
            raise ValueError(f"{self}: expected {kind} numbers, found {self.dtype}")

    def require_held(self, size: int) -> None:
        """Refuse to read an array that is larger than the file can hold.

        Args:
            size: bytes that are read together.
        """
        stored = self.path.stat().st_size
        if size > max(stored, _LARGEST_EMPTY):
            raise ValueError(
                f"{self}: expected an array that the file can hold, found a file of {stored} bytes that declares {size}"
            )

    def load(
        self,
        dtype: type,
        arrange: Arrange = lambda array: array,
        *,
        mapped: bool = False,
        look: Look | None = None,
        convert: Convert | None = None,
    ) -> np.ndarray:
        """Load the values, converted to ``dtype``.

        Args:
            dtype: dtype of the result.
            arrange: function that views the stored array in another shape.
            mapped: do not hold a large array in memory, but map it, read-only: from its own file if that holds the
                same bytes, otherwise from a temporary one.
            look: check that sees all values before conversion; None to check that they are finite.
            convert: function that changes the values of a mapped array, a block of items at a time.

        Raises:
            ValueError: the file is damaged, or a value is wrong.
        """
        raise NotImplementedError


@runtime_checkable
class Lookup(Protocol):
    """Finds the arrays of a file by key."""

    def __call__(self, key: str, kind: str) -> StoredArray:
        """Return the array of this key, after reading its header.

        Args:
            key: key of the array.
            kind: kind of its numbers, a key of ``_KINDS``.

        Raises:
            ValueError: there is no such array, or its numbers are of another kind.
        """
        ...
