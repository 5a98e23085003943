"""``golden list | show | faults | verify | scan``, run as their users run them."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pytest_regressions.file_regression import FileRegressionFixture
from rich.console import Console

from golden import interrupts
from golden.cli import main
from golden.report.files import write_whole
from golden.report.run import Check, Run, write_run
from golden.report.text import golden_list
from golden.store.checkout import CODE
from golden.store.entry import entry_path, read_entries
from golden.store.golden import golden_path
from golden.store.read import read_golden
from golden.store.write import write_golden, write_outputs
from tests.golden import standin

FIXTURES = CODE / "golden" / "fixtures"


def golden(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def without_digests(text: str) -> str:
    """Replace content digests, because they cover distances of faults, which round differently on other processors."""
    return re.sub(r"\b([0-9a-f]{64}|[0-9a-f]{16})\b", "<digest>", text)


def test_list_show_and_faults(fixtures: Path, file_regression: FileRegressionFixture) -> None:
    commands = (
        ("list",),
        ("list", "toy/r*"),
        ("show", "toy/double"),
        ("show", "toy/ramp"),
        ("faults",),
        ("faults", "--all", "toy/double"),
        ("faults", "--by-fault"),
    )
    told = ""
    for command in commands:
        result = golden(*command, "--fixtures", str(fixtures))
        assert result.exit_code == 0, result.output
        lines = [line.rstrip() for line in result.output.splitlines()]
        told += "\n".join([f"$ golden {' '.join(command)}", *lines, "", ""])
    file_regression.check(without_digests(told), encoding="utf-8")


def test_show_lists_masks_recipes_and_texts() -> None:
    result = golden("show", "reassembly/scan_photograph")
    assert result.exit_code == 0
    for expected in ("derived by the operation's recipe", "compared at 23803 of 24336", "exact", "history"):
        assert expected in result.output, expected
    assert '"sigmoid"' in golden("show", "defaults/model").output


def test_show_draws(tmp_path: Path) -> None:
    picture = tmp_path / "mosaic.png"
    assert golden("show", "reassembly/m20_subpixel", "--picture", str(picture)).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    result = golden("show", "defaults/model", "--picture", str(picture))
    assert result.exit_code == 2
    assert "it has no array that can be drawn" in result.output
    result = golden("show", "reassembly/m20_subpixel", "--picture", str(picture / "below.png"))
    assert result.exit_code == 2
    assert "golden: cannot write" in result.output


def test_show_takes_a_file(fixtures: Path, tmp_path: Path) -> None:
    file = golden_path(fixtures, "toy/double")
    told = golden("show", str(file)).output
    assert "toy/double  twice" in told
    assert "2026-01-01  new -> " in told
    alone = tmp_path / "alone.h5"
    alone.write_bytes(file.read_bytes())
    told = golden("show", str(alone)).output
    assert "toy/double  twice" in told
    assert "history" not in told
    result = golden("show", str(tmp_path / "none.h5"))
    assert (result.exit_code, "no such file" in result.output) == (2, True)


def test_diff_compares_outputs_of_a_run_with_their_golden(fixtures: Path, tmp_path: Path) -> None:
    made = standin.make_golden(standin.CASES[0])
    file = tmp_path / "x.obtained.h5"

    def held(*options: str, **outputs: np.ndarray) -> Result:
        file.unlink(missing_ok=True)
        write_outputs(file, outputs)
        return golden("diff", "toy/double", str(file), "--fixtures", str(fixtures), "--exit-code", *options)

    y, rows = made.outputs["y"], made.outputs["rows"]
    assert held(y=-y, rows=rows).exit_code == 1
    told = held("--markdown", y=-y, rows=rows).output
    assert told.startswith("<pre>golden toy/double: output 'y' breaking")
    assert "diagnosis: matches fault 'negated' exactly" in told
    agrees = held(y=y)
    assert agrees.output == "golden toy/double: agrees (0 x tolerance)\n  not obtained: rows\n"
    assert agrees.exit_code == 0
    damaged = tmp_path / "y.obtained.h5"
    damaged.write_bytes(b"no")
    result = golden("diff", str(golden_path(fixtures, "toy/double")), str(damaged))
    assert (result.exit_code, "not an HDF5 file" in result.output) == (2, True)


def test_unknown_case_gets_the_nearest_names() -> None:
    result = golden("show", "reassembly/m20_subpxel")
    assert result.exit_code == 2
    assert "no case matches 'reassembly/m20_subpxel'; nearest: reassembly/m20_subpixel" in result.output


def test_verify(fixtures: Path) -> None:
    arguments = ("verify", "--fixtures", str(fixtures), "--cases", "tests.golden.standin")
    result = golden(*arguments)
    assert result.exit_code == 0
    assert "4 goldens: digests match, entries match, nothing is orphaned" in result.output
    golden_path(fixtures, "toy/double").write_bytes(b"")
    (fixtures / "toy" / "stray.h5").write_bytes(b"")
    result = golden(*arguments)
    assert result.exit_code == 1
    assert "golden toy/stray: no case declares it" in result.output
    assert "the file is empty" in result.output
    assert "3 problem(s)" in result.output


def test_broken_entry_is_one_line(fixtures: Path) -> None:
    entry_path(fixtures, "toy/double").write_text("{")
    result = golden("list", "--fixtures", str(fixtures))
    assert result.exit_code == 2
    assert result.output.startswith("golden: entry")
    assert len(result.output.splitlines()) == 1


def test_both_commands_start() -> None:
    script = Path(sys.executable).parent / "golden"
    assert script.exists(), "the package is not installed here: pip install -e '.[test]'"
    commands = ([sys.executable, "-m", "golden"], [str(script)])
    runs = [subprocess.Popen([*command, "--help"], stdout=subprocess.PIPE, text=True) for command in commands]
    for run in runs:
        output, _ = run.communicate(timeout=60)
        assert run.returncode == 0
        assert "generate_golden.py" in output


def test_faults_warns_of_near_faults_and_nearly_used_tolerances(fixtures: Path, tmp_path: Path) -> None:
    case = standin.CASES[0]
    made = standin.make_golden(case)
    near = {
        name: replace(fault, outputs={o: replace(wrong, share=5.0) for o, wrong in fault.outputs.items()})
        for name, fault in made.faults.items()
    }
    path = golden_path(fixtures, case.name)
    path.unlink()
    write_golden(path, replace(made, faults=near))
    check = Check(case.name, case.operation.name, {"y": {"verdict": "within tolerance", "share": 0.8}})
    write_run(tmp_path / "run.json", Run([check]), fixtures)
    result = golden("faults", "--fixtures", str(fixtures), "--run", str(tmp_path / "run.json"), "toy/double")
    assert result.exit_code == 0
    assert "fault 'negated' is only 5 tolerances away" in result.output
    assert "toy/double: the port uses 80% of the tolerance" in result.output


def test_faults_that_no_case_catches_are_an_error(fixtures: Path) -> None:
    for case in standin.CASES:
        made = standin.make_golden(case)
        blind = {name: fault for name, fault in made.faults.items() if name != "negated"}
        hidden = {"negated": "they say"} if "negated" in made.faults else {}
        golden_path(fixtures, case.name).unlink()
        write_golden(golden_path(fixtures, case.name), replace(made, faults=blind, invisible=hidden))
    result = golden("faults", "--fixtures", str(fixtures))
    assert result.exit_code == 1
    assert "fault 'negated' of operation toy.scale: invisible in every case" in result.output


def test_json_contains_what_the_text_says() -> None:
    """Each command prints one JSON document and nothing else."""

    def read(*arguments: str) -> Any:
        result = golden(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    case = "probe/hard_mask_n32"
    assert list(read("list", case)["goldens"]) == [case]
    shown = read("show", case)["goldens"][case]
    assert shown["operation"] == shown["entry"]["operation"] == "probe.hard_mask"
    assert shown["outputs"]["mask"] == {"shape": [32, 32, 1], "dtype": "bool"}
    assert shown["content"] == shown["entry"]["content"]
    told = read("faults", case)
    assert {one["case"] for one in told["faults"]} == {case}
    assert {one["fault"] for one in told["faults"]} | set(shown["invisible"]) == set(shown["entry"]["faults"])
    assert (told["warnings"], told["problems"]) == ([], [])
    file = str(golden_path(FIXTURES, case))
    assert read("diff", file, file)["differences"] == []


def test_json_of_differences_and_problems(fixtures: Path, tmp_path: Path) -> None:
    assert json.loads(golden("verify", "--fixtures", str(fixtures), "--json").output)["sound"] is False, "other cases"
    one, other = (str(golden_path(fixtures, case)) for case in ("toy/double", "toy/triple"))
    [found] = json.loads(golden("diff", one, other, "--json").output)["differences"]
    assert found["outputs"]["y"]["verdict"] == "breaking"
    assert found["outputs"]["y"]["share"] > 1
    obtained = tmp_path / "x.obtained.h5"
    write_outputs(obtained, {"y": read_golden(Path(other)).outputs["y"]})
    result = json.loads(golden("diff", one, str(obtained), "--json").output)
    assert (result["case"], result["not_obtained"]) == ("toy/double", ["rows"])
    assert result["outputs"]["y"]["verdict"] == "breaking"
    assert result["causes"]


def test_version() -> None:
    assert golden("--version").output == f"golden, version {metadata.version('ptycho-golden')}\n"


def test_lines_are_whole_in_a_pipe_and_names_on_a_narrow_terminal() -> None:
    text = golden("list").output
    lines = {line.split()[0]: line for line in text.splitlines()[1:] if line.strip()}
    for name, entry in read_entries(FIXTURES).items():
        assert entry["operation"] in lines[name]
        assert lines[name].rstrip().endswith(entry["summary"])
    shown = io.StringIO()
    Console(width=40, file=shown).print(golden_list(read_entries(FIXTURES)))
    assert "…" not in shown.getvalue()
    lines = shown.getvalue().splitlines()
    [width] = [len(match[0]) for line in lines[:3] if (match := re.match("case +", line))]
    first_column = "".join(line[:width].strip() for line in lines)
    assert first_column == "case" + "".join(read_entries(FIXTURES))


def test_scan_is_written_as_ptychopinn_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "scan.npz"
    file.write_text("an older one is replaced")
    assert golden("scan", str(file)).output == f"reading 1087 patterns\nscan: {file}\n"
    with np.load(file) as scan:
        shapes = {name: scan[name].shape for name in scan.files}
    assert shapes.pop("diff3d") == (1087, 64, 64)
    assert shapes.pop("probeGuess") == (64, 64)
    assert shapes.pop("objectGuess") == (216, 256)
    assert set(shapes) == {"xcoords", "ycoords", "xcoords_start", "ycoords_start", "scan_index"}
    assert set(shapes.values()) == {(1087,)}
    assert [path.name for path in tmp_path.iterdir()] == ["scan.npz"]


def test_scan_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for file, message in (
        ("scan.txt", "expected a file that ends in .npz"),
        ("taken/scan.npz", "cannot write"),
    ):
        result = golden("scan", str(tmp_path / file))
        assert result.exit_code == 2
        assert message in result.output
        progress, problem = result.output.splitlines()
        assert progress == "reading 1087 patterns"
        assert problem.startswith("golden: ")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("command", ["golden list", "golden --help", "golden verify --help", "golden.generate --list"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(command: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", *command.split()], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf_8(encoding: str) -> None:
    command = [sys.executable, "-m", "golden", "show", "reassembly/m20_subpixel"]
    done = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"mosaic" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot remove a current directory")
def test_a_current_directory_that_is_gone(tmp_path: Path) -> None:
    command = f'mkdir gone && cd gone && rmdir ../gone && exec "{sys.executable}" -m golden list'
    environment = os.environ | {"PYTHONPATH": str(CODE)}
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "golden: the current directory is gone; change to one that exists\n"


def test_closed_streams() -> None:
    script = f"exec '{sys.executable}' -m golden list <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 0


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    link, target, pipe = (tmp_path / name for name in ("link", "target", "pipe"))
    link.symlink_to(target)
    for content in (b"new", b"replaced"):
        write_whole(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"sent")
    assert os.read(reader, 9) == b"sent"
    os.close(reader)
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "target"]


def test_a_page_may_go_to_standard_output(fixtures: Path) -> None:
    command = [sys.executable, "-m", "golden", "diff", str(fixtures), str(fixtures), "--html", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "<!doctype html>" in done.stdout.lower()
    assert Path("/dev/stdout").is_symlink()


def test_what_the_system_refuses_elsewhere_is_not_blamed_on_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(errno.EACCES, "Permission denied", "golden/fixtures")

    with monkeypatch.context() as patched, pytest.raises(SystemExit) as ended:
        patched.setattr("os.dup2", lambda one, other: None)  # pytest needs its own standard output
        interrupts.run(refuse)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "golden: [Errno 13] Permission denied: 'golden/fixtures'\n"
