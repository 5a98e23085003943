"""A golden is made only if its case catches its faults. What it keeps of them is enough to recognise them."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from golden.judge.compare import Tolerance
from golden.judge.proof import SAMPLE, Caught, prove_faults
from golden.ptychopinn.probe.cases import NORMALISE, speckled
from golden.ptychopinn.probe.formulas import mask
from golden.spec.arrays import Arrays
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.fault import Condition, Fault, Trial
from golden.spec.operation import Operation, Output

TOLERANCE = Tolerance(1e-5, 0, 1e-6, 0)


def operation(*faults: Fault) -> Operation:
    return Operation(
        "toy.field", "a field", {"x": "(20, 20) float32"}, (Output("y", "(20, 20) float32"),), faults=faults
    )


def of_output(change: Any, name: str = "wrong") -> Fault:
    return Fault.of_outputs(name, "the port is wrong; expected it right", lambda outputs: {"y": change(outputs["y"])})


def prove(*faults: Fault, where: Arrays | None = None, **changes: Any) -> dict[str, Caught]:
    case = Case("toy/field", operation(*faults), "a field", **changes)
    y = np.arange(400, dtype=np.float32).reshape(20, 20)
    return prove_faults(case, {"x": y}, {"y": y}, {"y": TOLERANCE}, where or {}, lambda i, p: {"y": i["x"]})


def test_a_fault_is_measured_in_units_of_the_tolerance() -> None:
    caught = prove(of_output(lambda y: y + np.float32(0.25)))["wrong"]
    assert caught.margin == pytest.approx(0.25 / 1e-5)
    assert caught.outputs["y"].distance == 0.25
    assert caught.clearest == "y"


def test_a_fault_that_slips_through_is_refused() -> None:
    y = of_output(lambda y: y + np.float32(1e-6) * (y < 1))
    with pytest.raises(
        GoldenError, match=r"does not catch the fault 'wrong' .* no output by more than 0\.1 of its tol"
    ):
        prove(y)


def test_a_fault_outside_the_compared_mask_is_not_seen() -> None:
    where = {"y": np.arange(400).reshape(20, 20) != 7}

    def change(y: np.ndarray) -> np.ndarray:
        return np.where(where["y"], y, y + 1).astype(np.float32)

    with pytest.raises(GoldenError, match="does not catch the fault"):
        prove(of_output(change), where=where)


def test_an_invisible_fault_must_be_invisible() -> None:
    unseen, seen = of_output(lambda y: y.copy(), "unseen"), of_output(lambda y: -y, "seen")
    caught = prove(unseen, seen, invisible={"unseen": "it changes nothing"})
    assert list(caught) == ["seen"]
    with pytest.raises(GoldenError, match=r"the fault 'seen' is declared invisible \(so they say\), but it moves"):
        prove(unseen, seen, invisible={"unseen": "it changes nothing", "seen": "so they say"})


def test_a_fault_declares_where_it_is_invisible() -> None:
    shape = Condition("it is square", lambda inputs, parameters: len(set(inputs["x"].shape)) == 1)
    scale = Condition("there is no scale", lambda inputs, parameters: parameters["scale"] is None)
    hidden = of_output(lambda y: y.copy(), "hidden").invisible_when(scale, shape)
    scaled = dataclasses.replace(operation(hidden, of_output(lambda y: -y)), parameters={"scale": int | None})
    case = Case("toy/field", scaled, "a field", {"scale": 2})
    square, wide = ({"x": np.zeros(shape, np.float32)} for shape in ((20, 20), (20, 30)))
    assert case.invisible_on(square) == {"hidden": "it is square"}
    assert case.invisible_on(wide) == {}
    assert case.definition_digest(square) != case.definition_digest(wide)
    exception = dataclasses.replace(case, parameters={"scale": None}, invisible={"wrong": "they say"})
    assert exception.invisible_on(wide) == {"hidden": "there is no scale", "wrong": "they say"}
    square_only = dataclasses.replace(hidden, invisible=(shape,))
    assert list(prove(square_only, of_output(lambda y: -y, "seen"))) == ["seen"]
    with pytest.raises(GoldenError, match=r"fault hidden: cannot tell whether it shows \(KeyError: 'x'\)"):
        case.invisible_on({})


def test_a_fault_within_the_tolerance_is_not_invisible() -> None:
    slight = of_output(lambda y: y + np.float32(3e-6) * (y < 1), "slight")
    with pytest.raises(GoldenError, match="the fault 'slight' is declared invisible"):
        prove(slight, of_output(lambda y: -y), invisible={"slight": "it is small"})


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y[:10],
        lambda y: 2 * y.astype(np.float64),
        lambda y: (2 * y).astype(int),
        lambda y: np.full_like(y, np.nan),
    ],
    ids=["shape", "precision", "kind", "nan"],
)
def test_a_fault_without_a_finite_distance_is_infinitely_far(change: Any) -> None:
    assert prove(of_output(change))["wrong"].margin == np.inf


@pytest.mark.parametrize("kind", [np.float64, int, complex])
def test_a_fault_of_the_dtype_alone_is_refused(kind: type) -> None:
    with pytest.raises(GoldenError, match=r"changes the dtype of 'y' from float32 to \w+ and hardly its values"):
        prove(of_output(lambda y: (y + np.float32(1e-6)).astype(np.float32).astype(kind)))
    with pytest.raises(GoldenError, match="gives object for 'y'; expected numbers or bytes"):
        prove(of_output(lambda y: None))


def test_a_fault_cannot_change_the_golden_in_place() -> None:
    def in_place(y: np.ndarray) -> np.ndarray:
        return np.negative(y, out=y)

    with pytest.raises(GoldenError, match=r"fault .wrong. cannot be committed .*read-only"):
        prove(of_output(in_place))


def test_a_case_without_faults_is_refused() -> None:
    with pytest.raises(GoldenError, match="catches no fault"):
        prove()
    with pytest.raises(GoldenError, match="catches no fault"):
        prove(of_output(lambda y: y.copy()), invisible={"wrong": "it changes nothing"})


def test_a_fault_that_cannot_be_committed_is_named() -> None:
    with pytest.raises(GoldenError, match=r"fault 'wrong' cannot be committed \(ZeroDivisionError"):
        prove(of_output(lambda y: 1 / 0))
    with pytest.raises(GoldenError, match=re.escape("fault 'odd' changes ['z'], which are not outputs")):
        prove(Fault.of_outputs("odd", "an output that is none", lambda outputs: {"z": outputs["y"]}))


def test_inputs_and_parameters_are_altered_for_the_reference() -> None:
    asked: list[Any] = []

    def run(inputs: Arrays, parameters: Any) -> Arrays:
        asked.append((inputs["x"].copy(), dict(parameters)))
        return {"y": inputs["x"]}

    trial = Trial({"x": np.zeros(2), "k": np.ones(1)}, {"a": 1, "b": 2}, {"y": np.zeros(2)}, run)
    Fault.of_inputs("f", "s", lambda inputs: {"x": inputs["x"] + 1}).commit(trial)
    Fault.of_parameters("f", "s", lambda parameters: {"a": 5}).commit(trial)
    np.testing.assert_array_equal(asked[0][0], [1, 1])
    assert asked[0][1] == {"a": 1, "b": 2}
    assert asked[1][1] == {"a": 5, "b": 2}


def test_the_most_wrong_elements_are_kept() -> None:
    def one_pixel(y: np.ndarray) -> np.ndarray:
        wrong = y.copy()
        wrong[11, 13] += 1
        return wrong

    wrong = prove(of_output(one_pixel))["wrong"].outputs["y"]
    assert len(wrong.values) <= SAMPLE
    assert 11 * 20 + 13 in wrong.indices
    assert wrong.values[list(wrong.indices).index(11 * 20 + 13)] == 11 * 20 + 13 + 1


def test_symmetry_hides_a_fault_and_is_refused() -> None:
    """No detector of symmetry is needed: a probe that equals its transpose cannot catch a transposed one."""
    case = Case("probe/symmetric", NORMALISE, "a symmetric probe", {"probe_scale": 4.0}, speckled(16))
    only_transposed = dataclasses.replace(
        case,
        operation=dataclasses.replace(
            NORMALISE, faults=tuple(fault for fault in NORMALISE.faults if fault.name == "transposed")
        ),
    )
    probe = case.draw_inputs(0)["probe"]

    def prove_with(probe: np.ndarray) -> dict[str, Caught]:
        outputs = {"normalised": (probe / (4 * np.abs(probe * mask(16)).mean())).astype(np.complex64)[..., None]}
        return prove_faults(only_transposed, {"probe": probe}, outputs, {"normalised": TOLERANCE}, {}, lambda i, p: {})

    assert prove_with(probe)["transposed"].margin > 1e3
    with pytest.raises(GoldenError, match="does not catch the fault 'transposed'"):
        prove_with(probe + probe.T)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fault("Sign", "s", dict), "fault name 'Sign'"),
        (lambda: Fault("sign", " ", dict), "expected a symptom"),
        (lambda: operation(Fault("a", "s", dict), Fault("a", "t", dict)), "two of its faults share a name"),
        (
            lambda: Case("toy/a", operation(Fault("a", "s", dict)), "s", invisible={"b": "r"}),
            "invisible names unknown faults: ['b']",
        ),
    ],
)
def test_declarations_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(GoldenError, match=re.escape(message)):
        make()


# ------------------------------------------------------------------------------------------------ outputs in order


def _in_order(*faults: Fault) -> dict[str, Caught]:
    """Prove faults of a chain: y = x, z = y + 1, and w = z * 2, of which a golden keeps the first row."""
    outputs = (
        Output("y", "at the start; (20, 20) float32"),
        Output("z", "after one; (20, 20) float32"),
        Output("w", "at the end; (20, 20) float32", keep=lambda array: array[0]),
    )
    chain = Operation("toy.chain", "a chain", {"x": "(20, 20) float32"}, outputs, faults=faults, in_order=True)
    y = np.arange(400, dtype=np.float32).reshape(20, 20)
    whole = {"y": y, "z": y + 1, "w": 2 * (y + 1)}
    tolerances = dict.fromkeys(whole, TOLERANCE)
    return prove_faults(Case("toy/chain", chain, "a chain"), {"x": y}, whole, tolerances, {}, lambda i, p: whole)


def test_of_outputs_in_order_a_fault_is_kept_for_the_first() -> None:
    caught = _in_order(
        Fault.of_outputs("late", "two; expected one", lambda o: {"z": o["z"] + 1, "w": o["w"] + 2}),
        Fault.of_outputs("turned", "upside down; expected upright", lambda o: {"w": o["w"][::-1]}),
    )
    assert list(caught["late"].outputs) == ["z"]
    assert list(caught["turned"].outputs) == ["w"]
    assert caught["turned"].outputs["w"].shape == (20,), "faults get whole outputs; only the kept part is compared"


def test_a_fault_outside_what_is_kept_is_not_caught() -> None:
    with pytest.raises(GoldenError, match="does not catch the fault 'below'"):
        _in_order(
            Fault.of_outputs("below", "wrong; expected right", lambda o: {"w": np.vstack([o["w"][:1], 0 * o["w"][1:]])})
        )
