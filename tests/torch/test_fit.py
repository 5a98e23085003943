"""The parts of the training that need Lightning: losses, checkpoints, and which training can be resumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from ptycho_torch.config_params import DataConfig, ModelConfig, Precision, TrainingConfig
from ptycho_torch.dataloader import MemoryMappedDataset
from ptycho_torch.files.archive import pack, write_archive
from ptycho_torch.files.loss_curve import Epoch, LossCurve
from ptycho_torch.model import PtychoPINN
from ptycho_torch.precision import FIRST_STEPS
from ptycho_torch.scans.scan import Scan
from ptycho_torch.simulate import Simulation, simulate_scan
from ptycho_torch.training.batch_order import seeded_order
from ptycho_torch.training.fit import (
    ArchiveCheckpoints,
    CheckpointSummary,
    Devices,
    Task,
    UnfitCheckpoint,
    fit,
    least_loss,
    make_trainer,
    mean_loss,
    read_checkpoint,
    require_same_task,
)
from ptycho_torch.training.losses import objective

pytestmark = pytest.mark.integration
USED, BATCH = 6, 4
CONFIG = TrainingConfig(epochs=2, batch_size=BATCH)


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate_scan(Simulation(patterns=8, seed=3))


class Steps:
    """Records the steps and the epochs that a training reports."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int, int]] = []
        self.epochs: list[Epoch] = []

    def batch(self, epoch: int, done: int, batches: int) -> None:
        self.steps.append((epoch, done, batches))

    def epoch(self, finished: Epoch) -> None:
        self.epochs.append(finished)


def task_of(scan: Scan, config: TrainingConfig = CONFIG, **fingerprint: Any) -> Task:
    dataset = MemoryMappedDataset.from_config(scan, DataConfig(n_images=USED, subsample_seed=0), seed=0)
    torch.manual_seed(0)
    model = PtychoPINN(ModelConfig(n_filters_scale=1), dataset.probe, 1e9**0.5 / 32)
    return Task(model, dataset, config, seeded_order(5, 0), num_workers=0, fingerprint=fingerprint)


def trainer(directory: Path, epochs: int = 2) -> Any:
    return make_trainer(directory, epochs, Devices(accelerator="cpu", devices="1"))


GAPS = np.zeros((64, 64), bool)
GAPS[24:32] = True


@pytest.mark.parametrize("bad_pixels", [None, GAPS], ids=["all good", "gaps"])
def test_the_loss_without_training_is_the_mean_over_all_groups(scan: Scan, bad_pixels: np.ndarray | None) -> None:
    task = task_of(replace(scan, bad_pixels=bad_pixels))
    single = [task.dataset[[number]] for number in range(USED)]
    measured = [one.X * task.model.intensity_scale for one in single]
    with torch.no_grad():
        predicted = [task.model(one.X, one.positions).amplitude for one in single]
    losses = [objective(p, m, CONFIG, one.good).item() for p, m, one in zip(predicted, measured, single)]
    least = [objective(m, m, CONFIG, one.good).item() for m, one in zip(measured, single)]
    assert len(set(losses)) == USED
    for batch_size in (1, BATCH, USED):
        found = mean_loss(task.model, task.dataset, CONFIG, batch_size, torch.device("cpu"))
        assert found == pytest.approx(np.mean(losses), rel=1e-6)
    assert least_loss(task.model, task.dataset, CONFIG) == pytest.approx(np.mean(least), rel=1e-6)


def test_the_loss_without_training_has_the_precision_of_the_training(scan: Scan) -> None:
    task = task_of(scan)
    full, half = (
        mean_loss(task.model, task.dataset, replace(CONFIG, precision=precision), BATCH, torch.device("cpu"))
        for precision in get_args(Precision)
    )
    assert half != full
    assert half == pytest.approx(full, rel=1e-2)


def direct_loss(task: Task, numbers: Sequence[int]) -> float:
    """Compute the objective of some groups as they are, without the training's code."""
    batch = task.dataset[list(numbers)]
    with torch.no_grad():
        predicted = task.model(batch.X, batch.positions).amplitude
    return objective(predicted, batch.X * task.model.intensity_scale, CONFIG, batch.good).item()


@pytest.mark.parametrize("bad_pixels", [None, GAPS], ids=["all good", "gaps"])
def test_losses_of_an_epoch(scan: Scan, tmp_path: Path, bad_pixels: np.ndarray | None) -> None:
    """The first batch is seen with the initial weights, the last sample with the final ones."""
    before, task = (task_of(replace(scan, bad_pixels=bad_pixels)) for _ in range(2))
    curve = fit(task, trainer(tmp_path), Steps())
    first, last = curve.epochs[0], curve.epochs[-1]
    order = seeded_order(5, 0)(1)
    assert first.batch_losses[0] == pytest.approx(direct_loss(before, order[:BATCH]), rel=1e-6)
    assert last.val_loss == pytest.approx(direct_loss(task, [5]), rel=1e-6)
    for one in curve.epochs:
        assert one.loss == pytest.approx(np.average(one.batch_losses, weights=[BATCH, 1]), rel=1e-12)
        assert one.loss != pytest.approx(np.mean(one.batch_losses), rel=1e-6), "so the test can fail"
    assert [one.epoch for one in curve.epochs] == [1, 2]
    single = [task.dataset[[number]] for number in range(USED)]
    measured = [one.X * task.model.intensity_scale for one in single]
    least = [objective(m, m, CONFIG, one.good).item() for m, one in zip(measured, single)]
    assert curve.least_loss == pytest.approx(np.mean(least[:5]), rel=1e-6)
    assert curve.least_val_loss == pytest.approx(least[5], rel=1e-6)


def test_the_validation_loss_is_the_mean_over_all_validation_samples(scan: Scan, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1, batch_size=2, validation_fraction=0.5)
    task = replace(task_of(scan, config), order=seeded_order(3, 0))
    found = fit(task, trainer(tmp_path, 1), Steps()).epochs[0].val_loss
    assert found == pytest.approx(direct_loss(task, [3, 4, 5]), rel=1e-6)


def test_the_mean_of_equal_losses_is_each_of_them(scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With losses of millions, a sum that begins at 1 would not show."""
    monkeypatch.setattr("ptycho_torch.training.fit.objective", lambda predicted, *_: 0 * predicted.sum() + 2)
    task = task_of(scan)
    assert mean_loss(task.model, task.dataset, CONFIG, BATCH, torch.device("cpu")) == 2
    curve = fit(task, trainer(tmp_path), Steps())
    assert (curve.least_loss, curve.least_val_loss, curve.epochs[0].loss, curve.epochs[0].val_loss) == (2, 2, 2, 2)


@pytest.mark.parametrize("validating", [True, False])
def test_a_loss_that_is_not_finite_ends_the_training(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validating: bool
) -> None:
    def broken(predicted: torch.Tensor, *rest: Any) -> torch.Tensor:
        loss = objective(predicted, *rest)
        return loss if predicted.requires_grad == validating else loss * torch.nan

    monkeypatch.setattr("ptycho_torch.training.fit.objective", broken)
    with pytest.raises(ArithmeticError, match=r"epoch 1: expected finite losses, found .*nan"):
        fit(task_of(scan), trainer(tmp_path), Steps())


def test_a_resumed_training_that_fails_does_not_blame_the_checkpoint(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(task_of(scan, replace(CONFIG, epochs=1)), trainer(tmp_path, 1), Steps())
    monkeypatch.setattr("ptycho_torch.training.fit.objective", lambda predicted, *_: predicted.sum() * torch.nan)
    with pytest.raises(ArithmeticError, match=r"epoch 2: expected finite losses, found .*nan"):
        fit(task_of(scan), trainer(tmp_path), Steps(), resume=tmp_path / "last.ckpt")


def dtypes_of(task: Task, begin: Path, epochs: int, **resume: Path) -> tuple[list[torch.dtype], list[torch.dtype]]:
    """Train; return the dtype of the network in each training step, and in each validation step."""
    trained, validated = [], []

    def noted(encoder: torch.nn.Module, _: object, features: torch.Tensor) -> None:
        (trained if encoder.training else validated).append(features.dtype)

    task.model.encoder.register_forward_hook(noted)
    fit(task, trainer(begin, epochs), Steps(), **resume)
    return trained, validated


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_only_the_first_steps_of_a_training_are_in_float32(
    scan: Scan, tmp_path: Path, precision: Precision, dtype: torch.dtype
) -> None:
    steps = 5  # of each epoch
    epochs = FIRST_STEPS // steps + 1
    config = replace(CONFIG, epochs=epochs, precision=precision, batch_size=1)
    trained, validated = dtypes_of(task_of(scan, config), tmp_path, epochs)
    assert trained == [*[torch.float32] * FIRST_STEPS, *[dtype] * (epochs * steps - FIRST_STEPS)]
    assert validated == [dtype] * epochs
    later = task_of(scan, replace(config, epochs=epochs + 1))
    trained, validated = dtypes_of(later, tmp_path, epochs + 1, resume=tmp_path / "last.ckpt")
    assert (trained, validated) == ([dtype] * steps, [dtype])


def test_the_first_steps_in_bfloat16_are_those_in_float32(scan: Scan, tmp_path: Path) -> None:
    whole, mixed = (
        fit(task_of(scan, replace(CONFIG, precision=precision)), trainer(tmp_path / precision), Steps())
        for precision in get_args(Precision)
    )
    assert [one.batch_losses for one in mixed.epochs] == [one.batch_losses for one in whole.epochs]
    assert [one.val_loss for one in mixed.epochs] != [one.val_loss for one in whole.epochs]


def test_the_loss_of_the_first_step_is_that_without_training(scan: Scan, tmp_path: Path) -> None:
    """The first batch is seen with the initial weights."""
    config = replace(CONFIG, epochs=1)
    before, task = task_of(scan, config), task_of(scan, config)
    first = fit(task, trainer(tmp_path, 1), Steps()).epochs[0].batch_losses[0]
    batch = before.dataset[seeded_order(5, 0)(1)[:BATCH].tolist()]
    with torch.no_grad():
        predicted = before.model(batch.X, batch.positions).amplitude
    expected = objective(predicted, batch.X * before.model.intensity_scale, config).item()
    assert first == pytest.approx(expected, rel=1e-6)


def test_the_trainer_writes_and_prints_nothing_of_its_own(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    assert made.progress_bar_callback is None
    assert [type(one).__name__ for one in made.callbacks] == ["_Checkpoints"]
    assert made.loggers == []
    with pytest.raises(ValueError, match=r"Lightning cannot use this: .*strategy='none'"):
        make_trainer(tmp_path, 1, Devices(accelerator="cpu", strategy="none"))


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Let Torch use two threads, although workers of the suite may use one each."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_a_resumed_training_does_not_start_over(scan: Scan, tmp_path: Path) -> None:
    """If it started over, it would end with the same numbers, so the steps are counted."""
    at_once, first, later, last = Steps(), Steps(), Steps(), Steps()
    whole = fit(task_of(scan), trainer(tmp_path / "whole"), at_once)
    fit(task_of(scan, replace(CONFIG, epochs=1)), trainer(tmp_path / "parts", 1), first)
    resumed = fit(task_of(scan), trainer(tmp_path / "parts"), later, resume=tmp_path / "parts" / "last.ckpt")
    assert at_once.steps == [(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2)]
    assert (first.steps, later.steps) == (at_once.steps[:2], at_once.steps[2:])
    assert (first.epochs, later.epochs) == (at_once.epochs[:1], at_once.epochs[1:])
    assert resumed == whole
    finished = task_of(scan)
    before = {name: one.clone() for name, one in finished.model.state_dict().items()}
    assert fit(finished, trainer(tmp_path / "parts"), last, resume=tmp_path / "parts" / "last.ckpt") == whole
    assert last.steps == []
    assert any(not torch.equal(one, before[name]) for name, one in finished.model.state_dict().items())


def test_a_training_that_stopped_early_is_finished(scan: Scan, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=3, early_stop_patience=1, early_stop_min_delta=1e12)
    steps = Steps()
    stopped = fit(task_of(scan, config), trainer(tmp_path, 3), Steps())
    assert (stopped.stopped_early, len(stopped.epochs)) == (True, 2)
    assert fit(task_of(scan, config), trainer(tmp_path, 3), steps, resume=tmp_path / "last.ckpt") == stopped
    assert steps.steps == []


def test_only_the_same_training_is_resumed(scan: Scan, tmp_path: Path) -> None:
    kept = CheckpointSummary(LossCurve(0.0, 0.0), {"seed": 1, "gone": 2})
    task = task_of(scan, seed=3, new=4)
    path = tmp_path / "last.ckpt"
    with pytest.raises(ValueError, match="another training") as refused:
        require_same_task(kept, task, path)
    differences = "gone: there 2, here None; new: there None, here 4; seed: there 1, here 3"
    assert str(refused.value) == f"{path}: belongs to another training and cannot be resumed: {differences}"
    require_same_task(replace(kept, fingerprint={"seed": 3, "new": 4}), task, path)
    fit(task_of(scan, replace(CONFIG, epochs=1), seed=1), trainer(tmp_path, 1), Steps())
    with pytest.raises(ValueError, match=r"last\.ckpt: belongs to another training"):
        fit(task_of(scan, seed=2), trainer(tmp_path), Steps(), resume=path)


@pytest.mark.parametrize("content", [[1], {"epoch": 1}, {"ptycho_torch": 1}])
def test_other_archives_are_refused(content: Any, tmp_path: Path) -> None:
    path, tensors = tmp_path / "a.ckpt", {}
    write_archive(path, "ptycho_torch checkpoint 1", {"content": pack(content, tensors)}, tensors)
    with pytest.raises(ValueError, match="expected the state of a training, found something else"):
        ArchiveCheckpoints().load_checkpoint(path)


@pytest.mark.parametrize("state", [{}, {"losses": {}, "fingerprint": {}}, {"losses": 1, "fingerprint": {}}])
def test_a_checkpoint_without_its_losses_is_damaged(state: Mapping[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    ArchiveCheckpoints().save_checkpoint({"ptycho_torch": dict(state)}, path)
    with pytest.raises(ValueError, match="expected the state of a training"):
        read_checkpoint(path)


def test_checkpoints_are_written_anywhere_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.ckpt"
    found = {"ptycho_torch": {"losses": [1.0]}, "state_dict": {"weight": torch.arange(3.0)}}
    ArchiveCheckpoints().save_checkpoint(found, path)
    ArchiveCheckpoints().save_checkpoint(found, path)
    assert torch.equal(ArchiveCheckpoints().load_checkpoint(path)["state_dict"]["weight"], torch.arange(3.0))
    ArchiveCheckpoints().remove_checkpoint(path)
    assert not path.exists()
    ArchiveCheckpoints().remove_checkpoint(path)


def _without_a_moment(state: dict[str, Any]) -> None:
    del state["optimizer_states"][0]["state"][3]["exp_avg_sq"]


def _without_a_parameter(state: dict[str, Any]) -> None:
    del state["optimizer_states"][0]["state"][3]


def _with_a_small_moment(state: dict[str, Any]) -> None:
    state["optimizer_states"][0]["state"][3]["exp_avg"] = torch.zeros(1)


def _with_other_betas(state: dict[str, Any]) -> None:
    state["optimizer_states"][0]["param_groups"][0]["betas"] = "fast"


def _with_nan(state: dict[str, Any]) -> None:
    state["state_dict"]["network.phase.inner.conv.bias"].fill_(torch.nan)


def _of_other_rules(state: dict[str, Any]) -> None:
    state["ptycho_torch"]["schedule"]["factor"] = 0.9


def _with_words_for_numbers(state: dict[str, Any]) -> None:
    state["ptycho_torch"]["schedule"]["best"] = "low"


def _of_another_epoch(state: dict[str, Any]) -> None:
    progress = state["loops"]["fit_loop"]["epoch_loop.automatic_optimization.optim_progress"]
    progress["optimizer"]["step"]["total"]["completed"] = 7


@pytest.fixture(scope="module")
def checkpoint(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the checkpoint of a training after one epoch."""
    directory = tmp_path_factory.mktemp("checkpoint")
    fit(task_of(scan, replace(CONFIG, epochs=1)), trainer(directory, 1), Steps())
    return directory / "last.ckpt"


def crafted(checkpoint: Path, change: Callable[[dict[str, Any]], object], path: Path) -> Path:
    """Write a changed copy of a checkpoint, whose checksums are right."""
    state = ArchiveCheckpoints().load_checkpoint(checkpoint)
    change(state)
    ArchiveCheckpoints().save_checkpoint(state, path)
    return path


@pytest.mark.parametrize(
    "change",
    [
        _without_a_moment,
        _without_a_parameter,
        _with_a_small_moment,
        _with_other_betas,
        _with_nan,
        _of_other_rules,
        _with_words_for_numbers,
        _of_another_epoch,
        lambda state: state.pop("loops"),
        lambda state: state.pop("state_dict"),
        lambda state: state.update(loops=[]),
        lambda state: state["ptycho_torch"].pop("stop"),
    ],
)
def test_a_crafted_checkpoint_is_refused_before_a_step(
    scan: Scan, checkpoint: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """Torch would compute with its content, or read beyond it."""
    path = crafted(checkpoint, change, tmp_path / "last.ckpt")
    steps = Steps()
    with pytest.raises(UnfitCheckpoint, match=r"last\.ckpt: expected the state of a training, found something else"):
        fit(task_of(scan), trainer(tmp_path), steps, resume=path)
    assert not steps.steps


@pytest.mark.parametrize("change", [_with_nan, lambda state: state["state_dict"].popitem()])
def test_a_crafted_checkpoint_of_a_finished_training_is_refused(
    scan: Scan, checkpoint: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = crafted(checkpoint, change, tmp_path / "last.ckpt")
    with pytest.raises(UnfitCheckpoint, match=r"last\.ckpt: expected the state of a training, found something else"):
        fit(task_of(scan, replace(CONFIG, epochs=1)), trainer(tmp_path, 1), Steps(), resume=path)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_a_sound_checkpoint_is_accepted(scan: Scan, tmp_path: Path, amsgrad: bool) -> None:
    """AMSGrad keeps one more moment. A number may be stored as an integer or as a float."""
    config = replace(CONFIG, adam_amsgrad=amsgrad)
    fit(task_of(scan, replace(config, epochs=1)), trainer(tmp_path, 1), Steps())
    path = tmp_path / "last.ckpt"
    state = ArchiveCheckpoints().load_checkpoint(path)
    state["optimizer_states"][0]["param_groups"][0]["weight_decay"] = 0.0
    ArchiveCheckpoints().save_checkpoint(state, path)
    assert len(fit(task_of(scan, config), trainer(tmp_path), Steps(), resume=path).epochs) == config.epochs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"items": [["a", 1], ["a", 2]]}, "expected every key once"),
        ({"items": [[[1], 1]]}, "expected the state of a training"),
        (eval("[" * 90 + "]" * 90), "expected the state of a training, found something else"),
    ],
)
def test_a_nested_value_that_pack_does_not_write(content: Any, message: str, tmp_path: Path) -> None:
    write_archive(tmp_path / "a.ckpt", "ptycho_torch checkpoint 1", {"content": content}, {})
    with pytest.raises(ValueError, match=message):
        ArchiveCheckpoints().load_checkpoint(tmp_path / "a.ckpt")


def test_lightning_takes_no_options_from_the_environment(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that limits the batches would change the result unnoticed."""
    monkeypatch.setenv("PL_TRAINER_LIMIT_TRAIN_BATCHES", "1")
    monkeypatch.setenv("PL_TRAINER_GRADIENT_CLIP_VAL", "1e-9")
    made = trainer(tmp_path)
    assert (made.limit_train_batches, made.gradient_clip_val) == (1.0, None)
    assert os.environ["PL_TRAINER_LIMIT_TRAIN_BATCHES"] == "1"


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ({"devices": "foo"}, "Lightning cannot use this: `devices` selected"),
        ({"devices": "0"}, "Lightning cannot use this"),
        ({"devices": "1.5"}, "Lightning cannot use this"),
        ({"strategy": "ddp_spawn"}, "strategy ddp_spawn: expected processes that run this program"),
        ({"strategy": "ddp_fork", "devices": "2"}, "strategy ddp_fork: expected processes that run this program"),
        ({"strategy": "xla"}, "Lightning cannot use this"),
    ],
)
def test_devices_that_cannot_be_used(devices: Mapping[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, 1, Devices(**{"accelerator": "cpu", **devices}))
