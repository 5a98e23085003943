"""The raw record: what it accepts, what it refuses, and the container made from it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from golden.store.golden import Golden
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.operators.grouping import draw_groups
from ptycho_torch.operators.probe import normalize_probe_like_tf
from ptycho_torch.raw_data_bridge import RawDataTorch
from tests.torch.subject.grouping import grouped_record

M, N = 9, 6


def scan(**changes: Any) -> dict[str, Any]:
    rng = np.random.RandomState(1)
    arrays = {
        "xcoords": rng.rand(M) * 20,
        "ycoords": rng.rand(M) * 20,
        "diff3d": rng.rand(M, N, N).astype(np.float32),
        "probeGuess": (rng.rand(N, N) + 1j * rng.rand(N, N)).astype(np.complex64),
    }
    return {**arrays, **changes}


def test_optional_arrays_may_be_missing() -> None:
    given = scan()
    raw = RawDataTorch(**given)
    np.testing.assert_array_equal(raw.xcoords_start, given["xcoords"])
    np.testing.assert_array_equal(raw.ycoords_start, given["ycoords"])
    np.testing.assert_array_equal(raw.scan_index, np.zeros(M))
    assert repr(raw) == "RawDataTorch(M=9, N=6, with no ground truth)"
    record = raw.generate_grouped_data(N, nsamples=4, gridsize=2, seed=1)
    assert record["Y"] is None
    assert record["objectGuess"] is None
    assert "sample_indices" not in record
    np.testing.assert_array_equal(record["coords_start_nn"], record["coords_nn"])


def test_arrays_of_other_types_are_accepted() -> None:
    probe = scan()["probeGuess"]
    given = scan(
        xcoords=list(range(M)),
        ycoords=np.arange(M, dtype=">f4")[::-1],
        probeGuess=probe.astype(">c16")[..., None],
        objectGuess=np.ones((30, 40), ">c16"),
        diff3d=np.arange(M * N * N, dtype=np.uint16).reshape(M, N, N),
        sample_indices=np.arange(M) * 3,
    )
    raw = RawDataTorch(**given)
    assert (raw.xcoords.dtype, raw.ycoords.dtype) == (np.float64, np.float64)
    assert raw.probeGuess.dtype == np.complex64
    np.testing.assert_array_equal(raw.probeGuess, probe)
    assert repr(raw) == "RawDataTorch(M=9, N=6, with objectGuess, sample_indices)"
    record = raw.generate_grouped_data(N, nsamples=3, seed=1)
    assert record["diffraction"].dtype == np.uint16
    assert record["sample_indices"] is raw.sample_indices
    assert record["objectGuess"] is raw.objectGuess


def test_given_ground_truth_is_gathered_like_the_patterns() -> None:
    patterns = scan()["diff3d"]
    raw = RawDataTorch(**scan(Y=patterns * (2 - 1j), objectGuess=np.ones((30, 30), np.complex64)))
    record = raw.generate_grouped_data(N, nsamples=4, gridsize=2, seed=1)
    np.testing.assert_array_equal(record["Y"], record["diffraction"] * np.complex64(2 - 1j))


def test_more_groups_of_one_than_patterns_cause_a_warning() -> None:
    with pytest.warns(UserWarning, match="expected at most 9, the number of patterns, found 20; each is used once"):
        record = RawDataTorch(**scan()).generate_grouped_data(N, nsamples=20)
    assert record["nn_indices"].shape == (M, 1)


def test_oversampling_reaches_the_draws() -> None:
    raw = RawDataTorch(**scan())
    record = raw.generate_grouped_data(
        N, nsamples=20, gridsize=2, seed=1, enable_oversampling=True, neighbor_pool_size=6
    )
    expected = draw_groups(
        raw.xcoords, raw.ycoords, 20, gridsize=2, seed=1, enable_oversampling=True, neighbor_pool_size=6
    )
    np.testing.assert_array_equal(record["nn_indices"], expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ycoords": np.zeros(M + 1)},
            "positions: expected one common shape (M,), found {'xcoords': (9,), 'ycoords': (10,)",
        ),
        ({"xcoords_start": np.zeros(4)}, "'xcoords_start': (4,)"),
        ({"xcoords": np.zeros((M, 1)), "ycoords": np.zeros((M, 1))}, "expected one common shape (M,)"),
        ({"xcoords": [], "ycoords": []}, "positions: expected at least one, found none"),
        ({"xcoords": np.full(M, np.nan)}, "xcoords: expected finite numbers"),
        ({"ycoords_start": np.full(M, np.inf)}, "ycoords_start: expected finite numbers"),
        ({"xcoords": np.zeros(M, complex)}, "xcoords: expected real numbers, found complex128"),
        (
            {"diff3d": np.ones((M - 1, N, N))},
            "diff3d: expected shape (9, N, N), one pattern per position, found (8, 6, 6)",
        ),
        ({"diff3d": np.ones((N, N, M))}, "Move the last axis, that of the patterns, to the front"),
        ({"diff3d": np.ones((M, N, N + 1))}, "found (9, 6, 7)"),
        ({"diff3d": np.ones((M, N, N), complex)}, "diff3d: expected real amplitudes, found complex128"),
        ({"diff3d": np.full((M, N, N), np.nan)}, "diff3d: expected finite numbers"),
        ({"diff3d": np.full((M, N, N), -0.5)}, "none negative; found -0.5"),
        ({"probeGuess": np.ones((N + 2, N + 2))}, "probeGuess: expected shape (6, 6) to go with the patterns"),
        ({"probeGuess": np.full((N, N), np.nan)}, "probeGuess: expected finite numbers"),
        ({"probeGuess": np.full((N, N), "x")}, "probeGuess: expected numbers, found <U1"),
        ({"objectGuess": np.ones((3, 30, 30))}, "objectGuess: expected shape (H, W), found (3, 30, 30)"),
        ({"objectGuess": np.full((30, 30), np.nan)}, "objectGuess: expected finite numbers"),
        ({"Y": np.ones((M, N, N))}, "Y: expected a complex dtype, found float64"),
        ({"Y": np.ones((M - 1, N, N), complex)}, "Y: expected shape (9, 6, 6)"),
        ({"scan_index": np.zeros(M)}, "scan_index: expected (9,) integers, found (9,) float64"),
        ({"sample_indices": np.zeros(4, int)}, "sample_indices: expected (9,) integers, found (4,) int64"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        RawDataTorch(**scan(**changes))


def test_another_side_is_refused() -> None:
    with pytest.raises(ValueError, match="N: expected 6, the side of the patterns, found 64"):
        RawDataTorch(**scan()).generate_grouped_data(64, nsamples=4)


# ------------------------------------------------------------------------------------------------ into the container


@pytest.mark.parametrize("name", ["grouping/record_group1", "grouping/record_group4", "grouping/record_group9"])
def test_the_container_of_a_record_holds_positions(name: str, goldens: dict[str, Golden]) -> None:
    """From the scan to the container: members are at +(position - mean) of TensorFlow's own record."""
    golden = goldens[name]
    record = grouped_record(
        *(golden.inputs[key] for key in ("xcoords", "ycoords", "diff3d", "object")), **golden.parameters
    )
    side = golden.inputs["diff3d"].shape[1]
    probe = normalize_probe_like_tf(np.ones((side, side), np.complex64), 4.0)
    container = PtychoDataContainerTorch(record, probe)
    expected = golden.outputs["coords_nn"] - golden.outputs["coords_offsets"]
    np.testing.assert_array_equal(container.coords_nominal, expected.astype(np.float32))
    np.testing.assert_array_equal(container.coords_true, container.coords_nominal)
    np.testing.assert_array_equal(container.global_offsets, golden.outputs["coords_offsets"])
    np.testing.assert_array_equal(container.nn_indices, golden.outputs["nn_indices"])
    assert torch.equal(container.probe, probe), "kept as given: the caller normalises it"
    assert container.X.dtype == torch.float32
    assert container.Y is not None
    assert len(container) == len(golden.outputs["nn_indices"])
