"""Find what differs between two goldens of one case: stored and recomputed, old and new, or of two references.

It decides nothing and writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from types import MappingProxyType

import numpy as np

from golden.judge.compare import Comparison, Tolerance, Verdict
from golden.judge.diagnose import Diagnosis
from golden.judge.drift import drift, rule_of
from golden.judge.judgement import Judgement, judge
from golden.review.margins import proof_moved
from golden.spec.arrays import digest_array
from golden.spec.operation import Label
from golden.store.golden import Golden
from golden.store.sources import Goldens

Order = Mapping[str, str]
"""Output -> its stage of the computation, in the order in which they are computed (``Operation.path``)."""


class Change(Enum):
    """Why a golden needs attention, apart from its values."""

    NEW = "new"
    GONE = "gone: no case declares it"
    REDEFINED = "definition changed"
    UNLISTED = "entry out of step"
    UNREADABLE = "unreadable"
    REPROVED = "proof changed"
    REDRAWN = "new inputs drawn"
    REWRITTEN = "texts or format"
    PICTURE = "picture out of step"
    FAILED = "failed"
    SKIPPED = "slow, not recomputed"
    UNANSWERED = "reference lacks it"
    CONFIRMED = "already confirmed"


_KINDS = {
    Change.NEW: "added",
    Change.GONE: "removed",
    Change.UNREADABLE: "unreadable",
    Change.REWRITTEN: "changed",
}
"""Changes that need no remark of their own, because the heading or another remark states them."""


@dataclass(frozen=True, eq=False)
class Difference:
    """One case in two states.

    Attributes:
        case: name of the case.
        change: why it needs attention apart from its values, or None.
        before, after: the golden in either state; None if it does not exist or was not needed.
        path: outputs in the order in which they are computed; only the first that differs is explained.
        notes: what the two goldens themselves do not show, a sentence each.
        seconds: how long it took to compute the outputs; 0 if nothing was computed.
    """

    case: str
    change: Change | None = None
    before: Golden | None = None
    after: Golden | None = None
    path: Order = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @cached_property
    def judgement(self) -> Judgement | None:
        """The newer outputs, judged by the older golden; None if either is missing."""
        if self.before is None or self.after is None:
            return None
        return judge(self.before, self.after.outputs, self.path)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        return self.judgement.comparisons if self.judgement else ()

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict if self.judgement else Verdict.IDENTICAL

    @property
    def share(self) -> float:
        return self.judgement.share if self.judgement else 0.0

    @cached_property
    def causes(self) -> tuple[Diagnosis, ...]:
        """Why outputs differ by more than the tolerance; empty if they have other inputs or parameters."""
        if self.judgement is None or self.before is None or self.after is None:
            return ()
        if _changed(self.before.inputs, self.after.inputs) or self.before.parameters != self.after.parameters:
            return ()
        return self.judgement.causes

    @cached_property
    def drifts(self) -> Mapping[str, str]:
        """Output -> the one rule by which all of it moved, for outputs that moved within the tolerance."""
        if self.before is None or self.after is None:
            return {}
        before, after = self.before, self.after
        moved = [one.output for one in self.comparisons if one.passed and one.verdict is not Verdict.IDENTICAL]
        said = {name: drift(before.outputs[name], after.outputs[name], before.where.get(name)) for name in moved}
        return {name: sentence for name, sentence in said.items() if sentence}

    @property
    def explanations(self) -> frozenset[str]:
        """The explanations of the difference: faults, transforms, or the one rule by which all of an output moved."""
        named = {f"fault {cause.faults[0]!r}" if cause.faults else cause.transform for cause in self.causes}
        return frozenset({*named, *map(rule_of, self.drifts.values())} - {""})

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """Everything to report besides the outputs, a sentence each."""
        told = [self.change.value] if self.change and self.change not in _KINDS else []
        told += self.notes
        if self.before is not None and self.after is not None:
            told += _remarks(self.before, self.after, self.verdict)
        elif (golden := self.after or self.before) is not None:
            told.append(golden.summary)
        return tuple(dict.fromkeys(told))

    @property
    def kind(self) -> str:
        """One of "added", "removed", "changed" and "unreadable"."""
        return _KINDS.get(self.change, "changed") if self.change else "changed"

    @property
    def label(self) -> str:
        return self.change.value if self.change else self.verdict.label

    @property
    def severity(self) -> tuple[int, int, float]:
        """A sort key. From worst to least: unreadable, beyond the tolerance, removed, added, any other change."""
        rank = {"unreadable": 3, "changed": 2, "removed": 1, "added": 0}[self.kind]
        is_moved = self.verdict > Verdict.WITHIN_TOLERANCE
        return (rank if rank != 2 or is_moved else -1, self.verdict, self.share)

    @property
    def moved(self) -> bool:
        """Whether the generator has something to write."""
        if self.change is not None:
            return self.change not in (Change.SKIPPED, Change.UNANSWERED, Change.FAILED, Change.CONFIRMED)
        return self.verdict > Verdict.WITHIN_NOISE

    @property
    def has_golden(self) -> bool:
        """Whether both a case and a golden exist; otherwise nothing can be compared."""
        return self.change not in (Change.NEW, Change.GONE)

    @property
    def agrees(self) -> bool:
        """Whether two references agree; False if nothing was compared because something is wrong with the golden."""
        if self.change is not None:
            return self.change in (Change.NEW, Change.GONE, Change.SKIPPED, Change.UNANSWERED, Change.CONFIRMED)
        return self.verdict <= Verdict.WITHIN_TOLERANCE


def worst_first(found: Iterable[Difference]) -> list[Difference]:
    """Sort differences, the worst first, and equally bad ones by name."""
    return sorted(sorted(found, key=lambda one: one.case), key=lambda one: one.severity, reverse=True)


def differences(before: Goldens, after: Goldens, paths: Mapping[str, Order] = MappingProxyType({})) -> list[Difference]:
    """Find every case whose golden is not the same in both, the worst first.

    Args:
        before: the older goldens, by case.
        after: the newer ones.
        paths: the order of the outputs, for cases whose outputs follow from each other.
    """
    found = []
    for case in sorted(set(before) | set(after)):
        one, other = before.get(case), after.get(case)
        broken = [golden for golden in (one, other) if isinstance(golden, str)]
        if broken:
            found.append(Difference(case, Change.UNREADABLE, notes=tuple(broken)))
        elif one is None or isinstance(one, str):
            assert isinstance(other, Golden)
            found.append(Difference(case, Change.NEW, after=other))
        elif other is None or isinstance(other, str):
            found.append(Difference(case, Change.GONE, before=one))
        elif not _same(one, other):
            found.append(Difference(case, None, one, other, paths.get(other.case, {})))
    return worst_first(_with_name(one) for one in found)


def _same(one: Golden, other: Golden) -> bool:
    """Tell whether nothing differs between two goldens."""
    alike = one.lies_like(other) and dict(one.provenance) == dict(other.provenance)
    return alike and one.content_digest() == other.content_digest()


def _with_name(one: Difference) -> Difference:
    """Take the case's name from a golden that was compared as a single file; note if a file has another case's name."""
    says = [golden.case for golden in (one.before, one.after) if golden is not None]
    if says and "/" not in one.case:
        return replace(one, case=says[0])
    wrong = tuple(f"its file has this name, but holds {name}" for name in sorted({*says} - {one.case}))
    return replace(one, notes=wrong + one.notes) if wrong else one


# ------------------------------------------------------------------------------------------------ remarks


def _remarks(before: Golden, after: Golden, verdict: Verdict) -> list[str]:
    """Say what changed apart from outputs, a sentence each."""
    remarks = [*_remarks_of_case(before, after), *_remarks_of_proof(before, after)]
    if verdict <= Verdict.WITHIN_NOISE:  # if outputs moved, the faults' wrong outputs moved too
        remarks += _remarks_of_faults(before, after)
    if not before.lies_like(after):
        same = before.content_digest() == after.content_digest()
        remarks.append(f"{'the same content in another form' if same else 'form of its file'}: {_form(before, after)}")
    if remarks or verdict is not Verdict.IDENTICAL:
        return remarks
    if before.content_digest() != after.content_digest():
        return ["only elements that are not compared differ (masked ones), or signs of zeros"]
    if dict(before.provenance) != dict(after.provenance):
        return [f"provenance only: {_told(before.provenance)}, now {_told(after.provenance)}"]
    return []


def _form(before: Golden, after: Golden) -> str:
    """Say how the files of two goldens differ apart from their content."""
    parts = [] if before.format == after.format else [f"{before.format}, now {after.format}"]
    if not before.labels and after.labels:
        return "; ".join([*parts, f"axes and units of {len(after.labels)} arrays added"])
    other = sorted(
        path for path in {*before.labels, *after.labels} if before.labels.get(path) != after.labels.get(path)
    )
    return "; ".join([*parts, *(f"{path}: {_labelled(before, path)}, now {_labelled(after, path)}" for path in other)])


def _labelled(golden: Golden, path: str) -> str:
    label = golden.labels.get(path, Label())
    return f"{label.axes or 'no axes'} [{label.unit or 'no unit'}]"


def _told(provenance: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in provenance.items())


def _remarks_of_case(before: Golden, after: Golden) -> list[str]:
    """Compare what was computed, and from what."""
    remarks = []
    for what in ("case", "operation", "summary", "producer"):
        old, new = getattr(before, what), getattr(after, what)
        if old != new:
            remarks.append(f"{what}: {old!r}, now {new!r}")
    if dict(before.parameters) != dict(after.parameters):
        remarks.append(f"parameters: {dict(before.parameters)}, now {dict(after.parameters)}")
    inputs = _changed(before.inputs, after.inputs)
    if inputs or before.derived != after.derived:
        remarks.append(f"inputs changed: {', '.join(inputs) or 'those of the recipe'}")
    if before.draw != after.draw:
        remarks.append(f"inputs of draw {before.draw}, now of draw {after.draw}")
    if before.definition != after.definition:
        remarks.append(Change.REDEFINED.value)
    return remarks


def _remarks_of_proof(before: Golden, after: Golden) -> list[str]:
    """Compare what outputs are checked with: tolerances, masks, faults."""
    remarks = []
    for name in sorted(set(before.outputs) & set(after.outputs)):
        old, new = before.tolerances[name], after.tolerances[name]
        if old != new:
            remarks.append(f"tolerance of {name!r}: {_line(old)}, now {_line(new)}{_times(old.atol, new.atol)}")
        elif before.noise.get(name) != after.noise.get(name):
            remarks.append(f"noise of {name!r}: the runs' contributions changed")
        counted = [_counted(golden, name) for golden in (before, after)]
        if _changed(_only(before.where, name), _only(after.where, name)):
            other = "another " if counted[0] == counted[1] else ""
            remarks.append(f"compared elements of {name!r}: {counted[0]}, now {other}{counted[1]}")
    for what, old_reasons, new_reasons in (
        ("expected to be constant", before.expected_constant, after.expected_constant),
        ("faults that it cannot see", before.invisible, after.invisible),
    ):
        names = [n for n in sorted({*old_reasons, *new_reasons}) if old_reasons.get(n) != new_reasons.get(n)]
        if names:
            remarks.append(f"{what}: changed for {', '.join(names)}")
    for what, missing in (
        ("no longer proved to catch", set(before.faults) - set(after.faults)),
        ("now proved to catch", set(after.faults) - set(before.faults)),
    ):
        if missing:
            remarks.append(f"{what}: {', '.join(sorted(missing))}")
    return remarks


def _remarks_of_faults(before: Golden, after: Golden) -> list[str]:
    """Compare the wrong outputs of the faults that both goldens catch."""
    both = sorted(set(before.faults) & set(after.faults))
    only = [replace(golden, faults={name: golden.faults[name] for name in both}) for golden in (before, after)]
    if all(one == other for one, other in zip(*(_table_of(golden) for golden in only))):
        return []
    moved = proof_moved(
        only[0], replace(only[1], tolerances=before.tolerances, where=before.where, invisible=before.invisible)
    )
    return [moved or "the faults' wrong outputs differ only by rounding"]


def _table_of(golden: Golden) -> list[object]:
    return [
        (
            name,
            caught.symptom,
            output,
            wrong.shape,
            wrong.dtype,
            wrong.share,
            wrong.distance,
            *(digest_array(array) for array in (wrong.indices, wrong.values, wrong.sums)),
        )
        for name, caught in golden.faults.items()
        for output, wrong in sorted(caught.outputs.items())
    ]


def _only(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {key: array for key, array in arrays.items() if key == name}


def _counted(golden: Golden, name: str) -> str:
    array, where = golden.outputs[name], golden.where.get(name)
    return f"{array.size if where is None else np.count_nonzero(where)} of {array.size}"


def _line(tolerance: Tolerance) -> str:
    return f"{tolerance.atol:.2e} + {tolerance.rtol:.2e} |e|"


def _times(old: float, new: float) -> str:
    return f" ({new / old:.3g} x)" if old else ""


def _changed(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> list[str]:
    same = {name for name in set(before) & set(after) if digest_array(before[name]) == digest_array(after[name])}
    return sorted((set(before) | set(after)) - same)


def summary(found: Sequence[Difference]) -> str:
    """Count the differences of each kind and, for changed goldens, how far their outputs moved, in one line."""
    if not found:
        return "no golden differs"
    counts = {kind: sum(one.kind == kind for one in found) for kind in ("added", "removed", "changed", "unreadable")}
    verdicts = Counter(one.verdict for one in found if one.comparisons)
    moved = ", ".join(f"{verdicts[verdict]} {verdict.label}" for verdict in sorted(verdicts, reverse=True))
    told = {"changed": f" (outputs: {moved})" if moved else ""}
    return ", ".join(f"{count} {kind}{told.get(kind, '')}" for kind, count in counts.items() if count)


def verdicts_counted(comparisons: Sequence[Comparison]) -> str:
    """Count the outputs that did not move beyond the tolerance: ``9 identical, 6 within noise``."""
    counts = Counter(one.verdict for one in comparisons if one.passed)
    return ", ".join(f"{counts[verdict]} {verdict.label}" for verdict in sorted(counts))
