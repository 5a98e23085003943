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
"""The tolerance is the noise floor times this. Another correct implementation rounds in another order, so it differs
from the reference by about the floor, rarely by 3 times as much. A wrong convention differs by 1e2 times and more. See
docs/tolerances.md."""

K = 0.5
"""The noise floor is never below ``K * eps * sqrt(terms)`` of the output's scale. If the reference happens to be exact
on the inputs (whole-pixel shifts), the port need not be. See docs/tolerances.md."""

ULP_RUNS = 4
"""Number of runs with perturbed inputs from which, among other runs, the noise floor is measured."""

KERNELS = ("oneDNN at SSE4.1", "oneDNN without limit")
"""If kernels matter, the noise floor is also measured in these runs. The generator knows their settings."""

UNSTEADY = 8.0
"""If kernels matter, an element that moves this many times as far as nine tenths of its output is at a kink (ReLU, a
maximum, a sign). A right implementation may be on either side of it. The element is masked, because a tolerance that
covers it would hide errors elsewhere. See docs/tolerances.md."""

MOST_UNSTEADY = 0.05
"""The largest share of an output's elements that may be masked this way. If a ReLU switches, everything computed from
one channel of its layer moves, which is 1/32 of the smallest layers."""

ENVELOPE_HEADROOM = 3.0
"""The headroom if trajectories diverge before an output. Its noise floor is then the envelope of whole runs, and
another implementation is one more run, not a few roundings. See docs/tolerances.md."""


Shape = tuple[int, ...]
Axes = str | Callable[[Shape], str]
"""The name of each axis of an array, in order: ``"group row column member"``. It is a function of the shape if arrays
of the same name may have different axes."""


@dataclass(frozen=True)
class Label:
    """The meaning of the numbers of an array.

    Attributes:
        axes: the name of each axis, in order; empty if not declared, and for a scalar.
        unit: of the numbers, ``1`` if they have none; empty if not declared.
    """

    axes: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Input:
    """One named array that an operation takes.

    Attributes:
        description: shape, dtype and meaning, in one line.
        axes, unit: see ``Label``. An axis of length 1 without meaning is called ``one``.
    """

    description: str
    axes: Axes = ""
    unit: str = ""


@dataclass(frozen=True)
class Output:
    """One named result of an operation.

    Attributes:
        name: the key under which the reference returns the array.
        description: shape, dtype and meaning, in one line.
        axes, unit: see ``Label``; of what a golden keeps.
        terms: number of terms in the sum that gives one element; rounding grows with its square root. A number, or a
            function of (inputs, parameters).
        where: the elements to compare, as a function of the reference's outputs in float64. ``None``: all of them. The
            mask is stored with the golden; elements outside it need only be finite.
        steady: the same, as a function of the outputs and of how far each of their elements moved between the runs that
            change only rounding. If another quantity is small, an element may be only noise.
        keep: reduces an output that is too large to store (see ``summarise``). ``None``: all of it is stored.
        envelope: whether trajectories diverge before it, as in a training. Then its noise is the distance between whole
            runs, not that of rounding.
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
        """Return its position in the operation in words: the description up to the first semicolon."""
        return self.description.partition(";")[0]

    def count_terms(self, inputs: Arrays, parameters: Parameters) -> int:
        return self.terms(inputs, parameters) if callable(self.terms) else self.terms


@dataclass(frozen=True)
class Operation:
    """A computation that the reference and the port both implement.

    Attributes:
        name: ``topic.function``: ``<topic>/reference.py`` implements it as ``function``.
        summary: what it computes, in one sentence.
        inputs: name -> ``Input``, or only its description.
        outputs: the named results.
        parameters: name -> type of every scalar: ``int``, ``float``, ``bool``, ``str``, ``int | None``.
        derive: a recipe for inputs that are too large to store: (stored inputs, parameters) -> further inputs. It must
            use exact arithmetic, with the same bits on every machine. The golden stores digests of these inputs.
        precision: ``float32`` if TensorFlow computes this in single precision and float64 serves as a check;
            ``float64`` if the reference works in double precision.
        formula: the operation in NumPy: a function of the inputs and parameters by name that returns the outputs by
            name. Its further arguments are parts of the formula; their defaults are right, and faults replace them.
            ``None`` if there is no NumPy version, as for a training.
        faults: wrong conventions. Every case of the operation catches each of them, or says why it cannot.
        in_order: whether each output is computed from those before it. An error in one output then affects all later
            ones, so faults are stored, and failures explained, only for the first.
        transcribed: whether the outputs may be copied from a document, if TensorFlow cannot compute them. The goldens
            of all other operations must be TensorFlow's own answers.
        only_perturbed: for an operation that takes long: noise is measured only from this many runs with perturbed
            inputs. None: from everything that changes rounding.
        kernels_matter: whether rounding depends on the processor's instruction set, as in oneDNN's convolutions. Then
            noise is also measured under other sets (``KERNELS``), and elements at a kink are masked (``UNSTEADY``).
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
            raise GoldenError(
                f"operation {self.name}: the same name for an input and a parameter: {both}; expected different names"
            )
        require_kinds(self.name, self.parameters)

    def output(self, name: str) -> Output:
        return next(output for output in self.outputs if output.name == name)

    def labels(self, shapes: Mapping[str, Shape]) -> dict[str, Label]:
        """Return labels of arrays by path (``outputs/mosaic``), if the operation declares axes or a unit.

        Raises:
            GoldenError: the number of axes differs from the declared one.
        """
        declared: dict[str, Input | Output] = {f"outputs/{output.name}": output for output in self.outputs}
        declared |= {f"inputs/{name}": what for name, what in self.inputs.items() if isinstance(what, Input)}
        labels = {path: self._label(path, declared[path], shapes[path]) for path in declared.keys() & shapes.keys()}
        return {path: label for path, label in labels.items() if label != Label()}

    def _label(self, path: str, what: Input | Output, shape: Shape) -> Label:
        axes = what.axes(shape) if callable(what.axes) else what.axes
        if axes and len(axes.split()) != len(shape):
            raise GoldenError(
                f"operation {self.name}: {path} has shape {shape}, but axes {axes!r}; expected a name for each axis"
            )
        return Label(axes, what.unit)

    def kept(self, outputs: Arrays) -> dict[str, np.ndarray]:
        """Reduce outputs to what a golden keeps; outputs with unknown names stay unchanged."""
        keep = {output.name: output.keep for output in self.outputs if output.keep is not None}
        return {name: keep[name](array) if name in keep else array for name, array in outputs.items()}

    @property
    def path(self) -> dict[str, str]:
        """Return the outputs in the order of their computation, with their positions; empty if there is no order."""
        return {output.name: output.place for output in self.outputs} if self.in_order else {}
