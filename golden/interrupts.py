"""Ctrl-C and SIGTERM end a command at any moment, with one correct line and without a traceback.

While modules load, a signal ends the process at once, because an exception during an import may be swallowed or turned
into another one. Afterwards a signal raises ``KeyboardInterrupt``, so that partial files are removed.

This module is loaded before all others, so it imports little.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

NUMBERS = (signal.SIGINT, signal.SIGTERM)


def end_at_once(number: int, frame: FrameType | None = None) -> NoReturn:
    """Handle a signal by ending the process, before the command has started."""
    os.write(2, b"golden: interrupted; nothing was written\n")
    os._exit(128 + number)


def guard_loading() -> None:
    """Let signals end the process at once, until ``Interrupts`` takes over. Call this before the imports."""
    for number in NUMBERS:
        signal.signal(number, end_at_once)


@contextmanager
def _without_words() -> Iterator[None]:
    """Suppress the message about an interrupt that nothing can catch, for instance in a finalizer."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


class Interrupts:
    """Raises ``KeyboardInterrupt`` on the first signal; ignores later ones.

    Attributes:
        number: number of the signal that arrived, else 0. It remains set if a library swallows the exception.
    """

    def __init__(self) -> None:
        self.number = 0
        self._process = os.getpid()

    @property
    def status(self) -> int:
        """Return the exit status for the signal, as in a shell."""
        return 128 + (self.number or signal.SIGINT)

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals. Then restore the previous handlers, or ignore signals if the command is about to end."""
        before = {number: signal.signal(number, self._came) for number in NUMBERS}
        try:
            with _without_words():
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if handler is end_at_once else handler)

    def _came(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # Ctrl-C reaches a worker too; its parent prints the message
            os._exit(128 + number)
        if not self.number:
            self.number = number
            raise KeyboardInterrupt


@contextmanager
def deaf_children() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, because their parent ends them. A signal during the start is delayed."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command and end the process, even if standard output is closed.

    Args:
        command: ends with ``SystemExit``.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open until the process ends
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # terminals that are not UTF-8
    try:
        os.getcwd()
    except FileNotFoundError:
        print("golden: the current directory is gone; change to one that exists", file=sys.stderr)
        sys.exit(2)
    status: object = 0
    try:
        try:
            command()
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush()
    except OSError as problem:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes the rest at exit
        print(f"golden: {_refusal(problem)}", file=sys.stderr)
        status = 2
    # CPython remembers an interrupt inside an exec(), even if it was handled. Under python -m it would then end the
    # process by SIGINT, not with this status. Another exec() makes it forget.
    exec("")
    sys.exit(status)  # type: ignore[arg-type]


def _refusal(problem: OSError) -> str:
    """Say what the system refused: a file that the error names, the temporary directory, or else standard output."""
    if problem.filename is not None or isinstance(problem, FileNotFoundError):
        return str(problem)
    return f"cannot write to standard output: {problem.strerror or problem}"
