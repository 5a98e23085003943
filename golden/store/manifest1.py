"""Read MANIFEST.json, which held all entries before each golden had one of its own: history oldest first."""

from __future__ import annotations

from golden.store.contents import parse_json
from golden.store.entry import Entry

FILE = "MANIFEST.json"
_FORMAT = "ptycho-golden manifest 1"


def entries(text: str) -> dict[str, Entry]:
    """Return the entries, by case, their histories newest first; nothing if the text is not such a manifest."""
    try:
        manifest = parse_json(text)
    except ValueError:
        return {}
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT or not isinstance(manifest["cases"], dict):
        return {}
    return {case: {**entry, "history": entry["history"][::-1]} for case, entry in manifest["cases"].items()}
