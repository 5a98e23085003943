"""Read untrusted goldens, such as those of a pull request, in a child process: a crash there does no harm.

``golden.store.read`` refuses what it can recognise without libhdf5. But only libhdf5 can read the metadata, and if they
are forged together with their checksums, it divides by zero, or worse. So another process, with limits on time and
memory, opens each file and sends its contents through a pipe: arrays as bytes, nothing that could be executed. The
caller makes the golden from these contents, without HDF5.
"""

from __future__ import annotations

import faulthandler
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from itertools import accumulate
from pathlib import Path
from typing import IO

import numpy as np

from golden.spec.catalogue import select
from golden.spec.errors import GoldenError
from golden.store.contents import Contents, parse_json
from golden.store.golden import SIZE_CAP, Golden, golden_path, stored_cases
from golden.store.layout import golden_of
from golden.store.read import read_contents, require_hdf5

SECONDS = 60.0
"""The time limit for one file. The largest accepted file takes a few seconds."""
_MOST_PROCESSES = 50
"""Each damaged file ends its process, and the next file needs a new one. To start this many takes half a minute."""
_MOST_BYTES = 4 * SIZE_CAP
"""Bytes of data, decompressed, of all files together."""
_LONGEST_HEAD = 2**24
_PIPE = 2**18
"""Bytes that wait between the two processes; Linux allows 64 KiB by default."""
_FROM_OUTSIDE = tuple(-getattr(signal, name, 0) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"))
_READY, _TIMED_OUT, _FAILED = b"ready\n", 1, 3


def read_untrusted(paths: Sequence[Path], seconds: float = SECONDS) -> Iterator[Golden | str]:
    """Read goldens from files, one after the other; a text in place of a golden says why it cannot be read.

    Raises:
        GoldenError: no process could be started.
    """
    with reading(paths, seconds) as goldens:
        yield from goldens


@contextmanager
def reading(paths: Sequence[Path], seconds: float = SECONDS) -> Iterator[Iterator[Golden | str]]:
    """Start to read goldens, so that the caller can do other work before it takes the first one.

    Yields:
        An iterator like that of ``read_untrusted``, with its errors.
    """
    with ExitStack() as process:
        answers = process.enter_context(_answers(paths, seconds)) if paths else iter(())
        yield _goldens(paths, process, answers, seconds)


def _goldens(
    paths: Sequence[Path], process: ExitStack, answers: Iterator[Contents | str], seconds: float
) -> Iterator[Golden | str]:
    """Make goldens of a process's answers. After each bad file, end the process and start another one."""
    done = held = 0
    processes = 1
    while True:
        for path, answer in zip(paths[done:], answers):
            done += 1
            if isinstance(answer, Contents):
                held += sum(array.nbytes for array in answer.arrays.values())
            yield answer if isinstance(answer, str) else _golden_or_problem(answer, path)
            if held > _MOST_BYTES:
                break
        if done == len(paths):
            return
        if processes > _MOST_PROCESSES or held > _MOST_BYTES:
            yield from (_not_read(path, processes) for path in paths[done:])
            return
        process.close()
        answers = process.enter_context(_answers(paths[done:], seconds))
        processes += 1


def read_chosen(fixtures: Path, patterns: Sequence[str]) -> list[Golden]:
    """Read the goldens of a directory that match a pattern; all if there are no patterns.

    Raises:
        GoldenError: a pattern matches nothing, or a golden cannot be read.
    """
    goldens = []
    for golden in read_untrusted([golden_path(fixtures, name) for name in select(stored_cases(fixtures), patterns)]):
        if isinstance(golden, str):
            raise GoldenError(golden)
        goldens.append(golden)
    return goldens


def _not_read(path: Path, processes: int) -> str:
    why = (
        f"{processes} file(s) before it are damaged"
        if processes > _MOST_PROCESSES
        else "the files before it are too large"
    )
    return f"golden {path}: not read, because {why}. Restore them from version control"


def _golden_or_problem(contents: Contents, path: Path) -> Golden | str:
    try:
        return golden_of(contents, path)
    except GoldenError as refused:
        return str(refused)


@contextmanager
def _answers(paths: Sequence[Path], seconds: float) -> Iterator[Iterator[Contents | str]]:
    """Read files in another process, up to the first bad one; the last answer then says what is wrong with it."""
    above = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryFile() as tasks, tempfile.TemporaryFile() as errors:
        tasks.write(json.dumps([str(path) for path in paths]).encode())
        tasks.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "golden.store.guard", str(seconds)],  # -P: import nothing from here
            stdin=tasks,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (above, os.environ.get("PYTHONPATH"))))},
        )
        with process:
            try:
                assert isinstance(process.stdout, BufferedReader)
                _widen(process.stdout)
                yield _received(paths, process, process.stdout, errors, seconds)
            finally:
                process.kill()


def _widen(pipe: BufferedReader) -> None:
    """Let a pipe hold several goldens, if the system allows it: then neither process often waits for the other."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


def _received(
    paths: Sequence[Path], process: subprocess.Popen[bytes], answers: BufferedReader, errors: IO[bytes], seconds: float
) -> Iterator[Contents | str]:
    if answers.readline(len(_READY)) != _READY:
        process.wait()
        errors.seek(0)
        said = errors.read()[-500:].decode(errors="replace") or str(process.returncode)
        raise GoldenError(f"could not start a process to read goldens in: {said}")
    number = 0
    while number < len(paths) and (answer := _receive(answers)) is not None:
        number += 1
        yield answer
    if number == 0:
        answers.close()
        yield _crashed(paths[0], process.wait(), seconds)


def _crashed(path: Path, status: int, seconds: float) -> str:
    how = f"ended its process, with status {status}"
    if status in _FROM_OUTSIDE:
        return (
            f"golden {path}: the process that read it was ended from outside ({signal.Signals(-status).name}), as "
            f"happens when memory runs out; this says nothing about the file. Run again"
        )
    if status < 0:
        how = f"made the HDF5 library crash ({signal.Signals(-status).name})"
    elif status == _TIMED_OUT:
        how = f"took longer than {seconds:g} s"
    return f"golden {path}: reading it {how}; no golden does that. Do not trust it; restore it from version control"


# ------------------------------------------------------------------------------------------------ what is sent
#
# An answer is a line of JSON: a text, or a list of the objects' paths and, for each array that follows, its path, the
# attribute's name (null for a dataset), dtype and shape. Then come the bytes of these arrays, each padded with zeros to
# a multiple of 16 bytes.


def _send(stream: IO[bytes], answer: Contents | str) -> None:
    if isinstance(answer, str):
        stream.write(json.dumps(answer).encode() + b"\n")
    else:
        arrays: list[tuple[str, str | None, np.ndarray]] = [
            (path, None, array) for path, array in answer.arrays.items()
        ]
        arrays += [(path, key, value) for path, of in answer.attributes.items() for key, value in of.items()]
        head = [(path, key, array.dtype.str, array.shape) for path, key, array in arrays]
        stream.write(json.dumps([[*answer.attributes], head]).encode() + b"\n")
        for _, _, array in arrays:
            stream.write(array.tobytes().ljust(_padded(array.nbytes), b"\0"))
    stream.flush()


def _receive(stream: BufferedReader) -> Contents | str | None:
    """Receive the next answer; None if the process ended, or if the answer is malformed."""
    line = stream.readline(_LONGEST_HEAD)
    if not line.endswith(b"\n"):
        return None
    with suppress(ValueError, TypeError, LookupError, OverflowError, MemoryError):
        answer = parse_json(line.decode())
        return answer if isinstance(answer, str) else _receive_contents(stream, *answer)
    return None


def _receive_contents(
    stream: BufferedReader, objects: list[str], head: list[tuple[str, str | None, str, list[int]]]
) -> Contents:
    kinds = [(np.dtype(kind), shape) for _, _, kind, shape in head]
    sizes = [_padded(math.prod(shape) * dtype.itemsize) for dtype, shape in kinds]
    are_of_golden = all(dtype.kind in "biufcS" and dtype.itemsize for dtype, _ in kinds)
    if not are_of_golden or sum(sizes) > 2 * SIZE_CAP:
        raise ValueError("not the arrays of a golden")
    block = np.empty(sum(sizes), np.uint8)  # its memory is used only as far as bytes arrive
    if stream.readinto(block.data) != block.nbytes:
        raise ValueError("cut short")
    arrays: dict[str, np.ndarray] = {}
    attributes: dict[str, dict[str, np.ndarray]] = {path: {} for path in objects}
    for (path, key, _, _), (dtype, shape), offset in zip(head, kinds, accumulate(sizes, initial=0)):
        array: np.ndarray = np.ndarray(shape, dtype, block.data, offset)
        if key is None:
            arrays[path] = array
        else:
            attributes[path][key] = array
    return Contents(arrays, attributes)


def _padded(size: int) -> int:
    """Round up to a multiple of 16, so that the numbers of the next array are aligned."""
    return -(-size // 16) * 16


# ------------------------------------------------------------------------------------------------ the other process


def _serve(seconds: float) -> None:
    limit_memory(4 * SIZE_CAP)
    paths = [Path(path) for path in json.load(sys.stdin)]
    with os.fdopen(os.dup(1), "wb") as answers, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # libhdf5 may print, which would corrupt the answers
        answers.write(_READY)
        answers.flush()
        for path in paths:
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
            refused = _refused(path)
            answer = refused or _read(path)
            faulthandler.cancel_dump_traceback_later()  # the limit covers reading, not waiting for the receiver
            _send(answers, answer)
            if isinstance(answer, str) and not refused:  # its libhdf5 may be corrupt: a new process continues
                break


def _refused(path: Path) -> str:
    """Say why libhdf5 should not open a file; an empty text if it may."""
    try:
        require_hdf5(path)
    except GoldenError as refused:
        return str(refused)
    return ""


def _read(path: Path) -> Contents | str:
    try:
        return read_contents(path)
    except GoldenError as refused:
        return str(refused)


def limit_memory(more: int) -> None:
    """Limit this process to ``more`` bytes above what it has now, if the system supports such limits."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    try:
        _serve(float(sys.argv[1]))
    except BaseException:
        traceback.print_exc()
        os._exit(_FAILED)  # 1 would mean that it took too long
