"""Faults of merging a group's patches on the padded canvas, and of extracting them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from golden.ptychopinn.coordinates.faults import translate
from golden.ptychopinn.formats.faults import channel_major, channel_to_flat, positions_to_flat
from golden.spec.arrays import Arrays
from golden.spec.fault import Fault, Trial

# ------------------------------------------------------------------------------------------------ merge


def moves(t: Trial) -> np.ndarray:
    """(B * C, 2): how far each flat patch moves, as it should."""
    flat = positions_to_flat(t.inputs["coords_relative"]).astype(np.float64)
    return -(flat - flat.mean(axis=0))


def centre_mask(N: int) -> np.ndarray:
    """(N, N): ones in the central N // 2 pixels."""
    mask = np.zeros((N, N))
    mask[N // 4 : N // 4 + N // 2, N // 4 : N // 4 + N // 2] = 1
    return mask


def on_canvas(images: np.ndarray, padded: int) -> np.ndarray:
    """Images (n, N, N, 1) with the margin around them, half of what is missing, rounded down."""
    margin = (padded - images.shape[1]) // 2
    return np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))


def group_sum(images: np.ndarray, by: np.ndarray, members: int) -> np.ndarray:
    """Images (B * C, P, P, 1) moved by ``by`` (B * C, 2) and summed over each group."""
    side = images.shape[1]
    return translate(images, by).reshape(-1, members, side, side, 1).sum(axis=1)


def sums(
    t: Trial,
    *,
    by: np.ndarray | None = None,
    count_by: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    patches: np.ndarray | None = None,
    pad: Callable[[np.ndarray, int], np.ndarray] = on_canvas,
) -> tuple[np.ndarray, np.ndarray]:
    """The sum and the count of each group, in double precision; as they should be unless told otherwise."""
    patches = t.inputs["patches"] if patches is None else patches
    N, members, padded = patches.shape[1], patches.shape[3], int(t.parameters["padded_size"] or 0)
    by = moves(t) if by is None else by
    mask = centre_mask(N) if mask is None else mask
    flat = channel_to_flat(patches.astype(np.complex128))
    total = group_sum(pad(flat, padded), by, members)
    counted = np.broadcast_to(mask[None, :, :, None], flat.shape)
    return total, group_sum(pad(counted, padded), by if count_by is None else count_by, members)


def divided(total: np.ndarray, count: np.ndarray, epsilon: float = 1e-3) -> dict[str, np.ndarray]:
    """The operation's outputs; 0 where there is nothing to divide by."""
    norm = count + epsilon
    merged = np.divide(total, norm, out=np.zeros_like(total), where=norm != 0).astype(np.complex64)
    return {
        "sum": total.astype(np.complex64),
        "norm": norm.astype(np.float32),
        "merged_centre": merged,
        "merged_border": merged,
    }


def merge(t: Trial, **changes: Any) -> dict[str, np.ndarray]:
    """The operation's outputs; as they should be unless told otherwise, as ``sums`` is."""
    return divided(*sums(t, **changes))


def _of_patches(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """``change`` gets the patches (B, N, N, C)."""
    return Fault(name, symptom, lambda t: merge(t, patches=change(t.inputs["patches"])))


def _columns_first(relative: np.ndarray) -> np.ndarray:
    """(B, 1, 2, C) with c = column * G + row."""
    side = round(relative.shape[3] ** 0.5)
    return relative.reshape(*relative.shape[:3], side, side).swapaxes(3, 4).reshape(relative.shape)


def _channels_first(relative: np.ndarray) -> np.ndarray:
    """(B, 1, 2, C) whose flat positions are in the order c * B + b."""
    groups, _, _, members = relative.shape
    flat = channel_major(positions_to_flat(relative), members)
    return flat.reshape(groups, members, 2).transpose(0, 2, 1)[:, None]


def _misplaced(restated: Callable[[Trial], Arrays], sign: str) -> tuple[Fault, ...]:
    """Faults of the positions in either operation; ``sign`` is the symptom of the first.

    Restated, not run: from 64 patches on the reference makes several calls of TensorFlow, which have another mean.
    """

    def fault(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
        """``change`` gets the relative positions (B, 1, 2, C)."""

        def commit(t: Trial) -> Arrays:
            return restated(replace(t, inputs={**t.inputs, "coords_relative": change(t.inputs["coords_relative"])}))

        return Fault(name, symptom, commit)

    return (
        fault("relative_sign", sign, np.negative),
        fault(
            "xy_swap",
            "x moves rows and y moves columns; expected x along columns, y along rows",
            lambda r: r[:, :, ::-1],
        ),
        fault("x_sign", "x has the other sign; expected +x to higher columns", lambda r: r * [[-1], [1]]),
        fault("y_sign", "y has the other sign (y upwards); expected +y to higher rows", lambda r: r * [[1], [-1]]),
        fault(
            "first_group_for_all",
            "the positions of the first group are repeated for all groups; expected one position per patch",
            lambda r: np.repeat(r[:1], len(r), axis=0),
        ),
        fault(
            "first_member_for_all",
            "one position is repeated for all members of a group; expected one position per patch",
            lambda r: np.repeat(r[..., :1], r.shape[3], axis=3),
        ),
        fault(
            "column_major_channels",
            "positions run down the columns of the grid; expected c = row * G + column",
            _columns_first,
        ),
        fault(
            "channel_major_order",
            "positions are flattened as c * B + b and patches as b * C + c; expected b * C + c for both",
            _channels_first,
        ),
    )


def _mean_not_removed(t: Trial) -> Arrays:
    return merge(t, by=-positions_to_flat(t.inputs["coords_relative"]).astype(np.float64))


def _mean_per_group(t: Trial) -> Arrays:
    relative = t.inputs["coords_relative"].astype(np.float64)
    return merge(t, by=-positions_to_flat(relative - relative.mean(axis=3, keepdims=True)))


def _groups_summed(t: Trial) -> Arrays:
    """One canvas for the whole batch, as TensorFlow makes it from 64 patches on."""
    return divided(*(one.sum(axis=0, keepdims=True) for one in sums(t)))


def _averaged(t: Trial) -> Arrays:
    return divided(*(one / t.inputs["patches"].shape[3] for one in sums(t)))


def _numerator_masked(t: Trial) -> Arrays:
    patches = t.inputs["patches"]
    return merge(t, patches=patches * centre_mask(patches.shape[1])[None, :, :, None])


def _padded_in_full(images: np.ndarray, padded: int) -> np.ndarray:
    before = (padded - images.shape[1]) // 2
    after = padded - images.shape[1] - before
    return np.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))


def _disk(N: int) -> np.ndarray:
    along = np.arange(N) - N // 2 + 0.5
    return np.asarray(np.hypot(along[:, None], along) < N // 4, float)


MERGE = (
    *_misplaced(
        merge, "members move by +relative: an odd number of sign flips; expected toward their position, -relative"
    ),
    Fault(
        "mean_not_removed",
        "positions are taken as they are; expected the mean over all patches of the call to be subtracted",
        _mean_not_removed,
    ),
    Fault(
        "mean_per_group",
        "the mean of each group is subtracted; expected that over all patches of the call",
        _mean_per_group,
    ),
    Fault(
        "whole_pixels",
        "members are placed at whole pixels; expected bilinear",
        lambda t: merge(t, by=np.rint(moves(t))),
    ),
    Fault(
        "groups_summed",
        "the patches of all groups are summed into one canvas; expected a canvas for each group",
        _groups_summed,
    ),
    Fault(
        "averaged",
        "sum and count are divided by the number of members, so 0.001 weighs more; expected sums",
        _averaged,
    ),
    Fault(
        "epsilon_omitted",
        "the sum is divided by the count alone, and is 0 where that is 0; expected count + 0.001",
        lambda t: divided(*sums(t), epsilon=0.0),
    ),
    Fault(
        "epsilon_of_stitching",
        "the count is increased by 1e-9, as in stitching; expected 0.001",
        lambda t: divided(*sums(t), epsilon=1e-9),
    ),
    Fault(
        "count_of_ones",
        "all N x N pixels are counted, as in stitching; expected the central N // 2",
        lambda t: merge(t, mask=np.ones_like(centre_mask(t.inputs["patches"].shape[1]))),
    ),
    Fault(
        "count_of_disk",
        "the pixels of the probe's hard mask are counted; expected the central square of side N // 2",
        lambda t: merge(t, mask=_disk(t.inputs["patches"].shape[1])),
    ),
    Fault(
        "count_not_moved",
        "the count stays at the centre; expected it to move with the patches",
        lambda t: merge(t, count_by=np.zeros_like(moves(t))),
    ),
    Fault(
        "count_at_whole_pixels",
        "the count is made from whole-pixel places; expected it to move with the patches, sub-pixel",
        lambda t: merge(t, count_by=np.rint(moves(t))),
    ),
    Fault(
        "numerator_masked",
        "only the centres of the patches are summed; expected whole patches, whose border is divided by 0.001",
        _numerator_masked,
    ),
    Fault(
        "odd_margin_kept",
        "the canvas has the padded size; expected it one short where the margin is odd",
        lambda t: merge(t, pad=_padded_in_full),
    ),
    _of_patches("patch_transposed", "patches are transposed; expected rows to stay rows", lambda p: p.swapaxes(1, 2)),
    _of_patches("patch_flipped_rows", "patches are flipped upside down; expected row 0 first", lambda p: p[:, ::-1]),
    _of_patches(
        "patch_flipped_columns", "patches are mirrored left to right; expected column 0 first", lambda p: p[:, :, ::-1]
    ),
    _of_patches("conjugated", "the phase has the other sign; expected the patches' own", np.conj),
    _of_patches("imaginary_lost", "the imaginary part is lost; expected complex patches", np.real),
    _of_patches(
        "amplitude_plus_i_phase",
        "patches are amplitude + i phase; expected amplitude times exp(i phase)",
        lambda p: np.abs(p) + 1j * np.angle(p),
    ),
)

# ------------------------------------------------------------------------------------------------ extraction


def extract(
    t: Trial, *, by: np.ndarray | None = None, first: int | None = None, repeated: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The operation's output; as it should be unless told otherwise."""
    repeated = np.repeat(t.inputs["canvas"], _members(t), axis=0) if repeated is None else repeated
    by = displacements(t) if by is None else by
    N = int(t.parameters["N"] or 0)
    first = _margin(t) if first is None else first
    moved = translate(repeated.astype(np.complex128), by)
    return {"patches": moved[:, first : first + N, first : first + N].astype(np.complex64)}


def _members(t: Trial) -> int:
    return int(t.inputs["coords_relative"].shape[3])


def _margin(t: Trial) -> int:
    return (t.inputs["canvas"].shape[1] - int(t.parameters["N"] or 0)) // 2


def displacements(t: Trial) -> np.ndarray:
    """(B * C, 2): how far each flat canvas moves, as it should."""
    return positions_to_flat(t.inputs["coords_relative"]).astype(np.float64)


def _of_canvas(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """``change`` gets the canvases (B, P, P, 1)."""
    return Fault(
        name, symptom, lambda t: extract(replace(t, inputs={**t.inputs, "canvas": change(t.inputs["canvas"])}))
    )


EXTRACTION = (
    *_misplaced(extract, "the canvas moves by -relative, as patches do in the merge; expected +relative, its inverse"),
    Fault(
        "mean_removed",
        "the mean over all patches of the call is subtracted, as in the merge; expected positions as they are",
        lambda t: extract(t, by=displacements(t) - displacements(t).mean(axis=0)),
    ),
    Fault(
        "whole_pixels",
        "the canvas moves by whole pixels; expected bilinear",
        lambda t: extract(t, by=np.rint(displacements(t))),
    ),
    Fault(
        "trim_off_by_one",
        "the patch is cut one pixel early; expected (P - N) // 2 from every side",
        lambda t: extract(t, first=_margin(t) - 1),
    ),
    Fault(
        "trim_at_corner",
        "the patch is cut at index 0; expected (P - N) // 2 from every side",
        lambda t: extract(t, first=0),
    ),
    Fault(
        "canvases_out_of_step",
        "canvases are tiled, c * B + b; expected each repeated for its members, b * C + c",
        lambda t: extract(t, repeated=np.tile(t.inputs["canvas"], (_members(t), 1, 1, 1))),
    ),
    _of_canvas(
        "first_canvas_for_all",
        "all groups are cut from the first canvas; expected each from its own",
        lambda c: np.repeat(c[:1], len(c), axis=0),
    ),
    _of_canvas("canvas_transposed", "canvases are transposed; expected rows to stay rows", lambda c: c.swapaxes(1, 2)),
    _of_canvas("conjugated", "the phase has the other sign; expected the canvas's own", np.conj),
    _of_canvas("imaginary_lost", "the imaginary part is lost; expected complex patches", np.real),
)
