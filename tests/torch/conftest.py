"""Torch's settings for these tests: true float32, and threads that do not spin while they wait."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # Torch reads it when it is first imported


@pytest.fixture(scope="session", autouse=True)
def _kernels(pytestconfig: pytest.Config) -> None:
    import torch  # not at the top: the controller of pytest-xdist's workers loads this file, but runs no test

    # By default, NVIDIA's convolutions use only 10 bits of each factor.
    torch.backends.cudnn.allow_tf32 = False
    if pytestconfig.getoption("--no-mkldnn"):
        torch.backends.mkldnn.set_flags(False)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs draw nothing, because for a small scan this takes as long as everything else."""
    of_results = ("amplitude", "phase", "comparison")
    for name in ("losses.draw_losses", "diagnosis.draw_diagnosis", *(f"result.draw_{one}" for one in of_results)):
        monkeypatch.setattr(f"ptycho_torch.pictures.{name}", lambda *given: None)
