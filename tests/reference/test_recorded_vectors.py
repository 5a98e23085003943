"""The reference reproduces what the real TensorFlow PtychoPINN was recorded to compute.

Tolerances: probe 1e-6 relative; translation 1e-5; sums 1e-4 of the largest value; ratios 1e-4 where the count exceeds
0.01.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from golden.cases.reassembly import cut_patches
from golden.reference import evaluate
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


def test_groups(external_data: Path) -> None:
    """Indices, positions and patterns exactly."""
    allowed = {"X_full": 1e-6, "Y": 1e-5, "nn_indices": 0, "coords_nn": 0, "coords_start_nn": 0, "diffraction": 0}
    for record in records(external_data, "grouped_*.h5"):
        given, inputs = record.attributes, record.inputs
        scan = {name: inputs[name] for name in ("xcoords", "ycoords")}
        # -1 stands for no seed; then nothing is drawn, or with seed 0.
        drawn = {name: int(given[name]) for name in ("gridsize", "K", "nsamples")} | {
            "seed": max(int(given["seed"]), 0)
        }
        outputs = run(
            "grouping.record",
            {**scan, "diff3d": inputs["diff3d"], "object": inputs.get("object", np.ones((8, 8), np.complex64))},
            **drawn,
            sequential_sampling=bool(given["sequential"]),
        )
        if not given["sequential"]:
            starts = {name: inputs[name] for name in ("xcoords_start", "ycoords_start")}
            outputs |= evaluate("grouping.start_positions", "float64", scan | starts, drawn)
        compared = set(outputs) & set(record.outputs)
        assert compared >= {"nn_indices", "coords_relative", "diffraction", "X_full"}
        for name in compared:
            assert outputs[name].dtype == record.outputs[name].dtype, f"{record.name}: {name}"
            assert_close(record, name, outputs[name], record.outputs[name], allowed.get(name, 1e-14))


def test_ground_truth(external_data: Path) -> None:
    for record in records(external_data, "coords_and_patches*.h5", "patches_"):
        inputs = {name: record.inputs[name] for name in ("object", "coords_offsets", "coords_relative")}
        parameters = {name: int(record.attributes[name]) for name in ("gridsize", "N")}
        patches = run("grouping.ground_truth", inputs, **parameters)["patches"]
        assert_close(record, "patches", patches, record.outputs["patches"], 1e-5)


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
