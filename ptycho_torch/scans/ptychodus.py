"""Differences in the training files that Ptychodus writes: names, modes, pixel centres, geometry.

Ptychodus (Argonne National Laboratory; checked with 1.7.0) reads the files of beamlines. It writes two formats:
``save_ptychopinn_training_data`` writes an NPZ with PtychoPINN's keys, ``save_training_data`` an HDF5. The package
itself is not needed here. See docs/beamline.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Complex64

from ptycho_torch.scans.stored_array import Lookup, StoredArray

HDF5_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "diff3d": "patterns",
        "xcoords": "probe_position_x_px",
        "ycoords": "probe_position_y_px",
        "probeGuess": "probe",
        "objectGuess": "object",
    }
)
"""Key in PtychoPINN's NPZ -> dataset in Ptychodus's HDF5, if they differ."""
_PLANCK_LIGHT = 1.23984198e-6
"""Planck's constant times the speed of light, eV m."""
NO_PIXEL = ". Ptychodus divides metres by the size of an object pixel: set energy, distance and detector pixels there"
_WRITE = "write training data with Ptychodus (ptychodus.api.io.save_training_data)"


@dataclass(frozen=True)
class Geometry:
    """The size of an object pixel, and how the scan was measured.

    Attributes:
        pixel_width: width of an object pixel, m.
        pixel_height: height of an object pixel, m.
        distance: from object to detector, m; 0 if it is not known.
        energy: photon energy, eV; 0 if it is not known.
        origin: [x, y] of the point at 0 m, object pixels.

    Raises:
        ValueError: a size is not above 0, or another number is negative or not finite.
    """

    pixel_width: float
    pixel_height: float
    distance: float = 0.0
    energy: float = 0.0
    origin: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("pixel_width", "pixel_height"):
            size = getattr(self, name)
            if not 0 < size < math.inf:
                raise ValueError(f"{name}: expected the size of an object pixel in metres, above 0, found {size:g}")
        for name, unit in (("distance", "metres"), ("energy", "electronvolts")):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise ValueError(f"{name}: expected {unit}, 0 if not known, found {value:g}")

    def fresnel_number(self, N: int) -> float:
        """Return a patch's area over wavelength times distance, far below 1 in the far field; 0 if not known."""
        if not self.energy * self.distance:
            return 0.0
        wavelength = _PLANCK_LIGHT / self.energy
        return N * N * self.pixel_width * self.pixel_height / (wavelength * self.distance)


def middle_to_centre(N: int) -> float:
    """Return the offset to add to Ptychodus's positions to get PtychoPINN's, pixels.

    Ptychodus gives the position of a patch's centre, (N - 1) / 2; PtychoPINN that of the index N // 2.
    """
    return N // 2 - (N - 1) / 2


def has_modes(shape: tuple[int, ...], N: int) -> bool:
    """Return whether a probe has modes, (modes, N, N) or (OPR, modes, N, N), as Ptychodus always writes it."""
    return len(shape) in {3, 4} and shape[-2:] == (N, N)


def strongest_mode(probe: StoredArray, N: int, remarks: list[str]) -> Complex64[np.ndarray, "N N"]:
    """Load the mode of a probe (modes, N, N) that holds most energy, with a remark on its share if there are several.

    Args:
        probe: a probe that ``has_modes``, or (N, N).
        N: side of the probe, pixels.
        remarks: list to which a sentence is appended if something is ignored.
    """
    modes = probe.load(np.complex64).reshape(-1, *probe.shape[-3:-2] or (1,), N, N)
    if len(modes) > 1:
        remarks.append(
            f"{probe}: expected one probe for all positions, found {len(modes)} (OPR); the first is used, and the "
            f"probe's variation is ignored"
        )
    energies = np.square(np.abs(modes[0], dtype=np.float64)).sum(axis=(1, 2))
    strongest = int(np.argmax(energies))
    if len(energies) > 1:
        share = energies[strongest] / max(energies.sum(), np.finfo(np.float64).tiny)
        remarks.append(
            f"{probe}: expected one mode, found {len(energies)}; mode {strongest} is used, the strongest, with "
            f"{share:.1%} of the energy"
        )
    mode: np.ndarray = modes[0, strongest]
    return mode


def read_geometry(path: Path, lookup: Lookup, names: Collection[str], remarks: list[str]) -> Geometry | None:
    """Read the geometry of an HDF5 file; None, with a remark, if the file does not give the size of an object pixel.

    Args:
        path: path of the file.
        lookup: finds its datasets.
        names: names of its datasets.
        remarks: list to which a sentence is appended if something is missing.

    Raises:
        ValueError: a value is not a number, or impossible.
    """

    def number(name: str) -> float:
        if name not in names:
            return 0.0
        stored = lookup(name, "real")
        stored.expect("(), a number", lambda shape: shape in {(), (1,)})
        return float(stored.load(np.float64, look=_AnyNumber()).item())

    sizes = ("object_pixel_width_m", "object_pixel_height_m")
    if missing := [name for name in sizes if name not in names]:
        remarks.append(
            f"data file {path}: expected the dataset {missing[0]!r}, found none; positions are used as object "
            f"pixels of unknown size, and a product needs --pixel_size"
        )
        return None
    width, height = (number(name) for name in sizes)
    distance, energy = number("detector_object_distance_m"), number("photon_energy_eV")
    origin = _middle(lookup, names)
    try:
        found = Geometry(width, height, distance, energy, origin)
    except ValueError as wrong:
        raise ValueError(f"data file {path}: {wrong}{NO_PIXEL}; {_WRITE}") from wrong
    return found


def near_field(path: Path, geometry: Geometry | None, N: int) -> list[str]:
    """Return a sentence if patterns of side N were measured in the near field."""
    fresnel = geometry.fresnel_number(N) if geometry else 0.0
    said = (
        f"data file {path}: expected far-field patterns, found a Fresnel number of {fresnel:.3g} (patch area over "
        f"wavelength and distance); the network does not model the near field"
    )
    return [said] if fresnel > 1 else []


def _middle(lookup: Lookup, names: Collection[str]) -> tuple[float, float]:
    """Return where Ptychodus's reader puts 0 m, [x, y], pixels: the object's centre; [0, 0] without an object."""
    shape = lookup("objectGuess", "complex").shape if "object" in names else ()
    return ((shape[-1] - 1) / 2, (shape[-2] - 1) / 2) if len(shape) > 1 and 0 not in shape else (0.0, 0.0)


def require_training_data(path: Path, names: Collection[str]) -> None:
    """Refuse Ptychodus's other HDF5 files: products, which have no patterns, and diffraction data without positions.

    Raises:
        ValueError: the file is one of these.
    """
    positions = {"probe_position_x_px", "probe_position_x_m"} & set(names)
    if "patterns" not in names and {"probe", "object"} & set(names):
        raise ValueError(f"data file {path}: expected patterns, found a product of Ptychodus, which has none; {_WRITE}")
    if "patterns" in names and not positions:
        raise ValueError(f"data file {path}: expected patterns and positions, found no positions; {_WRITE}")
    if positions == {"probe_position_x_m"}:
        raise ValueError(
            f"data file {path}: expected positions in object pixels, 'probe_position_x_px', found them in metres only, "
            f"'probe_position_x_m'; {_WRITE}"
        )


class _AnyNumber:
    """Accept any number, because ``Geometry`` checks its values."""

    def take(self, first: int, block: np.ndarray) -> None:
        """Ignore the values."""

    def judge(self) -> None:
        """Accept them."""
