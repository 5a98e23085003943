"""These faults get array formats and canvas sizes wrong: the fastest axis, or the terms of the padded size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.formats.formulas import channel_major, flat_to_channel, sizes
from golden.spec.arrays import Arrays
from golden.spec.fault import Fault, Trial


def _columns_first(channel: np.ndarray) -> np.ndarray:
    """Return channels (B, N, N, C) in the order c = column * G + row."""
    side = round(channel.shape[3] ** 0.5)
    return channel.reshape(*channel.shape[:3], side, side).swapaxes(3, 4).reshape(channel.shape)


_COLUMN_MAJOR = "channels fill the grid column by column; expected c = row * G + column"
_CHANNEL_MAJOR = "the flat index is c * B + b; expected group-major, b * C + c"
_INTERLEAVED = "a reshape without a transpose mixes pixels of several patches; expected whole patches"
_TRANSPOSED = "patches are transposed; expected (row, column)"


def _channel_major_in(t: Trial) -> Arrays:
    members = t.outputs["channel_of_grid"].shape[3]
    flat = t.inputs["flat"]
    return {"channel_of_flat": flat_to_channel(channel_major(flat, len(flat) // members), members)}


def _interleaved_in(t: Trial) -> Arrays:
    shape = t.outputs["channel_of_grid"].shape
    return {"channel_of_grid": t.inputs["grid"].reshape(shape), "channel_of_flat": t.inputs["flat"].reshape(shape)}


TO_CHANNEL = (
    Fault.of_outputs(
        "column_major_channels",
        _COLUMN_MAJOR,
        lambda outputs: {"channel_of_grid": _columns_first(outputs["channel_of_grid"])},
    ),
    Fault("channel_major_flat", _CHANNEL_MAJOR, _channel_major_in),
    Fault("interleaved", _INTERLEAVED, _interleaved_in),
    Fault.of_outputs(
        "patch_transposed",
        _TRANSPOSED,
        lambda outputs: {name: array.swapaxes(1, 2).copy() for name, array in outputs.items()},
    ),
)


def _channel_major_out(t: Trial) -> Arrays:
    members = t.inputs["channel"].shape[3]
    return {"flat": channel_major(t.outputs["flat"], members)}


def _interleaved_out(t: Trial) -> Arrays:
    channel = t.inputs["channel"]
    return {name: channel.reshape(t.outputs[name].shape) for name in ("grid", "flat")}


FROM_CHANNEL = (
    Fault.of_outputs(
        "column_major_channels", _COLUMN_MAJOR, lambda outputs: {"grid": outputs["grid"].swapaxes(1, 2).copy()}
    ),
    Fault("channel_major_flat", _CHANNEL_MAJOR, _channel_major_out),
    Fault("interleaved", _INTERLEAVED, _interleaved_out),
    Fault.of_outputs(
        "patch_transposed",
        _TRANSPOSED,
        lambda outputs: {
            "grid": outputs["grid"].swapaxes(3, 4).copy(),
            "flat": outputs["flat"].swapaxes(1, 2).copy(),
        },
    ),
    Fault(
        "positions_channel_major",
        "positions are flattened as c * B + b; expected b * C + c, as for patches",
        lambda t: {"positions_flat": channel_major(t.outputs["positions_flat"], t.inputs["channel"].shape[3])},
    ),
    Fault(
        "positions_interleaved",
        "a reshape without a transpose mixes x and y of several patches; expected [x, y] pairs",
        lambda t: {"positions_flat": t.inputs["positions"].reshape(-1, 2)},
    ),
    Fault.of_outputs(
        "positions_xy_swap",
        "flat positions are [y, x]; expected [x, y]",
        lambda outputs: {"positions_flat": outputs["positions_flat"][:, ::-1].copy()},
    ),
)

# ------------------------------------------------------------------------------------------------ sizes


Sizes = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Arrays]


def _of_settings(name: str, symptom: str, make: Sizes) -> Fault:
    """Compute another size: ``make`` gets N, the grid size, the offset and the jitter of every row."""
    return Fault(name, symptom, lambda t: make(*t.inputs["settings"].T))


CANVAS = (
    _of_settings(
        "patches_for_grid_size",
        "the canvas grows with the number of patches; expected N + (G - 1) * offset",
        lambda N, G, offset, jitter: sizes(N + (G**2 - 1) * offset, jitter, N),
    ),
    _of_settings(
        "offset_once_more",
        "the canvas grows by G offsets; expected G - 1 offsets",
        lambda N, G, offset, jitter: sizes(N + G * offset, jitter, N),
    ),
    _of_settings(
        "jitter_omitted",
        "the padded size has no room for jitter; expected bigN + max_position_jitter",
        lambda N, G, offset, jitter: sizes(N + (G - 1) * offset, 0 * jitter, N),
    ),
    _of_settings(
        "jitter_on_both_sides",
        "the jitter is added on both sides; expected once",
        lambda N, G, offset, jitter: sizes(N + (G - 1) * offset, 2 * jitter, N),
    ),
    _of_settings(
        "odd_offset_raised",
        "an odd offset is raised to the next even number; expected N + (G - 1) * offset",
        lambda N, G, offset, jitter: sizes(N + (G - 1) * (offset + offset % 2), jitter, N),
    ),
    Fault.of_outputs(
        "odd_margin_kept",
        "an odd margin is kept; expected a canvas one pixel smaller, as TensorFlow pads",
        lambda outputs: {"canvas_side": outputs["padded_size"]},
    ),
    Fault.of_outputs(
        "odd_margin_rounded_up",
        "an odd margin is rounded up; expected rounded down",
        lambda outputs: {
            "canvas_side": outputs["canvas_side"] + 2 * (outputs["canvas_side"] != outputs["padded_size"])
        },
    ),
)
