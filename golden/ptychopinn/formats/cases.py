"""These cases freeze array formats (grid, channel, flat, and those of positions) and sizes of the padded canvas."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.formats import faults, formulas
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.random_inputs import Draw

TO_CHANNEL = Operation(
    name="formats.to_channel",
    summary="patches on a grid, and flat patches, converted to the network's channel format",
    inputs={
        "grid": Input("(B, G, G, N, N, 1) float32", "group grid_row grid_column row column channel", "1"),
        "flat": Input("(B * C, N, N, 1) float32; flat index b * C + c", "patch row column channel", "1"),
    },
    outputs=(
        Output("channel_of_grid", "(B, N, N, C) float32; c = row * G + column", "group row column member", "1"),
        Output("channel_of_flat", "(B, N, N, C) float32", "group row column member", "1"),
    ),
    formula=formulas.to_channel,
    faults=faults.TO_CHANNEL,
)

FROM_CHANNEL = Operation(
    name="formats.from_channel",
    summary="the network's channel format converted to patches on a grid, flat patches and flat positions",
    inputs={
        "channel": Input("(B, N, N, C) float32", "group row column member", "1"),
        "positions": Input("(B, 1, 2, C) float32", "group one xy member", "pixel"),
    },
    outputs=(
        Output(
            "grid",
            "(B, G, G, N, N, 1) float32; grid row = c // G, grid column = c % G",
            "group grid_row grid_column row column channel",
            "1",
        ),
        Output("flat", "(B * C, N, N, 1) float32; flat index b * C + c", "patch row column channel", "1"),
        Output("positions_flat", "(B * C, 2) float32; in the order of the flat patches", "patch xy", "pixel"),
    ),
    formula=formulas.from_channel,
    faults=faults.FROM_CHANNEL,
)

CANVAS = Operation(
    name="formats.canvas",
    summary="sides of the canvas on which a group's patches are merged",
    inputs={"settings": Input("(k, 4) int64; N, grid size G, offset, max_position_jitter", "case setting", "pixel")},
    outputs=(
        Output("bigN", "(k,) int64; N + (G - 1) * offset", "case", "pixel"),
        Output("padded_size", "(k,) int64; bigN + max_position_jitter", "case", "pixel"),
        Output("canvas_side", "(k,) int64; N and the margin (padded_size - N) // 2 on either side", "case", "pixel"),
    ),
    formula=formulas.canvas,
    faults=faults.CANVAS,
)


def grid_and_flat(groups: int, side: int, N: int) -> Drawing:
    def make(draw: Draw) -> dict[str, np.ndarray]:
        grid = draw.real((groups, side, side, N, N, 1), step=2**-10)
        return {"grid": grid, "flat": draw.real((groups * side**2, N, N, 1), step=2**-10)}

    return make


def channel_and_positions(groups: int, members: int, N: int) -> Drawing:
    def make(draw: Draw) -> dict[str, np.ndarray]:
        channel = draw.real((groups, N, N, members), step=2**-10)
        return {"channel": channel, "positions": draw.real((groups, 1, 2, members), step=2**-10)}

    return make


def settings(draw: Draw) -> dict[str, np.ndarray]:
    table = [
        (64, 1, 4, 10),
        (64, 2, 4, 10),
        (128, 2, 4, 10),
        (256, 1, 4, 10),
        (32, 2, 6, 14),
        (32, 3, 4, 10),
        (16, 2, 5, 10),
        (16, 1, 4, 9),
        (4, 2, 4, 10),
    ]
    return {"settings": np.array(table, np.int64)}


CASES = (
    Case(
        "formats/to_channel_group4",
        TO_CHANNEL,
        "grid and flat formats to channel format, three groups of four",
        {},
        grid_and_flat(3, 2, 4),
    ),
    Case(
        "formats/to_channel_group9",
        TO_CHANNEL,
        "grid and flat formats to channel format, two groups of nine",
        {},
        grid_and_flat(2, 3, 5),
    ),
    Case(
        "formats/from_channel_group4",
        FROM_CHANNEL,
        "channel format to grid and flat formats, three groups of four",
        {},
        channel_and_positions(3, 4, 4),
    ),
    Case(
        "formats/from_channel_group9",
        FROM_CHANNEL,
        "channel format to grid and flat formats, two groups of nine",
        {},
        channel_and_positions(2, 9, 5),
    ),
    Case("formats/canvas", CANVAS, "canvas sides for the defaults, other grid sizes and odd margins", {}, settings),
)
