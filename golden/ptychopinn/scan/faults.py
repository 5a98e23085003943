"""These faults misread a scan: a wrong axis order, exchanged coordinates, data that should not be changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.probe.formulas import norm
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial

# ------------------------------------------------------------------------------------------------ conditions

_FIRST = Condition(
    "the patterns lie along the first axis", lambda inputs, _: len(inputs["stack"]) == len(inputs["xcoords"])
)
_NO_STARTS = Condition("the file has no start positions", lambda _, p: not p["starts"])


def _of_stack(name: str, symptom: str, change: Callable[[np.ndarray, int], np.ndarray]) -> Fault:
    """Misread the stack: ``change`` gets the stored stack and the number of patterns, if that is the last axis."""

    def commit(t: Trial) -> Arrays:
        stack, M = t.inputs["stack"], len(t.inputs["xcoords"])
        return {"diffraction": np.ascontiguousarray(change(stack, M))} if stack.shape[0] != M else {}

    return Fault(name, symptom, commit)


def _of_output(name: str, symptom: str, output: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return Fault.of_outputs(
        name, symptom, lambda outputs: {output: np.asarray(change(outputs[output]), outputs[output].dtype).copy()}
    )


_COORDS = ("xcoords", "ycoords", "xcoords_start", "ycoords_start")

READING = (
    _of_stack(
        "stack_reshaped",
        "a (N, N, M) stack is reshaped, which mixes pixels; expected its last axis moved first",
        lambda stack, M: stack.reshape(M, *stack.shape[:2]),
    ).invisible_when(_FIRST),
    _of_stack(
        "stack_transposed",
        "all axes of a (N, N, M) stack are reversed; expected only its last axis moved first",
        lambda stack, M: stack.T,
    ).invisible_when(_FIRST),
    Fault.of_outputs(
        "xy_swap",
        "xcoords and ycoords are swapped; expected x along columns, y along rows",
        lambda outputs: {
            "xcoords": outputs["ycoords"],
            "ycoords": outputs["xcoords"],
            "xcoords_start": outputs["ycoords_start"],
            "ycoords_start": outputs["xcoords_start"],
        },
    ),
    Fault.of_outputs(
        "starts_as_positions",
        "positions are the start positions; expected the measured ones",
        lambda outputs: {"xcoords": outputs["xcoords_start"], "ycoords": outputs["ycoords_start"]},
    ).invisible_when(_NO_STARTS),
    Fault.of_outputs(
        "starts_ignored",
        "start positions are the measured ones; expected those of the file",
        lambda outputs: {"xcoords_start": outputs["xcoords"], "ycoords_start": outputs["ycoords"]},
    ).invisible_when(_NO_STARTS),
    Fault.of_outputs(
        "single_precision",
        "positions are rounded to float32; expected float64",
        lambda outputs: {name: outputs[name].astype(np.float32).astype(np.float64) for name in _COORDS},
    ),
    _of_output(
        "rooted",
        "patterns are square-rooted, as if they were counts; expected amplitudes unchanged",
        "diffraction",
        np.sqrt,
    ),
    _of_output("squared", "patterns are squared; expected amplitudes unchanged", "diffraction", np.square),
    _of_output("probe_transposed", "the probe is transposed; expected (row, column)", "probe", np.transpose),
    _of_output(
        "probe_normalised",
        "the probe is normalised; expected it as guessed",
        "probe",
        lambda probe: probe / (4.0 * norm(probe)),
    ),
)
