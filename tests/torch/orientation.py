"""Find the orientation in which a mosaic looks most like a known object."""

from __future__ import annotations

import numpy as np

from ptycho_torch.checks.registration import ORIENTATIONS, correlation, turned


def best_orientation(mosaic: np.ndarray, target: np.ndarray) -> tuple[str, float]:
    """Return name and correlation (modulus of the complex correlation coefficient) of the best orientation.

    Both images are square and of the same size; only pixels that the oriented mosaic covers count.
    """
    oriented = {name: turned(mosaic, name) for name in ORIENTATIONS}
    scores = {name: correlation(image, target, image != 0) for name, image in oriented.items()}
    best = max(scores, key=scores.__getitem__)
    return best, scores[best]
