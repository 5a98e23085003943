"""The translation: which way, what happens at the edges, real and imaginary part apart."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptycho_torch.translation import translate
from tests.torch import layouts
from tests.vectors import assert_close, records


@pytest.mark.golden("coordinates.translate")
def test_translate(golden):
    golden.check(layouts.coordinates_translate(**golden.inputs))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(dx=st.integers(-9, 9), dy=st.integers(-9, 9))
def test_whole_pixels_are_copied_exactly(dx: int, dy: int) -> None:
    image = torch.arange(1, 57, dtype=torch.float32).reshape(1, 1, 7, 8)
    moved = translate(image, torch.tensor([[dx, dy]], dtype=torch.float32))
    for row in range(7):
        for column in range(8):
            r, c = row - dy, column - dx
            expected = image[0, 0, r, c] if 0 <= r < 7 and 0 <= c < 8 else 0
            assert moved[0, 0, row, column] == expected


def test_gradients() -> None:
    images = torch.randn(2, 2, 5, 6, dtype=torch.complex128, requires_grad=True)
    moves = torch.tensor([[0.3, -1.6], [2.2, 0.7]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(translate, (images, moves))


def test_far_beyond_the_image_is_empty() -> None:
    moved = translate(torch.ones(2, 1, 3, 3), torch.tensor([[1e30, 0], [0, -1e30]]))
    assert not moved.any()


def test_too_few_displacements_are_an_error() -> None:
    with pytest.raises(ValueError, match=re.escape("displacements: expected shape (4, 2), found (2, 2)")):
        translate(torch.ones(4, 1, 3, 3), torch.zeros(2, 2))
    with pytest.raises(ValueError, match=re.escape("images: expected shape (B, C, H, W)")):
        translate(torch.ones(3, 3), torch.zeros(1, 2))


def test_recorded_vectors(external_data: Path) -> None:
    for record in records(external_data, "translate*.h5"):
        images, moves = record.inputs["images"], record.inputs["t"]
        # The recorded code repeats displacements modulo their number; ours takes one per image.
        moves = moves[np.arange(len(images)) % len(moves)]
        found = layouts.coordinates_translate(images=images, displacements=moves)
        assert_close(record, "moved", found["moved"], record.outputs["out"], 1e-5)
