"""A golden is the record of one frozen case. Two goldens are the same if their digests are."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.judge.compare import Tolerance
from golden.judge.proof import Caught, Wrong
from golden.spec.arrays import Arrays, digest_array
from golden.spec.case import CASE_NAME, Case
from golden.spec.errors import GoldenError
from golden.spec.operation import Label, Operation
from golden.spec.parameters import Parameters

FORMAT = "ptycho-golden 5"
"""The format that a golden's file names."""
SIZE_CAP = 512 * 2**20
"""The largest size of all datasets of a file together, decompressed, in bytes."""
TRANSCRIBED = "transcribed"
"""The producer of outputs that were copied from a document; only operations that declare it may have it."""


@dataclass(frozen=True)
class Derived:
    """What a golden stores of an input that a recipe computes: enough to recognise it."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


@dataclass(frozen=True)
class Golden:
    """One frozen case. ``golden.spec.case`` explains the terms, ``golden.store.layout`` the layout of its file.

    Attributes:
        labels: axes and units of inputs and outputs, by group and name (``outputs/mosaic``).
        format: of the file that it was read from; goldens are written in the newest format.
    """

    case: str
    operation: str
    summary: str
    parameters: Parameters
    definition: str
    draw: int
    producer: str
    provenance: Mapping[str, str]
    inputs: Arrays
    outputs: Arrays
    where: Arrays
    tolerances: Mapping[str, Tolerance]
    noise: Mapping[str, Mapping[str, float]]
    derived: Mapping[str, Derived] = field(default_factory=dict)
    expected_constant: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, Caught] = field(default_factory=dict)
    invisible: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Label] = field(default_factory=dict)
    format: str = FORMAT

    def complete_inputs(self, case: Case) -> dict[str, np.ndarray]:
        """Return the stored inputs, and the derived ones, which the case's recipe computes again and which are checked.

        Every use of a golden with its case begins here, so a golden that its case does not allow is refused here.

        Raises:
            GoldenError: TensorFlow did not produce it, and its operation is not transcribed; or the recipe no longer
                computes the inputs that the golden was made from.
        """
        require_producer(case, self.producer)
        inputs = case.complete_inputs(self.inputs)
        for name, derived in self.derived.items():
            if name not in inputs or digest_array(inputs[name]) != derived.sha256:
                raise GoldenError(
                    f"golden {self.case}: its recipe no longer gives the input {name!r} that it was made from; restore "
                    f"the recipe of operation {case.operation.name}, or run: "
                    f"python generate_golden.py --update --redraw --reason ... {self.case}"
                )
        return inputs

    def labels_of(self, operation: Operation) -> dict[str, Label]:
        """Return axes and units of its arrays as an operation declares them.

        Raises:
            GoldenError: an array does not have the declared number of axes.
        """
        shapes = {f"inputs/{name}": array.shape for name, array in self.inputs.items()}
        shapes |= {f"inputs/{name}": derived.shape for name, derived in self.derived.items()}
        return operation.labels(shapes | {f"outputs/{name}": array.shape for name, array in self.outputs.items()})

    def lies_like(self, other: Golden) -> bool:
        """Tell whether the files of two goldens are alike in format, axes and units, which are not content."""
        return self.format == other.format and dict(self.labels) == dict(other.labels)

    def in_words_of(self, case: Case, inputs: Arrays) -> Golden:
        """Return the same golden in the newest format, with the texts, axes and units that its case declares.

        Args:
            case: the case.
            inputs: all its inputs (``complete_inputs``).

        Raises:
            GoldenError: an array does not have as many axes as the case declares.
        """
        symptoms = {fault.name: fault.symptom for fault in case.operation.faults}
        return replace(
            self,
            summary=case.summary,
            expected_constant=dict(case.expected_constant),
            faults={name: replace(caught, symptom=symptoms[name]) for name, caught in self.faults.items()},
            invisible=case.invisible_on(inputs),
            labels=self.labels_of(case.operation),
            format=FORMAT,
        )

    def digests(self) -> dict[str, str]:
        """Compute the SHA-256 of every array, by group and name (``outputs/mosaic``)."""
        values, indices = packed(self.faults)
        groups = {
            "inputs": self.inputs,
            "outputs": self.outputs,
            "where": self.where,
            "faults": values,
            "faults_at": indices,
        }
        stored = {f"{g}/{name}": digest_array(arrays[name]) for g, arrays in groups.items() for name in sorted(arrays)}
        return stored | {f"derived/{name}": self.derived[name].sha256 for name in sorted(self.derived)}

    def content_digest(self, digests: Mapping[str, str] | None = None) -> str:
        """Compute the SHA-256 of everything but the provenance: two goldens with the same digest say the same.

        The layout of the file is not content, and neither are axes and units, which only explain. So the digest does
        not depend on the format.

        Args:
            digests: the result of ``digests()``, if it is already known.
        """
        hasher = hashlib.sha256()
        head = [
            self.case,
            self.operation,
            self.summary,
            dict(self.parameters),
            self.definition,
            self.draw,
            self.producer,
            dict(self.expected_constant),
            table_of_faults(self.faults, self.outputs),
            dict(self.invisible),
        ]
        hasher.update(json.dumps(head, sort_keys=True).encode())
        for name, digest in (digests or self.digests()).items():
            hasher.update(f"{name} {digest}\n".encode())
        for name in sorted(self.tolerances):
            hasher.update(f"{name} {self.tolerances[name]} {sorted(self.noise.get(name, {}).items())}\n".encode())
        return hasher.hexdigest()


def require_mask(case: str, output: str, values: np.ndarray, mask: np.ndarray) -> None:
    """Refuse a mask that is not bool or not of its output's shape: it would index, not select."""
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != values.shape:
        found = f"{getattr(mask, 'dtype', type(mask).__name__)} {getattr(mask, 'shape', '')}"
        raise GoldenError(f"case {case}: mask of output {output!r}: expected bool {values.shape}, found {found}")


def require_producer(case: Case, producer: str) -> None:
    """Refuse a golden that TensorFlow did not produce, unless its operation may be transcribed and it was."""
    if producer != "tensorflow" and not (producer == TRANSCRIBED and case.operation.transcribed):
        raise GoldenError(f"golden {case.name}: its producer is {producer!r}; a golden must be produced by TensorFlow")


def golden_path(fixtures: Path, case: str) -> Path:
    return fixtures / f"{case}.h5"


def stored_cases(fixtures: Path) -> frozenset[str]:
    """Name the cases that have a golden in a fixtures directory."""
    return cases_with(fixtures, ".h5")


def cases_with(fixtures: Path, ending: str) -> frozenset[str]:
    """Name the cases that have a file ``TOPIC/CASE`` with this ending in a fixtures directory."""
    paths = (path for path in fixtures.glob(f"*/*{ending}") if not path.parent.is_symlink())
    names = (path.relative_to(fixtures).as_posix().removesuffix(ending) for path in paths)
    return frozenset(name for name in names if CASE_NAME.fullmatch(name))


def packed(faults: Mapping[str, Caught]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Collect values and indices of all faults, by output."""
    values: dict[str, list[np.ndarray]] = {}
    indices: dict[str, list[np.ndarray]] = {}
    for _, output, wrong in in_order(faults):
        values.setdefault(output, []).append(wrong.values)
        indices.setdefault(output, []).append(wrong.indices)
    return (
        {output: np.concatenate(parts) for output, parts in values.items()},
        {output: np.concatenate(parts) for output, parts in indices.items()},
    )


def table_of_faults(faults: Mapping[str, Caught], outputs: Arrays) -> dict[str, Any]:
    """Tabulate the faults, with shape and dtype only if they are not those of the golden's output."""
    table: dict[str, Any] = {name: {"symptom": caught.symptom, "outputs": {}} for name, caught in faults.items()}
    for name, output, wrong in in_order(faults):
        entry: dict[str, Any] = {
            "share": _number_or_none(wrong.share),
            "distance": _number_or_none(wrong.distance),
            "kept": len(wrong.values),
            "sums": wrong.sums.view(np.float64).tolist(),  # as the digest covers them; the file names each
        }
        if wrong.shape != outputs[output].shape:
            entry["shape"] = list(wrong.shape)
        if wrong.dtype != outputs[output].dtype.str:
            entry["dtype"] = wrong.dtype
        table[name]["outputs"][output] = entry
    return table


def in_order(faults: Mapping[str, Caught]) -> Iterator[tuple[str, str, Wrong]]:
    for name in sorted(faults):
        for output in sorted(faults[name].outputs):
            yield name, output, faults[name].outputs[output]


def _number_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no infinity
