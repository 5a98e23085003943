"""A fault: a wrong convention that a port could follow, committed on the reference. NumPy only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Invisible:
    """A condition on a case under which a fault changes nothing, and why. The generator proves that it changes nothing.

    Attributes:
        reason: one line, which the golden stores.
        when: whether the condition holds: (inputs, parameters) -> bool. It is asked often, so it should be cheap.
    """

    reason: str
    when: Callable[[Arrays, Parameters], bool]


@dataclass(frozen=True)
class Fault:
    """A wrong convention that a port could follow, and that cases are proved to catch. NumPy only.

    Attributes:
        name: lower case, digits and ``_``.
        symptom: one sentence for the diagnosis: what the port does; what is expected.
        commit: the outputs of a port that commits it; those left out are as they should be.
        invisible: where it cannot show. The first condition that holds gives the reason.
    """

    name: str
    symptom: str
    commit: Callable[[Trial], Arrays]
    invisible: tuple[Invisible, ...] = ()

    def __post_init__(self) -> None:
        if not _FAULT_NAME.fullmatch(self.name):
            raise GoldenError(f"fault name {self.name!r}: expected lower case, digits and '_'")
        if not self.symptom.strip():
            raise GoldenError(f"fault {self.name}: it needs a symptom, one sentence")

    def why_invisible(self, inputs: Arrays, parameters: Parameters) -> str | None:
        """Return why it cannot show there; None where it should."""
        try:
            return next((one.reason for one in self.invisible if one.when(inputs, parameters)), None)
        except Exception as failed:
            raise GoldenError(
                f"fault {self.name}: cannot tell whether it shows ({type(failed).__name__}: {failed})"
            ) from failed

    @classmethod
    def of_inputs(
        cls, name: str, symptom: str, change: Callable[[Arrays], Arrays], invisible: tuple[Invisible, ...] = ()
    ) -> Fault:
        """Give the reference other inputs; ``change`` returns those that differ."""
        return cls(name, symptom, lambda t: t.run({**t.inputs, **change(t.inputs)}, t.parameters), invisible)

    @classmethod
    def of_parameters(
        cls, name: str, symptom: str, change: Callable[[Parameters], Parameters], invisible: tuple[Invisible, ...] = ()
    ) -> Fault:
        """Give the reference other parameters; ``change`` returns those that differ."""
        return cls(name, symptom, lambda t: t.run(t.inputs, {**t.parameters, **change(t.parameters)}), invisible)

    @classmethod
    def of_outputs(
        cls, name: str, symptom: str, change: Callable[[Arrays], Arrays], invisible: tuple[Invisible, ...] = ()
    ) -> Fault:
        """Change the right outputs afterwards; ``change`` returns those that differ."""
        return cls(name, symptom, lambda t: change(t.outputs), invisible)


def hidden(reason: str, *faults: str) -> dict[str, str]:
    """Entries of ``Case.invisible``: these faults, for one reason."""
    return dict.fromkeys(faults, reason)
