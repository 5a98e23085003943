"""A stand-in reference and its cases, so that the framework can be tested without TensorFlow.

The environment variable ``STANDIN`` controls what it computes (see ``evaluate``), because the generator runs it in
another process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from golden.judge.compare import Tolerance
from golden.judge.proof import prove_faults
from golden.spec.arrays import Arrays, digest_array
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.fault import Fault
from golden.spec.operation import HEADROOM, Input, Operation, Output
from golden.spec.parameters import Parameters
from golden.store.golden import Derived, Golden

SCALE = Operation(
    name="toy.scale",
    summary="the input times a factor",
    inputs={"x": Input("(4, 5) complex64", "row column", "pixel")},
    outputs=(
        Output("y", "(4, 5) complex64", "row column", "pixel", where=lambda outputs: np.abs(outputs["y"]) > 0.1),
        Output("rows", "scalar int64"),
    ),
    parameters={"factor": float},
    faults=(
        Fault.of_outputs("negated", "the result has the other sign; expected x * factor", lambda o: {"y": -o["y"]}),
        Fault.of_parameters("factor_plus_one", "the factor is one too large", lambda p: {"factor": p["factor"] + 1.0}),
        Fault.of_inputs("row_lost", "the last row is lost", lambda inputs: {"x": inputs["x"][:-1]}),
    ),
)
LARGE = Operation(
    name="toy.large",
    summary="the sum of a large input that is a recipe",
    inputs={"start": "scalar-like (1,) float32", "ramp": Input("(1000,) float32; made from start", "step", "1")},
    outputs=(Output("z", "(1000,) float32", terms=2),),
    derive=lambda inputs, parameters: {"ramp": inputs["start"] + np.arange(1000, dtype=np.float32)},
    faults=(Fault.of_outputs("reversed", "the ramp falls; expected it to rise", lambda o: {"z": o["z"][::-1]}),),
)
REFERENCES = {"toy": "tests.golden.toy_adapter"}
_NOISE = {"y": 1e-6, "z": 1e-4}
"""Noise of the floating-point outputs, both absolute and relative. It is at least that of rounding."""
ONE_NUMBER = {"rows": "it is one number"}

CASES = (
    Case("toy/double", SCALE, "twice", {"factor": 2.0}, lambda draw: {"x": draw.complex((4, 5))}, ONE_NUMBER),
    Case("toy/triple", SCALE, "three times", {"factor": 3.0}, lambda draw: {"x": draw.complex((4, 5))}, ONE_NUMBER),
    Case("toy/ramp", LARGE, "a ramp", {}, lambda draw: {"start": draw.real((1,))}),
    Case("toy/slow", SCALE, "slow", {"factor": 5.0}, lambda draw: {"x": draw.complex((4, 5))}, ONE_NUMBER, slow=True),
)


def evaluate(
    operation: str, precision: str, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    behaviour = os.environ.get("STANDIN", "")
    if behaviour == "sleep":
        time.sleep(60)
    if behaviour == "exit":
        raise SystemExit
    if behaviour == "raise":
        raise RuntimeError("the stand-in was told to fail")
    change = {"noise": 1 + 1e-7, "drift": 1.001, "breaking": -1.0}.get(behaviour, 1.0)
    if operation == "toy.large":
        return {"z": (inputs["ramp"] * change).astype(precision)}
    kind = "complex64" if precision == "float32" else "complex128"
    y = (inputs["x"].astype(kind) * parameters["factor"] * change).astype(kind)
    if behaviour == "shape":
        y = y[None]
    return {"y": y, "rows": np.array(len(inputs["x"]), np.int64)}


def producer(operation: str) -> str:
    return "tensorflow"


def provenance() -> dict[str, str]:
    return {"reference": "stand-in", "tensorflow": "none"}


def make_golden(case: Case, /, **changes: Any) -> Golden:
    """Make a golden of a stand-in case, without the generator and its processes."""
    inputs = case.draw_inputs(0)
    complete = case.complete_inputs(inputs)
    outputs = evaluate(case.operation.name, "float32", complete, case.parameters)
    noise = {name: _NOISE.get(name, 0.0) for name in outputs}
    where = {o.name: o.where(outputs) for o in case.operation.outputs if o.where is not None}
    tolerances = {name: Tolerance(HEADROOM * n, HEADROOM * n, n, n) for name, n in noise.items()}

    def run(inputs: Arrays, parameters: Parameters) -> Arrays:
        return evaluate(case.operation.name, "float32", inputs, parameters)

    fields: dict[str, Any] = {
        "case": case.name,
        "operation": case.operation.name,
        "summary": case.summary,
        "parameters": case.parameters,
        "definition": case.definition_digest(complete),
        "draw": 0,
        "producer": "tensorflow",
        "provenance": provenance(),
        "inputs": inputs,
        "outputs": outputs,
        "where": where,
        "tolerances": tolerances,
        "noise": {name: {"float64": n} for name, n in noise.items()},
        "derived": {
            name: Derived(array.shape, array.dtype.str, digest_array(array))
            for name, array in complete.items()
            if name not in inputs
        },
        "expected_constant": dict(case.expected_constant),
        "faults": prove_faults(case, complete, outputs, tolerances, where, run),
        "invisible": case.invisible_on(complete),
    }
    golden = Golden(**(fields | changes))
    with suppress(GoldenError):  # outputs of another shape may have other axes
        golden = replace(golden, labels=changes.get("labels", golden.labels_of(case.operation)))
    return golden
