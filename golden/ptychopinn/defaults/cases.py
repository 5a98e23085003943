"""These cases freeze the configuration defaults that the port mirrors, field by field.

A value is stored as JSON text, so that ``null``, ``true``, ``4`` and ``4.0`` stay different.
"""

from __future__ import annotations

from golden.ptychopinn.defaults.faults import BY_TABLE
from golden.spec.case import Case
from golden.spec.operation import Operation, Output

FIELDS: dict[str, tuple[str, ...]] = {
    "model": (
        "N",
        "gridsize",
        "n_filters_scale",
        "model_type",
        "architecture",
        "amp_activation",
        "object_big",
        "probe_big",
        "probe_mask",
        "probe_mask_sigma",
        "probe_mask_diameter",
        "pad_object",
        "probe_scale",
        "gaussian_smoothing_sigma",
        "offset",
        "max_position_jitter",
    ),
    "training": (
        "train_data_file",
        "test_data_file",
        "batch_size",
        "nepochs",
        "mae_weight",
        "nll_weight",
        "realspace_mae_weight",
        "realspace_weight",
        "nphotons",
        "n_groups",
        "n_images",
        "n_subsample",
        "subsample_seed",
        "neighbor_count",
        "enable_oversampling",
        "neighbor_pool_size",
        "positions_provided",
        "probe_trainable",
        "intensity_scale_trainable",
        "output_dir",
        "sequential_sampling",
    ),
    "inference": (
        "n_groups",
        "n_images",
        "n_subsample",
        "subsample_seed",
        "neighbor_count",
        "debug",
        "output_dir",
    ),
    "optimizer": ("learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad", "weight_decay", "clipnorm"),
    "schedule": (
        "plateau_factor",
        "plateau_patience",
        "plateau_min_lr",
        "plateau_min_delta",
        "plateau_monitor",
        "early_stop_patience",
        "early_stop_min_delta",
        "early_stop_monitor",
        "validation_fraction",
    ),
}

_SUMMARY = {
    "model": "defaults of the model configuration: object_big is True, probe_scale is 4",
    "training": "defaults of the training configuration: nphotons is 1e9, neighbor_count is 4",
    "inference": "defaults of the inference configuration",
    "optimizer": "defaults of Adam as Keras constructs it: epsilon is 1e-7",
    "schedule": "defaults of the learning-rate schedule and of early stopping",
}


def _operation(table: str) -> Operation:
    return Operation(
        name=f"defaults.{table}",
        summary=f"default values of the {table} settings",
        inputs={},
        outputs=(
            Output("fields", "(n,) text; the names of the fields, sorted", "field"),
            *(Output(name, "scalar text; the value as JSON") for name in FIELDS[table]),
        ),
        faults=BY_TABLE[table],
        transcribed=True,
    )


CASES = tuple(
    Case(
        f"defaults/{table}",
        _operation(table),
        _SUMMARY[table],
        expected_constant=dict.fromkeys(FIELDS[table], "a configuration field holds a single value"),
    )
    for table in FIELDS
)
