"""References that answer from an installed package, through a thin adapter. Importing this package imports none.

An adapter offers what every reference offers (``evaluate``, ``producer``, ``provenance``), and two things more:
``BACKING``, the reference that float64, other settings, perturbed inputs and faults come from, and
``missing(operation)``, empty or why the package has no call for that operation, which ``BACKING`` then answers.
"""

from __future__ import annotations

from collections.abc import Mapping

ADAPTERS = {"ptycho": "golden.ptychopinn.installed_package"}
"""Names that stand for an adapter; any other name is that of a module."""


def module_of(reference: str) -> str:
    """The module that a reference's name stands for."""
    return ADAPTERS.get(reference, reference)


def described(provenance: Mapping[str, str]) -> str:
    """Which reference it was, for a person: ``ptycho 2.4 (abc1234)``, ``golden.ptychopinn.tensorflow``."""
    name, version = provenance.get("reference", "an unknown reference"), provenance.get("version", "")
    commit, plus, changed = provenance.get("commit", "").partition("+")
    return " ".join(part for part in (name, version, f"({commit[:7]}{plus}{changed})" if commit else "") if part)
