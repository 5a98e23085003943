"""The faults of this repository: enough of them, far from the tolerance, and bent from the right formulas."""

from __future__ import annotations

import numpy as np
import pytest

from golden.case import Case, Trial
from golden.cases import load_cases
from golden.compare import compare_outputs
from golden.faults import coordinates, probe, reassembly, simulation
from golden.margins import margins
from golden.store import Golden

CASES = load_cases()


def test_every_case_catches_faults_by_a_hundred_tolerances(goldens: dict[str, Golden]) -> None:
    for golden in goldens.values():
        assert margins(golden)[0].margin >= 100, margins(golden)[0]


def test_the_catalogue_is_covered(goldens: dict[str, Golden]) -> None:
    names = {name for golden in goldens.values() for name in golden.faults}
    assert len(names) >= 30
    declared = {fault.name for case in CASES.values() for fault in case.operation.faults}
    assert names == declared


def restated(case: Case, golden: Golden) -> dict[str, np.ndarray]:
    """The operation's outputs by the formulas that the faults bend, unbent."""
    inputs, parameters = golden.complete_inputs(case), dict(case.parameters)
    match case.operation.name:
        case "reassembly.position" | "reassembly.scan_mosaic":
            return reassembly.stitch(Trial(inputs, parameters, golden.outputs, lambda i, p: {}))
        case "simulation.patterns":
            return simulation.simulate(Trial(inputs, parameters, golden.outputs, lambda i, p: {}))
        case "coordinates.translate":
            moved = coordinates.translate(inputs["images"], inputs["displacements"])
            return {"moved": moved.astype(inputs["images"].dtype)}
        case "coordinates.place_in_group":
            return coordinates.place(inputs["patches"], coordinates.moves_in_group(inputs["coords_nn"]))
        case "probe.hard_mask":
            return {"mask": probe.mask(parameters["N"])[..., None]}
        case "probe.normalise":
            normalised = inputs["probe"] / (parameters["probe_scale"] * probe.norm(inputs["probe"]))
            return {"normalised": normalised.astype(np.complex64)[..., None]}
        case "probe.default_disk":
            return {"probe": probe.disk(parameters["N"], parameters["default_probe_scale"])}
        case _:
            return {}


PLAIN = ("defaults.", "coordinates.relative", "scan.")
BENT = [name for name, case in CASES.items() if not case.operation.name.startswith(PLAIN)]


@pytest.mark.parametrize("name", BENT)
def test_unbent_the_formulas_are_the_references(name: str, goldens: dict[str, Golden]) -> None:
    """Otherwise a fault would be caught for the restatement's own mistake."""
    golden = goldens[name]
    found = restated(CASES[name], golden)
    comparisons = compare_outputs(golden.outputs, found, golden.tolerances, golden.where)
    assert all(comparison.passed for comparison in comparisons), comparisons
