"""The objective is a mean without the factorial. It is finite at zero, and TensorFlow's everywhere else."""

from __future__ import annotations

import math
import re

import pytest
import torch

from ptycho_torch.config_params import TrainingConfig
from ptycho_torch.operators.physics import poisson_loss
from ptycho_torch.training.losses import amplitude_objective, objective, poisson_objective
from tests.torch.networks import batch, small_model


def amplitudes(seed: int) -> torch.Tensor:
    return 300 * torch.rand(3, 2, 4, 4, generator=torch.Generator().manual_seed(seed)) + 1e-3


def test_a_mean_without_the_factorial() -> None:
    predicted, measured = torch.tensor([[2.0, 1.0]]), torch.tensor([[3.0, 0.0]])
    expected = ((4 - 9 * math.log(4)) + 1) / 2
    assert poisson_objective(predicted, measured).item() == pytest.approx(expected, rel=1e-7)


def test_it_is_tensorflow_s_term_away_from_zero() -> None:
    """Loss and gradient are compared with the term that the goldens of physics check."""
    predicted, measured = amplitudes(1).requires_grad_(), amplitudes(2)
    ours, theirs = poisson_objective(predicted, measured), poisson_loss(predicted**2, measured**2)
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(loss, predicted)[0] for loss in (ours, theirs)))


@pytest.mark.parametrize("least", [0.0, 1e-30, 1e-7, 1e-6, 1e-3])
def test_dark_pixels_leave_loss_and_gradient_finite(least: float) -> None:
    """The prediction is dark, the measurement dark or bright. A better prediction still has a smaller loss."""
    predicted = torch.full((2, 1), least, requires_grad=True)
    measured = torch.tensor([[0.0], [3e4]])
    loss = poisson_objective(predicted, measured)
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert math.isfinite(loss.item())
    assert torch.isfinite(gradient).all()
    assert loss > poisson_objective(torch.full((2, 1), 1.0), measured)


def test_dark_patches_leave_the_whole_model_s_gradients_finite() -> None:
    model = small_model(amp_activation="relu", probe_big=False)
    torch.nn.init.zeros_(model.amplitude.inner.conv.weight)
    x, positions = batch()
    predicted = model(x, positions).amplitude
    assert not predicted.any()
    objective(predicted, x * model.intensity_scale, TrainingConfig()).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)


def test_weights_of_the_terms() -> None:
    predicted, measured = amplitudes(1), amplitudes(2)
    likelihood, difference = poisson_objective(predicted, measured), amplitude_objective(predicted, measured)
    assert difference.item() == pytest.approx((predicted - measured).abs().mean().item())
    assert objective(predicted, measured, TrainingConfig()) == likelihood
    assert objective(predicted, measured, TrainingConfig(nll_weight=0.0, mae_weight=1.0)) == difference
    both = objective(predicted, measured, TrainingConfig(nll_weight=0.5, mae_weight=0.25))
    assert both.item() == pytest.approx((0.5 * likelihood + 0.25 * difference).item(), rel=1e-6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TrainingConfig(nll_weight=0.0), "expected nll_weight or mae_weight above 0, found 0 for both"),
        (TrainingConfig(realspace_weight=0.1), "TrainingConfig.realspace_weight: expected 0, found 0.1"),
        (TrainingConfig(realspace_mae_weight=0.1), "TrainingConfig.realspace_mae_weight: expected 0, found 0.1"),
    ],
)
def test_weights_that_are_refused(config: TrainingConfig, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        objective(amplitudes(1), amplitudes(2), config)


@pytest.mark.parametrize("term", [poisson_objective, amplitude_objective])
def test_shapes_that_would_broadcast_are_refused(term) -> None:
    with pytest.raises(ValueError, match=re.escape("found predicted (3, 1), measured (3,)")):
        term(torch.ones(3, 1), torch.ones(3))


def test_a_pattern_with_one_good_pixel_counts_like_any_other() -> None:
    """A pattern is the last two axes, whatever the number of axes before them."""
    predicted, measured = amplitudes(1)[:2, 0], amplitudes(2)[:2, 0]
    good = torch.ones(2, 4, 4, dtype=torch.bool)
    good[0] = False
    good[0, 1, 2] = True
    found = amplitude_objective(predicted, measured, good)
    terms = (predicted - measured).abs()
    assert found.item() == pytest.approx((terms[0, 1, 2].item() + terms[1].mean().item()) / 2, rel=1e-6)
