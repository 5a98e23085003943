"""The defaults of the port's configurations, under TensorFlow's names."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.ptychopinn.defaults.cases import FIELDS
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from tests.torch.subject.layouts import Outputs

MIRRORED_BY: Mapping[str, tuple[type, ...]] = {
    "model": (ModelConfig, DataConfig),
    "training": (TrainingConfig, DataConfig, ModelConfig),
    "inference": (InferenceConfig, DataConfig),
    "optimizer": (TrainingConfig,),
    "schedule": (TrainingConfig,),
}
"""TensorFlow's table -> the port's configurations that mirror it. If several have a field, the first counts."""

PORT_NAMES: Mapping[str, str] = {
    "gridsize": "grid_size",
    "neighbor_count": "K",
    "nepochs": "epochs",
    "beta_1": "adam_beta_1",
    "beta_2": "adam_beta_2",
    "epsilon": "adam_epsilon",
    "amsgrad": "adam_amsgrad",
    "clipnorm": "gradient_clip_norm",
}


def defaults_model() -> Outputs:
    return _defaults("model")


def defaults_training() -> Outputs:
    return _defaults("training")


def defaults_inference() -> Outputs:
    return _defaults("inference")


def defaults_optimizer() -> Outputs:
    return _defaults("optimizer")


def defaults_schedule() -> Outputs:
    return _defaults("schedule")


def _defaults(table: str) -> Outputs:
    values = {name: _default(MIRRORED_BY[table], name) for name in FIELDS[table]}
    return {
        "fields": np.array(sorted(values), dtype=bytes),
        **{name: np.array(json.dumps(value).encode()) for name, value in values.items()},
    }


def _default(configs: tuple[type, ...], tensorflow_name: str) -> Any:
    name = PORT_NAMES.get(tensorflow_name, tensorflow_name)
    for config in configs:
        if name in {field.name for field in dataclasses.fields(config)}:
            value = getattr(config(), name)
            return value[0] if tensorflow_name == "gridsize" else value
    raise AttributeError(f"no field {name!r} (TensorFlow: {tensorflow_name!r}) in {[c.__name__ for c in configs]}")
