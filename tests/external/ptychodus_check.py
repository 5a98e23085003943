"""Check scan files and products with a real client: Ptychodus writes, the port trains and infers, Ptychodus reads.

    make ptychodus      (or: python -m tests.external.ptychodus_check --python PYTHON, one with Ptychodus)

For both formats, one and three modes, without and with bad pixels, it compares:

* the scan as read, with our own NPZ of the same scan: largest difference of patterns (good pixels), positions, probe;
* two epochs and an inference, with those of our own NPZ with the same bad pixels: correlation and shift of mosaics;
* the product as Ptychodus reads it: largest difference of the patches that it cuts at its positions from those of our
  mosaic at ours, and of its positions from those that it reads from the scan file itself.

The orientation is checked with the object's own patches, because after two epochs a mosaic shows too little.
The scan is the embedded one, and the measured star if PTYCHO_GOLDEN_DATA names the directory with
``data/siemens_star_516.npz``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.ndimage import map_coordinates

from golden.ptychopinn.simulation.embedded import as_ptychopinn
from ptycho_torch.checks.registration import register
from ptycho_torch.files.product import make_product, save_product
from ptycho_torch.operators.ground_truth import patches_at
from ptycho_torch.reconstruction import CROP, stitch
from ptycho_torch.scans.ptychodus import Geometry
from ptycho_torch.scans.scan import Scan, load_scan
from tests.torch.orientation import best_orientation

CLIENT = Path(__file__).with_name("ptychodus_client.py")
LARGEST = {"X": 0.0, "positions": 1e-9, "probe": 0.0, "shift": 0.01, "patches": 1e-6, "metres": 1e-15}
"""Limits: X and probe in their own units, positions and shifts in pixels, patches relative, positions in m."""
LEAST_CORRELATION = 0.9999
LEAST_LIKENESS = 0.9
"""Least correlation of the object's own patches with those that Ptychodus cuts from a product of them."""


@dataclass(frozen=True)
class Client:
    """Ptychodus in its own environment."""

    python: Path

    def call(self, *arguments: object) -> None:
        """Run a command of the client."""
        subprocess.run([str(self.python), str(CLIENT), *map(str, arguments)], check=True)


def run(program: str, *options: object) -> None:
    """Run a program of the port."""
    command = [sys.executable, "-m", f"ptycho_torch.{program}", *map(str, options)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")


def reconstruct(scan: Path, directory: Path, images: int, product: Path | None = None) -> Path:
    """Train for two epochs on a scan and reconstruct it; return the path of the result."""
    same = ("--accelerator", "cpu", "--n_images", images)
    out = ("--output_dir", directory / "trained", "--max_epochs", 2, "--n_filters_scale", 1, "--batch_size", 8)
    run("train", "--train_data_file", scan, *out, *same)
    asked = () if product is None else ("--product", product, "--pixel_size", 8e-9)
    if product is not None and scan.suffix == ".h5":
        asked = ("--product", product)
    where = ("--model_path", directory / "trained", "--output_dir", directory / "result")
    run("inference", *where, "--test_data", scan, *same, *asked)
    return directory / "result" / "reconstruction.npz"


def quietly(path: Path) -> tuple[Scan, list[str]]:
    """Load a scan; return it and the warnings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        scan = load_scan(path)
    return scan, [str(one.message) for one in told]


def mosaics_of(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an NPZ file."""
    with np.load(path) as file:
        return {key: file[key] for key in file}


def compare_mosaics(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> tuple[float, float]:
    """Return correlation and shift, pixels, of two mosaics of the same patterns."""
    found = register(one["mosaic"], other["mosaic"], other["count"] > 0.01, np.zeros(2))
    return found.correlation, float(np.abs(found.shift).max())


def cut(mosaic: np.ndarray, corner: np.ndarray, side: int) -> np.ndarray:
    """Cut a square whose first pixel is at a fractional [x, y]."""
    rows, columns = np.mgrid[:side, :side]
    places = [rows + corner[1], columns + corner[0]]
    real, imaginary = (map_coordinates(part, places, order=1) for part in (mosaic.real, mosaic.imag))
    return np.asarray(real + 1j * imaginary)


def compare_patches(scan: Scan, result: dict[str, np.ndarray], read: dict[str, np.ndarray]) -> float:
    """Return the largest difference between Ptychodus's patches and the mosaic's, relative to the mosaic's maximum."""
    N, side = scan.diffraction.shape[1], len(result["mosaic"])
    middle = slice(N // 2 - CROP // 2, N // 2 + CROP // 2)
    origin = result["positions"].mean(axis=0) - side // 2
    worst = 0.0
    for index, patch in zip(read["indexes"], read["patches"]):
        corner = scan.positions[index] - CROP // 2 - origin
        if (corner < 0).any() or (corner + CROP > side - 1).any():
            continue  # beyond the mosaic, where the product is flat
        ours, covered = cut(result["mosaic"], corner, CROP), cut(result["count"] > 0.01, corner, CROP).real == 1
        worst = max(worst, float(np.abs(ours - patch[middle, middle])[covered].max(initial=0)))
    return worst / float(np.abs(result["mosaic"]).max())


def upright(client: Client, scan: Scan, directory: Path) -> tuple[str, float]:
    """Write a product of the object's own patches; return orientation and correlation of what Ptychodus reads."""
    assert scan.object_guess is not None
    N = scan.diffraction.shape[1]
    target = torch.from_numpy(np.array(scan.object_guess))
    offsets = torch.from_numpy(scan.positions)
    mosaic = stitch(patches_at(target, offsets, N), offsets)
    indices = np.arange(len(scan))[:, None]
    parts = (mosaic.values.numpy(), mosaic.count.numpy(), scan.positions, indices)
    save_product(directory / "true.h5", make_product(scan, scan.geometry or Geometry(8e-9, 8e-9), scan.probe, *parts))
    client.call("read", directory / "true.h5", directory / "true.npz")
    read = mosaics_of(directory / "true.npz")
    middle = slice(N // 2 - CROP // 2, N // 2 + CROP // 2)
    true = patches_at(target, torch.from_numpy(scan.positions[read["indexes"]]), N).numpy()[:, middle, middle]
    found = [best_orientation(one, other) for one, other in zip(read["patches"][:, middle, middle], true)]
    names, scores = zip(*found)
    return max(set(names), key=names.count), float(np.median(scores))


def check(
    client: Client, name: str, own: Path, directory: Path, images: int, chosen: str, rows: list[dict[str, Any]]
) -> None:
    """Check one scan; add a row for each selected file."""
    files = directory / "files"
    client.call("write", own, files)
    scan, _ = quietly(own)
    beside: dict[bool, dict[str, np.ndarray]] = {}
    for path in sorted(files.glob(f"{chosen}.npz")) + sorted(files.glob(f"{chosen}.h5")):
        found, told = quietly(path)
        masked = found.bad_pixels is not None
        if masked not in beside:
            ours = directory / f"own-{masked}.npz"
            with np.load(own) as arrays:
                np.savez(ours, **arrays, **({"bad_pixels": found.bad_pixels} if masked else {}))  # type: ignore[arg-type]
            beside[masked] = mosaics_of(reconstruct(ours, directory / f"own-{masked}", images))
        good = ~found.bad_pixels if found.bad_pixels is not None else np.ones(scan.diffraction.shape[1:], bool)
        place = directory / path.name.replace(".", "-")
        result = mosaics_of(reconstruct(path, place, images, place.with_suffix(".product.h5")))
        likeness, shift = compare_mosaics(beside[masked], result)
        client.call("read", place.with_suffix(".product.h5"), place.with_suffix(".read.npz"))
        read = mosaics_of(place.with_suffix(".read.npz"))
        row = {
            "scan": name,
            "file": path.name,
            "X": float(np.abs(found.diffraction - scan.diffraction)[:, good].max()),
            "positions": float(np.abs(found.positions - scan.positions).max()),
            "probe": float(np.abs(found.probe - scan.probe).max()),
            "correlation": likeness,
            "shift": shift,
            "patches": compare_patches(found, result, read),
        }
        if path.suffix == ".h5":
            client.call("positions", path, place.with_suffix(".positions.npz"))
            stage = mosaics_of(place.with_suffix(".positions.npz"))["positions_m"][read["indexes"]]
            row["metres"] = float(np.abs(read["positions_m"] - stage).max())
        rows.append(row)
        click.echo(f"{name} {path.name}: " + "; ".join(one.rsplit(": ", 1)[-1] if ": " in one else one for one in told))
    said = json.loads(str(read["said"]))
    click.echo(f"{name}: Ptychodus reads from the last product: {said}")
    orientation, score = upright(client, quietly(next(files.glob("1-mode.h5")))[0], directory)
    click.echo(f"{name}: the object's own patches in a product: {orientation}, correlation {score:.4f}")
    if orientation != "upright" or score < LEAST_LIKENESS:
        raise SystemExit(f"{name}: expected the object upright, with a correlation of at least {LEAST_LIKENESS}")


def show(rows: list[dict[str, Any]]) -> list[str]:
    """Print the table; return values that exceed their limits."""
    table = Table(*("scan", "file", *LARGEST, "correlation"))
    wrong = []
    for row in rows:
        table.add_row(
            row["scan"],
            row["file"],
            *(f"{row[key]:.2g}" if key in row else "" for key in LARGEST),
            f"{row['correlation']:.6f}",
        )
        wrong += [f"{row['file']}: {key} {row[key]:.3g}" for key, most in LARGEST.items() if row.get(key, 0) > most]
        if row["correlation"] < LEAST_CORRELATION:
            wrong.append(f"{row['file']}: correlation {row['correlation']}")
    Console(width=140).print(table)
    return wrong


@click.command()
@click.option("--python", type=click.Path(path_type=Path, exists=True), required=True, help="Python with Ptychodus.")
@click.option("--n_images", "images", default=64, show_default=True, help="Patterns to train on and to infer.")
@click.option("--files", "chosen", default="*", show_default=True, help="Names of files to check, such as 3-modes*.")
@click.option("--only", type=click.Choice(("embedded", "star")), help="Check only this scan.")
def main(python: Path, images: int, chosen: str, only: str | None) -> None:
    """Let Ptychodus write a scan and read products of it; exit 1 if something differs."""
    rows: list[dict[str, Any]] = []
    data = os.environ.get("PTYCHO_GOLDEN_DATA")
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        if only != "star":
            own = directory / "embedded.npz"
            np.savez(own, **as_ptychopinn())  # type: ignore[arg-type]
            check(Client(python), "embedded", own, directory / "embedded", images, chosen, rows)
        if only != "embedded" and data is not None:
            check(
                Client(python),
                "star",
                Path(data) / "data" / "siemens_star_516.npz",
                directory / "star",
                images,
                chosen,
                rows,
            )
    wrong = show(rows)
    for one in wrong:
        click.echo(f"out of bounds: {one}", err=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
