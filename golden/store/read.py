"""Reading a golden from an HDF5 file, and the refusal of files that are not what they should be."""

from __future__ import annotations

import json
import math
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5l, h5o, h5s, h5t, h5z

from golden.judge.compare import EXACT, Tolerance
from golden.judge.proof import Caught, Wrong
from golden.spec.arrays import Arrays, digest_array
from golden.spec.errors import GoldenError
from golden.store.golden import (
    DIGEST_LENGTH,
    FORMAT,
    MOST_ATTRIBUTES,
    SIZE_CAP,
    TOLERANCE_PARTS,
    TRANSCRIBED,
    Derived,
    Golden,
    kind_of,
    picture_of,
    require_mask,
)

_GROUPS = ("derived", "inputs", "outputs", "picture", "proof", "where")
_MOST_OBJECTS = 2000
_DAMAGE = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    zlib.error,
)
"""What libhdf5, h5py, NumPy, zlib and JSON raise on damaged files."""
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HDF5_HEAD = _HDF5_MAGIC + b"\x03\x08\x08\x00" + bytes(8) + b"\xff" * 8
"""Version 3, closed, beginning at byte 0, no extension: the checksummed format that ``write_golden`` chooses."""
_NUMBERS = ("f8", "i8", "c8", "f4", "?", "c16", "i4", "u1", "i1", "i2", "u2", "u4", "u8", "f2")
_PLAIN_TYPES = tuple(h5t.py_create(np.dtype(f"<{kind}"), logical=True) for kind in _NUMBERS)
_PACKING = [h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE]
_LFS_MAGIC = b"version https://git-lfs"


def read_golden(path: Path) -> Golden:
    """Read and check a golden.

    Raises:
        GoldenError: it is missing, not HDF5, damaged, hostile, too large, of another format, or was not produced by
            TensorFlow. The message names the file and says what to do.
    """
    with _Reader(path) as reader:
        root = reader.file
        found = reader.text(root, "format")
        if found != FORMAT:
            raise reader.error(f"expected format {FORMAT!r}, found {found!r}; use the release that wrote it")
        case, producer = reader.text(root, "case"), reader.text(root, "producer")
        if producer not in ("tensorflow", TRANSCRIBED):  # whether it may be transcribed, only its case can say
            raise reader.error(f"its producer is {producer!r}; a golden must be produced by TensorFlow")
        outputs = reader.arrays("outputs")
        if not outputs:
            raise reader.error("it has no outputs")
        where = reader.arrays("where")
        for name, mask in where.items():
            if name not in outputs:
                raise reader.error(f"it has a mask for {name!r}, which is no output")
            try:
                require_mask(case, name, outputs[name], mask)
            except GoldenError as wrong:
                raise reader.error(str(wrong)) from None
        if reader.digests("picture") != {name: digest_array(array) for name, array in picture_of(outputs).items()}:
            raise reader.error("its picture is not that of its main output")
        table = reader.table()
        return Golden(
            case=case,
            operation=reader.text(root, "operation"),
            summary=reader.text(root, "summary"),
            parameters=reader.json(root, "parameters"),
            definition=reader.text(root, "definition"),
            draw=int(reader.number(root, "draw")),
            producer=producer,
            provenance=reader.texts(reader.json(root, "provenance"), "its provenance"),
            inputs=reader.arrays("inputs"),
            outputs=outputs,
            where=where,
            tolerances={name: reader.tolerance(node) for name, node in reader.nodes["outputs"].items()},
            noise=reader.noise(table.get("noise"), outputs),
            derived=reader.derived(),
            expected_constant=reader.texts(reader.json(root, "expected_constant"), "its expected_constant"),
            faults=reader.faults(table, outputs),
            invisible=reader.texts(table.get("invisible"), "its table of invisible faults"),
        )


def read_outputs(path: Path) -> dict[str, np.ndarray]:
    """Read what ``write_outputs`` wrote, with the same checks as a golden's arrays."""
    with _Reader(path) as reader:
        return reader.arrays("outputs")


class _Reader:
    """An open file whose every object has been looked at before any data is read: ``nodes``, by group and name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.nodes: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> _Reader:
        self._require_hdf5()
        try:
            self.file = h5py.File(self._path, "r")
        except _DAMAGE as broken:
            raise self.error(f"HDF5 cannot open it, it is damaged ({broken})") from broken
        try:
            self._require_harmless()
        except BaseException as problem:
            self.__exit__(type(problem), problem, None)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        problem = exc_info[1]
        try:
            self.file.close()
        except RuntimeError as unclosed:  # libhdf5 lost count of what it holds of a damaged file
            problem = problem or unclosed
        if isinstance(problem, _DAMAGE):
            raise self.error(f"it is damaged ({type(problem).__name__}: {problem})") from problem

    def error(self, what: str) -> GoldenError:
        return GoldenError(
            f"golden {self._path}: {what}. Restore it from version control; failing that, delete it and make it anew "
            f"with 'python generate_golden.py --update --reason ...'"
        )

    def _require_hdf5(self) -> None:
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):  # a pipe would be waited for
                raise self.error("expected a file, found a directory or a device")
            with open(self._path, "rb") as stream:
                head = stream.read(len(_HDF5_HEAD))
        except FileNotFoundError:
            raise GoldenError(
                f"golden {self._path}: no such file. Make it with 'python generate_golden.py --update --reason ...'"
            ) from None
        except OSError as unreadable:
            raise GoldenError(f"golden {self._path}: {unreadable.strerror}") from unreadable
        if not head:
            raise self.error("the file is empty")
        if head.startswith(_LFS_MAGIC):
            raise GoldenError(f"golden {self._path}: a Git LFS pointer, not the data; run 'git lfs pull'")
        if not head.startswith(_HDF5_MAGIC):
            raise self.error("not an HDF5 file")
        if head != _HDF5_HEAD:
            raise self.error("HDF5, but not in the format that goldens are written in, or it was not closed")

    def _require_harmless(self) -> None:
        """Refuse, before reading, what a golden never contains and an attack or an accident may."""
        groups = self._children(self.file)
        unknown = sorted(set(groups) - set(_GROUPS))
        if unknown:
            raise self.error(f"unknown objects {unknown}; expected {list(_GROUPS)}")
        seen: set[object] = set()
        self.nodes = {name: {} for name in groups}
        size = 0
        self._require_plain_attributes(self.file.id)
        for group_name in groups:
            group = self._open(self.file, group_name, h5o.TYPE_GROUP, seen)
            for name in self._children(group):
                wanted = h5o.TYPE_GROUP if group_name == "derived" else h5o.TYPE_DATASET
                node = self.nodes[group_name][name] = self._open(group, name, wanted, seen)
                if wanted == h5o.TYPE_DATASET:
                    size += self._require_plain_dataset(node)
                elif self._children(node):
                    raise self.error(f"/derived/{name} should hold nothing but attributes")
                if size > SIZE_CAP or len(seen) > _MOST_OBJECTS:
                    raise self.error(
                        f"it declares {size} bytes of data in {len(seen)} objects; at most {SIZE_CAP} bytes in "
                        f"{_MOST_OBJECTS} are accepted"
                    )

    def _children(self, group: h5py.Group) -> list[str]:
        links = group.id.links
        if group.id.get_num_objs() > _MOST_OBJECTS:
            raise self.error(f"{group.name} has more than {_MOST_OBJECTS} members")
        names = []
        for raw in group.id:
            name = self._name(raw)
            if links.get_info(raw).type != h5l.TYPE_HARD:
                raise self.error(f"{group.name.rstrip('/')}/{name} is a link to elsewhere")
            names.append(name)
        return names

    def _name(self, raw: bytes) -> str:
        if not raw.decode(errors="replace").isprintable():  # it would be shown
            raise self.error(f"it has an object or an attribute by the name {raw!r}")
        return raw.decode()

    def _open(self, parent: h5py.Group, name: str, wanted: int, seen: set[object]) -> Any:
        info = h5o.get_info(parent.id, name.encode())
        path = f"{parent.name.rstrip('/')}/{name}"
        if info.type != wanted:
            raise self.error(f"{path} is not a {'group' if wanted == h5o.TYPE_GROUP else 'dataset'}")
        address = (info.fileno, info.addr)
        if address in seen:
            raise self.error(f"{path} is another name of an object already seen")
        seen.add(address)
        node = parent[name]
        self._require_plain_attributes(node.id)
        return node

    def _require_plain_attributes(self, node: Any) -> None:
        number = h5a.get_num_attrs(node)
        if number > MOST_ATTRIBUTES:
            raise self.error(f"an object has {number} attributes; at most {MOST_ATTRIBUTES} are accepted")
        for index in range(number):
            attribute = h5a.open(node, index=index)
            name = self._name(attribute.name)
            self._require_plain_type(attribute.get_type(), f"attribute {name!r}")
            if attribute.get_storage_size() > 2**16:
                raise self.error(f"attribute {name!r} is larger than 64 KiB")

    def _require_plain_dataset(self, dataset: h5py.Dataset) -> int:
        """Check layout, filters, type and sizes; return the bytes it holds when decompressed."""
        creation = dataset.id.get_create_plist()
        layout = creation.get_layout()
        if layout == h5d.VIRTUAL or creation.get_external_count():
            raise self.error(f"{dataset.name} keeps its data in another file")
        self._require_plain_type(dataset.id.get_type(), dataset.name)
        if dataset.id.get_space().get_simple_extent_type() == h5s.NULL:
            raise self.error(f"{dataset.name} has no data space")
        size: int = math.prod(dataset.shape) * dataset.dtype.itemsize
        if size > SIZE_CAP:
            raise self.error(f"{dataset.name} declares {size} bytes; at most {SIZE_CAP} are accepted")
        filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
        stored = dataset.id.get_storage_size()
        if layout == h5d.CHUNKED:
            if filters != _PACKING or creation.get_chunk() != dataset.shape:
                raise self.error(f"{dataset.name} is not one chunk, shuffled and deflated")
            if stored > size + size // 1000 + 64:
                raise self.error(f"{dataset.name} takes {stored} bytes to store {size}")
        elif layout != h5d.CONTIGUOUS or filters:
            raise self.error(f"{dataset.name} is stored in a way that goldens are not")
        elif stored < size:
            raise self.error(f"{dataset.name} is cut short")
        return size

    def _require_plain_type(self, kind: h5t.TypeID, name: str) -> None:
        if isinstance(kind, h5t.TypeStringID):
            plain = not kind.is_variable_str() and kind.get_strpad() == h5t.STR_NULLPAD
        else:
            plain = any(kind.equal(known) for known in _PLAIN_TYPES)
        if not plain:
            raise self.error(f"{name} has a type that a golden never has ({type(kind).__name__})")

    def arrays(self, group_name: str) -> dict[str, np.ndarray]:
        return {name: self._array(node) for name, node in self.nodes.get(group_name, {}).items()}

    def digests(self, group_name: str) -> dict[str, str]:
        """Of the data as they are, whatever the attributes say."""
        return {name: digest_array(self._data(node)) for name, node in self.nodes.get(group_name, {}).items()}

    def _array(self, dataset: h5py.Dataset) -> np.ndarray:
        digest = self.text(dataset, "sha256")
        array = self._data(dataset)
        if digest_array(array)[:DIGEST_LENGTH] != digest:
            raise self.error(f"{dataset.name} does not match its SHA-256")
        if array.dtype.kind == "S" and not all(text.decode().isprintable() for text in array.flat):
            raise self.error(f"{dataset.name} holds texts that cannot be shown")
        return array

    def _data(self, dataset: h5py.Dataset) -> np.ndarray:
        return np.asarray(dataset[()] if dataset.chunks is None else self._inflated(dataset))

    def _inflated(self, dataset: h5py.Dataset) -> np.ndarray:
        """What a compressed dataset holds. libhdf5 would inflate whatever comes; this stops at what was declared."""
        size, width = dataset.size * dataset.dtype.itemsize, dataset.dtype.itemsize
        skipped, packed = dataset.id.read_direct_chunk((0,) * dataset.ndim)
        inflater = zlib.decompressobj()
        shuffled = inflater.decompress(packed, size + 1)
        if skipped or len(shuffled) != size or not inflater.eof or inflater.unused_data:
            raise self.error(f"{dataset.name} does not inflate to the {size} bytes that it declares")
        array: np.ndarray = np.empty((dataset.size, width), np.uint8)
        for place, plane in enumerate(np.frombuffer(shuffled, np.uint8).reshape(width, -1)):
            array[:, place] = plane  # byte by byte: several times as fast as a transposed copy
        array = array.reshape(-1).view(dataset.dtype)
        return array.reshape(dataset.shape)

    def derived(self) -> dict[str, Derived]:
        return {
            name: Derived(self._shape(node), self._dtype(self.text(node, "dtype")), self.text(node, "sha256"))
            for name, node in self.nodes.get("derived", {}).items()
        }

    def _shape(self, node: h5py.Group) -> tuple[int, ...]:
        shape = self._attribute(node, "shape")
        if not isinstance(shape, np.ndarray) or shape.dtype != np.int64 or shape.ndim != 1:
            raise self.error(f"{node.name} has no shape, but {shape!r}")
        return tuple(self._whole(int(n)) for n in shape)

    def _dtype(self, text: str) -> str:
        dtype = np.dtype(text)
        if dtype.kind not in "biufcS":
            raise self.error(f"expected a dtype of numbers or texts, found {text!r}")
        return dtype.str

    def table(self) -> dict[str, Any]:
        array = self._array(self.nodes["proof"]["table"]) if "table" in self.nodes.get("proof", {}) else np.empty(0)
        if array.dtype != np.uint8 or array.ndim != 1:
            raise self.error("it has no table of faults")
        return self._json_object(array.tobytes().decode(), "/proof/table")

    def faults(self, table: Mapping[str, Any], outputs: Arrays) -> dict[str, Caught]:
        values, places = self._values()
        taken = dict.fromkeys(values, 0)
        faults: dict[str, Caught] = {}
        for name, entry in sorted(self._table(table.get("caught"), "its table of faults").items()):
            symptom, wrong = self._table(entry, f"fault {name!r}").get("symptom"), {}
            if not isinstance(symptom, str):
                raise self.error(f"fault {name!r} has no symptom")
            for output, details in sorted(self._table(entry.get("outputs"), f"outputs of fault {name!r}").items()):
                if output not in outputs:
                    raise self.error(f"fault {name!r} speaks of {output!r}, which is no output")
                kept = self._whole(self._table(details, f"fault {name!r}").get("kept"))
                dtype = self._dtype(details.get("dtype", outputs[output].dtype.str))
                kind, before = kind_of(dtype), sum(taken.values())
                if kind not in values:
                    raise self.error(f"fault {name!r} has no values of {dtype}")
                part = values[kind][taken[kind] : taken[kind] + kept].astype(dtype)
                taken[kind] += kept
                wrong[output] = self._wrong(name, details, outputs[output], part, places[before : before + kept])
            if not wrong:
                raise self.error(f"fault {name!r} gets nothing wrong")
            faults[name] = Caught(symptom, wrong)
        if taken != {kind: len(array) for kind, array in values.items()}:
            raise self.error("its table of faults is out of step with their values")
        return faults

    def _values(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """What stands in wrong outputs, by dtype, and where."""
        values = self.arrays("proof")
        del values["table"]
        steps = values.pop("at", np.empty(0))
        if any(array.ndim != 1 or kind_of(array.dtype.str) != kind for kind, array in values.items()):
            raise self.error("/proof holds what is no list of values")
        if steps.ndim != 1 or steps.dtype != np.int64 or len(steps) != sum(map(len, values.values())):
            raise self.error("/proof/at does not say where the values of /proof stand")
        return values, np.cumsum(steps)

    def _wrong(
        self, fault: str, entry: Mapping[str, Any], right: np.ndarray, values: np.ndarray, at: np.ndarray
    ) -> Wrong:
        shape = tuple(self._whole(n) for n in entry.get("shape", right.shape))
        sums = np.array(entry.get("sums"), np.float64)
        share, distance = (math.inf if entry[key] is None else float(entry[key]) for key in ("share", "distance"))
        if sums.shape != (4,) or not np.isfinite(sums).all():
            raise self.error(f"fault {fault!r} has impossible sums")
        if not (share >= 0 and distance >= 0) or not ((at >= 0) & (at < math.prod(shape))).all():
            raise self.error(f"fault {fault!r} has an impossible distance, or points outside of its array")
        return Wrong(shape, values.dtype.str, share, distance, at, values, sums.view(np.complex128))

    def _table(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(f"{what}: expected a JSON object")
        return value

    def _whole(self, value: Any) -> int:
        if type(value) is not int or not 0 <= value < 2**40:
            raise self.error(f"expected a whole number, found {value!r}")
        return value

    def tolerance(self, node: h5py.Dataset) -> Tolerance:
        if node.dtype.kind not in "fc":
            return EXACT
        values = self._attribute(node, "tolerance")
        if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.shape != (len(TOLERANCE_PARTS),):
            raise self.error(f"{node.name} has no tolerance of {len(TOLERANCE_PARTS)} numbers, but {values!r}")
        if not (np.isfinite(values) & (values >= 0)).all():
            raise self.error(f"{node.name} has an impossible tolerance {values}")
        return Tolerance(**dict(zip(TOLERANCE_PARTS, values.tolist())))

    def _attribute(self, node: h5py.HLObject, key: str) -> Any:
        try:
            return node.attrs[key]
        except KeyError:
            raise self.error(f"{node.name} lacks the attribute {key!r}") from None

    def text(self, node: h5py.HLObject, key: str) -> str:
        value = self._attribute(node, key)
        if not isinstance(value, bytes) or not value.decode().isprintable():
            raise self.error(f"attribute {key!r} of {node.name} is not a printable text")
        return value.decode()

    def number(self, node: h5py.HLObject, key: str) -> float:
        value = self._attribute(node, key)
        if not isinstance(value, (np.integer, np.floating)):
            raise self.error(f"attribute {key!r} of {node.name} is not a number")
        return float(value)

    def json(self, node: h5py.HLObject, key: str) -> dict[str, Any]:
        return self._json_object(self.text(node, key), f"attribute {key!r} of {node.name}")

    def _json_object(self, text: str, what: str) -> dict[str, Any]:
        value = parse_json(text)
        if not isinstance(value, dict) or not _is_printable(value):
            raise self.error(f"{what} is not a JSON object of printable texts")
        return value

    def texts(self, value: Any, what: str) -> dict[str, str]:
        table = self._table(value, what)
        if not all(isinstance(text, str) for text in table.values()):
            raise self.error(f"{what} is not a table of texts")
        return table

    def noise(self, value: Any, outputs: Arrays) -> dict[str, dict[str, float]]:
        table = self._table(value, "its noise")
        if not set(table) <= set(outputs):
            raise self.error("its noise is of other outputs than it has")
        for name, variants in table.items():
            if not all(type(number) in (int, float) for number in self._table(variants, f"noise of {name!r}").values()):
                raise self.error(f"the noise of {name!r} is not a table of numbers")
        return {name: table.get(name, {}) for name in outputs}


def parse_json(text: str) -> Any:
    """JSON in which no key appears twice, as it does after a careless merge; ValueError if it is none."""
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key of a JSON object appears twice")
    return dict(pairs)


def _is_printable(value: Any) -> bool:
    """Whether all texts of a JSON document can be shown: no control sequence of a terminal, no half of a character."""
    if isinstance(value, dict):
        return all(map(_is_printable, (*value, *value.values())))
    if isinstance(value, list):
        return all(map(_is_printable, value))
    return not isinstance(value, str) or value.isprintable()
