"""Train a model with Lightning's loop, devices and checkpoints, and Keras's rules for learning rate and early stop.

No other module needs Lightning. See docs/conventions.md, "Training".
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from lightning.fabric.plugins.io import CheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from torch import Tensor

from ptycho_torch.config_params import TrainingConfig
from ptycho_torch.dataloader import GroupBatch, MemoryMappedDataset, batches_of
from ptycho_torch.files.archive import pack, read_archive, unpack, write_archive
from ptycho_torch.files.loss_curve import Epoch, LossCurve
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.torch_defaults import torch_defaults
from ptycho_torch.precision import autocast, precision_of_step
from ptycho_torch.training.batch_order import EpochBatches, Order, Share
from ptycho_torch.training.keras_rules import EpochEnd, adam, epoch_loss, validation_split
from ptycho_torch.training.losses import objective

CHECKPOINT = "last.ckpt"
"""Name of the file in the output directory with the state after the last complete epoch."""
_FORMAT = "ptycho_torch checkpoint 1"
_OWN_STATE = "ptycho_torch"
"""Key in a checkpoint for the state that Lightning does not store itself."""


class UnfitCheckpoint(ValueError):  # noqa: N818 - the name says what is wrong
    """A checkpoint is damaged or was edited, so a training cannot continue from it."""


@dataclass(frozen=True)
class Devices:
    """Devices to train on; the values are passed unchanged to Lightning's trainer.

    Attributes:
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: number of devices, a list of their indices, or ``auto``.
        num_nodes: number of hosts.
        strategy: how devices share the work.
    """

    accelerator: str = "auto"
    devices: str = "auto"
    num_nodes: int = 1
    strategy: str = "auto"


@runtime_checkable
class Progress(Protocol):
    """An observer of a training's progress."""

    def batch(self, epoch: int, done: int, batches: int) -> None:
        """Report that ``done`` of the ``batches`` of an epoch are finished; ``epoch`` counts from 1."""
        ...

    def epoch(self, finished: Epoch) -> None:
        """Report that an epoch is finished and its checkpoint is written."""
        ...


@dataclass(frozen=True, eq=False)
class Task:
    """A model to train, with its data and settings.

    Attributes:
        model: model whose weights are trained in place.
        dataset: training samples, followed by validation samples.
        config: training configuration.
        order: order of the training samples in each epoch.
        num_workers: number of processes that read in advance.
        fingerprint: name -> value that must be the same when the training is resumed.
        least: result of ``least_losses``, if already known.
    """

    model: PtychoPINN
    dataset: MemoryMappedDataset
    config: TrainingConfig
    order: Order
    num_workers: int
    fingerprint: Mapping[str, Any]
    least: LossCurve | None = None


def make_trainer(directory: Path, epochs: int, devices: Devices) -> Trainer:
    """Make Lightning's trainer. After each epoch, it replaces the checkpoint; it writes no other files.

    Args:
        directory: directory of the checkpoint.
        epochs: maximum number of epochs.
        devices: devices to train on.

    Raises:
        ValueError: there is no such device, Lightning does not know the strategy, or the strategy starts processes that
            cannot return the trained model.
    """
    checkpoints = _Checkpoints(
        dirpath=directory,
        filename=CHECKPOINT.removesuffix(".ckpt"),
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    try:
        with _quiet(), _without_settings_from_outside():
            trainer = Trainer(
                accelerator=devices.accelerator,
                devices=devices.devices,
                num_nodes=devices.num_nodes,
                strategy=devices.strategy,
                max_epochs=epochs,
                callbacks=[checkpoints],
                plugins=[ArchiveCheckpoints()],
                default_root_dir=directory,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
            )
    except Exception as misfit:  # Lightning raises many kinds for an unknown or missing device
        reason = " ".join(str(misfit).split())
        raise ValueError(f"{devices}: Lightning cannot use this: {reason}") from misfit
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise ValueError(
            f"strategy {devices.strategy}: expected processes that run this program, as those of ddp, found processes "
            f"that get a copy of the model and keep what they train; use ddp"
        )
    return trainer


def fit(task: Task, trainer: Trainer, progress: Progress, *, resume: Path | None = None) -> LossCurve:
    """Train a model.

    Args:
        task: model, data and settings.
        trainer: trainer from ``make_trainer``.
        progress: observer; only the first process calls it.
        resume: path of a checkpoint of the same task to continue from; None to begin. On a CPU, the result is bitwise
            that of a training without the interruption.

    Returns:
        The losses, without that of the test file.

    Raises:
        UnfitCheckpoint: the checkpoint does not hold the state of a training.
        ValueError: the checkpoint is damaged or of another task, or a setting is not ported.
        ArithmeticError: a loss is not finite.
    """
    if resume is not None:
        kept = read_checkpoint(resume)
        require_same_task(kept, task, resume)
        if kept.losses.stopped_early or len(kept.losses.epochs) >= task.config.epochs:
            with torch_defaults(), _restoring(resume, lambda: False):
                _restore(task.model, resume)
            return kept.losses
    with torch_defaults():
        training = _Training(task, Share(trainer.global_rank, trainer.world_size), progress)
        with _quiet(), _restoring(resume, lambda: training.is_begun):
            trainer.fit(
                training,
                batches_of(task.dataset, training.batches, num_workers=task.num_workers),
                batches_of(task.dataset, training.held_back, num_workers=task.num_workers),
                ckpt_path=resume,
            )
    return training.curve


@contextmanager
def _restoring(checkpoint: Path | None, is_done: Callable[[], bool]) -> Iterator[None]:
    """Turn errors while the state of a checkpoint is restored into ``UnfitCheckpoint``."""
    try:
        yield
    except Exception as misfit:  # Lightning and Torch do not check the state
        if checkpoint is None or is_done():
            raise
        reason = " ".join(f"{type(misfit).__name__}: {misfit}".split())[:300]
        raise UnfitCheckpoint(
            f"{checkpoint}: expected the state of a training, found something else ({reason}); the file is damaged; "
            f"--overwrite starts over"
        ) from misfit


def _restore(model: PtychoPINN, checkpoint: Path) -> None:
    """Load the weights of a finished training into the model."""
    weights = ArchiveCheckpoints().load_checkpoint(checkpoint)["state_dict"]
    model.load_state_dict({name.removeprefix("network."): tensor for name, tensor in weights.items()})
    _require_finite(model)


def _require_finite(model: PtychoPINN) -> None:
    wrong = [name for name, tensor in model.state_dict().items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise ValueError(f"weights: expected finite numbers, found NaN or infinity in {', '.join(wrong[:6])}")


def least_losses(task: Task) -> LossCurve:
    """Return the losses of perfect predictions as a curve without epochs, with which a training begins."""
    numbers = np.arange(len(task.dataset))
    training, validation = (
        least_loss(task.model, task.dataset, task.config, numbers[part])
        for part in validation_split(len(numbers), task.config.validation_fraction)
    )
    return LossCurve(training, validation)


def least_loss(
    model: PtychoPINN, dataset: MemoryMappedDataset, config: TrainingConfig, numbers: np.ndarray | None = None
) -> float:
    """Average the objective of a perfect prediction, which is the smallest possible loss.

    Args:
        model: model, for the scale of the measured amplitudes.
        dataset: groups to predict.
        config: training configuration, for the weights of the objective.
        numbers: indices of the groups; None for all.
    """
    chosen = np.arange(len(dataset)) if numbers is None else numbers
    every = EpochBatches(lambda _: chosen, len(chosen), config.batch_size)
    total = 0.0
    for batch in batches_of(dataset, every):
        measured = batch.X * model.intensity_scale.cpu()
        total += objective(measured, measured, config, batch.good).item() * len(batch)
    return total / len(chosen)


def mean_loss(
    model: PtychoPINN, dataset: MemoryMappedDataset, config: TrainingConfig, batch_size: int, device: torch.device
) -> float:
    """Average the objective over all groups of a data set, without training.

    Args:
        model: model to evaluate; it is moved to the device.
        dataset: groups to predict.
        config: training configuration, for the weights of the objective and the precision.
        batch_size: groups per batch.
        device: device to compute on.
    """
    model.to(device)
    numbers = EpochBatches(lambda _: np.arange(len(dataset)), len(dataset), batch_size)
    total = 0.0
    with torch_defaults(), torch.inference_mode(), autocast(config.precision, device):
        for batch in batches_of(dataset, numbers):
            X = batch.X.to(device)
            predicted = model(X, batch.positions.to(device)).amplitude
            good = None if batch.good is None else batch.good.to(device)
            total += objective(predicted, X * model.intensity_scale, config, good).item() * len(batch)
    return total / len(dataset)


# ------------------------------------------------------------------------------------------------ one training


_Batch = tuple[Tensor, Tensor, Tensor | None]
"""Normalised amplitudes, positions in their group, and mask of good pixels, on the device."""


class _Training(LightningModule):
    """Lightning's view of a training: steps, optimiser, and actions at the end of an epoch."""

    def __init__(self, task: Task, share: Share, progress: Progress) -> None:
        super().__init__()
        self.network = task.model
        self.config = task.config
        self.fingerprint = task.fingerprint
        self.progress = progress
        training, validation = validation_split(len(task.dataset), task.config.validation_fraction)
        last = np.arange(len(task.dataset))[validation]
        self.batches = EpochBatches(task.order, training.stop, task.config.batch_size, share)
        self.held_back = EpochBatches(lambda _: last, len(last), task.config.batch_size, share)
        self.share = share
        self.curve = task.least or least_losses(task)
        self._seen: list[Tensor] = []
        self._validated: list[Tensor] = []
        self._restored: dict[str, Any] | None = None
        self.is_begun = False

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.optimizer = adam(self.network, self.config)
        # This class calls it, not Lightning, to follow Keras's order at the end of an epoch.
        self.epoch_end = EpochEnd(self.optimizer, self.config)
        self._fresh = self.optimizer.state_dict()["param_groups"]
        return self.optimizer

    def on_train_start(self) -> None:
        if self._restored is not None:
            self._require_sound()
            self.epoch_end.load_state_dict(self._restored)
        self.is_begun = True

    def _require_sound(self) -> None:
        """Refuse the state of a different optimiser or step, because Torch accepts any state, and may then crash."""
        _require_finite(self.network)
        if not _is_alike(self.optimizer.state_dict()["param_groups"], self._fresh):
            raise ValueError("expected the optimiser's settings, found others")
        moments = {"exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if self.config.adam_amsgrad else [])}
        for parameter in self.network.parameters():
            state = self.optimizer.state.get(parameter, {})
            shapes = {"step": (), **dict.fromkeys(moments, parameter.shape)}
            if {name: getattr(one, "shape", None) for name, one in state.items()} != shapes:
                raise ValueError(f"expected the optimiser's state of every parameter, {shapes}, found others")
            if not all(torch.isfinite(one).all() for one in state.values()):
                raise ValueError("expected finite numbers in the optimiser's state, found NaN or infinity")
        done = len(self.curve.epochs)
        if (self.current_epoch, self.global_step) != (done, done * len(self.batches)):
            raise ValueError(
                f"expected the end of epoch {done}, found step {self.global_step} of epoch {self.current_epoch}"
            )

    def transfer_batch_to_device(self, batch: GroupBatch, device: torch.device, dataloader_idx: int) -> _Batch:
        return batch.X.to(device), batch.positions.to(device), None if batch.good is None else batch.good.to(device)

    def training_step(self, batch: _Batch, number: int) -> Tensor:
        with autocast(precision_of_step(self.global_step, self.config.precision), self.device):
            loss = self._loss(batch)
        size = self.batches.size(number)
        self._seen.append(loss.detach() * self.share.counted(size))
        if self.trainer.is_global_zero:
            self.progress.batch(self.current_epoch + 1, number + 1, len(self.batches))
        return loss * self.share.weight(size)

    def validation_step(self, batch: _Batch, number: int) -> None:
        with autocast(self.config.precision, self.device):
            loss = self._loss(batch)
        self._validated.append(loss * self.share.counted(self.held_back.size(number)))

    def on_train_epoch_end(self) -> None:
        batch_losses, loss = self._means(self._seen, self.batches)
        _, val_loss = self._means(self._validated, self.held_back)
        self._seen, self._validated = [], []
        if not (math.isfinite(loss) and math.isfinite(val_loss)):
            raise ArithmeticError(
                f"epoch {self.current_epoch + 1}: expected finite losses, found {loss} in training and {val_loss} in "
                f"validation. A smaller learning rate, or other initial weights, may help"
            )
        finished = Epoch(
            self.current_epoch + 1, loss, val_loss, self.optimizer.param_groups[0]["lr"], tuple(batch_losses)
        )
        stopped = self.epoch_end.step(loss=loss, val_loss=val_loss)
        self.curve = replace(self.curve, epochs=(*self.curve.epochs, finished), stopped_early=stopped)
        self.trainer.should_stop = self.trainer.should_stop or stopped

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[_OWN_STATE] = {
            "losses": self.curve.to_json(),
            **self.epoch_end.state_dict(),
            "fingerprint": dict(self.fingerprint),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._restored = checkpoint[_OWN_STATE]
        self.curve = LossCurve.from_json(checkpoint[_OWN_STATE]["losses"])

    def _loss(self, batch: _Batch) -> Tensor:
        X, positions, good = batch
        return objective(self.network(X, positions).amplitude, X * self.network.intensity_scale, self.config, good)

    def _means(self, sums: list[Tensor], batches: EpochBatches) -> tuple[list[float], float]:
        """Return the mean loss of each batch, and the mean over all samples."""
        found = torch.stack(sums)
        if self.share.ranks > 1:
            found = self.trainer.strategy.reduce(found, reduce_op="sum")
        sizes = np.array([batches.size(number) for number in range(len(batches))])
        totals = found.cpu().numpy().astype(np.float64)
        return (totals / sizes).tolist(), epoch_loss(totals, sizes)


def _is_alike(found: Any, expected: Any) -> bool:
    """Return whether a nested value has the same structure as another one; numbers may differ."""
    if isinstance(expected, Mapping):
        return (
            isinstance(found, Mapping)
            and found.keys() == expected.keys()
            and all(_is_alike(found[name], one) for name, one in expected.items())
        )
    if isinstance(expected, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(expected)
            and all(_is_alike(*pair) for pair in zip(found, expected))
        )
    numbers = {int, float}
    return type(found) is type(expected) or {type(found), type(expected)} <= numbers


# ------------------------------------------------------------------------------------------------ checkpoints


class _Checkpoints(ModelCheckpoint):
    """Report an epoch only after its checkpoint is written."""

    def on_train_epoch_end(self, trainer: Trainer, training: LightningModule) -> None:
        super().on_train_epoch_end(trainer, training)
        assert isinstance(training, _Training)
        if trainer.is_global_zero:
            training.progress.epoch(training.curve.epochs[-1])


class ArchiveCheckpoints(CheckpointIO):
    """Store Lightning's checkpoints as archives (``ptycho_torch.files.archive``), without code and atomically."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the state of Lightning and of the training."""
        tensors: dict[str, Tensor] = {}
        content = pack(checkpoint, tensors)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_archive(path, _FORMAT, {"content": content}, tensors)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint into host memory. Errors are those of ``read_archive``."""
        about, tensors = read_archive(path, _FORMAT)
        try:
            found = unpack(about.get("content"), tensors)
        except (RecursionError, TypeError, ValueError) as misfit:
            raise ValueError(f"{path}: expected the state of a training ({misfit}); the file is damaged") from misfit
        if not isinstance(found, dict) or not isinstance(found.get(_OWN_STATE), dict):
            raise ValueError(f"{path}: expected the state of a training, found something else; the file is damaged")
        return found

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


@dataclass(frozen=True)
class CheckpointSummary:
    """The identity and progress of a checkpoint's training.

    Attributes:
        losses: losses of the finished epochs.
        fingerprint: name -> value that must be the same when the training is resumed.
    """

    losses: LossCurve
    fingerprint: Mapping[str, Any]


def read_checkpoint(path: Path) -> CheckpointSummary:
    """Read the summary of a checkpoint.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is damaged or from another program.
    """
    ours = ArchiveCheckpoints().load_checkpoint(path)[_OWN_STATE]
    try:
        fingerprint = {str(name): value for name, value in dict(ours["fingerprint"]).items()}
        return CheckpointSummary(LossCurve.from_json(ours["losses"]), fingerprint)
    except (KeyError, TypeError, ValueError) as misfit:
        raise ValueError(f"{path}: expected the state of a training ({misfit}); the file is damaged") from misfit


def require_same_task(kept: CheckpointSummary, task: Task, path: Path) -> None:
    """Refuse to resume another training.

    Raises:
        ValueError: the fingerprints differ; the message names each difference.
    """
    differing = [
        f"{name}: there {kept.fingerprint.get(name)!r}, here {task.fingerprint.get(name)!r}"
        for name in sorted(kept.fingerprint.keys() | task.fingerprint.keys())
        if kept.fingerprint.get(name) != task.fingerprint.get(name)
    ]
    if differing:
        raise ValueError(f"{path}: belongs to another training and cannot be resumed: {'; '.join(differing)}")


@contextmanager
def _without_settings_from_outside() -> Iterator[None]:
    """Hide environment variables that Lightning uses as options, because they would change the result unnoticed."""
    found = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PL_TRAINER_")}
    try:
        yield
    finally:
        os.environ.update(found)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's hints, which concern deliberate choices, and its notes about devices."""
    log = logging.getLogger("lightning.pytorch")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        log.setLevel(before)
