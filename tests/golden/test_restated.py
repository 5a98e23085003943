"""If a reference changes, the check names the formula that needs the same change, once and with its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from golden.review.difference import Difference
from golden.review.restated import formulas_left_behind
from golden.spec.arrays import Arrays
from golden.spec.case import Case
from tests.golden import standin

DOUBLE, TRIPLE = (case for case in standin.CASES if case.name in ("toy/double", "toy/triple"))


def formula(x: np.ndarray, factor: float) -> Arrays:
    y = (x * np.float32(factor)).astype(x.dtype)
    return {"y": y, "rows": np.array(len(y))}


def changed(x: np.ndarray, factor: float) -> Arrays:
    return {**formula(x, factor), "y": -formula(x, factor)["y"]}


def broken(x: np.ndarray, factor: float) -> Arrays:
    raise ValueError


def told(of: Callable[..., Arrays] | None) -> list[str]:
    found = []
    cases: dict[str, Case] = {}
    for case in (DOUBLE, TRIPLE):
        made = standin.make_golden(case)
        after = replace(made, outputs={**made.outputs, "y": -made.outputs["y"]})
        found.append(Difference(case.name, before=made, after=after))
        cases[case.name] = replace(case, operation=replace(case.operation, formula=of))
    return formulas_left_behind([*found, Difference("toy/gone", before=None)], cases)


def test_a_formula_that_computes_the_old_outputs_is_named_once() -> None:
    [line] = told(formula)
    assert line.startswith("tests/golden/test_restated.py: formula still computes the old outputs (2 of the cases that")
    assert line.endswith("if the reference changed on purpose, change the formula too, because faults are made of it")


def test_changed_broken_and_missing_formulas_are_not_named() -> None:
    assert told(changed) == told(broken) == told(None) == []
