"""Ctrl-C and SIGTERM end a command at any moment, with one line that is true, and never with a foreign traceback.

While modules load, a signal ends the process at once: an exception in the middle of an import may be swallowed by it,
or turned into another one. Afterwards a signal raises ``KeyboardInterrupt``, so that what is half written is removed.

This module imports little, for it is there before all else.
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
    """End the process, as a handler of signals: nothing was begun."""
    os.write(2, b"golden: interrupted; nothing was written\n")
    os._exit(128 + number)


def guard_loading() -> None:
    """Let signals end the process at once, until ``Interrupts`` takes over. A command calls this before its imports."""
    for number in NUMBERS:
        signal.signal(number, end_at_once)


@contextmanager
def _without_words() -> Iterator[None]:
    """Print nothing of an interrupt that comes where nothing can catch it, as in a callback when an object goes."""
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
    """Interrupts raise ``KeyboardInterrupt`` on the first signal; later ones change nothing.

    Attributes:
        number: number of the signal that came; 0 if none did. It stays when a library swallows the exception.
    """

    def __init__(self) -> None:
        self.number = 0
        self._process = os.getpid()

    @property
    def status(self) -> int:
        """Return the exit status that tells of the signal, as a shell gives it."""
        return 128 + (self.number or signal.SIGINT)

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals. Afterwards they do what they did before; at the end of a command they come too late."""
        before = {number: signal.signal(number, self._came) for number in NUMBERS}
        try:
            with _without_words():
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if handler is end_at_once else handler)

    def _came(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker: Ctrl-C reaches it too, and its parent says what is to be said
            os._exit(128 + number)
        if not self.number:
            self.number = number
            raise KeyboardInterrupt


@contextmanager
def deaf_children() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: their parent ends them. A signal that comes meanwhile waits."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command, whose output may have nowhere to go, and end the process.

    Args:
        command: the command; it ends with ``SystemExit``.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the command
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where the interpreter flushes what is left
        print(f"golden: cannot write to standard output: {problem.strerror or problem}", file=sys.stderr)
        status = 2
    sys.exit(status)  # type: ignore[arg-type]
