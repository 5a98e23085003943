"""The stand-in's cases but one, whose golden is gone then."""

from __future__ import annotations

from tests.golden import standin

CASES = tuple(case for case in standin.CASES if case.name != "toy/triple")
