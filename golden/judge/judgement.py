"""Judge the outputs of a case: compare each, and diagnose those that fail. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from golden.judge.compare import Comparison, Verdict, compare_outputs
from golden.judge.diagnose import Diagnosis, Expected, diagnose


@dataclass(frozen=True, eq=False)
class Judgement:
    """The result of comparing outputs with a golden.

    Attributes:
        golden: what was expected.
        outputs: what was found, by name.
        path: outputs in the order in which they are computed, with the position of each in words; empty if there is no
            order.
        comparisons: of every output, including missing and extra ones, in that order, else by name.
    """

    golden: Expected
    outputs: Mapping[str, object]
    path: Mapping[str, str]
    comparisons: tuple[Comparison, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst over all outputs."""
        return max((comparison.verdict for comparison in self.comparisons), default=Verdict.IDENTICAL)

    @property
    def share(self) -> float:
        """The largest difference in units of the tolerance; inf if it has no number."""
        return max((comparison.share for comparison in self.comparisons), default=0.0)

    @property
    def failed(self) -> tuple[Comparison, ...]:
        return tuple(comparison for comparison in self.comparisons if not comparison.passed)

    @property
    def passed(self) -> bool:
        return not self.failed

    @cached_property
    def causes(self) -> tuple[Diagnosis, ...]:
        """Why outputs failed; computed on first access, because it takes longer than the comparison."""
        try:
            return tuple(diagnose(self.golden, self.outputs, self.comparisons, self.path))
        except Exception as broken:  # report the failure even if its explanation fails
            names = tuple(comparison.output for comparison in self.failed)
            return (Diagnosis(names, f"none; the diagnosis itself failed ({type(broken).__name__}: {broken})"),)

    @property
    def faults(self) -> tuple[str, ...]:
        """The declared faults that each explain the whole failure; none if all passed."""
        named = [set(cause.faults) for cause in self.causes]
        return tuple(sorted(set.intersection(*named))) if named else ()

    @property
    def resembled(self) -> tuple[str, ...]:
        """The declared faults that each explain the whole failure, exactly or nearly (``Diagnosis.resembles``)."""
        named = [{*cause.faults, cause.resembles} - {""} for cause in self.causes]
        return tuple(sorted(set.intersection(*named))) if named else ()


def judge(golden: Expected, outputs: Mapping[str, object], path: Mapping[str, str] = MappingProxyType({})) -> Judgement:
    """Compare outputs with what was expected, within its tolerances.

    Args:
        golden: a golden, or anything with its outputs, tolerances, masks and faults.
        outputs: what was found, by name: NumPy arrays in the reference's layout.
        path: outputs in the order in which they are computed, with the position of each in words (``Operation.path``).
    """
    places = {output: place for place, output in enumerate(path, 1)}
    comparisons = compare_outputs(golden.outputs, outputs, golden.tolerances, golden.where)
    comparisons.sort(key=lambda comparison: places.get(comparison.output, 0))
    return Judgement(golden, outputs, path, tuple(comparisons))
