"""Goldens of the previous format: files of a release read as the same golden, and unsound ones are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.store import format4
from golden.store.entry import read_entry
from golden.store.golden import golden_path
from golden.store.read import read_golden
from golden.store.write import write_golden
from tests.golden.corruptions import make_older
from tests.golden.standin import CASES, make_golden
from tests.golden.test_store import assert_same

WRITTEN = Path(__file__).parent / "format4"
"""Two goldens of the stand-in, as the last release of format 4 wrote them."""


@pytest.mark.parametrize("case", ["toy/double", "toy/ramp"])
def test_files_of_a_release_can_be_read(case: str) -> None:
    golden = read_golden(golden_path(WRITTEN, case))
    assert golden.format == format4.FORMAT == "ptycho-golden 4"
    assert golden.labels == {}
    assert golden.content_digest() == read_entry(WRITTEN, case)["content"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_formats_hold_the_same_content(tmp_path: Path, case: Case) -> None:
    golden, path = make_golden(case), tmp_path / "a.h5"
    write_golden(path, golden)
    with h5py.File(path, "r+") as file:
        make_older(file)
    older = read_golden(path)
    assert_same(older, replace(golden, labels={}, format=format4.FORMAT))
    assert older.content_digest() == golden.content_digest()
    assert not older.lies_like(golden)


def _three_numbers(file: h5py.File) -> None:
    file["outputs/y"].attrs["tolerance"] = np.zeros(3)


def _no_tolerance(file: h5py.File) -> None:
    del file["outputs/y"].attrs["tolerance"]


def _changed_table(file: h5py.File) -> None:
    file["proof/table"][0] = ord("[")


def _no_table(file: h5py.File) -> None:
    del file["proof/table"]


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (_three_numbers, "damaged"),
        (_no_tolerance, "/outputs/y lacks the attribute 'atol'"),
        (_changed_table, "its table of faults does not match its SHA-256"),
        (_no_table, "proof/table"),
    ],
)
def test_an_unsound_file_is_one_clear_error(tmp_path: Path, change: Callable[[h5py.File], None], because: str) -> None:
    path = tmp_path / "double.h5"
    shutil.copy(golden_path(WRITTEN, "toy/double"), path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(GoldenError) as refused:
        read_golden(path)
    assert str(path) in str(refused.value)
    assert because in str(refused.value)
