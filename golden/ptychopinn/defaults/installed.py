"""Defaults, read from the configuration of the installed package."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.ptychopinn.defaults.cases import FIELDS
from golden.ptychopinn.installed_package import offered, stored, unexpected

NEEDS = {"inference": "config.config.InferenceConfig"}
NO_CALL = {
    "optimizer": "its optimizer is made where it trains; no call returns it",
    "schedule": "its schedule stands in the training loop; no call returns it",
}

_LEGACY_FIELDS = ("offset", "max_position_jitter")
"""Settings that stand in the package's global parameters and not in its configuration."""


def model() -> dict[str, np.ndarray]:
    return _table("model", "ModelConfig", {name: stored(name) for name in _LEGACY_FIELDS})


def training() -> dict[str, np.ndarray]:
    return _table("training", "TrainingConfig")


def inference() -> dict[str, np.ndarray]:
    return _table("inference", "InferenceConfig")


def _table(table: str, kind: str, others: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
    """Return the declared defaults of the table's fields, as JSON texts.

    An instance would not do: TensorFlow's training configuration fills some fields in when it is made.
    """
    call = f"config.config.{kind}"
    configuration = offered(call)
    if not (isinstance(configuration, type) and dataclasses.is_dataclass(configuration)):
        raise unexpected(call, "a dataclass", type(configuration).__name__)
    declared = {field.name: _default(field) for field in dataclasses.fields(configuration)} | dict(others or {})
    absent = sorted(name for name in FIELDS[table] if declared.get(name, dataclasses.MISSING) is dataclasses.MISSING)
    if absent:
        raise unexpected(call, f"defaults for {', '.join(absent)}", "none")
    return {
        "fields": np.array(sorted(FIELDS[table]), dtype=bytes),
        **{name: np.array(json.dumps(declared[name], default=os.fspath).encode()) for name in FIELDS[table]},
    }


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
