"""Faults of the optimiser, Adam as Keras writes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.case import Arrays, Fault, Trial


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
