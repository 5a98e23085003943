"""The two programs, on a scan so small that training takes a second: their files, their exit statuses, --resume."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import ptycho_torch.training.fit
from ptycho_torch import inference, train
from ptycho_torch.checks.diagnostics import diagnose
from ptycho_torch.dataloader import MemoryMappedDataset
from ptycho_torch.files.bundle import NAME, Bundle, load_bundle
from ptycho_torch.files.loss_curve import LossCurve
from ptycho_torch.files.tensorflow_weights import to_tensorflow_weights
from ptycho_torch.operators.ground_truth import patches_at
from ptycho_torch.program import WrongInput, owning
from ptycho_torch.reconstruction import gather_evidence, predict, stitch
from ptycho_torch.scans.scan import load_scan, save_scan
from ptycho_torch.simulate import Simulation, simulate_scan

PATTERNS, USED, EPOCHS, BATCH = 8, 6, 3, 4
TRAINED = 5
"""Of 6 groups, one validates."""


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    save_scan(path, simulate_scan(Simulation(patterns=PATTERNS, seed=3)))
    return path


def training(scan: Path, out: Path, *more: object, epochs: int = EPOCHS) -> Result:
    """Run the usual command line with small settings."""
    given = [
        *("--train_data_file", scan, "--test_data_file", scan, "--output_dir", out, "--max_epochs", epochs),
        *("--n_images", USED, "--gridsize", 1, "--batch_size", BATCH, "--accelerator", "cpu", "--disable_mlflow"),
        *("--n_filters_scale", 1),
    ]
    return CliRunner().invoke(train.main, [str(one) for one in (*given, *more)])


@pytest.fixture(scope="module")
def trained(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a training that was not interrupted."""
    out = tmp_path_factory.mktemp("trained") / "D"
    run = training(scan, out)
    assert run.exit_code == 0, run.output
    return out


def weights(bundle: Bundle) -> dict[str, torch.Tensor]:
    return bundle.model.state_dict()


def same(one: Bundle, other: Bundle) -> bool:
    return one.losses == other.losses and all(
        torch.equal(tensor, weights(other)[name]) for name, tensor in weights(one).items()
    )


# ------------------------------------------------------------------------------------------------ a training


@pytest.mark.integration
def test_a_training(trained: Path, scan: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {NAME, "losses.json", "losses.png", "last.ckpt", "train.log"}
    log = (trained / "train.log").read_text()
    assert f"subsampling {USED} images" in log
    assert f"using {USED} individual images" in log
    bundle = load_bundle(trained)
    first = bundle.losses.epochs[0]
    above = first.loss - bundle.losses.least_loss, first.val_loss - bundle.losses.least_val_loss
    assert f"loss {first.loss:.7g} ({above[0]:.4g} above the least possible), val_loss {first.val_loss:.7g} " in log
    assert f" ({above[1]:.4g}), learning rate 0.001\n" in log
    assert re.search(r"test: loss \S+ \(\S+ above the least possible\), mean over 6 groups\n", log)
    assert bundle.losses == LossCurve.from_json(json.loads((trained / "losses.json").read_text()))
    assert [one.epoch for one in bundle.losses.epochs] == [1, 2, 3]
    assert all(len(one.batch_losses) == 2 for one in bundle.losses.epochs), "the last, smaller batch is trained too"
    assert bundle.losses.epochs[-1].loss < bundle.losses.epochs[0].loss
    assert bundle.losses.least_loss < bundle.losses.epochs[-1].loss
    assert bundle.losses.test_loss is not None
    assert bundle.training.train_data_file == "scan.npz", "a bundle contains no paths of the machine"
    # Torch from PyPI calls itself 2.x.y+cu130, its distribution 2.x.y.
    assert bundle.versions["torch"].partition("+")[0] == torch.__version__.partition("+")[0]


@pytest.mark.integration
def test_the_first_loss_is_that_of_the_first_samples_in_order(scan: Path, trained: Path) -> None:
    """The test computes which samples are in the first batch, which are for training, and the initial weights."""
    from ptycho_torch.config_params import DataConfig, TrainingConfig
    from ptycho_torch.training.losses import objective

    curve = load_bundle(trained).losses
    data = DataConfig(n_images=USED, subsample_seed=0)
    dataset = MemoryMappedDataset.from_config(load_scan(scan), data, seed=0)
    bundle = load_bundle(trained)
    torch.manual_seed(0)
    model = type(bundle.model)(bundle.model.config, dataset.probe, 1e9**0.5 / 32)
    first = dataset[np.random.RandomState([0, 1]).permutation(TRAINED)[:BATCH].tolist()]
    with torch.no_grad():
        loss = objective(model(first.X, first.positions).amplitude, first.X * model.intensity_scale, TrainingConfig())
    assert curve.epochs[0].batch_losses[0] == pytest.approx(loss.item(), rel=1e-6)
    # The last sample validates after each epoch, so the last validation loss is its loss with the final weights.
    last = dataset[[TRAINED]]
    with torch.no_grad():
        model = bundle.model
        loss = objective(model(last.X, last.positions).amplitude, last.X * model.intensity_scale, TrainingConfig())
    assert curve.epochs[-1].val_loss == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_weights_and_order_from_files(scan: Path, trained: Path, tmp_path: Path) -> None:
    """Files of another framework may replace the seed's draws. With the same values, the result is the same."""
    bundle = load_bundle(trained)
    torch.manual_seed(0)
    fresh = type(bundle.model)(bundle.model.config, bundle.model.probe, bundle.model.intensity_scale.item())
    with h5py.File(tmp_path / "initial.h5", "w") as file:
        for place, array in enumerate(to_tensorflow_weights(fresh)):
            file[f"weights/{place:03}"] = array
    orders = np.stack([np.random.RandomState([0, epoch]).permutation(TRAINED) for epoch in (1, 2)])
    np.save(tmp_path / "orders.npy", orders)
    files = ("--initial_weights", tmp_path / "initial.h5", "--batch_order", tmp_path / "orders.npy", "--seed", 0)
    run = training(scan, tmp_path / "D", *files, epochs=2)
    assert run.exit_code == 0, run.output
    assert load_bundle(tmp_path / "D").losses.epochs == bundle.losses.epochs[:2]
    np.save(tmp_path / "orders.npy", orders[:, ::-1])
    assert training(scan, tmp_path / "other", *files, epochs=2).exit_code == 0
    assert load_bundle(tmp_path / "other").losses.epochs[0] != bundle.losses.epochs[0], "so the file is used"


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_a_training_in_bfloat16(scan: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle records the precision, no other precision resumes it, and a slow processor causes a warning."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    run = training(scan, tmp_path / "D", "--precision", "bf16-mixed")
    assert run.exit_code == 0, run.output
    assert "this cpu has no instructions for bfloat16" in run.output
    found, whole = load_bundle(tmp_path / "D"), load_bundle(trained)
    assert (found.training.precision, whole.training.precision) == ("bf16-mixed", "32-true")
    assert {one.dtype for one in weights(found).values()} == {torch.float32}
    mixed, full = ([one.val_loss for one in bundle.losses.epochs] for bundle in (found, whole))
    assert mixed != full, "so the option is used"
    assert mixed == pytest.approx(full, rel=2e-2)
    mixed, full = ([one.loss for one in bundle.losses.epochs] for bundle in (found, whole))
    assert mixed == full, "the first ten steps are in float32"
    assert found.losses.test_loss != whole.losses.test_loss
    resumed = training(scan, tmp_path / "D", "--resume", epochs=EPOCHS + 1)
    assert resumed.exit_code == 2
    assert "precision: there 'bf16-mixed', here '32-true'" in resumed.output


# ------------------------------------------------------------------------------------------------ interruptions


def interrupting(monkeypatch: pytest.MonkeyPatch, number: int, read: int) -> None:
    """Send this process a signal after the given number of batches is read."""
    original, reads = MemoryMappedDataset.__getitem__, iter(range(read + 1))

    def getitem(self: MemoryMappedDataset, groups: Any) -> Any:
        if next(reads, None) == read:
            signal.raise_signal(number)
        return original(self, groups)

    monkeypatch.setattr(MemoryMappedDataset, "__getitem__", getitem)


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_an_interrupted_training_is_resumed_to_the_same_result(scan: Path, trained: Path, tmp_path: Path) -> None:
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with pytest.MonkeyPatch.context() as patched:
        # Three batches are read for the least losses, and three (one of them validates) in an epoch.
        interrupting(patched, signal.SIGINT, read=3 + 2 * 3 + 1)
        run = training(scan, tmp_path)
    assert run.exit_code == 130
    log = (tmp_path / "train.log").read_text()
    assert "the state after epoch 2 is kept; the same command with --resume continues from there" in log
    assert not (tmp_path / NAME).exists()
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers

    again = training(scan, tmp_path)
    assert again.exit_code == 2
    assert "found an interrupted training; --resume continues it, --overwrite starts over" in again.output
    resumed = training(scan, tmp_path, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "continuing after epoch 2" in (tmp_path / "train.log").read_text()
    assert same(load_bundle(tmp_path), load_bundle(trained))


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_more_epochs_later_are_the_same_as_at_once(scan: Path, trained: Path, tmp_path: Path) -> None:
    assert training(scan, tmp_path, epochs=2).exit_code == 0
    assert training(scan, tmp_path, "--resume").exit_code == 0
    assert same(load_bundle(tmp_path), load_bundle(trained))
    finished = training(scan, tmp_path, "--resume")
    assert finished.exit_code == 0
    assert same(load_bundle(tmp_path), load_bundle(trained)), "nothing is left to do, and nothing is done"


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_schedule_and_early_stop_are_resumed_too(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a loss that never improves, the rate is halved after epoch 3, and training ends after epoch 4."""

    def flat(predicted: torch.Tensor, measured: torch.Tensor, *more: Any) -> torch.Tensor:
        return 0 * predicted.sum() + 1

    monkeypatch.setattr(ptycho_torch.training.fit, "objective", flat)
    assert training(scan, tmp_path / "flat", epochs=9).exit_code == 0
    whole = load_bundle(tmp_path / "flat").losses
    assert [one.learning_rate for one in whole.epochs] == [1e-3, 1e-3, 1e-3, 5e-4]
    assert whole.stopped_early
    assert training(scan, tmp_path / "parts", epochs=3).exit_code == 0
    assert training(scan, tmp_path / "parts", "--resume", epochs=9).exit_code == 0
    assert same(load_bundle(tmp_path / "parts"), load_bundle(tmp_path / "flat"))
    assert training(scan, tmp_path / "parts", "--resume", epochs=12).exit_code == 0
    assert len(load_bundle(tmp_path / "parts").losses.epochs) == 4, "a training that stopped early stays as it is"


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_the_training_loss_stops_early_and_the_validation_loss_sets_the_rate(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only the validation loss improves, training stops early, with the initial learning rate."""
    falling = itertools.count(0, -1)

    def objective(predicted: torch.Tensor, measured: torch.Tensor, *more: Any) -> torch.Tensor:
        return 0 * predicted.sum() + (1 if torch.is_grad_enabled() else next(falling))

    monkeypatch.setattr(ptycho_torch.training.fit, "objective", objective)
    assert training(scan, tmp_path, epochs=9).exit_code == 0
    assert [one.learning_rate for one in load_bundle(tmp_path).losses.epochs] == [1e-3] * 4


@pytest.mark.integration
def test_another_training_is_not_resumed(scan: Path, trained: Path) -> None:
    before = (trained / "last.ckpt").read_bytes()
    run = training(scan, trained, "--resume", "--learning_rate", 2e-3, "--seed", 1)
    assert run.exit_code == 2
    assert re.search(
        r"belongs to another training and cannot be resumed: batch order: there 'seed 0', here", run.output
    )
    assert "learning_rate: there 0.001, here 0.002" in run.output
    assert (trained / "last.ckpt").read_bytes() == before


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_a_damaged_checkpoint_is_one_clear_line(scan: Path, tmp_path: Path) -> None:
    assert training(scan, tmp_path, epochs=1).exit_code == 0
    path = tmp_path / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-2000])
    run = training(scan, tmp_path, "--resume")
    assert run.exit_code == 2
    assert re.search(r"^Error: .*last\.ckpt: .*$", run.output, re.M)
    torch.save({"state_dict": {}}, path)
    run = training(scan, tmp_path, "--resume")
    assert run.exit_code == 2
    assert "expected the members about.json and tensors.safetensors" in run.output


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_a_run_that_fails_says_so(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def objective(*given: Any) -> torch.Tensor:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(ptycho_torch.training.fit, "objective", objective)
    run = training(scan, tmp_path)
    assert run.exit_code == 1
    assert run.output.splitlines()[-1].startswith("Error: training failed: RuntimeError: out of memory (traceback: ")
    assert "Traceback" in (tmp_path / "train.log").read_text()
    assert "Traceback" not in run.output
    monkeypatch.setattr(ptycho_torch.training.fit, "objective", lambda predicted, *_: predicted.sum() * float("nan"))
    run = training(scan, tmp_path)
    assert run.exit_code == 1
    assert "training failed: epoch 1: expected finite losses, found nan in training" in run.output
    assert not (tmp_path / NAME).exists()
    assert not logging.getLogger("ptycho_torch").handlers


# ------------------------------------------------------------------------------------------------ the directory


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_a_finished_training_is_not_overwritten_unasked(trained: Path, scan: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "D")
    before = {path.name: path.read_bytes() for path in (tmp_path / "D").iterdir() if path.suffix != ".log"}
    for name in ("last.ckpt", "other"):
        run = training(scan, tmp_path / "D")
        assert run.exit_code == 2
        assert "found a finished training; --overwrite replaces it, --resume extends it" in run.output
        (tmp_path / "D" / name).unlink(missing_ok=True)
    assert all((tmp_path / "D" / name).read_bytes() == before[name] for name in before if name != "last.ckpt")
    assert training(scan, tmp_path / "D", "--overwrite", epochs=1).exit_code == 0
    assert len(load_bundle(tmp_path / "D").losses.epochs) == 1


@pytest.mark.integration
def test_a_run_owns_its_directory(trained: Path, scan: Path, tmp_path: Path) -> None:
    with owning(tmp_path):
        for run in (training(scan, tmp_path), inferring(trained, scan, tmp_path)):
            assert run.exit_code == 2
            assert run.output == (
                f"Error: {tmp_path}: another run is at work here; wait until it ends, or choose another --output_dir\n"
            )
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").write_text("kept")
    (tmp_path / ".lock").symlink_to("mine")
    assert "found a link, which no run creates" in training(scan, tmp_path).output
    assert (tmp_path / "mine").read_text() == "kept"


@pytest.mark.parametrize("problem", [OSError(37, "No locks available"), NotImplementedError("no flock")])
def test_a_file_system_without_locks_does_not_end_a_run(
    problem: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def acquire(*given: object, **more: object) -> None:
        raise problem

    monkeypatch.setattr("filelock.BaseFileLock.acquire", acquire)
    with owning(tmp_path):
        pass
    assert "this file system has no locks" in caplog.text
    problem = OSError(5, "Input/output error")
    with pytest.raises(WrongInput, match="Input/output error"), owning(tmp_path):
        pytest.fail("the lock was not held")


@pytest.mark.integration
def test_results_are_of_one_training(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results appear together. If one cannot be written, the others do not appear beside those of another training."""

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("ptycho_torch.pictures.losses.draw_losses", full)
        run = training(scan, tmp_path, epochs=1)
    assert run.exit_code == 2
    assert f"Error: training failed: [Errno 28] No space left on device: '{tmp_path}" in run.output
    assert "free some space there, or choose another directory" in run.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "train.log"]


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_an_interrupted_second_training_leaves_the_first(trained: Path, scan: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "D")
    with pytest.MonkeyPatch.context() as patched:
        interrupting(patched, signal.SIGINT, read=3 + 3 + 1)
        run = training(scan, tmp_path / "D", "--overwrite", "--seed", 1)
    assert run.exit_code == 130
    assert run.output.splitlines()[-1] == (
        "interrupted (SIGINT): the state after epoch 1 is kept; the same command with --resume instead of --overwrite "
        "continues from there; the results of the previous training are still there"
    )
    assert same(load_bundle(tmp_path / "D"), load_bundle(trained))


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_a_directory_whose_name_is_not_utf_8(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / os.fsdecode(b"D\xff$x^^$")
    assert training(scan, out, epochs=1).exit_code == 0
    assert inferring(out, scan, out).exit_code == 0
    assert r"D\udcff$x^^$/wts.h5.zip" in (out / "train.log").read_text(encoding="utf-8")


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_a_log_that_cannot_be_written_does_not_end_a_run(trained: Path, scan: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "inference.log").symlink_to("/dev/full")
    run = inferring(trained, scan, tmp_path)
    assert run.exit_code == 0
    assert run.output.count("inference.log: cannot be written ([Errno 28] No space left on device)") == 1
    assert "Traceback" not in run.output


@pytest.mark.integration
@pytest.mark.parametrize("name", ["train.log", "inference.log", NAME, "reconstruction.npz", "last.ckpt"])
def test_a_directory_where_a_file_belongs(trained: Path, scan: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    is_of_inference = name in {"inference.log", "reconstruction.npz"}
    refused = inferring(trained, scan, tmp_path) if is_of_inference else training(scan, tmp_path)
    assert refused.exit_code == 2
    assert name in refused.output.splitlines()[-1]
    assert "Traceback" not in refused.output


# ------------------------------------------------------------------------------------------------ wrong input


def test_train_help() -> None:
    run = CliRunner().invoke(train.main, ["--help"])
    assert run.exit_code == 0
    for option in ("--train_data_file", "--resume", "--strategy", "--disable_mlflow", "wts.h5.zip"):
        assert option in run.output
    assert "\n    last.ckpt                the state from which --resume continues\n" in run.output, "lines are kept"
    assert max(map(len, run.output.splitlines())) <= 110


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max_epochs", 0), "Invalid value for '--max_epochs'"),
        (("--accelerator", "tpu"), "'tpu' is not one of"),
        (("--precision", "16-mixed"), "'16-mixed' is not one of '32-true', 'bf16-mixed'"),
        (("--batch_size", 12), "TrainingConfig.batch_size: expected a power of two, found 12"),
        (("--train_data_file", "{dir}/none.npz"), "none.npz: no such file"),
        (("--test_data_file", "{dir}/none.npz"), "none.npz: no such file"),
        (("--train_data_file", "{dir}/text.npz"), "text.npz: expected an NPZ archive"),
        (("--gridsize", 2, "--n_images", 500), "500 groups of 4 from 8 patterns"),
        (("--nphotons", -1), "DataConfig.nphotons: expected a positive number"),
        (("--resume",), "found no finished epoch to continue; run without --resume"),
        (("--resume", "--overwrite"), "--resume, --overwrite: expected one of them, found both"),
        (("--strategy", "none"), "Lightning cannot use this"),
        (("--strategy", "ddp_spawn"), "strategy ddp_spawn: expected processes that run this program"),
        (("--devices", "foo"), "Lightning cannot use this"),
        (("--nphotons", "nan"), "DataConfig.nphotons: expected a positive number, found nan"),
        (("--n_filters_scale", 10**30), "--n_filters_scale: expected a network that memory can hold, found one of"),
        (("--n_filters_scale", 10**12), "--n_filters_scale: expected a network that memory can hold, found one of"),
        (("--test_data_file", "{dir}/small.npz"), "small.npz: expected patterns of side 64, as in training, found 32"),
        (("--nphotons", "1e300"), "DataConfig.nphotons: expected 1 to 1e+15 photons per pattern, found 1e+300"),
        (("--nphotons", "1e-300"), "DataConfig.nphotons: expected 1 to 1e+15 photons per pattern, found 1e-300"),
        (("--learning_rate", "nan"), "TrainingConfig.learning_rate: expected a positive number, found nan"),
        (("--initial_weights", "{dir}/none.h5"), "none.h5: no such file"),
        (("--initial_weights", "{dir}/text.npz"), "expected HDF5, found another file"),
        (("--batch_order", "{dir}/none.npy"), "none.npy: no such file"),
        (("--batch_order", "{dir}/objects.npy"), "expected a .npy file of integers"),
        (("--batch_order", "{dir}/few.npy"), "expected a row of 5 training samples for each of 3 epochs, found (2, 5)"),
        (("--batch_order", "{dir}/twice.npy"), "row 2: expected each of 0..4 once"),
        pytest.param(
            ("--accelerator", "cuda"),
            "Lightning cannot use this",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one"),
        ),
    ],
)
def test_wrong_input_is_one_clear_line(scan: Path, tmp_path: Path, options: tuple[Any, ...], message: str) -> None:
    (tmp_path / "text.npz").write_text("no scan")
    save_scan(tmp_path / "small.npz", simulate_scan(Simulation(patterns=4, N=32)))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "few.npy", np.tile(np.arange(5), (2, 1)))
    orders = np.tile(np.arange(5), (3, 1))
    orders[2, 0] = 1
    np.save(tmp_path / "twice.npy", orders)
    run = training(scan, tmp_path / "D", *(str(one).format(dir=tmp_path) for one in options))
    assert run.exit_code == 2
    assert message in run.output
    assert run.output.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in run.output
    assert not (tmp_path / "D" / NAME).exists()


# ------------------------------------------------------------------------------------------------ inference


def inferring(model: Path, scan: Path, out: Path, *more: object) -> Result:
    given = (
        "--model_path",
        model,
        "--test_data",
        scan,
        "--output_dir",
        out,
        "--n_images",
        USED,
        "--accelerator",
        "cpu",
    )
    return CliRunner().invoke(inference.main, [str(one) for one in (*given, *more)])


@pytest.mark.integration
def test_an_inference(trained: Path, scan: Path, tmp_path: Path) -> None:
    run = inferring(trained, scan, tmp_path, "--save_patches")
    assert run.exit_code == 0, run.output
    log = (tmp_path / "inference.log").read_text()
    assert f"subsampling {USED} images" in log
    assert f"using {USED} individual images" in log
    for name in ("reconstructed_amplitude.png", "reconstructed_phase.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (800, 800)
    with np.load(tmp_path / "reconstruction.npz", allow_pickle=False) as found:
        mosaic, count, patches = found["mosaic"], found["count"], found["patches"]
        positions, chosen = found["positions"], found["nn_indices"]
    assert patches.shape == (USED, 64, 64)
    assert np.abs(mosaic[count > 0.01]).min() > 0
    assert (mosaic[count == 0] == 0).all()
    np.testing.assert_array_equal(chosen[:, 0], np.sort(np.random.RandomState(0).choice(PATTERNS, USED, replace=False)))
    reach = np.abs(positions - positions.mean(axis=0)).max()
    pad = int(np.ceil(reach))
    assert mosaic.shape == (20 + 2 * (pad + pad % 2),) * 2
    diagnosis = json.loads((tmp_path / "diagnostics.json").read_text())
    verdicts = {one["name"]: one["verdict"] for one in diagnosis["findings"]}
    assert [verdicts[name] for name in ("probe", "coordinates", "canvas", "placement")] == ["right"] * 4
    assert (tmp_path / "diagnostics.txt").read_text().splitlines()[-1] == f"verdict: {diagnosis['verdict']}"
    assert {"diagnostics.png", "comparison.png"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_an_object_of_another_origin_does_not_end_an_inference(trained: Path, scan: Path, tmp_path: Path) -> None:
    """A picture that an earlier inference made of another scan is removed."""
    found = load_scan(scan)
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "comparison.png").write_bytes(b"of another scan")
    elsewhere = found.positions + np.array([-5210.0, 17345.0])
    save_scan(tmp_path / "stage.npz", dataclasses.replace(found, positions=elsewhere))
    run = inferring(trained, tmp_path / "stage.npz", tmp_path / "result")
    assert run.exit_code == 0, run.output
    assert "at the scan's positions, objectGuess covers 0% of the mosaic" in run.output
    written = {one.name for one in (tmp_path / "result").iterdir()}
    assert {"reconstruction.npz", "diagnostics.json", "diagnostics.txt", "inference.log"} <= written
    assert not (tmp_path / "result" / "comparison.png").exists()


@pytest.mark.integration
@pytest.mark.usefixtures("no_pictures")
def test_an_inference_in_bfloat16(trained: Path, scan: Path, tmp_path: Path) -> None:
    mosaics = []
    for precision in ("32-true", "bf16-mixed"):
        run = inferring(trained, scan, tmp_path / precision, "--precision", precision)
        assert run.exit_code == 0, run.output
        assert re.search(rf"reconstructed in .* on cpu, {precision}\n", run.output)
        with np.load(tmp_path / precision / "reconstruction.npz", allow_pickle=False) as found:
            mosaics.append(found["mosaic"])
    whole, mixed = mosaics
    assert whole.dtype == mixed.dtype == np.complex64
    assert 0 < np.abs(whole - mixed).max() < 0.05 * np.abs(whole).max()


@pytest.mark.integration
def test_batches_of_an_inference_change_nothing(trained: Path, scan: Path) -> None:
    bundle, found = load_bundle(trained), load_scan(scan)
    dataset = MemoryMappedDataset.from_config(found, bundle.data)
    one, other = (predict(bundle.model, dataset, batch_size=size) for size in (3, 32))
    torch.testing.assert_close(one.patches, other.patches, rtol=0, atol=1e-5)
    assert one.predicted == pytest.approx(other.predicted, rel=1e-5)


@pytest.mark.integration
def test_true_patches_through_the_inference_are_the_object(trained: Path, scan: Path) -> None:
    """The program shows a network's patches upright and in place."""
    bundle, found = load_bundle(trained), load_scan(scan)
    assert found.object_guess is not None
    dataset = MemoryMappedDataset.from_config(found, bundle.data)
    predicted = predict(bundle.model, dataset)
    truth = patches_at(torch.from_numpy(found.object_guess), torch.from_numpy(found.positions), 64)
    predicted = dataclasses.replace(predicted, patches=truth[predicted.nn_indices[:, 0]])
    diagnosis = diagnose(gather_evidence(found, bundle, predicted, stitch(predicted.patches, predicted.offsets)))
    for name in ("coordinates", "canvas", "placement", "patches", "orientation"):
        assert diagnosis[name].verdict == "right", diagnosis[name]
    assert diagnosis.registration is not None
    assert diagnosis.registration.in_place > 0.95
    assert diagnosis["amplitude"].numbers["error"] < 0.1


def test_inference_help() -> None:
    run = CliRunner().invoke(inference.main, ["-h"])
    assert run.exit_code == 0
    assert "\n    inference.log                 all messages\n" in run.output, "lines are kept"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("model", "data", "more", "message"),
    [
        ("{dir}", "{scan}", (), "expected the file wts.h5.zip, found none; did the training in this directory finish?"),
        ("{dir}/none", "{scan}", (), "none: no such file"),
        ("{scan}", "{scan}", (), "expected the members about.json and tensors.safetensors"),
        ("{model}", "{dir}/none.npz", (), "none.npz: no such file"),
        ("{model}", "{dir}/small.npz", (), "expected patterns of side 64, as in training, found 32"),
        ("{model}", "{dir}/far.npz", (), "far.npz: expected positions within 16384 object pixels of their mean"),
        ("{model}", "{scan}", ("--n_images", 0), "Invalid value for '--n_images'"),
        ("{model}", "{scan}", ("--phase_vmin", 1, "--phase_vmax", -1), "expected phases in radians, the first below"),
        ("{model}", "{scan}", ("--phase_vmin", 4), "found 4 and 3.14159"),
        ("{model}", "{scan}", ("--phase_vmax", "nan"), "found -3.14159 and nan"),
        pytest.param(
            *("{model}", "{scan}", ("--accelerator", "mps"), "--accelerator mps: found no such device"),
            marks=pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has one"),
        ),
    ],
)
def test_wrong_input_of_inference(
    trained: Path, scan: Path, tmp_path: Path, model: str, data: str, more: tuple[Any, ...], message: str
) -> None:
    save_scan(tmp_path / "small.npz", simulate_scan(Simulation(patterns=4, N=32)))
    near = simulate_scan(Simulation(patterns=4))
    save_scan(tmp_path / "far.npz", dataclasses.replace(near, positions=near.positions * 1e5))
    places = {"dir": tmp_path, "scan": scan, "model": trained}
    run = inferring(Path(model.format(**places)), Path(data.format(**places)), tmp_path / "E", *more)
    assert run.exit_code == 2
    assert message in run.output
    assert "Traceback" not in run.output
    assert not (tmp_path / "E" / "reconstructed_amplitude.png").exists()
