"""The network: every block, every gradient, and training steps."""

from __future__ import annotations

import numpy as np
import pytest

from golden.cases.network import Structure, split_entries
from golden.pytest_plugin import GoldenCase
from golden.store import Golden
from tests.torch import layouts


@pytest.mark.golden("network.forward")
def test_forward(golden: GoldenCase) -> None:
    golden.check(layouts.network_forward(**golden.inputs, **golden.parameters))


@pytest.mark.golden("network.gradients")
def test_gradients(golden: GoldenCase) -> None:
    golden.check(layouts.network_gradients(**golden.inputs, **golden.parameters))


@pytest.mark.golden("network.training")
def test_training(golden: GoldenCase) -> None:
    golden.check(layouts.network_training(**golden.inputs, **golden.parameters))


@pytest.mark.parametrize(("name", "covered"), [("network/training_group1", 0.72), ("network/training_group4", 0.75)])
def test_steps_are_compared_where_gradients_are_more_than_noise(
    name: str, covered: float, goldens: dict[str, Golden]
) -> None:
    """docs/conventions.md, "Training", says why that is not nine tenths of every array."""
    golden = goldens[name]
    structure = Structure.of(64, int(golden.parameters["members"] or 0), golden.parameters)
    counts, least = (
        split_entries(one, structure) for one in (golden.where["step_5"], golden.outputs["least_gradient"])
    )
    shares = {array: counts[array][least[array] > 0].mean() for array in counts}
    assert len(shares) == 44
    everything = golden.outputs["least_gradient"] > 0
    assert golden.where["step_5"][everything].mean() > covered
    assert np.median(list(shares.values())) > 0.7
    assert {array for array, share in shares.items() if share < 0.3} <= {"phase_inner_bias"}


@pytest.mark.golden("optimizer.adam")
def test_adam(golden: GoldenCase) -> None:
    golden.check(layouts.optimizer_adam(**golden.inputs, **golden.parameters))
