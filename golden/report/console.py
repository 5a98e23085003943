"""Open standard output for tables. Lines are wrapped in a terminal, but not in a pipe or file."""

from __future__ import annotations

import sys

from rich.console import Console

_UNFOLDED = 10_000
"""Width of a pipe or file. Programs read it, and editors wrap lines themselves."""


def console() -> Console:
    """Open standard output, with colours in a terminal."""
    return Console(width=None if sys.stdout.isatty() else _UNFOLDED, highlight=False)
