"""These cases follow a known object to its patterns, through the merge, into a mosaic: the net shift of all signs.

The result of every place that has a sign is an output, so a wrong sign shows there, even if a later one compensates it.
In place of the network's output, they use the true patch of each pattern, confined to its centre.
"""

from __future__ import annotations

import math

import numpy as np

from golden.ptychopinn.merge.formulas import centre_mask
from golden.ptychopinn.net_shift import faults, formulas
from golden.ptychopinn.reassembly.cases import not_dust
from golden.spec.arrays import Arrays
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.parameters import Kind, Parameters, Scalar
from golden.spec.random_inputs import Draw


def _members(inputs: Arrays, parameters: Parameters) -> int:
    return parameters["gridsize"] ** 2


def _merged(inputs: Arrays, parameters: Parameters) -> int:
    """Count four neighbours of every member, and four when its patch was cut."""
    return 4 * _members(inputs, parameters) + 4


def _transformed(inputs: Arrays, parameters: Parameters) -> int:
    """Count four neighbours of every member, twice, and two terms in each stage of a fast transform."""
    return 2 * _merged(inputs, parameters) + 2 * math.ceil(math.log2(inputs["probe"].size))


def _stitched(inputs: Arrays, parameters: Parameters) -> int:
    return 4 * parameters["nsamples"] + _merged(inputs, parameters)


_INPUTS = {
    "object": Input("(H, W) complex64; rows = y, columns = x; asymmetric", "row column", "1"),
    "probe": Input("(N, N) complex64; as guessed; zero outside the central N // 2 pixels", "row column", "1"),
    "positions": Input(
        "(M, 1, 2, 1) float64; of the patch's index N // 2 in the object", "pattern one xy one", "pixel"
    ),
}
_PARAMETERS: dict[str, Kind] = {
    **dict.fromkeys(("gridsize", "K", "nsamples", "seed", "padded_size", "M"), int),
    "probe_scale": float,
}
_X = Output(
    "X_full",
    "(n, N, N, C) float32; patterns of the groups, normalised",
    "group row column member",
    "1",
    terms=_transformed,
)
_RELATIVE = Output(
    "coords_relative",
    "(n, 1, 2, C) float64; -(position - mean of its group)",
    "group one xy member",
    "pixel",
    terms=_members,
)
_LATER = (
    Output(
        "coords_offsets",
        "(n, 1, 2, 1) float64; mean position of each group",
        "group one xy one",
        "pixel",
        terms=_members,
    ),
    Output("positions", "(n, 1, 2, C) float32; +(position - mean of its group)", "group one xy member", "pixel"),
    Output(
        "merged",
        "(n, P, P, 1) complex64; merge of each group's true patches, confined to their centres",
        "group row column channel",
        "1",
        terms=_merged,
    ),
    Output(
        "amplitude",
        "(n, N, N, C) float32; diffraction amplitude of the extracted patches times the probe",
        "group row column member",
        "1",
        terms=_transformed,
    ),
    Output(
        "count",
        "(S, S, 1) float32; how many groups cover a pixel of the mosaic",
        "row column channel",
        "1",
        terms=_stitched,
    ),
    Output(
        "mosaic",
        "(S, S, 1) complex64; the merged objects, stitched",
        "row column channel",
        "1",
        terms=_stitched,
        where=not_dust,
    ),
)

CONTAINER = Operation(
    name="net_shift.container",
    summary="the chain from an object to its mosaic: patterns, grouped record, container, merge, extraction, stitching",
    inputs=_INPUTS,
    outputs=(_X, _RELATIVE, *_LATER),
    parameters=_PARAMETERS,
    formula=formulas.container,
    faults=faults.CONTAINER,
)

MEMORY_MAPPED = Operation(
    name="net_shift.memory_mapped",
    summary="the chain from an object to its mosaic: patterns, scan file, memory-mapped data, merge, stitching",
    inputs=_INPUTS,
    outputs=(_X, *_LATER),
    parameters=_PARAMETERS,
    formula=formulas.memory_mapped,
    faults=faults.MEMORY_MAPPED,
)

# ------------------------------------------------------------------------------------------------ inputs

HEIGHT, WIDTH = 34, 56
LETTER = ((0, 8, 0, 3), (0, 2, 0, 7), (3, 5, 3, 6))
"""Strokes of the letter F: (top, bottom, left, right), in units of two pixels."""


def letter_object() -> np.ndarray:
    """Return an F on a gradient, in amplitude and at another place in phase; (HEIGHT, WIDTH) complex64, in 1/64."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    glyph = _blurred(_letter(10, 14))
    amplitude = 0.5 + 0.25 * columns / WIDTH + 0.125 * rows / HEIGHT - 0.375 * glyph
    phase = 0.02 * columns - 0.035 * rows + 0.9 * _blurred(_letter(8, 30))
    return np.asarray(np.round(amplitude * np.exp(1j * phase) * 64) / 64, np.complex64)


def _letter(top: int, left: int) -> np.ndarray:
    image = np.zeros((HEIGHT, WIDTH))
    for first, last, start, stop in LETTER:
        image[top + 2 * first : top + 2 * last, left + 2 * start : left + 2 * stop] = 1
    return image


def _blurred(image: np.ndarray) -> np.ndarray:
    """Blur by one pixel in each direction, so that a bilinear move changes little."""
    for axis in (0, 1):
        image = np.roll(image, -1, axis) / 4 + image / 2 + np.roll(image, 1, axis) / 4
    return image


def small_beam(N: int) -> np.ndarray:
    """Return a curved, off-centre beam, zero outside the central N // 2 pixels; (N, N) complex64, multiples of 1/64."""
    rows, columns = np.mgrid[:N, :N] * 2 / N - 1
    x, y = columns - 0.06, rows + 0.11
    wave = np.exp(-(x**2 + 1.7 * y**2) / 0.09 + 1j * (5 * x**2 + 3 * y**2 + 2 * x * y + 0.75 * x))
    return np.asarray(np.round(wave * centre_mask(N) * 64) / 64, np.complex64)


def scan(N: int) -> Drawing:
    """Draw 21 positions on 27 x 11 pixels, nearer to the left than to the right edge; multiples of 1/8.

    So the mean of a group is a multiple of 1/32, and float32 represents the moves of members exactly. At the edge of a
    count, the merge divides by 0.001, which multiplies any rounding by a thousand.
    """

    def make(draw: Draw) -> dict[str, np.ndarray]:
        x, y = np.meshgrid(np.arange(7) * 4.0 + 12, np.arange(3) * 4.0 + 12)
        jitter = draw.multiples(1 / 8, -1.25, 1.375, (21, 2))
        positions = np.stack([x.ravel(), y.ravel()], axis=-1) + jitter
        shuffled = np.argsort(draw.integers(0, 2**32, (21,)), kind="stable")
        return {
            "object": letter_object(),
            "probe": small_beam(N),
            "positions": positions[shuffled].reshape(-1, 1, 2, 1),
        }

    return make


# ------------------------------------------------------------------------------------------------ cases

_GROUPS_OF_ONE: dict[str, Scalar] = {"gridsize": 1, "K": 4, "nsamples": 8, "seed": 3, "padded_size": 26}
_GROUPS_OF_FOUR: dict[str, Scalar] = {"gridsize": 2, "K": 5, "nsamples": 5, "seed": 3, "padded_size": 30}
_CONSTANT = "a group of one lies at its own mean, so its relative position is zero"


def _case(name: str, summary: str, operation: Operation, groups: dict[str, Scalar]) -> Case:
    single = groups["gridsize"] == 1
    constant = [output.name for output in operation.outputs if output.name in ("coords_relative", "positions")]
    return Case(
        f"net_shift/{name}",
        operation,
        summary,
        {"probe_scale": 4.0, "M": 8, **groups},
        scan(16),
        dict.fromkeys(constant, _CONSTANT) if single else {},
    )


CASES = (
    _case("container_group1", "object to mosaic through the data container, groups of one", CONTAINER, _GROUPS_OF_ONE),
    _case(
        "container_group4", "object to mosaic through the data container, groups of four", CONTAINER, _GROUPS_OF_FOUR
    ),
    _case(
        "memory_mapped_group1",
        "object to mosaic through the memory-mapped data set, groups of one",
        MEMORY_MAPPED,
        _GROUPS_OF_ONE,
    ),
    _case(
        "memory_mapped_group4",
        "object to mosaic through the memory-mapped data set, groups of four",
        MEMORY_MAPPED,
        _GROUPS_OF_FOUR,
    ),
)
