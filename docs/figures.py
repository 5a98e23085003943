"""Redraw the figures of README.md and docs/: ``python docs/figures.py``.

They are drawn from goldens, so they show what TensorFlow computed, and from the embedded scan.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from golden.ptychopinn.reassembly.cases import cut_patches
from golden.ptychopinn.simulation import embedded
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden
from ptycho_torch.pictures.scan import draw_scan
from ptycho_torch.pictures.style import default_style
from ptycho_torch.scans.scan import load_scan

DOCS = Path(__file__).resolve().parent
FIXTURES = DOCS.parent / "golden" / "fixtures"
M, N = 20, 64


def read(case: str) -> Golden:
    return read_golden(golden_path(FIXTURES, case))


def mosaic_figure() -> None:
    golden = read("reassembly/scan_photograph")
    object_, positions = golden.inputs["object"], golden.inputs["positions"].reshape(-1, 2)
    covered = golden.where["mosaic"][..., 0]
    mosaic = np.where(covered, golden.outputs["mosaic"][..., 0], np.nan)
    figure = Figure(figsize=(11, 3.1), layout="constrained")
    axes = figure.subplots(1, 4)
    axes[0].imshow(np.abs(object_), cmap="gray", vmin=0, vmax=1)
    axes[0].plot(*positions.T, ".", color="tab:orange", markersize=2)
    axes[0].set_title("object and 240 positions", fontsize=9)
    axes[1].imshow(golden.outputs["count"][..., 0], cmap="viridis")
    axes[1].set_title("overlap count", fontsize=9)
    axes[2].imshow(np.abs(mosaic), cmap="gray", vmin=0, vmax=1)
    axes[2].set_title("mosaic, amplitude", fontsize=9)
    axes[3].imshow(np.angle(mosaic), cmap="twilight", vmin=-np.pi, vmax=np.pi)
    axes[3].set_title("mosaic, phase", fontsize=9)
    for axis in axes:
        axis.tick_params(labelsize=7)
    figure.savefig(DOCS / "mosaic.png", dpi=110)


def conventions_figure() -> None:
    golden = read("reassembly/scan_photograph")
    object_, positions = golden.inputs["object"], golden.inputs["positions"].reshape(-1, 2)
    chosen = np.array([np.argmin(np.abs(positions - spot).sum(axis=1)) for spot in ((95, 62), (128, 100))])
    mean = positions.mean(axis=0)
    patches = cut_patches({"object": object_, "positions": positions[chosen]}, {"N": N})["patches"][..., 0]
    mosaic, side = golden.outputs["mosaic"][..., 0], int(golden.outputs["canvas_side"])
    colours = ("tab:orange", "tab:cyan")

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 4)
    axes[0].imshow(np.abs(object_), cmap="gray", vmin=0, vmax=1)
    for (x, y), colour in zip(positions[chosen], colours):
        frame(axes[0], x - N // 2, y - N // 2, N, colour)
        axes[0].plot(x, y, "o", color=colour, markersize=4)
    axes[0].plot(*mean, "+", color="white", markersize=9)
    axes[0].set(xlabel="x: column", ylabel="y: row")
    axes[0].set_title("position = [x, y] of a patch's\ncentre; + is the scan's mean", fontsize=9)
    for axis, patch, colour in zip(axes[1:3], patches, colours):
        axis.imshow(np.abs(patch), cmap="gray", vmin=0, vmax=1)
        axis.plot(N // 2, N // 2, "o", color=colour, markersize=4)
        frame(axis, N // 2 - M // 2, N // 2 - M // 2, M, colour)
        axis.set_title(f"patch, N = {N}; centre [{N // 2}, {N // 2}]\ncentral crop, M = {M}", fontsize=9)
    axes[3].imshow(np.abs(mosaic), cmap="gray", vmin=0, vmax=1)
    for (x, y), colour in zip(positions[chosen] - mean + side / 2, colours):
        axes[3].annotate("", (x, y), (side / 2, side / 2), arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.5})
        frame(axes[3], x - M // 2, y - M // 2, M, colour)
    axes[3].plot(side / 2, side / 2, "+", color="white", markersize=9)
    axes[3].set_title("canvas: each crop moved by\n+(position - mean)", fontsize=9)
    for axis in axes:
        axis.tick_params(labelsize=7)
    figure.savefig(DOCS / "conventions.png", dpi=110)


def frame(axis: Axes, x: float, y: float, side: int, colour: str) -> None:
    axis.add_patch(Rectangle((x - 0.5, y - 0.5), side, side, fill=False, color=colour, lw=1.5))


def embedded_figure() -> None:
    with TemporaryDirectory() as directory:
        np.savez(f"{directory}/embedded_scan.npz", **embedded.as_ptychopinn())
        draw_scan(load_scan(f"{directory}/embedded_scan.npz"), DOCS / "embedded.png")


if __name__ == "__main__":
    with default_style():
        mosaic_figure()
        conventions_figure()
        embedded_figure()
