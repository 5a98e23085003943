"""Turn the short name of a reference into its module, and its provenance into words for people.

A reference is a module that offers ``evaluate``, ``producer`` and ``provenance``. One that answers from an installed
package offers two things more: ``BACKING``, the reference that float64, other settings, perturbed inputs and faults
come from, and ``missing(operation)``, empty or why the package has no call for that operation, which ``BACKING`` then
answers.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping


def module_of(reference: str, *packages: str) -> str:
    """Return the module that a reference's name stands for; a name that nobody declares is that of a module itself.

    Args:
        reference: the name.
        packages: modules of cases. Each may declare ``REFERENCES``, name -> module; the first that knows a name wins.
    """
    for package in packages:
        declared: Mapping[str, str] = getattr(importlib.import_module(package), "REFERENCES", {})
        if reference in declared:
            return declared[reference]
    return reference


def described(provenance: Mapping[str, str]) -> str:
    """Say which reference it was, for a person: ``ptycho 2.4 (abc1234)``, ``golden.reference``."""
    name, version = provenance.get("reference", "an unknown reference"), provenance.get("version", "")
    commit, plus, changed = provenance.get("commit", "").partition("+")
    return " ".join(part for part in (name, version, f"({commit[:7]}{plus}{changed})" if commit else "") if part)
