"""Ctrl-C and SIGTERM end a program at any moment, with one line that is true, and never with a foreign traceback.

While libraries load, a signal ends the process at once: an exception in the middle of an import may be swallowed by it,
or turned into another one. Afterwards a signal raises ``Interrupted``, so that what is half written is removed.

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
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""Launchers number a training's processes in one of these variables."""


class Interrupted(BaseException):
    """The user or the system asked the program to end.

    It is no ``KeyboardInterrupt``, for on that Lightning ends the process itself; and no ``Exception``, which many
    libraries swallow.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)


def end_at_once(number: int, frame: FrameType | None = None) -> NoReturn:
    """End the process, as a handler of signals: nothing was begun."""
    if is_first_process():
        os.write(2, f"Error: interrupted ({signal.Signals(number).name}): nothing was written\n".encode())
    os._exit(128 + number)


def guard_loading() -> None:
    """Let signals end the process at once, until ``Interrupts`` takes over. A program calls this before its imports."""
    for number in NUMBERS:
        signal.signal(number, end_at_once)


def is_first_process() -> bool:
    """Say whether this is the process of a training that reports for all."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


@contextmanager
def _without_words() -> Iterator[None]:
    """Print nothing of an interrupt that comes where nothing can catch it, as in a callback when an object goes."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


class Interrupts:
    """Interrupts raise ``Interrupted`` on the first signal; later ones change nothing.

    Attributes:
        number: number of the signal that came; 0 if none did. It stays when a library swallows the exception.
    """

    def __init__(self) -> None:
        self.number = 0
        self._process = os.getpid()
        self._held = False

    def check(self) -> None:
        """Raise ``Interrupted`` if a signal came."""
        if self.number:
            raise Interrupted(self.number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait until the block is done."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.check()

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals. Afterwards they do what they did before; at the end of a program they come too late."""
        before = {number: signal.signal(number, self._came) for number in NUMBERS}
        try:
            with _without_words():
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if handler is end_at_once else handler)

    def _came(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a process that reads ahead: Ctrl-C reaches it too, and its parent ends it
            if number != signal.SIGINT:
                os._exit(128 + number)
        elif not self.number:
            self.number = number
            if not self._held:
                raise Interrupted(number)


def run(command: Callable[[], object]) -> NoReturn:
    """Run a program, whose output may have nowhere to go, and end the process.

    Args:
        command: the program; it ends with ``SystemExit``.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the program
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # names that are not UTF-8
    status: object = 0
    try:
        try:
            command()
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush()
    except OSError as problem:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where the interpreter flushes what is left
        print(f"Error: cannot write to standard output: {problem.strerror or problem}", file=sys.stderr)
        status = status or 2
    sys.exit(status)  # type: ignore[arg-type]
