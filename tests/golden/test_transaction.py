"""Several files change together or not at all, whatever interrupts."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from golden.spec.errors import GoldenError
from golden.store import transaction as module
from golden.store.transaction import finish_interrupted, lock, transaction

NAMES = ("a/1.txt", "a/2.txt", "b/3.txt", "list.json")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_all(tmp_path, "old")
    return tmp_path


def write_all(directory: Path, text: str) -> None:
    with lock(directory), transaction(directory) as change:
        for name in NAMES:
            change.path_for(name).write_text(text)


def contents(directory: Path) -> list[str]:
    return [(directory / name).read_text() for name in NAMES]


def leftovers(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name.startswith(".") and path.name != ".lock")


def test_all_change_together(directory: Path) -> None:
    write_all(directory, "new")
    assert contents(directory) == ["new"] * 4
    assert leftovers(directory) == []


def test_removal_is_part_of_it(directory: Path) -> None:
    with lock(directory), transaction(directory) as change:
        change.remove("a/1.txt")
        change.path_for("list.json").write_text("new")
    assert not (directory / "a/1.txt").exists()
    assert (directory / "list.json").read_text() == "new"


@pytest.mark.parametrize(
    "problem", [OSError(28, "No space left on device"), KeyboardInterrupt(), GoldenError("refused")]
)
def test_a_failure_before_the_commit_changes_nothing(directory: Path, problem: BaseException) -> None:
    with pytest.raises(type(problem)), lock(directory), transaction(directory) as change:
        change.path_for("a/1.txt").write_text("new")
        raise problem
    assert contents(directory) == ["old"] * 4
    assert leftovers(directory) == []


@pytest.mark.parametrize("renames", range(5))
def test_a_failure_after_the_commit_is_finished_by_the_next_to_come(
    directory: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    real, calls = os.replace, []

    def stop_after_some(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) > renames + 1:  # the first is the journal itself
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(module.os, "replace", stop_after_some)
    if renames == 4:
        write_all(directory, "new")
    else:
        with pytest.raises(KeyboardInterrupt):
            write_all(directory, "new")
    monkeypatch.undo()
    assert finish_interrupted(directory) is (renames < 4)
    assert contents(directory) == ["new"] * 4
    assert leftovers(directory) == []


def test_what_would_keep_it_from_finishing_is_found_before_the_commit(directory: Path) -> None:
    (directory / "a/2.txt").unlink()
    (directory / "a/2.txt").mkdir()
    with pytest.raises(GoldenError, match=r"2\.txt: cannot be replaced"):
        write_all(directory, "new")
    assert (directory / "a/1.txt").read_text() == "old"
    assert leftovers(directory) == []


@pytest.mark.parametrize("journal", ["", '{"wri', "{}", "[]", '{"write": {"a/9.txt": "0.txt"}, "remove": []}'])
def test_a_journal_that_cannot_be_finished_is_one_clear_error(directory: Path, journal: str) -> None:
    (directory / ".commit.json").write_text(journal)
    with pytest.raises(GoldenError, match=r"was committed and cannot be finished .* delete \.commit\.json"):
        finish_interrupted(directory)
    assert contents(directory) == ["old"] * 4


@pytest.mark.parametrize(
    "journal",
    [
        {"write": {"../victim": "0.txt"}, "remove": []},
        {"write": {"{outside}/victim": "0.txt"}, "remove": []},
        {"write": {"link/victim": "0.txt"}, "remove": []},
        {"write": {"a/1.txt": "../../outside/victim"}, "remove": []},
        {"write": {"a/1.txt": "{outside}/victim"}, "remove": []},
        {"write": {".lock": "0.txt"}, "remove": []},
        {"write": {}, "remove": ["../outside/victim"]},
        {"write": {}, "remove": ["{outside}/victim"]},
        {"write": {}, "remove": ["link/victim"]},
        {"write": {}, "remove": [7]},
        {"write": {"a/1.txt": 7}, "remove": []},
        {"write": [], "remove": "victim"},
    ],
    ids=str,
)
def test_a_journal_from_anyone_touches_nothing_elsewhere(directory: Path, tmp_path_factory, journal: dict) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "victim").write_text("mine")
    (directory / "link").symlink_to(outside)
    (directory / ".staging").mkdir()
    (directory / ".staging" / "0.txt").write_text("theirs")
    (directory / ".commit.json").write_text(json.dumps(journal).replace("{outside}", str(outside)))
    with pytest.raises(GoldenError, match="cannot be finished"):
        finish_interrupted(directory)
    assert (outside / "victim").read_text() == "mine"
    assert contents(directory) == ["old"] * 4
    assert not (directory.parent / "victim").exists()


def test_a_journal_nested_too_deeply_is_one_clear_error(directory: Path) -> None:
    (directory / ".commit.json").write_text("[" * 100_000)
    with pytest.raises(GoldenError, match="cannot be finished"):
        finish_interrupted(directory)


@pytest.mark.parametrize("name", [".lock", ".staging", ".commit.json"])
def test_a_link_in_the_place_of_its_own_files_is_refused(directory: Path, tmp_path_factory, name: str) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "victim").write_text("mine")
    (directory / name).unlink(missing_ok=True)
    (directory / name).symlink_to(outside if name == ".staging" else outside / "victim")
    with pytest.raises(GoldenError, match="a symbolic link"):
        write_all(directory, "new")
    assert (outside / "victim").read_text() == "mine"


def test_staging_without_a_commit_is_swept_away(directory: Path) -> None:
    (directory / ".staging").mkdir()
    (directory / ".staging" / "0.h5").write_text("half")
    with lock(directory):
        assert leftovers(directory) == []


def test_a_second_writer_is_told(directory: Path) -> None:
    with lock(directory), pytest.raises(GoldenError, match="another generator is at work"), lock(directory):
        pass


WRITER = """
import sys
from pathlib import Path
from golden.store.transaction import lock, transaction
print("ready", flush=True)
for round in range(10**6):
    with lock(Path(sys.argv[1])), transaction(Path(sys.argv[1])) as change:
        for name in sys.argv[2:]:
            change.path_for(name).write_text(str(round))
"""


def test_kill_leaves_nothing_torn(directory: Path) -> None:
    """Killed without warning at random moments of its work: all files are of one round."""
    moments = random.Random(0)
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(directory), *NAMES], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(moments.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        finish_interrupted(directory)
        assert len(set(contents(directory))) == 1
