"""Parity task 1: relative positions are negated once, at the container, and the net placement is TensorFlow's.

That one array is the negative of another proves nothing about geometry, and for groups of one both are zero. So the
net placement is pinned too, by goldens with groups of four and nine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.operators.coordinates import relative_coordinates
from tests.torch.subject.coordinates import coordinates_place_in_group, coordinates_relative
from tests.vectors import assert_close, records, zero_mean_merges


@pytest.mark.golden("coordinates.relative")
def test_relative_coordinates(golden):
    golden.check_subject()


@pytest.mark.golden("coordinates.place_in_group")
def test_net_placement(golden):
    golden.check_subject()


def grouped_data(**changes: Any) -> dict[str, Any]:
    rng = np.random.RandomState(0)
    data = {
        "X_full": rng.rand(3, 8, 8, 4).astype(np.float32),
        "Y": (rng.rand(3, 8, 8, 4) + 1j * rng.rand(3, 8, 8, 4)).astype(np.complex64),
        "coords_relative": rng.rand(3, 1, 2, 4) - 0.5,
        "coords_offsets": rng.rand(3, 1, 2, 1) * 100,
        "nn_indices": rng.randint(0, 20, (3, 4)).astype(np.int32),
    }
    return {**data, **changes}


PROBE = torch.ones(8, 8, dtype=torch.complex64)


def test_container_negates_once() -> None:
    data = grouped_data()
    container = PtychoDataContainerTorch(data, PROBE)
    expected = -torch.from_numpy(data["coords_relative"].astype(np.float32))
    assert torch.equal(container.coords_nominal, expected)
    assert torch.equal(container.coords_true, expected)
    np.testing.assert_array_equal(container.global_offsets, data["coords_offsets"])
    np.testing.assert_array_equal(container.local_offsets, data["coords_relative"])


@pytest.mark.parametrize("wrap", [lambda probe: probe, lambda probe: probe[..., None]])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_the_probe_is_not_transposed(wrap: Callable[[Any], Any], kind: Callable[[np.ndarray], Any]) -> None:
    probe = np.arange(64, dtype=np.float32).reshape(8, 8).astype(np.complex64)
    np.testing.assert_array_equal(PtychoDataContainerTorch(grouped_data(), wrap(kind(probe))).probe, probe)


def test_container_keeps_modulus_and_phase() -> None:
    container = PtychoDataContainerTorch(grouped_data(), PROBE)
    assert container.Y is not None
    np.testing.assert_allclose(torch.polar(container.Y_I, container.Y_phi), container.Y, rtol=1e-5)
    without = PtychoDataContainerTorch(grouped_data(Y=None), PROBE)
    assert without.Y is None
    assert without.Y_I.unique().tolist() == [1.0]
    assert without.Y_phi.unique().tolist() == [0.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X_full": np.ones((3, 8, 7, 4), np.float32)}, "expected shape (n, N, N, C), found (3, 8, 7, 4)"),
        (
            {"X_full": np.ones((3, 8, 8, 4), np.uint16)},
            "'X_full']: expected float32, as normalize_data makes it, found uint16",
        ),
        ({"coords_relative": np.zeros((3, 1, 4, 2))}, "'coords_relative']: expected shape (3, 1, 2, 4)"),
        ({"coords_offsets": np.full((3, 1, 2, 1), np.nan)}, "'coords_offsets']: expected finite numbers"),
        ({"nn_indices": np.zeros((3, 4))}, "'nn_indices']: expected an integer dtype"),
        ({"Y": np.ones((3, 8, 8, 4), np.float32)}, "'Y']: expected complex64, found float32"),
        ({"Y": np.full((3, 8, 8, 4), np.nan, np.complex64)}, "'Y']: expected finite numbers"),
        ({"Y": np.ones((3, 8, 8, 1), np.complex64)}, "'Y']: expected shape (3, 8, 8, 4)"),
    ],
)
def test_container_refuses_what_does_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        PtychoDataContainerTorch(grouped_data(**changes), PROBE)


def test_container_owns_its_memory_and_takes_any_strides() -> None:
    data = grouped_data(coords_start_relative=np.arange(24.0).reshape(3, 1, 2, 4))
    kept = data["X_full"].copy()
    container = PtychoDataContainerTorch(data, np.ones((8, 8, 1), ">c8")[::-1])
    container.X.zero_()
    np.testing.assert_array_equal(data["X_full"], kept)
    assert container.probe.shape == (8, 8)
    assert container.coords_start_relative is not None
    np.testing.assert_array_equal(container.coords_start_relative, data["coords_start_relative"])


def test_container_names_all_missing_arrays() -> None:
    with pytest.raises(KeyError, match=re.escape("missing ['coords_offsets', 'nn_indices']")):
        PtychoDataContainerTorch(grouped_data(coords_offsets=None, nn_indices=None), PROBE)


def test_container_refuses_a_probe_of_another_size() -> None:
    with pytest.raises(ValueError, match=re.escape("probe: expected shape (8, 8)")):
        PtychoDataContainerTorch(grouped_data(), torch.ones(16, 16))


def test_relative_coordinates_refuse_another_axis_order() -> None:
    with pytest.raises(ValueError, match=re.escape("expected shape (n, 1, 2, C), found (3, 1, 4, 2)")):
        relative_coordinates(torch.zeros(3, 1, 4, 2))


def test_recorded_vectors(external_data: Path) -> None:
    for record in records(external_data, "coords_and_patches*.h5", "relative_"):
        found = coordinates_relative(coords_nn=record.inputs["coords_nn"])
        for name, value in found.items():
            assert_close(record, name, value, record.outputs[name], 1e-14)


def test_recorded_net_placement(external_data: Path) -> None:
    """Patches placed through the container, summed over a group, are the recorded sum of TensorFlow's merge."""
    merges = list(zero_mean_merges(external_data))
    assert len(merges) >= 3
    for record in merges:
        placed = coordinates_place_in_group(**record.inputs)["placed"]
        assert_close(record, "sum", placed.real.sum(axis=-1), record.outputs["sum_real"], 1e-4)
