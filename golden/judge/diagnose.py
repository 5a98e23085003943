"""Which wrong convention explains a failure. NumPy only; explains, and never turns a failure into a pass.

First the faults that the golden was proved to catch: the wrong outputs that it keeps are held against what was found.
Then transforms that no case declares, then the shape of the difference (``golden.judge.transforms``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

import numpy as np

from golden.judge.compare import Comparison, Tolerance, scale_of
from golden.judge.proof import Caught, Wrong, signed_sums
from golden.judge.transforms import LOOSER, Search, apart
from golden.spec.arrays import Arrays

SECONDS = 2.0
"""After which a diagnosis settles for what it has."""

_UNMEASURED = Tolerance(1e-6, 1e-6)
"""For a fault that returns fractions where the golden has exact numbers."""


@dataclass(frozen=True)
class Diagnosis:
    """Why an output, or several, failed.

    Attributes:
        outputs: which.
        sentence: the explanation, for a person.
        faults: declared faults that match; several where they look the same.
        transform: the generic transform that matches, or an empty text.
        distance: largest difference from the explanation, relative to the output's scale; nan without one.
    """

    outputs: tuple[str, ...]
    sentence: str
    faults: tuple[str, ...] = ()
    transform: str = ""
    distance: float = float("nan")


def diagnose(
    expected: Arrays,
    actual: Mapping[str, object],
    comparisons: Sequence[Comparison],
    tolerances: Mapping[str, Tolerance],
    where: Arrays,
    faults: Mapping[str, Caught],
    path: Mapping[str, str] = MappingProxyType({}),
    *,
    seconds: float = SECONDS,
) -> list[Diagnosis]:
    """Explain every failed output; outputs with one explanation share it.

    Args:
        expected: the golden's outputs.
        actual: what was found, by name.
        comparisons: of all outputs.
        tolerances: of the golden's outputs.
        where: the elements that count, of some outputs.
        faults: those that the golden catches.
        path: outputs in the order in which they are computed, and where each stands; of these only the first that
            failed is explained.
        seconds: after which no further explanation is tried.
    """
    deadline = time.monotonic() + seconds
    found = {name: array for name, array in actual.items() if isinstance(array, np.ndarray)}
    failed = {
        comparison.output: comparison
        for comparison in comparisons
        if not comparison.passed and comparison.output in expected and comparison.output in found
    }
    first = next((name for name in path if name in failed), None)
    if first is not None:
        failed = {name: comparison for name, comparison in failed.items() if name == first or name not in path}
    with np.errstate(all="ignore"):  # what is wrong may be huge, tiny, or no number at all
        matches = _Matches(expected, found, tolerances, where, faults)
        diagnoses = matches.whole(tuple(failed))
        explained = {output for one in diagnoses for output in one.outputs}
        for name in (name for name in failed if name not in explained):
            search = Search(failed[name], expected[name], found[name], tolerances[name], where.get(name), deadline)
            told = search.run()
            alone = None if told.transform else matches.alone(name)
            diagnoses.append(alone or Diagnosis((name,), told.sentence, (), told.transform, told.distance))
    return [_placed(one, path) for one in _merged(diagnoses)]


def _placed(one: Diagnosis, path: Mapping[str, str]) -> Diagnosis:
    """With where it began."""
    begins = next((path[name] for name in one.outputs if name in path), "")
    return replace(one, sentence=f"first differs {begins}: {one.sentence}") if begins else one


class _Matches:
    """The declared faults whose wrong outputs are what was found."""

    def __init__(
        self,
        expected: Arrays,
        found: Mapping[str, np.ndarray],
        tolerances: Mapping[str, Tolerance],
        where: Arrays,
        faults: Mapping[str, Caught],
    ) -> None:
        self._expected = expected
        self._found = found
        self._tolerances = tolerances
        self._where = where
        self._faults = faults
        self._scale = cache(self._scale_of)  # asked for by every fault
        self._distances = {
            (name, output): self._distance(output, wrong)
            for name, caught in faults.items()
            for output, wrong in caught.outputs.items()
        }

    def whole(self, failed: tuple[str, ...]) -> list[Diagnosis]:
        """A fault all of whose wrong outputs were found; one that explains all failures, if there is one.

        A fault that should get wrong what passed, or gets it wrong in another way, is none of these.
        """
        matching = {
            name: max(distances)
            for name, caught in self._faults.items()
            if (distances := self._of_all(name, caught)) is not None and set(caught.outputs) <= set(failed)
        }
        by_outputs: dict[frozenset[str], list[tuple[float, str]]] = {}
        for name, distance in matching.items():
            by_outputs.setdefault(frozenset(self._faults[name].outputs), []).append((distance, name))
        told: list[Diagnosis] = []
        for outputs in sorted(by_outputs, key=lambda names: (-len(names), sorted(names))):
            if not any(outputs & set(one.outputs) for one in told):
                told.append(self._say(tuple(name for name in failed if name in outputs), sorted(by_outputs[outputs])))
        return told

    def alone(self, output: str) -> Diagnosis | None:
        """A fault that this output looks like, although the others contradict it: a hint, no match."""
        near = sorted(
            (distance, name)
            for (name, of), distance in self._distances.items()
            if of == output and distance is not None
        )
        if not near:
            return None
        _, name = near[0]
        others = sorted(set(self._faults[name].outputs) - {output})
        sentence = f"this output alone looks like fault {name!r}, but {', '.join(others)} would be wrong in another way"
        return Diagnosis((output,), sentence, (), "", near[0][0])

    def _say(self, outputs: tuple[str, ...], matches: list[tuple[float, str]]) -> Diagnosis:
        names = tuple(name for _, name in matches)
        distance = matches[0][0]
        also = f" (here the same as {', '.join(repr(name) for name in names[1:])})" if len(names) > 1 else ""
        close = f" to {distance:.1e}" if distance else " exactly"
        sentence = f"matches fault {names[0]!r}{also}{close}: {self._faults[names[0]].symptom}"
        return Diagnosis(outputs, sentence, names, "", distance)

    def _of_all(self, name: str, caught: Caught) -> list[float] | None:
        distances = [self._distances[name, output] for output in caught.outputs]
        known = [distance for distance in distances if distance is not None]
        return known if len(known) == len(distances) else None

    def _distance(self, output: str, wrong: Wrong) -> float | None:
        """How far what was found is from a fault's wrong output, relative to its scale; None when that is not it."""
        array = self._found.get(output)
        if array is None or array.shape != wrong.shape:
            return None
        texts = array.dtype.kind == np.dtype(wrong.dtype).kind == "S"
        if not texts and array.dtype.str != wrong.dtype:
            return None
        sampled = array.reshape(-1)[wrong.indices]
        if array.dtype.kind not in "fc":
            same = np.array_equal(sampled, wrong.values) and (texts or self._same_sums(output, wrong, array))
            return 0.0 if same else None
        distance = apart(wrong.values, sampled, self._tolerance(output), self._scale(output))
        return distance if distance is not None and self._same_sums(output, wrong, array) else None

    def _scale_of(self, output: str) -> float:
        return scale_of(self._expected[output]) if self._is_measured(output) else 1.0

    def _tolerance(self, output: str) -> Tolerance:
        return self._tolerances[output] if self._is_measured(output) else _UNMEASURED

    def _is_measured(self, output: str) -> bool:
        return self._expected[output].dtype.kind in "fc"

    def _same_sums(self, output: str, wrong: Wrong, array: np.ndarray) -> bool:
        """Whether the elements that were not kept agree too, as far as random errors within the tolerance allow."""
        where = self._where.get(output) if array.shape == self._expected[output].shape else None
        tolerance, scale = self._tolerance(output), self._scale(output) or 1.0
        counted = array if where is None else array[where]
        modulus = np.abs(counted.reshape(-1).astype(np.complex128))
        modulus = modulus[np.isfinite(modulus)]
        allowed = tolerance.atol * np.maximum(1, modulus / scale) + tolerance.rtol * np.minimum(modulus, scale)
        limit = LOOSER * float(np.sqrt(np.sum(allowed**2))) + 1e-9 * float(np.sqrt(np.sum(modulus**2)))
        return bool((np.abs(signed_sums(array, where) - wrong.sums) <= limit).all())


def _merged(diagnoses: list[Diagnosis]) -> list[Diagnosis]:
    """Outputs with the same explanation told once."""
    merged: dict[tuple[tuple[str, ...], str], Diagnosis] = {}
    for one in diagnoses:
        key = (one.faults, one.transform or ("" if one.faults else one.sentence))
        first = merged.setdefault(key, one)
        if first is not one:
            nearest = one if one.distance < first.distance else first
            outputs = first.outputs + one.outputs
            merged[key] = Diagnosis(outputs, nearest.sentence, one.faults, one.transform, nearest.distance)
    return list(merged.values())
