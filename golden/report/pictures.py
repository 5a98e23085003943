"""Pictures of goldens and of failures, and bare pixels for pages. Decides nothing numeric; Matplotlib only."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image  # which Matplotlib brings

from golden.spec.arrays import Arrays, images, is_picture
from golden.store.golden import Golden

_AMPLITUDE, _PHASE, _SIGNED, _ERROR = "gray", "twilight", "RdBu_r", "magma"
_ANGLE = {"cmap": _PHASE, "vmin": -np.pi, "vmax": np.pi}
_WEAK = 1e-3
"""Of an output's scale: below it the comparison takes no phase."""

LARGEST_SIDE = 512
"""Pixels of a bare picture; of a larger array it shows one element per block."""
NOT_FINITE = (0, 220, 90)
"""The colour of NaN and infinity, which is in no colour map used here."""

Style = Mapping[str, object]
Panel = tuple[str, np.ndarray, Style]


def draw_golden(golden: Golden, path: Path) -> None:
    """The picture-like inputs and outputs of a golden: amplitude, and phase where they are complex.

    Raises:
        ValueError: it holds nothing that can be looked at.
    """
    named = [(f"input {name}", array) for name, array in golden.inputs.items()]
    named += [(f"output {name}", array) for name, array in golden.outputs.items()]
    rows = [_panels(name, images(array)[0]) for name, array in named if is_picture(array)]
    if not rows:
        raise ValueError(f"golden {golden.case}: nothing in it is a picture")
    _draw(golden.case, rows, path)


def draw_failure(case: str, expected: Arrays, actual: Arrays, path: Path) -> bool:
    """Expected, found and difference of every output that differs in values; False when none can be drawn."""
    rows = []
    for name, golden in expected.items():
        found = actual.get(name)
        if (
            found is None
            or found.shape != golden.shape
            or found.dtype != golden.dtype
            or np.array_equal(found, golden)
            or not is_picture(golden)
        ):
            continue
        pairs = list(zip(images(golden), images(found)))
        # Of a stack, the image that differs most.
        e, f = max(pairs, key=lambda pair: float(np.nanmax(np.abs(pair[1] - 1.0 * pair[0]), initial=0.0)))
        rows.append(_compared_panels(name, e, f))
    if rows:
        _draw(case, rows, path)
    return bool(rows)


def _compared_panels(name: str, expected: np.ndarray, found: np.ndarray) -> list[Panel]:
    """Expected and found on one scale, then how far apart they are."""
    difference = found - 1.0 * expected  # booleans cannot be subtracted
    if not np.iscomplexobj(expected):
        style = _style(expected)
        return [
            (f"{name}: expected", expected.astype(float), style),
            ("found", found.astype(float), style),
            ("found - expected", difference, _signed(difference)),
        ]
    scale = {"cmap": _AMPLITUDE, "vmin": 0, "vmax": _largest(expected)}
    turn = np.where(np.abs(expected) > 0, np.angle(found * np.conj(expected)), np.nan)
    return [
        (f"{name}: expected, amplitude", np.abs(expected), scale),
        ("found, amplitude", np.abs(found), scale),
        ("|found - expected|", np.abs(difference), {"cmap": _AMPLITUDE}),
        ("expected, phase (rad)", _phase(expected), _ANGLE),
        ("found, phase (rad)", _phase(found), _ANGLE),
        ("found - expected, phase (rad)", turn, _ANGLE),
    ]


def _panels(name: str, image: np.ndarray) -> list[Panel]:
    if np.iscomplexobj(image):
        return [
            (f"{name}, amplitude", np.abs(image), {"cmap": _AMPLITUDE}),
            ("phase (rad)", _phase(image), _ANGLE),
        ]
    return [(name, image.astype(float), _style(image))]


def _phase(image: np.ndarray) -> np.ndarray:
    return np.where(np.abs(image) > 0, np.angle(image), np.nan)


def _largest(image: np.ndarray) -> float:
    return float(np.max(np.abs(image), where=np.isfinite(image), initial=0.0)) or 1.0


def _signed(image: np.ndarray) -> Style:
    return {"cmap": _SIGNED, "vmin": -_largest(image), "vmax": _largest(image)}


def _style(image: np.ndarray) -> Style:
    return _signed(image) if (image < 0).any() else {"cmap": _AMPLITUDE, "vmin": 0, "vmax": _largest(image)}


def _draw(title: str, rows: Sequence[Sequence[Panel]], path: Path) -> None:
    columns = max(len(row) for row in rows)
    width, height = 3.4 * columns, 3.0 * len(rows) + 0.5
    figure = Figure(figsize=(width, height))
    figure.suptitle(title)
    # Margins in inches, by hand: Matplotlib's layout engines take twice as long as the drawing.
    axes = figure.subplots(
        len(rows),
        columns,
        squeeze=False,
        gridspec_kw={
            "left": 0.45 / width,
            "right": 1 - 0.55 / width,
            "bottom": 0.35 / height,
            "top": 1 - 0.8 / height,
            "wspace": 0.4,
            "hspace": 0.3,
        },
    )
    for row, panels in zip(axes, rows):
        for axis in row[len(panels) :]:
            axis.set_axis_off()
        for axis, (name, image, style) in zip(row, panels):
            shown = axis.imshow(image, interpolation="nearest", **style)
            axis.set_title(name, fontsize=9)
            axis.tick_params(labelsize=7)
            figure.colorbar(shown, ax=axis, fraction=0.046).ax.tick_params(labelsize=7)
    figure.savefig(path, dpi=110)


# ------------------------------------------------------------------------------------------------ bare pixels


@dataclass(frozen=True)
class Pixels:
    """A picture without axes or margins, a pixel per element, and what its colours mean.

    Attributes:
        what: "before", "after", "difference".
        quantity: "amplitude", "phase", "value", with the unit.
        png: the file.
        rows, columns: its size.
        colours: name of the colour map.
        low, high: what its ends mean; both 0 when all is.
        not_finite: how many of its pixels are NaN or infinite, in the colour ``NOT_FINITE``.
        blank: how many are transparent: not compared, or without a phase.
    """

    what: str
    quantity: str
    png: bytes
    rows: int
    columns: int
    colours: str
    low: float
    high: float
    not_finite: int
    blank: int


def one_per_block(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the elements to show of an image: of each block the one with the highest score.

    Blocks are of one element unless a side exceeds ``LARGEST_SIDE``. Real elements, not means, so that a single wrong
    one is neither lost nor diluted.
    """
    height, width = score.shape
    down, across = (-(-side // LARGEST_SIDE) for side in score.shape)
    rows, columns = -(-height // down), -(-width // across)
    padded = np.full((rows * down, columns * across), -1.0)
    padded[:height, :width] = np.where(np.isnan(score), np.inf, score)
    blocks = padded.reshape(rows, down, columns, across).swapaxes(1, 2).reshape(rows, columns, -1)
    best = blocks.argmax(-1)
    return np.arange(rows)[:, None] * down + best // across, np.arange(columns) * across + best % across


def pixels_of(images: Mapping[str, np.ndarray]) -> list[list[Pixels]]:
    """One image or several on one scale: a row of pictures each for amplitude and phase, or one for the values."""
    wide = {what: _wide(image) for what, image in images.items()}
    with np.errstate(all="ignore"):
        if not any(np.iscomplexobj(image) for image in wide.values()):
            style = _style(np.concatenate([image.ravel() for image in wide.values()]))
            return [[_pixels(what, "value", image, style) for what, image in wide.items()]]
        scale = {"cmap": _AMPLITUDE, "vmin": 0, "vmax": max(_largest(np.abs(image)) for image in wide.values())}
        return [
            [_pixels(what, "amplitude", np.abs(image), scale) for what, image in wide.items()],
            [_pixels(what, "phase (rad)", _angle(image), _ANGLE, image == 0) for what, image in wide.items()],
        ]


def difference_pixels(before: np.ndarray, after: np.ndarray, counts: np.ndarray, scale: float) -> list[Pixels]:
    """How far two images are apart, as many pictures as ``pixels_of`` has rows; blank where nothing was compared.

    Args:
        before: an image.
        after: one of its shape.
        counts: which elements are compared.
        scale: of the output that they belong to.
    """
    before, after = _wide(before), _wide(after)
    with np.errstate(all="ignore"):
        difference = after - before
        blank = ~counts & np.isfinite(difference)
        if not np.iscomplexobj(difference):
            seen = difference[~blank] if not blank.all() else difference
            return [_pixels("difference", "value", difference, _signed(seen), blank)]
        turn = np.where(np.isfinite(difference), np.angle(after * np.conj(before)), np.nan)
        weak = np.abs(before) <= _WEAK * scale
        style = {"cmap": _ERROR, "vmin": 0, "vmax": _largest(np.abs(difference[~blank]))}
        seen = turn[~(blank | weak)]
        turned = _signed(seen) if _largest(seen) < np.pi / 2 else _ANGLE  # which knows no end at a half turn
        return [
            _pixels("difference", "modulus", np.abs(difference), style, blank),
            _pixels("difference", "phase (rad)", turn, turned, (blank | weak) & np.isfinite(turn)),
        ]


@cache
def colour_bar(colours: str) -> bytes:
    """A strip of a colour map, from its low to its high end."""
    return _png(np.arange(0, _LEVELS, 4)[None], colours)


_LEVELS = 253
"""Of a colour map, odd to have a middle; two more of a palette are for what has no value and for what is not finite."""


def _wide(image: np.ndarray) -> np.ndarray:
    return image.astype(np.complex128 if np.iscomplexobj(image) else np.float64)


def _angle(image: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(image), np.angle(image), np.nan)  # NumPy gives infinity a direction


def _pixels(
    what: str, quantity: str, image: np.ndarray, style: Mapping[str, object], blank: np.ndarray | None = None
) -> Pixels:
    low, high, colours = float(str(style["vmin"])), float(str(style["vmax"])), str(style["cmap"])
    empty = np.zeros(image.shape, bool) if blank is None else blank
    lost = ~np.isfinite(image) & ~empty
    # A signed scale reaches as far down as up; its extent may be too large for a number.
    share = 0.5 + 0.5 * (image / high) if low < 0 else image / high
    levels = np.rint(np.clip(np.nan_to_num(share), 0, 1) * (_LEVELS - 1)).astype(np.uint8)
    levels[empty], levels[lost] = _LEVELS, _LEVELS + 1
    if not np.any(image, where=~(lost | empty)):
        low = high = 0.0
    return Pixels(
        what,
        quantity,
        _png(levels, colours),
        rows=image.shape[0],
        columns=image.shape[1],
        colours=colours,
        low=low,
        high=high,
        not_finite=int(np.count_nonzero(lost)),
        blank=int(np.count_nonzero(empty)),
    )


def _png(levels: np.ndarray, colours: str) -> bytes:
    picture = Image.fromarray(levels.astype(np.uint8))
    picture.putpalette(_palette(colours))
    stream = io.BytesIO()
    picture.save(stream, "PNG", transparency=_LEVELS, optimize=True)
    return stream.getvalue()


@cache
def _palette(colours: str) -> bytes:
    table = colormaps[colours](np.linspace(0, 1, _LEVELS), bytes=True)[:, :3]
    return bytes(table.astype(np.uint8).tobytes()) + bytes((0, 0, 0)) + bytes(NOT_FINITE)
