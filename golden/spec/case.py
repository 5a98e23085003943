"""What a golden case is: plain, frozen records that name no framework and do no I/O.

A *case* is data. The producer (TensorFlow) and the consumer (Torch) meet only at the arrays that the case
names, so nothing in this module, nor in a ``cases.py``, imports either of them. NumPy only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from golden.spec.random_inputs import Draw

Arrays = Mapping[str, np.ndarray]
Scalar = bool | int | float | str | None
Parameters = Mapping[str, Scalar]
Precision = Literal["float32", "float64"]
Drawing = Callable[[Draw], dict[str, np.ndarray]]

_CASE_NAME = re.compile(r"[a-z0-9_]+/[a-z0-9_]+")
_ARRAY_NAME = re.compile(r"[A-Za-z0-9_]+")
_OPERATION_NAME = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_FAULT_NAME = re.compile(r"[a-z][a-z0-9_]*")


HEADROOM = 8.0
"""Tolerance / noise floor. Another correct implementation rounds in another order; its distance from the reference is
of the size of the floor, seldom 3 times that. A wrong convention is 1e2 and more. See docs/tolerances.md."""

K = 0.5
"""The noise floor is never below ``K * eps * sqrt(terms)`` of the output's scale: a reference that happens to be exact
on chosen inputs (whole-pixel shifts) does not oblige the port to be exact there. See docs/tolerances.md."""

ULP_RUNS = 4
"""Runs with perturbed inputs that the noise floor is measured from."""

ENVELOPE_HEADROOM = 3.0
"""Tolerance / noise floor of an output before which trajectories part: its floor is the envelope of whole runs, and
another implementation is one run more, not a few roundings. See docs/tolerances.md."""


class GoldenError(Exception):
    """A golden, a case or a fixtures directory is not what it should be. The message says what to do."""


@dataclass(frozen=True)
class Output:
    """One named result of an operation.

    Attributes:
        name: the key under which the reference returns the array.
        description: shape, axis order, dtype and unit, in one line.
        terms: how many terms one element is summed from; rounding grows with its square root. A number, or a
            function of (inputs, parameters).
        where: which elements are meaningful, as a function of the outputs that the reference gives in float64.
            ``None``: all of them. The mask is stored with the golden; elements outside it need only be finite.
        steady: likewise, of what the reference gives and of how far each element moved among the runs that change
            rounding only: for what is noise where something else is small.
        keep: what a golden keeps of it, where it is too large to store (``golden.spec.summary``). ``None``: all of it.
        envelope: whether trajectories part before it, as those of a training do: then its noise is not that of rounding
            but the distance of whole runs.
    """

    name: str
    description: str
    terms: int | Callable[[Arrays, Parameters], int] = 1
    where: Callable[[Arrays], np.ndarray] | None = None
    steady: Callable[[Arrays, Arrays], np.ndarray] | None = None
    keep: Callable[[np.ndarray], np.ndarray] | None = None
    envelope: bool = False

    @property
    def headroom(self) -> float:
        """Tolerance / noise floor."""
        return ENVELOPE_HEADROOM if self.envelope else HEADROOM

    @property
    def place(self) -> str:
        """Where it stands in its operation: its description up to the first semicolon."""
        return self.description.partition(";")[0]

    def count_terms(self, inputs: Arrays, parameters: Parameters) -> int:
        return self.terms(inputs, parameters) if callable(self.terms) else self.terms


@dataclass(frozen=True)
class Trial:
    """What a fault is given to work with.

    Attributes:
        inputs: all inputs of the case, derived ones too.
        parameters: of the case.
        outputs: what the reference returns for them.
        run: the reference: (inputs, parameters) -> outputs.
    """

    inputs: Arrays
    parameters: Parameters
    outputs: Arrays
    run: Callable[[Arrays, Parameters], Arrays]


@dataclass(frozen=True)
class Fault:
    """A wrong convention that a port could follow, and that cases are proved to catch. NumPy only.

    Attributes:
        name: lower case, digits and ``_``.
        symptom: one sentence for the diagnosis: what the port does; what is expected.
        commit: the outputs of a port that commits it; those left out are as they should be.
    """

    name: str
    symptom: str
    commit: Callable[[Trial], Arrays]

    def __post_init__(self) -> None:
        if not _FAULT_NAME.fullmatch(self.name):
            raise GoldenError(f"fault name {self.name!r}: expected lower case, digits and '_'")
        if not self.symptom.strip():
            raise GoldenError(f"fault {self.name}: it needs a symptom, one sentence")

    @classmethod
    def of_inputs(cls, name: str, symptom: str, change: Callable[[Arrays], Arrays]) -> Fault:
        """The reference, given other inputs; ``change`` returns those that differ."""
        return cls(name, symptom, lambda t: t.run({**t.inputs, **change(t.inputs)}, t.parameters))

    @classmethod
    def of_parameters(cls, name: str, symptom: str, change: Callable[[Parameters], Parameters]) -> Fault:
        """The reference, given other parameters; ``change`` returns those that differ."""
        return cls(name, symptom, lambda t: t.run(t.inputs, {**t.parameters, **change(t.parameters)}))

    @classmethod
    def of_outputs(cls, name: str, symptom: str, change: Callable[[Arrays], Arrays]) -> Fault:
        """The right outputs, changed afterwards; ``change`` returns those that differ."""
        return cls(name, symptom, lambda t: change(t.outputs))


@dataclass(frozen=True)
class Operation:
    """A computation that the reference and the port both implement.

    Attributes:
        name: ``topic.function``: the reference implements it as ``reference/<topic>.py: <function>``.
        summary: what it computes, in one sentence.
        inputs: name -> description (shape, axis order, dtype, unit) of every input array.
        outputs: the named results.
        derive: a recipe for inputs that are too large to store: (stored inputs, parameters) -> further inputs. It
            must be exact arithmetic, the same to the last bit on every machine; the golden keeps its digest.
        precision: ``float32`` when TensorFlow computes this in single precision and float64 is a check on it;
            ``float64`` when the reference itself works in double precision.
        faults: wrong conventions. Every case of the operation catches every one of them, or says why it cannot.
        in_order: each output is computed from those before it. What is wrong in one is wrong in all that follow, so a
            fault is kept, and a failure explained, for the first only.
        transcribed: whether a reference may answer from a document, where TensorFlow cannot be asked. A golden of any
            other operation must be TensorFlow's own answer.
        only_perturbed: for what takes long: from so many runs with perturbed inputs its noise is told, and from nothing
            else. None: from all that changes rounding.
    """

    name: str
    summary: str
    inputs: Mapping[str, str]
    outputs: tuple[Output, ...]
    derive: Callable[[Arrays, Parameters], dict[str, np.ndarray]] | None = None
    precision: Precision = "float32"
    faults: tuple[Fault, ...] = ()
    in_order: bool = False
    transcribed: bool = False
    only_perturbed: int | None = None

    def __post_init__(self) -> None:
        names = [fault.name for fault in self.faults]
        if len(set(names)) < len(names):
            raise GoldenError(f"operation {self.name}: two of its faults share a name: {sorted(names)}")
        if not _OPERATION_NAME.fullmatch(self.name):
            raise GoldenError(f"operation name {self.name!r}: expected 'topic.function' in lower case")
        for name in (*self.inputs, *(output.name for output in self.outputs)):
            if not _ARRAY_NAME.fullmatch(name):
                raise GoldenError(f"operation {self.name}: array name {name!r}: expected letters, digits and '_'")

    def output(self, name: str) -> Output:
        return next(output for output in self.outputs if output.name == name)

    def kept(self, outputs: Arrays) -> dict[str, np.ndarray]:
        """What a golden keeps of these outputs; those of other names as they are."""
        keep = {output.name: output.keep for output in self.outputs if output.keep is not None}
        return {name: keep[name](array) if name in keep else array for name, array in outputs.items()}

    @property
    def path(self) -> dict[str, str]:
        """The outputs in the order in which they are computed, and where each stands; empty where there is none."""
        return {output.name: output.place for output in self.outputs} if self.in_order else {}


@dataclass(frozen=True)
class Case:
    """One frozen computation.

    Attributes:
        name: ``topic/case``, also the path of its golden below the fixtures directory.
        operation: what is computed.
        summary: what this case sees that others do not.
        parameters: scalars handed to the operation.
        draw: makes the inputs, once, from random bits that the case's name seeds.
        expected_constant: output name -> why it may be empty, zero or constant here.
        invisible: fault name -> why this case cannot see it. Checked: the fault must change nothing here.
        slow: recomputed only when named.
    """

    name: str
    operation: Operation
    summary: str
    parameters: Parameters = field(default_factory=dict)
    draw: Drawing = lambda draw: {}
    expected_constant: Mapping[str, str] = field(default_factory=dict)
    invisible: Mapping[str, str] = field(default_factory=dict)
    slow: bool = False

    def __post_init__(self) -> None:
        if not _CASE_NAME.fullmatch(self.name):
            raise GoldenError(f"case name {self.name!r}: expected 'topic/case' in lower case, digits and '_'")
        unknown = set(self.expected_constant) - {output.name for output in self.operation.outputs}
        if unknown:
            raise GoldenError(
                f"case {self.name}: expected_constant names no output of its operation: {sorted(unknown)}"
            )
        unknown = set(self.invisible) - {fault.name for fault in self.operation.faults}
        if unknown:
            raise GoldenError(f"case {self.name}: invisible names no fault of its operation: {sorted(unknown)}")

    @property
    def visible(self) -> frozenset[str]:
        """The names of the faults that it catches."""
        return frozenset(fault.name for fault in self.operation.faults) - set(self.invisible)

    @property
    def topic(self) -> str:
        return self.name.split("/")[0]

    def draw_inputs(self, number: int) -> dict[str, np.ndarray]:
        """The stored inputs of draw ``number`` (0 at first; ``--redraw`` counts up)."""
        inputs = self.draw(Draw(f"{self.name}#{number}"))
        self._require_inputs(inputs)
        return inputs

    def complete_inputs(self, stored: Arrays) -> dict[str, np.ndarray]:
        """The stored inputs and those that the operation's recipe derives from them."""
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
        """A digest of what the case *declares*; it changes when a golden must be proved again.

        The code that draws inputs is not part of it: inputs are frozen, and only ``--redraw`` runs it again.
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
            "faults": {fault.name: fault.symptom for fault in self.operation.faults},
            "invisible": sorted(self.invisible),
            **({"path": list(self.operation.path)} if self.operation.in_order else {}),
            **({} if self.operation.only_perturbed is None else {"only_perturbed": self.operation.only_perturbed}),
        }
        return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:16]


def hidden(reason: str, *faults: str) -> dict[str, str]:
    """Entries of ``Case.invisible``: these faults, for one reason."""
    return dict.fromkeys(faults, reason)


def digest_array(array: np.ndarray) -> str:
    """SHA-256 of an array's dtype, shape and little-endian, C-order bytes: the same on every machine."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    hasher = hashlib.sha256(f"{little.dtype.str} {list(array.shape)}\n".encode())
    if little.size:
        hasher.update(little.reshape(-1).view(np.uint8).data)
    return hasher.hexdigest()
