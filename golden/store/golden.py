"""HDF5 file <-> Golden: the schema, the digests, and the refusal of files that are not what they should be.

Layout of a golden::

    /              @format, @case, @operation, @summary, @definition, @draw, @producer
                   @parameters, @expected_constant, @provenance   (JSON text)
    /inputs/NAME   stored inputs                                  @sha256
    /derived/NAME  inputs made by the operation's recipe: no data, only @sha256, @shape, @dtype
    /outputs/NAME  what the reference returned, in its layout     @sha256
                   @tolerance of numbers that are not whole: atol, rtol, and the noise's atol, rtol
    /where/NAME    bool: the elements of that output that count   @sha256
    /proof/table   uint8, UTF-8 JSON                              @sha256
                   caught: fault -> symptom and, by output that it gets wrong, shape, dtype, share of the tolerance,
                   distance, and how many elements below are its; invisible: fault -> reason; noise: output ->
                   contribution of each variant
    /proof/DTYPE   what stands in the wrong outputs of that dtype, under one fault after the other   @sha256
    /proof/at      int64: where it stands, flat index into that wrong output, less the index before      @sha256
    /picture/NAME  the main output once more, as an image (H, W) or a stack (k, H, W), and coarser

The ``@sha256`` of an array is the first half of its digest, that of a derived input all of it. The picture is for
viewers: with the NeXus attributes ``@default``, ``@NX_class`` and ``@signal``, silx and h5web plot it at once, which
they could not in TensorFlow's layout (channels last). Its numbers have 6 bits of mantissa beside the leading one, so
they are the output's to 1 %, in less than half of its bytes. It needs no digest: who reads a golden rounds the output
again, and refuses another picture. Where no output is an image, the attributes point to ``/outputs``.

Only fixed-length texts, hard links, contiguous or deflate + shuffle data: what a reader can check before it trusts
a file. Times are off, so that the same golden gives the same bytes on the same machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5l, h5o, h5p, h5s, h5t, h5z

from golden.judge.compare import EXACT, Tolerance
from golden.judge.proof import Caught, Wrong
from golden.spec.arrays import Arrays, digest_array, images, is_picture, main_output
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.parameters import Parameters

FORMAT = "ptycho-golden 4"
SIZE_CAP = 512 * 2**20
"""Bytes of all datasets of a file together, decompressed."""
TRANSCRIBED = "transcribed"
"""The producer of what was written down from a document; only operations that say so may have it."""

_GROUPS = ("derived", "inputs", "outputs", "picture", "proof", "where")
_MOST_OBJECTS = 2000
_MOST_ATTRIBUTES = 64
_COMPRESS_FROM = 256
_PICTURE_BITS = 6
"""Of the mantissa, beside the leading one."""
_DIGEST_LENGTH = 32
_TOLERANCE = ("atol", "rtol", "noise_atol", "noise_rtol")
_LONGEST_TEXT = 2**16 - 512
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


@dataclass(frozen=True)
class Derived:
    """What a golden remembers of an input that a recipe makes: enough to know it again."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


@dataclass(frozen=True)
class Golden:
    """One frozen case: see ``golden.spec.case`` for the words, and the module docstring for the layout."""

    case: str
    operation: str
    summary: str
    parameters: Parameters
    definition: str
    draw: int
    producer: str
    provenance: Mapping[str, str]
    inputs: Arrays
    outputs: Arrays
    where: Arrays
    tolerances: Mapping[str, Tolerance]
    noise: Mapping[str, Mapping[str, float]]
    derived: Mapping[str, Derived] = field(default_factory=dict)
    expected_constant: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, Caught] = field(default_factory=dict)
    invisible: Mapping[str, str] = field(default_factory=dict)

    def complete_inputs(self, case: Case) -> dict[str, np.ndarray]:
        """The stored inputs, and the derived ones made again by the case's recipe and checked.

        Every use of a golden with its case begins here, so a golden that its case does not allow is refused here.

        Raises:
            GoldenError: TensorFlow did not produce it, and its operation is not transcribed; or the recipe no longer
                gives the inputs that the golden was made from.
        """
        require_producer(case, self.producer)
        inputs = case.complete_inputs(self.inputs)
        for name, derived in self.derived.items():
            if name not in inputs or digest_array(inputs[name]) != derived.sha256:
                raise GoldenError(
                    f"golden {self.case}: its recipe no longer gives the input {name!r} that it was made from; restore "
                    f"the recipe of operation {case.operation.name}, or: python generate_golden.py --update --redraw "
                    f"--reason ... {self.case}"
                )
        return inputs

    def digests(self) -> dict[str, str]:
        """SHA-256 of every array, by group and name (``outputs/mosaic``)."""
        values, indices = _pack(self.faults)
        groups = {
            "inputs": self.inputs,
            "outputs": self.outputs,
            "where": self.where,
            "faults": values,
            "faults_at": indices,
        }
        stored = {f"{g}/{name}": digest_array(arrays[name]) for g, arrays in groups.items() for name in sorted(arrays)}
        return stored | {f"derived/{name}": self.derived[name].sha256 for name in sorted(self.derived)}

    def content_digest(self, digests: Mapping[str, str] | None = None) -> str:
        """SHA-256 of everything but the provenance: two goldens with one digest say the same.

        Args:
            digests: what ``digests()`` gives, where it is known already.
        """
        hasher = hashlib.sha256()
        head = [
            self.case,
            self.operation,
            self.summary,
            dict(self.parameters),
            self.definition,
            self.draw,
            self.producer,
            dict(self.expected_constant),
            _table_of_faults(self.faults, self.outputs),
            dict(self.invisible),
        ]
        hasher.update(json.dumps(head, sort_keys=True).encode())
        for name, digest in (digests or self.digests()).items():
            hasher.update(f"{name} {digest}\n".encode())
        for name in sorted(self.tolerances):
            hasher.update(f"{name} {self.tolerances[name]} {sorted(self.noise.get(name, {}).items())}\n".encode())
        return hasher.hexdigest()


def require_mask(case: str, output: str, values: np.ndarray, mask: np.ndarray) -> None:
    """Refuse a mask that is not bool or not of its output's shape: it would index, not select."""
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != values.shape:
        found = f"{getattr(mask, 'dtype', type(mask).__name__)} {getattr(mask, 'shape', '')}"
        raise GoldenError(f"case {case}: mask of output {output!r}: expected bool {values.shape}, found {found}")


def require_producer(case: Case, producer: str) -> None:
    """Refuse what TensorFlow did not produce, except the transcription of an operation that may be transcribed."""
    if producer != "tensorflow" and not (producer == TRANSCRIBED and case.operation.transcribed):
        raise GoldenError(f"golden {case.name}: its producer is {producer!r}; a golden must be produced by TensorFlow")


def golden_path(fixtures: Path, case: str) -> Path:
    return fixtures / f"{case}.h5"


# ------------------------------------------------------------------------------------------------ writing


def write_golden(path: Path, golden: Golden, compress_from: int = _COMPRESS_FROM) -> None:
    """Write a golden to a new file; the caller moves it into place (``golden.store.transaction``).

    Args:
        path: of the new file.
        golden: what it shall hold.
        compress_from: bytes of an array that is worth compressing.
    """
    with _create(path) as file:
        for key, text in (
            ("format", FORMAT),
            ("case", golden.case),
            ("operation", golden.operation),
            ("summary", golden.summary),
            ("definition", golden.definition),
            ("producer", golden.producer),
            ("parameters", _json(golden.parameters)),
            ("expected_constant", _json(golden.expected_constant)),
            ("provenance", _json(golden.provenance)),
        ):
            _set_text(file, key, text)
        file.attrs["draw"] = np.int64(golden.draw)
        for name, derived in sorted(golden.derived.items()):
            group = _require_group(_require_group(file, "derived"), name)
            _set_text(group, "dtype", derived.dtype)
            _set_text(group, "sha256", derived.sha256)
            group.attrs["shape"] = np.array(derived.shape, np.int64)
        for group_name, arrays in (
            ("inputs", golden.inputs),
            ("outputs", golden.outputs),
            ("where", golden.where),
            ("proof", _proof(golden)),
        ):
            _write_arrays(file, group_name, arrays, compress_from)
        for name, picture in _picture(golden.outputs).items():
            _write_array(_require_group(file, "picture"), name, picture, compress_from)
        _mark_for_viewers(file, golden.outputs)
        for name, tolerance in golden.tolerances.items():
            if golden.outputs[name].dtype.kind in "fc":
                numbers = [getattr(tolerance, key) for key in _TOLERANCE]
                file["outputs"][name].attrs["tolerance"] = np.array(numbers, np.float64)


def _mark_for_viewers(file: h5py.File, outputs: Arrays) -> None:
    name = main_output(outputs)
    if name is None:
        return
    group = "picture" if "picture" in file else "outputs"
    for node, key, text in (
        (file, "NX_class", "NXroot"),
        (file, "default", group),
        (file[group], "NX_class", "NXdata"),
        (file[group], "signal", name),
    ):
        _set_text(node, key, text)
    if group == "picture":
        _set_text(file[group][name], "interpretation", "image")


def _picture(outputs: Arrays) -> dict[str, np.ndarray]:
    """The main output as a coarse image or stack of images, by its name; empty when it is none. 0 and 1 for a mask."""
    name = main_output(outputs)
    if name is None or not is_picture(outputs[name]):
        return {}
    stack = images(outputs[name])
    stack = stack.astype(np.uint8) if stack.dtype.kind == "b" else _coarse(stack)
    return {name: stack[0] if len(stack) == 1 else stack}


def _coarse(array: np.ndarray) -> np.ndarray:
    """Numbers rounded to ``_PICTURE_BITS`` bits of mantissa, which is exact arithmetic: the same on every machine."""
    if array.dtype.kind not in "fc":
        return array
    parts = np.ascontiguousarray(array).view(array.real.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        mantissa, exponent = np.frexp(parts)
        whole = np.round(mantissa * 2 ** (_PICTURE_BITS + 1))
        coarse: np.ndarray = np.ldexp(whole, exponent - _PICTURE_BITS - 1)
    return coarse.view(array.dtype)


def _proof(golden: Golden) -> dict[str, np.ndarray]:
    """What ``/proof`` holds. An array of each wrong output for itself would be mostly headers."""
    values: dict[str, list[np.ndarray]] = {}
    indices = [np.zeros(1, np.int64)]
    for _, _, wrong in _in_order(golden.faults):
        values.setdefault(_kind(wrong.dtype), []).append(wrong.values.astype(wrong.dtype))
        indices.append(wrong.indices)
    table = {
        "caught": _table_of_faults(golden.faults, golden.outputs),
        "invisible": dict(golden.invisible),
        "noise": {name: dict(variants) for name, variants in golden.noise.items()},
    }
    arrays = {kind: np.concatenate(parts) for kind, parts in values.items()}
    return arrays | {"at": np.diff(np.concatenate(indices)), "table": np.frombuffer(_json(table).encode(), np.uint8)}


def _kind(dtype: str) -> str:
    """The name of the array in ``/proof`` that values of a dtype are in; texts of all lengths are in one."""
    return "text" if np.dtype(dtype).kind == "S" else np.dtype(dtype).name


def _pack(faults: Mapping[str, Caught]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Values and indices of all faults, by output."""
    values: dict[str, list[np.ndarray]] = {}
    indices: dict[str, list[np.ndarray]] = {}
    for _, output, wrong in _in_order(faults):
        values.setdefault(output, []).append(wrong.values)
        indices.setdefault(output, []).append(wrong.indices)
    return (
        {output: np.concatenate(parts) for output, parts in values.items()},
        {output: np.concatenate(parts) for output, parts in indices.items()},
    )


def _table_of_faults(faults: Mapping[str, Caught], outputs: Arrays) -> dict[str, Any]:
    """What the arrays of ``_proof`` mean; shape and dtype only where they are not those of the golden's output."""
    table: dict[str, Any] = {name: {"symptom": caught.symptom, "outputs": {}} for name, caught in faults.items()}
    for name, output, wrong in _in_order(faults):
        entry: dict[str, Any] = {
            "share": _number_or_none(wrong.share),
            "distance": _number_or_none(wrong.distance),
            "kept": len(wrong.values),
            "sums": wrong.sums.view(np.float64).tolist(),
        }
        if wrong.shape != outputs[output].shape:
            entry["shape"] = list(wrong.shape)
        if wrong.dtype != outputs[output].dtype.str:
            entry["dtype"] = wrong.dtype
        table[name]["outputs"][output] = entry
    return table


def _in_order(faults: Mapping[str, Caught]) -> Iterator[tuple[str, str, Wrong]]:
    for name in sorted(faults):
        for output in sorted(faults[name].outputs):
            yield name, output, faults[name].outputs[output]


def _number_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no infinity


def write_outputs(path: Path, outputs: Arrays) -> None:
    """Write bare arrays in the layout of a golden's outputs (what a test obtained)."""
    with _create(path) as file:
        _write_arrays(file, "outputs", outputs, _COMPRESS_FROM)


def _create(path: Path) -> h5py.File:
    # Low-level, because only there can object times be switched off: they would change the bytes on every run.
    creation = h5p.create(h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    # Attributes stay in the header of their object: a heap and a tree for them take kilobytes and crash libhdf5.
    creation.set_attr_phase_change(_MOST_ATTRIBUTES, _MOST_ATTRIBUTES)
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    return h5py.File(h5f.create(bytes(path), h5f.ACC_EXCL, fcpl=creation, fapl=access))


def _require_group(parent: h5py.Group, name: str) -> h5py.Group:
    if name not in parent:
        creation = h5p.create(h5p.GROUP_CREATE)
        creation.set_obj_track_times(False)
        h5py.h5g.create(parent.id, name.encode(), gcpl=creation)
    return parent[name]


def _write_arrays(file: h5py.File, group_name: str, arrays: Arrays, compress_from: int) -> None:
    for name, array in sorted(arrays.items()):
        dataset = _write_array(_require_group(file, group_name), name, array, compress_from)
        _set_text(dataset, "sha256", digest_array(array)[:_DIGEST_LENGTH])


def _write_array(group: h5py.Group, name: str, array: np.ndarray, compress_from: int) -> h5py.Dataset:
    little = np.asarray(array, dtype=array.dtype.newbyteorder("<"))
    large = little.nbytes >= compress_from
    packing: dict[str, Any] = {"chunks": little.shape, "compression": 9, "shuffle": True} if large else {}
    return group.create_dataset(name, data=little, track_times=False, **packing)


def _set_text(node: h5py.HLObject, key: str, text: str) -> None:
    if len(text.encode()) > _LONGEST_TEXT:
        raise GoldenError(
            f"{key!r} of {node.name} takes {len(text.encode())} bytes; at most {_LONGEST_TEXT} fit into an attribute. "
            f"Shorten it"
        )
    node.attrs.create(key, np.bytes_(text.encode() or b"\0"))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)


# ------------------------------------------------------------------------------------------------ reading


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
        if reader.digests("picture") != {name: digest_array(array) for name, array in _picture(outputs).items()}:
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
        if number > _MOST_ATTRIBUTES:
            raise self.error(f"an object has {number} attributes; at most {_MOST_ATTRIBUTES} are accepted")
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
        if digest_array(array)[:_DIGEST_LENGTH] != digest:
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
                kind, before = _kind(dtype), sum(taken.values())
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
        if any(array.ndim != 1 or _kind(array.dtype.str) != kind for kind, array in values.items()):
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
        if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.shape != (len(_TOLERANCE),):
            raise self.error(f"{node.name} has no tolerance of {len(_TOLERANCE)} numbers, but {values!r}")
        if not (np.isfinite(values) & (values >= 0)).all():
            raise self.error(f"{node.name} has an impossible tolerance {values}")
        return Tolerance(**dict(zip(_TOLERANCE, values.tolist())))

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
