"""How Torch computes in these tests: in float32 where float32 is said, and without cores that spin while they wait."""

from __future__ import annotations

import os

# Read when Torch is first imported. pytest-xdist's workers would spin on each other's cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch

# NVIDIA's convolutions take 10 bits of each factor unless told not to.
torch.backends.cudnn.allow_tf32 = False


@pytest.fixture(scope="session", autouse=True)
def _mkldnn(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--no-mkldnn"):
        torch.backends.mkldnn.set_flags(False)
