"""These faults get a sign wrong, or exchange x and y, in each place of the chain from an object to its mosaic.

A vector [x, y] passes through each place of the chain, and a fault changes its sign or order there. Two faults may
compensate each other in later outputs, but never in the output of the first place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from golden.ptychopinn.net_shift.formulas import Turn, container, memory_mapped
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault

# ------------------------------------------------------------------------------------------------ places and turns


@dataclass(frozen=True)
class Place:
    """A step of the chain that has a sign.

    Attributes:
        name: prefix of the names of its faults.
        subject: the quantity that has the sign, for the diagnosis.
        rule: the right value of that quantity, for the diagnosis.
        shown_by: the output that holds the result of this step, and nothing later.
        in_group: its vectors are distances from the mean of a group, all 0 in a group of one.
    """

    name: str
    subject: str
    rule: str
    shown_by: str
    in_group: bool = False


_CUT = Place("cut", "the patch position", "+position", "X_full")
_OFFSETS = Place("offsets", "coords_offsets", "the group's mean position", "coords_offsets")
_MERGE = Place("merge", "the merge shift", "+position", "merged", in_group=True)
_EXTRACTION = Place("extraction", "the extraction shift", "-position", "amplitude", in_group=True)
_STITCHING = Place("stitching", "the stitching shift", "+(offset - mean)", "mosaic")

CONTAINER_ROUTE = (
    _CUT,
    Place("record", "the record's coords_relative", "-(position - group mean)", "coords_relative", in_group=True),
    _OFFSETS,
    Place("container", "the container's position", "-coords_relative", "positions", in_group=True),
    _MERGE,
    _EXTRACTION,
    _STITCHING,
)
MEMORY_MAPPED_ROUTE = (
    _CUT,
    Place("direct", "the memory-mapped position", "+(position - group mean)", "positions", in_group=True),
    _OFFSETS,
    _MERGE,
    _EXTRACTION,
    _STITCHING,
)
"""The places of each route, in the order of the chain."""

TURNS: Mapping[str, tuple[str, Turn]] = {
    "sign": ("negated", np.negative),
    "x_sign": ("negated along x", lambda v: v * [[-1], [1]]),
    "y_sign": ("negated along y", lambda v: v * [[1], [-1]]),
    "xy_swap": ("swapped to [y, x]", lambda v: v[:, :, ::-1]),
}
"""Mistakes that can happen in any place: the words, and the change of the vectors (n, 1, 2, C)."""

# ------------------------------------------------------------------------------------------------ faults

Formula = Callable[..., Arrays]

_GROUPS_OF_ONE = Condition(
    "a group of one lies at its own mean, so its relative position is zero", lambda _, p: p["gridsize"] == 1
)


def fault_name(turn: str, *places: Place) -> str:
    return "_and_".join(f"{place.name}_{turn}" for place in places)


def _fault(turn: str, *places: Place, formula: Formula) -> Fault:
    words, turned = TURNS[turn]
    symptom = f"{places[0].subject} is {words}; expected {places[0].rule}"
    if len(places) > 1:
        symptom = f"{' and '.join(place.subject for place in places)} are {words}; expected neither"
    fault = Fault.of_formula(
        fault_name(turn, *places),
        symptom,
        formula,
        turns={place.name: turned for place in places},
    )
    return fault.invisible_when(_GROUPS_OF_ONE) if all(place.in_group for place in places) else fault


def faults_in(places: Iterable[Place], formula: Formula) -> tuple[Fault, ...]:
    """Return a fault for every turn in every place, and for every pair of places with the opposite sign."""
    places = list(places)
    singles = [_fault(turn, place, formula=formula) for place in places for turn in TURNS]
    pairs = [_fault("sign", *pair, formula=formula) for pair in itertools.combinations(places, 2)]
    return (*singles, *pairs)


CONTAINER = faults_in(CONTAINER_ROUTE, container)
MEMORY_MAPPED = faults_in(MEMORY_MAPPED_ROUTE, memory_mapped)
