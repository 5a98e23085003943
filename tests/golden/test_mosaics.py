"""Scores of mosaics: in each orientation, the score of that orientation is the highest."""

from __future__ import annotations

import numpy as np
import pytest

from golden.ptychopinn.run import mosaics

RANDOM = np.random.RandomState(1)
KNOWN = (RANDOM.rand(60, 80) + 0.2) * np.exp(1j * RANDOM.rand(60, 80))
CENTRE = np.array([41.2, 28.9])
EVERYWHERE = np.ones((30, 30), bool)


def shown() -> np.ndarray:
    """Return an upright mosaic of 30 x 30 pixels about the centre; its index 15 is near (41, 29)."""
    return KNOWN[14:44, 26:56]


@pytest.mark.parametrize("name", mosaics.TURNS)
def test_each_turn_has_its_score(name: str) -> None:
    scores = mosaics.orientation(mosaics.TURNS[name](shown()), EVERYWHERE, KNOWN, CENTRE)
    assert scores.dtype == np.float32
    assert list(mosaics.TURNS)[int(scores.argmax())] == name
    assert scores.max() == pytest.approx(1, abs=1e-6)
    assert np.sort(scores)[-2] < 0.3


def test_a_flat_mosaic_fits_nothing() -> None:
    assert not mosaics.orientation(np.ones((30, 30)), EVERYWHERE, KNOWN, CENTRE).any()
    assert not mosaics.orientation(shown(), ~EVERYWHERE, KNOWN, CENTRE).any()


def test_beyond_the_object_nothing_is_compared() -> None:
    expected, inside = mosaics.window(KNOWN, np.array([2.0, 3.0]), 30)
    assert inside.sum() == 18 * 17
    np.testing.assert_array_equal(expected[inside].reshape(18, 17), KNOWN[:18, :17])


@pytest.mark.parametrize("name", mosaics.TURNS)
def test_each_turn_of_patches_has_its_score(name: str) -> None:
    """A patch's index 12 is at its position; the turns are about the middle of the compared part."""
    positions = np.array([[30.2, 25.9], [41.0, 31.0]])
    crops = [KNOWN[y - 10 : y + 11, x - 10 : x + 11] for x, y in ((30, 26), (41, 31))]
    patches = np.zeros((2, 24, 24, 1), complex)
    patches[:, 2:23, 2:23, 0] = [mosaics.TURNS[name](crop) for crop in crops]
    scores = mosaics.patch_orientation(patches, positions, KNOWN)
    assert scores.shape == (8,)
    assert list(mosaics.TURNS)[int(scores.argmax())] == name
    assert scores.max() == pytest.approx(1)


def test_quality_removes_a_factor_and_a_constant_phase() -> None:
    right = mosaics.quality(3j * shown(), EVERYWHERE, KNOWN, CENTRE)
    assert right == pytest.approx({"correlation": 1, "amplitude_error": 0, "phase_error": 0}, abs=1e-6)
    conjugated = mosaics.quality(shown().conj(), EVERYWHERE, KNOWN, CENTRE)
    assert conjugated["amplitude_error"] == pytest.approx(0, abs=1e-6)
    assert conjugated["phase_error"] > 0.3
    nothing = mosaics.quality(np.zeros((30, 30)), EVERYWHERE, KNOWN, CENTRE)
    assert nothing == {"correlation": 0, "amplitude_error": np.inf, "phase_error": np.inf}


def test_the_box_is_width_and_height_of_what_whole_patches_cover() -> None:
    count = np.zeros((9, 12))
    count[2:5, 3:10] = 1
    count[5, 3:10] = 0.5
    assert mosaics.covered_box(count).tolist() == [7, 3]
    assert mosaics.covered_box(0 * count).tolist() == [0, 0]


def test_means_of_blocks() -> None:
    mosaic = np.zeros((10, 10, 1), np.complex64)
    mosaic[4:8, 0:4] = 2j
    found = mosaics.block_means(mosaic)
    assert (found.shape, found.dtype) == ((2, 2), np.float32)
    assert found.tolist() == [[0, 0], [2, 0]]


def test_bands_of_rows_and_of_columns() -> None:
    mosaic = np.zeros((50, 50, 1), np.complex64)
    mosaic[16:20, :32] = 2j
    mosaic[20:24, 32:34] = 1
    rows, columns = mosaics.band_means(mosaic)
    np.testing.assert_allclose(rows, [0, (2 * 128 + 8) / 136, 0], rtol=1e-6)
    assert columns.tolist() == [2, 2, 1]


def test_brightness_looks_at_the_crop_alone() -> None:
    patches = np.full((3, 64, 64, 1), 1000, np.complex64)
    patches[:, 22:42, 22:42] = np.linspace(0, 1, 400).reshape(20, 20, 1)
    np.testing.assert_allclose(mosaics.modulus_quantiles(patches), mosaics.QUANTILES, atol=1e-3)
