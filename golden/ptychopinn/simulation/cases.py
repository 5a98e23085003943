"""These cases freeze diffraction patterns of a known object at the scan's positions, without noise."""

from __future__ import annotations

import math

import numpy as np

from golden.ptychopinn.simulation import faults, formulas
from golden.ptychopinn.simulation.embedded import embedded
from golden.spec.arrays import Arrays
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.parameters import Parameters
from golden.spec.random_inputs import Draw


def _neighbours_and_stages(inputs: Arrays, parameters: Parameters) -> int:
    """Count four neighbours of a pixel, and two terms in each stage of a fast Fourier transform."""
    return 4 + 2 * math.ceil(math.log2(inputs["probe"].size))


def _all_pixels(inputs: Arrays, parameters: Parameters) -> int:
    return int(inputs["probe"].size * len(inputs["positions"]))


PATTERNS = Operation(
    name="simulation.patterns",
    summary="patches of an object at the scan's positions, times the probe, propagated to the far field",
    inputs={
        "object": Input("(H, W) complex64; rows = y, columns = x", "row column", "1"),
        "probe": Input("(N, N) complex64; used as it is", "row column", "1"),
        "positions": Input(
            "(n, 1, 2, 1) float64; of the patch's index N // 2 in the object", "pattern one xy one", "pixel"
        ),
    },
    outputs=(
        Output(
            "amplitude",
            "(n, N, N, 1) float32; zero frequency at [N // 2, N // 2]; any nphotons",
            "pattern row column channel",
            "1",
            terms=_neighbours_and_stages,
        ),
        Output(
            "intensity_scale",
            "scalar float32; amplitude times it holds nphotons photons",
            unit="sqrt(photon)",
            terms=_all_pixels,
        ),
    ),
    parameters={"nphotons": float},
    formula=formulas.patterns,
    faults=faults.PATTERNS,
)


def scattered(n: int, N: int, height: int, width: int, *, margin: int) -> Drawing:
    """Draw a textured object and probe, and n subpixel positions at least ``margin`` pixels inside the object."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        x = draw.multiples(2**-10, margin, width - margin, (n,))
        y = draw.multiples(2**-10, margin, height - margin, (n,))
        return {
            "object": draw.complex((height, width)),
            "probe": draw.complex((N, N), step=1 / 16),
            "positions": np.stack([x, y], axis=-1).reshape(n, 1, 2, 1),
        }

    return make


def at_whole_pixels(draw: Draw) -> dict[str, np.ndarray]:
    x, y = draw.integers(8, 32, (5,)), draw.integers(8, 20, (5,))
    positions = np.stack([x, y], axis=-1).astype(np.float64).reshape(5, 1, 2, 1)
    return {"object": draw.complex((29, 41)), "probe": draw.complex((16, 16), step=1 / 16), "positions": positions}


def embedded_window(draw: Draw) -> dict[str, np.ndarray]:
    """Take four patterns of the embedded data set whose patches are in a window of its object."""
    left, top, height, width = 90, 62, 76, 88
    x, y = embedded("positions").T - 32
    inside = (x >= left) & (x <= left + width - 65) & (y >= top) & (y <= top + height - 65)
    chosen = np.flatnonzero(inside)[::7][:4]
    positions = embedded("positions")[chosen] - [left, top]
    return {
        "object": embedded("object")[top : top + height, left : left + width].copy(),
        "probe": embedded("probe").copy(),
        "positions": positions.reshape(-1, 1, 2, 1),
    }


_ONE_NUMBER = {"intensity_scale": "the output is a single number"}

CASES = (
    Case(
        "simulation/whole_pixels_n16",
        PATTERNS,
        "patterns at whole-pixel positions: patches are cut without interpolation",
        {"nphotons": 1e9},
        at_whole_pixels,
        _ONE_NUMBER,
    ),
    Case(
        "simulation/subpixel_n16",
        PATTERNS,
        "patterns at sub-pixel positions",
        {"nphotons": 1e9},
        scattered(6, 16, 34, 45, margin=9),
        _ONE_NUMBER,
    ),
    Case(
        "simulation/over_the_edge_n16",
        PATTERNS,
        "patterns of patches that reach over the object's edges: zero outside it",
        {"nphotons": 1e5},
        scattered(7, 16, 27, 38, margin=0),
        _ONE_NUMBER,
    ),
    Case(
        "simulation/odd_n15",
        PATTERNS,
        "patterns for odd N: patch centre and zero frequency are at index N // 2",
        {"nphotons": 1e9},
        scattered(5, 15, 31, 40, margin=9),
        _ONE_NUMBER,
    ),
    Case(
        "simulation/embedded_n64",
        PATTERNS,
        "four patterns of the embedded data set, without noise",
        {"nphotons": 3e5},
        embedded_window,
        _ONE_NUMBER,
    ),
)
