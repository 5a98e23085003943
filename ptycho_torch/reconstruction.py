"""Reconstruct a mosaic from the groups of a scan with a trained model, and collect the evidence for a diagnosis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex64, Float32, Float64, Int64
from torch import Tensor
from torch.utils.data import DataLoader

from ptycho_torch.checks.diagnostics import Evidence
from ptycho_torch.config_params import Precision
from ptycho_torch.dataloader import GroupBatch, MemoryMappedDataset, batches
from ptycho_torch.files.bundle import Bundle
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.reassembly import overlap_ratio, shift_and_sum
from ptycho_torch.operators.torch_defaults import torch_defaults
from ptycho_torch.precision import autocast
from ptycho_torch.scans.scan import Scan

CROP = 20
"""M: side of the central part of a patch that is put into the mosaic, pixels."""
BATCH = 32
"""Groups predicted together."""

Track = Callable[[DataLoader[GroupBatch]], Iterable[GroupBatch]]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The output of a model for n groups.

    Attributes:
        patches: (n, N, N) complex64, the object around each group's mean position.
        offsets: (n, 2) float64, mean position of each group, [x, y], pixels.
        nn_indices: (n, C) int64, patterns of each group.
        measured: photons in the good pixels of all patterns, scaled as for the network.
        predicted: photons that the network expects in these pixels.
        explained: fraction of the patterns' variance about their mean that the network explains: 1 for all of it, 0 for
            no more than the mean pattern does, NaN if the patterns do not vary.
        good_share: (N, N), fraction of the patterns in which each pixel is good; None if all are.
    """

    patches: Complex64[Tensor, "n N N"]
    offsets: Float64[Tensor, "n 2"]
    nn_indices: Int64[Tensor, "n C"]
    measured: float
    predicted: float
    explained: float = math.nan
    good_share: Float64[Tensor, "N N"] | None = None


@dataclass(frozen=True, eq=False)
class Mosaic:
    """An image stitched from patches.

    Attributes:
        values: (S, S) complex64; 0 where there is no patch.
        count: (S, S) float32, number of patches that cover a pixel.
        mask: (S, S) bool, true where ``count`` exceeds 0.01; elsewhere the values are meaningless.
    """

    values: Complex64[Tensor, "S S"]
    count: Float32[Tensor, "S S"]
    mask: Bool[Tensor, "S S"]


@torch_defaults()
def predict(
    model: PtychoPINN,
    dataset: MemoryMappedDataset,
    *,
    batch_size: int = BATCH,
    device: torch.device | str = "cpu",
    precision: Precision = "32-true",
    track: Track = lambda found: found,
) -> Prediction:
    """Run a model on all groups of a data set.

    Args:
        model: trained model; it is moved to the device.
        dataset: groups of C patterns of N x N; C and N are those of the model.
        batch_size: groups per batch; it changes the result by rounding only.
        device: device to compute on.
        precision: ``32-true``, or ``bf16-mixed`` for a network in bfloat16.
        track: takes the batches and yields them one by one, for a progress bar.

    Returns:
        The prediction, in host memory.

    Raises:
        ValueError: C or N differ from those of the model.
    """
    model.to(device)
    patches, measured, predicted, missed = [], 0.0, 0.0, 0.0
    total: Tensor | float = 0.0
    with torch.inference_mode(), autocast(precision, device):
        for batch in track(batches(dataset, batch_size)):
            X = batch.X.to(device)
            found = model(X, batch.positions.to(device))
            patches.append(found.object.cpu())
            wanted = X * model.intensity_scale
            amplitude = found.amplitude if batch.good is None else found.amplitude * batch.good.to(device)
            measured += wanted.square().sum().item()
            predicted += amplitude.square().sum().item()
            missed += (amplitude - wanted).square().sum().item()
            total = total + wanted.sum(dim=(0, 1)).to("cpu", torch.float64)
    return Prediction(
        torch.cat(patches),
        dataset.global_offsets.reshape(-1, 2),
        dataset.nn_indices,
        measured,
        predicted,
        _explained(missed, measured, total, dataset),
        dataset.good_share,
    )


def _explained(missed: float, measured: float, total: Tensor | float, dataset: MemoryMappedDataset) -> float:
    """Return the fraction of the amplitudes' variance about the mean pattern that a network explains.

    Args:
        missed: sum of the squared differences of predicted and measured amplitudes.
        measured: sum of the squared measured amplitudes.
        total: (N, N), sum of the measured amplitudes over all patterns.
        dataset: the patterns; it says how often each pixel was measured.
    """
    patterns = dataset.nn_indices.numel()
    times = patterns if dataset.good_share is None else (dataset.good_share * patterns).clamp(min=1)
    differing = measured - float((torch.as_tensor(total).square() / times).sum())
    return 1 - missed / differing if differing > 1e-6 * measured else math.nan


@torch_defaults()
def stitch(patches: Complex64[Tensor, "n N N"], offsets: Float64[Tensor, "n 2"], M: int = CROP) -> Mosaic:
    """Stitch patches at their positions (``reassembly.shift_and_sum``); the mean position is the mosaic's centre.

    Args:
        patches: (n, N, N) complex64.
        offsets: (n, 2) float64, [x, y] of each patch's index N // 2, pixels: positions in the scan, not relative to a
            group.
        M: side of the central part of a patch that is put into the mosaic, pixels; even.

    Raises:
        ValueError: a shape or value is wrong.
    """
    total, count = shift_and_sum(patches[None], offsets[None, :, None, :], M)
    return Mosaic(overlap_ratio(total, count)[0], count[0], count[0] > 0.01)


def gather_evidence(scan: Scan, bundle: Bundle, prediction: Prediction, mosaic: Mosaic) -> Evidence:
    """Collect the evidence that ``diagnose`` needs.

    Args:
        scan: scan that was reconstructed.
        bundle: trained model, with its configuration.
        prediction: the model's output for the scan's groups.
        mosaic: mosaic stitched from the prediction.
    """
    return Evidence(
        # Computed from the scan itself, to check the offsets that were passed on.
        positions=scan.positions[prediction.nn_indices.numpy()].mean(axis=1),
        offsets=prediction.offsets.numpy(),
        patches=prediction.patches.numpy(),
        mosaic=mosaic.values.numpy(),
        count=mosaic.count.numpy(),
        crop=CROP,
        raw_probe=np.asarray(scan.probe),
        probe=bundle.model.probe.cpu().numpy(),
        probe_scale=bundle.data.probe_scale,
        intensity_scale=bundle.model.intensity_scale.item(),
        nphotons=bundle.data.nphotons,
        measured=prediction.measured,
        predicted=prediction.predicted,
        explained=prediction.explained,
        good_share=None if prediction.good_share is None else prediction.good_share.numpy(),
        known=scan.object_guess,
    )
