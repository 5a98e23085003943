"""Find the wrong convention that explains a failure. NumPy only. A diagnosis never turns a failure into a pass.

First come the faults that the golden was proved to catch: what was found is compared with the wrong outputs that the
golden keeps. Then come transforms that no case declares, and the shape of the difference (``golden.judge.transforms``).
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
"""How many tolerances what was found may lie from a fault that it resembles."""
_TELLING, _LEAST_TELLING, _LEAST_SHARE = 30.0, 8, 0.9
"""An element tells of a fault that moves it by thirty times that. What resembles the fault lies near it in nine tenths
of the elements that are kept, and of those that tell of it; these are eight at least."""
_UNMEASURED = Tolerance(1e-6, 1e-6)
"""The tolerance for a fault that returns fractions where the golden has integers."""


_SIZE = re.compile(r"; typically [^;:]+")
"""How large a difference is, after its place; it is another for each output."""


class Expected(Protocol):
    """What outputs are compared with: a golden, or what is to become one."""

    @property
    def outputs(self) -> Arrays: ...

    @property
    def tolerances(self) -> Mapping[str, Tolerance]: ...

    @property
    def where(self) -> Arrays:
        """The elements that count, of some outputs."""

    @property
    def faults(self) -> Mapping[str, Caught]:
        """The faults that it catches, by name."""

    @property
    def parameters(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Diagnosis:
    """Why an output failed, or several for one reason.

    Attributes:
        outputs: names of the outputs.
        sentence: the explanation, for a person.
        faults: names of the declared faults that match; several where they look the same.
        transform: the generic transform that matches, or an empty text.
        distance: largest difference from the explanation, relative to the output's scale; nan without one.
        resembles: the declared fault that it is but for more than rounding, or for a few elements; it is no match.
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
    """Explain every failed output; outputs with one explanation share it.

    Args:
        golden: what was expected.
        outputs: what was found, by name.
        comparisons: of all outputs.
        path: outputs in the order in which they are computed, and where each stands; of these only the first that
            failed is explained.
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
    with np.errstate(all="ignore"):  # what is wrong may be huge, tiny, or no number at all
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
    """Say where on the path the difference begins."""
    begins = next((path[name] for name in one.outputs if name in path), "")
    return replace(one, sentence=f"first differs {begins}: {one.sentence}") if begins else one


class _KnownFaults:
    """Compares what was found with the wrong outputs of the declared faults."""

    def __init__(self, golden: Expected, found: Mapping[str, np.ndarray]) -> None:
        self._golden = golden
        self._found = found
        self._scale = cache(self._scale_of)  # every fault asks for these
        self._sums = cache(self._sums_of)
        self._distances = {
            (name, output): self._distance(output, wrong)
            for name, caught in golden.faults.items()
            for output, wrong in caught.outputs.items()
        }

    def matching(self, failed: tuple[str, ...]) -> list[Diagnosis]:
        """Name the faults whose wrong outputs were all found; if one fault explains all failures, name it alone.

        A fault does not match if it gets wrong what passed, or gets it wrong in another way.
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
        """Name the fault that this output is, but for a residue of some tolerances or for a few elements."""
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
        beyond = "and rounding beyond it" if share == 1 else f"but for {1 - share:.0%} of the elements looked at"
        sentence = f"resembles fault {name!r}, {beyond}: {self._golden.faults[name].symptom}"
        return Diagnosis((output,), sentence, resembles=name)

    def _nearness(self, output: str, wrong: Wrong) -> float:
        """Return the share of the kept elements that lie near a fault's; 0 where too few of them tell of it."""
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
        """Name the fault that this output looks like, although the others contradict it: a hint, no match."""
        near = sorted(
            (distance, name)
            for (name, of), distance in self._distances.items()
            if of == output and distance is not None
        )
        if not near:
            return None
        distance, name = near[0]
        others = sorted(set(self._golden.faults[name].outputs) - {output})
        sentence = f"this output alone looks like fault {name!r}, but {', '.join(others)} would be wrong in another way"
        return Diagnosis((output,), sentence, (), "", distance)

    def _say(self, outputs: tuple[str, ...], matches: list[tuple[float, str]]) -> Diagnosis:
        names = tuple(name for _, name in matches)
        distance = matches[0][0]
        also = f" (here the same as {', '.join(repr(name) for name in names[1:])})" if len(names) > 1 else ""
        close = f" to {distance:.1e}" if distance else " exactly"
        sentence = f"matches fault {names[0]!r}{also}{close}: {self._golden.faults[names[0]].symptom}"
        return Diagnosis(outputs, sentence, names, "", distance)

    def _distance(self, output: str, wrong: Wrong) -> float | None:
        """Measure how far a found output is from a fault's wrong one, relative to its scale; None if they differ."""
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
        """Whether the elements that were not kept agree too, as far as random errors within the tolerance allow."""
        sums, limit = self._sums(output)
        return bool((np.abs(sums - wrong.sums) <= limit).all())

    def _sums_of(self, output: str) -> tuple[np.ndarray, float]:
        """Sum the found output as wrong outputs are summed, and bound how much random errors may change the sums."""
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
    """Tell an explanation once, for all outputs that share it."""
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
