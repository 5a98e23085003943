"""Collect, over a test run, which goldens were claimed by a test and compared, and how far off the port was.

A run of all parity tests is complete when a test claims every case and compares it. What is missing is a problem, told
by name, and fails the run.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Collection, Sequence
from contextlib import suppress

import numpy as np

from golden.report.run import Check, Run, causes, headline
from golden.review.margins import MOST_USED
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.store.entry import listed_cases
from golden.store.golden import stored_cases
from golden.testing.fixture import REGENERATE, Goldens


class GoldenRun:
    """Collects what one test run finds out about the goldens.

    Args:
        goldens: those that the run's tests are held to.
        slow: whether slow goldens are run too.

    Attributes:
        checks: every comparison.
        problems: why the run is not complete, a sentence each.
        skipped: names of the tests of slow goldens that were not run.
    """

    def __init__(self, goldens: Goldens, slow: bool) -> None:
        self.goldens = goldens
        self.checks: list[Check] = []
        self.problems: list[str] = []
        self.skipped: list[str] = []
        self._slow = slow

    def skips(self, case: Case) -> bool:
        return case.slow and not self._slow

    def cases_of(self, operations: Sequence[str]) -> list[Case]:
        """Return the cases of some operations.

        Raises:
            GoldenError: an operation has none.
        """
        cases = self.goldens.cases.values()
        known = sorted({case.operation.name for case in cases})
        for operation in operations:
            if operation not in known:
                raise GoldenError(f"no case has the operation {operation!r}; known: {known}")
        return [case for operation in operations for case in cases if case.operation.name == operation]

    def require_claims(self, claimed: Collection[str]) -> None:
        """Note every case that no test claims, every case without a golden, and every golden without a case.

        Raises:
            GoldenError: the cases cannot be loaded.
        """
        cases = self.goldens.cases
        stored, listed = stored_cases(self.goldens.fixtures), listed_cases(self.goldens.fixtures)
        for name in sorted(set(cases) - set(claimed)):
            self.problems.append(
                f"case {name}: no collected test claims it; mark one with golden({cases[name].operation.name!r})"
            )
        for name in sorted(set(cases) - stored):
            self.problems.append(f"case {name}: no golden; make it with: {REGENERATE} {name}")
        for name in sorted(stored - set(cases)):
            self.problems.append(f"golden {name}: no case declares it; remove it with: {REGENERATE}")
        for name in sorted(listed ^ stored):
            self.problems.append(f"golden {name}: only one of golden and entry is there; run 'golden verify'")

    def require_compared(self) -> None:
        """Note every case that no test compared."""
        compared = {check.case for check in self.checks if check.outputs}
        expected = {name for name, case in self.goldens.cases.items() if not self.skips(case)}
        for name in sorted(expected - compared):
            self.problems.append(f"case {name}: no test compared it in this run; was it skipped?")

    def take(self, test: str, outcome: str, checks: Sequence[Check]) -> None:
        """Take in what a test compared; note a test that did not fail although its golden does not agree.

        Args:
            test: its name.
            outcome: "passed", "failed" or "skipped".
            checks: what it compared.
        """
        self.checks += checks
        if outcome != "failed" and not all(check.passed for check in checks):
            what = "passed" if outcome == "passed" else "was skipped or expected to fail"
            self.problems.append(f"{test}: {what} although its golden does not agree")

    def report(self, status: str, narrowed: bool) -> Run:
        """Make the report of the run.

        Args:
            status: how pytest ended.
            narrowed: whether not all parity tests were collected.
        """
        versions = {"Python": platform.python_version(), "NumPy": np.__version__}
        with suppress(importlib.metadata.PackageNotFoundError):
            versions["Torch"] = importlib.metadata.version("torch")
        return Run(self.checks, self.problems, self.skipped, narrowed, versions, status)


def summary(run: Run) -> list[tuple[str, str]]:
    """Sum a run up for a terminal: lines, each with its colour ("red", "yellow", or none)."""
    lines = []
    if run.checks:
        lines.append((headline(run), ""))
        lines += [(cause, "red") for cause in causes(run)]
        lines += [
            (f"{check.case} uses {check.share:.0%} of the tolerance of {check.worst!r}", "yellow")
            for check in run.checks
            if check.passed and check.share > MOST_USED
        ]
        if run.narrowed:
            lines.append(("a narrowed run, so it was not checked that every case is claimed", ""))
    return lines + [(f"slow, not run: {name}", "") for name in run.slow]
