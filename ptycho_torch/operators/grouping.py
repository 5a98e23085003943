"""Which patterns form a group: the draws of TensorFlow PtychoPINN, index by index.

A group has C = gridsize**2 members. Groups of one are the drawn patterns themselves; a larger group is drawn from the
nearest neighbours of a drawn pattern, its *seed*, which is normally not in the group. TensorFlow draws from NumPy's
legacy generator; so does this module, from an instance of its own: the global generator is neither read nor seeded.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree


def draw_groups(
    xcoords: Float[np.ndarray, " M"],
    ycoords: Float[np.ndarray, " M"],
    nsamples: int,
    *,
    K: int = 4,
    gridsize: int = 1,
    seed: int | None = None,
    sequential_sampling: bool = False,
    enable_oversampling: bool = False,
    neighbor_pool_size: int | None = None,
) -> Int[np.ndarray, "n C"]:
    """The patterns of each group, as TensorFlow draws them (docs/conventions.md, "Groups").

    Args:
        xcoords: (M,), positions of the patterns along columns, pixels; finite.
        ycoords: (M,), along rows.
        nsamples: groups wanted. Groups of one are at most M, whatever is wanted.
        K: nearest neighbours that a group is drawn from; at least C.
        gridsize: C is its square.
        seed: of the draws, 0..2**32 - 1; None: another draw each time.
        sequential_sampling: the first patterns in order are the seeds, and members are drawn with seed 0.
        enable_oversampling: allow more groups than patterns, from all combinations of neighbours.
        neighbor_pool_size: neighbours to combine then; None: K.

    Returns:
        (n, C): indices of patterns; int64 for groups of one, int32 for larger ones, as TensorFlow has them.

    Raises:
        ValueError: fewer patterns, neighbours or pooled neighbours than members; more groups of several members than
            patterns without oversampling, or in sequence; positions that do not fit together or are not finite.
    """
    points = _points(xcoords, ycoords)
    M, C = len(points), gridsize**2
    pool_size = K if neighbor_pool_size is None else neighbor_pool_size
    oversampling = C > 1 and nsamples > M
    _require_enough(M, C, K, nsamples)
    if oversampling:
        _require_oversampling(M, C, nsamples, pool_size, sequential_sampling, enable_oversampling)

    draws = np.random.RandomState(0 if sequential_sampling else seed)
    if oversampling:
        return _oversampled(draws, points, nsamples, pool_size, C)
    seeds = np.arange(min(nsamples, M)) if sequential_sampling else _draw_seeds(draws, M, nsamples)
    if C == 1:
        return seeds.astype(np.int64)[:, None]
    near = _neighbours(points, seeds, K)
    return np.array([draws.choice(available, C, replace=False) for available in near], np.int32)


def draw_patterns(M: int, count: int | None, seed: int | None = None) -> Int[np.ndarray, " m"]:
    """Which patterns of a scan to use, as TensorFlow draws them on loading (docs/conventions.md, "Groups").

    Args:
        M: patterns of the scan.
        count: patterns wanted; None, or M or more: all, without a draw.
        seed: of the draw, 0..2**32 - 1; None: another draw each time.

    Returns:
        (m,) int64, m = min(count, M), ascending.

    Raises:
        ValueError: no pattern, or none wanted.
    """
    wanted = M if count is None else count
    if M < 1 or wanted < 1:
        raise ValueError(f"patterns: expected at least one, and one wanted, found {M} patterns, {wanted} wanted")
    if wanted >= M:
        return np.arange(M)
    return np.sort(np.random.RandomState(seed).choice(M, wanted, replace=False))


def _points(xcoords: np.ndarray, ycoords: np.ndarray) -> np.ndarray:
    """(M, 2), [x, y]."""
    x, y = np.asarray(xcoords, np.float64), np.asarray(ycoords, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"xcoords, ycoords: expected one shape (M,), found {x.shape} and {y.shape}")
    points = np.column_stack([x, y])
    if not np.isfinite(points).all():
        raise ValueError("xcoords, ycoords: expected finite numbers, found NaN or infinity")
    return points


def _require_enough(M: int, C: int, K: int, nsamples: int) -> None:
    if nsamples < 1 or C < 1:
        raise ValueError(f"nsamples, gridsize: expected positive numbers, found nsamples = {nsamples}, C = {C}")
    if M < C:
        raise ValueError(f"{M} patterns are fewer than the {C} members of a group; give more, or a smaller gridsize")
    if K < C:
        raise ValueError(f"K: expected at least the {C} members of a group, found {K}; raise K or lower gridsize")


def _require_oversampling(
    M: int, C: int, nsamples: int, pool_size: int, sequential_sampling: bool, enable_oversampling: bool
) -> None:
    if not enable_oversampling:
        raise ValueError(
            f"nsamples: {nsamples} groups of {C} from {M} patterns; expected at most {M}, or enable_oversampling"
        )
    if sequential_sampling:
        raise ValueError(
            f"nsamples: {nsamples} groups in sequence from {M} patterns; expected at most {M}: oversampling is random"
        )
    if pool_size < C:
        raise ValueError(f"neighbor_pool_size: expected at least the {C} members of a group, found {pool_size}")


def _draw_seeds(draws: np.random.RandomState, M: int, count: int) -> np.ndarray:
    """Patterns in random order; all of them, in their own order and without a draw, where all are wanted."""
    return np.arange(M) if count >= M else draws.choice(M, count, replace=False)


def _neighbours(points: np.ndarray, seeds: np.ndarray, K: int) -> np.ndarray:
    """(n, K) indices of the patterns nearest to each seed, nearest first, without the seed; all M where M <= K."""
    count = min(K + 1, len(points))
    _, near = cKDTree(points).query(points[seeds], k=count)
    # What comes first, at distance 0, is the seed (or a pattern at the very same place). TensorFlow drops it only where
    # K others came back, so that in tiny data sets the seed is one of those drawn from.
    return np.asarray(near[:, 1:] if count > K else near)


def _oversampled(draws: np.random.RandomState, points: np.ndarray, nsamples: int, K: int, C: int) -> np.ndarray:
    """Groups drawn from a pool of at least twice as many, if there are: every C of the K neighbours of some seeds."""
    seeds_needed = math.ceil(nsamples / math.comb(K, C))
    seeds = _draw_seeds(draws, len(points), min(2 * seeds_needed, len(points)))
    pool: list[tuple[int, ...]] = []
    for available in _neighbours(points, seeds, K):
        pool.extend(itertools.combinations(available, C))
        if len(pool) >= 2 * nsamples:
            break
    chosen = draws.choice(len(pool), nsamples, replace=len(pool) < nsamples)
    return np.array(pool, np.int32)[chosen]
