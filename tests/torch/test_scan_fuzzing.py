"""A corrupt scan is refused in one line, or reads as the same scan. ``benchmarks.fuzz_scans`` tries many more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torch.scan_fuzzing import BAD, KINDS, REFUSED, SAME, bases, corrupt, read_one, sound


def test_no_corruption_is_silent_or_breaks_the_caller(tmp_path: Path) -> None:
    outcomes = [read_one(kind, seed, tmp_path) for kind in KINDS for seed in range(10)]
    assert [one for one in outcomes if one.verdict in BAD] == []
    verdicts = {one.verdict for one in outcomes}
    assert {REFUSED, SAME} <= verdicts


def test_an_entry_that_swallows_the_next_one_is_noticed(tmp_path: Path) -> None:
    """The length of a comment in the directory is damaged, so the array after it is not listed."""
    assert read_one("directory", 84, tmp_path).verdict == REFUSED


@pytest.mark.parametrize("number", range(len(bases())))
def test_sound_scans_are_read(number: int) -> None:
    assert sound(number).scan["diffraction"] is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_and_a_seed_are_one_corruption(kind: str) -> None:
    assert corrupt(kind, 5) == corrupt(kind, 5)
    assert len({corrupt(kind, seed) for seed in range(6)}) > 1
