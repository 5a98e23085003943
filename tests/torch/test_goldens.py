"""Check the port against every golden. ``tests/torch/subject`` has its functions, one module per topic."""

from __future__ import annotations

from golden.testing import test_goldens

__all__ = ["test_goldens"]
