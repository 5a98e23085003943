"""Find the wrong convention that explains a failure. NumPy only. A diagnosis never turns a failure into a pass.

First, the outputs found are compared with the wrong outputs that the golden keeps for each fault. Then generic
transforms are tried, and the shape of the difference is described (``golden.judge.transforms``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from golden.judge.compare import Comparison, Tolerance, scale_of
from golden.judge.proof import Caught, Wrong, signed_sums
from golden.judge.transforms import LOOSER, Search, distance_if_alike
from golden.spec.arrays import Arrays

_RESIDUE = 32.0
"""An output resembles a fault if it lies within this many tolerances of it."""
_TELLING, _LEAST_TELLING, _LEAST_SHARE = 30.0, 8, 0.9
"""An element is evidence of a fault if the fault moves it by 30 times that distance. An output resembles the fault if
at least 8 of the kept elements are evidence, and 0.9 of the kept elements, and of the evidence, lie near the fault."""
_UNMEASURED = Tolerance(1e-6, 1e-6)
"""The tolerance for a fault that returns fractions where the golden has integers."""


_SIZE = re.compile(r"; typically [^;:]+")
"""The size of a difference, which follows its place and varies from output to output."""


class Expected(Protocol):
    """The interface of what outputs are compared with: a golden, or a golden that is being made."""

    @property
    def outputs(self) -> Arrays: ...

    @property
    def tolerances(self) -> Mapping[str, Tolerance]: ...

    @property
    def where(self) -> Arrays:
        """The elements that are compared, for outputs that have a mask."""

    @property
    def faults(self) -> Mapping[str, Caught]:
        """The faults that it catches, by name."""

    @property
    def parameters(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Diagnosis:
    """Why one output failed, or several outputs for the same reason.

    Attributes:
        outputs: names of the outputs.
        sentence: the explanation, for a person.
        faults: names of the declared faults that match; several if they look the same.
        transform: the generic transform that matches, or "".
        distance: largest difference from the explanation, relative to the output's scale; nan without one.
        resembles: the declared fault that nearly matches: the rest is more than rounding, or a few elements differ.
    """

    outputs: tuple[str, ...]
    sentence: str
    faults: tuple[str, ...] = ()
    transform: str = ""
    distance: float = float("nan")
    resembles: str = ""


def diagnose(
    golden: Expected,
    outputs: Mapping[str, object],
    comparisons: Sequence[Comparison],
    path: Mapping[str, str] = MappingProxyType({}),
) -> list[Diagnosis]:
    """Explain every failed output. Outputs with the same explanation share a diagnosis.

    Args:
        golden: what was expected.
        outputs: what was found, by name.
        comparisons: of all outputs.
        path: outputs in the order in which they are computed, with the position of each in words; of these, only
            the first that failed is explained.
    """
    found = {name: array for name, array in outputs.items() if isinstance(array, np.ndarray)}
    failed = {
        comparison.output: comparison
        for comparison in comparisons
        if not comparison.passed and comparison.output in golden.outputs and comparison.output in found
    }
    first = next((name for name in path if name in failed), None)
    if first is not None:
        failed = {name: comparison for name, comparison in failed.items() if name == first or name not in path}
    if not failed:
        return []
    with np.errstate(all="ignore"):  # wrong values may be huge, tiny or NaN
        known = _KnownFaults(golden, found)
        diagnoses = known.matching(tuple(failed))
        explained = {output for one in diagnoses for output in one.outputs}
        for name in (name for name in failed if name not in explained):
            arrays = golden.outputs[name], found[name]
            told = Search(
                failed[name], *arrays, golden.tolerances[name], golden.where.get(name), golden.parameters
            ).run()
            hint = None if told.transform else known.resembled(name) or known.similar(name)
            diagnoses.append(hint or Diagnosis((name,), told.sentence, (), told.transform, told.distance))
    return [_with_place(one, path) for one in _merged(diagnoses)]


def _with_place(one: Diagnosis, path: Mapping[str, str]) -> Diagnosis:
    """Add to the sentence where on the path the difference begins."""
    begins = next((path[name] for name in one.outputs if name in path), "")
    return replace(one, sentence=f"first differs {begins}: {one.sentence}") if begins else one


class _KnownFaults:
    """Compares the outputs found with the wrong outputs of the declared faults."""

    def __init__(self, golden: Expected, found: Mapping[str, np.ndarray]) -> None:
        self._golden = golden
        self._found = found
        self._scale = cache(self._scale_of)  # used for every fault
        self._sums = cache(self._sums_of)
        self._distances = {
            (name, output): self._distance(output, wrong)
            for name, caught in golden.faults.items()
            for output, wrong in caught.outputs.items()
        }

    def matching(self, failed: tuple[str, ...]) -> list[Diagnosis]:
        """Return the faults whose wrong outputs were all found; if one fault explains all failures, only that one.

        A fault does not match if it would change an output that passed, or change an output differently.
        """
        by_outputs: dict[frozenset[str], list[tuple[float, str]]] = {}
        for name, caught in self._golden.faults.items():
            distances = [self._distances[name, output] for output in caught.outputs]
            known = [distance for distance in distances if distance is not None]
            if len(known) == len(distances) and set(caught.outputs) <= set(failed):
                by_outputs.setdefault(frozenset(caught.outputs), []).append((max(known), name))
        told: list[Diagnosis] = []
        for outputs in sorted(by_outputs, key=lambda names: (-len(names), sorted(names))):
            if not any(outputs & set(one.outputs) for one in told):
                told.append(self._say(tuple(name for name in failed if name in outputs), sorted(by_outputs[outputs])))
        return told

    def resembled(self, output: str) -> Diagnosis | None:
        """Return the fault that this output nearly matches: within some tolerances, or except for a few elements."""
        if not self._is_measured(output) or output not in self._found:
            return None
        near = [
            (self._nearness(output, caught.outputs[output]), name)
            for name, caught in self._golden.faults.items()
            if output in caught.outputs
        ]
        share, name = max(near, default=(0.0, ""), key=lambda one: one[0])
        if share < _LEAST_SHARE:
            return None
        beyond = (
            f"to within {_RESIDUE:g} tolerances" if share == 1 else f"except in {1 - share:.0%} of the sampled elements"
        )
        sentence = f"resembles fault {name!r} {beyond}: {self._golden.faults[name].symptom}"
        return Diagnosis((output,), sentence, resembles=name)

    def _nearness(self, output: str, wrong: Wrong) -> float:
        """Return the share of the kept elements that lie near the fault; 0 if too few of them are evidence."""
        array, expected = self._found[output], self._golden.outputs[output]
        if array.shape != wrong.shape or array.shape != expected.shape or array.dtype.str != wrong.dtype:
            return 0.0
        right, found = (one.reshape(-1)[wrong.indices].astype(np.complex128) for one in (expected, array))
        tolerance, fault = self._golden.tolerances[output], wrong.values.astype(np.complex128)
        allowed = _RESIDUE * (tolerance.atol + tolerance.rtol * np.maximum(np.abs(right), np.abs(fault)))
        near, telling = np.abs(found - fault) <= allowed, np.abs(fault - right) > _TELLING * allowed
        if np.count_nonzero(telling) < _LEAST_TELLING:
            return 0.0
        return float(min(near.mean(), near[telling].mean()))

    def similar(self, output: str) -> Diagnosis | None:
        """Return the fault that this output looks like, although other outputs contradict it: a hint, not a match."""
        near = sorted(
            (distance, name)
            for (name, of), distance in self._distances.items()
            if of == output and distance is not None
        )
        if not near:
            return None
        distance, name = near[0]
        others = sorted(set(self._golden.faults[name].outputs) - {output})
        sentence = (
            f"this output alone looks like fault {name!r}, but that fault would change {', '.join(others)} differently"
        )
        return Diagnosis((output,), sentence, (), "", distance)

    def _say(self, outputs: tuple[str, ...], matches: list[tuple[float, str]]) -> Diagnosis:
        names = tuple(name for _, name in matches)
        distance = matches[0][0]
        also = f" (here the same as {', '.join(repr(name) for name in names[1:])})" if len(names) > 1 else ""
        close = f" to {distance:.1e}" if distance else " exactly"
        sentence = f"matches fault {names[0]!r}{also}{close}: {self._golden.faults[names[0]].symptom}"
        return Diagnosis(outputs, sentence, names, "", distance)

    def _distance(self, output: str, wrong: Wrong) -> float | None:
        """Return the distance of an output from a fault's, relative to its scale; None if they do not match."""
        array = self._found.get(output)
        if array is None or array.shape != wrong.shape:
            return None
        texts = array.dtype.kind == np.dtype(wrong.dtype).kind == "S"
        if not texts and array.dtype.str != wrong.dtype:
            return None
        sampled = array.reshape(-1)[wrong.indices]
        if array.dtype.kind not in "fc":
            same = np.array_equal(sampled, wrong.values) and (texts or self._same_sums(output, wrong))
            return 0.0 if same else None
        distance = distance_if_alike(wrong.values, sampled, self._tolerance(output), self._scale(output))
        return distance if distance is not None and self._same_sums(output, wrong) else None

    def _is_measured(self, output: str) -> bool:
        return self._golden.outputs[output].dtype.kind in "fc"

    def _scale_of(self, output: str) -> float:
        return scale_of(self._golden.outputs[output]) if self._is_measured(output) else 1.0

    def _tolerance(self, output: str) -> Tolerance:
        return self._golden.tolerances[output] if self._is_measured(output) else _UNMEASURED

    def _same_sums(self, output: str, wrong: Wrong) -> bool:
        """Return whether the elements that are not stored agree too, up to random errors within the tolerance."""
        sums, limit = self._sums(output)
        return bool((np.abs(sums - wrong.sums) <= limit).all())

    def _sums_of(self, output: str) -> tuple[np.ndarray, float]:
        """Return the signed sums of an output, and a bound on how far random errors may change them."""
        array, expected = self._found[output], self._golden.outputs[output]
        where = self._golden.where.get(output) if array.shape == expected.shape else None
        tolerance, scale = self._tolerance(output), self._scale(output) or 1.0
        counted = array if where is None else array[where]
        modulus = np.abs(counted.reshape(-1).astype(np.complex128))
        modulus = modulus[np.isfinite(modulus)]
        allowed = tolerance.atol * np.maximum(1, modulus / scale) + tolerance.rtol * np.minimum(modulus, scale)
        limit = LOOSER * float(np.sqrt(np.sum(allowed**2))) + 1e-9 * float(np.sqrt(np.sum(modulus**2)))
        return signed_sums(array, where), limit


def _merged(diagnoses: list[Diagnosis]) -> list[Diagnosis]:
    """Merge the diagnoses of outputs that have the same explanation."""
    merged: dict[tuple[tuple[str, ...], str], Diagnosis] = {}
    for one in diagnoses:
        place = _SIZE.sub("", one.sentence)
        key = (one.faults, one.transform or one.resembles or ("" if one.faults else place))
        first = merged.setdefault(key, one)
        if first is not one:
            nearest = one if one.distance < first.distance else first
            outputs = first.outputs + one.outputs
            sentence = place if key[1] == place else nearest.sentence
            merged[key] = replace(nearest, outputs=outputs, sentence=sentence)
    return list(merged.values())
