"""Read a file with the loaders of the installed package ``ptycho``."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered

DOUBLE = {"read"}

_RECORD = {
    "diffraction": "diff3d",
    "xcoords": "xcoords",
    "ycoords": "ycoords",
    "xcoords_start": "xcoords_start",
    "ycoords_start": "ycoords_start",
    "probe": "probeGuess",
    "scan_index": "scan_index",
}
"""Outputs -> attributes of the package's raw record."""


def read(
    *,
    stack: np.ndarray,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    xcoords_start: np.ndarray,
    ycoords_start: np.ndarray,
    probe: np.ndarray,
    key: str,
    starts: bool,
) -> dict[str, np.ndarray]:
    """Read the patterns with the loader of its scripts, which knows all layouts, but requires start positions.

    The record of a file without start positions is made by the raw record's own reader, which knows only one layout.
    """
    scan = {"xcoords": xcoords, "ycoords": ycoords, "probeGuess": probe}
    record = load({**scan, key: stack, "xcoords_start": xcoords_start, "ycoords_start": ycoords_start})
    if not starts:
        record = _read_by(offered("raw_data.RawData").from_file, {**scan, "diff3d": record.diff3d})
    M, N = len(xcoords), len(probe)
    shapes: dict[str, tuple[int, ...]] = {"diffraction": (M, N, N), "probe": (N, N)}
    dtypes = {"diffraction": np.float32, "probe": np.complex64, "scan_index": np.int64}
    return {
        name: checked(
            f"raw_data.RawData's {attribute!r}",
            getattr(record, attribute, None),
            dtypes.get(name, np.float64),
            *shapes.get(name, (M,)),
        )
        for name, attribute in _RECORD.items()
    }


def load(scan: Mapping[str, np.ndarray], **options: Any) -> Any:
    """Return the raw record that the loader of the package's scripts returns for a scan's file."""
    return _read_by(offered("workflows.components.load_data"), scan, **options)


def _read_by(reader: Callable[..., Any], scan: Mapping[str, np.ndarray], **options: Any) -> Any:
    """Let a reader read a file with these arrays, in a temporary folder, because it may write files there."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), global_parameters(gridsize=1):
        file = Path(folder) / "scan.npz"
        np.savez(file, **scan)  # type: ignore[arg-type]
        return reader(str(file), **options)
