"""Read the defaults of the configuration from the installed package ``ptycho``."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.ptychopinn.defaults.cases import FIELDS
from golden.ptychopinn.installed_package import offered, stored, unexpected
from golden.ptychopinn.optimizer.installed import compiled, fit_options

NEEDS = {
    "inference": "config.config.InferenceConfig",
    **dict.fromkeys(("optimizer", "schedule"), "model.create_compiled_model"),
}
_LEGACY_FIELDS = ("offset", "max_position_jitter")
"""Settings in the package's global parameters, not in its configuration."""


def model() -> dict[str, np.ndarray]:
    return _table("model", "ModelConfig", {name: stored(name) for name in _LEGACY_FIELDS})


def training() -> dict[str, np.ndarray]:
    return _table("training", "TrainingConfig")


def inference() -> dict[str, np.ndarray]:
    return _table("inference", "InferenceConfig")


def optimizer() -> dict[str, np.ndarray]:
    with compiled() as made:
        constants = made.get_config()
    # Keras stores it in single precision; the shortest decimal of that value is the one in the source code.
    constants["learning_rate"] = float(str(np.float32(constants["learning_rate"])))
    return _texts("optimizer", "model.create_compiled_model", constants)


def schedule() -> dict[str, np.ndarray]:
    """Read the settings from the callbacks that its training passes to Keras, identified by their class."""
    with compiled():
        options = fit_options()
    callbacks = {type(callback).__name__: vars(callback) for callback in options["callbacks"]}
    found = {"validation_fraction": options.get("validation_split", dataclasses.MISSING)}
    for prefix, kind in (("plateau", "ReduceLROnPlateau"), ("early_stop", "EarlyStopping")):
        found |= {f"{prefix}_{name}": value for name, value in callbacks.get(kind, {}).items()}
    found["early_stop_min_delta"] = float(found.get("early_stop_min_delta", math.nan))
    return _texts("schedule", "model.train", found)


def _table(table: str, kind: str, others: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
    """Return the declared defaults of the table's fields, as JSON texts.

    They are not read from an instance, because the package's training configuration changes some fields when created.
    """
    call = f"config.config.{kind}"
    configuration = offered(call)
    if not (isinstance(configuration, type) and dataclasses.is_dataclass(configuration)):
        raise unexpected(call, "a dataclass", type(configuration).__name__)
    declared = {field.name: _default(field) for field in dataclasses.fields(configuration)} | dict(others or {})
    return _texts(table, call, declared)


def _texts(table: str, call: str, found: Mapping[str, Any]) -> dict[str, np.ndarray]:
    absent = sorted(name for name in FIELDS[table] if found.get(name, dataclasses.MISSING) is dataclasses.MISSING)
    if absent:
        raise unexpected(call, f"defaults for {', '.join(absent)}", "none")
    return {
        "fields": np.array(sorted(FIELDS[table]), dtype=bytes),
        **{name: np.array(json.dumps(found[name], default=os.fspath).encode()) for name in FIELDS[table]},
    }


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
