"""The summary of a large array reveals any change of its values or shape."""

from __future__ import annotations

import numpy as np
import pytest

from golden.spec.arrays import SAMPLES, sampled, summarise, whereabouts

RNG = np.random.default_rng(3)
PLACES = [6, 17, 23, 41]
IMAGE = RNG.normal(size=(4, 16, 16, 2)).astype(np.float32)


def test_a_small_array_is_kept_as_it_is() -> None:
    small = RNG.normal(size=(2, 128)).astype(np.float32)
    assert summarise(small) is small


@pytest.mark.parametrize("kind", ["f4", "f8", "c8", "c16"])
def test_a_summary_is_in_the_units_of_its_array(kind: str) -> None:
    array = (IMAGE + 1j * IMAGE[::-1]).astype(kind) if kind.startswith("c") else IMAGE.astype(kind)
    summary = summarise(array)
    assert summary.shape == (259,)
    assert summary.dtype == array.dtype
    assert summary[0] == pytest.approx(np.sqrt(np.mean(np.abs(array) ** 2)))
    assert (np.abs(summary[1:3]) < 4 * np.abs(summary[0])).all()
    np.testing.assert_array_equal(summary[3:], array.reshape(-1)[sampled(array.shape)])
    np.testing.assert_allclose(summarise(2 * array), 2 * summary, rtol=1e-6)


def test_a_change_of_any_entry_shows() -> None:
    summary = summarise(IMAGE)
    kept = set(sampled(IMAGE.shape).tolist())
    outside = next(place for place in range(IMAGE.size) if place not in kept)
    changed = IMAGE.copy()
    changed.reshape(-1)[outside] += 1
    assert (summarise(changed) != summary)[:3].all()


def test_entries_that_change_places_show() -> None:
    changed = summarise(IMAGE[::-1])
    assert (changed != summarise(IMAGE))[1:].sum() > SAMPLES // 2


def test_the_right_values_in_another_shape_have_another_summary() -> None:
    assert (summarise(IMAGE.reshape(4, 32, 8, 2)) != summarise(IMAGE))[1:].sum() > SAMPLES // 2


def test_values_that_are_not_finite_show() -> None:
    changed = IMAGE.copy()
    changed[0, 0, 0, 0] = np.nan
    assert np.isnan(summarise(changed)[:3]).all()


def test_places_are_spread_and_fixed() -> None:
    places = sampled((1000, 3))
    assert (np.diff(places) > 0).all()
    assert np.diff(places).max() <= 2 * 3000 // SAMPLES + 1
    # The exact places, so that another version of NumPy cannot change them unnoticed.
    assert places[:4].tolist() == PLACES
    assert sampled((1000,), 8).size == 8
    assert sampled((5,), 8).tolist() == [0, 1, 2, 3, 4]


def test_where_in_the_array_a_summary_is_wrong() -> None:
    changed = IMAGE.copy()
    changed[1:3, :5, 7:] += 1
    wrong = summarise(changed) != summarise(IMAGE)
    kept = np.array(np.unravel_index(sampled(IMAGE.shape), IMAGE.shape))
    inside = kept[:, (kept[0] >= 1) & (kept[0] < 3) & (kept[1] < 5) & (kept[2] >= 7)]
    box = ", ".join(f"{low}:{high + 1}" for low, high in zip(inside.min(axis=1), inside.max(axis=1)))
    text = f"in the whole array: {inside.shape[1]} of the 256 stored entries fail, in [{box}] of (4, 16, 16, 2)"
    assert whereabouts(IMAGE.shape, wrong) == text
    wrong[3:] = False
    assert whereabouts(IMAGE.shape, wrong).endswith("fails: the difference is between them")
