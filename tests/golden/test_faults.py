"""The faults of this repository are many, far beyond the tolerance, and made from correct formulas."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from golden.judge.judgement import judge
from golden.review.margins import margins
from golden.spec.arrays import Arrays
from golden.spec.catalogue import load_cases
from golden.spec.fault import Fault, Trial
from golden.spec.parameters import Parameters
from golden.store.golden import Golden

CASES = load_cases("golden.ptychopinn")


def test_every_case_catches_faults_by_a_hundred_tolerances(goldens: dict[str, Golden]) -> None:
    """There are two exceptions.

    * Twenty where trajectories part: a loss after two steps has a thousand times the noise of a sum.
    * Fifteen for the norm with a smoothed mask: a wide and even probe has nearly the same norm.
    """
    for name, golden in goldens.items():
        parting = any(output.envelope for output in CASES[name].operation.outputs)
        for margin in margins(golden):
            least = 20 if parting else 15 if margin.fault == "norm_with_soft_mask" else 100
            assert margin.margin >= least, margin


def test_the_catalogue_is_covered(goldens: dict[str, Golden]) -> None:
    names = {name for golden in goldens.values() for name in golden.faults}
    assert len(names) >= 30
    declared = {fault.name for case in CASES.values() for fault in case.operation.faults}
    assert names == declared


def test_reasons_why_faults_do_not_show_are_the_stored_ones(goldens: dict[str, Golden]) -> None:
    """The digest of a definition covers which faults have a reason, but not the reason's text."""
    for name, golden in goldens.items():
        assert CASES[name].invisible_on(golden.complete_inputs(CASES[name])) == golden.invisible, name


def test_a_case_repeats_no_reason_that_a_fault_gives_itself(goldens: dict[str, Golden]) -> None:
    for name, golden in goldens.items():
        case = CASES[name]
        alone = dataclasses.replace(case, invisible={}).invisible_on(golden.complete_inputs(case))
        assert not alone.keys() & case.invisible.keys(), name


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.operation.formula and not case.slow])
def test_formulas_agree_with_the_goldens(name: str, goldens: dict[str, Golden]) -> None:
    """Otherwise a fault could be caught because of a mistake in the formula."""
    golden, case = goldens[name], CASES[name]
    found = case.operation.formula(**golden.complete_inputs(case), **case.parameters)
    judgement = judge(golden, case.operation.kept(found))
    assert judgement.passed, judgement.comparisons


def test_an_operation_has_the_formula_of_its_topic() -> None:
    for operation in {case.operation.name: case.operation for case in CASES.values()}.values():
        topic, _, function = operation.name.partition(".")
        module = f"golden.ptychopinn.{topic}.formulas"
        formulas = importlib.import_module(module) if importlib.util.find_spec(module) else None
        assert operation.formula is getattr(formulas, function, None), operation.name


class _Asked(Exception):  # noqa: N818
    """The reference was called."""


class _Watched(Mapping[str, Any]):
    """Values by name, which record whether any was read. With ``asks``, reading one counts as calling the reference."""

    def __init__(self, values: Mapping[str, Any], *, asks: bool = False) -> None:
        self._values, self._asks, self.read = values, asks, False

    def __getitem__(self, name: str) -> Any:
        self.read = True
        if self._asks:
            raise _Asked
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.operation.formula and not case.slow])
def test_without_a_formula_every_fault_calls_the_reference(name: str, goldens: dict[str, Golden]) -> None:
    """A fault that computes outputs from inputs or parameters alone restates the operation, and nothing checks it."""
    golden, case = goldens[name], CASES[name]
    complete = golden.complete_inputs(case)
    for fault in case.operation.faults:
        assert _asks(fault, complete, case.parameters, golden.outputs), fault.name


def _asks(fault: Fault, inputs: Arrays, parameters: Parameters, outputs: Arrays) -> bool:
    """Return whether a fault calls the reference, or gives outputs that depend on no input."""

    def run(inputs: Arrays, parameters: Parameters) -> Arrays:
        raise _Asked

    given = _Watched(inputs), _Watched(parameters)
    try:
        found = fault.commit(Trial(*given, _Watched(outputs, asks=True), run))
    except _Asked:
        return True
    return not found or not any(one.read for one in given)


def test_a_fault_without_the_reference_is_noticed() -> None:
    x, parameters, y = {"x": np.ones(3)}, {"factor": 2.0}, {"y": np.full(3, 2.0)}
    assert _asks(Fault.of_outputs("halved", "…", lambda outputs: {"y": outputs["y"] / 2}), x, parameters, y)
    assert _asks(Fault.of_parameters("doubled", "…", lambda parameters: {"factor": 4.0}), x, parameters, y)
    assert _asks(Fault("zero", "…", lambda t: {"y": np.zeros(3)}), x, parameters, y)
    assert not _asks(
        Fault("squared", "…", lambda t: {"y": t.inputs["x"] * t.parameters["factor"] ** 2}), x, parameters, y
    )
    assert not _asks(Fault.of_formula("halved", "…", lambda x, factor: {"y": x * factor / 2}), x, parameters, y)


def test_faults_of_numbers_are_caught_by_their_values(goldens: dict[str, Golden]) -> None:
    """A wrong output of the right shape in another dtype would be caught with any values, and so prove nothing."""
    by_dtype = {
        f"{golden.operation}: {fault}"
        for golden in goldens.values()
        for fault, caught in golden.faults.items()
        for name, wrong in caught.outputs.items()
        if golden.outputs[name].dtype.kind != "S"  # texts have no dtype of their own
        and wrong.shape == golden.outputs[name].shape
        and wrong.dtype != golden.outputs[name].dtype
    }
    assert by_dtype == {"probe.hard_mask: soft"}, "a soft mask cannot be boolean"
