"""Check that the goldens, entries, pictures and cases of a fixtures directory agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.store import gallery, history
from golden.store.confirmation import KEY, confirmed_by, is_stale
from golden.store.entry import Entry, listed_cases, make_entry, read_entry
from golden.store.folder import MOST_ENTRIES, printable, survey
from golden.store.golden import Golden, golden_path, require_producer, stored_cases
from golden.store.guard import read_untrusted, reading
from golden.store.soundness import is_declared_by, unsound_alone, unsound_in
from golden.store.update import KINDS, interrupted

_UPDATE = "python generate_golden.py --update --reason ..."
_CONFIRM = "confirm it again: python generate_golden.py --cross-check ... --record"


def verify(fixtures: Path, cases: Mapping[str, Case]) -> list[str]:
    """List everything that is wrong with a fixtures directory; nothing if it is sound.

    Checks that every file can be read and matches its digests, that the numbers in a file agree with each other, that
    entries agree with files, and that every case has a golden and an entry, and vice versa.
    """
    found = survey(fixtures)
    entries_size = sum(size for name, size in found.files.items() if name.endswith(".json"))
    if entries_size > MOST_ENTRIES:
        return [f"{fixtures}: {entries_size} bytes of entries; at most {MOST_ENTRIES} are read"]
    files, listed = stored_cases(fixtures), listed_cases(fixtures)
    with reading([golden_path(fixtures, name) for name in sorted(files)]) as goldens:  # starts before entries are read
        entries, broken = _read_all(fixtures, listed)
        waiting = {} if broken else interrupted(fixtures)
        problems = [*broken, *found.strange, *_unmatched(found.files, files, listed, waiting, cases)]
        proved = []
        for name, golden in zip(sorted(files), goldens):
            if isinstance(golden, str):
                problems.append(golden)
                continue
            if name in entries and name not in waiting:
                problems += _verify_one(golden, name, entries[name], fixtures)
            elif name not in listed:
                problems.append(f"golden {name}: it has no entry")
            if name in cases and golden.case == name:
                problems += _not_allowed(golden, cases[name]) or unsound_in(golden, cases[name])
                problems += _said_otherwise(golden, cases[name])
            proved.append(replace(golden, inputs={}, outputs={}, where={}))  # keep the arrays of only one in memory
    if not broken:
        problems += _page_otherwise(fixtures, entries)
    return problems + blind_spots(proved)


def _unmatched(
    found: Iterable[str],
    files: frozenset[str],
    listed: frozenset[str],
    waiting: Mapping[str, Iterable[str]],
    cases: Iterable[str],
) -> Iterator[str]:
    """List goldens, entries, cases and other files that lack their counterpart.

    Args:
        found: names of all files.
        files: names of goldens.
        listed: names of entries.
        waiting: what an interrupted update has still to replace, by name of golden.
        cases: names of cases.
    """
    there, declared = files.union(waiting), frozenset(cases)
    known = {f"{name}.{kind}" for name in files | listed for kind in KINDS}
    yield from (f"golden {name}: {_interruption(kinds)}" for name, kinds in waiting.items())
    yield from (f"case {name}: no golden; generate it with '{_UPDATE} {name}'" for name in sorted(declared - there))
    yield from (f"golden {name}: no case declares it; remove it with '{_UPDATE}'" for name in sorted(files - declared))
    yield from (f"entry {name}: its golden is missing" for name in sorted(listed - there))
    yield from (
        f"file {printable(name)}: neither a golden (TOPIC/CASE.h5) nor a file beside one"
        for name in sorted({*found} - known - {gallery.PAGE})
    )


def _page_otherwise(fixtures: Path, entries: Mapping[str, Entry]) -> list[str]:
    """List what is wrong with the page of all goldens."""
    try:
        if gallery.read_page(fixtures) == gallery.page(entries):
            return []
    except GoldenError as closed:
        return [str(closed)]
    return [f"{fixtures / gallery.PAGE}: out of step with the entries; '{_UPDATE}' rewrites it"]


def verify_some(fixtures: Path, names: Sequence[str], cases: Mapping[str, Case]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with single goldens, their entries and pictures, by name.

    Args:
        fixtures: the directory.
        names: of the goldens.
        cases: those that are known. A golden of another definition gets only the checks that need no case.
    """
    for name, golden in zip(names, read_untrusted([golden_path(fixtures, name) for name in names])):
        if isinstance(golden, str):
            yield name, golden
            continue
        try:
            entry = read_entry(fixtures, name)
        except GoldenError as broken:
            yield name, str(broken)
            continue
        known = name in cases and is_declared_by(golden, cases[name])
        found = unsound_in(golden, cases[name]) if known else unsound_alone(golden)
        yield from ((name, said) for said in (*_verify_one(golden, name, entry, fixtures), *found))


def _interruption(kinds: Iterable[str]) -> str:
    """Say that an update was interrupted, and which files still wait."""
    files = " and ".join(f".{kind}" for kind in kinds)
    return (
        f"an update was interrupted before its {files} was replaced; the generator finishes it: "
        f"python generate_golden.py"
    )


def _read_all(fixtures: Path, listed: frozenset[str]) -> tuple[dict[str, Entry], list[str]]:
    """Read the entries that can be read, and list what is wrong with the others."""
    entries, problems = {}, []
    for name in sorted(listed):
        try:
            entries[name] = read_entry(fixtures, name)
        except GoldenError as broken:
            problems.append(str(broken))
    return entries, problems


def blind_spots(goldens: Iterable[Golden]) -> list[str]:
    """Find goldens that catch nothing, and faults that no golden of their operation catches."""
    problems = []
    caught: dict[str, set[str]] = {}
    declared: dict[str, set[str]] = {}
    for golden in goldens:
        if not golden.faults:
            problems.append(f"golden {golden.case}: catches no fault, so nothing shows that a wrong port would fail it")
        caught.setdefault(golden.operation, set()).update(golden.faults)
        declared.setdefault(golden.operation, set()).update(golden.faults, golden.invisible)
    for operation in sorted(declared):
        problems += [
            f"fault {name!r} of operation {operation}: invisible in every case; add a case that shows it"
            for name in sorted(declared[operation] - caught[operation])
        ]
    return problems


def _verify_one(golden: Golden, name: str, entry: Entry, fixtures: Path) -> list[str]:
    if golden.case != name:
        return [f"golden {name}: the file says that it is {golden.case}"]
    picture = entry.get("picture", {})
    expected = make_entry(golden, entry["history"], picture, entry.get(KEY))
    wrong = history.problems(entry["history"], expected["content"], golden.provenance)
    problems = [f"golden {name}: {said}" for said in wrong]
    if entry["history"][0]["after"] != expected["content"][:16]:
        return problems  # it describes another file
    problems += [
        f"golden {name}: the {key!r} of its entry is out of step with the file"
        for key in expected
        if not _same(entry.get(key), expected[key])
    ]
    problems += [f"golden {name}: its entry has an unknown key {key!r}" for key in sorted({*entry} - {*expected, KEY})]
    if is_stale(entry):
        by = confirmed_by(entry[KEY])
        problems.append(f"golden {name}: {by} confirmed other values, which does not count; {_CONFIRM} {name}")
    return problems + gallery.problems(golden, picture, fixtures)


def _not_allowed(golden: Golden, case: Case) -> list[str]:
    """Report a golden's producer if its case does not allow it."""
    try:
        require_producer(case, golden.producer)
    except GoldenError as wrong:
        return [str(wrong)]
    return []


def _said_otherwise(golden: Golden, case: Case) -> list[str]:
    """Report texts, axes and units of a golden that are not those that its case declares."""
    try:
        labels = golden.labels_of(case.operation)
    except GoldenError as wrong:
        return [f"golden {golden.case}: {wrong}"]
    symptoms = {f"fault {fault.name}": fault.symptom for fault in case.operation.faults}
    told = {f"fault {name}": caught.symptom for name, caught in golden.faults.items()}
    # Added and removed faults are a change of the definition, which is reported elsewhere.
    told = {key: symptom for key, symptom in told.items() if key in symptoms}
    found: dict[str, Any] = {**golden.labels, "summary": golden.summary, **told}
    declared: dict[str, Any] = {**labels, "summary": case.summary, **{key: symptoms[key] for key in told}}
    other = sorted(key for key in {*declared, *found} if declared.get(key) != found.get(key))
    if not other:
        return []
    named = ", ".join(other[:3]) + (f" and {len(other) - 3} more" if len(other) > 3 else "")
    return [
        f"golden {golden.case}: its case declares other texts, axes or units for {named}; "
        f"'{_UPDATE} {golden.case}' rewrites them"
    ]


def _same(found: Any, expected: Any) -> bool:
    """Compare all but the last digits of statistics, which depend on the machine's order of summation."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and set(found) == set(expected)
            and all(_same(found[k], expected[k]) for k in expected)
        )
    if isinstance(expected, float) and isinstance(found, (int, float)):
        return math.isclose(found, expected, rel_tol=1e-4)
    return type(found) is type(expected) and found == expected
