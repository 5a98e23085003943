"""Write files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def write_atomically(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that gets the name ``path`` when it is complete.

    It replaces an existing file. If writing fails, the old file stays and nothing else is left behind.

    Raises:
        OSError: the file cannot be written; it names the file.
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
        with suppress(OSError):  # a directory that is not there, or read-only, was told above
            part.unlink(missing_ok=True)
