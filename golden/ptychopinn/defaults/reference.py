"""Configuration defaults are transcribed from PtychoPINN's behaviour; Keras's own constants are read live."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import tensorflow as tf

PRODUCER = "transcribed"


def model(real: tf.DType) -> dict[str, np.ndarray]:
    return _table(
        N=64,
        gridsize=1,
        n_filters_scale=2,
        model_type="pinn",
        architecture="cnn",
        amp_activation="sigmoid",
        object_big=True,
        probe_big=True,
        probe_mask=False,
        probe_mask_sigma=1.0,
        probe_mask_diameter=None,
        pad_object=True,
        probe_scale=4.0,
        gaussian_smoothing_sigma=0.0,
        # These are not in the structured configuration, so the values of the legacy dictionary always apply.
        offset=4,
        max_position_jitter=10,
    )


def training(real: tf.DType) -> dict[str, np.ndarray]:
    return _table(
        train_data_file=None,
        test_data_file=None,
        batch_size=16,
        nepochs=50,
        mae_weight=0.0,
        nll_weight=1.0,
        realspace_mae_weight=0.0,
        realspace_weight=0.0,
        nphotons=1e9,
        n_groups=None,
        n_images=None,
        n_subsample=None,
        subsample_seed=None,
        neighbor_count=4,
        enable_oversampling=False,
        neighbor_pool_size=None,
        positions_provided=True,
        probe_trainable=False,
        intensity_scale_trainable=True,
        output_dir="training_outputs",
        sequential_sampling=False,
    )


def inference(real: tf.DType) -> dict[str, np.ndarray]:
    return _table(
        n_groups=None,
        n_images=None,
        n_subsample=None,
        subsample_seed=None,
        neighbor_count=4,
        debug=False,
        output_dir="inference_outputs",
    )


def optimizer(real: tf.DType) -> dict[str, np.ndarray]:
    adam = tf.keras.optimizers.Adam().get_config()
    # Keras stores it as float32; the shortest decimal with that value is the one in the source code.
    learning_rate = float(str(np.float32(adam["learning_rate"])))
    return _table(
        learning_rate=learning_rate,
        beta_1=adam["beta_1"],
        beta_2=adam["beta_2"],
        epsilon=adam["epsilon"],
        amsgrad=adam["amsgrad"],
        weight_decay=adam["weight_decay"],
        clipnorm=adam["clipnorm"],
    )


def schedule(real: tf.DType) -> dict[str, np.ndarray]:
    plateau = _constructor_defaults(tf.keras.callbacks.ReduceLROnPlateau)
    stop = _constructor_defaults(tf.keras.callbacks.EarlyStopping)
    return _table(
        plateau_factor=0.5,
        plateau_patience=2,
        plateau_min_lr=1e-4,
        plateau_min_delta=plateau["min_delta"],
        plateau_monitor="val_loss",
        early_stop_patience=3,
        early_stop_min_delta=float(stop["min_delta"]),
        early_stop_monitor="loss",
        validation_fraction=0.05,
    )


def _constructor_defaults(kind: type) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}


def _table(**values: Any) -> dict[str, np.ndarray]:
    return {
        "fields": np.array(sorted(values), dtype=bytes),
        **{name: np.array(json.dumps(value).encode()) for name, value in values.items()},
    }
