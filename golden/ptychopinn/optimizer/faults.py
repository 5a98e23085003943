"""These faults get Adam, as Keras writes it, or what Keras calls after each epoch wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.ptychopinn.optimizer.formulas import TRAINING, VALIDATION, End, Plateau, Watch, adam, schedule
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial

# ------------------------------------------------------------------------------------------------ conditions

_SMALL = Condition(
    "the gradients' norm is far below 1", lambda inputs, _: np.linalg.norm(inputs["gradients"], axis=1).max() < 1
)
_UNCHANGED = Condition(
    "gradients do not change, and neither does their mean",
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
        "epsilon is added to the root of the corrected moment, as in Torch; expected to that of the running one",
        epsilon_after_correction=True,
    ),
    _with("epsilon_in_root", "epsilon is added under the root; expected to the root", epsilon_in_root=True),
    _with("beta_1_other", "beta_1 is 0.99; expected 0.9", beta_1=0.99).invisible_when(_UNCHANGED),
    _with("beta_2_other", "beta_2 is 0.99; expected 0.999", beta_2=0.99),
    _with(
        "bias_correction_omitted", "moments are not corrected for their bias; expected them to be", correct_bias=False
    ),
    _with("learning_rate_tenfold", "steps are ten times as long; expected the learning rate as given", faster=10.0),
    _with("ascent", "values move up the gradient; expected down", faster=-1.0),
    _with("decayed", "values decay by 0.1 of the learning rate, as in AdamW; expected no decay", decay=0.1),
    _with("clipped", "gradients are clipped to a norm of 1; expected them as they are", clip=1.0).invisible_when(
        _SMALL
    ),
    _with(
        "steps_counted_late", "the first step is corrected as the second; expected steps to count from 1", steps_late=1
    ),
    Fault("gradient_descent", "values move by the gradient times the learning rate; expected Adam", _plain),
)


# ------------------------------------------------------------------------------------------------ after each epoch


def _plateau(name: str, symptom: str, **changes: Any) -> Fault:
    return Fault.of_formula(name, symptom, schedule, plateau=Plateau(**changes))


def _end(name: str, symptom: str, **changes: Any) -> Fault:
    return Fault.of_formula(name, symptom, schedule, end=End(**changes))


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
        watch=Watch(TRAINING, least=1e-4),
    ),
    _plateau(
        "improvement_relative",
        "better is a validation loss that is by 1e-4 of itself, Torch's default; expected 1e-4, absolute",
        watch=Watch(VALIDATION, least=1e-4, relative=True),
    ),
    _plateau(
        "every_improvement",
        "any lower validation loss is better; expected by more than 1e-4",
        watch=Watch(VALIDATION),
    ),
    _plateau(
        "lowest_is_best",
        "a validation loss that is lower by less than 1e-4 becomes the best; expected the last that was better",
        watch=Watch(VALIDATION, least=1e-4, best="lowest"),
    ),
    _plateau(
        "plateau_against_last",
        "a validation loss is held against the one before; expected the best",
        watch=Watch(VALIDATION, least=1e-4, best="before"),
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
        watch=Watch(VALIDATION),
    ),
    _end("end_patience_2", "training ends after two epochs that were not better; expected three", patience=2),
    _end("end_patience_4", "training ends after four epochs that were not better; expected three", patience=4),
    _end("never_ends", "training ends after 100 epochs that were not better; expected three", patience=100),
    _end(
        "end_least_improvement",
        "better is a training loss that is by 1e-4, as on a plateau; expected any that is lower",
        watch=Watch(TRAINING, least=1e-4),
    ),
    _end(
        "end_equal_is_better",
        "a training loss that equals the best is better; expected a lower one only",
        watch=Watch(TRAINING, equal=True),
    ),
    _end(
        "end_against_last",
        "a training loss is held against the one before; expected the best",
        watch=Watch(TRAINING, best="before"),
    ),
    _end(
        "end_not_in_a_row",
        "epochs whose training was not better add up; expected a better one to start the count again",
        in_a_row=False,
    ),
)
