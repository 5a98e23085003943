"""Pictures of goldens and of failures. Decides nothing numeric; Matplotlib only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from golden.case import Arrays
from golden.store import Golden

_AMPLITUDE, _PHASE, _SIGNED = "gray", "twilight", "RdBu_r"
_MOST_IMAGES = 4


def is_picture(array: np.ndarray) -> bool:
    """Whether an array can be looked at: numbers, with rows and columns of at least 4 pixels."""
    return array.dtype.kind in "bfc" and bool(_images(array))


def draw_golden(golden: Golden, path: Path) -> None:
    """The picture-like inputs and outputs of a golden: amplitude, and phase where they are complex.

    Raises:
        ValueError: it holds nothing that can be looked at.
    """
    named = [(f"input {name}", array) for name, array in golden.inputs.items()]
    named += [(f"output {name}", array) for name, array in golden.outputs.items()]
    rows = [_panels(name, _images(array)[0]) for name, array in named if is_picture(array)]
    if not rows:
        raise ValueError(f"golden {golden.case}: nothing in it is a picture")
    _draw(golden.case, rows, path)


def draw_failure(case: str, expected: Arrays, actual: Arrays, path: Path) -> bool:
    """Expected, found and difference of every output that differs in values; False when none can be drawn."""
    rows = []
    for name, golden in expected.items():
        found = actual.get(name)
        if found is None or found.shape != golden.shape or np.array_equal(found, golden) or not is_picture(golden):
            continue
        pairs = list(zip(_images(golden), _images(found)))
        # Of a stack, the image that differs most.
        e, f = max(pairs, key=lambda pair: float(np.nanmax(np.abs(pair[1] - 1.0 * pair[0]), initial=0.0)))
        rows.append(_panels(f"{name}: expected", e) + _panels("found", f) + _panels("difference", f - 1.0 * e))
    if rows:
        _draw(case, rows, path)
    return bool(rows)


def _images(array: np.ndarray) -> list[np.ndarray]:
    """Up to four (rows, columns) images of an array whose other axes count images or channels."""
    large = [axis for axis, length in enumerate(array.shape) if length >= 4]
    if array.ndim < 2 or len(large) < 2:
        return []
    # The image axes are neighbours in every layout used: (n, N, N, C), (S, S, 1), (N, N).
    rows = next((axis for axis in reversed(large) if axis - 1 in large and axis < max(array.ndim, 2)), None)
    if rows is None:
        return []
    if array.ndim == 4:
        rows = 2
    stacked = np.moveaxis(array, (rows - 1, rows), (-2, -1)).reshape(-1, *array.shape[rows - 1 : rows + 1])
    return list(stacked[:_MOST_IMAGES])


def _panels(name: str, image: np.ndarray) -> list[tuple[str, np.ndarray, dict[str, object]]]:
    if np.iscomplexobj(image):
        phase = np.where(np.abs(image) > 0, np.angle(image), np.nan)
        return [
            (f"{name}, amplitude", np.abs(image), {"cmap": _AMPLITUDE}),
            ("phase (rad)", phase, {"cmap": _PHASE, "vmin": -np.pi, "vmax": np.pi}),
        ]
    values = image.astype(float)
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    signed = {"cmap": _SIGNED, "vmin": -largest, "vmax": largest}
    return [(name, values, signed if (values < 0).any() else {"cmap": _AMPLITUDE})]


def _draw(title: str, rows: Sequence[Sequence[tuple[str, np.ndarray, dict[str, object]]]], path: Path) -> None:
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
