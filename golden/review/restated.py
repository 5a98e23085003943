"""Find the formulas that still compute what the reference computed before it changed. Faults are made of formulas."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from golden.judge.judgement import judge
from golden.review.difference import Difference
from golden.spec.arrays import Arrays
from golden.spec.case import Case


def formulas_left_behind(found: Iterable[Difference], cases: Mapping[str, Case]) -> list[str]:
    """Report each formula that still lacks the change that the reference's new outputs show.

    Args:
        found: what moved, with the golden before and after.
        cases: all cases, by name.
    """
    told: dict[Callable[..., Arrays], list[str]] = {}
    for one in found:
        formula = cases[one.case].operation.formula if one.case in cases else None
        if formula is not None and _is_left_behind(one, cases[one.case], formula):
            told.setdefault(formula, []).append(one.case)
    return [
        f"{_place(formula)} still computes the old outputs ({len(names)} of the cases that moved): if the reference "
        f"changed on purpose, change the formula too, because faults are made of it"
        for formula, names in told.items()
    ]


def _is_left_behind(one: Difference, case: Case, formula: Callable[..., Arrays]) -> bool:
    """Tell whether a formula agrees with the golden before the change, and not with the one after it."""
    if one.before is None or one.after is None:
        return False
    try:
        outputs = formula(**one.before.complete_inputs(case), **case.parameters)
    except Exception:  # the formula may be half changed; the proof reports what is wrong with it
        return False
    held = {name: np.asarray(array) for name, array in outputs.items()}
    return judge(one.before, held).passed and not judge(one.after, held).passed


def _place(formula: Callable[..., Arrays]) -> str:
    """Name a formula's file and function; the path is relative if it is below the current directory."""
    file = Path(sys.modules[formula.__module__].__file__ or formula.__module__)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{shown}: {formula.__name__}"
