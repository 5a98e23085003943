#!/usr/bin/env python
"""Recompute the goldens with TensorFlow: ``python generate_golden.py --help``."""

from pathlib import Path

import golden
from golden.interrupts import guard_loading, run

if __name__ == "__main__":
    guard_loading()
    beside = Path(__file__).resolve().parent / "golden"
    if Path(golden.__file__).resolve().parent != beside:
        raise SystemExit(
            f"generate_golden.py: imported 'golden' from {golden.__file__}, expected {beside}; "
            f"install this checkout with 'pip install -e .'"
        )
    from golden.generate import main

    run(lambda: main(prog_name="generate_golden.py"))
