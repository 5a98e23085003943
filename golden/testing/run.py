"""Collect, over a test run, which goldens were claimed by a test and compared, and how far off the port was.

A run of all parity tests is complete if tests claim and compare every case. Every missing case is reported by name and
fails the run.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from golden.report.run import PARTIAL, Check, Run, causes, headline, slow_line
from golden.review.margins import MOST_USED
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.store.entry import listed_cases
from golden.store.golden import stored_cases
from golden.testing.declarations import Declarations, read_declarations
from golden.testing.goldens import REGENERATE, Goldens
from golden.testing.subject import Subject, Way, collisions, load_subject, origins


class GoldenRun:
    """Collects the results of one test run.

    Args:
        goldens: the goldens that the tests compare with.
        slow: whether slow goldens are run too.
        subject: name of the module that is checked; empty if tests call the port themselves.
        known: file with the declarations about the port, or None.

    Attributes:
        checks: every comparison.
        problems: why the run is incomplete, a sentence each.
        skipped: names of the tests of slow goldens that were not run.
        again: test -> number of reruns after a failure.
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
        self._origins: dict[str, str] | None = None

    @cached_property
    def subject(self) -> Subject | None:
        """The module that is checked against the goldens.

        Raises:
            GoldenError: it cannot be loaded.
        """
        return load_subject(self._subject_name, self.goldens.operations) if self._subject_name else None

    @property
    def _loaded(self) -> Subject | None:
        """Return the subject if it was loaded or learnt. A run that failed early must not import it for its report."""
        return vars(self).get("subject")

    def described(self) -> dict[str, Any]:
        """Describe a loaded subject, so that another process need not import it; empty if none is loaded."""
        return {} if self._loaded is None else {"ways": self._loaded.names(), "origins": origins(self._loaded)}

    def learn(self, described: Mapping[str, Any]) -> None:
        """Take over what another process of the same run has described."""
        if described:
            self.subject = Subject.of_names(self._subject_name, described["ways"])
            self._origins = described["origins"]

    @cached_property
    def declarations(self) -> Declarations:
        """The declarations about the port.

        Raises:
            GoldenError: the file cannot be read, or a declaration makes no sense.
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
        """Return the goldens of the operations that the subject offers, once for each way.

        Raises:
            GoldenError: the run has no subject, or it cannot be loaded.
        """
        if self.subject is None:
            raise GoldenError(
                "marked 'golden' without an operation, so it needs a subject, a module with a function per operation: "
                "set golden_subject = my_port.golden_subject in the ini file"
            )
        ways = self.subject.ways
        cases = self.goldens.cases.values()
        return [(case, way.name) for case in cases for way in ways.get(case.operation.name, ())]

    def way(self, operation: str, name: str) -> Way | None:
        """Return the subject's function for an operation and way; None if it does not offer it."""
        ways = self.subject.ways.get(operation, ()) if self.subject else ()
        return next((way for way in ways if way.name == name), None)

    def require_claims(self, claimed: Collection[str]) -> None:
        """Report every case that no test claims, every case without a golden, and every golden without a case.

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
            self.problems.append(f"case {name}: no golden; generate it with: {REGENERATE} {name}")
        for name in sorted(stored - set(cases)):
            self.problems.append(f"golden {name}: no case declares it; remove it with: {REGENERATE}")
        for name in sorted(listed ^ stored):
            self.problems.append(f"golden {name}: the file or its entry is missing; run 'golden verify'")

    def _require_offered(self, subject: Subject, unclaimed: Sequence[str]) -> None:
        """Report operations that no test claims: either the subject lacks them, or a test file is missing."""
        lacks = [name for name in unclaimed if name not in subject.ways]
        if lacks:
            self.problems.append(
                f"{subject.name} does not offer {', '.join(lacks)}; if that is on purpose, declare it in the file "
                f'golden_known: ["{lacks[0]}"] not_offered = "…" (a pattern such as "grouping.*" covers several)'
            )
        self.problems += [
            f"operation {name}: {subject.name} offers it, but no collected test claims it; add to a "
            f"test file: from golden.testing import test_goldens"
            for name in unclaimed
            if name in subject.ways
        ]

    def require_compared(self) -> None:
        """Report every case that no test compared."""
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
        """Report every declared difference that no longer exists."""
        self.problems += self.declarations.stale(self.checks, self.goldens.cases)

    def require_one_port(self) -> None:
        """Report every package of the subject that is loaded from two places, or overwritten by another one."""
        if self.checks and self._loaded is not None:
            self.problems += collisions(self._loaded)

    def not_offered(self, operation: str) -> bool:
        """Return whether the operation is declared as not offered."""
        return self.declarations.absent(operation) is not None

    def take(self, test: str, outcome: str, checks: Sequence[Check]) -> None:
        """Record the comparisons of a test; report a test that did not fail although its golden does not agree.

        Args:
            test: its name.
            outcome: "passed", "failed" or "skipped"; "rerun" if it failed and is run again. Then only the rerun counts.
            checks: its comparisons.
        """
        if outcome == "rerun":
            self.again[test] += 1
            return
        self.checks += checks
        outcome = "failed" if test in self._failed_in_part else outcome
        if outcome != "failed" and not all(check.passed for check in checks):
            what = "passed" if outcome == "passed" else "was skipped or expected to fail"
            self.problems.append(
                f"{test}: {what} although its golden does not agree; declare an intended difference, with "
                f"its reason, in the file golden_known"
            )

    def take_part(self, test: str, outcome: str) -> None:
        """Record the outcome of a subtest; its comparisons arrive with the test."""
        if outcome == "failed":
            self._failed_in_part.add(test)

    def report(self, status: str, narrowed: bool) -> Run:
        """Make the report of the run.

        Args:
            status: how pytest ended.
            narrowed: whether some parity tests were not collected.
        """
        again = [f"rerun {count} x: {test}" for test, count in self.again.items()]
        run = Run(self.checks, self.problems, self.skipped, narrowed, versions(), status, again=again)
        subject = self._loaded
        if not self.checks or subject is None:
            return run
        absent = [operation for operation in self.goldens.operations if operation not in subject.ways]
        reasons = {operation: self.declarations.absent(operation) for operation in absent}
        return replace(
            run,
            versions={**run.versions, **(self._origins or origins(subject))},
            subject=subject.name,
            not_offered={operation: entry.reason if entry else "" for operation, entry in reasons.items()},
            declared=[str(entry) for entry in self.declarations.entries],
        )


def versions() -> dict[str, str]:
    """Return the versions of Python, NumPy and, if installed, Torch."""
    told = {"Python": platform.python_version(), "NumPy": np.__version__}
    with suppress(importlib.metadata.PackageNotFoundError):
        told["Torch"] = importlib.metadata.version("torch")
    return told


def summary(run: Run) -> list[tuple[str, str]]:
    """Summarise a run for a terminal: lines, each with its colour ("red", "yellow", or none)."""
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
            lines.append((PARTIAL, ""))
    return lines + ([(slow_line(run), "")] if run.slow else [])
