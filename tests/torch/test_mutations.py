"""The suite is tested itself: a port that commits a declared fault fails it, and is told which fault it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from docs.fault_table import read_table
from golden import pytest_plugin
from golden.spec.case import Case, Fault
from golden.spec.catalogue import load_cases
from ptycho_torch.operators.coordinates import relative_coordinates
from tests.torch import layouts
from tests.torch.mutants import BY_TRIAL, MUTANTS, committed, replaced, run_port

CASES = load_cases()
OPERATIONS = {case.operation.name: case.operation for case in CASES.values()}
FAULTS = [(operation.name, fault) for operation in OPERATIONS.values() for fault in operation.faults]
HOW = {(operation, fault): how for operation, fault, _, how in read_table()}
Opened = Callable[[Case], tuple[pytest_plugin.GoldenCase, dict[str, np.ndarray]]]


def cases_that_see(operation: str, fault: Fault) -> list[Case]:
    return [
        case
        for case in CASES.values()
        if case.operation.name == operation and fault.name in case.visible and not case.slow
    ]


@pytest.fixture(scope="module")
def opened(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Open a case as the suite's ``golden`` fixture does, without pictures or reports; with it, the port's outputs."""
    run = pytestconfig.pluginmanager.get_plugin("golden-run")
    assert isinstance(run, pytest_plugin.GoldenRun)
    request: Any = SimpleNamespace(config=pytestconfig)

    @cache
    def by_name(name: str) -> tuple[pytest_plugin.GoldenCase, dict[str, np.ndarray]]:
        golden = run.open(name, tmp_path_factory.mktemp("mutant"), request, lambda check: None)
        return golden, run_port(CASES[name], golden.inputs, golden.parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytest_plugin, "_draw", lambda *arguments: False)
        yield lambda case: by_name(case.name)


def _marked(operation: str, fault: Fault) -> Any:
    """Those that train a network are left out with the tests that do."""
    marks = [pytest.mark.integration] if operation.startswith("run.") else []
    return pytest.param(operation, fault, marks=marks, id=f"{operation}-{fault.name}")


@pytest.mark.parametrize(("operation", "fault"), [_marked(*pair) for pair in FAULTS])
def test_a_port_that_commits_a_fault_fails_and_is_told_which(
    operation: str, fault: Fault, opened: Opened, pytestconfig: pytest.Config
) -> None:
    every = pytestconfig.getoption("--all-mutations")
    if operation.startswith("run."):
        pytest.importorskip("lightning")
        if not every and (operation == "run.training" or (operation, fault.name) in MUTANTS):
            pytest.skip("it trains a network: --all-mutations")
    cases = cases_that_see(operation, fault)
    for case in cases if every else cases[-1:]:
        golden, right = opened(case)
        wrong, how = committed(case, fault, golden.inputs, right)
        try:
            golden.check(wrong)
        except AssertionError as failure:
            told = [line for line in str(failure).splitlines() if line.startswith("  diagnosis")]
        else:
            pytest.fail(f"{case.name}: passes a port that commits {fault.name!r} by {how}")
        assert told, case.name
        for line in told:
            assert f"'{fault.name}'" in line, f"{case.name}: {line}"
        assert HOW.get((operation, fault.name), how) == how, "write it down again: python -m docs.fault_table"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_port_itself_commits_a_fault_of_every_operation(operation: str, opened: Opened) -> None:
    """Changed outputs show that a golden can fail; a port that computes something wrong shows that its test can."""
    if not any(mutated == operation for mutated, _ in MUTANTS):
        golden, right = opened(next(case for case in CASES.values() if case.operation.name == operation))
        hows = (committed(CASES[golden.name], fault, golden.inputs, right)[1] for fault in OPERATIONS[operation].faults)
        assert BY_TRIAL in hows


def test_wrong_functions_commit_faults_that_are_declared() -> None:
    assert MUTANTS.keys() <= {(operation, fault.name) for operation, fault in FAULTS}


def test_afterwards_the_port_is_right_again(opened: Opened) -> None:
    case = CASES["merge/group4"]
    golden, right = opened(case)
    for fault in case.operation.faults:
        committed(case, fault, golden.inputs, right)
    golden.check(run_port(case, golden.inputs, golden.parameters))


def test_two_mistakes_in_one_function_are_both_made() -> None:
    coords = torch.tensor([[[[0.0, 4.0], [0.0, 2.0]]]])
    offsets, relative = relative_coordinates(coords)
    with replaced(*MUTANTS["net_shift.container", "record_sign_and_offsets_sign"]):
        found = layouts.relative_coordinates(coords)
    assert torch.equal(found[0], -offsets)
    assert torch.equal(found[1], -relative)
    assert layouts.relative_coordinates is relative_coordinates
