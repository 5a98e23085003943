"""Read scans from files of any supported format into one record, ``Scan``.

``READERS`` maps a file's suffix to the function that reads it. To support another format, add one more such function.
See docs/conventions.md, "Scan files".
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32

from ptycho_torch.scans.atomic_file import write_atomically
from ptycho_torch.scans.hdf5 import Datasets, names_in
from ptycho_torch.scans.npz import Required, holds_none, members_of
from ptycho_torch.scans.plausible import Patterns, ZeroOrOne, remarks_on_positions
from ptycho_torch.scans.ptychodus import (
    HDF5_NAMES,
    NO_PIXEL,
    Geometry,
    has_modes,
    middle_to_centre,
    near_field,
    read_geometry,
    require_training_data,
    strongest_mode,
)
from ptycho_torch.scans.stored_array import Arrange, Lookup, StoredArray

Measurement = Literal["counts", "amplitude"]
"""What the patterns of a file hold; amplitude is the square root of counts."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan: patterns of side N, measured at M positions.

    Arrays may be read-only, and ``diffraction`` and ``Y`` may be mapped from the file (``load_scan``): copy them before
    you change them.

    Attributes:
        source: path of the file, or None for a scan without one.
        diffraction: (M, N, N) float32, amplitude (square root of counts), zero frequency at [N // 2, N // 2]. The
            values of bad pixels are meaningless and may be NaN.
        positions: (M, 2) float64, [x, y] of the patch's centre index N // 2, object pixels; x = column, y = row.
        start_positions: (M, 2) float64, commanded positions of the stage; ``positions`` if the file has none.
        probe: (N, N) complex64, as guessed, not normalised.
        scan_index: (M,) int64, number of the scan to which a pattern belongs; zeros if the file has none.
        object_guess: (H, W) complex64, the known object, or None.
        Y: (M, N, N) complex64, ground-truth patches, or None.
        bad_pixels: (N, N) bool, true for pixels that are bad in all patterns; or (M, N, N) for each pattern; None if no
            pixel is bad. Bad pixels are excluded from the loss and the normalisation, and the network sees 0 there.
        geometry: size of an object pixel, distance and energy; None if the file does not give them.

    Raises:
        ValueError: an array has another shape or dtype, positions or probe are not finite, or all pixels are bad. The
            values of patterns and ``Y`` are not checked here: they may be larger than the memory.
    """

    source: Path | None
    diffraction: np.ndarray
    positions: np.ndarray
    start_positions: np.ndarray
    probe: np.ndarray
    scan_index: np.ndarray
    object_guess: np.ndarray | None = None
    Y: np.ndarray | None = None
    bad_pixels: np.ndarray | None = None
    geometry: Geometry | None = None

    def __post_init__(self) -> None:
        if self.diffraction.ndim != 3 or self.diffraction.shape[1] != self.diffraction.shape[2]:
            raise ValueError(f"Scan.diffraction: expected shape (M, N, N), found {self.diffraction.shape}")
        M, N, _ = self.diffraction.shape
        expected: dict[str, tuple[tuple[int, ...], type]] = {
            "diffraction": ((M, N, N), np.float32),
            "positions": ((M, 2), np.float64),
            "start_positions": ((M, 2), np.float64),
            "probe": ((N, N), np.complex64),
            "scan_index": ((M,), np.int64),
            "Y": ((M, N, N), np.complex64),
        }
        if self.object_guess is not None:
            expected["object_guess"] = (self.object_guess.shape[:2], np.complex64)
        if self.bad_pixels is not None:
            expected["bad_pixels"] = ((N, N) if self.bad_pixels.ndim == 2 else (M, N, N), np.bool_)
        for name, (shape, dtype) in expected.items():
            array = getattr(self, name)
            if array is not None and (array.shape, array.dtype) != (shape, np.dtype(dtype)):
                raise ValueError(f"Scan.{name}: expected {np.dtype(dtype)} {shape}, found {array.dtype} {array.shape}")
        for name in ("positions", "start_positions", "probe"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"Scan.{name}: expected finite numbers, found NaN or infinity")
        if self.bad_pixels is not None and self.bad_pixels.all():
            raise ValueError("Scan.bad_pixels: expected some good pixels, found only bad ones")

    def __len__(self) -> int:
        return len(self.positions)

    def patterns(self, chosen: Any = slice(None)) -> Float32[np.ndarray, "m N N"]:
        """Return patterns with 0 in their bad pixels; a view if no pixel is bad.

        Args:
            chosen: index of patterns on the first axis: a slice, or (m,) integer. All by default.
        """
        patterns: np.ndarray = self.diffraction[chosen]
        if self.bad_pixels is None:
            return patterns
        bad = self.bad_pixels if self.bad_pixels.ndim == 2 else self.bad_pixels[chosen]
        return np.where(bad, np.float32(0), patterns)

    def __repr__(self) -> str:
        M, N, _ = self.diffraction.shape
        optional = [name for name in ("object_guess", "Y", "bad_pixels") if getattr(self, name) is not None]
        name = self.source.name if self.source else None
        return f"Scan({name!r}, M={M}, N={N}{''.join(f', {name}' for name in optional)})"


def load_scan(path: str | Path, *, invalid_is_bad: bool = False, measurement: Measurement | None = None) -> Scan:
    """Read a scan. The file's suffix gives its format: ``.npz``, or ``.h5`` and ``.hdf5``.

    PtychoPINN's files are NPZ. Their keys are ``diff3d`` (M, N, N) amplitude (or ``diffraction`` instead), ``xcoords``
    and ``ycoords`` (M,), ``probeGuess`` (N, N); optionally ``xcoords_start`` and ``ycoords_start`` (both or none),
    ``scan_index`` (M,), ``objectGuess`` (H, W), ``Y`` (M, N, N), ``bad_pixels`` (N, N) or (M, N, N). Other keys are
    ignored, with a warning if they look like one of these. M is the number of positions. A last axis of length 1 is
    dropped. A stack (N, N, M) is recognised by the length of its last axis and becomes (M, N, N). A ``Y`` whose length
    is not M is ignored with a warning, and so is an optional key that holds None, as PtychoPINN may write it.

    Ptychodus writes an NPZ with the same keys, and an HDF5 (``patterns``, ``probe_position_x_px``,
    ``probe_position_y_px``, ``probe``, ``object``, ``bad_pixels``; size of a pixel, distance and energy). Both are
    recognised by a probe with modes, (modes, N, N). The mode that holds most energy is used; if there are several, a
    warning gives its share. Whole numbers are counts: their square root is taken, with a warning. Positions are
    converted to those of a patch's index N // 2: for even N, half a pixel is added (docs/conventions.md, "Ptychodus's
    files").

    Shapes and dtypes are checked before any data are read; then every value is checked once, a block at a time.
    Uncompressed float32 stacks (and complex64 ``Y``) of an NPZ, as ``numpy.savez`` writes them, are mapped read-only,
    so they may be larger than the memory. A stack (M, N, N) that must be converted or unpacked is read in parts; above
    256 MiB it is written to a temporary file and mapped from there. The file is removed after the last use. All other
    arrays are loaded and converted, unless they declare more bytes than the file can hold.

    Implausible data are warned of, with their location: patterns that look like counts, pixels at the largest value of
    an integer dtype or at its square root, patterns without light, a zero frequency that is not at [N // 2, N // 2],
    positions that are probably not in pixels, an object with several layers (which is ignored), several probes (OPR),
    near field.

    Args:
        path: path of the file.
        invalid_is_bad: treat pixels that are NaN, infinite or negative, or have the largest value of their integer
            dtype, as bad pixels of their pattern. Otherwise, the largest value causes a warning, and the other values
            an error.
        measurement: what the patterns hold: "counts", whose square root is taken, or "amplitude"; None for counts if
            Ptychodus wrote whole numbers, otherwise amplitude.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read, or there is no space for the temporary file.
        ValueError: the file has another format, lacks a key or holds Python objects (nothing is unpickled), or an array
            has a wrong shape, dtype or value. The message names file, key, what was expected and what was found.
    """
    if measurement not in (None, *get_args(Measurement)):
        raise ValueError(f"measurement: expected one of {get_args(Measurement)}, or None, found {measurement!r}")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"data file {path}: no such file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"data file {path}: expected one of the suffixes {sorted(READERS)}, found {path.suffix!r}; Ptychodus "
            f"converts files of beamlines to .h5"
        )
    scan, remarks = reader(path, invalid_is_bad, measurement)
    for remark in remarks:
        warnings.warn(remark, stacklevel=2)
    return scan


def read_probe_side(path: str | Path) -> int:
    """Read N, the side of the probe in a scan file, and nothing else.

    Args:
        path: path of a file that ``load_scan`` reads.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read.
        ValueError: the file has another format, or its probe is missing or not square.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"data file {path}: no such file")
    lookup: Lookup
    if path.suffix.lower() == ".npz":
        lookup = Required(path, members_of(path))
    else:
        require_training_data(path, names_in(path))
        lookup = Datasets(path, HDF5_NAMES)
    probe = lookup("probeGuess", "complex or real")
    shape = probe.shape[:-1] if probe.shape[2:] == (1,) else probe.shape
    if len(shape) not in {2, 3, 4} or shape[-1] != shape[-2] or 0 in shape:
        probe.expect("(N, N), a square, or (modes, N, N)", lambda shape: False)
    return shape[-1]


def save_scan(path: str | Path, scan: Scan, remark: str = "") -> None:
    """Write a scan as PtychoPINN's ``.npz``, which ``load_scan`` can map. The write is atomic.

    Args:
        path: path of the file, ending in ``.npz``; an existing file is replaced. Its directory must exist.
        scan: scan to write; ``source`` and ``geometry`` are not written.
        remark: text for the key ``remark``, which ``load_scan`` ignores.

    Raises:
        ValueError: the path has another suffix.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise ValueError(f"data file {path}: expected a name that ends in .npz")
    x, y = scan.positions.T
    x_start, y_start = scan.start_positions.T
    optional = {"objectGuess": scan.object_guess, "Y": scan.Y, "bad_pixels": scan.bad_pixels}
    arrays = {
        "diff3d": scan.diffraction,
        "probeGuess": scan.probe,
        "xcoords": x,
        "ycoords": y,
        "xcoords_start": x_start,
        "ycoords_start": y_start,
        "scan_index": scan.scan_index,
        **{key: array for key, array in optional.items() if array is not None},
        **({"remark": np.array(remark)} if remark else {}),
    }
    with write_atomically(path) as file:
        np.savez(file, **arrays)


# ------------------------------------------------------------------------------------------------ PtychoPINN's NPZ


_REQUIRED = ("xcoords", "ycoords", "diff3d", "diffraction", "probeGuess")
_SIDES = (64, 128, 256)
_CROP = "; Ptychodus crops and bins patterns on loading"
_OPTIONAL = ("xcoords_start", "ycoords_start", "scan_index", "objectGuess", "Y", "bad_pixels")


def _read_npz(path: Path, invalid_is_bad: bool, measurement: Measurement | None) -> tuple[Scan, list[str]]:
    members = members_of(path)
    may_be_absent = (*_OPTIONAL, "diff3d") if "diffraction" in members else _OPTIONAL
    for key in [key for key in may_be_absent if key in members and holds_none(path, key, members[key])]:
        remark = f"data file {path}: {key!r}: ignored: found None, which PtychoPINN writes for a missing array"
        warnings.warn(remark, stacklevel=3)  # now, because it may explain an error
        del members[key]
    return _assemble(path, Required(path, members), set(members), invalid_is_bad, measurement, False)


def _read_hdf5(path: Path, invalid_is_bad: bool, measurement: Measurement | None) -> tuple[Scan, list[str]]:
    names = names_in(path)
    require_training_data(path, names)
    stored = {name: key for key, name in HDF5_NAMES.items()}
    lookup = Datasets(path, HDF5_NAMES)
    keys = {stored.get(name, name) for name in names}
    remarks: list[str] = []
    geometry = read_geometry(path, lookup, names, remarks)
    scan, found = _assemble(path, lookup, keys, invalid_is_bad, measurement, True)
    return replace(scan, geometry=geometry), [*found, *remarks, *near_field(path, geometry, len(scan.probe))]


def _assemble(
    path: Path,
    require: Lookup,
    keys: Collection[str],
    invalid_is_bad: bool,
    measurement: Measurement | None,
    by_ptychodus: bool,
) -> tuple[Scan, list[str]]:
    """Check shapes and dtypes of a file's arrays, then load them as a scan.

    Args:
        path: path of the file.
        require: finds the arrays by PtychoPINN's keys.
        keys: keys that the file has.
        invalid_is_bad: as for ``load_scan``.
        measurement: as for ``load_scan``.
        by_ptychodus: whether the format is Ptychodus's own; otherwise its files are recognised by a probe with modes.
    """
    remarks = _remarks_on_unread(path, keys)
    x = require("xcoords", "real")
    (M,) = x.expect("(M,), one number per position", lambda shape: len(shape) == 1 and shape[0] > 0)
    vectors = {"xcoords": x, "ycoords": require("ycoords", "real")}
    starts = [key for key in ("xcoords_start", "ycoords_start") if key in keys]
    if len(starts) == 1:
        raise ValueError(f"data file {path}: expected both 'xcoords_start' and 'ycoords_start', found {starts[0]!r}")
    vectors |= {key: require(key, "real") for key in starts}
    if "scan_index" in keys:
        vectors["scan_index"] = require("scan_index", "whole")
    for vector in vectors.values():
        vector.expect(f"({M},), as {x.key!r}", lambda shape: shape == (M,))

    stack = require("diff3d" if "diff3d" in keys or "diffraction" not in keys else "diffraction", "real")
    arrange, N = _stack_layout(stack, M)
    probe = require("probeGuess", "complex or real")
    if 0 in probe.shape:
        raise ValueError(
            f"{probe}: expected a probe, found an empty array {probe.shape}; make a probe in Ptychodus before you save"
        )
    probe.expect(
        f"({N}, {N}), the side of {stack.key!r}, or (modes, {N}, {N})",
        lambda shape: shape in {(N, N), (N, N, 1)} or has_modes(shape, N),
    )
    by_ptychodus = by_ptychodus or probe.shape not in {(N, N), (N, N, 1)}
    guess = _object_guess(require, remarks) if "objectGuess" in keys else None
    patches = _ground_truth(require, (M, N, N), remarks) if "Y" in keys else None
    bad_pixels = _bad_pixels(require, M, N) if "bad_pixels" in keys else None

    counted = measurement == "counts" or (measurement is None and by_ptychodus and stack.dtype.kind in "iu")
    if counted and measurement is None:
        remarks.append(
            f"{stack}: found whole numbers, {stack.dtype}; they are treated as counts, and their square root is taken. "
            f"Confirm this with --measurement counts, or pass --measurement amplitude"
        )
    patterns = Patterns(
        stack, stack.dtype, bad_pixels, invalid_is_bad=invalid_is_bad, measurement="counts" if counted else measurement
    )
    if by_ptychodus and N not in _SIDES:
        remarks.append(f"{stack}: expected a side of {', '.join(map(str, _SIDES))} pixels, found {N}{_CROP}")
    shift = middle_to_centre(N) if by_ptychodus else 0.0
    try:
        found = {key: vector.load(np.int64 if key == "scan_index" else np.float64) for key, vector in vectors.items()}
    except ValueError as wrong:
        if not by_ptychodus:
            raise
        raise ValueError(f"{wrong}{NO_PIXEL}") from wrong
    positions = np.stack([found["xcoords"], found["ycoords"]], axis=-1) + shift
    start = np.stack([found["xcoords_start"], found["ycoords_start"]], axis=-1) + shift if starts else positions
    scan = Scan(
        source=path,
        diffraction=stack.load(np.float32, arrange, mapped=True, look=patterns, convert=_root if counted else None),
        positions=positions,
        start_positions=start,
        probe=strongest_mode(probe, N, remarks) if by_ptychodus else probe.load(np.complex64).reshape(N, N),
        scan_index=found.get("scan_index", np.zeros(M, np.int64)),
        object_guess=None if guess is None else _known_object(guess, by_ptychodus, remarks),
        Y=None if patches is None else patches.load(np.complex64, lambda array: array.reshape(M, N, N), mapped=True),
        bad_pixels=patterns.bad_pixels(),
    )
    return scan, [*remarks, *patterns.remarks(), *remarks_on_positions(f"data file {path}", positions, N)]


def _root(counts: np.ndarray) -> np.ndarray:
    """Return the square root of counts; NaN for negative values, which only bad pixels have."""
    with np.errstate(invalid="ignore"):
        root: np.ndarray = np.sqrt(counts, dtype=np.float64)
    return root


Reader = Callable[[Path, bool, "Measurement | None"], tuple[Scan, list[str]]]
"""A function that takes a file's path and the options of ``load_scan``; it returns the scan and the warnings."""
READERS: Mapping[str, Reader] = MappingProxyType({".npz": _read_npz, ".h5": _read_hdf5, ".hdf5": _read_hdf5})
"""Suffix of a file -> function that reads it."""


def _remarks_on_unread(path: Path, keys: Collection[str]) -> list[str]:
    """Return a sentence for each key that is not read but was probably meant to be."""
    absent = {_plain(key): key for key in _OPTIONAL if key not in keys and len(key) > 1}
    meant: dict[str, str] = {}
    for key in sorted({*keys} - {*_REQUIRED, *_OPTIONAL}):
        near = difflib.get_close_matches(_plain(key), absent, n=1, cutoff=0.85)
        if near:
            meant[key] = f"do you mean {absent[near[0]]!r}?"
        elif "mask" in key.lower() and "bad_pixels" not in keys:
            meant[key] = "the key of a detector mask is 'bad_pixels', true where a pixel is bad"
    if {"diff3d", "diffraction"} <= {*keys}:
        meant["diffraction"] = "'diff3d' is used"
    return [f"data file {path}: {key!r}: ignored; {what}" for key, what in meant.items()]


def _plain(key: str) -> str:
    return key.lower().replace("_", "")


def _stack_layout(stack: StoredArray, M: int) -> tuple[Arrange, int]:
    """Return a function that views a stack of patterns as (M, N, N), and N."""
    stored = stack.shape[:-1] if len(stack.shape) == 4 and stack.shape[-1] == 1 else stack.shape
    last = len(stored) == 3 and stored[0] != M and stored[-1] == M
    shape = (M, *stored[:2]) if last else stored
    if len(shape) != 3 or shape[0] != M or shape[1] != shape[2] or 0 in shape:
        rectangular = len(shape) == 3 and shape[0] == M and 0 not in shape
        raise ValueError(
            f"{stack}: expected shape ({M}, N, N), one square pattern per position, found {stack.shape}"
            f"{_CROP * rectangular}"
        )
    N = shape[1]
    return (lambda array: np.moveaxis(array.reshape(N, N, M), -1, 0) if last else array.reshape(-1, N, N)), N


def _object_guess(require: Lookup, remarks: list[str]) -> StoredArray | None:
    """Return the known object; None if it is empty, and, with a remark, if it has layers."""
    guess = require("objectGuess", "complex")
    guess.expect("(H, W)", lambda shape: len(shape) in {2, 3} and (0 not in shape[-2:] or not any(shape[-2:])))
    if 0 in guess.shape:
        return None  # Ptychodus writes a missing object as an array of shape (0, 0)
    if len(guess.shape) == 3 and guess.shape[0] > 1:
        remarks.append(
            f"{guess}: ignored: expected one layer, found {guess.shape[0]}; the network reconstructs one thin object "
            f"from all layers"
        )
        return None
    return guess


def _known_object(guess: StoredArray, by_ptychodus: bool, remarks: list[str]) -> np.ndarray | None:
    """Load the known object; None, with a remark, if it is Ptychodus's initial object, the same number everywhere."""
    known: np.ndarray = guess.load(np.complex64).reshape(guess.shape[-2:])
    if by_ptychodus and (known == known[0, 0]).all():
        remarks.append(f"{guess}: ignored: expected a known object, found the same number everywhere")
        return None
    return known


def _ground_truth(require: Lookup, shape: tuple[int, ...], remarks: list[str]) -> StoredArray | None:
    """Return the ground-truth patches; None, with a remark, if their number is wrong."""
    patches = require("Y", "complex or real")
    if patches.shape[:1] != shape[:1]:
        remarks.append(f"{patches}: ignored: expected {shape[0]} patches, one per position, found {patches.shape}")
        return None
    patches.expect_kind("complex")
    patches.expect(f"{shape}", lambda found: found in {shape, (*shape, 1)})
    return patches


def _bad_pixels(require: Lookup, M: int, N: int) -> Bool[np.ndarray, "*M N N"] | None:
    """Load the detector's mask, (N, N) or (M, N, N) bool; None if no pixel is bad."""
    mask = require("bad_pixels", "true or false")
    arrange: Arrange
    shared = mask.shape in {(N, N), (N, N, 1), (1, N, N)} and (M, N) != (1, 1)
    if shared:
        arrange = lambda array: array.reshape(N, N)  # noqa: E731
    else:
        wanted = f"({N}, {N}) or ({M}, {N}, {N}), as the patterns"
        if len(mask.shape) < 3 or M not in mask.shape:
            mask.expect(wanted, lambda shape: False)
        arrange, side = _stack_layout(mask, M)
        mask.expect(wanted, lambda shape: side == N)
    bad = mask.load(np.bool_, arrange, mapped=not shared, look=ZeroOrOne(mask))
    return bad if bad.any() else None
