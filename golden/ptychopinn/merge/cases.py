"""These cases freeze how a group's patches are merged on a padded canvas, and extracted from it again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.merge import faults, formulas
from golden.spec.arrays import Arrays
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.parameters import Parameters
from golden.spec.random_inputs import Draw


def _terms(inputs: Arrays, parameters: Parameters) -> int:
    """Count four neighbours of every member."""
    return 4 * int(inputs["patches"].shape[3])


def _centre(outputs: Arrays) -> np.ndarray:
    return np.asarray(outputs["norm"] > 0.5)


def _border(outputs: Arrays) -> np.ndarray:
    """Select pixels that no centre covers or touches, because rounding leaves a count of 1e-7 at a centre's edge."""
    counted = np.pad(outputs["norm"] > 1.000001e-3, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = outputs["norm"].shape[1:3]
    near = [counted[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(~np.any(near, axis=0))


# The border of a merged object is a thousand times its centre, so each has its own tolerance. Between them, where moved
# masks end, the ratio has all scales; sum and norm are compared everywhere.
MERGE = Operation(
    name="merge.merge",
    summary="patches of each group moved by -(relative - mean over all patches), summed, divided by count + 0.001",
    inputs={
        "patches": Input("(B, N, N, C) complex64", "group row column member", "1"),
        "coords_relative": Input("(B, 1, 2, C) float32; -(position - group mean)", "group one xy member", "pixel"),
    },
    outputs=(
        Output("sum", "(B, P, P, 1) complex64; whole patches", "group row column channel", "1", terms=_terms),
        Output(
            "norm",
            "(B, P, P, 1) float32; how many patch centres cover a pixel, + 0.001",
            "group row column channel",
            "1",
            terms=_terms,
        ),
        Output(
            "merged_centre",
            "(B, P, P, 1) complex64; sum / norm where norm > 0.5, else 0",
            "group row column channel",
            "1",
            terms=_terms,
            where=_centre,
        ),
        Output(
            "merged_border",
            "(B, P, P, 1) complex64; sum / norm where no centre reaches, else 0: sum / 0.001",
            "group row column channel",
            "1",
            terms=_terms,
            where=_border,
        ),
    ),
    parameters={"padded_size": int},
    formula=formulas.merge,
    faults=faults.MERGE,
)

EXTRACT = Operation(
    name="merge.extract",
    summary="patches cut from the centre of each group's canvas, which is moved by +relative for each member",
    inputs={
        "canvas": Input("(B, P, P, 1) complex64", "group row column channel", "1"),
        "coords_relative": Input("(B, 1, 2, C) float32; -(position - group mean)", "group one xy member", "pixel"),
    },
    outputs=(
        Output("patches", "(B * C, N, N, 1) complex64; flat index b * C + c", "patch row column channel", "1", terms=4),
    ),
    parameters={"N": int},
    formula=formulas.extract,
    faults=faults.EXTRACTION,
)


def relative(draw: Draw, groups: int, members: int) -> np.ndarray:
    """Draw subpixel positions like those of a jittered scan: neither a group's mean nor the mean over all groups is 0.

    They are multiples of 1/3, as means over members are. A move by multiples of a power of two would be exact, and the
    noise would not show TensorFlow's rounding of source coordinates.
    """
    thirds = draw.multiples(2**-8, -7.5, 7.5, (groups, 1, 2, members)) / 3
    return np.asarray(thirds + np.array([[0.75], [-1.25]]), np.float32)


def centred(draw: Draw, groups: int, members: int) -> np.ndarray:
    """Draw subpixel positions; the mean of each group is 0, as in the grouped record."""
    coords = draw.multiples(2**-8, -9, 9, (groups, 1, 2, members)) / 3
    return np.asarray(coords.mean(axis=3, keepdims=True) - coords, np.float32)


Positions = Callable[[Draw, int, int], np.ndarray]


def group_patches(groups: int, members: int, N: int, positions: Positions = relative) -> Drawing:
    """Draw texture everywhere."""
    return lambda draw: {
        "patches": draw.texture((groups, N, N, members)),
        "coords_relative": positions(draw, groups, members),
    }


def textured_window(groups: int, members: int, N: int, positions: Positions = relative) -> Drawing:
    """Draw texture in a window across the edge of the centre, off the diagonal, which takes less space than a patch."""
    rows, columns = slice(N // 8, N * 5 // 8), slice(N * 3 // 8, N * 15 // 16)
    return lambda draw: {
        "patches": draw.window((groups, N, N, members), rows, columns),
        "coords_relative": positions(draw, groups, members),
    }


def bright_pixels(draw: Draw) -> dict[str, np.ndarray]:
    """Set pixel (8, 8), in the centre, and pixel (0, 15), at a corner, of every member to different values.

    Positions are whole pixels with zero mean.
    """
    patches = np.zeros((2, 16, 16, 4), np.complex64)
    patches[:, 8, 8] = [[1, 0.5j, -0.25 + 0.75j, -0.5 - 0.125j], [0.625, -1j, 0.375 - 0.5j, 0.75 + 0.25j]]
    patches[:, 0, 15] = [[0.5j, 0.25, -1, 0.75], [-0.375, 0.125j, 0.625 + 0.5j, -0.25j]]
    positions = [[[3, -1, -3, 1], [-2, 1, 3, -2]], [[1, 3, -2, -2], [0, 3, -3, 0]]]
    return {"patches": patches, "coords_relative": -np.array(positions, np.float32)[:, None]}


def canvases(groups: int, members: int, P: int) -> Drawing:
    def make(draw: Draw) -> dict[str, np.ndarray]:
        return {"canvas": draw.texture((groups, P, P, 1)), "coords_relative": relative(draw, groups, members)}

    return make


def _merged(name: str, summary: str, padded_size: int, draw: Drawing) -> Case:
    return Case(f"merge/{name}", MERGE, summary, {"padded_size": padded_size}, draw)


CASES = (
    _merged("group1_n16", "merge of three groups of one, positions not centred", 26, group_patches(3, 1, 16)),
    _merged("group4_n16", "merge of three groups of four, positions not centred", 30, textured_window(3, 4, 16)),
    _merged(
        "group4_n64",
        "merge at the default sizes, positions centred",
        78,
        textured_window(1, 4, 64, centred),
    ),
    _merged("group9_n32", "merge of one group of nine", 50, textured_window(1, 9, 32)),
    _merged(
        "batch16",
        "merge of 16 groups of four, the default batch size: one canvas per group",
        14,
        group_patches(16, 4, 8, centred),
    ),
    _merged(
        "pixels",
        "merge of bright pixels: larger x lies further right, larger y further down",
        30,
        bright_pixels,
    ),
    Case(
        "merge/extract_group1",
        EXTRACT,
        "extraction of patches from the canvases of three groups of one",
        {"N": 16},
        canvases(3, 1, 26),
    ),
    Case(
        "merge/extract_group4",
        EXTRACT,
        "extraction of patches from the canvases of three groups of four",
        {"N": 12},
        canvases(3, 4, 22),
    ),
    Case(
        "merge/extract_group9",
        EXTRACT,
        "extraction of patches from the canvases of two groups of nine",
        {"N": 8},
        canvases(2, 9, 22),
    ),
)
