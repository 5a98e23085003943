"""The suite is tested itself: a port that commits a declared fault fails it, and is told which fault it was."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

import tests.torch
from golden import pytest_plugin
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden
from tests.torch.mutants import MUTANTS, REFUSED, Mutant, committed

CASES = load_cases("golden.ptychopinn")
ParityTest = Callable[[Any], None]
OpenGolden = Callable[[str], pytest_plugin.GoldenCase]


def _parity_tests() -> dict[str, ParityTest]:
    """Operation -> the test that the suite runs for it."""
    tests_found = {}
    for info in pkgutil.iter_modules(tests.torch.__path__):
        try:
            module = importlib.import_module(f"tests.torch.{info.name}")
        except pytest.skip.Exception:  # what it needs is not installed
            continue
        for function in vars(module).values():
            for mark in getattr(function, "pytestmark", []):
                tests_found |= {operation: function for operation in mark.args if mark.name == "golden"}
    return tests_found


PARITY_TESTS = _parity_tests()


def cases_that_see(mutant: Mutant, goldens: dict[str, Golden], config: pytest.Config) -> list[str]:
    """Return one case that catches the mutant's fault; with ``--all-mutations``, which takes half a minute, all."""
    names = [
        name
        for name, golden in goldens.items()
        if golden.operation == mutant.operation and mutant.fault in golden.faults
    ]
    return names if config.getoption("--all-mutations") else names[-1:]


@pytest.fixture(scope="module")
def open_golden(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenGolden]:
    """The suite's own ``golden`` fixture, without its pages, which reports to nobody."""
    run = pytestconfig.pluginmanager.get_plugin("golden-run")
    assert isinstance(run, pytest_plugin.GoldenRun)
    request: Any = SimpleNamespace(config=pytestconfig)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytest_plugin, "_write_page", lambda *arguments: False)
        yield cache(lambda name: run.open(name, tmp_path_factory.mktemp("mutant"), request, lambda check: None))


def _marked(mutant: Mutant) -> Any:
    """Those that train a network are left out with the tests that do."""
    return pytest.param(mutant, marks=[pytest.mark.integration] if mutant.operation.startswith("run.") else [])


@pytest.mark.parametrize("mutant", [_marked(mutant) for mutant in MUTANTS], ids=str)
def test_a_port_that_commits_a_fault_fails_and_is_told_which(
    mutant: Mutant, open_golden: OpenGolden, goldens: dict[str, Golden], pytestconfig: pytest.Config
) -> None:
    if mutant.operation.startswith("run."):
        pytest.importorskip("lightning")
    if mutant.operation == "run.training" and not pytestconfig.getoption("--all-mutations"):
        pytest.skip("each trains a network: --all-mutations")
    for name in cases_that_see(mutant, goldens, pytestconfig):
        golden = open_golden(name)
        with committed(mutant), pytest.raises(AssertionError) as failure:
            PARITY_TESTS[mutant.operation](golden)
        told = [line for line in str(failure.value).splitlines() if line.startswith("  diagnosis")]
        assert told, name
        for line in told:
            assert f"'{mutant.fault}'" in line, f"{name}: {line}"


@pytest.mark.parametrize("mutant", REFUSED, ids=str)
def test_some_faults_the_port_refuses_itself(mutant: Mutant, open_golden: OpenGolden) -> None:
    (name,) = (case.name for case in CASES.values() if case.operation.name == mutant.operation)
    golden = open_golden(name)
    with committed(mutant), pytest.raises((ValueError, TypeError)):
        PARITY_TESTS[mutant.operation](golden)


def test_every_declared_fault_has_a_port_that_commits_it() -> None:
    declared = {(case.operation.name, fault.name) for case in CASES.values() for fault in case.operation.faults}
    mutated = [(mutant.operation, mutant.fault) for mutant in (*MUTANTS, *REFUSED)]
    assert sorted(mutated) == sorted(declared)


def test_afterwards_the_port_is_right_again(open_golden: OpenGolden) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.fault == "offset_sign")
    golden = open_golden("reassembly/m20_subpixel")
    with committed(mutant), pytest.raises(AssertionError):
        PARITY_TESTS[mutant.operation](golden)
    PARITY_TESTS[mutant.operation](golden)
