"""These cases freeze how a scan is read: several layouts of a file give the same record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.scan import faults, formulas
from golden.spec.case import Case
from golden.spec.operation import Input, Operation, Output
from golden.spec.random_inputs import Draw


def _axes_of_stack(shape: tuple[int, ...]) -> str:
    """Name the axes of a stack of square patterns, whose number may come first or last."""
    if len(shape) == 4:
        return "pattern row column channel"
    return "pattern row column" if shape[1] == shape[2] else "row column pattern"


READ = Operation(
    name="scan.read",
    summary="a scan file as PtychoPINN's loader reads it",
    inputs={
        "stack": Input(
            "(M, N, N), (M, N, N, 1) or (N, N, M) float32; amplitude, as it is stored", _axes_of_stack, "sqrt(photon)"
        ),
        "xcoords": Input("(M,) float64", "pattern", "pixel"),
        "ycoords": Input("(M,) float64", "pattern", "pixel"),
        "xcoords_start": Input("(M,) float64; left out of the file unless 'starts'", "pattern", "pixel"),
        "ycoords_start": Input("(M,) float64; likewise", "pattern", "pixel"),
        "probe": Input("(N, N) complex64; as guessed", "row column", "1"),
    },
    outputs=(
        Output("diffraction", "(M, N, N) float32; amplitude", "pattern row column", "sqrt(photon)"),
        Output("xcoords", "(M,) float64", "pattern", "pixel"),
        Output("ycoords", "(M,) float64", "pattern", "pixel"),
        Output("xcoords_start", "(M,) float64", "pattern", "pixel"),
        Output("ycoords_start", "(M,) float64", "pattern", "pixel"),
        Output("probe", "(N, N) complex64", "row column", "1"),
        Output("scan_index", "(M,) int64", "pattern", "1"),
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
