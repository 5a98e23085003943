"""Taps return the output of every layer of the model by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ptycho_torch.training.taps import tapped, taps
from tests.torch.networks import DEVICES, batch, small_model


def named(N: int, heads: tuple[str, ...]) -> list[str]:
    ups = {64: 2, 128: 3}[N]
    decoders = [
        f"{decoder}{step}"
        for decoder in ("amplitude", "phase")
        for step in [*(f"_up_{number}" for number in range(1, ups + 1)), *(f"_{head}" for head in heads), ""]
    ]
    physics = ["object_patches", "merged", "patches", "illuminated", "object", "predicted_amplitude", "loss"]
    return [*(f"encoder_{number}" for number in range(1, ups + 2)), *decoders, *physics]


@pytest.mark.parametrize(
    ("N", "settings", "heads"),
    [
        (64, {}, ("inner", "border")),
        (128, {}, ("inner", "border")),
        (64, {"probe_big": False}, ("inner",)),
        (64, {"pad_object": False}, ("whole",)),
        (64, {"object_big": False}, ("inner", "border")),
    ],
)
def test_names_in_the_order_of_the_computation(N: int, settings: dict[str, Any], heads: tuple[str, ...]) -> None:
    assert list(taps(small_model(4, N, **settings), *batch(1, 4, N))) == named(N, heads)


@pytest.mark.parametrize("device", DEVICES)
def test_what_the_steps_gave(device: str) -> None:
    model, (x, positions) = small_model(4, device=device), batch(2, 4, device=device)
    found = taps(model, x, positions)
    prediction = model(x, positions)
    assert found["encoder_3"].shape == (2, 128, 8, 8)
    assert found["amplitude_up_1"].shape == (2, 64, 16, 16)
    assert torch.equal(found["amplitude"], found["amplitude_inner"] + found["amplitude_border"])
    assert torch.equal(found["object_patches"].abs().square() > 0, found["amplitude"] != 0)
    assert found["merged"].shape == (2, 78, 78)
    assert torch.equal(found["object"], prediction.object)
    assert torch.equal(found["predicted_amplitude"], prediction.amplitude)
    # All are in one graph: the loss depends on every step except the object.
    steps = {name: tensor for name, tensor in found.items() if name not in ("object", "loss")}
    gradients = torch.autograd.grad(found["loss"], list(steps.values()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_no_hook_stays() -> None:
    model = small_model()
    with pytest.raises(ValueError, match="x: expected shape"):
        taps(model, *batch(1, 4))
    taps(model, *batch())
    assert not any(module._forward_hooks for _, module in tapped(model))
