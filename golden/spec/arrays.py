"""Digest arrays, iterate over them in blocks, recognise images, summarise large arrays. NumPy only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]
"""Arrays by name."""

_LEAST_SIDE = 4

SAMPLES = 256
"""Entries in a summary; an array with at most this many entries is kept whole."""
PROJECTIONS = 2

_BLOCK = 1 << 15
"""Elements per block: few enough for the cache of a core."""


def digest_array(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's dtype, shape and little-endian, C-order bytes: the same on every machine."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    hasher = hashlib.sha256(f"{little.dtype.str} {list(array.shape)}\n".encode())
    if little.size:
        hasher.update(little.reshape(-1).view(np.uint8).data)
    return hasher.hexdigest()


# ------------------------------------------------------------------------------------------------ a part at a time


def blocks(*arrays: np.ndarray | None) -> Iterator[tuple[int, list[Any]]]:
    """Iterate over arrays of one shape together, in C order, whatever their layout in memory.

    Raises:
        ValueError: the shapes differ.

    Yields:
        The flat index at which a block begins, and the block of each array, flat and contiguous; None for a None. The
        next block may overwrite this one, so copy what you keep.
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


# ------------------------------------------------------------------------------------------------ images


def image_axes(ndim: int) -> tuple[int, int]:
    """Return the axes of rows and columns in TensorFlow's layouts (H, W), (H, W, ch), (B, H, W, ch)."""
    return (1, 2) if ndim == 4 else (0, 1)


def images(array: np.ndarray) -> np.ndarray:
    """Return an array in one of the layouts of ``image_axes`` as a stack of images, (k, H, W).

    The stack is empty for other shapes, for images with fewer than 4 rows or columns, and for arrays of texts.
    """
    rows, columns = image_axes(array.ndim)
    is_image = 2 <= array.ndim <= 4 and min(array.shape[rows], array.shape[columns]) >= _LEAST_SIDE
    if not is_image or array.dtype.kind not in "biufc":
        return np.empty((0, 0, 0))
    return np.moveaxis(array, (rows, columns), (-2, -1)).reshape(-1, array.shape[rows], array.shape[columns])


def is_picture(array: np.ndarray) -> bool:
    """Return whether an array is an image or a stack of images."""
    return len(images(array)) > 0


def main_output(outputs: Mapping[str, np.ndarray]) -> str | None:
    """Return the output to show first: images before other numbers, complex before real; None if none has numbers."""
    numbers = [name for name in sorted(outputs) if outputs[name].dtype.kind in "biufc" and outputs[name].ndim]
    return min(numbers, key=lambda name: _rank(outputs[name]), default=None)


def _rank(array: np.ndarray) -> tuple[bool, bool]:
    return not is_picture(array), array.dtype.kind != "c"


# ------------------------------------------------------------------------------------------------ summaries

# All numbers of a summary have the units of the array, so that one tolerance fits them.


def summarise(array: np.ndarray) -> np.ndarray:
    """Return a small array unchanged; of a larger one, its root mean square, two random projections and 256 entries.

    Args:
        array: of any shape, real or complex floating point.

    Returns:
        ``array``, or (259,) of its dtype. A projection is the sum of all entries, each with a random sign, divided by
        the square root of their number. Signs and sampled positions depend only on the shape, so the right values in a
        wrong shape have another summary. The flattened array is cut into 256 equal parts, and one entry is sampled from
        each. If an entry is not finite, neither are the root mean square and the projections.
    """
    if array.size <= SAMPLES:
        return array
    flat = array.reshape(-1)
    wide = flat.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    root = np.sqrt(flat.size)
    sizes = [np.linalg.norm(wide) / root, *(np.sum(wide * signs) / root for signs in _signs(array.shape))]
    return np.concatenate([np.asarray(sizes).astype(array.dtype), flat[sampled(array.shape)]])


def axes_of_summary(axes: str) -> Callable[[tuple[int, ...]], str]:
    """Return a function of the shape that names the axes of a summary; a small array keeps its axes."""
    return lambda shape: "entry" if shape == (1 + PROJECTIONS + SAMPLES,) else axes


def sampled(shape: tuple[int, ...], most: int = SAMPLES) -> np.ndarray:
    """Return (most,) flat indices into a large array, int64, ascending, fixed by its shape; all of a small one."""
    size = int(np.prod(shape))
    if size <= most:
        return np.arange(size)
    edges = np.arange(most + 1) * size // most
    raw = _bits(shape, "places").random_raw(most)
    return edges[:-1] + (raw % np.diff(edges).astype(np.uint64)).astype(np.int64)


def whereabouts(shape: tuple[int, ...], wrong: np.ndarray) -> str:
    """Describe where in a large array the wrong entries of its summary are.

    Args:
        shape: of the array.
        wrong: (259,) bool, the wrong entries of the summary.
    """
    samples = sampled(shape)[wrong[1 + PROJECTIONS :]]
    if not samples.size:
        return f"none of the {SAMPLES} stored entries of {shape} fails: the difference is between them"
    box = ", ".join(f"{axis.min()}:{axis.max() + 1}" for axis in np.unravel_index(samples, shape))
    return f"in the whole array: {samples.size} of the {SAMPLES} stored entries fail, in [{box}] of {shape}"


@lru_cache(maxsize=64)
def _signs(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return, for each projection, +1 or -1 for every entry, int8."""
    size = int(np.prod(shape))
    signs = []
    for number in range(PROJECTIONS):
        raw = _bits(shape, f"projection {number}").random_raw(-(-size // 64)).astype("<u8")
        signs.append(2 * np.unpackbits(raw.view(np.uint8), count=size).astype(np.int8) - 1)
    return signs


def _bits(shape: tuple[int, ...], purpose: str) -> np.random.Philox:
    key = hashlib.sha256(f"{purpose} {list(shape)}".encode()).digest()[:16]
    return np.random.Philox(key=int.from_bytes(key, "little"))
