"""A fault is a wrong convention that a port could follow. A golden must refuse its outputs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError
from golden.spec.parameters import Parameters

_FAULT_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Trial:
    """What a fault works with.

    Attributes:
        inputs: all inputs of the case, including derived ones.
        parameters: of the case.
        outputs: of the reference.
        run: the reference: (inputs, parameters) -> outputs.
    """

    inputs: Arrays
    parameters: Parameters
    outputs: Arrays
    run: Callable[[Arrays, Parameters], Arrays]

    @property
    def given(self) -> dict[str, Any]:
        """Return inputs and parameters by name, as a formula takes them."""
        return {**self.inputs, **self.parameters}


@dataclass(frozen=True)
class Condition:
    """When a fault changes nothing in a case, and the reason, which the golden stores.

    Attributes:
        reason: why the fault changes nothing then, a sentence without capital and full stop.
        holds: (inputs, parameters) -> bool. It is called often, so it should be cheap.
    """

    reason: str
    holds: Callable[[Arrays, Parameters], bool]


@dataclass(frozen=True)
class Fault:
    """A wrong convention that a port could follow, and that cases are proved to catch.

    Attributes:
        name: lower case, digits and ``_``.
        symptom: for the diagnosis: what a wrong port does, then "; expected " and what is right.
        commit: returns the outputs that a wrong port changes; all others are right.
        invisible: conditions under which it cannot show; the first that holds gives the reason. The generator checks
            that the fault then changes nothing.
    """

    name: str
    symptom: str
    commit: Callable[[Trial], Arrays]
    invisible: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if not _FAULT_NAME.fullmatch(self.name):
            raise GoldenError(f"fault name {self.name!r}: expected lower case, digits and '_'")
        if not self.symptom.strip():
            raise GoldenError(f"fault {self.name}: expected a symptom, one sentence")

    def invisible_when(self, *conditions: Condition) -> Fault:
        """Return a copy of the fault with further conditions under which it cannot show."""
        return replace(self, invisible=(*self.invisible, *conditions))

    def why_invisible(self, inputs: Arrays, parameters: Parameters) -> str | None:
        """Return why the fault cannot show on these inputs; None if it should show."""
        try:
            return next((one.reason for one in self.invisible if one.holds(inputs, parameters)), None)
        except Exception as failed:
            raise GoldenError(
                f"fault {self.name}: cannot tell whether it shows ({type(failed).__name__}: {failed})"
            ) from failed

    @classmethod
    def of_inputs(cls, name: str, symptom: str, change: Callable[[Arrays], Arrays]) -> Fault:
        """Return a fault that gives the reference other inputs; ``change`` returns those that differ."""
        return cls(name, symptom, lambda t: t.run({**t.inputs, **change(t.inputs)}, t.parameters))

    @classmethod
    def of_parameters(cls, name: str, symptom: str, change: Callable[[Parameters], Parameters]) -> Fault:
        """Return a fault that gives the reference other parameters; ``change`` returns those that differ."""
        return cls(name, symptom, lambda t: t.run(t.inputs, {**t.parameters, **change(t.parameters)}))

    @classmethod
    def of_outputs(cls, name: str, symptom: str, change: Callable[[Arrays], Arrays]) -> Fault:
        """Return a fault that changes the right outputs; ``change`` returns those that differ."""
        return cls(name, symptom, lambda t: change(t.outputs))

    @classmethod
    def of_formula(cls, name: str, symptom: str, formula: Callable[..., Arrays], **parts: Any) -> Fault:
        """Return a fault that replaces some parts of the operation's formula."""
        return cls(name, symptom, lambda t: formula(**t.given, **parts))
