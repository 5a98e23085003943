"""Scans on disk: one function in, one record out, whatever the file's format.

``READERS`` maps a file's suffix to the function that reads it; another format (CXI, say) is one more function that
returns a ``Scan``, and no caller changes. See docs/conventions.md, "Scan files".
"""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ptycho_torch.scans.atomic_file import write_atomically
from ptycho_torch.scans.mapped import map_array

_BLOCK = 2**24
"""Bytes that are looked at together: a scan may be larger than the memory."""
DAMAGE = (
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    MemoryError,
    EOFError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile, zlib and NumPy raise on files that are damaged, encrypted, or packed in a way they do not know."""
Arrange = Callable[[np.ndarray], np.ndarray]
_KINDS = {"real": "fiu", "whole": "iu", "complex": "c", "complex or real": "cfiu"}


@dataclass(frozen=True, eq=False)
class Scan:
    """What was measured at M positions, patch side N.

    Arrays may be read-only, and ``diffraction`` and ``Y`` may be windows on the file (``load_scan``): copy what you
    change.

    Attributes:
        source: the file, or None for a scan that comes from none.
        diffraction: (M, N, N) float32, amplitude (square root of counts), zero frequency at [N // 2, N // 2].
        positions: (M, 2) float64, [x, y] of the patch's centre index N // 2, object pixels; x = column, y = row.
        start_positions: (M, 2) float64, where the stage was sent; equal to ``positions`` where the file has none.
        probe: (N, N) complex64, as guessed, not normalised.
        scan_index: (M,) int64, which scan a pattern belongs to; zeros where the file has none.
        object_guess: (H, W) complex64, or None.
        Y: (M, N, N) complex64, ground-truth patches, or None.

    Raises:
        ValueError: an array of another shape or dtype, or positions or a probe that are not finite. What patterns and
            ``Y`` hold is not looked at here: they may be larger than the memory.
    """

    source: Path | None
    diffraction: np.ndarray
    positions: np.ndarray
    start_positions: np.ndarray
    probe: np.ndarray
    scan_index: np.ndarray
    object_guess: np.ndarray | None = None
    Y: np.ndarray | None = None

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
        for name, (shape, dtype) in expected.items():
            array = getattr(self, name)
            if array is not None and (array.shape, array.dtype) != (shape, np.dtype(dtype)):
                raise ValueError(f"Scan.{name}: expected {np.dtype(dtype)} {shape}, found {array.dtype} {array.shape}")
        for name in ("positions", "start_positions", "probe"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"Scan.{name}: expected finite numbers, found NaN or infinity")

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        M, N, _ = self.diffraction.shape
        optional = [name for name in ("object_guess", "Y") if getattr(self, name) is not None]
        name = self.source.name if self.source else None
        return f"Scan({name!r}, M={M}, N={N}{''.join(f', {name}' for name in optional)})"


def load_scan(path: str | Path) -> Scan:
    """Read a scan; its format follows from the file's suffix.

    ``.npz``, as PtychoPINN writes it. Keys: ``diff3d`` (M, N, N) amplitude (``diffraction`` is taken for it),
    ``xcoords``, ``ycoords`` (M,), ``probeGuess`` (N, N); optionally ``xcoords_start``, ``ycoords_start`` (both or
    none), ``scan_index`` (M,), ``objectGuess`` (H, W), ``Y`` (M, N, N). Others are not looked at. M is the number of
    positions. A last axis of length 1 is dropped; a stack (N, N, M), known by its last axis, not its first, having
    length M, becomes (M, N, N); a ``Y`` that is not of length M is left out with a warning.

    Shapes and dtypes are checked before any data are read; then every value is looked at once, a block at a time.
    Float32 stacks (and complex64 ``Y``) that the archive holds uncompressed, as ``numpy.savez`` writes them, are not
    loaded: they are mapped, read-only, and may be larger than the memory. All else is loaded and converted.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it may not be read.
        ValueError: it is no such file, lacks a key, holds objects (nothing is unpickled), or an array has a shape,
            dtype or value that does not fit. The message names file, key, what was expected and what was found.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"data file {path}: no such file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"data file {path}: expected one of the suffixes {sorted(READERS)}, found {path.suffix!r}")
    return reader(path)


def read_probe_side(path: str | Path) -> int:
    """N, the side of the probe in a scan file, of which nothing else is looked at.

    Args:
        path: of an ``.npz``, see ``load_scan``.

    Raises:
        FileNotFoundError, OSError, ValueError: as ``load_scan``.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"data file {path}: no such file")
    probe = _Required(path, _members(path))("probeGuess", "complex or real")
    side, *_ = probe.expect("(N, N), a square", lambda shape: shape[:1] == shape[1:2] and shape[2:] in {(), (1,)})
    return side


def save_scan(path: str | Path, scan: Scan, remark: str = "") -> None:
    """Write a scan as PtychoPINN's ``.npz``, which ``load_scan`` can map.

    The file appears under its name only when it is complete; one that was there is replaced.

    Args:
        path: of the file; it ends in ``.npz``. Its directory must exist.
        scan: what to write; ``source`` is not written.
        remark: a text kept under the key ``remark``, which ``load_scan`` does not look at.

    Raises:
        ValueError: the path has another suffix.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise ValueError(f"data file {path}: expected a name that ends in .npz")
    x, y = scan.positions.T
    x_start, y_start = scan.start_positions.T
    optional = {"objectGuess": scan.object_guess, "Y": scan.Y}
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


def _read_npz(path: Path) -> Scan:
    members = _members(path)
    require = _Required(path, members)
    x = require("xcoords", "real")
    (M,) = x.expect("(M,), one number per position", lambda shape: len(shape) == 1 and shape[0] > 0)
    vectors = {"xcoords": x, "ycoords": require("ycoords", "real")}
    starts = [key for key in ("xcoords_start", "ycoords_start") if key in members]
    if len(starts) == 1:
        raise ValueError(f"data file {path}: expected both 'xcoords_start' and 'ycoords_start', found {starts[0]!r}")
    vectors |= {key: require(key, "real") for key in starts}
    if "scan_index" in members:
        vectors["scan_index"] = require("scan_index", "whole")
    for vector in vectors.values():
        vector.expect(f"({M},), as 'xcoords'", lambda shape: shape == (M,))

    stack = require("diff3d" if "diff3d" in members or "diffraction" not in members else "diffraction", "real")
    arrange, N = _stack_layout(stack, M)
    probe = require("probeGuess", "complex or real")
    probe.expect(f"({N}, {N}), the side of {stack.key!r}", lambda shape: shape in {(N, N), (N, N, 1)})
    guess = require("objectGuess", "complex") if "objectGuess" in members else None
    if guess is not None:
        guess.expect("(H, W)", lambda shape: len(shape) == 2 and 0 not in shape)
    patches = _ground_truth(require, (M, N, N)) if "Y" in members else None

    if stack.dtype.kind in "iu":
        warnings.warn(
            f"{stack}: whole numbers are taken for amplitude; if they are counts, store their square root", stacklevel=3
        )
    found = {key: vector.load(np.int64 if key == "scan_index" else np.float64) for key, vector in vectors.items()}
    positions = np.stack([found["xcoords"], found["ycoords"]], axis=-1)
    start = np.stack([found["xcoords_start"], found["ycoords_start"]], axis=-1) if starts else positions
    return Scan(
        source=path,
        diffraction=stack.load(np.float32, arrange, mapped=True, least=0.0),
        positions=positions,
        start_positions=start,
        probe=probe.load(np.complex64, lambda array: array.reshape(N, N)),
        scan_index=found.get("scan_index", np.zeros(M, np.int64)),
        object_guess=None if guess is None else guess.load(np.complex64),
        Y=None if patches is None else patches.load(np.complex64, lambda array: array.reshape(M, N, N), mapped=True),
    )


READERS: Mapping[str, Callable[[Path], Scan]] = MappingProxyType({".npz": _read_npz})
"""Suffix -> reader."""


def _stack_layout(stack: _Member, M: int) -> tuple[Arrange, int]:
    """What views a stack of patterns as (M, N, N), and N."""
    stored = stack.shape[:-1] if len(stack.shape) == 4 and stack.shape[-1] == 1 else stack.shape
    last = len(stored) == 3 and stored[0] != M and stored[-1] == M
    shape = (M, *stored[:2]) if last else stored
    if len(shape) != 3 or shape[0] != M or shape[1] != shape[2] or 0 in shape:
        raise ValueError(f"{stack}: expected shape ({M}, N, N), one square pattern per position, found {stack.shape}")
    return (lambda array: np.moveaxis(array.reshape(stored), -1, 0) if last else array.reshape(stored)), shape[1]


def _ground_truth(require: _Required, shape: tuple[int, ...]) -> _Member | None:
    patches = require("Y", "complex or real")
    if patches.shape[:1] != shape[:1]:
        warnings.warn(
            f"{patches}: left out: expected {shape[0]} patches, one per position, found {patches.shape}", stacklevel=4
        )
        return None
    patches.expect_kind("complex")
    patches.expect(f"{shape}", lambda found: found in {shape, (*shape, 1)})
    return patches


# ------------------------------------------------------------------------------------------------ members of an NPZ


@dataclass(frozen=True)
class _Member:
    """An array of an NPZ archive, of which only the header was read."""

    path: Path
    key: str
    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool
    header_bytes: int

    def __str__(self) -> str:
        return f"data file {self.path}: {self.key!r}"

    def expect(self, expected: str, fits: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
        """The shape, if it fits."""
        if not fits(self.shape):
            raise ValueError(f"{self}: expected shape {expected}, found {self.shape}")
        return self.shape

    def expect_kind(self, kind: str) -> None:
        """Refuse what is not ``kind`` of numbers, one of ``_KINDS``."""
        if self.dtype.kind not in _KINDS[kind]:
            raise ValueError(f"{self}: expected {kind} numbers, found {self.dtype}")

    def load(
        self,
        dtype: type,
        arrange: Arrange = lambda array: array,
        *,
        mapped: bool = False,
        least: float | None = None,
    ) -> np.ndarray:
        """The values, converted to ``dtype``, all of them finite and none below ``least``.

        Args:
            dtype: of the result.
            arrange: views the stored array in another shape.
            mapped: give a window on the file, read-only, if it holds just these bytes.
            least: smallest value that may be there.
        """
        window = mapped and self._in_place and self.dtype == np.dtype(dtype)
        try:
            if window:
                wrong = self._first_wrong(self._blocks(), least)
                array = self._map()
            else:
                array = self._read()
                wrong = self._first_wrong(_parts(array), least)
        except DAMAGE as damage:
            raise ValueError(f"{self}: cannot be read ({damage}); the file is damaged or incomplete") from damage
        if wrong is not None:
            index, value = wrong
            place = np.unravel_index(index, array.shape, "F" if self.fortran_order else "C")
            expected = "finite numbers" if least is None else f"finite numbers, at least {least:g}"
            raise ValueError(f"{self}: expected {expected}, found {value} at {list(map(int, place))}")
        if window:
            return arrange(array)
        with np.errstate(over="ignore"):
            converted: np.ndarray = np.ascontiguousarray(arrange(array), dtype)
        if not np.isfinite(converted).all():
            raise ValueError(f"{self}: expected numbers that {np.dtype(dtype).name} can hold, found larger ones")
        return converted

    @property
    def _in_place(self) -> bool:
        """The file holds the bytes as they are, and all of them: the checksum is of no more than ``compress_size``."""
        return self.info.compress_type == zipfile.ZIP_STORED and self.info.compress_size == self.info.file_size

    def _read(self) -> np.ndarray:
        with zipfile.ZipFile(self.path) as archive, archive.open(self.info) as member:
            return np.asarray(npy.read_array(member, allow_pickle=False))

    def _blocks(self) -> Iterator[np.ndarray]:
        """The values as they lie in the file. Read through the archive, which compares their checksum at the end."""
        with zipfile.ZipFile(self.path) as archive, archive.open(self.info) as member:
            member.read(self.header_bytes)
            while block := member.read(_BLOCK):
                yield np.frombuffer(block, self.dtype)

    def _map(self) -> np.ndarray:
        """The data in place."""
        with self.path.open("rb") as file:
            # The archive's own list does not say how long this header is.
            file.seek(self.info.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
            start = self.info.header_offset + 30 + name + extra + self.header_bytes
            return map_array(file, self.dtype, start, self.shape, "F" if self.fortran_order else "C")

    def _first_wrong(self, blocks: Iterable[np.ndarray], least: float | None) -> tuple[int, Any] | None:
        """Index and value of the first that is not finite or too small. All blocks are read."""
        found, first = None, 0
        for block in blocks:
            wrong = ~np.isfinite(block) if least is None else ~((block >= least) & (block < np.inf))
            if found is None and wrong.any():
                at = int(np.argmax(wrong))
                found = first + at, block[at]
            first += len(block)
        return found


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    """An array's values as they lie in memory, some at a time."""
    flat, at_once = array.ravel(order="K"), _BLOCK // array.itemsize
    return (flat[first : first + at_once] for first in range(0, len(flat), at_once))


@dataclass(frozen=True)
class _Required:
    """Looks up members of an archive by key."""

    path: Path
    members: Mapping[str, zipfile.ZipInfo]

    def __call__(self, key: str, kind: str) -> _Member:
        """The member of this key, its header read.

        Args:
            key: of the array.
            kind: of its numbers, one of ``_KINDS``.
        """
        if key not in self.members:
            raise ValueError(f"data file {self.path}: expected the key {key!r}, found {sorted(self.members)}")
        member = _open_member(self.path, key, self.members[key])
        if member.dtype.hasobject:
            raise ValueError(f"{member}: holds Python objects, which are never unpickled; store plain numbers")
        member.expect_kind(kind)
        return member


def _members(path: Path) -> dict[str, zipfile.ZipInfo]:
    with path.open("rb") as file:  # by its name, zipfile would take a file that may not be read for no archive
        if not zipfile.is_zipfile(file):
            raise ValueError(f"data file {path}: expected an NPZ archive, found something else, or an incomplete one")
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    except DAMAGE as damage:
        raise ValueError(f"data file {path}: cannot be read ({damage}); it is damaged or incomplete") from damage


def _open_member(path: Path, key: str, info: zipfile.ZipInfo) -> _Member:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(info) as member:
            version = npy.read_magic(member)
            read: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran_order, dtype = read(member)
            header_bytes = member.tell()
    except DAMAGE as damage:
        raise ValueError(f"data file {path}: {key!r}: no array ({damage}); the file is damaged") from damage
    found = _Member(path, key, info, shape, dtype, fortran_order, header_bytes)
    declared = header_bytes + dtype.itemsize * int(np.prod(shape, dtype=object))
    if not dtype.hasobject and info.file_size != declared:
        # Before any memory is taken for it.
        raise ValueError(f"{found}: expected {declared} bytes for {dtype} {shape}, found {info.file_size}")
    return found
