"""The net shift: an object comes out upright by either route, and no two wrong signs hide each other.

After each place with a sign there is an output that shows it (``Place.shown_by``). So the first wrong place always
shows, whatever is wrong after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from golden.judge.judgement import judge
from golden.ptychopinn.net_shift.faults import TURNS, Place, fault_name
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden
from ptycho_torch.operators.ground_truth import patches_at
from tests.torch.mutants import ROUTES, SIGNS, replaced, with_turns
from tests.torch.orientation import best_orientation
from tests.torch.subject.net_shift import net_shift_container, net_shift_memory_mapped

BATCHES = (1, 3)
Subject = Callable[..., Mapping[str, np.ndarray]]
SUBJECTS: Mapping[str, Subject] = {
    "net_shift.container": net_shift_container,
    "net_shift.memory_mapped": net_shift_memory_mapped,
}
CASES = {name: case for name, case in load_cases("golden.ptychopinn").items() if case.topic == "net_shift"}
PAIRS = [(operation, *pair) for operation, route in ROUTES.items() for pair in itertools.combinations(route, 2)]


# ------------------------------------------------------------------------------------------------ upright


def outputs_of(name: str, goldens: Mapping[str, Golden], batch: int = 3) -> Mapping[str, np.ndarray]:
    case, golden = CASES[name], goldens[name]
    given: dict[str, Any] = {**golden.inputs, **case.parameters, "batch": batch}
    return SUBJECTS[case.operation.name](**given)


def passes(name: str, goldens: Mapping[str, Golden]) -> bool:
    return judge(goldens[name], outputs_of(name, goldens)).passed


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CASES)
def test_the_object_is_upright(name: str, batch: int, goldens: dict[str, Golden]) -> None:
    """Compared in the frame of the groups' mean, in all eight orientations."""
    mosaic = outputs_of(name, goldens, batch)["mosaic"][..., 0]
    middle = goldens[name].outputs["coords_offsets"].mean(axis=0).reshape(1, 2)
    known = patches_at(torch.from_numpy(goldens[name].inputs["object"]), torch.from_numpy(middle), len(mosaic))[0]
    orientation, correlation = best_orientation(mosaic, known.numpy())
    assert orientation == "upright"
    assert correlation > 0.98


@pytest.mark.parametrize("name", CASES)
def test_extracted_patches_predict_the_patterns(name: str, goldens: dict[str, Golden]) -> None:
    """Except for blur, the amplitude at the end of the golden is that of the patterns at its beginning."""
    golden = goldens[name]
    X, amplitude = golden.outputs["X_full"], golden.outputs["amplitude"]
    scale = np.vdot(X, amplitude) / np.vdot(X, X)
    assert np.linalg.norm(amplitude - scale * X) < 0.04 * np.linalg.norm(amplitude)
    others = np.roll(X, 1, axis=0)
    assert np.linalg.norm(amplitude - scale * others) > 0.2 * np.linalg.norm(amplitude), "so the test can fail"


# ------------------------------------------------------------------------------------------------ wrong signs

GROUPS_OF_FOUR = {operation: f"{operation.replace('.', '/')}_group4" for operation in ROUTES}


@pytest.mark.parametrize(("operation", "first", "second"), PAIRS, ids=lambda given: getattr(given, "name", given))
def test_no_pair_of_wrong_turns_passes(
    operation: str, first: Place, second: Place, goldens: dict[str, Golden], pytestconfig: pytest.Config
) -> None:
    """By default, both places get the same turn, because only then can they compensate. Pairs of signs are faults."""
    every = list(itertools.product(TURNS, repeat=2))
    one = [turn for turn in TURNS if turn != "sign"][PAIRS.index((operation, first, second)) % 3]
    for turn, other in every if pytestconfig.getoption("--all-mutations") else [(one, one)]:
        with replaced(*with_turns(operation, (first, turn), (second, other))):
            assert not passes(GROUPS_OF_FOUR[operation], goldens), (turn, other)


@pytest.mark.parametrize("operation", ROUTES)
def test_a_place_shows_in_its_output_and_no_later_place_does(operation: str, goldens: dict[str, Golden]) -> None:
    """So if several places are wrong, the output of the first of them is wrong."""
    faults, route = goldens[GROUPS_OF_FOUR[operation]].faults, ROUTES[operation]
    for k, place in enumerate(route):
        for turn in TURNS:
            assert place.shown_by in faults[fault_name(turn, place)].outputs
            assert not any(place.shown_by in faults[fault_name(turn, later)].outputs for later in route[k + 1 :])
    for first, second in itertools.combinations(route, 2):
        assert first.shown_by in faults[fault_name("sign", first, second)].outputs


def test_the_table_of_the_conventions_is_true(goldens: dict[str, Golden]) -> None:
    """docs/conventions.md lists which outputs show a wrong sign, alone or in a pair that compensates."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "conventions.md").read_text(encoding="utf-8")
    table = "| wrong sign |" + text.partition("| wrong sign |")[2].partition("\n\n")[0]
    head, _, *rows = ([cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines())
    golden = {**goldens["net_shift/memory_mapped_group4"].faults, **goldens["net_shift/container_group4"].faults}
    assert len(rows) >= 8
    for places, *marks in rows:
        name = "_and_".join(f"{place}_sign" for place in places.split(" + "))
        assert {output for output, mark in zip(head[1:], marks) if mark} == set(golden[name].outputs), name


def test_each_route_has_signs_of_its_own(goldens: dict[str, Golden]) -> None:
    """Before the routes meet in the merge, a mistake on one does not affect the other."""
    for operation, elsewhere in itertools.permutations(ROUTES):
        own = [place for place in ROUTES[operation] if SIGNS[operation][place.name] not in SIGNS[elsewhere].values()]
        assert {place.name for place in own} >= {"offsets"}
        for place in own:
            with replaced(*with_turns(operation, (place, "sign"))):
                assert passes(GROUPS_OF_FOUR[elsewhere], goldens), place
                assert not passes(GROUPS_OF_FOUR[operation], goldens), place
