"""A case is one frozen computation: a plain record that names no framework and does no I/O.

The producer (TensorFlow) and the consumer (Torch) share only the arrays that the case names. So neither this package
nor any ``cases.py`` imports one of them. NumPy only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np

from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError
from golden.spec.operation import (
    ENVELOPE_HEADROOM,
    HEADROOM,
    KERNELS,
    MOST_UNSTEADY,
    ULP_RUNS,
    UNSTEADY,
    K,
    Operation,
)
from golden.spec.parameters import Parameters, require_parameters
from golden.spec.random_inputs import Draw

Drawing = Callable[[Draw], dict[str, np.ndarray]]

CASE_NAME = re.compile(r"[a-z0-9_]+/[a-z0-9_]+")


@dataclass(frozen=True)
class Case:
    """One frozen computation.

    Attributes:
        name: ``topic/case``, also the path of its golden below the fixtures directory.
        operation: what is computed.
        summary: what the case computes and shows, a phrase in lower case without an article.
        parameters: scalars for the operation, of the types that it declares.
        draw: makes the inputs, once, from random bits seeded by the name of the case.
        expected_constant: output name -> why it may be empty, zero or constant here.
        invisible: fault name -> why this case cannot catch it, in addition to the conditions of the fault
            (``Fault.invisible``). The generator checks that the fault changes nothing here.
        slow: recomputed only if named.
    """

    name: str
    operation: Operation
    summary: str
    parameters: Parameters = field(default_factory=dict)
    draw: Drawing = lambda draw: {}
    expected_constant: Mapping[str, str] = field(default_factory=dict)
    invisible: Mapping[str, str] = field(default_factory=dict)
    _: KW_ONLY  # golden.review.declared finds it by its name
    slow: bool = False

    def __post_init__(self) -> None:
        if not CASE_NAME.fullmatch(self.name):
            raise GoldenError(f"case name {self.name!r}: expected 'topic/case' in lower case, digits and '_'")
        require_parameters(self.name, self.operation.name, self.operation.parameters, self.parameters)
        unknown = set(self.expected_constant) - {output.name for output in self.operation.outputs}
        if unknown:
            raise GoldenError(f"case {self.name}: expected_constant names unknown outputs: {sorted(unknown)}")
        unknown = set(self.invisible) - {fault.name for fault in self.operation.faults}
        if unknown:
            raise GoldenError(f"case {self.name}: invisible names unknown faults: {sorted(unknown)}")

    def invisible_on(self, inputs: Arrays) -> dict[str, str]:
        """Return the faults that cannot show on these inputs (including derived ones): name -> reason."""
        reasons = {fault.name: fault.why_invisible(inputs, self.parameters) for fault in self.operation.faults}
        return {name: reason for name, reason in reasons.items() if reason is not None} | dict(self.invisible)

    @property
    def topic(self) -> str:
        return self.name.split("/")[0]

    def draw_inputs(self, number: int) -> dict[str, np.ndarray]:
        """Return the stored inputs of draw ``number``: first 0; ``--redraw`` increments it."""
        inputs = self.draw(Draw(f"{self.name}#{number}"))
        self._require_inputs(inputs)
        return inputs

    def complete_inputs(self, stored: Arrays) -> dict[str, np.ndarray]:
        """Return the stored inputs, and the inputs that the operation derives from them."""
        inputs = dict(stored)
        if self.operation.derive is not None:
            inputs |= self.operation.derive(stored, self.parameters)
        return inputs

    def _require_inputs(self, drawn: Arrays) -> None:
        complete = self.complete_inputs(drawn)
        if set(complete) != set(self.operation.inputs):
            raise GoldenError(
                f"case {self.name}: operation {self.operation.name} takes {sorted(self.operation.inputs)}, "
                f"the case draws {sorted(complete)}"
            )

    def definition_digest(self, inputs: Arrays) -> str:
        """Return a digest of what the case *declares*. If it changes, the golden must be proved again.

        It does not cover the code that draws inputs, because inputs are frozen and only ``--redraw`` runs it again. It
        does not cover texts either: a better summary, symptom or reason changes no number.
        """
        declared: dict[str, Any] = {
            "operation": self.operation.name,
            "precision": self.operation.precision,
            "noise": [HEADROOM, K, ULP_RUNS],
            "inputs": sorted(self.operation.inputs),
            "parameters": dict(self.parameters),
            "outputs": {
                output.name: {
                    "terms": output.count_terms(inputs, self.parameters),
                    "masked": output.where is not None or output.steady is not None,
                    "constant": output.name in self.expected_constant,
                    **({"kept": output.keep.__name__} if output.keep else {}),
                    **({"envelope": ENVELOPE_HEADROOM} if output.envelope else {}),
                }
                for output in self.operation.outputs
            },
            "faults": sorted(fault.name for fault in self.operation.faults),
            "invisible": sorted(self.invisible_on(inputs)),
            **({"path": list(self.operation.path)} if self.operation.in_order else {}),
            **({} if self.operation.only_perturbed is None else {"only_perturbed": self.operation.only_perturbed}),
            **({"kernels": [*KERNELS, UNSTEADY, MOST_UNSTEADY]} if self.operation.kernels_matter else {}),
        }
        return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:16]
