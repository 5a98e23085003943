"""These faults take a default from the wrong table of PtychoPINN."""

from __future__ import annotations

import json

import numpy as np

from golden.spec.fault import Fault
from golden.spec.parameters import Scalar


def _other(name: str, field: str, value: Scalar, symptom: str) -> Fault:
    text = np.array(json.dumps(value).encode())
    return Fault.of_outputs(name, symptom, lambda outputs: {field: text})


BY_TABLE: dict[str, tuple[Fault, ...]] = {
    "model": (
        _other("object_big_off", "object_big", False, "object_big is False, as early ports had it; expected True"),
        _other("probe_big_off", "probe_big", False, "probe_big is False, as in the legacy defaults; expected True"),
        _other("probe_mask_on", "probe_mask", True, "probe_mask is True, as in the legacy defaults; expected False"),
        _other("probe_scale_legacy", "probe_scale", 10.0, "probe_scale is 10, as in the legacy defaults; expected 4.0"),
        _other("n_legacy", "N", 128, "N is 128, as in the legacy defaults; expected 64"),
        _other("gridsize_2", "gridsize", 2, "gridsize is 2, as in the legacy defaults and early ports; expected 1"),
        _other(
            "activation_silu",
            "amp_activation",
            "silu",
            "amp_activation is silu, as early ports had it; expected sigmoid",
        ),
        _other("value_as_text", "n_filters_scale", "2", "n_filters_scale is text; expected the number 2"),
    ),
    "training": (
        _other("nphotons_1e5", "nphotons", 1e5, "nphotons is 1e5, as early ports had it; expected 1e9"),
        _other("nepochs_legacy", "nepochs", 60, "nepochs is 60, as in the legacy defaults; expected 50"),
        _other("neighbor_count_6", "neighbor_count", 6, "neighbor_count is 6, as early ports had it; expected 4"),
        _other("n_subsample_7", "n_subsample", 7, "n_subsample is 7, as early ports had it; expected none"),
        _other(
            "intensity_scale_fixed",
            "intensity_scale_trainable",
            False,
            "intensity_scale_trainable is False, as in the legacy defaults; expected True",
        ),
        _other("mae_loss", "mae_weight", 1.0, "mae_weight is 1, which adds the amplitude loss; expected 0"),
    ),
    "inference": (
        _other("neighbor_count_6", "neighbor_count", 6, "neighbor_count is 6, as early ports had it; expected 4"),
        _other(
            "output_dir_of_training",
            "output_dir",
            "training_outputs",
            "results go to the output directory of training; expected inference_outputs",
        ),
    ),
    "optimizer": (
        _other("epsilon_of_torch", "epsilon", 1e-8, "Adam's epsilon is 1e-8, Torch's default; expected Keras's 1e-7"),
        _other(
            "weight_decay_of_adamw",
            "weight_decay",
            1e-2,
            "weights decay, as in Torch's AdamW; expected no weight decay",
        ),
        _other("clipping_on", "clipnorm", 1.0, "gradients are clipped; expected no clipping"),
    ),
    "schedule": (
        _other(
            "min_lr_of_port",
            "plateau_min_lr",
            5e-5,
            "the learning rate falls to 5e-5, as early ports had it; expected 1e-4",
        ),
        _other(
            "patience_100",
            "early_stop_patience",
            100,
            "training stops after 100 epochs without improvement; expected 3",
        ),
        _other(
            "stop_on_validation",
            "early_stop_monitor",
            "val_loss",
            "training stops on the validation loss; expected the training loss",
        ),
        _other(
            "plateau_on_training",
            "plateau_monitor",
            "loss",
            "the learning rate follows the training loss; expected the validation loss",
        ),
        _other(
            "validation_tenth",
            "validation_fraction",
            0.1,
            "a tenth of the samples is held back for validation; expected the last 5 %",
        ),
    ),
}
