"""Provide what the port's programs share: options, logging and exit codes.

Exit status: 0 done, 1 the run failed, 2 wrong options or files, 130 interrupted (143 by SIGTERM).
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
from typing import Any, get_args

import click
import torch

from ptycho_torch.config_params import Precision
from ptycho_torch.precision import cost_of

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
PRECISION_HELP = "Float32, or the network in bfloat16: about twice as fast where the processor multiplies it."
CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "show_default": True,
    "max_content_width": 110,
    # So that --output-dir means --output_dir; what is chosen keeps its hyphen.
    "token_normalize_func": lambda name: name if name in PRECISIONS else name.replace("-", "_"),
}
"""Settings for ``click.command``."""
ACCELERATORS = ("auto", "cpu", "cuda", "mps")
FILE = click.Path(path_type=Path, dir_okay=False)
DIRECTORY = click.Path(path_type=Path, file_okay=False)
log = logging.getLogger("ptycho_torch")


class Interrupted(Exception):  # noqa: N818 - not an error
    """The user or the system asked the program to end.

    It is no ``KeyboardInterrupt``, for on that Lightning ends the process itself.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class WrongInput(click.ClickException):
    """Options, or the files that they name, are wrong."""

    exit_code = 2


class FailedRun(click.ClickException):
    """The run itself failed."""

    exit_code = 1


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise ``Interrupted`` on Ctrl-C and on SIGTERM."""

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
    """Turn ``Interrupted`` into one line of the log, and its exit status.

    Args:
        kept: returns what the user should know then.
    """
    try:
        with interruptible():
            yield
    except Interrupted as interrupted:
        log.error("interrupted (%s): %s", interrupted, kept())
        raise click.exceptions.Exit(interrupted.status) from interrupted


@contextmanager
def checking_input() -> Iterator[None]:
    """Turn what is wrong with options and files into one line, and exit status 2."""
    try:
        yield
    except (ValueError, OSError) as problem:
        raise WrongInput(_one_line(problem)) from problem


@contextmanager
def running(what: str, log_file: Path) -> Iterator[None]:
    """Turn what goes wrong in a run into one line, and exit status 1; the traceback goes to the log.

    Args:
        what: name of the run.
        log_file: path of the log.
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
    """Write messages to standard error, and with the time to the end of a file.

    Args:
        path: path of the file.
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
    """Turn warnings into lines of the log."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for warning in caught:
        log.warning("%s", warning.message)


def warn_of_cost(precision: Precision, device: torch.device) -> None:
    """Log a warning if a precision is slow on a device."""
    cost = cost_of(precision, device)
    if cost is not None:
        log.warning("%s", cost)


def patterns_used(count: int, there: int, groups: int, members: int) -> None:
    """Log which part of a scan is used, in words that people search for.

    Args:
        count: number of patterns that were drawn.
        there: number of patterns in the scan.
        groups: number of groups made of them.
        members: number of patterns in each group.
    """
    log.info("subsampling %d images%s", count, f" of {there}" if count < there else ", all of the scan")
    if members == 1:
        log.info("using %d individual images", groups)
    else:
        log.info("using %d groups of %d images", groups, members)


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split()) or type(problem).__name__
