"""Check a port against the goldens, with pytest or without. Imports ``report`` and lower layers, never ``generator``.

A test file needs only ``test_goldens``::

    from golden.testing import test_goldens
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from golden.testing.subject_tests import test_goldens

__all__ = ["test_goldens"]


def __getattr__(name: str) -> Any:
    if name != "test_goldens":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from golden.testing import subject_tests  # it needs pytest, which `golden check` does not

    return subject_tests.test_goldens
