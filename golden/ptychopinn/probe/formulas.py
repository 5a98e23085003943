"""These formulas compute the hard mask, the normalised probe, and the default disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# ------------------------------------------------------------------------------------------------ the mask


def distance(N: int, centre: float) -> np.ndarray:
    """Return the distance (N, N) of every pixel from the index ``centre`` on both axes, pixels."""
    along = np.arange(N) - centre
    return np.sqrt(along[:, None] ** 2 + along**2)


def mask(N: int) -> np.ndarray:
    """Return the hard mask, (N, N) bool."""
    return distance(N, N // 2 - 0.5) < N // 4


def hard_mask(*, N: int, make: Callable[[int], np.ndarray] = mask) -> dict[str, np.ndarray]:
    return {"mask": make(N)[..., None]}


# ------------------------------------------------------------------------------------------------ normalisation


def masked_modulus(probe: np.ndarray) -> np.ndarray:
    """Return the modulus of a probe (N, N) inside the mask, and 0 outside."""
    return np.abs(probe) * mask(len(probe))


def norm(probe: np.ndarray) -> float:
    """Return the mean modulus of the masked probe (N, N) over all pixels."""
    return float(masked_modulus(probe).mean())


def normalised(probe: np.ndarray, probe_scale: float, mean: Callable[[np.ndarray], float] = norm) -> np.ndarray:
    """Divide the probe (N, N) by ``probe_scale`` times its mean, in double precision."""
    probe = probe.astype(np.complex128)
    return probe / (probe_scale * mean(probe))


def normalise(
    *, probe: np.ndarray, probe_scale: float, mean: Callable[[np.ndarray], float] = norm
) -> dict[str, np.ndarray]:
    return {"normalised": normalised(probe, probe_scale, mean).astype(np.complex64)[..., None]}


# ------------------------------------------------------------------------------------------------ default disk


def disk(
    N: int,
    scale: float,
    *,
    centre: Callable[[int], float] = lambda N: (N - 1) / 2,
    threshold: float | None = 0.5,
    cut_at: int = 4,
    blurs: int = 1,
    floor: float = 1e-9,
) -> np.ndarray:
    """Return the default disk (N, N), float64.

    Args:
        N: side, pixels.
        scale: ``default_probe_scale``; the window is narrower where it is larger.
        centre: N -> centre of the window.
        threshold: threshold of the window for the disk; None to use the window itself.
        cut_at: where the blur is truncated, standard deviations.
        blurs: number of times that the disk is blurred.
        floor: number that is added to every pixel.
    """
    along = np.arange(N) - centre(N)
    window = np.exp(-(along**2) / 2 / (N / (scale * np.pi**2)) ** 2)
    window /= window.max()
    image = np.outer(window, window)
    if threshold is not None:
        image = (image > threshold).astype(np.float64)
    taps = np.exp(-(np.arange(-cut_at, cut_at + 1) ** 2) / 2)
    taps /= taps.sum()
    for _ in range(2 * blurs):
        padded = np.pad(image, [(cut_at, cut_at), (0, 0)], mode="symmetric")
        image = sum(tap * padded[k : k + N] for k, tap in enumerate(taps)).T
    return image + floor


def default_disk(*, N: int, default_probe_scale: float, **parts: Any) -> dict[str, np.ndarray]:
    """Make the default disk; ``parts`` are those of ``disk``."""
    return {"probe": disk(N, default_probe_scale, **parts)}
