"""Read an HDF5 file, and refuse one that could do harm."""

from __future__ import annotations

import math
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5l, h5o, h5s, h5t, h5z

from golden.spec.errors import GoldenError
from golden.store.contents import Contents
from golden.store.folder import UnreadableError
from golden.store.golden import SIZE_CAP, Golden
from golden.store.layout import GROUPS, MOST_ATTRIBUTES, damage_told, golden_of, outputs_of, unsound
from golden.store.spoilt import what_happened

_MOST_OBJECTS = 2000
_LARGEST_ATTRIBUTE = 2**16
_LARGEST_FILE = SIZE_CAP + SIZE_CAP // 64
"""The largest file that is read, in bytes: the most data that is accepted, and their description."""
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HDF5_HEAD = _HDF5_MAGIC + b"\x03\x08\x08\x00" + bytes(8) + b"\xff" * 8
"""Version 3, closed, beginning at byte 0, no extension: the checksummed format that ``write_golden`` chooses."""
_LEAST_HEAD = 64
"""Bytes that are checked before HDF5 sees the file."""
_NUMBERS = ("<f8", "<i8", "<c8", "<f4", "?", "<c16", "<i4", "u1", "i1", "<i2", "<u2", "<u4", "<u8", "<f2")
_PLAIN_TYPES = tuple((h5t.py_create(dtype, logical=True), dtype) for dtype in map(np.dtype, _NUMBERS))
_CHARACTER_SETS = (h5t.CSET_UTF8, h5t.CSET_ASCII)
_PACKING = [h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE]


def read_golden(path: Path) -> Golden:
    """Read and check a golden.

    Raises:
        GoldenError: it is missing, not HDF5, damaged, hostile, too large, of another format, or was not produced by
            TensorFlow. The message names the file and says what to do.
    """
    return golden_of(read_contents(path), path)


def read_outputs(path: Path) -> dict[str, np.ndarray]:
    """Read what ``write_outputs`` wrote, with the same checks as a golden's arrays."""
    return outputs_of(read_contents(path), path)


def read_contents(path: Path) -> Contents:
    """Read the contents of an HDF5 file, if it can do no harm.

    Raises:
        GoldenError: it is missing, not HDF5, damaged, hostile, or too large.
    """
    require_hdf5(path)
    with _opened(path) as file:
        return _Reader(path, file).contents()


def require_hdf5(path: Path) -> None:
    """Refuse, without libhdf5, a file that does not begin like a golden's.

    Raises:
        GoldenError: it is missing, not HDF5, or HDF5 of another version.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would block
            raise unsound(path, "expected a file, found a directory or a device")
        with open(path, "rb") as stream:
            head = stream.read(_LEAST_HEAD)
    except FileNotFoundError:
        raise GoldenError(
            f"golden {path}: no such file. Make it with 'python generate_golden.py --update --reason ...'"
        ) from None
    except OSError as unreadable:
        raise GoldenError(f"golden {path}: {UnreadableError(unreadable)}") from unreadable
    if not head:
        raise unsound(path, "the file is empty")
    if spoilt := what_happened(head):
        raise GoldenError(f"golden {path}: {spoilt}")
    if not head.startswith(_HDF5_MAGIC):
        raise unsound(path, "not an HDF5 file")
    if not head.startswith(_HDF5_HEAD):
        raise unsound(path, "an HDF5 file, but not of the version that goldens use, or it was not closed")


def _bytes_of(path: Path) -> bytes:
    """Read a whole file without libhdf5, which would lock it and report an error of the system as damage."""
    try:
        if (size := path.stat().st_size) > _LARGEST_FILE:
            raise unsound(path, f"{size} bytes; at most {_LARGEST_FILE} are read")
        return path.read_bytes()
    except OSError as unreadable:
        raise GoldenError(f"golden {path}: {UnreadableError(unreadable)}") from unreadable


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file. Errors while it is open, or when it is closed, become one clear error."""
    content = _bytes_of(path)
    with damage_told(path):
        file = h5f.open_file_image(content)
        del content  # libhdf5 has its own copy
        try:
            yield file
        except BaseException:
            with suppress(RuntimeError):  # closing a damaged file may fail too
                file.close()
            raise
        file.close()


@dataclass(frozen=True)
class _Dataset:
    """A dataset that can do no harm.

    Attributes:
        node, kind: the dataset and its type, as objects of HDF5.
        shape, dtype: of its data.
        is_packed: whether it is one compressed chunk.
    """

    node: Any
    kind: h5t.TypeID
    shape: tuple[int, ...]
    dtype: np.dtype
    is_packed: bool

    @property
    def size(self) -> int:
        """Bytes of its data when decompressed."""
        return math.prod(self.shape) * self.dtype.itemsize


class _Reader:
    """Checks every object of an open file, then reads them. It uses h5py's low-level API, which is faster."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        self._file = file
        self._seen: set[object] = set()
        self._datasets: dict[str, _Dataset] = {}
        self._attributes: dict[str, dict[str, np.ndarray]] = {}

    def error(self, what: str) -> GoldenError:
        return unsound(self._path, what)

    def contents(self) -> Contents:
        self._require_harmless()
        return Contents({path: self._data(path, found) for path, found in self._datasets.items()}, self._attributes)

    def _require_harmless(self) -> None:
        """Refuse what a golden never contains, but an attack or an accident may."""
        groups = self._children(self._file, "")
        unknown = sorted(set(groups) - set(GROUPS))
        if unknown:
            raise self.error(f"unknown objects {unknown}; expected {list(GROUPS)}")
        self._attributes[""] = self._plain_attributes(self._file)
        size = 0
        for group_name in groups:
            group = self._open(self._file, group_name, group_name, h5o.TYPE_GROUP)
            for name in self._children(group, group_name):
                path = f"{group_name}/{name}"
                wanted = h5o.TYPE_GROUP if group_name == "derived" else h5o.TYPE_DATASET
                node = self._open(group, name, path, wanted)
                if wanted == h5o.TYPE_DATASET:
                    found = self._datasets[path] = self._plain_dataset(path, node)
                    size += found.size
                elif self._children(node, path):
                    raise self.error(f"/{path} should hold nothing but attributes")
                if size > SIZE_CAP or len(self._seen) > _MOST_OBJECTS:
                    raise self.error(
                        f"it declares {size} bytes of data in {len(self._seen)} objects; at most {SIZE_CAP} bytes in "
                        f"{_MOST_OBJECTS} are accepted"
                    )

    def _children(self, group: Any, path: str) -> list[str]:
        if group.get_num_objs() > _MOST_OBJECTS:
            raise self.error(f"/{path} has more than {_MOST_OBJECTS} members")
        names = []
        for raw in group:
            name = self._name(raw)
            if group.links.get_info(raw).type != h5l.TYPE_HARD:
                raise self.error(f"{path and '/'}{path}/{name} is a link to elsewhere")
            names.append(name)
        return names

    def _name(self, raw: bytes) -> str:
        if not raw.decode(errors="replace").isprintable():  # names are displayed
            raise self.error(f"it has an object or an attribute with the unprintable name {raw!r}")
        return raw.decode()

    def _open(self, parent: Any, name: str, path: str, wanted: int) -> Any:
        info = h5o.get_info(parent, name.encode())
        if info.type != wanted:
            raise self.error(f"/{path} is not a {'group' if wanted == h5o.TYPE_GROUP else 'dataset'}")
        address = (info.fileno, info.addr)
        if address in self._seen:
            raise self.error(f"/{path} is a second name of another object")
        self._seen.add(address)
        node = (h5g if wanted == h5o.TYPE_GROUP else h5d).open(parent, name.encode())
        self._attributes[path] = self._plain_attributes(node)
        return node

    def _plain_attributes(self, node: Any) -> dict[str, np.ndarray]:
        """Read the attributes of an object, none of which may be large or of an unusual type."""
        number = h5a.get_num_attrs(node)
        if number > MOST_ATTRIBUTES:
            raise self.error(f"an object has {number} attributes; at most {MOST_ATTRIBUTES} are accepted")
        return dict(self._plain_attribute(h5a.open(node, index=index)) for index in range(number))

    def _plain_attribute(self, attribute: Any) -> tuple[str, np.ndarray]:
        name, kind, space = self._name(attribute.name), attribute.get_type(), attribute.get_space()
        dtype = self._plain_dtype(kind, f"attribute {name!r}")
        if space.get_simple_extent_type() == h5s.NULL:
            raise self.error(f"attribute {name!r} has no value")
        if math.prod(space.shape) * dtype.itemsize > _LARGEST_ATTRIBUTE:
            raise self.error(f"attribute {name!r} is larger than 64 KiB")
        value = np.empty(space.shape, dtype)
        if value.size:
            attribute.read(value, mtype=kind)
        return name, value

    def _plain_dataset(self, path: str, node: Any) -> _Dataset:
        """Require layout, filters, type and sizes of a dataset to be those of a golden."""
        creation, space, kind = node.get_create_plist(), node.get_space(), node.get_type()
        layout = creation.get_layout()
        if layout == h5d.VIRTUAL or creation.get_external_count():
            raise self.error(f"/{path} keeps its data in another file")
        dtype = self._plain_dtype(kind, f"/{path}")
        if space.get_simple_extent_type() == h5s.NULL:
            raise self.error(f"/{path} has no data space")
        dataset = _Dataset(node, kind, space.shape, dtype, layout == h5d.CHUNKED)
        if dataset.size > SIZE_CAP:
            raise self.error(f"/{path} declares {dataset.size} bytes; at most {SIZE_CAP} are accepted")
        filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
        stored = node.get_storage_size()
        if dataset.is_packed:
            if filters != _PACKING or creation.get_chunk() != dataset.shape:
                raise self.error(f"/{path} is not one chunk, shuffled and deflated")
            if stored > dataset.size + dataset.size // 1000 + 64:
                raise self.error(f"/{path} takes {stored} bytes to store {dataset.size}")
        elif layout != h5d.CONTIGUOUS or filters:
            raise self.error(f"/{path} is stored in a way that goldens never use")
        elif stored < dataset.size:
            raise self.error(f"/{path} is cut short")
        return dataset

    def _plain_dtype(self, kind: h5t.TypeID, name: str) -> np.dtype:
        """Return the dtype of a type of HDF5. h5py's own takes ten times as long, and marks encodings."""
        if isinstance(kind, h5t.TypeStringID):
            fixed = not kind.is_variable_str() and kind.get_strpad() == h5t.STR_NULLPAD
            if fixed and kind.get_cset() in _CHARACTER_SETS:
                return np.dtype(("S", kind.get_size()))
        else:
            for known, dtype in _PLAIN_TYPES:
                if kind.equal(known):
                    return dtype
        raise self.error(f"{name} has a type that a golden never has ({type(kind).__name__})")

    def _data(self, path: str, dataset: _Dataset) -> np.ndarray:
        array = np.empty(dataset.shape, dataset.dtype)
        if dataset.is_packed:
            self._inflate(path, dataset.node, array)
        elif array.size:
            dataset.node.read(h5s.ALL, h5s.ALL, array, mtype=dataset.kind)
        return array

    def _inflate(self, path: str, node: Any, array: np.ndarray) -> None:
        """Fill an array from a compressed dataset. This stops at the array's size; libhdf5 would inflate any amount."""
        skipped, packed = node.read_direct_chunk((0,) * array.ndim)
        inflater = zlib.decompressobj()
        shuffled = inflater.decompress(packed, array.nbytes + 1)
        if skipped or len(shuffled) != array.nbytes or not inflater.eof or inflater.unused_data:
            raise self.error(f"/{path} does not inflate to the {array.nbytes} bytes that it declares")
        if array.size == 1:  # a long text: there is nothing to shuffle
            array.reshape(-1).view(np.uint8)[:] = np.frombuffer(shuffled, np.uint8)
            return
        planes = np.frombuffer(shuffled, np.uint8).reshape(array.itemsize, -1)
        bytewise = array.reshape(-1).view(np.uint8).reshape(-1, array.itemsize)
        for place, plane in enumerate(planes):
            bytewise[:, place] = plane  # byte by byte: several times as fast as a transposed copy
