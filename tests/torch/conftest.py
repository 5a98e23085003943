"""Torch's settings for these tests: true float32, and no more threads than cores."""

from __future__ import annotations

import os

# Torch reads these when it is first imported. pytest-xdist's workers share the cores, and would spin on each other's.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

import pytest
import torch

# By default, NVIDIA's convolutions use only 10 bits of each factor.
torch.backends.cudnn.allow_tf32 = False


@pytest.fixture(scope="session", autouse=True)
def _mkldnn(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--no-mkldnn"):
        torch.backends.mkldnn.set_flags(False)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs draw nothing, because for a small scan this takes as long as everything else."""
    of_results = ("amplitude", "phase", "comparison")
    for name in ("losses.draw_losses", "diagnosis.draw_diagnosis", *(f"result.draw_{one}" for one in of_results)):
        monkeypatch.setattr(f"ptycho_torch.pictures.{name}", lambda *given: None)
