"""The integration run agrees with TensorFlow's, step by step at first and in distribution at the end.

The short run is part of every test run. The long run, 1000 patterns and twenty epochs, uses the two command lines and
needs RUN_LONG_INTEGRATION=1. With ``--precision bf16-mixed``, it is compared with the same envelope of TensorFlow's
runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from golden.judge.judgement import judge
from golden.ptychopinn.run import long as long_run
from golden.ptychopinn.run import mosaics
from golden.ptychopinn.simulation.embedded import as_ptychopinn, embedded
from golden.report.text import explain, explain_causes
from golden.spec.case import Case
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden
from golden.testing.fixture import GoldenCase
from tests.torch import runs

LONG_FIXTURES = Path(long_run.__file__).parents[2] / "long_fixtures"
# Lightning is not imported here: the import takes seconds, and runs without integration tests do not need it.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("lightning") is None, reason="training needs Lightning"),
]


@pytest.mark.golden("run.training")
def test_training(golden: GoldenCase) -> None:
    golden.check_subject()


@pytest.mark.golden("run.reconstruction")
def test_reconstruction(golden: GoldenCase) -> None:
    golden.check_subject()


# ------------------------------------------------------------------------------------------------ the long run


def program(name: str, directory: Path, *arguments: object) -> str:
    """Run a program, which must succeed; return its log. ``pytest -s`` shows its progress."""
    command = [sys.executable, "-m", f"ptycho_torch.{name}", "--output_dir", directory, *arguments]
    ended = subprocess.run(list(map(str, command)), check=False)
    said = (directory / f"{name}.log").read_text()
    assert ended.returncode == 0, said[-2000:]
    return said


def test_the_long_golden_is_found() -> None:
    """Tested here because the long run itself is rarely tested."""
    (case,) = long_run.CASES
    assert read_golden(golden_path(LONG_FIXTURES, case.name)).case == case.name


@pytest.mark.skipif(
    os.environ.get("RUN_LONG_INTEGRATION") != "1", reason="RUN_LONG_INTEGRATION=1 runs it: eleven minutes on two cores"
)
def test_train_on_1000_infer_on_512(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    precision = pytestconfig.getoption("--precision")
    scan, out, result, begin = (tmp_path / name for name in ("scan.npz", "out", "result", "weights.h5"))
    np.savez(scan, **as_ptychopinn())
    (case,) = long_run.CASES
    golden = read_golden(golden_path(LONG_FIXTURES, case.name))
    inputs = golden.complete_inputs(case)
    runs.write_weights(begin, inputs["weights"], case.parameters)
    said = program(
        "train",
        out,
        *("--train_data_file", scan, "--test_data_file", scan, "--max_epochs", 20),
        *("--n_images", 1000, "--gridsize", 1, "--batch_size", 16, "--accelerator", "cpu", "--disable_mlflow"),
        *("--initial_weights", begin, "--precision", precision),
    )
    assert "subsampling 1000 images" in said
    said = program(
        "inference",
        result,
        *("--model_path", out, "--test_data", scan, "--n_images", 512),
        *("--accelerator", "cpu", "--save_patches", "--precision", precision),
    )
    assert "subsampling 512 images" in said
    assert "using 512 individual images" in said
    diagnostics = json.loads((result / "diagnostics.json").read_text())
    wrong = [one for one in diagnostics["findings"] if one["verdict"] == "wrong"]
    assert not wrong, wrong

    found = outputs_of(out, result, inputs)
    positions = inputs["positions"][inputs["inferred"]]
    np.testing.assert_allclose(found["covered"], np.ptp(positions, axis=0) + 20, atol=2.5)
    assert np.argmax(found["orientation"]) == 0, dict(zip(mosaics.TURNS, found["orientation"]))
    assert found["probe_mean"] == pytest.approx(0.25, rel=1e-5)
    assert golden.outputs.keys() - found.keys() == {"weight_changes"}, "programs report all others"
    require_like_tensorflow(case, golden, found)


def outputs_of(out: Path, result: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return those outputs of the golden that the programs report, from the files that they wrote."""
    losses = json.loads((out / "losses.json").read_text())
    epochs = losses["epochs"]
    steps = np.array([loss for epoch in epochs for loss in epoch["batch_losses"]], np.float32)
    with np.load(result / "reconstruction.npz", allow_pickle=False) as written:
        mosaic, count, patches = (written[name] for name in ("mosaic", "count", "patches"))
    mask = count > mosaics.COVERED
    positions = inputs["positions"][inputs["inferred"]]
    judged = (mosaic, mask, embedded("object"), positions.mean(axis=0))
    diagnostics = json.loads((result / "diagnostics.json").read_text())["findings"]
    numbers = {one["name"]: one["numbers"] for one in diagnostics}
    return {
        "first_loss": np.asarray(steps[0]),
        "step_losses": steps,
        "epoch_losses": np.array([[one[name] for one in epochs] for name in ("loss", "val_loss")], np.float32),
        "training_excess": np.asarray(np.log(np.float32(epochs[-1]["loss"] - losses["least_loss"]))),
        "validation_excess": np.asarray(np.log(np.float32(epochs[-1]["val_loss"] - losses["least_val_loss"]))),
        "patches": patches[..., None],
        "patch_orientation": mosaics.patch_orientation(patches[..., None], positions, embedded("object")),
        "canvas_side": np.asarray(len(mosaic), np.int64),
        "covered": mosaics.covered_box(count),
        "mosaic": (mosaic * mask)[..., None],
        "orientation": mosaics.orientation(*judged),
        "probe_mean": np.asarray(numbers["probe"]["used"]["masked_mean"], np.float32),
        "intensity_scale": np.asarray(numbers["photons"]["intensity_scale"], np.float32),
        **mosaics.quality(*judged),
    }


def require_like_tensorflow(case: Case, golden: Golden, found: dict[str, np.ndarray]) -> None:
    """Check like ``GoldenCase.check``, but only the outputs that the programs report."""
    reported = replace(golden, outputs={name: array for name, array in golden.outputs.items() if name in found})
    outputs = case.operation.kept({name: found[name] for name in reported.outputs})
    judgement = judge(reported, outputs, case.operation.path)
    said = [line for comparison in judgement.failed for line in explain(case.name, comparison)]
    assert judgement.passed, "\n".join([*said, *explain_causes(judgement.causes)])
