"""Draw arrays as pictures for a page: a pixel per element, without axes. Takes no numeric decision."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image  # a dependency of Matplotlib

from golden.report.colours import colormap

_AMPLITUDE, _PHASE, _SIGNED, _ERROR = "gray", "twilight", "RdBu_r", "magma"
_WEAK = 1e-3
"""As in the comparison, the phase of an element below this share of its output's scale is ignored."""
_LEVELS = 253
"""Colours of a palette: an odd number, so that there is a middle. Two more are for blank and for not finite pixels."""

LARGEST_SIDE = 512
"""Most pixels of a side. A larger array is cut into blocks, and one element of each is shown."""
NOT_FINITE = (0, 220, 90)
"""The colour of NaN and infinity, which no colour map here contains."""


@dataclass(frozen=True)
class _Scale:
    """A colour map and the values at its ends."""

    colours: str
    low: float
    high: float


_HALF_TURNS = _Scale(_PHASE, -np.pi, np.pi)


@dataclass(frozen=True)
class Picture:
    """An array, as a page shows it.

    Attributes:
        role: "first", "second", or "difference".
        quantity: "amplitude", "phase", "modulus", or "value", with the unit.
        webp: the file, lossless.
        rows, columns: its size in pixels.
        colours: name of the colour map.
        low, high: the values at its ends; both 0 if all values are 0.
        not_finite: how many pixels are NaN or infinite; they have the colour ``NOT_FINITE``.
        blank: how many pixels are transparent: not compared, or without a phase.
    """

    role: str
    quantity: str
    webp: bytes
    rows: int
    columns: int
    colours: str
    low: float
    high: float
    not_finite: int
    blank: int


def one_per_block(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose the elements of an image (H, W) to show: from each block the one with the highest score.

    Blocks have one element unless a side exceeds ``LARGEST_SIDE``. Elements are shown, not means, so that a single
    wrong one is neither lost nor diluted.

    Returns:
        Their rows and columns, (h, w) each.
    """
    height, width = score.shape
    down, across = (-(-side // LARGEST_SIDE) for side in score.shape)
    rows, columns = -(-height // down), -(-width // across)
    padded = np.full((rows * down, columns * across), -1.0)
    padded[:height, :width] = np.where(np.isnan(score), np.inf, score)
    blocks = padded.reshape(rows, down, columns, across).swapaxes(1, 2).reshape(rows, columns, -1)
    best = blocks.argmax(-1)
    return np.arange(rows)[:, None] * down + best // across, np.arange(columns) * across + best % across


def pictures(images: Mapping[str, np.ndarray], tolerance: float = 0.0) -> list[list[Picture]]:
    """Draw images on one scale, by role: a row of pictures for the values, or one for amplitude and one for phase.

    Args:
        images: (H, W) each.
        tolerance: how far an element may be off; a smaller element is drawn without a phase.
    """
    wide = {role: _wide(image) for role, image in images.items()}
    with np.errstate(all="ignore"):
        if not any(np.iscomplexobj(image) for image in wide.values()):
            scale = _scale(np.concatenate([image.ravel() for image in wide.values()]), tolerance)
            return [[_picture(role, "value", image, scale) for role, image in wide.items()]]
        scale = _Scale(_AMPLITUDE, 0, max(_largest(np.abs(image), tolerance) for image in wide.values()))
        return [
            [_picture(role, "amplitude", np.abs(image), scale) for role, image in wide.items()],
            [
                _picture(role, "phase (rad)", _angle(image), _HALF_TURNS, np.abs(image) <= tolerance)
                for role, image in wide.items()
            ],
        ]


def difference_pictures(
    first: np.ndarray, second: np.ndarray, counts: np.ndarray, scale: float, tolerance: np.ndarray
) -> list[Picture]:
    """Draw the difference of two images, blank where nothing is compared: a picture for each row of ``pictures``.

    A scale never ends below the tolerance, so that rounding does not look like a difference.

    Args:
        first: (H, W).
        second: of its shape.
        counts: (H, W) bool, the elements that are compared.
        scale: of the whole output.
        tolerance: (H, W), how far each element may be off.
    """
    first, second = _wide(first), _wide(second)
    with np.errstate(all="ignore"):
        difference = second - first
        blank = ~counts & np.isfinite(difference)
        if not np.iscomplexobj(difference):
            seen = difference[~blank] if not blank.all() else difference
            return [_picture("difference", "value", difference, _signed(seen, _most(tolerance[~blank])), blank)]
        turn = np.where(np.isfinite(difference), np.angle(second * np.conj(first)), np.nan)
        weak = np.abs(first) <= _WEAK * scale
        modulus = _Scale(_ERROR, 0, _largest(np.abs(difference[~blank]), _most(tolerance[~blank])))
        seen = turn[~(blank | weak)]
        least = _most((tolerance / np.abs(first))[~(blank | weak)])
        # +pi and -pi are the same phase: a cyclic colour map joins them, a signed one does not.
        turned = _signed(seen, least) if _largest(seen, least) < np.pi / 2 else _HALF_TURNS
        return [
            _picture("difference", "modulus", np.abs(difference), modulus, blank),
            _picture("difference", "phase (rad)", turn, turned, (blank | weak) & np.isfinite(turn)),
        ]


def colour_rules() -> str:
    """Return the CSS of the colour bars: a class per colour map, and one for elements that are not finite."""
    rules = []
    for colours in (_AMPLITUDE, _PHASE, _SIGNED, _ERROR):
        stops = colormap(colours)(np.linspace(0, 1, 17), bytes=True)[:, :3]
        rules.append(f".{colours} {{ background: linear-gradient(90deg, {', '.join(map(_hex, stops))}); }}")
    return "\n".join([*rules, f".not-finite {{ background: {_hex(NOT_FINITE)}; }}"])


def palettes() -> dict[str, str]:
    """Return the colours of each colour map, from the lowest value to the highest, as hexadecimal digits."""
    return {
        colours: _palette(colours)[:_LEVELS, :3].tobytes().hex() for colours in (_AMPLITUDE, _PHASE, _SIGNED, _ERROR)
    }


def _hex(colour: np.ndarray | tuple[int, ...]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _wide(image: np.ndarray) -> np.ndarray:
    return image.astype(np.complex128 if np.iscomplexobj(image) else np.float64)


def _angle(image: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(image), np.angle(image), np.nan)  # NumPy gives infinity a direction


def _most(image: np.ndarray) -> float:
    return float(np.max(np.abs(image), where=np.isfinite(image), initial=0.0))


def _largest(image: np.ndarray, least: float = 0.0) -> float:
    """Return the end of a scale: the largest value, but not below ``least``."""
    return max(_most(image), least) or 1.0


def _signed(image: np.ndarray, least: float = 0.0) -> _Scale:
    largest = _largest(image, least)
    return _Scale(_SIGNED, -largest, largest)


def _scale(image: np.ndarray, least: float) -> _Scale:
    return _signed(image, least) if (image < 0).any() else _Scale(_AMPLITUDE, 0, _largest(image, least))


def _picture(role: str, quantity: str, image: np.ndarray, scale: _Scale, blank: np.ndarray | None = None) -> Picture:
    empty = np.zeros(image.shape, bool) if blank is None else blank
    lost = ~np.isfinite(image) & ~empty
    # A signed scale is symmetric; its length might overflow.
    share = 0.5 + 0.5 * (image / scale.high) if scale.low < 0 else image / scale.high
    levels = np.rint(np.clip(np.nan_to_num(share), 0, 1) * (_LEVELS - 1)).astype(np.uint8)
    levels[empty], levels[lost] = _LEVELS, _LEVELS + 1
    is_zero = not np.any(image, where=~(lost | empty))
    return Picture(
        role,
        quantity,
        _webp(levels, scale.colours),
        rows=image.shape[0],
        columns=image.shape[1],
        colours=scale.colours,
        low=0.0 if is_zero else scale.low,
        high=0.0 if is_zero else scale.high,
        not_finite=int(np.count_nonzero(lost)),
        blank=int(np.count_nonzero(empty)),
    )


def _webp(levels: np.ndarray, colours: str) -> bytes:
    """Return the picture as lossless WebP, half the size of a PNG."""
    stream = io.BytesIO()
    Image.fromarray(_palette(colours)[levels]).save(stream, "WEBP", lossless=True, method=3, quality=50)
    return stream.getvalue()


@cache
def _palette(colours: str) -> np.ndarray:
    """Return a palette, (256, 4) uint8: the colour map, then transparent, then ``NOT_FINITE``."""
    palette = np.zeros((256, 4), np.uint8)
    palette[:_LEVELS] = colormap(colours)(np.linspace(0, 1, _LEVELS), bytes=True)
    palette[_LEVELS + 1] = (*NOT_FINITE, 255)
    return palette
