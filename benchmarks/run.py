"""Compare the speed of the long run with TensorFlow's: an epoch of training; inference and stitching of 512 patterns.

    make bench-run  (or: python -m benchmarks.run --help)

1000 patterns of the embedded scan, N = 64, twice the filters, batches of 16, float32; both begin with the same weights
and see the same batches. An epoch is a complete one: reading the patterns, 60 steps, validation on 50 samples, and the
port's checkpoint. TensorFlow and the port run in separate processes and take turns, one epoch each. TensorFlow is
``golden/ptychopinn/run/reference.py``, whose steps are a ``tf.function``, as in Keras's ``fit``. The port takes two
turns, one in float32, one with ``--precision bf16-mixed``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from benchmarks.turns import Worker
from golden.ptychopinn.run import long as long_run

if TYPE_CHECKING:
    from ptycho_torch.config_params import Precision

MODULE = "benchmarks.run"
WORKERS: dict[str, Precision] = {"port": "32-true", "port, bfloat16": "bf16-mixed"}
(CASE,) = long_run.CASES


class Turns:
    """The worker's side of the turns: it waits for a request and reports the duration."""

    def __init__(self) -> None:
        self.began = 0.0

    def wait(self) -> None:
        """Wait until the next turn."""
        if not sys.stdin.readline():
            raise SystemExit  # the parent process has ended
        self.began = time.perf_counter()

    def done(self, found: float) -> None:
        """Report the end and the results."""
        print(json.dumps([time.perf_counter() - self.began, found]), flush=True)


def given() -> dict[str, Any]:
    """Return inputs and parameters."""
    return {**CASE.complete_inputs(CASE.draw_inputs(0)), **CASE.parameters}


def tensorflow_work(turns: Turns, epochs: int) -> None:
    import tensorflow as tf

    from golden.ptychopinn.reassembly.reference import position
    from golden.ptychopinn.run.reference import Inference, Task, Training

    task = Task.of(tf.float32, given())
    training = Training(task)
    for numbers in task.given["order"][:epochs]:
        turns.wait()
        training.epoch(numbers)
        turns.done(training.epochs[-1][0])
    inference = Inference(task, training.network)
    offsets = task.given["positions"][task.given["inferred"]].reshape(-1, 1, 2, 1)
    while True:
        turns.wait()
        stitched = position(task.real, patches=inference.patches(), offsets=offsets, M=task.given["M"])
        turns.done(brightness(stitched["mosaic"].numpy()))


class EpochByEpoch:
    """An observer that lets the port's training wait for its next turn after every epoch."""

    def __init__(self, turns: Turns, epochs: int) -> None:
        self.turns = turns
        self.epochs = epochs

    def batch(self, epoch: int, done: int, batches: int) -> None:
        pass

    def epoch(self, finished: Any) -> None:
        self.turns.done(finished.loss)
        if finished.epoch < self.epochs:
            self.turns.wait()


def torch_work(turns: Turns, epochs: int, precision: Precision) -> None:
    from ptycho_torch.inference import GROUP_SEED
    from ptycho_torch.reconstruction import predict, stitch
    from tests.torch.runs import run_of, train

    inputs = given()
    # A training has as many epochs as there are orders.
    run = run_of({**inputs, "order": inputs["order"][:epochs], "epochs": epochs})
    dataset = run.dataset(run["images"], run.seed)
    model = run.model(dataset)
    turns.wait()
    train(run, model, dataset, EpochByEpoch(turns, epochs), precision)
    others = run.dataset(run["infer"], GROUP_SEED)
    while True:
        turns.wait()
        prediction = predict(model, others, precision=precision)
        mosaic = stitch(prediction.patches, prediction.offsets, run["M"])
        turns.done(brightness(mosaic.values.numpy()))


def brightness(mosaic: np.ndarray) -> float:
    return float(np.abs(mosaic).mean())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--epochs", default=4, show_default=True, help="Epochs of training; the first has its own column.")
@click.option("--rounds", default=4, show_default=True, help="Turns of inference; the first has its own column.")
@click.option(
    "--python", default=".venv-tensorflow/bin/python", show_default=True, help="An interpreter with TensorFlow."
)
@click.option("--worker", hidden=True)
def main(epochs: int, rounds: int, python: str, worker: str | None) -> None:
    """Time an epoch of the long run, and its inference, against TensorFlow."""
    if worker is not None:
        if worker == "tensorflow":
            tensorflow_work(Turns(), epochs)
        else:
            torch_work(Turns(), epochs, WORKERS[worker])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "framework", "first", "fastest", "median", "x TensorFlow", "x, medians", "what came out")
    arguments = "--epochs", str(epochs)
    workers = {"TensorFlow": Worker(MODULE, "tensorflow", python, arguments)} | {
        name: Worker(MODULE, name, sys.executable, arguments) for name in WORKERS
    }
    try:
        with Console(stderr=True).status("workers take turns"):
            for what, turns, found in (("epoch", epochs, "loss"), ("inference", rounds, "mean modulus")):
                told = [[worker.ask() for worker in workers.values()] for _ in range(turns)]
                for row in rows(dict(zip(workers, zip(*told)))):
                    table.add_row(what, *row[:-1], f"{found} {row[-1]}")
                table.add_section()
    finally:
        for one in workers.values():
            one.close()
    Console(width=132).print(table)


def rows(told: Mapping[str, Sequence[Sequence[float]]]) -> Iterator[tuple[str, ...]]:
    """Make the rows of the table, with durations and results; TensorFlow comes first."""
    best, middle = figures(next(iter(told.values())))
    for framework, turns in told.items():
        fastest, usual = figures(turns)
        seconds = (f"{one:.2f}" for one in (turns[0][0], fastest, usual))
        yield framework, *seconds, f"{best / fastest:.2f}", f"{middle / usual:.2f}", f"{turns[-1][1]:.6g}"


def figures(turns: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the shortest and the median time, without the first, seconds."""
    taken = [seconds for seconds, _ in turns[1:] or turns]
    return min(taken), median(taken)


if __name__ == "__main__":
    main()
