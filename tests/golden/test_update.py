"""Whatever interrupts an update, each golden is the old one, the new one, or reported as interrupted and finished."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from golden.generator.regenerate import Regeneration
from golden.review.difference import Change, Difference
from golden.spec.catalogue import load_cases
from golden.spec.errors import GoldenError
from golden.spec.operation import Label
from golden.store.entry import entry_path, read_entry
from golden.store.gallery import PAGE
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden
from golden.store.update import finish_interrupted, interrupted, is_under_way, lock, update
from golden.store.verify import verify
from tests.golden import standin

DOUBLE, TRIPLE = "toy/double", "toy/triple"
OTHERS = {case.name: case for case in standin.CASES if case.name != DOUBLE}
ALL = {case.name: case for case in standin.CASES}


def moved(fixtures: Path, case: str, factor: float = 1.000001) -> Difference:
    """Return a change of a golden's values, and so of its picture, so small that its proof still holds."""
    before = read_golden(golden_path(fixtures, case))
    return Difference(
        case, before=before, after=replace(before, outputs=before.outputs | {"y": before.outputs["y"] * factor})
    )


def write(fixtures: Path, *rows: Difference) -> None:
    with lock(fixtures), Regeneration(load_cases("tests.golden.standin"), fixtures, "tests.golden.standin") as run:
        run.write(rows, "another")


def content(fixtures: Path, case: str = DOUBLE) -> str:
    return read_golden(golden_path(fixtures, case)).content_digest()


def after(row: Difference) -> str:
    assert isinstance(row.after, Golden)
    return row.after.content_digest()


def stop_after(monkeypatch: pytest.MonkeyPatch, renames: int, problem: BaseException) -> None:
    real, calls = os.replace, []

    def stopping(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) > renames:
            raise problem
        real(source, target)

    monkeypatch.setattr("golden.store.update.os.replace", stopping)


def test_goldens_entries_and_pictures_are_replaced(fixtures: Path) -> None:
    row = moved(fixtures, DOUBLE)
    write(fixtures, row)
    assert content(fixtures) == after(row) == read_entry(fixtures, DOUBLE)["content"]
    assert verify(fixtures, ALL) == []
    assert not is_under_way(fixtures)


def test_a_removed_golden_leaves_nothing(fixtures: Path) -> None:
    write(fixtures, Difference(DOUBLE, Change.GONE))
    assert not list(fixtures.glob("toy/*double*"))
    assert DOUBLE not in (fixtures / PAGE).read_text()
    assert verify(fixtures, OTHERS) == []


@pytest.mark.parametrize("kinds", [("json",), ("json", "png")])
def test_an_interrupted_removal_continues(fixtures: Path, kinds: tuple[str, ...]) -> None:
    """The entry is removed first. What is left is a golden that no case declares, as before."""
    for kind in kinds:
        (fixtures / f"{DOUBLE}.{kind}").unlink()
    assert f"golden {DOUBLE}: it has no entry" in verify(fixtures, OTHERS)
    write(fixtures, Difference(DOUBLE, Change.GONE))
    assert verify(fixtures, OTHERS) == []


PROBLEMS = (OSError(28, "No space left on device"), KeyboardInterrupt(), GoldenError("refused"))


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: type(problem).__name__)
def test_a_failure_before_the_first_rename_changes_nothing(fixtures: Path, problem: BaseException) -> None:
    before = content(fixtures)
    with pytest.raises(type(problem)), lock(fixtures), update(fixtures) as change:
        change.path_for(DOUBLE, "h5").write_text("half")
        raise problem
    assert content(fixtures) == before
    assert not is_under_way(fixtures)


@pytest.mark.parametrize("renames", range(7))
def test_after_each_rename_a_golden_is_old_or_new_or_is_finished(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """Two goldens have three files each. A golden whose update has begun becomes new; the others stay old."""
    rows = [moved(fixtures, case) for case in (DOUBLE, TRIPLE)]
    old = [content(fixtures, row.case) for row in rows]
    stop_after(monkeypatch, renames, KeyboardInterrupt())
    if renames == 6:
        write(fixtures, *rows)
    else:
        with pytest.raises(KeyboardInterrupt):
            write(fixtures, *rows)
    monkeypatch.undo()
    begun, files = divmod(renames, 3)
    waits = {rows[begun].case: ["h5", "png"][files - 1 :]} if files else {}
    assert interrupted(fixtures) == waits
    told = [problem for problem in verify(fixtures, ALL) if "an update was interrupted" in problem]
    assert len(told) == len(verify(fixtures, ALL)) == len(waits)
    finish_interrupted(fixtures)
    assert [content(fixtures, row.case) for row in rows] == [
        after(row) if number < begun + bool(files) else before for number, (row, before) in enumerate(zip(rows, old))
    ]
    assert verify(fixtures, ALL) == []
    assert not is_under_way(fixtures)


def test_a_new_golden_is_finished_too(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = read_golden(golden_path(fixtures, DOUBLE))
    write(fixtures, Difference(DOUBLE, Change.GONE))
    stop_after(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write(fixtures, Difference(DOUBLE, Change.NEW, after=golden))
    monkeypatch.undo()
    (said, *page) = verify(fixtures, ALL)
    assert "golden toy/double: an update was interrupted before its .h5 and .png was replaced" in said
    assert "out of step with the entries" in page[0]
    finish_interrupted(fixtures)
    assert verify(fixtures, ALL) == []


def cut_off(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Interrupt an update after it replaced only the entry; return the content that it would have written."""
    row = moved(fixtures, DOUBLE)
    stop_after(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write(fixtures, row)
    monkeypatch.undo()
    return after(row)


def rewritten(fixtures: Path) -> Difference:
    """Return a golden with the same content but another unit."""
    before = read_golden(golden_path(fixtures, DOUBLE))
    label = Label("row column", before.labels["outputs/y"].unit + "*")
    return Difference(DOUBLE, before=before, after=replace(before, labels={**before.labels, "outputs/y": label}))


@pytest.mark.parametrize("renames", range(3))
def test_an_update_of_the_form_alone_is_finished_if_it_was_begun(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """The content is the same before and after, and the last event may have been of this kind too."""
    write(fixtures, rewritten(fixtures))
    old, new = rewritten(fixtures).before, rewritten(fixtures).after
    stop_after(monkeypatch, renames, KeyboardInterrupt())
    if renames == 2:
        write(fixtures, rewritten(fixtures))
    else:
        with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
            killed.setattr("golden.store.update.Update.discard", lambda self: None)
            write(fixtures, rewritten(fixtures))
    monkeypatch.undo()
    assert interrupted(fixtures) == ({DOUBLE: ["h5"]} if renames == 1 else {})
    finish_interrupted(fixtures)
    expected = new if renames else old
    assert expected is not None
    assert read_golden(golden_path(fixtures, DOUBLE)).labels == expected.labels
    assert len(read_entry(fixtures, DOUBLE)["history"]) == 2 + bool(renames)


def test_an_unexpected_golden_is_damage(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off(fixtures, monkeypatch)
    golden_path(fixtures, DOUBLE).write_bytes(golden_path(fixtures, TRIPLE).read_bytes())
    (fixtures / "toy" / ".double.png.staged").unlink()
    assert interrupted(fixtures) == {}
    assert "golden toy/double: the file says that it is toy/triple" in verify(fixtures, ALL)


@pytest.mark.parametrize("others", ["sound", "damaged", "linked"])
def test_a_staged_file_that_the_entry_does_not_mention_is_dropped(
    fixtures: Path, tmp_path_factory: pytest.TempPathFactory, others: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine.h5"
    elsewhere.write_bytes(golden_path(fixtures, TRIPLE).read_bytes())
    staged = fixtures / "toy" / ".double.h5.staged"
    if others == "linked":
        staged.symlink_to(elsewhere)
    else:
        staged.write_bytes(elsewhere.read_bytes() if others == "sound" else b"half")
    before = content(fixtures)
    assert verify(fixtures, ALL) == []
    finish_interrupted(fixtures)
    assert content(fixtures) == before
    assert elsewhere.exists()
    assert not is_under_way(fixtures)


def test_a_broken_entry_is_reported_before_anything_is_dropped(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off(fixtures, monkeypatch)
    entry_path(fixtures, DOUBLE).write_text("{")
    with pytest.raises(GoldenError, match=r"double\.json"):
        finish_interrupted(fixtures)
    assert is_under_way(fixtures)


def test_an_obstacle_to_a_rename_is_found_before_the_first(fixtures: Path) -> None:
    before = content(fixtures)
    rows = moved(fixtures, DOUBLE), moved(fixtures, TRIPLE)
    (fixtures / "toy" / "triple.png").unlink()
    (fixtures / "toy" / "triple.png").mkdir()
    with pytest.raises(GoldenError, match=r"triple\.png: it cannot be replaced"):
        write(fixtures, *rows)
    assert content(fixtures) == before
    assert not is_under_way(fixtures)


def test_nothing_is_written_or_dropped_through_a_link_to_elsewhere(
    fixtures: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / ".victim.h5.staged").write_text("mine")
    (fixtures / "linked").symlink_to(outside)
    golden = replace(standin.make_golden(standin.CASES[0]), case="linked/victim")
    with pytest.raises(GoldenError, match="it cannot be replaced"):
        write(fixtures, Difference("linked/victim", Change.NEW, after=golden))
    assert [path.name for path in outside.iterdir()] == [".victim.h5.staged"]
    (fixtures / "toy" / "double.png").unlink()
    (fixtures / "toy" / "double.png").symlink_to(outside / ".victim.h5.staged")
    write(fixtures, moved(fixtures, DOUBLE))
    assert (outside / ".victim.h5.staged").read_text() == "mine"


def test_a_link_in_the_place_of_the_lock_is_refused(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    victim = tmp_path_factory.mktemp("outside") / "victim"
    victim.write_text("mine")
    (fixtures / ".lock").symlink_to(victim)
    with pytest.raises(GoldenError, match="a symbolic link"):
        write(fixtures, moved(fixtures, DOUBLE))
    assert victim.read_text() == "mine"


def test_a_second_writer_is_refused(fixtures: Path) -> None:
    with lock(fixtures), pytest.raises(GoldenError, match="another generator is at work"), lock(fixtures):
        pass


WRITER = """
import itertools, sys
from pathlib import Path
from tests.golden.test_update import DOUBLE, TRIPLE, moved, write
fixtures = Path(sys.argv[1])
print("ready", flush=True)
for factor in itertools.cycle((1.000001, 1 / 1.000001)):  # twenty steps in one direction end the proof
    write(fixtures, *(moved(fixtures, case, factor) for case in (DOUBLE, TRIPLE)))
"""


def test_kill_leaves_nothing_torn(fixtures: Path) -> None:
    """The writer is killed at random moments. Once its update is finished, the directory is sound."""
    moments = random.Random(0)
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(fixtures)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(moments.uniform(0, 0.3))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert len(verify(fixtures, ALL)) == len(interrupted(fixtures))
        finish_interrupted(fixtures)
        assert verify(fixtures, ALL) == []


def test_a_file_system_without_locks_is_reported(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    with (
        pytest.raises(GoldenError, match=r"\.lock: the system provides no lock \(.*No locks available\)"),
        lock(fixtures),
    ):
        pass
