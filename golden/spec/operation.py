"""An operation is a computation that the reference and the port both implement."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError
from golden.spec.fault import Fault
from golden.spec.parameters import Kind, Parameters, require_kinds

Precision = Literal["float32", "float64"]

_NAME = re.compile(r"[A-Za-z0-9_]+")
_OPERATION_NAME = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")

HEADROOM = 8.0
"""The tolerance is the noise floor times this. Another correct implementation rounds in another order; its distance
from the reference is of the size of the floor, seldom 3 times that. A wrong convention is 1e2 and more. See
docs/tolerances.md."""

K = 0.5
"""The noise floor is never below ``K * eps * sqrt(terms)`` of the output's scale: a reference that happens to be exact
on chosen inputs (whole-pixel shifts) does not oblige the port to be exact there. See docs/tolerances.md."""

ULP_RUNS = 4
"""The noise floor is measured from this many runs with perturbed inputs, among others."""

KERNELS = ("oneDNN at SSE4.1", "oneDNN without limit")
"""Where kernels matter, the noise floor is measured in these runs too. The generator knows their settings."""

UNSTEADY = 8.0
"""Where kernels matter, an element that moves this many times as far as nine tenths of its output is at a kink (ReLU, a
maximum, a sign), on either side of which a right implementation may be. It is masked: a tolerance that covers it would
hide what is wrong elsewhere. See docs/tolerances.md."""

MOST_UNSTEADY = 0.05
"""The largest share of an output's elements that may be masked so. A ReLU that turns moves all that one of its layer's
channels gives, which is 1/32 of the smallest layers."""

ENVELOPE_HEADROOM = 3.0
"""The same where trajectories part before an output: its floor is the envelope of whole runs, and another
implementation is one run more, not a few roundings. See docs/tolerances.md."""


Shape = tuple[int, ...]
Axes = str | Callable[[Shape], str]
"""The name of each axis of an array, in order: ``"group row column member"``. Where arrays of one name do not all have
the same axes, a function of the shape."""


@dataclass(frozen=True)
class Label:
    """A label says what the numbers of an array mean.

    Attributes:
        axes: the name of each axis, in order; empty where they are not declared, and for a scalar.
        unit: of the numbers, ``1`` where they have none; empty where it is not declared.
    """

    axes: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Input:
    """An input is one named array that an operation takes.

    Attributes:
        description: shape, dtype, and what else is to be said, in one line.
        axes, unit: see ``Label``. An axis of length 1 that means nothing is called ``one``.
    """

    description: str
    axes: Axes = ""
    unit: str = ""


@dataclass(frozen=True)
class Output:
    """An output is one named result of an operation.

    Attributes:
        name: the key under which the reference returns the array.
        description: shape, dtype, and what else is to be said, in one line.
        axes, unit: see ``Label``; of what a golden keeps.
        terms: how many terms one element is summed from; rounding grows with its square root. A number, or a
            function of (inputs, parameters).
        where: which elements are meaningful, as a function of the outputs that the reference gives in float64.
            ``None``: all of them. The mask is stored with the golden; elements outside it need only be finite.
        steady: the same, as a function of two things: the outputs, and how far each of their elements moved among the
            runs that change rounding only. Where something else is small, an element may be nothing but noise.
        keep: what a golden keeps of it, where it is too large to store (see ``summarise``). ``None``: all of it.
        envelope: whether trajectories part before it, as those of a training do. Then its noise is the distance between
            whole runs, not that of rounding.
    """

    name: str
    description: str
    axes: Axes = ""
    unit: str = ""
    terms: int | Callable[[Arrays, Parameters], int] = 1
    where: Callable[[Arrays], np.ndarray] | None = None
    steady: Callable[[Arrays, Arrays], np.ndarray] | None = None
    keep: Callable[[np.ndarray], np.ndarray] | None = None
    envelope: bool = False

    @property
    def headroom(self) -> float:
        """Return the tolerance divided by the noise floor."""
        return ENVELOPE_HEADROOM if self.envelope else HEADROOM

    @property
    def place(self) -> str:
        """Return where it stands in its operation: its description up to the first semicolon."""
        return self.description.partition(";")[0]

    def count_terms(self, inputs: Arrays, parameters: Parameters) -> int:
        return self.terms(inputs, parameters) if callable(self.terms) else self.terms


@dataclass(frozen=True)
class Operation:
    """An operation is a computation that the reference and the port both implement.

    Attributes:
        name: ``topic.function``: ``<topic>/reference.py`` implements it as ``function``.
        summary: what it computes, in one sentence.
        inputs: every input array by its name; a text in place of one is its description alone.
        outputs: the named results.
        parameters: name -> type of every scalar that it takes: ``int``, ``float``, ``bool``, ``str``, ``int | None``.
        derive: a recipe for inputs that are too large to store: (stored inputs, parameters) -> further inputs. It
            must be exact arithmetic, the same to the last bit on every machine; the golden keeps its digest.
        precision: ``float32`` when TensorFlow computes this in single precision and float64 is a check on it;
            ``float64`` when the reference itself works in double precision.
        formula: what it computes, in NumPy: a function of the inputs and parameters by name that returns the outputs by
            name. What it takes beside them are its parts, right by default, which faults replace. ``None`` where the
            operation is not restated, as a training.
        faults: wrong conventions. Every case of the operation catches every one of them, or says why it cannot.
        in_order: each output is computed from those before it. What is wrong in one is wrong in all that follow, so a
            fault is kept, and a failure explained, for the first only.
        transcribed: whether a reference may answer from a document, where TensorFlow cannot be asked. A golden of any
            other operation must be TensorFlow's own answer.
        only_perturbed: for an operation that takes long: its noise is measured from this many runs with perturbed
            inputs alone. None: from everything that changes rounding.
        kernels_matter: whether the processor's instruction set decides how it rounds, as where oneDNN convolves. Then
            noise is measured under others too (``KERNELS``), and elements at a kink are masked (``UNSTEADY``).
    """

    name: str
    summary: str
    inputs: Mapping[str, Input | str]
    outputs: tuple[Output, ...]
    parameters: Mapping[str, Kind] = field(default_factory=dict)
    derive: Callable[[Arrays, Parameters], dict[str, np.ndarray]] | None = None
    precision: Precision = "float32"
    formula: Callable[..., Arrays] | None = None
    faults: tuple[Fault, ...] = ()
    in_order: bool = False
    transcribed: bool = False
    only_perturbed: int | None = None
    kernels_matter: bool = False

    def __post_init__(self) -> None:
        names = [fault.name for fault in self.faults]
        if len(set(names)) < len(names):
            raise GoldenError(f"operation {self.name}: two of its faults share a name: {sorted(names)}")
        if not _OPERATION_NAME.fullmatch(self.name):
            raise GoldenError(f"operation name {self.name!r}: expected 'topic.function' in lower case")
        for name in (*self.inputs, *self.parameters, *(output.name for output in self.outputs)):
            if not _NAME.fullmatch(name):
                raise GoldenError(f"operation {self.name}: name {name!r}: expected letters, digits and '_'")
        both = sorted(self.inputs.keys() & self.parameters.keys())
        if both:
            raise GoldenError(f"operation {self.name}: both an input and a parameter: {both}; expected a name for each")
        require_kinds(self.name, self.parameters)

    def output(self, name: str) -> Output:
        return next(output for output in self.outputs if output.name == name)

    def labels(self, shapes: Mapping[str, Shape]) -> dict[str, Label]:
        """Label arrays, by group and name (``outputs/mosaic``), where the operation declares axes or a unit.

        Raises:
            GoldenError: an array has not as many axes as are declared.
        """
        declared: dict[str, Input | Output] = {f"outputs/{output.name}": output for output in self.outputs}
        declared |= {f"inputs/{name}": what for name, what in self.inputs.items() if isinstance(what, Input)}
        labels = {path: self._label(path, declared[path], shapes[path]) for path in declared.keys() & shapes.keys()}
        return {path: label for path, label in labels.items() if label != Label()}

    def _label(self, path: str, what: Input | Output, shape: Shape) -> Label:
        axes = what.axes(shape) if callable(what.axes) else what.axes
        if axes and len(axes.split()) != len(shape):
            raise GoldenError(
                f"operation {self.name}: {path} has shape {shape}, and {axes!r} for its axes; expected a name for each"
            )
        return Label(axes, what.unit)

    def kept(self, outputs: Arrays) -> dict[str, np.ndarray]:
        """Return what a golden keeps of these outputs; those of other names as they are."""
        keep = {output.name: output.keep for output in self.outputs if output.keep is not None}
        return {name: keep[name](array) if name in keep else array for name, array in outputs.items()}

    @property
    def path(self) -> dict[str, str]:
        """Return where each output stands, in the order in which they are computed; empty where there is no order."""
        return {output.name: output.place for output in self.outputs} if self.in_order else {}
