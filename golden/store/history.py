"""The history of a golden is the list of events in its entry. They give the reasons for its content, newest first.

Each event leads from one content to the next, by the first digits of their digests, so the history is a chain. An event
may also say what it weakens: the gate reports a weakening that no event names (``golden.review.gate``).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from golden.spec.references import described

Event = Mapping[str, Any]

WEAKENS = "weakens"
"""The key under which an event says what it weakens, and why it may."""
_ALWAYS = ("date", "reason", "tensorflow", "before", "after")
_SOMETIMES = ("reference", WEAKENS)
_DIGITS = re.compile(r"[0-9a-f]{16}")


def event(
    reason: str, provenance: Mapping[str, str], before: str | None, after: str, weakens: str = ""
) -> dict[str, Any]:
    """Make an event with today's date.

    Args:
        reason: why the golden changes.
        provenance: of the golden.
        before: digest of its previous content; None if the golden is new.
        after: digest of its new content.
        weakens: what gets weaker, and why it may; empty if nothing does.
    """
    return {
        "date": today(),
        "reason": reason,
        **({WEAKENS: weakens} if weakens else {}),
        "reference": described(provenance),
        "tensorflow": provenance.get("tensorflow", "-"),
        "before": before and before[:16],
        "after": after[:16],
    }


def today() -> str:
    """Return today's date, as events give it."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def problems(history: Sequence[Event], content: str, provenance: Mapping[str, str]) -> list[str]:
    """List what is wrong with a history; nothing if it is sound.

    Args:
        history: the events, newest first; at least one.
        content: digest of the golden's content.
        provenance: of the golden.
    """
    told = [
        said for number, one in enumerate(history, 1) if (said := _strange(one, f"event {number} of {len(history)}"))
    ]
    if told:
        return told
    newest = history[0]
    if newest["after"] != content[:16]:
        return ["the newest event of its entry's history does not lead to this content"]
    if any(one["before"] != older["after"] for one, older in pairwise(history)):
        told.append("an event of its entry's history does not follow the one before")
    if history[-1]["before"] is not None:
        told.append("its entry's history does not begin with its first content: older events are missing")
    if any(one["date"] < older["date"] for one, older in pairwise(history)):
        told.append("the events of its entry's history are not in the order of their dates")
    made_with = (provenance.get("tensorflow", "-"), described(provenance))
    if (newest["tensorflow"], newest.get("reference", made_with[1])) != made_with:
        told.append(
            f"the newest event of its entry's history names TensorFlow {newest['tensorflow']}, "
            f"{newest.get('reference', 'no reference')}; the file says {made_with[0]}, {made_with[1]}"
        )
    return told


def _strange(one: Event, name: str) -> str:
    """Say how an event differs from what the generator writes; an empty text if it does not."""
    unknown, missing = sorted({*one} - {*_ALWAYS, *_SOMETIMES}), sorted({*_ALWAYS} - {*one})
    if unknown or missing:
        return f"{name} in its entry's history has the unknown keys {unknown}, and lacks {missing}"
    texts = {key: value for key, value in one.items() if key != "before" or value is not None}
    empty = [key for key, value in texts.items() if not isinstance(value, str) or not value.strip()]
    if empty:
        return f"{name} in its entry's history: expected a text for each of {empty}"
    if not _is_date(one["date"]):
        return f"{name} in its entry's history: {one['date']!r} is not a date; expected YYYY-MM-DD"
    if not all(_DIGITS.fullmatch(one[key] or "0" * 16) for key in ("before", "after")):
        return f"{name} in its entry's history: before and after must each be the first 16 digits of a digest"
    return ""


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
