"""Train the installed package ``ptycho`` on a scan, and stitch its mosaic.

The package's own training draws initial weights and batches, and no call accepts others. So its compiled model gets
those of the golden, batch by batch, and the callbacks that it passes to Keras are called after each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from golden.ptychopinn.grouping.installed import normalise
from golden.ptychopinn.network.installed import Model, opened
from golden.ptychopinn.optimizer.installed import Epochs, fit_options
from golden.ptychopinn.probe import installed as probes
from golden.ptychopinn.reassembly.installed import position
from golden.ptychopinn.run import mosaics

NEEDS = dict.fromkeys(("training", "reconstruction", "long_reconstruction"), "model.create_compiled_model")

_FIRST = 3
"""Number of first steps whose losses and changes of weights are separate outputs."""
_PREDICTED = 32
"""Number of patterns per prediction."""

Arrays = dict[str, np.ndarray]
Given = Mapping[str, Any]
"""Inputs and parameters of a case."""


def training(**given: Any) -> Arrays:
    with _opened(given) as model:
        found = _trained(model, given)
    del found["weight_changes"]
    return found


def reconstruction(**given: Any) -> Arrays:
    with _opened(given) as model:
        _trained(model, given)
        return _reconstructed(model, given)


def long_reconstruction(**given: Any) -> Arrays:
    with _opened(given) as model:
        found = _trained(model, given)
        found |= _excess(model, given, found["epoch_losses"][:, -1]) | _reconstructed(model, given)
    del found["first_losses"]
    mosaic, places = found["mosaic"][..., 0], given["positions"][given["inferred"]]
    found["patch_orientation"] = mosaics.patch_orientation(found["patches"], places, given["object"])
    return found | mosaics.quality(mosaic, mosaic != 0, given["object"], places.mean(axis=0))


def _opened(given: Given) -> Any:
    """Open the model for groups of one, with the switches of the structured configuration."""
    return opened(
        N=len(given["probe"]),
        members=1,
        amp_activation="sigmoid",
        object_big=True,
        probe_big=True,
        pad_object=True,
        probe_mask=False,
        **{name: given[name] for name in ("probe", "n_filters_scale", "probe_scale", "nphotons")},
    )


# ------------------------------------------------------------------------------------------------ the training


def _trained(model: Model, given: Given) -> Arrays:
    """Train the model; returns the outputs of the training."""
    model.load(given["weights"])
    optimizer = model.autoencoder.optimizer
    optimizer.learning_rate, optimizer.epsilon = given["learning_rate"], given["epsilon"]
    epochs = Epochs(optimizer, fit_options()["callbacks"])
    X, size = _normalised(given, "trained"), int(given["batch_size"])
    start, losses, ended, changes = model.weights(), [], [], np.zeros(0)

    def stepped(batch: np.ndarray) -> float:
        nonlocal changes
        losses.append(model.train(batch, _at_rest(batch)))
        if len(losses) == _FIRST:
            moved = zip(model.weights(), start)
            changes = np.array([np.sqrt(np.mean((now - then) ** 2)) for now, then in moved]) / given["learning_rate"]
        return losses[-1]

    for order in given["order"]:
        seen = _mean(stepped, X[order], size)
        ended.append((seen, _mean(lambda batch: model.test(batch, _at_rest(batch)), X[given["held_back"]], size)))
        if epochs.end(*ended[-1]):
            break
    return {
        "first_loss": _single(losses[0]),
        "first_losses": _single(losses[:_FIRST]),
        "step_losses": _single(losses),
        "epoch_losses": _single(ended).T,
        "weight_changes": changes.astype(np.float32),
    }


def _mean(loss_of: Callable[[np.ndarray], float], X: np.ndarray, size: int) -> float:
    """Return the mean of the batches' losses over samples, so that a smaller batch counts less."""
    return sum(loss_of(batch) * len(batch) for batch in _batches(X, size)) / len(X)


def _batches(X: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (X[first : first + size] for first in range(0, len(X), size))


def _normalised(given: Given, which: str) -> np.ndarray:
    return normalise(diffraction=given["diffraction"][given[which]][..., None])["X_full"]


def _single(numbers: Any) -> np.ndarray:
    return np.asarray(numbers, np.float32)


def _at_rest(X: np.ndarray) -> np.ndarray:
    """Return relative positions, which are 0 in groups of one."""
    return np.zeros((len(X), 1, 2, 1), np.float32)


def _excess(model: Model, given: Given, last: np.ndarray) -> Arrays:
    """Return the logarithm of the last epoch's losses minus those of a perfect prediction."""
    light = (float(model.scale) * _normalised(given, "trained").astype(np.float64)) ** 2
    perfect = light - light * np.log(np.where(light > 0, light, 1))
    samples = {"training_excess": given["order"][0], "validation_excess": given["held_back"]}
    return {name: _single(np.log(loss - perfect[which].mean())) for loss, (name, which) in zip(last, samples.items())}


# ------------------------------------------------------------------------------------------------ the mosaic


def _reconstructed(model: Model, given: Given) -> Arrays:
    offsets = given["positions"][given["inferred"]].reshape(-1, 1, 2, 1)
    patches = np.concatenate(
        [model.objects(X, _at_rest(X)) for X in _batches(_normalised(given, "inferred"), _PREDICTED)]
    )
    stitched = position(patches=patches, offsets=offsets, M=given["M"])
    count, mosaic = stitched["count"][..., 0], stitched["mosaic"][..., 0]
    mask, centre = count > mosaics.COVERED, offsets.reshape(-1, 2).mean(axis=0)
    light = probes.normalise(probe=given["probe"], probe_scale=given["probe_scale"])["normalised"]
    inside = probes.hard_mask(N=len(light))["mask"]
    return {
        "patches": patches,
        "canvas_side": stitched["canvas_side"],
        "covered": mosaics.covered_box(count),
        "mosaic": (mosaic * mask)[..., None],
        "orientation": mosaics.orientation(mosaic, mask, given["object"], centre),
        "probe_mean": _single(np.abs(light * inside).mean()),
        "intensity_scale": np.asarray(model.scale),
    }
