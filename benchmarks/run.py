"""The long run beside TensorFlow's, in one run, as ratios: an epoch of training, and 512 patterns inferred and stitched.

    make bench-run  (or: python -m benchmarks.run --help)

1000 patterns of the embedded scan, N = 64, twice the filters, batches of 16, float32; both begin with the same weights
and see the same batches. An epoch is what it is in a training: patterns are read, 60 steps, 50 samples validate, a
checkpoint is written. TensorFlow and the port run in processes of their own and take turns, an epoch each. TensorFlow is
``golden/reference/run.py``, whose steps are a ``tf.function``, as in Keras's ``fit``.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import click
import numpy as np

from benchmarks.turns import Worker
from golden import long_run

MODULE = "benchmarks.run"
(CASE,) = long_run.CASES


def given() -> dict[str, Any]:
    """Inputs and parameters."""
    return {**CASE.complete_inputs(CASE.draw_inputs(0)), **CASE.parameters}


# ------------------------------------------------------------------------------------------------ what each does


def tensorflow_work() -> None:
    import tensorflow as tf

    from golden.reference import run

    task = run._Task.of(tf.float32, given())
    training = run._Training(task)
    asked = questions()
    for epoch in next(asked):
        training.epoch(task.given["order"][epoch])
        answer(training.epochs[-1])
        next(asked)
    run._trained = lambda task: training.left()
    for _ in asked:
        answer(float(np.abs(run._reconstruction(task)["mosaic"]).mean()))


class Turns:
    """Lets a training wait after each epoch until it is asked for the next."""

    def __init__(self, asked: Iterator[Any]) -> None:
        self.asked = asked

    def batch(self, epoch: int, done: int, batches: int) -> None:
        pass

    def epoch(self, finished: Any) -> None:
        answer((finished.loss, finished.val_loss))
        next(self.asked)
