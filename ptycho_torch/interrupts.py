"""Ctrl-C and SIGTERM end a program at any moment, with one correct line and without a library's traceback.

While libraries load, a signal ends the process at once, because an import may swallow an exception or replace it.
Afterwards a signal raises ``Interrupted``, so that half-written files are removed.

This module is imported first, so it imports little itself.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

NUMBERS = (signal.SIGINT, signal.SIGTERM)
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""Variables in which launchers number the processes of a training."""


class Interrupted(BaseException):
    """The user or the system asked the program to end.

    It is not a ``KeyboardInterrupt``, because on that Lightning ends the process itself. It is not an ``Exception``,
    because many libraries swallow those.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)


def end_at_once(number: int, frame: FrameType | None = None) -> NoReturn:
    """Handle a signal by ending the process; nothing was written yet."""
    if is_first_process():
        os.write(2, f"Error: interrupted ({signal.Signals(number).name}): nothing was written\n".encode())
    os._exit(128 + number)


def guard_loading() -> None:
    """Let signals end the process at once, until ``Interrupts`` handles them. Call this before slow imports.

    Until then, garbage is not collected: libraries leave little, and looking for it takes a fifth of the time.
    """
    gc.disable()
    for number in NUMBERS:
        signal.signal(number, end_at_once)


def is_first_process() -> bool:
    """Return whether this is the first process of a training, which reports for all."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


@contextmanager
def _without_words() -> Iterator[None]:
    """Silence interrupts that are raised where nothing can catch them, such as in a finaliser."""
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
    """Raises ``Interrupted`` on the first signal and ignores later ones.

    Attributes:
        number: number of the signal that arrived, or 0. It is kept even if a library swallows the exception.
    """

    def __init__(self) -> None:
        self.number = 0
        self._process = os.getpid()
        self._held = False

    def check(self) -> None:
        """Raise ``Interrupted`` if a signal has arrived."""
        if self.number:
            raise Interrupted(self.number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back until the end of the block."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.check()

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals, then restore the previous handlers; at the end of a program, signals are ignored."""
        before = {number: signal.signal(number, self._came) for number in NUMBERS}
        if end_at_once in before.values():  # guard_loading was called, and all libraries are loaded by now
            gc.freeze()
            gc.enable()
        try:
            with _without_words():
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if handler is end_at_once else handler)

    def _came(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker process: Ctrl-C reaches it too, but its parent ends it
            if number != signal.SIGINT:
                os._exit(128 + number)
        elif not self.number:
            self.number = number
            if not self._held:
                raise Interrupted(number)


def run(command: Callable[[], object]) -> NoReturn:
    """Run a program and end the process, even if standard output is closed or full.

    Args:
        command: the program; it ends with ``SystemExit``.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - stays open until the process ends
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes the rest there
        print(f"Error: {_refusal(problem)}", file=sys.stderr)
        status = status or 2
    sys.exit(status)  # type: ignore[arg-type]


def _refusal(problem: OSError) -> str:
    """Say what the system refused: a file that the error names, the temporary directory, or else standard output."""
    if problem.filename is not None or isinstance(problem, FileNotFoundError):
        return str(problem)
    return f"cannot write to standard output: {problem.strerror or problem}"
