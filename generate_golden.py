#!/usr/bin/env python
"""Recompute the goldens with TensorFlow: ``python generate_golden.py --help``."""

from pathlib import Path

import golden

if __name__ == "__main__":
    beside = Path(__file__).resolve().parent / "golden"
    if Path(golden.__file__).resolve().parent != beside:
        raise SystemExit(
            f"generate_golden.py: imported 'golden' from {golden.__file__}, expected {beside}; "
            f"install this checkout with 'pip install -e .'"
        )
    from golden.generate import main

    main(prog_name="generate_golden.py")
