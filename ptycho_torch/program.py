"""What the programs have in common: options by either spelling, a log, a progress bar, an end that says how it went.

Exit status: 0 done, 1 the run failed, 2 wrong options or files, 130 interrupted (143: by SIGTERM).
"""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "show_default": True,
    "max_content_width": 110,
    # --output-dir is --output_dir.
    "token_normalize_func": lambda name: name.replace("-", "_"),
}
"""Of a ``click.command``."""
ACCELERATORS = ("auto", "cpu", "cuda", "mps")
FILE = click.Path(path_type=Path, dir_okay=False)
DIRECTORY = click.Path(path_type=Path, file_okay=False)
log = logging.getLogger("ptycho_torch")


class Interrupted(Exception):  # noqa: N818 - not an error
    """The user, or the system, asks the program to end.

    Not a ``KeyboardInterrupt``: on that Lightning ends the process itself.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class WrongInput(click.ClickException):
    """Options, or files that they name, which do not do."""

    exit_code = 2


class FailedRun(click.ClickException):
    """The run itself went wrong."""

    exit_code = 1


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise ``Interrupted``."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)


@contextmanager
def ending(kept: Callable[[], str]) -> Iterator[None]:
    """An end by ``Interrupted`` is one line, and its exit status.

    Args:
        kept: what the user is to know then.
    """
    try:
        with interruptible():
            yield
    except Interrupted as interrupted:
        log.error("interrupted (%s): %s", interrupted, kept())
        raise click.exceptions.Exit(interrupted.status) from interrupted


@contextmanager
def checking_input() -> Iterator[None]:
    """What is wrong with options and files is one line, and exit status 2."""
    try:
        yield
    except (ValueError, OSError) as problem:
        raise WrongInput(_one_line(problem)) from problem


@contextmanager
def running(what: str, log_file: Path) -> Iterator[None]:
    """What goes wrong in a run is one line, and exit status 1; the traceback goes to the log.

    Args:
        what: is run.
        log_file: where the log is.
    """
    try:
        yield
    except (Interrupted, click.ClickException, click.exceptions.Exit):
        raise
    except Exception as problem:
        log.debug("traceback", exc_info=True)
        kind = "" if isinstance(problem, ValueError | OSError | ArithmeticError) else f"{type(problem).__name__}: "
        raise FailedRun(f"{what} failed: {kind}{_one_line(problem)} (traceback: {log_file})") from problem


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Messages go to standard error as they are, and with the time to a file, after what it holds.

    Args:
        path: of the file.
    """
    screen, file = logging.StreamHandler(sys.stderr), logging.FileHandler(path, encoding="utf-8")
    screen.setLevel(logging.INFO)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = log.level, log.propagate
    log.setLevel(logging.DEBUG)
    log.propagate = False
    for handler in (screen, file):
        log.addHandler(handler)
    try:
        yield
    finally:
        log.level, log.propagate = before
        for handler in (screen, file):
            log.removeHandler(handler)
        file.close()


@contextmanager
def warnings_in_the_log() -> Iterator[None]:
    """A warning is a line of the log."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for warning in caught:
        log.warning("%s", warning.message)


def patterns_used(count: int, there: int, groups: int, members: int) -> None:
    """Log which part of a scan is used, in words that people search for.

    Args:
        count: patterns that were drawn.
        there: patterns of the scan.
        groups: made of them.
        members: patterns in each.
    """
    log.info("subsampling %d images%s", count, f" of {there}" if count < there else ": all there are")
    if members == 1:
        log.info("using %d individual images", groups)
    else:
        log.info("using %d groups of %d images", groups, members)


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split()) or type(problem).__name__
