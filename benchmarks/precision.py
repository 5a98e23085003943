"""Compare short trainings in bfloat16 and float32: their results and durations.

    python -m benchmarks.precision [--help]

Four trainings see the same patterns of the embedded scan in the same order: N = 64, twice the filters, batches of 16.
Both precisions begin with the weights of the same two seeds. The difference between the two seeds in float32 shows
which differences matter. The mosaic of all patterns is compared with the object. To check the long run against
TensorFlow's envelope, use ``RUN_LONG_INTEGRATION=1 pytest --precision bf16-mixed`` (docs/performance.md).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch

from golden.ptychopinn.simulation.embedded import as_ptychopinn
from ptycho_torch.checks.diagnostics import Evidence, diagnose
from ptycho_torch.config_params import DataConfig, ModelConfig, Precision, TrainingConfig
from ptycho_torch.dataloader import MemoryMappedDataset
from ptycho_torch.files.bundle import Bundle
from ptycho_torch.files.loss_curve import Epoch
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.physics import intensity_scale
from ptycho_torch.precision import cost_of
from ptycho_torch.reconstruction import gather_evidence, predict, stitch
from ptycho_torch.scans.scan import Scan, load_scan
from ptycho_torch.training.batch_order import seeded_order
from ptycho_torch.training.fit import Devices, Task, fit, make_trainer
from ptycho_torch.training.keras_rules import validation_split

PRECISIONS: tuple[Precision, ...] = ("32-true", "bf16-mixed")


class Shown:
    """An observer that prints each epoch to standard error."""

    def batch(self, epoch: int, done: int, batches: int) -> None:
        pass

    def epoch(self, finished: Epoch) -> None:
        click.echo(f"  epoch {finished.epoch}: loss {finished.loss:.7g}, val_loss {finished.val_loss:.7g}", err=True)


def trained(scan: Scan, images: int, epochs: int, seed: int, precision: Precision) -> tuple[Bundle, float]:
    """Train with a seed's initial weights; return the results and the seconds."""
    data = DataConfig(n_images=images, n_subsample=images, subsample_seed=0)
    dataset = MemoryMappedDataset.from_config(scan, data, seed=0)
    config = TrainingConfig(epochs=epochs, precision=precision)
    torch.manual_seed(seed)
    model = PtychoPINN(ModelConfig(), dataset.probe, intensity_scale(data.nphotons, data.N))
    training, _ = validation_split(len(dataset), config.validation_fraction)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        trainer = make_trainer(Path(directory), epochs, Devices("cpu", "1"))
        curve = fit(Task(model, dataset, config, seeded_order(training.stop, 0), 0, {}), trainer, Shown())
    return Bundle(model, data, config, seed, curve), time.perf_counter() - begun


def evidence_of(scan: Scan, bundle: Bundle) -> Evidence:
    """Reconstruct all patterns, in the precision of the training."""
    data = DataConfig(n_images=len(scan), n_subsample=len(scan), subsample_seed=0)
    dataset = MemoryMappedDataset.from_config(scan, data, seed=0)
    found = predict(bundle.model, dataset, precision=bundle.training.precision)
    return gather_evidence(scan, bundle, found, stitch(found.patches, found.offsets))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--images", default=400, show_default=True, help="Patterns to train on.")
@click.option("--epochs", default=6, show_default=True, help="Epochs of each training.")
def main(images: int, epochs: int) -> None:
    """Train twice in float32 and twice in bfloat16, and compare the results."""
    from rich.console import Console
    from rich.table import Table

    slow = cost_of("bf16-mixed", "cpu")
    if slow is not None:
        click.echo(slow, err=True)
    heads = ("loss", "above the least", "val_loss", "above the least", "amplitude error", "seconds")
    table = Table("precision", "seed", *heads)
    with tempfile.TemporaryDirectory() as directory:
        np.savez(Path(directory) / "scan.npz", **as_ptychopinn())  # type: ignore[arg-type]  # NumPy's stubs
        scan = load_scan(Path(directory) / "scan.npz")
        for precision in PRECISIONS:
            for seed in (0, 1):
                click.echo(f"{precision}, seed {seed}", err=True)
                table.add_row(precision, str(seed), *figures(scan, *trained(scan, images, epochs, seed, precision)))
    Console(width=132).print(table)


def figures(scan: Scan, bundle: Bundle, seconds: float) -> Iterator[str]:
    """Make a row of the table: last losses, their distance from the least possible ones, the mosaic's error."""
    curve = bundle.losses
    last = curve.epochs[-1]
    for loss, least in ((last.loss, curve.least_loss), (last.val_loss, curve.least_val_loss)):
        yield f"{loss:.7g}"
        yield f"{loss - least:.4g}"
    quality = diagnose(evidence_of(scan, bundle)).quality
    yield "-" if quality is None else f"{quality.amplitude_error:.3f}"
    yield f"{seconds:.1f}"


if __name__ == "__main__":
    main()
