"""Draw the patterns that form a group. The draws equal those of TensorFlow PtychoPINN, index by index.

A group has C = gridsize**2 members. Groups of one are the drawn patterns themselves. A larger group is drawn from the
nearest neighbours of a drawn pattern, its *seed*, which is normally not in the group. TensorFlow draws from NumPy's
legacy generator. So does this module, but from its own instance: it neither reads nor seeds the global generator.
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
    """Draw the patterns of each group as TensorFlow does (docs/conventions.md, "Groups").

    Args:
        xcoords: (M,), positions of the patterns along columns, pixels; finite.
        ycoords: (M,), positions of the patterns along rows, pixels; finite.
        nsamples: requested number of groups. There are at most M groups of one.
        K: number of nearest neighbours from which a group is drawn; at least C.
        gridsize: square root of C.
        seed: seed of the draws, 0..2**32 - 1; None for a different draw each time.
        sequential_sampling: use the first patterns in order as seeds, and draw members with seed 0; when oversampling,
            with ``seed``.
        enable_oversampling: allow more groups than patterns, from all combinations of neighbours.
        neighbor_pool_size: number of neighbours to combine when oversampling; None for K.

    Returns:
        (n, C), indices of patterns; int32 for groups of several members from at most M seeds, otherwise int64, as in
        TensorFlow.

    Raises:
        ValueError: there are fewer patterns, neighbours or pooled neighbours than members; there are more groups of
            several members than patterns, without oversampling; the shapes of the positions differ, or positions are
            not finite.
    """
    points = _points(xcoords, ycoords)
    M, C = len(points), gridsize**2
    pool_size = K if neighbor_pool_size is None else neighbor_pool_size
    _require_enough(M, C, nsamples)
    if C > 1 and nsamples > M:
        _require_oversampling(M, C, nsamples, pool_size, enable_oversampling)
        draws = np.random.RandomState(seed)
        return _oversampled(draws, points, nsamples, pool_size, C, sequential_sampling=sequential_sampling)
    if K < C:
        raise ValueError(f"K: expected at least the {C} members of a group, found {K}; raise K or lower gridsize")
    draws = np.random.RandomState(0 if sequential_sampling else seed)
    seeds = np.arange(min(nsamples, M)) if sequential_sampling else _draw_seeds(draws, M, nsamples)
    if C == 1:
        return seeds.astype(np.int64)[:, None]
    near = _neighbours(points, seeds, K)
    return np.array([draws.choice(available, C, replace=False) for available in near], np.int32)


def draw_patterns(M: int, count: int | None, seed: int | None = None) -> Int[np.ndarray, " m"]:
    """Draw which patterns of a scan to use, as TensorFlow does on loading (docs/conventions.md, "Groups").

    Args:
        M: number of patterns in the scan.
        count: requested number of patterns. If it is None or at least M, all are returned without a draw.
        seed: seed of the draw, 0..2**32 - 1; None for a different draw each time.

    Returns:
        (m,) int64, m = min(count, M), ascending.

    Raises:
        ValueError: there is no pattern, or none is requested.
    """
    wanted = M if count is None else count
    if M < 1 or wanted < 1:
        raise ValueError(f"patterns: expected at least one, and one wanted, found {M} patterns, {wanted} wanted")
    if wanted >= M:
        return np.arange(M)
    return np.sort(np.random.RandomState(seed).choice(M, wanted, replace=False))


def _points(xcoords: np.ndarray, ycoords: np.ndarray) -> np.ndarray:
    """Check positions and return them as (M, 2) float64, [x, y]."""
    x, y = np.asarray(xcoords, np.float64), np.asarray(ycoords, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"xcoords, ycoords: expected one shape (M,), found {x.shape} and {y.shape}")
    points = np.column_stack([x, y])
    if not np.isfinite(points).all():
        raise ValueError("xcoords, ycoords: expected finite numbers, found NaN or infinity")
    return points


def _require_enough(M: int, C: int, nsamples: int) -> None:
    if nsamples < 1 or C < 1:
        raise ValueError(f"nsamples, gridsize: expected positive numbers, found nsamples = {nsamples}, C = {C}")
    if M < C:
        raise ValueError(f"{M} patterns are fewer than the {C} members of a group; give more, or a smaller gridsize")


def _require_oversampling(M: int, C: int, nsamples: int, pool_size: int, enable_oversampling: bool) -> None:
    if not enable_oversampling:
        raise ValueError(
            f"nsamples: {nsamples} groups of {C} from {M} patterns; expected at most {M}, or enable_oversampling"
        )
    if pool_size < C:
        raise ValueError(f"neighbor_pool_size: expected at least the {C} members of a group, found {pool_size}")


def _draw_seeds(draws: np.random.RandomState, M: int, count: int) -> np.ndarray:
    """Draw patterns in random order. If all are requested, return them in their own order, without a draw."""
    return np.arange(M) if count >= M else draws.choice(M, count, replace=False)


def _neighbours(points: np.ndarray, seeds: np.ndarray, K: int) -> np.ndarray:
    """Return the indices of the K patterns nearest to each seed, (n, K), nearest first and without the seed.

    If M <= K, all M are returned.
    """
    near = _nearest(points, seeds, K)
    # TensorFlow drops the first only if K others were found. So in a tiny data set, a group may contain its seed.
    return near[:, 1:] if near.shape[1] > K else near


def _nearest(points: np.ndarray, seeds: np.ndarray, K: int) -> np.ndarray:
    """Return the indices of the K + 1 patterns nearest to each seed, or of all, nearest first.

    The first, at distance 0, is the seed (or another pattern at the same position).
    """
    _, near = cKDTree(points).query(points[seeds], k=min(K + 1, len(points)))
    return np.asarray(near)


def _oversampled(
    draws: np.random.RandomState, points: np.ndarray, nsamples: int, K: int, C: int, *, sequential_sampling: bool
) -> np.ndarray:
    """Draw n groups from a pool of 2 n, which are combinations of C of the K neighbours of seeds."""
    count = min(2 * math.ceil(nsamples / math.comb(K, C)), len(points))
    seeds = np.arange(count) if sequential_sampling else _draw_seeds(draws, len(points), count)
    pool: list[tuple[int, ...]] = []
    for seed, near in zip(seeds, _nearest(points, seeds, K)):
        others = near[1:]
        available = others if len(others) >= C else [seed, *others]
        pool.extend(itertools.islice(itertools.combinations(available, C), 2 * nsamples - len(pool)))
    chosen = draws.choice(len(pool), nsamples, replace=len(pool) < nsamples)
    return np.array(pool, np.int64)[chosen]
