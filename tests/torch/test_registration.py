"""Registration and image quality, compared with numbers that are computed in another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ptycho_torch.checks.image_quality import assess, fourier_ring_correlation
from ptycho_torch.checks.registration import ORIENTATIONS, correlation, register, turned, turned_back, window_at


def waves(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return sixty plane waves: an object without symmetry, whose values between pixels are known too."""
    random = np.random.RandomState(4)
    image = np.zeros(np.broadcast_shapes(rows.shape, columns.shape), complex)
    for ky, kx, phase in random.rand(60, 3) * (0.9, 0.9, 6.28) - (0.45, 0.45, 0):
        image += np.exp(1j * (ky * rows + kx * columns + phase))
    return image


ROWS, COLUMNS = np.ogrid[:70, :90]
KNOWN = waves(ROWS, COLUMNS)
SIDE = 48
DISK = np.hypot(*(np.mgrid[:SIDE, :SIDE] - 23.0)) < 22
DISK[:10, 30:] = False


def window(row: float, column: float) -> np.ndarray:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return waves(rows + row, columns + column)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(("row", "column"), [(11.0, 20.0), (9.3, 17.75)])
def test_orientation_and_place_are_found(orientation: str, row: float, column: float) -> None:
    mosaic = turned(np.where(DISK, 0.2 * np.exp(1j) * window(row, column), 0), orientation)
    found = register(KNOWN, mosaic, turned(DISK, orientation), np.array([16.0, 10.0]))
    assert found.orientation == orientation
    assert not found.conjugated
    assert found.shift == pytest.approx((column - 16, row - 10), abs=0.02)
    assert found.correlation > 0.999
    assert max(score for name, score in found.scores.items() if name != orientation) < 0.7
    assert found.in_place < 0.9, "four pixels away is not in place"


def test_a_complex_conjugate_is_found() -> None:
    found = register(KNOWN, window(11, 20).conj(), DISK, np.array([20.0, 11.0]))
    assert (found.orientation, found.conjugated) == ("upright", True)
    assert found.shift == pytest.approx((0, 0), abs=0.02)


def test_upright_and_in_place() -> None:
    found = register(KNOWN, window(11, 20), DISK, np.array([20.0, 11.0]))
    assert found.in_place == pytest.approx(1, abs=1e-4)


def test_a_mosaic_larger_than_the_object() -> None:
    """Pixels beyond the object do not count."""
    around = np.zeros((110, 110), complex)
    around[20:90, 10:100] = KNOWN
    found = register(KNOWN, around, np.ones(around.shape, bool), np.array([-10.0, -20.0]))
    assert found.orientation == "upright"
    assert found.shift == pytest.approx((0, 0), abs=0.05)


def test_a_mosaic_that_is_not_square_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mosaic: expected a square, found shape \(3, 4\)"):
        register(KNOWN, np.ones((3, 4), complex), np.ones((3, 4), bool), np.zeros(2))


def test_mosaics_that_show_nothing() -> None:
    with pytest.raises(ValueError, match="expected covered pixels, found none"):
        register(KNOWN, window(0, 0), np.zeros_like(DISK), np.zeros(2))
    flat = register(KNOWN, np.ones((SIDE, SIDE), complex), DISK, np.array([20.0, 11.0]))
    assert flat.in_place == 0
    assert max(flat.scores.values()) < 0.05
    assert correlation(KNOWN, KNOWN, np.zeros(KNOWN.shape, bool)) == 0


def test_every_orientation_is_undone() -> None:
    image = np.arange(12).reshape(3, 4)
    for name in ORIENTATIONS:
        np.testing.assert_array_equal(turned_back(turned(image, name), name), image)
    assert len({turned(image, name).tobytes() for name in ORIENTATIONS}) == 8


def test_windows_between_pixels() -> None:
    found, covered = window_at(KNOWN, (10.4, 20.7), (SIDE, SIDE))
    assert covered.all()
    np.testing.assert_allclose(found, window(10.4, 20.7), atol=2e-2 * np.abs(KNOWN).max())
    beyond, covered = window_at(KNOWN, (-3.5, 60.0), (SIDE, SIDE))
    assert not covered[:4].any()
    assert covered[4:, :30].all()
    assert not covered[:, 30:].any()
    assert not beyond[~covered].any()


@pytest.mark.parametrize("place", [(3.2, 5.7), (20.0, 0.25), (-10.5, 60.0), (-200.3, 4.0)])
def test_windows_are_those_of_scipy(place: tuple[float, float]) -> None:
    shape = 30, SIDE
    found, covered = window_at(KNOWN, place, shape)
    expected = ndimage.affine_transform(KNOWN, np.eye(2), place, shape, mode="mirror")
    np.testing.assert_allclose(found[covered], expected[covered], atol=1e-12 * np.abs(KNOWN).max())


# ------------------------------------------------------------------------------------------------ quality

OBJECT = 3 + 0.05 * window(5, 5)
EVERYWHERE = np.ones(OBJECT.shape, bool)


def test_equal_images() -> None:
    found = assess(0.5j * OBJECT, OBJECT, DISK)
    assert found.scale == pytest.approx(-2j)
    assert found.amplitude_error == pytest.approx(0, abs=1e-9)
    assert found.phase_error == pytest.approx(0, abs=1e-9)
    assert found.amplitude_ssim == pytest.approx(1)
    assert found.phase_ssim == pytest.approx(1)
    np.testing.assert_allclose(found.ring_correlation, 1)
    assert found.resolution == pytest.approx(1, abs=0.05)


def test_errors_of_amplitude_and_phase_are_apart() -> None:
    """Half of the pixels 10 % brighter and half darker: rms 10 %. Half ahead by 0.2 rad and half behind: rms 0.2."""
    sign = np.where(np.indices(OBJECT.shape).sum(axis=0) % 2, 1, -1)
    flat = np.full_like(OBJECT, 2)
    brighter = assess((1 + 0.1 * sign) * flat, flat, EVERYWHERE)
    # After the best common scale, 1 / (1 + 0.1²): sqrt(1 - 1 / 1.01).
    assert brighter.amplitude_error == pytest.approx((1 - 1 / 1.01) ** 0.5)
    assert brighter.phase_error == pytest.approx(0, abs=1e-9)
    ahead = assess(np.exp(0.2j * sign) * flat, flat, EVERYWHERE)
    assert ahead.phase_error == pytest.approx(0.2)
    assert ahead.amplitude_error == pytest.approx(0, abs=1e-9)


def test_a_ramp_is_reported_and_not_removed() -> None:
    rows, columns = np.indices(OBJECT.shape)
    found = assess(OBJECT * np.exp(1j * (0.03 * columns - 0.02 * rows)), OBJECT, EVERYWHERE)
    assert found.ramp == pytest.approx((0.03, -0.02), abs=1e-6)
    assert found.phase_error == pytest.approx(np.sqrt((0.03**2 + 0.02**2) * (SIDE**2 - 1) / 12), rel=1e-3)
    assert found.phase_error_without_ramp == pytest.approx(0, abs=1e-6)


def test_pixels_outside_the_mask_do_not_count() -> None:
    spoiled = np.where(DISK, OBJECT, 100j)
    for one, other in ((spoiled, OBJECT), (OBJECT, spoiled)):
        assert assess(one, other, DISK).amplitude_error == pytest.approx(0, abs=1e-9)
    assert assess(spoiled, OBJECT, DISK).amplitude_ssim == pytest.approx(1)
    with pytest.raises(ValueError, match="expected covered pixels with values other than 0, found none"):
        assess(OBJECT, OBJECT, ~EVERYWHERE)


def test_ring_correlation_ends_where_the_signal_does() -> None:
    """With noise of the signal's power it is 1 / sqrt(2) in every ring; where noise replaces the signal, near 0."""
    random = np.random.RandomState(0)
    side = 128
    signal, noise, other = (random.standard_normal((3, side, side)) + 1j * random.standard_normal((3, side, side)))[:]
    frequencies, rings = fourier_ring_correlation(signal, signal + noise)
    assert frequencies[0] == pytest.approx(1 / side)
    assert frequencies[-1] == pytest.approx(0.5)
    assert rings[20:].mean() == pytest.approx(2**-0.5, abs=0.03)
    low = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side),) * 2)) < 0.2
    half = np.fft.ifft2(np.where(low, np.fft.fft2(signal), np.fft.fft2(other)))
    found = assess(half, signal, np.ones(half.shape, bool))
    assert found.resolution == pytest.approx(1 / 0.4, abs=0.1)
    sloping = assess(half + 2 * np.linspace(-1, 1, side), signal, np.ones(half.shape, bool))
    assert sloping.ring_correlation[1] < 0.5, "a slope is at the innermost frequencies only"
    assert sloping.resolution == pytest.approx(1 / 0.4, abs=0.1)
