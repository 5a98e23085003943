"""What differs between two sets of goldens: files, directories, or git revisions. Decides nothing; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from golden.judge.compare import Comparison, Tolerance, Verdict, compare_outputs
from golden.judge.diagnose import Diagnosis, diagnose
from golden.review.change import Change, Row
from golden.review.margins import proof_moved
from golden.spec.arrays import digest_array
from golden.store.golden import Golden
from golden.store.sources import Goldens


@dataclass(frozen=True)
class Difference:
    """One case in two states.

    Attributes:
        case: its name.
        kind: "added", "removed", "changed", or "unreadable".
        remarks: what changed apart from outputs, a sentence each; or why it cannot be read.
        comparisons: of the outputs, the old ones as what was expected, within the old tolerance.
        diagnoses: of outputs that moved beyond it.
        before, after: the goldens, where there are any.
    """

    case: str
    kind: str
    remarks: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    before: Golden | None = None
    after: Golden | None = None

    @property
    def verdict(self) -> Verdict:
        return max((comparison.verdict for comparison in self.comparisons), default=Verdict.IDENTICAL)


Order = Mapping[str, str]
"""Outputs in the order in which they are computed, and where each stands (``Operation.path``)."""


def differences(before: Goldens, after: Goldens, paths: Mapping[str, Order] = MappingProxyType({})) -> list[Difference]:
    """Every case whose golden is not the same in both, in order of their names.

    Args:
        before: the older goldens, by case.
        after: the newer ones.
        paths: of cases whose outputs follow from each other: there the first that differs is explained.
    """
    found = []
    for case in sorted(set(before) | set(after)):
        one, other = before.get(case), after.get(case)
        broken = [golden for golden in (one, other) if isinstance(golden, str)]
        if broken:
            found.append(Difference(case, "unreadable", tuple(broken)))
        elif one is None or isinstance(one, str):
            assert isinstance(other, Golden)
            found.append(Difference(case, "added", (other.summary,), after=other))
        elif other is None or isinstance(other, str):
            found.append(Difference(case, "removed", (one.summary,), before=one))
        elif one.content_digest() != other.content_digest():
            found.append(_difference(case, one, other, paths.get(other.case, {})))
        elif dict(one.provenance) != dict(other.provenance):
            said = f"provenance only: {_told(one.provenance)}, now {_told(other.provenance)}"
            found.append(Difference(case, "changed", (said,), (), (), one, other))
    return [_with_name(one) for one in found]


def _told(provenance: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in provenance.items())


def _with_name(one: Difference) -> Difference:
    """Under the case that a file of its own says it holds; with a remark where the place of a file says another."""
    says = [golden.case for golden in (one.before, one.after) if golden is not None]
    if says and "/" not in one.case:
        return replace(one, case=says[0])
    wrong = tuple(f"it lies under this name, but says that it is {name}" for name in sorted({*says} - {one.case}))
    return replace(one, remarks=wrong + one.remarks) if wrong else one


def difference_of(row: Row, path: Order = MappingProxyType({})) -> Difference:
    """What the generator found, as a difference between what is stored and what was computed."""
    kinds = {Change.NEW: "added", Change.GONE: "removed", Change.UNREADABLE: "unreadable"}
    label = row.change.value if row.change and row.change not in kinds else ""
    if row.before is not None and row.after is not None:
        found = _difference(row.case, row.before, row.after, path)
        others = [remark for remark in found.remarks if remark != label]
        return replace(found, remarks=tuple(filter(None, (label, row.note, *others))))
    kind = kinds.get(row.change, "changed") if row.change else "changed"
    golden = row.after or row.before
    remarks = filter(None, (label, row.note, golden.summary if golden else ""))
    return Difference(row.case, kind, tuple(remarks), before=row.before, after=row.after)


def _difference(case: str, before: Golden, after: Golden, path: Order) -> Difference:
    comparisons = compare_outputs(before.outputs, after.outputs, before.tolerances, before.where)
    places = {output: place for place, output in enumerate(path, 1)}
    comparisons.sort(key=lambda comparison: places.get(comparison.output, 0))
    told: list[Diagnosis] = []
    if not _changed(before.inputs, after.inputs) and before.parameters == after.parameters:
        told = diagnose(
            before.outputs, after.outputs, comparisons, before.tolerances, before.where, before.faults, path
        )
    remarks = [*_remarks_of_case(before, after), *_remarks_of_proof(before, after)]
    if not any(comparison.verdict > Verdict.WITHIN_NOISE for comparison in comparisons):
        remarks += _remarks_of_faults(before, after)  # of outputs that moved, what faults make of them moves too
    if not remarks and all(comparison.verdict is Verdict.IDENTICAL for comparison in comparisons):
        remarks = ["only what is not compared differs: masked elements, or signs of zeros"]
    return Difference(case, "changed", tuple(remarks), tuple(comparisons), tuple(told), before, after)


def _remarks_of_case(before: Golden, after: Golden) -> list[str]:
    """What was computed, and from what."""
    remarks = []
    for what in ("case", "operation", "summary", "producer"):
        old, new = getattr(before, what), getattr(after, what)
        if old != new:
            remarks.append(f"{what}: {old!r}, now {new!r}")
    if dict(before.parameters) != dict(after.parameters):
        remarks.append(f"parameters: {dict(before.parameters)}, now {dict(after.parameters)}")
    inputs = _changed(before.inputs, after.inputs)
    if inputs or before.derived != after.derived:
        remarks.append(f"other inputs: {', '.join(inputs) or 'of the recipe'}")
    if before.draw != after.draw:
        remarks.append(f"inputs of draw {before.draw}, now of draw {after.draw}")
    if before.definition != after.definition:
        remarks.append(Change.REDEFINED.value)
    return remarks


def _remarks_of_proof(before: Golden, after: Golden) -> list[str]:
    """What outputs are held to: tolerances, masks, faults."""
    remarks = []
    for name in sorted(set(before.outputs) & set(after.outputs)):
        old, new = before.tolerances[name], after.tolerances[name]
        if old != new:
            remarks.append(f"tolerance of {name!r}: {_line(old)}, now {_line(new)}{_times(old.atol, new.atol)}")
        elif before.noise.get(name) != after.noise.get(name):
            remarks.append(f"noise of {name!r} is made up otherwise")
        counted = [_counted(golden, name) for golden in (before, after)]
        if _changed(_only(before.where, name), _only(after.where, name)):
            remarks.append(
                f"compared of {name!r}: {counted[0]} elements, now {'other ' * (counted[0] == counted[1])}{counted[1]}"
            )
    for what, old_reasons, new_reasons in (
        ("expected to be constant", before.expected_constant, after.expected_constant),
        ("faults that it cannot see", before.invisible, after.invisible),
    ):
        names = [n for n in sorted({*old_reasons, *new_reasons}) if old_reasons.get(n) != new_reasons.get(n)]
        if names:
            remarks.append(f"{what}: other reasons, or none, for {', '.join(names)}")
    for what, missing in (
        ("no longer proved to catch", set(before.faults) - set(after.faults)),
        ("now proved to catch", set(after.faults) - set(before.faults)),
    ):
        if missing:
            remarks.append(f"{what}: {', '.join(sorted(missing))}")
    return remarks


def _remarks_of_faults(before: Golden, after: Golden) -> list[str]:
    both = sorted(set(before.faults) & set(after.faults))
    only = [replace(golden, faults={name: golden.faults[name] for name in both}) for golden in (before, after)]
    if all(one == other for one, other in zip(*(_table_of(golden) for golden in only))):
        return []
    moved = proof_moved(
        only[0], replace(only[1], tolerances=before.tolerances, where=before.where, invisible=before.invisible)
    )
    return [moved or "what faults make of it differs within rounding"]


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
    """One line over all of them."""
    if not found:
        return "no golden differs"
    counts = {kind: sum(one.kind == kind for one in found) for kind in ("added", "removed", "changed", "unreadable")}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
