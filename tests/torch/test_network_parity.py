"""The network: every block, every gradient, and training steps."""

from __future__ import annotations

import pytest

from golden.pytest_plugin import GoldenCase
from tests.torch import layouts


@pytest.mark.golden("network.forward")
def test_forward(golden: GoldenCase) -> None:
    golden.check(layouts.network_forward(**golden.inputs, **golden.parameters))
