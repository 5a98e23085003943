"""Read corrupt bundles: each is refused in one line, or reads as the same model.

``python -m tests.torch.bundle_fuzzing KIND SEED`` reads one in this process and shows the traceback of an error.
"""

from __future__ import annotations

import dataclasses
import json
import random
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ptycho_torch.config_params import DataConfig, ModelConfig, TrainingConfig
from ptycho_torch.files.archive import ABOUT, TENSORS
from ptycho_torch.files.bundle import NAME, Bundle, load_bundle, save_bundle
from ptycho_torch.files.loss_curve import Epoch, LossCurve
from ptycho_torch.model import PtychoPINN
from tests.fuzzing import GREEDY, REFUSED, WRONG, Outcome, members, outcome_of, zipped

MEMORY = 2**28
"""Bytes by which reading one of these small files may raise the memory."""
SAME, ANOTHER, SILENT = "the same", "another", "silent"
BAD = (SILENT, WRONG, GREEDY)
VERDICTS = (REFUSED, SAME, ANOTHER, *BAD)
"""``another``: reads as a sound bundle with other content. An attacker can write one, random damage must not."""


# ------------------------------------------------------------------------------------------------ a sound bundle


@cache
def sound() -> bytes:
    """Return the bytes of a bundle with a small network."""
    torch.manual_seed(0)
    probe = torch.view_as_complex(torch.rand(64, 64, 2))
    epochs = (Epoch(1, 2.0, 3.0, 1e-3, (2.5, 1.5)), Epoch(2, 1.0, 2.0, 5e-4, (1.0, 1.0)))
    bundle = Bundle(
        PtychoPINN(ModelConfig(n_filters_scale=1), probe, 900.0),
        DataConfig(n_images=8, subsample_seed=0),
        TrainingConfig(train_data_file="scan.npz"),
        0,
        LossCurve(0.5, 0.75, epochs, test_loss=1.0),
        {"torch": "2"},
    )
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as scratch:
        save_bundle(Path(scratch) / NAME, bundle)
        return (Path(scratch) / NAME).read_bytes()


@cache
def content() -> Any:
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as scratch:
        (Path(scratch) / NAME).write_bytes(sound())
        return _content(load_bundle(scratch))


def _content(bundle: Bundle) -> Any:
    """Return the whole contents of a bundle, for comparison."""
    weights = {name: tensor.numpy().tobytes() for name, tensor in bundle.model.state_dict().items()}
    others = (bundle.model.config, bundle.data, bundle.training, bundle.seed, bundle.losses, dict(bundle.versions))
    return weights, repr(others)


# ------------------------------------------------------------------------------------------------ chance


def _flip(draw: random.Random) -> bytes:
    whole = bytearray(sound())
    for _ in range(draw.choice((1, 1, 1, 4, 100))):
        whole[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
    return bytes(whole)


def _flip_at_the_ends(draw: random.Random) -> bytes:
    """Change a byte in the archive's directory."""
    whole = bytearray(sound())
    near = draw.choice((range(200), range(len(whole) - 300, len(whole)), range(3000)))
    whole[draw.choice(near)] = draw.randrange(256)
    return bytes(whole)


def _cut(draw: random.Random) -> bytes:
    return sound()[
        : draw.choice((draw.randrange(len(sound())), draw.randrange(200), len(sound()) - draw.randrange(300)))
    ]


def _block(draw: random.Random) -> bytes:
    """Overwrite, remove, repeat, or insert a block."""
    whole, length = sound(), draw.choice((1, 16, 512, 4096, 65536))
    first = draw.randrange(len(whole))
    block, after = whole[first : first + length], whole[first + length :]
    return (
        whole[:first]
        + draw.choice((bytes(len(block)), b"\xff" * len(block), b"", block + block, bytes(7) + block))
        + after
    )


# ------------------------------------------------------------------------------------------------ made by hand

HOSTILE: tuple[Any, ...] = (
    *(0, -1, 1, 7, 2**31, 2**63, 2**64, 10**30, 10**400, -(10**400), 0.5, 1e30, 1e308, float("nan"), float("inf")),
    *("", "x" * 10_000, "\ud800", "\x1b[2J", "../../x", None, True, [], {}, [[]], {"": None}, [10**400]),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in ((*path, key), *_places(item, (*path, key)))]


def _document(draw: random.Random) -> bytes:
    """Change or remove an entry of the document."""
    found = members(sound())
    about = json.loads(found[ABOUT])
    for _ in range(draw.choice((1, 1, 2, 5))):
        places = _places(about)
        if not places:
            break
        *path, last = draw.choice(places)
        inside = about
        for key in path:
            inside = inside[key]
        action = draw.choice(("replace", "replace", "replace", "remove", "add"))
        if action == "remove":
            del inside[last]
        elif action == "add" and isinstance(inside, dict):
            inside[draw.choice(("more", "", "\x1b", "format "))] = draw.choice(HOSTILE)
        else:
            inside[last] = draw.choice(HOSTILE)
    return zipped([(ABOUT, json.dumps(about).encode()), (TENSORS, found[TENSORS])])


def _text(draw: random.Random) -> bytes:
    """Change the document's text: a repeated name, nesting, other bytes."""
    found = members(sound())
    text = found[ABOUT]
    names = [one for one in (b'"seed": 0', b'"N": 64', b'"n_filters_scale": 1', b'"epochs": 50') if one in text]
    twice = draw.choice(names)
    changed = draw.choice(
        (
            text.replace(twice, twice + b", " + twice.rpartition(b" ")[0] + b" 3"),
            text.replace(twice, twice.rpartition(b" ")[0] + b" " + b"[" * draw.choice((10, 900, 10**5))),
            text.replace(twice, twice.rpartition(b" ")[0] + b" " + b"9" * draw.choice((30, 5000))),
            text.replace(twice, twice.rpartition(b" ")[0] + b" 1e999"),
            text.replace(b"scan.npz", b"\xff\xfe"),
            text[: draw.randrange(len(text))],
            b"\xef\xbb\xbf" + text,
            text.decode().encode("utf-16"),
            b"[" * 900 + b"]" * 900,
            json.dumps(draw.choice(HOSTILE)).encode(),
        )
    )
    return zipped([(ABOUT, changed), (TENSORS, found[TENSORS])])


def _tensors(draw: random.Random) -> bytes:
    """Change the header of safetensors, or the tensors."""
    found = members(sound())
    data = found[TENSORS]
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    name = draw.choice(sorted(name for name in header if name != "__metadata__"))
    one = header[name]
    match draw.randrange(11):
        case 0:
            one["shape"] = draw.choice(([2**40, 2**20], [-1], [], [0], [2**63], [1] * 100, "x", None, [1.5]))
        case 1:
            one["dtype"] = draw.choice(("F64", "F16", "BF16", "I8", "BOOL", "U8", "I64", "X", None, "F8_E4M3"))
        case 2:
            one["data_offsets"] = draw.choice(([0, 2**60], [5, 1], [-1, 3], [0], [], "x", [0, len(body)], [0, 0]))
        case 3:
            del header[name]
        case 4:
            header[draw.choice(("more", "", "a" * 1000, "\x1b[2J", "__metadata__"))] = draw.choice((one, {}, [], "x"))
        case 5:
            number = struct.pack("<f", draw.choice((float("nan"), float("inf"), -float("inf"))))
            first = one["data_offsets"][0]
            body[first : first + 4] = number
        case 6:
            length_of = draw.choice((0, 1, 2**31, 2**63, 2**64 - 1, length + 1, length - 1))
            return zipped([(ABOUT, found[ABOUT]), (TENSORS, struct.pack("<Q", length_of) + data[8:])])
        case 7:
            body += bytes(draw.choice((1, 4, 1000)))
        case 8:
            other = draw.choice(sorted(name for name in header if name != "__metadata__"))
            header[name], header[other] = header[other], header[name]
        case 9:
            raw = json.dumps(header).encode()
            raw = raw[:-1] + b", " + json.dumps({name: one})[1:].encode()
            return zipped([(ABOUT, found[ABOUT]), (TENSORS, struct.pack("<Q", len(raw)) + raw + body)])
        case _:
            first, last = one["data_offsets"]
            one["shape"] = draw.choice(([(last - first) // 4], [1, *one["shape"]], list(reversed(one["shape"]))))
    raw = json.dumps(header).encode()
    return zipped([(ABOUT, found[ABOUT]), (TENSORS, struct.pack("<Q", len(raw)) + raw + bytes(body))])


def _archive(draw: random.Random) -> bytes:
    """Pack the members in a different way."""
    found = members(sound())
    both = [(ABOUT, found[ABOUT]), (TENSORS, found[TENSORS])]
    other = (ABOUT, found[ABOUT].replace(b'"seed": 0', b'"seed": 3'))
    match draw.randrange(12):
        case 0:
            return zipped([*both, both[draw.randrange(2)]])
        case 1:
            return zipped([other, *both])
        case 2:
            return zipped([*both, (draw.choice(("more", "../../etc/x", "/x", "", "\x1b[2J", "ABOUT.JSON")), b"x")])
        case 3:
            return zipped([both[draw.randrange(2)]])
        case 4:
            return zipped(both, draw.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))
        case 5:
            return zipped([(ABOUT, b" " * (2**25 + 1)), both[1]])
        case 6:
            return zipped([both[1], both[0]])
        case 7:
            return b"#!/bin/sh\n" * draw.choice((1, 1000)) + sound()
        case 8:
            return sound() + bytes(draw.choice((1, 100, 70_000)))
        case 9:
            return zipped([(ABOUT, found[TENSORS]), (TENSORS, found[ABOUT])])
        case 10:  # a flag of the members' headers: encrypted, UTF-8, and so on
            return sound().replace(
                b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00" + bytes([draw.randrange(1, 256)])
            )
        case _:
            renamed = draw.choice((b"about.jsom", b"about\x00json", b"../bt.json", b"about.js\xff\xff"))
            return sound().replace(ABOUT.encode(), renamed, draw.choice((1, 2)))


DAMAGE: Mapping[str, Callable[[random.Random], bytes]] = {
    "flip": _flip,
    "flip at the ends": _flip_at_the_ends,
    "cut": _cut,
    "block": _block,
}
"""Random damage to a file."""
CRAFTED: Mapping[str, Callable[[random.Random], bytes]] = {
    "document": _document,
    "text": _text,
    "tensors": _tensors,
    "archive": _archive,
}
"""Deliberate changes, with correct checksums."""
KINDS = {**DAMAGE, **CRAFTED}


def corrupt(kind: str, seed: int) -> bytes:
    return KINDS[kind](random.Random(f"{kind} {seed}"))


def read_one(kind: str, seed: int, scratch: Path) -> Outcome:
    """Read one corrupt file as the programs do."""
    path = scratch / NAME
    path.write_bytes(corrupt(kind, seed))
    expected = content()

    def judge(found: Any) -> tuple[str, str]:
        if found == expected:
            return SAME, ""
        return SILENT if kind in DAMAGE else ANOTHER, _difference(found, expected)

    return outcome_of(kind, seed, path, lambda path: _content(load_bundle(path)), judge, MEMORY)


def _difference(found: Any, expected: Any) -> str:
    weights = [name for name in expected[0] if found[0].get(name) != expected[0][name]]
    return f"weights {weights[:3]}" if weights else f"{found[1]}"[:300]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as place:
        (Path(place) / NAME).write_bytes(corrupt(sys.argv[1], int(sys.argv[2])))
        print(dataclasses.asdict(load_bundle(place).data))
