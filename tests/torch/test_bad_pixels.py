"""Bad pixels of the detector: their values do not affect the loss, the normalisation or the network."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ptycho_torch import inference, train
from ptycho_torch.checks.diagnostics import check_brightness
from ptycho_torch.config_params import TrainingConfig
from ptycho_torch.dataloader import MemoryMappedDataset, batches
from ptycho_torch.pictures.scan import draw_scan
from ptycho_torch.raw_data_bridge import RawDataTorch
from ptycho_torch.reconstruction import gather_evidence, predict, stitch
from ptycho_torch.scans.mapped import InFile
from ptycho_torch.scans.scan import Scan, load_scan, save_scan
from ptycho_torch.simulate import Simulation, simulate_scan
from ptycho_torch.training.losses import objective
from tests.torch.networks import small_model

M, N = 7, 16
RNG = np.random.RandomState(2)
STACK = (RNG.rand(M, N, N) * 30).astype(np.float32)
SHARED = RNG.rand(N, N) < 0.2
EACH = RNG.rand(M, N, N) < 0.2
EVERY = np.arange(M)[:, None]


def write(path: Path, **changes: Any) -> Path:
    arrays = {
        "diff3d": STACK,
        "probeGuess": np.ones((N, N), np.complex64),
        "xcoords": np.arange(M) * 3.0,
        "ycoords": np.arange(M) % 2 * 4.0,
    } | changes
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})
    return path


def with_values(mask: np.ndarray, value: float) -> np.ndarray:
    """Return the patterns with a value in all bad pixels."""
    return np.where(mask, np.float32(value), STACK)


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (SHARED, SHARED),
        (SHARED.astype(np.uint8), SHARED),
        (SHARED[None], SHARED),
        (SHARED[..., None], SHARED),
        (EACH, EACH),
        (EACH.astype(np.int64), EACH),
        (np.moveaxis(EACH, 0, -1), EACH),
        (np.repeat(SHARED[None], M, axis=0), SHARED),
        (np.zeros((N, N), bool), None),
        (np.zeros((M, N, N), bool), None),
        (np.array(None), None),
    ],
    ids=["shared", "bytes", "one", "last", "each", "whole", "stack", "the same", "none", "none of any", "None"],
)
@pytest.mark.filterwarnings("ignore:.*ignored. found None")
def test_a_mask_in_a_file(tmp_path: Path, stored: np.ndarray, expected: np.ndarray | None) -> None:
    found = load_scan(write(tmp_path / "scan.npz", bad_pixels=stored)).bad_pixels
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.dtype == np.bool_
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1, 1e30])
@pytest.mark.parametrize("mask", [SHARED, EACH], ids=["shared", "each"])
def test_bad_pixels_may_hold_anything(tmp_path: Path, mask: np.ndarray, value: float) -> None:
    path = write(tmp_path / "scan.npz", diff3d=with_values(mask, value), bad_pixels=mask)
    scan = load_scan(path)
    assert isinstance(scan.diffraction, np.memmap)
    np.testing.assert_array_equal(scan.patterns(), with_values(mask, 0))
    np.testing.assert_array_equal(scan.patterns([3, 1]), with_values(mask, 0)[[3, 1]])
    save_scan(tmp_path / "again.npz", scan)
    again = load_scan(tmp_path / "again.npz")
    assert again.bad_pixels is not None
    np.testing.assert_array_equal(again.bad_pixels, mask)
    np.testing.assert_array_equal(again.diffraction, scan.diffraction)
    packed = with_values(mask, value).astype(np.float64)
    if value == 1e30:
        packed[np.broadcast_to(mask, packed.shape)] = 1e300  # more than float32 can hold
    np.testing.assert_array_equal(
        load_scan(write(tmp_path / "wide.npz", diff3d=packed, bad_pixels=mask)).patterns(), scan.patterns()
    )


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_good_pixel_that_is_nan_is_still_refused(tmp_path: Path, order: Any) -> None:
    stack = with_values(SHARED, np.nan)
    row, column = map(int, np.argwhere(~SHARED)[5])
    stack[4, row, column] = np.nan
    path = write(tmp_path / "scan.npz", diff3d=stack.copy(order), bad_pixels=SHARED)
    with pytest.raises(ValueError, match=re.escape(f"at least 0, found nan at [4, {row}, {column}]")):
        load_scan(path)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((N, N), bool), "expected some good pixels, found only bad ones"),
        (np.ones((N, N + 1), bool), "'bad_pixels': expected shape (16, 16) or (7, 16, 16), as the patterns"),
        (np.zeros((M - 1, N, N), bool), "'bad_pixels': expected shape (16, 16) or (7, 16, 16), as the patterns"),
        (np.zeros((M, N, N + 1), bool), "'bad_pixels': expected shape (7, N, N), one square pattern per position"),
        (np.zeros(N * N, bool), "'bad_pixels': expected shape (16, 16) or (7, 16, 16), as the patterns"),
        (np.full((N, N), 2), "'bad_pixels': expected true (bad) or false, or 1 or 0, found 2"),
        (np.full((N, N), 2, np.uint8).view(np.bool_), "'bad_pixels': expected true (bad) or false, or 1 or 0, found 2"),
        (np.zeros((N, N)), "'bad_pixels': expected true or false numbers, found float64"),
    ],
)
def test_masks_that_do_not_fit(tmp_path: Path, mask: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        load_scan(write(tmp_path / "scan.npz", bad_pixels=mask))


def test_a_record_refuses_a_mask_that_does_not_fit(tmp_path: Path) -> None:
    scan = load_scan(write(tmp_path / "scan.npz"))
    for mask, message in (
        (SHARED.astype(np.uint8), "Scan.bad_pixels: expected bool (16, 16), found uint8"),
        (SHARED[1:], "Scan.bad_pixels: expected bool (16, 16), found bool (15, 16)"),
        (EACH[1:], "Scan.bad_pixels: expected bool (7, 16, 16), found bool (6, 16, 16)"),
        (np.ones((N, N), bool), "Scan.bad_pixels: expected some good pixels"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            dataclasses.replace(scan, bad_pixels=mask)


# ------------------------------------------------------------------------------------------------ invalid pixels


@pytest.mark.parametrize("value", [np.nan, -1, -np.inf, np.inf])
@pytest.mark.parametrize("mask", [SHARED, EACH], ids=["shared", "each"])
def test_invalid_pixels_are_bad_on_request(tmp_path: Path, mask: np.ndarray, value: float) -> None:
    path = write(tmp_path / "scan.npz", diff3d=with_values(mask, value))
    with pytest.raises(ValueError, match="expected finite numbers, at least 0"):
        load_scan(path)
    found = load_scan(path, invalid_is_bad=True).bad_pixels
    assert found is not None
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize(("dtype", "gap"), [(np.uint16, 65535), (np.uint32, 2**32 - 1), (np.int32, -1), (np.int32, -2)])
@pytest.mark.filterwarnings("ignore:.*found whole numbers")
def test_gaps_of_integers(tmp_path: Path, dtype: type, gap: int) -> None:
    stack = np.rint(STACK).astype(dtype)
    stack[:, SHARED] = gap
    path = write(tmp_path / "scan.npz", diff3d=stack)
    scan = load_scan(path, invalid_is_bad=True)
    assert scan.bad_pixels is not None
    np.testing.assert_array_equal(scan.bad_pixels, SHARED)
    np.testing.assert_array_equal(scan.patterns(), np.rint(with_values(SHARED, 0)))


def test_a_mask_and_invalid_pixels_together(tmp_path: Path) -> None:
    stack = STACK.copy()
    stack[2, 5, 6] = np.nan
    found = load_scan(write(tmp_path / "scan.npz", diff3d=stack, bad_pixels=SHARED), invalid_is_bad=True).bad_pixels
    assert found is not None
    both = np.repeat(SHARED[None], M, axis=0)
    both[2, 5, 6] = True
    np.testing.assert_array_equal(found, both)


def test_nothing_changes_where_nothing_is_invalid(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.npz")
    assert load_scan(path, invalid_is_bad=True).bad_pixels is None


# ------------------------------------------------------------------------------------------------ batches


def dataset_of(scan: Scan) -> MemoryMappedDataset:
    return MemoryMappedDataset(scan, EVERY)


@pytest.mark.parametrize("mask", [SHARED, EACH], ids=["shared", "each"])
def test_values_of_bad_pixels_do_not_affect_batches(tmp_path: Path, mask: np.ndarray) -> None:
    found = []
    for number, value in enumerate((0, 7.5, np.nan, -1, np.inf)):
        path = write(tmp_path / f"{number}.npz", diff3d=with_values(mask, value), bad_pixels=mask)
        found.append(dataset_of(load_scan(path)))
    good = np.broadcast_to(~mask, STACK.shape)
    energy = np.mean([(STACK[k][good[k]].astype(np.float64) ** 2).sum() for k in range(M)])
    assert found[0].factor == np.float32(N / 2 / math.sqrt(energy))
    for dataset in found:
        batch = dataset[range(M)]
        assert batch.good is not None
        assert dataset.factor == found[0].factor
        assert torch.equal(batch.X, found[0][range(M)].X)
        np.testing.assert_array_equal(batch.good[:, 0], good)
        np.testing.assert_array_equal(batch.X[:, 0], np.where(good, STACK * dataset.factor, 0))
        assert dataset.good_share is not None
        np.testing.assert_allclose(dataset.good_share, good.mean(axis=0))


def test_a_mask_without_bad_pixels_changes_no_digit(tmp_path: Path) -> None:
    plain = dataset_of(load_scan(write(tmp_path / "plain.npz")))
    empty = dataset_of(load_scan(write(tmp_path / "empty.npz", bad_pixels=np.zeros((N, N), bool))))
    assert plain.factor == empty.factor
    assert torch.equal(plain[range(M)].X, empty[range(M)].X)
    assert (plain[0].good, empty[0].good, plain.good_share, empty.good_share) == (None, None, None, None)


@pytest.mark.parametrize("mask", [SHARED, EACH], ids=["shared", "each"])
def test_workers_read_masks_too(tmp_path: Path, mask: np.ndarray) -> None:
    dataset = dataset_of(load_scan(write(tmp_path / "scan.npz", diff3d=with_values(mask, np.nan), bad_pixels=mask)))
    one, several = (list(batches(dataset, 3, num_workers=workers)) for workers in (0, 2))
    for here, there in zip(one, several, strict=True):
        assert here.good is not None
        assert there.good is not None
        assert torch.equal(here.X, there.X)
        assert torch.equal(here.good, there.good)
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[0].X, dataset[0].X)
    assert one[0].to("meta").good.device.type == "meta"  # type: ignore[union-attr]


def test_masks_stay_small(tmp_path: Path) -> None:
    """Masks of single patterns stay in their file. A shared mask is sent to workers once, not once per pattern."""
    scan = load_scan(write(tmp_path / "scan.npz", bad_pixels=EACH))
    assert isinstance(dataset_of(scan)._bad_pixels, InFile)
    shared = dataset_of(load_scan(write(tmp_path / "shared.npz", bad_pixels=SHARED)))
    assert len(pickle.dumps(shared._bad_pixels)) < 2 * N * N


def test_the_raw_record_has_zeros_in_bad_pixels(tmp_path: Path) -> None:
    scan = load_scan(write(tmp_path / "scan.npz", diff3d=with_values(EACH, np.nan), bad_pixels=EACH))
    record = RawDataTorch.from_scan(scan, np.array([1, 5]))
    np.testing.assert_array_equal(record.diff3d, with_values(EACH, 0)[[1, 5]])
    every = RawDataTorch.from_scan(scan).generate_grouped_data(N, nsamples=M, seed=0)
    dataset = MemoryMappedDataset(scan, every["nn_indices"])  # type: ignore[arg-type]
    assert every["X_full"] is not None
    np.testing.assert_array_equal(every["X_full"][..., 0], dataset[range(M)].X[:, 0])


def test_a_picture_of_a_scan_with_gaps(tmp_path: Path) -> None:
    scan = load_scan(write(tmp_path / "scan.npz", diff3d=with_values(SHARED, np.nan), bad_pixels=SHARED))
    draw_scan(scan, tmp_path / "gaps.png")
    draw_scan(dataclasses.replace(scan, diffraction=with_values(SHARED, -5)), tmp_path / "other.png")
    assert (tmp_path / "gaps.png").read_bytes() == (tmp_path / "other.png").read_bytes()


# ------------------------------------------------------------------------------------------------ loss


@pytest.mark.parametrize("config", [TrainingConfig(), TrainingConfig(nll_weight=0.5, mae_weight=1.0)])
def test_bad_pixels_do_not_count_in_the_loss(config: TrainingConfig) -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, measured = (torch.rand(3, 2, 8, 8, generator=generator) + 0.1 for _ in range(2))
    good = torch.rand(3, 2, 8, 8, generator=generator) > 0.3
    predicted.requires_grad_()
    loss = objective(predicted, measured, config, good)
    by_hand = [
        objective(predicted[b, c][good[b, c]], measured[b, c][good[b, c]], config) for b in range(3) for c in range(2)
    ]
    assert loss.item() == pytest.approx(torch.stack(by_hand).mean().item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert not gradient[~good].any()
    assert gradient[good].all()
    other = torch.where(good, measured, 1e3)
    assert torch.equal(objective(predicted, other, config, good), loss)
    shared = good[:1, :1].expand_as(good)
    pixels = objective(predicted[shared], measured[shared], config)
    assert objective(predicted, measured, config, shared).item() == pytest.approx(pixels.item(), rel=1e-6)


def test_a_pattern_without_good_pixels_counts_nothing() -> None:
    predicted, measured = torch.rand(2, 1, 4, 4) + 0.1, torch.rand(2, 1, 4, 4)
    good = torch.tensor([True, False])[:, None, None, None].expand(2, 1, 4, 4)
    half = objective(predicted[:1], measured[:1], TrainingConfig()) / 2
    assert objective(predicted, measured, TrainingConfig(), good).item() == pytest.approx(half.item(), rel=1e-6)


# ------------------------------------------------------------------------------------------------ whole runs


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate_scan(Simulation(patterns=8, seed=3))


GAPS = np.zeros((64, 64), bool)
GAPS[20:24] = GAPS[:, 40:43] = True


def with_gaps(scan: Scan, value: float, *, key: bool) -> Scan:
    patterns = np.where(GAPS, np.float32(value), scan.diffraction)
    return dataclasses.replace(scan, diffraction=patterns, bad_pixels=GAPS if key else None)


def training(data: Path, out: Path, *more: object) -> list[str]:
    given = (
        *("--train_data_file", data, "--test_data_file", data, "--output_dir", out, "--max_epochs", 2, "--n_images", 6),
        *("--batch_size", 4, "--n_filters_scale", 1, "--accelerator", "cpu", "--disable_mlflow", *more),
    )
    return [str(one) for one in given]


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_values_of_bad_pixels_do_not_affect_trainings(scan: Scan, tmp_path: Path) -> None:
    """Bad pixels are marked by key or by option. If the same pixels count as good, the training differs."""
    runs: dict[str, tuple[Scan, list[str]]] = {
        "key": (with_gaps(scan, np.nan, key=True), []),
        "option": (with_gaps(scan, -1.0, key=False), ["--bad-pixels"]),
        "all good": (with_gaps(scan, 5.0, key=False), []),
    }
    losses, results = {}, {}
    for name, (given, options) in runs.items():
        save_scan(tmp_path / f"{name}.npz", given)
        ran = CliRunner().invoke(train.main, training(tmp_path / f"{name}.npz", tmp_path / name, *options))
        assert ran.exit_code == 0, ran.output
        assert ("leaving out bad pixels: 436 of 4096 in every pattern" in ran.output) == (name != "all good")
        losses[name] = json.loads((tmp_path / name / "losses.json").read_text())
        arguments = ["--model_path", tmp_path / name, "--test_data", tmp_path / f"{name}.npz", *options]
        arguments += ["--output_dir", tmp_path / name / "result", "--accelerator", "cpu"]
        ran = CliRunner().invoke(inference.main, list(map(str, arguments)))
        assert ran.exit_code == 0, ran.output
        results[name] = (tmp_path / name / "result" / "diagnostics.txt").read_text()
    assert losses["key"] == losses["option"] != losses["all good"]
    assert results["key"] == results["option"] != results["all good"]

    resumed = training(tmp_path / "key.npz", tmp_path / "key", "--resume")
    assert CliRunner().invoke(train.main, resumed).exit_code == 0
    another = GAPS.copy()
    another[0, 0] = True
    save_scan(tmp_path / "key.npz", dataclasses.replace(scan, bad_pixels=another))
    ran = CliRunner().invoke(train.main, resumed)
    assert ran.exit_code == 2
    assert "belongs to another training" in ran.output
    assert "bad pixels: there" in ran.output


@pytest.mark.integration
def test_invalid_pixels_end_a_training_without_the_option(scan: Scan, tmp_path: Path) -> None:
    save_scan(tmp_path / "scan.npz", with_gaps(scan, -1.0, key=False))
    ran = CliRunner().invoke(train.main, training(tmp_path / "scan.npz", tmp_path / "out"))
    assert ran.exit_code == 2
    assert re.search(r"expected finite numbers, at least 0, found -1\.0 at \[0, 0, 40\]", " ".join(ran.output.split()))


@pytest.mark.parametrize(
    "mask", [None, GAPS, np.random.RandomState(1).rand(8, 64, 64) < 0.3], ids=["none", "shared", "each"]
)
def test_what_a_network_explains(scan: Scan, mask: np.ndarray | None) -> None:
    """Computed by hand: the squared error of the network, relative to that of each pixel's mean over good values."""
    given = dataclasses.replace(scan, bad_pixels=mask, diffraction=scan.diffraction + 1)
    dataset = MemoryMappedDataset(given, np.arange(8)[:, None])
    model = small_model()
    batch = dataset[range(8)]
    with torch.inference_mode():
        amplitude = model(batch.X, batch.positions).amplitude[:, 0].double().numpy()
    good = np.ones((8, 64, 64), bool) if batch.good is None else batch.good[:, 0].numpy()
    wanted = np.ma.masked_array((batch.X * model.intensity_scale)[:, 0].double().numpy(), ~good)
    missed = np.square(amplitude - wanted).sum()
    differing = np.square(wanted - wanted.mean(axis=0)).sum()
    for batch_size in (3, 8):
        found = predict(model, dataset, batch_size=batch_size)
        assert found.explained == pytest.approx(1 - missed / differing, rel=1e-4)
        assert found.measured == pytest.approx(np.square(wanted).sum(), rel=1e-5)


def test_one_pattern_explains_nothing(scan: Scan) -> None:
    assert math.isnan(predict(small_model(), MemoryMappedDataset(scan, np.array([[0]]))).explained)


def test_brightness_counts_good_pixels_only(scan: Scan) -> None:
    """If the beam stop takes most of the light, the object comes out brighter, because the rest is normalised."""
    stop = np.zeros((64, 64), bool)
    stop[22:43, 22:43] = True
    model = small_model()
    findings, light = [], []
    for mask in (None, stop):
        given = dataclasses.replace(scan, bad_pixels=mask)
        dataset = MemoryMappedDataset(given, np.arange(8)[:, None])
        model.illuminate.probe_parts.copy_(torch.view_as_real(dataset.probe))
        prediction = predict(model, dataset)
        energy = np.square(np.where(mask, 0, scan.diffraction) if mask is not None else scan.diffraction).sum()
        bundle: Any = type(
            "Bundle", (), {"model": model, "data": type("Data", (), {"probe_scale": 4.0, "nphotons": 1e9})}
        )
        evidence = gather_evidence(given, bundle, prediction, stitch(prediction.patches, prediction.offsets))
        findings.append(check_brightness(evidence))
        light.append(float(energy))
    whole, stopped = (finding.numbers["factor"] for finding in findings)
    # Patches are cut at whole pixels, without interpolation, so they scatter a little more light outwards.
    assert stopped / whole == pytest.approx(math.sqrt(light[0] / light[1]), rel=0.1)
    assert stopped > 2 * whole
    assert findings[1].verdict == "unclear"
    assert "bad pixels hide" in findings[1].mistake
