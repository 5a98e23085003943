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
    """What is to be said of outputs that were compared with a golden.

    Attributes:
        golden: what was expected.
        outputs: what was found, by name.
        path: outputs in the order in which they are computed, and where each stands; empty where there is no order.
        comparisons: of every output, missing and extra ones too, in that order, else by name.
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
        """The largest difference in units of the tolerance; inf where no number can say it."""
        return max((comparison.share for comparison in self.comparisons), default=0.0)

    @property
    def failed(self) -> tuple[Comparison, ...]:
        return tuple(comparison for comparison in self.comparisons if not comparison.passed)

    @property
    def passed(self) -> bool:
        return not self.failed

    @cached_property
    def causes(self) -> tuple[Diagnosis, ...]:
        """Why outputs failed. It is found when it is first asked for: that takes longer than the comparison."""
        try:
            return tuple(diagnose(self.golden, self.outputs, self.comparisons, self.path))
        except Exception as broken:  # a failure is reported whatever its explanation does
            names = tuple(comparison.output for comparison in self.failed)
            return (Diagnosis(names, f"none: it failed itself ({type(broken).__name__}: {broken})"),)

    @property
    def faults(self) -> tuple[str, ...]:
        """The declared faults each of which explains the whole failure; none when all passed."""
        named = [set(cause.faults) for cause in self.causes]
        return tuple(sorted(set.intersection(*named))) if named else ()

    @property
    def resembled(self) -> tuple[str, ...]:
        """The declared faults that the whole failure is, or would be but for a residue (``Diagnosis.resembles``)."""
        named = [{*cause.faults, cause.resembles} - {""} for cause in self.causes]
        return tuple(sorted(set.intersection(*named))) if named else ()


def judge(golden: Expected, outputs: Mapping[str, object], path: Mapping[str, str] = MappingProxyType({})) -> Judgement:
    """Compare outputs with what was expected, within its tolerances.

    Args:
        golden: a golden, or anything with its outputs, tolerances, masks and faults.
        outputs: what was found, by name: NumPy arrays in the reference's layout.
        path: outputs in the order in which they are computed, and where each stands (``Operation.path``).
    """
    places = {output: place for place, output in enumerate(path, 1)}
    comparisons = compare_outputs(golden.outputs, outputs, golden.tolerances, golden.where)
    comparisons.sort(key=lambda comparison: places.get(comparison.output, 0))
    return Judgement(golden, outputs, path, tuple(comparisons))
