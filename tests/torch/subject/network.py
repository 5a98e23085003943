"""The network, its gradients and its first steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange

from golden.ptychopinn.network.formulas import Structure, entries, merged_border, merged_centre
from ptycho_torch.config_params import ModelConfig, TrainingConfig
from ptycho_torch.files.tensorflow_weights import (
    from_tensorflow_weights,
    tensorflow_order,
    to_tensorflow_gradients,
    to_tensorflow_layout,
    to_tensorflow_weights,
)
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.physics import intensity_scale
from ptycho_torch.operators.probe import normalize_probe_like_tf
from ptycho_torch.training.keras_rules import adam
from ptycho_torch.training.losses import objective
from ptycho_torch.training.taps import taps
from tests.torch.subject.layouts import Outputs, array, channels_first, channels_last, positions_of


def network_of(
    *,
    N: int,
    members: int,
    probe: np.ndarray,
    weights: np.ndarray,
    probe_scale: float,
    nphotons: float,
    **switches: Any,
) -> PtychoPINN:
    """Make the model with the weights of a golden, which are one array in TensorFlow's order and layout."""
    config = ModelConfig(C_forward=members, C_model=members, **switches)
    light = normalize_probe_like_tf(torch.from_numpy(probe), probe_scale)
    model = PtychoPINN(config, light, intensity_scale(nphotons, N))
    parameters = dict(model.named_parameters())
    shapes = [to_tensorflow_layout(parameters[name]).shape for name in tensorflow_order(model)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = zip(np.split(weights, ends[:-1]), shapes)
    from_tensorflow_weights(model, [part.reshape(shape) for part, shape in parts])
    return model


def network_layers(*, N: int, members: int, **switches: Any) -> Outputs:
    config = ModelConfig(C_forward=members, C_model=members, **switches)
    model = PtychoPINN(config, torch.ones((N, N), dtype=torch.complex64), intensity_scale(1e9, N))
    parameters = dict(model.named_parameters())
    shapes = [to_tensorflow_layout(parameters[name]).shape for name in tensorflow_order(model)]
    return {"kernels": np.array([shape for shape in shapes if len(shape) == 4])}


def network_forward(
    *, seed: np.ndarray, groups: int, X: np.ndarray, coords_relative: np.ndarray, **settings: Any
) -> Outputs:
    model = network_of(**settings)
    found = taps(model, channels_first(X), positions_of(coords_relative))
    single = ("merged", "object", "patches", "illuminated", "loss", "amplitude_whole", "phase_whole")
    outputs = {name: channels_last(tap) for name, tap in found.items() if name not in single}
    if settings["object_big"]:
        canvas = rearrange(array(found["merged"]), "b h w -> b h w 1")
        outputs["merged_border"] = merged_border(canvas, settings["N"])
        outputs["merged_centre"] = merged_centre(canvas, settings["N"])
    outputs["object"] = rearrange(array(found["object"]), "b h w -> b h w 1")
    for name in ("patches", "illuminated"):
        outputs[name] = rearrange(array(found[name]), "b c h w -> (b c) h w 1")
    outputs["loss"] = array(found["loss"])
    return outputs


def loss_of(model: PtychoPINN, X: np.ndarray, coords_relative: np.ndarray) -> torch.Tensor:
    """Return the training's loss of a batch."""
    x = channels_first(X)
    prediction = model(x, positions_of(coords_relative))
    return objective(prediction.amplitude, x * model.intensity_scale, TrainingConfig())


def network_gradients(
    *, seed: np.ndarray, groups: int, X: np.ndarray, coords_relative: np.ndarray, **settings: Any
) -> Outputs:
    model = network_of(**settings)
    loss = loss_of(model, X, coords_relative)
    loss.backward()
    return {"loss": array(loss), **dict(zip(array_names(settings), to_tensorflow_gradients(model)))}


def network_training(
    *,
    seed: np.ndarray,
    groups: int,
    X: np.ndarray,
    coords_relative: np.ndarray,
    learning_rate: float,
    **settings: Any,
) -> Outputs:
    model = network_of(**settings)
    optimizer = adam(model, TrainingConfig(learning_rate=learning_rate))
    start, moved, sizes = followed(to_tensorflow_weights(model), settings), {}, []
    largest: list[np.ndarray] = []
    for step in range(1, 6):
        optimizer.zero_grad()
        loss_of(model, X, coords_relative).backward()
        gradients = [np.abs(gradient) for gradient in to_tensorflow_gradients(model)]
        largest = largest or [gradient.max() for gradient in gradients]
        with np.errstate(invalid="ignore"):  # a gradient of 0 everywhere is compared too, as NaN
            sizes.append(followed([gradient / most for gradient, most in zip(gradients, largest)], settings))
        optimizer.step()
        moved[f"step_{step}"] = (followed(to_tensorflow_weights(model), settings) - start) / np.float32(learning_rate)
    steps = {name: moved[name] for name in ("step_1", "step_2", "step_5")}
    return {**steps, "least_gradient": np.min(sizes, axis=0)}


def array_names(settings: Mapping[str, Any]) -> list[str]:
    """Return the goldens' names of the arrays of weights, in TensorFlow's order."""
    return list(Structure.of(settings["N"], settings["members"], settings).shapes())


def followed(arrays: Sequence[np.ndarray], settings: Mapping[str, Any]) -> np.ndarray:
    """Return the entries of these arrays that a training golden follows."""
    places = entries(Structure.of(settings["N"], settings["members"], settings)).values()
    return np.concatenate([array.ravel()[at] for array, at in zip(arrays, places, strict=True)])
