"""Check a subject against goldens without pytest (``golden check``). Each golden is judged on its own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import active_children, get_context
from pathlib import Path

from golden.interrupts import deaf_children
from golden.report.run import Check, Run
from golden.spec.catalogue import select
from golden.spec.errors import GoldenError
from golden.testing.comparison import broke, compared, unusable
from golden.testing.declarations import Declarations, read_declarations
from golden.testing.goldens import Goldens
from golden.testing.run import versions
from golden.testing.subject import Subject, collisions, load_subject, origins


@dataclass(frozen=True)
class Request:
    """Which subject to check against which goldens.

    Attributes:
        subject: name of the subject's module.
        fixtures: directory of the goldens.
        cases_module: the module that declares their cases.
        known: file with the subject's declarations, or None.
        scratch: an existing directory for outputs that fail, or None.
    """

    subject: str
    fixtures: Path
    cases_module: str
    known: Path | None = None
    scratch: Path | None = None


Item = tuple[str, str]
"""The name of a case, and the way in which the subject computes its operation."""


@cache
def _loaded(request: Request) -> tuple[Goldens, Subject, Declarations]:
    """Load the goldens, subject and declarations of a request, once per process."""
    goldens = Goldens(request.fixtures, request.cases_module)
    with contextlib.redirect_stdout(sys.stderr):
        subject = load_subject(request.subject, goldens.operations)
    known = read_declarations(request.known, goldens.cases, subject) if request.known else Declarations()
    return goldens, subject, known


def check_one(request: Request, item: Item) -> Check:
    """Let the subject compute one golden, and compare. The subject's output is sent to standard error.

    Raises:
        GoldenError: the golden itself cannot be read.
    """
    goldens, subject, known = _loaded(request)
    name, way = item
    opened = goldens.open(name)
    declaration = known.of(opened.case, way)
    how = subject.way(opened.case.operation.name, way)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            returned = how.function(**opened.arguments())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return broke(opened, error, way, declaration)
    try:
        return compared(opened, returned, how, declaration, request.scratch)
    except GoldenError as problem:
        return unusable(opened, str(problem), way)


def plan(request: Request, patterns: Sequence[str], slow: bool) -> tuple[list[Item], list[str]]:
    """Choose the goldens to compare.

    Args:
        request: the subject and the goldens.
        patterns: of cases; without any, all cases.
        slow: whether slow goldens are compared even if they are not named.

    Returns:
        The items, and the names of the slow goldens that are left out.

    Raises:
        GoldenError: the subject or its declarations cannot be loaded, or a pattern matches nothing.
    """
    goldens, subject, _ = _loaded(request)
    chosen = [goldens.cases[name] for name in select(goldens.cases, patterns)]
    offered = [case for case in chosen if case.operation.name in subject.ways]
    left_out = [case.name for case in offered if case.slow and not slow and case.name not in patterns]
    items = [
        (case.name, way.name)
        for case in offered
        for way in subject.ways[case.operation.name]
        if case.name not in left_out
    ]
    if not items:
        raise GoldenError(
            f"subject {request.subject}: nothing to compare; it offers none of the {len(chosen)} selected goldens"
            + (f", except slow ones ({', '.join(left_out)}): add --slow" if left_out else "")
        )
    return items, left_out


def check_all(request: Request, items: Sequence[Item], jobs: int) -> Iterator[Check | str]:
    """Compare all items and yield each result when it is ready. A text says why a golden could not be read.

    Raises:
        GoldenError: the subject ended its process.
    """
    if jobs == 1:
        yield from (_check_or_say(request, item) for item in items)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        with deaf_children():
            futures = [pool.submit(_check_or_say, request, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        except KeyboardInterrupt:
            for child in active_children():  # otherwise the pool waits until each has computed its golden
                child.terminate()
            raise
        except BrokenProcessPool:
            raise GoldenError(
                f"subject {request.subject}: its process ended (a crash in compiled code, or os._exit); to find the "
                f"golden, select fewer cases"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _check_or_say(request: Request, item: Item) -> Check | str:
    try:
        return check_one(request, item)
    except GoldenError as problem:
        return str(problem)


def run_of(request: Request, results: Iterable[Check | str], patterns: Sequence[str], slow: Sequence[str]) -> Run:
    """Combine the results: differences, operations that are not offered, and stale declarations."""
    goldens, subject, known = _loaded(request)
    results = list(results)
    checks = sorted((one for one in results if isinstance(one, Check)), key=lambda check: (check.case, check.way))
    problems = sorted(one for one in results if isinstance(one, str))
    problems += known.stale(checks, goldens.cases) + collisions(subject)
    chosen = {goldens.cases[name].operation.name for name in select(goldens.cases, patterns)}
    absent = {operation: known.absent(operation) for operation in chosen - set(subject.ways)}
    status = "ok" if all(check.passed for check in checks) and not problems else "tests failed"
    return Run(
        checks,
        problems,
        slow,
        False,
        versions() | origins(subject),
        status,
        subject.name,
        {operation: entry.reason if entry else "" for operation, entry in absent.items()},
        [str(entry) for entry in known.entries],
    )
