"""These faults get Adam, in Keras's form, an epoch of Keras's ``fit``, or its callbacks wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.ptychopinn.optimizer.formulas import (
    TRAINING,
    VALIDATION,
    End,
    Plateau,
    Watch,
    adam,
    batches,
    epoch,
    schedule,
    split,
)
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial

# ------------------------------------------------------------------------------------------------ conditions

_SMALL = Condition(
    "the norm of the gradients is below 1", lambda inputs, _: np.linalg.norm(inputs["gradients"], axis=1).max() < 1
)
_UNCHANGED = Condition(
    "all gradients are equal, so their running mean is the gradient",
    lambda inputs, _: bool((inputs["gradients"] == inputs["gradients"][0]).all()),
)


def _with(name: str, symptom: str, **changes: Any) -> Fault:
    return Fault.of_formula(name, symptom, adam, **changes)


def _plain(t: Trial) -> Arrays:
    moved = np.cumsum(t.inputs["gradients"].astype(np.float64), axis=0)
    return {"values": (t.inputs["start"] - t.parameters["learning_rate"] * moved).astype(np.float32)}


ADAM = (
    _with("epsilon_of_torch", "epsilon is 1e-8, Torch's default; expected 1e-7", epsilon=1e-8),
    _with(
        "epsilon_after_correction",
        "epsilon is added after bias correction, as in Torch; expected before, as in Keras",
        epsilon_after_correction=True,
    ),
    _with("epsilon_in_root", "epsilon is added inside the square root; expected outside", epsilon_in_root=True),
    _with("beta_1_other", "beta_1 is 0.99; expected 0.9", beta_1=0.99).invisible_when(_UNCHANGED),
    _with("beta_2_other", "beta_2 is 0.99; expected 0.999", beta_2=0.99),
    _with("bias_correction_omitted", "moments are not bias-corrected; expected bias correction", correct_bias=False),
    _with("learning_rate_tenfold", "the learning rate is ten times too large; expected the given one", faster=10.0),
    _with("ascent", "values move up the gradient; expected down", faster=-1.0),
    _with("decayed", "values decay by 0.1 * learning rate, as in AdamW; expected no weight decay", decay=0.1),
    _with("clipped", "gradients are clipped to norm 1; expected no clipping", clip=1.0).invisible_when(_SMALL),
    _with("steps_counted_late", "bias correction counts steps from 2; expected from 1", steps_late=1),
    Fault("gradient_descent", "values move by learning rate * gradient; expected Adam", _plain),
)


# ------------------------------------------------------------------------------------------------ an epoch

Parts = tuple[np.ndarray, np.ndarray]
"""Samples that train, and samples that validate."""


def _first_validate(n: int, fraction: float) -> Parts:
    trained, held_back = split(n, fraction)
    return trained + len(held_back), held_back - len(trained)


def _random_part(n: int, fraction: float) -> Parts:
    order = np.random.RandomState(0).permutation(n)
    trained, held_back = split(n, fraction)
    return np.sort(order[trained]), np.sort(order[held_back])


def _spread(n: int, fraction: float) -> Parts:
    step = round(1 / fraction)
    return np.setdiff1d(np.arange(n), np.arange(0, n, step)), np.arange(0, n, step)


def _down(n: int, fraction: float) -> Parts:
    at = n - int(np.floor(n * fraction))
    return np.arange(at), np.arange(at, n)


def _all_train(n: int, fraction: float) -> Parts:
    return np.arange(n), split(n, fraction)[1]


def _exchanged(n: int, fraction: float) -> Parts:
    trained, held_back = split(n, fraction)
    return held_back, trained


def _over_batches(losses: np.ndarray, batch_size: int) -> float:
    return float(np.mean([part.mean() for part in batches(losses, batch_size)]))


def _of_last_batch(losses: np.ndarray, batch_size: int) -> float:
    return float(batches(losses, batch_size)[-1].mean())


def _sum_of_batches(losses: np.ndarray, batch_size: int) -> float:
    return float(np.sum([part.mean() for part in batches(losses, batch_size)]))


def _epoch(name: str, symptom: str, **parts: Any) -> Fault:
    return Fault.of_formula(name, symptom, epoch, **parts)


EPOCH = (
    _epoch("first_validate", "the first samples validate; expected the last", split=_first_validate),
    _epoch(
        "shuffled_before_split",
        "samples are shuffled before the split; expected the last ones to validate",
        split=_random_part,
    ),
    _epoch("spread", "every twentieth sample validates, from the first on; expected the last samples", split=_spread),
    _epoch(
        "validation_rounded_down",
        "the validation part is rounded down; expected the training part rounded down",
        split=_down,
    ),
    _epoch("all_train", "samples that validate also train; expected them held back", split=_all_train),
    _epoch("exchanged", "the last samples train, and the others validate; expected the reverse", split=_exchanged),
    _epoch(
        "last_batch_dropped", "the last, smaller batch of an epoch is dropped; expected all samples", drop_last=True
    ),
    _epoch(
        "mean_over_batches",
        "an epoch's loss is the mean over its batches; expected over its samples",
        mean=_over_batches,
    ),
    _epoch(
        "loss_of_last_batch",
        "an epoch's loss is that of its last batch; expected the mean over its samples",
        mean=_of_last_batch,
    ),
    _epoch(
        "losses_summed",
        "an epoch's loss is the sum over its batches; expected the mean over its samples",
        mean=_sum_of_batches,
    ),
    Fault.of_outputs(
        "losses_exchanged",
        "the validation loss comes first; expected the training loss first",
        lambda outputs: {"epoch_losses": outputs["epoch_losses"][::-1].copy()},
    ),
)


# ------------------------------------------------------------------------------------------------ after each epoch


def _plateau(name: str, symptom: str, **changes: Any) -> Fault:
    return Fault.of_formula(name, symptom, schedule, plateau=Plateau(**changes))


def _end(name: str, symptom: str, **changes: Any) -> Fault:
    return Fault.of_formula(name, symptom, schedule, end=End(**changes))


SCHEDULE = (
    _plateau(
        "plateau_patience_of_torch",
        "the learning rate falls an epoch late, as in Torch; expected after two without improvement",
        patience=3,
    ),
    _plateau(
        "plateau_patience_1", "the learning rate falls after one epoch without improvement; expected two", patience=1
    ),
    _plateau(
        "factor_tenth", "the learning rate falls to a tenth, the default of Torch and Keras; expected half", factor=0.1
    ),
    _plateau("no_lower_limit", "the learning rate falls without limit; expected no lower than 1e-4", lowest=0.0),
    _plateau(
        "min_lr_of_port",
        "the learning rate falls to 5e-5, as early ports had it; expected no lower than 1e-4",
        lowest=5e-5,
    ),
    _plateau("reduced_once", "the learning rate falls once; expected at every plateau", lowest=5e-4),
    _plateau(
        "plateau_on_training",
        "the learning rate follows the training loss; expected the validation loss",
        watch=Watch(TRAINING, least=1e-4),
    ),
    _plateau(
        "improvement_relative",
        "the least improvement is relative, as in Torch; expected 1e-4 absolute",
        watch=Watch(VALIDATION, least=1e-4, relative=True),
    ),
    _plateau(
        "every_improvement",
        "any decrease of the validation loss is an improvement; expected more than 1e-4",
        watch=Watch(VALIDATION),
    ),
    _plateau(
        "lowest_is_best",
        "a decrease by less than 1e-4 updates the best validation loss; expected no update",
        watch=Watch(VALIDATION, least=1e-4, best="lowest"),
    ),
    _plateau(
        "plateau_against_last",
        "the validation loss is compared with the previous one; expected the best one",
        watch=Watch(VALIDATION, least=1e-4, best="before"),
    ),
    _plateau(
        "plateau_not_in_a_row",
        "epochs without better validation loss add up; expected a better one to restart the count",
        in_a_row=False,
    ),
    _plateau(
        "patience_not_restarted",
        "after a reduction each epoch without improvement reduces; expected the count to restart",
        restarts=False,
    ),
    _plateau("cooldown", "the epoch after a reduction is not counted; expected it counted", rests=1),
    _plateau("reduced_late", "a reduction takes effect one epoch late; expected in the next epoch", late=1),
    _end(
        "end_on_validation",
        "training ends on the validation loss; expected the training loss",
        watch=Watch(VALIDATION),
    ),
    _end("end_patience_2", "training ends after two epochs without improvement; expected three", patience=2),
    _end("end_patience_4", "training ends after four epochs without improvement; expected three", patience=4),
    _end("never_ends", "training ends after 100 epochs without improvement; expected three", patience=100),
    _end(
        "end_least_improvement",
        "a training loss must fall by 1e-4 to improve; expected any decrease to count",
        watch=Watch(TRAINING, least=1e-4),
    ),
    _end(
        "end_equal_is_better",
        "an equal training loss is an improvement; expected only a lower one",
        watch=Watch(TRAINING, equal=True),
    ),
    _end(
        "end_against_last",
        "the training loss is compared with the previous one; expected the best one",
        watch=Watch(TRAINING, best="before"),
    ),
    _end(
        "end_not_in_a_row",
        "epochs without lower training loss add up; expected a lower one to restart the count",
        in_a_row=False,
    ),
)
