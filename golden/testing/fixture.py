"""The ``golden`` fixture gives a test its inputs and parameters, and ``check``, which compares outputs and fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden.report.obtained import ENDING
from golden.report.run import Check, write_failure
from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError
from golden.spec.parameters import Parameters
from golden.testing.comparison import broke, compared
from golden.testing.declarations import Declaration
from golden.testing.goldens import OpenGolden
from golden.testing.returned import as_arrays
from golden.testing.subject import Way

Record = Callable[[Check], None]


class GoldenCase:
    """The value of the ``golden`` fixture.

    Attributes:
        name: of the case.
        operation: name of the operation, such as ``probe.normalise``.
        inputs: name -> array, stored or derived by the operation's recipe, in the reference's layout.
        parameters: name -> scalar.
        checked: whether anything has been compared.
    """

    def __init__(
        self, opened: OpenGolden, way: Way | None, declaration: Declaration | None, scratch: Path, record: Record
    ) -> None:
        self.name = opened.case.name
        self.operation = opened.case.operation.name
        self.inputs: dict[str, np.ndarray] = opened.inputs
        self.parameters: Parameters = opened.golden.parameters
        self.checked = False
        self._opened = opened
        self._way = way
        self._declaration = declaration
        self._scratch = scratch
        self._record = record

    def check(self, outputs: object) -> None:
        """Compare a port's outputs with the golden; fail if they differ and no declaration allows it.

        Args:
            outputs: name -> NumPy array, or tensor of another framework, in the reference's layout. Exactly the
                outputs of the case are expected, with exact dtypes and shapes.

        Raises:
            AssertionError: they differ. The message says where and why.
        """
        __tracebackhide__ = True
        self.checked = True
        problem = ""
        try:
            check = compared(self._opened, outputs, self._way, self._declaration, self._scratch)
        except GoldenError as unusable:
            problem = str(unusable)
        if problem:  # outside the handler, so that its exception is not shown too
            pytest.fail(f"golden {self.name}: {problem}", pytrace=False)
        check = check if check.passed else self._with_page(check, outputs)
        self._record(check)
        if not check.passed:
            raise AssertionError("\n".join(check.lines))

    def check_subject(self) -> None:
        """Let the run's subject (``golden_subject``) compute the outputs, and compare them.

        Raises:
            AssertionError: they differ.
        """
        __tracebackhide__ = True
        if self._way is None:
            pytest.fail(f"golden {self.name}: golden_subject offers no {self.operation}", pytrace=False)
        try:
            outputs = self._way.function(**self._opened.arguments())
        except Exception as error:
            check = broke(self._opened, error, self._way.name, self._declaration)
            if not check.excuse:
                raise
            self.checked = True
            self._record(check)
            return
        self.check(outputs)

    def _with_page(self, check: Check, outputs: object) -> Check:
        page = Path(check.obtained.removesuffix(ENDING) + ".html")
        kept = self._opened.case.operation.kept(as_arrays(outputs, self._opened.golden.outputs))
        if not _write_page(page, check, self._opened, kept):
            return check
        return replace(check, lines=[*check.lines, f"  page: {page}"])


def _write_page(page: Path, check: Check, opened: OpenGolden, obtained: Arrays) -> bool:
    try:
        write_failure(page, check, opened.golden, obtained)
    except GoldenError:
        return False  # a page is a convenience; the failure is reported without it
    return True
