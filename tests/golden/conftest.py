from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from golden.report import thumbnail
from golden.store import gallery, guard
from golden.store.entry import NAME, make_entry, write_manifest
from golden.store.golden import Golden, golden_path
from golden.store.write import write_golden
from tests.golden import standin

pytest_plugins = ["pytester"]


@pytest.fixture
def fixtures(tmp_path: Path) -> Path:
    """A directory with the goldens of all stand-in cases and their manifest."""
    directory = tmp_path / "fixtures"
    fill(directory)
    return directory


def history(golden: Golden) -> list[dict[str, Any]]:
    after = golden.content_digest()[:16]
    return [{"date": "2026-01-01", "reason": "first", "tensorflow": "none", "before": None, "after": after}]


def fill(directory: Path) -> None:
    """The goldens of all stand-in cases and their manifest, in a new directory."""
    shutil.copytree(_made_once(), directory, dirs_exist_ok=True)


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
    write_manifest(directory / NAME, entries)
    (directory / gallery.PAGE).write_text(gallery.page(entries), encoding="utf-8")
    return directory


@pytest.fixture(autouse=True)
def guard_in_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that tests make themselves need no process of their own to be read in, which takes a third of a second."""
    if request.module.__name__ != "tests.golden.test_fuzz":
        monkeypatch.setattr("golden.store.guard._run", _run_here)


def _run_here(paths: Sequence[Path], copies: Sequence[Path], seconds: float) -> tuple[int, list[str]]:
    answers: list[str] = []
    for path, copy in zip(paths, copies):
        answers.append(guard._copy(path, copy))
        if answers[-1]:
            break
    return 0, answers
