"""The reference reproduces the recorded outputs of the real TensorFlow PtychoPINN.

Tolerances: probe 1e-6 relative; translation 1e-5; sums 1e-4 of the largest value; ratios 1e-4 where the count exceeds
0.01.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from golden.ptychopinn.network.reference import Network
from golden.ptychopinn.reassembly.cases import cut_patches
from golden.ptychopinn.tensorflow import evaluate
from tests.vectors import Record, assert_close, network_settings, records, zero_mean_merges


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
    """Indices, positions and patterns are equal; other arrays agree within rounding."""
    allowed = {"X_full": 1e-6, "Y": 1e-5, "nn_indices": 0, "coords_nn": 0, "coords_start_nn": 0, "diffraction": 0}
    for record in records(external_data, "grouped_*.h5"):
        given, inputs = record.attributes, record.inputs
        scan = {name: inputs[name] for name in ("xcoords", "ycoords")}
        # -1 means no seed: nothing was drawn, or it was drawn with seed 0.
        drawn = {name: int(given[name]) for name in ("gridsize", "K", "nsamples")} | {
            "seed": max(int(given["seed"]), 0)
        }
        if given.get("oversampling"):
            outputs = oversampled(record, scan, drawn)
            assert set(outputs) == set(record.outputs)
            for name, value in outputs.items():
                assert value.dtype == record.outputs[name].dtype, f"{record.name}: {name}"
                assert_close(record, name, value, record.outputs[name], allowed.get(name, 1e-14))
            continue
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


def oversampled(record: Record, scan: dict[str, np.ndarray], drawn: dict[str, Any]) -> dict[str, np.ndarray]:
    """Draw groups from a pool; then compute the other arrays of the record from them, by their own operations."""
    pool = int(record.attributes["neighbor_pool_size"])
    drawn |= {"sequential_sampling": bool(record.attributes["sequential"])}
    drawn |= {"neighbor_pool_size": None if pool < 0 else pool}
    groups = evaluate("grouping.oversample", "float64", scan, drawn)["nn_indices"]
    members = np.stack([scan["xcoords"][groups], scan["ycoords"][groups]], axis=1)[:, None]
    patterns = np.moveaxis(record.inputs["diff3d"][groups], 1, 3)
    return {
        "nn_indices": groups,
        "coords_nn": members,
        **evaluate("coordinates.relative", "float64", {"coords_nn": members}, {}),
        **evaluate("grouping.normalise", "float64", {"diffraction": patterns}, {}),
    }


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
    """The placed patches of a group add up to the recorded sum of the network's merge."""
    merges = list(zero_mean_merges(external_data))
    assert len(merges) >= 3
    for record in merges:
        placed = run("coordinates.place_in_group", record.inputs)["placed"]
        assert_close(record, "sum", placed.real.sum(axis=-1), record.outputs["sum_real"], 1e-4)


def test_round_trip(external_data: Path) -> None:
    """A known object, cut at the recorded positions and stitched, gives the recorded mosaic."""
    for record in records(external_data, "roundtrip*.h5"):
        margin, positions = 40, record.inputs["positions"]
        inputs = {"object": np.pad(record.inputs["object"], margin), "positions": positions + margin}
        inputs |= cut_patches(inputs, {"N": 64})
        outputs = run("reassembly.scan_mosaic", inputs, N=64, M=20)
        covered = record.outputs["count"] > 0.01
        assert_close(record, "mosaic", outputs["mosaic"], record.outputs["mosaic"], 1e-4, covered)


def test_formats(external_data: Path) -> None:
    for record in records(external_data, "formats*.h5"):
        flat, grid = record.inputs["flat"], record.outputs["grid"]
        channel = run("formats.to_channel", {"grid": grid, "flat": flat})
        np.testing.assert_array_equal(channel["channel_of_grid"], record.outputs["channel"], err_msg=record.name)
        np.testing.assert_array_equal(channel["channel_of_flat"], record.outputs["channel_from_flat"])
        positions = np.zeros((len(grid), 1, 2, grid.shape[1] ** 2), np.float32)
        back = run("formats.from_channel", {"channel": record.outputs["channel"], "positions": positions})
        np.testing.assert_array_equal(back["flat"], record.outputs["flat_from_channel"], err_msg=record.name)
        np.testing.assert_array_equal(back["grid"], grid, err_msg=record.name)
        settings = np.array([[record.attributes["N"], record.attributes["gridsize"], 4, 10]], np.int64)
        sizes = run("formats.canvas", {"settings": settings})
        assert sizes["bigN"] == record.outputs["bigN"], record.name
        assert sizes["padded_size"] == record.outputs["padded_size"], record.name


def test_merge_and_its_extraction(external_data: Path) -> None:
    for record in records(external_data, "merge_extract_*.h5"):
        relative = record.inputs["coords_relative"]
        outputs = run("merge.merge", record.inputs, padded_size=int(record.attributes["padded_size"]))
        norm, merged = record.outputs["count_plus_eps"], record.outputs["merged"]
        assert_close(record, "norm", outputs["norm"], norm, 1e-6)
        if "sum_real" in record.outputs:
            assert_close(record, "sum", outputs["sum"].real, record.outputs["sum_real"], 1e-6)
        # Compare each region on its own scale.
        for name, region in (("merged_centre", norm > 0.5), ("merged_border", norm <= np.float32(1e-3))):
            assert_close(record, name, outputs[name] * region, merged * region, 1e-6)
        inputs = {"canvas": merged, "coords_relative": relative}
        patches = run("merge.extract", inputs, N=int(record.attributes["N"]))["patches"]
        assert_close(record, "extracted", patches, record.outputs["extracted"], 1e-6)


def test_extraction(external_data: Path) -> None:
    for record in records(external_data, "extract.h5"):
        inputs = {"canvas": record.inputs["canvas"], "coords_relative": record.inputs["offsets"]}
        patches = run("merge.extract", inputs, N=int(record.attributes["N"]))["patches"]
        assert_close(record, "patches", patches, record.outputs["patches"], 1e-6)


def test_diffraction(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "diffract_N"):
        amplitude = run("physics.diffraction", record.inputs)["amplitude"]
        assert_close(record, "amplitude", amplitude, record.outputs["amplitude"], 1e-5)
    for record in records(external_data, "physics*.h5", "diffract_padded"):
        outputs = run("physics.padded_diffraction", {"field": record.inputs["field"].astype(np.complex64)})
        for name, array in outputs.items():
            assert_close(record, name, array, record.outputs[name], 1e-5)


def test_poisson_term(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "nll_"):
        outputs = run("physics.poisson", {"predicted": record.inputs["pred"], "target": record.inputs["target"]})
        for name, array in outputs.items():
            assert_close(record, name, array, record.outputs[name], 1e-6)


def test_photon_scale(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "scale_nphotons"):
        X, nphotons = record.inputs["amplitude"], record.inputs["nphotons"]
        scale = run("physics.photon_scale", {"X": X}, nphotons=float(nphotons))["scale"]
        assert_close(record, "scale", scale, record.outputs["scale"], 1e-6)
        table = {"nphotons": nphotons[None], "N": np.array([X.shape[1]])}
        default = evaluate("physics.intensity_scale", "float64", table, {})["scale"]
        assert_close(record, "intensity scale", default[0], record.outputs["default_intensity_scale"], 1e-14)


def test_simulation(external_data: Path) -> None:
    for record in records(external_data, "physics*.h5", "simulate_"):
        inputs = {name: record.inputs[name] for name in ("amplitude", "phase", "probe")}
        outputs = run("physics.simulation", inputs, nphotons=float(record.inputs["nphotons"]))
        assert_close(record, "X", outputs["X"], record.outputs["noisefree_X"], 1e-5)
        for name in ("Y_I", "Y_phi", "intensity_scale"):
            assert_close(record, name, outputs[name], record.outputs[name], 1e-6)


def test_network(external_data: Path) -> None:
    """Patches, merged object, prediction, loss and gradients, from recorded weights."""
    for record in records(external_data, "model_forward*.h5"):
        network = Network(tf.float32, **network_settings(record))
        network.load(np.concatenate([array.ravel() for array in record.weights]))
        given = [record.inputs[name] for name in ("X", "coords_relative", "probe_raw")]
        taps = {name: tap.numpy() for name, tap in network.taps(*given).items()}
        members = given[0].shape[3]
        for what, found, expected in (
            ("patches", taps["object_patches"], "patch_object"),
            ("object", taps["object"], "trimmed_object"),
            ("extracted", taps["patches"][:members], "extracted_flat"),
            ("prediction", taps["predicted_amplitude"], "pred_amplitude"),
            ("loss", taps["loss"], "loss_nll_mean"),
        ):
            assert_close(record, what, found, record.outputs[expected], 1e-4)
        if "merged_centre" in taps:
            canvas, inner = record.outputs["merged_object"], taps["merged_centre"]
            cut = slice((canvas.shape[1] - inner.shape[1]) // 2, (canvas.shape[1] + inner.shape[1]) // 2)
            assert_close(record, "merged centre", inner, canvas[:, cut, cut], 1e-4)
        gradients = [gradient.numpy() for gradient in network.loss_and_gradients(*given)[1]]
        norms = [np.linalg.norm(gradient.astype(np.float64)) for gradient in gradients]
        np.testing.assert_allclose(norms, record.outputs["grad_norms"], rtol=5e-3, err_msg=record.name)
        for name, expected in record.outputs.items():
            if name.startswith("grad_0"):
                assert_close(record, name, gradients[int(name[-3:])], expected, 5e-3)
