"""Torch's settings for these tests: true float32, and threads that do not spin while they wait."""

from __future__ import annotations

import os

# Torch reads this when it is first imported. pytest-xdist's workers would spin on each other's cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch

# By default, NVIDIA's convolutions use only 10 bits of each factor.
torch.backends.cudnn.allow_tf32 = False


@pytest.fixture(scope="session", autouse=True)
def _mkldnn(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--no-mkldnn"):
        torch.backends.mkldnn.set_flags(False)
