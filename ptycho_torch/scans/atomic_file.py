"""Write a file completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def write_atomically(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file for writing, and rename it to ``path`` when it is complete.

    An existing file is replaced. If writing fails, the old file stays and the temporary one is removed.

    Raises:
        OSError: the file cannot be written; the error names ``path``.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as refused:
        raise OSError(refused.errno, refused.strerror or str(refused), str(path)) from refused
    finally:
        with suppress(OSError):  # a missing or read-only directory was reported above
            part.unlink(missing_ok=True)
