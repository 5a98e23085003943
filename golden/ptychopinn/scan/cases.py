"""These cases freeze how a scan is read: several layouts in a file mean the same record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.scan import faults, formulas
from golden.spec.case import Case
from golden.spec.operation import Operation, Output
from golden.spec.random_inputs import Draw

READ = Operation(
    name="scan.read",
    summary="a scan file as PtychoPINN's loader reads it",
    inputs={
        "stack": "(M, N, N), (M, N, N, 1) or (N, N, M) float32; amplitude, as it is stored",
        "xcoords": "(M,) float64; pixels",
        "ycoords": "(M,) float64; pixels",
        "xcoords_start": "(M,) float64; pixels; left out of the file unless 'starts'",
        "ycoords_start": "(M,) float64; likewise",
        "probe": "(N, N) complex64; as guessed",
    },
    outputs=(
        Output("diffraction", "(M, N, N) float32; amplitude"),
        Output("xcoords", "(M,) float64; pixels"),
        Output("ycoords", "(M,) float64; pixels"),
        Output("xcoords_start", "(M,) float64; pixels"),
        Output("ycoords_start", "(M,) float64; pixels"),
        Output("probe", "(N, N) complex64"),
        Output("scan_index", "(M,) int64"),
    ),
    parameters={"key": str, "starts": bool},
    precision="float64",
    formula=formulas.read,
    faults=faults.READING,
)


def stored_as(layout: Callable[[np.ndarray], np.ndarray]) -> Callable[[Draw], dict[str, np.ndarray]]:
    """Draw seven patterns of 12 x 12, in this layout."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        stack = draw.multiples(1 / 8, 0, 16, (7, 12, 12)).astype(np.float32)
        names = ("xcoords", "ycoords", "xcoords_start", "ycoords_start")
        coords = {name: draw.multiples(2**-30, 20, 200, (7,)) for name in names}
        return {"stack": np.ascontiguousarray(layout(stack)), **coords, "probe": draw.complex((12, 12))}

    return make


def _case(
    name: str,
    summary: str,
    layout: Callable[[np.ndarray], np.ndarray],
    *,
    key: str = "diff3d",
    starts: bool = True,
) -> Case:
    constant = {"scan_index": "the file has no scan_index, so all entries are zero"}
    return Case(f"scan/{name}", READ, summary, {"key": key, "starts": starts}, stored_as(layout), constant)


CASES = (
    _case("plain", "scan file in the standard layout", lambda stack: stack),
    _case(
        "singleton",
        "scan file with a last axis of length 1 and the other key",
        lambda stack: stack[..., None],
        key="diffraction",
        starts=False,
    ),
    _case("last_axis", "scan file with patterns along the last axis", lambda stack: np.moveaxis(stack, 0, -1)),
)
