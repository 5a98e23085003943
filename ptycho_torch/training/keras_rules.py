"""Keras's rules for the optimiser, the learning rate, the early stop, the validation samples and an epoch's loss.

``ptycho_torch.training.fit`` follows them. See docs/conventions.md, "Training".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ptycho_torch.config_params import TrainingConfig

_MOVING = ("best", "cooldown_counter", "last_epoch", "num_bad_epochs", "_last_lr")
"""Entries of the schedule's state that a training changes; the others are its settings."""


class KerasAdam(torch.optim.Adam):
    """Adam as in Keras, which adds epsilon in a different place.

    Keras adds epsilon to the square root of the *running* second moment, Torch to that of the bias-corrected moment. To
    agree, Torch's epsilon must be ``epsilon / sqrt(1 - beta_2**t)`` at step t: 30 times Keras's at first.

    Args:
        parameters: parameters to train.
        epsilon: Keras's epsilon; each parameter group keeps it as ``keras_eps``.
        options: options of ``torch.optim.Adam``, without ``eps``.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, epsilon: float = 1e-7, **options: Any) -> None:
        super().__init__(parameters, eps=epsilon, **options)
        own = {"keras_eps": epsilon, "steps": 0}
        self.defaults |= own  # for parameter groups that are added later
        for group in self.param_groups:
            for name, value in own.items():
                group.setdefault(name, value)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step. Arguments and result are those of ``torch.optim.Adam.step``."""
        for group in self.param_groups:
            group["steps"] += 1
            group["eps"] = group["keras_eps"] / math.sqrt(1 - group["betas"][1] ** group["steps"])
        return super().step(closure)  # type: ignore[no-any-return]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state. Arguments and errors are those of ``torch.optim.Adam.load_state_dict``.

        The moments get the memory layout of their parameters, because the fused step reads both in memory order, and
        files do not store the layout.
        """
        super().load_state_dict(state_dict)
        for parameter, state in self.state.items():
            for name, value in state.items():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    state[name] = torch.empty_like(parameter).copy_(value)


def adam(model: nn.Module, config: TrainingConfig) -> KerasAdam:
    """Make the optimiser of a model: Keras's Adam with the configuration's learning rate, betas and epsilon.

    Raises:
        ValueError: the configuration requests weight decay or clipped gradients, which are not ported.
    """
    for name in ("weight_decay", "gradient_clip_norm"):
        if getattr(config, name) is not None:
            raise ValueError(f"TrainingConfig.{name}: expected None, found {getattr(config, name)}; it is not ported")
    return KerasAdam(
        model.parameters(),
        lr=config.learning_rate,
        betas=(config.adam_beta_1, config.adam_beta_2),
        epsilon=config.adam_epsilon,
        amsgrad=config.adam_amsgrad,
        fused=True,
    )


def plateau_schedule(optimizer: torch.optim.Optimizer, config: TrainingConfig) -> ReduceLROnPlateau:
    """Make the schedule that lowers the learning rate on a plateau of the validation loss.

    It multiplies the rate by ``plateau_factor`` after ``plateau_patience`` epochs without a better loss. Better means
    below the best by more than ``plateau_min_delta`` (absolute). Call ``step(val_loss)`` after each epoch.
    """
    return ReduceLROnPlateau(
        optimizer,
        mode="min",
        factor=config.plateau_factor,
        # Torch waits for one bad epoch more than its patience, Keras for exactly its patience.
        patience=max(config.plateau_patience - 1, 0),
        threshold=config.plateau_min_delta,
        threshold_mode="abs",
        min_lr=config.plateau_min_lr,
        eps=0,
    )


class EarlyStop:
    """The early stop: training ends after ``patience`` consecutive epochs without a better loss.

    Better means below the best by more than ``min_delta``; NaN is never better. The last weights are kept, not the
    best.

    Args:
        patience: number of epochs.
        min_delta: absolute difference of losses.

    Attributes:
        best: lowest loss so far.
        waited: number of epochs since then.
    """

    def __init__(self, patience: int = 3, min_delta: float = 0.0) -> None:
        self.patience = patience
        self.min_delta = min_delta
        self.best = math.inf
        self.waited = 0

    def step(self, loss: float) -> bool:
        """Record the loss of an epoch; return whether to stop after it."""
        if loss + self.min_delta < self.best:
            self.best, self.waited = loss, 0
            return False  # even if patience is 0
        self.waited += 1
        return self.waited >= self.patience


class EpochEnd:
    """Keras's callbacks after each epoch: set the learning rate of the next epoch, or end the training.

    Args:
        optimizer: optimiser whose learning rate falls on a plateau (``plateau_schedule``).
        config: training configuration, with the watched loss, patience and threshold of each rule.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, config: TrainingConfig) -> None:
        self._schedule = plateau_schedule(optimizer, config)
        self._schedule_watches = config.plateau_monitor
        self._stop = EarlyStop(config.early_stop_patience, config.early_stop_min_delta)
        self._stop_watches = config.early_stop_monitor

    def step(self, *, loss: float, val_loss: float) -> bool:
        """Record the training and validation loss of an epoch; return whether to stop after it."""
        losses = {"loss": loss, "val_loss": val_loss}
        self._schedule.step(losses[self._schedule_watches])
        return self._stop.step(losses[self._stop_watches])

    def state_dict(self) -> dict[str, Any]:
        """Return the state on which the next epochs depend, without that of the optimiser."""
        return {"schedule": self._schedule.state_dict(), "stop": (self._stop.best, self._stop.waited)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that ``state_dict`` returned; other entries are ignored.

        Raises:
            KeyError: an entry is missing.
            ValueError: an entry is not a number, or belongs to other rules.
        """
        schedule, (best, waited) = dict(state["schedule"]), state["stop"]
        own = self._schedule.state_dict()
        moving = {name: schedule.pop(name) for name in _MOVING}
        if any(schedule[name] != own[name] for name in schedule.keys() & own.keys()):
            raise ValueError("schedule: expected the rules of this training, found others")
        numbers = (
            best,
            waited,
            *(value for value in moving.values() if not isinstance(value, list)),
            *moving["_last_lr"],
        )
        if not all(type(number) in {int, float} for number in numbers):
            raise ValueError("schedule, stop: expected numbers, found something else")
        self._schedule.load_state_dict(own | moving)
        self._stop.best, self._stop.waited = best, waited


def validation_split(n: int, fraction: float) -> tuple[slice, slice]:
    """Split n samples into training and validation samples: the last validate, before any shuffling, as in Keras.

    Args:
        n: number of samples.
        fraction: fraction of the validation samples, above 0 and below 1.

    Returns:
        The slice of the training samples, ``floor(n (1 - fraction))`` of them, and the slice of the validation samples.

    Raises:
        ValueError: one of the two would be empty.
    """
    training = math.floor(n * (1.0 - fraction))
    if not 0 < training < n:
        raise ValueError(f"expected samples to train and to validate, found n = {n} and a fraction of {fraction}")
    return slice(0, training), slice(training, n)


def epoch_loss(sums: Float64[np.ndarray, " batches"], sizes: Int[np.ndarray, " batches"]) -> float:
    """Return the loss of an epoch as Keras reports it: the mean over samples, so a smaller batch counts less.

    Args:
        sums: sum of the samples' losses in each batch.
        sizes: number of samples in each batch.
    """
    return float(sums.sum() / sizes.sum())
