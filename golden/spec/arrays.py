"""Walks through arrays a part at a time. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

_BLOCK = 1 << 15
"""Elements worked on at a time: what stays in a core's cache."""


def blocks(*arrays: np.ndarray | None) -> Iterator[tuple[int, list[Any]]]:
    """Walk through arrays of one shape together, in C order, whatever their layout in memory.

    Raises:
        ValueError: the shapes differ.

    Yields:
        The flat index at which a block begins, and the block of each array, flat and contiguous; None for a None. A
        block may be written over by the next one: copy what is to last.
    """
    given = [array for array in arrays if array is not None]
    walk = np.nditer(
        given,
        ["external_loop", "buffered", "zerosize_ok"],
        [["readonly", "contig", "no_broadcast"]] * len(given),  # type: ignore[call-overload]  # "config" in NumPy's stubs
        order="C",
        buffersize=_BLOCK,
    )
    for _ in walk:
        parts = iter(walk[:])
        yield walk.iterindex, [None if array is None else next(parts) for array in arrays]
