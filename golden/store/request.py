"""Find what a request changes in the goldens of a directory: between two commits, or from one to the working tree.

Nothing in a request is run: its files, its code and its settings are only read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from golden.spec.errors import GoldenError
from golden.store import manifest1
from golden.store.entry import Entry, parse_entry
from golden.store.folder import SMALL, read_small
from golden.store.git import run_git
from golden.store.sources import (
    MOST,
    Entries,
    Found,
    Side,
    commit_of,
    common_ancestor,
    fetched,
    is_same,
    of_directory,
    of_revision,
    place_in_clone,
    read_entries_of,
    top_of,
)

_MOST_VERSIONS = 100
"""The most versions of an entry that are read."""


@dataclass(frozen=True)
class Request:
    """What somebody asks to merge.

    Attributes:
        fixtures: the directory.
        top: the top directory of the clone that holds it.
        base, head: the commits; ``head`` is empty for the working tree.
        files: the newer side.
        touched: cases with a file that differs.
        before, after: their entries that differ.
        uncompared: what could not be compared, a sentence each.
    """

    fixtures: Path
    top: Path
    base: str
    head: str
    files: Side
    touched: frozenset[str]
    before: Mapping[str, Entry]
    after: Entries
    uncompared: tuple[str, ...]

    def files_changed(self, places: Sequence[str]) -> list[str]:
        """List the files that differ and are in one of some places: files or directories of the repository.

        ``**/NAME`` stands for the files of that name in every directory. The listed names may hold any characters.
        """
        return [name for name in self._files_changed if any(_is_at(name, place) for place in places)]

    @cached_property
    def _files_changed(self) -> list[str]:
        options = ("--name-only", "-z", "--no-ext-diff", "--no-renames", "--ignore-submodules=none")
        sides = [self.base, self.head] if self.head else [self.base]
        listed = run_git(self.top, "diff", *options, *sides, "--")
        if not self.head:  # the working tree; git diff leaves out what git does not track
            listed += run_git(self.top, "ls-files", "--others", "--exclude-standard", "-z")
        return [name for name in os.fsdecode(listed).split("\0") if name]

    def texts(self, path: str) -> tuple[str, str]:
        """Read a small file of the repository on both sides; an empty text if it does not exist."""
        return _text_at(self.top, self.base, path), _text_at(self.top, self.head, path)

    def earlier(self, case: str) -> Iterator[Entry]:
        """Read the versions of an entry before that of the base, one for each merged request, newest first.

        Stops at the first version that cannot be read.
        """
        place = f"{place_in_clone(self.fixtures, self.top)}/{case}.json"
        command = ("rev-list", "--first-parent", f"-{_MOST_VERSIONS}", self.base, "--", place)
        for commit in run_git(self.top, *command).decode().split()[1:]:  # the first has the base's version
            try:
                yield parse_entry(_text_at(self.top, commit, place).encode(), place)
            except GoldenError:
                return

    def checked_out(self, cases: Sequence[str], scratch: Path) -> Path:
        """Copy the files of some goldens of the newer side to a directory where they can be verified; return it."""
        if not self.head:
            return self.fixtures
        left = MOST
        for case in cases:
            golden = self.files[case]
            for kind, found in (("h5", golden), ("json", golden.entry), ("png", golden.picture)):
                if found is None or (left := left - found.size) < 0:
                    continue
                target = scratch / f"{case}.{kind}"
                target.parent.mkdir(parents=True, exist_ok=True)
                fetched(found, target)
        return scratch


def request_of(span: str, fixtures: Path) -> Request:
    """Find what a request changes.

    ``BASE...HEAD`` is compared from the common ancestor on, ``BASE..HEAD`` from BASE itself, and ``BASE`` alone with
    the working tree.

    Raises:
        GoldenError: a revision does not exist, or there is no golden on either side.
    """
    top = top_of(fixtures)
    base, head = _commits(span, fixtures)
    before, after = of_revision(base, fixtures), of_revision(head, fixtures) if head else of_directory(fixtures)
    if not (before or after):
        raise GoldenError(f"{span}: no golden on either side, so nothing was compared")
    touched = frozenset(case for case in {*before, *after} if not _untouched(before.get(case), after.get(case)))
    chosen = [{case: side[case] for case in touched & {*side}} for side in (before, after)]
    old, new = map(dict, read_entries_of(*chosen))
    new |= {case: "there is none" for case, found in chosen[1].items() if found.entry is None}
    told = []
    if before and not any(found.entry for found in before.values()):
        old = {case: entry for case, entry in _manifest(base, fixtures, top).items() if case in touched}
        told.append(f"the base has a {manifest1.FILE}, which has no confirmations, axes or units")
    known = {case: entry for case, entry in old.items() if not isinstance(entry, str)}
    # Entries with the same bytes on both sides were not read.
    unknown = (touched & {*before} & {*old, *new}) - {*known}
    told += [f"{case}: the base has no readable entry" for case in sorted(unknown)]
    if touched and _is_shallow(fixtures):
        told.append("growth in small steps, over several requests: this clone is shallow (git fetch --unshallow)")
    return Request(fixtures, top, base, head, after, touched, known, new, tuple(told))


def _is_shallow(fixtures: Path) -> bool:
    return run_git(fixtures, "rev-parse", "--is-shallow-repository").strip() == b"true"


def _commits(span: str, fixtures: Path) -> tuple[str, str]:
    if ".." not in span:
        return commit_of(span, fixtures), ""
    dots = "..." if "..." in span else ".."
    base, head = (commit_of(side or "HEAD", fixtures) for side in span.split(dots, maxsplit=1))
    return (common_ancestor(base, head, fixtures) if dots == "..." else base), head


def _untouched(one: Found | None, other: Found | None) -> bool:
    if one is None or other is None:
        return False
    pairs = ((one, other), (one.entry, other.entry), (one.picture, other.picture))
    return all((a is None and b is None) or is_same(a, b) for a, b in pairs)


def _manifest(commit: str, fixtures: Path, top: Path) -> dict[str, Entry]:
    return manifest1.entries(_text_at(top, commit, f"{place_in_clone(fixtures, top)}/{manifest1.FILE}"))


def _is_at(name: str, place: str) -> bool:
    """Tell whether a file is in a place, or stands where a directory above that place should be.

    A symbolic link can stand there, or an untracked repository, which git lists as ``NAME/``.
    """
    if place.startswith("**/"):
        return f"/{name}".endswith(place.removeprefix("**"))
    return f"{name}/".startswith(f"{place}/") or place.startswith(f"{name.rstrip('/')}/")


def _text_at(top: Path, commit: str, path: str) -> str:
    """Read a small text of a commit, or of the working tree if ``commit`` is empty; an empty text if there is none."""
    try:
        if not commit:
            return read_small(top / path).decode(errors="replace")
        if int(run_git(top, "cat-file", "-s", f"{commit}:{path}")) > SMALL:
            return ""
        return run_git(top, "cat-file", "blob", f"{commit}:{path}").decode(errors="replace")
    except (GoldenError, FileNotFoundError):
        return ""
