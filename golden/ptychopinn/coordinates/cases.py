"""These cases freeze relative coordinates, and the translation that all other topics use."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.coordinates import faults, formulas
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.random_inputs import Draw

RELATIVE = Operation(
    name="coordinates.relative",
    summary="positions of a group's members: their mean, and the negated distance from it",
    inputs={"coords_nn": Input("(n, 1, 2, C) float64", "group one xy member", "pixel")},
    outputs=(
        Output(
            "coords_offsets",
            "(n, 1, 2, 1) float64; mean over the members",
            "group one xy one",
            "pixel",
            terms=lambda inputs, _: inputs["coords_nn"].shape[-1],
        ),
        Output(
            "coords_relative",
            "(n, 1, 2, C) float64; -(coords_nn - coords_offsets)",
            "group one xy member",
            "pixel",
            terms=lambda inputs, _: inputs["coords_nn"].shape[-1] + 1,
        ),
    ),
    precision="float64",
    formula=formulas.relative,
    faults=faults.RELATIVE_POSITIONS,
)

TRANSLATE = Operation(
    name="coordinates.translate",
    summary="bilinear translation with zero fill: +dx moves content to higher columns, +dy to higher rows",
    inputs={
        "images": Input("(B, H, W, ch) float32 or complex64", "image row column channel", "1"),
        "displacements": Input("(B, 2) float32; [dx, dy]", "image xy", "pixel"),
    },
    outputs=(Output("moved", "(B, H, W, ch), dtype of images", "image row column channel", "1", terms=4),),
    formula=formulas.translate,
    faults=faults.TRANSLATION,
)

PLACE_IN_GROUP = Operation(
    name="coordinates.place_in_group",
    summary="each patch of a group moved to where it lies relative to the group's centre: by -coords_relative",
    inputs={
        "patches": Input("(B, N, N, C) complex64", "group row column member", "1"),
        "coords_nn": Input("(B, 1, 2, C) float64", "group one xy member", "pixel"),
    },
    outputs=(Output("placed", "(B, N, N, C) complex64", "group row column member", "1", terms=4),),
    formula=formulas.place_in_group,
    faults=faults.PLACEMENT,
)


def positions(groups: int, members: int) -> Drawing:
    return lambda draw: {"coords_nn": draw.multiples(2**-10, 20, 200, (groups, 1, 2, members))}


def image_and_moves(images: np.ndarray, *moves: tuple[float, float]) -> dict[str, np.ndarray]:
    return {"images": images, "displacements": np.array(moves, np.float32)}


def bright_pixel(*moves: tuple[float, float]) -> Drawing:
    """Draw one bright pixel at row 4, column 6 of an 11 x 15 image, for every move."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        images = np.zeros((len(moves), 11, 15, 1), np.float32)
        images[:, 4, 6] = 1
        return image_and_moves(images, *moves)

    return make


def texture(shape: tuple[int, int, int], *moves: tuple[float, float], complex_: bool = False) -> Drawing:
    def make(draw: Draw) -> dict[str, np.ndarray]:
        full = (len(moves), *shape)
        return image_and_moves(draw.complex(full) if complex_ else draw.real(full), *moves)

    return make


def ones(*moves: tuple[float, float]) -> Drawing:
    return lambda draw: image_and_moves(np.ones((len(moves), 9, 12, 1), np.float32), *moves)


def grouped_patches(groups: int, members: int, N: int) -> Drawing:
    def make(draw: Draw) -> dict[str, np.ndarray]:
        return {
            "patches": draw.texture((groups, N, N, members)),
            "coords_nn": draw.multiples(2**-10, -4, 5, (groups, 1, 2, members)) + 120,
        }

    return make


_SUBPIXEL = ((0.25, 0.0), (0.0, -0.375), (1.7, -2.3), (-0.61, 0.09), (-3.125, -1.9), (2.5, 3.5))

CASES = (
    Case(
        "coordinates/relative_group1",
        RELATIVE,
        "groups of one: the offset is the position itself",
        {},
        positions(5, 1),
        {"coords_relative": "a group of one lies at its own mean, so every distance is 0"},
    ),
    Case(
        "coordinates/relative_group4",
        RELATIVE,
        "groups of four (grid size 2)",
        {},
        positions(6, 4),
    ),
    Case("coordinates/relative_group9", RELATIVE, "groups of nine (grid size 3)", {}, positions(3, 9)),
    Case(
        "coordinates/translate_pixel_x",
        TRANSLATE,
        "a bright pixel moved along x only: columns",
        {},
        bright_pixel((3, 0), (-2, 0), (0.25, 0)),
    ),
    Case(
        "coordinates/translate_pixel_y",
        TRANSLATE,
        "a bright pixel moved along y only: rows",
        {},
        bright_pixel((0, 3), (0, -2), (0, 0.25)),
    ),
    Case(
        "coordinates/translate_subpixel",
        TRANSLATE,
        "texture moved by fractions of a pixel",
        {},
        texture((16, 16, 1), *_SUBPIXEL),
    ),
    Case(
        "coordinates/translate_complex",
        TRANSLATE,
        "real and imaginary part moved separately; phase not interpolated",
        {},
        texture((16, 16, 1), *_SUBPIXEL, complex_=True),
    ),
    Case(
        "coordinates/translate_nonsquare",
        TRANSLATE,
        "more columns than rows",
        {},
        texture((10, 22, 1), *_SUBPIXEL, complex_=True),
    ),
    Case(
        "coordinates/translate_channels",
        TRANSLATE,
        "all channels of an image move together",
        {},
        texture((12, 14, 3), (1.5, -0.75), (-2.25, 4), complex_=True),
    ),
    Case(
        "coordinates/translate_thin",
        TRANSLATE,
        "an image of one row",
        {},
        texture((1, 7, 1), (0.5, 0.0), (-1.25, 0.0), (2.0, 0.25), complex_=True),
        invisible={"y_sign": "the only row loses the same weight upwards and downwards"},
    ),
    Case(
        "coordinates/translate_boundary",
        TRANSLATE,
        "ones moved over the edge: lost neighbours count 0, the others keep their weight",
        {},
        ones((0.25, 0), (-0.25, 0), (0, 0.75), (0, -0.75), (2.5, -1.5), (11.5, 0), (0, -8.25), (40, -40), (0, 0)),
    ),
    Case(
        "coordinates/place_in_group4",
        PLACE_IN_GROUP,
        "the net sense of position, sub-pixel, groups of four",
        {},
        grouped_patches(3, 4, 12),
    ),
    Case(
        "coordinates/place_in_group9",
        PLACE_IN_GROUP,
        "the net sense of position, sub-pixel, groups of nine",
        {},
        grouped_patches(2, 9, 10),
    ),
)
