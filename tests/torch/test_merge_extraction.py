"""The overlap constraint: merging on the padded canvas, its norm, and the extraction that reverses the placement."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.operators.merge import extract_patches, merge_patches, sum_and_norm, trim
from tests.torch.subject.merge import merge_extract, merge_merge
from tests.vectors import assert_close, records


def random_groups(groups: int, members: int, N: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Return patches, and positions with zero mean in every group."""
    generator = torch.Generator().manual_seed(groups * 100 + members)
    patches = torch.randn(groups, members, N, N, dtype=torch.complex64, generator=generator)
    positions = torch.rand(groups, 1, 2, members, generator=generator) * 6
    return patches, positions - positions.mean(dim=3, keepdim=True)


def test_levels_of_one_patch() -> None:
    """A patch of ones becomes 1 / 1.001 where it is counted, 1000 where it is not, and 0 outside."""
    merged = merge_patches(torch.ones(1, 1, 64, 64, dtype=torch.complex64), torch.zeros(1, 1, 2, 1), 74)[0].real
    expected = torch.zeros(74, 74)
    expected[5:69, 5:69] = 1000
    expected[21:53, 21:53] = 1 / 1.001
    np.testing.assert_allclose(merged, expected, rtol=1e-6)


@pytest.mark.parametrize(("groups", "members"), [(16, 4), (64, 1), (63, 1), (100, 9)])
def test_groups_stay_apart_whatever_the_size_of_the_batch(groups: int, members: int) -> None:
    """From 64 patches on, TensorFlow makes one canvas of all groups."""
    patches, positions = random_groups(groups, members, 8)
    assert merge_patches(patches, positions, 16).shape == (groups, 16, 16)
    together = sum_and_norm(patches, positions, 16)
    for b in (0, groups // 2, groups - 1):
        alone = sum_and_norm(patches[b : b + 1], positions[b : b + 1], 16)
        for found, expected in zip(together, alone):
            np.testing.assert_allclose(found[b], expected[0], atol=2e-5)


@pytest.mark.parametrize(("N", "first", "last"), [(16, 4, 11), (17, 4, 11), (18, 4, 12), (19, 4, 12)])
def test_the_centre_that_is_counted_has_half_the_side(N: int, first: int, last: int) -> None:
    _, norm = sum_and_norm(torch.ones(1, 1, N, N, dtype=torch.complex64), torch.zeros(1, 1, 2, 1), N)
    counted = np.zeros((N, N), np.float32)
    counted[first : last + 1, first : last + 1] = 1
    np.testing.assert_allclose(norm[0], counted + np.float32(1e-3))


def test_extraction_is_the_inverse_of_the_placement() -> None:
    """With one patch per group, at whole pixels, extraction returns the patch, divided by 1.001 in the centre."""
    patches, _ = random_groups(2, 1)
    positions = torch.tensor([[2.0, -3.0], [-2.0, 3.0]]).reshape(2, 1, 2, 1)
    back = extract_patches(merge_patches(patches, positions, 26), positions, 16)
    np.testing.assert_allclose(back[..., 4:12, 4:12] * 1.001, patches[..., 4:12, 4:12], rtol=1e-5)
    np.testing.assert_allclose(back[..., 0, :] / 1000, patches[..., 0, :], rtol=1e-5)


def test_without_margin_the_whole_canvas_is_the_patch() -> None:
    """TensorFlow trims an empty array there."""
    patches, positions = random_groups(2, 4)
    assert extract_patches(merge_patches(patches, positions, 17), positions, 16).shape == (2, 4, 16, 16)
    assert torch.equal(trim(patches, 16), patches)
    assert torch.equal(trim(patches[..., 1:, 1:], 1), patches[..., 8:9, 8:9])


def test_gradients() -> None:
    patches, positions = random_groups(2, 4, N=4)
    patches = patches.to(torch.complex128).requires_grad_()
    positions = (positions.double() / 4).requires_grad_()

    def around(patches: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        # The true ratio of sum and norm is a thousand times too steep at the border for finite differences.
        total, norm = sum_and_norm(patches, positions, 8)
        return extract_patches(total / (norm + 1), positions, 4)

    assert torch.autograd.gradcheck(around, (patches, positions), fast_mode=True)


def test_double_precision_stays_double() -> None:
    patches, positions = random_groups(2, 4)
    merged = merge_patches(patches.to(torch.complex128), positions, 26)
    assert merged.dtype == torch.complex128
    assert extract_patches(merged, positions, 16).dtype == torch.complex128


@pytest.mark.parametrize(
    ("patches", "positions", "padded", "message"),
    [
        (
            (2, 4, 16, 15),
            (2, 1, 2, 4),
            26,
            "patches: expected shape (B, C, N, N), none of them 0, found (2, 4, 16, 15)",
        ),
        ((0, 4, 16, 16), (0, 1, 2, 4), 26, "none of them 0"),
        (
            (2, 4, 16, 16),
            (2, 4, 1, 2),
            26,
            "positions: expected shape (2, 1, 2, 4), one [x, y] per patch, found (2, 4,",
        ),
        ((2, 4, 16, 16), (1, 1, 2, 4), 26, "positions: expected shape (2, 1, 2, 4)"),
        ((2, 4, 16, 16), (2, 1, 2, 4), 15, "padded: expected a canvas of at least the patch's side N = 16, found 15"),
    ],
)
def test_shapes_that_do_not_fit_the_merge_are_refused(
    patches: tuple[int, ...], positions: tuple[int, ...], padded: int, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        merge_patches(torch.ones(patches, dtype=torch.complex64), torch.zeros(positions), padded)


@pytest.mark.parametrize(
    ("canvas", "positions", "N", "message"),
    [
        ((2, 26, 25), (2, 1, 2, 4), 16, "canvas: expected shape (B, P, P), none of them 0, found (2, 26, 25)"),
        ((2, 26, 26), (3, 1, 2, 4), 16, "positions: expected shape (2, 1, 2, 4)"),
        ((2, 26, 26), (2, 1, 2, 0), 16, "one [x, y] per patch, found (2, 1, 2, 0)"),
        ((2, 26, 26), (2, 1, 2, 4), 28, "in the centre of a canvas of 26 pixels (P - N even), found 28"),
        ((2, 26, 26), (2, 1, 2, 4), 0, "in the centre of a canvas of 26 pixels (P - N even), found 0"),
        ((2, 26, 26), (2, 1, 2, 4), 15, "in the centre of a canvas of 26 pixels (P - N even), found 15"),
    ],
)
def test_shapes_that_do_not_fit_the_extraction_are_refused(
    canvas: tuple[int, ...], positions: tuple[int, ...], N: int, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        extract_patches(torch.ones(canvas, dtype=torch.complex64), torch.zeros(positions), N)


def test_dtypes_that_do_not_fit_are_refused() -> None:
    patches, positions = random_groups(2, 4)
    with pytest.raises(ValueError, match=r"patches: expected a complex dtype, .* found torch\.float32"):
        merge_patches(patches.real, positions, 26)
    with pytest.raises(ValueError, match=r"positions: expected a floating-point dtype, found torch\.int64"):
        merge_patches(patches, positions.long(), 26)
    with pytest.raises(ValueError, match=r"canvas: expected a complex dtype, .* found torch\.float32"):
        extract_patches(patches[:, 0].real, positions, 8)
    with pytest.raises(ValueError, match="expected one device, found positions on meta, images on cpu"):
        merge_patches(patches, positions.to("meta"), 26)


def test_recorded_merges(external_data: Path) -> None:
    for record in records(external_data, "merge_extract_*.h5"):
        relative = record.inputs["coords_relative"]
        found = merge_merge(
            patches=record.inputs["patches"],
            coords_relative=relative,
            padded_size=int(record.attributes["padded_size"]),
        )
        norm, merged = record.outputs["count_plus_eps"], record.outputs["merged"]
        assert_close(record, "norm", found["norm"], norm, 1e-5)
        if "sum_real" in record.outputs:
            assert_close(record, "sum", found["sum"].real, record.outputs["sum_real"], 1e-5)
        # Each region by its own scale.
        for name, region in (("merged_centre", norm > 0.5), ("merged_border", norm < 1.0005e-3)):
            assert_close(record, name, np.where(region, found[name], 0), np.where(region, merged, 0), 1e-4)
        extracted = merge_extract(canvas=merged, coords_relative=relative, N=int(record.attributes["N"]))
        assert_close(record, "extracted", extracted["patches"], record.outputs["extracted"], 1e-5)


def test_recorded_extractions(external_data: Path) -> None:
    for record in records(external_data, "extract.h5"):
        found = merge_extract(
            canvas=record.inputs["canvas"], coords_relative=record.inputs["offsets"], N=int(record.attributes["N"])
        )
        assert_close(record, "patches", found["patches"], record.outputs["patches"], 1e-5)
