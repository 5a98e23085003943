"""Open goldens for a comparison, and check that each still matches its case. Independent of pytest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.case import Case
from golden.spec.catalogue import load_cases
from golden.spec.errors import GoldenError
from golden.store.entry import read_entry
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden

REGENERATE = "python generate_golden.py --update --reason ..."
"""The only command that writes goldens."""


@dataclass(frozen=True, eq=False)
class OpenGolden:
    """A golden that is ready to be compared with.

    Attributes:
        golden: the stored golden.
        case: its case.
        inputs: name -> array, stored or derived by the operation's recipe, in the reference's layout.
        source: its file.
    """

    golden: Golden
    case: Case
    inputs: dict[str, np.ndarray]
    source: Path

    def arguments(self) -> dict[str, Any]:
        """Return inputs and parameters by name, as a subject takes them. Arrays are copies, free to be changed."""
        return {**{name: array.copy() for name, array in self.inputs.items()}, **self.golden.parameters}


class Goldens:
    """The goldens of a directory.

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

    @property
    def operations(self) -> list[str]:
        return sorted({case.operation.name for case in self.cases.values()})

    @np.errstate(all="ignore")  # a port may have asked NumPy to raise errors
    def open(self, name: str) -> OpenGolden:
        """Read the golden of a case.

        Raises:
            GoldenError: the golden is missing, damaged, not the one that its entry lists, or out of date.
        """
        source = golden_path(self.fixtures, name)
        golden = read_golden(source)
        if read_entry(self.fixtures, name)["content"] != golden.content_digest():
            raise GoldenError(
                f"golden {source}: its entry lists another content. Was the file edited, or an update interrupted? "
                f"'golden verify' tells. Restore it from git, or regenerate it: {REGENERATE} {name}"
            )
        case = self.cases[name]
        inputs = golden.complete_inputs(case)
        if case.definition_digest(inputs) != golden.definition:
            raise GoldenError(f"golden {source}: its case has changed since it was generated: {REGENERATE} {name}")
        return OpenGolden(golden, case, inputs, source)
