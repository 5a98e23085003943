"""Goldens of an installed package ``ptycho``, here a stand-in, with TensorFlow behind it; then both compared."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from golden.generate import FIXTURES, main
from golden.judge.judgement import judge
from golden.ptychopinn import installed_package as ptycho
from golden.spec.catalogue import load_cases
from golden.store.entry import read_entry
from golden.store.golden import golden_path
from golden.store.read import read_golden

STANDIN = Path(__file__).resolve().parents[1] / "golden" / "standin_ptycho"
CASES = ("probe/normalise_n16_scale4", "reassembly/m8", "defaults/model", "defaults/schedule")

TRACED = '''

import tensorflow as tf

@tf.function(input_signature=[tf.TensorSpec([None, None, None, 1], tf.complex64), tf.TensorSpec([], tf.int32)])
def _crop(patches, M):
    """Traced once, with the N of the first call."""
    first = params.get("N") // 2 - M // 2
    return patches[:, first : first + M, first : first + M]


def shift_and_sum(patches, offsets, M=10):
    assert tf.is_tensor(patches) and tf.is_tensor(offsets)
    moves = offsets.numpy().reshape(-1, 2)
    moves = moves - moves.mean(axis=0)
    pad = int(np.ceil(np.abs(moves).max()))
    return tf.constant(reassembly.shift_and_sum(_crop(patches, M).numpy()[..., 0], moves, pad + pad % 2)[..., None])


def reassemble_position(patches, offsets, M=10):
    count = shift_and_sum(tf.ones_like(patches), offsets, M)
    return shift_and_sum(patches, offsets, M) / (count + 1e-9)
'''


def generate(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_goldens_of_the_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(STANDIN)  # the processes inherit it
    there = ("--fixtures", str(tmp_path))
    made = generate(*there, "--reference", "ptycho", "--update", "--reason", "of the package", *CASES)
    assert made.exit_code == 0, made.output
    assert "cannot answer defaults.schedule (the installed release has no model.create_compiled_model)" in made.stdout
    goldens = {name: read_golden(golden_path(tmp_path, name)) for name in CASES}
    for name, golden in goldens.items():
        ours = read_golden(golden_path(FIXTURES, name))
        assert judge(ours, golden.outputs).passed
        assert set(golden.faults) == set(ours.faults)
    assert [golden.provenance["reference"] for golden in goldens.values()] == ["ptycho"] * 3 + [
        "golden.reference",
    ]
    assert goldens["defaults/model"].producer == "tensorflow", "read from the package, not transcribed"
    assert goldens["reassembly/m8"].provenance["proved_with"].startswith("golden.reference, which agrees to 0.")
    assert read_entry(tmp_path, "reassembly/m8")["history"][0]["reference"].startswith("ptycho 2.4")

    crossed = generate(*there, "--cross-check", "ptycho")
    assert crossed.exit_code == 0, crossed.output
    assert "3 cases compared, all agree within tolerance" in crossed.stdout


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stand-in whose crop is a TensorFlow graph, as the package's is."""
    shutil.copytree(STANDIN, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "ptycho" / "tf_helper.py").open("a") as helper:
        helper.write(TRACED)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "ptycho"]:
        del sys.modules[name]


@pytest.mark.usefixtures("traced")
def test_a_graph_that_keeps_its_first_n_is_run_eagerly() -> None:
    import tensorflow as tf

    helper, params = (importlib.import_module(f"ptycho.{name}") for name in ("tf_helper", "params"))
    crops = []
    for N in (64, 16):
        params.set("N", N)
        crops.append(helper._crop(tf.ones((1, N, N, 1), tf.complex64), 8).shape)
    assert crops == [(1, 8, 8, 1), (1, 0, 0, 1)], "left to itself, the graph crops the second N as it did the first"

    case, golden = load_cases("golden.ptychopinn")["reassembly/m8"], read_golden(golden_path(FIXTURES, "reassembly/m8"))
    try:
        outputs = ptycho.evaluate(case.operation.name, "float32", golden.inputs, case.parameters)
    finally:
        tf.config.run_functions_eagerly(False)
    assert judge(golden, outputs).passed
