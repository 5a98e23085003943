"""The objective of training: the Poisson negative log-likelihood of counts. See docs/conventions.md, "Training"."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ptycho_torch.config_params import TrainingConfig

FEWEST_COUNTS = 1e-12
"""Smallest number of expected counts in the logarithm.

Rounding in the Fourier transform leaves more than this in a dark pixel, so no parity is lost.
"""


def poisson_objective(
    predicted: Float[Tensor, "*shape"], measured: Float[Tensor, "*shape"], good: Bool[Tensor, "*shape"] | None = None
) -> Float[Tensor, ""]:
    """Average ``count - target log(count)`` over all good elements; finite if the amplitudes are.

    It equals ``physics.poisson_loss`` unless fewer than ``FEWEST_COUNTS`` are expected. TensorFlow's loss is infinite
    where no counts are expected, or NaN if none were measured either.

    Args:
        predicted: amplitude, the square root of expected counts; any shape, patterns in the last two axes.
        measured: amplitude, the square root of counts; the same shape.
        good: false for bad pixels, which are excluded; the same shape. None if all are good. Each pattern is averaged
            over its good pixels, so that all patterns have equal weight; a pattern without good pixels counts as 0.

    Returns:
        Scalar, dtype of the arguments.

    Raises:
        ValueError: the shapes differ.
    """
    _require_one_shape(predicted, measured)
    count, target = predicted.square(), measured.square()
    return _mean(count - target * count.clamp(min=FEWEST_COUNTS).log(), good)


def amplitude_objective(
    predicted: Float[Tensor, "*shape"], measured: Float[Tensor, "*shape"], good: Bool[Tensor, "*shape"] | None = None
) -> Float[Tensor, ""]:
    """Average the absolute difference of two amplitudes. Arguments and errors are those of ``poisson_objective``."""
    _require_one_shape(predicted, measured)
    return _mean((predicted - measured).abs(), good)


def objective(
    predicted: Float[Tensor, "B C N N"],
    measured: Float[Tensor, "B C N N"],
    config: TrainingConfig,
    good: Bool[Tensor, "B C N N"] | None = None,
) -> Float[Tensor, ""]:
    """Compute the loss of a batch: ``nll_weight`` times the Poisson term plus ``mae_weight`` times the amplitude term.

    Args:
        predicted: (B, C, N, N), ``Prediction.amplitude``.
        measured: (B, C, N, N), the normalised amplitude times ``intensity_scale``.
        config: training configuration; a term of weight 0 is not computed.
        good: (B, C, N, N), false for bad pixels; None if all are good.

    Returns:
        Scalar, a mean over all good elements.

    Raises:
        ValueError: the shapes differ, all weights are 0, or a term of the object has a weight. These terms are not
            ported, because TensorFlow casts the object to real numbers for them.
    """
    for name in ("realspace_weight", "realspace_mae_weight"):
        if getattr(config, name) != 0:
            raise ValueError(f"TrainingConfig.{name}: expected 0, found {getattr(config, name)}; it is not ported")
    terms = [
        weight * term(predicted, measured, good)
        for weight, term in ((config.nll_weight, poisson_objective), (config.mae_weight, amplitude_objective))
        if weight != 0
    ]
    if not terms:
        raise ValueError("TrainingConfig: expected nll_weight or mae_weight above 0, found 0 for both")
    return torch.stack(terms).sum()


def _mean(terms: Tensor, good: Tensor | None) -> Tensor:
    if good is None:
        return terms.mean()
    pixels = good.sum(dim=(-2, -1)).clamp(min=1)
    return (torch.where(good, terms, 0).sum(dim=(-2, -1)) / pixels).mean()


def _require_one_shape(predicted: Tensor, measured: Tensor) -> None:
    if predicted.shape != measured.shape:
        raise ValueError(
            f"expected one shape, found predicted {tuple(predicted.shape)}, measured {tuple(measured.shape)}"
        )
