"""Hostile files in the place of a golden's: each gives one clear error, without control characters for a terminal."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from golden.cli import main
from golden.spec.errors import GoldenError
from golden.store import folder, guard
from golden.store.folder import read_small, survey
from golden.store.golden import golden_path
from golden.store.guard import read_untrusted
from golden.store.read import read_golden
from golden.store.verify import verify
from golden.store.write import write_golden
from tests.golden.conftest import fill
from tests.golden.standin import CASES, make_golden

ALL = {case.name: case for case in CASES}
ENDLESS = "/dev/zero"
FILES = ("toy/double.h5", "toy/double.json", "toy/double.png", "README.md")
TERABYTES = 2**42

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and symbolic links")


def golden(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--fixtures", arguments[-1]] if arguments[0] != "diff" else arguments)


def linked(path: Path) -> None:
    path.symlink_to(ENDLESS)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, TERABYTES)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("put", "kind"),
    [(linked, "a symbolic link"), (os.mkfifo, "a pipe, a socket or a device"), (os.mkdir, "a directory")],
)
def test_special_files_are_neither_followed_nor_waited_for(
    fixtures: Path, file: str, put: Callable[[Path], None], kind: str
) -> None:
    (fixtures / file).unlink()
    put(fixtures / file)
    told = [problem for problem in verify(fixtures, ALL) if kind in problem or "out of step" in problem]
    assert told
    assert len(verify(fixtures, ALL)) <= 3


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("toy/double.h5", "double.h5: not an HDF5 file"),
        ("toy/double.json", "bytes of entries; at most 67108864 are read"),
        ("toy/double.png", f"picture toy/double: {TERABYTES} bytes; at most"),
        ("README.md", "README.md: out of step with the entries"),
    ],
)
def test_files_of_terabytes_are_not_read(fixtures: Path, file: str, message: str) -> None:
    (fixtures / file).unlink()
    sparse(fixtures / file)
    assert any(message in problem for problem in verify(fixtures, ALL))


def test_sparse_files_on_both_sides_of_a_diff(tmp_path: Path) -> None:
    for side in ("a", "b"):
        fill(tmp_path / side)
        golden_path(tmp_path / side, "toy/double").unlink()
        sparse(golden_path(tmp_path / side, "toy/double"))
    told = golden("diff", str(tmp_path / "a"), str(tmp_path / "b"))
    assert told.exit_code == 0
    assert f"double.h5: {TERABYTES} bytes; not read" in told.output
    assert told.output.endswith("1 unreadable\n")


def test_a_topic_that_is_a_link_is_reported_and_its_goldens_are_missing(fixtures: Path, tmp_path: Path) -> None:
    shutil.move(fixtures / "toy", tmp_path / "elsewhere")
    (fixtures / "toy").symlink_to(tmp_path / "elsewhere")
    told = verify(fixtures, ALL)
    assert told[0] == "toy: a symbolic link; expected files in TOPIC/CASE"
    assert sum("no golden; generate it with" in problem for problem in told) == len(ALL)
    other = tmp_path / "other"
    fill(other)
    assert "a link or a device, not a file" in golden("diff", str(other), str(fixtures)).output


@pytest.mark.parametrize(
    "text",
    ["{" + ",".join(f'"k{number}":0' for number in range(200_000)) + "}", "[" * 500_000, '{"a": ' * 100_000, "NaN"],
    ids=["keys", "nested", "nested tables", "NaN"],
)
def test_entries_that_would_take_all_memory(fixtures: Path, text: str) -> None:
    (fixtures / "toy/double.json").write_text(text)
    (said,) = verify(fixtures, ALL)
    assert said.startswith(f"entry {fixtures}/toy/double.json: ")


def test_many_entries_of_the_largest_size(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golden.store.verify.MOST_ENTRIES", 1000)
    (said,) = verify(fixtures, ALL)
    assert "bytes of entries; at most 1000 are read" in said


def test_names_with_control_characters(fixtures: Path) -> None:
    hostile = ("\x1b]0;owned\x07.h5", "two\nlines.json", "\x1b[31mred.txt", "\u202etxt.h5")
    for name in hostile:
        (fixtures / "toy" / name).write_text("x")
    (fixtures / "\x1b[2Jtopic").mkdir()
    shutil.copy(golden_path(fixtures, "toy/double"), fixtures / "\x1b[2Jtopic" / "double.h5")
    (fixtures / "toy" / "\x07link").symlink_to(ENDLESS)
    told = [*verify(fixtures, ALL), *golden("list", str(fixtures)).output.splitlines()]
    assert all(line.isprintable() for line in told)
    assert sum("neither a golden" in line for line in told) == len(hostile) + 1
    assert "toy/\\x07link: a symbolic link; expected files in TOPIC/CASE" in told


def test_more_files_than_are_checked(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert survey(fixtures).strange == ()
    monkeypatch.setattr(folder, "MOST_FILES", 3)
    assert survey(fixtures).strange == (f"{fixtures}: more than 3 files; the others were not checked",)
    monkeypatch.setattr("golden.store.sources.MOST_FILES", 3)
    assert "4 goldens; at most 3 are read" in golden("diff", str(fixtures), str(fixtures)).output


def test_after_many_damaged_files_or_much_data_nothing_is_read(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted(fixtures.glob("toy/*.h5"))
    monkeypatch.setattr(guard, "_MOST_BYTES", 1)
    first, *others = read_untrusted(paths)
    assert not isinstance(first, str)
    assert all("not read, because the files before it are too large" in str(one) for one in others)
    monkeypatch.setattr(guard, "_MOST_BYTES", 2**30)
    monkeypatch.setattr(guard, "_MOST_PROCESSES", 0)
    monkeypatch.setattr(guard, "_answers", lambda paths, seconds: nullcontext(iter(["damaged"])))
    assert [*read_untrusted(paths)][1:] == [
        f"golden {path}: not read, because 1 file(s) before it are damaged. {_RESTORE}" for path in paths[1:]
    ]


_RESTORE = "Restore them from version control"


def test_too_many_texts_and_too_large_a_table(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_golden(CASES[0])
    many = replace(made, inputs={**made.inputs, "t": np.full(70_000, b"a")})
    golden_path(fixtures, "toy/double").unlink()
    write_golden(golden_path(fixtures, "toy/double"), many)
    assert "/inputs/t holds 70000 texts; at most 65536 are read" in verify(fixtures, ALL)[0]
    monkeypatch.setattr("golden.store.layout.LARGEST_TABLE", 100)
    assert "its table of faults has" in verify(fixtures, ALL)[0]


def test_a_small_file_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_small(tmp_path / "a", 5) == b"12345"
    with pytest.raises(GoldenError, match="5 bytes; at most 4 are read"):
        read_small(tmp_path / "a", 4)
    with pytest.raises(FileNotFoundError):
        read_small(tmp_path / "b")


ENVIRONMENT = "the system refuses to read it: "


@pytest.mark.parametrize("file", ["toy/double.json", "toy/double.png", "README.md"])
def test_a_file_that_the_system_does_not_open_is_not_called_damaged(
    fixtures: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: Path, flags: int) -> int:
        if Path(path) == fixtures / file:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags)

    monkeypatch.setattr(folder.os, "open", refuse)
    (said,) = verify(fixtures, ALL)
    assert said.endswith(f"{ENVIRONMENT}Permission denied")


def test_a_golden_that_the_system_does_not_read_is_not_called_damaged(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    path = golden_path(fixtures, "toy/double")
    assert [*read_untrusted([path])] == [f"golden {path}: {ENVIRONMENT}Input/output error"]


def test_a_topic_that_the_system_does_not_list_is_reported(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = folder._listed

    def refuse(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
        if directory.name == "toy":
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(directory)

    monkeypatch.setattr(folder, "_listed", refuse)
    assert survey(fixtures).strange == (f"toy: {ENVIRONMENT}Permission denied",)


def test_reading_ignores_locks(fixtures: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    path = golden_path(fixtures, "toy/double")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert verify(fixtures, ALL) == []
        assert read_golden(path).case == "toy/double"


def test_a_killed_process_says_nothing_about_the_file() -> None:
    said = guard._crashed(Path("a.h5"), -signal.SIGKILL, 60)
    assert said.endswith("this says nothing about the file. Run again")
    assert "Do not trust it" in guard._crashed(Path("a.h5"), -signal.SIGSEGV, 60)
