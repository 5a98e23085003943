"""The network: its size, its initial weights, what its settings change, and what it refuses."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, interpolate

from ptycho_torch.config_params import ModelConfig, TrainingConfig
from ptycho_torch.model import Combine, PtychoPINN
from ptycho_torch.network.decoder import BorderHead
from ptycho_torch.network.layers import Convolution, DownBlock, UpsampledConvolution
from ptycho_torch.training.losses import objective
from tests.torch.networks import DEVICES, batch, small_model


def model_of(N: int, **settings: Any) -> PtychoPINN:
    return PtychoPINN(ModelConfig(**settings), torch.ones(N, N, dtype=torch.complex64), 1.0)


@pytest.mark.parametrize(
    ("N", "gridsize", "settings", "parameters"),
    [
        (64, 1, {"n_filters_scale": 1}, 585_244),
        (64, 1, {}, 2_331_772),
        (64, 2, {"n_filters_scale": 1}, 589_360),
        (64, 2, {}, 2_340_208),
        (128, 1, {"n_filters_scale": 1}, 1_167_052),
        (128, 1, {}, 4_661_212),
        (256, 1, {"n_filters_scale": 1}, 3_229_924),
        (256, 1, {}, 12_912_268),
        (64, 1, {"probe_big": False}, 2_252_026),
        (64, 1, {"pad_object": False}, 2_399_810),
        (64, 1, {"object_big": False}, 2_331_772),
    ],
)
def test_number_of_parameters(N: int, gridsize: int, settings: dict[str, Any], parameters: int) -> None:
    members = gridsize**2
    model = model_of(N, C_model=members, C_forward=members, **settings)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_names_of_the_weights() -> None:
    """Bundles and checkpoints that users keep are read by these names."""
    pairs = ["encoder.block_1", "encoder.block_2", "encoder.block_3"]
    heads = []
    for decoder in ("amplitude", "phase"):
        pairs += [f"{decoder}.up.block_1", f"{decoder}.up.block_2", f"{decoder}.border.pair"]
        heads += [f"{decoder}.border.conv", f"{decoder}.inner.conv"]
    layers = [*(f"{pair}.{conv}" for pair in pairs for conv in ("conv_1", "conv_2")), *heads]
    expected = {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    assert set(model_of(64).state_dict()) == expected | {"intensity_scale", "illuminate.probe_parts"}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("N", "C", "settings"),
    [
        (64, 1, {}),
        (64, 9, {}),
        (128, 4, {}),
        (256, 1, {}),
        (64, 4, {"object_big": False}),
        (64, 4, {"probe_big": False}),
        (64, 4, {"pad_object": False}),
        (64, 1, {"probe_mask": True}),
        (64, 4, {"offset": 7, "max_position_jitter": 4}),
    ],
)
def test_shapes_and_dtypes(N: int, C: int, settings: dict[str, Any], device: str) -> None:
    model = small_model(C, N, device=device, **settings)
    prediction = model(*batch(2, C, N, device=device))
    assert (prediction.object.shape, prediction.object.dtype) == ((2, N, N), torch.complex64)
    assert (prediction.amplitude.shape, prediction.amplitude.dtype) == ((2, C, N, N), torch.float32)
    assert (prediction.amplitude > 0).all()


@pytest.mark.parametrize("convolution", [Convolution(12, 20), UpsampledConvolution(12, 20)])
def test_weights_start_as_in_keras(convolution: Convolution) -> None:
    """Weights are uniform within the Glorot limit, whose fans count the nine taps. Biases are zero."""
    torch.manual_seed(0)
    convolution.reset_parameters()
    limit = math.sqrt(6 / (9 * 12 + 9 * 20))
    largest = convolution.weight.abs().max().item()
    assert 0.99 * limit < largest <= limit
    assert convolution.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.03)
    assert convolution.bias is not None
    assert not convolution.bias.any()


def test_every_convolution_starts_as_in_keras() -> None:
    model = small_model()
    convolutions = [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert len(convolutions) == 22
    for layer in convolutions:
        assert isinstance(layer, Convolution)
        limit = math.sqrt(6 / (9 * layer.in_channels + 9 * layer.out_channels))
        assert 0.9 * limit < layer.weight.abs().max() <= limit
        assert not layer.bias.any()


def test_an_upsampled_convolution_is_a_convolution_of_doubled_pixels() -> None:
    """The result and its gradients are compared with doubling and convolving in two steps."""
    torch.manual_seed(0)
    layer = UpsampledConvolution(3, 2).double()
    torch.nn.init.normal_(layer.bias)
    images = torch.randn(2, 3, 5, 7, dtype=torch.float64, requires_grad=True)
    doubled = interpolate(images, scale_factor=2, mode="nearest")
    expected = conv2d(doubled, layer.weight, layer.bias, padding=1)
    found = layer(images)
    np.testing.assert_allclose(found.detach(), expected.detach(), rtol=0, atol=1e-13)
    seed = torch.randn_like(found)
    wanted = [images, layer.weight, layer.bias]
    for one, other in zip(torch.autograd.grad(found, wanted, seed), torch.autograd.grad(expected, wanted, seed)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_a_down_block_takes_the_largest_of_what_relu_leaves() -> None:
    torch.manual_seed(0)
    block = DownBlock(1, 3)
    images = torch.randn(2, 1, 8, 8)
    expected = torch.nn.functional.max_pool2d(block.conv_2(block.conv_1(images).relu()).relu(), 2)
    assert (expected == 0).any()
    assert torch.equal(block(images), expected)


@pytest.mark.parametrize(
    ("N", "C", "settings"),
    [
        (64, 1, {"object_big": False, "probe_mask": True, "amp_activation": "softplus"}),
        (64, 1, {"pad_object": False, "amp_activation": "swish"}),
        (64, 4, {"probe_big": False, "amp_activation": "relu"}),
        (128, 1, {}),
    ],
)
def test_gradients_are_those_of_the_forward_under_every_setting(N: int, C: int, settings: dict[str, Any]) -> None:
    """Goldens check the gradients under the default settings only, and the outputs under these settings too."""
    model = small_model(C, N, **settings).double()
    x, positions = (given.double() for given in batch(1, C, N))
    parameters = list(model.parameters())
    generator = torch.Generator().manual_seed(0)
    for bias in (parameter for parameter in parameters if parameter.ndim == 1):
        torch.nn.init.uniform_(bias, -0.1, 0.1, generator=generator)  # not 0, where ReLU has no slope
    start = [parameter.detach().clone() for parameter in parameters]
    along = [torch.randn(one.shape, generator=generator, dtype=one.dtype) * one.abs().mean() for one in start]

    def loss_at(distance: float) -> torch.Tensor:
        with torch.no_grad():
            for parameter, begin, towards in zip(parameters, start, along):
                parameter.copy_(begin + distance * towards)
        return objective(model(x, positions).amplitude, x * model.intensity_scale, TrainingConfig())

    gradients = torch.autograd.grad(loss_at(0.0), parameters)
    slope = sum((gradient * towards).sum() for gradient, towards in zip(gradients, along))
    with torch.no_grad():
        measured = (loss_at(1e-7) - loss_at(-1e-7)) / 2e-7
    assert float(slope) == pytest.approx(float(measured), rel=1e-4)


def test_combination_is_polar_and_so_is_its_gradient() -> None:
    """The amplitude may be negative in the border. There, torch.polar's gradient has the wrong sign."""
    amplitude = torch.tensor([[[[0.7, -0.2, 0.0]]]], dtype=torch.float64, requires_grad=True)
    phase = torch.tensor([[[[math.pi / 2, 1.0, -2.0]]]], dtype=torch.float64, requires_grad=True)
    expected = amplitude.detach().numpy() * np.exp(1j * phase.detach().numpy())
    np.testing.assert_allclose(Combine()(amplitude, phase).detach(), expected, rtol=1e-14)
    assert torch.autograd.gradcheck(Combine(), (amplitude, phase))


def test_which_pixels_the_settings_fill() -> None:
    """The centre, the border, or the whole patch. The border is swish, whatever the activation of the centre."""
    model, (x, _) = small_model(), batch()
    features = model.encoder(x)
    centre = np.zeros((64, 64), bool)
    centre[16:48, 16:48] = True
    for decoder, largest in ((model.amplitude, 1.0), (model.phase, math.pi)):
        image = decoder(features).detach().numpy()
        border = decoder.border(decoder.up(features)[:, -4:]).detach().numpy()
        assert not border[..., centre].any()
        np.testing.assert_array_equal(image[..., ~centre], border[..., ~centre])
        assert border[..., ~centre].std() > 0
        assert np.abs(image[..., centre]).max() <= largest
    confined = small_model(probe_big=False)
    assert not confined.amplitude(confined.encoder(x)).detach().numpy()[..., ~centre].any()
    whole = small_model(pad_object=False)
    assert whole.amplitude(whole.encoder(x)).detach().numpy()[..., ~centre].min() > 0.2


def test_border_is_swish() -> None:
    torch.manual_seed(0)
    head = BorderHead(64, 8, 1)
    torch.nn.init.normal_(head.conv.weight, std=10)
    border = head(torch.randn(4, 4, 32, 32))
    assert -0.2785 <= border.min() < -0.2
    assert border.max() > math.pi


@pytest.mark.parametrize(("name", "range_"), [("sigmoid", (0, 1)), ("swish", (-0.2785, 99)), ("softplus", (0, 99))])
def test_amplitude_activations(name: str, range_: tuple[float, float]) -> None:
    torch.manual_seed(0)
    inner = small_model(amp_activation=name).amplitude.inner
    assert inner is not None
    torch.nn.init.normal_(inner.conv.weight)
    found = inner(torch.randn(2, 28, 32, 32))[:, :, 16:48, 16:48]
    assert range_[0] <= found.min() < found.max() <= range_[1]
    for at in (-9.0, 2.0, 9.0):
        logistic = 1 / (1 + math.exp(-at))
        expected = {"sigmoid": logistic, "swish": at * logistic, "softplus": math.log1p(math.exp(at))}
        assert inner.activation(torch.tensor(at)).item() == pytest.approx(expected[name], rel=1e-6)


def test_relu_amplitudes_are_not_negative() -> None:
    inner = small_model(amp_activation="relu").amplitude.inner
    assert inner is not None
    assert inner.activation(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("groups", "members"), [(17, 4), (70, 1)])
def test_groups_stay_apart_whatever_the_size_of_the_batch(groups: int, members: int, device: str) -> None:
    """From 64 patches on, TensorFlow makes one object of all groups."""
    model = small_model(members, device=device)
    x, positions = batch(groups, members, device=device)
    with torch.no_grad():
        together = model(x, positions)
        for b in (0, groups - 1):
            alone = model(x[b : b + 1], positions[b : b + 1])
            for whole, part in zip(together, alone):
                assert (whole[b] - part[0]).abs().max() <= 1e-4 * part.abs().max()


def test_reconstruction_is_the_predicted_object() -> None:
    model, given = small_model(4), batch(2, 4)
    assert torch.equal(model.reconstruct(*given), model(*given).object)


def test_evaluation_gives_the_same_as_training() -> None:
    """No layer behaves differently in evaluation."""
    model, given = small_model(4, probe_mask=True), batch(2, 4)
    assert all(torch.equal(one, other) for one, other in zip(model.train()(*given), model.eval()(*given)))


def test_without_the_constraint_all_members_see_one_patch() -> None:
    """Each member sees its own part of the patch: a member moved by one pixel sees it one pixel further."""
    model = small_model(4, object_big=False)
    x, positions = batch(1, 4)
    positions = torch.tensor([[0.0, 1.0, 0.0, -1.0], [0.0, 0.0, 2.0, -2.0]])[None, None]
    canvas = model.canvas(x, positions)
    assert canvas.shape == (1, 78, 78)
    assert not canvas[0, :7].any()
    patches = model.extract(canvas, positions)[0]
    assert torch.equal(patches[0, :, 1:], patches[1, :, :-1])
    assert torch.equal(patches[0, 2:], patches[2, :-2])


def test_the_mask_is_hard() -> None:
    model = small_model(probe_mask=True)
    field = model.illuminate(torch.ones(1, 1, 64, 64, dtype=torch.complex64))
    assert (field != 0).sum() == 812
    assert (small_model().illuminate(torch.ones(1, 1, 64, 64, dtype=torch.complex64)) != 0).all()


def test_double_precision_keeps_the_probe_complex() -> None:
    model = small_model().to(torch.float64)
    assert model.probe.dtype == torch.complex128
    assert model.probe.imag.any()
    x, positions = batch()
    prediction = model(x.double(), positions.double())
    assert (prediction.object.dtype, prediction.amplitude.dtype) == (torch.complex128, torch.float64)


def test_nothing_but_weights_is_trained() -> None:
    model = small_model()
    assert {name for name, _ in model.named_buffers() if name in model.state_dict()} == {
        "intensity_scale",
        "illuminate.probe_parts",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"C_model": 3, "C_forward": 3}, "ModelConfig.C_model: expected a square number of patches per group, found 3"),
        ({"model_type": "supervised"}, "ModelConfig.model_type: expected 'pinn', found 'supervised'"),
        ({"architecture": "unet"}, "ModelConfig.architecture: expected 'cnn', found 'unet'"),
        ({"gaussian_smoothing_sigma": 0.5}, "ModelConfig.gaussian_smoothing_sigma: expected 0 (none), found 0.5"),
        ({"amp_activation": "tanh"}, "ModelConfig.amp_activation: expected one of ('sigmoid', 'swish', 'softplus'"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        model_of(64, **settings)


@pytest.mark.parametrize(
    ("probe", "scale", "message"),
    [
        (torch.ones(63, 63, dtype=torch.complex64), 1.0, "N: expected a patch side of 64, 128, 256 pixels, found 63"),
        (torch.ones(64, 64), 1.0, "probe: expected shape (N, N), complex, found (64, 64), torch.float32"),
        (torch.ones(64, 64, 1, dtype=torch.complex64), 1.0, "probe: expected shape (N, N), complex, found (64, 64, 1)"),
        (torch.full((64, 64), complex(1, math.nan)), 1.0, "probe: expected finite numbers, found NaN or infinity"),
        (torch.ones(64, 64, dtype=torch.complex64), 0.0, "intensity_scale: expected a positive number, found 0.0"),
    ],
)
def test_probes_and_scales_that_are_refused(probe: torch.Tensor, scale: float, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        PtychoPINN(ModelConfig(), probe, scale)


@pytest.mark.parametrize(
    ("x", "positions", "message"),
    [
        ((2, 64, 64, 4), (2, 1, 2, 4), "x: expected shape (B, 4, 64, 64), channels first, found (2, 64, 64, 4)"),
        ((2, 1, 64, 64), (2, 1, 2, 4), "x: expected shape (B, 4, 64, 64)"),
        ((0, 4, 64, 64), (0, 1, 2, 4), "x: expected shape (B, 4, 64, 64)"),
        ((2, 4, 64, 64), (2, 4, 1, 2), "positions: expected shape (2, 1, 2, 4), [x, y] of each patch, found (2, 4, 1,"),
        ((2, 4, 64, 64), (1, 1, 2, 4), "positions: expected shape (2, 1, 2, 4)"),
    ],
)
def test_batches_that_are_refused(x: tuple[int, ...], positions: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        small_model(4)(torch.zeros(x), torch.zeros(positions))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32])
def test_patterns_in_another_precision_are_refused(dtype: torch.dtype) -> None:
    x, positions = batch()
    with pytest.raises(ValueError, match=f"x: expected torch.float32 on cpu as the model, found {dtype} on cpu"):
        small_model()(x.to(dtype), positions)
