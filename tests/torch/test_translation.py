"""The translation: its direction, its edges, and its gradients."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.operators.translation import translate
from tests.torch.subject.coordinates import coordinates_translate
from tests.vectors import assert_close, records


def test_whole_pixels_are_copied_exactly() -> None:
    """Every displacement by whole pixels, until the image is empty and beyond."""
    image = torch.arange(1, 57, dtype=torch.float32).reshape(7, 8)
    wide = np.pad(image.numpy(), 10)
    moves = [(dx, dy) for dx in range(-9, 10) for dy in range(-9, 10)]
    moved = translate(image.expand(len(moves), 1, 7, 8), torch.tensor(moves, dtype=torch.float32))
    for found, (dx, dy) in zip(moved[:, 0], moves):
        np.testing.assert_array_equal(found, wide[10 - dy : 17 - dy, 10 - dx : 18 - dx], err_msg=f"{dx, dy}")


def test_gradients() -> None:
    images = torch.randn(2, 1, 3, 4, dtype=torch.complex128, requires_grad=True)
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
        found = coordinates_translate(images=images, displacements=moves)
        assert_close(record, "moved", found["moved"], record.outputs["out"], 1e-5)
