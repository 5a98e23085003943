"""These formulas draw groups, and compute the grouped record, its normalisation, and ground-truth patches.

Neighbours are found without a tree, by sorting all distances.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.ptychopinn.coordinates.formulas import bilinear

Generator = Any
"""NumPy's legacy generator, a newer one, or the module ``numpy.random``; all have ``choice``."""

# ------------------------------------------------------------------------------------------------ subsampling


def drawn_once(every: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw at most ``count`` of all patterns (M,), each at most once, ascending."""
    return np.sort(np.random.RandomState(seed).permutation(every)[:count])


def subsample(
    *,
    xcoords: np.ndarray,
    n_subsample: int,
    subsample_seed: int,
    choose: Callable[[np.ndarray, int, int], np.ndarray] = drawn_once,
) -> dict[str, np.ndarray]:
    """Draw the patterns that are used; ``choose`` has the signature of ``drawn_once``."""
    indices = choose(np.arange(len(xcoords)), n_subsample, subsample_seed)
    return {"sample_indices": np.asarray(indices, np.int64), "xcoords": xcoords[indices]}


# ------------------------------------------------------------------------------------------------ sampling


def points_of(xcoords: np.ndarray, ycoords: np.ndarray) -> np.ndarray:
    """Return the positions as (M, 2)."""
    return np.stack([xcoords, ycoords], axis=1)


def legacy(seed: int, sequential_sampling: bool) -> Generator:
    """Return the generator that draws groups; its seed is 0 in sequential mode."""
    return np.random.RandomState(0 if sequential_sampling else seed)


def drawn(generator: Generator, M: int, count: int) -> np.ndarray:
    """Draw ``count`` of M patterns; if all are requested, return them in order without a draw."""
    return np.arange(M) if count >= M else generator.choice(M, count, replace=False)


def drawn_seeds(generator: Generator, M: int, nsamples: int, sequential_sampling: bool) -> np.ndarray:
    """Draw the seed patterns, (n,), around which groups are formed."""
    return np.arange(min(nsamples, M)) if sequential_sampling else drawn(generator, M, nsamples)


def nearest_first(points: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return all patterns, sorted by their distance from each seed, (n, M)."""
    squares = np.square(points[seeds][:, None] - points).sum(axis=2)
    return np.argsort(squares, axis=1, kind="stable")


def neighbours(order: np.ndarray, K: int) -> np.ndarray:
    """Return the K nearest patterns without the seed pattern; if fewer than K others exist, all patterns with it."""
    return order[1 : K + 1] if len(order) > K else order


def drawn_members(generator: Generator, near: np.ndarray, C: int) -> np.ndarray:
    """Draw the members of a group, (C,), from the neighbours."""
    return np.asarray(generator.choice(near, C, replace=len(near) < C))


@dataclass(frozen=True)
class Rules:
    """The steps of sampling; a fault replaces one."""

    points: Callable[[np.ndarray, np.ndarray], np.ndarray] = points_of
    generator: Callable[[int, bool], Generator] = legacy
    seeds: Callable[[Generator, int, int, bool], np.ndarray] = drawn_seeds
    neighbours: Callable[[np.ndarray, int], np.ndarray] = neighbours
    members: Callable[[Generator, np.ndarray, int], np.ndarray] = drawn_members


def sample(
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    gridsize: int,
    K: int,
    nsamples: int,
    seed: int,
    sequential_sampling: bool = False,
    rules: Rules = Rules(),
) -> dict[str, np.ndarray]:
    points, generator = rules.points(xcoords, ycoords), rules.generator(seed, sequential_sampling)
    seeds = rules.seeds(generator, len(points), nsamples, sequential_sampling)
    if gridsize == 1:
        return {"nn_indices": np.asarray(seeds, np.int64)[:, None]}
    near = [rules.neighbours(order, K) for order in nearest_first(points, seeds)]
    return {"nn_indices": np.array([rules.members(generator, one, gridsize**2) for one in near], np.int32)}


# ------------------------------------------------------------------------------------------------ oversampling


def pool_generator(seed: int, sequential_sampling: bool) -> Generator:
    """Return the generator that draws the pool's seeds and the groups; it uses the user's seed in every mode."""
    return np.random.RandomState(seed)


def pool_seeds(generator: Generator, M: int, count: int, sequential_sampling: bool) -> np.ndarray:
    """Draw the patterns whose neighbours are combined, (count,)."""
    return np.arange(count) if sequential_sampling else drawn(generator, M, count)


@dataclass(frozen=True)
class PoolRules:
    """The steps of oversampling; a fault replaces one."""

    points: Callable[[np.ndarray, np.ndarray], np.ndarray] = points_of
    generator: Callable[[int, bool], Generator] = pool_generator
    seeds: Callable[[Generator, int, int, bool], np.ndarray] = pool_seeds
    neighbours: Callable[[np.ndarray, int], np.ndarray] = lambda order, size: order[1 : size + 1]
    completed: Callable[[int, np.ndarray], Sequence[int]] = lambda seed, near: [seed, *near]
    combinations: Callable[[Sequence[int], int], Sequence[tuple[int, ...]]] = lambda near, C: [
        *itertools.combinations(near, C)
    ]
    taken: Callable[[Sequence[tuple[int, ...]], int], Sequence[tuple[int, ...]]] = lambda found, room: found[:room]
    pool_size: Callable[[int, int | None], int] = lambda K, neighbor_pool_size: neighbor_pool_size or K
    seeds_per_needed: int = 2
    full: int = 2
    choose: Callable[[Generator, int, int], np.ndarray] = lambda generator, pool, n: generator.choice(
        pool, n, replace=pool < n
    )


def oversample(
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    gridsize: int,
    K: int,
    neighbor_pool_size: int | None,
    nsamples: int,
    seed: int,
    sequential_sampling: bool,
    rules: PoolRules = PoolRules(),
) -> dict[str, np.ndarray]:
    points, generator = rules.points(xcoords, ycoords), rules.generator(seed, sequential_sampling)
    C, size, full = gridsize**2, rules.pool_size(K, neighbor_pool_size), rules.full * nsamples
    needed = math.ceil(nsamples / math.comb(size, C))
    count = min(rules.seeds_per_needed * needed, len(points))
    seeds = rules.seeds(generator, len(points), count, sequential_sampling)
    pool: list[tuple[int, ...]] = []
    for one, order in zip(seeds, nearest_first(points, seeds)):
        near: Sequence[int] = rules.neighbours(order, size)  # type: ignore[assignment]
        near = rules.completed(one, near) if len(near) < C else near  # type: ignore[arg-type]
        pool.extend(rules.taken(rules.combinations(near, C), full - len(pool)))
        if len(pool) >= full:
            break
    return {"nn_indices": np.array(pool, np.int64)[rules.choose(generator, len(pool), nsamples)]}


# ------------------------------------------------------------------------------------------------ normalisation


def sums_of_squares(diffraction: np.ndarray) -> np.ndarray:
    """Return the sum of squares of each pattern of (n, N, N, C), as (n, 1, 1, C) float64."""
    return np.square(diffraction, dtype=np.float64).sum(axis=(1, 2), keepdims=True)


def scaled(diffraction: np.ndarray, mean_sum: np.ndarray | float, side: float | None = None) -> np.ndarray:
    """Scale patterns so that ``mean_sum`` becomes (side / 2)**2; float32."""
    half = (diffraction.shape[1] if side is None else side) / 2
    return (diffraction * np.sqrt(half**2 / mean_sum)).astype(np.float32)


def normalised(diffraction: np.ndarray) -> np.ndarray:
    """Scale patterns (n, N, N, C) so that their sum of squares is (N / 2)**2 on average; float32."""
    return scaled(diffraction, sums_of_squares(diffraction).mean())


def normalise(
    *, diffraction: np.ndarray, scale: Callable[[np.ndarray], np.ndarray] = normalised
) -> dict[str, np.ndarray]:
    """Normalise patterns; ``scale`` has the signature of ``normalised``."""
    return {"X_full": scale(diffraction)}


# ------------------------------------------------------------------------------------------------ ground truth


def patches_at(object_: np.ndarray, coords: np.ndarray, N: int, centre: float | None = None) -> np.ndarray:
    """Cut patches (n, N, N, C) complex64 of an object (H, W) with the centre index at coords (n, 1, 2, C)."""
    groups, _, _, members = coords.shape
    first = np.moveaxis(coords[:, 0], 1, 2).reshape(-1, 2) - (N // 2 if centre is None else centre)
    images = np.broadcast_to(object_.astype(np.complex128)[None, ..., None], (len(first), *object_.shape, 1))
    cut = bilinear(images, first[:, 1:] + np.arange(N), first[:, :1] + np.arange(N))
    return np.moveaxis(cut.reshape(groups, members, N, N), 1, 3).astype(np.complex64)


Cut = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""A function like ``patches_at``: object, positions (n, 1, 2, C) and N -> patches (n, N, N, C)."""


def ground_truth(
    *,
    object: np.ndarray,
    coords_offsets: np.ndarray,
    coords_relative: np.ndarray,
    gridsize: int,
    N: int,
    cut: Cut = patches_at,
) -> dict[str, np.ndarray]:
    return {"patches": cut(object, coords_offsets + coords_relative, N)}


def member_patches(
    *, object: np.ndarray, coords_nn: np.ndarray, N: int, cut: Cut = patches_at
) -> dict[str, np.ndarray]:
    return {"patches": cut(object, coords_nn, N)}


# ------------------------------------------------------------------------------------------------ the record


def gather(stack: np.ndarray, nn_indices: np.ndarray) -> np.ndarray:
    """Gather the images of each group's members, (n, N, N, C), from (M, N, N)."""
    return np.moveaxis(stack[nn_indices], 1, 3).copy()


def grouped_positions(x: np.ndarray, y: np.ndarray, nn_indices: np.ndarray) -> np.ndarray:
    """Return the positions of each group's members, (n, 1, 2, C)."""
    return np.stack([x[nn_indices], y[nn_indices]], axis=1)[:, None]


def record(
    *, xcoords: np.ndarray, ycoords: np.ndarray, diff3d: np.ndarray, object: np.ndarray, **settings: Any
) -> dict[str, np.ndarray]:
    """Draw groups and return their record; ``settings`` are the parameters of ``sample``."""
    nn_indices = sample(xcoords=xcoords, ycoords=ycoords, **settings)["nn_indices"]
    return recorded(diff3d, object, nn_indices, grouped_positions(xcoords, ycoords, nn_indices))


def recorded(
    diff3d: np.ndarray, object_: np.ndarray, nn_indices: np.ndarray, coords_nn: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the grouped record of given groups, whose members are at coords_nn (n, 1, 2, C)."""
    diffraction, offsets = gather(diff3d, nn_indices), coords_nn.mean(axis=3, keepdims=True)
    return {
        "nn_indices": nn_indices,
        "diffraction": diffraction,
        "X_full": normalised(diffraction),
        **positions_and_truth(object_, diff3d.shape[1], coords_nn, offsets, -(coords_nn - offsets)),
    }


def positions_and_truth(
    object_: np.ndarray, N: int, coords_nn: np.ndarray, offsets: np.ndarray, relative: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the positions in a record, and the ground truth that follows from them."""
    truth = patches_at(object_, offsets + relative, N)
    return {"coords_nn": coords_nn, "coords_offsets": offsets, "coords_relative": relative, "Y": truth}


def start_positions(
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    xcoords_start: np.ndarray,
    ycoords_start: np.ndarray,
    **settings: Any,
) -> dict[str, np.ndarray]:
    """Draw groups and gather their start positions; ``settings`` are the parameters of ``sample``."""
    nn_indices = sample(xcoords=xcoords, ycoords=ycoords, **settings)["nn_indices"]
    return relative_starts(grouped_positions(xcoords_start, ycoords_start, nn_indices))


def relative_starts(coords: np.ndarray, sign: float = -1.0) -> dict[str, np.ndarray]:
    """Return the outputs of ``start_positions`` from the members' start positions (n, 1, 2, C)."""
    offsets = coords.mean(axis=3, keepdims=True)
    return {
        "coords_start_nn": coords,
        "coords_start_offsets": offsets,
        "coords_start_relative": sign * (coords - offsets),
    }
