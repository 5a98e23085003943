"""Groups, the grouped record, its scale and its ground truth are TensorFlow's; indices are exactly the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from golden.store.golden import Golden
from ptycho_torch.operators.ground_truth import ground_truth_at_members, ground_truth_like_tf, patches_at
from ptycho_torch.operators.grouping import draw_groups, draw_patterns
from ptycho_torch.operators.normalization import normalize_data, pattern_energies
from ptycho_torch.raw_data_bridge import RawDataTorch
from tests.torch.subject.grouping import grouping_ground_truth
from tests.vectors import Record, assert_close, records

# ------------------------------------------------------------------------------------------------ draws


def positions(M: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(M)
    return rng.rand(M) * 40, rng.rand(M) * 30


def test_the_global_generator_is_neither_read_nor_seeded() -> None:
    x, y = positions(12)
    np.random.seed(7)
    expected = np.random.rand(3)
    np.random.seed(7)
    first = draw_groups(x, y, 5, gridsize=2, seed=1)
    np.testing.assert_array_equal(np.random.rand(3), expected)
    np.testing.assert_array_equal(draw_groups(x, y, 5, gridsize=2, seed=1), first)


def test_without_a_seed_draws_differ() -> None:
    x, y = positions(200)
    assert not np.array_equal(draw_groups(x, y, 100), draw_groups(x, y, 100))


def test_without_a_seed_all_patterns_are_in_order(goldens: dict[str, Golden]) -> None:
    """Nothing is drawn then, so a training on 1000 of 1000 patterns needs no seed."""
    golden = goldens["grouping/sample_group1_all"]
    found = draw_groups(golden.inputs["xcoords"], golden.inputs["ycoords"], 50, seed=None)
    np.testing.assert_array_equal(found, golden.outputs["nn_indices"])


def test_patterns_at_one_place_fill_a_group() -> None:
    """Any of them may be dropped in place of the seed, but a group has all its members, each once."""
    groups = draw_groups(np.zeros(9), np.zeros(9), 6, K=5, gridsize=2, seed=3)
    assert groups.shape == (6, 4)
    assert all(len(set(group)) == 4 for group in groups.tolist())


def test_four_neighbours_by_default() -> None:
    x, y = positions(12)
    found = draw_groups(x, y, 5, gridsize=2, seed=1)
    np.testing.assert_array_equal(found, draw_groups(x, y, 5, gridsize=2, seed=1, K=4))


def test_the_smallest_draws() -> None:
    """One group of one pattern; one group of all patterns, including its seed."""
    assert draw_groups(*positions(1), 1).tolist() == [[0]]
    assert sorted(draw_groups(*positions(4), 1, gridsize=2)[0].tolist()) == [0, 1, 2, 3]


def test_a_pool_as_large_as_wanted_is_used_up() -> None:
    """Any four of the six patterns are in the pools of exactly two seeds: the two other patterns."""
    groups = draw_groups(*positions(6), 30, K=5, gridsize=2, seed=2, enable_oversampling=True)
    assert set(Counter(tuple(sorted(group)) for group in groups.tolist()).values()) == {2}


def test_patterns_are_drawn_in_ascending_order() -> None:
    np.random.seed(7)
    expected = np.sort(np.random.choice(np.arange(1000), 10, replace=False))
    np.testing.assert_array_equal(draw_patterns(1000, 10, seed=7), expected)
    assert not np.array_equal(draw_patterns(10**6, 9), draw_patterns(10**6, 9))
    assert draw_patterns(5, None).tolist() == draw_patterns(5, 9, seed=7).tolist() == [0, 1, 2, 3, 4]
    assert draw_patterns(1, 1).tolist() == [0]
    assert len(draw_patterns(5, 1)) == 1
    for M, count in ((0, 1), (0, None), (5, 0)):
        with pytest.raises(ValueError, match="expected at least one, and one wanted"):
            draw_patterns(M, count)


@pytest.mark.parametrize(
    ("M", "arguments", "message"),
    [
        (3, {"nsamples": 2, "gridsize": 2}, "3 patterns are fewer than the 4 members"),
        (9, {"nsamples": 2, "gridsize": 2, "K": 3}, "K: expected at least the 4 members of a group, found 3"),
        (9, {"nsamples": 10, "gridsize": 2}, "expected at most 9, or enable_oversampling"),
        (
            9,
            {"nsamples": 10, "gridsize": 2, "enable_oversampling": True, "neighbor_pool_size": 3},
            "neighbor_pool_size: expected at least the 4 members of a group, found 3",
        ),
        (9, {"nsamples": 0}, "expected positive numbers, found nsamples = 0, C = 1"),
        (9, {"nsamples": 4, "gridsize": 0}, "expected positive numbers, found nsamples = 4, C = 0"),
        (9, {"nsamples": 4, "seed": -1}, "Seed must be between 0 and 2**32 - 1"),
    ],
)
def test_groups_that_cannot_be_drawn_are_refused(M: int, arguments: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        draw_groups(*positions(M), **arguments)


def test_positions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("expected one shape (M,), found (4,) and (5,)")):
        draw_groups(np.zeros(4), np.zeros(5), 1)
    with pytest.raises(ValueError, match="expected finite numbers"):
        draw_groups(np.full(4, np.nan), np.zeros(4), 1)


@pytest.mark.parametrize("arguments", [{"nsamples": 9}, {"nsamples": 5, "enable_oversampling": True}])
def test_oversampling_begins_beyond_the_number_of_patterns(arguments: Mapping[str, Any]) -> None:
    """Up to that number, the draws are the ordinary ones, with or without oversampling and with any pool."""
    x, y = positions(9)
    plain = {**arguments, "enable_oversampling": False}
    for pool in (None, 2):
        found = draw_groups(x, y, gridsize=2, seed=1, neighbor_pool_size=pool, **arguments)
        np.testing.assert_array_equal(found, draw_groups(x, y, gridsize=2, seed=1, **plain))


def test_oversampling_combines_pooled_neighbours_even_if_k_is_smaller() -> None:
    x, y = positions(9)
    arguments: dict[str, Any] = {"gridsize": 2, "seed": 1, "enable_oversampling": True, "neighbor_pool_size": 6}
    found = draw_groups(x, y, 20, K=2, **arguments)
    np.testing.assert_array_equal(found, draw_groups(x, y, 20, K=6, **arguments))


# ------------------------------------------------------------------------------------------------ normalisation


def test_mean_sum_of_squares_is_that_of_half_the_side() -> None:
    patterns = np.random.RandomState(0).randint(0, 60000, (5, 9, 9, 4)).astype(np.uint16)
    normalised = normalize_data(patterns)
    assert np.square(normalised, dtype=np.float64).sum(axis=(1, 2)).mean() == pytest.approx(4.5**2, rel=1e-6)


def test_weak_patterns_are_scaled_to_single_precision() -> None:
    normalised = normalize_data(np.full((1, 4, 4, 1), 1e-3))
    np.testing.assert_array_equal(normalised, np.full((1, 4, 4, 1), 0.5, np.float32), strict=True)


def test_energies_of_counts_do_not_wrap() -> None:
    patterns = np.array([[[60000, 1], [0, 2]], [[0, 0], [0, 0]]], np.uint16)
    np.testing.assert_array_equal(pattern_energies(patterns), np.array([60000.0**2 + 5, 0]), strict=True)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (np.ones((3, 8, 8)), "expected shape (n, N, N, C), none of them 0, found (3, 8, 8)"),
        (np.ones((3, 8, 7, 4)), "found (3, 8, 7, 4)"),
        (np.ones((0, 8, 8, 4)), "found (0, 8, 8, 4)"),
        (np.zeros((3, 8, 8, 4)), "mean sum of squares, found 0.0"),
        (np.full((3, 8, 8, 4), np.nan), "mean sum of squares, found nan"),
        (np.full((3, 8, 8, 4), np.inf), "mean sum of squares, found inf"),
    ],
)
def test_patterns_without_a_scale_are_refused(patterns: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        normalize_data(patterns)


# ------------------------------------------------------------------------------------------------ ground truth

OBJECT = torch.randn(20, 26, dtype=torch.complex64, generator=torch.Generator().manual_seed(2))


def test_whole_pixels_are_copied_exactly() -> None:
    """On the whole object and beyond its edges, with more patches than are cut at a time."""
    places = [(x, y) for x in range(-6, 33) for y in range(-6, 27)]
    found = patches_at(OBJECT, torch.tensor(places, dtype=torch.float64), 5)
    wide = np.pad(OBJECT.numpy(), 10)
    for patch, (x, y) in zip(found.numpy(), places):
        np.testing.assert_array_equal(patch, wide[y + 8 : y + 13, x + 8 : x + 13])


def test_a_patch_may_be_one_pixel() -> None:
    assert torch.equal(patches_at(OBJECT, torch.tensor([[3.0, 4.0]]), 1), OBJECT[4:5, 3:4][None])


def test_positions_in_single_precision_are_taken_as_they_are() -> None:
    places = torch.tensor([[10.3, 7.7], [0.1, 19.9]])
    assert torch.equal(patches_at(OBJECT, places, 8), patches_at(OBJECT, places.double(), 8))


def test_far_from_the_object_is_empty() -> None:
    assert not patches_at(OBJECT, torch.tensor([[1e30, 5.0], [5.0, -1e30]]), 8).any()


def test_the_two_ground_truths_are_mirrored_to_each_other() -> None:
    """In a symmetric group of four, one is the other with members 0 and 3 exchanged, and 1 and 2."""
    coords = torch.tensor([[9.0, 13.0, 9.0, 13.0], [8.0, 8.0, 12.0, 12.0]], dtype=torch.float64).view(1, 1, 2, 4)
    offsets = coords.mean(dim=3, keepdim=True)
    mirrored = ground_truth_like_tf(OBJECT, offsets, -(coords - offsets), 6)
    assert torch.equal(mirrored.flip(3), ground_truth_at_members(OBJECT, coords, 6))


def test_gradients() -> None:
    target = OBJECT[:3, :4].to(torch.complex128).requires_grad_()
    places = torch.tensor([[2.3, 1.6], [0.2, 2.7]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda o, p: patches_at(o, p, 2), (target, places))


@pytest.mark.parametrize(
    ("target", "places", "N", "message"),
    [
        (torch.ones(4, 4), torch.zeros(1, 2), 4, "object_guess: expected (H, W) complex, found (4, 4) torch.float32"),
        (OBJECT[0], torch.zeros(1, 2), 4, "object_guess: expected (H, W) complex, found (26,)"),
        (OBJECT, torch.zeros(2), 4, "positions: expected (n, 2) real, found (2,)"),
        (OBJECT, torch.zeros(1, 2).long(), 4, "positions: expected (n, 2) real, found (1, 2) torch.int64"),
        (OBJECT, torch.full((1, 2), torch.nan), 4, "positions: expected finite numbers"),
        (OBJECT, torch.zeros(1, 2), 0, "N: expected a positive number, found 0"),
    ],
)
def test_patches_that_cannot_be_cut_are_refused(
    target: torch.Tensor, places: torch.Tensor, N: int, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        patches_at(target, places, N)


def test_positions_of_another_axis_order_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("expected shape (n, 1, 2, C), found (3, 1, 4, 2)")):
        ground_truth_at_members(OBJECT, torch.zeros(3, 1, 4, 2), 4)
    with pytest.raises(ValueError, match=re.escape("coords_offsets: expected shape (n, 1, 2, 1) to go with")):
        ground_truth_like_tf(OBJECT, torch.zeros(3, 1, 2, 4), torch.zeros(3, 1, 2, 4), 4)


# ------------------------------------------------------------------------------------------------ recorded vectors


def recorded_parameters(record: Record) -> dict[str, Any]:
    """Return the parameters of the recorded call. There, -1 means no seed or no pool size."""
    given = record.attributes
    seed, pool = int(given["seed"]), int(given.get("neighbor_pool_size", -1))
    return {
        **{name: int(given[name]) for name in ("gridsize", "K", "nsamples")},
        "seed": None if seed < 0 else seed,
        "sequential_sampling": bool(given["sequential"]),
        "enable_oversampling": bool(given.get("oversampling", False)),
        "neighbor_pool_size": None if pool < 0 else pool,
    }


@pytest.mark.filterwarnings("ignore:nsamples")
def test_recorded_groups(external_data: Path) -> None:
    for record in records(external_data, "grouped_*.h5"):
        inputs = record.inputs
        raw = RawDataTorch(
            *(inputs[name] for name in ("xcoords", "ycoords", "diff3d", "probe")),
            objectGuess=inputs.get("object"),
            xcoords_start=inputs["xcoords_start"],
            ycoords_start=inputs["ycoords_start"],
        )
        found = raw.generate_grouped_data(int(record.attributes["N"]), **recorded_parameters(record))
        assert (found["Y"] is None) == ("Y" not in record.outputs)
        for name, expected in record.outputs.items():
            value = found[name]
            assert isinstance(value, np.ndarray)
            assert value.dtype == expected.dtype, f"{record.name}: {name}"
            # Recorded positions are full float64, so TensorFlow's float32 weights of Y carry 1e-6 of the canvas side.
            allowed = {"X_full": 1e-6, "Y": 2e-5}
            if record.outputs["nn_indices"].shape[1] > 4:
                # NumPy and Torch add nine positions in different orders, so the last digit of the mean may differ.
                allowed |= dict.fromkeys(("coords_offsets", "coords_relative"), 4 * np.finfo(np.float64).eps)
            assert_close(record, name, value, expected, allowed.get(name, 0))


def test_recorded_ground_truth(external_data: Path) -> None:
    for record in records(external_data, "coords_and_patches*.h5", "patches_"):
        parameters = {name: int(record.attributes[name]) for name in ("gridsize", "N")}
        inputs = {name: record.inputs[name] for name in ("object", "coords_offsets", "coords_relative")}
        found = grouping_ground_truth(**inputs, **parameters)
        assert_close(record, "patches", found["patches"], record.outputs["patches"], 2e-5)


def test_measured_patterns_show_each_members_own_patch(external_data: Path) -> None:
    """In groups of four, the members' own patches predict the measured patterns; the mirrored patches do not."""
    with np.load(external_data / "data" / "siemens_star_516.npz", allow_pickle=False) as scan:
        raw = RawDataTorch(
            *(scan[name] for name in ("xcoords", "ycoords", "diff3d", "probeGuess", "scan_index", "objectGuess"))
        )
    record = raw.generate_grouped_data(128, nsamples=12, gridsize=2, K=6, seed=1)
    own = ground_truth_at_members(torch.from_numpy(raw.objectGuess), torch.from_numpy(record["coords_nn"]), 128).numpy()

    def misfit(patches: np.ndarray) -> float:
        waves = np.fft.fft2(patches * raw.probeGuess[..., None], axes=(1, 2))
        made, measured = np.fft.fftshift(np.abs(waves), axes=(1, 2)), record["diffraction"]
        made *= np.vdot(made, measured) / np.vdot(made, made)
        return float(np.linalg.norm(made - measured) / np.linalg.norm(measured))

    assert misfit(own) < 0.15
    assert misfit(record["Y"]) > 0.25
