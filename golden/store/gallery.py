"""The gallery keeps a PNG beside each golden that has a picture, and one page that shows them all.

A hosting site's image diff then shows what changed. The PNG is redrawn only if what it shows changed;
``golden.report.thumbnail`` draws it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from golden.spec.arrays import digest_array, is_picture
from golden.spec.errors import GoldenError
from golden.store.confirmation import confirmation, counted
from golden.store.folder import UnreadableError, read_small
from golden.store.golden import Golden
from golden.store.spoilt import what_happened

PAGE = "README.md"
_LARGEST = 2**24
"""The largest picture that is read, in bytes; ours have about 50 kB."""


def picture_path(fixtures: Path, case: str) -> Path:
    return fixtures / f"{case}.png"


def outputs_shown(golden: Golden) -> list[str]:
    """Name the outputs that the picture shows."""
    return [name for name, array in sorted(golden.outputs.items()) if is_picture(array)]


def drawn_from(golden: Golden) -> str:
    """Digest the outputs that the picture shows; an empty text if there are none."""
    names = outputs_shown(golden)
    digests = [f"{name} {digest_array(golden.outputs[name])}" for name in names]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if names else ""


def picture_entry(golden: Golden, path: Path) -> dict[str, str]:
    """Return the record of a golden's picture for its entry."""
    return {"drawn_from": drawn_from(golden), "sha256": file_digest(path)}


def file_digest(path: Path) -> str:
    """Digest a picture's file.

    Raises:
        GoldenError: it is not a file, or too large.
    """
    return hashlib.sha256(read_small(path, _LARGEST)).hexdigest()


def read_picture(fixtures: Path, case: str) -> bytes:
    """Read the file of a golden's picture.

    Raises:
        GoldenError: it is not a file, or too large.
    """
    return read_small(picture_path(fixtures, case), _LARGEST)


def problems(golden: Golden, listed: Mapping[str, Any], fixtures: Path) -> list[str]:
    """List what is wrong with a golden's picture; nothing if it is sound.

    Args:
        golden: the golden.
        listed: the picture's record in its entry; empty if it has none.
        fixtures: the directory.
    """
    path = picture_path(fixtures, golden.case)
    if path.is_symlink():
        return [f"picture {golden.case}: a symbolic link, not a file"]
    drawn = drawn_from(golden)
    if bool(drawn) != bool(listed):
        says = (
            "lists none, but the golden has outputs to draw" if drawn else "lists one, but the golden has none to draw"
        )
        return [f"picture {golden.case}: its entry {says}"]
    if listed.get("drawn_from", "") != drawn:
        return [f"picture {golden.case}: drawn from other values than the golden's"]
    if path.is_file() != bool(listed):
        return [f"picture {golden.case}: its file is {'missing' if listed else 'not in the entry'}"]
    try:
        same = not listed or file_digest(path) == listed.get("sha256")
    except GoldenError as refused:
        return [f"picture {golden.case}: {refused}"]
    if not same:
        spoilt = what_happened(read_small(path, _LARGEST))
        return [f"picture {golden.case}: {spoilt or 'not the file that the entry lists'}"]
    return []


def page(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """List all goldens by name, with their pictures, for a reader who opens the directory on a hosting site."""
    lines = [
        "# Goldens",
        "",
        "What TensorFlow computes, frozen. Of each golden: data (`.h5`), words (`.json`), picture (`.png`).",
    ]
    if any(confirmation(entry) for entry in entries.values()):
        lines += ["", f"{counted(entries)}."]
    topic = ""
    for case, entry in sorted(entries.items()):
        if case.split("/")[0] != topic:
            topic = case.split("/")[0]
            lines += ["", f"## {topic}"]
        lines += ["", f"[{case}]({case}.json)"]
        lines += ["", f"![{case}]({case}.png)"] if entry.get("picture") else []
    return "\n".join([*lines, ""])


def read_page(fixtures: Path) -> str:
    """Read the page; if there is none, return the page of an empty directory.

    Raises:
        GoldenError: the system refuses to read it.
    """
    try:
        return read_small(fixtures / PAGE).decode()
    except UnreadableError as closed:
        raise GoldenError(f"{fixtures / PAGE}: {closed}") from closed
    except (FileNotFoundError, ValueError, GoldenError):
        return page({})
