"""What recomputing a golden found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from golden.judge.compare import Comparison, Verdict
from golden.store.golden import Golden


class Change(Enum):
    """Why a golden needs attention, apart from its values."""

    NEW = "new"
    GONE = "gone: no case declares it"
    REDEFINED = "definition changed"
    UNLISTED = "entry out of step"
    UNREADABLE = "unreadable"
    REPROVED = "proof changed"
    REDRAWN = "inputs drawn anew"
    PICTURE = "picture out of step"
    FAILED = "failed"
    SKIPPED = "slow, not recomputed"
    UNANSWERED = "no call for it"


@dataclass(frozen=True)
class Row:
    """What the generator found for one case.

    Attributes:
        case: its name.
        change: why it needs attention apart from its values, or None.
        comparisons: of the stored outputs with those recomputed.
        seconds: that recomputing took.
        note: a sentence more.
        before, after: of a case that moved: what is stored, and what was computed; None where there is none (yet).
    """

    case: str
    change: Change | None = None
    comparisons: tuple[Comparison, ...] = ()
    seconds: float = 0.0
    note: str = ""
    before: Golden | None = None
    after: Golden | None = None

    @property
    def verdict(self) -> Verdict:
        return max((comparison.verdict for comparison in self.comparisons), default=Verdict.IDENTICAL)

    @property
    def share(self) -> float:
        return max((comparison.share for comparison in self.comparisons), default=0.0)

    @property
    def label(self) -> str:
        return self.change.value if self.change else self.verdict.label

    @property
    def moved(self) -> bool:
        if self.change is not None:
            return self.change not in (Change.SKIPPED, Change.UNANSWERED, Change.FAILED)
        return self.verdict > Verdict.WITHIN_NOISE
