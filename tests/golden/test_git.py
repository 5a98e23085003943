"""``golden git --enable`` lets git show goldens as text and refuse to merge them; ``--disable`` undoes it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from golden.cli import main
from golden.spec.errors import GoldenError
from golden.store.entry import entry_path, entry_text, make_entry, read_entry
from golden.store.golden import golden_path
from golden.store.read import read_golden
from golden.store.write import write_golden
from tests.golden import standin
from tests.golden.conftest import fill, git


def golden(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a clone with one golden, in which one value changed since the commit."""
    repository = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", str(repository))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    made = standin.make_golden(standin.CASES[0])
    write_golden(tmp_path / "double.h5", made)
    git("init", "-q")
    git("add", "double.h5")
    git("commit", "-qm", "first")
    (tmp_path / "double.h5").unlink()
    y = made.outputs["y"].copy()
    y[1, 2] += 1
    write_golden(tmp_path / "double.h5", replace(made, outputs={**made.outputs, "y": y}))
    return tmp_path


def test_enabled_it_shows_what_changed_and_disabled_it_does_not(clone: Path) -> None:
    (clone / ".git" / "info").mkdir(exist_ok=True)
    (clone / ".git" / "info" / "attributes").write_text("*.txt text")
    assert "Binary files" in git("diff")
    enabled = golden("git", "--enable")
    assert enabled.exit_code == 0, enabled.output
    assert golden("git", "--enable").exit_code == 0
    difference = git("diff")
    assert "Binary files" not in difference
    removed = [line for line in difference.splitlines() if line.startswith("-  ")]
    assert any('"y": {"shape": "4x5", "dtype": "complex64"' in line for line in removed)
    assert "goldens as text: enabled" in golden("git").output
    assert (clone / ".git" / "info" / "attributes").read_text() == "*.txt text\n*.h5 diff=golden merge=golden\n"

    assert golden("git", "--disable").exit_code == 0
    assert "Binary files" in git("diff")
    assert "not enabled" in golden("git").output
    assert (clone / ".git" / "info" / "attributes").read_text() == "*.txt text\n"
    assert golden("git", "--disable").exit_code == 0


def test_a_file_that_is_not_a_golden_is_shown_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"not HDF5")
    result = golden("text", str(tmp_path / "a.h5"))
    assert result.exit_code == 0
    assert "not a sound golden" in result.output


def test_outside_of_a_clone_it_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    result = golden("git", "--enable")
    assert result.exit_code == 2
    assert "golden: git config" in result.output


# ------------------------------------------------------------------------------------------------ merging


def rewrite(fixtures: Path, case: str, factor: int) -> None:
    """Change the output of a golden, in its file and entry."""
    path, made = golden_path(fixtures, case), read_golden(golden_path(fixtures, case))
    other = replace(made, outputs={**made.outputs, "y": made.outputs["y"] * factor})
    path.unlink()
    write_golden(path, other)
    entry = read_entry(fixtures, case)
    event = {**entry["history"][0], "reason": f"times {factor}", "before": entry["history"][0]["after"]}
    event["after"] = other.content_digest()[:16]
    entry = make_entry(other, [event, *entry["history"]], entry.get("picture", {}))
    entry_path(fixtures, case).write_text(entry_text(entry), encoding="utf-8")


@pytest.fixture
def branches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the goldens in a clone with two branches, main and other."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    fixtures = tmp_path / "fixtures"
    fill(fixtures)
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "first")
    git("branch", "other")
    assert golden("git", "--enable", "--fixtures", str(fixtures)).exit_code == 0
    return fixtures


def merged(branches: Path, ours: str, theirs: str) -> subprocess.CompletedProcess[str]:
    git("checkout", "-q", "other")
    rewrite(branches, theirs, 3)
    git("commit", "-qam", "theirs")
    git("checkout", "-q", "main")
    rewrite(branches, ours, 2)
    git("commit", "-qam", "ours")
    return subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "merge", "other"],
        check=False,
        capture_output=True,
        text=True,
    )


def verified(fixtures: Path) -> str:
    return golden("verify", "--fixtures", str(fixtures), "--cases", "tests.golden.standin").output


def test_two_branches_that_change_different_goldens_merge(branches: Path) -> None:
    result = merged(branches, "toy/double", "toy/triple")
    assert result.returncode == 0, result.stdout
    assert "merge conflict" not in verified(branches)
    assert read_entry(branches, "toy/double")["history"][0]["reason"] == "times 2"
    assert read_entry(branches, "toy/triple")["history"][0]["reason"] == "times 3"


def test_two_branches_that_change_one_golden_leave_it_whole_and_in_conflict(branches: Path) -> None:
    result = merged(branches, "toy/double", "toy/double")
    assert result.returncode == 1
    assert "both sides changed it; take all files of one side: git checkout --ours -- fixtures/toy/double.json" in (
        result.stdout + result.stderr
    )
    whole = read_golden(golden_path(branches, "toy/double"))
    assert read_entry(branches, "toy/double")["content"] == whole.content_digest(), "ours, in both files"
    told = verified(branches)
    files = " ".join(os.path.relpath(branches / f"toy/double.{kind}") for kind in ("json", "h5", "png"))
    assert f"toy/double: an unresolved merge conflict; take all files of one side: git checkout --ours -- {files}" in (
        told
    )
    assert told.count("an unresolved merge conflict") == 1
    git("checkout", "--theirs", "--", "fixtures/toy/double.json", "fixtures/toy/double.h5")
    git("add", ".")
    assert "conflict" not in verified(branches)
    assert read_entry(branches, "toy/double")["history"][0]["reason"] == "times 3"


def test_without_the_driver_a_conflicted_entry_is_reported(branches: Path) -> None:
    assert golden("git", "--disable").exit_code == 0
    assert merged(branches, "toy/double", "toy/double").returncode == 1
    with pytest.raises(GoldenError, match=r"double\.json: a merge conflict; take all files of one side: git checkout"):
        read_entry(branches, "toy/double")
    assert "an unresolved merge conflict" in verified(branches)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


@pytest.mark.parametrize("kind", ["h5", "json", "png"])
def test_an_lfs_pointer_is_reported(fixtures: Path, kind: str) -> None:
    (fixtures / "toy" / f"double.{kind}").write_bytes(LFS)
    assert "a Git LFS pointer, not the data; run 'git lfs pull'" in verified(fixtures)


def crlf(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("kind", ["h5", "png"])
@pytest.mark.parametrize(
    ("convert", "told"), [(crlf, "LF became CR LF"), (lambda of: of.replace(b"\r\n", b"\n"), "CR LF became LF")]
)
def test_converted_line_ends_are_reported(fixtures: Path, kind: str, convert, told: str) -> None:
    file = fixtures / "toy" / f"double.{kind}"
    file.write_bytes(convert(file.read_bytes()))
    assert f"its line ends were converted as if it were text ({told}" in verified(fixtures)


def test_an_entry_may_have_other_line_ends_but_no_byte_order_mark(fixtures: Path) -> None:
    file = entry_path(fixtures, "toy/double")
    content = file.read_bytes()
    file.write_bytes(crlf(content))
    assert "4 goldens: digests match" in verified(fixtures)
    file.write_bytes(b"\xef\xbb\xbf" + content)
    assert "double.json: it begins with a byte-order mark, which an editor wrote; restore it" in verified(fixtures)
