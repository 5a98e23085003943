"""These cases freeze relative coordinates, and the translation that all other topics use."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.coordinates import faults, formulas
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.random_inputs import Draw

RELATIVE = Operation(
    name="coordinates.relative",
    summary="the mean position of a group's members, and each member's negated distance from it",
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
    summary="each patch of a group moved by -coords_relative, to its place about the group's centre",
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
    """Make one bright pixel at row 4, column 6 of an 11 x 15 image, for every move."""

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
        "relative positions in groups of one: the group's mean is the position itself",
        {},
        positions(5, 1),
        {"coords_relative": "a group of one lies at its own mean, so its relative position is zero"},
    ),
    Case(
        "coordinates/relative_group4",
        RELATIVE,
        "relative positions in groups of four (grid size 2)",
        {},
        positions(6, 4),
    ),
    Case(
        "coordinates/relative_group9",
        RELATIVE,
        "relative positions in groups of nine (grid size 3)",
        {},
        positions(3, 9),
    ),
    Case(
        "coordinates/translate_pixel_x",
        TRANSLATE,
        "translation of a bright pixel along x only: it changes column",
        {},
        bright_pixel((3, 0), (-2, 0), (0.25, 0)),
    ),
    Case(
        "coordinates/translate_pixel_y",
        TRANSLATE,
        "translation of a bright pixel along y only: it changes row",
        {},
        bright_pixel((0, 3), (0, -2), (0, 0.25)),
    ),
    Case(
        "coordinates/translate_subpixel",
        TRANSLATE,
        "translation of a textured image by fractions of a pixel",
        {},
        texture((16, 16, 1), *_SUBPIXEL),
    ),
    Case(
        "coordinates/translate_complex",
        TRANSLATE,
        "translation of complex images: real and imaginary part are interpolated, not the phase",
        {},
        texture((16, 16, 1), *_SUBPIXEL, complex_=True),
    ),
    Case(
        "coordinates/translate_nonsquare",
        TRANSLATE,
        "translation of images with more columns than rows",
        {},
        texture((10, 22, 1), *_SUBPIXEL, complex_=True),
    ),
    Case(
        "coordinates/translate_channels",
        TRANSLATE,
        "translation of a multi-channel image: all channels move together",
        {},
        texture((12, 14, 3), (1.5, -0.75), (-2.25, 4), complex_=True),
    ),
    Case(
        "coordinates/translate_thin",
        TRANSLATE,
        "translation of an image that has one row",
        {},
        texture((1, 7, 1), (0.5, 0.0), (-1.25, 0.0), (2.0, 0.25), complex_=True),
        invisible={"y_sign": "the image has one row, which loses the same weight upwards and downwards"},
    ),
    Case(
        "coordinates/translate_boundary",
        TRANSLATE,
        "translation of a constant image over its edge: pixels outside count as zero",
        {},
        ones((0.25, 0), (-0.25, 0), (0, 0.75), (0, -0.75), (2.5, -1.5), (11.5, 0), (0, -8.25), (40, -40), (0, 0)),
    ),
    Case(
        "coordinates/place_in_group4",
        PLACE_IN_GROUP,
        "patches of groups of four placed about the group's centre at sub-pixel offsets",
        {},
        grouped_patches(3, 4, 12),
    ),
    Case(
        "coordinates/place_in_group9",
        PLACE_IN_GROUP,
        "patches of groups of nine placed about the group's centre at sub-pixel offsets",
        {},
        grouped_patches(2, 9, 10),
    ),
)
