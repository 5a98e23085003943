"""These faults get the merge of a group's patches on the padded canvas, or their extraction, wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.coordinates.formulas import translated
from golden.ptychopinn.formats.formulas import channel_major, channel_to_flat, positions_to_flat
from golden.ptychopinn.merge.formulas import (
    centre_mask,
    displacements,
    divided,
    extract,
    margin,
    merge,
    moves,
    on_canvas,
    padded_size,
    sums,
)
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial

# ------------------------------------------------------------------------------------------------ conditions

_ONE_MEMBER = Condition("each group has one member", lambda inputs, _: inputs["coords_relative"].shape[3] == 1)
_ONE_GROUP = Condition("the input has one group", lambda inputs, _: len(inputs["coords_relative"]) == 1)
_ZERO_MEAN = Condition(
    "the positions of every group have zero mean",
    lambda inputs, _: bool((np.abs(inputs["coords_relative"].mean(axis=3)) < 1e-6).all()),
)
_AS_CONFIGURED = Condition(
    "the canvas has the side that default offset and jitter give",
    lambda inputs, p: inputs["canvas"].shape[1] == padded_size(p["N"], inputs["coords_relative"].shape[3]),
)
_WHOLE = Condition("all positions are whole pixels", lambda inputs, _: not (inputs["coords_relative"] % 1).any())


# ------------------------------------------------------------------------------------------------ merge


def _of_patches(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Alter the patches: ``change`` gets (B, N, N, C)."""
    return Fault(name, symptom, lambda t: merge(**t.given | {"patches": change(t.inputs["patches"])}))


def _columns_first(relative: np.ndarray) -> np.ndarray:
    """Return relative positions (B, 1, 2, C) in the order c = column * G + row."""
    side = round(relative.shape[3] ** 0.5)
    return relative.reshape(*relative.shape[:3], side, side).swapaxes(3, 4).reshape(relative.shape)


def _channels_first(relative: np.ndarray) -> np.ndarray:
    """Return relative positions (B, 1, 2, C) that were flattened in the order c * B + b."""
    groups, _, _, members = relative.shape
    flat = channel_major(positions_to_flat(relative), members)
    return flat.reshape(groups, members, 2).transpose(0, 2, 1)[:, None]


def _misplaced(formula: Callable[..., Arrays], sign: str) -> tuple[Fault, ...]:
    """Return the faults of the positions in either operation; ``sign`` is the symptom of the first.

    They alter the formula, because from 64 patches on, the reference calls TensorFlow several times, each time with
    another mean.
    """

    def fault(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
        """Alter the positions: ``change`` gets the relative ones (B, 1, 2, C)."""

        def commit(t: Trial) -> Arrays:
            return formula(**t.given | {"coords_relative": change(t.inputs["coords_relative"])})

        return Fault(name, symptom, commit)

    return (
        fault("relative_sign", sign, np.negative),
        fault(
            "xy_swap",
            "x moves rows and y moves columns; expected x along columns, y along rows",
            lambda r: r[:, :, ::-1],
        ),
        fault("x_sign", "x is negated; expected +x towards higher columns", lambda r: r * [[-1], [1]]),
        fault("y_sign", "y is negated (y upwards); expected +y towards higher rows", lambda r: r * [[1], [-1]]),
        fault(
            "first_group_for_all",
            "all groups use the first group's positions; expected one position per patch",
            lambda r: np.repeat(r[:1], len(r), axis=0),
        ).invisible_when(_ONE_GROUP),
        fault(
            "first_member_for_all",
            "all members use the first member's position; expected one position per patch",
            lambda r: np.repeat(r[..., :1], r.shape[3], axis=3),
        ).invisible_when(_ONE_MEMBER),
        fault(
            "column_major_channels",
            "positions fill the grid column by column; expected c = row * G + column",
            _columns_first,
        ).invisible_when(_ONE_MEMBER),
        fault(
            "channel_major_order",
            "positions are flattened as c * B + b; expected b * C + c, as for patches",
            _channels_first,
        ).invisible_when(_ONE_MEMBER, _ONE_GROUP),
    )


def _mean_per_group(coords_relative: np.ndarray) -> np.ndarray:
    relative = coords_relative.astype(np.float64)
    return -positions_to_flat(relative - relative.mean(axis=3, keepdims=True))


def _sums(t: Trial) -> tuple[np.ndarray, np.ndarray]:
    return sums(t.inputs["patches"], moves(t.inputs["coords_relative"]), t.parameters["padded_size"])


def _groups_summed(t: Trial) -> Arrays:
    """Sum the whole batch on one canvas, as TensorFlow does from 64 patches on."""
    return divided(*(one.sum(axis=0, keepdims=True) for one in _sums(t)))


def _masked_after_moving(t: Trial) -> Arrays:
    """Move patch and mask separately, then multiply them, which interpolates twice at the mask's edge."""
    patches, padded = t.inputs["patches"], t.parameters["padded_size"]
    flat, by = channel_to_flat(patches.astype(np.complex128)), moves(t.inputs["coords_relative"])
    masks = np.broadcast_to(centre_mask(flat.shape[1])[None, :, :, None], flat.shape)
    moved, moved_masks = (translated(on_canvas(one, padded), by) for one in (flat, masks))
    by_group = (-1, patches.shape[3], *moved.shape[1:])
    return divided(*(one.reshape(by_group).sum(axis=1) for one in (moved * moved_masks, moved_masks)))


def _averaged(t: Trial) -> Arrays:
    return divided(*(one / t.inputs["patches"].shape[3] for one in _sums(t)))


def _disk(N: int) -> np.ndarray:
    along = np.arange(N) - N // 2 + 0.5
    return np.asarray(np.hypot(along[:, None], along) < N // 4, float)


MERGE = (
    *_misplaced(merge, "members move by +relative; expected -relative, towards their position"),
    Fault.of_formula(
        "mean_not_removed",
        "positions are used as they are; expected the mean over all patches subtracted",
        merge,
        by=lambda relative: -displacements(relative),
    ).invisible_when(_ZERO_MEAN),
    Fault.of_formula(
        "mean_per_group",
        "each group's own mean is subtracted; expected the mean over all patches",
        merge,
        by=_mean_per_group,
    ).invisible_when(_ZERO_MEAN, _ONE_GROUP),
    Fault.of_formula(
        "whole_pixels",
        "members are placed at whole pixels; expected bilinear interpolation",
        merge,
        by=lambda relative: np.rint(moves(relative)),
    ).invisible_when(_WHOLE),
    Fault(
        "groups_summed",
        "all groups are summed on one canvas; expected one canvas per group",
        _groups_summed,
    ).invisible_when(_ONE_GROUP),
    Fault(
        "averaged",
        "sum and count are divided by the number of members; expected plain sums",
        _averaged,
    ).invisible_when(_ONE_MEMBER),
    Fault.of_formula(
        "epsilon_omitted",
        "the sum is divided by the count alone; expected by count + 0.001",
        merge,
        epsilon=0.0,
    ),
    Fault.of_formula(
        "epsilon_of_stitching",
        "1e-9 is added to the count, as in stitching; expected 0.001",
        merge,
        epsilon=1e-9,
    ),
    Fault.of_formula(
        "count_of_ones",
        "all N x N pixels are counted, as in stitching; expected the central N // 2",
        merge,
        mask=lambda N: np.ones((N, N)),
    ),
    Fault.of_formula(
        "count_of_disk",
        "the probe's hard mask is counted; expected the central square of side N // 2",
        merge,
        mask=_disk,
    ),
    Fault.of_formula(
        "count_not_moved",
        "the count stays at the centre; expected it to move with the patches",
        merge,
        count_by=lambda relative: np.zeros_like(moves(relative)),
    ),
    Fault.of_formula(
        "count_at_whole_pixels",
        "the count moves by whole pixels; expected sub-pixel moves, as for the patches",
        merge,
        count_by=lambda relative: np.rint(moves(relative)),
    ).invisible_when(_WHOLE),
    _of_patches(
        "numerator_masked",
        "only the patches' centres are summed; expected whole patches",
        lambda p: p * centre_mask(p.shape[1])[None, :, :, None],
    ),
    Fault(
        "masked_after_moving",
        "patches move, then the moved centre mask is laid over them; expected whole patches",
        _masked_after_moving,
    ),
    _of_patches("patch_transposed", "patches are transposed; expected (row, column)", lambda p: p.swapaxes(1, 2)),
    _of_patches("patch_flipped_rows", "patches are flipped upside down; expected row 0 first", lambda p: p[:, ::-1]),
    _of_patches(
        "patch_flipped_columns", "patches are mirrored left to right; expected column 0 first", lambda p: p[:, :, ::-1]
    ),
    _of_patches("conjugated", "patches are complex-conjugated; expected no conjugation", np.conj),
    _of_patches("imaginary_lost", "the imaginary part is lost; expected complex patches", np.real),
    _of_patches(
        "amplitude_plus_i_phase",
        "patches are amplitude + i * phase; expected amplitude * exp(i * phase)",
        lambda p: np.abs(p) + 1j * np.angle(p),
    ),
)

# ------------------------------------------------------------------------------------------------ extraction


def _configured(t: Trial) -> int:
    """Return the canvas's side in a default configuration."""
    return padded_size(t.parameters["N"], t.inputs["coords_relative"].shape[3])


def _of_canvas(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Alter the canvases: ``change`` gets (B, P, P, 1)."""
    return Fault(name, symptom, lambda t: extract(**t.given | {"canvas": change(t.inputs["canvas"])}))


EXTRACTION = (
    *_misplaced(extract, "the canvas moves by -relative; expected +relative, the inverse of the merge"),
    Fault.of_formula(
        "mean_removed",
        "the mean over all patches is subtracted; expected positions as they are",
        extract,
        by=lambda relative: displacements(relative) - displacements(relative).mean(axis=0),
    ),
    Fault.of_formula(
        "whole_pixels",
        "the canvas moves by whole pixels; expected bilinear interpolation",
        extract,
        by=lambda relative: np.rint(displacements(relative)),
    ),
    Fault.of_formula(
        "trim_off_by_one",
        "the patch is cut one pixel early; expected (P - N) // 2 from every side",
        extract,
        first=lambda P, N: margin(P, N) - 1,
    ),
    Fault(
        "trim_of_configuration",
        "the canvas is trimmed to its configured side; expected (P - N) // 2 from every side",
        lambda t: extract(**t.given, first=lambda P, N: min(margin(_configured(t), N), P - N)),
    ).invisible_when(_AS_CONFIGURED),
    Fault.of_formula(
        "trim_at_corner",
        "the patch is cut at index 0; expected (P - N) // 2 from every side",
        extract,
        first=lambda P, N: 0,
    ),
    Fault.of_formula(
        "canvases_out_of_step",
        "canvases are tiled (c * B + b); expected each repeated per member (b * C + c)",
        extract,
        repeat=lambda canvas, members: np.tile(canvas, (members, 1, 1, 1)),
    ).invisible_when(_ONE_MEMBER),
    _of_canvas(
        "first_canvas_for_all",
        "all groups are cut from the first canvas; expected each from its own",
        lambda c: np.repeat(c[:1], len(c), axis=0),
    ),
    _of_canvas("canvas_transposed", "canvases are transposed; expected (row, column)", lambda c: c.swapaxes(1, 2)),
    _of_canvas("conjugated", "the canvas is complex-conjugated; expected no conjugation", np.conj),
    _of_canvas("imaginary_lost", "the imaginary part is lost; expected complex patches", np.real),
)
