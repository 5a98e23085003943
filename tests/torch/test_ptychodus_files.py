"""Scans that Ptychodus wrote: both formats, modes, counts, bad pixels, pixel centres, memory, bad input.

``data/`` contains the first five patterns of the embedded scan, as Ptychodus 1.7.0 wrote them:

    golden scan scan.npz
    python tests/external/ptychodus_client.py write scan.npz DIRECTORY --patterns 5
"""

from __future__ import annotations

import gc
import pickle
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from golden.ptychopinn.simulation.embedded import embedded, embedded_counts
from ptycho_torch.config_params import ModelConfig
from ptycho_torch.dataloader import MemoryMappedDataset
from ptycho_torch.model import PtychoPINN
from ptycho_torch.scans import collect, hdf5
from ptycho_torch.scans.mapped import items_of
from ptycho_torch.scans.scan import Scan, load_scan, read_probe_side

DATA = Path(__file__).parent / "data"
NPZ, HDF5, ONE_MODE = DATA / "3-modes-bad-pixels.npz", DATA / "3-modes-bad-pixels.h5", DATA / "1-mode.h5"
FILES = pytest.mark.parametrize("path", [NPZ, HDF5, ONE_MODE], ids=lambda path: path.name)
M, N = 5, 64
COUNTS, MODES = "treated as counts, and their square root is taken", "expected one mode, found 3; mode 1 is used"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """The same scan in PtychoPINN's format."""
    path = tmp_path_factory.mktemp("own") / "scan.npz"
    np.savez(path, **patterns_of_embedded())
    return load_scan(path)


def patterns_of_embedded() -> dict[str, np.ndarray]:
    x, y = embedded("positions")[:M].T
    amplitude = np.sqrt(embedded_counts(np.arange(M)), dtype=np.float32)
    kept = {"probeGuess": embedded("probe"), "objectGuess": embedded("object")}
    return {"diff3d": amplitude, "xcoords": x, "ycoords": y, **kept}


def load(path: Path, **options: Any) -> tuple[Scan, list[str]]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        scan = load_scan(path, **options)
    return scan, [str(one.message) for one in told]


def changed(tmp_path: Path, source: Path = ONE_MODE, without: tuple[str, ...] = (), **arrays: Any) -> Path:
    """Write one of the files with other arrays."""
    path = tmp_path / source.name
    if source.suffix == ".npz":
        with np.load(source) as file:
            kept = {key: file[key] for key in file if key not in without}
        np.savez(path, **{**kept, **arrays})
        return path
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        for key in (*without, *(key for key in arrays if key in file)):
            del file[key]
        for key, array in arrays.items():
            file.create_dataset(key, data=array)
    return path


def stored(path: Path, key: str) -> np.ndarray:
    with h5py.File(path) as file:
        array: np.ndarray = file[key][()]
        return array


# ------------------------------------------------------------------------------------------------ what is read


@FILES
def test_the_scan_is_the_same_as_in_ptychopinns_format(path: Path, own: Scan) -> None:
    scan, _ = load(path)
    good = slice(None) if scan.bad_pixels is None else ~scan.bad_pixels
    np.testing.assert_array_equal(scan.diffraction[:, good], own.diffraction[:, good])
    np.testing.assert_array_equal(scan.probe, own.probe)
    assert scan.diffraction.dtype == np.float32
    # The object was cut around these positions.
    target, known = scan.object_guess, embedded("object")
    assert target is not None
    left, top = np.floor(own.positions.min(axis=0)).astype(int) - N // 2 - 1
    np.testing.assert_array_equal(target, known[top : top + target.shape[0], left : left + target.shape[1]])
    np.testing.assert_allclose(scan.positions, own.positions - [left, top], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(scan.start_positions, scan.positions)


def test_the_bad_pixels_are_those_that_the_file_names() -> None:
    with np.load(NPZ) as file:
        expected = file["bad_pixels"]
    assert expected.any()
    for path in (NPZ, HDF5):
        np.testing.assert_array_equal(load(path)[0].bad_pixels, expected)
    assert load(ONE_MODE)[0].bad_pixels is None


@FILES
def test_choices_are_reported(path: Path) -> None:
    _, told = load(path)
    assert [COUNTS in one for one in told] == [True, *[False] * (len(told) - 1)]
    assert [one for one in told[1:] if MODES in one and "with 76.9% of the energy" in one] == told[1:]
    assert len(told) == (1 if path == ONE_MODE else 2)


@FILES
def test_the_measurement_may_be_named(path: Path) -> None:
    counts, told = load(path, measurement="counts")
    assert not any(COUNTS in one for one in told)
    np.testing.assert_array_equal(counts.diffraction, load(path)[0].diffraction)
    amplitude, told = load(path, measurement="amplitude")
    assert not any("whole numbers" in one for one in told)
    np.testing.assert_allclose(np.sqrt(amplitude.diffraction), counts.diffraction, rtol=1e-6)


def test_one_mode_and_a_named_measurement_are_silent(tmp_path: Path) -> None:
    assert load(ONE_MODE, measurement="counts")[1] == []
    with np.load(NPZ) as file:
        path = changed(tmp_path, NPZ, probeGuess=file["probeGuess"][1:2])
    assert load(path, measurement="counts")[1] == []


@pytest.mark.parametrize("source", [NPZ, ONE_MODE], ids=["npz", "hdf5"])
def test_floats_are_amplitudes(tmp_path: Path, own: Scan, source: Path) -> None:
    amplitude = own.diffraction.astype(np.float64)
    path = changed(tmp_path, source, **{"diff3d" if source == NPZ else "patterns": amplitude})
    scan, told = load(path)
    np.testing.assert_array_equal(scan.diffraction, own.diffraction)
    assert not any("counts" in one for one in told)
    path = changed(tmp_path, source, **{"diff3d" if source == NPZ else "patterns": np.rint(amplitude**2)})
    assert any("found whole numbers up to" in one for one in load(path)[1])


def test_whole_numbers_in_ptychopinns_own_format_stay_amplitudes(tmp_path: Path, own: Scan) -> None:
    counts = np.rint(own.diffraction**2).astype(np.uint16)
    np.savez(path := tmp_path / "scan.npz", **{**patterns_of_embedded(), "diff3d": counts})
    scan, told = load(path)
    np.testing.assert_array_equal(scan.diffraction, counts)
    assert "--measurement counts" in told[0]
    np.testing.assert_array_equal(load(path, measurement="counts")[0].diffraction, own.diffraction)
    with pytest.raises(ValueError, match=r"measurement: expected one of \('counts', 'amplitude'\), or None, found 'c'"):
        load_scan(path, measurement="c")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*(counts|expected a side)")
def test_the_middle_of_a_patch_is_half_a_pixel_from_its_centre_index_for_even_sides_only(tmp_path: Path) -> None:
    x, y = (stored(ONE_MODE, f"probe_position_{axis}_px") for axis in "xy")
    np.testing.assert_array_equal(load_scan(ONE_MODE).positions, np.stack([x, y], -1) + 0.5)
    odd = {"patterns": stored(ONE_MODE, "patterns")[:, 1:, 1:], "probe": stored(ONE_MODE, "probe")[:, 1:, 1:]}
    path = changed(tmp_path, **odd, bad_pixels=np.zeros((63, 63), bool))
    np.testing.assert_array_equal(load_scan(path).positions, np.stack([x, y], -1))


def test_an_hdf5_with_a_plain_probe_is_ptychodus_s_too(tmp_path: Path) -> None:
    scan, told = load(changed(tmp_path, probe=stored(ONE_MODE, "probe")[0]))
    expected, said = load(ONE_MODE)
    np.testing.assert_array_equal(scan.probe, expected.probe)
    np.testing.assert_array_equal(scan.positions, expected.positions)
    assert len(told) == len(said) == 1


@FILES
def test_the_side_is_read_without_the_rest(path: Path) -> None:
    assert read_probe_side(path) == N


def test_geometry() -> None:
    found = load(HDF5)[0].geometry
    assert found is not None
    assert (found.pixel_width, found.pixel_height, found.distance, found.energy) == (8e-9, 9e-9, 1.9, 8800.0)
    height, width = stored(HDF5, "object").shape
    assert found.origin == ((width - 1) / 2, (height - 1) / 2)
    assert load(NPZ)[0].geometry is None
    # 64 pixels of 8 x 9 nm, a wavelength of 0.1409 nm
    assert found.fresnel_number(N) == pytest.approx(64**2 * 72e-18 / (1.40891e-10 * 1.9), rel=1e-4)


# ------------------------------------------------------------------------------------------------ memory


@pytest.fixture
def nothing_fits_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(collect, "IN_MEMORY", 2**15)
    monkeypatch.setattr(collect.tempfile, "tempdir", str(tmp_path))
    return tmp_path


@FILES
def test_a_large_stack_is_mapped_from_a_temporary_file(path: Path, nothing_fits_in_memory: Path, own: Scan) -> None:
    scan, _ = load(path, measurement="counts")
    assert isinstance(scan.diffraction, np.memmap)
    assert not scan.diffraction.flags.writeable
    good = slice(None) if scan.bad_pixels is None else ~scan.bad_pixels
    np.testing.assert_array_equal(scan.diffraction[:, good], own.diffraction[:, good])


def test_the_temporary_file_exists_as_long_as_it_is_read(nothing_fits_in_memory: Path) -> None:
    scan, _ = load(ONE_MODE)
    expected = np.array(scan.diffraction)
    dataset = MemoryMappedDataset(scan, np.arange(M)[:, None])
    items = pickle.loads(pickle.dumps(items_of(scan.diffraction)))
    del scan
    gc.collect()
    (file,) = nothing_fits_in_memory.glob("ptycho_torch-*")
    np.testing.assert_array_equal(items.read(np.arange(M)), expected)
    np.testing.assert_allclose(dataset[:].X[:, 0] / dataset.factor, expected, rtol=1e-6)
    del dataset
    gc.collect()
    assert not file.exists()


def test_a_file_that_is_refused_leaves_nothing_behind(nothing_fits_in_memory: Path) -> None:
    patterns = stored(ONE_MODE, "patterns").astype(np.int32)
    patterns[3, 4, 5] = -1
    path = changed(nothing_fits_in_memory, patterns=patterns)
    with pytest.raises(
        ValueError, match=re.escape("'patterns': expected finite numbers, at least 0, found -1 at [3, 4, 5]")
    ):
        load_scan(path, measurement="counts")
    gc.collect()
    assert not list(nothing_fits_in_memory.glob("ptycho_torch-*"))


def test_a_full_disk_is_reported(nothing_fits_in_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 1000))
    with pytest.raises(OSError, match=r"expected 8.2e-05 GB for unpacked patterns, found 1e-06; .* TMPDIR"):
        load(ONE_MODE, measurement="counts")


@pytest.mark.parametrize("blocks", [1, 2**14, 2**20])
def test_parts_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    expected, _ = load(HDF5)
    for name in ("_BLOCK", "_LARGEST_BLOCK", "_STEP"):
        monkeypatch.setattr(hdf5, name, blocks)
    path = tmp_path / "chunks.h5"
    shutil.copy(HDF5, path)
    with h5py.File(path, "r+") as file:
        patterns = file["patterns"][()]
        del file["patterns"]
        file.create_dataset("patterns", data=patterns, chunks=(2, 16, 8), compression="lzf")
    np.testing.assert_array_equal(load(path)[0].diffraction, expected.diffraction)


# ------------------------------------------------------------------------------------------------ bad input


def test_gaps_of_integers_are_bad_pixels_on_request(tmp_path: Path, own: Scan) -> None:
    patterns, bad = stored(ONE_MODE, "patterns"), np.zeros((N, N), bool)
    bad[30:33, 5:9] = True
    patterns[:, bad] = 65535
    path = changed(tmp_path, patterns=patterns)
    assert any("found 60 at the largest value of an integer dtype" in one for one in load(path)[1])
    scan, _ = load(path, invalid_is_bad=True)
    np.testing.assert_array_equal(scan.bad_pixels, bad)
    np.testing.assert_array_equal(scan.diffraction[:, ~bad], own.diffraction[:, ~bad])


def near_field(tmp_path: Path) -> Path:
    return changed(tmp_path, object_pixel_width_m=1e-6, object_pixel_height_m=1e-6, detector_object_distance_m=0.05)


WARNED = {
    "zero frequency in the corner": (
        lambda tmp_path: changed(tmp_path, patterns=np.fft.fftshift(stored(ONE_MODE, "patterns"), axes=(1, 2))),
        "expected the zero frequency at [32, 32], found the light around [0, 0]. Use numpy.fft.fftshift",
    ),
    "two layers": (
        lambda tmp_path: changed(tmp_path, object=np.ones((2, 74, 75), complex)),
        "'object': ignored: expected one layer, found 2",
    ),
    "probes that vary": (
        lambda tmp_path: changed(tmp_path, probe=stored(HDF5, "probe")[:2, None] * [[[[1]]], [[[2]]]]),
        "'probe': expected one probe for all positions, found 2 (OPR); the first is used",
    ),
    "no size of a pixel": (
        lambda tmp_path: changed(tmp_path, without=("object_pixel_width_m",)),
        "expected the dataset 'object_pixel_width_m', found none; positions are used as object pixels",
    ),
    "near field": (near_field, "expected far-field patterns, found a Fresnel number of 581"),
    "another side": (
        lambda tmp_path: changed(
            tmp_path,
            patterns=stored(ONE_MODE, "patterns")[:, 8:-8, 8:-8],
            probe=stored(ONE_MODE, "probe")[:, 8:-8, 8:-8],
            bad_pixels=np.zeros((48, 48), bool),
        ),
        "'patterns': expected a side of 64, 128, 256 pixels, found 48; Ptychodus crops and bins patterns on loading",
    ),
}


@pytest.mark.parametrize(("make", "message"), WARNED.values(), ids=WARNED)
def test_doubtful_or_ignored_data_cause_one_warning(tmp_path: Path, make: Any, message: str) -> None:
    scan, told = load(make(tmp_path), measurement="counts")
    assert len(told) == 1
    assert message in told[0]
    assert scan.probe.shape == scan.diffraction.shape[1:]


def test_the_first_of_varying_probes_is_used(tmp_path: Path) -> None:
    scan, _ = load(WARNED["probes that vary"][0](tmp_path))
    np.testing.assert_array_equal(scan.probe, stored(HDF5, "probe")[0].astype(np.complex64))
    scan, _ = load(WARNED["two layers"][0](tmp_path))
    assert scan.object_guess is None


def test_an_empty_object_is_none(tmp_path: Path) -> None:
    scan, told = load(changed(tmp_path, object=np.zeros((0, 0), complex)), measurement="counts")
    assert (scan.object_guess, told) == (None, [])


def test_an_object_from_before_any_reconstruction_is_left_out(tmp_path: Path) -> None:
    scan, told = load(changed(tmp_path, object=np.full((74, 75), 0.5j)), measurement="counts")
    assert scan.object_guess is None
    assert ["'object': ignored: expected a known object, found the same number everywhere" in one for one in told] == [
        True
    ]
    assert scan.geometry == load(ONE_MODE)[0].geometry


REFUSED = {
    "no probe": ({"without": ("probe",)}, "expected the dataset 'probe', found ['bad_pixels', 'detector"),
    "an empty probe": (
        {"probe": np.zeros((1, 0, 0), complex)},
        "'probe': expected a probe, found an empty array (1, 0, 0); make a probe in Ptychodus before you save",
    ),
    "another probe": ({"probe": np.ones((1, 32, 32), complex)}, "or (modes, 64, 64), found (1, 32, 32)"),
    "no patterns": ({"without": ("patterns",)}, "expected patterns, found a product of Ptychodus, which has none"),
    "no positions": (
        {"without": ("probe_position_x_px", "probe_position_y_px")},
        "expected patterns and positions, found no positions",
    ),
    "positions in metres": (
        {
            "without": ("probe_position_x_px", "probe_position_y_px"),
            "probe_position_x_m": np.zeros(M),
            "probe_position_y_m": np.zeros(M),
        },
        "expected positions in object pixels, 'probe_position_x_px', found them in metres",
    ),
    "half a position": (
        {"without": ("probe_position_y_px",)},
        "expected the dataset 'probe_position_y_px', found ['bad_pixels'",
    ),
    "a pixel of no size": (
        {"object_pixel_width_m": 0.0},
        "pixel_width: expected the size of an object pixel in metres, above 0, found 0. Ptychodus divides metres by",
    ),
    "a pixel of no size, and what comes of it": (
        {"object_pixel_width_m": 0.0, "probe_position_x_px": np.full(M, np.inf)},
        "pixel_width: expected the size of an object pixel in metres, above 0, found 0",
    ),
    "a size that is no number": (
        {"object_pixel_height_m": np.nan},
        "pixel_height: expected the size of an object pixel in metres, above 0, found nan",
    ),
    "an impossible energy": ({"photon_energy_eV": -1.0}, "energy: expected electronvolts, 0 if not known, found -1"),
    "rectangles": ({"patterns": np.ones((M, 64, 32), np.uint16)}, "found (5, 64, 32); Ptychodus crops and bins"),
    "another number of patterns": ({"patterns": np.ones((M + 1, 64, 64), np.uint16)}, "expected shape (5, N, N)"),
    "text": ({"patterns": "counts"}, "'patterns': expected real numbers, found object"),
    "a group": ({"without": ("probe",), "probe/mode": np.ones((64, 64), complex)}, "expected the dataset 'probe'"),
    "a mask of another size": ({"bad_pixels": np.zeros((32, 32), bool)}, "'bad_pixels': expected shape (64, 64)"),
    "all bad": ({"bad_pixels": np.ones((64, 64), bool)}, "expected some good pixels, found only bad ones"),
    "no finite position": (
        {"probe_position_x_px": np.full(M, np.nan)},
        "'probe_position_x_px': expected finite numbers",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore:.*treated as counts")
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = changed(tmp_path, **changes)
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        load_scan(path)
    assert str(path) in str(refused.value)


def test_an_empty_probe_is_refused_in_npz_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'probeGuess': expected a probe, found an empty array"):
        load_scan(changed(tmp_path, NPZ, probeGuess=np.zeros((1, 0, 0), complex)))


def test_positions_without_a_size_of_a_pixel_are_explained_in_npz(tmp_path: Path) -> None:
    path = changed(tmp_path, NPZ, xcoords=np.full(M, np.inf))
    with pytest.raises(ValueError, match=r"found inf at .*Ptychodus divides metres by the size of an object pixel"):
        load_scan(path)
    np.savez(path, **{**patterns_of_embedded(), "xcoords": np.full(M, np.inf)})
    with pytest.raises(ValueError, match=r"found inf at \[0\]$"):
        load_scan(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    path.write_bytes(b"no HDF5")
    for read in (load_scan, read_probe_side):
        with pytest.raises(ValueError, match="expected HDF5, found something else, or an incomplete file"):
            read(path)
    content = HDF5.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cannot be read .*; the file is damaged or incomplete"):
        load_scan(path)
    path.write_bytes(NPZ.read_bytes())
    with pytest.raises(ValueError, match="expected HDF5, found something else"):
        load_scan(path)


DECLARED = {"probe": ((10**7, 64, 64), "c16"), "object": ((1, 10**6, 10**6), "c16")}


@pytest.mark.parametrize("key", DECLARED)
@pytest.mark.filterwarnings("ignore:.*treated as counts")
def test_huge_arrays_that_a_small_file_declares_are_not_read(tmp_path: Path, key: str) -> None:
    path = changed(tmp_path)
    with h5py.File(path, "r+") as file:
        shape, dtype = DECLARED[key]
        del file[key]
        dataset = file.create_dataset(key, shape, dtype, chunks=(1, 64, 64))
        dataset[0, :64, :64] = 1
    with pytest.raises(ValueError, match=f"{key!r}: expected an array that the file can hold, found"):
        load_scan(path)


@pytest.mark.filterwarnings("ignore:.*treated as counts")
def test_a_huge_chunk_that_a_small_file_declares_is_not_unpacked(tmp_path: Path) -> None:
    path = changed(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["patterns"]
        chunks = (2**15, 64, 64)
        file.create_dataset("patterns", (M, 64, 64), "u4", maxshape=(None, 64, 64), chunks=chunks, fillvalue=1)
        file["patterns"].id.write_direct_chunk((0, 0, 0), b"x")
    with pytest.raises(ValueError, match="'patterns': expected an array that the file can hold, found"):
        load_scan(path)


@pytest.mark.parametrize("key", ["patterns", "probe_position_x_px", "probe"])
def test_unwritten_values_are_not_read_as_zeros(tmp_path: Path, key: str) -> None:
    path = changed(tmp_path)
    with h5py.File(path, "r+") as file:
        shape, dtype = file[key].shape, file[key].dtype
        del file[key]
        file.create_dataset(key, shape, dtype)
    with pytest.raises(
        ValueError, match=f"{key!r}: expected values, found none, because they were never written; the file is incomp"
    ):
        load_scan(path)


def test_values_in_other_files_are_not_read(tmp_path: Path) -> None:
    path, elsewhere = changed(tmp_path), tmp_path / "other.h5"
    shutil.copy(path, elsewhere)
    with h5py.File(path, "r+") as file:
        shape, dtype = file["patterns"].shape, file["patterns"].dtype
        del file["patterns"]
        file["patterns"] = h5py.ExternalLink(elsewhere.name, "patterns")
    with pytest.raises(ValueError, match="'patterns', found a group, or a link to nothing here"):
        load_scan(path)
    with h5py.File(path, "r+") as file:
        del file["patterns"]
        layout = h5py.VirtualLayout(shape, dtype)
        layout[:] = h5py.VirtualSource(elsewhere.name, "patterns", shape)
        file.create_virtual_dataset("patterns", layout)
    with pytest.raises(ValueError, match="'patterns': expected values in this file, found virtual or external data"):
        load_scan(path)


@pytest.mark.filterwarnings("ignore:.*treated as counts")
def test_damaged_values_are_reported(tmp_path: Path) -> None:
    with h5py.File(ONE_MODE) as file:
        place = file["patterns"].id.get_chunk_info(0)
    content = bytearray(ONE_MODE.read_bytes())
    content[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    path = tmp_path / "scan.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="'patterns': cannot be read"):
        load_scan(path)


def test_an_unknown_filter_is_reported(tmp_path: Path) -> None:
    content = bytearray(ONE_MODE.read_bytes())
    lzf, other = (32000).to_bytes(2, "little"), (32008).to_bytes(2, "little")
    place = content.index(lzf)
    while place >= 0:
        if b"lzf\0" in content[place : place + 16]:
            content[place : place + 2] = other
        place = content.find(lzf, place + 2)
    path = tmp_path / "scan.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be read .*; it is packed with a filter that h5py does not have"):
        load_scan(path, measurement="counts")


def test_reading_takes_no_lock(tmp_path: Path) -> None:
    """Some file systems have no locks, and another program may hold one."""
    fcntl = pytest.importorskip("fcntl")
    path = changed(tmp_path)
    with path.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert len(load_scan(path, measurement="counts").positions) > 0


def test_the_network_advises_to_crop_or_bin_patterns() -> None:
    import torch

    with pytest.raises(ValueError, match="expected a patch side of 64, 128, 256 pixels, found 48; crop or bin"):
        PtychoPINN(ModelConfig(), torch.ones(48, 48, dtype=torch.complex64), 1.0)
