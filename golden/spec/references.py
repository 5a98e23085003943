"""Find the module of a reference from its short name, and describe its provenance.

A reference is a module with ``evaluate``, ``producer`` and ``provenance``. A reference that calls an installed package
has two more names. ``BACKING`` is the reference for float64, other settings, perturbed inputs and faults.
``missing(operation)`` returns "" or why the package has no call for that operation, which ``BACKING`` then computes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping


def module_of(reference: str, *packages: str) -> str:
    """Return the module of a reference by its short name; an unknown name is taken as the name of a module.

    Args:
        reference: the name.
        packages: cases modules. Each may declare ``REFERENCES``, name -> module; the first with the name wins.
    """
    for package in packages:
        declared: Mapping[str, str] = getattr(importlib.import_module(package), "REFERENCES", {})
        if reference in declared:
            return declared[reference]
    return reference


def described(provenance: Mapping[str, str]) -> str:
    """Return a short description of a reference: ``ptycho 2.4 (abc1234)``, ``golden.reference``."""
    name, version = provenance.get("reference", "an unknown reference"), provenance.get("version", "")
    commit, plus, changed = provenance.get("commit", "").partition("+")
    return " ".join(part for part in (name, version, f"({commit[:7]}{plus}{changed})" if commit else "") if part)
