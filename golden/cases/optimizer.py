"""The optimiser on gradients that are given: what its constants do where gradients are small, and where they change."""

from __future__ import annotations

import numpy as np

from golden.case import Case, Drawing, Operation, Output, hidden
from golden.draw import Draw
from golden.faults import optimizer as faults

ADAM = Operation(
    name="optimizer.adam",
    summary="Adam with Keras's constants: epsilon is added to the root of the running second moment",
    inputs={
        "start": "(n,) float32; values before the first step",
        "gradients": "(steps, n) float32",
    },
    outputs=(Output("values", "(steps, n) float32; after each step", terms=4),),
    faults=faults.ADAM,
)


def _magnitudes(draw: Draw, n: int, low: int, high: int) -> np.ndarray:
    """(n,): three bits each, times powers of two from 2**low to 2**high, evenly."""
    return np.asarray(draw.integers(8, 16, (n,)) / 8 * 2.0 ** np.linspace(low, high, n).round(), np.float64)


def _start(draw: Draw, n: int) -> np.ndarray:
    """(n,): small beside a step, so that a step's last digits are kept."""
    return np.asarray(draw.multiples(2**-7, -(2**-3), 2**-3, (n,)), np.float32)


def of_all_sizes(steps: int, n: int) -> Drawing:
    """From 1e-9 to 1e3, each changing by half of itself from step to step, some their sign; two are 0."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        size = _magnitudes(draw, n, -30, 10)
        changing = draw.multiples(1 / 8, -0.5, 1.5, (steps, n))
        gradients = size * np.where(np.abs(changing) < 0.1, 1, changing) * (1 - 2 * draw.integers(0, 2, (n,)))
        gradients[:, 20:22] = 0
        return {"start": _start(draw, n), "gradients": gradients.astype(np.float32)}

    return make


def near_epsilon(steps: int, n: int) -> Drawing:
    """About 1e-9 to 1e-5, where epsilon decides, and the same in every step."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        gradients = np.repeat(_magnitudes(draw, n, -30, -17)[None], steps, axis=0)
        return {"start": _start(draw, n), "gradients": gradients.astype(np.float32)}

    return make


CASES = (
    Case("optimizer/adam", ADAM, "gradients of all sizes, which change", {"learning_rate": 1e-3}, of_all_sizes(7, 48)),
    Case(
        "optimizer/adam_near_epsilon",
        ADAM,
        "gradients of the size of epsilon, which do not change",
        {"learning_rate": 1e-3},
        near_epsilon(5, 32),
        invisible=hidden("the gradients' norm is far below 1", "clipped")
        | hidden("gradients do not change, and neither does their mean", "beta_1_other"),
    ),
)
