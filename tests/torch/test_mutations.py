"""Test the suite itself: a port that commits a declared fault fails, and the diagnosis names the fault."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

from docs.fault_table import read_table
from golden import Case, Fault
from golden.judge.judgement import judge
from golden.spec.arrays import Arrays
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden
from ptycho_torch.operators.coordinates import relative_coordinates
from tests.torch.mutants import BY_TRIAL, MUTANTS, committed, replaced, run_port
from tests.torch.subject import coordinates as of_subject

CASES = load_cases("golden.ptychopinn")
OPERATIONS = {case.operation.name: case.operation for case in CASES.values()}
FAULTS = [(operation.name, fault) for operation in OPERATIONS.values() for fault in operation.faults]
HOW = {(operation, fault): how for operation, fault, _, how in read_table()}
Right = Callable[[Case], tuple[Arrays, Arrays]]


@pytest.fixture(scope="module")
def right(goldens: dict[str, Golden]) -> Right:
    """Return a function that gives a case's inputs, and the outputs of the unchanged port."""

    @cache
    def of_case(name: str) -> tuple[Arrays, Arrays]:
        inputs = goldens[name].complete_inputs(CASES[name])
        return inputs, run_port(CASES[name], inputs, CASES[name].parameters)

    return lambda case: of_case(case.name)


def cases_that_catch(operation: str, fault: Fault, goldens: dict[str, Golden]) -> list[Case]:
    return [CASES[name] for name, one in goldens.items() if one.operation == operation and fault.name in one.faults]


def marked(operation: str, fault: Fault) -> Any:
    """Mark the faults whose test trains a network as integration tests."""
    marks = [pytest.mark.integration] if operation.startswith("run.") else []
    return pytest.param(operation, fault, marks=marks, id=f"{operation}-{fault.name}")


@pytest.mark.parametrize(("operation", "fault"), [marked(*pair) for pair in FAULTS])
def test_a_port_that_commits_a_fault_fails_and_the_diagnosis_names_it(
    operation: str, fault: Fault, right: Right, goldens: dict[str, Golden], pytestconfig: pytest.Config
) -> None:
    """Run on one case that catches the fault; on all of them with ``--all-mutations``."""
    every = pytestconfig.getoption("--all-mutations")
    if operation.startswith("run."):
        pytest.importorskip("lightning")
        if not every:
            pytest.skip("trains a network; run it with --all-mutations")
    cases = cases_that_catch(operation, fault, goldens)
    for case in cases if every else cases[-1:]:
        wrong, how = committed(case, fault, *right(case))
        judgement = judge(goldens[case.name], case.operation.kept(wrong), case.operation.path)
        assert not judgement.passed, f"{case.name}: passes a port that commits {fault.name!r} by {how}"
        for cause in judgement.causes:
            assert fault.name in cause.faults, f"{case.name}: {cause.sentence}"
        assert HOW.get((operation, fault.name), how) == how, "outdated table; run python -m docs.fault_table"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_port_itself_commits_a_fault_of_every_operation(
    operation: str, right: Right, goldens: dict[str, Golden]
) -> None:
    """Changed outputs show that a golden can fail. Only a port with a mistake shows that the port's test can fail."""
    if not any(mutated == operation for mutated, _ in MUTANTS):
        faults = OPERATIONS[operation].faults
        cases = (cases_that_catch(operation, fault, goldens)[0] for fault in faults)
        assert BY_TRIAL in (committed(case, fault, *right(case))[1] for case, fault in zip(cases, faults))


def test_wrong_functions_commit_faults_that_are_declared() -> None:
    assert MUTANTS.keys() <= {(operation, fault.name) for operation, fault in FAULTS}


def test_afterwards_the_port_is_right_again(right: Right, goldens: dict[str, Golden]) -> None:
    case = CASES["merge/group4_n16"]
    inputs, outputs = right(case)
    for fault in case.operation.faults:
        committed(case, fault, inputs, outputs)
    assert judge(goldens[case.name], run_port(case, inputs, case.parameters)).passed


def test_two_mistakes_in_one_function_are_both_made() -> None:
    coords = torch.tensor([[[[0.0, 4.0], [0.0, 2.0]]]])
    offsets, relative = relative_coordinates(coords)
    with replaced(*MUTANTS["net_shift.container", "record_sign_and_offsets_sign"]):
        found = of_subject.relative_coordinates(coords)
    assert torch.equal(found[0], -offsets)
    assert torch.equal(found[1], -relative)
    assert of_subject.relative_coordinates is relative_coordinates
