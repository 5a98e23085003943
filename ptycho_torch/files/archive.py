"""One file for numbers and what is to be said of them: a JSON document and tensors, in a zip archive.

It holds no code, and reading it runs none: nothing is ever unpickled. Members are not compressed, so that an archive
never becomes larger than its file, and no name in it is ever used as a path.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ptycho_torch.scans.scan import appearing

ABOUT = "about.json"
TENSORS = "tensors.safetensors"
_LARGEST_ABOUT = 2**25
"""Bytes; a loss of every step of a long training takes a few hundred thousand."""
_DAMAGE = (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile)
"""What zipfile raises on archives that are damaged, encrypted, or packed in a way it does not know."""


def write_archive(path: str | Path, kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write an archive; it appears whole or not at all. The same content gives the same bytes.

    Args:
        path: of the file; one that was there is replaced.
        kind: what the file says of itself, under ``format``.
        about: what JSON can hold.
        tensors: name -> tensor, on any device; no two of them share memory.
    """
    document = json.dumps({"format": kind, **about}, indent=1)
    content = save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})
    with appearing(Path(path)) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(ABOUT), document)
        archive.writestr(zipfile.ZipInfo(TENSORS), content)


def read_archive(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read an archive that ``write_archive`` wrote.

    Args:
        path: of the file.
        kind: what it must say of itself.

    Returns:
        The document, without ``format``, and the tensors, in host memory.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, of another kind, or holds anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    document, content = _members(path, kind)
    try:
        about = json.loads(document)
        found = about.pop("format")
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as unreadable:
        raise ValueError(f"{path}: {ABOUT}: expected a JSON object with a 'format'; it is damaged") from unreadable
    if found != kind:
        raise ValueError(f"{path}: expected a file of {kind!r}, found {found!r}")
    try:
        return about, load(content)
    except (SafetensorError, KeyError, ValueError) as unreadable:
        raise ValueError(f"{path}: {TENSORS}: no safetensors, or cut short ({unreadable})") from unreadable


def _members(path: Path, kind: str) -> tuple[bytes, bytes]:
    """The two members, their checksums compared."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: expected a zip archive of {kind!r}, found something else, or an incomplete file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = sorted(member.filename for member in members)
            if names != [ABOUT, TENSORS]:
                raise ValueError(
                    f"{path}: expected the members {ABOUT} and {TENSORS}, found {_listed(names)}; another program "
                    f"wrote it, TensorFlow PtychoPINN perhaps, or it was packed again"
                )
            for member in members:
                if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                    raise ValueError(
                        f"{path}: {member.filename}: compressed, expected it as it is; it was packed again"
                    )
                largest = _LARGEST_ABOUT if member.filename == ABOUT else path.stat().st_size
                if member.file_size > largest:
                    raise ValueError(f"{path}: {member.filename}: declares {member.file_size} bytes, at most {largest}")
            return archive.read(ABOUT), archive.read(TENSORS)
    except _DAMAGE as damage:
        raise ValueError(f"{path}: cannot be read ({damage}); it is damaged or incomplete") from damage


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none"


# ------------------------------------------------------------------------------------------------ nested values


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Nested dictionaries, lists and tuples of numbers, texts and tensors, as JSON can hold them.

    Args:
        value: what to pack. Keys of dictionaries may be numbers too.
        tensors: takes the tensors, each under a new name that stands for it.

    Raises:
        TypeError: something else is among the values.
    """
    if isinstance(value, Tensor):
        name = f"{len(tensors):05}"
        # Several names may stand for one tensor, or for parts of one.
        tensors[name] = value.detach().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"items": [[pack(key, tensors), pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [pack(item, tensors) for item in value]}
    if isinstance(value, list):
        return [pack(item, tensors) for item in value]
    if value is None or type(value) in {bool, int, float, str}:
        return value
    raise TypeError(f"expected numbers, texts, tensors and collections of them, found {type(value).__name__}")


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of ``pack``.

    Raises:
        ValueError: it was not packed so.
    """
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"tensor": str(name)} if name in tensors:
            return tensors[name]
        case {"items": list(items)} if all(isinstance(item, list) and len(item) == 2 for item in items):
            return {unpack(key, tensors): unpack(item, tensors) for key, item in items}
        case {"tuple": list(items)}:
            return tuple(unpack(item, tensors) for item in items)
    raise ValueError(f"expected a tensor, items or a tuple, found {sorted(value)}; the file is damaged")
