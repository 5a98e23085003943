"""Run the port's training and inference on the scan that a golden's seed draws."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from golden.ptychopinn.network.formulas import Structure, split
from golden.ptychopinn.run import mosaics
from ptycho_torch.checks.diagnostics import probe_statistics
from ptycho_torch.config_params import DataConfig, ModelConfig, Precision, TrainingConfig
from ptycho_torch.dataloader import MemoryMappedDataset
from ptycho_torch.files.loss_curve import Epoch, LossCurve
from ptycho_torch.files.tensorflow_weights import from_tensorflow_weights
from ptycho_torch.inference import GROUP_SEED
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.physics import intensity_scale
from ptycho_torch.reconstruction import predict, stitch
from ptycho_torch.scans.scan import Scan
from ptycho_torch.training.batch_order import seeded_order
from ptycho_torch.training.fit import Devices, Progress, Task, fit, make_trainer
from ptycho_torch.training.keras_rules import validation_split

Arrays = dict[str, np.ndarray]
FIRST = 3
"""Number of first steps whose losses are a separate output of a golden."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run as defined by a golden, with its inputs, and its parameters as ``run[name]``."""

    inputs: Mapping[str, np.ndarray]
    parameters: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.parameters[name]

    @property
    def seed(self) -> int:
        """Return the seed of patterns and batches."""
        return int(self.inputs["seed"][0])

    def scan(self) -> Scan:
        M = len(self.inputs["positions"])
        return Scan(
            source=None,
            diffraction=self.inputs["diffraction"],
            positions=self.inputs["positions"],
            start_positions=self.inputs["positions"],
            probe=self.inputs["probe"],
            scan_index=np.zeros(M, np.int64),
            object_guess=self.inputs["object"],
        )

    def dataset(self, images: int, group_seed: int) -> MemoryMappedDataset:
        """Draw a number of the scan's patterns, as the port does."""
        config = DataConfig(
            n_images=images, n_subsample=images, subsample_seed=self.seed, probe_scale=self["probe_scale"]
        )
        return MemoryMappedDataset.from_config(self.scan(), config, seed=group_seed)

    def model(self, dataset: MemoryMappedDataset) -> PtychoPINN:
        """Make a model with the golden's weights."""
        scale = intensity_scale(self["nphotons"], len(dataset.probe))
        model = PtychoPINN(ModelConfig(n_filters_scale=self["n_filters_scale"]), dataset.probe, scale)
        shapes = Structure(64, 1, self["n_filters_scale"], True, True, True).shapes()
        from_tensorflow_weights(model, list(split(self.inputs["weights"], shapes).values()))
        return model


class Silent:
    """An observer that reports nothing."""

    def batch(self, epoch: int, done: int, batches: int) -> None:
        pass

    def epoch(self, finished: Epoch) -> None:
        pass


def train(
    run: Run, model: PtychoPINN, dataset: MemoryMappedDataset, progress: Progress, precision: Precision = "32-true"
) -> LossCurve:
    """Train the port for one epoch per order. The trial of a fault that shows immediately passes fewer orders."""
    epochs = len(run.inputs["order"])
    config = TrainingConfig(
        epochs=epochs,
        batch_size=run["batch_size"],
        learning_rate=run["learning_rate"],
        adam_epsilon=run["epsilon"],
        precision=precision,
    )
    training, _ = validation_split(len(dataset), config.validation_fraction)
    with tempfile.TemporaryDirectory() as directory:
        trainer = make_trainer(Path(directory), epochs, Devices(accelerator="cpu", devices="1"))
        task = Task(model, dataset, config, seeded_order(training.stop, run.seed), 0, {})
        return fit(task, trainer, progress)


def trained(run: Run) -> tuple[PtychoPINN, LossCurve]:
    """Return the model after its training, and the losses."""
    dataset = run.dataset(run["images"], run.seed)
    model = run.model(dataset)
    return model, train(run, model, dataset, Silent())


def training(**given: Any) -> Arrays:
    """Return the outputs of ``run.training``."""
    run = run_of(given)
    _, curve = trained(run)
    steps = np.array([loss for epoch in curve.epochs for loss in epoch.batch_losses], np.float32)
    epochs = np.array([(epoch.loss, epoch.val_loss) for epoch in curve.epochs], np.float32)
    return {
        "first_loss": np.asarray(steps[0]),
        "first_losses": steps[:FIRST],
        "step_losses": steps,
        "epoch_losses": epochs.T.copy(),
    }


def reconstruction(**given: Any) -> Arrays:
    """Return the outputs of ``run.reconstruction``."""
    run = run_of(given)
    model, _ = trained(run)
    found = predict(model, run.dataset(run["infer"], GROUP_SEED))
    mosaic = stitch(found.patches, found.offsets, run["M"])
    count, values = mosaic.count.numpy(), mosaic.values.numpy()
    mask = count > mosaics.COVERED
    centre = run.inputs["positions"][run.inputs["inferred"]].mean(axis=0)
    return {
        "patches": found.patches.numpy()[..., None],
        "canvas_side": np.asarray(len(count), np.int64),
        "covered": mosaics.covered_box(count),
        "mosaic": (values * mask)[..., None],
        "orientation": mosaics.orientation(values, mask, run.inputs["object"], centre),
        "probe_mean": np.asarray(probe_statistics(model.probe.numpy()).masked_mean, np.float32),
        "intensity_scale": model.intensity_scale.numpy(),
    }


def write_weights(path: Path, weights: np.ndarray, parameters: Mapping[str, Any]) -> None:
    """Write a golden's initial weights in the form that ``--initial_weights`` reads."""
    shapes = Structure(64, 1, parameters["n_filters_scale"], True, True, True).shapes()
    with h5py.File(path, "w") as file:
        for place, array in enumerate(split(weights, shapes).values()):
            file[f"weights/{place:03}"] = array


def run_of(given: Mapping[str, Any]) -> Run:
    """Separate inputs, which are arrays, from parameters, which are not."""
    inputs = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
    return Run(inputs, {name: value for name, value in given.items() if name not in inputs})
