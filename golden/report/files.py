"""Write a report or a scan atomically: a reader sees the old file or the new one, never a part."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from golden.spec.errors import GoldenError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, creating its directories; if that fails, leave an existing file unchanged.

    A link stays a link, and a pipe or device stays what it is.

    Raises:
        GoldenError: the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as refused:
        raise GoldenError(f"cannot write {path}: {refused.strerror or refused}") from refused
    finally:  # also after an interrupt
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays like ``numpy.savez``; an existing file is replaced.

    Raises:
        GoldenError: the name does not end in .npz, or the file cannot be written.
    """
    if path.suffix != ".npz":
        raise GoldenError(f"{path}: expected a file that ends in .npz")
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    write_whole(path, stream.getvalue())
