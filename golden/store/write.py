"""Write a golden to an HDF5 file, in the layout of ``golden.store.layout``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5f, h5p

from golden.spec.arrays import Arrays, digest_array, main_output
from golden.spec.errors import GoldenError
from golden.store.golden import FORMAT, Golden, in_order, table_of_faults
from golden.store.layout import (
    DIGEST_LENGTH,
    MOST_ATTRIBUTES,
    README,
    SUMS,
    kind_of,
    picture_of,
)

_COMPRESS_FROM = 256
_LONGEST_TEXT = 2**16 - 512


def write_golden(path: Path, golden: Golden, compress_from: int = _COMPRESS_FROM) -> None:
    """Write a golden to a new file; the caller moves it into place (``golden.store.update``).

    Args:
        path: of the new file.
        golden: the golden to write.
        compress_from: size of the smallest array that is compressed, in bytes.
    """
    with _create(path) as file:
        for name in sorted(golden.derived):
            _require_group(_require_group(file, "derived"), name)
        for group_name, arrays in (
            ("inputs", golden.inputs),
            ("outputs", golden.outputs),
            ("where", golden.where),
            ("proof", _proof(golden)),
        ):
            _write_arrays(file, group_name, arrays, compress_from)
        for name, picture in picture_of(golden.outputs).items():
            _write_array(_require_group(file, "picture"), name, picture, compress_from)
        # Attributes come last: HDF5 would move the header of a new object that grows, and leave a gap.
        for path_in_file, attributes in sorted(_attributes(golden).items()):
            _set_attributes(file[path_in_file or "/"], attributes)


def _attributes(golden: Golden) -> dict[str, dict[str, Any]]:
    """Return the attributes of the objects in a golden's file, by path (empty for the root).

    Digests of arrays are left out.
    """
    told: dict[str, dict[str, Any]] = {
        "": {
            "README": README,
            "format": FORMAT,
            "case": golden.case,
            "operation": golden.operation,
            "summary": golden.summary,
            "definition": golden.definition,
            "draw": np.int64(golden.draw),
            "producer": golden.producer,
            "parameters": as_json(golden.parameters),
            "expected_constant": as_json(golden.expected_constant),
            "provenance": as_json(golden.provenance),
        }
    }
    for name, derived in golden.derived.items():
        shape = np.array(derived.shape, np.int64)
        told[f"derived/{name}"] = {"dtype": derived.dtype, "sha256": derived.sha256, "shape": shape}
    for name, tolerance in golden.tolerances.items():
        if golden.outputs[name].dtype.kind in "fc":
            told[f"outputs/{name}"] = {"atol": np.float64(tolerance.atol), "rtol": np.float64(tolerance.rtol)}
    for path, label in golden.labels.items():
        derived_path = path.replace("inputs/", "derived/")
        texts = {"axis_names": label.axes, "units": label.unit}
        told.setdefault(derived_path if derived_path in told else path, {}).update(
            {k: v for k, v in texts.items() if v}
        )
    return _shown(told, golden.outputs)


def _shown(told: dict[str, dict[str, Any]], outputs: Arrays) -> dict[str, dict[str, Any]]:
    """Add the attributes that make viewers plot the main output at once."""
    name = main_output(outputs)
    if name is None:
        return told
    group = "picture" if picture_of(outputs) else "outputs"
    told[""] |= {"NX_class": "NXroot", "default": group}
    told[group] = {"NX_class": "NXdata", "signal": name}
    if group == "picture":
        told[f"picture/{name}"] = {"interpretation": "image"}
    return told


def _proof(golden: Golden) -> dict[str, np.ndarray]:
    """Pack the contents of ``/proof``. A dataset for each wrong output would consist mostly of headers."""
    values: dict[str, list[np.ndarray]] = {}
    indices = [np.zeros(1, np.int64)]
    for _, _, wrong in in_order(golden.faults):
        values.setdefault(kind_of(wrong.dtype), []).append(wrong.values.astype(wrong.dtype))
        indices.append(wrong.indices)
    caught = table_of_faults(golden.faults, golden.outputs)
    for fault in caught.values():
        for entry in fault["outputs"].values():
            entry["sums"] = dict(zip(SUMS, entry["sums"], strict=True))
    table = {
        "caught": caught,
        "invisible": dict(golden.invisible),
        "noise": {name: _noise(golden, name) for name in golden.outputs},
    }
    arrays = {kind: np.concatenate(parts) for kind, parts in values.items()}
    return arrays | {"at": np.diff(np.concatenate(indices)), "table": np.array([as_json(table).encode()])}


def _noise(golden: Golden, output: str) -> dict[str, Any]:
    tolerance = golden.tolerances[output]
    is_exact = golden.outputs[output].dtype.kind not in "fc"
    line = {} if is_exact else {"atol": float(tolerance.noise_atol), "rtol": float(tolerance.noise_rtol)}
    return {"runs": dict(golden.noise.get(output, {})), **line}


def write_outputs(path: Path, outputs: Arrays) -> None:
    """Write bare arrays in the layout of a golden's outputs (what a test obtained)."""
    with _create(path) as file:
        _write_arrays(file, "outputs", outputs, _COMPRESS_FROM)


def _create(path: Path) -> h5py.File:
    # Only the low-level API can switch off the times of objects, which would change the bytes on every run.
    creation = h5p.create(h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    # Attributes stay in the header of their object: a heap and a tree for them take kilobytes and crash libhdf5.
    creation.set_attr_phase_change(MOST_ATTRIBUTES, MOST_ATTRIBUTES)
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    access.set_file_locking(False, True)  # some file systems have no locks; nobody else knows of a new file
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
        _set_text(dataset, "sha256", digest_array(array)[:DIGEST_LENGTH])


def _write_array(group: h5py.Group, name: str, array: np.ndarray, compress_from: int) -> h5py.Dataset:
    little = np.asarray(array, dtype=array.dtype.newbyteorder("<"))
    large = little.nbytes >= compress_from
    packing: dict[str, Any] = {"chunks": little.shape, "compression": 9, "shuffle": True} if large else {}
    data = _as_utf8(little) if little.dtype.kind == "S" else little
    return group.create_dataset(name, data=data, track_times=False, **packing)


def _as_utf8(texts: np.ndarray) -> np.ndarray:
    """Mark texts as UTF-8, because h5py would take them for ASCII."""
    return texts.view(h5py.string_dtype("utf-8", texts.dtype.itemsize))


def _set_attributes(node: h5py.HLObject, attributes: Mapping[str, Any]) -> None:
    for key, value in sorted(attributes.items()):
        if isinstance(value, str):
            _set_text(node, key, value)
        else:
            node.attrs[key] = value


def _set_text(node: h5py.HLObject, key: str, text: str) -> None:
    if len(text.encode()) > _LONGEST_TEXT:
        raise GoldenError(
            f"{key!r} of {node.name} takes {len(text.encode())} bytes; at most {_LONGEST_TEXT} fit into an attribute. "
            f"Shorten it"
        )
    node.attrs.create(key, _as_utf8(np.array(text.encode() or b"\0")))


def as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
