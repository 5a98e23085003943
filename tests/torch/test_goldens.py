"""The port against every golden: what it offers is in ``tests/torch/subject``, a module per topic."""

from __future__ import annotations

from golden.testing import test_goldens

__all__ = ["test_goldens"]
