"""These faults get scan coordinates, the translation, or the placement in a group wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.coordinates.formulas import bilinear, moves_in_group, placed, relative, translated
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial

# ------------------------------------------------------------------------------------------------ conditions

_ONE_MEMBER = Condition("each group has one member", lambda inputs, _: inputs["coords_nn"].shape[3] == 1)
_EXACT = Condition(
    "all positions are exact in float32 (multiples of 2**-12 below 256)",
    lambda inputs, _: _is_exact(inputs["coords_nn"]),
)
_REAL = Condition("the images are real", lambda inputs, _: not np.iscomplexobj(inputs["images"]))
_STILL_ALONG_X = Condition(
    "all displacements along x are zero", lambda inputs, _: not inputs["displacements"][:, 0].any()
)
_STILL_ALONG_Y = Condition(
    "all displacements along y are zero", lambda inputs, _: not inputs["displacements"][:, 1].any()
)
_EMPTY_EDGE = Condition("the images are zero near their edges", lambda inputs, _: _is_empty_at_the_edge(**inputs))


def _is_exact(coords: np.ndarray) -> bool:
    """Return whether positions and their means are multiples of 2**-12 below 256."""
    numbers = np.concatenate([coords, coords.mean(axis=3, keepdims=True)], axis=3)
    return bool((np.abs(numbers) < 256).all() and (numbers * 2**12 % 1 == 0).all())


def _is_empty_at_the_edge(images: np.ndarray, displacements: np.ndarray) -> bool:
    """Return whether images are 0 within the largest move from their edges."""
    reach = int(np.ceil(np.abs(displacements).max())) + 1
    return np.count_nonzero(images[:, reach:-reach, reach:-reach]) == np.count_nonzero(images)


# ------------------------------------------------------------------------------------------------ translation


def _of_displacements(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return Fault.of_inputs(
        name, symptom, lambda inputs: {"displacements": change(inputs["displacements"]).astype(np.float32)}
    )


def _beyond_the_edge(mode: str) -> Callable[[Trial], Arrays]:
    """Extend the image beyond its edges, where zeros should be."""

    def commit(t: Trial) -> Arrays:
        reach = int(np.ceil(np.abs(t.inputs["displacements"]).max())) + 1
        margins = [(0, 0), (reach, reach), (reach, reach), (0, 0)]
        continued = np.pad(t.inputs["images"], margins, mode=mode)  # type: ignore[call-overload]
        moved = t.run({**t.inputs, "images": continued}, t.parameters)["moved"]
        return {"moved": moved[:, reach:-reach, reach:-reach]}

    return commit


def _renormalised(t: Trial) -> Arrays:
    weight = translated(np.ones(t.inputs["images"].shape), t.inputs["displacements"])
    moved = t.outputs["moved"] / np.where(weight > 0, weight, 1)
    return {"moved": moved.astype(t.outputs["moved"].dtype)}


def _phase_interpolated(t: Trial) -> Arrays:
    if not np.iscomplexobj(t.inputs["images"]):
        return {}
    modulus, phase = (
        t.run({**t.inputs, "images": part(t.inputs["images"])}, t.parameters)["moved"] for part in (np.abs, np.angle)
    )
    return {"moved": (modulus * np.exp(1j * phase)).astype(np.complex64)}


def _imaginary_lost(t: Trial) -> Arrays:
    return {"moved": t.outputs["moved"].real.astype(t.outputs["moved"].dtype)}


def _corners_not_aligned(t: Trial) -> Arrays:
    images = t.inputs["images"]
    dx, dy = t.inputs["displacements"].astype(np.float64).T[:, :, None]

    def stretched(at: np.ndarray, size: int) -> np.ndarray:
        return at * size / max(size - 1, 1) - 0.5

    height, width = images.shape[1:3]
    rows, columns = stretched(np.arange(height) - dy, height), stretched(np.arange(width) - dx, width)
    return {"moved": bilinear(images, rows, columns).astype(images.dtype)}


TRANSLATION = (
    _of_displacements(
        "displacement_sign", "the port moves content by -displacement (x and y); expected +displacement", np.negative
    ),
    _of_displacements(
        "xy_swap",
        "x and y of displacements are swapped; expected x along columns, y along rows",
        lambda d: d[:, ::-1],
    ),
    _of_displacements(
        "x_sign", "the port moves content by -x along columns; expected +x", lambda d: d * [-1, 1]
    ).invisible_when(_STILL_ALONG_X),
    _of_displacements(
        "y_sign", "the port moves content by -y along rows (y upwards); expected +y", lambda d: d * [1, -1]
    ).invisible_when(_STILL_ALONG_Y),
    _of_displacements(
        "floored", "the port rounds displacements down to whole pixels; expected bilinear interpolation", np.floor
    ),
    _of_displacements(
        "truncated", "the port truncates displacements to whole pixels; expected bilinear interpolation", np.trunc
    ),
    _of_displacements(
        "nearest_neighbour", "the port rounds displacements to whole pixels; expected bilinear interpolation", np.rint
    ),
    _of_displacements(
        "first_displacement_for_all",
        "the port moves every image by the first displacement; expected one per image",
        lambda d: np.repeat(d[:1], len(d), axis=0),
    ),
    Fault(
        "edge_clamped", "the port repeats the edge pixel outside the image; expected zeros", _beyond_the_edge("edge")
    ).invisible_when(_EMPTY_EDGE),
    Fault(
        "edge_wrapped",
        "content that leaves on one side re-enters on the other; expected zeros",
        _beyond_the_edge("wrap"),
    ).invisible_when(_EMPTY_EDGE),
    Fault(
        "edge_renormalised",
        "the port divides by the weights inside the image; expected pixels outside to count as 0",
        _renormalised,
    ).invisible_when(_EMPTY_EDGE),
    Fault(
        "phase_interpolated",
        "the port interpolates modulus and phase; expected real and imaginary part",
        _phase_interpolated,
    ).invisible_when(_REAL),
    Fault("imaginary_lost", "the imaginary part is lost; expected both parts moved", _imaginary_lost).invisible_when(
        _REAL
    ),
    Fault(
        "corners_not_aligned",
        "coordinates are scaled for align_corners=True, sampling is not; expected both alike",
        _corners_not_aligned,
    ),
)

# ------------------------------------------------------------------------------------------------ positions in a group


def _midrange(coords: np.ndarray) -> np.ndarray:
    return (coords.max(axis=3, keepdims=True) + coords.min(axis=3, keepdims=True)) / 2


def _single_precision(t: Trial) -> Arrays:
    offsets = t.outputs["coords_offsets"].astype(np.float32).astype(np.float64)
    relative = -(t.inputs["coords_nn"] - offsets)
    return {"coords_offsets": offsets, "coords_relative": relative.astype(np.float32).astype(np.float64)}


RELATIVE_POSITIONS = (
    Fault.of_outputs(
        "relative_sign",
        "relative positions are +(coords - mean); expected -(coords - mean)",
        lambda outputs: {"coords_relative": -outputs["coords_relative"]},
    ).invisible_when(_ONE_MEMBER),
    Fault.of_inputs(
        "xy_swap",
        "x and y are swapped; expected [x, y] on axis 2",
        lambda inputs: {"coords_nn": inputs["coords_nn"][:, :, ::-1].copy()},
    ),
    Fault.of_outputs(
        "mean_not_removed",
        "relative positions are absolute; expected the group's mean subtracted",
        lambda outputs: {"coords_relative": outputs["coords_relative"] - outputs["coords_offsets"]},
    ),
    Fault.of_formula(
        "mean_of_all_groups",
        "the mean of the whole batch is used for every group; expected one mean per group",
        relative,
        centre=lambda coords: coords.mean(axis=(0, 3), keepdims=True),
    ),
    Fault.of_formula(
        "first_member_as_origin",
        "the first member is taken as the group's centre; expected the mean of the members",
        relative,
        centre=lambda coords: coords[..., :1],
    ).invisible_when(_ONE_MEMBER),
    Fault.of_formula(
        "midrange_as_origin",
        "the middle of the group's extent is taken as its centre; expected the members' mean",
        relative,
        centre=_midrange,
    ).invisible_when(_ONE_MEMBER),
    Fault("single_precision", "positions are rounded to float32; expected float64", _single_precision).invisible_when(
        _EXACT
    ),
)

# ------------------------------------------------------------------------------------------------ placement


def _placed_by(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Alter the moves: ``change`` gets the right ones (B, 2, C)."""

    def commit(t: Trial) -> Arrays:
        return {"placed": placed(t.inputs["patches"], change(moves_in_group(t.inputs["coords_nn"])))}

    return Fault(name, symptom, commit)


def _placed_from(name: str, symptom: str, centre: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Place members relative to a point other than the group's mean."""

    def commit(t: Trial) -> Arrays:
        coords = t.inputs["coords_nn"]
        moves = np.asarray(coords - centre(coords))[:, 0].astype(np.float32)
        return {"placed": placed(t.inputs["patches"], moves)}

    return Fault(name, symptom, commit)


def _channel_major(moves: np.ndarray) -> np.ndarray:
    groups, _, members = moves.shape
    channel_major = moves.transpose(2, 0, 1).reshape(-1, 2)
    return channel_major.reshape(groups, members, 2).transpose(0, 2, 1)


def _column_major(moves: np.ndarray) -> np.ndarray:
    side = round(moves.shape[2] ** 0.5)
    return moves.reshape(*moves.shape[:2], side, side).swapaxes(2, 3).reshape(moves.shape)


PLACEMENT = (
    _placed_by(
        "relative_sign",
        "members are placed at -(position - mean); expected +(position - mean)",
        np.negative,
    ),
    _placed_by(
        "xy_swap", "x moves rows and y moves columns; expected x along columns, y along rows", lambda m: m[:, ::-1]
    ),
    _placed_by("x_sign", "members are placed at -x; expected +x along columns", lambda m: m * [[-1], [1]]),
    _placed_by("y_sign", "members are placed at -y (y upwards); expected +y along rows", lambda m: m * [[1], [-1]]),
    _placed_from(
        "mean_not_removed",
        "members are placed at absolute positions; expected the group's mean subtracted",
        lambda coords: np.zeros(()),
    ),
    _placed_from(
        "mean_of_all_groups",
        "the mean of the whole batch is subtracted; expected each group's own mean",
        lambda coords: coords.mean(axis=(0, 3), keepdims=True),
    ),
    _placed_from(
        "first_member_as_origin",
        "members are placed relative to the first one; expected relative to the group's mean",
        lambda coords: coords[..., :1],
    ),
    _placed_by(
        "first_group_for_all",
        "all groups use the first group's positions; expected one position per patch",
        lambda m: np.repeat(m[:1], len(m), axis=0),
    ),
    _placed_by(
        "first_member_for_all",
        "all members are placed where the first one is; expected one position per patch",
        lambda m: np.repeat(m[:, :, :1], m.shape[2], axis=2),
    ),
    _placed_by(
        "column_major_channels",
        "channels fill the grid column by column; expected c = row * G + column",
        _column_major,
    ),
    _placed_by(
        "channel_major_order",
        "positions are flattened as c * B + b; expected b * C + c, as for patches",
        _channel_major,
    ),
    _placed_by("whole_pixels", "members are placed at whole pixels; expected bilinear interpolation", np.rint),
    Fault.of_inputs(
        "patch_transposed",
        "patches are transposed; expected (row, column)",
        lambda inputs: {"patches": inputs["patches"].swapaxes(1, 2).copy()},
    ),
    Fault.of_inputs(
        "imaginary_lost",
        "the imaginary part is lost; expected complex patches",
        lambda inputs: {"patches": inputs["patches"].real.astype(np.complex64)},
    ),
)
