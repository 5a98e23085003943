"""The pytest plugin adds the ``golden`` fixture and its options, and fails a run that leaves goldens untested.

Opt in with ``-p golden.pytest_plugin``. A test names an operation and runs once per golden of it::

    @pytest.mark.golden("probe.normalise")
    def test_normalise(golden):
        golden.check({"normalised": my_normalise(**golden.inputs, **golden.parameters)})

Or the run checks a subject, a module with a function per operation (ini ``golden_subject``), against all goldens of the
operations that it offers::

    from golden.testing import test_goldens

A port never writes a golden: a missing golden is a failure, and nothing here creates one. ``--force-regen`` and
``--regen-all`` of pytest-regressions are refused if a golden is collected. A run of all parity tests also fails if no
test claims a case, or if a test compared nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from golden.report.run import Check, require_report, write_run
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.store.checkout import choose
from golden.testing.failures import failure_of, told_by_cause
from golden.testing.fixture import GoldenCase
from golden.testing.goldens import REGENERATE, Goldens
from golden.testing.import_guard import ImportGuard
from golden.testing.run import GoldenRun, summary

_LINES_OF_AN_ERROR = 20
_CHECKS: pytest.StashKey[list[Check]] = pytest.StashKey()
_RUN: pytest.StashKey[GoldenRun] = pytest.StashKey()
_REMARK: pytest.StashKey[str] = pytest.StashKey()
_REGENERATING = {"force_regen": "--force-regen", "regen_all": "--regen-all"}
_NARROWING = (
    "setuponly",
    "setupplan",
    "keyword",
    "markexpr",
    "lf",
    "deselect",
    "ignore",
    "ignore_glob",
    "stepwise",
    "collectonly",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("golden")
    group.addoption("--golden-slow", action="store_true", help="also run slow goldens")
    group.addoption(
        "--golden-report",
        metavar="FILE",
        action="append",
        default=[],
        help="write a report of the run: .md (for a CI job summary), .json, or .html with pictures; may be repeated",
    )
    parser.addini("golden_fixtures", "directory of the goldens", type="paths", default=[])
    parser.addini("golden_cases", "module that declares the cases", default="golden.ptychopinn")
    parser.addini(
        "golden_tests", "directories of the tests that claim every case (default: testpaths)", type="paths", default=[]
    )
    parser.addini(
        "golden_subject", "module with one function per operation, which is checked against the goldens", default=""
    )
    parser.addini(
        "golden_known",
        "TOML file that declares known differences, slack, and operations not offered",
        type="paths",
        default=[],
    )
    parser.addini("golden_forbid_imports", "modules that must not be imported in this run", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "golden(operation, ...): run once per golden of these operations; default: all that golden_subject offers",
    )
    for report in config.getoption("--golden-report"):
        try:
            require_report(Path(report))
        except GoldenError as problem:
            raise pytest.UsageError(str(problem)) from None
    fixtures, remark = choose(_only(config, "golden_fixtures", "directory", Path.is_dir), config.rootpath)
    goldens = Goldens(fixtures, _setting(config, "golden_cases"))
    known = _only(config, "golden_known", "file", Path.is_file)
    subject = _setting(config, "golden_subject")
    config.stash[_RUN] = GoldenRun(goldens, config.getoption("--golden-slow"), subject, known)
    config.stash[_REMARK] = remark
    config.stash[_FAILURES] = _Failures()
    config.pluginmanager.register(_Hooks(config), "golden-run")
    config.pluginmanager.register(config.stash[_FAILURES], "golden-failures")


def _setting(config: pytest.Config, name: str) -> Any:
    """Return a setting.

    Raises:
        pytest.UsageError: it has another type, or a quote that is not closed.
    """
    try:
        return config.getini(name)
    except (TypeError, ValueError, pytest.UsageError) as wrong:  # which of them depends on pytest
        raise pytest.UsageError(f"{name}: {wrong}") from None


def _only(config: pytest.Config, name: str, kind: str, is_there: Callable[[Path], bool]) -> Path | None:
    """Return the path of a setting; None if it is not set.

    Raises:
        pytest.UsageError: the setting has several paths, or one that does not exist.
    """
    paths: list[Path] = _setting(config, name)
    if len(paths) > 1:
        raise pytest.UsageError(
            f"{name}: expected one {kind}, found {len(paths)}: {', '.join(map(str, paths))}; quote a path with spaces"
        )
    if paths and not is_there(paths[0]):
        base = config.inipath.parent if config.inipath else config.invocation_params.dir
        raise pytest.UsageError(f"{name}: {paths[0]} is not a {kind}; paths are relative to {base}")
    return paths[0] if paths else None


def pytest_report_header(config: pytest.Config) -> str:
    return f"goldens: {config.stash[_RUN].goldens.fixtures}"


# ---------------------------------------------------------------------------------------------- one test


Parameter = tuple[str, str]
"""The name of a case, and the way in which the subject computes it."""


@pytest.fixture
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> GoldenCase:
    """The golden of one case; see ``GoldenCase``."""
    checks: list[Check] = []
    request.node.stash[_CHECKS] = checks  # a rerun starts with an empty list
    run = request.config.stash[_RUN]
    name, way = request.param
    try:
        opened = run.goldens.open(name)
        function = run.way(opened.case.operation.name, way)
        return GoldenCase(opened, function, run.declarations.of(opened.case, way), tmp_path, checks.append)
    except GoldenError as problem:
        pytest.fail(str(problem), pytrace=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden" not in metafunc.fixturenames:
        return
    test, run = metafunc.definition, metafunc.config.stash[_RUN]
    if not list(test.iter_markers("golden")):
        raise pytest.UsageError(f"{test.nodeid}: uses the fixture 'golden', so it needs @pytest.mark.golden(operation)")
    try:
        named = _operations_of(test)
        items = [(case, "") for case in run.cases_of(named)] if named else run.offered()
        run.declarations  # noqa: B018 - report a wrong file before any test runs
    except GoldenError as problem:
        raise pytest.UsageError(f"{test.nodeid}: {problem}") from problem
    skip = pytest.mark.skip(reason="slow golden; run it with --golden-slow")
    metafunc.parametrize(
        "golden", [_parameter(*item, skip if run.skips(item[0]) else ()) for item in items], indirect=True
    )


def _parameter(case: Case, way: str, marks: Any) -> Any:
    return pytest.param((case.name, way), id=f"{case.name}__{way}" if way else case.name, marks=marks)


def _operations_of(test: Any) -> list[str]:
    """Return the operations that the marks of a test name; none means all that the subject offers."""
    return [name for marker in test.iter_markers("golden") for name in marker.args]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    __tracebackhide__ = True
    result = yield
    used = pyfuncitem.funcargs.get("golden")
    if isinstance(used, GoldenCase) and not used.checked:
        pytest.fail(
            f"golden {used.name}: the test passed without comparing anything; call golden.check(outputs)", pytrace=False
        )
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Attach the comparisons, or the error, to the report, which xdist passes to the controller."""
    report: Any = yield
    checks = item.stash.get(_CHECKS, [])
    broken = report.failed and report.when in ("setup", "call") and all(check.passed for check in checks)
    if report.when == "call" or broken:
        if broken and (parameter := _parameter_of(item)) is not None:
            name, way = parameter
            operation = item.config.stash[_RUN].goldens.cases[name].operation.name
            lines = report.longreprtext.splitlines()[-_LINES_OF_AN_ERROR:]
            checks = [*checks, Check(name, operation, {}, lines, way=way)]
        report.golden_checks = [asdict(check) for check in checks]
    return report  # type: ignore[no-any-return]


def _parameter_of(item: pytest.Item) -> Parameter | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("golden")


def _left_to_others(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the subject's generic tests of those goldens that another test claims by operation."""
    own = {_parameter_of(item) for item in items if _operations_of(item)}
    return [item for item in items if _parameter_of(item) in own and not _operations_of(item)] if own else []


# ---------------------------------------------------------------------------------------------- what failed


def _in_brackets(test: str) -> str:
    """Return the case in the name of a test."""
    return test.rpartition("[")[2].removesuffix("]")


class _Failures:
    """Lets pytest show one failed golden of each cause in full, or all of them with ``-v``."""

    def __init__(self) -> None:
        self._all: list[Any] | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Iterator[None]:
        """Wrap pytest's own hook, which prints its list of failures."""
        reports = terminalreporter.stats.get("failed", [])
        found = {id(one.report): one for one in map(failure_of, reports) if one is not None}
        if found and terminalreporter.config.option.tbstyle in ("auto", "short"):
            shown = told_by_cause(list(found.values()), terminalreporter.verbosity > 0)
            self._all = reports
            rest = [report for report in reports if id(report) not in found]
            terminalreporter.stats["failed"] = [*shown, *rest]
        return (yield)

    def restore(self, terminalreporter: Any) -> None:
        """Restore pytest's list of failures, because its last lines name all of them."""
        if self._all is not None:
            terminalreporter.stats["failed"] = self._all


_FAILURES: pytest.StashKey[_Failures] = pytest.StashKey()


# ---------------------------------------------------------------------------------------------- the whole run


class _Hooks:
    """The hooks for the whole run. Some hooks do not receive the configuration, so it is stored here."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._run = config.stash[_RUN]
        self._taken_away = False
        self._guard = ImportGuard(_setting(config, "golden_forbid_imports"))
        self._guard.install()

    # Claims are known after collection. Under xdist, every worker collects all tests and reports to the controller,
    # which collects none.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        left = _left_to_others([item for item in items if _parameter_of(item) is not None])
        items[:] = [item for item in items if item not in left]
        flags = [flag for option, flag in _REGENERATING.items() if self._config.getoption(option, False)]
        if not flags:
            self._require_claims(items)
        held = {item for item in items if _parameter_of(item) is not None}
        result = yield
        chosen = [item for item in items if _parameter_of(item) is not None]
        self._taken_away = not held <= set(chosen)  # for example by a plugin that runs one shard of the tests
        if flags and chosen:
            self._run.problems.append(
                f"{flags[0]} would let the code under test write its expected values. Goldens come from TensorFlow: "
                f"{REGENERATE} CASE. No test was run; use {flags[0]} with tests that use no golden"
            )
            self._config.hook.pytest_deselected(items=list(items))
            items.clear()
        return result

    def _require_claims(self, items: Sequence[pytest.Item]) -> None:
        """Check all collected tests, before any is deselected."""
        self._run.problems += [
            f"{item.nodeid}: marked 'golden', but does not use the fixture, so it compares nothing"
            for item in items
            if _parameter_of(item) is None and item.get_closest_marker("golden")
        ]
        if self._is_full():
            try:
                self._run.require_claims(
                    {parameter[0] for item in items if (parameter := _parameter_of(item)) is not None}
                )
            except GoldenError as problem:
                raise pytest.UsageError(str(problem)) from problem

    def _is_full(self) -> bool:
        """Return whether all parity tests were collected: no option, path or other plugin left any out."""
        if self._taken_away:
            return False
        if any(getattr(self._config.option, name, None) for name in _NARROWING):
            return False
        given = [Path(self._config.invocation_params.dir, str(argument)).resolve() for argument in self._config.args]
        root = self._config.rootpath
        declared = _setting(self._config, "golden_tests") or [root / path for path in self._config.getini("testpaths")]
        required = [Path(path).resolve() for path in declared or [root]]
        for path in required:
            if not path.is_dir():
                raise pytest.UsageError(f"golden_tests: {path} is not a directory")
        return all(any(path.is_relative_to(argument) for argument in given) for path in required)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "context"):  # of a subtest
            self._run.take_part(report.nodeid, report.outcome)
            return
        checks = [Check(**value) for value in getattr(report, "golden_checks", [])]
        self._run.take(report.nodeid, report.outcome, checks)
        if report.skipped and "--golden-slow" in str(report.longrepr):
            self._run.skipped.append(_in_brackets(report.nodeid))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})
        self._taken_away |= output.get("golden_taken_away", False)
        self._run.learn(output.get("golden_subject", {}))
        told = output.get("golden_problems", [])
        self._run.problems += [problem for problem in told if problem not in self._run.problems]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._run.problems += self._guard.intruders()
        self._run.require_one_port()
        is_worker = hasattr(self._config, "workeroutput")
        if session.exitstatus == pytest.ExitCode.OK and self._is_full() and not is_worker:
            self._run.require_compared()
            self._run.require_still_known()
        if is_worker:
            output = self._config.workeroutput  # type: ignore[attr-defined]
            output |= {"golden_problems": self._run.problems, "golden_taken_away": self._taken_away}
            output["golden_subject"] = self._run.described()
        elif self._run.problems and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        self._config.stash[_FAILURES].restore(terminalreporter)
        if self._run.problems:
            terminalreporter.section("goldens: this run is incomplete", red=True)
            for problem in self._run.problems:
                terminalreporter.line(problem, red=True)
        known = {int(code): code.name.lower().replace("_", " ") for code in pytest.ExitCode}
        run = self._run.report(known.get(exitstatus, f"exit status {exitstatus}"), not self._is_full())
        if remark := self._config.stash[_REMARK]:
            terminalreporter.line(f"goldens: {remark}")
        for line, colour in summary(run):
            terminalreporter.line(f"goldens: {line}", **({colour: True} if colour else {}))
        for report in self._config.getoption("--golden-report") if not self._config.option.collectonly else []:
            try:
                place = self._config.invocation_params.dir / report  # a test may have changed the current directory
                write_run(place, run, self._run.goldens.fixtures)
            except GoldenError as problem:
                terminalreporter.line(f"goldens: no report was written: {problem}", red=True)
            else:
                terminalreporter.line(f"goldens: report in {report}")

    def pytest_unconfigure(self) -> None:
        self._guard.remove()
