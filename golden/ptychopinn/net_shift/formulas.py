"""These formulas follow an object to its mosaic, through either route to the network's merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from golden.ptychopinn.formats.formulas import flat_to_channel, positions_to_flat
from golden.ptychopinn.grouping import formulas as grouping
from golden.ptychopinn.merge import formulas as merge
from golden.ptychopinn.physics.formulas import amplitude_of
from golden.ptychopinn.probe.formulas import norm
from golden.ptychopinn.reassembly import formulas as reassembly
from golden.ptychopinn.simulation.formulas import cut

Turn = Callable[[np.ndarray], np.ndarray]
"""A function that changes vectors (n, 1, 2, k), with [x, y] on axis 2."""
Turns = Mapping[str, Turn]
"""Name of a place -> the turn in it."""
_NO_TURNS: Turns = MappingProxyType({})


def container(*, turns: Turns = _NO_TURNS, **given: Any) -> dict[str, np.ndarray]:
    """Follow the container's route; ``turns`` change the vectors in some of its places."""
    return _chain(turns, **given)


def memory_mapped(*, turns: Turns = _NO_TURNS, **given: Any) -> dict[str, np.ndarray]:
    """Follow the memory-mapped route; ``turns`` are as those of ``container``."""
    outputs = _chain(turns, **given)
    del outputs["coords_relative"]
    return outputs


def _chain(
    turns: Turns,
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
    def at(place: str, vectors: np.ndarray) -> np.ndarray:
        return turns[place](vectors) if place in turns else vectors

    N = len(probe)
    middle = positions.mean(axis=0)
    seen = middle + at("cut", positions - middle)
    patches = cut(object, seen.reshape(-1, 2), N)
    x, y = positions[:, 0, :, 0].T
    groups = grouping.sample(xcoords=x, ycoords=y, gridsize=gridsize, K=K, nsamples=nsamples, seed=seed)["nn_indices"]

    coords = grouping.grouped_positions(x, y, groups)
    centre = coords.mean(axis=3, keepdims=True)
    relative = at("record", centre - coords)
    nominal = at("direct", at("container", -relative))
    offsets = at("offsets", centre)

    moves = positions_to_flat(at("merge", nominal))
    confined_patches = confined(grouping.gather(patches, groups))
    total, count = merge.sums(confined_patches, moves - moves.mean(axis=0), padded_size)
    canvas = total / (count + 1e-3)

    light = probe / (probe_scale * norm(probe))
    canvases = merge.for_each_member(canvas, groups.shape[1])
    extracted = merge.extracted(canvases, positions_to_flat(at("extraction", -nominal)), N)

    margin = (canvas.shape[1] - N) // 2
    tiles = canvas[:, margin : margin + N, margin : margin + N].astype(np.complex64)
    placed = at("stitching", offsets - offsets.mean(axis=0)).reshape(-1, 2)
    stitched = reassembly.stitched(tiles, placed, M)
    patterns = amplitude_of((patches * probe)[..., None])[..., 0]
    return {
        "X_full": grouping.normalised(grouping.gather(patterns, groups)),
        "coords_relative": relative,
        "coords_offsets": offsets,
        "positions": nominal.astype(np.float32),
        "merged": canvas.astype(np.complex64),
        "amplitude": flat_to_channel(amplitude_of(extracted * light[:, :, None]), groups.shape[1]).astype(np.float32),
        "count": stitched["count"],
        "mosaic": stitched["mosaic"],
    }


def confined(patches: np.ndarray) -> np.ndarray:
    """Put zeros around the central N // 2 pixels of patches (B, N, N, C)."""
    return np.asarray(patches * merge.centre_mask(patches.shape[1])[None, :, :, None])
