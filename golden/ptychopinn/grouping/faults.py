"""Faults of group sampling, of the grouped record, of its normalisation, and of ground-truth patches.

The draws are restated here without a tree: neighbours are found by sorting all distances.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from golden.ptychopinn.coordinates.faults import bilinear
from golden.spec.arrays import Arrays
from golden.spec.fault import Fault, Trial
from golden.spec.parameters import Parameters

# ------------------------------------------------------------------------------------------------ draws

Generator = Any
"""What draws: NumPy's legacy generator, a newer one, or the module ``numpy.random``; all offer ``choice``."""


def _points(inputs: Arrays) -> np.ndarray:
    return np.stack([inputs["xcoords"], inputs["ycoords"]], axis=1)


def _legacy(parameters: Parameters) -> Generator:
    return np.random.RandomState(0 if parameters["sequential_sampling"] else parameters["seed"])  # type: ignore[arg-type]


def _drawn(generator: Generator, M: int, count: int) -> np.ndarray:
    return np.arange(M) if count >= M else generator.choice(M, count, replace=False)


def _seeds(generator: Generator, M: int, parameters: Parameters) -> np.ndarray:
    count = int(parameters["nsamples"] or 0)
    return np.arange(min(count, M)) if parameters["sequential_sampling"] else _drawn(generator, M, count)


def _available(order: np.ndarray, K: int) -> np.ndarray:
    """Of all patterns, nearest first: the K after the seed, or the first K with it, if there are no K others."""
    return order[1 : K + 1] if len(order) > K else order


def _member(generator: Generator, available: np.ndarray, C: int) -> np.ndarray:
    return np.asarray(generator.choice(available, C, replace=len(available) < C))


@dataclass(frozen=True)
class Rules:
    """The steps of the draws; a fault replaces one."""

    points: Callable[[Arrays], np.ndarray] = _points
    generator: Callable[[Parameters], Generator] = _legacy
    seeds: Callable[[Generator, int, Parameters], np.ndarray] = _seeds
    available: Callable[[np.ndarray, int], np.ndarray] = _available
    member: Callable[[Generator, np.ndarray, int], np.ndarray] = _member


def _nearest_first(points: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """(n, M): all patterns by their distance from each seed."""
    squares = np.square(points[seeds][:, None] - points).sum(axis=2)
    return np.argsort(squares, axis=1, kind="stable")


def subsample(t: Trial) -> dict[str, np.ndarray]:
    """The patterns that are used, and where they lie."""
    return _used(t, _drawn_once(np.arange(len(t.inputs["xcoords"])), _wanted(t.parameters), t.parameters))


def _drawn_once(every: np.ndarray, count: int, parameters: Parameters) -> np.ndarray:
    return np.sort(_loading(parameters).permutation(every)[:count])


def _used(t: Trial, indices: np.ndarray) -> dict[str, np.ndarray]:
    return {"sample_indices": np.asarray(indices, np.int64), "xcoords": t.inputs["xcoords"][indices]}


def _wanted(parameters: Parameters) -> int:
    return int(parameters["n_subsample"] or 0)


def _loading(parameters: Parameters) -> np.random.RandomState:
    return np.random.RandomState(int(parameters["subsample_seed"] or 0))


def _otherwise_used(name: str, symptom: str, choose: Callable[[np.ndarray, int, Parameters], np.ndarray]) -> Fault:
    """``choose`` gets the indices of all patterns, how many are wanted, and the parameters."""
    return Fault(
        name,
        symptom,
        lambda t: _used(t, choose(np.arange(len(t.inputs["xcoords"])), _wanted(t.parameters), t.parameters)),
    )


SUBSAMPLING = (
    _otherwise_used(
        "newer_generator",
        "draws from the newer generator (default_rng); expected the legacy one (RandomState)",
        lambda every, count, parameters: np.sort(
            np.random.default_rng(int(parameters["subsample_seed"] or 0)).choice(
                every, min(count, len(every)), replace=False
            )
        ),
    ),
    Fault.of_parameters(
        "seed_ignored",
        "draws with seed 0 whatever seed is given; expected the given seed",
        lambda parameters: {"subsample_seed": 0},
    ),
    _otherwise_used(
        "not_sorted",
        "drawn patterns keep the order of the draw; expected ascending order",
        lambda every, count, parameters: (
            _loading(parameters).permutation(every)[:count] if count < len(every) else every
        ),
    ),
    _otherwise_used(
        "first_ones",
        "the first patterns of the file are used; expected drawn ones",
        lambda every, count, parameters: every[:count],
    ),
    _otherwise_used(
        "drawn_with_repetition",
        "a pattern may be drawn twice; expected each at most once",
        lambda every, count, parameters: np.sort(_loading(parameters).choice(every, count)),
    ),
    _otherwise_used(
        "repeated_where_more_are_wanted",
        "patterns are repeated where more are wanted than there are; expected each once",
        lambda every, count, parameters: (
            np.sort(np.resize(every, count)) if count > len(every) else _drawn_once(every, count, parameters)
        ),
    ),
)


def sample(inputs: Arrays, parameters: Parameters, rules: Rules = Rules()) -> np.ndarray:
    """(n, C): the groups, as they should be or by other rules."""
    points, generator = rules.points(inputs), rules.generator(parameters)
    seeds = rules.seeds(generator, len(points), parameters)
    C, K = int(parameters["gridsize"] or 0) ** 2, int(parameters["K"] or 0)
    if C == 1:
        return np.asarray(seeds, np.int64)[:, None]
    near = [rules.available(order, K) for order in _nearest_first(points, seeds)]
    return np.array([rules.member(generator, one, C) for one in near], np.int32)


def _sampled(name: str, symptom: str, **rules: Any) -> Fault:
    return Fault(
        name,
        symptom,
        lambda t: {"nn_indices": sample(t.inputs, t.parameters, Rules(**rules))},
    )


def _newer(parameters: Parameters) -> Generator:
    return np.random.default_rng(0 if parameters["sequential_sampling"] else int(parameters["seed"] or 0))


def _of_user_in_sequence(parameters: Parameters) -> Generator:
    return np.random.RandomState(int(parameters["seed"] or 0))


def _always_drawn(generator: Generator, M: int, parameters: Parameters) -> np.ndarray:
    if parameters["sequential_sampling"]:
        return _seeds(generator, M, parameters)
    return np.asarray(generator.choice(M, min(int(parameters["nsamples"] or 0), M), replace=False))


def _drawn_with_replacement(generator: Generator, M: int, parameters: Parameters) -> np.ndarray:
    count = int(parameters["nsamples"] or 0)
    if parameters["sequential_sampling"] or count >= M:
        return _seeds(generator, M, parameters)
    return np.asarray(generator.choice(M, count, replace=True))


def _not_capped(generator: Generator, M: int, parameters: Parameters) -> np.ndarray:
    count = int(parameters["nsamples"] or 0)
    if count <= M or parameters["sequential_sampling"]:
        return _seeds(generator, M, parameters)
    return np.asarray(generator.choice(M, count, replace=True))


def _mixed(inputs: Arrays) -> np.ndarray:
    return np.stack([inputs["xcoords"], inputs["ycoords"]]).reshape(-1, 2)


def _neighbour_for_seed(t: Trial) -> Arrays:
    right = t.outputs["nn_indices"]
    if right.shape[1] > 1:
        return {}
    return {"nn_indices": _nearest_first(_points(t.inputs), right[:, 0])[:, 1:2].astype(right.dtype)}


def _one_choice_for_all(t: Trial) -> Arrays:
    C, K = int(t.parameters["gridsize"] or 0) ** 2, int(t.parameters["K"] or 0)
    if C == 1:
        return {}
    generator = _legacy(t.parameters)
    seeds = _seeds(generator, len(t.inputs["xcoords"]), t.parameters)
    near = np.array([_available(order, K) for order in _nearest_first(_points(t.inputs), seeds)])
    return {"nn_indices": near[:, generator.choice(near.shape[1], C, replace=False)].astype(np.int32)}


_NEWER = "draws from the newer generator (default_rng); expected the legacy one (RandomState)"
_IGNORED = "draws with seed 0 whatever seed is given; expected the given seed"
_MIXED = "the tree's points are x and y interleaved along the wrong axis; expected one (x, y) per pattern"
_KEPT = "the seed is one of the neighbours that a group is drawn from; expected it to be dropped"

SAMPLING = (
    _sampled("newer_generator", _NEWER, generator=_newer),
    Fault.of_parameters("seed_ignored", _IGNORED, lambda parameters: {"seed": 0}),
    Fault.of_parameters(
        "sequential_ignored",
        "patterns are drawn although they were wanted in sequence; expected the first ones in order",
        lambda parameters: {"sequential_sampling": False},
    ),
    _sampled(
        "always_in_sequence",
        "the first patterns are taken in order; expected random ones",
        seeds=lambda generator, M, parameters: np.arange(min(int(parameters["nsamples"] or 0), M)),
    ),
    _sampled(
        "users_seed_in_sequence",
        "members are drawn with the given seed in sequential mode; expected seed 0",
        generator=_of_user_in_sequence,
    ),
    _sampled(
        "draw_for_all_points",
        "all patterns are drawn in random order where all are wanted; expected their own order, and no draw",
        seeds=_always_drawn,
    ),
    _sampled(
        "seeds_sorted",
        "drawn patterns are sorted; expected the order of the draw",
        seeds=lambda *arguments: np.sort(_seeds(*arguments)),
    ),
    _sampled(
        "seeds_with_replacement",
        "patterns are drawn with replacement; expected each at most once",
        seeds=_drawn_with_replacement,
    ),
    _sampled(
        "not_capped",
        "more groups of one than patterns are drawn, with repetitions; expected each pattern once",
        seeds=_not_capped,
    ),
    Fault(
        "neighbour_for_seed",
        "a group of one is the nearest neighbour of the drawn pattern; expected that pattern itself",
        _neighbour_for_seed,
    ),
    _sampled("coordinates_mixed", _MIXED, points=_mixed),
    _sampled("seed_kept_in_group", _KEPT, available=lambda order, K: order[:K]),
    _sampled(
        "seed_always_dropped",
        "the seed is dropped where no K others are there; expected it to stay among those drawn from",
        available=lambda order, K: order[1 : K + 1],
    ),
    _sampled(
        "one_neighbour_fewer",
        "a group is drawn from K - 1 neighbours; expected K",
        available=lambda order, K: _available(order, K)[:-1],
    ),
    _sampled(
        "one_neighbour_more",
        "a group is drawn from K + 1 neighbours; expected K",
        available=lambda order, K: _available(order, K + 1),
    ),
    _sampled(
        "nearest_members",
        "a group is the nearest neighbours; expected a draw from all K",
        member=lambda generator, available, C: available[:C],
    ),
    _sampled(
        "members_sorted",
        "a group's members are sorted; expected the order of the draw",
        member=lambda *arguments: np.sort(_member(*arguments)),
    ),
    _sampled(
        "members_with_replacement",
        "members are drawn with replacement; expected each at most once",
        member=lambda generator, available, C: generator.choice(available, C, replace=True),
    ),
    Fault(
        "one_choice_for_all",
        "the same of the neighbours, by their distance, are taken for all groups; expected a draw for each",
        _one_choice_for_all,
    ),
)

# ------------------------------------------------------------------------------------------------ oversampling


@dataclass(frozen=True)
class PoolRules:
    """The steps of oversampling; a fault replaces one."""

    points: Callable[[Arrays], np.ndarray] = _points
    generator: Callable[[int], Generator] = np.random.RandomState
    seeds: Callable[[Generator, int, int], np.ndarray] = _drawn
    available: Callable[[np.ndarray, int], np.ndarray] = _available
    combinations: Callable[[Sequence[int], int], Sequence[tuple[int, ...]]] = lambda near, C: [
        *itertools.combinations(near, C)
    ]
    pool_size: Callable[[Parameters], int] = lambda p: int(p["neighbor_pool_size"] or p["K"] or 0)
    seeds_per_needed: int = 2
    full: float = 2
    choose: Callable[[Generator, int, int], np.ndarray] = lambda generator, pool, n: generator.choice(
        pool, n, replace=pool < n
    )


def oversample(inputs: Arrays, parameters: Parameters, rules: PoolRules = PoolRules()) -> np.ndarray:
    """(n, C): more groups than patterns, as they should be or by other rules."""
    points, generator = rules.points(inputs), rules.generator(int(parameters["seed"] or 0))
    n, C, K = int(parameters["nsamples"] or 0), int(parameters["gridsize"] or 0) ** 2, rules.pool_size(parameters)
    needed = math.ceil(n / math.comb(K, C))
    seeds = rules.seeds(generator, len(points), min(rules.seeds_per_needed * needed, len(points)))
    pool: list[tuple[int, ...]] = []
    for order in _nearest_first(points, seeds):
        pool.extend(rules.combinations(rules.available(order, K), C))  # type: ignore[arg-type]
        if len(pool) >= rules.full * n:
            break
    return np.array(pool, np.int32)[rules.choose(generator, len(pool), n)]


def _pooled(name: str, symptom: str, **rules: Any) -> Fault:
    return Fault(
        name,
        symptom,
        lambda t: {"nn_indices": oversample(t.inputs, t.parameters, replace(PoolRules(), **rules))},
    )


OVERSAMPLING = (
    _pooled("newer_generator", _NEWER, generator=np.random.default_rng),
    _pooled("seed_ignored", _IGNORED, generator=lambda seed: np.random.RandomState(0)),
    _pooled("coordinates_mixed", _MIXED, points=_mixed),
    _pooled("seed_kept_in_group", _KEPT, available=lambda order, K: order[:K]),
    _pooled(
        "seeds_sorted",
        "drawn seeds are sorted; expected the order of the draw",
        seeds=lambda *arguments: np.sort(_drawn(*arguments)),
    ),
    _pooled(
        "draw_for_all_points",
        "seeds are drawn in random order where all patterns are needed; expected their own order, and no draw",
        seeds=lambda generator, M, count: generator.choice(M, count, replace=False),
    ),
    _pooled(
        "combinations_reversed",
        "a seed's combinations are pooled from the last; expected lexicographic order, nearest first",
        combinations=lambda near, C: [*itertools.combinations(near, C)][::-1],
    ),
    _pooled(
        "pool_size_ignored",
        "groups are drawn from K neighbours; expected from neighbor_pool_size",
        pool_size=lambda parameters: int(parameters["K"] or 0),
    ),
    _pooled("seeds_not_doubled", "just the seeds needed are drawn; expected twice as many", seeds_per_needed=1),
    _pooled("pool_of_all_seeds", "all drawn seeds are pooled; expected a stop at 2 n combinations", full=math.inf),
    _pooled("pool_stops_at_n", "the pool is full with n combinations; expected 2 n", full=1),
    _pooled(
        "drawn_with_replacement",
        "groups are drawn from the pool with replacement; expected each at most once while it suffices",
        choose=lambda generator, pool, n: generator.choice(pool, n, replace=True),
    ),
    _pooled(
        "first_of_pool",
        "the first n of the pool are taken; expected a draw",
        choose=lambda generator, pool, n: np.arange(n) % pool,
    ),
)

# ------------------------------------------------------------------------------------------------ normalisation


def normalised(diffraction: np.ndarray) -> np.ndarray:
    """The patterns as they should be scaled."""
    return _scaled(diffraction, _sums_of_squares(diffraction).mean())


def _sums_of_squares(diffraction: np.ndarray) -> np.ndarray:
    """(n, 1, 1, C) float64."""
    return np.square(diffraction, dtype=np.float64).sum(axis=(1, 2), keepdims=True)


def _scaled(diffraction: np.ndarray, mean_sum: np.ndarray | float, side: float | None = None) -> np.ndarray:
    """Scaled so that ``mean_sum`` becomes (side / 2)**2."""
    half = (diffraction.shape[1] if side is None else side) / 2
    return (diffraction * np.sqrt(half**2 / mean_sum)).astype(np.float32)


def _scaled_by(name: str, symptom: str, scale: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return Fault(name, symptom, lambda t: {"X_full": scale(t.inputs["diffraction"])})


def _wrapped(t: Trial) -> Arrays:
    diffraction = t.inputs["diffraction"]
    if diffraction.dtype.kind == "f":
        return {}
    with np.errstate(over="ignore"):
        squares = diffraction * diffraction
    return {"X_full": _scaled(diffraction, squares.sum(axis=(1, 2), dtype=np.float64).mean())}


NORMALISATION = (
    Fault("squares_wrapped", "squares of whole numbers wrap around in their own dtype; expected float64", _wrapped),
    _scaled_by(
        "scale_per_pattern",
        "each pattern is scaled by itself; expected one factor for all",
        lambda d: _scaled(d, _sums_of_squares(d)),
    ),
    _scaled_by(
        "scale_per_group",
        "each group is scaled by itself; expected one factor for all",
        lambda d: _scaled(d, _sums_of_squares(d).mean(axis=3, keepdims=True)),
    ),
    _scaled_by(
        "scale_per_channel",
        "each channel is scaled by itself; expected one factor for all",
        lambda d: _scaled(d, _sums_of_squares(d).mean(axis=0, keepdims=True)),
    ),
    _scaled_by(
        "sum_over_members",
        "squares are summed over a group's members; expected their mean",
        lambda d: _scaled(d, _sums_of_squares(d).sum(axis=3).mean()),
    ),
    _scaled_by(
        "n_instead_of_half",
        "squares sum to N**2; expected (N / 2)**2",
        lambda d: _scaled(d, _sums_of_squares(d).mean(), 2 * d.shape[1]),
    ),
    _scaled_by(
        "sum_of_one",
        "squares sum to 1; expected (N / 2)**2",
        lambda d: _scaled(d, _sums_of_squares(d).mean(), 2),
    ),
    _scaled_by(
        "mean_of_squares",
        "the mean over pixels becomes (N / 2)**2; expected the sum",
        lambda d: _scaled(d, _sums_of_squares(d).mean() / d.shape[1] ** 2),
    ),
    _scaled_by(
        "intensity_scaled",
        "patterns are scaled by the ratio of intensities; expected its square root",
        lambda d: (d * ((d.shape[1] / 2) ** 2 / _sums_of_squares(d).mean())).astype(np.float32),
    ),
    _scaled_by(
        "amplitude_taken_for_intensity",
        "amplitudes are summed as if they were intensities; expected their squares",
        lambda d: _scaled(d, np.sum(d, axis=(1, 2), dtype=np.float64).mean()),
    ),
    _scaled_by(
        "squared", "patterns are squared; expected amplitudes", lambda d: np.square(normalised(d), dtype=np.float32)
    ),
    _scaled_by(
        "maximum_to_one",
        "patterns are divided by their largest value; expected by their norm",
        lambda d: (d / float(d.max())).astype(np.float32),
    ),
    _scaled_by(
        "not_normalised", "patterns come back as they are; expected them scaled", lambda d: d.astype(np.float32)
    ),
)

# ------------------------------------------------------------------------------------------------ ground truth


def patches_at(object_: np.ndarray, coords: np.ndarray, N: int, centre: float | None = None) -> np.ndarray:
    """(n, N, N, C) complex64: patches of an object (H, W) whose centre index lies at coords (n, 1, 2, C)."""
    groups, _, _, members = coords.shape
    first = np.moveaxis(coords[:, 0], 1, 2).reshape(-1, 2) - (N // 2 if centre is None else centre)
    images = np.broadcast_to(object_.astype(np.complex128)[None, ..., None], (len(first), *object_.shape, 1))
    cut = bilinear(images, first[:, 1:] + np.arange(N), first[:, :1] + np.arange(N))
    return np.moveaxis(cut.reshape(groups, members, N, N), 1, 3).astype(np.complex64)


def _mirrored(inputs: Arrays) -> np.ndarray:
    return np.asarray(inputs["coords_offsets"] + inputs["coords_relative"])


def _at_members(inputs: Arrays) -> np.ndarray:
    return inputs["coords_nn"]


Positions = Callable[[Arrays], np.ndarray]


def _phase_interpolated(object_: np.ndarray, coords: np.ndarray, N: int) -> np.ndarray:
    modulus, phase = (patches_at(part(object_), coords, N).real for part in (np.abs, np.angle))
    return (modulus * np.exp(1j * phase)).astype(np.complex64)


def _edge_repeated(object_: np.ndarray, coords: np.ndarray, N: int) -> np.ndarray:
    margin = 2 * N
    return patches_at(np.pad(object_, margin, mode="edge"), coords + margin, N)


def _column_major(patches: np.ndarray) -> np.ndarray:
    side = math.isqrt(patches.shape[3])
    return patches.reshape(*patches.shape[:3], side, side).swapaxes(3, 4).reshape(patches.shape)


def _channel_major(patches: np.ndarray) -> np.ndarray:
    """Patches cut in the order c * n + b, read in the order b * C + c."""
    groups, _, _, members = patches.shape
    flat = patches.transpose(3, 0, 1, 2).reshape(groups, members, *patches.shape[1:3])
    return np.moveaxis(flat, 1, 3)


def _ground_truth_faults(positions: Positions) -> tuple[Fault, ...]:
    """Faults of cutting patches at positions (n, 1, 2, C), whichever they are."""

    def cut(name: str, symptom: str, way: Callable[[np.ndarray, np.ndarray, int], np.ndarray]) -> Fault:
        return Fault(
            name,
            symptom,
            lambda t: {"patches": way(t.inputs["object"], positions(t.inputs), int(t.parameters["N"] or 0))},
        )

    def changed(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
        return Fault.of_outputs(name, symptom, lambda outputs: {"patches": change(outputs["patches"])})

    return (
        cut(
            "positions_negated",
            "patches are cut at the negated positions; expected at the positions",
            lambda o, p, N: patches_at(o, -p, N),
        ),
        cut(
            "xy_swap",
            "patches are cut at (y, x); expected x along columns, y along rows",
            lambda o, p, N: patches_at(o, p[:, :, ::-1], N),
        ),
        cut(
            "corner_at_position",
            "a patch begins at the position; expected index N // 2 there",
            lambda o, p, N: patches_at(o, p, N, 0),
        ),
        cut(
            "off_by_one",
            "index N // 2 - 1 lies at the position; expected index N // 2",
            lambda o, p, N: patches_at(o, p, N, N // 2 - 1),
        ),
        cut(
            "geometric_centre",
            "the middle of the patch, (N - 1) / 2, lies at the position; expected index N // 2",
            lambda o, p, N: patches_at(o, p, N, (N - 1) / 2),
        ),
        cut(
            "whole_pixels",
            "patches are cut at whole pixels; expected bilinear",
            lambda o, p, N: patches_at(o, np.rint(p), N),
        ),
        cut(
            "floored",
            "positions are cut to whole pixels, as int() does; expected bilinear",
            lambda o, p, N: patches_at(o, np.floor(p), N),
        ),
        cut("edge_repeated", "the object's edge is repeated outside of it; expected zeros", _edge_repeated),
        cut(
            "phase_interpolated",
            "modulus and phase are interpolated; expected real and imaginary part",
            _phase_interpolated,
        ),
        cut(
            "first_group_for_all",
            "the first group's positions are repeated for all groups; expected positions of each",
            lambda o, p, N: patches_at(o, np.repeat(p[:1], len(p), axis=0), N),
        ),
        changed("patch_transposed", "patches are transposed; expected rows to stay rows", lambda a: a.swapaxes(1, 2)),
        changed("conjugated", "patches are conjugated; expected them as they are", np.conj),
        changed(
            "imaginary_lost",
            "the imaginary part is lost; expected complex patches",
            lambda a: a.real.astype(np.complex64),
        ),
        changed(
            "amplitude_plus_i_phase",
            "patches are amplitude + i phase; expected amplitude exp(i phase)",
            lambda a: (np.abs(a) + 1j * np.angle(a)).astype(np.complex64),
        ),
        changed(
            "column_major_channels", "members run down the columns of the grid; expected their own order", _column_major
        ),
        changed(
            "channel_major_order", "patches are ordered c * n + b; expected b * C + c, members fastest", _channel_major
        ),
    )


GROUND_TRUTH = (
    *_ground_truth_faults(_mirrored),
    Fault(
        "not_mirrored",
        "each member gets the patch at its own position; TensorFlow's ground truth lies at 2 * mean - position",
        lambda t: {
            "patches": patches_at(
                t.inputs["object"],
                t.inputs["coords_offsets"] - t.inputs["coords_relative"],
                int(t.parameters["N"] or 0),
            )
        },
    ),
    Fault(
        "relative_ignored",
        "all members get the patch at the group's mean; expected a patch for each",
        lambda t: {
            "patches": patches_at(
                t.inputs["object"],
                t.inputs["coords_offsets"] + 0 * t.inputs["coords_relative"],
                int(t.parameters["N"] or 0),
            )
        },
    ),
)

MEMBER_PATCHES = (
    *_ground_truth_faults(_at_members),
    Fault(
        "mirrored",
        "members get the patches of points mirrored through their mean; expected each its own",
        lambda t: {
            "patches": patches_at(
                t.inputs["object"],
                2 * t.inputs["coords_nn"].mean(axis=3, keepdims=True) - t.inputs["coords_nn"],
                int(t.parameters["N"] or 0),
            )
        },
    ),
)

# ------------------------------------------------------------------------------------------------ the record


def gather(stack: np.ndarray, nn_indices: np.ndarray) -> np.ndarray:
    """Images (M, N, N) of each group's members, as (n, N, N, C)."""
    return np.moveaxis(stack[nn_indices], 1, 3).copy()


def grouped_positions(x: np.ndarray, y: np.ndarray, nn_indices: np.ndarray) -> np.ndarray:
    """(n, 1, 2, C)."""
    return np.stack([x[nn_indices], y[nn_indices]], axis=1)[:, None]


def record(inputs: Arrays, nn_indices: np.ndarray, coords_nn: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The grouped record of given groups, as it should be, or with other positions of their members."""
    if coords_nn is None:
        coords_nn = grouped_positions(inputs["xcoords"], inputs["ycoords"], nn_indices)
    diffraction, offsets = gather(inputs["diff3d"], nn_indices), coords_nn.mean(axis=3, keepdims=True)
    return {
        "nn_indices": nn_indices,
        "diffraction": diffraction,
        "X_full": normalised(diffraction),
        **_placed(inputs, coords_nn, offsets, -(coords_nn - offsets)),
    }


def _placed(inputs: Arrays, coords_nn: np.ndarray, offsets: np.ndarray, relative: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs that hang on positions, and the ground truth that follows from them."""
    truth = patches_at(inputs["object"], offsets + relative, inputs["diff3d"].shape[1])
    return {"coords_nn": coords_nn, "coords_offsets": offsets, "coords_relative": relative, "Y": truth}


def _recorded(name: str, symptom: str, change: Callable[[Arrays], np.ndarray]) -> Fault:
    """The record with other positions of the members; ``change`` gets the outputs."""
    return Fault(name, symptom, lambda t: record(t.inputs, t.outputs["nn_indices"], change(t.outputs)))


def _from_centre(
    name: str, symptom: str, parts: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> Fault:
    """Other offsets and relative positions; ``parts`` gets the members' positions and their right mean."""

    def commit(t: Trial) -> Arrays:
        coords = t.outputs["coords_nn"]
        offsets, relative = parts(coords, coords.mean(axis=3, keepdims=True))
        return _placed(t.inputs, coords, offsets, relative)

    return Fault(name, symptom, commit)


def _of_batch(coords: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.broadcast_to(coords.mean(axis=(0, 3), keepdims=True), mean.shape)
    return offsets, -(coords - offsets)


def _of_diffraction(name: str, symptom: str, change: Callable[[Arrays, np.ndarray], np.ndarray]) -> Fault:
    """Other patterns in the groups; ``change`` gets inputs and indices and returns the patterns."""

    def commit(t: Trial) -> Arrays:
        diffraction = change(t.inputs, t.outputs["nn_indices"])
        return {"diffraction": diffraction, "X_full": normalised(diffraction)}

    return Fault(name, symptom, commit)


def _scale_of_all_patterns(t: Trial) -> Arrays:
    mean_sum = np.square(t.inputs["diff3d"], dtype=np.float64).sum(axis=(1, 2)).mean()
    return {"X_full": _scaled(t.outputs["diffraction"], mean_sum)}


def _swapped(outputs: Arrays) -> np.ndarray:
    return outputs["coords_nn"][:, :, ::-1].copy()


RECORD = (
    Fault.of_parameters("seed_ignored", _IGNORED, lambda parameters: {"seed": 0}),
    Fault.of_parameters(
        "k_ignored",
        "groups are drawn from 4 neighbours, or as many as they have members, whatever K is; expected K",
        lambda parameters: {"K": max(4, int(parameters["gridsize"] or 0) ** 2)},
    ),
    _from_centre(
        "relative_sign",
        "relative positions are +(coords - mean); the grouped record holds -(coords - mean)",
        lambda coords, mean: (mean, coords - mean),
    ),
    _from_centre(
        "mean_not_removed",
        "relative positions are absolute; expected the group's mean to be subtracted",
        lambda coords, mean: (mean, -coords),
    ),
    _from_centre(
        "mean_of_all_groups",
        "the mean of the whole batch is taken for every group's; expected a mean per group",
        _of_batch,
    ),
    _from_centre(
        "first_member_as_origin",
        "the first member is taken for the group's centre; expected the mean of the members",
        lambda coords, mean: (coords[..., :1], -(coords - coords[..., :1])),
    ),
    _recorded("xy_swap", "x and y are exchanged; expected [x, y] on axis 2", _swapped),
    _recorded(
        "single_precision",
        "positions are rounded to float32; expected float64",
        lambda outputs: outputs["coords_nn"].astype(np.float32).astype(np.float64),
    ),
    _of_diffraction(
        "first_pattern_for_all",
        "all members of a group show the pattern of the first; expected each its own",
        lambda inputs, nn: gather(inputs["diff3d"], np.repeat(nn[:, :1], nn.shape[1], axis=1)),
    ),
    _of_diffraction(
        "patterns_of_next",
        "patterns are those of the next index; expected those of the members",
        lambda inputs, nn: gather(inputs["diff3d"], (nn + 1) % len(inputs["diff3d"])),
    ),
    _of_diffraction(
        "patterns_in_order",
        "patterns are the first ones in order, not those of the groups; expected the members'",
        lambda inputs, nn: gather(inputs["diff3d"], np.arange(nn.size).reshape(nn.shape) % len(inputs["diff3d"])),
    ),
    _of_diffraction(
        "members_reversed",
        "patterns run backwards through a group, positions forwards; expected one order for both",
        lambda inputs, nn: gather(inputs["diff3d"], nn[:, ::-1]),
    ),
    _of_diffraction(
        "patterns_transposed",
        "patterns are transposed; expected rows to stay rows",
        lambda inputs, nn: gather(inputs["diff3d"].swapaxes(1, 2), nn),
    ),
    Fault(
        "scale_of_all_patterns",
        "patterns are scaled by the mean over the whole scan; expected over the drawn groups",
        _scale_of_all_patterns,
    ),
    Fault.of_outputs(
        "not_normalised",
        "X_full holds the patterns as they are; expected them scaled",
        lambda outputs: {"X_full": outputs["diffraction"].astype(np.float32)},
    ),
    Fault(
        "ground_truth_not_mirrored",
        "ground truth is cut at each member's own position; TensorFlow's lies at 2 * mean - position",
        lambda t: {"Y": patches_at(t.inputs["object"], t.outputs["coords_nn"], t.inputs["diff3d"].shape[1])},
    ),
    Fault(
        "ground_truth_at_mean",
        "ground truth is cut at the group's mean for all members; expected a patch for each",
        lambda t: {
            "Y": patches_at(
                t.inputs["object"],
                t.outputs["coords_offsets"] + 0 * t.outputs["coords_relative"],
                t.inputs["diff3d"].shape[1],
            )
        },
    ),
)

# ------------------------------------------------------------------------------------------------ start positions


def start_positions(inputs: Arrays, nn_indices: np.ndarray) -> dict[str, np.ndarray]:
    """The start positions of given groups, as they should be."""
    return _start(grouped_positions(inputs["xcoords_start"], inputs["ycoords_start"], nn_indices))


def _start(coords: np.ndarray, sign: float = -1.0) -> dict[str, np.ndarray]:
    offsets = coords.mean(axis=3, keepdims=True)
    return {
        "coords_start_nn": coords,
        "coords_start_offsets": offsets,
        "coords_start_relative": sign * (coords - offsets),
    }


def _drawn_by_start(t: Trial) -> Arrays:
    inputs = {"xcoords": t.inputs["xcoords_start"], "ycoords": t.inputs["ycoords_start"]}
    return start_positions(t.inputs, sample(inputs, {**t.parameters, "sequential_sampling": False}))


def _about_measured_mean(t: Trial) -> Arrays:
    nn_indices = sample(t.inputs, {**t.parameters, "sequential_sampling": False})
    offsets = grouped_positions(t.inputs["xcoords"], t.inputs["ycoords"], nn_indices).mean(axis=3, keepdims=True)
    return {
        "coords_start_offsets": offsets,
        "coords_start_relative": -(t.outputs["coords_start_nn"] - offsets),
    }


START_POSITIONS = (
    Fault.of_inputs(
        "measured_for_start",
        "measured positions stand for the start positions; expected those as commanded",
        lambda inputs: {"xcoords_start": inputs["xcoords"], "ycoords_start": inputs["ycoords"]},
    ),
    Fault("drawn_by_start", "groups are drawn by the start positions; expected by the measured ones", _drawn_by_start),
    Fault(
        "about_measured_mean",
        "start positions are taken relative to the mean of the measured ones; expected to their own",
        _about_measured_mean,
    ),
    Fault(
        "relative_sign",
        "relative start positions are +(coords - mean); the grouped record holds -(coords - mean)",
        lambda t: _start(t.outputs["coords_start_nn"], 1.0),
    ),
    Fault(
        "xy_swap",
        "x and y of the start positions are exchanged; expected [x, y] on axis 2",
        lambda t: _start(t.outputs["coords_start_nn"][:, :, ::-1].copy()),
    ),
)
