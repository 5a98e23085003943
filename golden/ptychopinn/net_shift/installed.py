"""Compute the whole chain from positions to a mosaic with the installed package ``ptycho``."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.ptychopinn.grouping import installed as grouping
from golden.ptychopinn.merge import installed as merge
from golden.ptychopinn.physics import installed as physics
from golden.ptychopinn.probe import installed as probes
from golden.ptychopinn.reassembly import installed as reassembly
from golden.ptychopinn.simulation import installed as simulation


def container(
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
) -> dict[str, np.ndarray]:
    """Compute record, merge, extraction, far field and mosaic from patterns, each with the package's own call.

    In place of the network's output, use the patch that each pattern shows, confined to its centre.
    """
    N = len(probe)
    patterns = simulation.patterns(object=object, probe=probe, positions=positions, nphotons=1.0)["amplitude"]
    x, y = positions[:, 0, :, 0].T
    drawn: dict[str, int] = {"gridsize": gridsize, "K": K, "nsamples": nsamples, "seed": seed}
    record = grouping.record(
        xcoords=x, ycoords=y, diff3d=patterns[..., 0].copy(), object=object, **drawn, sequential_sampling=False
    )
    relative, offsets = record["coords_relative"], record["coords_offsets"]
    shown = grouping.member_patches(object=object, coords_nn=positions, N=N)["patches"][..., 0]
    patches = _confined(np.moveaxis(shown[record["nn_indices"]], 1, 3))
    single = relative.astype(np.float32)
    canvas = merge.merge(patches=patches, coords_relative=single, padded_size=padded_size)["merged_centre"]
    extracted = merge.extract(canvas=canvas, coords_relative=single, N=N)["patches"]
    light = probes.normalise(probe=probe, probe_scale=probe_scale)["normalised"]
    amplitude = physics.diffraction(field=extracted * light[None])["amplitude"]
    margin = (canvas.shape[1] - N) // 2
    tiles = np.ascontiguousarray(canvas[:, margin : margin + N, margin : margin + N])
    stitched = reassembly.position(patches=tiles, offsets=offsets, M=M)
    return {
        "X_full": record["X_full"],
        "coords_relative": relative,
        "coords_offsets": offsets,
        "positions": -single,
        "merged": canvas,
        "amplitude": np.moveaxis(amplitude.reshape(len(canvas), gridsize**2, N, N), 1, 3).copy(),
        "count": stitched["count"],
        "mosaic": stitched["mosaic"],
    }


def memory_mapped(**given: Any) -> dict[str, np.ndarray]:
    """Compute the same: only the port has two routes for positions."""
    outputs = container(**given)
    del outputs["coords_relative"]
    return outputs


def _confined(patches: np.ndarray) -> np.ndarray:
    """Return patches (B, N, N, C) with zeros around their central N // 2 pixels."""
    N = patches.shape[1]
    centre = slice(N // 4, N // 4 + N // 2)
    confined = np.zeros_like(patches)
    confined[:, centre, centre] = patches[:, centre, centre]
    return confined
