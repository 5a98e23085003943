"""The reference's network has as many weights as the real one, and keeps groups apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from golden.ptychopinn.network.reference import Network

DEFAULTS: dict[str, Any] = {
    "n_filters_scale": 2,
    "amp_activation": "sigmoid",
    "object_big": True,
    "probe_big": True,
    "pad_object": True,
    "probe_mask": False,
    "probe_scale": 4.0,
    "nphotons": 1e9,
}
RELATIVE = np.array([[-1.5, 2.5, 0.5, -1.5], [2.0, -0.25, -1.0, -0.75]], np.float32)
"""Positions of a group's four members: two axes, zero mean."""


@pytest.mark.parametrize(
    ("N", "gridsize", "changes", "count"),
    [
        (64, 1, {"n_filters_scale": 1}, 585_244),
        (64, 1, {}, 2_331_772),
        (64, 2, {"n_filters_scale": 1}, 589_360),
        (64, 2, {}, 2_340_208),
        (64, 1, {"probe_big": False}, 2_252_026),
        (64, 1, {"pad_object": False}, 2_399_810),
        (64, 1, {"object_big": False}, 2_331_772),
        (128, 1, {"n_filters_scale": 1}, 1_167_052),
        (128, 1, {}, 4_661_212),
        (256, 1, {"n_filters_scale": 1}, 3_229_924),
        (256, 1, {}, 12_912_268),
    ],
)
def test_number_of_weights(N: int, gridsize: int, changes: dict[str, Any], count: int) -> None:
    network = Network(tf.float32, N=N, members=gridsize**2, **DEFAULTS | changes)
    assert sum(math.prod(variable.shape) for variable in network.variables) == count


def test_groups_stay_apart_whatever_their_number() -> None:
    """From 64 patches on, PtychoPINN sums all groups into one canvas; here, each group keeps its own."""
    network = Network(tf.float32, N=64, members=4, **DEFAULTS | {"n_filters_scale": 1})
    rng = np.random.default_rng(0)
    X, probe = rng.random((16, 64, 64, 4), np.float32), np.ones((64, 64), np.complex64)
    relative = (RELATIVE * rng.integers(-2, 3, (16, 1, 1, 1))).astype(np.float32)
    together = network.taps(X, relative, probe)
    for group in (0, 7, 15):
        alone = network.taps(X[group : group + 1], relative[group : group + 1], probe)
        for name in ("object", "predicted_amplitude"):
            found, expected = together[name][group].numpy(), alone[name][0].numpy()
            assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max(), name


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected N = 64, 128 or 256, found 96"):
        Network(tf.float32, N=96, members=1, **DEFAULTS)
    with pytest.raises(ValueError, match=r"expected 2331772 weights in one array, found shape \(3,\)"):
        Network(tf.float32, N=64, members=1, **DEFAULTS).load(np.zeros(3))
