"""The order of batches does not depend on NumPy's release, and the training does not depend on the devices."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from ptycho_torch.training.batch_order import EpochBatches, Share, listed_order, read_orders, seeded_order


def test_the_order_of_a_seed_and_an_epoch_never_changes() -> None:
    """These numbers were drawn with NumPy 2.4."""
    assert seeded_order(10, 0)(1).tolist() == [9, 4, 0, 8, 1, 5, 3, 2, 6, 7]
    assert seeded_order(10, 0)(2).tolist() == [4, 2, 9, 1, 8, 7, 3, 6, 0, 5]
    assert seeded_order(10, 7)(1).tolist() == [9, 8, 5, 6, 2, 3, 7, 0, 1, 4]


def test_an_epoch_sees_every_sample_once() -> None:
    batches = EpochBatches(seeded_order(23, 5), 23, 8)
    assert [len(batch) for batch in batches] == [8, 8, 7]
    assert len(batches) == 3
    assert [batches.size(number) for number in range(3)] == [8, 8, 7]
    assert sorted(chain(*batches)) == list(range(23))


def test_epochs_are_counted_from_one() -> None:
    """Lightning counts from 0."""
    orders = np.stack([np.random.RandomState(epoch).permutation(6) for epoch in range(3)])
    batches = EpochBatches(listed_order(orders), 6, 4)
    assert list(chain(*batches)) == orders[0].tolist()
    batches.set_epoch(2)
    assert list(chain(*batches)) == orders[2].tolist()
    assert listed_order(orders.astype(np.int32))(1).dtype == np.int64
    batches.set_epoch(3)
    with pytest.raises(IndexError):
        list(batches)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1, 2, 6, 8])
def test_devices_together_compute_the_mean_of_the_batch(ranks: int, size: int) -> None:
    """The devices average their means times their weights. The result is the mean that one device computes."""
    losses = np.random.RandomState(size).rand(size)
    shares = [Share(rank, ranks) for rank in range(ranks)]
    means = [losses[share.of(list(range(size)))].mean() * share.weight(size) for share in shares]
    assert np.mean(means) == pytest.approx(losses.mean())
    assert sum(share.counted(size) for share in shares) == size
    seen = [number for share in shares if share.counted(size) for number in share.of(list(range(size)))]
    assert sorted(seen) == list(range(size))


def test_a_superfluous_device_sees_one_sample_with_weight_0() -> None:
    assert Share(3, 4).of([7, 8]) == [7]
    assert Share(3, 4).weight(2) == 0


def test_orders_from_a_file(tmp_path: Path) -> None:
    orders = np.array([[2, 0, 1], [1, 2, 0], [0, 1, 2]], np.uint8)
    np.save(tmp_path / "orders.npy", orders)
    found = read_orders(tmp_path / "orders.npy", 3, 2)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, orders[:2])
    assert len(read_orders(str(tmp_path / "orders.npy"), 3, 3)) == 3
    with pytest.raises(FileNotFoundError, match=r"none\.npy: no such file"):
        read_orders(tmp_path / "none.npy", 3, 2)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (np.zeros((2, 3)), "expected integers (epochs, 3)"),
        (np.arange(3), "expected integers (epochs, 3)"),
        (np.array([{}]), "expected a .npy file of integers"),
        (np.array([[0, 1, 2]]), "found (1, 3)"),
        (np.array([[0, 1], [0, 1]]), "found (2, 2)"),
        (np.array([[0, 1, 2], [0, 1, 1]]), "row 1: expected each of 0..2 once"),
        (np.array([[1, 1, 1], [0, 1, 2]]), "row 0: expected each of 0..2 once"),
    ],
)
def test_other_arrays_are_refused(found: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "orders.npy", found, allow_pickle=True)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_orders(tmp_path / "orders.npy", 3, 2)


def test_an_archive_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "orders.npz", orders=np.array([[0, 1, 2]]))
    with pytest.raises(ValueError, match="found something else"):
        read_orders(tmp_path / "orders.npz", 3, 1)


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "orders.npy").write_bytes(np.array([[0, 1, 2]]).dumps())
    with pytest.raises(ValueError, match=r"expected a \.npy file of integers"):
        read_orders(tmp_path / "orders.npy", 3, 1)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 4)]}", "expected a .npy file of integers"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 4), }}", "expected a .npy file of integers"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (((((2, 4)", "expected a .npy file of integers"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 1099511627776)}", "expected a .npy file of integers"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (-2, -4)}", "orders.npy"),
        ("", "expected a .npy file of integers"),
    ],
)
def test_a_damaged_header_is_refused(header: str, message: str, tmp_path: Path) -> None:
    text = header.ljust(117).encode() + b"\n"
    (tmp_path / "orders.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64))
    with pytest.raises(ValueError, match=message):
        read_orders(tmp_path / "orders.npy", 4, 2)
