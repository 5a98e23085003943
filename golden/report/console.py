"""Open what tables are printed to: a terminal, or a pipe or file, where no line is folded."""

from __future__ import annotations

import sys

from rich.console import Console

_UNFOLDED = 10_000
"""Columns of a pipe or file: programs read it, and editors fold by themselves."""


def console() -> Console:
    """Open standard output, with colours in a terminal."""
    return Console(width=None if sys.stdout.isatty() else _UNFOLDED, highlight=False)
