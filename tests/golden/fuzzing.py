"""Read corrupt goldens in child processes, and report which were refused, crashed or hung.

``python -m tests.golden.fuzzing KIND SEED`` reads one corruption in this process and shows the traceback of an error.
"""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import count
from pathlib import Path

from golden.report.text import difference_lines, differences_markdown
from golden.review.difference import differences, summary
from golden.spec.errors import GoldenError
from golden.store.entry import as_text, make_entry
from golden.store.golden import SIZE_CAP, Golden
from golden.store.guard import limit_memory, read_untrusted
from golden.store.read import read_golden
from tests.fuzzing import Outcome
from tests.golden.corruptions import BASES, DAMAGE, RESEALED, RESEALED_HOSTILE, base, corrupt, kinds
from tests.memory import memory_growth

SECONDS = 20.0
"""Seconds after which reading a file counts as hung; on a busy machine a sound read takes some of them."""
MEMORY = 64 * 2**20
"""Bytes by which reading a file may raise the memory, in addition to three copies of the file, as libhdf5 makes two."""

REFUSED, HARMLESS, ANOTHER = "refused", "harmless", "another"
CONTAINED = "contained"
SILENT, WRONG, GREEDY, HANG, CRASH = "silent", "wrong exception", "greedy", "hang", "crash"
BAD = (SILENT, WRONG, GREEDY, HANG, CRASH)
VERDICTS = (REFUSED, CONTAINED, HARMLESS, ANOTHER, *BAD)
"""``contained``: libhdf5 crashes, hangs, or takes much memory, from which ``golden.store.guard`` protects its callers.
``another``: it reads as a sound golden with other content. An attacker can write one, but random damage must not give
one.
"""


# ------------------------------------------------------------------------------------------------ in the child


def read_one(kind: str, seed: int, scratch: Path) -> tuple[str, str]:
    """Read one corruption as ``golden diff``, ``verify`` and ``text`` do; return a verdict and a message."""
    path = scratch / f"{kind}-{seed}.h5"  # a new path, because libhdf5 may still hold the previous file
    path.write_bytes(corrupt(kind, seed))
    sound = _sound(seed % len(BASES))
    size, growth = path.stat().st_size, memory_growth()
    verdict, message = _read(path, sound)
    grown = growth()
    path.unlink()
    if verdict == ANOTHER and kind in DAMAGE:
        verdict = SILENT
    if grown <= MEMORY + 3 * size:
        return verdict, message
    # libhdf5 believes sizes in forged metadata, so only a limit of the process bounds its memory.
    forged = kind in (*RESEALED, RESEALED_HOSTILE) and verdict == REFUSED
    return CONTAINED if forged else GREEDY, f"reading it took much memory; {grown >> 20} MiB: {message}"


def _read(path: Path, sound: Golden) -> tuple[str, str]:
    try:
        golden = read_golden(path)
    except GoldenError as refused:
        said = str(refused)
        return (REFUSED if said.isprintable() and str(path) in said else WRONG, said)
    same = golden.content_digest() == sound.content_digest()
    shown = [as_text(golden), json.dumps(make_entry(golden, [], {}))]
    for pair in ({sound.case: sound}, {sound.case: golden}), ({sound.case: golden}, {sound.case: sound}):
        found = differences(*pair)
        shown += [line for one in found for line in difference_lines(one)]
        shown.append(differences_markdown(found, summary(found)))
    for text in shown:
        text.encode()
        if not text.replace("\n", "").isprintable():
            return WRONG, f"shown to a terminal: {text[-200:]!r}"
    if not same:
        return ANOTHER, ""
    beside = make_entry(golden, [], {}) != make_entry(sound, [], {})
    return HARMLESS, "differs beside the content" if beside else ""


@cache
def _sound(number: int) -> Golden:
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as scratch:
        path = Path(scratch) / "sound.h5"
        path.write_bytes(base(number))
        return read_golden(path)


def _serve() -> None:
    """Answer each line with a line; at the end, a sound golden must still be readable."""
    for number in range(len(BASES)):
        _sound(number)
    limit_memory(3 * SIZE_CAP)
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as scratch:
        for line in sys.stdin:
            kind, seed = json.loads(line)
            try:
                verdict, message = read_one(kind, seed, Path(scratch))
            except Exception as problem:
                verdict, message = WRONG, f"{type(problem).__name__}: {problem}"
            print(json.dumps([verdict, message[:300]]), flush=True)


# ------------------------------------------------------------------------------------------------ in the parent


def schedule(several: Sequence[str] = (), seed: int = 0) -> Iterator[tuple[str, int]]:
    """Yield kinds and seeds without end; each resealed kind three times as often."""
    for number in count(seed):
        for kind in several or kinds():
            seeds = range(3 * number, 3 * number + 3) if kind in (*RESEALED, RESEALED_HOSTILE) else [number]
            yield from ((kind, one) for one in seeds)


def fuzz(corruptions: Iterable[tuple[str, int]], seconds: float = SECONDS) -> Iterator[Outcome]:
    """Read corruptions in a child process, one by one; start a new child after each hang or crash."""
    child = None
    try:
        for kind, seed in corruptions:
            child = child or _start()
            verdict, message = _ask(child, kind, seed, seconds)
            if verdict in (HANG, CRASH):
                _end(child)
                child = None
                verdict, message = _guarded(kind, seed, seconds) or (verdict, message)
            yield Outcome(kind, seed, verdict, message)
    finally:
        if child is not None:
            _end(child)


def _guarded(kind: str, seed: int, seconds: float) -> tuple[str, str] | None:
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as scratch:
        path = Path(scratch) / "corrupt.h5"
        path.write_bytes(corrupt(kind, seed))
        (found,) = read_untrusted([path], seconds)
    if not isinstance(found, str):
        return None
    return CONTAINED, found if "reading it" in found else f"reading it failed only after other bad files; {found}"


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.golden.fuzzing"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _ask(child: subprocess.Popen[str], kind: str, seed: int, seconds: float) -> tuple[str, str]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps([kind, seed]) + "\n")
    child.stdin.flush()
    if not select.select([child.stdout], [], [], seconds)[0]:
        return HANG, f"no answer after {seconds:g} s"
    answer = child.stdout.readline()
    if not answer:
        status = child.wait()
        return CRASH, signal.Signals(-status).name if status < 0 else f"exit status {status}"
    verdict, message = json.loads(answer)
    return verdict, message


def _end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        with tempfile.TemporaryDirectory(prefix="fuzzing-") as directory:
            print(*read_one(sys.argv[1], int(sys.argv[2]), Path(directory)), sep=": ")
    else:
        _serve()
