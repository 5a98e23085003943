"""Write scans with Ptychodus and read products with it, through its own API.

It runs in an environment with Ptychodus (``make ptychodus``), without the port:

    python tests/external/ptychodus_client.py write scan.npz DIRECTORY [--patterns 24]
    python tests/external/ptychodus_client.py read result.h5 patches.npz
    python tests/external/ptychodus_client.py positions scan.h5 positions.npz
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.interpolate import BarycentricArrayInterpolator
from ptychodus.api.io import load_product, save_ptychopinn_training_data, save_training_data
from ptychodus.api.object import Object, ObjectCenter
from ptychodus.api.probe import ProbeSequence
from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence
from ptychodus.api.product import Product, ProductMetadata
from ptychodus.api.reconstruct import ReconstructInput
from ptychodus.plugins.training_data_file import TrainingDataProductFileReader

PIXEL = PixelGeometry(width_m=8e-9, height_m=9e-9)
"""Size of an object pixel."""
CENTER = ObjectCenter(x_m=3e-6, y_m=-2e-6)
"""Position of the object's centre in the frame of the stage."""
ENERGY, DISTANCE = 8800.0, 1.9
"""Photon energy, eV, and distance from object to detector, m."""
MODES, MASKS = (1, 3), (False, True)


def probe_modes(probe: np.ndarray, modes: int) -> np.ndarray:
    """Return a probe (modes, N, N) whose second mode is the given one; the others hold 10 % and 20 % of its energy."""
    if modes == 1:
        return probe[None]
    y, x = (np.mgrid[: len(probe), : len(probe)] - len(probe) // 2) / len(probe)
    others = [probe * x, probe * y]
    energy = np.square(np.abs(probe)).sum()
    first, last = (one * np.sqrt(part * energy / np.square(np.abs(one)).sum()) for one, part in zip(others, (0.1, 0.2)))
    return np.stack([first, probe, last])


def mask(N: int) -> np.ndarray:
    """Return a detector's gap, two pixels high near the beam, and some dead pixels: (N, N) bool, true = bad."""
    bad = np.zeros((N, N), bool)
    bad[N // 2 + 5 : N // 2 + 7] = True
    bad[[3, N // 2 - 4, N - 9], [N // 2 + 9, 7, 11]] = True
    return bad


def make_input(scan: dict[str, np.ndarray], modes: int, masked: bool) -> ReconstructInput:
    """Convert a scan in PtychoPINN's format to Ptychodus's input for a reconstruction.

    In PtychoPINN, a position is that of a patch's index N // 2. In Ptychodus, it is that of its centre, (N - 1) / 2.
    """
    N = scan["diff3d"].shape[-1]
    middle = N // 2 - (N - 1) / 2
    height, width = scan["objectGuess"].shape
    x = CENTER.x_m + (scan["xcoords"] - middle - (width - 1) / 2) * PIXEL.width_m
    y = CENTER.y_m + (scan["ycoords"] - middle - (height - 1) / 2) * PIXEL.height_m
    counts = np.rint(np.square(scan["diff3d"], dtype=np.float64)).astype(np.uint32)
    if counts.max() < 2**16:
        counts = counts.astype(np.uint16)
    bad = mask(N) if masked else np.zeros((N, N), bool)
    counts[:, bad] = np.iinfo(counts.dtype).max  # the detector's value for bad pixels; Ptychodus replaces it
    metadata = ProductMetadata(
        name="embedded",
        comments="",
        detector_distance_m=DISTANCE,
        photon_energy_eV=ENERGY,
        probe_photon_count=float(np.square(np.abs(scan["probeGuess"])).sum()),
        exposure_time_s=0.1,
        mass_attenuation_m2_per_kg=0.0,
        tomography_angle_deg=0.0,
    )
    product = Product(
        metadata=metadata,
        probe_positions=ProbePositionSequence([ProbePosition(index, *place) for index, place in enumerate(zip(x, y))]),
        probes=ProbeSequence(probe_modes(scan["probeGuess"].astype(np.complex128), modes), None, PIXEL),
        object_=Object(scan["objectGuess"].astype(np.complex128), PIXEL, CENTER),
        losses=[],
    )
    return ReconstructInput(counts, bad, product)


def small(scan: dict[str, np.ndarray], patterns: int) -> dict[str, np.ndarray]:
    """Keep the first patterns of a scan, and the part of the object that they show."""
    N = scan["diff3d"].shape[-1]
    places = np.stack([scan["xcoords"], scan["ycoords"]])[:, :patterns]
    left, top = np.floor(places.min(axis=1)).astype(int) - N // 2 - 1
    right, bottom = np.ceil(places.max(axis=1)).astype(int) + N // 2 + 1
    x, y = places - [[left], [top]]
    kept = {"diff3d": scan["diff3d"][:patterns], "xcoords": x, "ycoords": y}
    return {**scan, **kept, "objectGuess": scan["objectGuess"][top:bottom, left:right]}


def write(scan_file: Path, directory: Path, patterns: int | None) -> None:
    """Write a scan, or its first patterns, in both formats, with one and three modes, without and with bad pixels."""
    with np.load(scan_file, allow_pickle=False) as file:
        scan = {key: file[key] for key in file}
    if patterns is not None:
        scan = small(scan, patterns)
    directory.mkdir(parents=True, exist_ok=True)
    for modes in MODES:
        for masked in MASKS:
            given = make_input(scan, modes, masked)
            name = f"{modes}-mode{'s' * (modes > 1)}{'-bad-pixels' * masked}"
            save_ptychopinn_training_data(directory / f"{name}.npz", given)
            save_training_data(directory / f"{name}.h5", given)


def read(product_file: Path, patches_file: Path) -> None:
    """Read a product and cut the object at its positions, as Ptychodus does; write the results."""
    product = load_product(product_file)
    probe, geometry = product.probes, product.object_.get_geometry()
    cut = BarycentricArrayInterpolator(product.object_.get_layer(0)).get_patch
    places = [geometry.map_coordinates_probe_to_object(position) for position in product.probe_positions]
    patches = [cut(place.x_px, place.y_px, probe.width_px, probe.height_px) for place in places]
    metadata = product.metadata
    said = {
        "name": metadata.name,
        "detector_distance_m": metadata.detector_distance_m,
        "photon_energy_eV": metadata.photon_energy_eV,
        "probe_photon_count": metadata.probe_photon_count,
        "far_field": metadata.far_field,
        "pixel_width_m": geometry.pixel_width_m,
        "pixel_height_m": geometry.pixel_height_m,
        "center_x_m": geometry.center_x_m,
        "center_y_m": geometry.center_y_m,
        "losses": [[one.epoch.item(), one.value.item()] for one in product.losses],
    }
    np.savez(
        patches_file,
        patches=np.array(patches),
        indexes=product.probe_positions.get_indexes(),
        positions_m=np.stack(
            [product.probe_positions.get_coordinates_x_m(), product.probe_positions.get_coordinates_y_m()], -1
        ),
        object=product.object_.get_array(),
        probe=probe.get_array(),
        said=np.array(json.dumps(said)),
    )


def positions(training_file: Path, positions_file: Path) -> None:
    """Read the positions in training data with Ptychodus's own reader, in metres."""
    product = TrainingDataProductFileReader().read(training_file)
    found = product.probe_positions
    places = np.stack([found.get_coordinates_x_m(), found.get_coordinates_y_m()], axis=-1)
    np.savez(positions_file, positions_m=places)


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("scan", type=Path)
    writing.add_argument("directory", type=Path)
    writing.add_argument("--patterns", type=int)
    reading = commands.add_parser("read")
    reading.add_argument("product", type=Path)
    reading.add_argument("patches", type=Path)
    placing = commands.add_parser("positions")
    placing.add_argument("training_data", type=Path)
    placing.add_argument("positions", type=Path)
    options = parser.parse_args()
    if options.command == "positions":
        positions(options.training_data, options.positions)
    elif options.command == "write":
        write(options.scan, options.directory, options.patterns)
    else:
        read(options.product, options.patches)


if __name__ == "__main__":
    main()
