"""The memory that fuzzers and tests measure: growth is seen even if this process was larger before."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from tests.memory import forget_peak, memory_growth

MIB = 2**20


@pytest.mark.skipif(not forget_peak(), reason="this system does not let a process forget its peak memory")
def test_less_memory_than_earlier_is_seen() -> None:
    gc.collect()  # garbage that is collected later would hide growth
    np.ones(120 * MIB, np.uint8)
    grown = memory_growth()
    assert grown() < 8 * MIB
    kept = np.ones(40 * MIB, np.uint8)
    del kept
    assert 30 * MIB < grown() < 60 * MIB
