"""Scans on disk: what ``load_scan`` accepts, what it refuses, and with which message."""

from __future__ import annotations

import errno
import io
import os
import re
import struct
import tempfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptycho_torch
from ptycho_torch.scans import collect, stored_array
from ptycho_torch.scans import npz as npz_module
from ptycho_torch.scans.atomic_file import write_atomically
from ptycho_torch.scans.scan import READERS, Scan, load_scan, save_scan

M, N = 5, 4
RNG = np.random.RandomState(0)
ARRAYS: dict[str, np.ndarray] = {
    "diff3d": RNG.rand(M, N, N).astype(np.float32),
    "probeGuess": (RNG.rand(N, N) + 1j * RNG.rand(N, N)).astype(np.complex64),
    "xcoords": RNG.rand(M) * 40,
    "ycoords": RNG.rand(M) * 30,
}
PATCHES = (RNG.rand(M, N, N) + 1j).astype(np.complex64)


def write(directory: Path, *, packed: bool = False, without: tuple[str, ...] = (), **changes: Any) -> Path:
    arrays = {key: array for key, array in (ARRAYS | changes).items() if key not in without}
    path = directory / "scan.npz"
    (np.savez_compressed if packed else np.savez)(path, **arrays)
    return path


# ------------------------------------------------------------------------------------------------ what is accepted


@pytest.mark.parametrize("packed", [False, True])
def test_a_plain_file(tmp_path: Path, packed: bool) -> None:
    scan = load_scan(write(tmp_path, packed=packed))
    np.testing.assert_array_equal(scan.diffraction, ARRAYS["diff3d"])
    np.testing.assert_array_equal(scan.probe, ARRAYS["probeGuess"])
    np.testing.assert_array_equal(scan.positions, np.stack([ARRAYS["xcoords"], ARRAYS["ycoords"]], axis=-1))
    np.testing.assert_array_equal(scan.start_positions, scan.positions)
    np.testing.assert_array_equal(scan.scan_index, np.zeros(M, np.int64))
    assert (scan.object_guess, scan.Y, len(scan)) == (None, None, M)
    assert str(scan) == "Scan('scan.npz', M=5, N=4)"


def test_a_full_file(tmp_path: Path) -> None:
    guess = (RNG.rand(50, 60) + 1j).astype(np.complex64)
    starts = {"xcoords_start": np.arange(M), "ycoords_start": np.arange(M) * 2.0}
    scan = load_scan(write(tmp_path, objectGuess=guess, Y=PATCHES, scan_index=np.full(M, 3, np.int16), **starts))
    np.testing.assert_array_equal(scan.start_positions, [[k, 2 * k] for k in range(M)])
    np.testing.assert_array_equal(scan.scan_index, np.full(M, 3))
    np.testing.assert_array_equal(scan.object_guess, guess)
    np.testing.assert_array_equal(scan.Y, PATCHES)
    dtypes = [array.dtype for array in (scan.diffraction, scan.positions, scan.start_positions, scan.probe)]
    assert dtypes == [np.float32, np.float64, np.float64, np.complex64]
    assert scan.scan_index.dtype == np.int64


STACK = ARRAYS["diff3d"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "stored",
    [
        {"diff3d": STACK[..., None]},
        {"diff3d": np.moveaxis(STACK, 0, -1)},
        {"diff3d": np.ascontiguousarray(np.moveaxis(STACK, 0, -1))},
        {"diff3d": np.moveaxis(STACK, 0, -1)[..., None]},
        {"diff3d": np.asfortranarray(STACK)},
        {"diff3d": STACK.astype(">f4")},
        {"diff3d": STACK.astype(np.float64)},
        {"diffraction": STACK},
        {"diff3d": STACK, "probeGuess": ARRAYS["probeGuess"][..., None].astype(">c16")},
        {"diff3d": STACK, "remark": np.array("unknown keys are not looked at")},
        {"diff3d": STACK, "_metadata": np.array({"objects": "neither"}, dtype=object)},
    ],
)
def test_layouts_and_dtypes_that_are_accepted(tmp_path: Path, stored: dict[str, np.ndarray], packed: bool) -> None:
    scan = load_scan(write(tmp_path, packed=packed, without=() if "diff3d" in stored else ("diff3d",), **stored))
    np.testing.assert_array_equal(scan.diffraction, STACK)
    np.testing.assert_array_equal(scan.probe, ARRAYS["probeGuess"])
    assert (scan.diffraction.dtype, scan.diffraction.shape) == (np.float32, (M, N, N))


def test_as_many_patterns_as_pixels_in_a_row_are_left_in_their_order(tmp_path: Path) -> None:
    stack = RNG.rand(N, N, N).astype(np.float32)
    coords = {"xcoords": np.arange(N), "ycoords": np.arange(N)}
    np.testing.assert_array_equal(load_scan(write(tmp_path, diff3d=stack, **coords)).diffraction, stack)


@pytest.mark.parametrize("patches", [PATCHES, PATCHES[..., None], PATCHES.astype(np.complex128)])
def test_ground_truth(tmp_path: Path, patches: np.ndarray) -> None:
    found = load_scan(write(tmp_path, Y=patches)).Y
    np.testing.assert_array_equal(found, PATCHES)
    assert found is not None
    assert found.dtype == np.complex64


@pytest.mark.parametrize("patches", [PATCHES[:3], PATCHES[:3].real, np.ones(())])
def test_ground_truth_of_another_length_is_left_out(tmp_path: Path, patches: np.ndarray) -> None:
    path = write(tmp_path, Y=patches)
    with pytest.warns(UserWarning, match=re.escape(f"data file {path}: 'Y': ignored: expected {M} patches")) as told:
        assert load_scan(path).Y is None
    assert told[0].filename == __file__


def test_whole_numbers_may_be_counts(tmp_path: Path) -> None:
    path = write(tmp_path, diff3d=np.arange(M * N * N, dtype=np.uint16).reshape(M, N, N))
    with pytest.warns(
        UserWarning, match=r"'diff3d': expected amplitudes, found whole numbers up to .* their square root"
    ):
        scan = load_scan(path)
    assert scan.diffraction[-1, -1, -1] == M * N * N - 1


# ------------------------------------------------------------------------------------------------ what is mapped


def test_uncompressed_patterns_are_mapped(tmp_path: Path) -> None:
    scan = load_scan(write(tmp_path, Y=PATCHES))
    for mapped in (scan.diffraction, scan.Y):
        assert isinstance(mapped, np.memmap)
        assert not mapped.flags.writeable
    assert isinstance(load_scan(write(tmp_path, diff3d=STACK[..., None])).diffraction, np.memmap)
    assert isinstance(load_scan(write(tmp_path, diff3d=np.moveaxis(STACK, 0, -1))).diffraction, np.memmap)


def test_patterns_that_are_packed_or_of_another_dtype_are_loaded(tmp_path: Path) -> None:
    for loaded in (write(tmp_path, packed=True), write(tmp_path, diff3d=STACK.astype(np.float64))):
        assert not isinstance(load_scan(loaded).diffraction, np.memmap)


def test_a_mapped_stack_may_begin_at_any_byte(tmp_path: Path) -> None:
    for shift in range(1, 5):
        path = tmp_path / "scan.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x" * shift, b"?")
            for key, array in ARRAYS.items():
                held = io.BytesIO()
                np.save(held, array)
                info = zipfile.ZipInfo(f"{key}.npy")
                info.extra = b"\xfe\xca\x02\x00ab" * shift  # the local header may be longer than the listed one
                archive.writestr(info, held.getvalue())
        np.testing.assert_array_equal(load_scan(path).diffraction, STACK)


@pytest.mark.parametrize("packed", [False, True])
def test_a_mapped_scan_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    monkeypatch.setattr(npz_module, "_BLOCK", 2**18)
    monkeypatch.setattr(collect, "IN_MEMORY", 2**18)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    coords = {"xcoords": np.arange(256), "ycoords": np.arange(256)}
    stack = np.ones((256, 128, 128), np.float32)
    probe = np.ones((128, 128), np.complex64)
    path = write(tmp_path, packed=packed, diff3d=stack, probeGuess=probe, **coords)
    tracemalloc.start()
    try:
        scan = load_scan(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(scan.diffraction, np.memmap)
    np.testing.assert_array_equal(scan.diffraction, stack)
    assert most < stack.nbytes / 8


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_bad_value_is_found_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Any) -> None:
    monkeypatch.setattr(npz_module, "_BLOCK", 40)
    stack = STACK.copy(order)
    stack[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match=re.escape("found nan at [3, 1, 2]")):
        load_scan(write(tmp_path, diff3d=stack))


# ------------------------------------------------------------------------------------------------ None for absent keys


OPTIONAL = ("xcoords_start", "ycoords_start", "scan_index", "objectGuess", "Y", "bad_pixels")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("keys", [("objectGuess",), ("scan_index", "Y"), OPTIONAL])
def test_absent_keys_that_hold_none(tmp_path: Path, keys: tuple[str, ...], packed: bool) -> None:
    """PtychoPINN's writer passes None to ``numpy.savez``, which pickles it. The port does not unpickle it."""
    path = write(tmp_path, packed=packed, **dict.fromkeys(keys))
    with pytest.warns(UserWarning, match="ignored: found None, which PtychoPINN writes for a missing array") as told:
        scan = load_scan(path)
    assert sorted(str(one.message).split("'")[1] for one in told) == sorted(keys)
    assert {one.filename for one in told} == {__file__}
    assert (scan.object_guess, scan.Y, scan.bad_pixels) == (None, None, None)
    np.testing.assert_array_equal(scan.scan_index, np.zeros(M))
    np.testing.assert_array_equal(scan.start_positions, scan.positions)


class Malicious:
    """Raises an error if it is unpickled."""

    def __reduce__(self) -> Any:
        return _unpickled, ()


def _unpickled() -> None:
    raise AssertionError("unpickled")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    hostile = np.array(Malicious(), dtype=object)
    with pytest.warns(UserWarning, match="'objectGuess': ignored"):
        assert load_scan(write(tmp_path, objectGuess=hostile)).object_guess is None
    for key, array in (("probeGuess", hostile), ("Y", hostile.repeat(M)), ("objectGuess", hostile.reshape(1, 1))):
        with pytest.raises(ValueError, match=f"'{key}': holds Python objects, which are never unpickled"):
            load_scan(write(tmp_path, **{key: array}))


def test_one_start_that_is_none_is_half_a_pair_and_the_warning_says_why(tmp_path: Path) -> None:
    path = write(tmp_path, xcoords_start=None, ycoords_start=np.ones(M))
    with (
        pytest.warns(UserWarning, match="'xcoords_start': ignored: found None"),
        pytest.raises(ValueError, match="both 'xcoords_start' and 'ycoords_start', found 'ycoords_start'"),
    ):
        load_scan(path)


def test_of_two_stacks_the_one_that_is_none_is_absent(tmp_path: Path) -> None:
    path = write(tmp_path, diff3d=None, diffraction=2 * STACK)
    with pytest.warns(UserWarning, match="'diff3d': ignored: found None") as told:
        np.testing.assert_array_equal(load_scan(path).diffraction, 2 * STACK)
    assert len(told) == 1


# ------------------------------------------------------------------------------------------------ implausible values

SIDE = 64
AIRY = np.exp(-((np.mgrid[:SIDE, :SIDE] - SIDE // 2) ** 2).sum(axis=0) / 50)


def plausible(**changes: Any) -> dict[str, Any]:
    rng = np.random.RandomState(1)
    counts = rng.poisson(3e3 * AIRY, (9, SIDE, SIDE))
    y, x = np.divmod(np.arange(9), 3)
    return {
        "diff3d": np.sqrt(counts).astype(np.float32),
        "probeGuess": np.ones((SIDE, SIDE), np.complex64),
        "xcoords": x * 5.0,
        "ycoords": y * 5.0,
        **changes,
    }


GOOD = plausible()
COUNTS = np.rint(GOOD["diff3d"] ** 2)
GAP = COUNTS.astype(np.int64)
GAP[:, 10, 12:14] = 65535
DARK = GOOD["diff3d"].copy()
DARK[[2, 7]] = 0
IMPLAUSIBLE = {
    "counts as floats": ({"diff3d": COUNTS.astype("f4")}, "found whole numbers up to 3"),
    "counts as doubles": ({"diff3d": COUNTS.astype("f8")}, "found whole numbers up to 3"),
    "few counts": ({"diff3d": np.minimum(COUNTS, 2).astype("f4")}, "found whole numbers up to 2"),
    "dark": ({"diff3d": DARK}, "expected some light in every pattern, found only zeros in 2 of them: 2, 7"),
    "corner": (
        {"diff3d": np.fft.ifftshift(GOOD["diff3d"], axes=(1, 2))},
        "expected the zero frequency at [32, 32], found the light around [0, 0]. Use numpy.fft.fftshift",
    ),
    "edge": (
        {"diff3d": np.fft.ifftshift(GOOD["diff3d"], axes=1)},
        "expected the zero frequency at [32, 32], found the light around [0, 32]",
    ),
    "beside": (
        {"diff3d": np.roll(GOOD["diff3d"], 12, axis=2)},
        "expected the zero frequency at [32, 32], found the light around [32, 44]",
    ),
    "metres": (
        {"xcoords": GOOD["xcoords"] * 1e-8, "ycoords": GOOD["ycoords"] * 1e-8},
        "expected object pixels, found 9 positions that span only 1e-07 x 1e-07. Are they metres or micrometres?",
    ),
    "micrometres": (
        {"xcoords": GOOD["xcoords"] * 0.01, "ycoords": GOOD["ycoords"] * 0.01},
        "expected object pixels, found 9 positions that span only 0.1 x 0.1. Are they metres or micrometres?",
    ),
    "nanometres": (
        {"xcoords": GOOD["xcoords"] * 20, "ycoords": GOOD["ycoords"] * 20},
        "expected object pixels, found neighbours 100 apart, more than a patch of 64",
    ),
    "still": (
        {"xcoords": GOOD["xcoords"] * 0 + 3, "ycoords": GOOD["ycoords"] * 0},
        "expected object pixels, found all 9 positions at the same place",
    ),
}


def test_a_plausible_scan_causes_no_warning(tmp_path: Path) -> None:
    load_scan(write(tmp_path, **GOOD))
    load_scan(write(tmp_path, **GOOD), invalid_is_bad=True)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("changes", "message"), IMPLAUSIBLE.values(), ids=IMPLAUSIBLE)
def test_implausible_values_cause_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, np.ndarray], message: str, packed: bool
) -> None:
    monkeypatch.setattr(npz_module, "_BLOCK", 2 * SIDE * SIDE * 4)
    path = write(tmp_path, packed=packed, **plausible(**changes))
    with pytest.warns(UserWarning, match=re.escape(message)) as told:
        load_scan(path)
    assert len(told) == 1
    assert str(told[0].message).startswith(f"data file {path}: ")
    assert told[0].filename == __file__


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("stored", ["u2", "i4", "f4", ">u2"])
@pytest.mark.filterwarnings("ignore:.*found whole numbers")
def test_pixels_at_the_largest_number_of_a_detector(tmp_path: Path, stored: str, packed: bool) -> None:
    gap = GAP if stored != "i4" else np.where(GAP == 65535, 2**31 - 1, GAP)
    path = write(tmp_path, packed=packed, **plausible(diff3d=gap.astype(stored)))
    largest = 2**31 - 1 if stored == "i4" else 65535
    with pytest.warns(UserWarning, match=rf"found 18 at the largest .* dtype, {largest}, the first at \[0, 10, 12\]"):
        load_scan(path)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[10, 12:14] = True
    path = write(tmp_path, packed=packed, **plausible(diff3d=gap.astype(stored), bad_pixels=mask))
    with pytest.warns(UserWarning, match="found whole numbers") as told:
        load_scan(path)
    assert len(told) == 1, "marked pixels cause no warning"


def test_a_misspelt_key_is_not_ignored_silently(tmp_path: Path) -> None:
    for key, meant in (
        *(("objectGuesz", "objectGuess"), ("bad_pixel", "bad_pixels"), ("xcoord_start", "xcoords_start")),
        *(("badPixels", "bad_pixels"), ("OBJECTGUESS", "objectGuess"), ("scanIndex", "scan_index")),
    ):
        path = write(tmp_path, **{key: np.ones(3)})
        with pytest.warns(UserWarning, match=f"{key!r}: ignored; do you mean {meant!r}"):
            load_scan(path)


@pytest.mark.parametrize("key", ["mask", "detector_mask"])
def test_a_mask_with_another_key_is_not_ignored_silently(tmp_path: Path, key: str) -> None:
    with pytest.warns(UserWarning, match=f"{key!r}: ignored; the key of a detector mask is 'bad_pixels', true where"):
        load_scan(write(tmp_path, **{key: np.ones((N, N), bool)}))


def test_a_second_stack_of_patterns_is_ignored_with_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, diffraction=2 * STACK)
    with pytest.warns(UserWarning, match="'diffraction': ignored; 'diff3d' is used"):
        np.testing.assert_array_equal(load_scan(path).diffraction, STACK)


@pytest.mark.parametrize("largest", [65535, 2**31 - 1, 2**32 - 1])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_root_of_the_largest_number_of_a_detector(tmp_path: Path, dtype: str, largest: int) -> None:
    gap = np.where(GAP == 65535, np.sqrt(largest), GOOD["diff3d"]).astype(dtype)
    said = f"found 18 at the square root of the largest value of an integer dtype, {np.sqrt(largest):.7g}, the first"
    with pytest.warns(UserWarning, match=re.escape(said)) as told:
        load_scan(write(tmp_path, **plausible(diff3d=gap)))
    assert len(told) == 1


# ------------------------------------------------------------------------------------------------ what is refused


def _with(array: np.ndarray, value: complex) -> np.ndarray:
    changed = array.copy()
    changed.flat[7 % array.size] = value
    return changed


WRONG = {
    "no positions": ({"xcoords": None}, "expected the key 'xcoords', found ['diff3d', 'probeGuess', 'ycoords']"),
    "no patterns": ({"diff3d": None}, "expected the key 'diff3d', found"),
    "no probe": ({"probeGuess": None}, "expected the key 'probeGuess', found"),
    "one start": ({"xcoords_start": np.ones(M)}, "both 'xcoords_start' and 'ycoords_start', found 'xcoords_start'"),
    "nothing": ({"xcoords": np.ones(0)}, "'xcoords': expected shape (M,), one number per position, found (0,)"),
    "rows of positions": ({"xcoords": np.ones((M, 1))}, "'xcoords': expected shape (M,), one number per position"),
    "fewer y": ({"ycoords": np.ones(M - 1)}, "'ycoords': expected shape (5,), as 'xcoords', found (4,)"),
    "fewer starts": (
        {"xcoords_start": np.ones(M), "ycoords_start": np.ones(2)},
        "'ycoords_start': expected shape (5,), as 'xcoords', found (2,)",
    ),
    "complex positions": ({"ycoords": np.ones(M, complex)}, "'ycoords': expected real numbers, found complex128"),
    "text": ({"ycoords": np.array(["1"] * M)}, "'ycoords': expected real numbers, found <U1"),
    "positions not finite": ({"ycoords": np.array([1, 2, np.inf, 4, 5])}, "expected finite numbers, found inf at [2]"),
    "more positions": (
        {"xcoords": np.ones(M + 2), "ycoords": np.ones(M + 2)},
        "'diff3d': expected shape (7, N, N), one square pattern per position, found (5, 4, 4)",
    ),
    "not square": ({"diff3d": np.ones((M, N, N + 1), "f4")}, "'diff3d': expected shape (5, N, N), one square"),
    "flat": ({"diff3d": np.ones((M, N * N), "f4")}, "'diff3d': expected shape (5, N, N), one square"),
    "two channels": ({"diff3d": np.ones((M, N, N, 2), "f4")}, "'diff3d': expected shape (5, N, N), one square"),
    "no pixels": ({"diff3d": np.ones((M, 0, 0), "f4")}, "'diff3d': expected shape (5, N, N), one square"),
    "complex patterns": ({"diff3d": STACK + 1j}, "'diff3d': expected real numbers, found complex64"),
    "bool patterns": ({"diff3d": STACK > 0.5}, "'diff3d': expected real numbers, found bool"),
    "NaN": ({"diff3d": _with(STACK, np.nan)}, "'diff3d': expected finite numbers, at least 0, found nan at [0, 1, 3]"),
    "negative": ({"diff3d": _with(STACK, -1)}, "'diff3d': expected finite numbers, at least 0, found -1.0 at"),
    "infinite": ({"diff3d": _with(STACK, np.inf)}, "'diff3d': expected finite numbers, at least 0, found inf at"),
    "too large": (
        {"diff3d": STACK.astype("f8") * 1e300},
        "'diff3d': expected numbers that float32 can hold, found larger ones",
    ),
    "objects": ({"diff3d": STACK.astype(object)}, "'diff3d': holds Python objects, which are never unpickled"),
    "another probe": ({"probeGuess": np.ones((8, 8))}, "'probeGuess': expected shape (4, 4), the side of 'diff3d'"),
    "probe not finite": ({"probeGuess": _with(ARRAYS["probeGuess"], np.nan)}, "'probeGuess': expected finite numbers"),
    "scan index": ({"scan_index": np.ones(M)}, "'scan_index': expected whole numbers, found float64"),
    "real object": ({"objectGuess": np.ones((9, 9))}, "'objectGuess': expected complex numbers, found float64"),
    "flat object": ({"objectGuess": np.ones(9, complex)}, "'objectGuess': expected shape (H, W), found (9,)"),
    "real ground truth": ({"Y": np.abs(PATCHES)}, "'Y': expected complex numbers, found float32"),
    "other ground truth": ({"Y": np.ones((M, 8, 8), "c8")}, "'Y': expected shape (5, 4, 4), found (5, 8, 8)"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, np.ndarray | None], message: str, packed: bool
) -> None:
    missing = tuple(key for key, array in changes.items() if array is None)
    path = write(tmp_path, packed=packed, without=missing, **changes)
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        load_scan(path)
    assert str(refused.value).startswith(f"data file {path}: ")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.npz: no such file"):
        load_scan(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_scan(tmp_path)
    for name, content, message in (
        ("text.npz", b"not an archive", "expected an NPZ archive"),
        ("empty.npz", b"", "expected an NPZ archive"),
        ("scan.cxi", b"", "expected one of the suffixes ['.h5', '.hdf5', '.npz'], found '.cxi'"),
        ("scan", b"", "expected one of the suffixes ['.h5', '.hdf5', '.npz'], found ''"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(message)):
            load_scan(tmp_path / name)


def test_a_member_that_is_not_an_array(tmp_path: Path) -> None:
    path = write(tmp_path, without=("xcoords",))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xcoords.npy", b"1, 2, 3, 4, 5")
    with pytest.raises(ValueError, match=r"'xcoords': expected an array \(.*; the file is damaged"):
        load_scan(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (5,), }]",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (5,,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': ((5,), }",
        "{'descr': [('a', '<f8'), 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (5,), ",
        "{'descr': '<f8', 'fortran_order': False, 'shape': 5}",
        "{'descr': 8, 'fortran_order': False, 'shape': (5,)}",
        "{'descr': '<f8', 'fortran_order': False}",
        "[" * 200,
        "'",
        "",
    ],
)
def test_a_header_that_is_damaged(tmp_path: Path, header: str) -> None:
    path = write(tmp_path, without=("xcoords",))
    packed = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xcoords.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(packed)) + packed + bytes(40))
    with pytest.raises(ValueError, match=r"'xcoords': expected an array \(.*the file is damaged") as refused:
        load_scan(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["diff3d.npy", "diff3d", "objectGuess.npy", "remark.npy"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_repeated_key_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, objectGuess=PATCHES[0], remark=np.ones(2))
    held = io.BytesIO()
    np.save(held, STACK * 0)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, held.getvalue())
    message = f"expected every key once, found ['{name.removesuffix('.npy')}'] more than once"
    with pytest.raises(ValueError, match=re.escape(message)):
        load_scan(path)


@pytest.mark.parametrize("which", [0, 1], ids=["header", "directory"])
def test_a_name_that_is_damaged_does_not_hide_an_array(tmp_path: Path, which: int) -> None:
    path = write(tmp_path, objectGuess=PATCHES[0])
    content = path.read_bytes().split(b"objectGuess")
    assert len(content) == 3
    content[which] += b"objectGues3"
    content[1 - which] += b"objectGuess"
    path.write_bytes(b"".join(content))
    with pytest.raises(ValueError, match="cannot be read"):
        load_scan(path)


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    path = write(tmp_path, without=("xcoords",))
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(held, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xcoords.npy", held.getvalue() + b"12345678")
    with pytest.raises(ValueError, match=re.escape("bytes for float64 (1000000000000000,), found 136")):
        load_scan(path)


def test_what_unpacks_to_far_more_than_the_file_holds_is_not_read(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(stored_array, "_LARGEST_EMPTY", 2**10)
    path = write(tmp_path, packed=True, objectGuess=np.ones((500, 500), np.complex64))
    with pytest.raises(ValueError, match=r"'objectGuess': expected an array that the file can hold, found a file"):
        load_scan(path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(io, "open", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: .*scan\.npz"):
        load_scan(path)


def test_a_checksum_of_only_a_part_of_an_array_is_refused(tmp_path: Path) -> None:
    """Values that the checksum does not cover are not checked, so they must not be mapped."""
    stack = STACK.copy()
    stack[4] = np.nan
    path = write(tmp_path, without=("diff3d",))
    with zipfile.ZipFile(path, "a") as archive, archive.open("diff3d.npy", "w") as member:
        np.save(member, stack)
    with zipfile.ZipFile(path) as archive:
        start = archive.read("diff3d.npy")[: -N * N * 4]
    content = bytearray(path.read_bytes())
    listed = content.rindex(b"PK\x01\x02") + 16  # checksum and stored size of the last member
    content[listed : listed + 8] = struct.pack("<II", zlib.crc32(start), len(start))
    path.write_bytes(content)
    with pytest.raises(ValueError, match="'diff3d': cannot be read"):
        load_scan(path)


@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_never_silent(tmp_path: Path, packed: bool) -> None:
    path = write(tmp_path, packed=packed)
    sound, told = path.read_bytes(), []
    for place in range(0, len(sound), 41):
        damaged = bytearray(sound)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            scan = load_scan(path)
        except ValueError as refused:
            told.append(str(refused))
        else:  # the damaged byte belongs to a time stamp, or to no array
            np.testing.assert_array_equal(scan.diffraction, STACK, err_msg=str(place))
            np.testing.assert_array_equal(scan.positions[:, 0], ARRAYS["xcoords"], err_msg=str(place))
            np.testing.assert_array_equal(scan.probe, ARRAYS["probeGuess"], err_msg=str(place))
    assert told
    assert all(text.startswith(f"data file {path}: ") for text in told)
    for length in (30, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:length])
        with pytest.raises(ValueError, match="data file"):
            load_scan(path)


# ------------------------------------------------------------------------------------------------ writing


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    starts = {"xcoords_start": np.arange(M) * 1.0, "ycoords_start": np.arange(M) * 2.0}
    first = load_scan(write(tmp_path, Y=PATCHES, objectGuess=PATCHES[0], scan_index=np.arange(M), **starts))
    save_scan(tmp_path / "again.npz", first)
    again = load_scan(tmp_path / "again.npz")
    for name in vars(first).keys() - {"source"}:
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name), err_msg=name)
    with pytest.raises(ValueError, match=r"expected a name that ends in \.npz"):
        save_scan(tmp_path / "again.h5", first)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.npz"
    path.write_bytes(b"before")

    def fail() -> None:
        with write_atomically(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["out.npz"]
    with write_atomically(path) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after"


def test_the_package_offers_its_public_names() -> None:
    assert (ptycho_torch.load_scan, ptycho_torch.save_scan, ptycho_torch.Scan) == (load_scan, save_scan, Scan)
    for name in ptycho_torch.__all__:
        assert getattr(ptycho_torch, name).__name__ == name
    assert set(ptycho_torch.__all__) <= set(dir(ptycho_torch))
    with pytest.raises(AttributeError, match="module 'ptycho_torch' has no attribute 'load_scans'"):
        ptycho_torch.load_scans  # noqa: B018


def test_the_table_of_readers_cannot_be_changed_by_a_caller() -> None:
    with pytest.raises(TypeError):
        READERS[".cxi"] = lambda path: None  # type: ignore[index]


# ------------------------------------------------------------------------------------------------ a real one


def test_a_measured_scan(external_data: Path) -> None:
    scan = load_scan(external_data / "data" / "siemens_star_516.npz")
    assert isinstance(scan, Scan)
    assert scan.diffraction.shape == (516, 128, 128)
    assert scan.object_guess is not None
    assert scan.object_guess.shape == (460, 457)
    assert np.square(scan.diffraction, dtype=np.float64).sum(axis=(1, 2)).mean() == pytest.approx(4.61e5, rel=1e-3)
    reach = scan.positions.max(axis=0) + 64
    assert (reach <= scan.object_guess.shape[::-1]).all()
