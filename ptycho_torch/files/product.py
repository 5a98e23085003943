"""Write a product, as Ptychodus calls its results: an HDF5 file of object, probe and positions in metres.

The names of datasets and attributes are those of Ptychodus 1.7.0 (``ptychodus.api.io.save_product``), which is not
needed here. See docs/beamline.md.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex64, Float32, Float64, Int64

from ptycho_torch.files.loss_curve import LossCurve
from ptycho_torch.scans.atomic_file import write_atomically
from ptycho_torch.scans.hdf5 import names_in
from ptycho_torch.scans.ptychodus import Geometry, middle_to_centre
from ptycho_torch.scans.scan import Scan

SUFFIXES = (".h5", ".hdf5")


def is_product(path: Path) -> bool:
    """Return whether a file is a product, so that a new product may replace it."""
    try:
        names = names_in(path)
    except (OSError, ValueError):
        return False
    return {"object", "probe", "probe_position_x_m"} <= set(names) and "patterns" not in names


@dataclass(frozen=True, eq=False)
class Product:
    """A reconstructed object with probe and positions.

    Coordinates are in the frame of ``geometry``. For an HDF5 of Ptychodus, this is the frame of its own reader.

    Attributes:
        object: (H, W) complex64; it contains the whole patches at all positions.
        centre: [x, y] of the object's centre, index ((W - 1) / 2, (H - 1) / 2), m.
        probe: (N, N) complex64; the unit of |probe|² is photons.
        positions: (n, 2) float64, [x, y] of the patches' centres, m.
        indexes: (n,) int64, indices of these patterns in the scan.
        geometry: size of a pixel, distance and energy.
        name: name of the product.
        losses: (epochs, 2) float64, number and loss of each epoch of the training.
    """

    object: Complex64[np.ndarray, "H W"]
    centre: tuple[float, float]
    probe: Complex64[np.ndarray, "N N"]
    positions: Float64[np.ndarray, "n 2"]
    indexes: Int64[np.ndarray, " n"]
    geometry: Geometry
    name: str
    losses: Float64[np.ndarray, "epochs 2"]


def make_product(
    scan: Scan,
    geometry: Geometry,
    probe: Complex64[np.ndarray, "N N"],
    mosaic: Complex64[np.ndarray, "S S"],
    count: Float32[np.ndarray, "S S"],
    offsets: Float64[np.ndarray, "g 2"],
    nn_indices: Int64[np.ndarray, "g C"],
    curve: LossCurve | None = None,
) -> Product:
    """Make the product of a mosaic.

    The mosaic shows only the central parts of patches. Ptychodus illuminates whole patches, so the object is larger. It
    has the mosaic's mean amplitude and mean phase where no patch was stitched.

    Args:
        scan: scan that was reconstructed.
        geometry: size of an object pixel, distance and energy.
        probe: (N, N), in the unit of the patterns: the Fourier transform (orthonormal) of patch times probe has the
            measured amplitude.
        mosaic: (S, S), index S // 2 at the mean of ``offsets``.
        count: (S, S), number of patches that cover a pixel.
        offsets: (g, 2), [x, y] at which each group was stitched, pixels.
        nn_indices: (g, C), patterns of each group.
        curve: losses of the training, or None.
    """
    N, side = len(probe), len(mosaic)
    indexes = np.unique(nn_indices)
    to_middle = middle_to_centre(N)
    positions = scan.positions[indexes] - to_middle
    # Position of the mosaic's first pixel, [x, y].
    origin = offsets.mean(axis=0) - side // 2
    first = np.floor(positions.min(axis=0) - (N - 1) / 2 - origin).astype(int) - 1
    last = np.ceil(positions.max(axis=0) + (N - 1) / 2 - origin).astype(int) + 1
    before, after = np.maximum(-first, 0), np.maximum(last - (side - 1), 0)
    covered = count > 0.01
    fill = np.abs(mosaic[covered]).mean() * np.exp(1j * np.angle(mosaic[covered].mean()))
    padding = tuple(zip(before[::-1].tolist(), after[::-1].tolist()))  # rows are y
    target = np.pad(np.where(covered, mosaic, fill), padding, constant_values=fill).astype(np.complex64)
    zero = np.array(geometry.origin)
    size = np.array([geometry.pixel_width, geometry.pixel_height])
    middle = origin - before + (np.array(target.shape[::-1]) - 1) / 2
    x, y = (size * (middle - zero)).tolist()
    losses = [] if curve is None else [(one.epoch, one.loss) for one in curve.epochs]
    return Product(
        object=target,
        centre=(x, y),
        probe=probe,
        positions=size * (positions - zero),
        indexes=indexes,
        geometry=geometry,
        name=scan.source.stem if scan.source else "ptycho_torch",
        losses=np.array(losses, np.float64).reshape(-1, 2),
    )


def save_product(path: Path, product: Product) -> None:
    """Write a product atomically, replacing an existing file.

    Args:
        path: path of the file, ending in ``.h5`` or ``.hdf5``.
        product: product to write.

    Raises:
        OSError: the file cannot be written.
    """
    pixel = {"pixel_width_m": product.geometry.pixel_width, "pixel_height_m": product.geometry.pixel_height}
    x, y = product.centre
    written = io.BytesIO()
    with h5py.File(written, "w") as file:
        file.attrs.update(
            {
                "name": product.name.encode(errors="backslashreplace").decode(),
                "comments": "reconstructed by ptycho_torch",
                "detector_object_distance_m": product.geometry.distance,
                "photon_energy_eV": product.geometry.energy,
                "probe_photon_count": float(np.square(np.abs(product.probe, dtype=np.float64)).sum()),
                "exposure_time_s": 0.0,
                "mass_attenuation_m2_per_kg": 0.0,
                "tomography_angle_deg": 0.0,
                "focus_object_distance_m": 0.0,
                "tilt_angle_deg": 0.0,
                "far_field": True,
            }
        )
        file["probe_position_indexes"] = product.indexes
        file["probe_position_x_m"], file["probe_position_y_m"] = product.positions.T
        file["probe"] = product.probe[None, None]
        file["probe"].attrs.update(pixel)
        file["object"] = product.object[None]
        file["object"].attrs.update({**pixel, "center_x_m": x, "center_y_m": y})
        file["object_layer_spacing_m"] = np.zeros(0)
        file["loss_epochs"], file["loss_values"] = product.losses[:, 0].astype(np.int64), product.losses[:, 1]
    with write_atomically(path) as target:
        target.write(written.getbuffer())
