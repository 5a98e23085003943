"""A small PNG beside every golden that can be looked at, so that a hosting site's image diff shows what changed.

One row per output: amplitude and phase of its first images, each pixel a square, with the range of the grey scale in
words. What the pixels were drawn from is remembered in the manifest, so they are drawn anew only when that moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from golden.spec.arrays import digest_array, images, is_picture
from golden.spec.errors import GoldenError
from golden.store.golden import Golden
from golden.store.transaction import Transaction

if TYPE_CHECKING:
    from PIL.Image import Image

PAGE = "GALLERY.md"

_SIDE = 160
"""Pixels of a tile: images are enlarged up to it by a whole factor, larger ones keep every second, third, ... pixel."""
_MOST_IMAGES = 3
"""Of a stack."""
_GAP, _LINE = 8, 14
_PAPER = "#e8e8e8"
_NOT_A_NUMBER, _NO_PHASE = "tab:red", _PAPER


def picture_path(fixtures: Path, case: str) -> Path:
    return fixtures / f"{case}.png"


def drawn_from(golden: Golden) -> str:
    """A digest of what is drawn; an empty text when there is nothing to look at."""
    names = _pictures(golden)
    digests = [f"{name} {digest_array(golden.outputs[name])}" for name in names]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if names else ""


def renew(golden: Golden, before: Mapping[str, str], fixtures: Path, change: Transaction) -> dict[str, str]:
    """Draw a golden's picture as part of an update, unless it shows what it did; what the manifest says of it.

    Args:
        golden: the new one.
        before: what the manifest said of its picture, empty where there was none.
        fixtures: the directory.
        change: its update.
    """
    source, name = drawn_from(golden), f"{golden.case}.png"
    if not source:
        if (fixtures / name).exists():
            change.remove(name)
        return {}
    if before.get("drawn_from") == source and not problems(golden, before, fixtures):
        return dict(before)
    staged = change.path_for(name)
    draw(golden, staged)
    return _entry(golden, staged)


def problems(golden: Golden, entry: Mapping[str, Any], fixtures: Path) -> list[str]:
    """What is wrong with a golden's picture; empty when nothing is."""
    path = picture_path(fixtures, golden.case)
    if entry.get("drawn_from", "") != drawn_from(golden):
        return [f"picture {golden.case}: drawn from other values than the golden's"]
    if path.is_file() != bool(entry):
        return [f"picture {golden.case}: its file is {'missing' if entry else 'not in the manifest'}"]
    if entry and _digest(path) != entry.get("sha256"):
        return [f"picture {golden.case}: another file than the manifest lists"]
    return []


def _entry(golden: Golden, path: Path) -> dict[str, str]:
    return {"drawn_from": drawn_from(golden), "sha256": _digest(path)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def draw(golden: Golden, path: Path) -> None:
    """Draw the picture-like outputs of a golden.

    Raises:
        GoldenError: Matplotlib, or Pillow with it, is not installed.
    """
    try:
        from PIL import Image, ImageDraw
    except ModuleNotFoundError:
        raise GoldenError("the gallery needs Matplotlib and Pillow: pip install matplotlib") from None
    rows = [_tiles(name, golden.outputs[name]) for name in _pictures(golden)]
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


def page(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """All pictures under each other, for a browser of the repository; from the manifest's entries."""
    summaries = {case: entry.get("summary") for case, entry in entries.items() if entry.get("picture")}
    lines = ["# Gallery", "", "What the goldens hold: amplitude and phase of their picture-like outputs.", ""]
    for case, summary in sorted(summaries.items()):
        lines += [f"## {case}", "", f"{summary}", "", f"![{case}]({case}.png)", ""]
    return "\n".join(lines)


def _pictures(golden: Golden) -> list[str]:
    return [name for name, array in sorted(golden.outputs.items()) if is_picture(array)]


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
