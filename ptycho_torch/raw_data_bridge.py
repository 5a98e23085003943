"""The raw record of a scan and the grouped record drawn from it, in the form of TensorFlow PtychoPINN.

Arrays here are NumPy arrays, in TensorFlow's layout and with its signs. ``PtychoDataContainerTorch`` converts a grouped
record to tensors and changes the sign of relative positions.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex64, Float64, Int, Num

from ptycho_torch.operators.coordinates import relative_coordinates
from ptycho_torch.operators.ground_truth import ground_truth_like_tf
from ptycho_torch.operators.grouping import draw_groups
from ptycho_torch.operators.normalization import normalize_data
from ptycho_torch.scans.scan import Scan


class RawDataTorch:
    """The M patterns of a scan, with the position of each.

    Args:
        xcoords: (M,), positions of the patches' index ``N // 2`` along columns, pixels.
        ycoords: (M,), the same along rows.
        diff3d: (M, N, N), real, not negative: amplitude, the square root of counts. It is not copied.
        probeGuess: (N, N) or (N, N, 1), the guessed probe, kept as given; a container needs it normalised
            (``normalize_probe_like_tf``).
        scan_index: (M,) integer, number of the scan to which a pattern belongs; None for zeros.
        objectGuess: (H, W) complex, the known object; None if it is not known.
        xcoords_start: (M,), commanded positions along columns, pixels; None for the measured ones.
        ycoords_start: (M,), the same along rows.
        Y: (M, N, N) complex, ground-truth patches; None to cut them from ``objectGuess``, if that is known.
        sample_indices: (M,) integer, indices of these patterns in the file; None if all.

    Attributes:
        xcoords, ycoords, xcoords_start, ycoords_start: (M,) float64.
        diff3d: (M, N, N), dtype as given.
        probeGuess: (N, N) complex64.
        scan_index: (M,) integer.
        objectGuess: (H, W) complex64 or None.
        Y: (M, N, N) complex64 or None.
        sample_indices: (M,) integer or None.

    Raises:
        ValueError: a shape, dtype or value is wrong; the message names the array.
    """

    xcoords: Float64[np.ndarray, " M"]
    ycoords: Float64[np.ndarray, " M"]
    xcoords_start: Float64[np.ndarray, " M"]
    ycoords_start: Float64[np.ndarray, " M"]
    diff3d: Num[np.ndarray, "M N N"]
    probeGuess: Complex64[np.ndarray, "N N"]
    scan_index: Int[np.ndarray, " M"]
    objectGuess: Complex64[np.ndarray, "H W"] | None
    Y: Complex64[np.ndarray, "M N N"] | None
    sample_indices: Int[np.ndarray, " M"] | None

    def __init__(
        self,
        xcoords: Any,
        ycoords: Any,
        diff3d: Any,
        probeGuess: Any,
        scan_index: Any = None,
        objectGuess: Any = None,
        *,
        xcoords_start: Any = None,
        ycoords_start: Any = None,
        Y: Any = None,
        sample_indices: Any = None,
    ) -> None:
        starts = (
            xcoords if xcoords_start is None else xcoords_start,
            ycoords if ycoords_start is None else ycoords_start,
        )
        positions = _positions(xcoords=xcoords, ycoords=ycoords, xcoords_start=starts[0], ycoords_start=starts[1])
        self.xcoords, self.ycoords, self.xcoords_start, self.ycoords_start = positions
        M = len(self.xcoords)
        self.diff3d = _patterns(diff3d, M)
        N = self.diff3d.shape[1]
        probe = np.asarray(probeGuess)
        self.probeGuess = _complex("probeGuess", probe[..., 0] if probe.shape == (N, N, 1) else probe, (N, N))
        self.scan_index = np.zeros(M, np.int64) if scan_index is None else _indices("scan_index", scan_index, M)
        self.objectGuess = None if objectGuess is None else _object(objectGuess)
        self.Y = None if Y is None else _ground_truth(Y, (M, N, N))
        self.sample_indices = None if sample_indices is None else _indices("sample_indices", sample_indices, M)

    @classmethod
    def from_scan(cls, scan: Scan, sample_indices: Int[np.ndarray, " m"] | None = None) -> RawDataTorch:
        """Make the record of a scan (``load_scan``), or of some of its patterns.

        Bad pixels of the scan are set to 0, so they do not affect the normalisation. The record does not mark them: to
        exclude them from a loss, train with ``MemoryMappedDataset``.

        Args:
            scan: scan to take the patterns from; they are copied only if some are selected, or if pixels are bad.
            sample_indices: (m,) integer, the patterns to select (``draw_patterns``); None for all.

        Raises:
            ValueError: an index is negative, or an array is invalid for this class.
            IndexError: an index is too large.
        """
        if sample_indices is not None and np.size(sample_indices) and np.min(sample_indices) < 0:
            raise ValueError(f"sample_indices: expected 0..{len(scan) - 1}, found {np.min(sample_indices)}")
        chosen: Any = slice(None) if sample_indices is None else sample_indices
        (x, y), (x_start, y_start) = scan.positions[chosen].T, scan.start_positions[chosen].T
        return cls(
            x,
            y,
            scan.patterns(chosen),
            scan.probe,
            scan.scan_index[chosen],
            scan.object_guess,
            xcoords_start=x_start,
            ycoords_start=y_start,
            Y=None if scan.Y is None else scan.Y[chosen],
            sample_indices=sample_indices,
        )

    def __len__(self) -> int:
        return len(self.xcoords)

    def __repr__(self) -> str:
        known = [name for name in ("objectGuess", "Y", "sample_indices") if getattr(self, name) is not None]
        return f"RawDataTorch(M={len(self)}, N={self.diff3d.shape[1]}, with {', '.join(known) or 'no ground truth'})"

    def generate_grouped_data(
        self,
        N: int,
        *,
        nsamples: int,
        K: int = 4,
        seed: int | None = None,
        sequential_sampling: bool = False,
        gridsize: int = 1,
        enable_oversampling: bool = False,
        neighbor_pool_size: int | None = None,
    ) -> dict[str, np.ndarray | None]:
        """Draw groups of C = gridsize**2 patterns and gather their arrays.

        The draws are TensorFlow's (``ptycho_torch.operators.grouping``). NumPy's global generator is not used.

        Args:
            N: patch side, pixels; it must be that of the patterns.
            nsamples: requested number of groups. There are at most M groups of one; beyond that there is a warning.
            K: number of nearest neighbours from which a group is drawn.
            seed: seed of the draws; None for a different draw each time.
            sequential_sampling: use the first patterns in order instead of drawn ones.
            gridsize: root of C.
            enable_oversampling: allow more groups than patterns.
            neighbor_pool_size: number of neighbours to oversample from; None for K.

        Returns:
            The grouped record of n groups, arrays by name: ``diffraction`` (n, N, N, C), the patterns, dtype as given;
            ``X_full`` (n, N, N, C) float32, the patterns normalised by one factor; ``coords_nn`` (n, 1, 2, C) float64,
            positions of the members, [x, y], pixels; ``coords_offsets`` (n, 1, 2, 1), their mean; ``coords_relative``
            (n, 1, 2, C), ``-(coords_nn - coords_offsets)``; ``coords_start_nn``, ``coords_start_offsets`` and
            ``coords_start_relative``, the same for the start positions; ``nn_indices`` (n, C), integers as returned by
            ``draw_groups``; ``Y`` (n, N, N, C) complex64, ground truth, or None; ``objectGuess`` (H, W), or None; and
            ``sample_indices``, if the raw record has them.

            ``Y`` is gathered from the raw record's ``Y``. If that is None, it is cut from the object as in TensorFlow:
            for C > 1 mirrored in the group (``ground_truth_like_tf``; ``ground_truth_at_members`` cuts each member's
            own patch).

        Raises:
            ValueError: N is not the side of the patterns, or an argument of ``draw_groups`` is invalid.
        """
        if self.diff3d.shape[1] != N:
            raise ValueError(f"N: expected {self.diff3d.shape[1]}, the side of the patterns, found {N}")
        if gridsize == 1 and nsamples > len(self):
            warnings.warn(
                f"nsamples: expected at most {len(self)}, the number of patterns, found {nsamples}; each is used once",
                stacklevel=2,
            )
        nn_indices = draw_groups(
            self.xcoords,
            self.ycoords,
            nsamples,
            K=K,
            gridsize=gridsize,
            seed=seed,
            sequential_sampling=sequential_sampling,
            enable_oversampling=enable_oversampling,
            neighbor_pool_size=neighbor_pool_size,
        )
        diffraction = _gather(self.diff3d, nn_indices)
        record: dict[str, np.ndarray | None] = {
            "nn_indices": nn_indices,
            "diffraction": diffraction,
            "X_full": normalize_data(diffraction),
            **_grouped_positions("coords", self.xcoords, self.ycoords, nn_indices),
            **_grouped_positions("coords_start", self.xcoords_start, self.ycoords_start, nn_indices),
            "objectGuess": self.objectGuess,
        }
        record["Y"] = self._ground_truth(record, nn_indices, N)
        if self.sample_indices is not None:
            record["sample_indices"] = self.sample_indices
        return record

    def _ground_truth(self, record: dict[str, Any], nn_indices: np.ndarray, N: int) -> np.ndarray | None:
        if self.Y is not None:
            return _gather(self.Y, nn_indices)
        if self.objectGuess is None:
            return None
        offsets, relative = (torch.from_numpy(record[name]) for name in ("coords_offsets", "coords_relative"))
        patches: np.ndarray = ground_truth_like_tf(torch.from_numpy(self.objectGuess), offsets, relative, N).numpy()
        return patches


# ------------------------------------------------------------------------------------------------ grouping


def _gather(stack: np.ndarray, nn_indices: np.ndarray) -> np.ndarray:
    """Gather images (M, N, N) of each group's members, as (n, N, N, C)."""
    return np.ascontiguousarray(np.moveaxis(stack[nn_indices], 1, 3))


def _grouped_positions(prefix: str, x: np.ndarray, y: np.ndarray, nn_indices: np.ndarray) -> dict[str, np.ndarray]:
    coords_nn = np.stack([x[nn_indices], y[nn_indices]], axis=1)[:, None]
    offsets, relative = relative_coordinates(torch.from_numpy(coords_nn))
    return {f"{prefix}_nn": coords_nn, f"{prefix}_offsets": offsets.numpy(), f"{prefix}_relative": relative.numpy()}


# ------------------------------------------------------------------------------------------------ checks


def _positions(**given: Any) -> list[np.ndarray]:
    """Copy four arrays of one shape (M,) as float64."""
    arrays = {name: np.asarray(array) for name, array in given.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or arrays["xcoords"].ndim != 1:
        raise ValueError(f"positions: expected one common shape (M,), found {shapes}")
    if arrays["xcoords"].size == 0:
        raise ValueError("positions: expected at least one, found none")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{name}: expected real numbers, found {array.dtype}")
        _require_finite(name, array)
    return [np.array(array, np.float64) for array in arrays.values()]


def _patterns(diff3d: Any, M: int) -> np.ndarray:
    patterns = np.asarray(diff3d)
    if patterns.ndim != 3 or len(patterns) != M or patterns.shape[1] != patterns.shape[2]:
        hint = " Move the last axis, that of the patterns, to the front" if patterns.shape[2:] == (M,) else ""
        raise ValueError(f"diff3d: expected shape ({M}, N, N), one pattern per position, found {patterns.shape}.{hint}")
    if patterns.dtype.kind not in "fiu":
        raise ValueError(f"diff3d: expected real amplitudes, found {patterns.dtype}")
    _require_finite("diff3d", patterns)
    if patterns.min() < 0:
        raise ValueError(
            f"diff3d: expected amplitudes, the square root of counts, none negative; found {patterns.min()}"
        )
    return patterns


def _object(objectGuess: Any) -> np.ndarray:
    array = np.asarray(objectGuess)
    if array.ndim != 2:
        raise ValueError(f"objectGuess: expected shape (H, W), found {array.shape}")
    return _complex("objectGuess", array, array.shape)


def _ground_truth(Y: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(Y)
    if array.dtype.kind != "c":
        # A real Y has lost its phase, which a cast would hide.
        raise ValueError(f"Y: expected a complex dtype, found {array.dtype}")
    return _complex("Y", array, shape)


def _complex(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Copy an array as complex64."""
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape} to go with the patterns, found {array.shape}")
    if array.dtype.kind not in "fiuc":
        raise ValueError(f"{name}: expected numbers, found {array.dtype}")
    _require_finite(name, array)
    return np.array(array, np.complex64)


def _indices(name: str, given: Any, M: int) -> np.ndarray:
    array = np.asarray(given)
    if array.shape != (M,) or array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected ({M},) integers, found {array.shape} {array.dtype}")
    return array


def _require_finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity")
