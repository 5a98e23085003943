"""Write a report or a scan as a whole: a reader sees the old file or the new one, never half of it."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from golden.spec.errors import GoldenError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and the directories above it, or leave what is there as it was.

    Raises:
        GoldenError: it cannot be written there.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as refused:
        raise GoldenError(f"cannot write {path}: {refused.strerror or refused}") from refused
    finally:  # after an interrupt too
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as ``numpy.savez`` does; a file that is there is replaced.

    Raises:
        GoldenError: the name does not end in .npz, or it cannot be written there.
    """
    if path.suffix != ".npz":
        raise GoldenError(f"{path}: expected a file that ends in .npz")
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    write_whole(path, stream.getvalue())
