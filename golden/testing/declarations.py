"""The declarations of a subject, a TOML file: known differences, slack, and operations that it does not offer.

.. code-block:: toml

    ["merge.merge"]         # an operation, a way (probe.normalise__hard_mask), cases (merge/n64*), or a pattern of them
    reason = "the numerator is masked on purpose"
    fault = "numerator_masked"               # optional: the golden must look like it if it can show, else agree

    ["reassembly.position"]
    slack = 8                                # times the tolerance; at most half the margin of the nearest fault
    reason = "grid_sample forms its weights in normalised coordinates"

    ["network.*"]
    not_offered = "the port trains with its own optimiser"
"""

from __future__ import annotations

import difflib
import fnmatch
import math
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.judge.judgement import Judgement
from golden.judge.proof import Caught
from golden.report.run import Check
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.store.folder import read_small
from golden.testing.subject import Subject, label

_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "reason": str,
    "fault": str,
    "slack": (int, float),
    "not_offered": str,
}


@dataclass(frozen=True)
class Declaration:
    """One entry of the file.

    Attributes:
        key: an operation, a way, a case, or a pattern of them; a case has a '/'.
        reason: why.
        fault: name of the fault that a known difference looks like; empty if none is named.
        slack: factor of the tolerance; 1 for a known difference.
        not_offered: whether the subject cannot do this.
    """

    key: str
    reason: str
    fault: str = ""
    slack: float = 1.0
    not_offered: bool = False

    @property
    def known(self) -> bool:
        """Return whether this declares a difference, not slack or an operation that is not offered."""
        return self.slack == 1 and not self.not_offered

    def covers(self, case: Case, way: str) -> bool:
        if "/" in self.key:
            return fnmatch.fnmatchcase(case.name, self.key)
        return fnmatch.fnmatchcase(label(case.operation.name, way), self.key)

    def __str__(self) -> str:
        if self.not_offered:
            return f"not offered: {self.key}: {self.reason}"
        if not self.known:
            return f"slack {self.slack:g}: {self.key}: {self.reason}"
        return f"known difference: {self.key}: {self.reason}" + (f" (fault {self.fault!r})" if self.fault else "")


@dataclass(frozen=True)
class Ruling:
    """The effect of a declaration on one golden.

    Attributes:
        excuse: why it may differ; empty if it may not.
        contradiction: why the declaration is wrong here; empty if it is right.
        slack: factor of its tolerances.
        remark: a further remark.
    """

    excuse: str = ""
    contradiction: str = ""
    slack: float = 1.0
    remark: str = ""


class Declarations:
    """The entries of a file.

    Args:
        entries: the declarations.
        source: name of the file, for messages.
    """

    def __init__(self, entries: Sequence[Declaration] = (), source: str = "") -> None:
        self.entries = tuple(entries)
        self._source = source

    def of(self, case: Case, way: str) -> Declaration | None:
        """Return the declaration of a golden computed in some way."""
        return next((entry for entry in self.entries if entry.covers(case, way)), None)

    def absent(self, operation: str) -> Declaration | None:
        """Return the entry that declares an operation as not offered."""
        absent = (entry for entry in self.entries if entry.not_offered and "/" not in entry.key)
        return next((entry for entry in absent if fnmatch.fnmatchcase(operation, entry.key)), None)

    def stale(self, checks: Iterable[Check], cases: Mapping[str, Case]) -> list[str]:
        """Report known differences that no longer exist: all of their goldens were compared, and all agree."""
        checks = list(checks)
        told = []
        for entry in (entry for entry in self.entries if entry.known and not entry.fault):
            covered = [check for check in checks if entry.covers(cases[check.case], check.way)]
            wanted = {name for name, case in cases.items() if not case.slow and self._may_cover(entry, case)}
            if covered and wanted <= {check.case for check in covered} and all(check.agrees for check in covered):
                told.append(
                    f"{self._source}: {entry.key!r} is declared to differ ({entry.reason}), but all "
                    f"{len(covered)} of its goldens agree: remove the entry"
                )
        return told

    @staticmethod
    def _may_cover(entry: Declaration, case: Case) -> bool:
        if "/" in entry.key:
            return entry.covers(case, "")
        return fnmatch.fnmatchcase(case.operation.name, entry.key.partition("__")[0])


def read_declarations(path: Path, cases: Mapping[str, Case], subject: Subject | None) -> Declarations:
    """Read the file, and refuse entries that make no sense.

    Args:
        path: of the file.
        cases: all cases.
        subject: the subject of the declarations; None if tests call the port themselves.

    Raises:
        GoldenError: the file is not TOML, an entry has no reason, its key covers nothing, its fault is unknown to the
            operation, its fields exclude each other, or two entries cover one golden.
    """
    try:
        table = tomllib.loads(read_small(path).decode())
    except (FileNotFoundError, GoldenError, ValueError, RecursionError) as broken:
        raise GoldenError(f"{path}: expected a TOML file of known differences ({broken})") from None
    entries = [_declaration(path, key, fields) for key, fields in table.items()]
    ways = {label(operation, way.name) for operation, ways in (subject.ways if subject else {}).items() for way in ways}
    operations = {case.operation.name for case in cases.values()}
    for entry in entries:
        _require_meaning(path, entry, cases, ways | operations, subject)
    _require_one_each(path, entries, cases, ways | operations)
    return Declarations(entries, path.name)


def _declaration(path: Path, key: str, fields: Any) -> Declaration:
    where = f"{path}: [{key!r}]"
    if not isinstance(fields, dict):
        raise GoldenError(f'{where}: expected a table: ["{key}"], and below it reason = "…"')
    for name, value in fields.items():
        if name not in _FIELDS:
            raise GoldenError(f"{where}: unknown field {name!r}; expected one of {', '.join(_FIELDS)}")
        if not isinstance(value, _FIELDS[name]) or isinstance(value, bool):
            raise GoldenError(f"{where}: {name} = {value!r}: expected a {'number' if name == 'slack' else 'text'}")
    absent, fault, slack = fields.get("not_offered"), fields.get("fault", ""), fields.get("slack")
    if sum(map(bool, (absent, fault, slack))) > 1:
        raise GoldenError(f"{where}: give one of fault, slack and not_offered; they exclude each other")
    reason = str(absent or fields.get("reason", "")).strip()
    if not reason:
        raise GoldenError(
            f'{where}: it needs a reason = "…"' if absent is None else f"{where}: not_offered needs a text"
        )
    if slack is not None and not (math.isfinite(slack) and slack > 1):
        raise GoldenError(f"{where}: slack = {slack:g}: expected a number above 1, a factor of the tolerance")
    return Declaration(key, reason, fault, float(slack or 1), absent is not None)


def _require_meaning(
    path: Path, entry: Declaration, cases: Mapping[str, Case], labels: Collection[str], subject: Subject | None
) -> None:
    where = f"{path}: [{entry.key!r}]"
    if "/" not in entry.key and not fnmatch.filter(labels, entry.key):
        near = difflib.get_close_matches(entry.key, labels, n=3)
        raise GoldenError(
            f"{where}: no operation or way has this name{f'; nearest: {chr(44).join(near)}' if near else ''}; a "
            f"pattern of cases has a '/'"
        )
    covered = [case for case in cases.values() if Declarations._may_cover(entry, case)]
    if not covered:
        near = difflib.get_close_matches(entry.key, list(cases), n=3)
        raise GoldenError(f"{where}: no case matches{f'; nearest: {chr(44).join(near)}' if near else ''}")
    faults = {fault.name for case in covered for fault in case.operation.faults}
    if entry.fault and entry.fault not in faults:
        near = difflib.get_close_matches(entry.fault, faults, n=3)
        raise GoldenError(
            f"{where}: no operation of these cases declares fault = {entry.fault!r}"
            f"{f'; nearest: {chr(44).join(near)}' if near else ''}; 'golden faults --by-fault' lists them"
        )
    offered = sorted(fnmatch.filter(subject.ways, entry.key)) if subject is not None and "/" not in entry.key else []
    if entry.not_offered and offered and subject is not None:
        raise GoldenError(
            f"{where}: declared not_offered, but {subject.name} offers {', '.join(offered)}: remove one of the two"
        )


def _require_one_each(
    path: Path, entries: Sequence[Declaration], cases: Mapping[str, Case], labels: Collection[str]
) -> None:
    for case in cases.values():
        for way in {name.partition("__")[2] for name in labels if name.partition("__")[0] == case.operation.name}:
            keys = [entry.key for entry in entries if entry.covers(case, way)]
            if len(keys) > 1:
                raise GoldenError(
                    f"{path}: {' and '.join(map(repr, keys))} both cover {case.name} of "
                    f"{label(case.operation.name, way)}; expected one entry for each golden"
                )


def rule(declaration: Declaration | None, faults: Mapping[str, Caught], judgement: Judgement | None) -> Ruling:
    """Apply a declaration to one golden.

    Args:
        declaration: of the golden; None if there is none.
        faults: that the golden catches in the outputs that the subject offers.
        judgement: of the outputs; None if the subject raised an exception instead.
    """
    if declaration is None:
        return Ruling()
    if declaration.not_offered:
        if judgement is None:
            return Ruling(excuse=declaration.reason)
        return Ruling(
            contradiction=f"{declaration.key!r} is declared not offered ({declaration.reason}), but the subject "
            f"returns outputs: remove the entry"
        )
    if judgement is None:
        return Ruling()
    if not declaration.known:
        return _slackened(declaration, faults)
    if not declaration.fault:
        return Ruling() if judgement.passed else Ruling(excuse=declaration.reason)
    shows = declaration.fault in faults
    if shows and judgement.passed:
        return Ruling(
            contradiction=f"it is declared to differ as fault {declaration.fault!r} does ({declaration.reason}), but "
            f"it agrees: remove the entry, or narrow {declaration.key!r}"
        )
    if shows and declaration.fault in judgement.faults:
        return Ruling(excuse=declaration.reason)
    if judgement.passed:
        return Ruling()
    why = "it differs in another way" if shows else "that fault cannot show in this golden"
    return Ruling(contradiction=f"it is declared to differ as fault {declaration.fault!r} does, but {why}")


def _slackened(declaration: Declaration, faults: Mapping[str, Caught]) -> Ruling:
    margin, nearest = min(((caught.margin, name) for name, caught in faults.items()), default=(0.0, ""))
    if not nearest:
        return Ruling(
            remark=f"slack {declaration.slack:g} is refused here: no fault shows in the outputs that are offered"
        )
    if declaration.slack <= margin / 2:
        return Ruling(slack=declaration.slack)
    return Ruling(
        remark=f"slack {declaration.slack:g} is refused here: fault {nearest!r} is {margin:.3g} tolerances away, so "
        f"at most {margin / 2:.3g} is allowed"
    )
