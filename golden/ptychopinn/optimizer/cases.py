"""These cases freeze Adam's steps on given gradients, and what Keras's ``fit`` and its callbacks do in an epoch.

They show the effect of Adam's constants where gradients are small or change, the samples that validate, the loss that
the learning rate follows, the loss that ends the training, and what counts as an improvement.
"""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.optimizer import faults, formulas
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.random_inputs import Draw

ADAM = Operation(
    name="optimizer.adam",
    summary="Adam as in Keras: epsilon is added to the root of the second moment before bias correction",
    inputs={
        "start": Input("(n,) float32; values before the first step", "value", "1"),
        "gradients": Input("(steps, n) float32", "step value", "1"),
    },
    outputs=(Output("values", "(steps, n) float32; after each step", "step value", "1", terms=4),),
    parameters={"learning_rate": float},
    formula=formulas.adam,
    faults=faults.ADAM,
)

EPOCH = Operation(
    name="optimizer.epoch",
    summary="an epoch of Keras's fit: the samples that train, those that validate, the batches, and the losses",
    inputs={"losses": Input("(n,) float32; loss of each sample", "sample", "1")},
    outputs=(
        Output("trained", "(t,) int64, ascending; samples that train", "sample", "1"),
        Output("held_back", "(v,) int64; samples that validate", "sample", "1"),
        Output("batch_sizes", "(b,) int64; number of samples in each batch that trains", "batch", "1"),
        Output(
            "epoch_losses",
            "(2,) float32; of training and of validation",
            "loss",
            "1",
            terms=lambda inputs, _: len(inputs["losses"]),
        ),
    ),
    parameters={"validation_fraction": float, "batch_size": int},
    formula=formulas.epoch,
    faults=faults.EPOCH,
)

SCHEDULE = Operation(
    name="optimizer.schedule",
    summary="Keras's callbacks: learning rate lowered on a plateau of the validation loss, end by the training loss",
    inputs={
        "losses": Input(
            "(sequences, n, 2) float64; of training and of validation, after each of n epochs",
            "sequence epoch loss",
            "1",
        )
    },
    outputs=(
        Output(
            "learning_rates",
            "(sequences, n) float32; with which each epoch is trained, as if none were the last",
            "sequence epoch",
            "1",
        ),
        Output(
            "epochs", "(sequences,) int64; number of epochs trained, n if nothing ends training early", "sequence", "1"
        ),
    ),
    parameters={"learning_rate": float},
    formula=formulas.schedule,
    faults=faults.SCHEDULE,
)


def _magnitudes(draw: Draw, n: int, low: int, high: int) -> np.ndarray:
    """Draw (n,) three-bit numbers times powers of two, uniformly from 2**low to 2**high."""
    return np.asarray(draw.integers(8, 16, (n,)) / 8 * 2.0 ** np.linspace(low, high, n).round(), np.float64)


def _start(draw: Draw, n: int) -> np.ndarray:
    """Draw (n,) values that are small compared with a step, so that a step's last digits are kept."""
    return np.asarray(draw.multiples(2**-7, -(2**-3), 2**-3, (n,)), np.float32)


def of_all_sizes(steps: int, n: int) -> Drawing:
    """Draw gradients from 1e-9 to 1e3. From step to step, each changes by half, and some change sign; two are 0."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        size = _magnitudes(draw, n, -30, 10)
        changing = draw.multiples(1 / 8, -0.5, 1.5, (steps, n))
        gradients = size * np.where(np.abs(changing) < 0.1, 1, changing) * (1 - 2 * draw.integers(0, 2, (n,)))
        gradients[:, 20:22] = 0
        return {"start": _start(draw, n), "gradients": gradients.astype(np.float32)}

    return make


def near_epsilon(steps: int, n: int) -> Drawing:
    """Draw gradients of 1e-9 to 1e-5, where epsilon decides, the same in every step."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        gradients = np.repeat(_magnitudes(draw, n, -30, -17)[None], steps, axis=0)
        return {"start": _start(draw, n), "gradients": gradients.astype(np.float32)}

    return make


def distinct(n: int) -> Drawing:
    """Draw n losses, all different, multiples of 2**-10 below 8, so that sums of them are exact in float32."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        order = np.argsort(draw.integers(0, 2**30, (2**13,)), kind="stable")
        return {"losses": (order[:n] * 2.0**-10).astype(np.float32)}

    return make


_STEP = 2.0**-16
"""Unit of the losses. They are exact in float32, and their differences are never 1e-4, which is 6.55 units."""
_SIZES = np.array([2, 3, 5, 8, 40, 300])
"""Differences, in units, of an epoch's loss from the best loss before it."""
_REAL_STEP, _REAL_LOSS = 1.0, -3.9e6
"""Losses of a training on 1e9 photons. There, float32 has a spacing of 1/4, so any improvement exceeds 1e-4."""


def _walk(start: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return distinct losses (sequences, n): the start, then each time the lowest loss so far plus a move."""
    losses = [start]
    for move in moves.T:
        losses.append(np.min(losses, axis=0) + move)
    return np.stack(losses, axis=1)


def up_and_down(sequences: int, n: int) -> Drawing:
    """Draw losses that get better and worse at random.

    In the first sequence, the training loss falls, to 0, and the validation loss rises. In the second, the training
    loss rises, and the validation loss falls, mostly by less than 1e-4. The last two are of realistic size.
    """

    def moves(draw: Draw) -> np.ndarray:
        signs = 1 - 2 * draw.integers(0, 2, (sequences, n - 1))
        return np.asarray(signs * _SIZES[draw.integers(0, len(_SIZES), (sequences, n - 1))])

    def make(draw: Draw) -> dict[str, np.ndarray]:
        training, validation = moves(draw), moves(draw)
        training[0], validation[0] = -abs(training[0]), abs(validation[0])
        training[1], validation[1] = abs(training[1]), -_SIZES[draw.integers(0, 3, (n - 1,))]
        starts = draw.multiples(1 / 4, 1, 4, (2, sequences)) * (1 - 2 * draw.integers(0, 2, (2, sequences)))
        starts[0, 0] = abs(starts[0, 0])
        steps = np.full((sequences, 1), _STEP)
        steps[-2:] = _REAL_STEP
        starts[:, -2:] += _REAL_LOSS
        losses = np.stack([_walk(*pair) for pair in zip(starts, (steps * training, steps * validation))], axis=2)
        losses[0, n // 2 :, 0] = 0  # equal losses; rounding does not change a 0
        return {"losses": losses}

    return make


CASES = (
    Case(
        "optimizer/adam",
        ADAM,
        "Adam with gradients of all sizes that vary from step to step",
        {"learning_rate": 1e-3},
        of_all_sizes(7, 48),
    ),
    Case(
        "optimizer/adam_near_epsilon",
        ADAM,
        "Adam with constant gradients of the size of epsilon",
        {"learning_rate": 1e-3},
        near_epsilon(5, 32),
    ),
    Case(
        "optimizer/epoch_n101",
        EPOCH,
        "samples whose twentieth is not a whole number: 95 of 101 train",
        {"validation_fraction": 0.05, "batch_size": 4},
        distinct(101),
    ),
    Case(
        "optimizer/schedule",
        SCHEDULE,
        "plateaus, recoveries and improvements around 1e-4, at losses of 1 and of -4e6",
        {"learning_rate": 1e-3},
        up_and_down(8, 15),
    ),
)
