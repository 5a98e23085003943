"""Find what an update says of the goldens that it changed: the reason, who answered, and when.

The reason is the claim under review. It stands in the history of the entries.
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
    """What is said of some goldens.

    Attributes:
        reason: why they changed; empty where their history does not say.
        date: of the update.
        answered: who computed them: reference and versions.
        cases: names of the goldens.
    """

    reason: str
    date: str
    answered: str
    cases: tuple[str, ...]


def claims(before: Entries, after: Entries, changed: Collection[str]) -> list[Claim]:
    """Collect the events that only the newer histories have, the newest first; last what nothing is said of.

    Of a golden that is new, only the newest event counts.

    Args:
        before: the older entries of all goldens that differ, by case; of others too, where only the entry differs.
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
    """Word the claim of an update that is not written yet."""
    return Claim(reason, date, _versions(provenance), cases)


def _versions(of: Mapping[str, Any] | Entry) -> str:
    """Say who computed: the reference first, then TensorFlow, then whatever else is known."""
    others = [key for key in of if key not in (*_SAID_IN_HISTORY, "date", "reason", "before", "after")]
    named = [str(of["reference"])] if "reference" in of else []
    named += [f"TensorFlow {of['tensorflow']}"] if "tensorflow" in of else []
    return ", ".join([*named, *(f"{key.replace('_', ' ')} {of[key]}" for key in others)])
