"""The memory-mapped route gives the container's tensors, from any layout and process, and holds one batch in memory."""

from __future__ import annotations

import dataclasses
import os
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ptycho_torch.config_params import DataConfig
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.dataloader import GroupBatch, MemoryMappedDataset, batches
from ptycho_torch.operators.grouping import draw_groups, draw_patterns
from ptycho_torch.operators.probe import normalize_probe_like_tf
from ptycho_torch.raw_data_bridge import RawDataTorch
from ptycho_torch.scans.mapped import InFile, InMemory, items_of
from ptycho_torch.scans.scan import Scan, load_scan, save_scan

M, N = 23, 16


def make_scan(**changes: Any) -> Scan:
    rng = np.random.RandomState(1)
    positions = rng.rand(M, 2) * [60, 20] + 100
    return Scan(
        **{
            "source": None,
            "diffraction": (rng.rand(M, N, N) ** 3 * 40).astype(np.float32),
            "positions": positions,
            "start_positions": positions + 0.5,
            "probe": (rng.rand(N, N) + 1j * rng.rand(N, N)).astype(np.complex64),
            "scan_index": np.zeros(M, np.int64),
            "object_guess": (rng.rand(70, 190) + 1j).astype(np.complex64),
            **changes,
        }
    )


@pytest.fixture
def mapped(tmp_path: Path) -> Scan:
    """A scan whose patterns stay in their file."""
    save_scan(tmp_path / "scan.npz", make_scan())
    scan = load_scan(tmp_path / "scan.npz")
    assert isinstance(scan.diffraction, np.memmap)
    return scan


def groups_of(scan: Scan, gridsize: int, n: int = 10, seed: int = 5) -> np.ndarray:
    x, y = scan.positions.T
    return draw_groups(x, y, n, gridsize=gridsize, seed=seed)


def container_of(scan: Scan, gridsize: int, n: int = 10, seed: int = 5) -> PtychoDataContainerTorch:
    record = RawDataTorch.from_scan(scan).generate_grouped_data(N, nsamples=n, gridsize=gridsize, seed=seed)
    return PtychoDataContainerTorch(record, normalize_probe_like_tf(torch.from_numpy(np.array(scan.probe)), 4.0))


def joined(loader: Any) -> GroupBatch:
    parts = list(loader)
    names = ("X", "positions", "offsets", "nn_indices")
    return GroupBatch(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def assert_same(found: GroupBatch, expected: PtychoDataContainerTorch) -> None:
    """Require the same bits."""
    assert torch.equal(found.X, expected.X.permute(0, 3, 1, 2))
    assert torch.equal(found.positions, expected.coords_nominal)
    assert torch.equal(found.offsets, expected.global_offsets)
    assert torch.equal(found.nn_indices, expected.nn_indices)
    assert found.X.dtype == found.positions.dtype == torch.float32


# ------------------------------------------------------------------------------------------------ two routes


@pytest.mark.parametrize(
    "drawn",
    [
        {"gridsize": 3, "K": 12, "n": 9},
        {"gridsize": 3, "K": 10, "n": 40, "enable_oversampling": True},
        {"gridsize": 2, "K": 5, "n": 60, "enable_oversampling": True, "neighbor_pool_size": 8},
    ],
    ids=["nine", "nine, oversampled", "four, oversampled"],
)
@pytest.mark.parametrize("away", [0, 1e6])
def test_both_routes_for_larger_groups_and_further_away(drawn: dict[str, Any], away: float) -> None:
    """Distances in a group are computed before rounding, so they are as exact far from the origin as near it."""
    scan = make_scan(positions=make_scan().positions + away)
    n = drawn["n"]
    given = {name: value for name, value in drawn.items() if name != "n"}
    record = RawDataTorch.from_scan(scan).generate_grouped_data(N, nsamples=n, seed=5, **given)
    found = MemoryMappedDataset(scan, draw_groups(*scan.positions.T, n, seed=5, **given))[range(n)]
    assert_same(found, PtychoDataContainerTorch(record, scan.probe))
    members = scan.positions[found.nn_indices.numpy()]
    distances = members - members.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(np.moveaxis(found.positions[:, 0].numpy(), 1, 2), distances, rtol=0, atol=1e-5)


@pytest.mark.parametrize("gridsize", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_both_routes_give_the_same_tensors(mapped: Scan, gridsize: int, batch_size: int) -> None:
    dataset = MemoryMappedDataset(mapped, groups_of(mapped, gridsize))
    container = container_of(mapped, gridsize)
    assert len(dataset) == 10
    loaded = list(batches(dataset, batch_size))
    assert [len(batch) for batch in loaded] == [batch_size] * (10 // batch_size) + [10 % batch_size] * (batch_size > 1)
    assert_same(joined(loaded), container)
    for name in ("nn_indices", "coords_nominal", "global_offsets", "probe"):
        assert torch.equal(getattr(dataset, name), getattr(container, name)), name


@pytest.mark.parametrize("arrange", [np.asarray, lambda stack: np.asfortranarray(np.moveaxis(stack, 0, -1))])
def test_any_layout_in_the_file(tmp_path: Path, arrange: Callable[[np.ndarray], np.ndarray]) -> None:
    """Patterns may be along the first axis or the last, in C or Fortran order."""
    scan = make_scan()
    x, y = scan.positions.T
    stack = arrange(scan.diffraction)
    np.savez(tmp_path / "scan.npz", diff3d=stack, probeGuess=scan.probe, xcoords=x, ycoords=y)
    loaded = load_scan(tmp_path / "scan.npz")
    assert isinstance(items_of(loaded.diffraction), InFile)
    found = MemoryMappedDataset(loaded, groups_of(scan, 2))[range(10)]
    assert_same(found, container_of(scan, 2))


def test_scans_in_memory() -> None:
    scan = make_scan()
    assert isinstance(items_of(scan.diffraction), InMemory)
    assert_same(MemoryMappedDataset(scan, groups_of(scan, 2))[range(10)], container_of(scan, 2))


@pytest.mark.parametrize(
    "copied", [lambda mapped: mapped.copy(), lambda mapped: mapped.astype(np.float32), lambda mapped: mapped[:].copy()]
)
def test_a_copy_of_a_mapped_array_is_read_from_memory(mapped: Scan, copied: Callable[[np.ndarray], np.ndarray]) -> None:
    """``Scan`` advises such a copy to change values."""
    changed = copied(mapped.diffraction)
    assert isinstance(changed, np.memmap), "NumPy keeps the type, so the type does not show where the values are"
    changed[3] = 1
    dataset = MemoryMappedDataset(dataclasses.replace(mapped, diffraction=changed), np.arange(M)[:, None])
    np.testing.assert_array_equal(dataset[range(M)].X[:, 0], changed * dataset.factor)


def test_changes_that_are_not_in_the_file_are_read(tmp_path: Path) -> None:
    scan = make_scan()
    np.save(tmp_path / "stack.npy", scan.diffraction)
    changed = np.load(tmp_path / "stack.npy", mmap_mode="c")
    changed[2] = 3
    np.testing.assert_array_equal(items_of(changed).read(np.array([2])), changed[2:3])


def test_views_of_a_mapped_array(mapped: Scan) -> None:
    for view in (mapped.diffraction[4:], mapped.diffraction[::-2], mapped.diffraction[:, 2:9, ::3]):
        window = items_of(view)
        assert isinstance(window, InFile)
        np.testing.assert_array_equal(window.read(np.array([0, 5, 5])), view[[0, 5, 5]])


def test_groups_in_any_order(mapped: Scan) -> None:
    dataset = MemoryMappedDataset(mapped, groups_of(mapped, 2))
    some, every = dataset[[7, 0, 7]], dataset[range(10)]
    assert torch.equal(some.X, every.X[[7, 0, 7]])
    assert torch.equal(dataset[4].X, every.X[4:5])
    some.X.zero_()
    assert dataset[7].X.any(), "a batch has memory of its own"
    for wrong in ([10], -11):
        with pytest.raises(IndexError):
            dataset[wrong]


def test_a_batch_on_a_device(mapped: Scan) -> None:
    batch = MemoryMappedDataset(mapped, groups_of(mapped, 2))[range(3)]
    moved = batch.to("meta")
    assert (batch.good, moved.good) == (None, None)
    for name in vars(batch).keys() - {"good"}:
        here, there = getattr(batch, name), getattr(moved, name)
        assert (there.device.type, there.shape, there.dtype) == ("meta", here.shape, here.dtype), name
        assert torch.equal(getattr(batch.to("cpu"), name), here), name


def test_shuffled_batches_are_repeatable(mapped: Scan) -> None:
    dataset = MemoryMappedDataset(mapped, groups_of(mapped, 1))
    once, again, other = (
        joined(batches(dataset, 4, shuffle=True, generator=torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)
    )
    assert torch.equal(once.X, again.X)
    assert not torch.equal(once.nn_indices, other.nn_indices)
    assert torch.equal(once.nn_indices.sort(0).values, dataset.nn_indices.sort(0).values)


# ------------------------------------------------------------------------------------------------ workers, files


def test_workers_read_the_same(mapped: Scan) -> None:
    dataset = MemoryMappedDataset(mapped, groups_of(mapped, 2))
    assert_same(joined(batches(dataset, 3, num_workers=2)), container_of(mapped, 2))


def test_patterns_are_not_sent_to_workers(mapped: Scan) -> None:
    dataset = MemoryMappedDataset(mapped, groups_of(mapped, 1))
    sent = pickle.dumps(dataset)
    assert len(sent) < mapped.diffraction.nbytes / 2
    assert torch.equal(pickle.loads(sent)[range(10)].X, dataset[range(10)].X)


def test_a_file_that_changed_is_noticed(mapped: Scan, tmp_path: Path) -> None:
    dataset = MemoryMappedDataset(mapped, groups_of(mapped, 1))
    save_scan(tmp_path / "scan.npz", make_scan(diffraction=np.ones((M, N, N), np.float32)))
    with pytest.raises(ValueError, match=r"scan\.npz: it has changed since it was loaded; load it again"):
        dataset[0]
    (tmp_path / "scan.npz").unlink()
    with pytest.raises(FileNotFoundError, match="scan"):
        dataset[0]


def test_a_file_that_changed_before_groups_were_made_is_noticed(mapped: Scan, tmp_path: Path) -> None:
    """The positions are those of the loaded scan, so the patterns must be too."""
    save_scan(tmp_path / "scan.npz", make_scan(diffraction=np.ones((M, N, N), np.float32)))
    with pytest.raises(ValueError, match=r"scan\.npz: it has changed since it was loaded; load it again"):
        MemoryMappedDataset(mapped, groups_of(mapped, 1))


def test_a_file_cut_short_while_it_is_read(mapped: Scan, tmp_path: Path) -> None:
    window = items_of(mapped.diffraction)
    assert isinstance(window, InFile)
    os.truncate(tmp_path / "scan.npz", window.offset + 3 * N * N * 4)
    found = os.stat(tmp_path / "scan.npz")
    cut = InFile(**{**vars(window), "stamp": (found.st_size, found.st_mtime_ns)})
    np.testing.assert_array_equal(cut.read(np.array([2])), make_scan().diffraction[2:3])
    with pytest.raises(ValueError, match="ends too early"):
        cut.read(np.array([3]))


_GROWTH = """
import sys
from ptycho_torch.dataloader import MemoryMappedDataset, batches
from ptycho_torch.scans.scan import load_scan
from tests.memory import memory_growth
import numpy as np
grown = memory_growth()
scan = load_scan(sys.argv[1])
dataset = MemoryMappedDataset(scan, np.arange(len(scan))[:, None])
for batch in batches(dataset, 16):
    pass
print(grown(), batch.X.shape[0])
"""


def test_memory_does_not_grow_with_the_scan(tmp_path: Path) -> None:
    """Patterns are read in blocks. This takes 47 MB, however long the scan is; less than half of these 120 MB."""
    patterns = np.lib.format.open_memmap(tmp_path / "diff3d.npy", "w+", np.float32, (1880, 128, 128))
    patterns[:] = 1
    positions = np.arange(1880.0)
    np.savez(
        tmp_path / "scan.npz",
        diff3d=patterns,
        xcoords=positions,
        ycoords=positions,
        probeGuess=np.ones((128, 128), np.complex64),
    )
    command = [sys.executable, "-c", _GROWTH, tmp_path / "scan.npz"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ran.returncode == 0, ran.stderr
    grown, last = map(int, ran.stdout.split())
    assert last == 1880 % 16
    assert grown < patterns.nbytes / 2


# ------------------------------------------------------------------------------------------------ configuration


def test_a_configuration_says_what_to_use(mapped: Scan) -> None:
    # Groups follow the measured positions, not those where the stage was sent.
    mapped = dataclasses.replace(mapped, start_positions=mapped.positions[::-1])
    config = DataConfig(N=N, n_groups=6, n_subsample=12, subsample_seed=4, grid_size=(2, 2), C=4, probe_scale=2.0)
    dataset = MemoryMappedDataset.from_config(mapped, config, seed=8)
    kept = draw_patterns(M, 12, seed=4)
    x, y = mapped.positions[kept].T
    np.testing.assert_array_equal(dataset.nn_indices, kept[draw_groups(x, y, 6, gridsize=2, seed=8)])
    assert torch.equal(dataset.probe, normalize_probe_like_tf(torch.from_numpy(np.array(mapped.probe)), 2.0))


@pytest.mark.parametrize(
    ("given", "groups"), [({}, M), ({"n_groups": 5}, 5), ({"n_images": 5}, 5), ({"n_groups": 5, "n_images": 9}, 5)]
)
def test_how_many_groups(mapped: Scan, given: dict[str, int], groups: int) -> None:
    """The default of 512 becomes all 23. The deprecated name counts if the new one is missing.

    As many patterns as groups are drawn.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = MemoryMappedDataset.from_config(mapped, DataConfig(N=N, subsample_seed=1, **given))
    assert len(dataset) == groups
    assert sorted(dataset.nn_indices.flatten().tolist()) == draw_patterns(M, groups, seed=1).tolist()


def test_a_configuration_of_another_side_is_refused(mapped: Scan) -> None:
    with pytest.raises(ValueError, match="N: expected 16, the side of the scan's patterns, found 64"):
        MemoryMappedDataset.from_config(mapped, DataConfig())


# ------------------------------------------------------------------------------------------------ wrong use


@pytest.mark.parametrize(
    ("nn_indices", "message"),
    [
        (np.arange(4), "nn_indices: expected integers (n, C), found int64 (4,)"),
        (np.zeros((0, 4), int), "nn_indices: expected integers (n, C), found int64 (0, 4)"),
        (np.zeros((3, 1)), "nn_indices: expected integers (n, C), found float64 (3, 1)"),
        (np.array([[0], [M]]), "nn_indices: expected 0..22, patterns of the scan, found 0..23"),
        (np.array([[-1]]), "nn_indices: expected 0..22, patterns of the scan, found -1..-1"),
    ],
)
def test_indices_that_do_not_fit(nn_indices: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        MemoryMappedDataset(make_scan(), nn_indices)


def test_empty_patterns_are_refused() -> None:
    with pytest.raises(ValueError, match="mean sum of squares, found 0"):
        MemoryMappedDataset(make_scan(diffraction=np.zeros((M, N, N), np.float32)), np.array([[0]]))


@pytest.mark.parametrize("faint", [1e-44, 1e-40])
def test_patterns_that_float32_cannot_scale_are_refused(faint: float) -> None:
    scan = make_scan(diffraction=np.full((M, N, N), faint, np.float32))
    with pytest.raises(
        ValueError, match=r"amplitudes in units of about a photon, found .*; multiply them by a constant"
    ):
        MemoryMappedDataset(scan, groups_of(scan, 1))


def test_a_raw_record_of_a_part_of_a_scan() -> None:
    patterns = make_scan().diffraction
    scan = make_scan(Y=patterns * np.complex64(1 + 2j), scan_index=np.arange(M) % 3)
    some = RawDataTorch.from_scan(scan, np.array([4, 9, 11]))
    np.testing.assert_array_equal(some.diff3d, scan.diffraction[[4, 9, 11]])
    np.testing.assert_array_equal(np.stack([some.xcoords, some.ycoords], 1), scan.positions[[4, 9, 11]])
    np.testing.assert_array_equal(
        np.stack([some.xcoords_start, some.ycoords_start], 1), scan.start_positions[[4, 9, 11]]
    )
    np.testing.assert_array_equal(some.Y, scan.Y[[4, 9, 11]])  # type: ignore[index]
    np.testing.assert_array_equal(some.scan_index, [1, 0, 2])
    np.testing.assert_array_equal(some.sample_indices, [4, 9, 11])
    np.testing.assert_array_equal(some.objectGuess, scan.object_guess)
    np.testing.assert_array_equal(some.probeGuess, scan.probe)
    assert np.shares_memory(RawDataTorch.from_scan(scan).diff3d, scan.diffraction)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": np.zeros((2, M))}, "Scan.positions: expected float64 (23, 2), found float64 (2, 23)"),
        ({"positions": np.zeros((M, 2), np.float32)}, "Scan.positions: expected float64 (23, 2), found float32"),
        ({"positions": np.full((M, 2), np.nan)}, "Scan.positions: expected finite numbers"),
        ({"diffraction": np.ones((M, N, N))}, "Scan.diffraction: expected float32 (23, 16, 16), found float64"),
        ({"diffraction": np.ones((M, N, N + 1), np.float32)}, "Scan.diffraction: expected shape (M, N, N)"),
        (
            {"diffraction": np.ones((M, N, N), np.uint16)},
            "Scan.diffraction: expected float32 (23, 16, 16), found uint16",
        ),
        ({"probe": np.ones((N, N))}, "Scan.probe: expected complex64 (16, 16), found float64"),
        ({"scan_index": np.zeros(M - 1, np.int64)}, "Scan.scan_index: expected int64 (23,), found int64 (22,)"),
        ({"object_guess": np.ones((1, 9, 9), np.complex64)}, "Scan.object_guess: expected complex64 (1, 9)"),
    ],
)
def test_a_scan_with_wrong_arrays_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make_scan(**changes)


def test_negative_patterns_are_refused() -> None:
    scan = make_scan(diffraction=-np.ones((M, N, N), np.float32))
    with pytest.raises(ValueError, match=r"diffraction: expected amplitudes, .*; found -1"):
        MemoryMappedDataset(scan, np.array([[0]]))


def test_groups_by_slices_and_none(mapped: Scan) -> None:
    dataset = MemoryMappedDataset(mapped, groups_of(mapped, 2))
    assert torch.equal(dataset[2:5].X, dataset[[2, 3, 4]].X)
    assert torch.equal(dataset[-1].X, dataset[9].X)
    assert dataset[[]].X.shape == (0, 4, N, N)


@pytest.mark.parametrize("name", ["n_groups", "n_images", "n_subsample", "neighbor_pool_size"])
def test_counts_of_0_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"DataConfig.{name}: expected a positive number, found 0"):
        DataConfig(**{name: 0})
