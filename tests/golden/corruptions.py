"""Corrupt and hostile goldens, each identified by its kind and a seed.

There are three families. ``DAMAGE`` is caused by disks, networks and careless tools. ``RESEALED`` imitates an attacker:
bytes in HDF5's metadata are changed and their checksums recomputed, so that libhdf5 accepts them. ``HOSTILE`` is
well-formed HDF5 that a golden never contains.
"""

from __future__ import annotations

import json
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t

from golden.spec.arrays import digest_array
from golden.store import format4
from golden.store.layout import SUMS
from golden.store.write import write_golden
from tests.golden import standin

BASES = (standin.CASES[0], standin.CASES[2])
"""Stand-in cases whose goldens are corrupted: one with every kind of array, one with compressed and derived ones."""


@cache
def base(number: int) -> bytes:
    """Return the sound golden from which corruptions with this number are made."""
    with tempfile.TemporaryDirectory(prefix="corruptions-") as scratch:
        path = Path(scratch) / "base.h5"
        write_golden(path, standin.make_golden(BASES[number]))
        return path.read_bytes()


def corrupt(kind: str, seed: int) -> bytes:
    """Return the bytes of one corruption."""
    random = Random(f"{kind} {seed}")
    number = seed % len(BASES)
    if kind in DAMAGE:
        return DAMAGE[kind](random, base(number), base(1 - number))
    if kind in RESEALED:
        return _resealed(RESEALED[kind], random, base(number))
    if kind in HOSTILE:
        return _hostile(kind, random, number)
    # One of a few hostile files, with fields changed and resealed, to reach parts of libhdf5 that no golden uses.
    few = sorted(set(HOSTILE) - _LARGE)
    chosen = few[seed % len(few)]
    return _resealed(_fields, random, _few_hostile(chosen, seed // len(few) % 3, number))


def kinds() -> list[str]:
    return [*DAMAGE, *RESEALED, RESEALED_HOSTILE, *HOSTILE]


# ------------------------------------------------------------------------------------------------ damage


def _bits(random: Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _overwritten(random: Random, data: bytes, other: bytes) -> bytes:
    start, length = random.randrange(len(data)), random.choice((1, 2, 4, 8, 64, 512))
    return data[:start] + random.randbytes(min(length, len(data) - start)) + data[start + length :]


def _zeroed(random: Random, data: bytes, other: bytes) -> bytes:
    start, length = random.randrange(len(data)), random.choice((8, 64, 512, 4096))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def _truncated(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: random.randrange(len(data))]


def _extended(random: Random, data: bytes, other: bytes) -> bytes:
    return data + random.randbytes(random.randrange(1, 5000))


def _inserted(random: Random, data: bytes, other: bytes) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + random.randbytes(random.choice((1, 2, 8, 512))) + data[at:]


def _deleted(random: Random, data: bytes, other: bytes) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + data[at + random.choice((1, 2, 8, 512)) :]


def _swapped(random: Random, data: bytes, other: bytes) -> bytes:
    length = random.choice((4, 8, 64, 512))
    one, two = sorted(random.sample(range(len(data) // length - 1), 2))
    a, b = (slice(n * length, (n + 1) * length) for n in (one, two))
    return data[: a.start] + data[b] + data[a.stop : b.start] + data[a] + data[b.stop :]


def _spliced(random: Random, data: bytes, other: bytes) -> bytes:
    """Join the beginning of one golden to the end of another; or replace a block by one of another golden."""
    start = random.randrange(48, min(len(data), len(other)))
    stop = random.choice((len(other), start + random.choice((8, 64, 512))))
    return data[:start] + other[start:stop] + (data[stop:] if stop < len(other) else b"")


def _line_ends(random: Random, data: bytes, other: bytes) -> bytes:
    """Change line ends, like a tool that treats the file as text."""
    old, new = random.choice(((b"\n", b"\r\n"), (b"\r\n", b"\n"), (b"\r", b""), (b"\0", b" "), (b"\x89", b"\t")))
    return data.replace(old, new)


DAMAGE: dict[str, Callable[[Random, bytes, bytes], bytes]] = {
    "bits": _bits,
    "overwritten": _overwritten,
    "zeroed": _zeroed,
    "truncated": _truncated,
    "extended": _extended,
    "inserted": _inserted,
    "deleted": _deleted,
    "swapped": _swapped,
    "spliced": _spliced,
    "line ends": _line_ends,
}


# ------------------------------------------------------------------------------------------------ resealed


def lookup3(data: bytes) -> int:
    """Return Bob Jenkins' hash, which HDF5 stores with each block of its metadata."""
    mask = 0xFFFFFFFF
    a = b = c = (0xDEADBEEF + len(data)) & mask
    rounds = max(1, (len(data) + 11) // 12)
    words = struct.unpack(f"<{3 * rounds}I", data.ljust(12 * rounds, b"\0"))
    for at in range(0, 3 * rounds - 3, 3):
        a, b, c = a + words[at] & mask, b + words[at + 1] & mask, c + words[at + 2] & mask
        for turn in (4, 6, 8, 16, 19, 4):
            a, b, c = b, c + b & mask, (a - c ^ (c << turn | c >> 32 - turn)) & mask
    if data:
        a, b, c = a + words[-3] & mask, b + words[-2] & mask, c + words[-1] & mask
        for turn in (14, 11, 25, 16, 4, 14, 24):
            a, b, c = b, (c ^ b) - (b << turn | b >> 32 - turn) & mask, a
        c = b
    return c


@dataclass(frozen=True)
class Block:
    """A piece of metadata with its checksum, which counts as 0 if it is inside the piece."""

    start: int
    stop: int
    checksum: int

    def covered(self, data: bytes) -> bytes:
        if self.checksum + 4 == self.stop:
            return data[self.start : self.checksum]
        return data[self.start : self.checksum] + bytes(4) + data[self.checksum + 4 : self.stop]

    def is_sealed(self, data: bytes) -> bool:
        return lookup3(self.covered(data)) == int.from_bytes(data[self.checksum : self.checksum + 4], "little")

    def sealed(self, data: bytes) -> bytes:
        digest = lookup3(self.covered(data)).to_bytes(4, "little")
        return data[: self.checksum] + digest + data[self.checksum + 4 :]


_SIGNATURES = ("OHDR", "OCHK", "FRHP", "FHDB", "FHIB", "BTHD", "BTIN", "BTLF", "FSHD", "FSSE")
_SIGNATURES += ("FAHD", "FADB", "EAHD", "EAIB", "EASB", "EADB", "SMTB", "SMLI")


def blocks(data: bytes) -> list[Block]:
    """Find every block with a checksum. A block ends where its checksum matches."""
    found = [Block(0, 48, 44)]
    starts = (at for name in _SIGNATURES for at in _places(data, name.encode()))
    for start in sorted(starts):
        block = next((block for block in _candidates(data, start) if block.is_sealed(data)), None)
        if block is not None:
            found.append(block)
    return found


def _places(data: bytes, what: bytes) -> Iterator[int]:
    at = data.find(what)
    while at >= 0:
        yield at
        at = data.find(what, at + 1)


def _candidates(data: bytes, start: int) -> Iterator[Block]:
    if data[start : start + 4] == b"FHDB":  # its size is a power of two, and its checksum follows an offset
        for power in range(9, 17):
            for width in range(1, 9):
                yield Block(start, start + 2**power, start + 13 + width)
        return
    yield _as_stated(data, Block(start, start + 10, start + 6))
    for stop in range(start + 10, min(start + 1500, len(data)) + 1):
        yield Block(start, stop, stop - 4)


def _resealed(change: Callable[[Random, bytearray, Block, list[Block]], None], random: Random, data: bytes) -> bytes:
    places = _blocks_of(data)
    changed = bytearray(data)
    for block in random.choices(places, k=random.choice((1, 1, 1, 2, 4))):
        change(random, changed, block, places)
    sealed = bytes(changed)
    for block in (*places, *(_as_stated(sealed, block) for block in places)):
        sealed = block.sealed(sealed)
    return sealed


def _as_stated(data: bytes, block: Block) -> Block:
    """Return an object header with the length that it now declares; libhdf5 expects the checksum at its end."""
    if block.start == 0 or data[block.start : block.start + 4] != b"OHDR":
        return block
    first = _first_message(data, block)
    width = 1 << (data[block.start + 5] & 3)
    stop = first + int.from_bytes(data[first - width : first], "little") + 4
    return Block(block.start, stop, stop - 4) if stop <= len(data) else block


def _first_message(data: bytes | bytearray, block: Block) -> int:
    flags = data[block.start + 5]
    return block.start + 6 + 16 * bool(flags & 32) + 4 * bool(flags & 16) + (1 << (flags & 3))


_blocks_of = cache(blocks)


def _resealed_bits(random: Random, data: bytearray, block: Block, places: list[Block]) -> None:
    for _ in range(random.choice((1, 2, 8))):
        data[random.randrange(block.start, block.stop)] ^= 1 << random.randrange(8)


def _resealed_bytes(random: Random, data: bytearray, block: Block, places: list[Block]) -> None:
    for _ in range(random.choice((1, 2, 4))):
        data[random.randrange(block.start, block.stop)] = random.choice((0, 1, 2, 3, 4, 8, 16, 127, 128, 254, 255))


def _fields(random: Random, data: bytearray, block: Block, places: list[Block]) -> None:
    """Write a number of 1, 2, 4 or 8 bytes that is likely to do harm: a limit, an address, a size."""
    width = random.choice((1, 2, 4, 8, 8))
    near = (block.start, block.stop - block.start, len(data), random.choice(places).start, random.randrange(len(data)))
    far = (0, 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 8)
    value = random.choice((*near, *far)) + random.choice((0, 0, 0, -1, 1))
    start = random.randrange(block.start + 4, block.stop - width)
    data[start : start + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")


def _copied(random: Random, data: bytearray, block: Block, places: list[Block]) -> None:
    """Copy a part of another block: messages of the wrong kind, in the wrong place."""
    other, length = random.choice(places), random.choice((8, 16, 32, 64))
    source, target = random.randrange(other.start, other.stop), random.randrange(block.start + 4, block.stop)
    stretch = data[source : min(source + length, other.stop)][: block.stop - target]
    data[target : target + len(stretch)] = stretch


def _message_types(random: Random, data: bytearray, block: Block, places: list[Block]) -> None:
    """Change type, size or flags of a message in an object header."""
    at = random.choice([*_messages(data, block), block.start + 4])
    data[at + random.choice((0, 0, 1, 1, 3))] = random.choice((*range(26), 64, 128, 255))


def _messages(data: bytearray, block: Block) -> Iterator[int]:
    """Find the starts of messages: type, size in two bytes, flags."""
    kind = bytes(data[block.start : block.start + 4])
    if kind not in (b"OHDR", b"OCHK"):
        return
    at = _first_message(data, block) if kind == b"OHDR" else block.start + 4
    while at + 4 < block.checksum:
        yield at
        at += 4 + int.from_bytes(data[at + 1 : at + 3], "little")


RESEALED: dict[str, Callable[[Random, bytearray, Block, list[Block]], None]] = {
    "resealed bits": _resealed_bits,
    "resealed bytes": _resealed_bytes,
    "resealed fields": _fields,
    "resealed copies": _copied,
    "resealed messages": _message_types,
}
RESEALED_HOSTILE = "resealed hostile"


# ------------------------------------------------------------------------------------------------ hostile

Edit = Callable[[Random, h5py.File], object]
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    2**63,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "text",
    "\x1b[31m",
    "\ud800",
    "|S0",
    "O",
    [],
    [[]],
    [1, 2],
    {},
    {"a": {}},
    [None] * 1000,
)
NUMBERS = (0, -1, 2**63 - 1, -(2**63), 1e300, -1e-300, float("nan"), float("inf"), 1j)


def _hostile(kind: str, random: Random, number: int) -> bytes:
    with tempfile.TemporaryDirectory(prefix="corruptions-") as scratch:
        path = Path(scratch) / "hostile.h5"
        path.write_bytes(base(number))
        with h5py.File(path, "r+") as file:
            HOSTILE[kind](random, file)
        return path.read_bytes()


@cache
def _few_hostile(kind: str, seed: int, number: int) -> bytes:
    return _hostile(kind, Random(f"{kind} {seed}"), number)


def _group(random: Random, file: h5py.File) -> h5py.Group:
    return random.choice([file, *(file[name] for name in sorted(file))])


def _dataset(random: Random, file: h5py.File) -> h5py.Dataset:
    return random.choice([file[group][name] for group in sorted(file) if group != "derived" for name in file[group]])


def _node(random: Random, file: h5py.File) -> Any:
    return random.choice((_group, _dataset))(random, file)


def seal(dataset: h5py.Dataset, array: np.ndarray) -> None:
    """Update a dataset's digest to its present contents."""
    dataset.attrs["sha256"] = np.bytes_(digest_array(array)[:32].encode())


def _replaced(file: h5py.File, name: str, array: np.ndarray, **options: Any) -> h5py.Dataset:
    """Replace an array by another, with its digest and related attributes."""
    old = dict(file[name].attrs)
    del file[name]
    dataset = file.create_dataset(name, data=array, **options)
    for key, value in old.items():
        dataset.attrs[key] = value
    seal(dataset, array)
    return dataset


def _soft_link(random: Random, file: h5py.File) -> None:
    _group(random, file)["more"] = h5py.SoftLink(random.choice(("/outputs", "/nowhere", "more", ".", "/")))


def _external_link(random: Random, file: h5py.File) -> None:
    where = random.choice(("/etc/passwd", "other.h5", "hostile.h5", "/dev/zero"))
    _group(random, file)["more"] = h5py.ExternalLink(where, "/outputs")


def _cycle(random: Random, file: h5py.File) -> None:
    _group(random, file)["more"] = file[random.choice(("/", "/proof", "/outputs", "/inputs"))]


def _second_name(random: Random, file: h5py.File) -> None:
    _group(random, file)["more"] = _dataset(random, file)


def _virtual(random: Random, file: h5py.File) -> None:
    where, end = random.choice((".", "other.h5", "/dev/zero", "hostile.h5")), random.choice((3, h5s.UNLIMITED))
    layout = h5py.VirtualLayout((3,), "f4", maxshape=(None,))
    layout[:end] = h5py.VirtualSource(where, "x", (3,), maxshape=(None,))[:end]
    _group(random, file).create_virtual_dataset("more", layout)


def _external_storage(random: Random, file: h5py.File) -> None:
    where = random.choice(("/etc/hostname", "/dev/zero", "hostile.h5"))
    size = random.choice((4, 2**20, h5py.h5f.UNLIMITED))
    _group(random, file).create_dataset("more", (4,), "u1", external=[(where, 0, size)])


_TYPES: tuple[Any, ...] = (
    h5py.string_dtype(),
    h5py.vlen_dtype("f4"),
    h5py.ref_dtype,
    h5py.regionref_dtype,
    h5py.opaque_dtype("M8[s]"),
    np.dtype("V7"),
    np.dtype((np.void, 1)),
    np.dtype([("a", "f4"), ("b", "f4")]),
    np.dtype([("r", "f4"), ("i", "f8")]),
    np.dtype([("r", "i4"), ("i", "i4")]),
    np.dtype([("i", "f4"), ("r", "f4")]),
    np.dtype([("r", "f4")]),
    np.dtype(("f4", (3,))),
    np.dtype([("r", h5py.string_dtype()), ("i", "f4")]),
    np.dtype([("r", "S3"), ("i", "f4")]),
    np.dtype("g"),
    np.dtype("G"),
    np.dtype("f2"),
    np.dtype(">f4"),
    np.dtype(">i8"),
    np.dtype("S1"),
    np.dtype("S100000"),
    h5py.enum_dtype({"A": 1, "B": 2}),
    h5py.enum_dtype({f"M{n}": n for n in range(3000)}, "i4"),
)


def _type(random: Random, file: h5py.File) -> None:
    """Add a dataset or an attribute of a type that goldens do not have."""
    kind = random.choice(_TYPES)
    if random.random() < 0.5 or kind.itemsize > 60000:
        _group(random, file).create_dataset("more", random.choice(((), (3,), (0,))), kind)
    else:
        low = h5t.py_create(kind, logical=True)
        h5a.create(_node(random, file).id, random.choice((b"more", b"other")), low, h5s.create(h5s.SCALAR))


def _low_type(random: Random, file: h5py.File) -> None:
    """Add a type that h5py itself never writes."""
    kind = random.choice(
        (h5t.STD_B8LE, h5t.STD_B64BE, h5t.UNIX_D32LE, h5t.IEEE_F32LE, h5t.STD_I32LE, h5t.STD_REF_OBJ, h5t.C_S1)
    ).copy()
    if isinstance(kind, h5t.TypeFloatID):
        kind.set_fields(31, 20, 11, 0, random.choice((10, 20)))
        kind.set_ebias(random.choice((0, 1000, 127)))
    elif isinstance(kind, h5t.TypeIntegerID):
        kind.set_precision(random.choice((17, 31)))
    elif isinstance(kind, h5t.TypeStringID):
        kind.set_size(random.choice((1, 100, 2**31)))
    name = random.choice(sorted(file["outputs"])).encode()
    h5d.create(file[random.choice(("outputs", "inputs"))].id, b"more" + name, kind, h5s.create_simple((3,)))


def _committed_type(random: Random, file: h5py.File) -> None:
    file["outputs"]["kind"] = np.dtype(random.choice(("f4", "S3", h5py.string_dtype())))
    if random.random() < 0.5:
        file["outputs"].create_dataset("more", (3,), file["outputs"]["kind"])


def _filters(random: Random, file: h5py.File) -> None:
    options = random.choice(
        (
            {"compression": "lzf"},
            {"scaleoffset": 2},
            {"compression": 9, "fletcher32": True},
            {"compression": 9},
            {"shuffle": True},
            {"compression": 9, "chunks": (2,)},
            {"chunks": (7,)},
        )
    )
    dataset = _replaced(file, "proof/at", np.arange(50), **options)
    assert dataset.chunks


def _unknown_filter(random: Random, file: h5py.File) -> None:
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk((4,))
    flags = h5py.h5z.FLAG_OPTIONAL
    creation.set_filter(random.choice((32001, 32004, 65535, 257)), flags, (1, 2, 3))
    h5d.create(file["outputs"].id, b"more", h5t.IEEE_F32LE, h5s.create_simple((4,)), creation)


def _huge(random: Random, file: h5py.File) -> None:
    shape = random.choice(((2**40,), (2**20, 2**20), (2**62,), (2**63 - 1,), (2**27,), (2**16,) * 4, (0, 2**60)))
    chunks = None if 0 in shape else random.choice((None, tuple(min(n, 2**10) for n in shape)))
    limit = tuple(None for _ in shape) if chunks and random.random() < 0.5 else None
    _group(random, file).create_dataset("more", shape, "u1", chunks=chunks, maxshape=limit)


def _huge_chunk(random: Random, file: h5py.File) -> None:
    chunk = random.choice((2**31, 2**32 - 1, 2**28))
    file["outputs"].create_dataset("more", (3,), "u1", chunks=(chunk,), maxshape=(None,), compression=1)


def _many_small(random: Random, file: h5py.File) -> None:
    """Add arrays that are small enough one by one, but too large together."""
    for number in range(20):
        file["outputs"].create_dataset(f"more{number}", (2**26,), "u1", chunks=(2**26,), compression=1)


def bomb(size: int) -> bytes:
    """Return a zlib stream of ``size`` zeros, without holding them in memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    end = rest.compress(bytes(size % 2**20)) + rest.flush()
    adler = (size % 65521 << 16) | 1
    return b"\x78\xda" + block * (size >> 20) + end + adler.to_bytes(4, "big")


def _bomb(random: Random, file: h5py.File) -> None:
    """Write a chunk that inflates to far more than its declared size."""
    shape, size = random.choice(((1,), (1000,), (20, 30))), random.choice((2**16, 2**24, 2**30, 2**32 + 3))
    array = np.zeros(shape, "i8")
    name = random.choice(("inputs", "outputs")) + "/more"
    dataset = file.create_dataset(name, shape, "i8", chunks=shape, compression=9, shuffle=random.random() < 0.5)
    dataset.id.write_direct_chunk((0,) * len(shape), bomb(size))
    seal(dataset, array)


def _bad_chunk(random: Random, file: h5py.File) -> None:
    """Write a compressed chunk that is truncated, too short, not a stream, or stored without its filters."""
    dataset = _replaced(file, "proof/at", np.arange(50), chunks=(50,), compression=6)
    raw = zlib.compress(np.arange(50).tobytes())
    junk = (
        b"x",
        raw[:-5],
        raw + b"more",
        zlib.compress(b"short"),
        random.randbytes(50),
        np.arange(50).tobytes(),
        raw[:2],
    )
    dataset.id.write_direct_chunk((0,), random.choice(junk), random.choice((0, 0, 1, 2**32 - 1)))


def _no_chunk(random: Random, file: h5py.File) -> None:
    """Declare a dataset without data, which reads as a fill value."""
    chunks = random.choice((None, True))
    size = random.choice((3, 2**20, 2**26))
    _group(random, file).create_dataset("more", (size,), "f8", chunks=chunks, fillvalue=random.choice((None, 1.5)))


def _many_attributes(random: Random, file: h5py.File) -> None:
    node = _node(random, file)
    for number in range(random.choice((50, 3000))):
        node.attrs.create(f"more{number}", number, dtype="i8")


def _large_attributes(random: Random, file: h5py.File) -> None:
    node = _node(random, file)
    for number in range(random.choice((1, 100))):
        node.attrs.create(f"more{number}", np.zeros(random.choice((8000, 2**17)), "i8"))


def _many_objects(random: Random, file: h5py.File) -> None:
    for name in random.sample(sorted(file), 2):
        for number in range(random.choice((500, 1990, 2100))):
            if random.random() < 0.5:
                file[name].create_group(f"more{number}")
            else:
                file[name].create_dataset(f"more{number}", (), "u1")


def _nested(random: Random, file: h5py.File) -> None:
    node = _group(random, file)
    for _ in range(random.choice((2, 10, 1000))):
        node = node.create_group("more")


def _unknown_object(random: Random, file: h5py.File) -> None:
    node, name = (
        _group(random, file),
        random.choice(("more", "derived", "y", "x" * 5000, "é", "\x1b[31m", " ", "[red]")),
    )
    if name not in node:
        random.choice((node.create_group, lambda name: node.create_dataset(name, data=1)))(name)


def _bad_name(random: Random, file: h5py.File) -> None:
    """Use names that are not text, or not printable."""
    name = random.choice((b"\xff\xfe", b"\x1b[31m", b"a\nb", b"..", b"\xed\xa0\x80", b"[red]", b"`<b>|"))
    group = file[random.choice(("outputs", "inputs", "proof"))]
    array = np.zeros(3, bool)
    dataset = h5d.create(group.id, name, h5t.py_create(array.dtype, logical=True), h5s.create_simple((3,)))
    dataset.write(h5s.ALL, h5s.ALL, array)
    node = h5py.Dataset(dataset)
    seal(node, array)


def _missing(random: Random, file: h5py.File) -> None:
    node = _node(random, file)
    if isinstance(node, h5py.Group) and len(node) and random.random() < 0.5:
        del node[random.choice(sorted(node))]
    elif len(node.attrs):
        del node.attrs[random.choice(sorted(node.attrs))]


def _attribute(random: Random, file: h5py.File) -> None:
    """Change type, shape or value of an attribute."""
    nodes = [file, _dataset(random, file), file["outputs"][random.choice(sorted(file["outputs"]))]]
    if "derived" in file:
        nodes.append(file["derived"][random.choice(sorted(file["derived"]))])
    node = random.choice([node for node in nodes if len(node.attrs)])
    key = random.choice(sorted(node.attrs))
    shape = random.choice(((), (1,), (0,), (2, 2), (1,) * 32))
    values = (
        h5py.Empty("S10"),
        h5py.Empty("f4"),
        np.zeros(shape),
        np.full(shape, random.choice(NUMBERS), "c16"),
        np.float64(random.choice(NUMBERS[:-1])),
        np.array([-1, 2**40]),
        np.full(shape, b"toy/double"),
        np.bytes_(b"\xff\xfe"),
        np.bytes_(b"a\0b"),
        np.bytes_(b"\x1b[31mred"),
        np.bytes_(b"../../etc/passwd"),
        np.bytes_("é".encode()),
        np.True_,
        np.bytes_(b"toy/" + b"x" * 60000),
        "variable",
        np.bytes_(b"[/bold]"),
        np.bytes_(b"</pre>|`"),
        np.int8(3),
    )
    node.attrs[key] = random.choice(values)


def _json_places(file: h5py.File) -> list[tuple[Any, str]]:
    """Return the places of JSON: an object and its attribute, or a dataset and an empty text."""
    root = [(file, key) for key in ("parameters", "expected_constant", "provenance")]
    return [*root, *[(file["proof/table"], "")] * 5]


def _get_json(node: Any, key: str) -> bytes:
    return bytes(node.attrs[key] if key else node[()].tobytes())


def _set_json(file: h5py.File, node: Any, key: str, text: bytes) -> None:
    if key:
        node.attrs[key] = np.bytes_(text)
    else:
        is_text = node.dtype.kind == "S"
        _replaced(file, node.name, np.array([text]) if is_text else np.frombuffer(text, np.uint8))


def _json_text(random: Random, file: h5py.File) -> None:
    """Replace JSON by a text that is not JSON, or that exhausts or misleads a parser."""
    node, key = random.choice(_json_places(file))
    depth = random.choice((900, 30000))
    texts = (
        "[" * depth,
        '{"a":' * (depth // 2) + "1" + "}" * (depth // 2),
        "[" * depth + "]" * depth,
        "9" * 60000,
        '{"a": ' + "9" * random.choice((4000, 5000)) + "}",
        '{"a": 1e999}',
        '{"a": -Infinity}',
        '{"a": NaN}',
        "null",
        '"',
        '{"a": 1, "a": 2}',
        "{}",
        '{"a": "\\ud800"}',
        '{"\\u001b[31m": 1}',
        "{" + '"a": 0, ' * 6000 + '"b": 0}',
        "\x00",
    )
    _set_json(file, node, key, random.choice(texts).encode())


def _json_value(random: Random, file: h5py.File) -> None:
    """Insert junk into sound JSON."""
    node, key = random.choice(_json_places(file))
    document = json.loads(_get_json(node, key))
    for _ in range(random.choice((1, 1, 3))):
        _spoil(random, document)
    _set_json(file, node, key, json.dumps(document).encode())


def _spoil(random: Random, document: Any) -> None:
    inner = document
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys or random.random() < 0.2:
            break
        key = random.choice(keys)
        if not isinstance(inner[key], (dict, list)) or not inner[key] or random.random() < 0.2:
            inner[key] = deepcopy(random.choice(JUNK))
            return
        inner = inner[key]
    if isinstance(inner, dict):
        inner[random.choice(("more", "y", "\ud800", "\x1b[31m"))] = deepcopy(random.choice(JUNK))
    else:
        inner.append(deepcopy(random.choice(JUNK)))


def _other_array(random: Random, file: h5py.File) -> None:
    """Replace an array and its digest, but nothing else."""
    arrays = (
        np.zeros(()),
        np.full((4, 5), np.nan, "c8"),
        np.full((4, 5), np.inf, "f4"),
        np.array(b"\xff\xfe"),
        np.array(b"\x1b["),
        np.array([b"a", b"\xff"]),
        np.zeros((4, 5), "f2"),
        np.zeros((4, 5), "g"),
        np.zeros(3, "G"),
        np.zeros((0, 4)),
        np.full((4, 5), 1e300),
        np.full((4, 5), -(2**63)),
        np.zeros((1,) * 32, bool),
        np.ones((4, 5), bool),
        np.array(7, "u8"),
        np.full((4, 5), 3e38, "f4"),
        np.full(1000, np.nan, "f4"),
        np.zeros((4, 5, 6), "c16"),
        np.full((4, 5), 255, "u1"),
    )
    group = random.choice(("outputs", "outputs", "where", "inputs", "proof"))
    if group not in file:
        return
    name = f"{group}/{random.choice(sorted(file[group]))}"
    array = random.choice(arrays)
    dataset = _replaced(file, name, array)
    if group == "outputs":
        for part in ("atol", "rtol"):
            dataset.attrs[part] = random.choice((0.0, 1.0, 1e308))


def _other_tolerance(random: Random, file: h5py.File) -> None:
    dataset = file["outputs"][random.choice(sorted(file["outputs"]))]
    numbers = (0.0, 1e308, 5e-324, -0.0, 1.0, np.nan, np.inf)
    for part in ("atol", "rtol"):
        dataset.attrs[part] = random.choice(numbers)
    table = json.loads(_get_json(file["proof/table"], ""))
    noise = random.choice(list(table["noise"].values()))
    noise.update(atol=random.choice(numbers), rtol=random.choice(numbers))
    _set_json(file, file["proof/table"], "", json.dumps(table).encode())


def _other_label(random: Random, file: h5py.File) -> None:
    """Change axes and units in number or to something other than text, or change the README."""
    key, node = random.choice(
        (
            ("README", file),
            *[(key, _dataset(random, file)) for key in ("axis_names", "units")],
            *[(key, file["outputs"][random.choice(sorted(file["outputs"]))]) for key in ("axis_names", "units")],
        )
    )
    texts = ("", "row", "row column", "row " * 40, "column row", "é", "\x1b[31m", "[/bold]", "</pre>|`", "x" * 60000)
    node.attrs[key] = np.bytes_(random.choice(texts).encode() or b"\0")


def make_older(file: h5py.File) -> None:
    """Convert a golden to format 4."""
    file.attrs["format"] = np.bytes_(format4.FORMAT)
    del file.attrs["README"]
    for node in (*file["inputs"].values(), *file.get("derived", {}).values(), *file["outputs"].values()):
        for key in {"axis_names", "units"} & set(node.attrs):
            del node.attrs[key]
    table = json.loads(file["proof/table"][0])
    for name, output in file["outputs"].items():
        if "atol" in output.attrs:
            noise = [table["noise"][name][part] for part in ("atol", "rtol")]
            output.attrs["tolerance"] = np.array([output.attrs.pop("atol"), output.attrs.pop("rtol"), *noise])
    table["noise"] = {name: of["runs"] for name, of in table["noise"].items()}
    for fault in table["caught"].values():
        for wrong in fault["outputs"].values():
            wrong["sums"] = [wrong["sums"][part] for part in SUMS]
    _replaced(file, "proof/table", np.frombuffer(json.dumps(table).encode(), np.uint8))


def _older(random: Random, file: h5py.File) -> None:
    """Corrupt a golden of the previous format, in one of the ways used for the current format."""
    make_older(file)
    if random.random() < 0.3:
        numbers = [random.choice((0.0, 1e308, np.nan, np.inf)) for _ in range(random.choice((0, 3, 4, 4, 5)))]
        file["outputs"][random.choice(sorted(file["outputs"]))].attrs["tolerance"] = np.array(numbers)
    else:
        random.choice((_json_value, _json_text, _attribute, _missing, _other_array))(random, file)


def _written_anew(random: Random, file: h5py.File) -> None:
    """Write the same content with another version of HDF5's format, or with additional data in the file."""
    spare = Path(file.filename).with_suffix(".new")
    options = random.choice(
        (
            {"libver": "earliest"},
            {"libver": "latest"},
            {"libver": "v108"},
            {"track_order": True},
            {"userblock_size": 512},
            {"fs_strategy": "page"},
            {"fs_strategy": "fsm", "fs_persist": True},
        )
    )
    with h5py.File(spare, "w", **options) as new:
        for key, value in file.attrs.items():
            new.attrs[key] = value
        for name in file:
            file.copy(name, new)
    content = spare.read_bytes()
    path = Path(file.filename)
    file.close()
    path.write_bytes(content)


HOSTILE: dict[str, Edit] = {
    "soft link": _soft_link,
    "external link": _external_link,
    "cycle": _cycle,
    "second name": _second_name,
    "virtual": _virtual,
    "external storage": _external_storage,
    "type": _type,
    "type, low level": _low_type,
    "committed type": _committed_type,
    "filters": _filters,
    "unknown filter": _unknown_filter,
    "huge": _huge,
    "huge chunk": _huge_chunk,
    "many small": _many_small,
    "bomb": _bomb,
    "bad chunk": _bad_chunk,
    "no chunk": _no_chunk,
    "many attributes": _many_attributes,
    "large attributes": _large_attributes,
    "many objects": _many_objects,
    "nested": _nested,
    "unknown object": _unknown_object,
    "bad name": _bad_name,
    "missing": _missing,
    "attribute": _attribute,
    "JSON text": _json_text,
    "JSON value": _json_value,
    "other array": _other_array,
    "other tolerance": _other_tolerance,
    "other label": _other_label,
    "older format": _older,
    "written anew": _written_anew,
}
_LARGE = {"many objects", "many attributes", "nested", "bomb", "huge chunk"}
