"""The memory that fuzzers and tests measure: growth is seen even if the process was larger before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.memory import forget_peak

MIB = 2**20
LARGE_THEN_SMALL = """
import numpy as np
from tests.memory import memory_growth
np.ones(120 * 2**20, np.uint8)
grown = memory_growth()
print(grown())
kept = np.ones(40 * 2**20, np.uint8)
del kept
print(grown())
"""


@pytest.mark.skipif(not forget_peak(), reason="this system does not let a process forget its peak memory")
def test_less_memory_than_earlier_is_seen() -> None:
    """In a new process, because a large one may return memory to the system at any time, which would hide growth."""
    command = [sys.executable, "-c", LARGE_THEN_SMALL]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before < 8 * MIB
    assert 30 * MIB < after < 60 * MIB
