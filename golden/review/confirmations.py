"""Find which goldens the real package confirmed, or no longer confirms, between two sets of entries."""

from __future__ import annotations

from golden.store.confirmation import confirmation, confirmed_by
from golden.store.entry import Entry
from golden.store.sources import Entries


def confirmations_changed(before: Entries, after: Entries) -> dict[str, list[str]]:
    """Say which confirmations came, went, or are another release's.

    Args:
        before: the older entries that differ, by case.
        after: the newer ones.

    Returns:
        What is to be said -> the cases of which it is. An entry that cannot be read says why.
    """
    said: dict[str, list[str]] = {}
    for case in sorted({*before, *after}):
        entries = before.get(case), after.get(case)
        broken = [entry for entry in entries if isinstance(entry, str)]
        old, new = (None if isinstance(entry, str) else _by(entry) for entry in entries)
        if broken:
            said.setdefault(", ".join(broken), []).append(case)
        elif old != new:
            told = f"confirmed by {new}" if new else f"no longer confirmed (by {old} before)"
            said.setdefault(f"{told} (by {old} before)" if old and new else told, []).append(case)
    return said


def _by(entry: Entry | None) -> str:
    record = confirmation(entry or {})
    return confirmed_by(record) if record else ""
