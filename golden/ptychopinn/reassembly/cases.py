"""These cases freeze how patches are cropped, placed at their positions, summed, and divided by the overlap count."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from golden.ptychopinn.photograph import photograph
from golden.ptychopinn.reassembly import formulas
from golden.ptychopinn.reassembly.faults import STITCHING
from golden.spec.arrays import Arrays
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.parameters import Parameters
from golden.spec.random_inputs import Draw


def _terms(inputs: Arrays, parameters: Parameters) -> int:
    """Count four neighbours of every patch, an upper bound of the terms in a pixel."""
    return 4 * len(inputs["patches"])


def not_dust(outputs: Arrays) -> np.ndarray:
    """Select pixels whose count exceeds rounding errors, and those far from every patch; others are meaningless.

    Right beside a patch, the last digit of an offset leaves a count of 1e-13, which the ratio divides by 1e-9.
    """
    count = outputs["count"][..., 0]
    height, width = count.shape
    touched = np.pad(count > 0, 1)
    near = [touched[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray((count > 0.01) | ~np.any(near, axis=0))[..., None]


_COUNT = Output("count", "(S, S, 1) float32; how many patches cover a pixel", "row column channel", "1", terms=_terms)
_MOSAIC = Output(
    "mosaic",
    "(S, S, 1) complex64; shift_and_sum / (1e-9 + count)",
    "row column channel",
    "1",
    terms=_terms,
    where=not_dust,
)
_SIDE = Output("canvas_side", "scalar int64; S = M + 2 pad", unit="pixel")

POSITION = Operation(
    name="reassembly.position",
    summary="central M x M crops moved by +(offset - mean offset), summed, and divided by the overlap count",
    inputs={
        "patches": Input("(n, N, N, 1) complex64", "patch row column channel", "1"),
        "offsets": Input("(n, 1, 2, 1) float64", "patch one xy one", "pixel"),
    },
    outputs=(
        Output("shift_and_sum", "(S, S, 1) complex64; rows = y, columns = x", "row column channel", "1", terms=_terms),
        _COUNT,
        _MOSAIC,
        _SIDE,
    ),
    parameters={"M": int},
    formula=formulas.position,
    faults=STITCHING,
)


def cut_patches(inputs: Arrays, parameters: Parameters) -> dict[str, np.ndarray]:
    """Cut the N x N patches of an object whose centre index N // 2 is at each position.

    The sampling is bilinear, in float64. If the object holds multiples of 1/256 and the positions multiples of 1/8, as
    in this module's scan, every product and sum is exact, even in float32.
    """
    N = parameters["N"]
    target, positions = inputs["object"].astype(np.complex128), inputs["positions"].reshape(-1, 2)
    start = positions - N // 2
    whole = np.floor(start).astype(int)
    fx, fy = (start - whole).T[:, :, None, None]
    reach = np.arange(N + 1)
    window = target[whole[:, 1, None, None] + reach[:, None], whole[:, 0, None, None] + reach]
    rows = (1 - fy) * window[:, :-1] + fy * window[:, 1:]
    patches = (1 - fx) * rows[:, :, :-1] + fx * rows[:, :, 1:]
    return {"patches": patches.astype(np.complex64)[..., None]}


SCAN_MOSAIC = Operation(
    name="reassembly.scan_mosaic",
    summary="the mosaic of patches that are cut from a known object at the scan's positions",
    inputs={
        "object": Input("(H, W) complex64; multiples of 1/256; rows = y, columns = x", "row column", "1"),
        "positions": Input(
            "(n, 1, 2, 1) float64; of the patch centre in the object; multiples of 1/8", "patch one xy one", "pixel"
        ),
        "patches": Input(
            "(n, N, N, 1) complex64; made from the object and the positions", "patch row column channel", "1"
        ),
    },
    outputs=(_COUNT, _MOSAIC, _SIDE),
    parameters={"N": int, "M": int},
    derive=cut_patches,
    formula=formulas.scan_mosaic,
    # A whole scan is stitched with a crop well inside the patch, and a canvas has only one padding.
    faults=tuple(fault for fault in STITCHING if fault.name not in {"count_of_centre_mask", "odd_padding"}),
)


# The canvas side grows by four when the largest distance from the mean passes an even number, and there, rounding
# decides. So the whole-pixel offsets below have an odd largest distance.


def textured(draw: Draw, n: int, N: int, M: int) -> np.ndarray:
    """Draw patches (n, N, N, 1) with texture in the central M x M pixels, and in some beyond, more on one side."""
    first = N // 2 - M // 2
    rows, columns = (slice(max(first - before, 0), first + M + behind) for before, behind in ((4, 3), (2, 5)))
    return draw.window((n, N, N, 1), rows, columns)


def at(N: int, M: int, *offsets: tuple[float, float]) -> Drawing:
    """Draw patches, textured around their crop, at given offsets."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        return {
            "patches": textured(draw, len(offsets), N, M),
            "offsets": np.array(offsets, np.float64).reshape(-1, 1, 2, 1),
        }

    return make


def anywhere(draw: Draw, n: int, span_x: float, span_y: float, x: float, y: float) -> np.ndarray:
    """Draw subpixel offsets (n, 1, 2, 1) in a box of the given span that begins at (x, y)."""
    along_x = draw.multiples(2**-10, 0, span_x, (n,)) + x
    along_y = draw.multiples(2**-10, 0, span_y, (n,)) + y
    return np.stack([along_x, along_y], axis=-1).reshape(n, 1, 2, 1)


def scattered(N: int, M: int, n: int, *box: float) -> Drawing:
    """Draw patches, textured around their crop, at subpixel offsets in a box, given by two spans and its corner."""
    return lambda draw: {"offsets": anywhere(draw, n, *box), "patches": textured(draw, n, N, M)}


def half_of_128(draw: Draw) -> dict[str, np.ndarray]:
    """Draw patches of N = 128, textured across the upper right corner of the crop, to save space."""
    offsets = anywhere(draw, 3, 31, 18, 50, 70)
    return {"offsets": offsets, "patches": draw.window((3, 128, 128, 1), slice(28, 57), slice(70, 101))}


def bright_pixels(draw: Draw) -> dict[str, np.ndarray]:
    """Set pixel (32, 32) of four patches to different values, at whole-pixel offsets with a whole-pixel mean."""
    patches = np.zeros((4, 64, 64, 1), np.complex64)
    patches[:, 32, 32, 0] = [1, 0.5j, -0.25 + 0.75j, -0.5 - 0.125j]
    offsets = np.array([[1, -2], [7, -2], [1, 8], [3, 0]], np.float64)
    return {"patches": patches, "offsets": offsets.reshape(4, 1, 2, 1)}


def photographic_scan(draw: Draw) -> dict[str, np.ndarray]:
    """Scan a photograph as amplitude, another as phase, at 240 jittered raster positions on 132 x 88 pixels."""
    height, width = 168, 208
    amplitude = 0.25 + 0.75 * photograph("camera")[20 : 20 + 2 * height : 2, 60 : 60 + 2 * width : 2]
    phase = 2.5 * photograph("coffee")[30 : 30 + 2 * height : 2, 120 : 120 + 2 * width : 2] - 1
    target = np.round(amplitude * np.exp(1j * phase) * 256) / 256
    x, y = np.meshgrid(np.arange(20) * 6.875 + 38, np.arange(12) * 8.0 + 40)
    positions = np.stack([x.ravel(), y.ravel()], axis=-1) + draw.multiples(1 / 8, -2.5, 2.5, (240, 2))
    return {"object": target.astype(np.complex64), "positions": positions.reshape(-1, 1, 2, 1)}


_ONE_NUMBER = {"canvas_side": "the output is a single number"}


def _case(name: str, summary: str, M: int, draw: Drawing, invisible: Mapping[str, str] = {}, **constant: str) -> Case:
    return Case(f"reassembly/{name}", POSITION, summary, {"M": M}, draw, _ONE_NUMBER | constant, invisible)


CASES = (
    _case(
        "m20_single",
        "mosaic of one patch at offset zero: the crop itself",
        20,
        at(64, 20, (0, 0)),
        count="a single patch covers each pixel of its canvas once",
    ),
    _case(
        "m20_pixels",
        "mosaic of four bright pixels: larger x lies further right, larger y further down",
        20,
        bright_pixels,
        {"patch_transposed": "each patch has one bright pixel, on its diagonal"},
    ),
    _case(
        "m20_integer",
        "mosaic of whole-pixel offsets, whose extent differs in x and y",
        20,
        at(64, 20, (0, 0), (8, 2), (-4, 5), (8, -3)),
    ),
    _case(
        "m20_subpixel", "mosaic of sub-pixel offsets with a non-zero mean", 20, scattered(64, 20, 5, 11, 7, 31.25, -8)
    ),
    _case(
        "m20_along_x",
        "mosaic of a scan along x only",
        20,
        at(64, 20, (4.5, 7), (10.25, 7), (16.125, 7), (23.75, 7), (29.5, 7)),
    ),
    _case(
        "m20_along_y",
        "mosaic of a scan along y only",
        20,
        at(64, 20, (7, 4.5), (7, 10.25), (7, 16.125), (7, 23.75), (7, 29.5)),
    ),
    _case("m20_anisotropic", "mosaic of 12 patches over 60 x 10 pixels", 20, scattered(64, 20, 12, 60, 10, 100, 40)),
    _case(
        "m20_far_from_origin",
        "mosaic of offsets near 3000: their mean is subtracted",
        20,
        scattered(64, 20, 4, 13, 17, 3000, 2900),
    ),
    _case(
        "m20_duplicates",
        "mosaic of three patches at one position and one elsewhere",
        20,
        at(64, 20, (5.5, 2.25), (5.5, 2.25), (5.5, 2.25), (11.75, -4.5)),
    ),
    _case(
        "m20_apart",
        "mosaic of two patches that do not touch: empty canvas between them",
        20,
        at(64, 20, (0, 0), (29.5, 22.25)),
    ),
    _case("m2", "mosaic of the smallest crop (M = 2)", 2, scattered(64, 2, 6, 3, 3, 12, 15)),
    _case("m8", "mosaic of small crops of small patches", 8, scattered(16, 8, 7, 12, 6, -3, 5)),
    _case("m32_integer", "mosaic of crops of half a patch (M = N / 2)", 32, at(64, 32, (0, 0), (12, 4), (-3, 5))),
    _case(
        "m24_whole",
        "mosaic of whole patches (M = N)",
        24,
        scattered(24, 24, 3, 9, 14, 2, 60),
    ),
    _case(
        "n128_m20", "mosaic of larger patches (N = 128) with the default crop", 20, scattered(128, 20, 4, 15, 9, 50, 70)
    ),
    _case("n128_m64", "mosaic of larger patches (N = 128) cropped to half", 64, half_of_128),
    _case(
        "n63_m20",
        "mosaic of patches of odd N: the crop begins at N // 2 - M // 2",
        20,
        scattered(63, 20, 3, 8, 9, 0, 0),
    ),
    Case(
        "reassembly/scan_photograph",
        SCAN_MOSAIC,
        "mosaic of 240 patches of a photograph, which appears upright",
        {"N": 64, "M": 20},
        photographic_scan,
        _ONE_NUMBER,
    ),
)
