"""The ``golden`` fixture: hold a port to goldens, on the life cycle of pytest-regressions.

Opt in with ``-p golden.pytest_plugin``. A test names an operation and runs once per golden of it::

    @pytest.mark.golden("probe.normalise")
    def test_normalise(golden):
        golden.check({"normalised": my_normalise(**golden.inputs, **golden.parameters)})

pytest-regressions takes what it is given as the truth when there is none; here the consumer never becomes the author:
a missing golden fails, ``--force-regen`` and ``--regen-all`` fail, and the directory of the goldens is never handed to
it. A run of all parity tests also fails when a case is claimed by no test, or when a test compared nothing.
"""

from __future__ import annotations

import importlib.metadata
import math
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pytest_regressions.common import perform_regression_check

from golden.judge.compare import Comparison, Verdict
from golden.judge.judgement import Judgement, judge
from golden.report.run import Check, Run, causes, headline, require_report, write_failure, write_run
from golden.report.text import explain_causes, explain_failed
from golden.review.margins import MOST_USED
from golden.spec.arrays import summarise, whereabouts
from golden.spec.case import Case
from golden.spec.catalogue import load_cases
from golden.spec.errors import GoldenError
from golden.spec.operation import Operation
from golden.spec.parameters import Parameters
from golden.store.entry import listed_cases, read_entry
from golden.store.golden import Golden, golden_path, stored_cases
from golden.store.read import read_golden
from golden.store.write import write_outputs

_LARGEST_KEPT = 64 * 2**20
"""Bytes of an obtained output of a wrong shape that is still written down."""
_LINES_OF_AN_ERROR = 20
_CHECKS: pytest.StashKey[list[Check]] = pytest.StashKey()
_REGENERATE = "python generate_golden.py --update --reason ..."
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
    group.addoption("--golden-slow", action="store_true", help="run slow goldens too")
    group.addoption(
        "--golden-report",
        metavar="FILE",
        help="write a report of the run: .md (for a CI job summary), .json, or .html with its pictures",
    )
    parser.addini("golden_fixtures", "directory of the goldens", type="paths", default=[])
    parser.addini("golden_cases", "module that declares the cases", default="golden.ptychopinn")
    parser.addini(
        "golden_tests", "directories of the tests that claim every case (default: testpaths)", type="paths", default=[]
    )
    parser.addini("golden_forbid_imports", "modules that must not be imported in this run", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden(operation, ...): run once per golden of these operations")
    if config.getoption("--golden-report"):
        try:
            require_report(Path(config.getoption("--golden-report")))
        except GoldenError as problem:
            raise pytest.UsageError(str(problem)) from None
    config.pluginmanager.register(GoldenRun(config), "golden-run")


# ---------------------------------------------------------------------------------------------- one check


class GoldenCase:
    """What the ``golden`` fixture gives to a test.

    Attributes:
        name: of the case.
        inputs: name -> array, stored or made by the case's recipe; in the reference's layout.
        parameters: name -> scalar.
    """

    def __init__(
        self,
        golden: Golden,
        operation: Operation,
        inputs: dict[str, np.ndarray],
        source: Path,
        scratch: Path,
        request: pytest.FixtureRequest,
        record: Callable[[Check], None],
    ) -> None:
        self.name = golden.case
        self.inputs = inputs
        self.parameters: Parameters = golden.parameters
        self.checked = False
        self._golden = golden
        self._operation = operation
        self._source = source
        self._scratch = scratch
        self._request = request
        self._record = record
        self._whole: dict[str, tuple[int, ...]] = {}

    def check(self, outputs: Mapping[str, np.ndarray]) -> None:
        """Compare the subject's outputs, NumPy arrays in the reference's layout, with the golden; fail if they differ.

        All outputs of the case must be there, and no other. dtype and shape are exact.
        """
        __tracebackhide__ = True
        _refuse_regeneration(self._request.config, self.name)
        self.checked = True
        outputs = dict(outputs)
        for name, array in outputs.items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufcS":
                found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                pytest.fail(
                    f"golden {self.name}: output {name!r}: expected a NumPy array of numbers or bytes, found {found}",
                    pytrace=False,
                )
        summarised = {output.name for output in self._operation.outputs if output.keep is summarise}
        self._whole = {name: outputs[name].shape for name in outputs.keys() & summarised}
        outputs = self._operation.kept(outputs)
        base = self.name.replace("/", "-")
        # pytest-regressions only ever sees a copy: nothing it does can reach the goldens.
        copies = self._scratch / "golden"
        copies.mkdir(exist_ok=True)
        shutil.copyfile(self._source, copies / f"{base}.h5")
        obtained = copies / f"{base}.obtained.h5"
        page = copies / f"{base}.html"

        def compare(found: Path, _: Path) -> None:
            __tracebackhide__ = True
            self._compare(outputs, obtained, page)

        perform_regression_check(
            datadir=copies,  # type: ignore[arg-type]
            original_datadir=copies,
            request=self._request,
            check_fn=compare,
            dump_fn=lambda path: _replace(path, self._worth_keeping(outputs)),
            extension=".h5",
            basename=base,
            obtained_filename=obtained,
        )

    def _worth_keeping(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All but arrays of a wrong shape that would take minutes and gigabytes to write."""
        expected = self._golden.outputs
        return {
            name: array
            for name, array in outputs.items()
            if array.nbytes <= _LARGEST_KEPT or (name in expected and expected[name].shape == array.shape)
        }

    def _compare(self, obtained: Mapping[str, np.ndarray], file: Path, page: Path) -> None:
        __tracebackhide__ = True
        golden = self._golden
        judgement = judge(golden, obtained, self._operation.path)
        outputs = {
            comparison.output: {
                "verdict": comparison.verdict.label,
                "share": comparison.share if math.isfinite(comparison.share) else None,
            }
            for comparison in judgement.comparisons
        }
        check = Check(self.name, golden.operation, outputs)
        if not judgement.passed:
            check = self._explained(check, obtained, judgement, file)
            if _write_page(page, check, golden, obtained):
                check = replace(check, lines=[*check.lines, f"  page: {page}"])
        self._record(check)
        if not judgement.passed:
            raise AssertionError("\n".join(check.lines))

    def _explained(self, check: Check, obtained: Mapping[str, np.ndarray], judgement: Judgement, file: Path) -> Check:
        """Add to a failed check why it failed; ``file`` holds the obtained outputs."""
        failed, diagnoses = judgement.failed, judgement.causes
        places = self._whereabouts(obtained, failed)
        lines = explain_failed(self.name, failed, self._operation.path, places)
        lines += explain_causes(diagnoses) if diagnoses else []
        left_out = sorted(set(obtained) - set(self._worth_keeping(obtained)))
        lines.append(f"  obtained: {file}" + (f" (without {left_out}: too large)" if left_out else ""))
        remarks = places | dict.fromkeys(left_out, "too large to be kept")
        faults = set.intersection(*(set(one.faults) for one in diagnoses)) if diagnoses else set()
        told = [{"outputs": list(one.outputs), "sentence": one.sentence} for one in diagnoses]
        return replace(check, lines=lines, faults=sorted(faults), diagnoses=told, remarks=remarks, obtained=str(file))

    def _whereabouts(self, obtained: Mapping[str, np.ndarray], failed: Sequence[Comparison]) -> dict[str, str]:
        """Of outputs that only a summary is kept of: where in the whole array its wrong entries lie."""
        found = {}
        for name in (one.output for one in failed if one.verdict is Verdict.BREAKING and one.output in self._whole):
            expected, tolerance = self._golden.outputs[name], self._golden.tolerances[name]
            with np.errstate(invalid="ignore"):
                passed = np.abs(obtained[name] - expected) <= tolerance.atol + tolerance.rtol * np.abs(expected)
            if passed.shape != self._whole[name]:  # small arrays are kept as they are
                found[name] = whereabouts(self._whole[name], ~passed)
        return found


def _replace(path: Path, outputs: Mapping[str, np.ndarray]) -> None:
    path.unlink(missing_ok=True)
    write_outputs(path, outputs)


def _write_page(page: Path, check: Check, golden: Golden, obtained: Mapping[str, np.ndarray]) -> bool:
    try:
        write_failure(page, check, golden, obtained)
    except GoldenError:
        return False  # a page is a convenience; the failure is reported without it
    return True


def _refuse_regeneration(config: pytest.Config, name: str) -> None:
    for flag in ("force_regen", "regen_all"):
        if config.getoption(flag, False):
            pytest.fail(
                f"golden {name}: --{flag.replace('_', '-')} would make the code under test the author of its own "
                f"truth. Goldens come from TensorFlow: {_REGENERATE} {name}",
                pytrace=False,
            )


# ---------------------------------------------------------------------------------------------- the fixture


@pytest.fixture
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> GoldenCase:
    """The golden of one case; see ``GoldenCase``."""
    run = _run(request.config)
    checks = request.node.stash.setdefault(_CHECKS, [])
    try:
        return run.open(request.param, tmp_path, request, checks.append)
    except GoldenError as problem:
        pytest.fail(str(problem), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Put on the report, as xdist hands it on, what was compared; or that nothing could be."""
    report: Any = yield
    checks = item.stash.get(_CHECKS, [])
    broken = report.failed and report.when in ("setup", "call") and all(check.passed for check in checks)
    if report.when == "call" or broken:
        if broken and (name := _case_of(item)) is not None:
            operation = _run(item.config).cases[name].operation.name
            checks = [*checks, Check(name, operation, {}, report.longreprtext.splitlines()[-_LINES_OF_AN_ERROR:])]
        report.golden_checks = [asdict(check) for check in checks]
    return report  # type: ignore[no-any-return]


def _case_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("golden")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden" not in metafunc.fixturenames:
        return
    operations = [name for marker in metafunc.definition.iter_markers("golden") for name in marker.args]
    if not operations:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: takes 'golden', so it needs @pytest.mark.golden(operation)"
        )
    run = _run(metafunc.config)
    chosen = []
    for operation in operations:
        cases = [case for case in run.cases.values() if case.operation.name == operation]
        if not cases:
            known = sorted({case.operation.name for case in run.cases.values()})
            raise pytest.UsageError(
                f"{metafunc.definition.nodeid}: no case has the operation {operation!r}; known: {known}"
            )
        chosen += cases
    metafunc.parametrize("golden", [run.parameter(case) for case in chosen], indirect=True)


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


# ---------------------------------------------------------------------------------------------- the whole run


def _run(config: pytest.Config) -> GoldenRun:
    run = config.pluginmanager.get_plugin("golden-run")
    assert isinstance(run, GoldenRun)
    return run


class GoldenRun:
    """What one pytest run knows of the goldens: which there are, which are claimed, how far off the subject was."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        configured = config.getini("golden_fixtures")
        self._fixtures: Path = configured[0] if configured else Path(__file__).resolve().parent / "fixtures"
        self._cases: dict[str, Case] | None = None
        self._problems: list[str] = []
        self._checks: list[Check] = []
        self._skipped_slow: list[str] = []
        self._guard = ImportGuard(config.getini("golden_forbid_imports"))
        self._guard.install()

    @property
    def cases(self) -> dict[str, Case]:
        if self._cases is None:
            try:
                self._cases = load_cases(self._config.getini("golden_cases"))
            except GoldenError as problem:
                raise pytest.UsageError(str(problem)) from problem
        return self._cases

    def parameter(self, case: Case) -> Any:
        marks = [pytest.mark.skip(reason="slow golden; run it with --golden-slow")] if self._skips(case) else []
        return pytest.param(case.name, id=case.name, marks=marks)

    def _skips(self, case: Case) -> bool:
        return case.slow and not self._config.getoption("--golden-slow")

    def open(
        self, name: str, scratch: Path, request: pytest.FixtureRequest, record: Callable[[Check], None]
    ) -> GoldenCase:
        """Read a golden and check that it is the one that its entry and the case speak of.

        ``record`` is told the outcome of every comparison with it.
        """
        source = golden_path(self._fixtures, name)
        golden = read_golden(source)
        if read_entry(self._fixtures, name)["content"] != golden.content_digest():
            raise GoldenError(
                f"golden {source}: its entry does not list this content; was it written by hand, or an update "
                f"interrupted? Run 'golden verify', which says so; restore it, or: {_REGENERATE} {name}"
            )
        case = self.cases[name]
        inputs = golden.complete_inputs(case)
        if case.definition_digest(inputs) != golden.definition:
            raise GoldenError(f"golden {source}: its case has another definition by now: {_REGENERATE} {name}")
        return GoldenCase(golden, case.operation, inputs, source, scratch, request, record)

    # Claims are known once collection is over. Under xdist every worker collects everything, so each tells the
    # controller, which collects nothing itself.

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        claimed = set()
        for item in items:
            name = _case_of(item)
            if name is not None:
                claimed.add(name)
            elif item.get_closest_marker("golden"):
                self._problems.append(
                    f"{item.nodeid}: marked 'golden', but does not take the fixture: it compares nothing"
                )
        if not self._is_full():
            return
        stored, listed = stored_cases(self._fixtures), listed_cases(self._fixtures)
        for name in sorted(set(self.cases) - claimed):
            self._problems.append(
                f"case {name}: no collected test claims it; mark one with golden({self.cases[name].operation.name!r})"
            )
        for name in sorted(set(self.cases) - stored):
            self._problems.append(f"case {name}: no golden; make it with: {_REGENERATE} {name}")
        for name in sorted(stored - set(self.cases)):
            self._problems.append(f"golden {name}: no case declares it; remove it with: {_REGENERATE}")
        for name in sorted(listed ^ stored):
            self._problems.append(f"golden {name}: only one of golden and entry is there; run 'golden verify'")

    def _is_full(self) -> bool:
        """Whether the collection of the parity tests was not narrowed by options or paths."""
        if any(getattr(self._config.option, name, None) for name in _NARROWING):
            return False
        given = [Path(self._config.invocation_params.dir, str(argument)).resolve() for argument in self._config.args]
        root = self._config.rootpath
        declared = self._config.getini("golden_tests") or [root / path for path in self._config.getini("testpaths")]
        required = [Path(path).resolve() for path in declared or [root]]
        for path in required:
            if not path.is_dir():
                raise pytest.UsageError(f"golden_tests: {path} is no directory")
        return all(any(path.is_relative_to(argument) for argument in given) for path in required)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        checks = [Check(**value) for value in getattr(report, "golden_checks", [])]
        self._checks += checks
        if not report.failed and not all(check.passed for check in checks):
            what = "passed" if report.passed else "was skipped or expected to fail"
            self._problems.append(f"{report.nodeid}: {what} although its golden does not agree")
        if report.skipped and "--golden-slow" in str(report.longrepr):
            self._skipped_slow.append(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for problem in getattr(node, "workeroutput", {}).get("golden_problems", []):
            if problem not in self._problems:
                self._problems.append(problem)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._problems += self._guard.intruders()
        if session.exitstatus == pytest.ExitCode.OK and self._is_full() and not hasattr(self._config, "workeroutput"):
            checked = {check.case for check in self._checks if check.outputs}
            expected = {name for name, case in self.cases.items() if not self._skips(case)}
            self._problems += [
                f"case {name}: no test compared it in this run; was it skipped?" for name in sorted(expected - checked)
            ]
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput["golden_problems"] = self._problems
        elif self._problems and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        if self._problems:
            terminalreporter.section("goldens: this run is not complete", red=True)
            for problem in self._problems:
                terminalreporter.line(problem, red=True)
        run = self._as_run(exitstatus)
        if self._checks:
            terminalreporter.line(f"goldens: {headline(run)}")
            for cause in causes(run):
                terminalreporter.line(f"goldens: {cause}", red=True)
            for check in self._checks:
                if check.passed and check.share > MOST_USED:
                    terminalreporter.line(
                        f"goldens: {check.case} uses {check.share:.0%} of the tolerance of {check.worst!r}", yellow=True
                    )
            if run.narrowed:
                terminalreporter.line("goldens: a narrowed run, so it was not checked that every case is claimed")
        for name in self._skipped_slow:
            terminalreporter.line(f"goldens: slow, not run: {name}")
        report = self._config.getoption("--golden-report")
        if report and not self._config.option.collectonly:
            try:
                write_run(Path(report), run, self._fixtures)
            except GoldenError as problem:
                terminalreporter.line(f"goldens: no report: {problem}", red=True)
            else:
                terminalreporter.line(f"goldens: report in {report}")

    def _as_run(self, exitstatus: int) -> Run:
        versions = {"Python": platform.python_version(), "NumPy": np.__version__}
        with suppress(importlib.metadata.PackageNotFoundError):
            versions["Torch"] = importlib.metadata.version("torch")
        known = {int(code): code.name.lower().replace("_", " ") for code in pytest.ExitCode}
        status = known.get(exitstatus, f"exit status {exitstatus}")
        return Run(self._checks, self._problems, self._skipped_slow, not self._is_full(), versions, status)

    def pytest_unconfigure(self) -> None:
        self._guard.remove()


class ImportGuard:
    """Makes the import of some modules fail, and finds those that were there before.

    It speaks up only where the module could be imported. Where it is not installed, libraries that look whether it is
    there (``importlib.util.find_spec``) get the usual answer.
    """

    def __init__(self, forbidden: Sequence[str]) -> None:
        self._forbidden = frozenset(forbidden)
        self._before = frozenset(self._forbidden & set(sys.modules))

    def install(self) -> None:
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def remove(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # type: ignore[arg-type]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in self._forbidden and self._is_installed(name, path, target):
            raise ModuleNotFoundError(
                f"{name!r} must not be imported in this run (golden_forbid_imports): the port is tested without it",
                name=name,
            )
        return None

    def _is_installed(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> bool:
        finders = [finder for finder in sys.meta_path if not isinstance(finder, ImportGuard)]
        return any(finder.find_spec(name, path, target) is not None for finder in finders)

    def intruders(self) -> list[str]:
        return [
            f"module {name}: was imported {'before' if name in self._before else 'during'} this run, which forbids it "
            f"(golden_forbid_imports)"
            for name in sorted(self._forbidden & set(sys.modules))
        ]
