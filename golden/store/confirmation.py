"""A confirmation says that a release of the real package computes a golden's outputs. It is stored in the entry.

It is bound to the golden's operation, parameters, inputs and outputs. It survives changes of noise, tolerance, masks,
faults and texts, but no change of a value. A record that is bound to other values does not count.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from golden.spec.errors import GoldenError

KEY = "confirmed"
"""The key of the record in an entry."""

Entry = Mapping[str, Any]
Record = dict[str, Any]
"""A record names the release that confirmed a golden (``release_of``), the TensorFlow that it ran on and the date. Its
``share`` is the largest difference, in tolerances, with two digits; its ``value`` (``value_of``) binds it.
"""

_KEYS = frozenset({"reference", "tensorflow", "date", "share", "value"})
_CLAIM = ("reference", "commit", "version", "value")
"""The keys that say which release confirmed which value."""
_SHOWN = 7
"""Digits of a commit that are shown."""


def release_of(provenance: Mapping[str, str]) -> Record:
    """Identify a reference's release: its name and its commit, or its version if no commit is known.

    Raises:
        GoldenError: nobody else could get that release.
    """
    name, commit = provenance.get("reference", ""), provenance.get("commit", "")
    version = provenance.get("version", "unknown")
    if "+" in commit:
        raise GoldenError(
            f"reference {name}: its checkout has changes that are not in commit {commit[:_SHOWN]}, so nobody else "
            f"could get what a record names; commit or stash them, or leave out --record"
        )
    if not commit and version == "unknown":
        raise GoldenError(
            f"reference {name}: it has neither commit nor version, so a record could not name it; use a git "
            f"checkout or an installed release, or leave out --record"
        )
    return {"reference": name, **({"commit": commit} if commit else {"version": version})}


def value_of(entry: Entry) -> str:
    """Digest what a confirmation is bound to, as listed in the entry; 16 hexadecimal digits."""
    arrays = [
        {name: array.get("sha256") for name, array in entry.get(group, {}).items()} for group in ("inputs", "outputs")
    ]
    bound = [entry.get("operation"), entry.get("parameters"), *arrays]
    return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()[:16]


def confirmation(entry: Entry) -> Record | None:
    """Return an entry's record; None if there is none, or if it is bound to other values."""
    record: Record | None = entry.get(KEY)
    return record if record is not None and record["value"] == value_of(entry) else None


def is_stale(entry: Entry) -> bool:
    """Tell whether an entry has a record that is bound to other values."""
    return KEY in entry and confirmation(entry) is None


def is_rewritten(record: Record, newer: Record) -> bool:
    """Return whether a release's record of the same value changed. The generator writes such a record only once."""
    return record != newer and all(record.get(key) == newer.get(key) for key in _CLAIM)


def with_confirmation(entry: Entry, record: Record | None) -> dict[str, Any]:
    """Return an entry with only this record, below its history."""
    kept: dict[str, Any] = {}
    for key, value in entry.items():
        if key != KEY:
            kept[key] = value
        if key == "history" and record is not None:
            kept[KEY] = record
    return kept


def is_record(record: object) -> bool:
    """Tell whether something has the form of a record."""
    if not isinstance(record, dict) or len(record) != len(_KEYS) + 1 or not record.keys() > _KEYS:
        return False
    (release,) = record.keys() - _KEYS
    share, texts = record["share"], [text for key, text in record.items() if key != "share"]
    is_share = isinstance(share, (int, float)) and 0 <= share <= 1
    return is_share and release in ("commit", "version") and all(isinstance(text, str) for text in texts)


def release_text(record: Record) -> str:
    """Return the commit that confirmed, shortened, or the version."""
    return str(record["commit"])[:_SHOWN] if "commit" in record else str(record["version"])


def confirmed_by(record: Record) -> str:
    """Name the release that confirmed: ``ptycho 712c23f``."""
    return f"{record['reference']} {release_text(record)}"


def counted(entries: Mapping[str, Entry]) -> str:
    """Say how many of some goldens are confirmed, and by which releases."""
    records = [record for entry in entries.values() if (record := confirmation(entry)) is not None]
    counts = Counter(map(confirmed_by, records)).most_common()
    by = ", ".join(f"{name} ({count})" if len(counts) > 1 else name for name, count in counts)
    return f"{len(records)} of {len(entries)} goldens are confirmed" + (f" by {by}" if by else "")
