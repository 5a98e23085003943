"""Which of the eight orientations of a mosaic looks most like a known object."""

from __future__ import annotations

import numpy as np

ORIENTATIONS = {
    "upright": lambda a: a,
    "flipped up-down": lambda a: a[::-1],
    "flipped left-right": lambda a: a[:, ::-1],
    "turned by 180 degrees": lambda a: a[::-1, ::-1],
    "transposed": lambda a: a.T,
    "transposed, flipped up-down": lambda a: a.T[::-1],
    "transposed, flipped left-right": lambda a: a.T[:, ::-1],
    "transposed, turned": lambda a: a.T[::-1, ::-1],
}


def best_orientation(mosaic: np.ndarray, target: np.ndarray) -> tuple[str, float]:
    """Name and correlation (modulus of the complex correlation coefficient) of the best orientation.

    Both are square and of one size; only pixels that the oriented mosaic covers count.
    """
    scores = {}
    for name, turn in ORIENTATIONS.items():
        turned = turn(mosaic)
        covered = turned != 0
        a, b = turned[covered], target[covered]
        a, b = a - a.mean(), b - b.mean()
        scores[name] = float(np.abs(np.vdot(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b)))
    best = max(scores, key=scores.__getitem__)
    return best, scores[best]
