"""The reference reproduces what the real TensorFlow PtychoPINN was recorded to compute.

Tolerances: probe 1e-6 relative; translation 1e-5; sums 1e-4 of the largest value; ratios 1e-4 where the count exceeds
0.01.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from golden.cases.reassembly import cut_patches
from golden.reference import evaluate, simulation
from tests.vectors import assert_close, records, zero_mean_merges


def run(operation: str, inputs: dict[str, np.ndarray], **parameters: object) -> dict[str, np.ndarray]:
    return evaluate(operation, "float32", inputs, parameters)


def test_hard_mask(external_data: Path) -> None:
    for record in records(external_data, "probe_*.h5", "mask_"):
        mask = run("probe.hard_mask", {}, N=int(record.inputs["N"]))["mask"]
        np.testing.assert_array_equal(mask[..., 0], record.outputs["mask"].astype(bool), err_msg=record.name)


def test_normalised_probe(external_data: Path) -> None:
    for record in records(external_data, "probe_*.h5", "normalise_"):
        outputs = run(
            "probe.normalise", {"probe": record.inputs["probe"]}, probe_scale=float(record.inputs["probe_scale"])
        )
        assert_close(record, "normalised", outputs["normalised"], record.outputs["stored"], 1e-6)


def test_default_disk(external_data: Path) -> None:
    for record in records(external_data, "probe_*.h5", "default_"):
        size, scale = int(record.inputs["N"]), float(record.inputs["default_probe_scale"])
        disk = evaluate("probe.default_disk", "float64", {}, {"N": size, "default_probe_scale": scale})["probe"]
        assert_close(record, "default probe", disk, record.outputs["default_probe"], 1e-12)


def test_translation(external_data: Path) -> None:
    for record in records(external_data, "translate*.h5"):
        images, moves = record.inputs["images"], record.inputs["t"]
        # The recorded code repeats displacements modulo their number; ours takes one per image.
        moves = moves[np.arange(len(images)) % len(moves)]
        outputs = run("coordinates.translate", {"images": images, "displacements": moves})
        assert_close(record, "moved", outputs["moved"], record.outputs["out"], 1e-5)


def test_relative_coordinates(external_data: Path) -> None:
    for record in records(external_data, "coords_and_patches*.h5", "relative_"):
        outputs = evaluate("coordinates.relative", "float64", record.inputs, {})
        for name in ("coords_offsets", "coords_relative"):
            assert_close(record, name, outputs[name], record.outputs[name], 1e-14)


def test_reassembly(external_data: Path) -> None:
    for record in records(external_data, "reassembly_*.h5"):
        outputs = run("reassembly.position", record.inputs, M=int(record.attributes["M"]))
        assert outputs["canvas_side"] == record.attributes["canvas"], record.name
        assert_close(record, "shift_and_sum", outputs["shift_and_sum"], record.outputs["shift_and_sum"], 1e-4)
        assert_close(record, "count", outputs["count"], record.outputs["count"], 1e-4)
        covered = record.outputs["count"] > 0.01
        assert_close(record, "mosaic", outputs["mosaic"], record.outputs["reassembled"], 1e-4, covered)


def test_net_placement_in_a_group(external_data: Path) -> None:
    """Placed patches, summed over a group, are what the network's merge was recorded to sum."""
    merges = list(zero_mean_merges(external_data))
    assert len(merges) >= 3
    for record in merges:
        placed = run("coordinates.place_in_group", record.inputs)["placed"]
        assert_close(record, "sum", placed.real.sum(axis=-1), record.outputs["sum_real"], 1e-4)


def test_round_trip(external_data: Path) -> None:
    """A known object, cut at the recorded positions and stitched, is the recorded mosaic."""
    for record in records(external_data, "roundtrip*.h5"):
        margin, positions = 40, record.inputs["positions"]
        inputs = {"object": np.pad(record.inputs["object"], margin), "positions": positions + margin}
        inputs |= cut_patches(inputs, {"N": 64})
        outputs = run("reassembly.scan_mosaic", inputs, N=64, M=20)
        covered = record.outputs["count"] > 0.01
        assert_close(record, "mosaic", outputs["mosaic"], record.outputs["mosaic"], 1e-4, covered)


def test_diffraction(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "diffract_N"):
        amplitude = simulation.diffracted(tf.constant(record.inputs["field"][..., 0]))
        assert_close(record, "amplitude", amplitude.numpy(), record.outputs["amplitude"][..., 0], 1e-5)


def test_simulation(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "simulate_"):
        amplitude, phase, probe = (record.inputs[name] for name in ("amplitude", "phase", "probe"))
        fields = (amplitude * np.exp(1j * phase))[..., 0] * probe
        found = simulation.diffracted(tf.constant(fields.astype(np.complex64)))
        assert_close(record, "X", found.numpy(), record.outputs["noisefree_X"][..., 0], 1e-5)
        lit = amplitude[..., 0] * np.abs(probe)
        scale = float(simulation.photon_scale(tf.constant(lit), float(record.inputs["nphotons"])))
        np.testing.assert_allclose(scale, record.outputs["intensity_scale"], rtol=1e-6, err_msg=record.name)


def test_patches_of_an_object(external_data: Path) -> None:
    """One per group: with more, the recorded patches are mirrored in the group."""
    recorded = records(external_data, "coords_and_patches*.h5", "patches_")
    singles = [record for record in recorded if record.attributes["gridsize"] == 1]
    assert len(singles) >= 3
    for record in singles:
        centres = tf.constant(record.inputs["coords_nn"].reshape(-1, 2), tf.float32)
        found = simulation.patches_at(tf.constant(record.inputs["object"]), centres, int(record.attributes["N"]))
        assert_close(record, "patches", found.numpy(), record.outputs["patches"][..., 0], 1e-5)
