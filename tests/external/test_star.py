"""The measured Siemens star: Torch's mosaic is TensorFlow's, and shows the star upright.

Run by ``PTYCHO_GOLDEN_DATA=DIR make star``.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.torch.orientation import best_orientation
from tests.torch.subject.reassembly import reassembly_scan_mosaic


@pytest.mark.golden("reassembly.scan_mosaic")
def test_measured_scan(golden):
    inputs = golden.inputs
    outputs = reassembly_scan_mosaic(**inputs, **golden.parameters)
    mosaic = outputs["mosaic"][..., 0]
    side = len(mosaic)
    x, y = np.round(inputs["positions"].mean(axis=0).ravel()).astype(int) - side // 2
    orientation, correlation = best_orientation(mosaic, inputs["object"][y : y + side, x : x + side])
    assert orientation == "upright"
    assert correlation > 0.9
    golden.check(outputs)
