"""Measure how well a mosaic shows a known object: errors, Fourier ring correlation, SSIM.

Ptychography does not measure a global phase, or a global scale unless that of the probe is known. So both are removed
before the comparison. It does measure a phase ramp, which would move every pattern on the detector. So the ramp is not
removed but reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import ndimage

RESOLVED = 0.5
"""A frequency is resolved if its Fourier ring correlation with a known object is above this."""
_INNERMOST = 2
"""Number of rings within the main lobe of a Hann window, into which the remaining mean leaks."""
_WINDOW = 7
"""Side of the window of SSIM, pixels."""


@dataclass(frozen=True, eq=False)
class Quality:
    """Measures of how well a mosaic shows a known object.

    Attributes:
        scale: complex factor that brings the mosaic nearest to the object.
        amplitude_error: root mean square difference of the amplitudes, the mosaic's scaled to the object's, divided by
            the object's root mean square amplitude.
        phase_error: root mean square difference of the phases, radians, without the global phase.
        phase_error_without_ramp: the same after the best-fitting ramp is also removed.
        ramp: [x, y], radians per pixel, of the mosaic's phase relative to the object's.
        amplitude_ssim: structural similarity of the amplitudes, 1 for equal images.
        phase_ssim: structural similarity of the phases; their range is a full turn.
        frequencies: (R,), cycles per pixel.
        ring_correlation: (R,), Fourier ring correlation at these, in the largest covered square.
        resolution: half a period, pixels, of the first frequency whose ring correlation is below ``RESOLVED``, or of
            the highest frequency if none is. Infinite if that is the lowest frequency, so that nothing is resolved. NaN
            if the covered square is too small.
        square: side of that square, pixels.
    """

    scale: complex
    amplitude_error: float
    phase_error: float
    phase_error_without_ramp: float
    ramp: tuple[float, float]
    amplitude_ssim: float
    phase_ssim: float
    frequencies: Float[np.ndarray, " R"]
    ring_correlation: Float[np.ndarray, " R"]
    resolution: float
    square: int


def assess(
    mosaic: Complex[np.ndarray, "S S"], known: Complex[np.ndarray, "S S"], mask: Bool[np.ndarray, "S S"]
) -> Quality:
    """Compare a mosaic with the known object.

    Args:
        mosaic: (S, S) complex.
        known: (S, S) complex, the object in the mosaic's frame.
        mask: (S, S) bool, true where both are meaningful.

    Raises:
        ValueError: the mask is empty, or the mosaic is 0 wherever the mask is true.
    """
    if not mask.any() or not np.abs(mosaic[mask]).max() > 0:
        raise ValueError("mosaic: expected covered pixels with values other than 0, found none")
    scale = complex(np.vdot(mosaic[mask], known[mask]) / np.vdot(mosaic[mask], mosaic[mask]).real)
    if scale == 0:
        scale = 1.0 + 0j
    amplitude, expected = np.abs(mosaic), np.abs(known)
    level = float(amplitude[mask] @ expected[mask] / (amplitude[mask] @ amplitude[mask]))
    rms = float(np.sqrt(np.mean(expected[mask] ** 2)))
    relative = mosaic * known.conj()
    ramp = _ramp(relative, mask)
    rows, columns = np.indices(mosaic.shape)
    levelled = relative * np.exp(-1j * (ramp[0] * columns + ramp[1] * rows))
    aligned = mosaic * (scale / abs(scale))
    square = _covered_square(mask)
    frequencies, rings = fourier_ring_correlation(mosaic[square], known[square])
    return Quality(
        scale=scale,
        amplitude_error=float(np.sqrt(np.mean((level * amplitude - expected)[mask] ** 2))) / rms,
        phase_error=_phase_error(relative, mask),
        phase_error_without_ramp=_phase_error(levelled, mask),
        ramp=ramp,
        amplitude_ssim=_ssim(level * amplitude, expected, mask, float(np.ptp(expected[mask]))),
        phase_ssim=_phase_ssim(aligned, known, mask),
        frequencies=frequencies,
        ring_correlation=rings,
        resolution=_resolution(frequencies, rings),
        square=square[0].stop - square[0].start,
    )


def fourier_ring_correlation(
    one: Complex[np.ndarray, "s s"], other: Complex[np.ndarray, "s s"]
) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Correlate two images in rings of equal frequency, one sample wide, from the first to the Nyquist frequency.

    The mean of each is subtracted, and a Hann window is applied: jumps from edge to edge would add to every frequency.
    The result is a modulus, so a global phase has no effect.

    Args:
        one: (s, s) complex.
        other: (s, s) complex.

    Returns:
        Frequencies (s // 2,), cycles per pixel, and the correlation at each, 0..1; float64.
    """
    side = len(one)
    window = np.outer(np.hanning(side), np.hanning(side)) if side > 2 else np.ones((side, side))
    a, b = (np.fft.fft2((image - image.mean()) * window) for image in (one, other))
    distance = np.rint(np.hypot(*np.meshgrid(*(np.fft.fftfreq(side, 1 / side),) * 2))).astype(int)
    rings = np.arange(1, side // 2 + 1)

    def total(values: np.ndarray) -> np.ndarray:
        return np.asarray(ndimage.sum_labels(values, distance, rings))

    crossed = a * b.conj()
    norm = np.sqrt(total(np.abs(a) ** 2) * total(np.abs(b) ** 2))
    together = np.hypot(total(crossed.real), total(crossed.imag))
    return rings / max(side, 1), np.divide(together, norm, out=np.zeros_like(norm), where=norm > 0)


# ------------------------------------------------------------------------------------------------ parts


def _resolution(frequencies: np.ndarray, rings: np.ndarray) -> float:
    """Return half the period at which rings first fall below ``RESOLVED``; infinity if the first one is below.

    The innermost rings are ignored.
    """
    frequencies, rings = frequencies[_INNERMOST:], rings[_INNERMOST:]
    if not len(rings):
        return float("nan")
    below = np.flatnonzero(rings < RESOLVED)
    if len(below) and below[0] == 0:
        return float("inf")
    return float(1 / (2 * frequencies[below[0] if len(below) else -1]))


def _phase_error(relative: np.ndarray, mask: np.ndarray) -> float:
    """Return the root mean square phase of ``mosaic * conj(known)`` about its mean direction, radians."""
    values = relative[mask]
    return float(np.sqrt(np.mean(np.angle(values * np.conj(values.sum())) ** 2)))


def _ramp(relative: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Fit the ramp to the differences of neighbours, which cannot wrap around."""
    along_x = (relative[:, 1:] * relative[:, :-1].conj())[mask[:, 1:] & mask[:, :-1]].sum()
    along_y = (relative[1:] * relative[:-1].conj())[mask[1:] & mask[:-1]].sum()
    return float(np.angle(along_x)), float(np.angle(along_y))


def _covered_square(mask: np.ndarray) -> tuple[slice, slice]:
    """Return the largest square of odd side within the mask."""
    reach = ndimage.distance_transform_cdt(np.pad(mask, 1), "chessboard")[1:-1, 1:-1]
    row, column = np.unravel_index(np.argmax(reach), reach.shape)
    around = int(reach[row, column])
    return slice(int(row) - around + 1, int(row) + around), slice(int(column) - around + 1, int(column) + around)


def _ssim(one: np.ndarray, other: np.ndarray, mask: np.ndarray, span: float) -> float:
    """Average SSIM over all windows within the mask; NaN if there are none, or if nothing varies."""
    from skimage.metrics import structural_similarity

    whole = ndimage.binary_erosion(mask, np.ones((_WINDOW, _WINDOW)))
    if not whole.any() or not span > 0:
        return float("nan")
    a, b = (np.where(mask, image, 0) for image in (one, other))
    _, similarity = structural_similarity(  # type: ignore[no-untyped-call]
        a, b, win_size=_WINDOW, data_range=span, full=True
    )
    return float(similarity[whole].mean())


def _phase_ssim(aligned: np.ndarray, known: np.ndarray, mask: np.ndarray) -> float:
    # Measure phases from the known object's mean phase, so that as few as possible wrap around.
    middle = np.exp(-1j * np.angle(known[mask].sum()))
    return _ssim(np.angle(aligned * middle), np.angle(known * middle), mask, 2 * np.pi)
