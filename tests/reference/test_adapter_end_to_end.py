"""Generate goldens with an installed package ``ptycho`` and TensorFlow behind it; then cross-check the two.

The package is a stand-in. With ``PTYCHOPINN=DIR``, the tests also run with the real package, from its checkout in DIR.
"""

from __future__ import annotations

import importlib
import os
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
INSTALLED = os.environ.get("PTYCHOPINN")
REAL = pytest.mark.skipif(INSTALLED is None, reason="PTYCHOPINN is not set to a checkout of the real package")
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


@pytest.fixture(params=["the stand-in", pytest.param("the real package", marks=REAL)])
def is_real(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Let the generator's processes, which inherit the path, find this package; return whether it is the real one."""
    if request.param == "the stand-in":
        monkeypatch.syspath_prepend(STANDIN)
        return False
    folder = tmp_path_factory.mktemp("real")
    (folder / "ptycho").symlink_to(Path(INSTALLED or "").resolve() / "ptycho")  # the checkout has other packages too
    monkeypatch.syspath_prepend(folder)
    return True


def test_goldens_of_the_installed_package(is_real: bool, tmp_path: Path) -> None:
    there = ("--fixtures", str(tmp_path))
    made = generate(*there, "--reference", "ptycho", "--update", "--reason", "of the package", *CASES)
    assert made.exit_code == 0, made.output
    unanswered = [] if is_real else ["defaults/schedule"]
    said = "cannot compute defaults.schedule (the installed release has no model.create_compiled_model)"
    assert (said in made.stdout) is bool(unanswered)
    goldens = {name: read_golden(golden_path(tmp_path, name)) for name in CASES}
    for name, golden in goldens.items():
        ours = read_golden(golden_path(FIXTURES, name))
        assert judge(ours, golden.outputs).passed
        assert set(golden.faults) == set(ours.faults)
        expected = "golden.reference" if name in unanswered else "ptycho"
        assert golden.provenance["reference"] == expected
    assert goldens["defaults/model"].producer == "tensorflow", "read from the package, not transcribed"
    assert goldens["reassembly/m8"].provenance["proved_with"].startswith("golden.reference, which agrees to 0.")
    assert read_entry(tmp_path, "reassembly/m8")["history"][0]["reference"].startswith("ptycho ")

    crossed = generate(*there, "--cross-check", "ptycho")
    assert crossed.exit_code == 0, crossed.output
    compared = len(CASES) - len(unanswered)
    assert f"{compared} cases compared, all agree within tolerance" in crossed.stdout

    recorded = generate(*there, "--cross-check", "ptycho", "--record")
    assert recorded.exit_code == 0, recorded.output
    assert f"{compared} of {len(CASES)} goldens are confirmed by ptycho " in recorded.stdout


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a stand-in whose crop is a TensorFlow graph, like that of the package."""
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
    assert crops == [(1, 8, 8, 1), (1, 0, 0, 1)], "without eager execution, the graph crops the second N like the first"

    case, golden = load_cases("golden.ptychopinn")["reassembly/m8"], read_golden(golden_path(FIXTURES, "reassembly/m8"))
    try:
        outputs = ptycho.evaluate(case.operation.name, "float32", golden.inputs, case.parameters)
    finally:
        tf.config.run_functions_eagerly(False)
    assert judge(golden, outputs).passed
