"""Cases from a measured scan: a Siemens star at 516 irregular positions.

The data are not part of this repository. The environment variable PTYCHO_GOLDEN_DATA names the directory with
``data/siemens_star_516.npz``.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from golden.ptychopinn.reassembly.cases import SCAN_MOSAIC
from golden.spec.case import Case, Drawing
from golden.spec.errors import GoldenError


def measured_scan(N: int) -> Drawing:
    """Return the reconstructed object, with a margin for every patch, and the measured positions in it."""

    def make(draw: object) -> dict[str, np.ndarray]:
        directory = os.environ.get("PTYCHO_GOLDEN_DATA")
        if directory is None:
            raise GoldenError("drawing this case needs the measured scan: set PTYCHO_GOLDEN_DATA to its directory")
        with np.load(Path(directory) / "data" / "siemens_star_516.npz", allow_pickle=False) as scan:
            positions = np.stack([scan["xcoords"], scan["ycoords"]], axis=-1) + N
            return {"object": np.pad(scan["objectGuess"], N), "positions": positions.reshape(-1, 1, 2, 1)}

    return make


# The bundled scan proves every fault. Here, TensorFlow takes seconds per fault, so only faults of geometry are proved.
_GEOMETRY = {"offset_sign", "xy_swap", "offsets_out_of_step", "crop_off_by_one", "patch_transposed"}
MEASURED = replace(SCAN_MOSAIC, faults=tuple(fault for fault in SCAN_MOSAIC.faults if fault.name in _GEOMETRY))

CASES = tuple(
    Case(
        f"star/measured_n{N}",
        MEASURED,
        f"mosaic of a measured Siemens star, patches of {N} x {N}",
        {"N": N, "M": 20},
        measured_scan(N),
        {"canvas_side": "the output is a single number"},
    )
    for N in (64, 128)
)
