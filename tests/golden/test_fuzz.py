"""Corrupt and hostile goldens: a clear error or no harm, and never a silent change. All of it: ``benchmarks.fuzz``."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from golden.guard import read_untrusted
from golden.store import Golden, write_golden
from tests.golden.corruptions import BASES, base, blocks, corrupt, kinds, lookup3
from tests.golden.fuzzing import BAD, fuzz, schedule
from tests.golden.standin import make_golden

CRASHES = (("resealed fields", 17), ("resealed fields", 3))
"""Reading the first, libhdf5 2.0 divides by zero; reading the second, it follows a stray pointer."""


def test_no_corruption_is_silent_or_breaks_the_caller() -> None:
    outcomes = list(fuzz(islice(schedule(), 58)))
    assert [outcome for outcome in outcomes if outcome.verdict in BAD] == []
    assert {outcome.kind for outcome in outcomes} == set(kinds())


@pytest.mark.parametrize("number", range(len(BASES)))
def test_every_block_of_metadata_can_be_resealed(number: int) -> None:
    """Otherwise libhdf5 would see each change in it, and what lies behind would go untested."""
    data = base(number)
    signatures = [data.count(name) for name in (b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"FSHD", b"FSSE")]
    assert len(blocks(data)) == 1 + sum(signatures)  # and the superblock
    assert lookup3(b"Four score and seven years ago") == 0x17770551  # of its author


@pytest.mark.parametrize("kind", ["bits", "resealed copies", "virtual", "JSON value"])
def test_a_kind_and_a_seed_are_one_corruption(kind: str) -> None:
    assert corrupt(kind, 5) == corrupt(kind, 5)
    assert len({corrupt(kind, seed) for seed in range(6)}) > 1


def test_what_crashes_the_library_does_not_crash_the_caller(tmp_path: Path) -> None:
    sound = tmp_path / "sound.h5"
    write_golden(sound, make_golden(BASES[0]))
    hostile = [tmp_path / f"{number}.h5" for number in range(len(CRASHES))]
    for path, crash in zip(hostile, CRASHES):
        path.write_bytes(corrupt(*crash))
    before, *refused, after = read_untrusted([sound, *hostile, sound])
    assert isinstance(before, Golden)
    assert isinstance(after, Golden)
    assert before.content_digest() == after.content_digest() == make_golden(BASES[0]).content_digest()
    for path, why in zip(hostile, refused):
        assert isinstance(why, str)
        assert str(path) in why


def test_what_hangs_the_library_does_not_hang_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_golden(path, make_golden(BASES[0]))
    (why,) = read_untrusted([path], seconds=1e-6)
    assert isinstance(why, str)
    assert "did not end within" in why
