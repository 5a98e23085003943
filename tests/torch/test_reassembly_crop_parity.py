"""Parity task 4: the central crop, the placement, and the overlap normalisation of the stitched mosaic."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from golden.ptychopinn.reassembly.cases import cut_patches
from ptycho_torch.config_params import DataConfig, ModelConfig
from ptycho_torch.helper import reassemble_patches_position_real
from ptycho_torch.operators import reassembly
from ptycho_torch.operators.reassembly import overlap_ratio, shift_and_sum
from tests.torch.subject.reassembly import reassembly_position
from tests.vectors import assert_close, records


@pytest.mark.golden("reassembly.position")
def test_position_reassembly(golden):
    golden.check_subject()


@pytest.mark.golden("reassembly.scan_mosaic")
def test_scan_mosaic(golden):
    golden.check_subject()


def random_scan(groups: int, members: int, N: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(groups * 100 + members)
    patches = torch.randn(groups, members, N, N, dtype=torch.complex64, generator=generator)
    return patches, torch.rand(groups, members, 1, 2, dtype=torch.float64, generator=generator) * 20 - 7


def reassemble(patches: torch.Tensor, offsets: torch.Tensor, M: int = 8):
    N = patches.shape[-1]
    return reassemble_patches_position_real(patches, offsets, DataConfig(N=N), ModelConfig(), M=M)


def test_each_batch_entry_is_its_own_canvas() -> None:
    """Alone or in a batch, an entry gives the same mosaic, except for the margin that the common side adds."""
    patches, offsets = random_scan(3, 5)
    images, masks, side = reassemble(patches, offsets)
    for b in range(3):
        image, mask, own = reassemble(patches[b : b + 1], offsets[b : b + 1])
        margin = (side - own) // 2
        inner = slice(margin, side - margin)
        np.testing.assert_allclose(images[b, inner, inner], image[0], rtol=1e-5, atol=1e-5)
        assert torch.equal(masks[b, inner, inner], mask[0])
        assert not masks[b, :margin].any()


def test_more_patches_than_one_block() -> None:
    """Blocks do not affect the result: a scan of 700 patches is the sum of its halves in one frame."""
    patches, offsets = random_scan(1, 700)
    half, mirrored = offsets[:, :350], offsets[:, :350].mean(dim=1, keepdim=True) * 2 - offsets[:, :350]
    offsets = torch.cat([half, mirrored], dim=1)  # so that each half has the mean of the whole
    total, count = shift_and_sum(patches, offsets, 8)
    parts = [shift_and_sum(patches[:, s], offsets[:, s], 8) for s in (slice(350), slice(350, None))]
    np.testing.assert_allclose(total, parts[0][0] + parts[1][0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(count, parts[0][1] + parts[1][1], rtol=1e-5, atol=1e-5)


def test_offsets_in_single_precision_are_taken_as_they_are() -> None:
    """Also far from the origin, where their mean has no fractional part in that precision."""
    patches, offsets = random_scan(1, 5)
    far = (offsets + 3e6).float()
    for found, expected in zip(shift_and_sum(patches, far, 8), shift_and_sum(patches, far.double(), 8)):
        assert torch.equal(found, expected)


def test_the_largest_canvas_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    patches, offsets = random_scan(1, 5)
    side = len(shift_and_sum(patches, offsets, 8)[0][0])
    monkeypatch.setattr(reassembly, "LARGEST_SIDE", side)
    assert len(shift_and_sum(patches, offsets, 8)[0][0]) == side
    with pytest.raises(ValueError, match=f"at most {side} pixels a side, found {side + 2}"):
        shift_and_sum(patches, offsets, 10)


def test_the_divisor_of_the_overlap_ratio() -> None:
    one, two = torch.ones(1, dtype=torch.complex128), torch.tensor([0.0, 2.0], dtype=torch.float64)
    np.testing.assert_allclose(overlap_ratio(one, two), [1e9, 1 / (2 + 1e-9)], rtol=1e-15)


def test_count_is_that_of_ones() -> None:
    patches, offsets = random_scan(2, 6)
    total, count = shift_and_sum(torch.ones_like(patches), offsets, 8)
    np.testing.assert_allclose(count, total.real, rtol=1e-5, atol=1e-5)


def test_gradients() -> None:
    patches, offsets = random_scan(2, 2, N=4)
    patches = patches.to(torch.complex128).requires_grad_()
    offsets.requires_grad_()

    def mosaic(patches: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        # The ratio is not smooth where the count vanishes; the sum and the count are.
        total, count = shift_and_sum(patches, offsets / 4, 2)
        return torch.stack([total, overlap_ratio(total, count + 1)])

    assert torch.autograd.gradcheck(mosaic, (patches, offsets))


@pytest.mark.parametrize(
    ("patches", "offsets", "M", "message"),
    [
        ((1, 4, 16, 16), (1, 4, 1, 2), 7, "M: expected an even crop between 2 and N = 16, found 7"),
        ((1, 4, 16, 16), (1, 4, 1, 2), 18, "M: expected an even crop between 2 and N = 16, found 18"),
        ((1, 4, 16, 16), (4, 1, 1, 2), 8, "offsets: expected shape (1, 4, 1, 2) to go with these patches"),
        ((4, 16, 16), (4, 1, 2), 8, "patches: expected shape (B, C, N, N)"),
        ((1, 0, 16, 16), (1, 0, 1, 2), 8, "none of them 0"),
        ((1, 4, 16, 14), (1, 4, 1, 2), 8, "patches: expected shape (B, C, N, N), none of them 0, found (1, 4, 16, 14)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    patches: tuple[int, ...], offsets: tuple[int, ...], M: int, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        reassemble(torch.ones(patches, dtype=torch.complex64), torch.zeros(offsets), M)


def test_values_that_do_not_fit_are_refused() -> None:
    patches, offsets = random_scan(1, 4)
    with pytest.raises(ValueError, match="expected finite numbers"):
        reassemble(patches, torch.full_like(offsets, torch.nan))
    with pytest.raises(ValueError, match=r"expected a complex dtype, .* found torch\.float32"):
        reassemble(patches.real, offsets)
    with pytest.raises(ValueError, match=re.escape("expected side N = 64 (data_config), found 16")):
        reassemble_patches_position_real(patches, offsets, DataConfig(N=64), ModelConfig(), M=8)


def test_units_and_types_that_do_not_fit_are_refused() -> None:
    patches, offsets = random_scan(1, 4)
    with pytest.raises(ValueError, match="Offsets are in pixels, not in metres"):
        reassemble(patches, offsets * 1e9)
    with pytest.raises(TypeError, match=re.escape("offsets: expected a torch.Tensor, found ndarray")):
        reassemble(patches, offsets.numpy())
    with pytest.raises(TypeError, match=re.escape("patches: expected a torch.Tensor, found ndarray")):
        reassemble(patches.numpy(), offsets)


def test_double_precision_stays_double() -> None:
    patches, offsets = random_scan(1, 4)
    image, _, _ = reassemble(patches.to(torch.complex128), offsets)
    assert image.dtype == torch.complex128


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_it_waits_for_the_device_once() -> None:
    patches, offsets = random_scan(2, 300)
    expected = shift_and_sum(patches, offsets, 8)
    there = patches.cuda(), offsets.cuda()
    shift_and_sum(*there, 8)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchroniz") as caught:
            found = shift_and_sum(*there, 8)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(caught) == 1
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a.cpu(), b, rtol=1e-4, atol=1e-4)


def test_recorded_vectors(external_data: Path) -> None:
    for record in records(external_data, "reassembly_*.h5"):
        found = reassembly_position(**record.inputs, M=int(record.attributes["M"]))
        assert found["canvas_side"] == record.attributes["canvas"], record.name
        assert_close(record, "shift_and_sum", found["shift_and_sum"], record.outputs["shift_and_sum"], 1e-4)
        assert_close(record, "count", found["count"], record.outputs["count"], 1e-4)
        covered = record.outputs["count"] > 0.01
        assert_close(record, "mosaic", found["mosaic"], record.outputs["reassembled"], 1e-4, covered)


def test_recorded_round_trip(external_data: Path) -> None:
    """A known object, cut at the recorded positions and stitched, gives the recorded mosaic."""
    for record in records(external_data, "roundtrip*.h5"):
        N, M = 64, 20
        object_, positions = np.pad(record.inputs["object"], N // 2 + 1), record.inputs["positions"]
        cut = cut_patches({"object": object_, "positions": positions + N // 2 + 1}, {"N": N})
        found = reassembly_position(**cut, offsets=positions, M=M)
        covered = record.outputs["count"] > 0.01
        assert_close(record, "mosaic", found["mosaic"], record.outputs["mosaic"], 1e-4, covered)
