"""Read groups of patterns from a scan's memory-mapped file as they are needed.

No array here is larger than a batch, so a scan may be larger than the memory. Alternatively, ``RawDataTorch`` and
``PtychoDataContainerTorch`` hold all groups in memory. Both give the same tensors for the same groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex64, Float32, Float64, Int, Int64
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler

from ptycho_torch.config_params import DataConfig
from ptycho_torch.operators.grouping import draw_groups, draw_patterns
from ptycho_torch.operators.normalization import normalization_factor, pattern_energies
from ptycho_torch.operators.probe import normalize_probe_like_tf
from ptycho_torch.scans.mapped import Items, Repeated, items_of
from ptycho_torch.scans.scan import Scan

DEFAULT_GROUPS = 512
"""Number of groups if the configuration gives none."""
_BLOCK = 2**20
"""Bytes of patterns that are read at a time, to fit into the processor's cache."""


@dataclass(frozen=True, eq=False)
class GroupBatch:
    """B groups of C patterns, as input of the network.

    Attributes:
        X: (B, C, N, N) float32, normalised amplitude.
        positions: (B, 1, 2, C) float32, [x, y] of each pattern relative to the mean of its group, pixels: larger x is
            further right, larger y further down.
        offsets: (B, 1, 2, 1) float64, mean position of each group, pixels.
        nn_indices: (B, C) int64, index of each member's pattern in the scan.
        good: (B, C, N, N) bool, false for bad pixels, where ``X`` is 0; None if all pixels are good.
    """

    X: Float32[Tensor, "B C N N"]
    positions: Float32[Tensor, "B 1 2 C"]
    offsets: Float64[Tensor, "B 1 2 1"]
    nn_indices: Int64[Tensor, "B C"]
    good: Bool[Tensor, "B C N N"] | None = None

    def __len__(self) -> int:
        return len(self.X)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> GroupBatch:
        """Return the batch on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> GroupBatch:
        """Return the batch in page-locked memory; ``DataLoader`` calls this."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> GroupBatch:
        good = None if self.good is None else change(self.good)
        return GroupBatch(change(self.X), change(self.positions), change(self.offsets), change(self.nn_indices), good)


class MemoryMappedDataset(Dataset[GroupBatch]):
    """Groups of a scan's patterns, which are read on access.

    Positions are not negated here. (``PtychoDataContainerTorch`` negates, because TensorFlow's record has the opposite
    sign.) All patterns are scaled by one factor, as in ``normalize_data``. To compute it, the constructor reads every
    pattern in use once. A data set may be sent to worker processes, by fork or by pickling; mapped patterns
    (``load_scan``) are not copied.

    Bad pixels of the scan are 0 in every batch, whatever their value, so they do not affect the normalisation.

    Args:
        scan: scan to take the patterns from.
        nn_indices: (n, C) integer, the patterns of each group, as ``draw_groups`` returns them.
        probe_scale: inverse of the normalised probe's mean masked modulus.

    Attributes:
        nn_indices: (n, C) int64.
        coords_nominal: (n, 1, 2, C) float32, positions relative to the group's mean, [x, y], pixels.
        global_offsets: (n, 1, 2, 1) float64, mean position of each group, pixels.
        probe: (N, N) complex64, normalised.
        factor: factor from measured to normalised amplitudes.
        good_share: (N, N) float64, fraction of all members of all groups in which each pixel is good; None if all are.

    Raises:
        ValueError: indices have another shape or are out of range; good pixels are all 0, negative or not finite; the
            probe is empty.
    """

    nn_indices: Int64[Tensor, "n C"]
    coords_nominal: Float32[Tensor, "n 1 2 C"]
    global_offsets: Float64[Tensor, "n 1 2 1"]
    probe: Complex64[Tensor, "N N"]
    factor: np.float32
    good_share: Float64[Tensor, "N N"] | None

    def __init__(self, scan: Scan, nn_indices: Int[np.ndarray, "n C"], probe_scale: float = 4.0) -> None:
        indices = _indices(nn_indices, len(scan))
        coords_nn = torch.from_numpy(np.moveaxis(scan.positions[indices], 1, 2)[:, None])
        self.nn_indices = torch.from_numpy(indices)
        self.global_offsets = coords_nn.mean(dim=3, keepdim=True)
        self.coords_nominal = (coords_nn - self.global_offsets).to(torch.float32)
        self.probe = normalize_probe_like_tf(torch.from_numpy(np.array(scan.probe)), probe_scale)
        self._patterns = items_of(scan.diffraction)
        self._bad_pixels = _bad_items(scan.bad_pixels)
        self.good_share = None
        self.factor = _factor(self._mean_energy(), scan.diffraction.shape[1])

    @classmethod
    def from_config(cls, scan: Scan, config: DataConfig, seed: int | None = None) -> MemoryMappedDataset:
        """Draw groups according to a configuration.

        First, ``n_subsample`` patterns are drawn with ``subsample_seed``. The default is the number of groups, or all
        patterns without ``n_groups``. From these, ``n_groups`` groups are drawn with ``seed`` (default 512).

        Args:
            scan: scan to take the patterns from; their side is ``config.N``.
            config: data configuration.
            seed: seed of the groups; None for a different draw each time.

        Raises:
            ValueError: the patterns have another side, or an argument of ``draw_groups`` or the class is invalid.
        """
        N = scan.diffraction.shape[1]
        if config.N != N:
            raise ValueError(f"DataConfig.N: expected {N}, the side of the scan's patterns, found {config.N}")
        groups = config.n_images if config.n_groups is None else config.n_groups
        patterns = draw_patterns(len(scan), config.n_subsample or groups, config.subsample_seed)
        x, y = scan.positions[patterns].T
        nn_indices = draw_groups(
            x,
            y,
            groups or DEFAULT_GROUPS,
            K=config.K,
            gridsize=config.grid_size[0],
            seed=seed,
            sequential_sampling=config.sequential_sampling,
            enable_oversampling=config.enable_oversampling,
            neighbor_pool_size=config.neighbor_pool_size,
        )
        return cls(scan, patterns[nn_indices], config.probe_scale)

    def __len__(self) -> int:
        return len(self.nn_indices)

    def __getitem__(self, groups: int | slice | Sequence[int]) -> GroupBatch:
        """Read groups by index as one batch; a single index gives a batch of one. Negative indices count from the end.

        Raises:
            IndexError: there is no such group.
            ValueError: the scan's file has changed since it was loaded.
        """
        chosen = torch.from_numpy(np.arange(len(self))[groups].reshape(-1))
        indices = self.nn_indices[chosen]
        patterns, good = self._read(indices.numpy().reshape(-1))
        np.multiply(patterns, self.factor, out=patterns)
        shape = *indices.shape, *patterns.shape[1:]
        return GroupBatch(
            torch.from_numpy(patterns).view(shape),
            self.coords_nominal[chosen],
            self.global_offsets[chosen],
            indices,
            None if good is None else torch.from_numpy(good).view(shape),
        )

    def _read(self, indices: Int[np.ndarray, " n"]) -> tuple[Float32[np.ndarray, "n N N"], np.ndarray | None]:
        """Read patterns, with 0 in bad pixels, and a mask of good pixels, (n, N, N) bool, or None if all are good."""
        patterns = self._patterns.read(indices)
        if self._bad_pixels is None:
            return patterns, None
        bad = self._bad_pixels.read(indices)
        patterns[bad] = 0
        return patterns, ~bad

    def _mean_energy(self) -> float:
        """Average the sum of squares of a pattern over all members of all groups."""
        used, times = np.unique(self.nn_indices.numpy(), return_counts=True)
        at_once = max(1, _BLOCK // self._patterns.read(used[:1]).nbytes)
        blocks = (slice(first, first + at_once) for first in range(0, len(used), at_once))
        total = sum(float(times[block] @ self._energies(used[block], times[block])) for block in blocks)
        return total / self.nn_indices.numel()

    def _energies(self, indices: Int[np.ndarray, " n"], times: Int[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """Return the sum of squares of each pattern; add the good pixels, weighted by ``times``, to ``good_share``."""
        patterns, good = self._read(indices)
        if good is not None:
            share = torch.from_numpy(np.tensordot(times.astype(np.float64), good, axes=1) / self.nn_indices.numel())
            self.good_share = share if self.good_share is None else self.good_share + share
        if patterns.min() < 0:
            raise ValueError(
                f"diffraction: expected amplitudes, the square root of counts, none negative; found {patterns.min()}"
            )
        return pattern_energies(patterns)


def batches(
    dataset: Dataset[GroupBatch],
    batch_size: int,
    *,
    shuffle: bool = False,
    generator: torch.Generator | None = None,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[GroupBatch]:
    """Make a loader of batches of groups; the last batch may be smaller.

    Args:
        dataset: a ``MemoryMappedDataset``, or a subset that accepts lists of indices.
        batch_size: number of groups in a batch.
        shuffle: use a different order each time.
        generator: random generator of the order.
        num_workers: number of processes that read in advance; 0 for none.
        pin_memory: use page-locked memory, for faster copies to a GPU.
    """
    order = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)  # type: ignore[arg-type]
    numbers = BatchSampler(order, batch_size, drop_last=False)
    return batches_of(dataset, numbers, num_workers=num_workers, pin_memory=pin_memory)


def batches_of(
    dataset: Dataset[GroupBatch], numbers: Sampler[list[int]], *, num_workers: int = 0, pin_memory: bool = False
) -> DataLoader[GroupBatch]:
    """Make a loader of given batches.

    Args:
        dataset: a ``MemoryMappedDataset``, or a subset that accepts lists of indices.
        numbers: indices of the groups in each batch.
        num_workers: number of processes that read in advance; 0 for none.
        pin_memory: use page-locked memory, for faster copies to a GPU.
    """
    return DataLoader(
        dataset,
        sampler=numbers,
        batch_size=None,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,  # starting a worker may take seconds
        pin_memory=pin_memory,
    )


def _bad_items(bad_pixels: Bool[np.ndarray, "*M N N"] | None) -> Items | None:
    """Return the items of a mask (M, N, N); a mask (N, N) for all patterns is not copied M times."""
    if bad_pixels is None:
        return None
    return Repeated(bad_pixels) if bad_pixels.ndim == 2 else items_of(bad_pixels)


def _factor(mean_energy: float, N: int) -> np.float32:
    """Return the factor of patterns of side N. Float32 must hold it and its inverse."""
    with np.errstate(over="ignore"):
        factor = normalization_factor(mean_energy, N)
    if not np.finfo(np.float32).tiny <= factor < np.inf:
        raise ValueError(
            f"diffraction: expected amplitudes in units of about a photon, found a mean sum of squares of "
            f"{mean_energy:.3g}; multiply them by a constant"
        )
    return factor


def _indices(nn_indices: Int[np.ndarray, "n C"], M: int) -> Int64[np.ndarray, "n C"]:
    indices = np.asarray(nn_indices)
    if indices.ndim != 2 or 0 in indices.shape or indices.dtype.kind not in "iu":
        raise ValueError(f"nn_indices: expected integers (n, C), found {indices.dtype} {indices.shape}")
    if not 0 <= indices.min() <= indices.max() < M:
        raise ValueError(
            f"nn_indices: expected 0..{M - 1}, patterns of the scan, found {indices.min()}..{indices.max()}"
        )
    return indices.astype(np.int64)
