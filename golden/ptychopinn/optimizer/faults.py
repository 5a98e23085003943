"""Faults of the optimiser, Adam as Keras writes it, and of what Keras calls after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from golden.spec.arrays import Arrays
from golden.spec.fault import Fault, Trial


def adam(
    t: Trial,
    *,
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
    """The operation's outputs; as they should be unless told otherwise."""
    learning_rate = float(t.parameters["learning_rate"] or 0) * faster
    values = t.inputs["start"].astype(np.float64)
    m, v = np.zeros_like(values), np.zeros_like(values)
    followed = []
    for step, gradient in enumerate(t.inputs["gradients"].astype(np.float64), 1 + steps_late):
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
        values = values * (1 - learning_rate * decay) - learning_rate * (m / first) / divisor
        followed.append(values)
    return {"values": np.array(followed, np.float32)}


def _with(name: str, symptom: str, **changes: Any) -> Fault:
    return Fault(name, symptom, lambda t: adam(t, **changes))


def _plain(t: Trial) -> Arrays:
    learning_rate = float(t.parameters["learning_rate"] or 0)
    moved = np.cumsum(t.inputs["gradients"].astype(np.float64), axis=0)
    return {"values": (t.inputs["start"] - learning_rate * moved).astype(np.float32)}


ADAM = (
    _with("epsilon_of_torch", "epsilon is 1e-8, Torch's default; expected 1e-7", epsilon=1e-8),
    _with(
        "epsilon_after_correction",
        "epsilon is added to the root of the corrected moment, as in Torch; expected to that of the running one",
        epsilon_after_correction=True,
    ),
    _with("epsilon_in_root", "epsilon is added under the root; expected to the root", epsilon_in_root=True),
    _with("beta_1_other", "beta_1 is 0.99; expected 0.9", beta_1=0.99),
    _with("beta_2_other", "beta_2 is 0.99; expected 0.999", beta_2=0.99),
    _with(
        "bias_correction_omitted", "moments are not corrected for their bias; expected them to be", correct_bias=False
    ),
    _with("learning_rate_tenfold", "steps are ten times as long; expected the learning rate as given", faster=10.0),
    _with("ascent", "values move up the gradient; expected down", faster=-1.0),
    _with("decayed", "values decay by 0.1 of the learning rate, as in AdamW; expected no decay", decay=0.1),
    _with("clipped", "gradients are clipped to a norm of 1; expected them as they are", clip=1.0),
    _with(
        "steps_counted_late", "the first step is corrected as the second; expected steps to count from 1", steps_late=1
    ),
    Fault("gradient_descent", "values move by the gradient times the learning rate; expected Adam", _plain),
)


# ------------------------------------------------------------------------------------------------ after each epoch

_TRAINING, _VALIDATION = 0, 1


@dataclass(frozen=True)
class Watch:
    """A loss that is watched, and what counts as better: more than ``least`` below the best of those that were.

    Attributes:
        loss: 0 that of training, 1 that of validation.
        least: absolute, or a fraction of the best.
        relative: which of the two.
        equal: whether exactly that much is enough.
        best: what a loss is held against: the last one that was better, the lowest, or the one before.
    """

    loss: int
    least: float = 0.0
    relative: bool = False
    equal: bool = False
    best: Literal["better", "lowest", "before"] = "better"

    def better(self, losses: np.ndarray) -> list[bool]:
        """(n, 2) losses -> of each epoch, whether it was better."""
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
    """The learning rate: times ``factor`` after ``patience`` epochs in a row that were not better.

    Attributes:
        lowest: it does not fall below this one.
        in_a_row: whether a better epoch starts the count again.
        restarts: whether a reduction does.
        rests: epochs after a reduction that do not count.
        late: epochs that it takes effect later.
    """

    watch: Watch = Watch(_VALIDATION, least=1e-4)
    factor: float = 0.5
    patience: int = 2
    lowest: float = 1e-4
    in_a_row: bool = True
    restarts: bool = True
    rests: int = 0
    late: int = 0

    def rates(self, losses: np.ndarray, start: float) -> list[float]:
        """Those with which each epoch is trained."""
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
    """The end of training: after ``patience`` epochs, in a row or not, that were not better."""

    watch: Watch = Watch(_TRAINING)
    patience: int = 3
    in_a_row: bool = True

    def epochs(self, losses: np.ndarray) -> int:
        """How many are trained."""
        waited = 0
        for epoch, better in enumerate(self.watch.better(losses), start=1):
            waited = waited + 1 if not better else 0 if self.in_a_row else waited
            if waited >= self.patience:
                return epoch
        return len(losses)


_PLATEAU, _END = Plateau(), End()


def schedule(t: Trial, plateau: Plateau = _PLATEAU, end: End = _END) -> dict[str, np.ndarray]:
    """The operation's outputs; as they should be unless told otherwise."""
    losses, start = t.inputs["losses"], float(t.parameters["learning_rate"] or 0)
    return {
        "learning_rates": np.array([plateau.rates(one, start) for one in losses], np.float32),
        "epochs": np.array([end.epochs(one) for one in losses], np.int64),
    }


def _plateau(name: str, symptom: str, **changes: Any) -> Fault:
    return Fault(name, symptom, lambda t: schedule(t, Plateau(**changes)))


def _end(name: str, symptom: str, **changes: Any) -> Fault:
    return Fault(name, symptom, lambda t: schedule(t, end=End(**changes)))


SCHEDULE = (
    _plateau(
        "plateau_patience_of_torch",
        "the learning rate falls one epoch later, as Torch counts patience; expected after two that were not better",
        patience=3,
    ),
    _plateau(
        "plateau_patience_1", "the learning rate falls after one epoch that was not better; expected two", patience=1
    ),
    _plateau(
        "factor_tenth", "the learning rate falls to a tenth, Torch's and Keras's default; expected half", factor=0.1
    ),
    _plateau("no_lower_limit", "the learning rate falls without limit; expected to 1e-4 at least", lowest=0.0),
    _plateau(
        "min_lr_of_port",
        "the learning rate falls to 5e-5, as early ports had it; expected to 1e-4 at least",
        lowest=5e-5,
    ),
    _plateau("reduced_once", "the learning rate falls once; expected at every plateau", lowest=5e-4),
    _plateau(
        "plateau_on_training",
        "the learning rate follows the training loss; expected the validation loss",
        watch=Watch(_TRAINING, least=1e-4),
    ),
    _plateau(
        "improvement_relative",
        "better is a validation loss that is by 1e-4 of itself, Torch's default; expected 1e-4, absolute",
        watch=Watch(_VALIDATION, least=1e-4, relative=True),
    ),
    _plateau(
        "every_improvement",
        "any lower validation loss is better; expected by more than 1e-4",
        watch=Watch(_VALIDATION),
    ),
    _plateau(
        "lowest_is_best",
        "a validation loss that is lower by less than 1e-4 becomes the best; expected the last that was better",
        watch=Watch(_VALIDATION, least=1e-4, best="lowest"),
    ),
    _plateau(
        "plateau_against_last",
        "a validation loss is held against the one before; expected the best",
        watch=Watch(_VALIDATION, least=1e-4, best="before"),
    ),
    _plateau(
        "plateau_not_in_a_row",
        "epochs whose validation was not better add up; expected a better one to start the count again",
        in_a_row=False,
    ),
    _plateau(
        "patience_not_restarted",
        "after a reduction every epoch that is not better reduces; expected the count to start again",
        restarts=False,
    ),
    _plateau("cooldown", "the epoch after a reduction does not count; expected it to", rests=1),
    _plateau("reduced_late", "reductions take effect one epoch late; expected in the next", late=1),
    _end(
        "end_on_validation",
        "training ends on the validation loss; expected the training loss",
        watch=Watch(_VALIDATION),
    ),
    _end("end_patience_2", "training ends after two epochs that were not better; expected three", patience=2),
    _end("end_patience_4", "training ends after four epochs that were not better; expected three", patience=4),
    _end("never_ends", "training ends after 100 epochs that were not better; expected three", patience=100),
    _end(
        "end_least_improvement",
        "better is a training loss that is by 1e-4, as on a plateau; expected any that is lower",
        watch=Watch(_TRAINING, least=1e-4),
    ),
    _end(
        "end_equal_is_better",
        "a training loss that equals the best is better; expected a lower one only",
        watch=Watch(_TRAINING, equal=True),
    ),
    _end(
        "end_against_last",
        "a training loss is held against the one before; expected the best",
        watch=Watch(_TRAINING, best="before"),
    ),
    _end(
        "end_not_in_a_row",
        "epochs whose training was not better add up; expected a better one to start the count again",
        in_a_row=False,
    ),
)
