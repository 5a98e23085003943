"""Train the network on a scan.

    python -m ptycho_torch.train --train_data_file scan.npz --output_dir out

See docs/how-to.md, "Train and infer".
"""

from __future__ import annotations

from ptycho_torch.interrupts import Interrupts, guard_loading, is_first_process, run

if __name__ == "__main__":
    guard_loading()  # the imports below take seconds

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

from ptycho_torch.operators.torch_defaults import torch_defaults
from ptycho_torch.program import (
    ACCELERATORS,
    CONTEXT,
    DIRECTORY,
    DRAWING,
    FILE,
    PRECISION_HELP,
    PRECISIONS,
    WrongInput,
    appearing_together,
    bad_pixels_option,
    checking_input,
    ending,
    load,
    log,
    log_bad_pixels,
    logging_to,
    measurement_option,
    owning,
    patterns_used,
    require_places,
    running,
    stamp,
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
@click.option("--train_data_file", type=FILE, required=True, metavar="FILE", help="Scan to train on.")
@click.option("--test_data_file", type=FILE, metavar="FILE", help="Scan whose loss is reported after training.")
@bad_pixels_option
@measurement_option
@click.option(
    "--output_dir",
    type=DIRECTORY,
    required=True,
    metavar="DIR",
    help="Directory for all results; it is created if missing.",
)
@click.option(
    "--max_epochs", type=click.IntRange(1), metavar="N", default=50, help="Maximum number of passes over the data."
)
@click.option(
    "--n_images",
    type=click.IntRange(2),
    metavar="N",
    default=512,
    help="Number of patterns to draw from the scan, and of groups to form.",
)
@click.option(
    "--gridsize",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    help="A group has N x N patterns.",
)
@click.option(
    "--batch_size", type=int, metavar="N", default=16, help="Groups per step, over all devices; a power of two."
)
@click.option(
    "--n_filters_scale", type=click.IntRange(1), metavar="N", default=2, help="Factor for the width of the network."
)
@click.option(
    "--nphotons", type=float, metavar="X", default=1e9, help="Photons per pattern, on average; they scale the loss."
)
@click.option("--learning_rate", type=float, metavar="X", default=1e-3, help="Initial learning rate.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    default=0,
    help="Seed for patterns, initial weights and batches.",
)
@click.option("--resume", is_flag=True, help="Continue the training in --output_dir after its last complete epoch.")
@click.option("--overwrite", is_flag=True, help="Start over even if --output_dir holds a training.")
@click.option(
    "--initial_weights", type=FILE, metavar="H5", help="Initial weights in TensorFlow's order.  [default: random]"
)
@click.option(
    "--batch_order", type=FILE, metavar="NPY", help="Order of the samples, one row per epoch.  [default: random]"
)
@click.option("--accelerator", type=click.Choice(ACCELERATORS), default="auto", help="Hardware to compute on.")
@click.option(
    "--devices", metavar="N", default="auto", help="Number of devices, or a list of them; passed to Lightning."
)
@click.option(
    "--num_nodes", type=click.IntRange(1), metavar="N", default=1, help="Number of hosts; passed to Lightning."
)
@click.option("--strategy", metavar="NAME", default="auto", help="How devices share the work; passed to Lightning.")
@click.option(
    "--num_workers",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    help="Number of processes that read data in advance; helps on slow disks only.",
)
@click.option("--precision", type=click.Choice(PRECISIONS), default="32-true", help=PRECISION_HELP)
@click.option(
    "--disable_mlflow", is_flag=True, help="No effect: MLflow is not used. Accepted because other programs pass it."
)
def main(**options: Any) -> None:
    """Train PtychoPINN on a scan. The network never sees the object.

    \b
    Files in --output_dir:
      wts.h5.zip               the trained model: configuration, weights, probe, scale
      losses.json, losses.png  the loss of every epoch and step
      last.ckpt                the state from which --resume continues
      train.log                all messages

    The last 5 % of the groups are held back for validation. The learning rate is halved when the validation loss stops
    falling. Training ends when the training loss stops falling, or after --max_epochs.

    Stop with Ctrl-C. Continue with the same command and --resume; the result is the same as without the interruption.
    """  # noqa: D301 - \b tells click not to rewrap the paragraph
    directory: Path = options["output_dir"]
    with checking_input():
        try:
            load("ptycho_torch.training.fit")
        except ModuleNotFoundError as missing:
            raise WrongInput(
                f"training needs Lightning ({missing}): pip install 'ptycho-golden-port[train]'"
            ) from missing
        load("ptycho_torch.files.bundle", *DRAWING)
    with ExitStack() as held:
        if is_first_process():
            held.enter_context(owning(directory))
        else:
            with checking_input():
                directory.mkdir(parents=True, exist_ok=True)
        held.enter_context(logging_to(directory / LOG))
        training = _Directory(directory, options)
        training.interrupts = held.enter_context(ending(training.kept))
        _train(training, options)


def _results() -> tuple[str, ...]:
    from ptycho_torch.files.bundle import NAME

    return NAME, LOSSES, LOSS_PICTURE


@torch_defaults()
def _train(directory: _Directory, options: dict[str, Any]) -> None:
    from ptycho_torch.files.bundle import NAME, Bundle, save_bundle
    from ptycho_torch.pictures.losses import draw_losses
    from ptycho_torch.training import fit

    with checking_input(), warnings_in_the_log():
        payload = _payload(directory.path, options)
        devices = fit.Devices(*(options[name] for name in ("accelerator", "devices", "num_nodes", "strategy")))
        trainer = fit.make_trainer(directory.path, payload.training.epochs, devices)
        if not trainer.is_global_zero:
            log.setLevel("ERROR")  # only the first of several processes reports
        else:
            require_places(directory.path, (*_results(), directory.checkpoint.name))
            directory.require_no_loss()
        warn_of_cost(payload.training.precision, trainer.strategy.root_device)
        dataset = _dataset(payload, options)
        model = _model(payload, dataset, options["seed"], options["initial_weights"])
        task = _task(payload, dataset, model, options)
        if options["resume"]:
            _require_same_training(directory.checkpoint, task)
        tested = _test_set(payload, options)

    begun = time.perf_counter()
    with running("training", directory.path / LOG):
        if trainer.is_global_zero:
            directory.begin()
        least = fit.least_losses(task)
        task = dataclasses.replace(task, least=least)
        with _Bar(payload.training.epochs, directory.interrupts, least) as bar:
            try:
                curve = fit.fit(task, trainer, bar, resume=directory.checkpoint if options["resume"] else None)
            except fit.UnfitCheckpoint as unfit:
                raise WrongInput(str(unfit)) from unfit
        directory.interrupts.check()
        if not trainer.is_global_zero:
            return
        if tested is not None:
            curve = _tested(curve, model, tested, payload, trainer.strategy.root_device)
        with appearing_together(directory.path, _results(), directory.interrupts) as stage:
            save_bundle(stage / NAME, Bundle(model, payload.data, payload.training, options["seed"], curve))
            (stage / LOSSES).write_text(json.dumps(curve.to_json(), indent=1), encoding="utf-8")
            draw_losses(curve, stage / LOSS_PICTURE)
        ended = ", stopped early" if curve.stopped_early else ""
        log.info("%d epochs%s in %.0f s", len(curve.epochs), ended, time.perf_counter() - begun)
        log.info("%s", directory.path / NAME)


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


def _dataset(payload: TrainingPayload, options: dict[str, Any]) -> MemoryMappedDataset:
    from ptycho_torch.dataloader import MemoryMappedDataset
    from ptycho_torch.scans.scan import load_scan
    from ptycho_torch.training.keras_rules import validation_split

    scan = load_scan(
        str(payload.training.train_data_file), invalid_is_bad=options["bad_pixels"], measurement=options["measurement"]
    )
    dataset = MemoryMappedDataset.from_config(scan, payload.data, seed=options["seed"])
    log.info("%s", scan)
    log_bad_pixels(scan.bad_pixels)
    patterns_used(min(payload.data.n_images or 0, len(scan)), len(scan), len(dataset), payload.data.C)
    training, validation = validation_split(len(dataset), payload.training.validation_fraction)
    log.info("training on %d, validating on the last %d", training.stop, validation.stop - validation.start)
    return dataset


def _test_set(payload: TrainingPayload, options: dict[str, Any]) -> MemoryMappedDataset | None:
    """Draw the same number of groups as in training, from all patterns of the file."""
    from ptycho_torch.dataloader import MemoryMappedDataset
    from ptycho_torch.scans.scan import load_scan

    if payload.training.test_data_file is None:
        return None
    scan = load_scan(
        payload.training.test_data_file, invalid_is_bad=options["bad_pixels"], measurement=options["measurement"]
    )
    N = scan.diffraction.shape[1]
    if N != payload.data.N:
        raise ValueError(f"{scan.source}: expected patterns of side {payload.data.N}, as in training, found {N}")
    config = dataclasses.replace(payload.data, n_subsample=len(scan))
    return MemoryMappedDataset.from_config(scan, config, seed=options["seed"])


def _model(
    payload: TrainingPayload, dataset: MemoryMappedDataset, seed: int, initial_weights: Path | None
) -> PtychoPINN:
    from ptycho_torch.files.tensorflow_weights import from_tensorflow_weights, read_tensorflow_weights
    from ptycho_torch.model import PtychoPINN
    from ptycho_torch.operators.physics import intensity_scale

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scale = intensity_scale(payload.data.nphotons, payload.data.N)
        try:
            model = PtychoPINN(payload.model, dataset.probe, scale)
        except (RuntimeError, TypeError) as refused:  # Torch's exceptions if layers exceed the memory, or its integers
            raise ValueError(
                f"--n_filters_scale: expected a network that memory can hold, found one of width "
                f"{payload.model.n_filters_scale}; choose a smaller one ({str(refused).splitlines()[0]})"
            ) from refused
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
        **({} if dataset.good_share is None else {"bad pixels": _digest(dataset.good_share)}),
    }
    return Task(model, dataset, payload.training, order, options["num_workers"], fingerprint)


def _digest(*tensors: torch.Tensor) -> str:
    """Return a digest of the numbers in tensors."""
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


class _Directory:
    """The output directory of a training. It tracks what the training has written.

    Args:
        path: path of the directory.
        options: options of the program.
    """

    def __init__(self, path: Path, options: dict[str, Any]) -> None:
        from ptycho_torch.files.bundle import NAME
        from ptycho_torch.training.fit import CHECKPOINT

        self.path = path
        self.interrupts = Interrupts()
        self.checkpoint = path / CHECKPOINT
        self._bundle = path / NAME
        self._options = options
        self._bundle_before = stamp(self._bundle)
        self._is_begun = False

    def require_no_loss(self) -> None:
        """Refuse to start over if that would lose an earlier training.

        Raises:
            ValueError: there is an earlier training, and neither --resume nor --overwrite is given; or both are given.
        """
        if self._options["resume"] and self._options["overwrite"]:
            raise ValueError("--resume, --overwrite: expected one of them, found both")
        if self._options["resume"] or self._options["overwrite"]:
            return
        (written, _), (finished, _) = stamp(self.checkpoint), stamp(self._bundle)
        if written > finished:
            raise ValueError(
                f"{self.path}: found an interrupted training; --resume continues it, --overwrite starts over"
            )
        if finished:
            raise ValueError(
                f"{self.path}: found a finished training; --overwrite replaces it, --resume extends it; or choose "
                f"another --output_dir"
            )

    def begin(self) -> None:
        """Remove the old checkpoint, unless it is to be resumed, and the partial files of a killed training."""
        self._is_begun = True
        old = () if self._options["resume"] else (self.checkpoint,)
        for path in (*old, *self.path.glob(f".{self.checkpoint.name}.*.part")):
            path.unlink(missing_ok=True)

    def kept(self) -> str:
        """Describe what is on disk after an interruption."""
        if not self._is_begun:
            return f"nothing was written but {LOG}"
        if stamp(self._bundle) != self._bundle_before:
            return "the training is finished, and all results are written"
        before = "; the results of the previous training are still there" if any(self._bundle_before) else ""
        if not self.checkpoint.is_file():
            return f"no epoch was finished, so nothing was saved{before}"
        from ptycho_torch.training.fit import read_checkpoint

        again = "with --resume instead of --overwrite" if self._options["overwrite"] else "with --resume"
        try:
            epochs = len(read_checkpoint(self.checkpoint).losses.epochs)
        except (ValueError, OSError) as unreadable:
            return f"{self.checkpoint} exists, but cannot be read: {unreadable}"
        return f"the state after epoch {epochs} is kept; the same command {again} continues from there{before}"


def _require_same_training(checkpoint: Path, task: Task) -> None:
    from ptycho_torch.training.fit import read_checkpoint, require_same_task

    if not checkpoint.is_file():
        raise ValueError(f"{checkpoint.parent}: found no finished epoch to continue; run without --resume")
    kept = read_checkpoint(checkpoint)
    require_same_task(kept, task, checkpoint)
    log.info("continuing after epoch %d", len(kept.losses.epochs))


class _Bar:
    """Show a progress bar if there is a terminal, and log a line for every epoch."""

    def __init__(self, epochs: int, interrupts: Interrupts, least: LossCurve) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self.epochs = epochs
        self.interrupts = interrupts
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
        self.interrupts.check()
        self.bar.update(self.shown, epoch=epoch, completed=(epoch - 1) * batches + done, total=self.epochs * batches)

    def epoch(self, finished: Epoch) -> None:
        log.info(
            "epoch %d of %d: loss %.7g (%.4g above the least possible), val_loss %.7g (%.4g), learning rate %g",
            *(finished.epoch, self.epochs, finished.loss, finished.loss - self.least.least_loss),
            *(finished.val_loss, finished.val_loss - self.least.least_val_loss, finished.learning_rate),
        )


if __name__ == "__main__":
    run(main)
