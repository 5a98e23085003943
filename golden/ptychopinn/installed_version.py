"""Which version of a package is installed, and from which commit: what a golden says of the code that made it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit


def installed(package: ModuleType) -> dict[str, str]:
    """``version``, ``unknown`` where nothing says it, and ``commit``, where one is known, of an imported package.

    A commit with ``+changed`` had changes in the package's directory that were not committed.
    """
    file = getattr(package, "__file__", None)
    folder = Path(file).resolve().parent if file else None
    found = _distribution(package.__name__, folder)
    version = found.version if found else getattr(package, "__version__", "unknown")
    commit = (_commit_of_checkout(folder) if folder else "") or _origin(found).get("vcs_info", {}).get("commit_id", "")
    return {"version": str(version)} | ({"commit": commit} if commit else {})


def _distribution(name: str, folder: Path | None) -> Distribution | None:
    """The distribution that put the package there; one that put a package of the same name elsewhere is another."""
    for found in _distributions(name):
        checkout = Path(unquote(urlsplit(_origin(found).get("url", "")).path) or "/")
        editable = "dir_info" in _origin(found)
        if folder is None or Path(str(found.locate_file(name))).resolve() == folder:
            return found
        if editable and checkout != Path("/") and folder.is_relative_to(checkout.resolve()):
            return found
    return None


def _distributions(name: str) -> Iterator[Distribution]:
    with suppress(PackageNotFoundError):
        yield distribution(name)
    for other in packages_distributions().get(name, []):
        yield distribution(other)


def _origin(found: Distribution | None) -> dict[str, Any]:
    """What pip wrote down of where a distribution came from, for those that came from no index."""
    with suppress(ValueError):
        origin = json.loads((found.read_text("direct_url.json") if found else None) or "{}")
        return origin if isinstance(origin, dict) else {}
    return {}


def _commit_of_checkout(folder: Path) -> str:
    """The commit of the clone that holds the package as part of it, not of one that it merely lies in."""
    with suppress(OSError, subprocess.CalledProcessError):
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ".")
        return commit + ("+changed" if changed else "")
    return ""


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True, text=True)
    return done.stdout.strip()
