"""TensorFlow PtychoPINN as it is installed: the package ``ptycho``, called by its own names.

One function per operation, ``topic_function``: it sets the package's global parameters, calls, brings the answer into
the layout and dtype that the operation declares, and puts the parameters back. What the package returns is checked and
never cast silently. It computes each operation in one precision and refuses complex128, so everything else that a
golden needs comes from ``BACKING``. The package, and TensorFlow with it, is imported when it is first asked.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import numpy as np

from golden.adapters import described
from golden.adapters.installed import installed
from golden.case import GoldenError
from golden.cases.defaults import FIELDS

BACKING = "golden.reference"

_PACKAGE = "ptycho"
_DOUBLE = frozenset({"coordinates.relative", "probe.default_disk"})
"""Operations that the package computes in float64; all others in float32."""
_NO_CALL = {
    "scan.read": "its loaders are parts of scripts; no call is known that returns what one of them reads",
    "defaults.optimizer": "its optimizer is made where it trains; no call returns it",
    "defaults.schedule": "its schedule stands in the training loop; no call returns it",
}
_LEGACY_FIELDS = ("offset", "max_position_jitter")
"""Settings that stand in the package's global parameters and not in its configuration."""


def evaluate(
    operation: str, precision: str, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The package's outputs of ``topic.function``, in the only precision that it computes them in.

    Raises:
        GoldenError: the package is not installed, lacks a name, returned something else than expected, or has no call.
    """
    reason = missing(operation)
    if reason:
        raise GoldenError(f"reference {_PACKAGE}: {operation}: {reason}; {BACKING} has to answer")
    own = "float64" if operation in _DOUBLE else "float32"
    if precision != own:
        raise GoldenError(f"reference {_PACKAGE}: computes {operation} in {own} only; {precision} is for {BACKING}")
    outputs: dict[str, np.ndarray] = globals()[_function(operation)](**inputs, **parameters)
    return outputs


def missing(operation: str) -> str:
    """Why the package cannot be asked for an operation; empty when it can."""
    if operation in _NO_CALL:
        return _NO_CALL[operation]
    if _function(operation) not in globals():
        return f"{__name__} has no function for it yet"
    if operation == "defaults.inference" and not hasattr(_module("ptycho.config.config"), "InferenceConfig"):
        return "its configuration has no InferenceConfig"
    return ""


def producer(operation: str) -> str:
    return "tensorflow"


def provenance() -> dict[str, str]:
    versions = {"reference": _PACKAGE, **installed(_module(_PACKAGE))}
    with suppress(GoldenError):  # said when it is called
        _module(f"{_PACKAGE}.tf_helper")  # loads TensorFlow, if anything does
    loaded = {name: sys.modules[name] for name in ("tensorflow", "keras") if name in sys.modules}
    versions |= {name: str(module.__version__) for name, module in loaded.items()}
    return versions | {
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _function(operation: str) -> str:
    return operation.replace(".", "_")


# ------------------------------------------------------------------------------------------------ probe


def probe_hard_mask(*, N: int) -> dict[str, np.ndarray]:
    with _parameters(N=N):
        mask = _checked("probe.get_probe_mask", _offered("probe.get_probe_mask")(N), np.complex64, N, N, 1)
    inside = mask == 1
    if not (inside | (mask == 0)).all():
        raise _unexpected("probe.get_probe_mask", "zeros and ones", "other values: a soft mask?")
    return {"mask": inside}


def probe_normalise(*, probe: np.ndarray, probe_scale: float) -> dict[str, np.ndarray]:
    """The setter returns the raw probe; the normalised one is what it stores."""
    N = len(probe)
    with _parameters(N=N, gridsize=1, probe_scale=probe_scale):
        _offered("probe.set_probe_guess")(None, probe)
        stored = _stored("probe")
    return {"normalised": _checked("params.get('probe')", stored, np.complex64, N, N, 1)}


def probe_default_disk(*, N: int, default_probe_scale: float) -> dict[str, np.ndarray]:
    with _parameters(N=N, default_probe_scale=default_probe_scale):
        disk = _offered("probe.get_default_probe")(N, fmt="np")
    return {"probe": _checked("probe.get_default_probe", disk, np.float64, N, N)}


# ------------------------------------------------------------------------------------------------ coordinates


def coordinates_relative(*, coords_nn: np.ndarray) -> dict[str, np.ndarray]:
    groups, _, _, members = coords_nn.shape
    with _parameters(gridsize=math.isqrt(members)):
        answer = _offered("raw_data.get_relative_coords")(coords_nn)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise _unexpected("raw_data.get_relative_coords", "a pair (offsets, relative)", type(answer).__name__)
    offsets, relative = (
        _checked("raw_data.get_relative_coords", array, np.float64, groups, 1, 2, count)
        for array, count in zip(answer, (1, members))
    )
    return {"coords_offsets": offsets, "coords_relative": relative}


def coordinates_translate(*, images: np.ndarray, displacements: np.ndarray) -> dict[str, np.ndarray]:
    with _parameters(gridsize=1):
        moved = _offered("tf_helper.translate")(_tensor(images), _tensor(displacements), interpolation="bilinear")
    return {"moved": _checked("tf_helper.translate", moved, images.dtype.type, *images.shape)}


def coordinates_place_in_group(*, patches: np.ndarray, coords_nn: np.ndarray) -> dict[str, np.ndarray]:
    """Two of its calls, one after the other, as its merge makes them: relative positions, and a move by their negative.

    (The merge itself returns the sum over the members, divided.) Flat order is group-major, b * C + c.
    """
    groups, side, _, members = patches.shape
    relative = coordinates_relative(coords_nn=coords_nn)["coords_relative"].astype(np.float32)
    flat = np.ascontiguousarray(np.moveaxis(patches, 3, 1)).reshape(groups * members, side, side, 1)
    moves = np.ascontiguousarray(np.moveaxis(-relative[:, 0], 2, 1)).reshape(groups * members, 2)
    moved = coordinates_translate(images=flat, displacements=moves)["moved"]
    return {"placed": np.moveaxis(moved.reshape(groups, members, side, side), 1, 3).copy()}


# ------------------------------------------------------------------------------------------------ reassembly


def reassembly_position(*, patches: np.ndarray, offsets: np.ndarray, M: int) -> dict[str, np.ndarray]:
    total = _on_canvas("tf_helper.shift_and_sum", patches, offsets, M)
    mosaic = _on_canvas("tf_helper.reassemble_position", patches, offsets, M)
    count = _on_canvas("tf_helper.shift_and_sum", np.ones_like(patches), offsets, M)
    if count.imag.any():
        raise _unexpected("tf_helper.shift_and_sum", "a real sum of ones", "an imaginary part")
    side = np.array(len(total), np.int64)
    return {"shift_and_sum": total, "count": count.real.copy(), "mosaic": mosaic, "canvas_side": side}


def reassembly_scan_mosaic(
    *, object: np.ndarray, positions: np.ndarray, patches: np.ndarray, N: int, M: int
) -> dict[str, np.ndarray]:
    outputs = reassembly_position(patches=patches, offsets=positions, M=M)
    del outputs["shift_and_sum"]
    return outputs


def _on_canvas(call: str, patches: np.ndarray, offsets: np.ndarray, M: int) -> np.ndarray:
    """What a call returns for patches (n, N, N, 1) at offsets (n, 1, 2, 1): (S, S, 1) complex64."""
    flat = offsets.reshape(-1, 1, 1, 2)
    with _parameters(N=patches.shape[1], gridsize=1):
        canvas = _offered(call)(_tensor(patches), _tensor(flat), M=M)
    return _checked(call, canvas, np.complex64, "S", "S", 1)


# ------------------------------------------------------------------------------------------------ simulation


def simulation_patterns(
    *, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, nphotons: float
) -> dict[str, np.ndarray]:
    """Three of its calls, as its simulation from positions makes them: patches, far field, photons.

    It scales by a number of its own precision; the golden holds it in single precision.
    """
    n, N = len(positions), len(probe)
    with _parameters(N=N, gridsize=1, nphotons=nphotons):
        call = "raw_data.get_image_patches"
        patches = _offered(call)(object, positions, np.zeros_like(positions), N=N, gridsize=1)
        fields = _checked(call, patches, np.complex64, n, N, N, 1) * probe[..., None]
        answer = _offered("tf_helper.pad_and_diffract")(_tensor(fields), N, N, pad=False)
        scale = np.asarray(_offered("diffsim.scale_nphotons")(_tensor(np.abs(fields))))
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise _unexpected("tf_helper.pad_and_diffract", "a pair (field, amplitude)", type(answer).__name__)
    if scale.ndim or scale.dtype.kind != "f":
        raise _unexpected("diffsim.scale_nphotons", "one real number", f"{scale.dtype} {scale.shape}")
    amplitude = _checked("tf_helper.pad_and_diffract", answer[1], np.float32, n, N, N, 1)
    return {"amplitude": amplitude, "intensity_scale": scale.astype(np.float32)}


# ------------------------------------------------------------------------------------------------ defaults


def defaults_model() -> dict[str, np.ndarray]:
    return _table("model", "ModelConfig", {name: _stored(name) for name in _LEGACY_FIELDS})


def defaults_training() -> dict[str, np.ndarray]:
    return _table("training", "TrainingConfig")


def defaults_inference() -> dict[str, np.ndarray]:
    return _table("inference", "InferenceConfig")


def _table(table: str, kind: str, others: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
    """The declared defaults of the table's fields, as JSON texts.

    Declared, not those of an instance: TensorFlow's training configuration fills some in when it is made.
    """
    call = f"config.config.{kind}"
    configuration = _offered(call)
    if not (isinstance(configuration, type) and dataclasses.is_dataclass(configuration)):
        raise _unexpected(call, "a dataclass", type(configuration).__name__)
    declared = {field.name: _default(field) for field in dataclasses.fields(configuration)} | dict(others or {})
    absent = sorted(name for name in FIELDS[table] if declared.get(name, dataclasses.MISSING) is dataclasses.MISSING)
    if absent:
        raise _unexpected(call, f"defaults for {', '.join(absent)}", "none")
    return {
        "fields": np.array(sorted(FIELDS[table]), dtype=bytes),
        **{name: np.array(json.dumps(declared[name], default=os.fspath).encode()) for name in FIELDS[table]},
    }


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


# ------------------------------------------------------------------------------------------------ the package


@contextmanager
def _parameters(**values: Any) -> Iterator[None]:
    """Global parameters of the package, set for a call; afterwards all are as before, new ones gone, whatever happens.

    The package names no call that forgets a parameter, so the dictionary that holds them is put back as a whole.
    """
    set_ = _offered("params.set")
    tables = [
        (table, dict(table))
        for name, table in vars(_module("ptycho.params")).items()
        if isinstance(table, dict) and not name.startswith("__")
    ]
    try:
        for key, value in values.items():
            set_(key, value)
            if not any(key in table for table, _ in tables):
                raise _unexpected("params", "a dictionary that holds what params.set sets", f"none with {key!r}")
        yield
    finally:
        for table, before in tables:
            table.clear()
            table.update(before)


def _stored(key: str) -> Any:
    """A global parameter."""
    try:
        return _offered("params.get")(key)
    except KeyError:
        raise _unexpected(f"params.get({key!r})", "a value", "none") from None


def _tensor(array: np.ndarray) -> Any:
    """A tensor where the package works on tensors."""
    tensorflow = sys.modules.get("tensorflow")
    return array if tensorflow is None else tensorflow.convert_to_tensor(array)


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name == _PACKAGE:
            raise GoldenError(
                f"reference {_PACKAGE}: TensorFlow PtychoPINN, the package {_PACKAGE!r}, is not installed. Install it "
                f"into this environment ('pip install -e' its checkout), or leave it out: {BACKING} needs none"
            ) from None
        if missing.name and f"{name}.".startswith(f"{missing.name}."):
            raise _unexpected(name.removeprefix(f"{_PACKAGE}."), "a module of that name", "none") from None
        raise GoldenError(f"reference {_PACKAGE}: {name} needs {missing.name!r}, which is not installed here") from None
    except Exception as broken:
        raise GoldenError(
            f"reference {_PACKAGE}: {name} cannot be imported ({type(broken).__name__}: {broken})"
        ) from broken


def _offered(name: str) -> Any:
    """What the package offers as ``ptycho.<name>``, ``name`` being ``module.attribute``."""
    path, _, attribute = name.rpartition(".")
    module = _module(f"{_PACKAGE}.{path}")
    if "tensorflow" in sys.modules:
        # Its graph functions keep the N that they were first traced with: another N would get a wrong crop.
        sys.modules["tensorflow"].config.run_functions_eagerly(True)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise _unexpected(name, "a function or class of that name", "none") from None


def _checked(call: str, value: Any, dtype: type, *shape: int | str) -> np.ndarray:
    """``value`` as an array of this dtype and shape; equal texts in a shape stand for one unknown size."""
    array = np.asarray(value)
    sizes: dict[str, int] = {}
    fits = array.ndim == len(shape) and all(
        found == (sizes.setdefault(size, found) if isinstance(size, str) else size)
        for found, size in zip(array.shape, shape)
    )
    if array.dtype != dtype or not fits:
        expected = f"{np.dtype(dtype).name} ({', '.join(map(str, shape))})"
        raise _unexpected(call, expected, f"{array.dtype} {array.shape}")
    return array


def _unexpected(name: str, expected: str, found: str) -> GoldenError:
    version = described({"reference": _PACKAGE, **installed(_module(_PACKAGE))})
    return GoldenError(
        f"{_PACKAGE}.{name}: expected {expected}, found {found}, in {version}. Install the release that the goldens "
        f"were made with, or bring {__name__} up to date"
    )
