"""Train the network on a scan.

    python -m ptycho_torch.train --train_data_file scan.npz --output_dir out

See docs/how-to.md, "Train and infer".
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import torch

from ptycho_torch.program import (
    ACCELERATORS,
    CONTEXT,
    DIRECTORY,
    FILE,
    PRECISION_HELP,
    PRECISIONS,
    WrongInput,
    checking_input,
    ending,
    log,
    logging_to,
    patterns_used,
    running,
    warn_of_cost,
    warnings_in_the_log,
)

if TYPE_CHECKING:
    from ptycho_torch.config_factory import TrainingPayload
    from ptycho_torch.dataloader import MemoryMappedDataset
    from ptycho_torch.files.loss_curve import Epoch, LossCurve
    from ptycho_torch.model import PtychoPINN
    from ptycho_torch.training.fit import Task

LOSSES, LOSS_PICTURE, LOG = "losses.json", "losses.png", "train.log"


@click.command(context_settings=CONTEXT)
@click.option("--train_data_file", type=FILE, required=True, metavar="NPZ", help="Scan to train on.")
@click.option("--test_data_file", type=FILE, metavar="NPZ", help="Scan whose loss is reported after training.")
@click.option(
    "--output_dir",
    type=DIRECTORY,
    required=True,
    metavar="DIR",
    help="Directory for all results; it is made if missing.",
)
@click.option("--max_epochs", type=click.IntRange(1), metavar="N", default=50, help="Passes over the data at most.")
@click.option(
    "--n_images",
    type=click.IntRange(2),
    metavar="N",
    default=512,
    help="Number of patterns to draw from the scan, and of groups to form.",
)
@click.option(
    "--gridsize", type=click.IntRange(1), metavar="N", default=1, help="Root of the number of patterns in a group."
)
@click.option(
    "--batch_size", type=int, metavar="N", default=16, help="Groups in a step, on all devices together; a power of two."
)
@click.option(
    "--n_filters_scale", type=click.IntRange(1), metavar="N", default=2, help="Factor for the width of the network."
)
@click.option(
    "--nphotons", type=float, metavar="X", default=1e9, help="Photons in a pattern on average; they scale the loss."
)
@click.option("--learning_rate", type=float, metavar="X", default=1e-3, help="Learning rate of the first epoch.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    default=0,
    help="Seed for patterns, initial weights and batches.",
)
@click.option("--resume", is_flag=True, help="Go on with the training in --output_dir after its last whole epoch.")
@click.option("--overwrite", is_flag=True, help="Begin anew even if --output_dir holds an interrupted training.")
@click.option(
    "--initial_weights", type=FILE, metavar="H5", help="Initial weights in TensorFlow's order.  [default: drawn]"
)
@click.option(
    "--batch_order", type=FILE, metavar="NPY", help="Order of the samples, a row for each epoch.  [default: drawn]"
)
@click.option("--accelerator", type=click.Choice(ACCELERATORS), default="auto", help="Where to compute.")
@click.option("--devices", metavar="N", default="auto", help="How many devices, or which; passed to Lightning.")
@click.option(
    "--num_nodes", type=click.IntRange(1), metavar="N", default=1, help="Number of hosts; passed to Lightning."
)
@click.option("--strategy", metavar="NAME", default="auto", help="How devices work together; passed to Lightning.")
@click.option(
    "--num_workers",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    help="Number of processes that read ahead, for slow disks.",
)
@click.option("--precision", type=click.Choice(PRECISIONS), default="32-true", help=PRECISION_HELP)
@click.option("--disable_mlflow", is_flag=True, help="Changes nothing: there is no MLflow here, but callers pass it.")
def main(**options: Any) -> None:
    """Train PtychoPINN on a scan. The network is never shown the object.

    \b
    Files in --output_dir:
      wts.h5.zip               the trained model: configuration, weights, probe, scale
      losses.json, losses.png  the loss of every epoch and step
      last.ckpt                the state from which --resume goes on
      train.log                all messages

    The last 5 % of the groups are held back for validation. The learning rate is halved when the validation loss stops
    falling. Training ends when the training loss stops falling, or after --max_epochs.

    After Ctrl-C the same command with --resume goes on, and ends with the same result as without the interruption.
    """  # noqa: D301 - click's mark for a paragraph to be left as it is
    directory: Path = options["output_dir"]
    with checking_input():
        directory.mkdir(parents=True, exist_ok=True)
    with logging_to(directory / LOG), ending(lambda: _what_is_kept(directory)):
        _train(directory, options)


def _train(directory: Path, options: dict[str, Any]) -> None:
    try:
        from ptycho_torch.training import fit
    except ModuleNotFoundError as missing:
        raise WrongInput(f"training needs Lightning ({missing}): pip install 'ptycho-golden-port[train]'") from missing
    from ptycho_torch.files.bundle import NAME, Bundle, save_bundle
    from ptycho_torch.pictures.losses import draw_losses

    with checking_input(), warnings_in_the_log():
        payload = _payload(directory, options)
        devices = fit.Devices(*(options[name] for name in ("accelerator", "devices", "num_nodes", "strategy")))
        trainer = fit.make_trainer(directory, payload.training.epochs, devices, payload.training.precision)
        if not trainer.is_global_zero:
            log.setLevel("ERROR")  # the first of several processes reports for all
        warn_of_cost(payload.training.precision, trainer.strategy.root_device)
        checkpoint = directory / fit.CHECKPOINT
        if trainer.is_global_zero:
            _require_no_loss(checkpoint, options)
        dataset = _dataset(payload, options["seed"])
        model = _model(payload, dataset, options["seed"], options["initial_weights"])
        task = _task(payload, dataset, model, options)
        if options["resume"]:
            _require_same_training(checkpoint, task)
        tested = _test_set(payload, options["seed"])

    begun = time.perf_counter()
    with running("training", directory / LOG):
        if not options["resume"] and trainer.is_global_zero:
            for old in (checkpoint, *directory.glob(f".{fit.CHECKPOINT}.*.part")):
                old.unlink(missing_ok=True)  # a killed process leaves parts
        least = fit.least_losses(task)
        task = dataclasses.replace(task, least=least)
        with _Bar(payload.training.epochs, least) as bar:
            curve = fit.fit(task, trainer, bar, resume=checkpoint if options["resume"] else None)
        if not trainer.is_global_zero:
            return
        if tested is not None:
            curve = _tested(curve, model, tested, payload, trainer.strategy.root_device)
        save_bundle(directory / NAME, Bundle(model, payload.data, payload.training, options["seed"], curve))
        (directory / LOSSES).write_text(json.dumps(curve.to_json(), indent=1), encoding="utf-8")
        draw_losses(curve, directory / LOSS_PICTURE)
        ended = ", stopped early" if curve.stopped_early else ""
        log.info("%d epochs%s in %.0f s", len(curve.epochs), ended, time.perf_counter() - begun)
        log.info("%s", directory / NAME)


# ------------------------------------------------------------------------------------------------ what is trained


def _payload(directory: Path, options: dict[str, Any]) -> TrainingPayload:
    from ptycho_torch.config_factory import create_training_payload

    same = (
        *("n_images", "gridsize", "batch_size", "n_filters_scale"),
        *("nphotons", "learning_rate", "max_epochs", "precision"),
    )
    test = options["test_data_file"]
    return create_training_payload(
        options["train_data_file"],
        directory,
        {
            **{name: options[name] for name in same},
            "subsample_seed": options["seed"],
            "test_data_file": None if test is None else str(test),
        },
    )


def _dataset(payload: TrainingPayload, seed: int) -> MemoryMappedDataset:
    from ptycho_torch.dataloader import MemoryMappedDataset
    from ptycho_torch.scans.scan import load_scan
    from ptycho_torch.training.keras_rules import validation_split

    scan = load_scan(str(payload.training.train_data_file))
    dataset = MemoryMappedDataset.from_config(scan, payload.data, seed=seed)
    log.info("%s", scan)
    patterns_used(min(payload.data.n_images or 0, len(scan)), len(scan), len(dataset), payload.data.C)
    training, validation = validation_split(len(dataset), payload.training.validation_fraction)
    log.info("training on %d, validating on the last %d", training.stop, validation.stop - validation.start)
    return dataset


def _test_set(payload: TrainingPayload, seed: int) -> MemoryMappedDataset | None:
    """Draw as many groups as in training, of all patterns of the file."""
    from ptycho_torch.dataloader import MemoryMappedDataset
    from ptycho_torch.scans.scan import load_scan

    if payload.training.test_data_file is None:
        return None
    scan = load_scan(payload.training.test_data_file)
    config = dataclasses.replace(payload.data, n_subsample=len(scan))
    return MemoryMappedDataset.from_config(scan, config, seed=seed)


def _model(
    payload: TrainingPayload, dataset: MemoryMappedDataset, seed: int, initial_weights: Path | None
) -> PtychoPINN:
    from ptycho_torch.files.tensorflow_weights import from_tensorflow_weights, read_tensorflow_weights
    from ptycho_torch.model import PtychoPINN
    from ptycho_torch.operators.physics import intensity_scale

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PtychoPINN(payload.model, dataset.probe, intensity_scale(payload.data.nphotons, payload.data.N))
    if initial_weights is not None:
        from_tensorflow_weights(model, read_tensorflow_weights(initial_weights))
    return model


def _task(payload: TrainingPayload, dataset: MemoryMappedDataset, model: PtychoPINN, options: dict[str, Any]) -> Task:
    from ptycho_torch.training.batch_order import listed_order, read_orders, seeded_order
    from ptycho_torch.training.fit import Task
    from ptycho_torch.training.keras_rules import validation_split

    training, _ = validation_split(len(dataset), payload.training.validation_fraction)
    order, drawn_from = seeded_order(training.stop, options["seed"]), f"seed {options['seed']}"
    if options["batch_order"] is not None:
        orders = read_orders(options["batch_order"], training.stop, payload.training.epochs)
        order, drawn_from = listed_order(orders), f"a file, {_digest(torch.from_numpy(orders[0]))}"
    settings = dataclasses.asdict(payload.training)
    for not_the_result in ("epochs", "train_data_file", "test_data_file", "output_dir"):
        settings.pop(not_the_result)
    fingerprint = {
        **settings,
        "n_filters_scale": payload.model.n_filters_scale,
        "gridsize": payload.data.grid_size[0],
        "nphotons": payload.data.nphotons,
        "data": _digest(dataset.nn_indices, dataset.global_offsets, dataset.probe, torch.tensor(dataset.factor.item())),
        "initial weights": _digest(*model.state_dict().values()),
        "batch order": drawn_from,
    }
    return Task(model, dataset, payload.training, order, options["num_workers"], fingerprint)


def _digest(*tensors: torch.Tensor) -> str:
    """Return a digest by which the same numbers are recognised."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return digest.hexdigest()[:16]


def _tested(
    curve: LossCurve, model: PtychoPINN, tested: MemoryMappedDataset, payload: TrainingPayload, device: torch.device
) -> LossCurve:
    from ptycho_torch.training.fit import least_loss, mean_loss

    loss = mean_loss(model, tested, payload.training, 2 * payload.training.batch_size, device)
    above = loss - least_loss(model, tested, payload.training)
    log.info("test: loss %.7g (%.4g above the least possible), mean over %d groups", loss, above, len(tested))
    return dataclasses.replace(curve, test_loss=loss)


# ------------------------------------------------------------------------------------------------ interruptions


def _require_no_loss(checkpoint: Path, options: dict[str, Any]) -> None:
    """Refuse to begin anew if an interrupted training would be lost."""
    from ptycho_torch.files.bundle import NAME

    if options["resume"] and options["overwrite"]:
        raise ValueError("--resume, --overwrite: expected one of them, found both")
    if options["resume"] or options["overwrite"] or not checkpoint.is_file():
        return
    bundle = checkpoint.parent / NAME
    if not bundle.is_file() or bundle.stat().st_mtime_ns < checkpoint.stat().st_mtime_ns:
        raise ValueError(
            f"{checkpoint.parent}: found an interrupted training; --resume goes on with it, --overwrite begins anew"
        )


def _require_same_training(checkpoint: Path, task: Task) -> None:
    from ptycho_torch.training.fit import read_checkpoint, require_same_task

    if not checkpoint.is_file():
        raise ValueError(f"{checkpoint.parent}: found no finished epoch to go on from; begin without --resume")
    kept = read_checkpoint(checkpoint)
    require_same_task(kept, task, checkpoint)
    log.info("going on after epoch %d", len(kept.losses.epochs))


def _what_is_kept(directory: Path) -> str:
    from ptycho_torch.training.fit import CHECKPOINT, read_checkpoint

    if not (directory / CHECKPOINT).is_file():
        return "no epoch was finished, nothing is kept"
    epochs = len(read_checkpoint(directory / CHECKPOINT).losses.epochs)
    return f"the state after epoch {epochs} is kept; the same command with --resume goes on from there"


class _Bar:
    """Show a progress bar if there is a terminal, and log a line for every epoch."""

    def __init__(self, epochs: int, least: LossCurve) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self.epochs = epochs
        self.least = least
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]} of {task.fields[epochs]}"),
            BarColumn(),
            TextColumn("{task.completed:.0f} of {task.total:.0f} steps"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.shown = self.bar.add_task("training", total=None, epoch=1, epochs=epochs)
        self.stack = ExitStack()

    def __enter__(self) -> _Bar:
        self.stack.enter_context(self.bar)
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def batch(self, epoch: int, done: int, batches: int) -> None:
        self.bar.update(self.shown, epoch=epoch, completed=(epoch - 1) * batches + done, total=self.epochs * batches)

    def epoch(self, finished: Epoch) -> None:
        log.info(
            "epoch %d of %d: loss %.7g (%.4g above the least possible), val_loss %.7g (%.4g), learning rate %g",
            *(finished.epoch, self.epochs, finished.loss, finished.loss - self.least.least_loss),
            *(finished.val_loss, finished.val_loss - self.least.least_val_loss, finished.learning_rate),
        )


if __name__ == "__main__":
    main()
