"""Simulated scans: the forward model is TensorFlow's, and the program writes what ``load_scan`` reads."""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from golden.ptychopinn.simulation import embedded
from ptycho_torch.pictures.scan import draw_scan, light
from ptycho_torch.scans import specimen
from ptycho_torch.scans.scan import Scan, load_scan, save_scan
from ptycho_torch.simulate import Simulation, diffraction_patterns, main, simulate_scan

# ------------------------------------------------------------------------------------------------ the embedded scan


@pytest.fixture
def counts(pytestconfig: pytest.Config) -> np.ndarray:
    if not pytestconfig.getoption("--golden-slow"):
        pytest.skip("reads the embedded counts; run it with --golden-slow")
    return embedded.embedded_counts().astype(np.float64)


def patterns_of_embedded() -> np.ndarray:
    arrays = (torch.from_numpy(embedded.embedded(name).copy()) for name in ("object", "probe", "positions"))
    return diffraction_patterns(*arrays).numpy().astype(np.float64)


def test_the_embedded_counts_are_draws_around_the_ports_patterns(counts: np.ndarray) -> None:
    rates = patterns_of_embedded() ** 2
    assert abs(counts.sum() - rates.sum()) < 5 * np.sqrt(rates.sum())
    bright = rates > 5
    chi_square = ((counts - rates)[bright] ** 2 / rates[bright]).mean()
    assert chi_square == pytest.approx(1, abs=5 * np.sqrt(2.2 / bright.sum()))
    beside = np.roll(rates, 1, axis=0)
    assert ((counts - beside)[bright] ** 2 / rates[bright]).mean() > 10, "so the test can fail"


def test_the_embedded_scan_is_read_as_it_was_drawn(counts: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "scan.npz", **embedded.as_ptychopinn())
    scan = load_scan(tmp_path / "scan.npz")
    assert isinstance(scan.diffraction, np.memmap)
    np.testing.assert_array_equal(np.rint(np.square(scan.diffraction, dtype=np.float64)), counts)
    np.testing.assert_array_equal(scan.positions, embedded.embedded("positions"))
    np.testing.assert_array_equal(scan.probe, embedded.embedded("probe"))
    np.testing.assert_array_equal(scan.object_guess, embedded.embedded("object"))


# ------------------------------------------------------------------------------------------------ forward model


def test_patterns_are_independent_of_each_other() -> None:
    rng = np.random.RandomState(0)
    target, probe = (torch.from_numpy(rng.randn(*shape) + 1j) for shape in ((40, 50), (8, 8)))
    positions = torch.from_numpy(rng.rand(5, 2) * 40 - 4)
    together = diffraction_patterns(target, probe, positions)
    assert together.dtype == torch.float64
    for k in range(5):
        np.testing.assert_allclose(diffraction_patterns(target, probe, positions[k : k + 1])[0], together[k], 1e-12)
    far = torch.tensor([[1e12, 3.0], [-1e12, -1e12]])
    assert not diffraction_patterns(target, probe, far).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": torch.ones(9, 9)}, "object_guess: expected (H, W) complex, found (9, 9) torch.float32"),
        ({"target": torch.ones(1, 9, 9) + 0j}, "object_guess: expected (H, W) complex"),
        ({"probe": torch.ones(4, 5) + 0j}, "probe: expected complex (N, N), found torch.complex64 (4, 5)"),
        ({"positions": torch.ones(3, 1, 2)}, "positions: expected (n, 2) real, found (3, 1, 2)"),
        ({"positions": torch.full((3, 2), torch.nan)}, "positions: expected finite numbers"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, torch.Tensor], message: str) -> None:
    arguments = {"target": torch.ones(9, 9) + 0j, "probe": torch.ones(4, 4) + 0j, "positions": torch.ones(3, 2)}
    with pytest.raises(ValueError, match=re.escape(message)):
        diffraction_patterns(**{**arguments, **change})


# ------------------------------------------------------------------------------------------------ a whole scan

SMALL = {"patterns": 20, "N": 32}


def test_a_scan_is_what_its_object_and_probe_say() -> None:
    scan = simulate_scan(Simulation(**SMALL, photons=1e4, noise=False))
    assert scan.object_guess is not None
    arrays = (torch.from_numpy(array) for array in (scan.object_guess, scan.probe, scan.positions))
    np.testing.assert_allclose(diffraction_patterns(*arrays), scan.diffraction, rtol=1e-4, atol=1e-4)
    photons = np.square(scan.diffraction, dtype=np.float64).sum(axis=(1, 2))
    assert photons.mean() == pytest.approx(1e4, rel=1e-5)
    assert np.ptp(photons) > 1, "the object has structure"


def test_noise_is_that_of_counting() -> None:
    exact, noisy = (simulate_scan(Simulation(**SMALL, photons=1e5, noise=noise)).diffraction for noise in (False, True))
    rates, counts = (np.square(one, dtype=np.float64) for one in (exact, noisy))
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-2)
    bright = rates > 5
    assert ((counts - rates)[bright] ** 2 / rates[bright]).mean() == pytest.approx(1, abs=0.1)


def test_a_seed_determines_a_scan() -> None:
    one, again, other = (simulate_scan(Simulation(**SMALL, scan="jittered", seed=seed)) for seed in (1, 1, 2))
    for name in ("diffraction", "positions", "object_guess", "probe"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    for name in ("diffraction", "positions", "object_guess"):
        first, second = getattr(one, name), getattr(other, name)
        assert first.shape != second.shape or (first != second).any()


@pytest.mark.parametrize("kind", ["spiral", "raster", "jittered"])
@pytest.mark.parametrize("overlap", [0.5, 0.8])
def test_neighbours_overlap_as_asked(kind: specimen.ScanKind, overlap: float) -> None:
    scan = simulate_scan(Simulation(patterns=60, N=32, scan=kind, overlap=overlap))
    distance = np.hypot(*(scan.positions[:, None] - scan.positions).T)
    nearest = np.sort(distance, axis=0)[1].mean()
    assert 1 - nearest / specimen.probe_diameter(scan.probe) == pytest.approx(overlap, abs=0.12)
    height, width = scan.object_guess.shape  # type: ignore[union-attr]
    assert (scan.positions >= 16).all()
    assert (scan.positions + 16 <= [width, height]).all()


def test_positions_in_another_unit_are_not_drawn() -> None:
    scan = simulate_scan(Simulation(**SMALL))
    far = dataclasses.replace(scan, positions=scan.positions * 1e5)
    with pytest.raises(ValueError, match="Give positions in pixels of the object, not in metres"):
        light(far)


def test_the_width_of_a_probe() -> None:
    y, x = np.mgrid[:128, :128] - 64
    assert specimen.probe_diameter((np.hypot(x, y) < 20).astype(complex)) == pytest.approx(40, rel=0.01)
    assert specimen.probe_diameter(np.exp(-(x**2 + y**2) / 15**2)) == pytest.approx(30, rel=0.01)


# ------------------------------------------------------------------------------------------------ the program


def simulate(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_program_writes_a_scan_and_its_picture(tmp_path: Path) -> None:
    out, preview = tmp_path / "scan.npz", tmp_path / "scan.png"
    run = simulate(out, "--patterns", 12, "--size", 32, "--photons", 2e4, "--seed", 3, "--preview", preview)
    assert run.exit_code == 0, run.output
    assert f"{out}: 12 patterns of 32 x 32, object " in run.output
    scan = load_scan(out)
    assert isinstance(scan.diffraction, np.memmap), "what was written can be mapped"
    expected = simulate_scan(Simulation(patterns=12, N=32, photons=2e4, seed=3))
    np.testing.assert_array_equal(scan.diffraction, expected.diffraction)
    with np.load(out, allow_pickle=False) as file:
        assert json.loads(str(file["remark"]))["photons"] == 2e4
    assert preview.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert preview.stat().st_size > 20_000


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    out = tmp_path / "scan.npz"
    out.write_bytes(b"mine")
    refused = simulate(out, "--patterns", 2, "--size", 16)
    assert (refused.exit_code, out.read_bytes()) == (2, b"mine")
    assert "found an existing file; --overwrite replaces it" in refused.output
    preview = tmp_path / "scan.png"
    preview.write_bytes(b"mine")
    refused = simulate(tmp_path / "other.npz", "--patterns", 2, "--size", 16, "--preview", preview)
    assert (refused.exit_code, preview.read_bytes()) == (2, b"mine")
    assert simulate(out, "--patterns", 2, "--size", 16, "--overwrite").exit_code == 0
    assert len(load_scan(out)) == 2


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[str, tuple[int, int]], Path]:
    def make(name: str, shape: tuple[int, int]) -> Path:
        """Save a picture that is bright at the top left."""
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        grey = np.where((rows < shape[0] // 2) & (columns < shape[1] // 2), 255, 20)
        Image.fromarray(grey.astype(np.uint8)).save(tmp_path / name)
        return tmp_path / name

    return make


def test_a_picture_as_object_stays_upright(tmp_path: Path, picture: Callable[..., Path]) -> None:
    for wide in ((90, 300), (300, 90)):
        out = tmp_path / "scan.npz"
        run = simulate(out, *("--patterns", 9, "--size", 16, "--overwrite"), "--object", picture("one.png", wide))
        assert run.exit_code == 0, run.output
        target = load_scan(out).object_guess
        assert target is not None
        height, width = target.shape
        top, bottom = np.abs(target[: height // 2 - 1]), np.abs(target[height // 2 + 1 :])
        assert top[:, : width // 2 - 1].min() > 0.9
        assert max(top[:, width // 2 + 1 :].max(), bottom.max()) < 0.4
        assert np.angle(target[0, 0]) == pytest.approx(1.5, abs=0.05)


DEEP = np.linspace(0.2, 0.6, 300, dtype=np.float64)[None].repeat(200, axis=0)
"""Grey levels, dark at the left; 8 bits distinguish only a hundred of them."""


@pytest.mark.parametrize(
    ("name", "levels", "expected"),
    [
        ("grey.png", np.rint(DEEP * 65535).astype(np.uint16), (0.2, 0.6)),
        ("grey.tif", np.rint(DEEP * 65535).astype(np.uint16), (0.2, 0.6)),
        ("big-endian.tif", np.rint(DEEP * 65535).astype(">u2"), (0.2, 0.6)),
        ("float.tif", DEEP.astype(np.float32), (0.2, 0.6)),
        ("wide.tif", (DEEP * 5000 - 2000).astype(np.float32), (0.0, 1.0)),
        ("whole.tif", np.rint(DEEP * 1e6).astype(np.int32), (0.0, 1.0)),
    ],
)
def test_pictures_of_more_than_8_bits_keep_their_grey_levels(
    tmp_path: Path, name: str, levels: np.ndarray, expected: tuple[float, float]
) -> None:
    Image.fromarray(levels).save(tmp_path / name)
    target = specimen.make_object(tmp_path / name, 200, 300, np.random.default_rng(0))
    grey = (np.abs(target) - 0.25) / 0.75
    assert (grey[0, 0], grey[0, -1]) == pytest.approx(expected, abs=2e-3)
    assert np.unique(grey[0]).size > 250
    slope = np.diff(grey[0])
    assert slope.min() > 0
    np.testing.assert_allclose(np.angle(target), 2.5 * grey - 1, atol=1e-5)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (np.full((20, 20), np.nan, np.float32), "expected finite grey levels, found nan to nan"),
        (np.full((20, 20), 7, np.float32), "expected grey levels from 0 to 1, or at least two, found only 7.0"),
    ],
)
def test_pictures_without_grey_levels(tmp_path: Path, levels: np.ndarray, message: str) -> None:
    Image.fromarray(levels).save(tmp_path / "one.tif")
    with pytest.raises(ValueError, match=re.escape(message)):
        specimen.make_object(tmp_path / "one.tif", 20, 20, np.random.default_rng(0))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_repeated_object_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "twice.npz", objectGuess=np.ones((200, 200), complex))
    with zipfile.ZipFile(tmp_path / "twice.npz", "a") as archive, archive.open("objectGuess.npy", "w") as member:
        np.save(member, np.zeros((200, 200), complex))
    run = simulate(tmp_path / "out.npz", "--object", tmp_path / "twice.npz")
    assert run.exit_code == 2
    assert "expected every key once, found ['objectGuess'] more than once" in run.output


def test_arrays_as_object_and_probe(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    target = (rng.rand(90, 120) + 1j).astype(np.complex64)
    probe = specimen.make_probe("disk", 16) * 3
    np.savez(tmp_path / "given.npz", objectGuess=target, probeGuess=probe[..., None])
    np.save(tmp_path / "object.npy", target)
    for file in ("given.npz", "object.npy"):
        settings = Simulation(
            patterns=9, N=16, object=str(tmp_path / file), probe=str(tmp_path / "given.npz"), photons=1e6
        )
        scan = simulate_scan(settings)
        np.testing.assert_array_equal(scan.object_guess, target)
        np.testing.assert_allclose(scan.probe / scan.probe.max(), probe / probe.max(), rtol=1e-5)
        middle = (scan.positions.max(axis=0) + scan.positions.min(axis=0)) / 2
        np.testing.assert_allclose(middle, [60, 45], atol=1.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--patterns", 0), "patterns: expected at least 1, found 0"),
        (("--size", 4), "N: expected at least 8, found 4"),
        (("--overlap", 1), "overlap: expected 0 to 1, found 1.0"),
        (("--photons", "nan"), "photons: expected a positive number"),
        (("--object", "nowhere.png"), "object nowhere.png: expected one of leaves, or a file; found neither"),
        (("--probe", "nowhere.npz"), "probe nowhere.npz: expected one of curved, disk, or a file; found neither"),
        (("--phase-image", "nowhere.png"), "picture nowhere.png: no such file"),
        (("--object", "{dir}/text.png"), "text.png: expected a picture, .npy or .npz"),
        (("--object", "{dir}/small.npy"), "columns, to cover the scan, found (9, 9)"),
        (("--object", "{dir}/dark.npy"), "expected it to transmit some light, found none"),
        (
            ("--object", "{dir}/dark.npy", "--phase-image", "x.png"),
            "expected no phase image, because the array has a phase",
        ),
        (("--object", "{dir}/empty.npz"), "expected the key 'objectGuess', found ['other']"),
        (("--object", "{dir}/objects.npy"), "objects.npy: "),
        (("--object", "{dir}/vast.npy"), "vast.npy: "),
        (("--object", "{dir}/nan.npy"), "expected finite numbers, found (nan+0j) at [0, 0]"),
        (("--probe", "{dir}/small.npy"), "expected shape (16, 16), the patch, found (9, 9)"),
        (("--probe", "{dir}/dark16.npy"), "expected some light, found only zeros"),
        (("--probe", "{dir}/text.png"), "expected one of curved, disk, or an .npz or .npy file"),
        (("--preview", "{dir}/out.jpg"), "out.jpg: expected a name that ends in .png, in a directory that exists"),
        (("--preview", "{dir}/nowhere/out.png"), "expected a name that ends in .png, in a directory that exists"),
    ],
)
def test_bad_options_are_one_clear_line(tmp_path: Path, options: tuple[Any, ...], message: str) -> None:
    (tmp_path / "text.png").write_text("no picture")
    np.save(tmp_path / "small.npy", np.ones((9, 9), complex))
    np.save(tmp_path / "dark.npy", np.zeros((200, 200), complex))
    np.save(tmp_path / "dark16.npy", np.zeros((16, 16), complex))
    np.save(tmp_path / "nan.npy", np.full((200, 200), np.nan, complex))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "empty.npz", other=1)
    with (tmp_path / "vast.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<c8", "fortran_order": False, "shape": (10**8, 10**8)})
    given = [str(option).format(dir=tmp_path) for option in options]
    run = simulate(tmp_path / "out.npz", "--patterns", 4, "--size", 16, *given)
    assert run.exit_code == 2
    assert message in run.output
    assert "Traceback" not in run.output
    assert not (tmp_path / "out.npz").exists()
    elsewhere = simulate(tmp_path / "out.h5", "--patterns", 4)
    assert "out.h5: expected a name that ends in .npz" in elsewhere.output


def test_a_scan_without_object_can_be_drawn(tmp_path: Path) -> None:
    positions = np.array([[3.0, 20.0], [4.4, 20.0]])
    one = np.ones((2, 8, 8), np.float32)
    scan = Scan(None, one, positions, positions, one[0].astype(np.complex64), np.zeros(2, np.int64))
    total, extent = light(scan)
    np.testing.assert_array_equal(total, [[1, *[2] * 7, 1]] * 8)
    assert extent == (-1.5, 7.5, 23.5, 15.5)
    draw_scan(scan, tmp_path / "scan.png")
    save_scan(tmp_path / "scan.npz", scan)
    assert load_scan(tmp_path / "scan.npz").object_guess is None


def test_a_title_leaves_room_for_the_exponent_of_a_colour_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *given, **options: drawn.append(figure))
    scan = simulate_scan(Simulation(patterns=4, seed=1))
    faint = (1e-5 / np.abs(scan.probe).max() * scan.probe).astype(np.complex64)
    draw_scan(dataclasses.replace(scan, probe=faint), tmp_path / "scan.png")
    FigureCanvasAgg(drawn[0]).draw()
    every = drawn[0].findobj(Axes)
    exponents = [axes.yaxis.get_offset_text() for axes in every]
    places = [text.get_window_extent() for text in exponents if text.get_text()]
    titles = [axes.title.get_window_extent() for axes in every if axes.get_title()]
    assert places
    assert not [title for title in titles if title.count_overlaps(places)]
