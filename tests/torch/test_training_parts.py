"""Keras's rules for optimiser, learning rate, early stop and validation, checked with tables computed by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch

from ptycho_torch.config_params import TrainingConfig
from ptycho_torch.training.keras_rules import EarlyStop, EpochEnd, KerasAdam, adam, plateau_schedule, validation_split
from ptycho_torch.training.losses import objective
from tests.torch.networks import DEVICES, batch, small_model

# ------------------------------------------------------------------------------------------------ Adam


def keras_adam(value: np.ndarray, gradients: list[np.ndarray], rate: float, epsilon: float) -> np.ndarray:
    """Keras's Adam in float64: epsilon is added to the root of the moment before its bias is corrected."""
    m = v = np.zeros_like(value)
    for t, gradient in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        value = value - rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + epsilon)
    return value


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_adam_is_keras_s(epsilon: float, device: str) -> None:
    """With gradients from far below epsilon to far above."""
    random = np.random.default_rng(0)
    start = random.standard_normal(40)
    gradients = [random.standard_normal(40) * np.logspace(-10, 6, 40) for _ in range(5)]
    parameter = torch.nn.Parameter(torch.tensor(start, device=device))
    optimizer = KerasAdam([parameter], lr=1e-3, epsilon=epsilon, fused=True)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient, device=device)
        optimizer.step()
    expected = keras_adam(start, gradients, 1e-3, epsilon)
    moved = (parameter.detach().cpu().numpy() - start, expected - start)
    np.testing.assert_allclose(*moved, rtol=1e-9)
    # With small gradients, Torch's epsilon gives another step, so this test can see the difference.
    torch_s = torch.nn.Parameter(torch.tensor(start))
    plain = torch.optim.Adam([torch_s], lr=1e-3, eps=epsilon)
    torch_s.grad = torch.tensor(gradients[0])
    plain.step()
    first = keras_adam(start, gradients[:1], 1e-3, epsilon) - start
    assert np.abs((torch_s.detach().numpy() - start) / first - 1).max() > 1


def test_adam_of_the_configuration() -> None:
    model = small_model()
    (group,) = adam(model, TrainingConfig(adam_beta_1=0.8, learning_rate=2e-3)).param_groups
    assert (group["lr"], group["betas"], group["keras_eps"]) == (2e-3, (0.8, 0.999), 1e-7)
    assert group["weight_decay"] == 0
    assert not group["amsgrad"]
    assert len(group["params"]) == 44
    (group,) = adam(model, TrainingConfig(adam_epsilon=1e-3, adam_amsgrad=True)).param_groups
    assert (group["keras_eps"], group["amsgrad"]) == (1e-3, True)
    for refused in ("weight_decay", "gradient_clip_norm"):
        with pytest.raises(ValueError, match=rf"TrainingConfig.{refused}: expected None, found 0\.1"):
            adam(model, TrainingConfig(**{refused: 0.1}))


def test_adam_calls_the_closure_that_lightning_gives() -> None:
    optimizer = KerasAdam([torch.nn.Parameter(torch.ones(3))])
    assert optimizer.param_groups[0]["keras_eps"] == 1e-7
    assert optimizer.step(lambda: 3.0) == 3.0


def test_adam_takes_parameters_later() -> None:
    first, later = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer = KerasAdam([first], lr=0.1, epsilon=1e-3)
    optimizer.add_param_group({"params": [later]})
    first.grad, later.grad = torch.full((3,), 1e-3), torch.full((3,), 1e-3)
    optimizer.step()
    assert torch.equal(first, later)
    assert not torch.equal(first, torch.ones(3))


def test_adam_continues_from_its_saved_state() -> None:
    def optimised(steps: int) -> tuple[torch.nn.Parameter, KerasAdam]:
        parameter = torch.nn.Parameter(torch.ones(3))
        return parameter, trained(parameter, KerasAdam([parameter], lr=0.1, epsilon=1e-3), steps)

    def trained(parameter: torch.nn.Parameter, optimizer: KerasAdam, steps: int) -> KerasAdam:
        for _ in range(steps):
            parameter.grad = 1e-3 * parameter.detach()
            optimizer.step()
        return optimizer

    whole, _ = optimised(5)
    half, optimizer = optimised(2)
    state = copy.deepcopy(optimizer.state_dict())
    trained(half, optimizer, 1)
    resumed = torch.nn.Parameter(optimised(2)[0].detach())
    other = KerasAdam([resumed], lr=0.1)
    other.load_state_dict(state)
    trained(resumed, other, 3)
    assert torch.equal(whole, resumed)


def test_adam_continues_with_any_memory_layout() -> None:
    """Parameters may be channels last in memory, as the network's are. Files store moments in the order of the axes."""
    generator = torch.Generator().manual_seed(0)
    gradients = torch.rand(4, 3, 5, 2, 2, generator=generator)

    def optimised(value: torch.Tensor, state: dict[str, Any] | None, some: torch.Tensor) -> tuple[torch.Tensor, Any]:
        parameter = torch.nn.Parameter(value.clone(memory_format=torch.channels_last))
        optimizer = KerasAdam([parameter], lr=0.1, fused=True)
        if state is not None:
            optimizer.load_state_dict(state)
        for gradient in some:
            parameter.grad = gradient.clone(memory_format=torch.channels_last)
            optimizer.step()
        return parameter.detach(), optimizer.state_dict()

    whole, _ = optimised(torch.zeros(3, 5, 2, 2), None, gradients)
    half, state = optimised(torch.zeros(3, 5, 2, 2), None, gradients[:2])
    for moments in state["state"].values():
        moments.update({name: moments[name].contiguous() for name in ("exp_avg", "exp_avg_sq")})
    resumed, _ = optimised(half, state, gradients[2:])
    assert torch.equal(whole, resumed)


def test_training_makes_the_loss_smaller() -> None:
    """Five steps on one batch of groups of four. Whether the steps are TensorFlow's is for the goldens to check."""
    config, model = TrainingConfig(), small_model(4)
    x, positions = batch(2, 4)
    optimizer, losses = adam(model, config), []
    for _ in range(5):
        optimizer.zero_grad()
        loss = objective(model(x, positions).amplitude, x * model.intensity_scale, config)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


# ------------------------------------------------------------------------------------------------ the schedule


def rates(losses: list[float], **settings: float) -> list[float]:
    """Return the learning rate after each epoch."""
    config = TrainingConfig(**settings)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    schedule = plateau_schedule(optimizer, config)
    found = []
    for loss in losses:
        schedule.step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    return found


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        # The rate falls after two bad epochs, not one or three. Then the count restarts.
        ([5, 5, 5, 5, 5, 5], [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4]),
        # A better epoch in between restarts the count.
        ([5, 5, 4, 5, 5, 3], [1e-3, 1e-3, 1e-3, 1e-3, 5e-4, 5e-4]),
        # An improvement by 1e-4 or less does not count. This limit is absolute, for losses below zero too.
        ([5, 4.9999, 4.99989, 4.9998], [1e-3, 1e-3, 1e-3, 1e-3]),
        ([5, 4.99995, 4.99991, 4.9998], [1e-3, 1e-3, 5e-4, 5e-4]),
        ([-5, -5.00005, -5.00009], [1e-3, 1e-3, 5e-4]),
        ([-4e6, -4.1e6, -4.2e6, -4.3e6], [1e-3] * 4),
        # The rate never falls below its minimum.
        ([5] * 11, [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4, 1.25e-4, 1.25e-4, 1e-4, 1e-4, 1e-4]),
        # NaN is not an improvement.
        ([5, math.nan, math.nan], [1e-3, 1e-3, 5e-4]),
    ],
)
def test_learning_rate_on_a_plateau(losses: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(rates(losses), expected, rtol=1e-12)


def test_schedule_of_the_configuration() -> None:
    found = rates([5.0] * 5, plateau_patience=1, plateau_factor=0.1, plateau_min_lr=1e-5, learning_rate=1e-2)
    np.testing.assert_allclose(found, [1e-2, 1e-3, 1e-4, 1e-5, 1e-5], rtol=1e-12)
    demanding = rates([5.0, 4.8, 4.6], plateau_min_delta=0.5)
    np.testing.assert_allclose(demanding, [1e-3, 1e-3, 5e-4], rtol=1e-12)
    tiny = rates([5.0] * 3, learning_rate=1e-8, plateau_min_lr=1e-12)
    np.testing.assert_allclose(tiny, [1e-8, 1e-8, 5e-9], rtol=1e-12)
    impatient = rates([5.0, 4.0, 3.0, 3.0], plateau_patience=0)
    np.testing.assert_allclose(impatient, [1e-3, 1e-3, 1e-3, 5e-4], rtol=1e-12)


@pytest.mark.parametrize(
    ("losses", "stops_after"),
    [
        ([5, 5, 5, 5], 4),
        ([5, 4, 4, 4, 4], 5),
        ([5, 6, 6, 4, 6, 6, 6], 7),
        ([5, 4.999999, 4.999998, 4.999997], None),
        ([5, math.nan, math.nan, math.nan], 4),
        ([-4e6, -4.1e6, -4.1e6, -4e6, -3e6], 5),
    ],
)
def test_early_stop(losses: list[float], stops_after: int | None) -> None:
    """The patience is 3, and any improvement counts."""
    stop = EarlyStop()
    stopped = [epoch for epoch, loss in enumerate(losses, start=1) if stop.step(loss)]
    assert stopped == ([] if stops_after is None else [stops_after])


def test_early_stop_with_a_least_improvement() -> None:
    stop = EarlyStop(patience=1, min_delta=0.5)
    assert [stop.step(loss) for loss in (5, 4.4, 4.0)] == [False, False, True]
    assert stop.best == 4.4


def test_early_stop_without_a_number() -> None:
    stop = EarlyStop(patience=2)
    assert [stop.step(math.nan) for _ in range(2)] == [False, True]


def test_early_stop_without_patience() -> None:
    """Keras's own default: training stops at the first epoch without an improvement."""
    stop = EarlyStop(patience=0)
    assert [stop.step(loss) for loss in (5, 4, 3, 3)] == [False, False, False, True]


# ------------------------------------------------------------------------------------------------ both together


def rates_and_ends(
    losses: list[tuple[float, float]], optimizer: torch.optim.Optimizer, epoch_end: EpochEnd
) -> list[tuple[float, bool]]:
    """Return, after each epoch, the learning rate and whether to stop."""
    found = []
    for loss, val_loss in losses:
        ends = epoch_end.step(loss=loss, val_loss=val_loss)
        found.append((optimizer.param_groups[0]["lr"], ends))
    return found


def epoch_end_of(config: TrainingConfig) -> tuple[torch.optim.Optimizer, EpochEnd]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    return optimizer, EpochEnd(optimizer, config)


def test_the_configuration_says_which_loss_is_watched() -> None:
    """This test swaps the two losses. The golden checks which one each rule watches by default."""
    config = TrainingConfig(plateau_monitor="loss", early_stop_monitor="val_loss")
    training_falls, validation_falls = [(5.0 - n, 5.0) for n in range(4)], [(5.0, 5.0 - n) for n in range(4)]
    assert rates_and_ends(training_falls, *epoch_end_of(config))[-1] == (1e-3, True)
    assert rates_and_ends(validation_falls, *epoch_end_of(config))[-1] == (5e-4, False)
    demanding = TrainingConfig(early_stop_min_delta=4.0)
    assert rates_and_ends(training_falls, *epoch_end_of(demanding))[-1] == (5e-4, True)


@pytest.mark.parametrize("name", ["plateau_monitor", "early_stop_monitor"])
def test_an_unknown_loss_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"TrainingConfig.{name}: expected 'loss' or 'val_loss', found 'mae'"):
        TrainingConfig(**{name: "mae"})


@pytest.mark.parametrize("epochs", range(1, 6))
def test_the_end_of_an_epoch_continues_from_its_saved_state(epochs: int) -> None:
    losses = [(5.0, 5.0), (4.0, 6.0), (4.5, 6.0), (4.5, 5.5), (4.5, 5.5), (3.0, 5.5)]
    whole = rates_and_ends(losses, *epoch_end_of(TrainingConfig()))
    assert whole == [*[(1e-3, False)] * 2, *[(5e-4, False)] * 2, (2.5e-4, True), (2.5e-4, False)]

    optimizer, before = epoch_end_of(TrainingConfig())
    rates_and_ends(losses[:epochs], optimizer, before)
    kept = copy.deepcopy((optimizer.state_dict(), before.state_dict()))
    optimizer, after = epoch_end_of(TrainingConfig())
    optimizer.load_state_dict(kept[0])
    after.load_state_dict(kept[1])
    assert rates_and_ends(losses[epochs:], optimizer, after) == whole[epochs:]


@pytest.mark.parametrize(
    ("n", "fraction", "training"), [(1000, 0.05, 950), (512, 0.05, 486), (21, 0.05, 19), (10, 0.5, 5), (2, 0.5, 1)]
)
def test_the_last_samples_validate(n: int, fraction: float, training: int) -> None:
    assert validation_split(n, fraction) == (slice(0, training), slice(training, n))


@pytest.mark.parametrize(("n", "fraction"), [(1, 0.05), (100, 0.0), (100, 1.0)])
def test_splits_without_samples_are_refused(n: int, fraction: float) -> None:
    with pytest.raises(ValueError, match=f"found n = {n} and a fraction of {fraction}"):
        validation_split(n, fraction)
