"""The generator with TensorFlow reproduces committed goldens, including all variants of the noise floor."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from golden.generate import FIXTURES, main
from golden.generator.worker import VARIANTS
from golden.spec.operation import KERNELS
from golden.store.golden import golden_path
from golden.store.read import read_golden

CASES = ("probe/normalise_n16_scale4", "reassembly/m20_subpixel", "defaults/optimizer")


def test_it_reproduces_the_committed_goldens(tmp_path: Path) -> None:
    arguments = ["--fixtures", str(tmp_path), "--update", "--reason", "again", *CASES]
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 0, run.output
    for name in CASES:
        made, committed = read_golden(golden_path(tmp_path, name)), read_golden(golden_path(FIXTURES, name))
        assert made.definition == committed.definition
        assert {key: array.tobytes() for key, array in made.inputs.items()} == {
            key: array.tobytes() for key, array in committed.inputs.items()
        }
        for output in committed.outputs:
            assert set(made.noise[output]) == set(committed.noise[output])
    noise = read_golden(golden_path(tmp_path, CASES[1])).noise["mosaic"]
    assert {"float64", *VARIANTS, "1 ULP, run 4"} - set(KERNELS) <= set(noise)
    assert noise["float64"] > 0
    assert noise["1 ULP, run 1"] > 0


def test_the_users_keras_settings_have_no_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / ".keras" / "keras.json"
    own.parent.mkdir()
    own.write_text('{"floatx": "float64", "epsilon": 0.001, "backend": "jax", "image_data_format": "channels_first"}')
    for variable in ("KERAS_HOME", "KERAS_BACKEND", "TF_USE_LEGACY_KERAS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    cases = ("optimizer/adam", "network/forward_group1", "defaults/optimizer")
    read = CliRunner().invoke(main, cases)
    assert read.exit_code == 0, read.output
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    told = CliRunner().invoke(main, cases)
    assert told.exit_code == 0, told.output
