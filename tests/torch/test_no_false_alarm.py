"""Every golden still passes when only rounding changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from golden.judge.judgement import judge
from golden.judge.tolerance import perturb
from golden.spec.case import Case
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden
from ptycho_torch.operators import reassembly
from tests.torch.mutants import SUBJECT

LONG = re.compile("run/|network/(?!forward_group1|gradients_group1)")
"""Slow cases, which are left out: those similar to a checked one, and trainings, whose noise is that of whole runs."""
NUMERIC = {
    name: case
    for name, case in load_cases("golden.ptychopinn").items()
    if case.topic != "defaults" and not LONG.match(name)
}
Arrays = Mapping[str, np.ndarray]
Goldens = dict[str, tuple[Golden, Arrays]]


@pytest.fixture(scope="module")
def numeric(goldens: dict[str, Golden]) -> Goldens:
    return {name: (goldens[name], goldens[name].complete_inputs(case)) for name, case in NUMERIC.items()}


def subject(case: Case) -> Callable[..., Any]:
    return SUBJECT.way(case.operation.name, "").function


def worst_share(
    numeric: Goldens,
    vary: Callable[[Arrays], Arrays] = lambda inputs: inputs,
    restore: Callable[[str, np.ndarray], np.ndarray] = lambda output, array: array,
    only: str = "",
) -> float:
    """Return the largest share of a tolerance that the port uses when its inputs are varied."""
    shares = []
    for name, (golden, inputs) in numeric.items():
        case = NUMERIC[name]
        if not case.operation.name.startswith(only):
            continue
        found = subject(case)(**vary(inputs), **case.parameters)
        found = case.operation.kept({output: restore(output, array) for output, array in found.items()})
        judgement = judge(golden, found)
        assert judgement.passed, (name, judgement.comparisons)
        shares.append(judgement.share)
    assert shares
    return max(shares)


@pytest.fixture
def denormals_flushed() -> Iterator[None]:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    yield
    torch.set_flush_denormal(False)


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads(numeric: Goldens, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert worst_share(numeric) < 0.5
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("denormals_flushed")
def test_denormals_flushed(numeric: Goldens) -> None:
    def denormal(inputs: Arrays) -> Arrays:
        """Replace zeros by the smallest number, which a flushing processor treats as 0."""
        smallest = {
            name: np.finfo(array.dtype).smallest_subnormal for name, array in inputs.items() if array.dtype.kind in "fc"
        }
        return {
            name: np.where(array == 0, smallest[name], array).astype(array.dtype) if name in smallest else array
            for name, array in inputs.items()
        }

    # That case is about exact zeros.
    others = {name: pair for name, pair in numeric.items() if name != "physics/poisson_at_zero"}
    assert worst_share(others, denormal) < 0.5


@pytest.mark.parametrize("run", range(1, 4))
def test_inputs_moved_by_one_unit_in_the_last_place(numeric: Goldens, run: int) -> None:
    # The noise floor was measured with other seeds.
    assert worst_share(numeric, lambda inputs: perturb(inputs, 1000 + run)) < 0.5


def test_patches_summed_in_another_order(numeric: Goldens, monkeypatch: pytest.MonkeyPatch) -> None:
    def reverse(inputs: Arrays) -> Arrays:
        return {
            name: array[::-1].copy() if name in ("patches", "offsets", "positions") else array
            for name, array in inputs.items()
        }

    assert worst_share(numeric, reverse, only="reassembly.") < 0.5
    monkeypatch.setattr(reassembly, "_AT_A_TIME", 1)
    assert worst_share(numeric, reverse, only="reassembly.") < 0.5


def test_the_probe_summed_in_another_order(numeric: Goldens) -> None:
    """The mask is symmetric, so a turned probe has the same norm, summed in another order."""
    even = {name: pair for name, pair in numeric.items() if "n63" not in name}

    def turn(inputs: Arrays) -> Arrays:
        return {name: array[::-1, ::-1].T.copy() for name, array in inputs.items()}

    def turn_back(output: str, array: np.ndarray) -> np.ndarray:
        return array[..., 0].T[::-1, ::-1][..., None]

    assert worst_share(even, turn, turn_back, only="probe.normalise") < 0.5


def test_members_averaged_in_another_order(numeric: Goldens) -> None:
    def reverse(inputs: Arrays) -> Arrays:
        return {"coords_nn": inputs["coords_nn"][..., ::-1].copy()}

    def back(output: str, array: np.ndarray) -> np.ndarray:
        return array[..., ::-1]

    assert worst_share(numeric, reverse, back, only="coordinates.relative") < 0.5
