"""Scalars that an operation takes beside its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Scalar = bool | int | float | str | None
Parameters = Mapping[str, Any]
"""Scalars by name."""
