"""Read corrupt scans: each is refused in one line, or reads as the same scan.

``python -m tests.torch.scan_fuzzing KIND SEED`` reads one in this process and shows the traceback of an error.
"""

from __future__ import annotations

import io
import random
import struct
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ptycho_torch.scans.scan import Scan, load_scan
from ptycho_torch.scans.specimen import make_object
from tests.fuzzing import GREEDY, REFUSED, WRONG, Outcome, outcome_of, zipped
from tests.fuzzing import members as members_of
from tests.golden import corruptions

MEMORY = 2**26
"""Bytes by which reading one of these small files may raise the memory."""
SAME, WARNED, ANOTHER, SILENT = "the same", "warned", "another", "silent"
BAD = (SILENT, WRONG, GREEDY)
VERDICTS = (REFUSED, SAME, WARNED, ANOTHER, *BAD)
"""``warned``: reads as another scan, and a warning names what was ignored. ``another``: reads as a sound file with
other content. An attacker can write one, random damage must not."""


# ------------------------------------------------------------------------------------------------ sound scans

M, N = 7, 16


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.RandomState(5)
    spot = np.exp(-((np.mgrid[:N, :N] - N // 2) ** 2).sum(axis=0) / 12)
    return {
        "diff3d": (rng.rand(M, N, N) * 30 * spot).astype(np.float32),
        "probeGuess": (spot * np.exp(1j * rng.rand(N, N))).astype(np.complex64),
        "xcoords": rng.rand(M) * 30 + 10,
        "ycoords": rng.rand(M) * 20 + 10,
        "objectGuess": (rng.rand(40, 50) + 1j).astype(np.complex64),
        "scan_index": np.arange(M),
    }


def _packed(save: Any, **changes: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, **{key: array for key, array in {**arrays(), **changes}.items() if array is not Ellipsis})
    return stream.getvalue()


@cache
def bases() -> tuple[bytes, ...]:
    """Return sound files: stored, deflated, with all keys, other layouts and dtypes, and PtychoPINN's None."""
    given = arrays()
    stack = given["diff3d"]
    bad = np.zeros((N, N), bool)
    bad[3] = True
    starts = {"xcoords_start": given["xcoords"] + 1, "ycoords_start": given["ycoords"] - 1}
    return (
        _packed(np.savez),
        _packed(np.savez_compressed),
        _packed(np.savez, **starts, Y=(stack + 1j).astype(np.complex64), bad_pixels=bad),
        _packed(np.savez_compressed, **starts, bad_pixels=np.repeat(bad[None], M, axis=0)),
        _packed(np.savez, diff3d=np.ascontiguousarray(np.moveaxis(stack, 0, -1))),
        _packed(np.savez, diff3d=np.asfortranarray(np.rint(stack).astype(np.uint16))),
        _packed(np.savez, diff3d=..., diffraction=stack.astype(np.float64)[..., None]),
        _packed(np.savez, objectGuess=None, scan_index=None, Y=None),
    )


@dataclass(frozen=True)
class Read:
    """The contents of a file as read: all arrays of the scan, and the warnings."""

    scan: Mapping[str, Any]
    warned: frozenset[str]


def read(path: Path) -> Read:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scan = load_scan(path)
        content = _content(scan)
    return Read(content, frozenset(str(one.message).replace(str(path), "") for one in caught))


def _content(scan: Scan) -> Mapping[str, Any]:
    kept = {name: value for name, value in vars(scan).items() if name != "source"}
    return {name: None if value is None else (value.shape, value.tobytes()) for name, value in kept.items()}


@cache
def sound(number: int) -> Read:
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as scratch:
        path = Path(scratch) / "scan.npz"
        path.write_bytes(bases()[number])
        return read(path)


# ------------------------------------------------------------------------------------------------ chance

Corrupt = Callable[[random.Random, int], bytes]


def _by_chance(change: Callable[[random.Random, bytes, bytes], bytes]) -> Corrupt:
    return lambda draw, number: change(draw, bases()[number], bases()[number - 1])


def _directory(draw: random.Random, number: int) -> bytes:
    """Change a byte in the archive's directory at the end, or in a member's header."""
    whole = bytearray(bases()[number])
    starts = [place for place in range(len(whole)) if whole[place : place + 2] == b"PK"]
    at = min(len(whole) - 1, draw.choice(starts) + draw.randrange(60))
    whole[at] = draw.choice((0, 1, 0xFF, whole[at] ^ 1 << draw.randrange(8)))
    return bytes(whole)


def _header(draw: random.Random, number: int) -> bytes:
    """Change bytes of an array's own header."""
    whole = bytearray(bases()[number])
    starts = [place for place in range(len(whole)) if whole[place : place + 6] == b"\x93NUMPY"]
    if not starts:
        return _directory(draw, number)
    start = draw.choice(starts)
    for _ in range(draw.choice((1, 1, 2))):
        whole[start + draw.randrange(90)] = draw.choice((*b"[](){}'\",:<|0159 \n\0", draw.randrange(256)))
    return bytes(whole)


def _name(draw: random.Random, number: int) -> bytes:
    """Change a member's name in one of its two places."""
    whole = bases()[number]
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        name = draw.choice(archive.namelist()).encode()
    places = [place for place in range(len(whole)) if whole.startswith(name, place)]
    at = draw.choice(places) + draw.randrange(len(name))
    return whole[:at] + bytes([draw.randrange(256)]) + whole[at + 1 :]


# ------------------------------------------------------------------------------------------------ made by hand


def _saved(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _resealed_header(draw: random.Random, number: int) -> bytes:
    """Change an array's header, with correct checksums."""
    members = members_of(bases()[number])
    name = draw.choice(sorted(members))
    content = bytearray(members[name])
    for _ in range(draw.choice((1, 1, 1, 3))):
        content[draw.randrange(min(len(content), 90))] = draw.choice(
            (*b"[](){}'\",:<|0159 -eJO\n\0", draw.randrange(256))
        )
    return zipped(list({**members, name: bytes(content)}.items()))


_HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (7, 16, 16), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-7, 16, -16), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1e3, 16, 16), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 16, 16), }",
    "{'descr': '<f4', 'fortran_order': 3, 'shape': (7, 16, 16), }",
    "{'descr': [('a', '<f4'), ('b', '<f4', (2, 2))], 'fortran_order': False, 'shape': (7,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
    "{'descr': '<U99999999', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<m8[ns]', 'fortran_order': False, 'shape': (7,), }",
    "{'descr': ('<f4', (16, 16)), 'fortran_order': False, 'shape': (7,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (7, 16, 16), }]",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (7L, 16L, 16L), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776, 1099511627776), }",
    "__import__('os').abort()",
    "[" * 5000,
    "{" * 90,
    "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "7," * 40 + "), }",
    "{'descr': '\\ud800', 'fortran_order': False, 'shape': (7,), }",
    "\x1b[2J",
)


def _forged_header(draw: random.Random, number: int) -> bytes:
    members = members_of(bases()[number])
    name, header = draw.choice(sorted(members)), draw.choice(_HEADERS)
    text = (header % draw.choice((0, 7, 2**31, 2**62)) if header.count("%d") == 1 else header).encode()
    version = draw.choice((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x07\x00"))
    size = struct.pack("<H" if version[0] == 1 else "<I", draw.choice((len(text), len(text), 65535)))
    body = draw.choice((members[name][128:], b"", bytes(56)))
    return zipped(list({**members, name: b"\x93NUMPY" + version + size + text + body}.items()))


_ODD: tuple[Any, ...] = (
    None,
    np.array({"a": 1}),
    np.array([None] * M),
    np.array("text"),
    np.full(M, "text"),
    np.ones(0),
    np.ones((0, 0)),
    np.ones(()),
    np.ones(M),
    np.ones((M, 1)),
    np.full(M, np.nan),
    np.full(M, 1e300),
    np.full((N, N), 1e-300),
    np.ones((M, N, N)),
    np.full((M, N, N), -1),
    np.full((M, N, N), np.inf, np.float16),
    np.zeros((M, N, N), np.longdouble),
    np.zeros((M, N, N, 1), np.uint64),
    np.full((M, N, N), 2**64 - 1, np.uint64),
    np.full((N, N), 255, np.uint8),
    np.ones((N, N), bool),
    np.zeros((N, N), bool),
    np.full((N, N), np.nan + 1j),
    np.full((M, N, N), 1e300 + 1j),
    np.zeros((N, N), complex),
    np.ones((3, 3), complex),
    np.datetime64("2020-01-01"),
    np.zeros(M, [("a", "f4")]),
)


def _odd(draw: random.Random, number: int) -> bytes:
    """Replace one or two arrays."""
    members = members_of(bases()[number])
    keys = (*members, "Y.npy", "bad_pixels.npy", "xcoords_start.npy")
    changed = {draw.choice(keys): _saved(draw.choice(_ODD)) for _ in range(draw.choice((1, 1, 2)))}
    return zipped(list({**members, **changed}.items()), draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def _archive(draw: random.Random, number: int) -> bytes:
    """Change the archive: repeated, missing or misspelt keys, other compressions, comments, nested files."""
    members = list(members_of(bases()[number]).items())
    name, content = draw.choice(members)
    others = [pair for pair in members if pair[0] != name]
    match draw.randrange(10):
        case 0:
            return zipped([*members, (draw.choice((name, name.removesuffix(".npy"))), _saved(np.zeros(M)))])
        case 1:
            return zipped(others)
        case 2:
            at = draw.randrange(len(name) - 4)
            return zipped([*others, (name[:at] + draw.choice("xqE_") + name[at + 1 :], content)])
        case 3:
            return zipped(members, draw.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED)))
        case 4:
            return b"#!/bin/sh\n" * draw.choice((1, 1000)) + bases()[number]
        case 5:
            return bases()[number] + bytes(draw.choice((1, 100, 70_000)))
        case 6:
            return zipped([("directory/", b""), (f"directory/{name}", content), *members])
        case 7:  # a flag of the members' headers: encrypted, UTF-8, and so on
            whole = bytearray(bases()[number])
            starts = [
                place for place in range(len(whole)) if whole[place : place + 4] in (b"PK\x01\x02", b"PK\x03\x04")
            ]
            whole[draw.choice(starts) + draw.choice((6, 8))] = draw.randrange(256)
            return bytes(whole)
        case 8:  # a large array, compressed to a small size
            return zipped([*others, (name, content[:128] + bytes(2 * MEMORY))], zipfile.ZIP_DEFLATED, 1)
        case _:
            return zipped([*members, ("remark.npy", _saved(np.array(["any"], object)))])


# ------------------------------------------------------------------------------------------------ pictures


@cache
def pictures() -> tuple[bytes, ...]:
    from PIL import Image

    grey = np.outer(np.arange(40), np.arange(50)).astype(np.uint8)
    given = ((grey, "PNG"), (grey, "JPEG"), (grey.astype(np.uint16) * 20, "PNG"), (grey.astype(np.float32), "TIFF"))
    found = []
    for levels, name in (*given, (grey, "GIF"), (grey, "BMP")):
        stream = io.BytesIO()
        Image.fromarray(levels).save(stream, name)
        found.append(stream.getvalue())
    return tuple(found)


def _picture(draw: random.Random) -> bytes:
    one, other = draw.choice(pictures()), draw.choice(pictures())
    change = draw.choice(("bits", "bits", "overwritten", "zeroed", "truncated", "inserted", "deleted", "spliced"))
    return corruptions.DAMAGE[change](draw, one, other)


# ------------------------------------------------------------------------------------------------ all

DAMAGE: Mapping[str, Corrupt] = {
    **{name: _by_chance(change) for name, change in corruptions.DAMAGE.items()},
    "directory": _directory,
    "header": _header,
    "name": _name,
}
"""Random damage to a file."""
CRAFTED: Mapping[str, Corrupt] = {
    "resealed header": _resealed_header,
    "forged header": _forged_header,
    "odd arrays": _odd,
    "archive": _archive,
}
"""Deliberate changes, with correct checksums."""
PICTURE = "picture"
KINDS = (*DAMAGE, *CRAFTED, PICTURE)


def corrupt(kind: str, seed: int) -> bytes:
    draw = random.Random(f"{kind} {seed}")
    return _picture(draw) if kind == PICTURE else {**DAMAGE, **CRAFTED}[kind](draw, seed % len(bases()))


def read_one(kind: str, seed: int, scratch: Path) -> Outcome:
    """Read one corrupt file as the programs do."""
    path = scratch / ("object.png" if kind == PICTURE else "scan.npz")
    path.write_bytes(corrupt(kind, seed))
    expected = sound(seed % len(bases()))

    def judge(found: Read | None) -> tuple[str, str]:
        if found is None:
            return ANOTHER, ""
        if found.scan == expected.scan:
            return SAME, ""
        differing = ", ".join(name for name, value in found.scan.items() if value != expected.scan[name])
        if found.warned - expected.warned:
            return WARNED, f"{differing}; {sorted(found.warned - expected.warned)}"
        return SILENT if kind in DAMAGE else ANOTHER, differing

    return outcome_of(kind, seed, path, _read_picture if kind == PICTURE else read, judge, MEMORY)


def _read_picture(path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        make_object(path, 30, 30, np.random.default_rng(0))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as place:
        print(read_one(sys.argv[1], int(sys.argv[2]), Path(place)))
        (Path(place) / "scan.npz").write_bytes(corrupt(sys.argv[1], int(sys.argv[2])))
        if sys.argv[1] != PICTURE:
            print(load_scan(Path(place) / "scan.npz"))
