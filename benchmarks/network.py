"""Compare the speed of the network with TensorFlow's, within one run: one batch of inference, one step of training.

    make bench-network  (or: python -m benchmarks.network --help)

N = 64, twice the filters, batches of 16, groups of one and of four; float32 unless stated otherwise. TensorFlow and
Torch run in separate processes and take turns, one batch each, so that other load slows both. The table has the
shortest and the median time of each, and its smallest processor time, which includes spinning threads.

TensorFlow runs ``golden/ptychopinn/network/reference.py`` in a ``tf.function``, as Keras's ``fit`` and ``predict`` do,
and once more compiled by XLA, which these choose if possible. Ratios are to the faster one. For fairness, TensorFlow
also runs in bfloat16, by rewriting its graph, although PtychoPINN does not train that way. For the port, each option is
also tried separately:

* bfloat16: the network in bfloat16, as with ``--precision bf16-mixed``.
* channels first: the weights in Torch's default layout.
* doubled first: the decoders' last convolutions on the doubled image.
* one by one: Adam that goes through the parameters in Python.
* compiled: ``torch.compile``. (Needs a C++ compiler.)
* one thread.
* memory kept: ``MALLOC_MMAP_THRESHOLD_`` and ``MALLOC_TRIM_THRESHOLD_`` so high that freed memory is kept.
* passive: ``OMP_WAIT_POLICY=passive``, threads that sleep while they wait for each other.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import click
import numpy as np

from benchmarks.turns import Worker

MODULE = "benchmarks.network"
N, BATCH, SCALE, NPHOTONS = 64, 16, 2, 1e9
TENSORFLOW = ("tensorflow", "tensorflow, XLA")
TENSORFLOW_BFLOAT16 = "tensorflow, bfloat16"
LEVERS = ("ours", "bfloat16", "channels first", "doubled first", "one by one", "compiled", "one thread")
ENOUGH = str(2**40)
ENVIRONMENTS = {
    "memory kept": {"MALLOC_MMAP_THRESHOLD_": ENOUGH, "MALLOC_TRIM_THRESHOLD_": ENOUGH},
    "passive": {"OMP_WAIT_POLICY": "passive"},
}
"""Options that must be set before a process starts."""

Work = Callable[[], object]


def scan(members: int) -> dict[str, np.ndarray]:
    """Return X (B, N, N, C), coords_relative (B, 1, 2, C) and a probe (N, N)."""
    random = np.random.default_rng(members)
    coords = random.uniform(-3, 3, (BATCH, 1, 2, members))
    radius = np.hypot(*np.meshgrid(*2 * [np.arange(N) - N / 2]))
    return {
        "X": random.random((BATCH, N, N, members), np.float32),
        "coords_relative": (coords - coords.mean(axis=3, keepdims=True)).astype(np.float32),
        "probe": np.exp(-(radius**2) / 200 + 1j * radius / 20).astype(np.complex64),
    }


# ------------------------------------------------------------------------------------------------ TensorFlow


def tensorflow_work(what: str, members: int, variant: str) -> Work:
    import tensorflow as tf

    from golden.ptychopinn.network.reference import Network

    if variant == TENSORFLOW_BFLOAT16:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    given = scan(members)
    network = Network(
        tf.float32, N=N, members=members, n_filters_scale=SCALE, amp_activation="sigmoid", object_big=True,
        probe_big=True, pad_object=True, probe_mask=False, probe_scale=4.0, nphotons=NPHOTONS,
    )  # fmt: skip
    optimizer = tf.keras.optimizers.Adam(1e-3, epsilon=1e-7)
    optimizer.build(network.variables)
    arrays = tf.constant(given["X"]), tf.constant(given["coords_relative"])

    @tf.function(jit_compile=variant == TENSORFLOW[1])
    def training(X: Any, relative: Any) -> Any:
        loss, gradients = network.loss_and_gradients(X, relative, given["probe"])
        optimizer.apply(gradients, network.variables)
        return loss

    @tf.function(jit_compile=variant == TENSORFLOW[1])
    def inference(X: Any, relative: Any) -> Any:
        return network.taps(X, relative, given["probe"])["object"]

    run = {"training": training, "inference": inference}[what]
    return lambda: run(*arrays).numpy()


# ------------------------------------------------------------------------------------------------ Torch


def torch_work(what: str, members: int, variant: str) -> Work:
    import torch

    from ptycho_torch.config_params import ModelConfig, Precision, TrainingConfig
    from ptycho_torch.model import PtychoPINN
    from ptycho_torch.operators.physics import intensity_scale
    from ptycho_torch.operators.probe import normalize_probe_like_tf
    from ptycho_torch.precision import autocast
    from ptycho_torch.training.keras_rules import adam
    from ptycho_torch.training.losses import objective

    given, config = scan(members), TrainingConfig()
    probe = normalize_probe_like_tf(given["probe"], 4.0)
    settings = ModelConfig(C_model=members, C_forward=members, n_filters_scale=SCALE)
    model = PtychoPINN(settings, probe, intensity_scale(NPHOTONS, N))
    optimizer = adam(model, config)
    if variant == "channels first":
        model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    if variant == "doubled first":
        double_first(model)
    if variant == "one by one":
        optimizer.param_groups[0] |= {"fused": False, "foreach": False}
    compiled = torch.compile(model) if variant == "compiled" else model
    precision: Precision = "bf16-mixed" if variant == "bfloat16" else "32-true"
    threads = 1 if variant == "one thread" else torch.get_num_threads()
    x = torch.from_numpy(given["X"]).permute(0, 3, 1, 2)
    positions = -torch.from_numpy(given["coords_relative"])

    def training() -> float:
        optimizer.zero_grad()
        with autocast(precision, "cpu"):
            loss = objective(compiled(x, positions).amplitude, x * model.intensity_scale, config)
        loss.backward()
        optimizer.step()
        return loss.item()

    @torch.inference_mode()
    def inference() -> object:
        # Compile the whole model, including the physics up to the detector.
        with autocast(precision, "cpu"):
            return compiled(x, positions).object if variant == "compiled" else model.reconstruct(x, positions)

    def run() -> object:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return {"training": training, "inference": inference}[what]()
        finally:
            torch.set_num_threads(before)

    return run


def double_first(model: Any) -> None:
    """Let every convolution of doubled pixels compute the doubled image."""
    from functools import partial

    from torch.nn.functional import interpolate

    from ptycho_torch.network.layers import Convolution, UpsampledConvolution

    def doubled(layer: Any, images: Any) -> Any:
        return Convolution.forward(layer, interpolate(images, scale_factor=2, mode="nearest"))

    for layer in model.modules():
        if isinstance(layer, UpsampledConvolution):
            layer.forward = partial(doubled, layer)  # type: ignore[method-assign]


# ------------------------------------------------------------------------------------------------ taking turns


def answer_questions(framework: str) -> None:
    """Run the worker process: it reads work as JSON lines and writes seconds."""
    make = {"tensorflow": tensorflow_work, "torch": torch_work}[framework]
    prepared: dict[str, Work | None] = {}
    for line in sys.stdin:
        if line not in prepared:
            prepared[line] = warmed(make, *json.loads(line))
        print(json.dumps(timed(prepared[line])), flush=True)


def timed(work: Work | None) -> tuple[float, float]:
    """Return elapsed and processor time, seconds; NaN without work."""
    if work is None:
        return math.nan, math.nan
    clock, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processors


def warmed(make: Callable[..., Work], *arguments: Any) -> Work | None:
    """Do the work twice and return it; None if it is not possible here."""
    try:
        work = make(*arguments)
        work()
        work()
    except Exception as impossible:  # a compiler may raise anything
        print(f"{arguments}: {impossible}", file=sys.stderr)
        return None
    return work


@contextmanager
def workers(tensorflow: str) -> Iterator[dict[str, Worker]]:
    """Start a worker for each variant, and close all at the end."""
    theirs, ours = (Worker(MODULE, *who) for who in (("tensorflow", tensorflow), ("torch", sys.executable)))
    special = {TENSORFLOW_BFLOAT16: Worker(MODULE, "tensorflow", tensorflow)} | {
        name: Worker(MODULE, "torch", sys.executable, environment=settings) for name, settings in ENVIRONMENTS.items()
    }
    try:
        yield dict.fromkeys(TENSORFLOW, theirs) | dict.fromkeys(LEVERS, ours) | special
    finally:
        for worker in (theirs, ours, *special.values()):
            worker.close()


def measured(
    by_variant: dict[str, Worker], what: str, members: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Return elapsed and processor times of every variant, seconds; the variants take turns."""
    times: dict[str, list[tuple[float, float]]] = {variant: [] for variant in by_variant}
    for _ in range(rounds):
        for variant, worker in by_variant.items():
            clock, processors = worker.ask(what, members, variant)
            times[variant].append((clock, processors))
    return times


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=10, show_default=True, help="Turns of each variant.")
@click.option("--members", multiple=True, type=int, default=(1, 4), show_default=True, help="Patches per group.")
@click.option(
    "--variant", "variants", multiple=True, help="A variant of the port, or of TensorFlow in bfloat16; all by default."
)
@click.option(
    "--python", default=".venv-tensorflow/bin/python", show_default=True, help="An interpreter with TensorFlow."
)
@click.option("--worker", hidden=True)
def main(rounds: int, members: tuple[int, ...], variants: tuple[str, ...], python: str, worker: str | None) -> None:
    """Time inference and training of the network against TensorFlow, milliseconds per batch."""
    if worker is not None:
        answer_questions(worker)
        return
    from rich.console import Console
    from rich.table import Table

    heads = ("fastest", "median", "processors", "x TensorFlow", "x, medians", "x, processors")
    table = Table("what", "patches", "variant", *heads)
    for what in ("inference", "training"):
        for count in members:
            with workers(python) as known, Console(stderr=True).status(f"{what}, groups of {count}"):
                wanted = {*TENSORFLOW, *(variants or known)}
                turns = {name: worker for name, worker in known.items() if name in wanted}
                times = measured(turns, what, count, rounds)
            figures = {name: summary(taken) for name, taken in times.items()}
            # The faster of TensorFlow's possible variants.
            theirs = [figures[name] for name in TENSORFLOW if not math.isnan(figures[name][0])]
            if not theirs:
                raise click.ClickException(
                    f"TensorFlow failed; to see why, run {python} -m benchmarks.network --worker tensorflow"
                )
            best = [min(column) for column in zip(*theirs)]
            for name, row in figures.items():
                ratios = (f"{one / other:.2f}" for one, other in zip(best, row))
                table.add_row(what, str(count), name, *(f"{seconds * 1e3:.0f}" for seconds in row), *ratios)
            table.add_section()
    Console(width=132).print(table)


def summary(taken: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the shortest and the median elapsed time, and the smallest processor time."""
    clock, processors = zip(*taken)
    return min(clock), median(clock), min(processors)


if __name__ == "__main__":
    main()
