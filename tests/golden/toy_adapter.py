"""An adapter over the stand-in that supports one precision and lacks ``toy.large``, to test missing operations.

The environment variable ``TOY_ADAPTER`` controls what it computes, as ``STANDIN`` does for the underlying reference.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.spec.errors import GoldenError
from tests.golden import standin

BACKING = "tests.golden.standin"


def evaluate(
    operation: str, precision: str, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    if precision != "float32" or missing(operation):
        raise GoldenError(f"the toy adapter was asked for {operation} in {precision}")
    factor = {"rounds otherwise": 1 + 2**-22, "negated": -1.0}.get(os.environ.get("TOY_ADAPTER", ""), 1.0)
    outputs = standin.evaluate(operation, precision, inputs, parameters)
    return {"y": (outputs["y"] * np.float32(factor)).astype(np.complex64), "rows": outputs["rows"]}


def missing(operation: str) -> str:
    return "no call makes a ramp" if operation == "toy.large" else ""


def producer(operation: str) -> str:
    return "tensorflow"


def provenance() -> dict[str, str]:
    return {"reference": "toy", "version": "1.2", "commit": "0123456789abcdef", "tensorflow": "none"}
