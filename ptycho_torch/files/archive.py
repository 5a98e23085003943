"""An archive is one file with a JSON document and tensors: a zip of ``about.json`` and ``tensors.safetensors``.

It holds no code, and nothing is unpickled. Members are not compressed, so an archive never unpacks to more than its
size, and the name of a member is never used as a path. The zip adds the checksums that safetensors lacks.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ptycho_torch.scans.atomic_file import write_atomically

ABOUT = "about.json"
TENSORS = "tensors.safetensors"
_LARGEST_ABOUT = 2**25
"""Limit, bytes; the losses of all steps of a long training take a few hundred thousand."""
_DAMAGE = (
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions of zipfile for archives that are damaged, encrypted, or compressed by an unknown method."""


def write_archive(path: str | Path, kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write an archive atomically. The same content gives the same bytes.

    Args:
        path: path of the file; an existing file is replaced.
        kind: name of the format, stored under ``format``.
        about: the document, for JSON.
        tensors: name -> tensor, on any device; no two of them may share memory.
    """
    document = json.dumps({"format": kind, **about})
    content = save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})
    with write_atomically(Path(path)) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(ABOUT), document)
        archive.writestr(zipfile.ZipInfo(TENSORS), content)


def read_archive(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read an archive that ``write_archive`` wrote.

    Args:
        path: path of the file.
        kind: required name of the format.

    Returns:
        The document, without ``format``, and the tensors, in host memory.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read.
        ValueError: the file is damaged, has another format, or holds other members.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    document, content = _members(path, kind)
    try:
        about = json.loads(document, object_pairs_hook=_once)
        found = about.pop("format")
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as unreadable:
        raise ValueError(f"{path}: {ABOUT}: expected a JSON object with a 'format'; it is damaged") from unreadable
    if found != kind:
        raise ValueError(f"{path}: expected the format {kind!r}, found {found!r}")
    try:
        return about, load(content)
    except (SafetensorError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as unreadable:
        raise ValueError(
            f"{path}: {TENSORS}: expected safetensors, found other or truncated data ({_printable(unreadable)})"
        ) from unreadable


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, and refuse repeated names, of which the parser would silently keep one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"expected every name once, found {_listed(sorted(name for name, _ in pairs))}")
    return found


def _members(path: Path, kind: str) -> tuple[bytes, bytes]:
    """Read both members; zipfile checks their checksums."""
    whole = io.BytesIO(path.read_bytes())  # any later error is damage, not an error of the operating system
    if not zipfile.is_zipfile(whole):
        raise ValueError(f"{path}: expected a zip archive of {kind!r}, found something else, or an incomplete file")
    try:
        with zipfile.ZipFile(whole) as archive:
            _require_members(path, archive.infolist(), len(whole.getbuffer()))
            return archive.read(ABOUT), archive.read(TENSORS)
    except _Refused:
        raise
    except _DAMAGE as damage:
        raise ValueError(f"{path}: cannot be read ({_printable(damage)}); it is damaged or incomplete") from damage


class _Refused(ValueError):  # noqa: N818 - the name says what happened
    """An archive has unexpected members; the message names them."""


def _require_members(path: Path, members: list[zipfile.ZipInfo], size: int) -> None:
    names = sorted(member.filename for member in members)
    if names != [ABOUT, TENSORS]:
        raise _Refused(
            f"{path}: expected the members {ABOUT} and {TENSORS}, found {_listed(names)}; the file was repacked, or "
            f"written by another program, such as TensorFlow PtychoPINN"
        )
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise _Refused(
                f"{path}: {member.filename}: expected it uncompressed, found it compressed; the file was repacked"
            )
        largest = _LARGEST_ABOUT if member.filename == ABOUT else size
        if member.file_size > largest:
            raise _Refused(f"{path}: {member.filename}: expected at most {largest} bytes, found {member.file_size}")


def _printable(problem: Exception) -> str:
    """Return an error's text without control characters, because it may quote the file."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(problem))


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none"


# ------------------------------------------------------------------------------------------------ nested values


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Convert nested dictionaries, lists and tuples of numbers, strings and tensors to types that JSON supports.

    Args:
        value: value to pack. Keys of dictionaries may be numbers too.
        tensors: dictionary to which the tensors are added; the JSON refers to each by its new name.

    Raises:
        TypeError: the value holds something else.
    """
    if isinstance(value, Tensor):
        name = f"{len(tensors):05}"
        tensors[name] = value.detach().clone()  # a copy, because several values may share memory
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"items": [[pack(key, tensors), pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [pack(item, tensors) for item in value]}
    if isinstance(value, list):
        return [pack(item, tensors) for item in value]
    if value is None or type(value) in {bool, int, float, str}:
        return value
    raise TypeError(f"expected numbers, strings, tensors and collections of them, found {type(value).__name__}")


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Restore a nested value that ``pack`` converted.

    Raises:
        ValueError: ``pack`` cannot have returned this value.
    """
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"tensor": str(name)} if name in tensors:
            return tensors[name]
        case {"items": list(items)} if all(isinstance(item, list) and len(item) == 2 for item in items):
            found = {unpack(key, tensors): unpack(item, tensors) for key, item in items}
            if len(found) == len(items):
                return found
            raise ValueError("expected every key once; the file is damaged")
        case {"tuple": list(items)}:
            return tuple(unpack(item, tensors) for item in items)
    raise ValueError(f"expected a tensor, items or a tuple, found {sorted(value)}; the file is damaged")
