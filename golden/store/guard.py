"""Reading goldens that nobody vouches for, of a pull request, say: in another process, which may crash.

``golden.store.golden`` refuses what it can see before libhdf5 does. But libhdf5 divides by zero, or worse, on
metadata that were forged with their checksums, and only it can read them. So another process, with a limit of time and
of memory, reads each file and writes what it read to a new one. The caller opens only that.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from golden.spec.errors import GoldenError
from golden.store.golden import SIZE_CAP, Golden
from golden.store.read import read_golden
from golden.store.write import write_golden

SECONDS = 60.0
"""For one file. The largest that is accepted takes a few."""
AT_ONCE = 2**28
"""Bytes of copies after which a process leaves the rest to another, so that they never lie there all together."""
_READY, _TIMED_OUT, _FAILED = "ready", 1, 3


def read_untrusted(paths: Sequence[Path], seconds: float = SECONDS) -> Iterator[Golden | str]:
    """The goldens in files, one after the other; a text in place of one says why it cannot be read.

    Raises:
        GoldenError: no process could be started.
    """
    done = 0
    while done < len(paths):
        with tempfile.TemporaryDirectory(prefix="golden-guard-") as scratch:
            rest = paths[done:]
            copies = [Path(scratch) / f"{number}.h5" for number in range(len(rest))]
            status, answers = _run(rest, copies, seconds)
            for answer, path, copy in zip(answers, rest, copies):
                yield answer or _read_copy(path, copy)
            done += len(answers)
            if status and not any(answers):
                yield _crashed(rest[len(answers)], status, seconds)
                done += 1


def _run(paths: Sequence[Path], copies: Sequence[Path], seconds: float) -> tuple[int, list[str]]:
    """Exit status of a process that reads files up to the first bad one, and its answers: empty, or an error."""
    above = str(Path(__file__).resolve().parents[2])
    run = subprocess.run(
        [sys.executable, "-P", "-m", "golden.store.guard", str(seconds)],  # -P: nothing is imported from where we stand
        input=json.dumps([[str(path), str(copy)] for path, copy in zip(paths, copies)]),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (above, os.environ.get("PYTHONPATH"))))},
        capture_output=True,
        text=True,
        check=False,
    )
    ready, *answers = run.stdout.splitlines() or [""]
    if ready != _READY:
        raise GoldenError(f"no process could be started to read goldens in: {run.stderr[-500:] or run.returncode}")
    return run.returncode, [json.loads(answer) for answer in answers]


def _read_copy(path: Path, copy: Path) -> Golden | str:
    try:
        return read_golden(copy)
    except GoldenError as broken:
        return str(broken).replace(str(copy), str(path))


def _crashed(path: Path, status: int, seconds: float) -> str:
    how = f"ended its process, with status {status}"
    if status < 0:
        how = f"made the HDF5 library crash ({signal.Signals(-status).name})"
    elif status == _TIMED_OUT:
        how = f"did not end within {seconds:g} s"
    return f"golden {path}: reading it {how}; no golden does that. Do not trust it; restore it from version control"


def _serve(seconds: float) -> None:
    limit_memory(4 * SIZE_CAP)
    tasks = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w") as answers, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # libhdf5 prints when it is lost
        print(_READY, file=answers, flush=True)
        written = 0
        for path, copy in tasks:
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
            answer = _copy(Path(path), Path(copy))
            print(json.dumps(answer), file=answers, flush=True)
            if answer:  # libhdf5 may not be sound any more after a bad file: another process reads on
                break
            written += Path(copy).stat().st_size
            if written > AT_ONCE:
                break
        faulthandler.cancel_dump_traceback_later()


def _copy(path: Path, copy: Path) -> str:
    try:
        write_golden(copy, read_golden(path), compress_from=sys.maxsize)  # it will be read once
    except GoldenError as refused:
        return str(refused)
    except Exception as problem:
        return f"golden {path}: it cannot be written again ({type(problem).__name__}: {problem}); do not trust it"
    return ""


def limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has, where the system knows such limits."""
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
        os._exit(_FAILED)  # 1 would say that it took too long
