"""These cases freeze the members of groups, the grouped record, the scale of the data, and ground truth."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.grouping import faults, formulas
from golden.spec.arrays import Arrays
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.parameters import Kind, Parameters, Scalar
from golden.spec.random_inputs import Draw

_POSITIONS = {
    "xcoords": Input("(M,) float64; along columns", "pattern", "pixel"),
    "ycoords": Input("(M,) float64; along rows", "pattern", "pixel"),
}
_OBJECT = {"object": Input("(H, W) complex64; rows = y, columns = x", "row column", "1")}
_GROUPS: dict[str, Kind] = {"gridsize": int, "K": int, "nsamples": int, "seed": int}

SUBSAMPLE = Operation(
    name="grouping.subsample",
    summary="the patterns of a scan that are used: a random subset, drawn by RandomState on loading, and sorted",
    inputs={"xcoords": Input("(M,) float64", "pattern", "pixel")},
    outputs=(
        Output("sample_indices", "(m,) int64, ascending; which patterns are used", "sample", "1"),
        Output("xcoords", "(m,) float64; their positions along columns", "sample", "pixel"),
    ),
    parameters={"n_subsample": int, "subsample_seed": int},
    precision="float64",
    formula=formulas.subsample,
    faults=faults.SUBSAMPLING,
)

_INDICES = Output(
    "nn_indices", "(n, C) int64 for C = 1, else int32; index of each member's pattern", "group member", "1"
)

SAMPLE = Operation(
    name="grouping.sample",
    summary="groups of C = gridsize**2 patterns, drawn from the K nearest neighbours of seed patterns by RandomState",
    inputs=_POSITIONS,
    outputs=(_INDICES,),
    parameters={**_GROUPS, "sequential_sampling": bool},
    precision="float64",
    formula=formulas.sample,
    faults=faults.SAMPLING,
)

OVERSAMPLE = Operation(
    name="grouping.oversample",
    summary="more groups than patterns, drawn from a pool of combinations of neighbours",
    inputs=_POSITIONS,
    outputs=(Output("nn_indices", "(n, C) int64; index of each member's pattern", "group member", "1"),),
    parameters={**_GROUPS, "sequential_sampling": bool, "neighbor_pool_size": int | None},
    precision="float64",
    formula=formulas.oversample,
    faults=faults.OVERSAMPLING,
)


def _members(inputs: Arrays, parameters: Parameters) -> int:
    return parameters["gridsize"] ** 2


RECORD = Operation(
    name="grouping.record",
    summary="the grouped record: patterns, positions and ground truth of drawn groups",
    inputs={
        **_POSITIONS,
        "diff3d": Input("(M, N, N) float32 or uint16; amplitude", "pattern row column", "sqrt(photon)"),
        **_OBJECT,
    },
    outputs=(
        _INDICES,
        Output("coords_nn", "(n, 1, 2, C) float64; positions of the members", "group one xy member", "pixel"),
        Output(
            "coords_offsets", "(n, 1, 2, 1) float64; mean over the members", "group one xy one", "pixel", terms=_members
        ),
        Output(
            "coords_relative",
            "(n, 1, 2, C) float64; -(coords_nn - coords_offsets)",
            "group one xy member",
            "pixel",
            terms=_members,
        ),
        Output(
            "diffraction",
            "(n, N, N, C), dtype of diff3d; the members' patterns",
            "group row column member",
            "sqrt(photon)",
        ),
        Output(
            "X_full",
            "(n, N, N, C) float32; the patterns scaled by one factor, which is formed in float64",
            "group row column member",
            "1",
        ),
        Output(
            "Y",
            "(n, N, N, C) complex64; the object about 2 * coords_offsets - coords_nn",
            "group row column member",
            "1",
            terms=4,
        ),
    ),
    parameters={**_GROUPS, "sequential_sampling": bool},
    formula=formulas.record,
    faults=faults.RECORD,
)

START_POSITIONS = Operation(
    name="grouping.start_positions",
    summary="start positions (as commanded) of groups that were drawn by measured positions",
    inputs={
        **_POSITIONS,
        "xcoords_start": Input("(M,) float64; as commanded", "pattern", "pixel"),
        "ycoords_start": Input("(M,) float64; as commanded", "pattern", "pixel"),
    },
    outputs=(
        Output("coords_start_nn", "(n, 1, 2, C) float64", "group one xy member", "pixel"),
        Output(
            "coords_start_offsets",
            "(n, 1, 2, 1) float64; mean over the members",
            "group one xy one",
            "pixel",
            terms=_members,
        ),
        Output(
            "coords_start_relative",
            "(n, 1, 2, C) float64; -(nn - offsets)",
            "group one xy member",
            "pixel",
            terms=_members,
        ),
    ),
    parameters=_GROUPS,
    precision="float64",
    formula=formulas.start_positions,
    faults=faults.START_POSITIONS,
)

NORMALISE = Operation(
    name="grouping.normalise",
    summary="patterns scaled by one factor, so that a pattern's squares sum to (N / 2)**2 on average",
    inputs={
        "diffraction": Input("(n, N, N, C) float32 or uint16; amplitude", "group row column member", "sqrt(photon)")
    },
    outputs=(Output("X_full", "(n, N, N, C) float32", "group row column member", "1"),),
    precision="float64",
    formula=formulas.normalise,
    faults=faults.NORMALISATION,
)

_PATCHES = Output("patches", "(n, N, N, C) complex64; zero outside the object", "group row column member", "1", terms=4)

GROUND_TRUTH = Operation(
    name="grouping.ground_truth",
    summary="patches of an object cut at coords_offsets + coords_relative, mirrored through the group's mean",
    inputs={
        **_OBJECT,
        "coords_offsets": Input("(n, 1, 2, 1) float64", "group one xy one", "pixel"),
        "coords_relative": Input("(n, 1, 2, C) float64; -(coords - offsets)", "group one xy member", "pixel"),
    },
    outputs=(_PATCHES,),
    parameters={"gridsize": int, "N": int},
    formula=formulas.ground_truth,
    faults=faults.GROUND_TRUTH,
)

MEMBER_PATCHES = Operation(
    name="grouping.member_patches",
    summary="patches of an object, each cut at its member's own position",
    inputs={**_OBJECT, "coords_nn": Input("(n, 1, 2, C) float64", "group one xy member", "pixel")},
    outputs=(_PATCHES,),
    parameters={"N": int},
    formula=formulas.member_patches,
    faults=faults.MEMBER_PATCHES,
)

# ------------------------------------------------------------------------------------------------ inputs


def along_x(M: int) -> Drawing:
    """Draw distinct positions (M,) along x."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        return {"xcoords": np.arange(M) * 3 + draw.multiples(2**-8, 0, 2, (M,))}

    return make


def scattered(M: int, step: float = 2**-10) -> Drawing:
    """Draw M positions on 40 x 30 pixels."""
    return lambda draw: {
        "xcoords": draw.multiples(step, 20, 60, (M,)),
        "ycoords": draw.multiples(step, 15, 45, (M,)),
    }


def commanded(M: int) -> Drawing:
    """Draw measured positions, and commanded positions up to three pixels away."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        measured = scattered(M)(draw)
        return measured | {
            f"{name}_start": array + draw.multiples(2**-10, -3, 3, (M,)) for name, array in measured.items()
        }

    return make


def scan(M: int, N: int, dtype: type = np.float32) -> Drawing:
    """Draw patterns of different strength, at positions on an object that float32 cannot represent."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        return scattered(M, 2**-24)(draw) | {
            "diff3d": patterns(draw, (M, N, N), M, dtype),
            "object": draw.complex((46, 60), step=1 / 4),
        }

    return make


def patterns(draw: Draw, shape: tuple[int, ...], strengths: int, dtype: type) -> np.ndarray:
    """Draw amplitudes whose squares exceed uint16; strength grows with the index of the first axis."""
    strength = 1 + np.arange(strengths).reshape(-1, *(1 for _ in shape[1:]))
    whole = draw.integers(0, 1000, shape) * strength
    return whole.astype(dtype) if dtype is np.uint16 else (whole / 64).astype(dtype)


def stack(groups: int, N: int, members: int, dtype: type = np.float32) -> Drawing:
    """Draw patterns of groups; strength grows with the index of group and member."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        of_groups = patterns(draw, (groups, N, N, members), groups, dtype)
        return {"diffraction": (of_groups * (1 + np.arange(members, dtype=dtype))).astype(dtype)}

    return make


def known_object(draw: Draw, groups: int, members: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw an object, and positions (n, 1, 2, C) on it; those of the first group are in its lower left corner."""
    mean = draw.multiples(2**-4, 6, 30, (groups, 1, 2, 1))
    mean[0, 0, :, 0] = 3.25, 28.5
    return draw.complex((32, 36), step=1 / 4), mean + draw.multiples(2**-4, -5, 6, (groups, 1, 2, members))


def grouped_object(groups: int, members: int) -> Drawing:
    """Round means to 1/16 pixel, so that float32 represents every position exactly, for any number of members."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        target, coords = known_object(draw, groups, members)
        offsets = np.round(coords.sum(axis=3, keepdims=True) * 2**4 / members) / 2**4
        return {"object": target, "coords_offsets": offsets, "coords_relative": -(coords - offsets)}

    return make


def object_and_members(groups: int, members: int) -> Drawing:
    def make(draw: Draw) -> dict[str, np.ndarray]:
        target, coords = known_object(draw, groups, members)
        return {"object": target, "coords_nn": coords}

    return make


# ------------------------------------------------------------------------------------------------ cases


def _sample(
    name: str,
    summary: str,
    M: int,
    *,
    gridsize: int,
    K: int,
    nsamples: int,
    seed: int,
    sequential_sampling: bool = False,
) -> Case:
    parameters: dict[str, Scalar] = {
        "gridsize": gridsize,
        "K": K,
        "nsamples": nsamples,
        "seed": seed,
        "sequential_sampling": sequential_sampling,
    }
    return Case(f"grouping/sample_{name}", SAMPLE, summary, parameters, scattered(M))


def _oversample(name: str, summary: str, M: int, **parameters: int | None) -> Case:
    given: dict[str, Scalar] = {
        "gridsize": 2,
        "neighbor_pool_size": None,
        "sequential_sampling": False,
        **parameters,
    }
    return Case(f"grouping/oversample_{name}", OVERSAMPLE, summary, given, scattered(M))


_NO_MEMBERS = {"coords_relative": "a group of one lies at its own mean, so its relative position is zero"}

CASES = (
    Case(
        "grouping/subsample",
        SUBSAMPLE,
        "random subset of a scan's patterns in ascending order",
        {"n_subsample": 12, "subsample_seed": 5},
        along_x(40),
    ),
    Case(
        "grouping/subsample_of_few",
        SUBSAMPLE,
        "random subset larger than the scan: all patterns are used",
        {"n_subsample": 30, "subsample_seed": 5},
        along_x(9),
    ),
    _sample(
        "group1",
        "groups of one: patterns in the order of the draw",
        24,
        gridsize=1,
        K=4,
        nsamples=9,
        seed=3,
    ),
    _sample(
        "group1_all",
        "groups of one, more wanted than there are patterns: each pattern once, in order",
        20,
        gridsize=1,
        K=4,
        nsamples=50,
        seed=3,
    ),
    _sample(
        "group1_sequential",
        "groups of one in sequential mode: the first patterns in order",
        24,
        gridsize=1,
        K=4,
        nsamples=7,
        seed=3,
        sequential_sampling=True,
    ),
    _sample(
        "group4",
        "groups of four from four neighbours, the default",
        30,
        gridsize=2,
        K=4,
        nsamples=10,
        seed=5,
    ),
    _sample(
        "group4_of_seven",
        "groups of four from seven neighbours",
        30,
        gridsize=2,
        K=7,
        nsamples=9,
        seed=11,
    ),
    _sample(
        "group4_all",
        "groups of four, as many as patterns: seed patterns are not drawn",
        18,
        gridsize=2,
        K=6,
        nsamples=18,
        seed=8,
    ),
    _sample(
        "group4_sequential",
        "groups of four in sequential mode: first patterns in order, random seed 0 for neighbours",
        30,
        gridsize=2,
        K=6,
        nsamples=8,
        seed=5,
        sequential_sampling=True,
    ),
    _sample(
        "group4_few",
        "groups of four from fewer than K + 1 patterns: the seed pattern can be a member",
        5,
        gridsize=2,
        K=6,
        nsamples=3,
        seed=2,
    ),
    _sample(
        "group4_just_enough",
        "groups of four from K + 1 patterns: the seed pattern is left out",
        5,
        gridsize=2,
        K=4,
        nsamples=4,
        seed=7,
    ),
    _sample(
        "group9",
        "groups of nine (grid size 3) from twelve neighbours",
        30,
        gridsize=3,
        K=12,
        nsamples=6,
        seed=1,
    ),
    _oversample(
        "group4",
        "oversampling, 30 groups from 12 patterns: four seed patterns, 15 combinations each",
        12,
        K=6,
        nsamples=30,
        seed=14,
    ),
    _oversample(
        "group4_pool",
        "oversampling with neighbor_pool_size set: the third of four seed patterns fills the pool",
        16,
        K=4,
        neighbor_pool_size=7,
        nsamples=36,
        seed=9,
    ),
    _oversample(
        "group4_all",
        "oversampling with every pattern as a seed pattern: none is drawn, the pool suffices",
        10,
        K=5,
        nsamples=28,
        seed=6,
    ),
    _oversample(
        "group4_short",
        "oversampling with fewer combinations than groups: drawn with replacement",
        6,
        K=4,
        nsamples=14,
        seed=3,
    ),
    _oversample(
        "group4_few",
        "oversampling with fewer neighbours than the pool size: the seed pattern is still left out",
        6,
        K=4,
        neighbor_pool_size=8,
        nsamples=8,
        seed=14,
    ),
    _oversample(
        "group4_just_enough",
        "oversampling of four patterns: the seed pattern comes first in its group",
        4,
        K=4,
        nsamples=5,
        seed=4,
    ),
    _oversample(
        "group4_sequential",
        "oversampling in sequential mode: first patterns as seed patterns, given random seed",
        12,
        K=5,
        nsamples=14,
        seed=17,
        sequential_sampling=True,
    ),
    _oversample(
        "group9",
        "oversampling of groups of nine (grid size 3) from ten neighbours",
        12,
        gridsize=3,
        K=10,
        nsamples=13,
        seed=2,
    ),
    Case(
        "grouping/record_group1",
        RECORD,
        "grouped record of groups of one",
        {"gridsize": 1, "K": 4, "nsamples": 7, "seed": 3, "sequential_sampling": False},
        scan(12, 8),
        _NO_MEMBERS,
    ),
    Case(
        "grouping/record_group4",
        RECORD,
        "grouped record of groups of four: patterns in the members' order, ground truth mirrored",
        {"gridsize": 2, "K": 6, "nsamples": 4, "seed": 5, "sequential_sampling": False},
        scan(16, 8),
    ),
    Case(
        "grouping/record_group9",
        RECORD,
        "grouped record of groups of nine, odd N",
        {"gridsize": 3, "K": 11, "nsamples": 2, "seed": 8, "sequential_sampling": False},
        scan(18, 7),
    ),
    Case(
        "grouping/record_counts",
        RECORD,
        "grouped record of uint16 patterns: they keep their dtype, their squares do not overflow",
        {"gridsize": 2, "K": 5, "nsamples": 3, "seed": 6, "sequential_sampling": False},
        scan(14, 8, np.uint16),
    ),
    *(
        Case(
            f"grouping/start_positions_group{members}",
            START_POSITIONS,
            f"start positions (as commanded) of groups of {word}",
            {"gridsize": gridsize, "K": 10, "nsamples": 5, "seed": 4},
            commanded(20),
        )
        for gridsize, members, word in ((2, 4, "four"), (3, 9, "nine"))
    ),
    Case(
        "grouping/normalise_group1",
        NORMALISE,
        "normalisation of groups of one",
        {},
        stack(6, 8, 1),
    ),
    Case("grouping/normalise_group4", NORMALISE, "normalisation of groups of four", {}, stack(3, 8, 4)),
    Case(
        "grouping/normalise_odd",
        NORMALISE,
        "normalisation of patterns of odd N: N / 2 is not N // 2",
        {},
        stack(3, 7, 4),
    ),
    Case(
        "grouping/normalise_counts",
        NORMALISE,
        "normalisation of uint16 patterns: squares overflow unless formed in float64",
        {},
        stack(3, 8, 4, np.uint16),
    ),
    Case(
        "grouping/ground_truth_group1",
        GROUND_TRUTH,
        "ground truth of groups of one: cut at the position, some over the object's edge",
        {"gridsize": 1, "N": 8},
        grouped_object(7, 1),
    ),
    Case(
        "grouping/ground_truth_group4",
        GROUND_TRUTH,
        "ground truth of groups of four: cut at positions mirrored through the group's mean",
        {"gridsize": 2, "N": 8},
        grouped_object(3, 4),
    ),
    Case(
        "grouping/ground_truth_odd",
        GROUND_TRUTH,
        "ground truth of groups of nine, odd N",
        {"gridsize": 3, "N": 7},
        grouped_object(2, 9),
    ),
    Case(
        "grouping/member_patches_group4",
        MEMBER_PATCHES,
        "patches of groups of four, each cut at its own position",
        {"N": 8},
        object_and_members(3, 4),
    ),
    Case(
        "grouping/member_patches_group9",
        MEMBER_PATCHES,
        "patches of groups of nine, odd N, each cut at its own position",
        {"N": 7},
        object_and_members(2, 9),
    ),
)
