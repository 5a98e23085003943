"""With the weights of the real TensorFlow PtychoPINN, the model gives its recorded outputs and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from einops import rearrange

from ptycho_torch.config_params import ModelConfig
from ptycho_torch.files.tensorflow_weights import (
    from_tensorflow_weights,
    read_tensorflow_weights,
    to_tensorflow_gradients,
    to_tensorflow_weights,
)
from ptycho_torch.model import PtychoPINN
from ptycho_torch.operators.physics import intensity_scale
from ptycho_torch.operators.probe import normalize_probe_like_tf
from ptycho_torch.training.taps import taps
from tests.torch.networks import DEVICES
from tests.torch.subject.layouts import positions_of
from tests.vectors import Record, assert_close, records

SETTINGS = ("n_filters_scale", "amp_activation", "object_big", "probe_big", "pad_object", "probe_mask")


def recorded_model(external_data: Path, record: Record) -> PtychoPINN:
    given = {name: record.attributes[name].item() for name in SETTINGS if name != "amp_activation"}
    members = int(record.attributes["gridsize"]) ** 2
    activation: Any = record.attributes["amp_activation"]
    config = ModelConfig(C_model=members, C_forward=members, amp_activation=activation, **given)
    probe = normalize_probe_like_tf(record.inputs["probe_raw"], float(record.attributes["probe_scale"]))
    scale = intensity_scale(float(record.attributes["nphotons"]), int(record.attributes["N"]))
    assert scale == pytest.approx(float(record.attributes["intensity_scale"]), rel=1e-12)
    model = PtychoPINN(config, probe, scale)
    assert sum(parameter.numel() for parameter in model.parameters()) == record.attributes["param_count"]
    file, _, name = record.name.partition("/")
    from_tensorflow_weights(model, read_tensorflow_weights(external_data / "vectors" / f"{file}.h5", f"{name}/weights"))
    return model


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recorded_models(external_data: Path, dtype: torch.dtype, device: str) -> None:
    count = 0
    for record in records(external_data, "model_forward*.h5"):
        count += 1
        model = recorded_model(external_data, record).to(device, dtype)
        x = torch.from_numpy(rearrange(record.inputs["X"], "b h w c -> b c h w")).to(device, dtype)
        found = taps(model, x, positions_of(record.inputs["coords_relative"]).to(device, dtype))
        found["loss"].backward()
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in found.items()}
        expected, members = record.outputs, x.shape[1]
        # Float32 adds its own rounding to the recorded one.
        allowed = 6e-6 if dtype == torch.float64 else 1e-5
        centre = np.s_[:, 20:44, 20:44]  # also compared on its own scale: the border is a thousand times larger
        comparisons = {
            "patch_object": (rearrange(arrays["object_patches"], "b c h w -> b h w c"), ..., allowed),
            "merged_object": (arrays["merged"][..., None], ..., allowed),
            "trimmed_object": (arrays["object"][..., None], ..., allowed),
            "trimmed_object, centre": (arrays["object"][..., None], centre, allowed),
            "extracted_flat": (rearrange(arrays["patches"], "b c h w -> (b c) h w 1")[:members], ..., allowed),
            "pred_amplitude": (rearrange(arrays["predicted_amplitude"], "b c h w -> b h w c"), ..., 1e-6),
            "probe_normalised": (model.probe.cpu().numpy()[..., None], ..., 1e-6),
        }
        for name, (actual, region, tolerance) in comparisons.items():
            assert_close(record, name, actual[region], expected[name.split(",")[0]][region], tolerance)
        assert float(arrays["loss"]) == pytest.approx(float(expected["loss_nll_mean"]), rel=7e-7)

        gradients = to_tensorflow_gradients(model)
        norms = np.array([np.linalg.norm(gradient.astype(np.float64)) for gradient in gradients])
        np.testing.assert_allclose(norms, expected["grad_norms"], rtol=2e-3, err_msg=record.name)
        compared = [name for name in expected if name.startswith("grad_0")]
        assert len(compared) >= 4
        for name in compared:
            assert_close(record, name, gradients[int(name.removeprefix("grad_"))], expected[name], 2e-3)
    assert count >= 2


def test_recorded_weights_come_back(external_data: Path) -> None:
    for record in records(external_data, "model_forward*.h5"):
        model = recorded_model(external_data, record)
        file, _, name = record.name.partition("/")
        with h5py.File(external_data / "vectors" / f"{file}.h5") as stored:
            for place, array in enumerate(to_tensorflow_weights(model)):
                np.testing.assert_array_equal(array, stored[f"{name}/weights/{place:03}"][()])
