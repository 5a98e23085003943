"""The ``golden`` fixture with sound, missing, drifted, damaged and unclaimed goldens, and what it never does."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pytest_regressions.file_regression import FileRegressionFixture

from golden.cli import main
from golden.store.golden import golden_path
from golden.store.read import read_outputs
from golden.testing import fixture
from tests.golden.conftest import fill

REPOSITORY = Path(__file__).resolve().parents[2]

PARITY = """
    import numpy as np
    import pytest
    FACTOR = 1
    @pytest.mark.golden("toy.scale")
    def test_scale(golden):
        y = FACTOR * golden.inputs["x"] * np.float32(golden.parameters["factor"])
        golden.check({"y": y, "rows": np.array(len(y))})
    @pytest.mark.golden("toy.large")
    def test_large(golden):
        golden.check({"z": golden.inputs["ramp"]})
"""


WRITE_PAGE = fixture._write_page


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a project with goldens, cases and a port that agrees with them. It writes no pages, which take time."""
    monkeypatch.setattr("golden.testing.fixture._write_page", lambda *arguments: False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # to look for plugins takes longer than these tests
    pytester.makeini(
        f"""
        [pytest]
        addopts = -p golden.pytest_plugin -p pytest_regressions.plugin -p pytest_datadir.plugin
        pythonpath = '{REPOSITORY}'
        testpaths = parity
        golden_fixtures = fixtures
        golden_cases = tests.golden.standin
        golden_tests = parity
        """
    )
    pytester.makepyfile(**{"parity/test_parity": PARITY})
    fill(pytester.path / "fixtures")
    return pytester


XDIST = ("-p", "xdist.plugin", "-n")
"""Options of a run with workers; their number follows."""


def state(project: pytest.Pytester) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in (project.path / "fixtures").rglob("*") if p.is_file()}


def edit(project: pytest.Pytester, old: str, new: str) -> None:
    path = project.path / "parity" / "test_parity.py"
    path.write_text(path.read_text().replace(old, new))


def test_agreement_passes_and_says_how_close(project: pytest.Pytester) -> None:
    before = state(project)
    result = project.runpytest()
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["goldens: 3 checked, 5 outputs; closest to its tolerance: *"])
    result.stdout.fnmatch_lines(["goldens: 1 slow, not run: toy/slow"])
    assert state(project) == before


def test_slow_goldens_run_when_asked(project: pytest.Pytester) -> None:
    project.runpytest("--golden-slow").assert_outcomes(passed=4)


def test_missing_golden_fails_and_is_not_created(project: pytest.Pytester) -> None:
    golden_path(project.path / "fixtures", "toy/double").unlink()
    before = state(project)
    result = project.runpytest()
    result.assert_outcomes(passed=2, errors=1, skipped=1)
    result.stdout.fnmatch_lines(["*toy/double.h5: no such file. Make it with 'python generate_golden.py*"])
    assert state(project) == before


@pytest.mark.parametrize("arguments", [("--force-regen",), ("--regen-all",), ("--force-regen", *XDIST, "2")])
def test_regeneration_flags_are_refused_once(project: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    edit(project, "FACTOR = 1", "FACTOR = 2")
    before = state(project)
    result = project.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "passed" not in result.stdout.str()
    assert "failed" not in result.stdout.str()
    told = f"{arguments[0]} would let the code under test write its expected values. *python generate_golden.py*"
    result.stdout.fnmatch_lines([told])
    assert result.stdout.str().count("write its expected values") == 1
    assert state(project) == before


def test_tests_without_a_golden_may_regenerate_their_texts(project: pytest.Pytester) -> None:
    project.makepyfile(**{"words/test_words": "def test_words(data_regression): data_regression.check({'n': 2})"})
    words = project.path / "words" / "test_words" / "test_words.yml"
    words.parent.mkdir()
    words.write_text("n: 1\n")
    project.runpytest("words", "--force-regen").assert_outcomes(failed=1)
    assert words.read_text() == "n: 2\n"
    project.runpytest("words").assert_outcomes(passed=1)


def test_a_declared_fault_is_named(project: pytest.Pytester) -> None:
    edit(project, "FACTOR = 1", "FACTOR = -1")
    result = project.runpytest("-k", "double")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(
        [
            "E * diagnosis: matches fault 'negated' exactly: the result has the other sign; expected x * factor",
            "goldens: 1 of 1 failed goldens look like fault 'negated'",
        ]
    )


def test_a_diagnosis_that_breaks_hides_no_failure(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golden.judge.judgement.diagnose", lambda *arguments: 1 / 0)
    edit(project, "FACTOR = 1", "FACTOR = 2")
    result = project.runpytest("-k", "double")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(
        ["E *output 'y' breaking*", "E * diagnosis: none; the diagnosis itself failed (ZeroDivisionError*"]
    )


def test_a_port_that_uses_most_of_its_tolerance_is_reported(project: pytest.Pytester) -> None:
    edit(project, "FACTOR = 1", "FACTOR = np.float32(1 + 8e-6)")
    result = project.runpytest("-k", "double")
    result.assert_outcomes(passed=1, deselected=3)
    result.stdout.fnmatch_lines(["goldens: toy/double uses *% of the tolerance of 'y'"])


def test_a_report_of_another_kind_is_a_usage_error(project: pytest.Pytester) -> None:
    result = project.runpytest("--golden-report=run.xml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--golden-report run.xml: expected a file that ends in .md, .json, .html"])


def test_drift_fails_and_shows_where(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, file_regression: FileRegressionFixture
) -> None:
    monkeypatch.setattr("golden.testing.fixture._write_page", WRITE_PAGE)
    edit(project, 'golden.check({"y": y', 'y[1:3, 2] += 1; golden.check({"y": y')
    before = state(project)
    reports = ("--golden-report=out/run.html", "--golden-report=out/run.md")
    result = project.runpytest("-k", "double", *reports)
    result.assert_outcomes(failed=1, deselected=3)
    told = [line for line in result.outlines if line.startswith(("E  ", "goldens: "))]
    file_regression.check("\n".join(re.sub(r"/\S+/", "<scratch>/", line) for line in told) + "\n", encoding="utf-8")
    assert "_compare" not in result.stdout.str()  # the traceback ends at the user's line
    found = {name: Path(path) for name, path in re.findall(r"E +(obtained|page): (\S+)", result.stdout.str())}
    assert set(read_outputs(found["obtained"])) == {"y", "rows"}
    for page in (found["page"], project.path / "out" / "run.html"):
        assert "2 of 20, in [1:3, 2:3]" in page.read_text()
        assert "data:image/webp;base64," in page.read_text()
    assert "### toy/double" in (project.path / "out" / "run.md").read_text()
    [command] = set(re.findall(r"look again: golden (diff .*)", result.stdout.str()))  # under CI, pytest repeats it
    again = CliRunner().invoke(main, [*command.split(), "--html", "again.html", "--exit-code"])
    assert again.exit_code == 1
    assert again.output.startswith("golden toy/double: output 'y' breaking (worst 3.5e+04 x tolerance)\n")
    assert "expected" in Path("again.html").read_text()
    assert state(project) == before


TRAPS = {
    '{"y": y.astype(complex), "rows": rows}': "*output 'y' structural*expected dtype complex64, found complex128*",
    '{"y": y.real.astype(np.float16), "rows": rows}': "*structural*expected dtype complex64, found float16*",
    '{"y": y * np.float32("nan"), "rows": rows}': "*output 'y' breaking*found (nan*",
    '{"y": y * 0, "rows": rows}': "*output 'y' breaking*the expected values, but replaced by zeros*",
    '{"y": y[:0], "rows": rows}': "*output 'y' structural*expected shape (4, 5), found (0, 5)*",
    '{"y": y[None], "rows": rows}': "*output 'y' structural*expected shape (4, 5), found (1, 4, 5)*",
    '{"y": y.tolist(), "rows": rows}': "*output 'y': expected an array of numbers or bytes, complex64 *found list*",
    '{"z": y, "rows": rows}': "*output 'y' structural*output missing; found ['rows', 'z']*",
    '{"y": y}': "*output 'rows' structural*output missing*",
    "{}": "*output 'rows' structural*output missing*",
    '{"y": y, "rows": rows}, tolerences={"y": 1}': "*unexpected keyword argument 'tolerences'*",
}
"""What a port may return (the first three pass in pytest-regressions), and the message that it gets."""


def test_results_that_cannot_pass(project: pytest.Pytester) -> None:
    ports = "".join(
        f"""
    @pytest.mark.golden("toy.scale")
    def test_{number}(golden):
        y, rows = golden.inputs["x"] * np.float32(golden.parameters["factor"]), np.array(4)
        golden.check({returned})
    """
        for number, returned in enumerate(TRAPS)
    )
    project.makepyfile(**{"parity/test_traps": "    import numpy as np\n    import pytest\n" + ports})
    result = project.runpytest("parity/test_traps.py", "-k", "double", "-v")
    result.assert_outcomes(failed=len(TRAPS), deselected=2 * len(TRAPS))
    reports = re.split(r"_+ test_\d+\[toy/double\] _+", result.stdout.str())
    for report, message in zip(reports[1:], TRAPS.values(), strict=True):
        assert pytest_match(report, message), report


def pytest_match(text: str, pattern: str) -> bool:
    import fnmatch

    return fnmatch.fnmatchcase(" ".join(text.split()), pattern.replace("[", "[[]"))


def test_the_callers_arrays_are_left_alone(project: pytest.Pytester) -> None:
    lines = (
        'outputs = {"y": y, "rows": np.array(len(y))}',
        "before = y.copy()",
        "golden.check(outputs)",
        'assert list(outputs) == ["y", "rows"]',
        'assert outputs["y"] is y',
        "assert (y == before).all()",
    )
    edit(project, 'golden.check({"y": y, "rows": np.array(len(y))})', "\n    ".join(lines))
    project.runpytest("-k", "double").assert_outcomes(passed=1, deselected=3)


def test_an_empty_golden_is_one_clear_error(project: pytest.Pytester) -> None:
    golden_path(project.path / "fixtures", "toy/double").write_bytes(b"")
    result = project.runpytest("-k", "double")
    result.assert_outcomes(errors=1, deselected=3)
    result.stdout.fnmatch_lines(["golden *toy/double.h5: the file is empty*"])


def test_comparing_nothing_fails(project: pytest.Pytester) -> None:
    edit(project, 'golden.check({"z": golden.inputs["ramp"]})', "pass")
    result = project.runpytest()
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*golden toy/ramp: the test passed without comparing anything*"])


def test_damaged_golden_fails_with_one_error(project: pytest.Pytester) -> None:
    path = golden_path(project.path / "fixtures", "toy/double")
    path.write_bytes(path.read_bytes()[:-100])
    result = project.runpytest("-k", "double")
    result.assert_outcomes(errors=1, deselected=3)
    result.stdout.fnmatch_lines(["golden *toy/double.h5: *damaged*"])


def test_golden_that_its_entry_does_not_list_fails(project: pytest.Pytester) -> None:
    fixtures = project.path / "fixtures"
    other = fixtures / "other"
    fill(other)
    shutil.copy(golden_path(other, "toy/triple"), golden_path(fixtures, "toy/double"))
    shutil.rmtree(other)
    result = project.runpytest("-k", "double")
    result.assert_outcomes(errors=1, deselected=3)
    result.stdout.fnmatch_lines(["*its entry lists another content*"])


def test_unclaimed_case_fails_a_full_run(project: pytest.Pytester) -> None:
    edit(project, '@pytest.mark.golden("toy.large")', "@pytest.mark.skip")
    edit(project, "test_large(golden)", "test_large()")
    result = project.runpytest()
    result.assert_outcomes(passed=2, skipped=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["case toy/ramp: no collected test claims it; mark one with golden('toy.large')"])


@pytest.mark.parametrize(
    "narrowed",
    [("-k", "double"), ("-m", "golden"), ("--lf",), ("--deselect", "parity/test_other.py"), ("parity/test_parity.py",)],
)
def test_a_narrowed_run_may_leave_cases_out(project: pytest.Pytester, narrowed: tuple[str, ...]) -> None:
    edit(project, '@pytest.mark.golden("toy.large")', "")
    edit(project, "test_large(golden)", "test_large()")
    edit(project, 'golden.check({"z": golden.inputs["ramp"]})', "pass")
    assert project.runpytest(*narrowed).ret == pytest.ExitCode.OK


@pytest.mark.parametrize("arguments", [(), (".",), ("-p", "no:cacheprovider")])
def test_a_full_run_by_any_path_is_complete(project: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    (project.path / "fixtures" / "toy" / "stray.h5").write_bytes(b"")
    result = project.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["golden toy/stray: no case declares it; remove it with: *"])


def test_a_skipped_comparison_fails_a_full_run(project: pytest.Pytester) -> None:
    edit(project, '@pytest.mark.golden("toy.large")', '@pytest.mark.skip\n@pytest.mark.golden("toy.large")')
    result = project.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["case toy/ramp: no test compared it in this run; was it skipped?"])


def test_a_swallowed_failure_fails_the_run(project: pytest.Pytester) -> None:
    edit(project, "FACTOR = 1", "FACTOR = 2\nimport contextlib")
    edit(project, 'golden.check({"y"', 'with contextlib.suppress(AssertionError): golden.check({"y"')
    result = project.runpytest("-k", "double")
    result.assert_outcomes(passed=1, deselected=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*passed although its golden does not agree; declare an intended difference*"])


@pytest.mark.parametrize("hide", ["xfail", "skip"])
def test_a_hidden_failure_fails_the_run(project: pytest.Pytester, hide: str) -> None:
    edit(project, "FACTOR = 1", "FACTOR = 2")
    if hide == "xfail":
        edit(project, '@pytest.mark.golden("toy.scale")', '@pytest.mark.xfail\n@pytest.mark.golden("toy.scale")')
    else:
        edit(
            project,
            'golden.check({"y": y, "rows": np.array(len(y))})',
            """try:
        golden.check({"y": y, "rows": np.array(len(y))})
    except AssertionError:
        pytest.skip("not today")""",
        )
    result = project.runpytest("-k", "double")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*was skipped or expected to fail although its golden does not agree; declare an intended difference*"]
    )


def test_a_port_or_a_golden_that_breaks_is_in_the_report(project: pytest.Pytester) -> None:
    edit(project, "FACTOR = 1", "FACTOR = None")
    golden_path(project.path / "fixtures", "toy/ramp").unlink()
    result = project.runpytest("--golden-report=run.json")
    result.stdout.fnmatch_lines(["goldens: 3 checked, 0 outputs; 3 failed: toy/double, toy/ramp, toy/triple"])
    checks = {check["case"]: check for check in json.loads((project.path / "run.json").read_text())["checks"]}
    assert any("TypeError" in line for line in checks["toy/double"]["lines"])
    assert any("no such file" in line for line in checks["toy/ramp"]["lines"])


def test_an_unwritable_report_is_reported_and_collecting_writes_none(project: pytest.Pytester) -> None:
    (project.path / "taken").write_text("")
    result = project.runpytest("--golden-report=taken/run.md", "-k", "double")
    result.assert_outcomes(passed=1, deselected=3)
    result.stdout.fnmatch_lines(["goldens: no report was written: *taken*"])
    project.runpytest("--golden-report=run.md", "--collect-only")
    assert not (project.path / "run.md").exists()


def test_a_misspelt_directory_is_a_usage_error(project: pytest.Pytester) -> None:
    result = project.runpytest("-o", "golden_tests=paritty")
    assert result.ret != pytest.ExitCode.OK
    assert pytest_match(result.stdout.str() + result.stderr.str(), "*golden_tests: *paritty is not a directory*")


def test_a_marked_test_without_the_fixture_fails_the_run(project: pytest.Pytester) -> None:
    edit(project, "def test_large(golden):", "def test_large():")
    edit(project, 'golden.check({"z": golden.inputs["ramp"]})', "pass")
    result = project.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*test_large: marked 'golden', but does not use the fixture, so it compares nothing"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '@pytest.mark.golden("toy.large")',
            "",
            "*test_large: uses the fixture 'golden', so it needs @pytest.mark.golden(operation)*",
        ),
        ("toy.large", "toy.lrge", "*no case has the operation 'toy.lrge'; known: *"),
    ],
)
def test_wrong_marks_are_usage_errors(project: pytest.Pytester, old: str, new: str, message: str) -> None:
    edit(project, old, new)
    result = project.runpytest()
    assert result.ret != pytest.ExitCode.OK
    assert pytest_match(result.stdout.str() + result.stderr.str(), message)


def test_under_xdist_claims_of_all_workers_count(project: pytest.Pytester) -> None:
    (project.path / "fixtures" / "toy" / "stray.h5").write_bytes(b"")
    result = project.runpytest(*XDIST, "2", "--golden-report=run.json")
    result.assert_outcomes(passed=3, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["golden toy/stray: no case declares it*", "goldens: 3 checked*"])
    assert result.stdout.str().count("no case declares it") == 1
    report = json.loads((project.path / "run.json").read_text())
    assert {check["case"] for check in report["checks"]} == {"toy/double", "toy/triple", "toy/ramp"}
    assert len(report["problems"]) == 2
    assert len(report["slow"]) == 1


def test_forbidden_import_fails(project: pytest.Pytester) -> None:
    (project.path / "intruder.py").write_text("")
    project.makepyfile(
        **{
            "parity/test_intruder": """
                import importlib.util
                import sys
                import pytest
                def test_looking_whether_it_is_there():
                    assert importlib.util.find_spec("absent_intruder") is None
                def test_direct():
                    with pytest.raises(ModuleNotFoundError, match="must not be imported in this run"):
                        import intruder
                def test_behind_the_guards_back():
                    sys.modules["intruder"] = sys
            """
        }
    )
    result = project.runpytest("-o", "golden_forbid_imports=intruder absent_intruder", "-o", "pythonpath=.")
    result.assert_outcomes(passed=6, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["module intruder: was imported during this run, which forbids it*"])


def test_passive_unless_asked(pytester: pytest.Pytester) -> None:
    """Installing the package alone loads no plugin: the fixture is unknown."""
    pytester.makepyfile("def test_other(golden): pass")
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'golden' not found*"])


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("golden_fixtures = fixtrues", "*golden_fixtures: *fixtrues is not a directory; paths are relative to *"),
        ("golden_fixtures = fixtures other", "*golden_fixtures: expected one directory, found 2: *fixtures, *other; *"),
        ("golden_fixtures = my fixtures", "*golden_fixtures: expected one directory, found 2: *; quote a path with *"),
        ("golden_fixtures = fixtures/toy/double.h5", "*golden_fixtures: *double.h5 is not a directory; *"),
        ("golden_known = known.toml other.toml", "*golden_known: expected one file, found 2: *"),
        ("golden_known = known.toml", "*golden_known: *known.toml is not a file; *"),
    ],
)
def test_a_setting_that_is_not_one_path_is_a_usage_error(project: pytest.Pytester, setting: str, told: str) -> None:
    result = project.runpytest("-o", setting.replace(" = ", "="))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}"])


def test_a_directory_with_a_space_is_quoted_and_the_header_names_it(project: pytest.Pytester) -> None:
    (project.path / "fixtures").rename(project.path / "my fixtures")
    result = project.runpytest("-o", "golden_fixtures='my fixtures'")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["goldens: *my fixtures"])


@pytest.mark.parametrize(
    "setting", ["golden_fixtures='fixtures", 'golden_known="known', "golden_forbid_imports='tensorflow"]
)
def test_an_open_quote_is_a_usage_error(project: pytest.Pytester, setting: str) -> None:
    result = project.runpytest("-o", setting)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {setting.partition('=')[0]}: No closing quotation"])


def test_paths_are_relative_to_the_file_of_settings(project: pytest.Pytester) -> None:
    (project.path / "settings").mkdir()
    (project.path / "tox.ini").rename(project.path / "settings" / "tox.ini")
    result = project.runpytest("-c", "settings/tox.ini", "--rootdir", ".")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*is not a directory; paths are relative to {project.path}/settings"])


def test_a_report_lies_where_pytest_was_started(project: pytest.Pytester) -> None:
    edit(project, 'golden.check({"z"', "import os; os.chdir('fixtures'); golden.check({\"z\"")
    project.runpytest("--golden-report=run.json", "-k", "ramp").assert_outcomes(passed=1, deselected=3)
    assert (project.path / "run.json").is_file()


def test_numpy_may_raise_in_the_users_tests(project: pytest.Pytester) -> None:
    edit(project, 'golden.check({"y": y', 'golden.check({"y": np.full_like(y, np.inf)')
    with np.errstate(all="raise"), np.printoptions(precision=1, threshold=2):
        result = project.runpytest("-W", "error")
    result.assert_outcomes(passed=1, failed=2, skipped=1)
    assert "FloatingPointError" not in result.stdout.str()
    result.stdout.fnmatch_lines(["*output 'y' breaking*"])
