"""Options, logging and exit codes that the port's programs share.

Exit status: 0 done; 1 the run failed; 2 an option or file is wrong, or results cannot be written; 130 interrupted (143
by SIGTERM).
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import chdir, contextmanager, nullcontext, suppress
from errno import EDQUOT, ENOLCK, ENOSPC, ENOSYS, EOPNOTSUPP
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from signal import Signals
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

import click
from filelock import FileLock, Timeout

from ptycho_torch.config_params import Precision
from ptycho_torch.interrupts import Interrupts, is_first_process

if TYPE_CHECKING:
    import numpy as np
    import torch

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
PRECISION_HELP = "float32, or bfloat16 for the network: about twice as fast if the processor supports it."
CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "show_default": True,
    "max_content_width": 110,
    # Accept --output-dir for --output_dir. Click also passes the values of choices here; these keep their hyphens.
    "token_normalize_func": lambda name: name if name in PRECISIONS else name.replace("-", "_"),
}
"""Settings for ``click.command``."""
ACCELERATORS = ("auto", "cpu", "cuda", "mps")
FILE = click.Path(path_type=Path, dir_okay=False)
DIRECTORY = click.Path(path_type=Path, file_okay=False)
bad_pixels_option = click.option(
    "--bad_pixels",
    is_flag=True,
    help="Leave out pixels that are NaN, negative or at the largest value of their integer dtype, as if the scan's "
    "key bad_pixels marked them.",
)
measurement_option = click.option(
    "--measurement",
    type=click.Choice(("counts", "amplitude")),
    help="What the patterns hold: counts, whose square root is taken, or amplitudes.  [default: counts if Ptychodus "
    "wrote whole numbers, otherwise amplitude]",
)
_LOCK, _STAGE = ".lock", ".results-"
DRAWING = ("matplotlib.figure", "matplotlib.backends.backend_agg")
"""Modules that draw and save a picture."""
log = logging.getLogger("ptycho_torch")


class WrongInput(click.ClickException):
    """Options, or the files that they name, are wrong."""

    exit_code = 2


class FailedRun(click.ClickException):
    """The run itself failed."""

    exit_code = 1


def load(*modules: str) -> None:
    """Import slow modules before the work starts, because an interrupt during an import may get lost.

    Args:
        modules: names of modules.
    """
    _load_matplotlib()
    for name in modules:
        import_module(name)


def _load_matplotlib() -> None:
    """Import Matplotlib with its own settings: with a faulty matplotlibrc of the user, the import fails."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        return
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it logs where its cache is
    package = Path(found.origin).parent
    own = {"MPLBACKEND": "agg", "MATPLOTLIBRC": str(package / "mpl-data" / "matplotlibrc")}
    before = {name: os.environ.get(name) for name in own}
    # A matplotlibrc in the current directory takes precedence over these variables.
    elsewhere = chdir(package) if os.path.isfile("matplotlibrc") else nullcontext()
    try:
        os.environ.update(own)
        with elsewhere:
            import_module("matplotlib")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def ending(kept: Callable[[], str], say: Callable[[str], object] = log.error) -> Iterator[Interrupts]:
    """Turn an interrupt into one line and an exit status, even if a library swallowed or replaced the exception.

    Args:
        kept: returns a description of what is on disk, for the user.
        say: writes the line.
    """
    interrupts = Interrupts()
    try:
        with interrupts.handled():
            yield interrupts
    except BaseException:
        if not interrupts.number:
            raise
    if interrupts.number:
        if is_first_process():
            say(f"interrupted ({Signals(interrupts.number).name}): {kept()}")
        raise click.exceptions.Exit(128 + interrupts.number)


@contextmanager
def owning(directory: Path) -> Iterator[None]:
    """Create a directory and lock it for this run, because two runs would mix their results.

    Raises:
        WrongInput: another run holds the lock, or the directory is not writable.
    """
    path = directory / _LOCK
    lock = FileLock(path)
    with checking_input():
        directory.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            raise ValueError(f"{path}: expected a file or nothing, found a link, which no run creates; delete it")
        _acquire(lock, path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # before the release, so that a waiting run sees that its lock file is gone
        lock.release()


def _acquire(lock: FileLock, path: Path) -> None:
    try:
        lock.acquire(timeout=0)
        while not path.exists():  # the previous run has just removed the file, so this lock excludes nobody
            lock.release()
            lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"{path.parent}: another run is at work here; wait until it ends, or choose another --output_dir"
        ) from None
    except (NotImplementedError, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno not in {ENOLCK, ENOSYS, EOPNOTSUPP}:
            raise
        log.warning("%s: this file system has no locks; do not start another run here until this one ends", path.parent)


def require_places(directory: Path, names: Collection[str]) -> None:
    """Check, before the work, that results can be written under their names.

    Raises:
        ValueError: a directory has the name of a result.
    """
    for name in names:
        if (directory / name).is_dir():
            raise ValueError(f"{directory / name}: expected a file or nothing, found a directory")


@contextmanager
def appearing_together(directory: Path, names: Collection[str], interrupts: Interrupts) -> Iterator[Path]:
    """Yield a temporary directory for results. When all are written, they are moved to ``directory`` together.

    If writing fails, the old results stay. Otherwise, old results that were not written again are removed.

    Args:
        directory: directory of the results.
        names: names that results may have.
        interrupts: interrupts that are held back while the results are moved.

    Raises:
        OSError: a result cannot be written; the error names its place in ``directory``.
    """
    for old in directory.glob(f"{_STAGE}*"):
        rmtree(old, ignore_errors=True)  # left by a killed process
    try:
        with TemporaryDirectory(prefix=_STAGE, dir=directory, ignore_cleanup_errors=True) as stage:
            yield Path(stage)
            with interrupts.held():
                for name in names:
                    if (Path(stage) / name).exists():
                        (Path(stage) / name).replace(directory / name)
                    else:
                        (directory / name).unlink(missing_ok=True)
    except OSError as refused:  # the name of the temporary directory would mean nothing to the user
        place = directory / Path(str(refused.filename or "")).name
        raise OSError(refused.errno, refused.strerror or str(refused), str(place)) from refused


def stamp(path: Path) -> tuple[int, int]:
    """Return the modification time (ns) and inode of a file, by which its replacement is noticed; zeros if missing."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


@contextmanager
def checking_input() -> Iterator[None]:
    """Turn errors in options and files into one line and exit status 2."""
    try:
        yield
    except (ValueError, OSError, MemoryError, OverflowError) as problem:
        raise WrongInput(_one_line(problem)) from problem


@contextmanager
def running(what: str, log_file: Path) -> Iterator[None]:
    """Turn errors of a run into one line; the traceback goes to the log.

    The exit status is 1, or 2 if the operating system refused a file.

    Args:
        what: name of the run.
        log_file: path of the log.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception as problem:
        log.debug("traceback", exc_info=True)
        kind = "" if isinstance(problem, ValueError | OSError | ArithmeticError) else f"{type(problem).__name__}: "
        failed = WrongInput if isinstance(problem, OSError) else FailedRun
        raise failed(f"{what} failed: {kind}{_one_line(problem)} (traceback: {log_file})") from problem


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write messages to standard error and, with the time, to the end of a file.

    Args:
        path: path of the file.

    Raises:
        WrongInput: the file cannot be opened.
    """
    with checking_input():
        file = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    screen = logging.StreamHandler(sys.stderr)
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
        with suppress(OSError):
            file.close()


class _LogFile(logging.FileHandler):
    """A log file that is given up if it cannot be written, because the training is worth more."""

    def handleError(self, record: logging.LogRecord) -> None:
        log.removeHandler(self)
        log.warning(
            "%s: cannot be written (%s); messages go to the terminal only", self.baseFilename, sys.exc_info()[1]
        )


@contextmanager
def warnings_in_the_log() -> Iterator[None]:
    """Write each distinct warning to the log once, also before an error, because a warning may explain it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", ResourceWarning)  # Python ignores it too: it is for developers
        try:
            yield
        finally:
            for message in dict.fromkeys(str(warning.message) for warning in caught):
                log.warning("%s", message)


def warn_of_cost(precision: Precision, device: torch.device) -> None:
    """Log a warning if a precision is slow on a device."""
    from ptycho_torch.precision import cost_of

    cost = cost_of(precision, device)
    if cost is not None:
        log.warning("%s", cost)


def patterns_used(count: int, there: int, groups: int, members: int) -> None:
    """Log which part of a scan is used. Scripts search the log for this wording.

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


def log_bad_pixels(bad: np.ndarray | None) -> None:
    """Log how many pixels of a scan are left out.

    Args:
        bad: (N, N) or (M, N, N) bool, or None.
    """
    if bad is not None:
        N, where = bad.shape[-1], "in every pattern" if bad.ndim == 2 else "in a pattern on average"
        log.info("leaving out bad pixels: %.4g of %d %s", bad.mean() * N * N, N * N, where)


def _one_line(problem: Exception) -> str:
    line = " ".join(str(problem).split()) or type(problem).__name__
    if isinstance(problem, OSError) and problem.errno in {ENOSPC, EDQUOT}:
        line += "; free some space there, or choose another directory"
    return line
