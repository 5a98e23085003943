"""``golden diff``: what moved between two sets of goldens, and by how much."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from golden.cli import main
from golden.store import golden_path, write_golden
from tests.golden import standin
from tests.golden.conftest import fill

DOUBLE = standin.CASES[0]


def diff(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diff", *arguments])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two directories: in the second, one golden negated, one gone, one new, one damaged."""
    before, after = tmp_path / "before", tmp_path / "after"
    fill(before)
    fill(after)
    rewrite(after, y=lambda y: -y)
    golden_path(after, "toy/triple").unlink()
    golden_path(before, "toy/ramp").unlink()
    golden_path(after, "toy/slow").write_bytes(b"")
    return before, after


def rewrite(directory: Path, y) -> None:
    made = standin.make_golden(DOUBLE)
    golden_path(directory, DOUBLE.name).unlink()
    outputs = {**made.outputs, "y": y(made.outputs["y"])}
    write_golden(golden_path(directory, DOUBLE.name), replace(made, outputs=outputs))


def test_directories(pair: tuple[Path, Path]) -> None:
    result = diff(*map(str, pair))
    assert result.exit_code == 0, result.output
    assert "toy/double: changed; outputs breaking" in result.output
    assert "matches fault 'negated' exactly: the result has the other sign" in result.output
    assert "toy/triple: removed\n  three times" in result.output
    assert "toy/ramp: added\n  a ramp" in result.output
    assert "toy/slow: unreadable" in result.output
    assert "the file is empty" in result.output
    assert result.output.endswith("1 added, 1 removed, 1 changed, 1 unreadable\n")
    assert diff(*map(str, pair), "--exit-code").exit_code == 1


def test_the_same_is_said_to_be(pair: tuple[Path, Path]) -> None:
    result = diff(str(pair[0]), str(pair[0]), "--exit-code")
    assert result.exit_code == 0
    assert result.output == "no golden differs\n"


def test_files_and_one_case(pair: tuple[Path, Path]) -> None:
    files = [str(golden_path(directory, "toy/double")) for directory in pair]
    assert diff(*files).output.endswith("1 changed\n")
    assert diff(*map(str, pair), "--only", "toy/tri*").output == "toy/triple: removed\n  three times\n\n1 removed\n"


def test_markdown_is_escaped(pair: tuple[Path, Path]) -> None:
    text = diff(*map(str, pair), "--markdown").output
    assert text.startswith("### Goldens: 1 added, 1 removed, 1 changed, 1 unreadable\n")
    assert "| `toy/double` | changed; outputs breaking | y | " in text
    assert "<details><summary>toy/double</summary>" in text
    made = replace(standin.make_golden(DOUBLE), summary="<img src=x> | twice")
    path = golden_path(pair[1], DOUBLE.name)
    path.unlink()
    write_golden(path, made)
    assert "<img" not in diff(*map(str, pair), "--markdown").output


def test_what_else_changed(tmp_path: Path) -> None:
    made = standin.make_golden(DOUBLE)
    other = replace(
        made,
        summary="thrice",
        parameters={"factor": 3.0},
        inputs={"x": made.inputs["x"] + np.complex64(1)},
        draw=1,
        definition="0" * 16,
        faults={name: fault for name, fault in made.faults.items() if name != "negated"},
    )
    write_golden(tmp_path / "a.h5", made)
    write_golden(tmp_path / "b.h5", other)
    told = diff(str(tmp_path / "a.h5"), str(tmp_path / "b.h5")).output
    for words in (
        "toy/double: changed; outputs identical",
        "summary: 'twice', now 'thrice'",
        "parameters: {'factor': 2.0}, now {'factor': 3.0}",
        "other inputs: x (draw 0, now 1)",
        "the case's definition changed",
        "no longer proved to catch: negated",
    ):
        assert words in told


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    fixtures = tmp_path / "deep" / "fixtures"
    fixtures.parent.mkdir()
    fill(fixtures)
    for step in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *step], check=True)
    rewrite(fixtures, y=lambda y: y * np.float32(1.25))
    return fixtures


def test_revisions_are_read_without_a_checkout(clone: Path) -> None:
    told = diff("HEAD", "--fixtures", str(clone)).output
    assert "toy/double: changed; outputs breaking" in told
    assert "it is the old one, times 1.25" in told
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "second"], check=True)
    assert diff("HEAD", "--fixtures", str(clone)).output == "no golden differs\n"
    for span in ("HEAD~1..HEAD", "HEAD~1..", "HEAD~1...main"):
        assert diff(span, "--fixtures", str(clone)).output.endswith("1 changed\n"), span


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere..HEAD"], "golden: git rev-parse --verify --end-of-options nowhere"),
        (["--output=x"], "No such option"),
        (["nowhere", "neither"], "golden: nowhere: no such file or directory"),
    ],
)
def test_what_is_not_there_is_one_clear_error(clone: Path, arguments: list[str], message: str) -> None:
    result = diff(*arguments, "--fixtures", str(clone))
    assert result.exit_code in (1, 2)
    assert message in result.output
