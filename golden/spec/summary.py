"""What is kept of an array that is too large to store: its size in three numbers, and some of its entries.

A summary is in the units of its array, so that one tolerance fits all of it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

SAMPLES = 256
"""Entries that are kept; of an array that has no more, all of it."""
PROJECTIONS = 2


def summarise(array: np.ndarray) -> np.ndarray:
    """A small array as it is; of a larger one its root mean square, two random projections, and 256 entries.

    Args:
        array: of any shape, real or complex floating point.

    Returns:
        ``array``, or (259,) of its dtype. A projection is the sum of all entries, each with a random sign, divided by
        the root of their number. Signs and places are fixed by the shape alone: one entry lies in each of 256 equal
        parts of the flattened array. Another shape has others, so that an array of the right values in a wrong shape
        has another summary. What is not finite leaves nothing finite but the entries.
    """
    if array.size <= SAMPLES:
        return array
    flat = array.reshape(-1)
    wide = flat.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    root = np.sqrt(flat.size)
    sizes = [np.linalg.norm(wide) / root, *(np.sum(wide * signs) / root for signs in _signs(array.shape))]
    return np.concatenate([np.asarray(sizes).astype(array.dtype), flat[sampled(array.shape)]])


def sampled(shape: tuple[int, ...], most: int = SAMPLES) -> np.ndarray:
    """(most,) int64, ascending: flat indices into a large array, fixed by its shape; all of a smaller one."""
    size = int(np.prod(shape))
    if size <= most:
        return np.arange(size)
    edges = np.arange(most + 1) * size // most
    raw = _bits(shape, "places").random_raw(most)
    return edges[:-1] + (raw % np.diff(edges).astype(np.uint64)).astype(np.int64)


def whereabouts(shape: tuple[int, ...], wrong: np.ndarray) -> str:
    """Where in a large array the wrong entries of its summary lie, in words.

    Args:
        shape: of the array.
        wrong: (259,) bool, which entries of the summary are.
    """
    samples = sampled(shape)[wrong[1 + PROJECTIONS :]]
    if not samples.size:
        return f"none of the {SAMPLES} entries that are kept of {shape} fails: what differs lies between them"
    box = ", ".join(f"{axis.min()}:{axis.max() + 1}" for axis in np.unravel_index(samples, shape))
    return f"in the whole array: {samples.size} of {SAMPLES} entries that are kept fail, in [{box}] of {shape}"


@lru_cache(maxsize=64)
def _signs(shape: tuple[int, ...]) -> list[np.ndarray]:
    """For each projection, +1 or -1 for every entry, int8."""
    size = int(np.prod(shape))
    signs = []
    for number in range(PROJECTIONS):
        raw = _bits(shape, f"projection {number}").random_raw(-(-size // 64)).astype("<u8")
        signs.append(2 * np.unpackbits(raw.view(np.uint8), count=size).astype(np.int8) - 1)
    return signs


def _bits(shape: tuple[int, ...], purpose: str) -> np.random.Philox:
    key = hashlib.sha256(f"{purpose} {list(shape)}".encode()).digest()[:16]
    return np.random.Philox(key=int.from_bytes(key, "little"))
