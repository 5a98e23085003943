"""Products for Ptychodus: the object is upright and has a whole patch at every position; the probe counts photons.

These tests read the file as Ptychodus would; ``make ptychodus`` runs Ptychodus itself.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from golden.ptychopinn.simulation.embedded import embedded
from ptycho_torch import inference, train
from ptycho_torch.files.loss_curve import Epoch, LossCurve
from ptycho_torch.files.product import Product, is_product, make_product, save_product
from ptycho_torch.operators.ground_truth import patches_at
from ptycho_torch.reconstruction import CROP, stitch
from ptycho_torch.scans.ptychodus import Geometry
from ptycho_torch.scans.scan import Scan, load_scan

DATA = Path(__file__).parent / "data"
GEOMETRY = Geometry(8e-9, 9e-9, 1.9, 8800.0, (100.0, -20.5))
SOME = np.arange(40, 240, 10)
"""Patterns of the embedded scan; their mean position is not a whole number."""


def scan_of(object_guess: np.ndarray, N: int) -> Scan:
    positions = embedded("positions")
    return Scan(
        source=Path("some/scan.h5"),
        diffraction=np.ones((len(positions), N, N), np.float32),
        positions=positions,
        start_positions=positions,
        probe=np.ones((N, N), np.complex64),
        scan_index=np.zeros(len(positions), np.int64),
        object_guess=object_guess,
    )


SLOPES = np.array([[0.010, 0.003], [-0.004, 0.020]])
"""Slopes of the ramp's real and imaginary part along x and y, per pixel."""


def ramp() -> np.ndarray:
    y, x = np.mgrid[: embedded("object").shape[0], : embedded("object").shape[1]]
    real, imaginary = np.tensordot(SLOPES, [x, y], axes=1)
    return (real + 1j * imaginary).astype(np.complex64)


def product_of_true_patches(N: int, members: int, target: np.ndarray | None = None) -> Product:
    """Stitch the object's own patches at the mean positions of groups."""
    target = embedded("object").copy() if target is None else target
    groups = cKDTree(embedded("positions")).query(embedded("positions")[SOME], members)[1].reshape(-1, members)
    scan = scan_of(target, N)
    offsets = torch.from_numpy(scan.positions[groups].mean(axis=1))
    patches = patches_at(torch.from_numpy(target), offsets, N)
    mosaic = stitch(patches, offsets)
    parts = (mosaic.values.numpy(), mosaic.count.numpy(), offsets.numpy(), groups)
    return make_product(scan, GEOMETRY, np.ones((N, N), np.complex64), *parts)


def at(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    parts = (map_coordinates(part, [y, x], order=1, mode="grid-constant") for part in (image.real, image.imag))
    real, imaginary = parts
    return real + 1j * imaginary


def as_ptychodus_cuts(
    target: np.ndarray, centre: np.ndarray, pixel: np.ndarray, place: np.ndarray, N: int
) -> np.ndarray:
    """Cut the patch whose middle, (N - 1) / 2, is at a place [x, y] in metres."""
    size = np.array(target.shape[::-1])
    corner = (place - centre) / pixel + (size - 1) / 2 - (N - 1) / 2
    assert (corner >= 0).all()
    assert (np.ceil(corner) + N <= size).all()  # Ptychodus cuts no patch outside the object
    rows, columns = np.mgrid[:N, :N]
    return at(target, columns + corner[0], rows + corner[1])


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("N", [64, 63])
def test_patches_at_the_positions_are_those_of_the_object(N: int, members: int) -> None:
    """A ramp shows where it was cut: interpolation does not change it, and its slopes differ along x and y."""
    product = product_of_true_patches(N, members, ramp())
    pixel = np.array([GEOMETRY.pixel_width, GEOMETRY.pixel_height])
    middle = slice(N // 2 - CROP // 4, N // 2 + CROP // 4)
    where = torch.from_numpy(embedded("positions")[product.indexes])
    away = []
    for place, true in zip(product.positions, patches_at(torch.from_numpy(ramp()), where, N).numpy()):
        cut = as_ptychodus_cuts(product.object, np.array(product.centre), pixel, place, N)
        error = (cut - true)[middle, middle]
        away.append(np.linalg.solve(SLOPES, [np.median(error.real), np.median(error.imag)]))
    assert np.abs(away).max() < 0.2  # pixels; crops are stitched with a soft edge
    assert np.abs(np.mean(away, axis=0)).max() < 0.02


def test_positions_are_those_that_ptychodus_reads_from_the_scan_file() -> None:
    path = DATA / "1-mode.h5"
    scan = load_scan(path, measurement="counts")
    assert scan.geometry is not None
    mosaic, count = np.ones((40, 40), np.complex64), np.ones((40, 40), np.float32)
    indices = np.array([[3], [1], [4]])
    product = make_product(scan, scan.geometry, scan.probe, mosaic, count, scan.positions[indices[:, 0]], indices)
    with h5py.File(path) as file:  # relative to the object's middle, as in Ptychodus's reader of training data
        height, width = file["object"].shape
        x = (file["probe_position_x_px"][()] - (width - 1) / 2) * file["object_pixel_width_m"][()]
        y = (file["probe_position_y_px"][()] - (height - 1) / 2) * file["object_pixel_height_m"][()]
    np.testing.assert_array_equal(product.indexes, [1, 3, 4])
    np.testing.assert_allclose(product.positions, np.stack([x, y], -1)[[1, 3, 4]], rtol=0, atol=1e-15)


def test_where_nothing_was_stitched_the_object_is_flat() -> None:
    product = product_of_true_patches(64, 1)
    corner = product.object[0, 0]
    assert 0.2 < abs(corner) < 1
    assert (product.object[0] == corner).all()


def test_the_file(tmp_path: Path) -> None:
    curve = LossCurve(0.0, 0.0, (Epoch(1, 5.0, 6.0, 1e-3, (5.0,)), Epoch(2, 4.0, 5.0, 1e-3, (4.0,))))
    product = product_of_true_patches(64, 1)
    losses = np.array([(one.epoch, one.loss) for one in curve.epochs])
    probe = np.full((64, 64), 2 + 1j, np.complex64)
    path = tmp_path / "result.h5"
    assert not is_product(path)
    save_product(path, dataclasses.replace(product, losses=losses, probe=probe, name="\udce9"))
    assert is_product(path)
    with h5py.File(path) as file:
        said = dict(file.attrs)
        assert (said["detector_object_distance_m"], said["photon_energy_eV"]) == (1.9, 8800.0)
        assert (said["name"], said["far_field"]) == ("\\udce9", True)
        assert said["probe_photon_count"] == pytest.approx(5 * 64**2)
        np.testing.assert_array_equal(file["probe"][()], probe[None, None])
        np.testing.assert_array_equal(file["object"][()], product.object[None])
        assert (file["object"].attrs["pixel_width_m"], file["object"].attrs["pixel_height_m"]) == (8e-9, 9e-9)
        assert (file["object"].attrs["center_x_m"], file["object"].attrs["center_y_m"]) == product.centre
        np.testing.assert_array_equal(file["probe_position_x_m"][()], product.positions[:, 0])
        np.testing.assert_array_equal(file["probe_position_y_m"][()], product.positions[:, 1])
        np.testing.assert_array_equal(file["probe_position_indexes"][()], SOME)
        np.testing.assert_array_equal(file["loss_epochs"][()], [1, 2])
        np.testing.assert_array_equal(file["loss_values"][()], [5.0, 4.0])
        assert file["object_layer_spacing_m"].shape == (0,)
    assert [one.name for one in tmp_path.iterdir()] == ["result.h5"]


# ------------------------------------------------------------------------------------------------ the program


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    options = [
        "--train_data_file",
        DATA / "3-modes-bad-pixels.npz",
        "--output_dir",
        out,
        "--max_epochs",
        2,
        "--n_images",
    ]
    options += [5, "--batch_size", 2, "--n_filters_scale", 1, "--accelerator", "cpu"]
    run = CliRunner().invoke(train.main, [str(one) for one in options])
    assert run.exit_code == 0, run.output
    log = (out / "train.log").read_text()
    assert "mode 1 is used, the strongest, with 76.9% of the energy" in log
    assert "their square root is taken" in log
    assert "leaving out bad pixels: 131 of 4096 in every pattern" in log
    return out


def infer(trained: Path, scan: Path, out: Path, *options: object) -> tuple[int, str]:
    given = ["--model_path", trained, "--test_data", scan, "--output_dir", out, "--accelerator", "cpu", *options]
    run = CliRunner().invoke(inference.main, [str(one) for one in given])
    return run.exit_code, run.output


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_training_on_npz_inference_on_hdf5_and_a_product(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "result.h5"
    scan = DATA / "3-modes-bad-pixels.h5"
    assert infer(trained, scan, tmp_path / "out", "--product", path, "--measurement", "counts")[0] == 0
    with np.load(tmp_path / "out" / "reconstruction.npz") as result, h5py.File(path) as product:
        mosaic = result["mosaic"]
        found = product["object"][0]
        assert any(
            np.array_equal(
                found[row : row + len(mosaic), column : column + len(mosaic)][result["count"] > 0.01],
                mosaic[result["count"] > 0.01],
            )
            for row in range(found.shape[0] - len(mosaic) + 1)
            for column in range(found.shape[1] - len(mosaic) + 1)
        )
        np.testing.assert_array_equal(product["probe_position_indexes"][()], np.arange(5))
        assert product.attrs["photon_energy_eV"] == 8800.0
        # The probe carries the photons measured in the good pixels of a pattern, and some more.
        with pytest.warns(UserWarning, match="expected one mode"):
            measured = np.square(load_scan(scan, measurement="counts").patterns(), dtype=np.float64).sum() / 5
        predicted = product.attrs["probe_photon_count"]
        assert measured < predicted < 30 * measured
        assert len(product["loss_epochs"]) == 2
    assert infer(trained, scan, tmp_path / "out", "--product", path, "--measurement", "counts")[0] == 0


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_an_npz_needs_the_size_of_a_pixel(trained: Path, tmp_path: Path) -> None:
    scan, path = DATA / "3-modes-bad-pixels.npz", tmp_path / "result.h5"
    status, output = infer(trained, scan, tmp_path / "out", "--product", path)
    assert status == 2
    assert "--product: expected the size of an object pixel, found none in" in output
    assert not path.exists()
    assert infer(trained, scan, tmp_path / "out", "--product", path, "--pixel_size", 1e-8)[0] == 0
    with h5py.File(path) as product:
        assert dict(product["probe"].attrs) == {"pixel_width_m": 1e-8, "pixel_height_m": 1e-8}
        assert product.attrs["photon_energy_eV"] == 0.0


@pytest.mark.integration
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--product", "result.npz"), "expected a name that ends in one of .h5, .hdf5"),
        (("--product", "absent/result.h5"), "expected a directory absent, found none"),
        (("--product", DATA / "1-mode.h5"), "expected a product or no file, found another file; choose another name"),
        (("--pixel_size", 1e-8), "--pixel_size: expected --product too, found none"),
        (
            ("--product", "result.h5", "--pixel_size", 0),
            "expected the size of an object pixel in metres, above 0, found 0",
        ),
        (("--product", "result.h5", "--pixel_size", "nan"), "in metres, above 0, found nan"),
    ],
)
def test_a_product_that_cannot_be_written_is_refused_first(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], message: str
) -> None:
    before = (DATA / "1-mode.h5").read_bytes()
    monkeypatch.chdir(tmp_path)
    status, output = infer(trained, DATA / "1-mode.h5", tmp_path / "out", *options)
    assert status == 2
    assert message in " ".join(output.split())
    assert (DATA / "1-mode.h5").read_bytes() == before
    assert not list((tmp_path / "out").glob("*.npz"))
