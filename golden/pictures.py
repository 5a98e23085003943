"""Pictures of goldens and of failures. Decides nothing numeric; Matplotlib only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from golden.case import Arrays
from golden.images import images, is_picture
from golden.store import Golden

_AMPLITUDE, _PHASE, _SIGNED = "gray", "twilight", "RdBu_r"
_ANGLE = {"cmap": _PHASE, "vmin": -np.pi, "vmax": np.pi}

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
