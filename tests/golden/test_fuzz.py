"""Corrupt and hostile goldens give a clear error or do no harm, and never change silently.

``benchmarks.fuzz`` reads thousands.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.store import guard
from golden.store.contents import Contents
from golden.store.golden import Golden
from golden.store.guard import read_untrusted, reading
from golden.store.write import write_golden
from tests.golden.corruptions import BASES, base, blocks, corrupt, kinds, lookup3
from tests.golden.fuzzing import BAD, fuzz, schedule
from tests.golden.standin import make_golden

BROKEN_LIBRARY = """
import os, signal, time
from h5py import h5f

opened = h5f.open_file_image

def open_file_image(image):
    if b"hostile" in image:
        {does}
    return opened(image)

h5f.open_file_image = open_file_image
"""
"""A simulated crash or hang. With forged metadata, it would depend on the release of libhdf5."""


@pytest.fixture
def break_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let libhdf5 do something else, in other processes, when it meets a file with the word "hostile"."""

    def write(does: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(BROKEN_LIBRARY.format(does=does))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return write


def test_no_corruption_is_silent_or_breaks_the_caller() -> None:
    outcomes = list(fuzz(islice(schedule(), 60)))
    assert [outcome for outcome in outcomes if outcome.verdict in BAD] == []
    assert {outcome.kind for outcome in outcomes} == set(kinds())


@pytest.mark.parametrize("number", range(len(BASES)))
def test_every_block_of_metadata_can_be_resealed(number: int) -> None:
    """Otherwise libhdf5 would notice each change by its checksum, and its other checks would not be tested."""
    data = base(number)
    signatures = [data.count(name) for name in (b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"FSHD", b"FSSE")]
    assert len(blocks(data)) == 1 + sum(signatures)  # and the superblock
    assert lookup3(b"Four score and seven years ago") == 0x17770551  # the author's example


def test_a_text_of_an_unknown_character_set_is_refused(tmp_path: Path) -> None:
    data, utf8, unknown = base(0), b"\x13\x11\0\0", b"\x13\x51\0\0"  # types of texts padded with zeros
    assert utf8 in data
    changed = data.replace(utf8, unknown)
    for block in blocks(data):
        changed = block.sealed(changed)
    (tmp_path / "a.h5").write_bytes(changed)
    (why,) = read_untrusted([tmp_path / "a.h5"])
    assert "has a type that a golden never has (TypeStringID)" in str(why)


@pytest.mark.parametrize("kind", ["bits", "resealed copies", "virtual", "JSON value"])
def test_a_kind_and_a_seed_are_one_corruption(kind: str) -> None:
    assert corrupt(kind, 5) == corrupt(kind, 5)
    assert len({corrupt(kind, seed) for seed in range(6)}) > 1


def test_a_crash_of_the_library_does_not_crash_the_caller(tmp_path: Path, break_library: Callable[[str], None]) -> None:
    break_library("os.kill(os.getpid(), signal.SIGSEGV)")
    sound, hostile = tmp_path / "sound.h5", [tmp_path / "hostile1.h5", tmp_path / "hostile2.h5"]
    write_golden(sound, make_golden(BASES[0]))
    for path in hostile:
        write_golden(path, replace(make_golden(BASES[0]), summary="hostile"))
    before, *refused, after = read_untrusted([sound, *hostile, sound])
    assert isinstance(before, Golden)
    assert isinstance(after, Golden)
    assert before.content_digest() == after.content_digest() == make_golden(BASES[0]).content_digest()
    for path, why in zip(hostile, refused):
        assert isinstance(why, str)
        assert f"golden {path}: reading it made the HDF5 library crash (SIGSEGV)" in why


def test_a_hang_of_the_library_does_not_hang_the_caller(tmp_path: Path, break_library: Callable[[str], None]) -> None:
    break_library("time.sleep(600)")
    path = tmp_path / "a.h5"
    write_golden(path, replace(make_golden(BASES[0]), summary="hostile"))
    (why,) = read_untrusted([path], seconds=0.5)
    assert isinstance(why, str)
    assert "took longer than" in why


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen]:
    """Return a list of the processes that have been started, which grows."""
    found = []

    class Observed(subprocess.Popen):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            found.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", Observed)
    return found


def test_no_process_outlives_a_caller_that_takes_nothing(
    tmp_path: Path, started: list[subprocess.Popen], break_library: Callable[[str], None]
) -> None:
    break_library("time.sleep(600)")
    write_golden(tmp_path / "a.h5", replace(make_golden(BASES[0]), summary="hostile"))
    with reading([tmp_path / "a.h5"]):
        assert [process.poll() for process in started] == [None]
    assert [process.returncode for process in started] == [-signal.SIGKILL]


def test_a_bad_file_ends_its_process_and_a_failing_caller_the_next(
    tmp_path: Path, started: list[subprocess.Popen]
) -> None:
    golden = make_golden(BASES[0])
    write_golden(tmp_path / "sound.h5", golden)
    write_golden(tmp_path / "large.h5", replace(golden, inputs={**golden.inputs, "more": np.zeros(2**20)}))
    (tmp_path / "bad.h5").write_bytes((tmp_path / "sound.h5").read_bytes()[:-1])
    paths = [tmp_path / f"{name}.h5" for name in ("bad", "sound", "large", "large")]  # more than the pipe holds
    with pytest.raises(KeyError), reading(paths) as goldens:
        assert isinstance(next(goldens), str)
        assert isinstance(next(goldens), Golden)
        assert [process.poll() is None for process in started] == [False, True]
        raise KeyError
    assert [process.returncode for process in started[1:]] == [-signal.SIGKILL]


def test_a_malformed_answer_ends_its_process(
    tmp_path: Path, started: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = make_golden(BASES[0])
    write_golden(tmp_path / "large.h5", replace(golden, inputs={**golden.inputs, "more": np.zeros(2**20)}))
    calls = itertools.count()
    receive = guard._receive
    monkeypatch.setattr(guard, "_receive", lambda stream: None if next(calls) == 1 else receive(stream))
    with reading([tmp_path / "large.h5"] * 3) as goldens:
        assert isinstance(next(goldens), Golden)
        assert isinstance(next(goldens), Golden)
        assert [process.poll() for process in started] == [-signal.SIGKILL, None]


def test_a_system_that_does_not_widen_pipes_reads_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(pytest.importorskip("fcntl"), "fcntl", refuse)
    write_golden(tmp_path / "a.h5", make_golden(BASES[0]))
    assert [type(golden) for golden in read_untrusted([tmp_path / "a.h5"])] == [Golden]


CONTENTS = Contents({"outputs/y": np.arange(6.0).reshape(2, 3)}, {"": {"case": np.array(b"a")}, "outputs/y": {}})


def sent(answer: Contents | str) -> bytes:
    stream = BytesIO()
    guard._send(stream, answer)
    return stream.getvalue()


def received(data: bytes) -> Contents | str | None:
    return guard._receive(BufferedReader(BytesIO(data)))


def test_what_is_sent_arrives() -> None:
    found = received(sent(CONTENTS))
    assert isinstance(found, Contents)
    np.testing.assert_array_equal(found.arrays["outputs/y"], CONTENTS.arrays["outputs/y"])
    assert found.attributes == CONTENTS.attributes
    assert received(sent("refused")) == "refused"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[:-1],
        lambda data: data.replace(b"<f8", b"|O8"),
        lambda data: data.replace(b"<f8", b"|S0"),
        lambda data: data.replace(b"[2, 3]", b"[-2, -3]"),
        lambda data: data.replace(b"[2, 3]", b"[%d, 3]" % 2**40),
        lambda data: data.replace(b'"case"', b"[7, 8]"),
        lambda data: b"7\n",
        lambda data: b"[" * 1000 + b"\n",
    ],
)
def test_a_malformed_message_is_dropped(change: Callable[[bytes], bytes]) -> None:
    assert received(change(sent(CONTENTS))) is None
