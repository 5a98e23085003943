"""``golden list | show | faults | verify`` as a person uses them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner, Result

from golden.cli import main
from golden.report.run import Check, Run, write_run
from golden.store.entry import NAME
from golden.store.golden import golden_path
from golden.store.write import write_golden
from tests.golden import standin


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
        "compared at 23803 of 24336",
        "history",
    ):
        assert expected in result.output, expected
    assert '"sigmoid"' in golden("show", "defaults/model").output


def test_show_draws(tmp_path: Path) -> None:
    picture = tmp_path / "mosaic.png"
    assert golden("show", "reassembly/m20_subpixel", "--picture", str(picture)).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    result = golden("show", "defaults/model", "--picture", str(picture))
    assert result.exit_code == 2
    assert "nothing in it is a picture" in result.output


def test_unknown_case_gets_the_nearest_names() -> None:
    result = golden("show", "reassembly/m20_subpxel")
    assert result.exit_code == 2
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
    assert result.exit_code == 2
    assert result.output.startswith("golden: manifest")
    assert len(result.output.splitlines()) == 1


def test_both_ways_to_start_it() -> None:
    script = Path(sys.executable).parent / "golden"
    assert script.exists(), "the package is not installed here: pip install -e '.[test]'"
    commands = ([sys.executable, "-m", "golden"], [str(script)])
    runs = [subprocess.Popen([*command, "--help"], stdout=subprocess.PIPE, text=True) for command in commands]
    for run in runs:
        output, _ = run.communicate(timeout=60)
        assert run.returncode == 0
        assert "generate_golden.py" in output


def test_faults_shows_the_nearest_of_every_case(fixtures: Path) -> None:
    result = golden("faults", "--fixtures", str(fixtures))
    assert result.exit_code == 0, result.output
    assert re.search(r"toy/double +y +\S+ +\S+ +factor_plus_one +\S+ +\S+ x", result.output)
    assert "4 goldens catch 4 faults, proved 10 times" in result.output
    every = golden("faults", "--fixtures", str(fixtures), "--all", "toy/double")
    assert re.search(r"toy/double +y +- *exact|row_lost +- +exact", every.output)
    by_fault = golden("faults", "--fixtures", str(fixtures), "--by-fault")
    assert re.search(r"toy\.scale +negated +3 of 3 +\S+ x +the result has the other sign", by_fault.output)


def test_faults_warns_of_what_will_hurt(fixtures: Path, tmp_path: Path) -> None:
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
    write_run(tmp_path / "run.json", Run([check]))
    result = golden("faults", "--fixtures", str(fixtures), "--run", str(tmp_path / "run.json"), "toy/double")
    assert result.exit_code == 0
    assert "fault 'negated' lies only 5 tolerances away" in result.output
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
