"""A fault: a wrong convention that a port could follow, committed on the reference. NumPy only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError
from golden.spec.parameters import Parameters

_FAULT_NAME = re.compile(r"[a-z][a-z0-9_]*")


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

    @property
    def given(self) -> dict[str, Any]:
        """Inputs and parameters by name, as a formula takes them."""
        return {**self.inputs, **self.parameters}


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

    @classmethod
    def of_formula(cls, name: str, symptom: str, formula: Callable[..., Arrays], **parts: Any) -> Fault:
        """The operation's formula, with some of its parts replaced."""
        return cls(name, symptom, lambda t: formula(**t.given, **parts))


def hidden(reason: str, *faults: str) -> dict[str, str]:
    """Entries of ``Case.invisible``: these faults, for one reason."""
    return dict.fromkeys(faults, reason)
