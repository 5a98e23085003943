"""From a trained model and the groups of a scan to a mosaic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex64, Float32, Float64, Int64
from torch import Tensor
from torch.utils.data import DataLoader

from ptycho_torch.dataloader import GroupBatch, MemoryMappedDataset, batches
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.reassembly import overlap_ratio, shift_and_sum

CROP = 20
"""M: side of the centre of a patch that enters the mosaic, pixels."""
BATCH = 32
"""Groups predicted together."""

Track = Callable[[DataLoader[GroupBatch]], Iterable[GroupBatch]]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model made of n groups.

    Attributes:
        patches: (n, N, N) complex64, the object around each group's mean position.
        offsets: (n, 2) float64, mean position of each group, [x, y], pixels.
        nn_indices: (n, C) int64, patterns of each group.
        measured, predicted: photons in all patterns: as they were scaled for the network, and as it explains them.
    """

    patches: Complex64[Tensor, "n N N"]
    offsets: Float64[Tensor, "n 2"]
    nn_indices: Int64[Tensor, "n C"]
    measured: float
    predicted: float


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Patches stitched together.

    Attributes:
        values: (S, S) complex64; 0 where nothing was placed.
        count: (S, S) float32, how many patches cover a pixel.
        mask: (S, S) bool, where more than 0.01 do; elsewhere the values mean nothing.
    """

    values: Complex64[Tensor, "S S"]
    count: Float32[Tensor, "S S"]
    mask: Bool[Tensor, "S S"]


def predict(
    model: PtychoPINN,
    dataset: MemoryMappedDataset,
    *,
    batch_size: int = BATCH,
    device: torch.device | str = "cpu",
    track: Track = lambda found: found,
) -> Prediction:
    """Let a model look at all groups of a data set.

    Args:
        model: moved to the device.
        dataset: of patterns of its N, in groups of its C.
        batch_size: groups at a time; the result does not depend on it but for rounding.
        device: where to compute.
        track: is given the batches, and gives them back one after the other: for a progress bar.

    Returns:
        The prediction, in host memory.
    """
    model.to(device)
    patches, measured, predicted = [], 0.0, 0.0
    with torch.inference_mode():
        for batch in track(batches(dataset, batch_size)):
            X = batch.X.to(device)
            found = model(X, batch.positions.to(device))
            patches.append(found.object.cpu())
            measured += (X * model.intensity_scale).square().sum().item()
            predicted += found.amplitude.square().sum().item()
    return Prediction(
        torch.cat(patches), dataset.global_offsets.reshape(-1, 2), dataset.nn_indices, measured, predicted
    )


def stitch(patches: Complex64[Tensor, "n N N"], offsets: Float64[Tensor, "n 2"], M: int = CROP) -> Mosaic:
    """Stitch patches at their positions (``reassembly.shift_and_sum``): the mean position is the mosaic's centre.

    Args:
        patches: (n, N, N).
        offsets: (n, 2), [x, y] of each patch's index N // 2, pixels: global ones, not those relative to a group.
        M: side of the patch's centre that enters, pixels; even.

    Raises:
        ValueError: shapes or values that do not fit.
    """
    total, count = shift_and_sum(patches[None], offsets[None, :, None, :], M)
    return Mosaic(overlap_ratio(total, count)[0], count[0], count[0] > 0.01)
