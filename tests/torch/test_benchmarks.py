"""The benchmarks run, here on inputs so small that their times mean nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import compare, diagnosis, loading, packed, parts, reassembly, tolerances

LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux counts it")


def test_comparisons() -> None:
    works = (compare.read, compare.ours, compare.allclose, compare.ndarrays_regression)
    said = [compare.measured(work, mib=1, noise=0, repeats=1)[0] for work in works]
    assert said == ["-", "identical", "True", "passed"]


def test_diagnoses() -> None:
    expected = np.random.default_rng(0).normal(size=(2, 16, 16, 2)).astype(np.complex64)
    said = {name: diagnosis.costs(expected, found)[0] for name, found in diagnosis.failures(expected).items()}
    assert said["negated"] == "the expected values, but negated (exactly)"
    assert said["unknown"].startswith("no known fault")
    assert diagnosis.costs(*diagnosis.almost_empty(expected))[0].startswith("no known fault")


@LINUX
@pytest.mark.parametrize("name", ["plain", "mapped"])
def test_loading(name: str, tmp_path: Path) -> None:
    loading.write_scan(tmp_path / "scan.npz", 20)
    assert loading.run_once(tmp_path / "scan.npz", name)["groups"] == 20


@LINUX
def test_packed_scans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert packed.write_scan(tmp_path / "scan.h5", 20) > 0
    for kind in ("plain", "port"):
        packed.load(kind, str(tmp_path / "scan.h5"))
    plain, port = (json.loads(line)[2] for line in capsys.readouterr().out.splitlines())
    assert plain == pytest.approx(port, rel=1e-6)


def test_reassemblies() -> None:
    patches, offsets = reassembly.scan(4, 10)
    total, count = reassembly.METHODS["ours"](patches, offsets)
    for method in reassembly.METHODS.values():
        other, times = method(patches, offsets)
        torch.testing.assert_close(other, total, atol=1e-5, rtol=0)
        torch.testing.assert_close(times, count, atol=1e-5, rtol=0)


def test_tolerances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tolerances, "TRIALS", 8)
    assert tolerances.sums().row_count == 8
    assert max(tolerances.noise_shares(lambda inputs: inputs, "probe.")) < tolerances.HEADROOM


def test_parts() -> None:
    assert len(parts.convolution((parts.BATCH, 1, 8, 8), (3, 1, 3, 3), torch.float32, torch.channels_last)) == 2
    images, kernels = torch.zeros(2, 1, 8, 8), torch.zeros(3, 1, 3, 3)
    shares = parts.by_kind(lambda: torch.nn.functional.conv2d(images, kernels).copy_(torch.tensor(0.0)), rounds=1)
    assert {"convolutions", "conversions, copies, zeros"} <= set(shares)
