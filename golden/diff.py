"""What differs between two sets of goldens: files, directories, or git revisions. Decides nothing; writes nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from golden.case import GoldenError, digest_array
from golden.change import Change, Row
from golden.compare import Comparison, Verdict, compare_outputs
from golden.diagnose import Diagnosis, diagnose
from golden.git import run_git
from golden.guard import read_untrusted
from golden.manifest import stored_cases
from golden.margins import proof_moved
from golden.store import Golden, golden_path

Goldens = Mapping[str, Golden | str]
"""By case; a text in place of a golden says why it cannot be read."""


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


def differences(before: Goldens, after: Goldens) -> list[Difference]:
    """Every case whose golden is not the same in both, in order of their names."""
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
            found.append(_difference(case, one, other))
    return found


def difference_of(row: Row) -> Difference:
    """What the generator found, as a difference between what is stored and what was computed."""
    kinds = {Change.NEW: "added", Change.GONE: "removed", Change.UNREADABLE: "unreadable"}
    label = row.change.value if row.change else ""
    if row.before is not None and row.after is not None:
        found = _difference(row.case, row.before, row.after)
        return replace(found, remarks=tuple(filter(None, (label, row.note, *found.remarks))))
    kind = kinds.get(row.change, "changed") if row.change else "changed"
    golden = row.after or row.before
    remarks = filter(None, (label, row.note, golden.summary if golden else ""))
    return Difference(row.case, kind, tuple(remarks), before=row.before, after=row.after)


def _difference(case: str, before: Golden, after: Golden) -> Difference:
    comparisons = compare_outputs(before.outputs, after.outputs, before.tolerances, before.where)
    told = diagnose(before.outputs, after.outputs, comparisons, before.tolerances, before.where, before.faults)
    remarks = _remarks(before, after)
    if max(comparison.verdict for comparison in comparisons) <= Verdict.WITHIN_NOISE:
        # Of outputs that moved, the noise and the wrong ones move too: that says nothing more.
        remarks += filter(None, [proof_moved(before, after)]) if set(before.faults) == set(after.faults) else []
    return Difference(case, "changed", tuple(remarks), tuple(comparisons), tuple(told), before, after)


def _remarks(before: Golden, after: Golden) -> list[str]:
    remarks = []
    for what in ("operation", "summary", "producer"):
        old, new = getattr(before, what), getattr(after, what)
        if old != new:
            remarks.append(f"{what}: {old!r}, now {new!r}")
    if dict(before.parameters) != dict(after.parameters):
        remarks.append(f"parameters: {dict(before.parameters)}, now {dict(after.parameters)}")
    inputs = _changed(before.inputs, after.inputs)
    if inputs or before.derived != after.derived:
        drawn = f" (draw {before.draw}, now {after.draw})" if before.draw != after.draw else ""
        remarks.append(f"other inputs: {', '.join(inputs) or 'of the recipe'}{drawn}")
    if before.definition != after.definition:
        remarks.append("the case's definition changed")
    for what, names in (
        ("no longer proved to catch", set(before.faults) - set(after.faults)),
        ("now proved to catch", set(after.faults) - set(before.faults)),
    ):
        if names:
            remarks.append(f"{what}: {', '.join(sorted(names))}")
    return remarks


def _changed(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> list[str]:
    same = {name for name in set(before) & set(after) if digest_array(before[name]) == digest_array(after[name])}
    return sorted((set(before) | set(after)) - same)


# ------------------------------------------------------------------------------------------------ where they come from


def goldens_of(source: Path) -> dict[str, Golden | str]:
    """The goldens of a directory of fixtures, or a single file.

    Raises:
        GoldenError: there is no such file or directory.
    """
    if source.is_dir():
        names = sorted(stored_cases(source))
        return dict(zip(names, read_untrusted([golden_path(source, name) for name in names])))
    if not source.exists():
        raise GoldenError(f"{source}: no such file or directory")
    (golden,) = read_untrusted([source])
    return {golden.case if isinstance(golden, Golden) else source.stem: golden}


def goldens_of_revision(revision: str, fixtures: Path) -> dict[str, Golden | str]:
    """The goldens of a git revision, read without a checkout.

    Args:
        revision: a commit, branch or tag.
        fixtures: the directory as it lies in the working tree.

    Raises:
        GoldenError: no git, no clone, or no such revision.
    """
    top = Path(run_git(fixtures, "rev-parse", "--show-toplevel").decode().strip())
    commit = run_git(fixtures, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    inside = PurePosixPath(fixtures.resolve().relative_to(top.resolve()).as_posix())
    listed = run_git(top, "ls-tree", "-r", "-z", "--name-only", commit, "--", str(inside)).decode()
    names = [PurePosixPath(name) for name in listed.split("\0") if name.endswith(".h5")]
    with tempfile.TemporaryDirectory(prefix="golden-diff-") as scratch:
        files = [Path(scratch) / f"{number}.h5" for number in range(len(names))]
        for file, name in zip(files, names):
            file.write_bytes(run_git(top, "cat-file", "blob", f"{commit}:{name}"))
        goldens = read_untrusted(files)
    return {
        name.relative_to(inside).with_suffix("").as_posix(): (
            golden.replace(str(file), f"{revision}:{name}") if isinstance(golden, str) else golden
        )
        for name, file, golden in zip(names, files, goldens)
    }


def sources(first: str, second: str | None, fixtures: Path) -> tuple[dict[str, Golden | str], dict[str, Golden | str]]:
    """The two sets that ``golden diff`` was asked for.

    Two files or directories; or ``A..B``, two revisions, and ``A...B``, from where B left A, as git has it; or one
    revision, against the working tree. An empty side is HEAD.

    Raises:
        GoldenError: something is not there.
    """
    if second is not None:
        return goldens_of(Path(first)), goldens_of(Path(second))
    if ".." not in first:
        return goldens_of_revision(first, fixtures), goldens_of(fixtures)
    dots = "..." if "..." in first else ".."
    before, after = (side or "HEAD" for side in first.split(dots, maxsplit=1))
    if dots == "...":
        before = run_git(fixtures, "merge-base", "--end-of-options", before, after).decode().strip()
    return goldens_of_revision(before, fixtures), goldens_of_revision(after, fixtures)


def summary(found: Sequence[Difference]) -> str:
    """One line over all of them."""
    if not found:
        return "no golden differs"
    counts = {kind: sum(one.kind == kind for one in found) for kind in ("added", "removed", "changed", "unreadable")}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
