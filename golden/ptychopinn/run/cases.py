"""These cases freeze a training on a scan, and the mosaic of other patterns. The long run is in ``long.py``."""

from __future__ import annotations

import math

import numpy as np

from golden.ptychopinn.network.formulas import Structure
from golden.ptychopinn.optimizer.formulas import split
from golden.ptychopinn.run import faults, mosaics
from golden.ptychopinn.run.formulas import draw_patterns, orders
from golden.ptychopinn.simulation.embedded import embedded, embedded_counts
from golden.spec.arrays import Arrays
from golden.spec.case import Case
from golden.spec.operation import Input, Operation, Output
from golden.spec.parameters import Kind, Parameters
from golden.spec.random_inputs import Draw

INPUTS = {
    "seed": Input("(1,) int64; seed of the draws of patterns, initial weights and batches", "one", "1"),
    "diffraction": Input("(m, N, N) float32; amplitude of the scan's patterns", "pattern row column", "sqrt(photon)"),
    "positions": Input("(m, 2) float64; of a patch's index N // 2 in the object", "pattern xy", "pixel"),
    "object": Input("(H, W) complex64; used only to judge the mosaic", "row column", "1"),
    "probe": Input("(N, N) complex64; as guessed", "row column", "1"),
    "weights": Input("(P,) float32; initial weights, as in the network's operations", "weight", "1"),
    "trained": Input("(n,) int64; patterns that are used for the training", "sample", "1"),
    "order": Input(
        "(epochs, n - v) int64; samples of each epoch, numbers into trained, in the order in which they are seen",
        "epoch sample",
        "1",
    ),
    "held_back": Input("(v,) int64; samples that validate", "sample", "1"),
    "inferred": Input("(k,) int64; patterns that are reconstructed", "sample", "1"),
}
PARAMETERS: dict[str, Kind] = {
    **dict.fromkeys(("scan", "images", "infer", "epochs", "batch_size", "n_filters_scale", "M"), int),
    **dict.fromkeys(("learning_rate", "epsilon", "nphotons", "probe_scale"), float),
}
_MIDDLE = (126.0, 110.0)
_WIDER = 1.25


def make_inputs(stored: Arrays, parameters: Parameters) -> dict[str, np.ndarray]:
    """Make a scan from a seed and the embedded data set, with its draws, weights and order."""
    seed = int(stored["seed"][0])
    scan, images, epochs, inferred = (parameters[name] for name in ("scan", "images", "epochs", "infer"))
    patterns = around_the_middle(embedded("positions"), scan)
    trained = draw_patterns(scan, images, seed)
    training, held_back = split(images)
    structure = Structure(64, 1, parameters["n_filters_scale"], True, True, True)
    return {
        "diffraction": np.sqrt(embedded_counts(patterns), dtype=np.float32),
        "positions": embedded("positions")[patterns],
        "object": embedded("object"),
        "probe": embedded("probe"),
        "weights": glorot(Draw(f"run {seed}"), structure),
        "trained": trained,
        "order": orders(len(training), epochs, seed),
        "held_back": held_back,
        "inferred": draw_patterns(scan, inferred, seed),
    }


def around_the_middle(positions: np.ndarray, n: int) -> np.ndarray:
    """Return the n patterns nearest to the scan's centre, (n,) int64, ascending, in a window wider than it is tall."""
    away = np.abs(positions - _MIDDLE) / [_WIDER, 1]
    return np.sort(np.argsort(away.max(axis=1), kind="stable")[:n])


def glorot(draw: Draw, structure: Structure) -> np.ndarray:
    """Draw initial weights (P,) as in Keras: kernels uniform within Glorot's limit, in ten bits; biases 0."""
    parts = []
    for shape in structure.shapes().values():
        if len(shape) == 4:
            limit = round(math.sqrt(6 / (9 * shape[2] + 9 * shape[3])) * 2**13) / 2**13
            parts.append(draw.integers(-(2**10), 2**10 + 1, shape).ravel() * (limit / 2**10))
        else:
            parts.append(np.zeros(shape).ravel())
    return np.concatenate(parts).astype(np.float32)


# ------------------------------------------------------------------------------------------------ operations

PATTERN = 64 * 64

TRAINING_OUTPUTS = (
    Output(
        "first_loss",
        "in the loss of the first step; scalar float32; mean Poisson term of a batch",
        unit="1",
        terms=PATTERN,
    ),
    Output(
        "first_losses",
        "in the losses of the first steps; (3,) float32; mean Poisson term of a batch, before its step",
        "step",
        "1",
        terms=PATTERN,
    ),
    Output("step_losses", "in the losses of all steps; (steps,) float32", "step", "1", terms=PATTERN, envelope=True),
    Output(
        "epoch_losses",
        "in the losses of the epochs; (2, epochs) float32; mean over the samples that train, as they were seen, and "
        "over those that validate, at the end",
        "loss epoch",
        "1",
        terms=PATTERN,
        envelope=True,
    ),
)

RECONSTRUCTION_OUTPUTS = (
    Output(
        "patches",
        "in the patches; (k, N, N, 1) complex64; kept: quantiles 0.05, 0.10, ... 0.95 of the modulus in their central "
        "20 x 20 pixels, (19,) float32",
        "quantile",
        "1",
        keep=mosaics.modulus_quantiles,
        envelope=True,
    ),
    Output("canvas_side", "in the mosaic's side; scalar int64", unit="pixel"),
    Output(
        "covered",
        "in the covered area of the mosaic; (2,) int64; width and height of the box around it",
        "side",
        "pixel",
    ),
    Output(
        "mosaic",
        "in the mosaic; (S, S, 1) complex64, 0 where it is not covered; kept: means of the modulus over 4 x 4 pixels",
        "row column",
        "1",
        keep=mosaics.block_means,
        envelope=True,
    ),
    Output(
        "orientation",
        "in the mosaic's orientation; (8,) float32; correlation of the moduli in place, upright, upside down, "
        "left to right, turned, and all four transposed",
        "orientation",
        "1",
        envelope=True,
    ),
    Output(
        "probe_mean",
        "in the probe; scalar float32; mean modulus of the masked normalised probe",
        unit="1",
        terms=PATTERN,
    ),
    Output("intensity_scale", "in the intensity scale; scalar float32", unit="sqrt(photon)", terms=1),
)

TRAINING = Operation(
    name="run.training",
    summary="the losses of a network that is trained on a scan, step by step and epoch by epoch",
    inputs=INPUTS,
    outputs=TRAINING_OUTPUTS,
    parameters=PARAMETERS,
    derive=make_inputs,
    faults=faults.TRAINING,
    in_order=True,
)
RECONSTRUCTION = Operation(
    name="run.reconstruction",
    summary="the mosaic that a trained network makes of other patterns, and how well it shows the object",
    inputs=INPUTS,
    outputs=RECONSTRUCTION_OUTPUTS,
    parameters=PARAMETERS,
    derive=make_inputs,
    faults=faults.RECONSTRUCTION,
    in_order=True,
)
# ------------------------------------------------------------------------------------------------ cases

SHORT: Parameters = {
    "scan": 300,
    "images": 240,
    "infer": 128,
    "epochs": 2,
    "batch_size": 16,
    "n_filters_scale": 1,
    "learning_rate": 1e-3,
    "epsilon": 1e-7,
    "nphotons": 1e9,
    "probe_scale": 4.0,
    "M": 20,
}


def seed_zero(draw: Draw) -> dict[str, np.ndarray]:
    """Return the default seed of the programs."""
    return {"seed": np.zeros(1, np.int64)}


ONE_NUMBER = dict.fromkeys(("canvas_side", "probe_mean", "intensity_scale"), "the output is a single number")

CASES = (
    Case(
        "run/short_training",
        TRAINING,
        "training on 240 patterns for two epochs",
        SHORT,
        seed_zero,
        {"first_loss": "the output is a single number"},
    ),
    Case(
        "run/short_reconstruction",
        RECONSTRUCTION,
        "mosaic of 128 patterns after one epoch of training",
        # Rounding errors grow with every step. After two epochs, mosaics differ too much to tell right from wrong.
        {**SHORT, "epochs": 1},
        seed_zero,
        ONE_NUMBER,
    ),
)
