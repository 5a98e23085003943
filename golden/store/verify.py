"""Whether a fixtures directory is sound: files, manifest, pictures and cases say the same and name each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.store import gallery
from golden.store.entry import NAME, Entry, make_entry, read_manifest
from golden.store.golden import Golden, golden_path, require_producer, stored_cases
from golden.store.guard import read_untrusted


def verify(fixtures: Path, cases: Mapping[str, Case]) -> list[str]:
    """Everything that is wrong with a fixtures directory; empty when nothing is.

    Checks that every file reads and matches its digests, that the manifest says what the files say, and that cases,
    files and manifest name each other without exception.
    """
    try:
        entries = read_manifest(fixtures)
    except GoldenError as broken:
        return [str(broken)]
    files = stored_cases(fixtures)
    problems = []
    for name in sorted(set(cases) - files):
        problems.append(
            f"case {name}: no golden; make it with 'python generate_golden.py --update --reason ... {name}'"
        )
    for name in sorted(files - set(cases)):
        problems.append(
            f"golden {name}: no case declares it; remove it with 'python generate_golden.py --update --reason ...'"
        )
    for name in sorted(set(entries) - files):
        problems.append(f"manifest entry {name}: its file is missing")
    problems += [f"file {name}: neither a golden (TOPIC/CASE.h5) nor the manifest" for name in _strays(fixtures)]
    proved = []
    for name, golden in zip(sorted(files), read_untrusted([golden_path(fixtures, name) for name in sorted(files)])):
        if isinstance(golden, str):
            problems.append(golden)
        else:
            problems += _verify_one(golden, name, entries.get(name), fixtures)
            problems += _not_allowed(golden, cases.get(name))
            proved.append(replace(golden, inputs={}, outputs={}, where={}))  # one at a time is in memory
    if read_page(fixtures) != gallery.page(entries):
        problems.append(f"{fixtures / gallery.PAGE}: out of step with the manifest")
    return problems + blind_spots(proved)


def read_page(fixtures: Path) -> str:
    """The gallery's page as it lies there; the page of an empty gallery where there is none."""
    try:
        return (fixtures / gallery.PAGE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return gallery.page({})


def _table(value: Any) -> Entry:
    return value if isinstance(value, dict) else {}


def _strays(fixtures: Path) -> list[str]:
    """Files that are neither goldens, nor their pictures, nor the manifest, nor part of an update."""
    files = (path.relative_to(fixtures) for path in fixtures.rglob("*") if path.is_file())
    known = {f"{name}.{kind}" for name in stored_cases(fixtures) for kind in ("h5", "png")} | {NAME, gallery.PAGE}
    return sorted(f.as_posix() for f in files if f.as_posix() not in known and not f.parts[0].startswith("."))


def blind_spots(goldens: Iterable[Golden]) -> list[str]:
    """Goldens that catch nothing, and faults that no golden of their operation catches."""
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
            f"fault {name!r} of operation {operation}: invisible in every case; add one that shows it"
            for name in sorted(declared[operation] - caught[operation])
        ]
    return problems


def _verify_one(golden: Golden, name: str, entry: Entry | None, fixtures: Path) -> list[str]:
    if golden.case != name:
        return [f"golden {name}: the file says that it is {golden.case}"]
    if entry is None:
        return [f"golden {name}: not in the manifest"]
    history = entry.get("history")
    picture = _table(entry.get("picture"))
    expected = make_entry(golden, history if isinstance(history, list) else [], picture)
    if not expected["history"] or expected["history"][-1].get("after") != expected["content"][:16]:
        return [f"golden {name}: the manifest's history does not end with this content"]
    problems = [
        f"golden {name}: the manifest's {key!r} is out of step with the file"
        for key in expected
        if not _same(entry.get(key), expected[key])
    ]
    return problems + gallery.problems(golden, picture, fixtures)


def _not_allowed(golden: Golden, case: Case | None) -> list[str]:
    """Say who produced a golden, where its case does not allow that."""
    try:
        if case is not None:
            require_producer(case, golden.producer)
    except GoldenError as wrong:
        return [str(wrong)]
    return []


def _same(found: Any, expected: Any) -> bool:
    """Equal, but for the last digits of statistics, which depend on the machine's order of summation."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and set(found) == set(expected)
            and all(_same(found[k], expected[k]) for k in expected)
        )
    if isinstance(expected, float) and isinstance(found, (int, float)):
        return math.isclose(found, expected, rel_tol=1e-4)
    return type(found) is type(expected) and found == expected
