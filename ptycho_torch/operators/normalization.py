"""Normalise the patterns of a data set: scale all by one factor."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Num


def normalize_data(diffraction: Num[np.ndarray, "n N N C"]) -> Float32[np.ndarray, "n N N C"]:
    """Scale amplitudes so that the squares of a pattern sum to ``(N / 2)**2`` on average over groups and members.

    There is one factor for the whole array, so patterns keep their relative intensities. It depends on the groups: a
    pattern in several groups counts several times. Squares are computed and summed in float64, because those of uint16
    would wrap. See docs/conventions.md, "Normalised patterns".

    Args:
        diffraction: (n, N, N, C) real, amplitude.

    Returns:
        (n, N, N, C) float32.

    Raises:
        ValueError: the shape is wrong, or patterns are empty or not finite.
    """
    if diffraction.ndim != 4 or diffraction.shape[1] != diffraction.shape[2] or 0 in diffraction.shape:
        raise ValueError(f"diffraction: expected shape (n, N, N, C), none of them 0, found {diffraction.shape}")
    groups, N, _, members = diffraction.shape
    mean_energy = np.square(diffraction, dtype=np.float64).sum() / (groups * members)
    factor = normalization_factor(mean_energy, N)
    return np.asarray(np.multiply(diffraction, factor, dtype=np.float32))


def normalization_factor(mean_energy: float, N: int) -> np.float32:
    """Return the factor for patterns of side N whose squares sum to ``mean_energy`` on average.

    It is rounded to float32, the dtype of the scaled patterns. So these are bitwise the same whether all are scaled at
    once or a few at a time.

    Raises:
        ValueError: the energy is not finite and positive.
    """
    if not 0 < mean_energy < np.inf:
        raise ValueError(
            f"diffraction: expected a finite, positive mean sum of squares, found {mean_energy}. Are the "
            f"patterns empty, or not finite?"
        )
    return np.float32(np.sqrt((N / 2) ** 2 / mean_energy))


def pattern_energies(patterns: Num[np.ndarray, "n N N"]) -> Float64[np.ndarray, " n"]:
    """Return the sum of squares of each pattern (n, N, N), as (n,) float64."""
    flat = patterns.reshape(len(patterns), -1).astype(np.float64)
    energies: np.ndarray = np.einsum("ni,ni->n", flat, flat)
    return energies
