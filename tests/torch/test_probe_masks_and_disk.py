"""The hard mask and the default disk probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.operators.probe import default_probe, hard_mask
from tests.torch.subject.probe import probe_default_disk, probe_hard_mask
from tests.vectors import assert_close, records


def test_the_smallest_side() -> None:
    assert hard_mask(4).sum() == 4
    assert default_probe(4).shape == (4, 4)
    for make in (hard_mask, default_probe):
        with pytest.raises(ValueError, match="N: expected at least 4"):
            make(3)


def test_the_device_that_is_asked_for() -> None:
    for make in (hard_mask, default_probe):
        assert make(8, device="meta").device.type == "meta"


def test_scale_of_the_default_disk() -> None:
    assert torch.equal(default_probe(32), default_probe(32, 0.7))
    assert not torch.equal(default_probe(32), default_probe(32, 1.0))
    for scale in (0.0, float("nan")):
        with pytest.raises(ValueError, match="default_probe_scale: expected a positive number"):
            default_probe(32, scale)


def test_recorded_vectors(external_data: Path) -> None:
    for record in records(external_data, "probe_*.h5", "mask_"):
        mask = probe_hard_mask(N=int(record.inputs["N"]))["mask"]
        np.testing.assert_array_equal(mask[..., 0], record.outputs["mask"].astype(bool), err_msg=record.name)
    for record in records(external_data, "probe_*.h5", "default_"):
        size, scale = int(record.inputs["N"]), float(record.inputs["default_probe_scale"])
        disk = probe_default_disk(N=size, default_probe_scale=scale)["probe"]
        assert_close(record, "default probe", disk, record.outputs["default_probe"], 1e-12)
