"""The hard mask and the default disk probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.torch import layouts
from tests.vectors import assert_close, records


@pytest.mark.golden("probe.hard_mask")
def test_hard_mask(golden):
    golden.check(layouts.probe_hard_mask(**golden.parameters))


@pytest.mark.golden("probe.default_disk")
def test_default_disk(golden):
    golden.check(layouts.probe_default_disk(**golden.parameters))


def test_recorded_vectors(external_data: Path) -> None:
    for record in records(external_data, "probe_*.h5", "mask_"):
        mask = layouts.probe_hard_mask(N=int(record.inputs["N"]))["mask"]
        np.testing.assert_array_equal(mask[..., 0], record.outputs["mask"].astype(bool), err_msg=record.name)
    for record in records(external_data, "probe_*.h5", "default_"):
        size, scale = int(record.inputs["N"]), float(record.inputs["default_probe_scale"])
        disk = layouts.probe_default_disk(N=size, default_probe_scale=scale)["probe"]
        assert_close(record, "default probe", disk, record.outputs["default_probe"], 1e-12)
