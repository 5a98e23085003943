"""git shows goldens as text once it is told to, and as before when that is undone."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from golden.cli import main
from golden.store.write import write_golden
from tests.golden import standin


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True).stdout


def golden(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with one golden, one value of which changed since the commit."""
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
    assert (clone / ".git" / "info" / "attributes").read_text() == "*.txt text\n*.h5 diff=golden\n"

    assert golden("git", "--disable").exit_code == 0
    assert "Binary files" in git("diff")
    assert "not enabled" in golden("git").output
    assert (clone / ".git" / "info" / "attributes").read_text() == "*.txt text\n"
    assert golden("git", "--disable").exit_code == 0


def test_what_is_no_golden_is_said_and_hides_no_difference(tmp_path: Path) -> None:
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
