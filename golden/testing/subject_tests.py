"""The whole test file of a port: ``from golden.testing import test_goldens``."""

from __future__ import annotations

import pytest

from golden.testing.fixture import GoldenCase


@pytest.mark.golden
def test_goldens(golden: GoldenCase) -> None:
    """Run once per golden that the run's subject offers (ini ``golden_subject``), in each of its ways."""
    golden.check_subject()
