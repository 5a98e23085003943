"""Collect, over a test run, which goldens were claimed by a test and compared, and how far off the port was.

A run of all parity tests is complete when a test claims every case and compares it. What is missing is a problem, told
by name, and fails the run.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from golden.report.run import Check, Run, causes, headline, slow_line
from golden.review.margins import MOST_USED
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.store.entry import listed_cases
from golden.store.golden import stored_cases
from golden.testing.declarations import Declarations, read_declarations
from golden.testing.goldens import REGENERATE, Goldens
from golden.testing.subject import Subject, Way, collisions, load_subject, origins


class GoldenRun:
    """Collects what one test run finds out about the goldens.

    Args:
        goldens: those that the run's tests are held to.
        slow: whether slow goldens are run too.
        subject: name of the module that is held to them; empty where tests call the port by themselves.
        known: file of what is declared of the port, or None.

    Attributes:
        checks: every comparison.
        problems: why the run is not complete, a sentence each.
        skipped: names of the tests of slow goldens that were not run.
        again: test -> how many times it was run again, after it had failed.
    """

    def __init__(self, goldens: Goldens, slow: bool, subject: str = "", known: Path | None = None) -> None:
        self.goldens = goldens
        self._subject_name = subject
        self._known_file = known
        self.checks: list[Check] = []
        self.problems: list[str] = []
        self.skipped: list[str] = []
        self.again: Counter[str] = Counter()
        self._failed_in_part: set[str] = set()
        self._slow = slow

    @cached_property
    def subject(self) -> Subject | None:
        """The module that is held to the goldens.

        Raises:
            GoldenError: it cannot be loaded.
        """
        return load_subject(self._subject_name, self.goldens.operations) if self._subject_name else None

    @cached_property
    def declarations(self) -> Declarations:
        """What is declared of the port.

        Raises:
            GoldenError: the file cannot be read, or says what cannot be meant.
        """
        if self._known_file is None:
            return Declarations()
        return read_declarations(self._known_file, self.goldens.cases, self.subject)

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

    def offered(self) -> list[tuple[Case, str]]:
        """Return the goldens that the subject offers, each with every way in which it computes them.

        Raises:
            GoldenError: the run has no subject, or it cannot be loaded.
        """
        if self.subject is None:
            raise GoldenError(
                "marked 'golden' without an operation, so it needs a subject: golden_subject = my_port.golden_subject "
                "in the ini file, a module with a function per operation"
            )
        ways = self.subject.ways
        cases = self.goldens.cases.values()
        return [(case, way.name) for case in cases for way in ways.get(case.operation.name, ())]

    def way(self, operation: str, name: str) -> Way | None:
        """Return the subject's function for an operation; None where it offers none of that name."""
        ways = self.subject.ways.get(operation, ()) if self.subject else ()
        return next((way for way in ways if way.name == name), None)

    def require_claims(self, claimed: Collection[str]) -> None:
        """Note every case that no test claims, every case without a golden, and every golden without a case.

        Raises:
            GoldenError: the cases cannot be loaded.
        """
        cases = self.goldens.cases
        stored, listed = stored_cases(self.goldens.fixtures), listed_cases(self.goldens.fixtures)
        unclaimed = {name for name in set(cases) - set(claimed) if not self.not_offered(cases[name].operation.name)}
        if self.subject is None:
            self.problems += [
                f"case {name}: no collected test claims it; mark one with golden({cases[name].operation.name!r})"
                for name in sorted(unclaimed)
            ]
        else:
            operations = sorted({cases[name].operation.name for name in unclaimed})
            self._require_offered(self.subject, operations)
        for name in sorted(set(cases) - stored):
            self.problems.append(f"case {name}: no golden; make it with: {REGENERATE} {name}")
        for name in sorted(stored - set(cases)):
            self.problems.append(f"golden {name}: no case declares it; remove it with: {REGENERATE}")
        for name in sorted(listed ^ stored):
            self.problems.append(f"golden {name}: only one of golden and entry is there; run 'golden verify'")

    def _require_offered(self, subject: Subject, unclaimed: Sequence[str]) -> None:
        """Say of operations that no test claims whether the subject lacks them, or a test file."""
        lacks = [name for name in unclaimed if name not in subject.ways]
        if lacks:
            self.problems.append(
                f"{subject.name} does not offer {', '.join(lacks)}; if that is on purpose, say so in the file "
                f'golden_known: ["{lacks[0]}"] not_offered = "…" (a pattern, "grouping.*", stands for several)'
            )
        self.problems += [
            f"operation {name}: {subject.name} offers it, but no collected test claims it: "
            f"from golden.testing import test_goldens"
            for name in unclaimed
            if name in subject.ways
        ]

    def require_compared(self) -> None:
        """Note every case that no test compared."""
        compared = {check.case for check in self.checks if check.outputs}
        compared |= {check.case for check in self.checks if check.excuse}
        expected = {
            name
            for name, case in self.goldens.cases.items()
            if not self.skips(case) and not self.not_offered(case.operation.name)
        }
        for name in sorted(expected - compared):
            self.problems.append(f"case {name}: no test compared it in this run; was it skipped?")

    def require_still_known(self) -> None:
        """Note every known difference that is none any more."""
        self.problems += self.declarations.stale(self.checks, self.goldens.cases)

    def require_one_port(self) -> None:
        """Note every package of the subject that is a mixture of two."""
        if self.subject is not None:
            self.problems += collisions(self.subject)

    def not_offered(self, operation: str) -> bool:
        """Tell whether it is declared that the port does not offer an operation."""
        return self.declarations.absent(operation) is not None

    def take(self, test: str, outcome: str, checks: Sequence[Check]) -> None:
        """Take in what a test compared; note a test that did not fail although its golden does not agree.

        Args:
            test: its name.
            outcome: "passed", "failed" or "skipped"; "rerun" where it failed and is run again, which counts instead.
            checks: what it compared.
        """
        if outcome == "rerun":
            self.again[test] += 1
            return
        self.checks += checks
        outcome = "failed" if test in self._failed_in_part else outcome
        if outcome != "failed" and not all(check.passed for check in checks):
            what = "passed" if outcome == "passed" else "was skipped or expected to fail"
            self.problems.append(
                f"{test}: {what} although its golden does not agree; a difference on purpose goes into the file "
                f"golden_known, with its reason"
            )

    def take_part(self, test: str, outcome: str) -> None:
        """Take in the outcome of a subtest; what it compared comes with its test."""
        if outcome == "failed":
            self._failed_in_part.add(test)

    def report(self, status: str, narrowed: bool) -> Run:
        """Make the report of the run.

        Args:
            status: how pytest ended.
            narrowed: whether not all parity tests were collected.
        """
        again = [f"run again {count} x: {test}" for test, count in self.again.items()]
        run = Run(self.checks, self.problems, self.skipped, narrowed, versions(), status, again=again)
        try:
            if self.subject is None or not self.checks:
                return run
        except GoldenError:  # told already, where tests were collected
            return run
        absent = [operation for operation in self.goldens.operations if operation not in self.subject.ways]
        reasons = {operation: self.declarations.absent(operation) for operation in absent}
        return replace(
            run,
            versions={**run.versions, **origins(self.subject)},
            subject=self.subject.name,
            not_offered={operation: entry.reason if entry else "" for operation, entry in reasons.items()},
            declared=[str(entry) for entry in self.declarations.entries],
        )


def versions() -> dict[str, str]:
    """Return the versions of what takes part in any comparison."""
    told = {"Python": platform.python_version(), "NumPy": np.__version__}
    with suppress(importlib.metadata.PackageNotFoundError):
        told["Torch"] = importlib.metadata.version("torch")
    return told


def summary(run: Run) -> list[tuple[str, str]]:
    """Sum a run up for a terminal: lines, each with its colour ("red", "yellow", or none)."""
    lines = []
    if run.checks:
        lines.append((headline(run), ""))
        lines += [(cause, "red") for cause in causes(run)]
        lines += [(line, "") for line in run.declared]
        lines += [(line, "yellow") for line in run.again]
        lines += [
            (f"{check.case} uses {check.share:.0%} of the tolerance of {check.worst!r}", "yellow")
            for check in run.checks
            if check.agrees and check.share > MOST_USED
        ]
        if run.narrowed:
            lines.append(("a narrowed run, so it was not checked that every case is claimed", ""))
    return lines + ([(slow_line(run), "")] if run.slow else [])
