"""Draw the small PNG beside a golden, and the large one of ``golden show --picture``.

Each array has a row: amplitude and phase of its first images, enlarged by whole pixels, with the range of the scale as
text.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from golden.report.files import write_whole
from golden.spec.arrays import Arrays, digest_array, images, is_picture
from golden.spec.errors import GoldenError
from golden.store.gallery import outputs_shown
from golden.store.golden import Golden

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE, _LARGE_SIDE = 160, 320
"""Images are enlarged by a whole factor up to this side; of larger ones, every second, third, ... pixel is drawn."""
_MOST_IMAGES = 3
"""Most images of a stack that are drawn."""
_GAP, _LINE = 8, 14
_PAPER = "#e8e8e8"
_VISIBLE = 8
"""Levels (of 256) by which a pixel may differ because of rounding, or a neighbouring colour of the palette."""
_NOT_A_NUMBER, _NO_PHASE = "tab:red", _PAPER


def draw(golden: Golden, path: Path) -> None:
    """Draw the picture-like outputs of a golden, for the PNG beside it.

    Raises:
        GoldenError: Matplotlib, or Pillow with it, is not installed.
    """
    path.write_bytes(_sheet({name: golden.outputs[name] for name in outputs_shown(golden)}, _SIDE))


def drawn_otherwise(golden: Golden, picture: bytes) -> str:
    """Return how a PNG differs from the picture of a golden; "" if it does not.

    Raises:
        GoldenError: Matplotlib, or Pillow with it, is not installed.
    """
    drawn = _sheet({name: golden.outputs[name] for name in outputs_shown(golden)}, _SIDE)
    if picture == drawn:
        return ""
    from PIL import Image

    try:
        expected, found = (Image.open(io.BytesIO(png), formats=("PNG",)) for png in (drawn, picture))
        if found.size == expected.size:  # decode only then
            one, other = (np.asarray(image.convert("RGB"), np.int16) for image in (expected, found))
            differing = int(np.count_nonzero(np.abs(one - other).max(axis=-1) > _VISIBLE))
            how = f"{differing} of its {one[..., 0].size} pixels differ" if differing else ""
        else:
            how = f"it has {found.width} x {found.height} pixels, not {expected.width} x {expected.height}"
    except (OSError, ValueError, SyntaxError, MemoryError) as broken:  # what Pillow raises for a file that is not a PNG
        how = f"it cannot be decoded ({type(broken).__name__})"
    return f"its picture does not show its data: {how}" if how else ""


def draw_inputs_and_outputs(golden: Golden, path: Path) -> None:
    """Draw the inputs and outputs of a golden that are images, larger than in the picture beside it.

    Raises:
        GoldenError: no array can be drawn, Matplotlib is not installed, or the file cannot be written.
    """
    named = {f"input {name}": array for name, array in golden.inputs.items()}
    named |= {f"output {name}": array for name, array in golden.outputs.items()}
    shown = {name: array for name, array in named.items() if is_picture(array)}
    if not shown:
        raise GoldenError(f"golden {golden.case}: it has no array that can be drawn")
    write_whole(path, _sheet(shown, _LARGE_SIDE))


def _sheet(arrays: Arrays, side: int) -> bytes:
    """Draw a row for each array, with its name; an image has at most ``side`` pixels per side. Returns a PNG."""
    try:
        from PIL import Image, ImageDraw
    except ModuleNotFoundError:
        raise GoldenError("pictures need Matplotlib and Pillow: pip install matplotlib") from None
    rows = [_tiles(name, array, side) for name, array in arrays.items()]
    width = max(sum(max(tile.width, _width(text)) + _GAP for text, tile in row) for row in rows) + _GAP
    height = sum(max(tile.height for _, tile in row) + _LINE + _GAP for row in rows) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    top = _GAP
    for row in rows:
        left = _GAP
        for text, tile in row:
            pen.text((left, top), text, fill="black")
            sheet.paste(tile, (left, top + _LINE))
            left += max(tile.width, _width(text)) + _GAP
        top += max(tile.height for _, tile in row) + _LINE + _GAP
    stream = io.BytesIO()
    sheet.quantize(128).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _tiles(name: str, array: np.ndarray, side: int) -> list[tuple[str, Image]]:
    stack, digest = images(array), digest_array(array)[:8]
    tiles: list[tuple[str, Image]] = []
    for number, image in enumerate(stack[:_MOST_IMAGES]):
        which = f"{name} {number + 1}/{len(stack)}" if len(stack) > 1 else name
        # With the digest, the picture also changes with pixels that are not shown.
        which = which if number else f"{which} [{digest}]"
        if np.iscomplexobj(image):
            tiles += [_tile(f"{which}, amplitude", np.abs(image), side), _phase(image, side)]
        else:
            tiles.append(_tile(which, image, side))
    return tiles


def _phase(image: np.ndarray, side: int) -> tuple[str, Image]:
    angles = np.where(image != 0, np.angle(image), np.nan)
    return "phase: -pi to pi", _coloured(angles, -np.pi, np.pi, "twilight", _NO_PHASE, side)


def _tile(text: str, image: np.ndarray, side: int) -> tuple[str, Image]:
    values = image.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    low = min(low, 0.0)
    return f"{text}: {low:.3g} to {high:.3g}", _coloured(values, low, high, "gray", _NOT_A_NUMBER, side)


def _coloured(values: np.ndarray, low: float, high: float, colours: str, bad: str, side: int) -> Image:
    from PIL import Image

    from golden.report.colours import colormap

    step = -(-max(values.shape) // side)
    factor = max(1, side // max(values.shape))
    small = values[::step, ::step].repeat(factor, axis=0).repeat(factor, axis=1)
    drawn = colormap(colours).with_extremes(bad=bad)
    with np.errstate(all="ignore"):
        scaled = (small - low) / ((high - low) or 1.0)
    return Image.fromarray(drawn(scaled, bytes=True)[..., :3])


def _width(text: str) -> int:
    from PIL import ImageFont

    return int(ImageFont.load_default().getlength(text)) + 1
