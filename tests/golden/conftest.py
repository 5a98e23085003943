from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import pytest

from golden.report import thumbnail
from golden.store import gallery, guard
from golden.store.contents import Contents
from golden.store.entry import Entry, entry_path, entry_text, make_entry
from golden.store.golden import Golden, golden_path
from golden.store.write import write_golden
from tests.golden import standin

pytest_plugins = ["pytester"]


@pytest.fixture
def fixtures(tmp_path: Path) -> Path:
    """Return a directory with the goldens of all stand-in cases and their entries, copied for each test."""
    directory = tmp_path / "fixtures"
    fill(directory)
    return directory


def history(golden: Golden) -> list[Entry]:
    after = golden.content_digest()[:16]
    return [{"date": "2026-01-01", "reason": "first", "tensorflow": "none", "before": None, "after": after}]


def write_entry(directory: Path, case: str, entry: Entry) -> None:
    entry_path(directory, case).write_text(entry_text(entry), encoding="utf-8")


def fill(directory: Path) -> None:
    """Copy the goldens of all stand-in cases and their entries into a directory."""
    shutil.copytree(_made_once(), directory, dirs_exist_ok=True)


def git(*arguments: str, directory: Path | None = None) -> str:
    """Run git as a test user, in a directory or in the current one, and return what it prints."""
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


@cache
def _made_once() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="standin-goldens-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    (directory / "toy").mkdir()
    entries = {}
    for case in standin.CASES:
        golden = standin.make_golden(case)
        write_golden(golden_path(directory, case.name), golden)
        picture = {}
        if gallery.drawn_from(golden):
            thumbnail.draw(golden, gallery.picture_path(directory, case.name))
            picture = gallery.picture_entry(golden, gallery.picture_path(directory, case.name))
        entries[case.name] = make_entry(golden, history(golden), picture)
        write_entry(directory, case.name, entries[case.name])
    (directory / gallery.PAGE).write_text(gallery.page(entries), encoding="utf-8")
    return directory


@pytest.fixture(autouse=True)
def guard_in_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read goldens in this process, because a separate one takes a third of a second to start.

    The patch is not the test's own, which may call ``monkeypatch.undo()``.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__ != "tests.golden.test_fuzz":
            patch.setattr("golden.store.guard._answers", _answers_here)
        yield


def _answers_here(paths: Sequence[Path], seconds: float) -> AbstractContextManager[Iterator[Contents | str]]:
    return nullcontext(map(guard._read, paths))
