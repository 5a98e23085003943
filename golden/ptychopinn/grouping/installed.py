"""Form groups of neighbours with the installed package ``ptycho``, and gather their patterns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, unexpected
from golden.ptychopinn.scan import installed as scans

DOUBLE = {"normalise", "oversample", "sample", "start_positions", "subsample"}

_INDICES = "raw_data's 'nn_indices'"


def subsample(*, xcoords: np.ndarray, n_subsample: int, subsample_seed: int) -> dict[str, np.ndarray]:
    """Call the loader of the package's scripts, which draws; the patterns of the file are blank."""
    y = np.zeros_like(xcoords)
    positions = {"xcoords": xcoords, "ycoords": y, "xcoords_start": xcoords, "ycoords_start": y}
    blank = {"diff3d": np.ones((len(xcoords), 1, 1), np.float32), "probeGuess": np.ones((1, 1), np.complex64)}
    with _global_generator():
        record = scans.load(positions | blank, n_subsample=n_subsample, subsample_seed=subsample_seed)
    return {
        "sample_indices": checked("the record's 'sample_indices'", record.sample_indices, np.int64, "m"),
        "xcoords": checked("the record's 'xcoords'", record.xcoords, np.float64, "m"),
    }


def sample(*, xcoords: np.ndarray, ycoords: np.ndarray, **drawn: Any) -> dict[str, np.ndarray]:
    answer = _grouped(xcoords, ycoords, _blank(len(xcoords)), **drawn)
    return {"nn_indices": _checked_indices(answer, drawn["gridsize"])}


def oversample(*, xcoords: np.ndarray, ycoords: np.ndarray, **drawn: Any) -> dict[str, np.ndarray]:
    answer = _grouped(xcoords, ycoords, _blank(len(xcoords)), enable_oversampling=True, **drawn)
    return {"nn_indices": checked(_INDICES, _entry(answer, "nn_indices"), np.int64, "n", drawn["gridsize"] ** 2)}


def start_positions(
    *,
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    xcoords_start: np.ndarray,
    ycoords_start: np.ndarray,
    **drawn: Any,
) -> dict[str, np.ndarray]:
    starts = (xcoords_start, ycoords_start)
    answer = _grouped(xcoords, ycoords, _blank(len(xcoords)), starts=starts, **drawn)
    n, C = drawn["nsamples"], drawn["gridsize"] ** 2
    counts = {"coords_start_nn": C, "coords_start_offsets": 1, "coords_start_relative": C}
    return {
        name: checked(f"raw_data's {name!r}", _entry(answer, name), np.float64, n, 1, 2, count)
        for name, count in counts.items()
    }


def record(
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
        name: checked(f"raw_data's {name!r}", _entry(answer, name), dtype, *shape)
        for name, (dtype, shape) in forms.items()
    }
    return {"nn_indices": indices, **outputs}


def normalise(*, diffraction: np.ndarray) -> dict[str, np.ndarray]:
    N = diffraction.shape[1]
    with global_parameters(N=N, gridsize=math.isqrt(diffraction.shape[3])):
        normalised = offered("raw_data.normalize_data")({"diffraction": diffraction}, N)
    return {"X_full": checked("raw_data.normalize_data", normalised, np.float32, *diffraction.shape)}


def ground_truth(
    *, object: np.ndarray, coords_offsets: np.ndarray, coords_relative: np.ndarray, gridsize: int, N: int
) -> dict[str, np.ndarray]:
    groups, _, _, members = coords_relative.shape
    with global_parameters(N=N, gridsize=gridsize):
        cut = offered("raw_data.get_image_patches")
        patches = cut(object, coords_offsets, coords_relative, N=N, gridsize=gridsize)
    return {"patches": checked("raw_data.get_image_patches", patches, np.complex64, groups, N, N, members)}


def member_patches(*, object: np.ndarray, coords_nn: np.ndarray, N: int) -> dict[str, np.ndarray]:
    """Call it with each member as a group of one: the relative position is 0, so nothing is mirrored."""
    groups, _, _, members = coords_nn.shape
    single = np.moveaxis(coords_nn[:, 0], 2, 1).reshape(groups * members, 1, 2, 1)
    answer = ground_truth(object=object, coords_offsets=single, coords_relative=np.zeros_like(single), gridsize=1, N=N)
    return {"patches": np.moveaxis(answer["patches"].reshape(groups, members, N, N), 1, 3).copy()}


def _blank(M: int) -> np.ndarray:
    """Return blank patterns, for a record whose patterns are not used."""
    return np.ones((M, 1, 1), np.float32)


def _grouped(
    xcoords: np.ndarray,
    ycoords: np.ndarray,
    diff3d: np.ndarray,
    object_: np.ndarray | None = None,
    starts: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    gridsize: int,
    **drawn: Any,
) -> Mapping[str, Any]:
    """Return the package's grouped record."""
    M, N, _ = diff3d.shape
    probe, scan_index = np.ones((N, N), np.complex64), np.zeros(M, np.int64)
    with global_parameters(N=N, gridsize=gridsize), _global_generator():
        make = offered("raw_data.RawData")
        raw = make(xcoords, ycoords, *(starts or (xcoords, ycoords)), diff3d, probe, scan_index, objectGuess=object_)
        answer = raw.generate_grouped_data(N, gridsize=gridsize, **drawn)
    if not isinstance(answer, Mapping):
        raise unexpected("raw_data.RawData.generate_grouped_data", "arrays by name", type(answer).__name__)
    return answer


def _checked_indices(answer: Mapping[str, Any], gridsize: int) -> np.ndarray:
    dtype = np.int64 if gridsize == 1 else np.int32
    return checked(_INDICES, _entry(answer, "nn_indices"), dtype, "n", gridsize**2)


def _entry(answer: Mapping[str, Any], name: str) -> Any:
    if answer.get(name) is None:
        raise unexpected("raw_data.RawData.generate_grouped_data", f"an array {name!r}", f"only {sorted(answer)}")
    return answer[name]


@contextmanager
def _global_generator() -> Iterator[None]:
    """Restore the state of NumPy's global generator, which the package seeds."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)
