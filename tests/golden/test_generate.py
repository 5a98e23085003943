"""The generator, run as its users run it, with a stand-in reference."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from golden.generate import main
from golden.generator.regenerate import Regeneration
from golden.generator.worker import FROZEN, INSTRUCTION_SET, VARIANTS, Reference, instruction_set
from golden.judge.compare import Verdict
from golden.review.difference import Change, Difference
from golden.spec.catalogue import load_cases
from golden.spec.errors import GoldenError
from golden.spec.fault import Fault
from golden.spec.operation import KERNELS
from golden.store import format4
from golden.store.entry import entry_path, read_entry
from golden.store.golden import FORMAT, golden_path, stored_cases
from golden.store.read import read_golden
from golden.store.update import lock
from golden.store.verify import verify
from tests.golden import standin
from tests.golden.conftest import fill
from tests.golden.corruptions import make_older

REPOSITORY = Path(__file__).resolve().parents[2]
STANDIN = ("--cases", "tests.golden.standin", "--reference", "tests.golden.standin")
ALL = {case.name: case for case in standin.CASES}


def run_main(*arguments: str, behaviour: str = "") -> Result:
    return CliRunner().invoke(main, arguments, env={"STANDIN": behaviour})


def generate(fixtures: Path, *arguments: str, behaviour: str = "") -> Result:
    """Run the generator on the stand-in's cases; the last occurrence of an option counts."""
    return run_main("--fixtures", str(fixtures), *STANDIN, *arguments, behaviour=behaviour)


def snapshot(directory: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(directory).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


class InProcess:
    """A reference in this process, because another process takes half a second to start."""

    def __init__(self, module: str, settings: object) -> None:
        self.module = module
        self._reference = importlib.import_module(module)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def evaluate(self, operation, inputs, parameters, precision=None):
        return self._reference.evaluate(operation.name, precision or operation.precision, inputs, parameters)

    def producer(self, operation) -> str:
        return self._reference.producer(operation.name)

    def provenance(self) -> dict[str, str]:
        return self._reference.provenance()

    def backing(self) -> str:
        return getattr(self._reference, "BACKING", "")

    def missing(self, operation) -> str:
        return getattr(self._reference, "missing", lambda name: "")(operation.name)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golden.generator.regenerate.Reference", InProcess)


@pytest.fixture
def generated(tmp_path: Path, in_process: None) -> Path:
    """Return goldens that the generator made."""
    run = generate(tmp_path, "--update", "--reason", "first", "--slow")
    assert run.exit_code == 0, run.stderr
    return tmp_path


def test_it_makes_sound_goldens(generated: Path) -> None:
    assert verify(generated, ALL) == []
    golden = read_golden(golden_path(generated, "toy/double"))
    assert set(golden.noise["y"]) == {
        "float64",
        "repeated",
        "1 thread",
        "4 threads",
        "no oneDNN",
        *(f"1 ULP, run {n}" for n in range(1, 5)),
    }
    assert golden.noise["y"]["1 ULP, run 1"] > 0
    assert [event["reason"] for event in read_entry(generated, "toy/double")["history"]] == ["first"]


def test_nothing_moved_writes_nothing(generated: Path) -> None:
    before = snapshot(generated)
    run = generate(generated)
    assert run.exit_code == 0, run.stderr
    assert "3 of 4 cases recomputed, nothing moved" in run.stdout
    assert re.search(r"toy/double +identical +0 +\d", run.stdout)
    assert "toy/slow" in run.stdout
    assert "1 slow case(s) not recomputed" in run.stdout
    again = generate(generated, "--update", "--reason", "nothing to do")
    assert again.exit_code == 0
    assert snapshot(generated) == before


def check(directory: Path, name: str = "toy/double"):
    with Regeneration(load_cases("tests.golden.standin"), directory, "tests.golden.standin") as run:
        return run.check(name)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("behaviour", "verdict"),
    [("noise", Verdict.WITHIN_NOISE), ("breaking", Verdict.BREAKING), ("shape", Verdict.STRUCTURAL)],
)
def test_changes_are_graded(fixtures: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, verdict: Verdict) -> None:
    monkeypatch.setenv("STANDIN", behaviour)
    row = check(fixtures)
    assert row.verdict is verdict
    assert row.moved is (verdict > Verdict.WITHIN_NOISE)


@pytest.mark.usefixtures("in_process")
def test_a_break_is_reported_and_written_only_with_a_reason(fixtures: Path) -> None:
    before = snapshot(fixtures)
    run = generate(fixtures, "toy/double", behaviour="breaking")
    assert run.exit_code == 1, run.stderr
    assert "output 'y' breaking (worst" in run.stdout
    assert "the new answer compared with the old one: matches fault 'negated' exactly" in run.stdout
    assert run.stdout.endswith("1 cases recomputed, 1 moved\naccept with --update --reason TEXT\n")
    assert snapshot(fixtures) == before

    reason = "the stand-in changed its sign"
    accepted = generate(fixtures, "--update", "--reason", reason, "toy/double", behaviour="breaking")
    assert accepted.exit_code == 0, accepted.stderr
    assert verify(fixtures, ALL) == []
    changed = {name for name, state in snapshot(fixtures).items() if state != before[name]}
    assert changed == {"toy/double.h5", "toy/double.png", "toy/double.json"}
    event = read_entry(fixtures, "toy/double")["history"][0]
    assert event["reason"] == reason
    assert event["before"] != event["after"]


@pytest.fixture
def in_terminal(monkeypatch: pytest.MonkeyPatch, in_process: None) -> None:
    monkeypatch.setattr("golden.generator.session.in_terminal", lambda: True)


@pytest.mark.usefixtures("in_terminal")
@pytest.mark.parametrize(
    ("answers", "written", "status"),
    [
        ("yY", ["double", "triple"], 0),
        ("ny", ["triple"], 1),
        ("yq", [], 1),
        ("sx?nn", [], 1),
        ("a", ["double", "triple"], 0),
        ("ba", ["double", "triple"], 0),
        ("nbyn", ["double"], 1),
        ("ybnn", [], 1),
        ("y\x03", None, 130),  # Ctrl-C
        ("y", None, 130),  # the terminal is closed
    ],
)
def test_a_person_is_asked_about_each_case(
    fixtures: Path, answers: str, written: list[str] | None, status: int
) -> None:
    before = snapshot(fixtures)
    arguments = ("--fixtures", str(fixtures), *STANDIN, "--update", "--reason", "asked", "toy/double", "toy/triple")
    run = CliRunner().invoke(main, arguments, input=answers, env={"STANDIN": "breaking"})
    assert run.exit_code == status, run.output
    assert "[1/2]\ntoy/double: changed; outputs breaking\n" in run.stderr
    assert "output 'y' breaking (worst 2.1e+05 x tolerance)" in run.stderr
    assert "the new answer compared with the old one: matches fault 'negated'" in run.stderr
    changed = {name for name, state in snapshot(fixtures).items() if state != before[name]}
    assert {name for name in changed if name.endswith(".h5")} == {f"toy/{name}.h5" for name in written or []}
    assert {name for name in changed if name.endswith(".json")} == {f"toy/{name}.json" for name in written or []}
    if "s" in answers:
        page = re.search(r"file://(.*\.html)", run.stderr)
        assert page is not None
        assert "toy/double" in Path(page[1]).read_text()
        assert "y: write this golden\nn: leave this golden as it is\n" in run.stderr
    if written is None:
        assert "interrupted; nothing was changed" in run.stderr
    elif status:
        assert f"{2 - len(written)} golden(s) left as they were" in run.stdout
        assert verify(fixtures, ALL) == []


@pytest.mark.usefixtures("in_terminal")
def test_an_unexplained_change_is_asked_about_alone(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Difference, "causes", ())
    arguments = ("--fixtures", str(fixtures), *STANDIN, "--update", "--reason", "asked", "toy/double", "toy/triple")
    run = CliRunner().invoke(main, arguments, input="ayn", env={"STANDIN": "breaking"})
    assert "this change has no known cause, so no other change shares it" in run.stderr
    assert re.search(r"toy/double +breaking -> written", run.stdout)
    assert "1 golden(s) left as they were" in run.stdout


@pytest.mark.usefixtures("in_terminal")
def test_yes_asks_nothing(fixtures: Path) -> None:
    run = generate(fixtures, "--update", "--yes", "--reason", "r", "toy/double", behaviour="breaking")
    assert run.exit_code == 0
    assert "accept?" not in run.output
    assert re.search(r"toy/double +breaking -> written", run.stdout)


@pytest.mark.usefixtures("in_process")
def test_reports_of_what_moved(fixtures: Path, tmp_path: Path) -> None:
    markdown, page = tmp_path / "moved.md", tmp_path / "moved.html"
    reports = ("--report", str(markdown), "--report", str(page))
    run = generate(fixtures, *reports, "toy/double", behaviour="breaking")
    assert run.exit_code == 1, run.stderr
    assert markdown.read_text().startswith("### Goldens: 1 cases recomputed, 1 moved\n")
    for file in (markdown, page):
        assert "negated" in file.read_text()
    wrong = generate(fixtures, "--report", "moved.txt")
    assert wrong.exit_code == 2
    assert "expected a file that ends in .md or .html" in wrong.stderr


def older(fixtures: Path) -> None:
    """Convert goldens to the previous format."""
    for path in fixtures.glob("*/*.h5"):
        with h5py.File(path, "r+") as file:
            make_older(file)


def test_an_older_format_is_rewritten_once_without_computing(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older(generated)
    before = {name: read_golden(golden_path(generated, name)) for name in ALL}
    with monkeypatch.context() as nothing_starts:
        nothing_starts.setattr("golden.generator.regenerate.Reference", None)
        looked = generate(generated)
        assert looked.exit_code == 1, looked.stderr
        assert "0 of 4 cases recomputed, 4 moved" in looked.stdout
        assert read_golden(golden_path(generated, "toy/double")).format == format4.FORMAT
        run = generate(generated, "--update", "--reason", "format 5")
        assert run.exit_code == 0, run.stderr
    assert "the same content in another form: ptycho-golden 4, now ptycho-golden 5; axes and units of 2" in run.stdout
    for name, was in before.items():
        golden = read_golden(golden_path(generated, name))
        assert golden.content_digest() == was.content_digest()
        assert golden.lies_like(replace(golden, format=FORMAT, labels=golden.labels_of(ALL[name].operation)))
        newest, first = read_entry(generated, name)["history"]
        assert (newest["reason"], first["reason"]) == ("format 5", "first")
        assert newest["before"] == newest["after"] == first["after"]
    assert verify(generated, ALL) == []
    files = snapshot(generated)
    again = generate(generated, "--update", "--reason", "again", "--slow")
    assert "4 cases recomputed, nothing moved" in again.stdout
    assert snapshot(generated) == files


def test_an_older_format_keeps_inputs_draw_and_history_of_a_redefined_case(
    generated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert generate(generated, "--update", "--redraw", "--reason", "other", "toy/double").exit_code == 0
    older(generated)
    before = read_golden(golden_path(generated, "toy/double"))
    case = replace(ALL["toy/double"], parameters={"factor": 4.0})
    monkeypatch.setattr("tests.golden.standin.CASES", (case, *standin.CASES[1:]))
    run = generate(generated, "--update", "--reason", "four times", "toy/double")
    assert run.exit_code == 0, run.stderr
    golden = read_golden(golden_path(generated, "toy/double"))
    assert golden.format == FORMAT
    assert golden.draw == before.draw == 1
    assert golden.inputs["x"].tobytes() == before.inputs["x"].tobytes()
    assert golden.outputs["y"].tobytes() == (2 * before.outputs["y"]).tobytes()
    assert [event["reason"] for event in read_entry(generated, "toy/double")["history"]] == [
        "four times",
        "other",
        "first",
    ]


def test_other_axes_or_units_are_written_without_computing(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    relabelled = replace(standin.LARGE, outputs=(replace(standin.LARGE.outputs[0], axes="step", unit="photon"),))
    ramp = replace(ALL["toy/ramp"], operation=relabelled)
    cases = tuple(ramp if case.name == ramp.name else case for case in standin.CASES)
    told = verify(generated, ALL | {ramp.name: ramp})
    assert told == [
        "golden toy/ramp: its case declares other texts, axes or units for outputs/z; "
        "'python generate_golden.py --update --reason ... toy/ramp' rewrites them"
    ]
    monkeypatch.setattr("tests.golden.standin.CASES", cases)
    monkeypatch.setattr("golden.generator.regenerate.Reference", None)
    run = generate(generated, "--update", "--reason", "photons", "toy/ramp")
    assert run.exit_code == 0, run.stderr
    assert "outputs/z: no axes [no unit], now step [photon]" in run.stdout
    assert verify(generated, ALL | {ramp.name: ramp}) == []


def test_other_texts_are_written_without_computing(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = replace(standin.LARGE.faults[0], symptom="the ramp is reversed; expected it as it is")
    case = replace(ALL["toy/ramp"], summary="a rising ramp", operation=replace(standin.LARGE, faults=(fault,)))
    assert "other texts, axes or units for fault reversed, summary" in verify(generated, ALL | {case.name: case})[0]
    before = read_golden(golden_path(generated, case.name))
    monkeypatch.setattr("tests.golden.standin.CASES", (case,))
    monkeypatch.setattr("golden.generator.regenerate.Reference", None)
    run = generate(generated, "--update", "--reason", "plainer words", "toy/ramp")
    assert run.exit_code == 0, run.stderr
    assert "summary: 'a ramp', now 'a rising ramp'" in run.stdout
    golden = read_golden(golden_path(generated, case.name))
    assert (golden.summary, golden.faults["reversed"].symptom) == ("a rising ramp", fault.symptom)
    assert golden.definition == before.definition
    assert read_entry(generated, case.name)["history"][0]["reason"] == "plainer words"
    assert verify(generated, ALL | {case.name: case}) == []


def test_axes_that_do_not_fit_an_array_are_refused(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(standin.LARGE, outputs=(replace(standin.LARGE.outputs[0], axes="row column"),))
    ramp = replace(ALL["toy/ramp"], operation=wrong)
    monkeypatch.setattr("tests.golden.standin.CASES", (ramp,))
    run = generate(generated, "toy/ramp")
    assert run.exit_code == 2
    assert "outputs/z has shape (1000,), but axes 'row column'; expected a name for each axis" in run.stderr
    assert "expected a name for each" in verify(generated, ALL | {ramp.name: ramp})[0]


def test_new_gone_and_redefined_cases(fixtures: Path) -> None:
    golden_path(fixtures, "toy/triple").unlink()
    assert check(fixtures, "toy/triple").change is Change.NEW
    assert check(fixtures, "toy/other").change is Change.GONE
    cases = load_cases("tests.golden.standin")
    of_whole_numbers = replace(standin.SCALE, parameters={"factor": int})
    cases["toy/double"] = replace(cases["toy/double"], operation=of_whole_numbers, parameters={"factor": 2})
    with Regeneration(cases, fixtures, "tests.golden.standin") as run:
        assert run.check("toy/double").change is Change.REDEFINED


@pytest.mark.usefixtures("in_process")
def test_a_lost_entry_is_noticed_and_made_again(fixtures: Path) -> None:
    entry_path(fixtures, "toy/double").unlink()
    assert check(fixtures).change is Change.UNLISTED
    assert generate(fixtures).exit_code == 1
    repaired = generate(fixtures, "--update", "--reason", "repair")
    assert repaired.exit_code == 0, repaired.output
    assert verify(fixtures, ALL) == []


@pytest.mark.usefixtures("in_process")
def test_an_unreadable_golden_does_not_hide_the_others_and_can_be_redrawn(fixtures: Path) -> None:
    golden_path(fixtures, "toy/double").write_bytes(b"")
    run = generate(fixtures)
    assert run.exit_code == 1
    assert re.search(r"toy/double +unreadable", run.stdout)
    assert re.search(r"toy/triple +identical", run.stdout)
    assert "the file is empty" in run.stdout
    anew = generate(fixtures, "--update", "--redraw", "--reason", "lost", "toy/double")
    assert anew.exit_code == 0, anew.output
    assert verify(fixtures, ALL) == []


@pytest.mark.usefixtures("in_process")
def test_a_slow_case_is_inspected_though_not_recomputed(fixtures: Path) -> None:
    golden_path(fixtures, "toy/slow").unlink()
    run = generate(fixtures)
    assert run.exit_code == 1
    assert re.search(r"toy/slow +new", run.stdout)


def test_only_a_proof_notices_another_formula_of_a_fault(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (generated, "toy/double")
    assert generate(*arguments, "--prove").exit_code == 0
    negated, *others = standin.SCALE.faults
    other = replace(negated, commit=lambda trial: {"y": -5 * trial.outputs["y"]})
    changed = replace(standin.SCALE, faults=(other, *others))
    cases = tuple(
        replace(case, operation=changed) if case.operation is standin.SCALE else case for case in standin.CASES
    )
    monkeypatch.setattr(standin, "CASES", cases)
    assert generate(*arguments).exit_code == 0
    told = generate(*arguments, "--prove")
    assert told.exit_code == 1
    assert re.search(r"toy/double +proof changed", told.stdout)
    assert "  fault 'negated' was" in told.stdout
    assert generate(*arguments, "--prove", "--update", "--reason", "the fault was wrong").exit_code == 0
    assert generate(*arguments, "--prove").exit_code == 0
    assert verify(generated, ALL) == []


def test_a_case_that_lets_a_fault_through_is_not_written(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golden.generator.regenerate.Reference", InProcess)
    blind = Fault.of_outputs("blind", "nothing is wrong; expected something", lambda outputs: {})
    changed = replace(standin.SCALE, faults=(*standin.SCALE.faults, blind))
    monkeypatch.setattr(standin, "CASES", (replace(standin.CASES[0], operation=changed), *standin.CASES[1:]))
    before = snapshot(fixtures)
    run = generate(fixtures, "--update", "--reason", "a new fault", "toy/double")
    assert run.exit_code == 2
    assert "case toy/double: does not catch the fault 'blind'" in run.stderr
    assert snapshot(fixtures) == before


@pytest.mark.usefixtures("in_process")
def test_redraw_takes_new_inputs(fixtures: Path) -> None:
    old = read_golden(golden_path(fixtures, "toy/double"))
    run = generate(fixtures, "--update", "--redraw", "--reason", "other inputs", "toy/double")
    assert run.exit_code == 0, run.stderr
    new = read_golden(golden_path(fixtures, "toy/double"))
    assert new.draw == 1
    assert (new.inputs["x"] != old.inputs["x"]).any()
    assert verify(fixtures, ALL) == []


@pytest.mark.parametrize(
    ("arguments", "behaviour", "message"),
    [
        (["toy/dubble"], "", "no case matches 'toy/dubble'; nearest: toy/double"),
        (["--cases", "no.such"], "", "cases no.such: cannot be imported"),
        (["--reference", "no.such"], "", "reference no.such: cannot be imported"),
        ([], "raise", "RuntimeError: the stand-in was told to fail"),
        ([], "exit", "failed: SystemExit"),
        (["--update"], "", "--update needs --reason"),
        (["--update", "--check", "--reason", "x"], "", "give one of them"),
        (["--redraw"], "", "--redraw goes with --update"),
        (["--under", "1 thread", "--update", "--reason", "x"], "", "--under writes nothing"),
        (
            ["--under", "2 threads"],
            "",
            "'2 threads' is not one of '1 thread', '4 threads', 'no oneDNN', 'oneDNN at SSE4.1'",
        ),
        (["--fixtures", "no/such"], "", "fixtures no/such: no such directory"),
    ],
)
def test_it_could_not_run(fixtures: Path, arguments: list[str], behaviour: str, message: str) -> None:
    before = snapshot(fixtures)
    run = generate(fixtures, *arguments, behaviour=behaviour)
    assert run.exit_code == 2
    assert message in run.stderr
    assert isinstance(run.exception, SystemExit)
    assert snapshot(fixtures) == before


def test_without_tensorflow_it_says_how_to_install_it() -> None:
    """The environment of the tests has no TensorFlow, so the real reference cannot run here."""
    run = run_main("probe/hard_mask_n16")
    assert run.exit_code == 2
    assert "TensorFlow is not installed here" in run.stderr
    assert "make golden" in run.stderr


def test_help_and_list_need_no_reference() -> None:
    """``--list`` runs as a program, from the top of the repository."""
    command = [sys.executable, "generate_golden.py", "--list", "--reference", "no.such"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "reassembly/scan_photograph" in run.stdout
    assert "Exit status" in run_main("--help", "--reference", "no.such").stdout


def test_a_second_generator_is_refused(fixtures: Path) -> None:
    with lock(fixtures):
        run = generate(fixtures, "--update", "--reason", "r")
    assert run.exit_code == 2
    assert "another generator is at work here" in run.stderr


@pytest.mark.usefixtures("in_process")
def test_a_check_needs_no_writable_directory(fixtures: Path) -> None:
    run = generate(fixtures)
    assert run.exit_code == 0, run.stderr
    assert not (fixtures / ".lock").exists()


@pytest.mark.usefixtures("in_process")
def test_a_case_that_fails_does_not_hide_the_others(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, GoldenError, 2.0)
    before = snapshot(fixtures)
    for more in ((), ("--prove",), ("--update", "--reason", "r", "--prove")):
        run = generate(fixtures, *more, behaviour="breaking")
        assert run.exit_code == 2
        assert re.search(r"toy/double +failed", run.stdout)
        assert re.search(r"toy/triple +(breaking|identical)", run.stdout)
        assert "the reference failed" in run.stderr
        assert snapshot(fixtures) == before


def failing(monkeypatch: pytest.MonkeyPatch, problem: type[BaseException], factor: float) -> None:
    """Let the stand-in fail, or be interrupted, at the cases with this factor."""
    right = standin.evaluate

    def evaluate(operation, precision, inputs, parameters):
        if parameters.get("factor") == factor:
            raise problem("the reference failed")
        return right(operation, precision, inputs, parameters)

    monkeypatch.setattr(standin, "evaluate", evaluate)


UPDATE = ("--update", "--reason", "of all")


@pytest.mark.usefixtures("in_process")
def test_with_keep_going_sound_goldens_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, GoldenError, 2.0)
    run = generate(tmp_path, *UPDATE, "--keep-going")
    assert run.exit_code == 2
    assert "case toy/double: the reference failed" in run.stderr
    assert stored_cases(tmp_path) == {"toy/ramp", "toy/slow", "toy/triple"}
    assert "3 golden(s) written" in run.stdout
    run = generate(tmp_path / "other", *UPDATE, "--except", "toy/double", "toy/[dt]*")
    assert run.exit_code == 0, run.stderr
    assert stored_cases(tmp_path / "other") == {"toy/triple"}


@pytest.mark.usefixtures("in_process")
def test_with_keep_going_an_interrupted_run_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        failing(patch, KeyboardInterrupt, 5.0)
        run = generate(tmp_path, *UPDATE, "--keep-going")
    assert run.exit_code == 130
    assert "interrupted; 2 golden(s) had already been written or recorded" in run.stderr
    before = snapshot(tmp_path / "toy")
    run = generate(tmp_path, *UPDATE, "--keep-going")
    assert run.exit_code == 0, run.stderr
    assert "2 golden(s) written" in run.stdout
    assert before.items() <= snapshot(tmp_path / "toy").items()
    assert verify(tmp_path, ALL) == []


@pytest.mark.usefixtures("in_process")
def test_each_case_is_reported_in_a_pipe(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = generate(fixtures)
    assert "[1/4] recomputing toy/double\n[2/4] recomputing toy/ramp\n" in run.stderr
    failing(monkeypatch, RuntimeError, 3.0)
    run = generate(fixtures)
    assert run.exit_code == 2
    assert re.search(r"RuntimeError: the reference failed\ncase toy/triple", run.stderr), (
        "the case follows the traceback"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--except", "toy/nothing"), "no case matches 'toy/nothing'; nearest: "),
        (("--except", "toy/*", "toy/double"), "no case is left: all selected cases are left out"),
        (("--keep-going",), "--keep-going goes with --update"),
    ],
)
def test_cases_left_out(fixtures: Path, arguments: tuple[str, ...], message: str) -> None:
    run = generate(fixtures, *arguments)
    assert run.exit_code == 2
    assert message in run.stderr


@pytest.mark.usefixtures("in_process")
def test_a_picture_is_drawn_again_without_touching_its_golden(generated: Path) -> None:
    sound = snapshot(generated)
    for prove in ((), ("--prove",)):
        (generated / "toy" / "double.png").unlink()
        run = generate(generated, *prove, "toy/double")
        assert run.exit_code == 1
        assert re.search(r"toy/double +picture out of step", run.stdout)
        update = ("--update", "--reason", "r")
        assert generate(generated, *prove, *update, "toy/double").exit_code == 0
        after = snapshot(generated)
        assert after["toy/double.png"][0] == sound["toy/double.png"][0]
        assert after["toy/double.h5"] == sound["toy/double.h5"]
        assert len(read_entry(generated, "toy/double")["history"]) == 1
        assert verify(generated, ALL) == []


def test_interruption_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """It is interrupted while it computes, by Ctrl-C and by SIGKILL; both run at once to save a second."""
    blows = (signal.SIGINT, signal.SIGKILL)
    directories = [tmp_path / blow.name for blow in blows]
    for directory in directories:
        fill(directory)
    before = [snapshot(directory) for directory in directories]
    processes = [redraw_that_sleeps(directory) for directory in directories]
    for directory, process, blow in zip(directories, processes, blows):
        deadline = time.monotonic() + 30
        while not (directory / ".lock").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        process.send_signal(blow)
    errors = [process.communicate(timeout=30)[1] for process in processes]
    assert processes[0].returncode == 130
    assert "interrupted; nothing was changed" in errors[0]
    assert [snapshot(directory) for directory in directories] == before
    assert [verify(directory, ALL) for directory in directories] == [[], []]


def redraw_that_sleeps(directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "generate_golden.py", "--fixtures", str(directory), *STANDIN]
    command += ["--update", "--reason", "x", "--redraw", "toy/double"]
    environment = os.environ | {"STANDIN": "sleep"}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.usefixtures("in_process")
def test_outputs_that_tensorflow_did_not_produce_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin, "producer", lambda operation: "transcribed")
    run = generate(tmp_path, "--update", "--reason", "from a document", "toy/ramp")
    assert run.exit_code == 2
    assert "golden toy/ramp: its producer is 'transcribed'; a golden must be produced by TensorFlow" in run.stderr
    assert not golden_path(tmp_path, "toy/ramp").exists()


# ------------------------------------------------------------------------------------------------ an adapter

ADAPTER = ("--reference", "toy")
"""A name that the stand-in's cases declare."""


@pytest.mark.usefixtures("in_process")
def test_an_adapter_computes_and_the_backing_reference_proves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_ADAPTER", "rounds otherwise")
    run = generate(tmp_path, *ADAPTER, "--update", "--reason", "of the toy", "--slow")
    assert run.exit_code == 0, run.output
    assert verify(tmp_path, ALL) == []
    golden = read_golden(golden_path(tmp_path, "toy/double"))
    ours = standin.evaluate("toy.scale", "float32", golden.inputs, golden.parameters)["y"]
    assert (golden.outputs["y"] != ours).any()
    assert set(golden.faults) == {fault.name for fault in standin.SCALE.faults}
    assert golden.noise["y"]["float64"] == 0, "noise is measured from the backing reference, not against it"
    assert {key: golden.provenance[key] for key in ("reference", "version", "commit")} == {
        "reference": "toy",
        "version": "1.2",
        "commit": "0123456789abcdef",
    }
    assert re.fullmatch(r"stand-in, which agrees to 0\.\d+ of the tolerance", golden.provenance["proved_with"])
    event = read_entry(tmp_path, "toy/double")["history"][0]
    assert event["reference"] == "toy 1.2 (0123456)"


@pytest.mark.usefixtures("in_process")
def test_the_backing_reference_computes_what_an_adapter_cannot(tmp_path: Path) -> None:
    run = generate(tmp_path, *ADAPTER, "--update", "--reason", "of the toy", "--slow")
    said = "toy 1.2 (0123456) cannot compute toy.large (no call makes a ramp); computed with stand-in: toy/ramp"
    assert said in run.stdout
    provenance = read_golden(golden_path(tmp_path, "toy/ramp")).provenance
    assert provenance["reference"] == "stand-in"
    assert provenance["instead_of"] == "toy 1.2 (0123456): no call makes a ramp"
    again = generate(tmp_path, *ADAPTER)
    assert again.exit_code == 0
    assert said in again.stdout
    assert "recomputed with" not in again.stdout


@pytest.mark.usefixtures("in_process")
def test_a_disagreement_with_the_backing_reference_is_refused(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_ADAPTER", "negated")
    before = snapshot(fixtures)
    run = generate(fixtures, *ADAPTER, "--update", "--reason", "of the toy", "toy/double")
    assert run.exit_code == 2
    assert "case toy/double: the outputs of toy 1.2 (0123456) differ from those of stand-in" in run.stderr
    assert re.search(r"output 'y' breaking \(worst .* x tolerance\)", run.stderr)
    assert "matches fault 'negated'" in run.stderr
    assert "Nothing was written" in run.stderr
    assert snapshot(fixtures) == before


def test_faults_must_be_beyond_the_disagreement_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault 1.1 tolerances from one reference may pass for the other, which is 0.2 tolerances away."""
    monkeypatch.setattr("golden.generator.regenerate.Reference", InProcess)
    monkeypatch.setenv("TOY_ADAPTER", "rounds otherwise")
    near = Fault.of_outputs(
        "near", "the result is 1.6 ppm too large", lambda o: {"y": (o["y"] * np.float32(1 + 1.6e-6)).astype("c8")}
    )
    changed = replace(standin.SCALE, faults=(*standin.SCALE.faults, near))
    monkeypatch.setattr(standin, "CASES", (replace(standin.CASES[0], operation=changed),))
    run = generate(tmp_path, *ADAPTER, "--update", "--reason", "x")
    assert run.exit_code == 2, run.output
    assert "the fault(s) ['near'] are within" in run.stderr


@pytest.mark.usefixtures("in_process")
def test_a_golden_of_another_reference_is_reported_and_left_alone(fixtures: Path) -> None:
    before = snapshot(fixtures)
    run = generate(fixtures, *ADAPTER)
    assert run.exit_code == 0, run.output
    said = "made with stand-in, recomputed with toy 1.2 (0123456): toy/double, toy/triple"
    assert said in run.stdout.splitlines()
    assert "recomputed with" not in generate(fixtures).stdout
    again = generate(fixtures, *ADAPTER, "--update", "--reason", "nothing moved")
    assert again.exit_code == 0
    assert snapshot(fixtures) == before


# ------------------------------------------------------------------------------------------------ a cross-check

CROSSED = ("--cross-check", "tests.golden.toy_adapter")


@pytest.mark.usefixtures("in_process")
def test_a_cross_check_compares_two_references_and_writes_nothing(fixtures: Path) -> None:
    before = snapshot(fixtures)
    run = generate(fixtures, *CROSSED)
    assert run.exit_code == 0, run.output
    assert re.search(r"toy/double +identical", run.stdout)
    assert re.search(r"toy/ramp +reference lacks it", run.stdout)
    assert "1 slow case(s) not compared" in run.stdout
    assert "toy 1.2 (0123456) cannot compute toy.large (no call makes a ramp); not compared: toy/ramp" in run.stdout
    assert "stand-in and toy 1.2 (0123456): 2 cases compared, all agree within tolerance" in run.stdout
    assert "3 cases compared" in generate(fixtures, *CROSSED, "--slow").stdout
    assert snapshot(fixtures) == before
    assert not (fixtures / ".lock").exists()


@pytest.mark.usefixtures("in_process")
def test_references_that_do_not_agree_are_diagnosed(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_ADAPTER", "negated")
    before = snapshot(fixtures)
    run = generate(fixtures, *CROSSED, "toy/double", "toy/ramp")
    assert run.exit_code == 1
    assert "output 'y' breaking (worst" in run.stdout
    assert "diagnosis: matches fault 'negated'" in run.stdout
    assert "stand-in (expected) and toy 1.2 (0123456) (found, 'the port'): 1 case(s) do not agree" in run.stdout
    assert snapshot(fixtures) == before


@pytest.mark.usefixtures("in_process")
def test_a_cross_check_does_not_ask_whether_the_golden_is_out_of_date(fixtures: Path) -> None:
    """Two references that changed alike, even to another shape, agree."""
    assert generate(fixtures, *CROSSED, "toy/double", behaviour="breaking").exit_code == 0
    assert generate(fixtures, *CROSSED, "toy/double", behaviour="shape").exit_code == 0


@pytest.mark.usefixtures("in_process")
def test_a_damaged_golden_fails_and_a_missing_one_is_left_out(fixtures: Path) -> None:
    golden_path(fixtures, "toy/triple").unlink()
    run = generate(fixtures, *CROSSED)
    assert run.exit_code == 0, run.output
    assert "1 case(s) without a golden, or goldens without a case, left out" in run.stdout
    golden_path(fixtures, "toy/double").write_bytes(b"")
    run = generate(fixtures, *CROSSED, "toy/double", "toy/slow")
    assert run.exit_code == 1
    assert "the file is empty" in run.stdout


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--update", "--reason", "x"], "--cross-check writes no golden"),
        (["--prove"], "--cross-check writes no golden"),
        (["toy/ramp"], "nothing was compared"),
        (["--fixtures", "no/such"], "no such directory; a cross-check needs its inputs and tolerances"),
        (["--reference", "tests.golden.toy_adapter"], "that is the reference itself"),
    ],
)
def test_it_could_not_cross_check(fixtures: Path, arguments: list[str], message: str) -> None:
    run = generate(fixtures, *CROSSED, *arguments)
    assert run.exit_code == 2
    assert message in run.stderr


def test_without_the_package_ptycho_it_says_what_to_install(fixtures: Path) -> None:
    """The short name of its adapter is used, and the adapter runs in its own process."""
    run = generate(fixtures, "--reference", "ptycho")
    assert run.exit_code == 2
    assert "TensorFlow PtychoPINN, the package 'ptycho', is not installed" in run.stderr


# ------------------------------------------------------------------------------------------------ settings


class Recording(InProcess):
    """A reference that records the settings of each one that was started."""

    started: list[dict[str, str]]

    def __init__(self, module: str, settings: dict[str, str]) -> None:
        super().__init__(module, settings)
        self.started.append(settings)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    monkeypatch.setattr(Recording, "started", [], raising=False)
    monkeypatch.setattr("golden.generator.regenerate.Reference", Recording)
    return Recording.started


def test_goldens_are_recomputed_under_other_settings(fixtures: Path, started: list[dict[str, str]]) -> None:
    before = snapshot(fixtures)
    assert generate(fixtures).exit_code == 0
    assert generate(fixtures, "--under", "oneDNN at SSE4.1").exit_code == 0
    assert started == [FROZEN, FROZEN | {"ONEDNN_MAX_CPU_ISA": "SSE41"}]
    assert snapshot(fixtures) == before


def test_noise_is_measured_under_other_kernels_where_they_matter(tmp_path: Path, started: list[dict[str, str]]) -> None:
    plain, *_ = standin.CASES
    convolved = replace(plain, name="toy/convolved", operation=replace(plain.operation, kernels_matter=True))
    cases = {case.name: case for case in (plain, convolved)}
    with Regeneration(cases, tmp_path, "tests.golden.standin") as run:
        assert not {*KERNELS} & set(run.prove("toy/double").noise["y"])
        assert len(started) == 1 + len(VARIANTS) - len(KERNELS)
        assert {*KERNELS} < set(run.prove("toy/convolved").noise["y"])
    assert len(started) == 1 + len(VARIANTS), "each is started once, when it is needed"


def test_the_instruction_set_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    with Reference("tests.golden.standin", FROZEN) as reference:
        assert reference.provenance() == {**standin.provenance(), "instruction_set": instruction_set()}
    for found, said in (
        ({"baseline": ["X86_V2"], "found": ["X86_V3"]}, INSTRUCTION_SET),
        ({"baseline": ["SSE41"], "found": ["AVX", "AVX2"]}, INSTRUCTION_SET),
        ({"baseline": ["NEON"], "found": []}, f"less than {INSTRUCTION_SET}"),
    ):
        monkeypatch.setattr(np, "show_config", lambda mode, found=found: {"SIMD Extensions": found})
        assert instruction_set() == said


# ------------------------------------------------------------------------------------------------ from a wheel


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "golden.generate", "--list", "toy/*", "--cases", "tests.golden.standin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "toy/double" in done.stdout


def test_outside_a_checkout_an_update_asks_for_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golden.generate.checkout_of", lambda place: None)
    result = CliRunner().invoke(main, ["--update", "--reason", "x"])
    assert result.exit_code == 2
    assert "--update needs --fixtures DIR" in " ".join(result.output.split())
    assert "belongs to an installed package" in " ".join(result.output.replace("│", " ").split())
