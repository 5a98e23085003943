"""The memory of this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def resident(field: str) -> int:
    """Return the present (``VmRSS``) or the peak (``VmHWM``) memory of this process, bytes, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def forget_peak() -> bool:
    """Let this process's peak begin at its present memory; return whether the system can do that, as Linux can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def memory_growth() -> Callable[[], int]:
    """Return a function that returns how far, in bytes, this process's memory has risen above what it is now.

    Memory that an allocator kept and uses again does not count. If the system cannot forget the peak, only what exceeds
    it counts: a peak never falls, and a new process inherits that of the process that started it.
    """
    if forget_peak():
        before = resident("VmRSS")
        return lambda: resident("VmHWM") - before
    import resource

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    earlier = peak()
    return lambda: peak() - earlier
