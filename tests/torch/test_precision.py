"""The network in bfloat16: what stays in float32, how close the result is, and the warning that it may be slow."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from ptycho_torch.config_params import DataConfig, ModelConfig, Precision, TrainingConfig
from ptycho_torch.dataloader import MemoryMappedDataset
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.physics import intensity_scale
from ptycho_torch.precision import autocast, cost_of, has_bfloat16
from ptycho_torch.simulate import Simulation, simulate_scan
from ptycho_torch.training.losses import objective
from tests.torch.networks import batch, small_model

NETWORK = ("encoder", "amplitude.up", "amplitude.border.pair", "phase.up", "phase.border.pair")
OBJECT_AND_PHYSICS = {
    "amplitude.inner": torch.float32,
    "phase.border.conv": torch.float32,
    "amplitude": torch.float32,
    "phase": torch.float32,
    "combine": torch.complex64,
    "place": torch.complex64,
    "trim": torch.complex64,
    "extract": torch.complex64,
    "illuminate": torch.complex64,
    "diffract": torch.float32,
}


def outputs_by_part(C: int, precision: Precision) -> dict[str, torch.Tensor]:
    """Return the output of each part of the model for a batch."""
    model, made = small_model(C), {}
    for name in (*NETWORK, *OBJECT_AND_PHYSICS):
        model.get_submodule(name).register_forward_hook(lambda _, given, found, name=name: made.update({name: found}))
    with torch.inference_mode(), autocast(precision, "cpu"):
        model(*batch(2, C))
    return made


@pytest.mark.parametrize("C", [1, 4])
def test_the_network_is_in_bfloat16_and_the_object_and_all_physics_in_float32(C: int) -> None:
    mixed, whole = outputs_by_part(C, "bf16-mixed"), outputs_by_part(C, "32-true")
    assert {mixed[name].dtype for name in NETWORK} == {torch.bfloat16}
    assert {name: mixed[name].dtype for name in OBJECT_AND_PHYSICS} == OBJECT_AND_PHYSICS
    assert {whole[name].dtype for name in NETWORK} == {torch.float32}
    assert {name: whole[name].dtype for name in OBJECT_AND_PHYSICS} == OBJECT_AND_PHYSICS


@pytest.mark.parametrize("part", ["combine", "diffract"])
def test_bfloat16_moves_the_result_by_its_rounding(part: str) -> None:
    mixed, whole = (outputs_by_part(4, precision)[part] for precision in reversed(get_args(Precision)))
    moved = ((mixed - whole).abs().square().mean().sqrt() / whole.abs().square().mean().sqrt()).item()
    assert 1e-5 < moved < 2e-2, "eight bits in each of about ten layers"


@pytest.mark.parametrize("pad_object", [True, False])
def test_the_object_itself_is_not_rounded_to_eight_bits(pad_object: bool) -> None:
    model = small_model(pad_object=pad_object)
    with torch.inference_mode(), autocast("bf16-mixed", "cpu"):
        features = model.encoder(batch(2)[0])
        for image in (model.amplitude(features), model.phase(features)):
            assert image.dtype == torch.float32
            assert not torch.equal(image, image.bfloat16().float())


def test_gradients_and_weights_stay_in_float32_and_point_the_same_way() -> None:
    """So the optimiser takes the steps of float32."""
    scan = simulate_scan(Simulation(patterns=16, seed=3))
    dataset = MemoryMappedDataset.from_config(scan, DataConfig(n_images=16, subsample_seed=0), seed=0)
    given, gradients = dataset[list(range(16))], []
    for precision in get_args(Precision):
        torch.manual_seed(0)
        model = PtychoPINN(ModelConfig(n_filters_scale=1), dataset.probe, intensity_scale(1e9, 64))
        with autocast(precision, "cpu"):
            predicted = model(given.X, given.positions).amplitude
            loss = objective(predicted, given.X * model.intensity_scale, TrainingConfig())
        assert loss.dtype == torch.float32
        loss.backward()
        assert {one.dtype for one in model.parameters()} == {torch.float32}
        found = [one.grad for one in model.parameters() if one.grad is not None]
        assert {one.dtype for one in found} == {torch.float32}
        gradients.append(torch.cat([one.flatten() for one in found]))
    whole, mixed = gradients
    assert not torch.equal(whole, mixed)
    assert torch.cosine_similarity(whole, mixed, dim=0) > 0.99


def test_an_ambient_autocast_of_another_kind_leaves_the_physics_alone() -> None:
    """Users with their own training loop may use Torch's context manager directly."""
    model, given = small_model(), batch(2)
    with torch.inference_mode(), torch.autocast("cpu", torch.float16):
        object_, amplitude = model(*given)
        alone = model.reconstruct(*given)
    assert (object_.dtype, amplitude.dtype, alone.dtype) == (torch.complex64, torch.float32, torch.complex64)
    assert torch.equal(object_, alone)


def test_a_double_model_is_not_cast_down() -> None:
    model, (x, positions) = small_model().double(), batch(2)
    with torch.inference_mode():
        assert model(x.double(), positions.double()).object.dtype == torch.complex128


# ------------------------------------------------------------------------------------------------ what it costs


@pytest.mark.parametrize(
    ("capabilities", "there"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"architecture": "aarch64", "bf16": True}, True),
        ({"architecture": "x86_64", "avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "aarch64", "neon": True, "bf16": False}, False),
    ],
)
def test_a_processor_without_bfloat16_is_recognised(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], there: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert has_bfloat16("cpu") is there
    assert cost_of("32-true", "cpu") is None
    said = cost_of("bf16-mixed", "cpu")
    assert (said is None) is there
    if said is not None:
        assert "no instructions for bfloat16" in said
        assert "slower than float32" in said


def test_an_older_torch_does_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_bfloat16("cpu")


def test_other_precisions_are_refused() -> None:
    wrong: Any = "16-mixed"
    with pytest.raises(ValueError, match=r"TrainingConfig\.precision: expected one of \('32-true', 'bf16-mixed'\)"):
        TrainingConfig(precision=wrong)
