"""Find which goldens the real package confirmed, or no longer confirms, between two sets of entries."""

from __future__ import annotations

from golden.store.confirmation import confirmation, confirmed_by
from golden.store.entry import Entry
from golden.store.sources import Entries

_MOST_NAMED = 8


def confirmations_changed(before: Entries, after: Entries) -> dict[str, list[str]]:
    """Find which confirmations are new, lost, or from another release.

    Args:
        before: the older entries that differ, by case.
        after: the newer ones.

    Returns:
        Remark -> the cases that it applies to. If an entry cannot be read, the remark says why.
    """
    said: dict[str, list[str]] = {}
    for case in sorted({*before, *after}):
        entries = before.get(case), after.get(case)
        broken = [entry for entry in entries if isinstance(entry, str)]
        old, new = (None if isinstance(entry, str) else _by(entry) for entry in entries)
        if broken:
            said.setdefault(", ".join(broken), []).append(case)
        elif old != new:
            told = f"confirmed by {new}" if new else "no longer confirmed"
            said.setdefault(f"{told} (previously by {old})" if old else told, []).append(case)
    return said


def confirmations_claimed(before: Entries, after: Entries) -> list[str]:
    """List the confirmations that are new or changed: claims, which only a run of that release can check.

    Args:
        before: the older entries that differ, by case.
        after: the newer ones.
    """
    claimed: dict[tuple[str, str], list[str]] = {}
    for case, entry in sorted(after.items()):
        older = before.get(case)
        record = None if isinstance(entry, str) else confirmation(entry)
        if record is not None and record != (confirmation(older) if isinstance(older, dict) else None):
            release = str(record.get("commit", record.get("version")))
            claimed.setdefault((confirmed_by(record), release), []).append(case)
    return [
        f"{len(cases)} golden(s) are said to be confirmed by {by}; to check that, install {release} and run: "
        f"python generate_golden.py --cross-check {by.partition(' ')[0]} --slow --record {' '.join(_patterns(cases))}"
        for (by, release), cases in claimed.items()
    ]


def _patterns(cases: list[str]) -> list[str]:
    """Name cases as arguments of a command: by topic if there are many."""
    topics = sorted({f"{case.partition('/')[0]}/*" for case in cases})
    return cases if len(cases) <= _MOST_NAMED else topics


def _by(entry: Entry | None) -> str:
    record = confirmation(entry or {})
    return confirmed_by(record) if record else ""
