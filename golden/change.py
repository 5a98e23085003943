"""What recomputing a golden found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from golden.compare import Comparison, Verdict
from golden.diagnose import Diagnosis


class Change(Enum):
    """Why a golden needs attention, apart from its values."""

    NEW = "new"
    GONE = "gone: no case declares it"
    REDEFINED = "definition changed"
    UNLISTED = "manifest out of step"
    UNREADABLE = "unreadable"
    REPROVED = "proof changed"
    REDRAWN = "inputs drawn anew"
    SKIPPED = "slow, not recomputed"


@dataclass(frozen=True)
class Row:
    """What the generator found for one case.

    Attributes:
        case: its name.
        change: why it needs attention apart from its values, or None.
        comparisons: of the stored outputs with those recomputed.
        seconds: that recomputing took.
        note: a sentence more.
        outputs: those recomputed, where they moved.
        diagnoses: of what moved beyond the tolerance: what the new answer looks like beside the old one.
    """

    case: str
    change: Change | None = None
    comparisons: tuple[Comparison, ...] = ()
    seconds: float = 0.0
    note: str = ""
    outputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    diagnoses: tuple[Diagnosis, ...] = ()

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
            return self.change is not Change.SKIPPED
        return self.verdict > Verdict.WITHIN_NOISE
