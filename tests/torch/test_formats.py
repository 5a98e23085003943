"""Array formats: grid, channel and flat, the positions in them, and the sizes of the padded canvas."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.operators import formats
from tests.torch.subject.formats import formats_from_channel, formats_to_channel
from tests.vectors import assert_close, records


def test_a_canvas_without_a_margin() -> None:
    assert formats.canvas_margin(16, 16) == 0
    assert formats.canvas_side(16, 17) == 16


def test_there_and_back() -> None:
    channel = torch.arange(3 * 4 * 5 * 5).reshape(3, 4, 5, 5)
    assert torch.equal(formats.grid_to_channel(formats.channel_to_grid(channel)), channel)
    assert torch.equal(formats.flat_to_channel(formats.channel_to_flat(channel), 4), channel)


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (lambda: formats.grid_to_channel(torch.ones(2, 2, 3, 4, 4)), "grid: expected shape (B, G, G, N, N), found (2,"),
        (lambda: formats.grid_to_channel(torch.ones(2, 2, 2, 3, 4)), "grid: expected shape (B, G, G, N, N), found (2,"),
        (lambda: formats.channel_to_grid(torch.ones(2, 3, 4, 4)), "expected a square number of patches per group"),
        (lambda: formats.channel_to_grid(torch.ones(2, 4, 4, 5)), "channel: expected shape (B, C, N, N), found (2, 4,"),
        (lambda: formats.channel_to_flat(torch.ones(4, 4, 4)), "channel: expected shape (B, C, N, N), found (4, 4, 4)"),
        (lambda: formats.flat_to_channel(torch.ones(6, 4, 4, 1), 2), "flat: expected shape (B * C, 1, N, N), found"),
        (lambda: formats.flat_to_channel(torch.ones(6, 2, 4, 4), 2), "flat: expected shape (B * C, 1, N, N), found"),
        (lambda: formats.flat_to_channel(torch.ones(6, 1, 4, 5), 2), "flat: expected shape (B * C, 1, N, N), found"),
        (lambda: formats.flat_to_channel(torch.ones(6, 1, 4, 4, 1), 2), "flat: expected shape (B * C, 1, N, N), foun"),
        (lambda: formats.flat_to_channel(torch.ones(6, 1, 4, 4), 4), "flat: expected a multiple of C = 4 patches, fou"),
        (lambda: formats.flat_to_channel(torch.ones(6, 1, 4, 4), 0), "flat: expected a multiple of C = 0 patches"),
        (lambda: formats.positions_to_flat(torch.ones(3, 4, 1, 2)), "positions: expected shape (B, 1, 2, C), found"),
        (lambda: formats.canvas_side(16, 15), "expected a canvas of at least the patch's side N = 16, found 15"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(convert: Callable[[], torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        convert()


def test_recorded_vectors(external_data: Path) -> None:
    for record in records(external_data, "formats*.h5"):
        flat, grid = record.inputs["flat"], record.outputs["grid"]
        channel = formats_to_channel(grid=grid, flat=flat)
        assert_close(record, "channel", channel["channel_of_grid"], record.outputs["channel"], 0)
        assert_close(record, "channel from flat", channel["channel_of_flat"], record.outputs["channel_from_flat"], 0)
        positions = np.zeros((len(grid), 1, 2, channel["channel_of_grid"].shape[-1]), np.float32)
        back = formats_from_channel(channel=record.outputs["channel"], positions=positions)
        assert_close(record, "flat from channel", back["flat"], record.outputs["flat_from_channel"], 0)
        assert_close(record, "grid", back["grid"], grid, 0)
        settings = (int(record.attributes["N"]), int(record.attributes["gridsize"]), 4)
        assert formats.big_size(*settings) == record.outputs["bigN"], record.name
        assert formats.padded_size(*settings, 10) == record.outputs["padded_size"], record.name
