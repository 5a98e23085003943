"""Faults of the whole chain from an object to its mosaic: a wrong sign, or x and y exchanged, wherever a sign lives.

The chain is restated once. In each of its places a vector [x, y] passes; a fault turns the vector there. Two faults at
once may compensate each other in what follows, never in the output that belongs to the first of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from golden.ptychopinn.formats.faults import flat_to_channel, positions_to_flat
from golden.ptychopinn.grouping import faults as grouping
from golden.ptychopinn.merge import faults as merge
from golden.ptychopinn.physics.faults import diffraction
from golden.ptychopinn.probe.faults import norm
from golden.ptychopinn.reassembly import faults as reassembly
from golden.ptychopinn.simulation.faults import cut
from golden.spec.fault import Fault, Trial

# ------------------------------------------------------------------------------------------------ places and turns


@dataclass(frozen=True)
class Place:
    """Where a sign lives.

    Attributes:
        name: of the place, in the names of its faults.
        subject: what has the sign, for the diagnosis.
        rule: what it should be.
        shown_by: the output that holds what comes out of the place, and nothing that comes later.
        in_group: its vectors are distances from the mean of a group, all 0 in a group of one.
    """

    name: str
    subject: str
    rule: str
    shown_by: str
    in_group: bool = False


Turn = Callable[[np.ndarray], np.ndarray]
"""Of vectors (n, 1, 2, k): [x, y] on axis 2."""

_CUT = Place("cut", "the cut of the object", "the patch at +position", "X_full")
_OFFSETS = Place("offsets", "coords_offsets", "the mean position of a group", "coords_offsets")
_MERGE = Place("merge", "the merge's move", "+position", "merged", in_group=True)
_EXTRACTION = Place("extraction", "the extraction's move", "-position", "amplitude", in_group=True)
_STITCHING = Place("stitching", "the stitcher's move", "+(offset - mean)", "mosaic")

CONTAINER_ROUTE = (
    _CUT,
    Place(
        "record", "the record's coords_relative", "-(position - mean of its group)", "coords_relative", in_group=True
    ),
    _OFFSETS,
    Place("container", "the container's positions", "-coords_relative", "positions", in_group=True),
    _MERGE,
    _EXTRACTION,
    _STITCHING,
)
MEMORY_MAPPED_ROUTE = (
    _CUT,
    Place("direct", "the memory-mapped positions", "+(position - mean of its group)", "positions", in_group=True),
    _OFFSETS,
    _MERGE,
    _EXTRACTION,
    _STITCHING,
)
"""In the order in which the chain passes them."""

TURNS: Mapping[str, tuple[str, Turn]] = {
    "sign": ("the other sign", np.negative),
    "x_sign": ("the other sign along x", lambda v: v * [[-1], [1]]),
    "y_sign": ("the other sign along y", lambda v: v * [[1], [-1]]),
    "xy_swap": ("x and y exchanged", lambda v: v[:, :, ::-1]),
}
"""What can be wrong in a place, in words and as it is done."""

# ------------------------------------------------------------------------------------------------ the chain


def chain(t: Trial, wrong: Mapping[str, Turn] | None = None) -> dict[str, np.ndarray]:
    """The outputs of either route, as they should be but for the places (by name) where vectors are turned."""

    def at(place: str, vectors: np.ndarray) -> np.ndarray:
        return wrong[place](vectors) if wrong and place in wrong else vectors

    object_, probe, positions = (t.inputs[name] for name in ("object", "probe", "positions"))
    N = len(probe)
    middle = positions.mean(axis=0)
    seen = middle + at("cut", positions - middle)
    patches = cut(object_, seen.reshape(-1, 2), N)
    x, y = positions[:, 0, :, 0].T
    groups = grouping.sample({"xcoords": x, "ycoords": y}, {"sequential_sampling": False, **t.parameters})

    coords = grouping.grouped_positions(x, y, groups)
    centre = coords.mean(axis=3, keepdims=True)
    relative = at("record", centre - coords)
    nominal = at("direct", at("container", -relative))
    offsets = at("offsets", centre)

    into = {"patches": confined(grouping.gather(patches, groups)), "coords_relative": -nominal}
    moves = positions_to_flat(at("merge", nominal))
    total, count = merge.sums(replace(t, inputs=into), by=moves - moves.mean(axis=0))
    canvas = total / (count + 1e-3)

    light = probe / (float(t.parameters["probe_scale"] or 0) * norm(probe))
    out_of = replace(t, inputs={"canvas": canvas, "coords_relative": -nominal}, parameters={"N": N})
    extracted = merge.extract(out_of, by=positions_to_flat(at("extraction", -nominal)))["patches"]

    margin = (canvas.shape[1] - N) // 2
    tiles = canvas[:, margin : margin + N, margin : margin + N].astype(np.complex64)
    placed = at("stitching", offsets - offsets.mean(axis=0)).reshape(-1, 2)
    stitched = reassembly.stitch(replace(t, inputs={"patches": tiles, "offsets": offsets}), moves=placed)
    outputs = {
        "X_full": grouping.normalised(grouping.gather(diffraction((patches * probe)[..., None])[..., 0], groups)),
        "coords_relative": relative,
        "coords_offsets": offsets,
        "positions": nominal.astype(np.float32),
        "merged": canvas.astype(np.complex64),
        "amplitude": flat_to_channel(diffraction(extracted * light[:, :, None]), groups.shape[1]).astype(np.float32),
        **stitched,
    }
    return {name: array for name, array in outputs.items() if name in t.outputs}


def confined(patches: np.ndarray) -> np.ndarray:
    """Patches (B, N, N, C) with zeros around their central N // 2 pixels."""
    return np.asarray(patches * merge.centre_mask(patches.shape[1])[None, :, :, None])


# ------------------------------------------------------------------------------------------------ faults


def fault_name(turn: str, *places: Place) -> str:
    return "_and_".join(f"{place.name}_{turn}" for place in places)


def _fault(turn: str, *places: Place) -> Fault:
    words, turned = TURNS[turn]
    subjects, rules = (" and ".join(texts) for texts in ([p.subject for p in places], [p.rule for p in places]))
    has = "has" if len(places) == 1 else "both have"
    return Fault(
        fault_name(turn, *places),
        f"{subjects} {has} {words}; expected {rules}",
        lambda t: chain(t, {place.name: turned for place in places}),
    )


def faults_in(places: Iterable[Place]) -> tuple[Fault, ...]:
    """Every turn in every place; and every pair of places with the other sign."""
    places = list(places)
    singles = [_fault(turn, place) for place in places for turn in TURNS]
    pairs = [_fault("sign", *pair) for pair in itertools.combinations(places, 2)]
    return (*singles, *pairs)


CONTAINER = faults_in(CONTAINER_ROUTE)
MEMORY_MAPPED = faults_in(MEMORY_MAPPED_ROUTE)
