"""These formulas follow Adam, in Keras's form, an epoch of Keras's ``fit``, and its callbacks after each epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

TRAINING, VALIDATION = 0, 1
"""Indices of the last axis of losses (n, 2)."""


def adam(
    *,
    start: np.ndarray,
    gradients: np.ndarray,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    epsilon_after_correction: bool = False,
    epsilon_in_root: bool = False,
    correct_bias: bool = True,
    faster: float = 1.0,
    decay: float = 0.0,
    clip: float = np.inf,
    steps_late: int = 0,
) -> dict[str, np.ndarray]:
    step_size = learning_rate * faster
    values = start.astype(np.float64)
    m, v = np.zeros_like(values), np.zeros_like(values)
    followed = []
    for step, gradient in enumerate(gradients.astype(np.float64), 1 + steps_late):
        g = gradient * min(1.0, clip / float(np.linalg.norm(gradient)))
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        first, second = (1 - beta_1**step, 1 - beta_2**step) if correct_bias else (1.0, 1.0)
        if epsilon_in_root:
            divisor = np.sqrt(v + epsilon) / np.sqrt(second)
        elif epsilon_after_correction:
            divisor = np.sqrt(v / second) + epsilon
        else:
            divisor = (np.sqrt(v) + epsilon) / np.sqrt(second)
        values = values * (1 - step_size * decay) - step_size * (m / first) / divisor
        followed.append(values)
    return {"values": np.array(followed, np.float32)}


# ------------------------------------------------------------------------------------------------ an epoch


def split(n: int, fraction: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Split the numbers of n samples, 0 to n - 1, into those that train and those that validate, which are the last."""
    return np.split(np.arange(n), [int(np.floor(n * (1 - fraction)))])  # type: ignore[return-value]


def over_samples(losses: np.ndarray, batch_size: int) -> float:
    """Return the mean of the samples' losses (n,); a smaller batch counts less."""
    return float(losses.mean())


def epoch(
    *,
    losses: np.ndarray,
    validation_fraction: float,
    batch_size: int,
    split: Callable[[int, float], tuple[np.ndarray, np.ndarray]] = split,
    mean: Callable[[np.ndarray, int], float] = over_samples,
    drop_last: bool = False,
) -> dict[str, np.ndarray]:
    trained, held_back = split(len(losses), validation_fraction)
    sizes = np.array([len(one) for one in batches(trained, batch_size)])
    if drop_last:
        sizes = sizes[sizes == batch_size]
    of_samples = losses.astype(np.float64)
    means = [mean(of_samples[trained[: sizes.sum()]], batch_size), mean(of_samples[held_back], batch_size)]
    return {
        "trained": trained[: sizes.sum()],
        "held_back": held_back,
        "batch_sizes": sizes,
        "epoch_losses": np.array(means, np.float32),
    }


def batches(samples: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut samples (n,) into batches; the last may be smaller."""
    return [samples[first : first + batch_size] for first in range(0, len(samples), batch_size)]


# ------------------------------------------------------------------------------------------------ after each epoch


@dataclass(frozen=True)
class Watch:
    """A rule that watches a loss. An epoch is better if its loss is more than ``least`` below the best loss so far.

    Attributes:
        loss: 0 for the training loss, 1 for the validation loss.
        least: smallest improvement.
        relative: whether ``least`` is a fraction of the best loss; otherwise it is absolute.
        equal: whether an improvement by exactly ``least`` is enough.
        best: the loss that counts as best: that of the last better epoch, the lowest, or that of the previous epoch.
    """

    loss: int
    least: float = 0.0
    relative: bool = False
    equal: bool = False
    best: Literal["better", "lowest", "before"] = "better"

    def better(self, losses: np.ndarray) -> list[bool]:
        """Return for each epoch whether it was better, from losses (n, 2)."""
        best, found = np.inf, []
        for loss in losses[:, self.loss].tolist():
            limit = best * (1 - self.least) if self.relative else best - self.least
            found.append(loss <= limit if self.equal else loss < limit)
            if found[-1] or self.best == "before":
                best = loss
            elif self.best == "lowest":
                best = min(best, loss)
        return found


@dataclass(frozen=True)
class Plateau:
    """A rule that multiplies the learning rate by ``factor`` after ``patience`` consecutive epochs without improvement.

    Attributes:
        lowest: lower limit of the learning rate.
        in_a_row: whether a better epoch restarts the count.
        restarts: whether a reduction restarts the count.
        rests: number of epochs after a reduction that do not count.
        late: number of epochs by which a reduction takes effect too late.
    """

    watch: Watch = Watch(VALIDATION, least=1e-4)
    factor: float = 0.5
    patience: int = 2
    lowest: float = 1e-4
    in_a_row: bool = True
    restarts: bool = True
    rests: int = 0
    late: int = 0

    def rates(self, losses: np.ndarray, start: float) -> list[float]:
        """Return the learning rate of each epoch."""
        rates, waited, rests = [start] * (1 + self.late), 0, 0
        for better in self.watch.better(losses):
            if better and self.in_a_row:
                waited = 0
            elif not better:
                waited += 1
            if rests:
                rests, waited = rests - 1, 0
            if not better and waited >= self.patience:
                rates.append(max(rates[-1] * self.factor, self.lowest))
                waited, rests = 0 if self.restarts else waited, self.rests
            else:
                rates.append(rates[-1])
        return rates[: len(losses)]


@dataclass(frozen=True)
class End:
    """A rule that ends the training after ``patience`` epochs, consecutive or not, without improvement."""

    watch: Watch = Watch(TRAINING)
    patience: int = 3
    in_a_row: bool = True

    def epochs(self, losses: np.ndarray) -> int:
        """Return the number of epochs that are trained."""
        waited = 0
        for epoch, better in enumerate(self.watch.better(losses), start=1):
            waited = waited + 1 if not better else 0 if self.in_a_row else waited
            if waited >= self.patience:
                return epoch
        return len(losses)


_PLATEAU, _END = Plateau(), End()


def schedule(
    *, losses: np.ndarray, learning_rate: float, plateau: Plateau = _PLATEAU, end: End = _END
) -> dict[str, np.ndarray]:
    return {
        "learning_rates": np.array([plateau.rates(one, learning_rate) for one in losses], np.float32),
        "epochs": np.array([end.epochs(one) for one in losses], np.int64),
    }
