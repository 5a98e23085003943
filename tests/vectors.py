"""Read the recorded vectors of the real TensorFlow PtychoPINN, which are outside the repository.

A file holds one group per record, with ``inputs/``, ``outputs/`` and parameters as attributes.

The files use the native complex numbers of HDF5 2. The h5py that is pinned for TensorFlow cannot read them, but that of
a Torch environment can. There, ``python -m tests.vectors DIR COPY`` rewrites them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np


@dataclass(frozen=True)
class Record:
    name: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    attributes: dict[str, Any]
    weights: list[np.ndarray]


def records(external_data: Path, files: str, prefix: str = "") -> Iterator[Record]:
    """Return the records whose name begins with ``prefix``, from all matching files; fail if there is none."""
    found = False
    for path in sorted((external_data / "vectors").glob(files)):
        with h5py.File(path) as file:
            for name, group in file.items():
                if name.startswith(prefix):
                    found = True
                    inputs, outputs = _arrays(path, group["inputs"]), _arrays(path, group["outputs"])
                    weights = list(_arrays(path, group["weights"]).values()) if "weights" in group else []
                    yield Record(f"{path.stem}/{name}", inputs, outputs, dict(group.attrs), weights)
    assert found, f"no record {prefix!r} in {external_data}/vectors/{files}"


def _arrays(path: Path, group: h5py.Group) -> dict[str, np.ndarray]:
    try:
        return {name: np.asarray(group[name][()]) for name in group}
    except KeyError as unreadable:
        raise AssertionError(
            f"{path}: h5py {h5py.__version__} cannot read its complex numbers ({unreadable}). In a Torch environment: "
            f"'python -m tests.vectors DIR COPY', then give --external-data=COPY"
        ) from unreadable


def zero_mean_merges(external_data: Path) -> Iterator[Record]:
    """Return merges on the padded canvas with a recorded sum and with relative positions of zero mean.

    The recorded code first subtracts the mean over the whole batch, which is then 0. It sums patches that are padded to
    the canvas, so ``inputs["patches"]`` holds these; ``outputs["sum_real"]`` is (B, P, P).
    """
    for record in records(external_data, "merge_extract_*.h5"):
        relative = record.inputs["coords_relative"]
        if "sum_real" not in record.outputs or np.abs(relative.mean(axis=3)).max() > 1e-6:
            continue
        margin = (int(record.attributes["padded_size"]) - record.inputs["patches"].shape[1]) // 2
        padded = np.pad(record.inputs["patches"], ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        inputs = {"patches": padded, "coords_nn": 100 - relative.astype(np.float64)}
        yield Record(record.name, inputs, {"sum_real": record.outputs["sum_real"][..., 0]}, record.attributes, [])


def network_settings(record: Record) -> dict[str, Any]:
    """Return the parameters of the network's operations for a recorded model."""
    kinds = {
        "N": int,
        "n_filters_scale": int,
        "amp_activation": str,
        "object_big": bool,
        "probe_big": bool,
        "pad_object": bool,
        "probe_mask": bool,
        "probe_scale": float,
        "nphotons": float,
    }
    settings = {name: kind(record.attributes[name]) for name, kind in kinds.items()}
    return settings | {"members": record.inputs["X"].shape[3]}


def assert_close(
    record: Record, what: str, actual: np.ndarray, expected: np.ndarray, tolerance: float, where: Any = ...
) -> None:
    """Require equal shapes, and values within ``tolerance`` of the largest modulus."""
    assert actual.shape == expected.shape, f"{record.name}: {what}: shape {actual.shape}, expected {expected.shape}"
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    worst = float(np.abs(actual - expected)[where].max(initial=0.0)) / scale
    assert worst <= tolerance, f"{record.name}: {what}: differs by {worst:.2e} of its scale, allowed {tolerance:.0e}"


def rewrite(directory: Path, copy: Path) -> None:
    """Copy all vectors with complex numbers as h5py's {r, i} compound, which every release reads."""
    (copy / "vectors").mkdir(parents=True, exist_ok=True)
    for path in sorted((directory / "vectors").glob("*.h5")):
        with h5py.File(path) as source, h5py.File(copy / "vectors" / path.name, "w") as target:
            for name, group in source.items():
                for part in group:
                    for key, array in _arrays(path, group[part]).items():
                        target.create_dataset(f"{name}/{part}/{key}", data=array)
                target[name].attrs.update(group.attrs)


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]), Path(sys.argv[2]))
