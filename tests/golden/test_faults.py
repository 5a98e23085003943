"""The faults of this repository: enough of them, far from the tolerance, and bent from the right formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from golden.judge.judgement import judge
from golden.ptychopinn.coordinates import faults as coordinates
from golden.ptychopinn.formats import faults as formats
from golden.ptychopinn.grouping import faults as grouping
from golden.ptychopinn.merge import faults as merge
from golden.ptychopinn.net_shift import faults as net_shift
from golden.ptychopinn.network import faults as network
from golden.ptychopinn.optimizer import faults as optimizer
from golden.ptychopinn.physics import faults as physics
from golden.ptychopinn.probe import faults as probe
from golden.ptychopinn.reassembly import faults as reassembly
from golden.ptychopinn.simulation import faults as simulation
from golden.review.margins import margins
from golden.spec.case import Arrays, Trial
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden

CASES = load_cases()


def test_every_case_catches_faults_by_a_hundred_tolerances(goldens: dict[str, Golden]) -> None:
    """By twenty where trajectories part: a loss after two steps has a thousand times the noise of a sum."""
    for name, golden in goldens.items():
        parting = any(output.envelope for output in CASES[name].operation.outputs)
        assert margins(golden)[0].margin >= (20 if parting else 100), margins(golden)[0]


def test_the_catalogue_is_covered(goldens: dict[str, Golden]) -> None:
    names = {name for golden in goldens.values() for name in golden.faults}
    assert len(names) >= 30
    declared = {fault.name for case in CASES.values() for fault in case.operation.faults}
    assert names == declared


def _translated(t: Trial) -> Arrays:
    images = t.inputs["images"]
    return {"moved": coordinates.translate(images, t.inputs["displacements"]).astype(images.dtype)}


def _drawn(t: Trial) -> Arrays:
    return {"nn_indices": grouping.sample(t.inputs, _draw(t))}


def _draw(t: Trial) -> dict[str, Any]:
    return {"sequential_sampling": False, **t.parameters}


def _at_positions(t: Trial) -> Arrays:
    positions = t.inputs["coords_offsets"] + t.inputs["coords_relative"]
    return {"patches": grouping.patches_at(t.inputs["object"], positions, t.parameters["N"])}


def _normalised(t: Trial) -> Arrays:
    guess = t.inputs["probe"]
    normalised = guess / (t.parameters["probe_scale"] * probe.norm(guess))
    return {"normalised": normalised.astype(np.complex64)[..., None]}


def _to_channel(t: Trial) -> Arrays:
    grid, flat = t.inputs["grid"], t.inputs["flat"]
    return {
        "channel_of_grid": formats.grid_to_channel(grid),
        "channel_of_flat": formats.flat_to_channel(flat, grid.shape[1] ** 2),
    }


def _from_channel(t: Trial) -> Arrays:
    channel = t.inputs["channel"]
    return {
        "grid": formats.channel_to_grid(channel),
        "flat": formats.channel_to_flat(channel),
        "positions_flat": formats.positions_to_flat(t.inputs["positions"]),
    }


def _canvas(t: Trial) -> Arrays:
    N, grid, offset, jitter = t.inputs["settings"].T
    return formats.sizes(N + (grid - 1) * offset, jitter, N)


def _padded_diffraction(t: Trial) -> Arrays:
    field = t.inputs["field"]
    padded = physics.padded(field)
    amplitude = physics.diffraction(padded) * (padded.shape[1] / field.shape[1])
    return {"padded": padded, "amplitude": amplitude.astype(np.float32)}


def _intensity_scale(t: Trial) -> Arrays:
    return {"scale": np.array([physics.scale_of(*row) for row in zip(t.inputs["nphotons"], t.inputs["N"])])}


def _photon_scale(t: Trial) -> Arrays:
    X = t.inputs["X"]
    return physics.scaled(X, physics.photon_scale(X, t.parameters["nphotons"]))


RESTATED: Mapping[str, Callable[[Trial], Arrays]] = {
    "reassembly.position": reassembly.stitch,
    "reassembly.scan_mosaic": reassembly.stitch,
    "coordinates.translate": _translated,
    "coordinates.place_in_group": lambda t: coordinates.place(
        t.inputs["patches"], coordinates.moves_in_group(t.inputs["coords_nn"])
    ),
    "probe.hard_mask": lambda t: {"mask": probe.mask(t.parameters["N"])[..., None]},
    "probe.normalise": _normalised,
    "probe.default_disk": lambda t: {"probe": probe.disk(t.parameters["N"], t.parameters["default_probe_scale"])},
    "formats.to_channel": _to_channel,
    "formats.from_channel": _from_channel,
    "formats.canvas": _canvas,
    "grouping.sample": _drawn,
    "grouping.subsample": grouping.subsample,
    "grouping.oversample": lambda t: {"nn_indices": grouping.oversample(t.inputs, _draw(t))},
    "grouping.record": lambda t: grouping.record(t.inputs, grouping.sample(t.inputs, _draw(t))),
    "grouping.start_positions": lambda t: grouping.start_positions(t.inputs, grouping.sample(t.inputs, _draw(t))),
    "grouping.normalise": lambda t: {"X_full": grouping.normalised(t.inputs["diffraction"])},
    "grouping.ground_truth": _at_positions,
    "grouping.member_patches": lambda t: {
        "patches": grouping.patches_at(t.inputs["object"], t.inputs["coords_nn"], t.parameters["N"])
    },
    "merge.merge": merge.merge,
    "merge.extract": merge.extract,
    "net_shift.container": net_shift.chain,
    "net_shift.memory_mapped": net_shift.chain,
    "physics.diffraction": lambda t: {"amplitude": physics.diffraction(t.inputs["field"]).astype(np.float32)},
    "physics.padded_diffraction": _padded_diffraction,
    "physics.forward": physics.forward,
    "physics.intensity_scale": _intensity_scale,
    "physics.photon_scale": _photon_scale,
    "physics.poisson": lambda t: physics.poisson(**t.inputs),
    "physics.poisson_at_zero": lambda t: physics.at_zero(**t.inputs),
    "physics.simulation": physics.simulate,
    "simulation.patterns": simulation.simulate,
    "network.forward": network.Network().taps,
    "optimizer.adam": optimizer.adam,
    "optimizer.schedule": optimizer.schedule,
}
"""An operation's outputs by the formulas that its faults bend, unbent."""

PLAIN = ("defaults.", "coordinates.relative", "scan.", "network.gradients", "network.training", "run.")
BENT = [name for name, case in CASES.items() if not case.operation.name.startswith(PLAIN) and not case.slow]


@pytest.mark.parametrize("name", BENT)
def test_unbent_the_formulas_are_the_references(name: str, goldens: dict[str, Golden]) -> None:
    """Otherwise a fault would be caught for the restatement's own mistake."""
    golden, case = goldens[name], CASES[name]
    trial = Trial(golden.complete_inputs(case), case.parameters, golden.outputs, lambda inputs, parameters: {})
    judgement = judge(golden, case.operation.kept(RESTATED[case.operation.name](trial)))
    assert judgement.passed, judgement.comparisons
