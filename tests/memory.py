"""The memory of this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def resident(field: str) -> int:
    """Return the present (``VmRSS``) or the peak (``VmHWM``) memory of this process, bytes, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def memory_growth() -> Callable[[], int]:
    """Return a function that returns by how many bytes, at most, this process has grown since this call.

    A process's peak never falls, so it does not show work that needs less than earlier work, or, in a new process,
    less than the process that started it. Linux lets a process forget its peak. Other systems show new peaks only.
    """
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        return lambda: resident("VmHWM") - before
    import resource

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    earlier = peak()
    return lambda: peak() - earlier
