"""Reading a scan from a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ptycho_torch.scans.scan import load_scan
from tests.torch.subject.layouts import Outputs


def scan_read(*, stack: np.ndarray, probe: np.ndarray, key: str, starts: bool, **coords: np.ndarray) -> Outputs:
    """Read the scan from a file that ``numpy.savez`` wrote."""
    kept = {name: array for name, array in coords.items() if starts or not name.endswith("_start")}
    with tempfile.TemporaryDirectory() as directory:
        np.savez(Path(directory) / "scan.npz", **{key: stack, "probeGuess": probe}, **kept)
        scan = load_scan(Path(directory) / "scan.npz")
        diffraction = np.array(scan.diffraction)  # a copy, because the file is deleted
    (x, y), (x_start, y_start) = scan.positions.T, scan.start_positions.T
    return {
        "diffraction": diffraction,
        "xcoords": x,
        "ycoords": y,
        "xcoords_start": x_start,
        "ycoords_start": y_start,
        "probe": scan.probe,
        "scan_index": scan.scan_index,
    }
