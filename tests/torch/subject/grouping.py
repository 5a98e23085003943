"""Draws, the grouped record, its scale and its ground truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ptycho_torch.operators.ground_truth import ground_truth_at_members, ground_truth_like_tf
from ptycho_torch.operators.grouping import draw_groups, draw_patterns
from ptycho_torch.operators.normalization import normalize_data
from ptycho_torch.raw_data_bridge import RawDataTorch
from tests.torch.subject.layouts import Outputs, array


def grouping_sample(*, xcoords: np.ndarray, ycoords: np.ndarray, nsamples: int, **parameters: Any) -> Outputs:
    return {"nn_indices": draw_groups(xcoords, ycoords, nsamples, **parameters)}


def grouping_subsample(*, xcoords: np.ndarray, n_subsample: int, subsample_seed: int) -> Outputs:
    indices = draw_patterns(len(xcoords), n_subsample, subsample_seed)
    return {"sample_indices": indices, "xcoords": xcoords[indices]}


def grouping_oversample(*, xcoords: np.ndarray, ycoords: np.ndarray, nsamples: int, **parameters: Any) -> Outputs:
    return {"nn_indices": draw_groups(xcoords, ycoords, nsamples, enable_oversampling=True, **parameters)}


def grouping_record(
    *, xcoords: np.ndarray, ycoords: np.ndarray, diff3d: np.ndarray, object: np.ndarray, **parameters: Any
) -> Outputs:
    record = grouped_record(xcoords, ycoords, diff3d, object, **parameters)
    names = ("nn_indices", "coords_nn", "coords_offsets", "coords_relative", "diffraction", "X_full", "Y")
    return {name: record[name] for name in names}


def grouped_record(
    xcoords: np.ndarray, ycoords: np.ndarray, diff3d: np.ndarray, object: np.ndarray, **parameters: Any
) -> dict[str, Any]:
    """Return the whole grouped record of a scan of a known object."""
    N = diff3d.shape[1]
    raw = RawDataTorch(xcoords, ycoords, diff3d, np.ones((N, N), np.complex64), objectGuess=object)
    return raw.generate_grouped_data(N, **parameters)


def grouping_start_positions(
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    xcoords_start: np.ndarray,
    ycoords_start: np.ndarray,
    **parameters: Any,
) -> Outputs:
    patterns, probe = np.ones((len(xcoords), 4, 4), np.float32), np.ones((4, 4), np.complex64)
    raw = RawDataTorch(xcoords, ycoords, patterns, probe, xcoords_start=xcoords_start, ycoords_start=ycoords_start)
    record = raw.generate_grouped_data(4, **parameters)
    return {name: record[name] for name in ("coords_start_nn", "coords_start_offsets", "coords_start_relative")}


def grouping_normalise(*, diffraction: np.ndarray) -> Outputs:
    return {"X_full": normalize_data(diffraction)}


def grouping_ground_truth(
    *, object: np.ndarray, coords_offsets: np.ndarray, coords_relative: np.ndarray, gridsize: int, N: int
) -> Outputs:
    tensors = map(torch.from_numpy, (object, coords_offsets, coords_relative))
    return {"patches": array(ground_truth_like_tf(*tensors, N))}


def grouping_member_patches(*, object: np.ndarray, coords_nn: np.ndarray, N: int) -> Outputs:
    return {"patches": array(ground_truth_at_members(torch.from_numpy(object), torch.from_numpy(coords_nn), N))}
