"""Draw docs/beamline.png: a scan through Ptychodus, the port, and Ptychodus again.

    python -m docs.beamline --python PYTHON      (one with Ptychodus: .venv-ptychodus/bin/python after make ptychodus)

The scan is the embedded one, with three modes and bad pixels. Training the port takes some minutes.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import h5py
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from golden.ptychopinn.simulation.embedded import as_ptychopinn, embedded
from ptycho_torch.scans.scan import load_scan

DOCS = Path(__file__).resolve().parent
CLIENT = DOCS.parent / "tests" / "external" / "ptychodus_client.py"


def run(*command: object) -> None:
    """Run a command; raise an error if it fails."""
    subprocess.run(list(map(str, command)), check=True)


def reconstruct(python: Path, directory: Path, epochs: int) -> tuple[Path, Path, Path]:
    """Return the paths of Ptychodus's training data, our product, and what Ptychodus reads from the product."""
    own, scan = directory / "embedded.npz", directory / "files" / "3-modes-bad-pixels.h5"
    np.savez(own, **as_ptychopinn())  # type: ignore[arg-type]
    run(python, CLIENT, "write", own, directory / "files")
    port, product, read = [sys.executable, "-m"], directory / "product.h5", directory / "read.npz"
    same = ("--measurement", "counts", "--n_images", 1000)
    train = ("--train_data_file", scan, "--output_dir", directory / "trained", "--max_epochs", epochs)
    run(*port, "ptycho_torch.train", *train, "--n_filters_scale", 1, *same)
    infer = ("--model_path", directory / "trained", "--test_data", scan, "--output_dir", directory / "result")
    run(*port, "ptycho_torch.inference", *infer, "--product", product, *same)
    run(python, CLIENT, "read", product, read)
    return scan, product, read


def draw(scan_file: Path, product_file: Path, read_file: Path) -> Figure:
    """Draw the path of a scan in five pictures."""
    figure = Figure(figsize=(13, 3.5), layout="constrained")
    axes = figure.subplots(1, 5, width_ratios=[1, 1, 1.35, 1, 1])
    with h5py.File(scan_file) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts, bad, modes = file["patterns"][0], file["bad_pixels"][()], file["probe"][()]
        scan = load_scan(scan_file)
    pattern(axes[0], counts, bad)
    energies = np.square(np.abs(modes)).sum(axis=(1, 2))
    axes[1].imshow(np.abs(scan.probe), cmap="viridis")
    axes[1].set_title(
        f"load_scan: the strongest of {len(modes)}\nmodes, {energies.max() / energies.sum():.0%} of the light",
        fontsize=9,
    )
    with h5py.File(product_file) as file, np.load(read_file) as read:
        target, patches, positions = file["object"][0], read["patches"], read["positions_m"]
        attributes = dict(file["object"].attrs)
        indexes = read["indexes"]
    mosaic(axes[2], target, attributes, positions)
    which = int(np.argmin(np.abs(positions - positions.mean(axis=0)).sum(axis=1)))
    axes[3].imshow(np.abs(patches[which]), cmap="gray")
    axes[3].set_title(f"Ptychodus: the object cut at\nposition {indexes[which]} of the product", fontsize=9)
    x, y = np.round(embedded("positions")[indexes[which]]).astype(int) - 32
    axes[4].imshow(np.abs(embedded("object"))[y : y + 64, x : x + 64], cmap="gray")
    axes[4].set_title("the true object there\n(not used in training)", fontsize=9)
    for axis in (axes[0], axes[1], axes[3], axes[4]):
        axis.set(xticks=[], yticks=[])
    return figure


def pattern(axis: Axes, counts: np.ndarray, bad: np.ndarray) -> None:
    """Draw counts, and bad pixels in blue."""
    axis.imshow(np.log10(counts + 1.0), cmap="inferno")
    overlay = np.zeros((*bad.shape, 4))
    overlay[bad] = (0.2, 0.8, 1, 1)
    axis.imshow(overlay)
    axis.set_title("Ptychodus's HDF5: counts,\nbad pixels (blue)", fontsize=9)


def mosaic(axis: Axes, target: np.ndarray, attributes: dict[str, float], positions: np.ndarray) -> None:
    """Draw a product's object in micrometres, with its positions."""
    size = np.array([attributes["pixel_width_m"], attributes["pixel_height_m"]]) * target.shape[::-1]
    centre = np.array([attributes["center_x_m"], attributes["center_y_m"]])
    (left, top), (right, bottom) = (centre - size / 2) * 1e6, (centre + size / 2) * 1e6
    axis.imshow(np.abs(target), cmap="gray", extent=(left, right, bottom, top))
    axis.plot(*positions.T * 1e6, ".", color="tab:orange", markersize=1)
    axis.set(xlabel="x / µm", ylabel="y / µm")
    axis.tick_params(labelsize=7)
    axis.set_title("inference --product: amplitude,\nand positions", fontsize=9)


@click.command()
@click.option("--python", type=click.Path(path_type=Path, exists=True), required=True, help="Python with Ptychodus.")
@click.option("--epochs", default=20, show_default=True)
def main(python: Path, epochs: int) -> None:
    """Draw docs/beamline.png."""
    with TemporaryDirectory() as directory:
        figure = draw(*reconstruct(python, Path(directory), epochs))
    figure.savefig(DOCS / "beamline.png", dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
