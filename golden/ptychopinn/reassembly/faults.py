"""These faults place the wrong part of a patch, put it in the wrong place, or divide the sum by the wrong number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.reassembly.formulas import centres, divided, moves, reach, shift_and_sum, stitched
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial

# ------------------------------------------------------------------------------------------------ conditions

_WHOLE = Condition("all offsets from the mean are whole pixels", lambda inputs, _: not (_moves(inputs) % 1).any())
_AT_MEAN = Condition("the only patch lies at the mean offset", lambda inputs, _: len(inputs["patches"]) == 1)
_COVERED_ONCE = Condition("a single patch covers each pixel once", lambda inputs, _: len(inputs["patches"]) == 1)
_FULL_CANVAS = Condition("a single patch covers the whole canvas", lambda inputs, _: len(inputs["patches"]) == 1)
_ONE_X = Condition("all patches lie at the same x", lambda inputs, _: not _moves(inputs)[:, 0].any())
_ONE_Y = Condition("all patches lie at the same y", lambda inputs, _: not _moves(inputs)[:, 1].any())
_EVEN_PADDING = Condition("the padding is already even", lambda inputs, _: _padding(inputs) % 2 == 0)
_NO_OTHER_CROP = Condition(
    "the crop is the whole patch (M = N)", lambda inputs, p: p["M"] == inputs["patches"].shape[1]
)
_CENTRAL = Condition(
    "the crop lies inside the central N // 2 pixels", lambda inputs, p: p["M"] <= inputs["patches"].shape[1] // 2
)


def _moves(inputs: Arrays) -> np.ndarray:
    """Return the distances (n, 2) from the mean position, pixels."""
    return moves(inputs[_positions_name(inputs)])


def _padding(inputs: Arrays) -> int:
    """Return the padding, pixels, before it is rounded up to an even number."""
    return int(np.ceil(np.abs(_moves(inputs)).max()))


# The two operations name the positions differently, and only one of them stores the sum.


def _stitched(
    t: Trial, moves: np.ndarray, count_moves: np.ndarray | None = None, pad: int | None = None
) -> dict[str, np.ndarray]:
    found = stitched(t.inputs["patches"], moves, t.parameters["M"], count_moves=count_moves, pad=pad)
    return {name: array for name, array in found.items() if name in t.outputs}


def _positions_name(inputs: Arrays) -> str:
    return "offsets" if "offsets" in inputs else "positions"


def _offsets(t: Trial) -> np.ndarray:
    return t.inputs[_positions_name(t.inputs)]


def _divided(outputs: Arrays, denominator: np.ndarray) -> Arrays:
    """Divide the sum by a denominator other than 1e-9 + count."""
    total = outputs["mosaic"] * (outputs["count"].astype(np.float64) + 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"mosaic": np.where(total == 0, 0, total / denominator).astype(np.complex64)}


def _of_positions(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Alter the positions: ``change`` gets them in the reference's layout, (n, 1, 2, 1)."""

    def other(inputs: Arrays) -> Arrays:
        key = _positions_name(inputs)
        return {key: np.asarray(change(inputs[key]), np.float64)}

    return Fault.of_inputs(name, symptom, other)


def _of_patches(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Alter the patches: ``change`` gets (n, N, N, 1)."""
    return Fault.of_inputs(
        name, symptom, lambda inputs: {"patches": np.ascontiguousarray(change(inputs["patches"]), np.complex64)}
    )


def _cropped_from(name: str, symptom: str, first: Callable[[int, int], int]) -> Fault:
    """Crop elsewhere: ``first`` maps (N, M) to the crop's first row and column, which are kept inside the patch."""

    def commit(t: Trial) -> Arrays:
        N, M = t.inputs["patches"].shape[1], t.parameters["M"]
        moved = N // 2 - M // 2 - min(max(first(N, M), 0), N - M)
        patches = np.roll(t.inputs["patches"], (moved, moved), axis=(1, 2))
        return t.run({**t.inputs, "patches": patches}, t.parameters)

    return Fault(name, symptom, commit)


def _without_last_padding(outputs: Arrays, pad: int) -> Arrays:
    if pad % 2 == 0:
        return {}
    trimmed = {name: array[1:-1, 1:-1] for name, array in outputs.items() if array.ndim}
    return {**trimmed, "canvas_side": outputs["canvas_side"] - 2}


def _odd_padding(t: Trial) -> Arrays:
    return _without_last_padding(t.outputs, _padding(t.inputs))


def _mean_not_removed(t: Trial) -> Arrays:
    return _stitched(t, _offsets(t).reshape(-1, 2))


def _mean_per_half(t: Trial) -> Arrays:
    offsets = _offsets(t).reshape(-1, 2)
    halves = np.array_split(offsets, 2) if len(offsets) > 1 else [offsets]
    return _stitched(t, np.concatenate([half - half.mean(axis=0) for half in halves]))


def _at_whole_pixels(t: Trial) -> Arrays:
    right = moves(_offsets(t))
    return _stitched(t, np.rint(right), pad=reach(right))


def _count_at_whole_pixels(t: Trial) -> Arrays:
    right = moves(_offsets(t))
    return _stitched(t, right, np.rint(right), reach(right))


def _count_of_centre_mask(t: Trial) -> Arrays:
    """Count only the central N // 2 pixels of a patch, as the network's merge does."""
    N = t.inputs["patches"].shape[1]
    centre = np.zeros(t.inputs["patches"].shape, np.float32)
    centre[:, N // 4 : N // 4 + N // 2, N // 4 : N // 4 + N // 2] = 1
    right, M = moves(_offsets(t)), t.parameters["M"]
    total, count = (shift_and_sum(centres(p, M), right, reach(right)) for p in (t.inputs["patches"], centre))
    return {name: array for name, array in divided(total, count).items() if name in t.outputs}


STITCHING = (
    _of_positions(
        "offset_sign", "the port moves content by -offset (x and y); expected +offset", np.negative
    ).invisible_when(_AT_MEAN),
    _of_positions(
        "xy_swap", "x moves rows and y moves columns; expected x along columns, y along rows", lambda o: o[:, :, ::-1]
    ).invisible_when(_AT_MEAN),
    _of_positions(
        "x_sign", "the port moves content by -x along columns; expected +x", lambda o: o * [[[-1], [1]]]
    ).invisible_when(_AT_MEAN, _ONE_X),
    _of_positions(
        "y_sign", "the port moves content by -y along rows (y upwards); expected +y", lambda o: o * [[[1], [-1]]]
    ).invisible_when(_AT_MEAN, _ONE_Y),
    _of_positions(
        "offsets_out_of_step",
        "each patch is placed at its neighbour's offset; expected patch i at offset i",
        lambda o: np.roll(o, 1, axis=0),
    ).invisible_when(_AT_MEAN),
    _of_positions(
        "offsets_collapsed",
        "patches lie at one point (relative, not global positions); expected the scan's offsets",
        np.zeros_like,
    ).invisible_when(_AT_MEAN),
    Fault(
        "mean_not_removed",
        "the mean offset is not subtracted; expected it at the centre of the canvas",
        _mean_not_removed,
    ).invisible_when(_AT_MEAN),
    Fault(
        "mean_per_batch",
        "each batch's mean offset is subtracted; expected one mean of the whole scan",
        _mean_per_half,
    ).invisible_when(_AT_MEAN),
    Fault(
        "whole_pixels",
        "patches are placed at whole pixels; expected bilinear interpolation",
        _at_whole_pixels,
    ).invisible_when(_WHOLE),
    Fault(
        "odd_padding",
        "odd padding is not rounded up, so the canvas is 2 pixels smaller; expected even padding",
        _odd_padding,
    ).invisible_when(_EVEN_PADDING),
    _cropped_from(
        "crop_off_by_one",
        "the crop begins one pixel early; expected N // 2 - M // 2",
        lambda N, M: N // 2 - M // 2 - 1,
    ).invisible_when(_NO_OTHER_CROP),
    _cropped_from(
        "crop_at_corner", "the crop begins at index 0; expected N // 2 - M // 2", lambda N, M: 0
    ).invisible_when(_NO_OTHER_CROP),
    Fault(
        "crop_omitted",
        "whole patches are placed; expected their central M x M pixels",
        lambda t: t.run(t.inputs, {**t.parameters, "M": t.inputs["patches"].shape[1] // 2 * 2}),
    ).invisible_when(_NO_OTHER_CROP),
    _of_patches("patch_transposed", "patches are transposed; expected (row, column)", lambda p: p.swapaxes(1, 2)),
    _of_patches("patch_flipped_rows", "patches are flipped upside down; expected row 0 first", lambda p: np.flip(p, 1)),
    _of_patches(
        "patch_flipped_columns", "patches are mirrored left to right; expected column 0 first", lambda p: np.flip(p, 2)
    ),
    _of_patches("conjugated", "patches are complex-conjugated; expected no conjugation", np.conj),
    _of_patches("imaginary_lost", "the imaginary part is lost; expected complex patches", np.real),
    _of_patches(
        "amplitude_plus_i_phase",
        "patches are amplitude + i * phase; expected amplitude * exp(i * phase)",
        lambda p: np.abs(p) + 1j * np.angle(p),
    ),
    Fault.of_outputs(
        "sum_not_divided",
        "the sum is not divided by the overlap count; expected the mean of the patches",
        lambda outputs: _divided(outputs, np.ones(outputs["count"].shape)),
    ).invisible_when(_COVERED_ONCE),
    Fault.of_outputs(
        "epsilon_of_merge",
        "0.001 is added to the count, as in the network's merge; expected 1e-9",
        lambda outputs: _divided(outputs, outputs["count"] + 1e-3),
    ),
    Fault.of_outputs(
        "background_not_zero",
        "empty canvas is 1; expected 0 where no patch lies",
        lambda outputs: {"mosaic": np.where(outputs["count"] > 0.01, outputs["mosaic"], 1).astype(np.complex64)},
    ).invisible_when(_FULL_CANVAS),
    Fault.of_outputs(
        "at_least_one",
        "counts below 1 are raised to 1, so the border fades; expected the true counts",
        lambda outputs: _divided(outputs, np.maximum(outputs["count"], 1)),
    ).invisible_when(_WHOLE),
    Fault(
        "count_at_whole_pixels",
        "the count moves by whole pixels; expected sub-pixel moves, as for the patches",
        _count_at_whole_pixels,
    ).invisible_when(_WHOLE),
    Fault(
        "count_of_centre_mask",
        "only the central N // 2 pixels are counted, as in the merge; expected all M x M",
        _count_of_centre_mask,
    ).invisible_when(_CENTRAL),
)
