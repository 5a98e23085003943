"""The comparison: what passes, what does not, and what it reports."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from golden.judge.compare import EXACT, Tolerance, Verdict, compare, compare_outputs

TOLERANCE = Tolerance(atol=8e-6, rtol=8e-6, noise_atol=1e-6, noise_rtol=1e-6)
EXPECTED = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def verdict(actual: object, expected: np.ndarray = EXPECTED, tolerance: Tolerance = TOLERANCE) -> Verdict:
    return compare("y", expected, actual, tolerance).verdict


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (0, Verdict.IDENTICAL),
        (1.5e-6, Verdict.WITHIN_NOISE),
        (5e-6, Verdict.WITHIN_TOLERANCE),
        (1e-3, Verdict.BREAKING),
    ],
)
def test_verdict_grows_with_the_difference(change: float, expected: Verdict) -> None:
    actual = EXPECTED.copy()
    actual[1, 2] += np.float32(change)
    assert verdict(actual) is expected


@pytest.mark.parametrize(
    "actual",
    [
        EXPECTED.astype(np.float64),
        EXPECTED.astype(np.float16),
        EXPECTED.astype(np.complex64),
        EXPECTED[None],
        EXPECTED[..., None],
        EXPECTED.T,
        EXPECTED[:, :1],
        EXPECTED.tolist(),
        None,
    ],
)
def test_dtype_and_shape_are_exact(actual: object) -> None:
    assert verdict(actual) is Verdict.STRUCTURAL


def test_broadcasting_shapes_are_structural() -> None:
    patch = np.ones((20, 20, 1), np.complex64)
    assert verdict(patch.reshape(1, 20, 20), patch) is Verdict.STRUCTURAL


def test_complex_precisions_are_different_types() -> None:
    assert verdict(np.ones(3, np.complex128), np.ones(3, np.complex64)) is Verdict.STRUCTURAL


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_break(bad: float) -> None:
    actual = EXPECTED.copy()
    actual[0, 0] = bad
    comparison = compare("y", EXPECTED, actual, Tolerance(1e9, 1e9, 1e9, 1e9))
    assert comparison.verdict is Verdict.BREAKING
    assert comparison.share == np.inf


def test_nan_never_equals_nan() -> None:
    both = np.full(3, np.nan, np.float32)
    assert verdict(both, both) is Verdict.BREAKING


def test_tolerance_is_scaled_by_the_golden() -> None:
    """A very large value does not widen its own tolerance."""
    assert verdict(np.full(2, 1e6, np.float32), np.ones(2, np.float32)) is Verdict.BREAKING


def test_complex_differences_are_by_modulus() -> None:
    expected = np.array([1 + 1j, 2], np.complex64)
    actual = expected + np.array([3e-6j, 0], np.complex64)
    comparison = compare("y", expected, actual, Tolerance(atol=6e-6))
    assert comparison.share == pytest.approx(0.5, rel=0.05)
    assert comparison.amplitude_error == pytest.approx(3e-6 / np.sqrt(2), rel=0.1)
    assert comparison.phase_error == pytest.approx(1.5e-6, rel=0.1)


def test_report_names_worst_element_and_box() -> None:
    expected = np.zeros((6, 7), np.float32) + 1
    actual = expected.copy()
    actual[2:4, 3:6] += 0.5
    actual[3, 4] = 9
    comparison = compare("y", expected, actual, TOLERANCE)
    assert comparison.worst is not None
    assert comparison.worst.index == (3, 4)
    assert (comparison.worst.expected, comparison.worst.actual) == (1, 9)
    assert comparison.failing == 6
    assert comparison.box == ((2, 4), (3, 6))


def test_elements_outside_the_mask_do_not_count_but_must_be_finite() -> None:
    where = np.zeros(EXPECTED.shape, bool)
    where[0] = True
    actual = EXPECTED.copy()
    actual[1:] = 77
    comparison = compare("y", EXPECTED, actual, TOLERANCE, where)
    assert comparison.passed
    assert comparison.compared == 4
    actual[2, 2] = np.nan
    assert compare("y", EXPECTED, actual, TOLERANCE, where).verdict is Verdict.BREAKING


def test_blocks_do_not_change_the_result() -> None:
    """Errors in the first, an inner and the last block of a large array are all found."""
    expected = np.ones((3, 300_000), np.float32)
    actual = expected.copy()
    spots = [(0, 5), (1, 123_456), (2, 299_999)]
    for value, spot in zip((2, 4, 3), spots):
        actual[spot] = value
    comparison = compare("y", expected, actual, TOLERANCE)
    assert comparison.failing == 3
    assert comparison.worst is not None
    assert comparison.worst.index == (1, 123_456)
    assert comparison.box == ((0, 3), (5, 300_000))


def test_zero_tolerance_passes_only_equality() -> None:
    assert verdict(EXPECTED.copy(), tolerance=EXACT) is Verdict.IDENTICAL
    assert verdict(np.nextafter(EXPECTED, np.float32(9)), tolerance=EXACT) is Verdict.BREAKING


@pytest.mark.parametrize(
    ("expected", "actual", "outcome"),
    [
        (np.array([True, False]), np.array([True, True]), Verdict.BREAKING),
        (np.array([1, 2]), np.array([1, 2]), Verdict.IDENTICAL),
        (np.array([1, 2], np.int64), np.array([1, 2], np.int32), Verdict.STRUCTURAL),
        (np.array(b"true"), np.array(b"false"), Verdict.BREAKING),
        (np.array(b"4.0"), np.array(b"4"), Verdict.BREAKING),
        (np.array(b"null"), np.array(b"null"), Verdict.IDENTICAL),
    ],
)
def test_integers_booleans_and_texts_are_exact(expected: np.ndarray, actual: np.ndarray, outcome: Verdict) -> None:
    assert verdict(actual, expected, Tolerance(9, 9, 9, 9)) is outcome


def test_floating_scalars_are_compared() -> None:
    comparison = compare("y", np.array(1.0, np.float32), np.array(2.0, np.float32), TOLERANCE)
    assert comparison.verdict is Verdict.BREAKING
    assert comparison.worst is not None
    assert comparison.worst.index == ()
    assert verdict(np.array(np.nan, np.float32), np.array(1.0, np.float32)) is Verdict.BREAKING


def test_exact_outputs_respect_the_mask() -> None:
    mask = np.array([True, False])
    assert compare("n", np.array([1, 2]), np.array([1, 3]), EXACT, mask).verdict is Verdict.IDENTICAL
    assert compare("n", np.array([1, 2]), np.array([0, 2]), EXACT, mask).verdict is Verdict.BREAKING


def test_a_huge_expected_value_does_not_make_a_huge_tolerance() -> None:
    expected = np.array([3e38 + 3e38j], np.complex64)
    assert verdict(np.zeros(1, np.complex64), expected) is Verdict.BREAKING


def test_missing_and_extra_outputs_are_structural() -> None:
    outcome = compare_outputs({"a": EXPECTED, "b": EXPECTED}, {"b": EXPECTED, "c": EXPECTED}, {"b": TOLERANCE}, {})
    assert [(c.output, c.verdict) for c in outcome] == [
        ("a", Verdict.STRUCTURAL),
        ("b", Verdict.IDENTICAL),
        ("c", Verdict.STRUCTURAL),
    ]


def test_small_numbers_are_not_equal_for_being_small() -> None:
    """pytest-regressions' absolute tolerance of 1e-8 passes this."""
    expected = np.full(4, 1e-9, np.float32)
    assert not compare("y", expected, 5 * expected, Tolerance(8e-16, 0, 1e-16, 0)).passed


def test_infinite_complex_numbers_break_without_a_warning() -> None:
    expected = np.ones(2, np.complex64)
    assert compare("y", expected, np.full(2, np.inf, np.complex64), Tolerance(1, 0, 1, 0)).verdict is Verdict.BREAKING


def noisy(kind: str, change: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an array of three axes, the same array with relative errors of ``change``, and a mask."""
    random = np.random.default_rng(7)
    expected = random.normal(size=(5, 7, 11)).astype(kind)
    if expected.dtype.kind == "c":
        expected += 1j * random.normal(size=expected.shape)
    actual = (expected * (1 + change * random.normal(size=expected.shape))).astype(kind)
    return expected, actual, random.random(expected.shape) > 0.3


@pytest.mark.parametrize("kind", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("change", [0, 1e-6, 4e-6, 1e-3])
@pytest.mark.parametrize("masked", [False, True])
def test_the_method_does_not_change_the_result(
    kind: str, change: float, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is the same at once or a few elements at a time, quickly or in double precision."""
    expected, actual, mask = noisy(kind, change)
    where = mask if masked else None
    at_once = compare("y", expected, actual, TOLERANCE, where)
    monkeypatch.setattr("golden.spec.arrays._BLOCK", 5)
    assert compare("y", expected, actual, TOLERANCE, where) == at_once
    monkeypatch.setattr("golden.judge.compare._passing", lambda *arguments: None)
    precisely = compare("y", expected, actual, TOLERANCE, where)
    assert replace(precisely, share=0.0, noise_share=0.0) == replace(at_once, share=0.0, noise_share=0.0)
    assert precisely.share == pytest.approx(at_once.share, rel=1e-5)
    assert precisely.noise_share == pytest.approx(at_once.noise_share, rel=1e-5)


def test_large_arrays_are_not_copied() -> None:
    expected, actual = np.ones((2, 2048, 1024), np.complex64), np.full((2, 2048, 1024), 1 + 1e-6, np.complex64)
    for found in (actual, actual[:, ::-1].swapaxes(0, 2).swapaxes(0, 2)):
        tracemalloc.start()
        assert compare("y", expected, found, TOLERANCE).verdict is Verdict.WITHIN_NOISE
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < expected.nbytes / 8


@pytest.mark.parametrize("tiny", [1e-22, 1e-30, 1e-42])
def test_differences_that_underflow_when_squared_still_fail(tiny: float) -> None:
    expected = np.full(4, tiny, np.complex64)
    assert not compare("y", expected, 2 * expected, Tolerance(tiny / 10, 0, tiny / 100, 0)).passed


@pytest.mark.parametrize("layout", [lambda a: np.stack([a, a], -1)[..., 0], np.asfortranarray, lambda a: a[::-1][::-1]])
def test_memory_layout_does_not_change_the_result(layout: Callable[[np.ndarray], np.ndarray]) -> None:
    expected, actual, _ = noisy("complex64", 4e-6)
    assert compare("y", expected, layout(actual), TOLERANCE) == compare("y", expected, actual, TOLERANCE)
    assert compare("y", layout(expected), actual, TOLERANCE) == compare("y", expected, actual, TOLERANCE)


def test_equal_infinities_are_equal_whatever_else_differs() -> None:
    expected = np.array([np.inf, 1], np.float32)
    assert verdict(expected.copy(), expected) is Verdict.IDENTICAL
    assert verdict(np.array([np.inf, 1.000001], np.float32), expected) is Verdict.WITHIN_NOISE
    assert verdict(np.array([-np.inf, 1], np.float32), expected) is Verdict.BREAKING


def test_arrays_that_differ_only_outside_the_mask_are_identical() -> None:
    mask = np.array([True, False])
    expected = np.ones(2, np.float32)
    assert compare("y", expected, np.array([1, 5], np.float32), TOLERANCE, mask).verdict is Verdict.IDENTICAL
    broken = compare("y", expected, np.array([1, np.nan], np.float32), TOLERANCE, mask)
    assert (broken.failing, broken.compared) == (1, 2)
