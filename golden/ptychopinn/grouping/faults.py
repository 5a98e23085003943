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
    pool_seeds,
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
    "no more patterns are wanted than the scan has", lambda inputs, p: p["n_subsample"] <= len(inputs["xcoords"])
)

# Sampling.
_NO_NEIGHBOURS = Condition("a group of one has no neighbours", lambda _, p: p["gridsize"] == 1)
_SEVERAL = Condition("each group has several members", lambda _, p: p["gridsize"] > 1)
_FEWER_GROUPS = Condition(
    "no more groups are wanted than there are patterns", lambda inputs, p: p["nsamples"] <= len(inputs["xcoords"])
)
_DRAWN = Condition(
    "not all patterns are used, so they are drawn at random",
    lambda inputs, p: not p["sequential_sampling"] and p["nsamples"] < len(inputs["xcoords"]),
)
_RANDOM = Condition("sampling is not sequential", lambda _, p: not p["sequential_sampling"])
_SEED_0 = Condition("sampling is sequential", lambda _, p: p["sequential_sampling"])
_IN_ORDER = Condition("patterns are not drawn but taken in order", lambda inputs, p: not _DRAWN.holds(inputs, p))
_NOTHING_DRAWN = Condition(
    "no random number is drawn", lambda inputs, p: p["gridsize"] == 1 and _IN_ORDER.holds(inputs, p)
)
_ALL_SINGLE = Condition(
    "no random number is drawn", lambda inputs, p: p["gridsize"] == 1 and p["nsamples"] >= len(inputs["xcoords"])
)
_PLENTY = Condition("each pattern has at least K others", lambda inputs, p: len(inputs["xcoords"]) > p["K"])
_ALL_NEAR = Condition(
    "the scan has at most K patterns, so members are drawn from all of them",
    lambda inputs, p: len(inputs["xcoords"]) <= p["K"],
)


# Oversampling.
def _combinations(parameters: Parameters) -> int:
    """Count the groups of a seed in a scan that is large enough."""
    return math.comb(parameters["neighbor_pool_size"] or parameters["K"], parameters["gridsize"] ** 2)


def _combined(inputs: Arrays, parameters: Parameters) -> int:
    """Count the groups of a seed. If there are too few other patterns for one, the seed itself is included."""
    C, size = parameters["gridsize"] ** 2, parameters["neighbor_pool_size"] or parameters["K"]
    return math.comb(max(C, min(size, len(inputs["xcoords"]) - 1)), C)


def _seeds(inputs: Arrays, parameters: Parameters) -> int:
    """Count the seeds that are drawn: twice the number that is needed, but at most the number of patterns."""
    return min(2 * math.ceil(parameters["nsamples"] / _combinations(parameters)), len(inputs["xcoords"]))


def _in_pool(inputs: Arrays, parameters: Parameters) -> int:
    """Count the groups of all seeds, from which the pool is filled."""
    return _seeds(inputs, parameters) * _combined(inputs, parameters)


_POOL_OF_K = Condition("neighbor_pool_size equals K", lambda _, p: p["neighbor_pool_size"] in (None, p["K"]))
_ONE_COMBINATION = Condition("each seed pattern has one combination", lambda inputs, p: _combined(inputs, p) == 1)
_SEEDS_DRAWN = Condition(
    "some of the patterns are drawn as seed patterns",
    lambda inputs, p: not p["sequential_sampling"] and _seeds(inputs, p) < len(inputs["xcoords"]),
)
_ALL_SEEDS = Condition("all patterns are seed patterns", lambda inputs, p: _seeds(inputs, p) == len(inputs["xcoords"]))
_SHORT = Condition(
    "the pool has fewer combinations than groups wanted", lambda inputs, p: _in_pool(inputs, p) < p["nsamples"]
)
_NEVER_FULL = Condition(
    "all seed patterns together do not overfill the pool", lambda inputs, p: _in_pool(inputs, p) <= 2 * p["nsamples"]
)
_FULL_WITH_SEED = Condition(
    "the last combination of a seed pattern fills the pool exactly",
    lambda inputs, p: 2 * p["nsamples"] % _combined(inputs, p) == 0,
)
_NOT_DOUBLED = Condition(
    "all patterns are seed patterns even without doubling",
    lambda inputs, p: math.ceil(p["nsamples"] / _combinations(p)) >= len(inputs["xcoords"]),
)
_OTHERS = Condition(
    "each seed pattern has as many neighbours as the pool size",
    lambda inputs, p: len(inputs["xcoords"]) > (p["neighbor_pool_size"] or p["K"]),
)
_SEED_NEEDED = Condition(
    "the seed pattern is needed to complete its group", lambda inputs, p: len(inputs["xcoords"]) == p["gridsize"] ** 2
)
_ENOUGH_OTHERS = Condition(
    "the seed pattern is not needed to complete its group",
    lambda inputs, p: len(inputs["xcoords"]) > p["gridsize"] ** 2,
)

# Records, normalisation, ground truth.
_FLOATS = Condition("squares of floats do not overflow", lambda inputs, _: inputs["diffraction"].dtype.kind == "f")
_ONE_CHANNEL = Condition("the patterns have one channel", lambda inputs, _: inputs["diffraction"].shape[3] == 1)
_ONE_TO_SUM = Condition("each group has one member", lambda inputs, _: inputs["diffraction"].shape[3] == 1)
_ODD = Condition("for odd N, (N - 1) / 2 is N // 2", lambda _, p: p["N"] % 2 == 1)
_ONE_PATCH = Condition("each group has one member", lambda inputs, _: _coords(inputs).shape[3] == 1)
_ONE_MEMBER = Condition("each group has one member", lambda _, p: p["gridsize"] == 1)


def _coords(inputs: Arrays) -> np.ndarray:
    """Return the positions (n, 1, 2, C) of either operation on ground truth."""
    return inputs["coords_relative" if "coords_relative" in inputs else "coords_nn"]


# ------------------------------------------------------------------------------------------------ subsampling


def _otherwise_used(name: str, symptom: str, choose: Callable[[np.ndarray, int, int], np.ndarray]) -> Fault:
    """Choose patterns wrongly: ``choose`` gets the indices of all, the requested number, and the seed."""
    return Fault.of_formula(name, symptom, subsample, choose=choose)


SUBSAMPLING = (
    _otherwise_used(
        "newer_generator",
        "numbers come from NumPy's default_rng; expected the legacy RandomState",
        lambda every, count, seed: np.sort(
            np.random.default_rng(seed).choice(every, min(count, len(every)), replace=False)
        ),
    ).invisible_when(_ALL_USED),
    Fault.of_parameters(
        "seed_ignored",
        "the random seed is always 0; expected the given one",
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
        "the first patterns of the file are used; expected a random draw",
        lambda every, count, seed: every[:count],
    ).invisible_when(_ALL_USED),
    _otherwise_used(
        "drawn_with_repetition",
        "a pattern may be drawn twice; expected each at most once",
        lambda every, count, seed: np.sort(np.random.RandomState(seed).choice(every, count)),
    ),
    _otherwise_used(
        "repeated_where_more_are_wanted",
        "patterns are repeated when too many are wanted; expected each pattern once",
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


_NEWER = "numbers come from NumPy's default_rng; expected the legacy RandomState"
_IGNORED = "the random seed is always 0; expected the given one"
_MIXED = "x and y are interleaved in the k-d tree's points; expected one (x, y) per pattern"
_KEPT = "the seed pattern is among its own neighbours; expected it left out"

SAMPLING = (
    _sampled("newer_generator", _NEWER, generator=_newer).invisible_when(_NOTHING_DRAWN),
    Fault.of_parameters("seed_ignored", _IGNORED, lambda parameters: {"seed": 0}).invisible_when(_SEED_0, _ALL_SINGLE),
    Fault.of_parameters(
        "sequential_ignored",
        "patterns are drawn in sequential mode; expected the first ones in order",
        lambda parameters: {"sequential_sampling": False},
    ).invisible_when(_DRAWN, _ALL_SINGLE, _RANDOM),
    _sampled(
        "always_in_sequence",
        "the first patterns are taken in order; expected a random draw",
        seeds=lambda generator, M, nsamples, in_sequence: np.arange(min(nsamples, M)),
    ).invisible_when(_IN_ORDER),
    _sampled(
        "users_seed_in_sequence",
        "sequential mode draws members with the given random seed; expected seed 0",
        generator=_of_user_in_sequence,
    ).invisible_when(_DRAWN, _NOTHING_DRAWN, _RANDOM),
    _sampled(
        "draw_for_all_points",
        "patterns are shuffled where all are used; expected file order without a draw",
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
        "groups of one repeat patterns when too many are wanted; expected each pattern once",
        seeds=_not_capped,
    ).invisible_when(_SEVERAL, _FEWER_GROUPS),
    Fault(
        "neighbour_for_seed",
        "a group of one is the pattern's nearest neighbour; expected the pattern itself",
        _neighbour_for_seed,
    ).invisible_when(_SEVERAL),
    _sampled("coordinates_mixed", _MIXED, points=_mixed).invisible_when(_NO_NEIGHBOURS),
    _sampled("seed_kept_in_group", _KEPT, neighbours=lambda order, K: order[:K]).invisible_when(
        _NO_NEIGHBOURS, _ALL_NEAR
    ),
    _sampled(
        "seed_always_dropped",
        "the seed pattern is left out where neighbours are few; expected it kept there",
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
        "a group takes the nearest neighbours; expected a draw from all K",
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
        "all groups take the same neighbours by rank; expected a new draw for each group",
        _one_choice_for_all,
    ).invisible_when(_NO_NEIGHBOURS),
)

# ------------------------------------------------------------------------------------------------ oversampling


def _pooled(name: str, symptom: str, **rules: Any) -> Fault:
    return Fault.of_formula(name, symptom, oversample, rules=PoolRules(**rules))


OVERSAMPLING = (
    _pooled("newer_generator", _NEWER, generator=lambda seed, _: np.random.default_rng(seed)),
    _pooled("seed_ignored", _IGNORED, generator=lambda seed, _: np.random.RandomState(0)),
    _pooled("coordinates_mixed", _MIXED, points=_mixed),
    _pooled("seed_kept_in_group", _KEPT, neighbours=lambda order, size: order[:size]).invisible_when(_SEED_NEEDED),
    _pooled(
        "seed_kept_where_few",
        "the seed pattern is combined where neighbours are few; expected it left out there too",
        neighbours=neighbours,
    ).invisible_when(_OTHERS, _SEED_NEEDED),
    _pooled(
        "seed_last",
        "a seed pattern that completes its group comes last; expected it first",
        completed=lambda seed, near: [*near, seed],
    ).invisible_when(_ENOUGH_OTHERS),
    _pooled(
        "seeds_sorted",
        "drawn seed patterns are sorted; expected the order of the draw",
        seeds=lambda *arguments: np.sort(pool_seeds(*arguments)),
    ).invisible_when(_ALL_SEEDS, _SEED_0),
    _pooled(
        "draw_for_all_points",
        "seed patterns are shuffled where all are used; expected file order without a draw",
        seeds=lambda generator, M, count, _: generator.choice(M, count, replace=False),
    ).invisible_when(_SEEDS_DRAWN),
    _pooled(
        "sequential_ignored",
        "seed patterns are drawn in sequential mode; expected the first ones in order",
        seeds=lambda generator, M, count, _: drawn(generator, M, count),
    ).invisible_when(_RANDOM, _ALL_SEEDS),
    _pooled(
        "seed_0_in_sequence",
        "sequential mode draws from the pool with random seed 0; expected the given seed",
        generator=legacy,
    ).invisible_when(_RANDOM),
    _pooled(
        "combinations_reversed",
        "combinations are pooled from the last; expected lexicographic order, nearest first",
        combinations=lambda near, C: [*itertools.combinations(near, C)][::-1],
    ).invisible_when(_ONE_COMBINATION),
    _pooled(
        "pool_size_ignored",
        "groups are drawn from K neighbours; expected neighbor_pool_size neighbours",
        pool_size=lambda K, neighbor_pool_size: K,
    ).invisible_when(_POOL_OF_K),
    _pooled(
        "seeds_not_doubled",
        "only as many seed patterns as needed are drawn; expected twice as many",
        seeds_per_needed=1,
    ).invisible_when(_NOT_DOUBLED),
    _pooled(
        "pool_of_all_seeds", "combinations of all seed patterns are pooled; expected a stop at 2 * nsamples", full=10**6
    ).invisible_when(_NEVER_FULL),
    _pooled(
        "pool_of_whole_seeds",
        "the pool keeps all combinations of its last seed pattern; expected 2 * nsamples",
        taken=lambda found, room: found,
    ).invisible_when(_NEVER_FULL, _FULL_WITH_SEED),
    _pooled("pool_stops_at_n", "the pool stops at nsamples combinations; expected 2 * nsamples", full=1).invisible_when(
        _SHORT
    ),
    _pooled(
        "drawn_with_replacement",
        "groups are drawn with replacement; expected that only if the pool is too small",
        choose=lambda generator, pool, n: generator.choice(pool, n, replace=True),
    ).invisible_when(_SHORT),
    _pooled(
        "first_of_pool",
        "the first combinations of the pool are taken; expected a random draw",
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
        "squares_wrapped", "squares of integers overflow in their own dtype; expected float64", _wrapped
    ).invisible_when(_FLOATS),
    _scaled_by(
        "scale_per_pattern",
        "each pattern has its own scale; expected one factor for all",
        lambda d: scaled(d, sums_of_squares(d)),
    ),
    _scaled_by(
        "scale_per_group",
        "each group has its own scale; expected one factor for all",
        lambda d: scaled(d, sums_of_squares(d).mean(axis=3, keepdims=True)),
    ),
    _scaled_by(
        "scale_per_channel",
        "each channel has its own scale; expected one factor for all",
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
        "squares are averaged over pixels; expected their sum to be (N / 2)**2",
        lambda d: scaled(d, sums_of_squares(d).mean() / d.shape[1] ** 2),
    ),
    _scaled_by(
        "intensity_scaled",
        "patterns are scaled by the ratio of intensities; expected its square root",
        lambda d: (d * ((d.shape[1] / 2) ** 2 / sums_of_squares(d).mean())).astype(np.float32),
    ),
    _scaled_by(
        "amplitude_taken_for_intensity",
        "amplitudes are summed; expected their squares",
        lambda d: scaled(d, np.sum(d, axis=(1, 2), dtype=np.float64).mean()),
    ),
    _scaled_by(
        "squared", "patterns are squared; expected amplitudes", lambda d: np.square(normalised(d), dtype=np.float32)
    ),
    _scaled_by(
        "maximum_to_one",
        "patterns are divided by their maximum; expected by their norm",
        lambda d: (d / float(d.max())).astype(np.float32),
    ),
    _scaled_by(
        "not_normalised", "patterns are returned unscaled; expected scaled ones", lambda d: d.astype(np.float32)
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
    """Return the faults of cutting patches that either operation on ground truth can have."""

    def cut(name: str, symptom: str, way: Cut) -> Fault:
        return Fault.of_formula(name, symptom, formula, cut=way)

    def changed(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
        return Fault.of_outputs(name, symptom, lambda outputs: {"patches": change(outputs["patches"])})

    return (
        cut(
            "positions_negated",
            "patches are cut at -position; expected +position",
            lambda o, p, N: patches_at(o, -p, N),
        ),
        cut(
            "xy_swap",
            "patches are cut at (y, x); expected x along columns, y along rows",
            lambda o, p, N: patches_at(o, p[:, :, ::-1], N),
        ),
        cut(
            "corner_at_position",
            "index 0 of the patch lies at the position; expected index N // 2",
            lambda o, p, N: patches_at(o, p, N, 0),
        ),
        cut(
            "off_by_one",
            "index N // 2 - 1 of the patch lies at the position; expected index N // 2",
            lambda o, p, N: patches_at(o, p, N, N // 2 - 1),
        ),
        cut(
            "geometric_centre",
            "the patch's middle, (N - 1) / 2, lies at the position; expected index N // 2",
            lambda o, p, N: patches_at(o, p, N, (N - 1) / 2),
        ).invisible_when(_ODD),
        cut(
            "whole_pixels",
            "patches are cut at whole pixels; expected bilinear interpolation",
            lambda o, p, N: patches_at(o, np.rint(p), N),
        ),
        cut(
            "floored",
            "positions are truncated to whole pixels; expected bilinear interpolation",
            lambda o, p, N: patches_at(o, np.floor(p), N),
        ),
        cut("edge_repeated", "the object's edge is repeated outside it; expected zeros", _edge_repeated),
        cut(
            "phase_interpolated",
            "modulus and phase are interpolated; expected real and imaginary part",
            _phase_interpolated,
        ),
        cut(
            "first_group_for_all",
            "all groups use the first group's positions; expected one position per patch",
            lambda o, p, N: patches_at(o, np.repeat(p[:1], len(p), axis=0), N),
        ),
        changed("patch_transposed", "patches are transposed; expected (row, column)", lambda a: a.swapaxes(1, 2)),
        changed("conjugated", "patches are complex-conjugated; expected no conjugation", np.conj),
        changed(
            "imaginary_lost",
            "the imaginary part is lost; expected complex patches",
            lambda a: a.real.astype(np.complex64),
        ),
        changed(
            "amplitude_plus_i_phase",
            "patches are amplitude + i * phase; expected amplitude * exp(i * phase)",
            lambda a: (np.abs(a) + 1j * np.angle(a)).astype(np.complex64),
        ),
        changed(
            "column_major_channels",
            "members are ordered down the columns of the grid; expected their given order",
            _column_major,
        ).invisible_when(_ONE_PATCH),
        changed(
            "channel_major_order", "patches are ordered c * n + b; expected b * C + c, members fastest", _channel_major
        ).invisible_when(_ONE_PATCH),
    )


GROUND_TRUTH = (
    *_ground_truth_faults(ground_truth),
    Fault(
        "not_mirrored",
        "patches are cut at each member's own position; expected 2 * mean - position",
        lambda t: ground_truth(**t.given | {"coords_relative": -t.inputs["coords_relative"]}),
    ).invisible_when(_ONE_PATCH),
    Fault(
        "relative_ignored",
        "all members get the patch at the group's mean; expected one patch per member",
        lambda t: ground_truth(**t.given | {"coords_relative": 0 * t.inputs["coords_relative"]}),
    ).invisible_when(_ONE_PATCH),
)


def _mirrored(coords: np.ndarray) -> np.ndarray:
    return 2 * mean_of_members(coords) - coords


MEMBER_PATCHES = (
    *_ground_truth_faults(member_patches),
    Fault(
        "mirrored",
        "patches are cut at 2 * mean - position; expected each member's own position",
        lambda t: member_patches(**t.given | {"coords_nn": _mirrored(t.inputs["coords_nn"])}),
    ),
)

# ------------------------------------------------------------------------------------------------ the record


def _recorded(name: str, symptom: str, change: Callable[[Arrays], np.ndarray]) -> Fault:
    """Change the members' positions in the record; ``change`` gets the outputs."""

    def commit(t: Trial) -> Arrays:
        return recorded(t.inputs["diff3d"], t.inputs["object"], t.outputs["nn_indices"], change(t.outputs))

    return Fault(name, symptom, commit)


def _from_centre(
    name: str, symptom: str, parts: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> Fault:
    """Change offsets and relative positions; ``parts`` gets the members' positions and their right mean."""

    def commit(t: Trial) -> Arrays:
        coords = t.outputs["coords_nn"]
        offsets, relative = parts(coords, coords.mean(axis=3, keepdims=True))
        return positions_and_truth(t.inputs["object"], t.inputs["diff3d"].shape[1], coords, offsets, relative)

    return Fault(name, symptom, commit)


def _of_batch(coords: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.broadcast_to(coords.mean(axis=(0, 3), keepdims=True), mean.shape)
    return offsets, -(coords - offsets)


def _of_diffraction(name: str, symptom: str, change: Callable[[Arrays, np.ndarray], np.ndarray]) -> Fault:
    """Change the patterns of the groups; ``change`` gets inputs and indices and returns the patterns."""

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
        "K is ignored, neighbours are 4 or the group's size; expected K neighbours",
        lambda parameters: {"K": max(4, parameters["gridsize"] ** 2)},
    ).invisible_when(_ONE_MEMBER),
    _from_centre(
        "relative_sign",
        "relative positions are +(coords - mean); expected -(coords - mean)",
        lambda coords, mean: (mean, coords - mean),
    ).invisible_when(_ONE_MEMBER),
    _from_centre(
        "mean_not_removed",
        "relative positions are absolute; expected the group's mean subtracted",
        lambda coords, mean: (mean, -coords),
    ),
    _from_centre(
        "mean_of_all_groups",
        "the mean of the whole batch is used for every group; expected one mean per group",
        _of_batch,
    ),
    _from_centre(
        "first_member_as_origin",
        "the first member is taken as the group's centre; expected the mean of the members",
        lambda coords, mean: (coords[..., :1], -(coords - coords[..., :1])),
    ).invisible_when(_ONE_MEMBER),
    _recorded("xy_swap", "x and y are swapped; expected [x, y] on axis 2", _swapped),
    _recorded(
        "single_precision",
        "positions are rounded to float32; expected float64",
        lambda outputs: outputs["coords_nn"].astype(np.float32).astype(np.float64),
    ),
    _of_diffraction(
        "first_pattern_for_all",
        "all members show the first member's pattern; expected one pattern per member",
        lambda inputs, nn: gather(inputs["diff3d"], np.repeat(nn[:, :1], nn.shape[1], axis=1)),
    ).invisible_when(_ONE_MEMBER),
    _of_diffraction(
        "patterns_of_next",
        "patterns are those of the next index; expected the members' own",
        lambda inputs, nn: gather(inputs["diff3d"], (nn + 1) % len(inputs["diff3d"])),
    ),
    _of_diffraction(
        "patterns_in_order",
        "patterns are the first ones of the file; expected the members' own",
        lambda inputs, nn: gather(inputs["diff3d"], np.arange(nn.size).reshape(nn.shape) % len(inputs["diff3d"])),
    ),
    _of_diffraction(
        "members_reversed",
        "patterns are in reverse order of the positions; expected one order for both",
        lambda inputs, nn: gather(inputs["diff3d"], nn[:, ::-1]),
    ).invisible_when(_ONE_MEMBER),
    _of_diffraction(
        "patterns_transposed",
        "patterns are transposed; expected (row, column)",
        lambda inputs, nn: gather(inputs["diff3d"].swapaxes(1, 2), nn),
    ),
    Fault(
        "scale_of_all_patterns",
        "the scale is averaged over the whole scan; expected over the drawn groups",
        _scale_of_all_patterns,
    ),
    Fault.of_outputs(
        "not_normalised",
        "X_full holds unscaled patterns; expected scaled ones",
        lambda outputs: {"X_full": outputs["diffraction"].astype(np.float32)},
    ),
    Fault(
        "ground_truth_not_mirrored",
        "patches are cut at each member's own position; expected 2 * mean - position",
        lambda t: {"Y": patches_at(t.inputs["object"], t.outputs["coords_nn"], t.inputs["diff3d"].shape[1])},
    ).invisible_when(_ONE_MEMBER),
    Fault(
        "ground_truth_at_mean",
        "all members get the patch at the group's mean; expected one patch per member",
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
        "start positions are the measured ones; expected the commanded ones",
        lambda inputs: {"xcoords_start": inputs["xcoords"], "ycoords_start": inputs["ycoords"]},
    ),
    Fault("drawn_by_start", "neighbours are found from start positions; expected from measured ones", _drawn_by_start),
    Fault(
        "about_measured_mean",
        "start positions are relative to the measured mean; expected their own mean",
        _about_measured_mean,
    ),
    Fault(
        "relative_sign",
        "relative start positions are +(coords - mean); expected -(coords - mean)",
        lambda t: relative_starts(t.outputs["coords_start_nn"], 1.0),
    ),
    Fault(
        "xy_swap",
        "x and y of start positions are swapped; expected [x, y] on axis 2",
        lambda t: relative_starts(t.outputs["coords_start_nn"][:, :, ::-1].copy()),
    ),
)
