"""``golden list | show | verify`` as a person uses them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from golden.cli import main
from golden.manifest import NAME
from golden.store import golden_path


def golden(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_list_is_what_the_manifest_says() -> None:
    result = golden("list", "reassembly/*")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split()[:2] == ["case", "operation"]
    assert all(line.startswith(("reassembly/", " ")) for line in lines[1:])
    assert "mosaic 156x156x1" in result.output


def test_show_tells_all() -> None:
    result = golden("show", "reassembly/scan_photograph")
    assert result.exit_code == 0
    for expected in (
        "240 patches of a photograph",
        "reassembly.scan_mosaic",
        "M = 20, N = 64",
        "tensorflow 2.",
        "object",
        "(168, 208)",
        "made by the operation's recipe",
        "canvas_side",
        "exact",
        "compared at 16954 of 24336",
        "history",
    ):
        assert expected in result.output, expected
    assert '"sigmoid"' in golden("show", "defaults/model").output


def test_show_draws(tmp_path: Path) -> None:
    picture = tmp_path / "mosaic.png"
    assert golden("show", "reassembly/m20_subpixel", "--picture", str(picture)).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    result = golden("show", "defaults/model", "--picture", str(picture))
    assert result.exit_code == 1
    assert "nothing in it is a picture" in result.output


def test_unknown_case_gets_the_nearest_names() -> None:
    result = golden("show", "reassembly/m20_subpxel")
    assert result.exit_code == 1
    assert "no case matches 'reassembly/m20_subpxel'; nearest: reassembly/m20_subpixel" in result.output


def test_verify(fixtures: Path) -> None:
    arguments = ("verify", "--fixtures", str(fixtures), "--cases", "tests.golden.standin")
    result = golden(*arguments)
    assert result.exit_code == 0
    assert "4 goldens: digests match, manifest in step, nothing orphaned" in result.output
    golden_path(fixtures, "toy/double").write_bytes(b"")
    (fixtures / "toy" / "stray.h5").write_bytes(b"")
    result = golden(*arguments)
    assert result.exit_code == 1
    assert "golden toy/stray: no case declares it" in result.output
    assert "the file is empty" in result.output
    assert "3 problem(s)" in result.output


def test_broken_manifest_is_one_line(fixtures: Path) -> None:
    (fixtures / NAME).write_text("{")
    result = golden("list", "--fixtures", str(fixtures))
    assert result.exit_code == 1
    assert result.output.startswith("golden: manifest")
    assert len(result.output.splitlines()) == 1


def test_both_ways_to_start_it() -> None:
    commands = ([sys.executable, "-m", "golden"], [str(Path(sys.executable).parent / "golden")])
    runs = [subprocess.Popen([*command, "--help"], stdout=subprocess.PIPE, text=True) for command in commands]
    for run in runs:
        output, _ = run.communicate(timeout=60)
        assert run.returncode == 0
        assert "generate_golden.py" in output
