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

from golden.ptychopinn.defaults.cases import FIELDS
from golden.ptychopinn.installed_version import installed
from golden.spec.errors import GoldenError
from golden.spec.references import described

BACKING = "golden.ptychopinn.tensorflow"

_PACKAGE = "ptycho"
_DOUBLE = frozenset({"coordinates.relative", "probe.default_disk", "grouping.sample", "grouping.normalise"})
"""Operations that the package computes in float64; all others in float32."""
_NO_CALL = {
    "scan.read": "its loaders are parts of scripts; no call is known that returns what one of them reads",
    "defaults.optimizer": "its optimizer is made where it trains; no call returns it",
    "defaults.schedule": "its schedule stands in the training loop; no call returns it",
    "grouping.subsample": "its loaders are parts of scripts; no call is known that returns what one of them drew",
    "grouping.oversample": "no argument of its grouping call that allows oversampling is known here",
    "grouping.start_positions": "the call that makes its raw record takes no start positions",
}
_NO_CALL |= dict.fromkeys(
    ("formats.to_channel", "formats.from_channel", "formats.canvas"),
    "it converts formats inside its other calls; none of those known here returns them alone",
)
_NO_CALL |= {
    "physics.intensity_scale": "it is computed where its model is made; no call returns it",
    "physics.padded_diffraction": "its padding is known for real fields only",
    "physics.poisson": "its loss stands in its model; no call returns it",
    "physics.poisson_at_zero": "its loss stands in its model; no call returns it",
}
_NO_CALL |= dict.fromkeys(
    ("network.forward", "network.gradients", "network.training"),
    "its models return objects and predictions, not what their blocks give; their layers have no names to rely on",
)
_NO_CALL |= dict.fromkeys(
    ("run.training", "run.reconstruction", "run.long_reconstruction"),
    "its training draws weights and batches that no call takes",
)
_NO_CALL |= {
    "optimizer.adam": "its optimizer is Keras's own",
    "optimizer.schedule": "its callbacks are Keras's own",
}
_CLIFF = 64
"""From so many patches on, its merge sums all groups of a call into one canvas."""
_OFFSET = 4
"""Of raster neighbours, pixels; with the jitter it makes up the padded size that a case asks for."""
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


# ------------------------------------------------------------------------------------------------ grouping

_SIDE_OF_BLANKS = 64
"""Patch side of the patterns that are drawn but not looked at."""


def grouping_sample(*, xcoords: np.ndarray, ycoords: np.ndarray, **drawn: Any) -> dict[str, np.ndarray]:
    """Only indices are looked at, so the patterns are blank."""
    blank = np.ones((len(xcoords), _SIDE_OF_BLANKS, _SIDE_OF_BLANKS), np.float32)
    return {"nn_indices": _checked_indices(_grouped(xcoords, ycoords, blank, None, **drawn), drawn["gridsize"])}


def grouping_record(
    *, xcoords: np.ndarray, ycoords: np.ndarray, diff3d: np.ndarray, object: np.ndarray, **drawn: Any
) -> dict[str, np.ndarray]:
    answer, N = _grouped(xcoords, ycoords, diff3d, object, **drawn), diff3d.shape[1]
    indices = _checked_indices(answer, drawn["gridsize"])
    n, C = indices.shape
    forms: dict[str, tuple[type, tuple[int, ...]]] = {
        "coords_nn": (np.float64, (n, 1, 2, C)),
        "coords_offsets": (np.float64, (n, 1, 2, 1)),
        "coords_relative": (np.float64, (n, 1, 2, C)),
        "diffraction": (diff3d.dtype.type, (n, N, N, C)),
        "X_full": (np.float32, (n, N, N, C)),
        "Y": (np.complex64, (n, N, N, C)),
    }
    outputs = {
        name: _checked(f"raw_data's {name!r}", _entry(answer, name), dtype, *shape)
        for name, (dtype, shape) in forms.items()
    }
    return {"nn_indices": indices, **outputs}


def grouping_normalise(*, diffraction: np.ndarray) -> dict[str, np.ndarray]:
    N = diffraction.shape[1]
    with _parameters(N=N, gridsize=math.isqrt(diffraction.shape[3])):
        normalised = _offered("raw_data.normalize_data")({"diffraction": diffraction}, N)
    return {"X_full": _checked("raw_data.normalize_data", normalised, np.float32, *diffraction.shape)}


def grouping_ground_truth(
    *, object: np.ndarray, coords_offsets: np.ndarray, coords_relative: np.ndarray, gridsize: int, N: int
) -> dict[str, np.ndarray]:
    groups, _, _, members = coords_relative.shape
    with _parameters(N=N, gridsize=gridsize):
        cut = _offered("raw_data.get_image_patches")
        patches = cut(object, coords_offsets, coords_relative, N=N, gridsize=gridsize)
    return {"patches": _checked("raw_data.get_image_patches", patches, np.complex64, groups, N, N, members)}


def grouping_member_patches(*, object: np.ndarray, coords_nn: np.ndarray, N: int) -> dict[str, np.ndarray]:
    """Each member as a group of one: its relative position is 0, so there is nothing to mirror."""
    groups, _, _, members = coords_nn.shape
    single = np.moveaxis(coords_nn[:, 0], 2, 1).reshape(groups * members, 1, 2, 1)
    answer = grouping_ground_truth(
        object=object, coords_offsets=single, coords_relative=np.zeros_like(single), gridsize=1, N=N
    )
    return {"patches": np.moveaxis(answer["patches"].reshape(groups, members, N, N), 1, 3).copy()}


def _grouped(
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    diff3d: np.ndarray,
    object_: np.ndarray | None,
    *,
    gridsize: int,
    **drawn: Any,
) -> Mapping[str, Any]:
    """The package's grouped record."""
    M, N, _ = diff3d.shape
    probe, scan_index = np.ones((N, N), np.complex64), np.zeros(M, np.int64)
    with _parameters(N=N, gridsize=gridsize), _global_generator():
        make = _offered("raw_data.RawData").from_coords_without_pc
        raw = make(xcoords, ycoords, diff3d, probe, scan_index, objectGuess=object_)
        answer = raw.generate_grouped_data(N, gridsize=gridsize, **drawn)
    if not isinstance(answer, Mapping):
        raise _unexpected("raw_data.RawData.generate_grouped_data", "arrays by name", type(answer).__name__)
    return answer


def _checked_indices(answer: Mapping[str, Any], gridsize: int) -> np.ndarray:
    dtype = np.int64 if gridsize == 1 else np.int32
    return _checked("raw_data's 'nn_indices'", _entry(answer, "nn_indices"), dtype, "n", gridsize**2)


def _entry(answer: Mapping[str, Any], name: str) -> Any:
    if answer.get(name) is None:
        raise _unexpected("raw_data.RawData.generate_grouped_data", f"an array {name!r}", f"only {sorted(answer)}")
    return answer[name]


@contextmanager
def _global_generator() -> Iterator[None]:
    """NumPy's global generator, which the package seeds, is afterwards where it was."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)


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


# ------------------------------------------------------------------------------------------------ merge


def merge_merge(*, patches: np.ndarray, coords_relative: np.ndarray, padded_size: int) -> dict[str, np.ndarray]:
    """In as many calls as keep below the number of patches from which it makes one canvas of all groups."""
    groups, members = len(patches), patches.shape[3]
    at_a_time = groups if groups * members < _CLIFF else (_CLIFF - 1) // members
    calls = [
        _merged(patches[start : start + at_a_time], coords_relative[start : start + at_a_time], padded_size)
        for start in range(0, groups, at_a_time)
    ]
    return {name: np.concatenate([call[name] for call in calls]) for name in calls[0]}


def merge_extract(*, canvas: np.ndarray, coords_relative: np.ndarray, N: int) -> dict[str, np.ndarray]:
    groups, members = len(canvas), coords_relative.shape[3]
    call, grid = "tf_helper.extract_patches_position", math.isqrt(members)
    with _parameters(**_of_canvas(N, grid, canvas.shape[1])):
        patches = _offered(call)(_tensor(canvas), _tensor(coords_relative), 0.0, N=N, gridsize=grid)
    return {"patches": _checked(call, patches, np.complex64, groups * members, N, N, 1)}


def _merged(patches: np.ndarray, coords_relative: np.ndarray, padded_size: int) -> dict[str, np.ndarray]:
    """One call. The function that sums is an argument of the one that divides, so its sums can be seen on the way."""
    groups, N, _, members = patches.shape
    call, grid = "tf_helper.reassemble_patches", math.isqrt(members)
    summed: list[tuple[np.ndarray, np.ndarray]] = []
    with _parameters(**_of_canvas(N, grid, padded_size)):
        place = _offered("tf_helper.mk_reassemble_position_real")(_tensor(coords_relative))

        def watched(images: Any, *arguments: Any, **options: Any) -> Any:
            total = place(images, *arguments, **options)
            summed.append((np.asarray(images), np.asarray(total)))
            return total

        merged = _offered(call)(_tensor(patches), fn_reassemble_real=watched, N=N, gridsize=grid)
    shape = (groups, "P", "P", 1)
    merged = _checked(call, merged, np.complex64, *shape)
    parts = (patches.real, patches.imag)
    real, imaginary = ([total for images, total in summed if np.array_equal(images, part)] for part in parts)
    counts = [total for images, total in summed if not any(np.array_equal(images, part) for part in parts)]
    if not (real and imaginary and counts):
        raise _unexpected(call, "sums of the real part, the imaginary part and a mask", f"{len(summed)} other sums")
    total, rest, count = (_checked(call, sums[0], np.float32, *shape) for sums in (real, imaginary, counts))
    return {
        "sum": total + np.complex64(1j) * rest,
        "norm": count + np.float32(1e-3),
        "merged_centre": merged,
        "merged_border": merged,
    }


def _of_canvas(N: int, grid: int, padded_size: int) -> dict[str, int]:
    """The global parameters that make up a padded size."""
    jitter = padded_size - N - (grid - 1) * _OFFSET
    return {"N": N, "gridsize": grid, "offset": _OFFSET, "max_position_jitter": jitter}


# ------------------------------------------------------------------------------------------------ physics


def physics_diffraction(*, field: np.ndarray) -> dict[str, np.ndarray]:
    call, N = "tf_helper.pad_and_diffract", field.shape[1]
    with _parameters(N=N, gridsize=1):
        answer = _offered(call)(_tensor(field), N, N, pad=False)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise _unexpected(call, "a pair (field, amplitude)", type(answer).__name__)
    return {"amplitude": _checked(call, answer[1], np.float32, *field.shape)}


def physics_forward(
    *, patches: np.ndarray, probe: np.ndarray, probe_scale: float, nphotons: float
) -> dict[str, np.ndarray]:
    """Its probe, its diffraction, one after the other, as its model calls them; the scale is a number."""
    groups, N, _, members = patches.shape
    light = probe_normalise(probe=probe, probe_scale=probe_scale)["normalised"]
    flat = np.moveaxis(patches, 3, 1).reshape(groups * members, N, N, 1) * light[None]
    amplitude = physics_diffraction(field=flat)["amplitude"].reshape(groups, members, N, N)
    return {"amplitude": np.moveaxis(amplitude, 1, 3) * np.float32(math.sqrt(nphotons) / (N / 2))}


def physics_photon_scale(*, X: np.ndarray, nphotons: float) -> dict[str, np.ndarray]:
    with _parameters(nphotons=nphotons):
        scale = _offered("diffsim.scale_nphotons")(_tensor(X))
    scale = _checked("diffsim.scale_nphotons", scale, np.float32)
    return {"scale": scale, "scaled": scale * X}


def physics_simulation(
    *, amplitude: np.ndarray, phase: np.ndarray, probe: np.ndarray, nphotons: float
) -> dict[str, np.ndarray]:
    """Its diffraction and its scale, as its simulation calls them before it draws photons."""
    light = probe[None, :, :, None]
    illuminated = amplitude * np.abs(light)
    return {
        "X": physics_diffraction(field=amplitude * np.exp(np.complex64(1j) * phase) * light)["amplitude"],
        "Y_I": illuminated,
        "Y_phi": phase,
        "intensity_scale": physics_photon_scale(X=illuminated, nphotons=nphotons)["scale"],
    }


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


# ------------------------------------------------------------------------------------------------ net shift


def net_shift_container(
    *,
    object: np.ndarray,
    probe: np.ndarray,
    positions: np.ndarray,
    gridsize: int,
    K: int,
    nsamples: int,
    seed: int,
    padded_size: int,
    probe_scale: float,
    M: int,
) -> dict[str, np.ndarray]:
    """From patterns to record, merge, extraction, far field and mosaic, each by its own call.

    What its network would return is the patch that each pattern shows, confined to its centre.
    """
    N = len(probe)
    patterns = simulation_patterns(object=object, probe=probe, positions=positions, nphotons=1.0)["amplitude"]
    x, y = positions[:, 0, :, 0].T
    drawn: dict[str, int] = {"gridsize": gridsize, "K": K, "nsamples": nsamples, "seed": seed}
    record = grouping_record(
        xcoords=x, ycoords=y, diff3d=patterns[..., 0].copy(), object=object, **drawn, sequential_sampling=False
    )
    relative, offsets = record["coords_relative"], record["coords_offsets"]
    shown = grouping_member_patches(object=object, coords_nn=positions, N=N)["patches"][..., 0]
    patches = _confined(np.moveaxis(shown[record["nn_indices"]], 1, 3))
    single = relative.astype(np.float32)
    canvas = merge_merge(patches=patches, coords_relative=single, padded_size=padded_size)["merged_centre"]
    extracted = merge_extract(canvas=canvas, coords_relative=single, N=N)["patches"]
    light = probe_normalise(probe=probe, probe_scale=probe_scale)["normalised"]
    amplitude = physics_diffraction(field=extracted * light[None])["amplitude"]
    margin = (canvas.shape[1] - N) // 2
    tiles = np.ascontiguousarray(canvas[:, margin : margin + N, margin : margin + N])
    stitched = reassembly_position(patches=tiles, offsets=offsets, M=M)
    return {
        "X_full": record["X_full"],
        "coords_relative": relative,
        "coords_offsets": offsets,
        "positions": -single,
        "merged": canvas,
        "amplitude": np.moveaxis(amplitude.reshape(len(canvas), gridsize**2, N, N), 1, 3).copy(),
        "count": stitched["count"],
        "mosaic": stitched["mosaic"],
    }


def net_shift_memory_mapped(**given: Any) -> dict[str, np.ndarray]:
    """The same: by which way positions come is the port's own."""
    outputs = net_shift_container(**given)
    del outputs["coords_relative"]
    return outputs


def _confined(patches: np.ndarray) -> np.ndarray:
    """Patches (B, N, N, C) with zeros around their central N // 2 pixels."""
    N = patches.shape[1]
    centre = slice(N // 4, N // 4 + N // 2)
    confined = np.zeros_like(patches)
    confined[:, centre, centre] = patches[:, centre, centre]
    return confined


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
