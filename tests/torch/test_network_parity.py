"""Goldens of the network: a failure names the block, and training steps are compared where gradients are not noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from golden.judge.judgement import judge
from golden.ptychopinn.network.formulas import Structure, entries, split_entries
from golden.report.text import explain_failed
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden
from tests.torch.subject.network import network_forward

CASES = load_cases("golden.ptychopinn")


def test_a_wrong_layer_is_reported_as_the_block_where_it_shows(goldens: dict[str, Golden]) -> None:
    """The mistake is not a declared fault."""
    case, golden = CASES["network/forward_group1"], goldens["network/forward_group1"]
    inputs = golden.complete_inputs(case)
    weights = inputs["weights"].copy()
    shapes = Structure.of(64, 1, case.parameters).shapes()
    before = list(shapes)[: list(shapes).index("encoder_2a_bias")]
    weights[sum(math.prod(shapes[name]) for name in before)] += 1
    found = case.operation.kept(network_forward(**inputs | {"weights": weights}, **case.parameters))
    judgement = judge(golden, found, case.operation.path)
    assert {one.output for one in judgement.comparisons if one.passed} == {"encoder_1"}
    (cause,) = judgement.causes
    assert cause.outputs == ("encoder_2",)
    assert cause.sentence.startswith("first differs after encoder block 2: ")
    lines = explain_failed(case.name, judgement.failed, case.operation.path)
    assert lines[0].startswith("golden network/forward_group1: output 'encoder_2' breaking")
    assert lines[-1].startswith("  later outputs, computed from it, fail too: encoder_3, amplitude_up_1, ")
    assert lines[-1].endswith(f" and {len(judgement.failed) - 9} more")


@pytest.mark.parametrize(("name", "covered"), [("network/training_group1", 0.85), ("network/training_group4", 0.78)])
def test_steps_are_compared_where_gradients_are_more_than_noise(
    name: str, covered: float, goldens: dict[str, Golden]
) -> None:
    """docs/conventions.md, "Training", says why some entries of the arrays are left out."""
    golden = goldens[name]
    structure = Structure.of(64, golden.parameters["members"], golden.parameters)
    counts, least = (
        split_entries(one, structure) for one in (golden.where["step_5"], golden.outputs["least_gradient"])
    )
    shares = {array: counts[array][least[array] > 0].mean() for array in counts}
    assert len(shares) == 44
    everything = golden.outputs["least_gradient"] > 0
    assert golden.where["step_5"][everything].mean() > covered
    assert np.median(list(shares.values())) > 0.8
    assert min(shares.values()) > 0.45


def test_an_entry_is_steady_where_its_gradient_is_more_than_noise() -> None:
    case = CASES["network/training_group1"]
    count = sum(at.size for at in entries(Structure.of(64, 1, case.parameters)).values())
    outputs = {output.name: np.ones(count) for output in case.operation.outputs}
    moved = {name: np.full(count, 1e-4) for name in outputs}
    outputs["least_gradient"][:2] = 0.0, 0.05
    moved["step_5"][5] = 1 / 100
    moved["least_gradient"][6] = 0.01
    steady = case.operation.output("step_1").steady
    assert steady is not None
    assert np.flatnonzero(~steady(outputs, moved)).tolist() == [0, 1, 5, 6]
    moved["least_gradient"][:] = 0
    assert np.flatnonzero(~steady(outputs, moved)).tolist() == [5], "an entry without gradient does not move"
