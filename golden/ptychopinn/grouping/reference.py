"""Groups, the grouped record, its normalisation, and ground-truth patches, as in PtychoPINN.

The package draws, gathers and normalises with NumPy in float64, and finds neighbours with SciPy's k-d tree, and so does
this module. Patches of an object are cut by TensorFlow's translation.
"""

from __future__ import annotations

from itertools import combinations, islice
from math import ceil, comb
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.spatial import cKDTree

from golden.ptychopinn.coordinates import reference as coordinates

Random = np.random.RandomState


def sample(
    real: tf.DType,
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    gridsize: int,
    K: int,
    nsamples: int,
    seed: int,
    sequential_sampling: bool,
) -> dict[str, np.ndarray]:
    M, C = len(xcoords), gridsize**2
    random = Random(0 if sequential_sampling else seed)
    seeds = np.arange(min(nsamples, M)) if sequential_sampling else _choose(random, M, nsamples)
    if C == 1:
        return {"nn_indices": seeds.astype(np.int64).reshape(-1, 1)}
    groups = [random.choice(near, C, replace=False) for near in _near(xcoords, ycoords, seeds, K)]
    return {"nn_indices": np.array(groups, np.int32)}


def subsample(real: tf.DType, *, xcoords: np.ndarray, n_subsample: int, subsample_seed: int) -> dict[str, np.ndarray]:
    used = min(n_subsample, len(xcoords))
    indices = np.arange(len(xcoords))
    if used < len(xcoords):
        indices = np.sort(Random(subsample_seed).choice(indices, used, replace=False))
    return {"sample_indices": indices, "xcoords": xcoords[indices]}


def oversample(
    real: tf.DType,
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    gridsize: int,
    K: int,
    nsamples: int,
    seed: int,
    sequential_sampling: bool,
    neighbor_pool_size: int | None,
) -> dict[str, np.ndarray]:
    M, C, size = len(xcoords), gridsize**2, neighbor_pool_size or K
    random, full = Random(seed), 2 * nsamples
    count = min(M, 2 * ceil(nsamples / comb(size, C)))
    seeds = np.arange(count) if sequential_sampling else _choose(random, M, count)
    pool: list[tuple[int, ...]] = []
    for one, near in zip(seeds, _nearest(xcoords, ycoords, seeds, size)):
        others = near[1:]
        members = others if len(others) >= C else [one, *others]
        pool += islice(combinations(members, C), full - len(pool))
        if len(pool) == full:
            break
    chosen = random.choice(len(pool), nsamples, replace=len(pool) < nsamples)
    return {"nn_indices": np.array(pool, np.int64)[chosen]}


def record(
    real: tf.DType,
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    diff3d: np.ndarray,
    object: np.ndarray,
    gridsize: int,
    **drawn: Any,
) -> dict[str, tf.Tensor | np.ndarray]:
    groups = sample(real, xcoords=xcoords, ycoords=ycoords, gridsize=gridsize, **drawn)["nn_indices"]
    coords_nn = _positions(xcoords, ycoords, groups)
    # Positions are float64, whatever the dtype of the patches.
    placed = coordinates.relative(tf.float64, coords_nn=coords_nn)
    diffraction = np.transpose(diff3d[groups], [0, 2, 3, 1])
    offsets, relative = (placed[name].numpy() for name in ("coords_offsets", "coords_relative"))
    truth = ground_truth(
        real, object=object, coords_offsets=offsets, coords_relative=relative, gridsize=gridsize, N=diff3d.shape[1]
    )
    return {
        "nn_indices": groups,
        "coords_nn": coords_nn,
        **placed,
        "diffraction": diffraction,
        **normalise(real, diffraction=diffraction),
        "Y": truth["patches"],
    }


def start_positions(
    real: tf.DType,
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    xcoords_start: np.ndarray,
    ycoords_start: np.ndarray,
    **drawn: Any,
) -> dict[str, tf.Tensor | np.ndarray]:
    groups = sample(real, xcoords=xcoords, ycoords=ycoords, sequential_sampling=False, **drawn)["nn_indices"]
    coords_nn = _positions(xcoords_start, ycoords_start, groups)
    placed = coordinates.relative(tf.float64, coords_nn=coords_nn)
    return {
        "coords_start_nn": coords_nn,
        "coords_start_offsets": placed["coords_offsets"],
        "coords_start_relative": placed["coords_relative"],
    }


def normalise(real: tf.DType, *, diffraction: np.ndarray) -> dict[str, np.ndarray]:
    half = diffraction.shape[1] / 2
    sums = np.sum(np.square(diffraction.astype(np.float64)), axis=(1, 2))
    return {"X_full": (diffraction * np.sqrt(half**2 / np.mean(sums))).astype(np.float32)}


def ground_truth(
    real: tf.DType,
    *,
    object: np.ndarray,
    coords_offsets: np.ndarray,
    coords_relative: np.ndarray,
    gridsize: int,
    N: int,
) -> dict[str, tf.Tensor]:
    return {"patches": patches_at(real, object, coords_offsets + coords_relative, N)}


def member_patches(real: tf.DType, *, object: np.ndarray, coords_nn: np.ndarray, N: int) -> dict[str, tf.Tensor]:
    return {"patches": patches_at(real, object, coords_nn, N)}


def _choose(random: Random, M: int, count: int) -> np.ndarray:
    """Draw indices; if all are requested, return them in order without a draw."""
    return np.arange(M) if count >= M else random.choice(np.arange(M), count, replace=False)


def _near(xcoords: np.ndarray, ycoords: np.ndarray, seeds: np.ndarray, K: int) -> list[np.ndarray]:
    return [near[1:] if len(near) > K else near for near in _nearest(xcoords, ycoords, seeds, K)]


def _nearest(xcoords: np.ndarray, ycoords: np.ndarray, seeds: np.ndarray, K: int) -> np.ndarray:
    """Return the K + 1 patterns nearest to each seed, or all; the seed comes first."""
    points = np.column_stack([xcoords, ycoords])
    _, found = cKDTree(points).query(points[seeds], k=min(K + 1, len(points)))
    return np.asarray(found)


def _positions(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the members' positions, (n, 1, 2, C), [x, y] on axis 2."""
    return np.array([x[groups], y[groups]]).transpose(1, 0, 2)[:, None]


def patches_at(real: tf.DType, object: np.ndarray, positions: np.ndarray, N: int) -> tf.Tensor:
    """Cut the upper left N x N pixels of the padded object, moved by minus each position (n, 1, 2, C)."""
    groups, _, _, members = positions.shape
    margin = N // 2
    padded = tf.pad(coordinates.as_working(object, real), [[margin, margin], [margin, margin]])
    moves = -tf.cast(tf.reshape(tf.transpose(positions[:, 0], [0, 2, 1]), [groups * members, 2]), real)
    images = tf.repeat(padded[None, :, :, None], groups * members, axis=0)
    corners = coordinates.translated(images, moves)[:, :N, :N, 0]
    return tf.transpose(tf.reshape(corners, [groups, members, N, N]), [0, 2, 3, 1])
