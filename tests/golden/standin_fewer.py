"""Declare all stand-in cases but one, to test a golden whose case was removed."""

from __future__ import annotations

from tests.golden import standin

CASES = tuple(case for case in standin.CASES if case.name != "toy/triple")
