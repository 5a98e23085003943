"""Pictures of a reconstruction: amplitude and phase as TensorFlow PtychoPINN shows them, and beside the object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Complex

from ptycho_torch.scans.atomic_file import write_atomically


def draw_amplitude(mosaic: Complex[np.ndarray, "S S"], path: str | Path) -> None:
    """The modulus, grey, 8 x 8 inches, with a colour bar.

    Args:
        mosaic: (S, S).
        path: of the PNG.
    """
    _draw_one(np.abs(mosaic), "reconstructed amplitude", path, cmap="gray")


def draw_phase(
    mosaic: Complex[np.ndarray, "S S"], path: str | Path, vmin: float | None = None, vmax: float | None = None
) -> None:
    """The phase, radians, viridis, 8 x 8 inches, with a colour bar.

    Args:
        mosaic: (S, S).
        path: of the PNG.
        vmin: colours begin there; None: at the least value.
        vmax: colours end there; None: at the largest value.
    """
    _draw_one(np.angle(mosaic), "reconstructed phase / rad", path, cmap="viridis", vmin=vmin, vmax=vmax)


def draw_comparison(
    mosaic: Complex[np.ndarray, "S S"], known: Complex[np.ndarray, "S S"], mask: np.ndarray, path: str | Path
) -> None:
    """Amplitude and phase of a mosaic above those of the object that it should show, in one frame and on one scale.

    Args:
        mosaic: (S, S), its global scale and phase as they are to be shown.
        known: (S, S).
        mask: (S, S) bool; what lies outside is left empty.
        path: of the PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 8.5))
    margins = {"left": 0.05, "right": 0.94, "bottom": 0.04, "top": 0.96, "hspace": 0.12, "wspace": 0.2}
    axes = figure.subplots(2, 2, sharex=True, sharey=True, gridspec_kw=margins)
    brightest = float(np.quantile(np.abs(known[mask]), 0.999))
    for row, (image, name) in zip(axes, ((mosaic, "reconstructed"), (known, "objectGuess"))):
        amplitude, phase = (np.where(mask, part, np.nan) for part in (np.abs(image), np.angle(image)))
        show(row[0], amplitude, f"{name}, amplitude", cmap="gray", vmin=0, vmax=brightest)
        show(row[1], phase, f"{name}, phase / rad", cmap="twilight", vmin=-np.pi, vmax=np.pi)
    with write_atomically(Path(path)) as file:
        figure.savefig(file, format="png", dpi=100)


def show(axis: Any, image: np.ndarray, title: str, **how: Any) -> None:
    """An image with a title and a colour bar; grey where it is NaN.

    Args:
        axis: Matplotlib's.
        image: (H, W).
        title: of it.
        how: as of ``imshow``; ``cmap`` by name.
    """
    from matplotlib import colormaps

    how["cmap"] = colormaps[how["cmap"]].with_extremes(bad="0.85")
    drawn = axis.imshow(image, interpolation="nearest", **how)
    axis.set_title(title, fontsize=10)
    axis.tick_params(labelsize=8)
    axis.figure.colorbar(drawn, ax=axis, fraction=0.046, pad=0.03).ax.tick_params(labelsize=8)


def _draw_one(image: np.ndarray, title: str, path: str | Path, **how: Any) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 8))
    show(figure.add_axes((0.06, 0.04, 0.82, 0.92)), image, title, **how)
    with write_atomically(Path(path)) as file:
        figure.savefig(file, format="png")
