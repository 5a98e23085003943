"""Whether two references agree on the outputs of a golden, within its tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from golden.judge.compare import compare_outputs
from golden.judge.diagnose import Diagnosis, diagnose
from golden.review.change import Change, Row
from golden.spec.arrays import Arrays
from golden.store.golden import Golden


@dataclass(frozen=True)
class Crossing:
    """What was found for one case.

    Attributes:
        row: the comparison, the first reference's outputs as what was expected; or why there is none.
        causes: why they differ, of outputs beyond the tolerance.
        unanswered: which reference cannot express which operation, and why; mostly empty.
    """

    row: Row
    causes: tuple[Diagnosis, ...] = ()
    unanswered: str = ""

    @property
    def has_golden(self) -> bool:
        """Whether there are both a case and a golden; without, there is nothing to agree on."""
        return self.row.change not in (Change.NEW, Change.GONE)

    @property
    def agrees(self) -> bool:
        """False also where something is wrong with the golden, so that nothing could be compared."""
        if self.row.change is Change.FAILED:
            return False
        if self.row.change is not None:
            return not (self.has_golden and self.row.moved)
        return all(comparison.passed for comparison in self.row.comparisons)


def cross(
    golden: Golden, expected: Arrays, found: Arrays, seconds: float, path: Mapping[str, str] = MappingProxyType({})
) -> Crossing:
    """Compare what two references made of a golden's inputs, ``expected`` and ``found``, in so many seconds.

    ``path`` is that of the case's operation.
    """
    # Where the first reference no longer gives the golden's shape, the golden's mask says nothing of its output.
    where = {name: mask for name, mask in golden.where.items() if mask.shape == expected[name].shape}
    comparisons = compare_outputs(expected, found, golden.tolerances, where)
    causes = diagnose(expected, found, comparisons, golden.tolerances, where, golden.faults, path)
    return Crossing(Row(golden.case, None, tuple(comparisons), seconds), tuple(causes))
