"""Writes a golden into an HDF5 file, in the layout of ``golden.store.layout``."""

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
from golden.spec.operation import Label
from golden.store.golden import FORMAT, Golden, in_order, table_of_faults
from golden.store.layout import (
    DIGEST_LENGTH,
    MOST_ATTRIBUTES,
    README,
    SUMS,
    TOLERANCE_PARTS,
    kind_of,
    picture_of,
)

_COMPRESS_FROM = 256
_LONGEST_TEXT = 2**16 - 512


def write_golden(path: Path, golden: Golden, compress_from: int = _COMPRESS_FROM) -> None:
    """Write a golden to a new file; the caller moves it into place (``golden.store.update``).

    Args:
        path: of the new file.
        golden: what it shall hold.
        compress_from: bytes of an array that is worth compressing.
    """
    with _create(path) as file:
        for key, text in (
            ("README", README),
            ("format", FORMAT),
            ("case", golden.case),
            ("operation", golden.operation),
            ("summary", golden.summary),
            ("definition", golden.definition),
            ("producer", golden.producer),
            ("parameters", as_json(golden.parameters)),
            ("expected_constant", as_json(golden.expected_constant)),
            ("provenance", as_json(golden.provenance)),
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
        for name, picture in picture_of(golden.outputs).items():
            _write_array(_require_group(file, "picture"), name, picture, compress_from)
        _mark_for_viewers(file, golden.outputs)
        for name, tolerance in golden.tolerances.items():
            if golden.outputs[name].dtype.kind in "fc":
                for part in TOLERANCE_PARTS:
                    file["outputs"][name].attrs[part] = np.float64(getattr(tolerance, part))
        for labelled, label in sorted(golden.labels.items()):
            derived_path = labelled.replace("inputs/", "derived/")
            _set_label(file[derived_path if derived_path in file else labelled], label)


def _set_label(node: h5py.HLObject, label: Label) -> None:
    for key, text in (("axis_names", label.axes), ("units", label.unit)):
        if text:
            _set_text(node, key, text)


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


def _proof(golden: Golden) -> dict[str, np.ndarray]:
    """Pack what ``/proof`` holds. An array for each wrong output would be mostly headers."""
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
        "noise": {name: dict(variants) for name, variants in golden.noise.items()},
    }
    arrays = {kind: np.concatenate(parts) for kind, parts in values.items()}
    return arrays | {"at": np.diff(np.concatenate(indices)), "table": np.array([as_json(table).encode()])}


def write_outputs(path: Path, outputs: Arrays) -> None:
    """Write bare arrays in the layout of a golden's outputs (what a test obtained)."""
    with _create(path) as file:
        _write_arrays(file, "outputs", outputs, _COMPRESS_FROM)


def _create(path: Path) -> h5py.File:
    # Low-level, because only there can object times be switched off: they would change the bytes on every run.
    creation = h5p.create(h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    # Attributes stay in the header of their object: a heap and a tree for them take kilobytes and crash libhdf5.
    creation.set_attr_phase_change(MOST_ATTRIBUTES, MOST_ATTRIBUTES)
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
        _set_text(dataset, "sha256", digest_array(array)[:DIGEST_LENGTH])


def _write_array(group: h5py.Group, name: str, array: np.ndarray, compress_from: int) -> h5py.Dataset:
    little = np.asarray(array, dtype=array.dtype.newbyteorder("<"))
    large = little.nbytes >= compress_from
    packing: dict[str, Any] = {"chunks": little.shape, "compression": 9, "shuffle": True} if large else {}
    data = _as_utf8(little) if little.dtype.kind == "S" else little
    return group.create_dataset(name, data=data, track_times=False, **packing)


def _as_utf8(texts: np.ndarray) -> np.ndarray:
    """Mark texts for h5py as UTF-8; it would take them for ASCII."""
    return texts.view(h5py.string_dtype("utf-8", texts.dtype.itemsize))


def _set_text(node: h5py.HLObject, key: str, text: str) -> None:
    if len(text.encode()) > _LONGEST_TEXT:
        raise GoldenError(
            f"{key!r} of {node.name} takes {len(text.encode())} bytes; at most {_LONGEST_TEXT} fit into an attribute. "
            f"Shorten it"
        )
    node.attrs.create(key, _as_utf8(np.array(text.encode() or b"\0")))


def as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True, ensure_ascii=False)
