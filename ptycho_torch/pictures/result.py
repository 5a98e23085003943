"""Draw a reconstruction: amplitude and phase as TensorFlow PtychoPINN draws them, and a comparison with the object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Complex

from ptycho_torch.pictures.style import colormap, default_style
from ptycho_torch.scans.atomic_file import write_atomically


def draw_amplitude(mosaic: Complex[np.ndarray, "S S"], path: str | Path) -> None:
    """Draw the modulus in grey, 8 x 8 inches, with a colour bar.

    Args:
        mosaic: (S, S) complex.
        path: path of the PNG.
    """
    _draw_one(np.abs(mosaic), "reconstructed amplitude", path, cmap="gray")


def draw_phase(
    mosaic: Complex[np.ndarray, "S S"], path: str | Path, vmin: float | None = None, vmax: float | None = None
) -> None:
    """Draw the phase in the colours of viridis, 8 x 8 inches, with a colour bar in radians.

    Args:
        mosaic: (S, S) complex.
        path: path of the PNG.
        vmin: phase of the first colour; None for the minimum, or for -pi if the minimum is not below ``vmax``.
        vmax: phase of the last colour; None for the maximum, or for pi if the maximum is not above ``vmin``.

    Raises:
        ValueError: the first phase is not below the last.
    """
    phase = np.angle(mosaic)
    least = float(phase.min()) if vmin is None else vmin
    largest = float(phase.max()) if vmax is None else vmax
    if vmin is None and not least < largest:
        least = -np.pi
    if vmax is None and not least < largest:
        largest = np.pi
    if not least < largest:
        raise ValueError(f"phase: expected colours from a lower to a higher phase, found {least:g} to {largest:g} rad")
    _draw_one(phase, "reconstructed phase / rad", path, cmap="viridis", vmin=least, vmax=largest)


@default_style()
def draw_comparison(
    mosaic: Complex[np.ndarray, "S S"], known: Complex[np.ndarray, "S S"], mask: np.ndarray, path: str | Path
) -> None:
    """Draw amplitude and phase of a mosaic above those of the known object, on the same scales.

    Args:
        mosaic: (S, S) complex, with the object's global scale and phase.
        known: (S, S) complex, the object in the mosaic's frame.
        mask: (S, S) bool; pixels outside it are left empty.
        path: path of the PNG.
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
    """Show an image with a title and a colour bar; NaN is grey.

    Args:
        axis: Matplotlib axes to draw in.
        image: (H, W).
        title: title of the image.
        how: options of ``imshow``; ``cmap`` by name.
    """
    how["cmap"] = colormap(how["cmap"], bad="0.85")
    drawn = axis.imshow(image, interpolation="nearest", **how)
    axis.set_title(title, fontsize=10)
    axis.tick_params(labelsize=8)
    axis.figure.colorbar(drawn, ax=axis, fraction=0.046, pad=0.03).ax.tick_params(labelsize=8)


@default_style()
def _draw_one(image: np.ndarray, title: str, path: str | Path, **how: Any) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 8))
    show(figure.add_axes((0.06, 0.04, 0.82, 0.92)), image, title, **how)
    with write_atomically(Path(path)) as file:
        figure.savefig(file, format="png")
