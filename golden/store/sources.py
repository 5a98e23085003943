"""Find and read the two sides of a ``golden diff``: files, directories, or git revisions, which need no checkout.

Each side has goldens and, beside them, their entries. Files that are the same on both sides, byte by byte, are not
read. Nothing is trusted: names, sizes and kinds of files are checked first, then ``golden.store.guard`` reads them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from golden.spec.catalogue import select
from golden.spec.errors import GoldenError
from golden.store.entry import Entry, parse_entry
from golden.store.folder import MOST_FILES, SMALL, printable, read_small
from golden.store.git import run_git, write_blob
from golden.store.golden import SIZE_CAP, Golden
from golden.store.guard import read_untrusted

Goldens = Mapping[str, Golden | str]
"""Goldens are keyed by case; a text in place of a golden says why it cannot be read."""

Entries = Mapping[str, Entry | str]
"""Entries are keyed by case; a text in place of an entry says why it cannot be read."""

MOST = 2 * SIZE_CAP
"""The most bytes of files that are read, each side."""
_MOST_HELD = SIZE_CAP
"""The most bytes of goldens that are kept in memory, both sides together; the case that exceeds it is the last."""
_REGULAR = ("100644", "100755")
_ADVICE = ". Restore it from version control"


@dataclass(frozen=True)
class Found:
    """A file that was found and not yet read.

    Attributes:
        name: its location as displayed: a path, or ``revision:path``.
        identity: git's name for its bytes; empty if unknown.
        size: in bytes.
        path: of the file, if it is in a directory.
        blob: directory of its clone, and git's blob, if it is in a revision.
        problem: why it cannot be read, or an empty text.
        entry, picture: of a golden, the files beside it, if there are any.
    """

    name: str
    identity: str = ""
    size: int = 0
    path: Path | None = None
    blob: tuple[Path, str] | None = None
    problem: str = ""
    entry: Found | None = None
    picture: Found | None = None


Side = Mapping[str, Found]
"""One side of a comparison holds what was found, by case."""

Place = Path | str
"""A file or a directory, or the name of a revision."""


def sources(places: tuple[Place, Place], fixtures: Path) -> tuple[Side, Side]:
    """Find the goldens of both sides.

    Args:
        places: what ``places`` returned.
        fixtures: directory of the goldens in a revision.

    Raises:
        GoldenError: something does not exist, or there is no golden on either side.
    """
    one, other = places
    if isinstance(one, Path) and isinstance(other, Path) and not one.is_dir():
        return {one.stem: _with_entry(one.resolve())}, {one.stem: _with_entry(other.resolve())}
    sides = _of_place(one, fixtures), _of_place(other, fixtures)
    if not any(sides):
        raise GoldenError(f"{one} and {other}: no golden on either side, so nothing was compared")
    return sides


def _of_place(place: Place, fixtures: Path) -> Side:
    return of_directory(place) if isinstance(place, Path) else of_revision(place, fixtures)


def places(first: str, second: str | None, fixtures: Path) -> tuple[Place, Place]:
    """Interpret the arguments of a comparison.

    They are two files or directories; two revisions ``A..B``; ``A...B``, which compares B with the common ancestor, as
    in git; or one revision, which is compared with the working tree. An empty side is HEAD.

    Raises:
        GoldenError: a file, directory or revision does not exist, or the two cannot be compared.
    """
    if second is not None:
        one, other = Path(first), Path(second)
        return _two_paths(one, other) if one.exists() or other.exists() else (first, second)
    if ".." not in first or Path(first).exists():
        if Path(first).exists() or first.endswith(".h5"):
            raise GoldenError(f"{first}: expected a second file or directory to compare it with, or only a revision")
        return first, fixtures
    dots = "..." if "..." in first else ".."
    before, after = (side or "HEAD" for side in first.split(dots, maxsplit=1))
    if dots == "...":
        before = common_ancestor(before, after, fixtures)
    return before, after


def _two_paths(one: Path, other: Path) -> tuple[Path, Path]:
    for path in (one, other):
        if not path.exists():
            raise GoldenError(f"{path}: no such file or directory")
    if one.is_dir() != other.is_dir():
        raise GoldenError(f"{one} and {other}: expected two files or two directories, found one of each")
    return one, other


def described(place: Place, fixtures: Path) -> str:
    """Describe one side: a revision by its commit, date and title, anything else by its path.

    Raises:
        GoldenError: there is no such revision.
    """
    if isinstance(place, Path):
        return "the working tree" if place == fixtures else printable(str(place))
    commit = commit_of(place, fixtures)
    command = ("show", "-s", "--no-show-signature", "--encoding=UTF-8", "--format=%cs %s", commit)
    date, _, title = run_git(fixtures, *command).decode(errors="replace").partition(" ")
    name = "" if commit.startswith(place) else f"{printable(place)} = "
    return f"{name}{commit[:10]} of {date}: {printable(title.strip())}"


def of_directory(directory: Path) -> Side:
    """Find the goldens of a directory."""
    paths = [path for path in directory.glob("*/*.h5") if not path.parent.name.startswith(".")]
    _require_few(len(paths), str(directory))
    found, left = {}, MOST
    for path in sorted(paths):
        found[_case(path.relative_to(directory).as_posix())] = golden = _with_entry(path, left)
        left -= golden.size
    return found


def _require_few(number: int, where: str) -> None:
    if number > MOST_FILES:
        raise GoldenError(f"{where}: {number} goldens; at most {MOST_FILES} are read")


def _with_entry(path: Path, most: int = SIZE_CAP) -> Found:
    beside, picture = (
        _of_file(other, most) if os.path.lexists(other := path.with_suffix(kind)) else None
        for kind in (".json", ".png")
    )
    return replace(_of_file(path, most), entry=beside, picture=picture)


def _of_file(path: Path, most: int) -> Found:
    name = printable(str(path))
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or path.parent.is_symlink():
            return Found(name, problem=f"{name}: a link or a device, not a file")
        if found.st_size > min(most, SIZE_CAP):
            return Found(name, problem=f"{name}: {found.st_size} bytes; not read, because it would be too much in all")
        return Found(name, _blob_of(path), found.st_size, path)
    except OSError as problem:
        return Found(name, problem=f"{name}: {problem.strerror}")


def _blob_of(path: Path) -> str:
    """Compute the name that git would give a file of these bytes."""
    hasher = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while part := stream.read(2**20):
            hasher.update(part)
    return hasher.hexdigest()


def of_revision(revision: str, fixtures: Path) -> Side:
    """Find the goldens that a directory has in a revision."""
    top = top_of(fixtures)
    inside = place_in_clone(fixtures, top)
    listed = run_git(top, "ls-tree", "-r", "-l", "-z", commit_of(revision, fixtures), "--", str(inside))
    files = {}
    for line in os.fsdecode(listed).split("\0"):
        about, _, name = line.partition("\t")
        if not name.endswith((".h5", ".json", ".png")):
            continue
        relative = PurePosixPath(name).relative_to(inside).as_posix()
        if relative.count("/") == 1 and not relative.startswith("."):  # as in a directory: TOPIC/CASE
            files[relative] = _of_tree(about, f"{revision}:{printable(name)}", top)
    _require_few(len(files), revision)
    return {
        _case(name): replace(
            found, entry=files.get(f"{name.removesuffix('h5')}json"), picture=files.get(f"{name.removesuffix('h5')}png")
        )
        for name, found in files.items()
        if name.endswith(".h5")
    }


def _of_tree(about: str, name: str, top: Path) -> Found:
    """Interpret a line of ``git ls-tree``: mode, kind, object, size."""
    mode, _, blob, size = about.split()
    if mode not in _REGULAR:
        return Found(name, blob, problem=f"{name}: a symbolic link or a submodule, not a file")
    if not size.isdecimal():
        return Found(name, blob, problem=f"{name}: git does not have the object {blob}; 'git fsck' lists what is lost")
    if int(size) > SIZE_CAP:
        return Found(name, blob, problem=f"{name}: {size} bytes; at most {SIZE_CAP} are accepted")
    return Found(name, blob, int(size), blob=(top, blob))


def commit_of(revision: str, fixtures: Path) -> str:
    """Return the commit that a revision names.

    Raises:
        GoldenError: there is no such revision, or several commits have names that begin like it.
    """
    try:
        return run_git(fixtures, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    except GoldenError as refused:
        run_git(fixtures, "rev-parse", "--git-dir")  # gives the reason if this is no clone
        if "is ambiguous" in str(refused):
            raise GoldenError(f"{revision!r}: the names of several commits begin like this; give more digits") from None
        raise GoldenError(
            f"{revision!r}: no such file, directory or revision (a shallow clone may lack it: git fetch --unshallow)"
        ) from None


def common_ancestor(one: str, other: str, fixtures: Path) -> str:
    """Return the commit at which two revisions parted.

    Raises:
        GoldenError: there is none.
    """
    commits = [commit_of(side, fixtures) for side in (one, other)]
    try:
        return run_git(fixtures, "merge-base", *commits).decode().strip()
    except GoldenError:
        raise GoldenError(
            f"{one}...{other}: no common ancestor here (a shallow clone may lack it: git fetch --unshallow)"
        ) from None


def _case(relative: str) -> str:
    """Name the case that a file ``TOPIC/CASE.h5`` holds."""
    return printable(relative.removesuffix(".h5"))


# ------------------------------------------------------------------------------------------------ reading


def only(before: Side, after: Side, patterns: Sequence[str]) -> tuple[Side, Side]:
    """Keep the cases that match a pattern; all if there are no patterns.

    Raises:
        GoldenError: a pattern matches nothing.
    """
    chosen = select({*before, *after}, patterns)
    return dict(_pick(before, chosen)), dict(_pick(after, chosen))


def read(before: Side, after: Side) -> tuple[Goldens, Goldens]:
    """Read the goldens that are not the same bytes on both sides, case by case, until they take too much memory."""
    differing = [case for case in sorted({*before, *after}) if not is_same(before.get(case), after.get(case))]
    sides: tuple[dict[str, Golden | str], dict[str, Golden | str]] = ({}, {})
    wanted = [(side, case, of[case]) for case in differing for side, of in zip(sides, (before, after)) if case in of]
    held = 0
    with tempfile.TemporaryDirectory(prefix="golden-diff-") as scratch:
        wanted = [(side, case, found) for (side, case, _), found in zip(wanted, _within(found for *_, found in wanted))]
        paths = [fetched(found, Path(scratch) / f"{number}.h5") for number, (*_, found) in enumerate(wanted)]
        goldens = read_untrusted(paths)
        last = ""
        for (side, case, found), path in zip(wanted, paths):
            if held > _MOST_HELD and case != last:
                side[case] = (
                    f"{found.name}: not read; what differs is larger than {_MOST_HELD} bytes. Choose cases with --only"
                )
                continue
            golden, last = next(goldens), case
            held += 0 if isinstance(golden, str) else _size(golden)
            if found.problem:
                side[case] = found.problem
            elif isinstance(golden, str):
                side[case] = golden.replace(str(path), found.name).split(_ADVICE)[0]
            else:
                side[case] = golden
    return sides


def _within(wanted: Iterable[Found]) -> Iterator[Found]:
    """Refuse files once those before them have reached the limit."""
    left = MOST
    for found in wanted:
        left -= found.size
        yield (
            found
            if left >= 0
            else Found(found.name, problem=f"{found.name}: not read, because those before it are too large")
        )


def _pick(side: Side, cases: list[str]) -> Iterator[tuple[str, Found]]:
    return ((case, side[case]) for case in cases if case in side)


def top_of(fixtures: Path) -> Path:
    """Return the top of the clone that holds a directory."""
    return Path(os.fsdecode(run_git(fixtures, "rev-parse", "--show-toplevel")).removesuffix("\n"))


def place_in_clone(fixtures: Path, top: Path) -> PurePosixPath:
    """Return the path of a directory from the top of its clone."""
    return PurePosixPath(fixtures.resolve().relative_to(top.resolve()).as_posix())


def is_same(one: Found | None, other: Found | None) -> bool:
    """Tell whether two files are known to be the same bytes."""
    return one is not None and other is not None and one.identity == other.identity != ""


def fetched(found: Found, scratch: Path) -> Path:
    """Copy a file that was found, unless it has a problem.

    Raises:
        GoldenError: git or the system refuses. This says nothing about the file.
    """
    if found.problem:
        return scratch
    try:
        if found.blob is not None:
            write_blob(*found.blob, scratch)
        elif found.path is not None:
            shutil.copyfile(found.path, scratch)
    except OSError as refused:
        raise GoldenError(f"{found.name}: cannot be copied to {scratch.parent}: {refused.strerror}") from refused
    return scratch


def _size(golden: Golden) -> int:
    return sum(array.nbytes for arrays in (golden.inputs, golden.outputs, golden.where) for array in arrays.values())


def read_entries_of(before: Side, after: Side) -> tuple[Entries, Entries]:
    """Read the entries of both sides if they, or their goldens, are not the same bytes."""
    entries = [{case: found.entry for case, found in side.items() if found.entry} for side in (before, after)]
    differing = {case for case in {*entries[0], *entries[1]} if not is_same(*(side.get(case) for side in entries))}
    differing |= {case for case in {*before, *after} if not is_same(before.get(case), after.get(case))}
    with tempfile.TemporaryDirectory(prefix="golden-diff-") as scratch:
        one, other = ({case: _entry(side[case], Path(scratch)) for case in differing & {*side}} for side in entries)
    return one, other


def _entry(found: Found, scratch: Path) -> Entry | str:
    if found.problem or found.size > SMALL:
        return found.problem or f"{found.name}: {found.size} bytes; an entry may have at most {SMALL}"
    try:
        return parse_entry(read_small(fetched(found, scratch / "entry.json")), found.name)
    except GoldenError as broken:
        return str(broken).split(_ADVICE)[0]
