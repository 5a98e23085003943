"""Collect what updates claim about the goldens that they changed: the reason, the reference, and the date.

The reason is the claim under review. It is stored in the history of the entries.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from golden.store.entry import Entry
from golden.store.sources import Entries

_SAID_IN_HISTORY = ("reference", "tensorflow")


@dataclass(frozen=True)
class Claim:
    """The reason for a change of some goldens.

    Attributes:
        reason: why they changed; empty if their history does not say.
        date: of the update.
        answered: what computed them: the reference, and versions.
        cases: names of the goldens.
    """

    reason: str
    date: str
    answered: str
    cases: tuple[str, ...]


def claims(before: Entries, after: Entries, changed: Collection[str]) -> list[Claim]:
    """Collect the events that only the newer histories have, newest first, and last the goldens without an event.

    Of a new golden, only the newest event counts.

    Args:
        before: the older entries that differ, or whose goldens differ, by case.
        after: the newer ones.
        changed: the goldens that differ.
    """
    told: dict[tuple[str, str, str], list[str]] = {}
    for case, entry in sorted(after.items()):
        if isinstance(entry, str):
            continue
        older = before.get(case, {})
        known = older.get("history", []) if not isinstance(older, str) else []
        events = [event for event in entry["history"] if event not in known][: None if known else 1]
        for event in events:
            who = _versions(entry["provenance"] if event == entry["history"][0] else event)
            told.setdefault((event["date"], event["reason"], who), []).append(case)
        if not events and case in changed:
            told.setdefault(("", "", ""), []).append(case)
    ordered = sorted(told, key=lambda key: (key[0], len(told[key])), reverse=True)
    return [Claim(reason, date, who, tuple(told[date, reason, who])) for date, reason, who in ordered]


def claim_of_update(reason: str, date: str, provenance: Mapping[str, str], cases: tuple[str, ...]) -> Claim:
    """Return the claim of an update that is not yet written."""
    return Claim(reason, date, _versions(provenance), cases)


def _versions(of: Mapping[str, Any] | Entry) -> str:
    """Name what computed: the reference first, then TensorFlow, then everything else that is recorded."""
    others = [key for key in of if key not in (*_SAID_IN_HISTORY, "date", "reason", "before", "after")]
    named = [str(of["reference"])] if "reference" in of else []
    named += [f"TensorFlow {of['tensorflow']}"] if "tensorflow" in of else []
    return ", ".join([*named, *(f"{key.replace('_', ' ')} {of[key]}" for key in others)])
