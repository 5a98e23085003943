"""The port is a distribution of its own, whose packages are listed by hand; ``.ci/wheels`` builds both."""

from __future__ import annotations

import pkgutil
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

import ptycho_torch

PORT = Path(ptycho_torch.__file__).parent
REPOSITORY = PORT.parent


def test_the_list_of_packages_is_that_of_the_folders() -> None:
    listed = tomllib.loads((PORT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = [info.name for info in pkgutil.walk_packages([str(PORT)], "ptycho_torch.") if info.ispkg]
    assert listed == ["ptycho_torch", *sorted(found)]


def versions(requirements: Iterable[str], operator: str) -> dict[str, Version]:
    """Return the highest version that each requirement gives with this operator; 0 if it gives none."""
    found: dict[str, Version] = {}
    for one in map(Requirement, requirements):
        bounds = [Version(bound.version) for bound in one.specifier if bound.operator == operator]
        found[one.name] = max([*bounds, found.get(one.name, Version("0"))])
    return found


def test_the_oldest_versions_are_those_that_are_allowed() -> None:
    """``make oldest`` installs them."""
    projects = (tomllib.loads((place / "pyproject.toml").read_text("utf-8"))["project"] for place in (REPOSITORY, PORT))
    needed = [
        requirement
        for project in projects
        for group, of in {"": project["dependencies"], **project["optional-dependencies"]}.items()
        for requirement in of
        if group in ("", "test", "train")
    ]
    lines = (REPOSITORY / "constraints" / "oldest.txt").read_text().splitlines()
    pinned = versions((line for line in lines if not line.startswith("#")), "==")
    assert pinned == versions(needed, ">=")


def test_both_distributions_carry_the_same_licence() -> None:
    assert (PORT / "LICENSE").read_bytes() == (REPOSITORY / "LICENSE").read_bytes()
