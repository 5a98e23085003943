"""Chain TensorFlow's steps from a known object to its mosaic."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from golden.ptychopinn.coordinates.reference import as_working
from golden.ptychopinn.formats.reference import flat_to_channel
from golden.ptychopinn.grouping import reference as grouping
from golden.ptychopinn.merge import reference as merge
from golden.ptychopinn.physics.reference import amplitude_of
from golden.ptychopinn.probe import reference as probes
from golden.ptychopinn.reassembly import reference as reassembly
from golden.ptychopinn.simulation import reference as simulation


def container(real: tf.DType, **given: Any) -> dict[str, tf.Tensor | np.ndarray]:
    return _chain(real, **given)


def memory_mapped(real: tf.DType, **given: Any) -> dict[str, tf.Tensor | np.ndarray]:
    # The route of the positions is specific to the port; the result must be the same.
    outputs = _chain(real, **given)
    del outputs["coords_relative"]
    return outputs


def _chain(
    real: tf.DType,
    *,
    object: np.ndarray,
    probe: np.ndarray,
    positions: np.ndarray,
    gridsize: int,
    K: int,
    nsamples: int,
    seed: int,
    padded_size: int,
    probe_scale: float,
    M: int,
) -> dict[str, tf.Tensor | np.ndarray]:
    N, members = len(probe), gridsize**2
    patterns = simulation.patterns(real, object=object, probe=probe, positions=positions, nphotons=1.0)["amplitude"]
    x, y = positions[:, 0, :, 0].T
    record = grouping.record(
        real,
        xcoords=x,
        ycoords=y,
        diff3d=patterns.numpy()[..., 0],
        object=object,
        gridsize=gridsize,
        K=K,
        nsamples=nsamples,
        seed=seed,
        sequential_sampling=False,
    )
    relative, offsets = np.asarray(record["coords_relative"]), np.asarray(record["coords_offsets"])

    # In place of the network's output, use the patch that each pattern shows, confined to its centre.
    shown = grouping.patches_at(real, object, positions, N).numpy()[..., 0]
    patches = _confined(np.transpose(shown[record["nn_indices"]], [0, 2, 3, 1]))
    canvas = _merged(real, patches, relative, padded_size)
    extracted = merge.extract(real, canvas=canvas, coords_relative=relative, N=N)["patches"]
    light = probes.normalise(real, probe=probe, probe_scale=probe_scale)["normalised"]

    margin = (canvas.shape[1] - N) // 2
    tiles = canvas[:, margin : margin + N, margin : margin + N]
    stitched = reassembly.position(real, patches=tiles, offsets=offsets, M=M)
    return {
        "X_full": record["X_full"],
        "coords_relative": relative,
        "coords_offsets": offsets,
        "positions": (-relative).astype(np.float32),
        "merged": canvas,
        "amplitude": flat_to_channel(amplitude_of(extracted * light[None], N), members),
        "count": stitched["count"],
        "mosaic": stitched["mosaic"],
    }


def _confined(patches: np.ndarray) -> np.ndarray:
    """Set (B, N, N, C) to zero around the central N // 2 pixels, as in the output of a decoder without a border."""
    N = patches.shape[1]
    centre = slice(N // 4, N // 4 + N // 2)
    confined = np.zeros_like(patches)
    confined[:, centre, centre] = patches[:, centre, centre]
    return confined


def _merged(real: tf.DType, patches: np.ndarray, relative: np.ndarray, padded_size: int) -> np.ndarray:
    total, norm = merge.sum_and_norm(as_working(patches, real), tf.cast(relative, real), padded_size)
    merged: np.ndarray = (total / tf.cast(norm, total.dtype)).numpy()
    return merged
