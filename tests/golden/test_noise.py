"""The noise floor is above every measured error and never below rounding; vacuous cases are refused."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from golden.generator.freeze import _reruns
from golden.judge import tolerance as noise
from golden.judge.compare import EXACT
from golden.review.margins import MOST_DIFFERING, proof_moved
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.operation import ENVELOPE_HEADROOM, HEADROOM, MOST_UNSTEADY, UNSTEADY
from tests.golden.standin import CASES, make_golden

DOUBLE = CASES[0]
Y, ROWS = DOUBLE.operation.outputs


@pytest.mark.parametrize("seed", range(20))
def test_line_lies_above_every_error(seed: int) -> None:
    rng = np.random.RandomState(seed)
    absolute, relative = rng.rand(2)
    magnitude = rng.exponential(size=500)
    error = rng.rand(500) * (absolute + relative * magnitude) * 1e-6
    a, r = noise.tightest_line(magnitude, error)
    assert a >= 0
    assert r >= 0
    assert (error <= (a + r * magnitude) * (1 + 1e-12)).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weight", [0, 1], ids=["absolute", "relative"])
@pytest.mark.parametrize(("least", "spread"), [(0, 1), (1, 1), (10, 0.1), (1, 0)])
def test_no_line_above_every_error_is_lower_on_average(seed: int, weight: int, least: float, spread: float) -> None:
    """SciPy's solver finds the lowest line. With so few points, each is in its own box."""
    rng = np.random.RandomState(seed)
    magnitude = least + spread * rng.exponential(size=60)
    error = rng.rand(60) * magnitude**weight * 1e-6
    a, r = noise.tightest_line(magnitude, error)
    assert min(a, r) >= 0
    assert (error <= (a + r * magnitude) * (1 + 1e-12)).all()
    above = -np.column_stack([np.ones(60), magnitude])
    lowest = linprog([1, magnitude.mean()], A_ub=above, b_ub=-error / error.max()).fun * error.max()
    assert a + r * magnitude.mean() <= lowest * (1 + 1e-6)


def test_line_separates_absolute_from_relative_noise() -> None:
    magnitude = np.geomspace(1e-6, 1, 2000)
    a, r = noise.tightest_line(magnitude, 1e-7 * magnitude)
    assert a < 1e-8
    assert r == pytest.approx(1e-7, rel=0.2)
    a, r = noise.tightest_line(magnitude, np.full(2000, 1e-7))
    assert a == pytest.approx(1e-7, rel=1e-3)
    assert r < 1e-9


def test_perturbation_is_one_unit_in_the_last_place() -> None:
    x = np.array([1.5, -2.0, 0.0, 1e-3], np.float32)
    moved = noise.perturb({"x": x, "n": np.arange(3)}, run=1)
    steps = np.abs((moved["x"].astype(np.float64) - x) / np.spacing(np.abs(x)))
    np.testing.assert_array_equal(steps, [1, 1, 0, 1])
    np.testing.assert_array_equal(moved["n"], np.arange(3))
    z = noise.perturb({"z": np.array([1 + 1j], np.complex64)}, run=2)["z"]
    assert z.dtype == np.complex64
    assert z.real != 1
    assert z.imag != 1


def test_floor_is_the_worst_variant_and_never_below_rounding() -> None:
    inputs = DOUBLE.draw_inputs(0)
    frozen = np.arange(1, 21, dtype=np.complex64).reshape(4, 5)
    exact, contributions = noise.measure(DOUBLE, Y, inputs, frozen, {"float64": frozen.astype(complex)}, None)
    eps = np.finfo(np.float32).eps
    assert exact.noise_atol == pytest.approx(noise.K * eps * 20)
    assert exact.noise_rtol == 0
    assert exact.atol == pytest.approx(HEADROOM * exact.noise_atol)
    assert contributions == {"float64": 0.0}

    variants = {"small": frozen + 1e-5, "large": frozen + 1e-3}
    noisy, contributions = noise.measure(DOUBLE, Y, inputs, frozen, variants, None)
    assert noisy.noise_atol == pytest.approx(1e-3, rel=0.01)
    assert contributions["large"] == pytest.approx(1e-3 / 20, rel=0.01)


def test_noise_outside_the_mask_does_not_count() -> None:
    frozen = np.arange(20, dtype=np.complex64).reshape(4, 5)
    variant = frozen.copy()
    variant[0] += 1
    where = np.ones((4, 5), bool)
    where[0] = False
    tolerance, _ = noise.measure(DOUBLE, Y, DOUBLE.draw_inputs(0), frozen, {"float64": variant}, where)
    assert tolerance.noise_atol < 1e-5


def test_a_size_that_rounding_decides_is_refused() -> None:
    frozen = np.ones((4, 5), np.complex64)
    with pytest.raises(GoldenError, match=r"toy/double.*'y' has shape \(4, 5\), but \(6, 5\) in the run '1 ULP"):
        noise.measure(DOUBLE, Y, {}, frozen, {"1 ULP, run 1": np.ones((6, 5), np.complex64)}, None)


def test_an_exact_output_that_rounding_decides_is_refused() -> None:
    frozen = np.array(4)
    assert noise.measure(DOUBLE, ROWS, {}, frozen, {"float64": np.array(4)}, None) == (EXACT, {})
    with pytest.raises(GoldenError, match="'rows' is exact"):
        noise.measure(DOUBLE, ROWS, {}, frozen, {"float64": np.array(5)}, None)


def test_noise_that_swallows_the_output_is_refused() -> None:
    """A reference that does not repeat itself would make a golden that passes anything."""
    frozen = np.arange(20, dtype=np.complex64).reshape(4, 5)
    with pytest.raises(GoldenError, match=r"'y': the tolerance .* is more than 1% of the spread"):
        noise.measure(DOUBLE, Y, DOUBLE.draw_inputs(0), frozen, {"again": frozen[::-1]}, None)
    with pytest.raises(GoldenError, match="'y' is not finite in the run 'float64'"):
        noise.measure(DOUBLE, Y, DOUBLE.draw_inputs(0), frozen, {"float64": frozen * np.nan}, None)


def test_an_envelope_gives_three_times_the_noise_and_at_most_half_the_spread() -> None:
    frozen, inputs = np.arange(20, dtype=np.complex64).reshape(4, 5), DOUBLE.draw_inputs(0)
    envelope = replace(Y, envelope=True)
    tolerance, _ = noise.measure(DOUBLE, envelope, inputs, frozen, {"1 thread": frozen + 1.5}, None)
    assert tolerance.noise_atol == pytest.approx(1.5, rel=0.01)
    assert tolerance.atol == pytest.approx(ENVELOPE_HEADROOM * tolerance.noise_atol)
    with pytest.raises(GoldenError, match=r"'y': the tolerance .* is more than 50% of the spread"):
        noise.measure(DOUBLE, envelope, inputs, frozen, {"1 thread": frozen + 2}, None)


def test_an_envelope_is_part_of_the_definition() -> None:
    operation = replace(DOUBLE.operation, outputs=(replace(Y, envelope=True), ROWS))
    once = replace(DOUBLE.operation, only_perturbed=2)
    cases = (DOUBLE, replace(DOUBLE, operation=operation), replace(DOUBLE, operation=once))
    assert len({case.definition_digest(DOUBLE.draw_inputs(0)) for case in cases}) == 3


class Answering:
    """A reference that doubles its input, and records its calls."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def evaluate(self, operation: Any, inputs: Any, parameters: Any, precision: str = "float32") -> Any:
        self.asked.append(precision)
        return {"y": 2 * inputs["x"], "rows": np.array(len(inputs["x"]))}


def test_a_slow_operation_is_repeated_only_a_few_times() -> None:
    case = replace(DOUBLE, operation=replace(DOUBLE.operation, only_perturbed=2))
    asked, inputs = Answering(), case.draw_inputs(0)
    found = _reruns(case, inputs, asked, {"1 thread": asked})  # type: ignore[arg-type]
    assert list(found) == ["1 ULP, run 1", "1 ULP, run 2"]
    assert (found["1 ULP, run 1"]["y"] != 2 * inputs["x"]).any()
    assert (found["1 ULP, run 1"]["y"] != found["1 ULP, run 2"]["y"]).any()
    assert asked.asked == ["float32", "float32"]


def test_scalars_are_perturbed_too() -> None:
    moved = noise.perturb({"a": np.array(2.0, np.float32), "z": np.array(1 + 1j, np.complex64)}, run=1)
    assert moved["a"].shape == ()
    assert moved["a"] != 2
    assert moved["z"].dtype == np.complex64


TEXTURE = np.arange(20, dtype=np.complex64).reshape(4, 5)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((4, 5), np.complex64), "'y' is zero"),
        (np.ones((4, 5), np.complex64), "'y' is constant"),
        (np.ones((0, 5), np.complex64), "'y' is empty"),
        (np.where(TEXTURE == 3, np.nan, TEXTURE), "'y' is not finite"),
    ],
)
def test_vacuous_outputs_are_refused(y: np.ndarray, message: str) -> None:
    with pytest.raises(GoldenError, match=re.escape(f"case toy/double: output {message}")):
        noise.require_not_vacuous(DOUBLE, {"y": y, "rows": np.array(4)}, {})


def test_an_output_that_varies_only_outside_its_mask_is_refused() -> None:
    with pytest.raises(GoldenError, match="'y' is constant"):
        noise.require_not_vacuous(DOUBLE, {"y": TEXTURE, "rows": np.array(4)}, {"y": TEXTURE == 7})


def test_declared_constants_are_checked() -> None:
    noise.require_not_vacuous(DOUBLE, {"y": TEXTURE, "rows": np.array(4)}, {})
    with pytest.raises(GoldenError, match="'rows' is declared constant, but it is not"):
        noise.require_not_vacuous(DOUBLE, {"y": TEXTURE, "rows": np.arange(4)}, {})
    blind = Case("toy/blind", DOUBLE.operation, "", DOUBLE.parameters, DOUBLE.draw, {"y": "why", "rows": "why"})
    with pytest.raises(GoldenError, match="every output is constant"):
        noise.require_not_vacuous(blind, {"y": np.ones((4, 5), np.complex64), "rows": np.array(4)}, {})


def test_the_largest_difference_of_every_element() -> None:
    outputs = {"y": np.array([1.0, 2.0], np.float32), "n": np.array([1])}
    variants = [
        {"y": np.array([1.5, 2.0], np.float32), "n": np.array([1])},
        {"y": np.array([0.75, 2.25], np.float32), "n": np.array([2])},
    ]
    found = noise.largest_differences(outputs, variants)
    assert set(found) == {"y"}
    np.testing.assert_array_equal(found["y"], [0.5, 0.25])


RAMP = CASES[2]
Z = np.arange(1, 1001, dtype=np.float32)


def _unsteady(*jumping: int, by: float = 1.0, where: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Return the masks if all elements of a ramp move by 1e-3, and these elements move further."""
    moved = np.full(1000, 1e-3)
    moved[list(jumping)] = by
    return noise.without_kinks(RAMP, {}, {"z": Z}, {"z": moved}, where or {})


def test_elements_at_a_kink_are_masked() -> None:
    masks = _unsteady(3, 700)
    assert np.flatnonzero(~masks["z"]).tolist() == [3, 700]
    assert _unsteady() == {}, "nothing is masked if all elements move alike"
    assert _unsteady(3, by=0.99 * UNSTEADY * 1e-3) == {}, "noise is not a kink"
    assert _unsteady(3, by=1.01 * UNSTEADY * 1e-3) != {}


def test_an_element_that_moves_within_rounding_is_steady() -> None:
    """This holds even if no other element moves, as in Adam's first steps."""
    moved = np.zeros(1000)
    moved[7] = 1e-4
    assert noise.without_kinks(RAMP, {}, {"z": Z}, {"z": moved}, {}) == {}
    moved[7] = 1.0
    assert np.flatnonzero(~noise.without_kinks(RAMP, {}, {"z": Z}, {"z": moved}, {})["z"]).tolist() == [7]


def test_a_mask_that_the_operation_declares_is_kept() -> None:
    declared = np.arange(1000) >= 5
    assert np.flatnonzero(~_unsteady(700, where={"z": declared})["z"]).tolist() == [0, 1, 2, 3, 4, 700]
    assert _unsteady(3, where={"z": declared})["z"] is declared


def test_masks_are_bounded() -> None:
    most = int(MOST_UNSTEADY * 1000)
    assert np.count_nonzero(~_unsteady(*range(most))["z"]) == most
    with pytest.raises(GoldenError, match=r"toy/ramp: output 'z': 5.1% of its elements jump .* more than the 5%"):
        _unsteady(*range(most + 1))


def test_whole_runs_have_no_kinks() -> None:
    envelope = replace(RAMP, operation=replace(RAMP.operation, outputs=(replace(Y, name="z", envelope=True),)))
    moved = np.where(Z == 3, 1.0, 1e-3)
    assert noise.without_kinks(envelope, {}, {"z": Z}, {"z": moved}, {}) == {}


def test_where_kernels_matter_is_part_of_the_definition() -> None:
    matters = replace(DOUBLE, operation=replace(DOUBLE.operation, kernels_matter=True))
    inputs = DOUBLE.draw_inputs(0)
    assert matters.definition_digest(inputs) != DOUBLE.definition_digest(inputs)


def test_a_proof_may_mask_a_few_other_elements() -> None:
    """Masks come from noise, which differs between machines."""
    golden = make_golden(RAMP)

    def masking(count: int) -> str:
        return proof_moved(golden, replace(golden, where={"z": np.arange(1000) >= count}))

    most = int(MOST_DIFFERING * 1000)
    assert masking(0) == masking(most) == ""
    assert "the mask of 'z' changed for " in masking(most + 1)
