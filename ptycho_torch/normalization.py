"""The scale of a data set: one number for all of its patterns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Num


def normalize_data(diffraction: Num[np.ndarray, "n N N C"]) -> Float32[np.ndarray, "n N N C"]:
    """Amplitudes scaled so that the squares of a pattern sum to ``(N / 2)**2`` on average over groups and members.

    One factor for the whole array, so patterns keep their intensities relative to each other. It depends on which
    groups were drawn: a pattern that is in several of them counts several times. Squares are formed and summed in
    float64, whatever the input: those of uint16 would wrap. See docs/conventions.md, "Normalised patterns".

    Args:
        diffraction: (n, N, N, C), real, amplitude.

    Returns:
        (n, N, N, C) float32.

    Raises:
        ValueError: another shape, no pattern, or patterns that are empty or not finite.
    """
    if diffraction.ndim != 4 or diffraction.shape[1] != diffraction.shape[2] or 0 in diffraction.shape:
        raise ValueError(f"diffraction: expected shape (n, N, N, C), none of them 0, found {diffraction.shape}")
    groups, N, _, members = diffraction.shape
    mean_sum = np.square(diffraction, dtype=np.float64).sum() / (groups * members)
    if not 0 < mean_sum < np.inf:
        raise ValueError(
            f"diffraction: its mean sum of squares is {mean_sum}; expected a finite, positive number. Are the patterns "
            f"empty, or not finite?"
        )
    scale = np.sqrt((N / 2) ** 2 / mean_sum)
    return np.asarray(diffraction * scale, np.float32)
