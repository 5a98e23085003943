"""Draw a scan: object, positions, probe and measured patterns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptycho_torch.operators.reassembly import LARGEST_SIDE
from ptycho_torch.pictures.style import colormap, default_style
from ptycho_torch.scans.atomic_file import write_atomically
from ptycho_torch.scans.scan import Scan
from ptycho_torch.scans.specimen import probe_diameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = 3
"""Number of single patterns in the picture."""


@default_style()
def draw_scan(scan: Scan, path: str | Path) -> None:
    """Draw a scan into a PNG: object (if it is known), positions, distribution of the light, probe, patterns.

    Args:
        scan: a simulated or measured scan.
        path: path of the picture, ending in ``.png``.

    Raises:
        ValueError: the path has another suffix, or positions are too far apart.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"picture {path}: expected a name that ends in .png")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 6.4))
    figure.suptitle(_headline(scan), fontsize=11, parse_math=False)
    places = 1 if scan.object_guess is None else 3
    # Set the layout by hand, because Matplotlib's automatic layout takes longer than the drawing.
    above = figure.add_gridspec(1, places, left=0.05, right=0.93, bottom=0.42, top=0.92, wspace=0.27)
    below = figure.add_gridspec(1, 3 + _SHOWN, left=0.03, right=0.965, bottom=0.03, top=0.34, wspace=0.45)
    _draw_places(_row(above.subplots(sharex=True, sharey=True)), scan)
    _draw_light(_row(below.subplots()), scan)
    with write_atomically(path) as file:
        figure.savefig(file, format="png", dpi=110)


def _row(subplots: Any) -> list[Axes]:
    return list(np.atleast_1d(subplots))


def light(scan: Scan) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Sum the probe's intensity over all positions, rounded to whole pixels.

    Returns:
        The sum (H, W) float64, and its extent (left, right, bottom, top) in object pixels, for Matplotlib.

    Raises:
        ValueError: positions are too far apart.
    """
    N = len(scan.probe)
    intensity = np.square(np.abs(scan.probe, dtype=np.float64))
    corner = np.rint(scan.positions).astype(int) - N // 2
    left, top = corner.min(axis=0)
    width, height = corner.max(axis=0) - (left, top) + N
    if max(width, height) > LARGEST_SIDE:
        raise ValueError(
            f"positions: expected them within {LARGEST_SIDE} pixels, found {max(width, height):.3g}. Give positions "
            f"in pixels of the object, not in metres or nanometres"
        )
    total = np.zeros((height, width))
    for x, y in corner - (left, top):
        total[y : y + N, x : x + N] += intensity
    return total, (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)


def _headline(scan: Scan) -> str:
    M, N, _ = scan.diffraction.shape
    each = (scan.patterns(slice(which, which + 1)) for which in range(M))
    photons = float(np.mean([np.square(pattern, dtype=np.float64).sum() for pattern in each]))
    # Matplotlib's texts must be UTF-8; a file name need not be.
    name = f"{scan.source.name}: ".encode(errors="backslashreplace").decode() if scan.source else ""
    wide = f"probe {probe_diameter(scan.probe):.1f} px wide"
    return f"{name}{M} patterns of {N} x {N}, {photons:,.0f} photons in each, {wide}"


def _draw_places(axes: list[Axes], scan: Scan) -> None:
    lit, extent = light(scan)
    target = scan.object_guess
    if target is not None:
        _picture(axes[0], np.abs(target), "object, amplitude", cmap="gray", vmin=0)
        _picture(axes[1], np.angle(target), "object, phase / rad", cmap="twilight", vmin=-np.pi, vmax=np.pi)
    shown = np.where(lit > 0.01 * lit.max(), lit, np.nan)
    _picture(axes[-1], shown, "light, photons per pixel; positions, first x", cmap="magma", vmin=0, extent=extent)
    x, y = scan.positions.T
    axes[-1].scatter(x, y, s=2, color="black", linewidths=0)
    axes[-1].plot(*scan.positions[0], "x", color="tab:blue", markersize=7, markeredgewidth=2)
    for axis in axes:
        axis.set_xlabel("x: column", fontsize=8)
    axes[0].set_ylabel("y: row", fontsize=8)


def _draw_light(axes: list[Axes], scan: Scan) -> None:
    modulus = np.abs(scan.probe)
    phase = np.where(modulus > 0.02 * modulus.max(), np.angle(scan.probe), np.nan)
    _picture(axes[0], modulus, "probe, amplitude", cmap="viridis", vmin=0)
    _picture(axes[1], phase, "probe, phase / rad", cmap="twilight", vmin=-np.pi, vmax=np.pi)
    mean = np.mean(np.square(scan.patterns(), dtype=np.float64), axis=0)
    _picture(axes[2], _decades(mean, 1 / len(scan)), "mean photons, log10", cmap="inferno")
    for axis, which in zip(axes[3:], np.linspace(0, len(scan) - 1, _SHOWN).astype(int)):
        photons = np.square(scan.patterns([which])[0], dtype=np.float64)
        _picture(axis, _decades(photons, 1.0), f"pattern {which}, log10 photons", cmap="inferno")


def _decades(photons: np.ndarray, least: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(photons >= 0.999 * least, np.log10(photons), np.nan))


def _picture(axis: Axes, image: np.ndarray, title: str, **how: Any) -> None:
    how["cmap"] = colormap(how["cmap"], bad="0.88")
    drawn = axis.imshow(image, interpolation="nearest", **how)
    axis.set_title(title, fontsize=9)
    axis.tick_params(labelsize=7)
    beside = axis.inset_axes((1.03, 0, 0.05, 1))
    axis.figure.colorbar(drawn, cax=beside).ax.tick_params(labelsize=7)
