"""Goldens record what TensorFlow computed; a test suite checks a port against them without TensorFlow.

Each layer imports only layers to its left: ``spec < judge < store < review < report < generator | testing``. Above
them are the entry points ``cli``, ``generate`` and ``pytest_plugin``. ``ptychopinn`` holds the cases, a folder per
topic, and imports only ``spec``.

A cases module, here or in another package with goldens, needs these names:

    from golden import Case, Draw, Fault, Input, Operation, Output

``Operation``: a computation, its inputs, parameters, outputs and faults. ``Input``: an array that it takes. ``Output``:
one of its results. ``Fault``: a wrong convention that a port could follow. ``Case``: the operation on certain inputs.
``Draw``: the random source of these inputs. The rest is in ``golden.spec``. Importing this package loads nothing
else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from golden.spec.case import Case
    from golden.spec.fault import Fault
    from golden.spec.operation import Input, Operation, Output
    from golden.spec.random_inputs import Draw

__all__ = ["Case", "Draw", "Fault", "Input", "Operation", "Output"]

_MODULES = {
    "Case": "golden.spec.case",
    "Draw": "golden.spec.random_inputs",
    "Fault": "golden.spec.fault",
    "Input": "golden.spec.operation",
    "Operation": "golden.spec.operation",
    "Output": "golden.spec.operation",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
