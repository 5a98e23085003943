"""These cases freeze Adam's steps on given gradients, and what Keras calls after each epoch on given losses.

They show what Adam's constants do where gradients are small, and where they change; which loss the learning rate
follows, which loss ends the training, and what counts as better.
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
    """Draw (n,) numbers of three bits, times powers of two from 2**low to 2**high, evenly."""
    return np.asarray(draw.integers(8, 16, (n,)) / 8 * 2.0 ** np.linspace(low, high, n).round(), np.float64)


def _start(draw: Draw, n: int) -> np.ndarray:
    """Draw (n,) values that are small beside a step, so that a step's last digits are kept."""
    return np.asarray(draw.multiples(2**-7, -(2**-3), 2**-3, (n,)), np.float32)


def of_all_sizes(steps: int, n: int) -> Drawing:
    """Draw gradients from 1e-9 to 1e3; each changes by half of itself from step to step, some their sign; two are 0."""

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


_STEP = 2.0**-16
"""Losses are multiples of this: exact in float32, and their differences are never 1e-4, which is 6.55 of it."""
_SIZES = np.array([2, 3, 5, 8, 40, 300])
"""An epoch is better, or worse, than the best before it by one of these numbers of steps."""
_REAL_STEP, _REAL_LOSS = 1.0, -3.9e6
"""A training on 1e9 photons has such losses. Float32 has steps of 1/4 there, so whatever is better is so by 1e-4."""


def _walk(start: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return losses (sequences, n): the start, then each time the lowest so far and a move; none is met twice."""
    losses = [start]
    for move in moves.T:
        losses.append(np.min(losses, axis=0) + move)
    return np.stack(losses, axis=1)


def up_and_down(sequences: int, n: int) -> Drawing:
    """Draw losses that get better and worse at random.

    The first sequence trains better and better, to 0, and validates worse and worse. The second trains worse and worse,
    and validates better and better, mostly by less than 1e-4. The last two are of the real size.
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
        losses[0, n // 2 :, 0] = 0  # equal ones: rounding moves a 0 least of all
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
        "optimizer/schedule",
        SCHEDULE,
        "plateaus, recoveries and improvements around 1e-4, at losses of 1 and of -4e6",
        {"learning_rate": 1e-3},
        up_and_down(8, 15),
    ),
)
