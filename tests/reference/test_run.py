"""The reference's training and stitching; an interrupted training continues to the same result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from golden.ptychopinn.run import formulas
from golden.ptychopinn.run import reference as run
from golden.ptychopinn.run.cases import CASES


def test_an_interrupted_training_continues_to_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case, _) = CASES
    given = {**case.complete_inputs(case.draw_inputs(0)), **case.parameters}
    given |= {"order": given["order"][:2, :32], "held_back": given["held_back"][:4]}
    whole = run.train(run.Task.of(tf.float32, given))
    assert len(whole["losses"]) == 4

    epoch, task = run.Training.epoch, run.Task.of(tf.float32, given, tmp_path)

    def interrupted(training: run.Training, numbers: np.ndarray) -> None:
        if training.finished:
            raise KeyboardInterrupt
        epoch(training, numbers)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run.Training, "epoch", interrupted)
        run.train(task)
    assert [file.name for file in tmp_path.iterdir()] == [f"{task.digest}.npz"]
    resumed = run.train(task)
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, name)


def test_the_stitching_formula_agrees_with_the_reference() -> None:
    """The patches come from an untrained network, because goldens keep too few of theirs."""
    _, case = CASES
    inputs = case.complete_inputs(case.draw_inputs(0))
    outputs = run.reconstruction(tf.float32, **{**inputs, "order": inputs["order"][:0]}, **case.parameters)
    outputs = {name: np.asarray(array) for name, array in outputs.items()}
    places = inputs["positions"][inputs["inferred"]]
    found = formulas.judged(*formulas.stitched(outputs["patches"], places), places, inputs["object"])
    for name in ("canvas_side", "covered", "mosaic", "orientation"):
        np.testing.assert_allclose(found[name], outputs[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_any_change_makes_another_task() -> None:
    (case, _) = CASES
    given = {**case.complete_inputs(case.draw_inputs(0)), **case.parameters}
    one = run.Task.of(tf.float32, given)
    assert one == run.Task.of(tf.float32, dict(given))
    assert one != run.Task.of(tf.float64, given)
    assert one != run.Task.of(tf.float32, {**given, "learning_rate": 1e-4})
    assert one != run.Task.of(tf.float32, {**given, "weights": np.nextafter(given["weights"], 1)})
