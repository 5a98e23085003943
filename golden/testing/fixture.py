"""The ``golden`` fixture gives a test its inputs and parameters, and ``check``, which compares outputs and fails.

Nothing here writes a golden: what a port returned is written to the test's own directory, beside a page that shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from golden.judge.compare import Verdict
from golden.judge.judgement import Judgement, judge
from golden.report.run import Check, write_failure
from golden.report.text import explain_causes, explain_failed
from golden.spec.arrays import summarise, whereabouts
from golden.spec.case import Case
from golden.spec.catalogue import load_cases
from golden.spec.errors import GoldenError
from golden.spec.operation import Operation
from golden.spec.parameters import Parameters
from golden.store.entry import read_entry
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden
from golden.store.write import write_outputs

REGENERATE = "python generate_golden.py --update --reason ..."
"""The command that writes goldens; nothing else does."""

_LARGEST_KEPT = 64 * 2**20
"""Bytes of the largest output of a wrong shape that is still written down."""

Record = Callable[[Check], None]


class Goldens:
    """The goldens of a directory, each opened for a test once it is sure to be the one that its case declares.

    Args:
        fixtures: the directory.
        cases_module: the package that declares the cases.
    """

    def __init__(self, fixtures: Path, cases_module: str) -> None:
        self.fixtures = fixtures
        self._cases_module = cases_module

    @cached_property
    def cases(self) -> dict[str, Case]:
        return load_cases(self._cases_module)

    def open(self, name: str, scratch: Path, record: Record = lambda check: None) -> GoldenCase:
        """Read a golden for a test.

        Args:
            name: of its case.
            scratch: an existing directory, for what a port returned that fails.
            record: is told the outcome of every comparison.

        Raises:
            GoldenError: it is not there, damaged, not the one that its entry lists, or out of date.
        """
        source = golden_path(self.fixtures, name)
        golden = read_golden(source)
        if read_entry(self.fixtures, name)["content"] != golden.content_digest():
            raise GoldenError(
                f"golden {source}: its entry does not list this content; was it written by hand, or an update "
                f"interrupted? Run 'golden verify', which says so; restore it, or: {REGENERATE} {name}"
            )
        case = self.cases[name]
        inputs = golden.complete_inputs(case)
        if case.definition_digest(inputs) != golden.definition:
            raise GoldenError(f"golden {source}: its case has another definition by now: {REGENERATE} {name}")
        return GoldenCase(golden, case.operation, inputs, scratch, record)


class GoldenCase:
    """What the ``golden`` fixture gives to a test.

    Attributes:
        name: of the case.
        inputs: name -> array, stored or made by the case's recipe; in the reference's layout.
        parameters: name -> scalar.
        checked: whether anything was compared yet.
    """

    def __init__(
        self, golden: Golden, operation: Operation, inputs: dict[str, np.ndarray], scratch: Path, record: Record
    ) -> None:
        self.name = golden.case
        self.inputs = inputs
        self.parameters: Parameters = golden.parameters
        self.checked = False
        self._golden = golden
        self._operation = operation
        self._scratch = scratch
        self._record = record

    def check(self, outputs: Mapping[str, np.ndarray]) -> None:
        """Compare the subject's outputs, NumPy arrays in the reference's layout, with the golden; fail if they differ.

        All outputs of the case must be there, and no other. dtype and shape are exact.

        Raises:
            AssertionError: they differ. The message says where, and what explains it.
        """
        __tracebackhide__ = True
        self.checked = True
        for name, array in outputs.items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufcS":
                found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                pytest.fail(
                    f"golden {self.name}: output {name!r}: expected a NumPy array of numbers or bytes, found {found}",
                    pytrace=False,
                )
        judgement = judge(self._golden, self._operation.kept(outputs), self._operation.path)
        verdicts = {
            comparison.output: {
                "verdict": comparison.verdict.label,
                "share": comparison.share if math.isfinite(comparison.share) else None,
            }
            for comparison in judgement.comparisons
        }
        check = Check(self.name, self._golden.operation, verdicts)
        if not judgement.passed:
            check = self._explained(check, judgement, outputs)
        self._record(check)
        if not judgement.passed:
            raise AssertionError("\n".join(check.lines))

    def _explained(self, check: Check, judgement: Judgement, outputs: Mapping[str, np.ndarray]) -> Check:
        """Add to a failed check why it failed; write down what was found, and show it as a page."""
        kept = self._operation.kept(outputs)
        file, left_out = self._write(kept)
        places = self._whereabouts(judgement, outputs)
        lines = explain_failed(self.name, judgement.failed, self._operation.path, places)
        lines += explain_causes(judgement.causes) if judgement.causes else []
        lines.append(f"  obtained: {file}" + (f" (without {left_out}: too large)" if left_out else ""))
        check = replace(
            check,
            lines=lines,
            faults=judgement.faults,
            diagnoses=[{"outputs": list(one.outputs), "sentence": one.sentence} for one in judgement.causes],
            remarks=places | dict.fromkeys(left_out, "too large to be kept"),
            obtained=str(file),
        )
        page = file.with_name(file.name.replace(".obtained.h5", ".html"))
        if not _write_page(page, check, self._golden, kept):
            return check
        return replace(check, lines=[*lines, f"  page: {page}"])

    def _write(self, obtained: Mapping[str, np.ndarray]) -> tuple[Path, list[str]]:
        """Write what was obtained, but for arrays of a wrong shape that would take minutes; return what is left out."""
        expected = self._golden.outputs
        kept = {
            name: array
            for name, array in obtained.items()
            if array.nbytes <= _LARGEST_KEPT or (name in expected and expected[name].shape == array.shape)
        }
        file = self._scratch / "golden" / f"{self.name.replace('/', '-')}.obtained.h5"
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        write_outputs(file, kept)
        return file, sorted(set(obtained) - set(kept))

    def _whereabouts(self, judgement: Judgement, whole: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Say where the wrong entries of a summary lie in the whole array."""
        summarised = {output.name for output in self._operation.outputs if output.keep is summarise}
        found = {}
        for name in summarised & {one.output for one in judgement.failed if one.verdict is Verdict.BREAKING}:
            expected, tolerance = self._golden.outputs[name], self._golden.tolerances[name]
            with np.errstate(invalid="ignore"):
                difference = np.abs(judgement.outputs[name] - expected)  # type: ignore[operator]
                passed = difference <= tolerance.atol + tolerance.rtol * np.abs(expected)
            if passed.shape != whole[name].shape:  # small arrays are kept as they are
                found[name] = whereabouts(whole[name].shape, ~passed)
        return found


def _write_page(page: Path, check: Check, golden: Golden, obtained: Mapping[str, np.ndarray]) -> bool:
    try:
        write_failure(page, check, golden, obtained)
    except GoldenError:
        return False  # a page is a convenience; the failure is reported without it
    return True
