"""These faults train a network with wrong data, probe or order, or misuse its patches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.probe.formulas import mask, norm
from golden.ptychopinn.run import mosaics
from golden.ptychopinn.run.formulas import judged, stitched
from golden.spec.arrays import Arrays
from golden.spec.fault import Fault, Trial
from golden.spec.parameters import Parameters

PIXELS = 64 * 64
TURNED = tuple(name for name in mosaics.TURNS if name != "upright")


def _places(t: Trial) -> np.ndarray:
    """Return the positions (n, 2) of the patterns that are reconstructed."""
    return t.inputs["positions"][t.inputs["inferred"]]


def _judged(t: Trial, mosaic: np.ndarray, count: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs that follow from a mosaic (S, S) and its count."""
    found = judged(mosaic, count, _places(t), t.inputs["object"])
    return {name: array for name, array in found.items() if name in t.outputs}


# ------------------------------------------------------------------------------------------------ training


def _at_once(name: str, symptom: str, change: Callable[[Arrays, Parameters], tuple[Arrays, Parameters]]) -> Fault:
    """Train wrongly from the first step; only the first steps are followed.

    ``change`` returns the inputs and parameters that differ.
    """

    def commit(t: Trial) -> Arrays:
        inputs, parameters = change(t.inputs, t.parameters)
        inputs = {**t.inputs, **inputs}
        steps = len(t.outputs["first_losses"]) * t.parameters["batch_size"]
        begun = {"order": np.ascontiguousarray(inputs["order"][:1, :steps]), "held_back": inputs["held_back"][:1]}
        found = t.run({**inputs, **begun}, {**t.parameters, **parameters})
        return {name: found[name] for name in ("first_loss", "first_losses")}

    return Fault(name, symptom, commit)


def _of_inputs(name: str, symptom: str, change: Callable[[Arrays], Arrays]) -> Fault:
    return _at_once(name, symptom, lambda inputs, parameters: (change(inputs), {}))


def _of_probe(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return _of_inputs(name, symptom, lambda inputs: {"probe": change(inputs["probe"]).astype(np.complex64)})


def _of_order(name: str, symptom: str, change: Callable[[Arrays], np.ndarray]) -> Fault:
    """Alter the order of samples: ``change`` returns the orders (epochs, n)."""
    return _of_inputs(name, symptom, lambda inputs: {"order": change(inputs)})


def _setting(name: str, symptom: str, **settings: float) -> Fault:
    return _at_once(name, symptom, lambda inputs, parameters: ({}, settings))


def _raw_probe(inputs: Arrays, parameters: Parameters) -> tuple[Arrays, Parameters]:
    return {}, {"probe_scale": 1 / norm(inputs["probe"])}


def _probe_scaled_twice(inputs: Arrays, parameters: Parameters) -> tuple[Arrays, Parameters]:
    return {}, {"probe_scale": parameters["probe_scale"] ** 2}


def _alternating(probe: np.ndarray) -> np.ndarray:
    """Shift the far field by half its size, as if fftshift were missing."""
    signs = 1 - 2 * (np.arange(len(probe)) % 2)
    return np.asarray(probe * signs[:, None] * signs)


def _first_validate(inputs: Arrays) -> Arrays:
    held_back = len(inputs["held_back"])
    return {"order": inputs["order"] + held_back, "held_back": np.arange(held_back)}


def _shuffled_before(inputs: Arrays) -> Arrays:
    shuffled = np.random.RandomState(int(inputs["seed"][0])).permutation(len(inputs["trained"]))
    return {name: shuffled[inputs[name]] for name in ("order", "held_back")}


def _epochs_from_zero(inputs: Arrays) -> np.ndarray:
    epochs, seen = inputs["order"].shape
    n, seed = len(inputs["trained"]) - len(inputs["held_back"]), int(inputs["seed"][0])
    return np.stack([np.random.RandomState([seed, epoch]).permutation(n)[:seen] for epoch in range(epochs)])


def _without_last_batch(t: Trial) -> Arrays:
    size = t.parameters["batch_size"]
    whole = t.inputs["order"].shape[1] // size * size
    return t.run({**t.inputs, "order": np.ascontiguousarray(t.inputs["order"][:, :whole])}, t.parameters)


def _loss_summed(t: Trial) -> Arrays:
    """Alter only the losses: Adam hardly depends on their scale, so the weights move as they should."""
    size, (epochs, n) = t.parameters["batch_size"], t.inputs["order"].shape
    sizes = np.tile([min(size, n - first) for first in range(0, n, size)], epochs)
    return {
        "first_loss": np.asarray(t.outputs["first_loss"] * np.float64(size * PIXELS), np.float32),
        "first_losses": (t.outputs["first_losses"] * np.float64(size * PIXELS)).astype(np.float32),
        "step_losses": (t.outputs["step_losses"].astype(np.float64) * sizes * PIXELS).astype(np.float32),
    }


TRAINING = (
    _at_once("probe_not_normalised", "the probe is used as guessed; expected the normalised one", _raw_probe),
    _at_once(
        "probe_scaled_twice",
        "the probe is divided by probe_scale twice; expected once",
        _probe_scaled_twice,
    ),
    _setting("probe_scale_legacy", "probe_scale is 10, the legacy default; expected 4", probe_scale=10.0),
    _of_probe(
        "probe_masked",
        "the probe is zero outside the mask; expected the mask in the norm only",
        lambda probe: probe * mask(len(probe)),
    ),
    _of_probe("probe_conjugated", "the probe is complex-conjugated; expected no conjugation", np.conj),
    _of_probe("probe_transposed", "the probe is transposed; expected (row, column)", np.transpose),
    _of_probe(
        "fftshift_missing",
        "the zero frequency is at index 0; expected index N // 2",
        _alternating,
    ),
    _of_inputs(
        "intensities",
        "patterns are squared; expected amplitudes",
        lambda inputs: {"diffraction": np.square(inputs["diffraction"])},
    ),
    _setting("photons_1e5", "patterns are scaled to 1e5 photons; expected 1e9", nphotons=1e5),
    Fault("loss_summed", "the loss is a sum; expected the mean over all elements", _loss_summed),
    _setting("learning_rate_tenth", "the learning rate is 1e-4; expected 1e-3", learning_rate=1e-4),
    _of_inputs(
        "first_validate", "the first samples are held back for validation; expected the last 5 %", _first_validate
    ),
    _of_inputs(
        "shuffled_before_split",
        "samples are shuffled before the split; expected the last ones held back",
        _shuffled_before,
    ),
    _of_order(
        "not_shuffled",
        "samples are not shuffled; expected a new order in every epoch",
        lambda inputs: np.broadcast_to(np.arange(inputs["order"].shape[1]), inputs["order"].shape),
    ),
    Fault.of_inputs(
        "order_repeated",
        "every epoch repeats the first order; expected a new order in every epoch",
        lambda inputs: {"order": np.repeat(inputs["order"][:1], len(inputs["order"]), axis=0)},
    ),
    _of_order("epochs_from_zero", "the shuffle counts epochs from 0; expected from 1", _epochs_from_zero),
    Fault(
        "last_batch_dropped",
        "the last, smaller batch of an epoch is dropped; expected all samples",
        _without_last_batch,
    ),
)

# ------------------------------------------------------------------------------------------------ reconstruction


def _learning_stops(t: Trial) -> Arrays:
    """Repeat both losses of the second epoch. The loss of a perfect prediction is computed from the stored excess."""
    names, losses = ("training_excess", "validation_excess"), t.outputs["epoch_losses"].astype(np.float64)
    found = {}
    for name, curve in zip(names, losses):
        least = curve[-1] - np.exp(float(t.outputs[name]))
        found[name] = np.asarray(np.log(curve[1] - least), np.float32)
    return {"epoch_losses": losses[:, np.minimum(np.arange(losses.shape[1]), 1)].astype(np.float32), **found}


def _patches_turned(name: str) -> Fault:
    def commit(t: Trial) -> Arrays:
        patches = np.ascontiguousarray(mosaics.TURNS[name](t.outputs["patches"][..., 0]))[..., None]
        fit = mosaics.patch_orientation(patches, _places(t), t.inputs["object"])
        alone = {"patches": patches, **({"patch_orientation": fit} if "patch_orientation" in t.outputs else {})}
        return {**alone, **_judged(t, *stitched(patches, _places(t)))}

    return Fault(f"patches_{name}", f"single patches are {_words(name)}; expected upright", commit)


def _mosaic_turned(name: str) -> Fault:
    def commit(t: Trial) -> Arrays:
        turn = mosaics.TURNS[name]
        mosaic, count = stitched(t.outputs["patches"], _places(t))
        return _judged(t, turn(mosaic), turn(count))

    return Fault(f"mosaic_{name}", f"the mosaic is {_words(name)}; expected upright", commit)


_IN_WORDS = {
    "transposed_": "transposed and ",
    "flipped_up_down": "flipped upside down",
    "flipped_left_right": "mirrored left to right",
    "turned_by_180": "turned by 180 degrees",
}


def _words(name: str) -> str:
    for part, words in _IN_WORDS.items():
        name = name.replace(part, words)
    return name


def _of_places(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Alter the positions: ``change`` gets those of the stitched patches, (n, 2)."""
    return Fault(name, symptom, lambda t: _judged(t, *stitched(t.outputs["patches"], change(_places(t)))))


def _of_mosaic(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Alter the mosaic: ``change`` gets (S, S)."""

    def commit(t: Trial) -> Arrays:
        mosaic, count = stitched(t.outputs["patches"], _places(t))
        return _judged(t, change(mosaic), count)

    return Fault(name, symptom, commit)


def _of_other_patterns(t: Trial) -> Arrays:
    patches = t.outputs["patches"]
    return _judged(t, *stitched(patches, t.inputs["positions"][: len(patches)]))


RECONSTRUCTION = (
    *(_mosaic_turned(name) for name in TURNED),
    _of_places("offsets_negated", "patches are moved by -offset; expected +offset", np.negative),
    _of_places("x_negated", "patches are moved by -x; expected +x along columns", lambda places: places * [-1, 1]),
    _of_places("y_negated", "patches are moved by -y; expected +y along rows", lambda places: places * [1, -1]),
    _of_places(
        "xy_swap", "x moves rows and y moves columns; expected x along columns, y along rows", lambda p: p[:, ::-1]
    ),
    _of_places(
        "relative_as_global",
        "patches are placed by relative positions, all zero; expected global positions",
        np.zeros_like,
    ),
    Fault(
        "places_of_other_patterns",
        "patches are placed at the scan's first positions; expected the drawn patterns' own",
        _of_other_patterns,
    ),
    Fault(
        "not_cropped",
        "whole patches are stitched; expected their central 20 x 20 pixels",
        lambda t: _judged(t, *stitched(t.outputs["patches"], _places(t), M=t.outputs["patches"].shape[1])),
    ),
)

LEARNT = (
    *(_patches_turned(name) for name in TURNED),
    _of_mosaic("phase_lost", "the mosaic has no phase; expected amplitude and phase", np.abs),
    _of_mosaic("phase_negated", "the mosaic is complex-conjugated; expected no conjugation", np.conj),
    Fault(
        "learning_stops", "learning stops after the second epoch; expected progress over twenty epochs", _learning_stops
    ),
)
"""These faults are visible when patches show more than their mean brightness, which takes a long training."""
