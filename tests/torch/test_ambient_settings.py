"""Results do not depend on Torch's settings of the process: its default device and its default dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch

from golden import Case
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden
from tests.torch.mutants import run_port

CASES = load_cases("golden.ptychopinn")
MAKE_TENSORS_OF_THEIR_OWN = ("network.", "run.", "net_shift.memory_mapped", "probe.hard_mask")
"""Torch's settings say where and in which dtype these make tensors, as they do for all modules of Torch."""
OPERATIONS = sorted(
    {case.operation.name for case in CASES.values() if not case.operation.name.startswith(MAKE_TENSORS_OF_THEIR_OWN)}
)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:  # a failing test must not move the ones after it
        torch.set_default_dtype(before)


def smallest_case(operation: str, goldens: dict[str, Golden]) -> Case:
    """Return the case of an operation whose arrays have the fewest bytes."""
    names = [name for name, one in goldens.items() if one.operation == operation]
    return CASES[min(names, key=lambda name: sum(array.nbytes for array in goldens[name].inputs.values()))]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "setting", [lambda: torch.device("meta"), lambda: default_dtype(torch.float64)], ids=["device", "dtype"]
)
def test_the_same_bits(
    operation: str, setting: Callable[[], AbstractContextManager[None]], goldens: dict[str, Golden]
) -> None:
    case = smallest_case(operation, goldens)
    inputs = goldens[case.name].complete_inputs(case)
    usual = run_port(case, inputs, case.parameters)
    with setting():
        found = run_port(case, inputs, case.parameters)
    for name, array in usual.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, err_msg=name)
