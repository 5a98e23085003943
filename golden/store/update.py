"""Replace goldens on disk safely, and finish a replacement that was interrupted.

First the new files of every golden are written beside the old ones, under names that git ignores
(``.CASE.h5.staged``), and flushed: a full disk shows here, before anything is touched. Then one golden after the other
is replaced, by renames. Its entry goes first. The entry holds the digests of the content before and after, so it is the
commit record of this golden: until its rename the golden is the old one, from then on it is the new one, of which some
files may still wait under their staged names. Readers report such a golden, and the next run of the generator finishes
it. Any other inconsistency is damage, to be restored from version control. A golden that is removed loses its entry
first.

An update of several goldens is not atomic as a whole; version control provides that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from golden.spec.errors import GoldenError
from golden.store import gallery
from golden.store.entry import Entry, labels_listed, listed_cases, read_entries, read_entry
from golden.store.golden import Golden, golden_path
from golden.store.guard import read_untrusted

KINDS = ("json", "h5", "png")
"""The files of a golden, in the order in which they are replaced."""
_LOCK = ".lock"


class Update:
    """New files of some goldens, which replace the old ones on ``commit``. The caller must hold ``lock``.

    Args:
        fixtures: the directory.
    """

    def __init__(self, fixtures: Path) -> None:
        self._fixtures = fixtures
        self._staged: dict[str, list[str]] = {}
        self._removed: list[str] = []

    def path_for(self, case: str, kind: str) -> Path:
        """Return the path to write the new ``json``, ``h5`` or ``png`` of a golden to.

        Raises:
            GoldenError: the file could not be renamed to its final path.
        """
        target = self._fixtures / f"{case}.{kind}"
        target.parent.mkdir(parents=True, exist_ok=True)
        _require_replaceable(self._fixtures, target)
        staged = _staged(target)
        staged.unlink(missing_ok=True)
        self._staged.setdefault(case, []).append(kind)
        return staged

    def remove(self, case: str) -> None:
        """Remove a golden, with its entry and its picture.

        Raises:
            GoldenError: it cannot be removed.
        """
        for kind in KINDS:
            _require_replaceable(self._fixtures, self._fixtures / f"{case}.{kind}")
        self._removed.append(case)

    def commit(self) -> None:
        """Replace one golden after the other."""
        for case, kinds in self._staged.items():
            for kind in kinds:
                _flush(_staged(self._fixtures / f"{case}.{kind}"))
        while self._staged:
            case = next(iter(self._staged))
            kinds = self._staged.pop(case)
            _replace(self._fixtures, case, [kind for kind in KINDS if kind in kinds])
        for case in self._removed:
            _remove(self._fixtures, case)
        _renew_page(self._fixtures)

    def discard(self) -> None:
        """Delete the staged files of goldens whose replacement has not begun."""
        for case, kinds in self._staged.items():
            for kind in kinds:
                _staged(self._fixtures / f"{case}.{kind}").unlink(missing_ok=True)


@contextmanager
def update(fixtures: Path) -> Iterator[Update]:
    """Commit at the end. After an exception or a signal, goldens whose replacement has not begun stay as they were."""
    change = Update(fixtures)
    try:
        yield change
        change.commit()
    except BaseException:
        change.discard()
        raise


@contextmanager
def lock(fixtures: Path) -> Iterator[None]:
    """Reserve a directory for one writer, and finish an interrupted update first.

    Raises:
        GoldenError: another process is updating the directory.
    """
    fixtures.mkdir(parents=True, exist_ok=True)
    if (fixtures / _LOCK).is_symlink():  # a repository can contain links; this one would change a file elsewhere
        raise GoldenError(f"{fixtures / _LOCK}: a symbolic link, which no update leaves there; delete it")
    guard = FileLock(fixtures / _LOCK)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        without = f". If none is, delete {fixtures / _LOCK}: this file system has no locks, so it stayed behind"
        raise GoldenError(
            f"{fixtures}: another generator is at work here; wait until it ends and run again"
            + (without if _is_soft(guard) else "")
        ) from None
    except (OSError, NotImplementedError) as refused:  # older releases of filelock raise the second
        raise GoldenError(
            f"{fixtures / _LOCK}: the system provides no lock ({refused}), and without one two generators could write "
            f"at the same time; work on a copy elsewhere (--fixtures DIR)"
        ) from refused
    try:
        _finish(fixtures)
        yield
    finally:
        guard.release()


def _is_soft(guard: BaseFileLock) -> bool:
    """Tell whether filelock relies on the mere existence of the file, because the file system has no locks."""
    return isinstance(guard, SoftFileLock)


def finish_interrupted(fixtures: Path) -> None:
    """Finish an interrupted update, if there is one.

    Raises:
        GoldenError: it is still running in another process, or it cannot be finished.
    """
    if is_under_way(fixtures):
        with lock(fixtures):
            pass


def is_under_way(fixtures: Path) -> bool:
    """Tell whether an update is running, or was interrupted."""
    return bool(_all_staged(fixtures))


def interrupted(fixtures: Path) -> dict[str, list[str]]:
    """Find goldens whose entry was replaced but whose other files were not: which of ``h5`` and ``png`` still wait.

    A staged file counts only if it is the one that the entry describes, and an ``h5`` only if the current golden is
    still the one that the entry gives as the previous one.

    Raises:
        GoldenError: an entry cannot be read.
    """
    waiting = {}
    for case in sorted({_case_of(fixtures, path) for path in _all_staged(fixtures)} & listed_cases(fixtures)):
        entry = read_entry(fixtures, case)
        kinds = {"h5": _golden_waits(fixtures, case, entry), "png": _picture_waits(fixtures, case, entry)}
        if any(kinds.values()):
            waiting[case] = [kind for kind, waits in kinds.items() if waits]
    return waiting


def _golden_waits(fixtures: Path, case: str, entry: Entry) -> bool:
    path, before = golden_path(fixtures, case), entry["history"][0]["before"]
    if not _is_file(_staged(path)):
        return False
    found = list(read_untrusted([_staged(path), *([path] if path.exists() else [])]))
    if not isinstance(found[0], Golden) or dict(found[0].labels) != labels_listed(entry):
        return False  # the content digest does not cover axes and units
    new, *old = [golden.content_digest() if isinstance(golden, Golden) else "" for golden in found]
    return new == entry["content"] and [digest[:16] for digest in old] == ([before] if before else [])


def _picture_waits(fixtures: Path, case: str, entry: Entry) -> bool:
    staged = _staged(gallery.picture_path(fixtures, case))
    return _is_file(staged) and gallery.file_digest(staged) == entry.get("picture", {}).get("sha256")


def _finish(fixtures: Path) -> None:
    """Finish what was interrupted, delete what was never committed, and update the page of all goldens."""
    staged = _all_staged(fixtures)
    if staged:
        for case, kinds in interrupted(fixtures).items():
            _replace(fixtures, case, kinds)
    for path in staged:
        path.unlink(missing_ok=True)
    _renew_page(fixtures)


def _replace(fixtures: Path, case: str, kinds: Iterable[str]) -> None:
    for kind in kinds:
        target = fixtures / f"{case}.{kind}"
        _require_replaceable(fixtures, target)
        os.replace(_staged(target), target)
        _flush(target.parent)  # the entry must reach the disk before the others do
    if not read_entry(fixtures, case).get("picture"):
        gallery.picture_path(fixtures, case).unlink(missing_ok=True)


def _remove(fixtures: Path, case: str) -> None:
    # If this is interrupted, the rest is still reported, and the next update removes it.
    for kind in ("json", "png", "h5"):
        target = fixtures / f"{case}.{kind}"
        if target.exists():
            target.unlink()
            _flush(target.parent)


def _renew_page(fixtures: Path) -> None:
    """Rewrite the page of all goldens if it is out of step with the entries."""
    page, target = gallery.page(read_entries(fixtures)), fixtures / gallery.PAGE
    if page != gallery.read_page(fixtures):
        _require_replaceable(fixtures, target)
        staged = _staged(target)
        staged.unlink(missing_ok=True)
        staged.write_text(page, encoding="utf-8", newline="\n")
        _flush(staged)
        os.replace(staged, target)
        _flush(fixtures)


def _staged(path: Path) -> Path:
    """Return the path of the staged version of a file."""
    return path.with_name(f".{path.name}.staged")


def _all_staged(fixtures: Path) -> list[Path]:
    found = [*fixtures.glob(".*.staged"), *fixtures.glob("*/.*.staged")]
    return [path for path in found if not path.parent.is_symlink()]


def _case_of(fixtures: Path, staged: Path) -> str:
    name = staged.name.removeprefix(".").removesuffix(".staged")
    return staged.with_name(name).relative_to(fixtures).with_suffix("").as_posix()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _require_replaceable(fixtures: Path, target: Path) -> None:
    """Refuse, before anything is replaced, a target whose rename would fail or lead elsewhere."""
    parent = target.parent
    inside = not parent.exists() or parent.resolve().is_relative_to(fixtures.resolve())
    if target.is_dir() or not inside or (parent.exists() and not os.access(parent, os.W_OK)):
        raise GoldenError(
            f"{target}: it cannot be replaced; expected a file in a directory of {fixtures} that can be written to"
        )


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a directory
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
