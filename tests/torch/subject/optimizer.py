"""Adam, an epoch of a training, and the schedule of the learning rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ptycho_torch.config_params import TrainingConfig
from ptycho_torch.training.batch_order import EpochBatches
from ptycho_torch.training.keras_rules import EpochEnd, adam, epoch_loss, validation_split
from tests.torch.subject.layouts import Outputs, array


def optimizer_adam(*, start: np.ndarray, gradients: np.ndarray, learning_rate: float) -> Outputs:
    model = torch.nn.ParameterList([torch.from_numpy(start.copy())])
    optimizer = adam(model, TrainingConfig(learning_rate=learning_rate))
    values = []
    for gradient in gradients:
        model[0].grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        values.append(array(model[0]).copy())
    return {"values": np.array(values)}


def optimizer_epoch(*, losses: np.ndarray, validation_fraction: float, batch_size: int) -> Outputs:
    numbers = np.arange(len(losses))
    trained, held_back = (numbers[part] for part in validation_split(len(losses), validation_fraction))
    batches, validated = (_batches(samples, batch_size) for samples in (trained, held_back))
    return {
        "trained": np.concatenate(batches),
        "held_back": np.concatenate(validated),
        "batch_sizes": np.array([len(batch) for batch in batches]),
        "epoch_losses": np.array([_epoch_loss(losses, batches), _epoch_loss(losses, validated)], np.float32),
    }


def _batches(samples: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Return the batches of an epoch."""
    return [np.array(batch) for batch in EpochBatches(lambda _: samples, len(samples), batch_size)]


def _epoch_loss(losses: np.ndarray, batches: list[np.ndarray]) -> float:
    """Return the loss of an epoch, from the losses of samples."""
    sums = np.array([losses[batch].sum(dtype=np.float64) for batch in batches])
    return epoch_loss(sums, np.array([len(batch) for batch in batches]))


def optimizer_schedule(*, losses: np.ndarray, learning_rate: float) -> Outputs:
    rates, epochs = zip(*(epochs_of(sequence, learning_rate) for sequence in losses.tolist()))
    return {"learning_rates": np.array(rates, np.float32), "epochs": np.array(epochs, np.int64)}


def epochs_of(losses: Sequence[tuple[float, float]], learning_rate: float) -> tuple[list[float], int]:
    """Return the learning rate of every epoch, also after the early stop, and the number of epochs until then."""
    config = TrainingConfig(learning_rate=learning_rate)
    optimizer = adam(torch.nn.ParameterList([torch.zeros(1)]), config)
    epoch_end, rates, ended = EpochEnd(optimizer, config), [], []
    for loss, val_loss in losses:
        rates.append(optimizer.param_groups[0]["lr"])
        ended.append(epoch_end.step(loss=loss, val_loss=val_loss))
    return rates, ended.index(True) + 1 if any(ended) else len(losses)
