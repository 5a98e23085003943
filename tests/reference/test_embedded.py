"""The recipe reproduces the embedded data set, and its counts fit TensorFlow's patterns."""

from __future__ import annotations

import numpy as np
import pytest

from golden.ptychopinn.simulation.embedded import DIGESTS, draw, embedded, embedded_counts
from golden.ptychopinn.tensorflow import evaluate
from golden.spec.arrays import digest_array


@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.0.0",
    reason="NumPy 1 transforms single precision as double, so it draws other counts",
)
def test_the_recipe_gives_what_is_stored() -> None:
    assert {name: digest_array(array) for name, array in draw().items()} == DIGESTS


def test_the_counts_are_draws_around_tensorflows_patterns() -> None:
    """Only every fifth pattern is computed, because TensorFlow moves the whole object for each."""
    inputs = {name: embedded(name) for name in ("object", "probe")}
    inputs["positions"] = embedded("positions")[::5].reshape(-1, 1, 2, 1)
    outputs = evaluate("simulation.patterns", "float32", inputs, {"nphotons": 3e5})
    rates, counts = outputs["amplitude"][..., 0].astype(np.float64) ** 2, embedded_counts()[::5].astype(np.float64)
    assert abs(counts.sum() - rates.sum()) < 5 * np.sqrt(rates.sum())
    bright = rates > 5
    chi_square = ((counts - rates)[bright] ** 2 / rates[bright]).mean()
    assert chi_square == pytest.approx(1, abs=5 * np.sqrt(2.2 / bright.sum()))
