"""The port is a distribution of its own, whose packages are listed by hand; ``.ci/wheels`` builds both."""

from __future__ import annotations

import pkgutil
import tomllib
from pathlib import Path

import ptycho_torch

PORT = Path(ptycho_torch.__file__).parent
REPOSITORY = PORT.parent


def test_the_list_of_packages_is_that_of_the_folders() -> None:
    listed = tomllib.loads((PORT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = [info.name for info in pkgutil.walk_packages([str(PORT)], "ptycho_torch.") if info.ispkg]
    assert listed == ["ptycho_torch", *sorted(found)]


def test_both_distributions_carry_the_same_licence() -> None:
    assert (PORT / "LICENSE").read_bytes() == (REPOSITORY / "LICENSE").read_bytes()
