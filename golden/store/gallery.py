"""The PNG beside every golden that can be looked at: what it was drawn from, and whether it is still that one.

A hosting site's image diff then shows what changed. The PNG is drawn anew only when what it shows moved
(``golden.report.thumbnail`` draws).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from golden.spec.arrays import digest_array, is_picture
from golden.store.golden import Golden

PAGE = "GALLERY.md"


def picture_path(fixtures: Path, case: str) -> Path:
    return fixtures / f"{case}.png"


def drawn_from(golden: Golden) -> str:
    """A digest of what is drawn; an empty text when there is nothing to look at."""
    names = outputs_shown(golden)
    digests = [f"{name} {digest_array(golden.outputs[name])}" for name in names]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if names else ""


def problems(golden: Golden, entry: Mapping[str, Any], fixtures: Path) -> list[str]:
    """What is wrong with a golden's picture; empty when nothing is."""
    path = picture_path(fixtures, golden.case)
    if entry.get("drawn_from", "") != drawn_from(golden):
        return [f"picture {golden.case}: drawn from other values than the golden's"]
    if path.is_file() != bool(entry):
        return [f"picture {golden.case}: its file is {'missing' if entry else 'not in the manifest'}"]
    if entry and _digest(path) != entry.get("sha256"):
        return [f"picture {golden.case}: another file than the manifest lists"]
    return []


def picture_entry(golden: Golden, path: Path) -> dict[str, str]:
    """What the manifest says of a picture that was drawn of a golden."""
    return {"drawn_from": drawn_from(golden), "sha256": _digest(path)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def page(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """All pictures under each other, for a browser of the repository; from the manifest's entries."""
    summaries = {case: entry.get("summary") for case, entry in entries.items() if entry.get("picture")}
    lines = ["# Gallery", "", "What the goldens hold: amplitude and phase of their picture-like outputs.", ""]
    for case, summary in sorted(summaries.items()):
        lines += [f"## {case}", "", f"{summary}", "", f"![{case}]({case}.png)", ""]
    return "\n".join(lines)


def outputs_shown(golden: Golden) -> list[str]:
    """The outputs that can be looked at, by name."""
    return [name for name, array in sorted(golden.outputs.items()) if is_picture(array)]
