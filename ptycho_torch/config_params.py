"""The port's configurations. Their defaults equal those of TensorFlow PtychoPINN where it has the same setting.

docs/known-differences.md lists the names that differ, and the few values that differ on purpose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

AmplitudeActivation = Literal["sigmoid", "swish", "softplus", "relu"]
Precision = Literal["32-true", "bf16-mixed"]
"""Float32 throughout, or the network in bfloat16; the names are Lightning's."""
_MOST_PHOTONS = 1e15


@dataclass(frozen=True)
class DataConfig:
    """Size and grouping of the patterns.

    Attributes:
        N: patch side, pixels.
        grid_size: patches per group along rows and columns; TensorFlow's ``gridsize``, twice.
        C: patches per group, the product of ``grid_size``.
        K: number of nearest neighbours from which a group is drawn; TensorFlow's ``neighbor_count``.
        nphotons: photons per pattern, on average.
        probe_scale: inverse of the normalised probe's mean masked modulus.
        n_groups: number of groups to use; None for 512.
        n_images: deprecated alias of ``n_groups``.
        n_subsample: number of patterns to keep on loading; None for ``n_groups``.
        subsample_seed: seed of that choice; None for a different choice each time.
        enable_oversampling: allow more groups than patterns.
        neighbor_pool_size: number of neighbours to oversample from; None for ``K``.
        sequential_sampling: use the first patterns in order instead of drawing.
        positions_provided: positions come with the data.

    Raises:
        ValueError: a number is not positive, or ``C`` is not the product of two equal sides.
    """

    N: int = 64
    grid_size: tuple[int, int] = (1, 1)
    C: int = 1
    K: int = 4
    nphotons: float = 1e9
    probe_scale: float = 4.0
    n_groups: int | None = None
    n_images: int | None = None
    n_subsample: int | None = None
    subsample_seed: int | None = None
    enable_oversampling: bool = False
    neighbor_pool_size: int | None = None
    sequential_sampling: bool = False
    positions_provided: bool = True

    def __post_init__(self) -> None:
        _require_positive(self, "N", "C", "K", "nphotons", "probe_scale")
        if not 1 <= self.nphotons <= _MOST_PHOTONS:  # outside, losses and gradients overflow or underflow float32
            raise ValueError(
                f"DataConfig.nphotons: expected 1 to {_MOST_PHOTONS:g} photons per pattern, found {self.nphotons:g}"
            )
        given = ("n_groups", "n_images", "n_subsample", "neighbor_pool_size")
        _require_positive(self, *(name for name in given if getattr(self, name) is not None))
        object.__setattr__(self, "grid_size", tuple(self.grid_size))  # lists come from JSON
        rows, columns = self.grid_size
        if rows != columns or rows < 1:
            raise ValueError(f"DataConfig.grid_size: expected two equal positive numbers, found {self.grid_size}")
        if rows * columns != self.C:
            raise ValueError(f"DataConfig: C must be the product of grid_size {self.grid_size}, found {self.C}")


@dataclass(frozen=True)
class ModelConfig:
    """Structure of the network and of the physics behind it.

    Attributes:
        C_forward: patches per group in the physics.
        C_model: patches per group in the network.
        object_big: merge a group's patches on a padded canvas and extract them again: the overlap constraint.
        probe_big: the decoder also fills the border of the patch.
        probe_mask: multiply the illuminated field with the hard mask.
        probe_mask_sigma: softness of a soft mask, pixels; not used.
        probe_mask_diameter: diameter of a soft mask, pixels; not used.
        pad_object: the decoder predicts the patch's centre and pads it.
        n_filters_scale: factor for the width of all layers.
        amp_activation: last activation of the amplitude's decoder.
        gaussian_smoothing_sigma: smoothing of the illuminated field, pixels; only 0 (none) is ported.
        model_type: kind of model; only ``pinn`` is ported.
        architecture: kind of network; only ``cnn`` is ported.
        offset: distance of raster neighbours, pixels; used for the padded size.
        max_position_jitter: margin of the padded canvas, pixels.
        probe_trainable: as in TensorFlow's configuration, where it has no effect at present.
        intensity_scale_trainable: as in TensorFlow's configuration, where it has no effect at present.

    Raises:
        ValueError: a number is not positive, ``C_forward`` is not ``C_model``, or the activation is unknown.
    """

    C_forward: int = 1
    C_model: int = 1
    object_big: bool = True
    probe_big: bool = True
    probe_mask: bool = False
    probe_mask_sigma: float = 1.0
    probe_mask_diameter: float | None = None
    pad_object: bool = True
    n_filters_scale: int = 2
    amp_activation: AmplitudeActivation = "sigmoid"
    gaussian_smoothing_sigma: float = 0.0
    model_type: str = "pinn"
    architecture: str = "cnn"
    offset: int = 4
    max_position_jitter: int = 10
    probe_trainable: bool = False
    intensity_scale_trainable: bool = True

    def __post_init__(self) -> None:
        _require_positive(self, "C_forward", "C_model", "n_filters_scale")
        if self.C_forward != self.C_model:
            raise ValueError(f"ModelConfig: C_forward {self.C_forward} and C_model {self.C_model} must be the same")
        known = get_args(AmplitudeActivation)
        if self.amp_activation not in known:
            raise ValueError(f"ModelConfig.amp_activation: expected one of {known}, found {self.amp_activation!r}")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training with Adam, a learning rate that is halved on a plateau, and an early stop.

    Attributes:
        train_data_file: scan to train on; ``load_scan`` reads it.
        test_data_file: scan whose loss is computed after training, or None.
        output_dir: directory of the results.
        batch_size: groups per step; a power of two.
        epochs: maximum number of epochs.
        mae_weight: weight of the amplitude term, 0..1.
        nll_weight: weight of the Poisson term, 0..1.
        realspace_mae_weight, realspace_weight: weights of terms of the object; only 0 is ported.
        learning_rate, adam_beta_1, adam_beta_2, adam_epsilon, adam_amsgrad: settings of Keras's Adam.
        weight_decay, gradient_clip_norm: only None is ported.
        plateau_factor, plateau_patience, plateau_min_lr, plateau_min_delta, plateau_monitor: factor by which the
            learning rate falls on a plateau; epochs to wait; smallest learning rate; smallest improvement; loss that is
            watched (``loss`` or ``val_loss``).
        early_stop_patience, early_stop_min_delta, early_stop_monitor: epochs to wait before training stops; smallest
            improvement; loss that is watched.
        validation_fraction: fraction of the data for validation, taken from the end before shuffling.
        precision: ``32-true``, or ``bf16-mixed``: the network in bfloat16, except in the first ten steps; physics and
            optimiser in float32.

    Raises:
        ValueError: a value is out of its range.
    """

    train_data_file: str | None = None
    test_data_file: str | None = None
    output_dir: str = "training_outputs"
    batch_size: int = 16
    epochs: int = 50
    mae_weight: float = 0.0
    nll_weight: float = 1.0
    realspace_mae_weight: float = 0.0
    realspace_weight: float = 0.0
    learning_rate: float = 1e-3
    adam_beta_1: float = 0.9
    adam_beta_2: float = 0.999
    adam_epsilon: float = 1e-7
    adam_amsgrad: bool = False
    weight_decay: float | None = None
    gradient_clip_norm: float | None = None
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    plateau_min_lr: float = 1e-4
    plateau_min_delta: float = 1e-4
    plateau_monitor: str = "val_loss"
    early_stop_patience: int = 3
    early_stop_min_delta: float = 0.0
    early_stop_monitor: str = "loss"
    validation_fraction: float = 0.05
    precision: Precision = "32-true"

    def __post_init__(self) -> None:
        _require_positive(self, "batch_size", "epochs", "learning_rate")
        if self.batch_size & (self.batch_size - 1):
            raise ValueError(f"TrainingConfig.batch_size: expected a power of two, found {self.batch_size}")
        for name in ("plateau_monitor", "early_stop_monitor"):
            if getattr(self, name) not in ("loss", "val_loss"):
                raise ValueError(f"TrainingConfig.{name}: expected 'loss' or 'val_loss', found {getattr(self, name)!r}")
        if self.precision not in get_args(Precision):
            raise ValueError(
                f"TrainingConfig.precision: expected one of {get_args(Precision)}, found {self.precision!r}"
            )
        for name in ("mae_weight", "nll_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"TrainingConfig.{name}: expected 0..1, found {getattr(self, name)}")


@dataclass(frozen=True)
class InferenceConfig:
    """Output of an inference.

    Attributes:
        output_dir: directory of the results.
        debug: also write intermediate statistics.
    """

    output_dir: str = "inference_outputs"
    debug: bool = False


def _require_positive(config: object, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 < value < math.inf:
            raise ValueError(f"{type(config).__name__}.{name}: expected a positive number, found {value!r}")
