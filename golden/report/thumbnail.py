"""Drawing the small PNG that lies beside a golden.

One row per output: amplitude and phase of its first images, each pixel a square, with the range of the grey scale in
words.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from golden.spec.arrays import digest_array, images
from golden.spec.errors import GoldenError
from golden.store.gallery import outputs_shown
from golden.store.golden import Golden

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE = 160
"""Pixels of a tile: images are enlarged up to it by a whole factor, larger ones keep every second, third, ... pixel."""
_MOST_IMAGES = 3
"""Images of a stack that are drawn."""
_GAP, _LINE = 8, 14
_PAPER = "#e8e8e8"
_NOT_A_NUMBER, _NO_PHASE = "tab:red", _PAPER


def draw(golden: Golden, path: Path) -> None:
    """Draw the picture-like outputs of a golden.

    Raises:
        GoldenError: Matplotlib, or Pillow with it, is not installed.
    """
    try:
        from PIL import Image, ImageDraw
    except ModuleNotFoundError:
        raise GoldenError("the gallery needs Matplotlib and Pillow: pip install matplotlib") from None
    rows = [_tiles(name, golden.outputs[name]) for name in outputs_shown(golden)]
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
    sheet.quantize(128).save(path, optimize=True)


def _tiles(name: str, array: np.ndarray) -> list[tuple[str, Image]]:
    stack, digest = images(array), digest_array(array)[:8]
    tiles: list[tuple[str, Image]] = []
    for number, image in enumerate(stack[:_MOST_IMAGES]):
        which = f"{name} {number + 1}/{len(stack)}" if len(stack) > 1 else name
        which = which if number else f"{which} [{digest}]"  # changes with pixels that are not shown, too
        if np.iscomplexobj(image):
            tiles += [_tile(f"{which}, amplitude", np.abs(image)), _phase(image)]
        else:
            tiles.append(_tile(which, image))
    return tiles


def _phase(image: np.ndarray) -> tuple[str, Image]:
    angles = np.where(image != 0, np.angle(image), np.nan)
    return "phase: -pi to pi", _coloured(angles, -np.pi, np.pi, "twilight", _NO_PHASE)


def _tile(text: str, image: np.ndarray) -> tuple[str, Image]:
    values = image.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    low = min(low, 0.0)
    return f"{text}: {low:.3g} to {high:.3g}", _coloured(values, low, high, "gray", _NOT_A_NUMBER)


def _coloured(values: np.ndarray, low: float, high: float, colours: str, bad: str) -> Image:
    from matplotlib import colormaps
    from PIL import Image

    step = -(-max(values.shape) // _SIDE)
    factor = max(1, _SIDE // max(values.shape))
    small = values[::step, ::step].repeat(factor, axis=0).repeat(factor, axis=1)
    colormap = colormaps[colours].with_extremes(bad=bad)
    with np.errstate(all="ignore"):
        scaled = (small - low) / ((high - low) or 1.0)
    return Image.fromarray(colormap(scaled, bytes=True)[..., :3])


def _width(text: str) -> int:
    from PIL import ImageFont

    return int(ImageFont.load_default().getlength(text)) + 1
