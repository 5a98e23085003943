"""The network: every block, every gradient, and training steps."""

from __future__ import annotations

import pytest

from golden.pytest_plugin import GoldenCase
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


@pytest.mark.golden("optimizer.adam")
def test_adam(golden: GoldenCase) -> None:
    golden.check(layouts.optimizer_adam(**golden.inputs, **golden.parameters))
