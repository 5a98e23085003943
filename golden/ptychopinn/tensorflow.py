"""The reference restates in TensorFlow what PtychoPINN computes: this module runs each topic's ``reference.py``.

Each topic's ``reference.py`` has one function per operation. It takes the real dtype to compute in, then the
operation's inputs and parameters by name, and returns its outputs by name, in TensorFlow's layout. With ``tf.float32``
it computes what is frozen; with ``tf.float64`` it checks the rounding of that. What a topic writes down from a document
instead of computing it, its module declares by ``PRODUCER = "transcribed"``. docs/conventions.md says what the formulas
are and where they come from.
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
"""What provenance calls this reference. It is data, stored in every golden: moving the module does not change it."""


def evaluate(
    operation: str, precision: str, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the outputs of ``topic.function``, computed in ``float32`` or ``float64``."""
    real = {"float32": tf.float32, "float64": tf.float64}[precision]
    function = getattr(_topic(operation), operation.partition(".")[2])
    outputs = function(real, **inputs, **parameters)
    return {name: np.asarray(value) for name, value in outputs.items()}


def producer(operation: str) -> str:
    """Say who answers: ``tensorflow``, or what the topic's module declares as its ``PRODUCER``."""
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
