"""Draw random inputs that are the same in all NumPy releases.

NumPy guarantees the bit stream of its bit generators, but not the distributions drawn from it. So inputs are made from
raw Philox bits by exact integer arithmetic. They are multiples of a power of two: they compress well, and sums of a few
of them are exact in float32, so that rounding noise is not mistaken for an error.
"""

from __future__ import annotations

import hashlib

import numpy as np


class Draw:
    """A stream of random numbers, seeded by a text: the name of the case and the number of the draw.

    Adding, removing or reordering cases changes no other case's stream.
    """

    def __init__(self, seed: str) -> None:
        key = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "little")
        self._bits = np.random.Philox(key=key)

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return whole numbers low..high-1, int64; the modulo's bias is below 2**-40 for the ranges used here."""
        if low >= high:
            raise ValueError(f"integers: expected low < high, found {low} and {high}")
        raw = np.asarray(self._bits.random_raw(int(np.prod(shape))), dtype=np.uint64)
        width = np.uint64(high - low)
        multiples = raw // width
        multiples *= width
        raw -= multiples  # the remainder; NumPy's % takes three times as long
        whole = raw.view(np.int64).reshape(shape)
        whole += low
        return whole

    def multiples(self, step: float, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        """Return multiples of ``step``, a power of two, in [low, high), float64."""
        return self.integers(round(low / step), round(high / step), shape) * step

    def real(self, shape: tuple[int, ...], step: float = 1 / 8) -> np.ndarray:
        """Return multiples of ``step`` in [-2, 2), float32."""
        return self.multiples(step, -2, 2, shape).astype(np.float32)

    def complex(self, shape: tuple[int, ...], step: float = 1 / 8) -> np.ndarray:
        """Return numbers whose real and imaginary parts are multiples of ``step`` in [-2, 2), complex64."""
        return self.real(shape, step) + np.complex64(1j) * self.real(shape, step)

    def texture(self, shape: tuple[int, ...], bits: int = 3) -> np.ndarray:
        """Return numbers whose real and imaginary parts are 1 + k / 2**bits in [1, 2), with random signs, complex64.

        With one exponent and few mantissa bits, an element compresses to 2 * (bits + 1) bits, half of ``complex``. No
        element is small, so each of them is visible wherever it goes, and none looks like an empty pixel.
        """
        parts = self.integers(2**bits, 2 ** (bits + 1), (*shape, 2)) / 2**bits
        signs = 1 - 2 * self.integers(0, 2, (*shape, 2))
        return np.asarray((parts * signs) @ [1, 1j], np.complex64)

    def window(self, shape: tuple[int, ...], rows: slice, columns: slice, bits: int = 3) -> np.ndarray:
        """Return texture in some rows (axis 1) and columns (axis 2), 0 elsewhere, complex64.

        Use it if an operation reads only a part of an array, because zeros take no space in the file. The window should
        extend beyond that part on every side and not be symmetric. Otherwise a shifted part might read zeros as well.
        """
        array = np.zeros(shape, np.complex64)
        array[:, rows, columns] = self.texture(array[:, rows, columns].shape, bits)
        return array
