from __future__ import annotations

from pathlib import Path

import pytest

from golden.manifest import NAME, make_entry, write_manifest
from golden.store import golden_path, write_golden
from tests.golden import standin

pytest_plugins = ["pytester"]


@pytest.fixture
def fixtures(tmp_path: Path) -> Path:
    """A directory with the goldens of all stand-in cases and their manifest."""
    directory = tmp_path / "fixtures"
    fill(directory)
    return directory


def fill(directory: Path) -> None:
    (directory / "toy").mkdir(parents=True)
    entries = {}
    for case in standin.CASES:
        golden = standin.make_golden(case)
        write_golden(golden_path(directory, case.name), golden)
        entries[case.name] = make_entry(golden, [])
    write_manifest(directory / NAME, entries)
