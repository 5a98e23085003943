"""A single factor, constant or shift is recognised, however small it is; rounding is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from golden.judge.compare import Tolerance
from golden.judge.drift import drift
from golden.report.page import Heading, page
from golden.review.difference import differences
from tests.golden.pages import pictures, read
from tests.golden.test_diff_page import holding

RNG = np.random.default_rng(5)
ROWS, COLUMNS = np.mgrid[:24, :20] / 3.0
SMOOTH = np.sin(ROWS) + np.cos(COLUMNS) + 2.5
COMPLEX = SMOOTH * np.exp(0.3j * COLUMNS)
NOISE = RNG.standard_normal(SMOOTH.shape)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (SMOOTH, SMOOTH * (1 + 3e-7), "the change is one factor everywhere: 1 + 3e-07"),
        (SMOOTH.astype("f4"), (SMOOTH * (1 - 2e-6)).astype("f4"), "the change is one factor everywhere: 1 - 2e-06"),
        (COMPLEX, COMPLEX * (1 + 1e-6j), "the change is one factor everywhere: 1 + (1.3e-20+1e-06j)"),
        (NOISE, NOISE - 4e-9, "the change is one constant, added everywhere: - 4e-09"),
        (
            SMOOTH,
            np.sin(ROWS - 1e-4 / 3) + np.cos(COLUMNS) + 2.5,
            "the change is one shift everywhere: +0.0001 rows, -0 columns",
        ),
        (SMOOTH, SMOOTH + 1e-7 * NOISE, ""),
        (SMOOTH, SMOOTH, ""),
        (SMOOTH[:2, :3], 1.5 * SMOOTH[:2, :3], ""),
        (SMOOTH, np.where(ROWS > 7, 2 * SMOOTH, SMOOTH), ""),
        (SMOOTH, SMOOTH * np.nan, ""),
        (SMOOTH, SMOOTH[:5], ""),
        (np.arange(40), 2 * np.arange(40), ""),
    ],
)
def test_one_rule_everywhere(before: np.ndarray, after: np.ndarray, sentence: str) -> None:
    assert drift(before, after)[:40] == sentence[:40]


def test_only_compared_elements_count() -> None:
    mask = np.ones(SMOOTH.shape, bool)
    mask[:, 5] = False
    after = SMOOTH * (1 + 1e-6)
    after[:, 5] = 7
    assert drift(SMOOTH, after) == ""
    assert drift(SMOOTH, after, mask) == "the change is one factor everywhere: 1 + 1e-06"


def test_a_factor_within_noise_is_reported() -> None:
    before, after = holding(y=SMOOTH), holding(y=SMOOTH * (1 + 1e-6))
    [found] = differences({"toy/double": before}, {"toy/double": after})
    assert found.verdict.label == "within noise"
    assert found.drifts == {"y": "the change is one factor everywhere: 1 + 1e-06"}
    assert "the change is one factor everywhere: 1 + 1e-06" in read(page([found], Heading("", "")))


@pytest.mark.parametrize("array", [SMOOTH, COMPLEX, np.full((9, 9), 0.125)])
def test_rounding_is_invisible(array: np.ndarray) -> None:
    """The scale of a difference and the axis of a line extend at least to the tolerance."""
    after = array + 1e-9 * RNG.standard_normal(array.shape)
    found = differences({"toy/double": holding(y=array)}, {"toy/double": holding(y=after)})
    assert holding(y=array).tolerances["y"] == Tolerance(1e-3, 1e-3, 1e-4, 1e-4)
    document = page(found, Heading("", ""))
    for drawn in pictures(document, "difference"):
        assert np.ptp(drawn[..., :3].astype(int), axis=(0, 1)).max() <= 2
    assert "\N{MINUS SIGN} 0.125" not in document
