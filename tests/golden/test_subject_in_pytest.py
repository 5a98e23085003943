"""``from golden.testing import test_goldens`` compares the run's subject with every golden that it offers."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from golden.report.run import Check
from golden.testing.failures import Failure, told_by_cause
from tests.golden.conftest import fill
from tests.golden.test_check import OFF, RIGHT, WRONG, package
from tests.golden.test_pytest_plugin import REPOSITORY, XDIST

ONE_LINE = "from golden.testing import test_goldens"
SCALE_ONLY, LARGE_ONLY = RIGHT.partition("def toy_large")[0], f"def toy_large{RIGHT.partition('def toy_large')[2]}"
OWN = """
    import numpy as np
    import pytest
    @pytest.mark.golden("toy.scale")
    def test_scale(golden):
        assert golden.operation == "toy.scale"
        golden.check({"y": golden.inputs["x"] * np.float32(golden.parameters["factor"]), "rows": np.array(4)})
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a project whose tests are one line."""
    monkeypatch.setattr("golden.testing.fixture._write_page", lambda *arguments: False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # to look for plugins takes longer than these tests
    pytester.makeini(
        f"""
        [pytest]
        addopts = -p golden.pytest_plugin -p pytest_regressions.plugin -p pytest_datadir.plugin
        pythonpath = . '{REPOSITORY}'
        testpaths = parity
        golden_fixtures = fixtures
        golden_cases = tests.golden.standin
        golden_subject = my_subject
        golden_known = known.toml
        """
    )
    pytester.makepyfile(**{"parity/test_parity": ONE_LINE})
    (pytester.path / "known.toml").write_text("")
    fill(pytester.path / "fixtures")
    return pytester


def run(project: pytest.Pytester, subject: str, *arguments: str, known: str = "") -> pytest.RunResult:
    (project.path / "my_subject.py").write_text(subject)
    (project.path / "known.toml").write_text(known)
    return project.runpytest(*arguments)


def test_an_item_for_each_golden_and_each_way(project: pytest.Pytester) -> None:
    ways = f"{RIGHT}\ndef toy_scale__again(**given):\n    return toy_scale(**given)\n"
    result = run(project, ways, "-v")
    result.assert_outcomes(passed=5, skipped=2)
    items = re.findall(r"::test_goldens\[([\w/]+)\] PASSED", result.stdout.str())
    assert items == ["toy/double", "toy/double__again", "toy/ramp", "toy/triple", "toy/triple__again"]
    assert result.ret == pytest.ExitCode.OK


def test_a_wrong_subject_fails_and_its_fault_is_named(project: pytest.Pytester) -> None:
    result = run(project, WRONG)
    result.assert_outcomes(passed=1, failed=2, skipped=1)
    result.stdout.fnmatch_lines(
        ["E * diagnosis: matches fault 'negated'*", "goldens: 2 of 2 failed goldens look like fault 'negated'"]
    )


@pytest.mark.parametrize("workers", [(), (*XDIST, "2")])
def test_goldens_that_fail_for_one_reason_are_shown_once(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """The failure shows what is wrong and where, not the source of the test. The second golden takes one line."""
    (project.path / "my_subject.py").write_text(WRONG)
    result = project.runpytest(*workers)
    failures = result.stdout.str().partition(" FAILURES ")[2].partition("goldens: ")[0]
    assert failures.count("diagnosis: matches fault 'negated'") == 1
    assert "check_subject" not in failures
    other = (
        r"E   1 more golden fails for the same reason; -v shows all:\nE     toy/(double|triple): 'y', \S+ x tolerance\n"
    )
    assert re.search(other, failures)
    for case in ("toy/double", "toy/triple"):
        assert f"FAILED parity/test_parity.py::test_goldens[{case}]" in result.stdout.str(), "all are named at the end"


def test_with_v_every_failure_is_shown(project: pytest.Pytester) -> None:
    out = run(project, WRONG, "-v").stdout.str()
    assert out.count("diagnosis: matches fault 'negated'") == 2
    assert "more golden fails" not in out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            '(x * np.float32(factor)).astype("c16")',
            "1 more golden fails in the same way; -v shows all:\nE     toy/triple: 'y', expected dtype complex64, ",
        ),
        (
            "x * np.float32(factor) * x",
            "1 more golden fails, unexplained by any known fault; -v shows all:\nE     toy/",
        ),
    ],
)
def test_goldens_that_differ_in_one_way_are_shown_once(project: pytest.Pytester, wrong: str, told: str) -> None:
    """No declared fault explains these: right values of another dtype, and values that are simply wrong."""
    subject = f"import numpy as np\n\ndef toy_scale(*, x, factor):\n    y = {wrong}\n"
    out = run(project, subject + '    return {"y": y, "rows": np.array(len(x))}\n').stdout.str()
    assert told in out
    assert out.count("diagnosis: ") == 1
    assert "not equal" not in out


def test_goldens_that_raise_one_exception_are_shown_once(project: pytest.Pytester) -> None:
    """The first traceback is shown, because it shows the place; the second golden takes one line."""
    told = run(project, RIGHT.replace("return {", "raise ValueError(f'no {factor}'); return {", 1)).stdout.str()
    assert told.count("raise ValueError(f'no {factor}')") == 1
    assert re.search(r"-+ 1 more golden fails for the same reason; -v shows all: -+\n  toy/triple\n", told)
    assert "goldens: 2 of 2 failed goldens ended with an error" in told


def test_goldens_that_are_not_finite_are_shown_once(project: pytest.Pytester) -> None:
    told = run(project, RIGHT.replace("return {", "x = x * np.float32('nan'); return {", 1)).stdout.str()
    assert told.count("diagnosis: no known fault; none of the compared values is finite") == 1
    assert "E   1 more golden fails because values are not finite; -v shows all:\n" in told
    assert "largest error" not in told, "no finite element moved"


def test_of_many_goldens_that_fail_alike_a_few_are_listed() -> None:
    output = {"y": {"verdict": "breaking", "share": 9.0}}
    checks = [Check(f"toy/case{i}", "toy.scale", output, ["it fails"], ["negated"]) for i in range(20)]
    failures = [Failure(SimpleNamespace(longrepr=None), check) for check in checks]
    [shown] = told_by_cause(failures, every=False)
    first, heading, *listed, last = str(shown.longrepr).splitlines()
    assert (first, heading) == ("E   it fails", "E   19 more goldens fail for the same reason; -v shows all:")
    assert [line.split()[1] for line in listed] == [f"toy/case{i}:" for i in range(1, 9)]
    assert last == "E     and 11 more"
    assert len(told_by_cause(failures, every=True)) == 20


def test_a_failure_says_where_in_the_port_to_look(project: pytest.Pytester) -> None:
    """The failure names the port's functions that the subject or its helpers call, with file and line."""
    project.makepyfile(
        my_port="""
        import dataclasses

        @dataclasses.dataclass
        class Settings:
            factor: float

        def scaled(x, settings):
            return -x * settings.factor
        """
    )
    calls = """
import numpy as np
from my_port import Settings, scaled

def _helped(x, factor):
    return scaled(x, Settings(factor))

def toy_scale(*, x, factor):
    from my_port import Settings
    return {"y": _helped(x, np.float32(factor)), "rows": np.array(len(x))}
"""
    result = run(project, calls + LARGE_ONLY)
    result.stdout.fnmatch_lines(["E     look in: scaled (my_port.py:7), Settings (my_port.py:3)"])


def test_a_subject_that_breaks_fails_where_it_broke(project: pytest.Pytester) -> None:
    result = run(project, RIGHT.replace("return {", "raise ValueError('no'); return {", 1), "--golden-report=run.json")
    result.assert_outcomes(passed=1, failed=2, skipped=1)
    result.stdout.fnmatch_lines(["*raise ValueError('no')*", "E  *ValueError: no", "my_subject.py:*: ValueError"])
    checks = json.loads((project.path / "run.json").read_text())["checks"]
    assert {check["case"] for check in checks} == {"toy/double", "toy/triple", "toy/ramp"}


def test_an_operation_neither_offered_nor_declared_fails_a_full_run(project: pytest.Pytester) -> None:
    result = run(project, SCALE_ONLY)
    result.assert_outcomes(passed=2, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = 'my_subject does not offer toy.large; *golden_known: ["toy.large"] not_offered = "…" *'
    result.stdout.fnmatch_lines([told.replace("[", "[[]")])
    assert run(project, SCALE_ONLY, "-k", "double").ret == pytest.ExitCode.OK, "a narrowed run may leave it out"


def test_operations_declared_not_offered_are_listed(project: pytest.Pytester) -> None:
    declared = '["toy.large"]\nnot_offered = "the port has no ramp"\n'
    result = run(project, SCALE_ONLY, "--golden-report=run.md", known=declared)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.stdout.fnmatch_lines(["goldens: not offered: toy.large: the port has no ramp"])
    assert "| toy.large |  |  |  |  | not offered: the port has no ramp |" in (project.path / "run.md").read_text()


def test_an_operation_offered_but_not_collected_fails_a_full_run(project: pytest.Pytester) -> None:
    project.makepyfile(**{"parity/test_parity": OWN})
    result = run(project, RIGHT)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["operation toy.large: my_subject offers it, but no collected test claims it; add to a test file: *"]
    )


def test_a_test_of_its_own_takes_its_goldens(project: pytest.Pytester) -> None:
    project.makepyfile(**{"parity/test_own": OWN})
    result = run(project, LARGE_ONLY, "-v")
    result.assert_outcomes(passed=3, skipped=1)
    assert result.ret == pytest.ExitCode.OK
    both = run(project, RIGHT, "-v")
    both.assert_outcomes(passed=3, skipped=1)
    both.stdout.no_fnmatch_line("*test_goldens[[]toy/double[]]*")


def test_known_differences_pass_and_stale_ones_fail_a_full_run(project: pytest.Pytester) -> None:
    known = '["toy.scale"]\nreason = "on purpose"\n'
    result = run(project, WRONG, known=known)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["goldens: 3 checked, 5 outputs; 2 known; *", "goldens: known difference: toy.scale: on purpose"]
    )
    stale = run(project, RIGHT, known=known)
    assert stale.ret == pytest.ExitCode.TESTS_FAILED
    stale.stdout.fnmatch_lines(["known.toml: 'toy.scale' is declared to differ (on purpose), but all 2 *"])
    assert run(project, RIGHT, "-k", "double", known=known).ret == pytest.ExitCode.OK
    named = run(project, RIGHT, known=f'{known}fault = "negated"\n')
    named.assert_outcomes(passed=1, failed=2, skipped=1)
    named.stdout.fnmatch_lines(["E * it is declared to differ as fault 'negated' does *"])


def test_slack_is_taken_into_account(project: pytest.Pytester) -> None:
    assert run(project, OFF).ret == pytest.ExitCode.TESTS_FAILED
    result = run(project, OFF, known='["toy.scale"]\nslack = 8\nreason = "it rounds early"\n')
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["goldens: slack 8: toy.scale: it rounds early"])


def test_a_golden_that_the_subject_refuses_may_be_declared(project: pytest.Pytester) -> None:
    refuses = RIGHT.replace("return {", "assert factor < 3; return {", 1)
    known = '["toy/triple"]\nnot_offered = "factors of 3 are refused"\n'
    assert run(project, refuses, known=known).ret == pytest.ExitCode.OK
    able = run(project, RIGHT, known=known)
    able.stdout.fnmatch_lines(["E * 'toy/triple' is declared not offered (factors of 3 are refused), but *"])


def test_xfail_hides_no_difference(project: pytest.Pytester) -> None:
    project.makepyfile(**{"parity/test_parity": f"import pytest\n{ONE_LINE}\npytestmark = pytest.mark.xfail"})
    result = run(project, WRONG)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*test_goldens[[]toy/double[]]: was skipped or expected to fail although its golden does not agree; *"]
    )


@pytest.mark.parametrize(
    ("subject", "known", "message"),
    [
        ("import nowhere_to_be_found", "", "*subject my_subject: cannot be imported (ModuleNotFoundError: *"),
        (f"{RIGHT}\ndef toy_scal(): ...", "", "*no operation is called 'toy_scal'; did you mean toy_scale?*"),
        (RIGHT, '["toy.scal"]\nreason = "x"', "*no operation or way has this name; nearest: toy.scale*"),
    ],
)
def test_an_invalid_subject_or_declaration_is_a_usage_error(
    project: pytest.Pytester, subject: str, known: str, message: str
) -> None:
    result = run(project, subject, known=known)
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    (result.stdout if "ubject" in result.stdout.str() or known else result.stderr).fnmatch_lines([message])


def test_without_a_subject_the_one_line_is_a_usage_error(project: pytest.Pytester) -> None:
    result = project.runpytest("-o", "golden_subject=")
    assert result.ret != pytest.ExitCode.OK
    assert "set golden_subject = my_port.golden_subject" in result.stdout.str() + result.stderr.str()


def test_workers_and_controller_count_together(project: pytest.Pytester) -> None:
    """The controller does not import the subject, which may take seconds."""
    imported = f"import os, pathlib\npathlib.Path({str(project.path)!r}, f'imported-{{os.getpid()}}').touch()\n"
    (project.path / "my_subject.py").write_text(imported + WRONG)
    (project.path / "known.toml").write_text('["toy.scale"]\nreason = "on purpose"\n')
    result = project.runpytest(*XDIST, "2", "--golden-report=run.json")
    result.assert_outcomes(passed=3, skipped=1)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    report = json.loads((project.path / "run.json").read_text())
    assert report["subject"] == "my_subject"
    assert report["versions"]["my_subject"] == f"from {project.path}"
    assert len(list(project.path.glob("imported-*"))) == 2
    assert {row["label"]: row["counts"] for row in report["operations"]} == {
        "toy.large": {"agrees": 1},
        "toy.scale": {"known": 2},
    }


def test_a_port_from_two_places_fails_the_run(project: pytest.Pytester) -> None:
    one, other = project.path / "one", project.path / "other"
    package(one, "torn_port", __init__=f"__path__ += [{str(other / 'torn_port')!r}]")
    package(other, "torn_port", late="scale = 1")
    result = run(project, f"import sys\nsys.path.append({str(one)!r})\nimport torn_port.late\n{RIGHT}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"the modules of package 'torn_port' come from 2 places: {one} and {other}"])


def test_a_generated_module_elsewhere_is_no_second_port(project: pytest.Pytester) -> None:
    one, other = project.path / "one", project.path / "build"
    package(one, "built_port", __init__=f"__path__ += [{str(other / 'built_port')!r}]")
    package(other, "built_port", version="number = 1")
    (other / "built_port" / "__init__.py").unlink()
    result = run(project, f"import sys\nsys.path.append({str(one)!r})\nimport built_port.version\n{RIGHT}")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()


def test_a_subject_that_breaks_hides_no_other_result(project: pytest.Pytester) -> None:
    """Tests that name their operation are collected without the subject, which is imported later."""
    project.makepyfile(**{"parity/test_parity": OWN})
    result = run(project, "import no_such_library", "-k", "scale", "-o", "golden_known=")
    result.assert_outcomes(errors=2, skipped=1)
    result.stdout.fnmatch_lines(["*subject my_subject: cannot be imported (ModuleNotFoundError: *"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_a_worker_that_dies_hides_no_other_result(project: pytest.Pytester) -> None:
    dies = "import os\ndef test_zz(): os._exit(1)\n"
    project.makepyfile(**{"parity/test_parity": f"{ONE_LINE}\n{dies}"})
    (project.path / "my_subject.py").write_text(RIGHT)
    result = project.runpytest(*XDIST, "1", "--max-worker-restart=0", "--golden-report=run.json")
    result.assert_outcomes(passed=3, skipped=1, failed=1)
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert len(json.loads((project.path / "run.json").read_text())["checks"]) == 3


# ------------------------------------------------------------------------------------------------ with other plugins

SHARD = """
def pytest_collection_modifyitems(items):
    items[:] = items[:2]
"""
RUN_AGAIN = """
from _pytest.runner import runtestprotocol
def pytest_runtest_protocol(item, nextitem):
    \"\"\"Report a failed test as 'rerun' and run it once more, as pytest-rerunfailures does.\"\"\"
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        for report in reports:
            report.outcome = "rerun" if report.failed else report.outcome
            item.ihook.pytest_runtest_logreport(report=report)
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""
FLAKY = RIGHT.replace("import numpy as np", "import itertools\nimport numpy as np\nCALLS = itertools.count()").replace(
    '"y": x', '"y": (-1 if next(CALLS) == 0 else 1) * x'
)
IN_SUBTESTS = """
    import numpy as np
    import pytest
    FACTOR = 1
    @pytest.mark.golden("toy.scale")
    def test_scale(golden, subtests):
        for part in range(3):
            with subtests.test(part=part):
                y = FACTOR * golden.inputs["x"] * np.float32(golden.parameters["factor"])
                golden.check({"y": y, "rows": np.array(4)})
"""


def test_a_shard_is_a_narrowed_run(project: pytest.Pytester) -> None:
    project.makeconftest(SHARD)
    result = run(project, RIGHT)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.stdout.fnmatch_lines(["goldens: 2 checked, *", "goldens: a partial run: *"])


def test_a_shard_in_a_worker_is_a_narrowed_run(project: pytest.Pytester) -> None:
    project.makeconftest(SHARD)
    (project.path / "my_subject.py").write_text(RIGHT)
    result = project.runpytest(*XDIST, "1")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.stdout.fnmatch_lines(["goldens: 2 checked, *", "goldens: a partial run: *"])


def test_a_shard_still_reports_what_is_not_offered(project: pytest.Pytester) -> None:
    project.makeconftest(SHARD)
    result = run(project, SCALE_ONLY)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["my_subject does not offer toy.large; *"])


def test_a_test_that_is_run_again_counts_once(project: pytest.Pytester) -> None:
    project.makeconftest(RUN_AGAIN)
    result = run(project, FLAKY)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.stdout.fnmatch_lines(["goldens: 3 checked, 5 outputs; *", "goldens: rerun 1 x: *[[]toy/double[]]"])
    wrong = run(project, WRONG)
    assert wrong.ret == pytest.ExitCode.TESTS_FAILED
    wrong.stdout.fnmatch_lines(["goldens: 3 checked, 5 outputs; 2 failed: toy/double, toy/triple"])
    wrong.stdout.no_fnmatch_line("*is not complete*")


def test_subtests_count_once(project: pytest.Pytester) -> None:
    if pytest.version_tuple < (9, 0):
        pytest.skip("subtests come with pytest 9")
    project.makepyfile(**{"parity/test_own": IN_SUBTESTS})
    result = run(project, RIGHT)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.stdout.fnmatch_lines(["goldens: 3 checked, 5 outputs; *"])
    project.makepyfile(**{"parity/test_own": IN_SUBTESTS.replace("FACTOR = 1", "FACTOR = -1")})
    wrong = run(project, RIGHT)
    assert wrong.ret == pytest.ExitCode.TESTS_FAILED
    wrong.stdout.fnmatch_lines(["goldens: 3 checked, 5 outputs; 2 failed: toy/double, toy/triple"])
    wrong.stdout.no_fnmatch_line("*is not complete*")
