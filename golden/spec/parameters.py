"""Parameters are the scalars of an operation, in addition to its input arrays. The operation declares their types."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, get_args

from golden.spec.errors import GoldenError

Scalar = bool | int | float | str | None
Parameters = Mapping[str, Any]
"""Scalars by name, of the types that their operation declares; checked when a case is created."""
Kind = type | UnionType
"""A type that a parameter may have: ``int``, ``float``, ``bool``, ``str``, or one of several: ``int | None``."""


def require_kinds(operation: str, declared: Mapping[str, Kind]) -> None:
    """Check the parameters that an operation declares.

    Raises:
        GoldenError: a golden cannot store a type.
    """
    for name, kind in declared.items():
        if not set(_types(kind)) <= {bool, int, float, str, NoneType}:
            raise GoldenError(
                f"operation {operation}: parameter {name!r}: expected bool, int, float or str, found {_named(kind)}"
            )


def require_parameters(case: str, operation: str, declared: Mapping[str, Kind], found: Parameters) -> None:
    """Check the parameters of a case against what its operation declares.

    Types are exact: an int for a declared float would change the definition and be stored differently.

    Raises:
        GoldenError: a parameter is missing, unknown, or of another type; the message lists all of these.
    """
    wrong = [
        *(f"{name!r} is missing" for name in declared if name not in found),
        *(f"{name!r} is unknown" for name in found if name not in declared),
        *(
            f"{name!r} is {found[name]!r} ({_named(type(found[name]))}), expected {_named(kind)}"
            for name, kind in declared.items()
            if name in found and type(found[name]) not in _types(kind)
        ),
    ]
    if wrong:
        takes = ", ".join(f"{name}: {_named(kind)}" for name, kind in declared.items()) or "no parameters"
        raise GoldenError(f"case {case}: parameters: {'; '.join(wrong)}. Operation {operation} takes {takes}")


def _types(kind: Kind) -> tuple[type, ...]:
    return (kind,) if isinstance(kind, type) else get_args(kind)


def _named(kind: Kind) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
