"""The reference, which restates PtychoPINN's computations in TensorFlow.

This module runs each topic's ``reference.py``, which has one function per operation. The function takes the real dtype
for the computation, then the operation's inputs and parameters by name, and returns its outputs by name, in
TensorFlow's layout. Results in ``tf.float32`` are frozen; results in ``tf.float64`` check their rounding. A topic whose
outputs are copied from a document declares ``PRODUCER = "transcribed"``. docs/conventions.md lists the formulas and
their sources.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

NAME = "golden.reference"
"""Name of this reference in provenance. It is stored in every golden, so it does not change if the module moves."""


def evaluate(
    operation: str, precision: str, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the outputs of ``topic.function``, computed in ``float32`` or ``float64``."""
    real = {"float32": tf.float32, "float64": tf.float64}[precision]
    function = getattr(_topic(operation), operation.partition(".")[2])
    outputs = function(real, **inputs, **parameters)
    return {name: np.asarray(value) for name, value in outputs.items()}


def producer(operation: str) -> str:
    """Return the producer of an operation: ``tensorflow``, or the topic's ``PRODUCER``."""
    return str(getattr(_topic(operation), "PRODUCER", "tensorflow"))


def provenance() -> dict[str, str]:
    return {
        "reference": NAME,
        "tensorflow": tf.__version__,
        "keras": tf.keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _topic(operation: str) -> ModuleType:
    return importlib.import_module(f"golden.ptychopinn.{operation.partition('.')[0]}.reference")
