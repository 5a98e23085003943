"""These faults get the groups, the grouped record, its normalisation, or ground-truth patches wrong."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.ptychopinn.coordinates.formulas import mean_of_members
from golden.ptychopinn.grouping.formulas import (
    Cut,
    Generator,
    PoolRules,
    Rules,
    drawn,
    drawn_members,
    drawn_once,
    drawn_seeds,
    gather,
    ground_truth,
    legacy,
    member_patches,
    nearest_first,
    neighbours,
    normalise,
    normalised,
    oversample,
    patches_at,
    points_of,
    positions_and_truth,
    recorded,
    relative_starts,
    sample,
    scaled,
    start_positions,
    subsample,
    sums_of_squares,
)
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial
from golden.spec.parameters import Parameters

# ------------------------------------------------------------------------------------------------ conditions

# Subsampling.
_ALL_USED = Condition("all patterns are used", lambda inputs, p: p["n_subsample"] >= len(inputs["xcoords"]))
_FEWER_USED = Condition(
    "fewer patterns than there are are wanted", lambda inputs, p: p["n_subsample"] <= len(inputs["xcoords"])
)

# Sampling.
_NO_NEIGHBOURS = Condition("a group of one has no neighbours", lambda _, p: p["gridsize"] == 1)
_SEVERAL = Condition("groups have several members", lambda _, p: p["gridsize"] > 1)
_FEWER_GROUPS = Condition(
    "fewer groups than patterns are wanted", lambda inputs, p: p["nsamples"] <= len(inputs["xcoords"])
)
_DRAWN = Condition(
    "patterns are drawn, fewer than there are",
    lambda inputs, p: not p["sequential_sampling"] and p["nsamples"] < len(inputs["xcoords"]),
)
_RANDOM = Condition("sampling is random", lambda _, p: not p["sequential_sampling"])
_SEED_0 = Condition("the seed of sequential sampling is 0", lambda _, p: p["sequential_sampling"])
_IN_ORDER = Condition("patterns are taken in order", lambda inputs, p: not _DRAWN.holds(inputs, p))
_NOTHING_DRAWN = Condition("nothing is drawn", lambda inputs, p: p["gridsize"] == 1 and _IN_ORDER.holds(inputs, p))
_ALL_SINGLE = Condition(
    "nothing is drawn", lambda inputs, p: p["gridsize"] == 1 and p["nsamples"] >= len(inputs["xcoords"])
)
_PLENTY = Condition("there are more than K others", lambda inputs, p: len(inputs["xcoords"]) > p["K"])
_ALL_NEAR = Condition("all patterns are drawn from", lambda inputs, p: len(inputs["xcoords"]) <= p["K"])


# Oversampling.
def _combinations(parameters: Parameters) -> int:
    """Count the groups that a seed has."""
    return math.comb(parameters["neighbor_pool_size"] or parameters["K"], parameters["gridsize"] ** 2)


def _seeds(inputs: Arrays, parameters: Parameters) -> int:
    """Count the seeds that are drawn: twice those that are needed, and no more than there are patterns."""
    return min(2 * math.ceil(parameters["nsamples"] / _combinations(parameters)), len(inputs["xcoords"]))


_POOL_OF_K = Condition("the pool size is K", lambda _, p: p["neighbor_pool_size"] in (None, p["K"]))
_ONE_COMBINATION = Condition("a seed has one combination", lambda _, p: _combinations(p) == 1)
_SEEDS_DRAWN = Condition(
    "fewer seeds than patterns are drawn", lambda inputs, p: _seeds(inputs, p) < len(inputs["xcoords"])
)
_ALL_SEEDS = Condition("all patterns are seeds", lambda inputs, p: _seeds(inputs, p) == len(inputs["xcoords"]))
_SHORT = Condition(
    "all combinations do not suffice", lambda inputs, p: len(inputs["xcoords"]) * _combinations(p) < p["nsamples"]
)
_NEVER_FULL = Condition(
    "all seeds together do not fill the pool",
    lambda inputs, p: _seeds(inputs, p) * _combinations(p) < 2 * p["nsamples"],
)
_ALL_NEEDED = Condition(
    "all drawn seeds are needed to fill the pool",
    lambda inputs, p: (_seeds(inputs, p) - 1) * _combinations(p) < 2 * p["nsamples"],
)

# Records, normalisation, ground truth.
_FLOATS = Condition("squares of floats do not wrap", lambda inputs, _: inputs["diffraction"].dtype.kind == "f")
_ONE_CHANNEL = Condition("there is one channel", lambda inputs, _: inputs["diffraction"].shape[3] == 1)
_ONE_TO_SUM = Condition("there is one member to sum over", lambda inputs, _: inputs["diffraction"].shape[3] == 1)
_ODD = Condition("for odd N, (N - 1) / 2 is N // 2", lambda _, p: p["N"] % 2 == 1)
_ONE_PATCH = Condition("there is one member", lambda inputs, _: _coords(inputs).shape[3] == 1)
_ONE_MEMBER = Condition("there is one member", lambda _, p: p["gridsize"] == 1)


def _coords(inputs: Arrays) -> np.ndarray:
    """Return the positions (n, 1, 2, C) that either operation on ground truth takes."""
    return inputs["coords_relative" if "coords_relative" in inputs else "coords_nn"]


# ------------------------------------------------------------------------------------------------ subsampling


def _otherwise_used(name: str, symptom: str, choose: Callable[[np.ndarray, int, int], np.ndarray]) -> Fault:
    """``choose`` gets the indices of all patterns, how many are wanted, and the seed."""
    return Fault.of_formula(name, symptom, subsample, choose=choose)


SUBSAMPLING = (
    _otherwise_used(
        "newer_generator",
        "draws from the newer generator (default_rng); expected the legacy one (RandomState)",
        lambda every, count, seed: np.sort(
            np.random.default_rng(seed).choice(every, min(count, len(every)), replace=False)
        ),
    ).invisible_when(_ALL_USED),
    Fault.of_parameters(
        "seed_ignored",
        "draws with seed 0 whatever seed is given; expected the given seed",
        lambda parameters: {"subsample_seed": 0},
    ).invisible_when(_ALL_USED),
    _otherwise_used(
        "not_sorted",
        "drawn patterns keep the order of the draw; expected ascending order",
        lambda every, count, seed: (
            np.random.RandomState(seed).permutation(every)[:count] if count < len(every) else every
        ),
    ).invisible_when(_ALL_USED),
    _otherwise_used(
        "first_ones",
        "the first patterns of the file are used; expected drawn ones",
        lambda every, count, seed: every[:count],
    ).invisible_when(_ALL_USED),
    _otherwise_used(
        "drawn_with_repetition",
        "a pattern may be drawn twice; expected each at most once",
        lambda every, count, seed: np.sort(np.random.RandomState(seed).choice(every, count)),
    ),
    _otherwise_used(
        "repeated_where_more_are_wanted",
        "patterns are repeated where more are wanted than there are; expected each once",
        lambda every, count, seed: (
            np.sort(np.resize(every, count)) if count > len(every) else drawn_once(every, count, seed)
        ),
    ).invisible_when(_FEWER_USED),
)


# ------------------------------------------------------------------------------------------------ sampling


def _sampled(name: str, symptom: str, **rules: Any) -> Fault:
    return Fault.of_formula(name, symptom, sample, rules=Rules(**rules))


def _newer(seed: int, sequential_sampling: bool) -> Generator:
    return np.random.default_rng(0 if sequential_sampling else seed)


def _of_user_in_sequence(seed: int, sequential_sampling: bool) -> Generator:
    return np.random.RandomState(seed)


def _always_drawn(generator: Generator, M: int, nsamples: int, sequential_sampling: bool) -> np.ndarray:
    if sequential_sampling:
        return drawn_seeds(generator, M, nsamples, sequential_sampling)
    return np.asarray(generator.choice(M, min(nsamples, M), replace=False))


def _drawn_with_replacement(generator: Generator, M: int, nsamples: int, sequential_sampling: bool) -> np.ndarray:
    if sequential_sampling or nsamples >= M:
        return drawn_seeds(generator, M, nsamples, sequential_sampling)
    return np.asarray(generator.choice(M, nsamples, replace=True))


def _not_capped(generator: Generator, M: int, nsamples: int, sequential_sampling: bool) -> np.ndarray:
    if nsamples <= M or sequential_sampling:
        return drawn_seeds(generator, M, nsamples, sequential_sampling)
    return np.asarray(generator.choice(M, nsamples, replace=True))


def _mixed(xcoords: np.ndarray, ycoords: np.ndarray) -> np.ndarray:
    return np.stack([xcoords, ycoords]).reshape(-1, 2)


def _neighbour_for_seed(t: Trial) -> Arrays:
    right = t.outputs["nn_indices"]
    if right.shape[1] > 1:
        return {}
    points = points_of(t.inputs["xcoords"], t.inputs["ycoords"])
    return {"nn_indices": nearest_first(points, right[:, 0])[:, 1:2].astype(right.dtype)}


def _one_choice_for_all(t: Trial) -> Arrays:
    gridsize, K, nsamples, seed, in_sequence = (
        t.parameters[name] for name in ("gridsize", "K", "nsamples", "seed", "sequential_sampling")
    )
    if gridsize == 1:
        return {}
    points, generator = points_of(t.inputs["xcoords"], t.inputs["ycoords"]), legacy(seed, in_sequence)
    seeds = drawn_seeds(generator, len(points), nsamples, in_sequence)
    near = np.array([neighbours(order, K) for order in nearest_first(points, seeds)])
    return {"nn_indices": near[:, generator.choice(near.shape[1], gridsize**2, replace=False)].astype(np.int32)}


_NEWER = "draws from the newer generator (default_rng); expected the legacy one (RandomState)"
_IGNORED = "draws with seed 0 whatever seed is given; expected the given seed"
_MIXED = "the tree's points are x and y interleaved along the wrong axis; expected one (x, y) per pattern"
_KEPT = "the seed is one of the neighbours that a group is drawn from; expected it to be dropped"

SAMPLING = (
    _sampled("newer_generator", _NEWER, generator=_newer).invisible_when(_NOTHING_DRAWN),
    Fault.of_parameters("seed_ignored", _IGNORED, lambda parameters: {"seed": 0}).invisible_when(_SEED_0, _ALL_SINGLE),
    Fault.of_parameters(
        "sequential_ignored",
        "patterns are drawn although they were wanted in sequence; expected the first ones in order",
        lambda parameters: {"sequential_sampling": False},
    ).invisible_when(_DRAWN, _ALL_SINGLE, _RANDOM),
    _sampled(
        "always_in_sequence",
        "the first patterns are taken in order; expected random ones",
        seeds=lambda generator, M, nsamples, in_sequence: np.arange(min(nsamples, M)),
    ).invisible_when(_IN_ORDER),
    _sampled(
        "users_seed_in_sequence",
        "members are drawn with the given seed in sequential mode; expected seed 0",
        generator=_of_user_in_sequence,
    ).invisible_when(_DRAWN, _NOTHING_DRAWN, _RANDOM),
    _sampled(
        "draw_for_all_points",
        "all patterns are drawn in random order where all are wanted; expected their own order, and no draw",
        seeds=_always_drawn,
    ).invisible_when(_DRAWN, _SEED_0),
    _sampled(
        "seeds_sorted",
        "drawn patterns are sorted; expected the order of the draw",
        seeds=lambda *arguments: np.sort(drawn_seeds(*arguments)),
    ).invisible_when(_IN_ORDER),
    _sampled(
        "seeds_with_replacement",
        "patterns are drawn with replacement; expected each at most once",
        seeds=_drawn_with_replacement,
    ).invisible_when(_IN_ORDER),
    _sampled(
        "not_capped",
        "more groups of one than patterns are drawn, with repetitions; expected each pattern once",
        seeds=_not_capped,
    ).invisible_when(_SEVERAL, _FEWER_GROUPS),
    Fault(
        "neighbour_for_seed",
        "a group of one is the nearest neighbour of the drawn pattern; expected that pattern itself",
        _neighbour_for_seed,
    ).invisible_when(_SEVERAL),
    _sampled("coordinates_mixed", _MIXED, points=_mixed).invisible_when(_NO_NEIGHBOURS),
    _sampled("seed_kept_in_group", _KEPT, neighbours=lambda order, K: order[:K]).invisible_when(
        _NO_NEIGHBOURS, _ALL_NEAR
    ),
    _sampled(
        "seed_always_dropped",
        "the seed is dropped where no K others are there; expected it to stay among those drawn from",
        neighbours=lambda order, K: order[1 : K + 1],
    ).invisible_when(_NO_NEIGHBOURS, _PLENTY),
    _sampled(
        "one_neighbour_fewer",
        "a group is drawn from K - 1 neighbours; expected K",
        neighbours=lambda order, K: neighbours(order, K)[:-1],
    ).invisible_when(_NO_NEIGHBOURS),
    _sampled(
        "one_neighbour_more",
        "a group is drawn from K + 1 neighbours; expected K",
        neighbours=lambda order, K: neighbours(order, K + 1),
    ).invisible_when(_NO_NEIGHBOURS, _ALL_NEAR),
    _sampled(
        "nearest_members",
        "a group is the nearest neighbours; expected a draw from all K",
        members=lambda generator, near, C: near[:C],
    ).invisible_when(_NO_NEIGHBOURS),
    _sampled(
        "members_sorted",
        "a group's members are sorted; expected the order of the draw",
        members=lambda *arguments: np.sort(drawn_members(*arguments)),
    ).invisible_when(_NO_NEIGHBOURS),
    _sampled(
        "members_with_replacement",
        "members are drawn with replacement; expected each at most once",
        members=lambda generator, near, C: generator.choice(near, C, replace=True),
    ).invisible_when(_NO_NEIGHBOURS),
    Fault(
        "one_choice_for_all",
        "the same of the neighbours, by their distance, are taken for all groups; expected a draw for each",
        _one_choice_for_all,
    ).invisible_when(_NO_NEIGHBOURS),
)

# ------------------------------------------------------------------------------------------------ oversampling


def _pooled(name: str, symptom: str, **rules: Any) -> Fault:
    return Fault.of_formula(name, symptom, oversample, rules=PoolRules(**rules))


OVERSAMPLING = (
    _pooled("newer_generator", _NEWER, generator=np.random.default_rng),
    _pooled("seed_ignored", _IGNORED, generator=lambda seed: np.random.RandomState(0)),
    _pooled("coordinates_mixed", _MIXED, points=_mixed),
    _pooled("seed_kept_in_group", _KEPT, neighbours=lambda order, K: order[:K]),
    _pooled(
        "seeds_sorted",
        "drawn seeds are sorted; expected the order of the draw",
        seeds=lambda *arguments: np.sort(drawn(*arguments)),
    ).invisible_when(_ALL_SEEDS),
    _pooled(
        "draw_for_all_points",
        "seeds are drawn in random order where all patterns are needed; expected their own order, and no draw",
        seeds=lambda generator, M, count: generator.choice(M, count, replace=False),
    ).invisible_when(_SEEDS_DRAWN),
    _pooled(
        "combinations_reversed",
        "a seed's combinations are pooled from the last; expected lexicographic order, nearest first",
        combinations=lambda near, C: [*itertools.combinations(near, C)][::-1],
    ).invisible_when(_ONE_COMBINATION),
    _pooled(
        "pool_size_ignored",
        "groups are drawn from K neighbours; expected from neighbor_pool_size",
        pool_size=lambda K, neighbor_pool_size: K,
    ).invisible_when(_POOL_OF_K),
    _pooled(
        "seeds_not_doubled", "just the seeds needed are drawn; expected twice as many", seeds_per_needed=1
    ).invisible_when(_SHORT),
    _pooled(
        "pool_of_all_seeds", "all drawn seeds are pooled; expected a stop at 2 n combinations", full=math.inf
    ).invisible_when(_SHORT, _NEVER_FULL, _ALL_NEEDED),
    _pooled("pool_stops_at_n", "the pool is full with n combinations; expected 2 n", full=1).invisible_when(_SHORT),
    _pooled(
        "drawn_with_replacement",
        "groups are drawn from the pool with replacement; expected each at most once while it suffices",
        choose=lambda generator, pool, n: generator.choice(pool, n, replace=True),
    ).invisible_when(_SHORT),
    _pooled(
        "first_of_pool",
        "the first n of the pool are taken; expected a draw",
        choose=lambda generator, pool, n: np.arange(n) % pool,
    ),
)

# ------------------------------------------------------------------------------------------------ normalisation


def _scaled_by(name: str, symptom: str, scale: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return Fault.of_formula(name, symptom, normalise, scale=scale)


def _wrapped(t: Trial) -> Arrays:
    diffraction = t.inputs["diffraction"]
    if diffraction.dtype.kind == "f":
        return {}
    with np.errstate(over="ignore"):
        squares = diffraction * diffraction
    return {"X_full": scaled(diffraction, squares.sum(axis=(1, 2), dtype=np.float64).mean())}


NORMALISATION = (
    Fault(
        "squares_wrapped", "squares of whole numbers wrap around in their own dtype; expected float64", _wrapped
    ).invisible_when(_FLOATS),
    _scaled_by(
        "scale_per_pattern",
        "each pattern is scaled by itself; expected one factor for all",
        lambda d: scaled(d, sums_of_squares(d)),
    ),
    _scaled_by(
        "scale_per_group",
        "each group is scaled by itself; expected one factor for all",
        lambda d: scaled(d, sums_of_squares(d).mean(axis=3, keepdims=True)),
    ),
    _scaled_by(
        "scale_per_channel",
        "each channel is scaled by itself; expected one factor for all",
        lambda d: scaled(d, sums_of_squares(d).mean(axis=0, keepdims=True)),
    ).invisible_when(_ONE_CHANNEL),
    _scaled_by(
        "sum_over_members",
        "squares are summed over a group's members; expected their mean",
        lambda d: scaled(d, sums_of_squares(d).sum(axis=3).mean()),
    ).invisible_when(_ONE_TO_SUM),
    _scaled_by(
        "n_instead_of_half",
        "squares sum to N**2; expected (N / 2)**2",
        lambda d: scaled(d, sums_of_squares(d).mean(), 2 * d.shape[1]),
    ),
    _scaled_by(
        "sum_of_one",
        "squares sum to 1; expected (N / 2)**2",
        lambda d: scaled(d, sums_of_squares(d).mean(), 2),
    ),
    _scaled_by(
        "mean_of_squares",
        "the mean over pixels becomes (N / 2)**2; expected the sum",
        lambda d: scaled(d, sums_of_squares(d).mean() / d.shape[1] ** 2),
    ),
    _scaled_by(
        "intensity_scaled",
        "patterns are scaled by the ratio of intensities; expected its square root",
        lambda d: (d * ((d.shape[1] / 2) ** 2 / sums_of_squares(d).mean())).astype(np.float32),
    ),
    _scaled_by(
        "amplitude_taken_for_intensity",
        "amplitudes are summed as if they were intensities; expected their squares",
        lambda d: scaled(d, np.sum(d, axis=(1, 2), dtype=np.float64).mean()),
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
    """Cut patches in the order c * n + b, and read them in the order b * C + c."""
    groups, _, _, members = patches.shape
    flat = patches.transpose(3, 0, 1, 2).reshape(groups, members, *patches.shape[1:3])
    return np.moveaxis(flat, 1, 3)


def _ground_truth_faults(formula: Callable[..., Arrays]) -> tuple[Fault, ...]:
    """Return the faults of cutting patches at positions, whichever they are."""

    def cut(name: str, symptom: str, way: Cut) -> Fault:
        return Fault.of_formula(name, symptom, formula, cut=way)

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
        ).invisible_when(_ODD),
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
        ).invisible_when(_ONE_PATCH),
        changed(
            "channel_major_order", "patches are ordered c * n + b; expected b * C + c, members fastest", _channel_major
        ).invisible_when(_ONE_PATCH),
    )


GROUND_TRUTH = (
    *_ground_truth_faults(ground_truth),
    Fault(
        "not_mirrored",
        "each member gets the patch at its own position; TensorFlow's ground truth lies at 2 * mean - position",
        lambda t: ground_truth(**t.given | {"coords_relative": -t.inputs["coords_relative"]}),
    ).invisible_when(_ONE_PATCH),
    Fault(
        "relative_ignored",
        "all members get the patch at the group's mean; expected a patch for each",
        lambda t: ground_truth(**t.given | {"coords_relative": 0 * t.inputs["coords_relative"]}),
    ).invisible_when(_ONE_PATCH),
)


def _mirrored(coords: np.ndarray) -> np.ndarray:
    return 2 * mean_of_members(coords) - coords


MEMBER_PATCHES = (
    *_ground_truth_faults(member_patches),
    Fault(
        "mirrored",
        "members get the patches of points mirrored through their mean; expected each its own",
        lambda t: member_patches(**t.given | {"coords_nn": _mirrored(t.inputs["coords_nn"])}),
    ),
)

# ------------------------------------------------------------------------------------------------ the record


def _recorded(name: str, symptom: str, change: Callable[[Arrays], np.ndarray]) -> Fault:
    """Give the members of the record other positions; ``change`` gets the outputs."""

    def commit(t: Trial) -> Arrays:
        return recorded(t.inputs["diff3d"], t.inputs["object"], t.outputs["nn_indices"], change(t.outputs))

    return Fault(name, symptom, commit)


def _from_centre(
    name: str, symptom: str, parts: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> Fault:
    """Give other offsets and relative positions; ``parts`` gets the members' positions and their right mean."""

    def commit(t: Trial) -> Arrays:
        coords = t.outputs["coords_nn"]
        offsets, relative = parts(coords, coords.mean(axis=3, keepdims=True))
        return positions_and_truth(t.inputs["object"], t.inputs["diff3d"].shape[1], coords, offsets, relative)

    return Fault(name, symptom, commit)


def _of_batch(coords: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.broadcast_to(coords.mean(axis=(0, 3), keepdims=True), mean.shape)
    return offsets, -(coords - offsets)


def _of_diffraction(name: str, symptom: str, change: Callable[[Arrays, np.ndarray], np.ndarray]) -> Fault:
    """Put other patterns into the groups; ``change`` gets inputs and indices and returns the patterns."""

    def commit(t: Trial) -> Arrays:
        diffraction = change(t.inputs, t.outputs["nn_indices"])
        return {"diffraction": diffraction, "X_full": normalised(diffraction)}

    return Fault(name, symptom, commit)


def _scale_of_all_patterns(t: Trial) -> Arrays:
    mean_sum = np.square(t.inputs["diff3d"], dtype=np.float64).sum(axis=(1, 2)).mean()
    return {"X_full": scaled(t.outputs["diffraction"], mean_sum)}


def _swapped(outputs: Arrays) -> np.ndarray:
    return outputs["coords_nn"][:, :, ::-1].copy()


RECORD = (
    Fault.of_parameters("seed_ignored", _IGNORED, lambda parameters: {"seed": 0}),
    Fault.of_parameters(
        "k_ignored",
        "groups are drawn from 4 neighbours, or as many as they have members, whatever K is; expected K",
        lambda parameters: {"K": max(4, parameters["gridsize"] ** 2)},
    ).invisible_when(_ONE_MEMBER),
    _from_centre(
        "relative_sign",
        "relative positions are +(coords - mean); the grouped record holds -(coords - mean)",
        lambda coords, mean: (mean, coords - mean),
    ).invisible_when(_ONE_MEMBER),
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
    ).invisible_when(_ONE_MEMBER),
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
    ).invisible_when(_ONE_MEMBER),
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
    ).invisible_when(_ONE_MEMBER),
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
    ).invisible_when(_ONE_MEMBER),
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
    ).invisible_when(_ONE_MEMBER),
)

# ------------------------------------------------------------------------------------------------ start positions


def _drawn_by_start(t: Trial) -> Arrays:
    return start_positions(**t.given | {"xcoords": t.inputs["xcoords_start"], "ycoords": t.inputs["ycoords_start"]})


def _about_measured_mean(t: Trial) -> Arrays:
    measured = {"xcoords_start": t.inputs["xcoords"], "ycoords_start": t.inputs["ycoords"]}
    offsets = start_positions(**t.given | measured)["coords_start_offsets"]
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
        lambda t: relative_starts(t.outputs["coords_start_nn"], 1.0),
    ),
    Fault(
        "xy_swap",
        "x and y of the start positions are exchanged; expected [x, y] on axis 2",
        lambda t: relative_starts(t.outputs["coords_start_nn"][:, :, ::-1].copy()),
    ),
)
