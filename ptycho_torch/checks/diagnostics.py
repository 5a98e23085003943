"""Check the results of an inference, and name the likely mistake.

The input is NumPy arrays, the output findings; ``ptycho_torch.pictures.diagnosis`` draws them. Expected values are
computed here from the scan's own positions and probe, not with the code that made the mosaic.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Complex, Float

from ptycho_torch.checks.image_quality import RESOLVED, Quality, assess
from ptycho_torch.checks.registration import (
    LEAST_GAIN,
    ORIENTATIONS,
    Registration,
    correlation,
    register,
    turned,
    turned_back,
    window_at,
)

Verdict = Literal["right", "wrong", "unclear", "unknown", "measured"]
DEFAULT_PHOTONS = 1e9
"""Default number of photons per pattern; the loss and the result of training depend on it."""
LEAST_FIT = 0.4
"""Smallest correlation in the best orientation for a verdict: barely trained networks reach 0.35."""
LEAST_MARGIN = 0.08
"""Smallest difference from the second best orientation for a verdict: barely trained networks reach 0.06."""
LEAST_AMPLITUDE_FIT = 0.8
"""``LEAST_FIT`` for amplitudes alone. These are positive and smooth, so they fit anything better: barely trained
networks reach 0.74."""
_TOLERANCE = 0.02
"""Relative difference up to which two numbers count as equal; wrong conventions differ by factors."""
LEAST_COVERED = 0.98
"""Smallest fraction of the mosaic that the known object must cover at the positions; below, their origins differ."""
LEAST_LIGHT = 0.9
"""Smallest fraction of the light that must fall onto the known object for its brightness to be judged."""
LEAST_PLACES = 8
"""Number of places without overlap that a mosaic must show before its orientation is called wrong. A single pattern is
explained equally well by the object's twin, turned by 180 degrees and conjugated; and a small mosaic fits a large
object somewhere by chance."""
_SAMPLE = 48
"""Number of patches that are compared with the object one by one."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The results of an inference of n groups that are to be checked.

    Attributes:
        positions: (n, 2), mean position of each group, [x, y], pixels, from the scan file.
        offsets: (n, 2), offsets with which the groups were stitched, pixels.
        patches: (n, N, N) complex, the network's output for each group.
        mosaic: (S, S) complex.
        count: (S, S), number of patches that cover a pixel, as counted by the stitcher.
        crop: M, side of the central part of a patch that is put into the mosaic, pixels.
        raw_probe: (N, N) complex, from the scan file.
        probe: (N, N) complex, by which the model multiplies.
        probe_scale: inverse of the required mean masked modulus of the normalised probe.
        intensity_scale: the model's factor from normalised amplitudes to square roots of counts.
        nphotons: configured number of photons per pattern, on average.
        measured: photons in the good pixels of all patterns, scaled as for the network.
        predicted: photons that the network expects in these pixels.
        known: (H, W) complex, the object; None if it is not known.
        good_share: (N, N), fraction of the patterns in which each pixel of the detector is good; None if all are.
        explained: fraction of the patterns' variance about their mean that the network explains; NaN if not known.
    """

    positions: Float[np.ndarray, "n 2"]
    offsets: Float[np.ndarray, "n 2"]
    patches: Complex[np.ndarray, "n N N"]
    mosaic: Complex[np.ndarray, "S S"]
    count: Float[np.ndarray, "S S"]
    crop: int
    raw_probe: Complex[np.ndarray, "N N"]
    probe: Complex[np.ndarray, "N N"]
    probe_scale: float
    intensity_scale: float
    nphotons: float
    measured: float
    predicted: float
    known: Complex[np.ndarray, "H W"] | None = None
    good_share: Float[np.ndarray, "N N"] | None = None
    explained: float = math.nan

    @property
    def mask(self) -> Bool[np.ndarray, "S S"]:
        """Return where the mosaic is meaningful: (S, S) bool, true where ``count`` exceeds 0.01."""
        return np.asarray(self.count > 0.01)


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: name of the check.
        verdict: ``right``; ``wrong``; ``unclear``, if the evidence does not decide; ``unknown``, if there is no
            evidence; ``measured``, if there is nothing to compare the value with.
        says: the result in words.
        numbers: the numbers behind it, by name.
        mistake: the likely mistake; empty unless the verdict is ``wrong`` or ``unclear``.
    """

    name: str
    verdict: Verdict
    says: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    mistake: str = ""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """All findings, and the comparison with the known object behind them.

    Attributes:
        findings: findings in the order of the computation: the first that is wrong explains later ones.
        registration: how the mosaic fits the known object; None if no object is known.
        quality: how well the mosaic shows the known object; None if no object is known.
        aligned: (S, S) complex, the known object in the mosaic's frame; None if no object is known.
    """

    findings: tuple[Finding, ...]
    registration: Registration | None = None
    quality: Quality | None = None
    aligned: Complex[np.ndarray, "S S"] | None = None

    @property
    def verdict(self) -> str:
        """Summarise the findings in one line."""
        wrong = [finding for finding in self.findings if finding.verdict == "wrong"]
        if wrong:
            also = ", ".join(finding.name for finding in wrong[1:])
            return f"wrong: {wrong[0].name}: {wrong[0].mistake}" + (f" (also wrong: {also})" if also else "")
        unclear, unknown = (
            ", ".join(finding.name for finding in self.findings if finding.verdict == verdict)
            for verdict in ("unclear", "unknown")
        )
        shown = [finding.verdict for finding in self.findings if finding.name in ("fit", "patches", "orientation")]
        if "unclear" in shown and "right" not in shown:
            return f"unclear: {unclear}: no mistake was found, but the result does not show the object yet"
        also = "".join(
            f"; {verdict}: {names}" for verdict, names in (("unclear", unclear), ("unknown", unknown)) if names
        )
        return f"nothing is wrong{' with what can be seen' if unknown else ''}{also}"

    def __getitem__(self, name: str) -> Finding:
        """Return the finding with this name.

        Raises:
            KeyError: there is no such finding.
        """
        found = {finding.name: finding for finding in self.findings}
        return found[name]

    def to_text(self) -> str:
        """Return a line for each finding, then the verdict."""
        width = max(len(finding.name) for finding in self.findings)
        lines = [
            f"{one.verdict:<8} {one.name:<{width}}  {one.says}" + (f": {one.mistake}" if one.mistake else "")
            for one in self.findings
        ]
        return "\n".join([*lines, f"verdict: {self.verdict}"])

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for ``json.dump``; numbers that are not finite are None."""
        return {"verdict": self.verdict, "findings": [_to_json(dataclasses.asdict(one)) for one in self.findings]}


def diagnose(evidence: Evidence) -> Diagnosis:
    """Check an inference.

    Args:
        evidence: results of the inference, as ``ptycho_torch.gather_evidence`` collects them.

    Returns:
        The diagnosis. Findings that need the known object are ``unknown`` if there is none, if it is flat, or if it
        does not cover the scan.
    """
    findings = [
        check_probe(evidence),
        check_photons(evidence),
        *check_fit(evidence),
        check_coordinates(evidence),
        check_canvas(evidence),
        check_placement(evidence),
    ]
    why = _not_comparable(evidence)
    if why:
        return Diagnosis((*findings, *why))
    known = evidence.known
    assert known is not None
    registration = register(known, evidence.mosaic, evidence.mask, _expected_place(evidence))
    by_amplitude = None
    if not _is_clear(registration, LEAST_FIT):
        by_amplitude = _register_amplitude(known, evidence)
    places = count_places(evidence.positions, evidence.crop)
    covered = covered_share(evidence)
    if covered < LEAST_COVERED and not _is_upright_in_place(registration):
        return Diagnosis((*findings, *_elsewhere(registration, by_amplitude, covered, places)), registration)
    x, y = _expected_place(evidence)
    aligned, inside = window_at(known, (y, x), evidence.mosaic.shape)
    quality = assess(evidence.mosaic, aligned, evidence.mask & inside)
    if covered < LEAST_COVERED:
        findings.append(_cropped(covered))
    orientation = check_orientation(registration, by_amplitude, places)
    shown = orientation.verdict != "unclear" and places >= LEAST_PLACES
    findings += [
        check_brightness(evidence),
        check_patches(evidence),
        orientation,
        *check_quality(quality, len(evidence.probe), shown=shown),
    ]
    return Diagnosis(tuple(findings), registration, quality, aligned)


# ------------------------------------------------------------------------------------------------ what can be compared

_NEED_THE_OBJECT = ("brightness", "patches", "orientation", "amplitude", "phase", "resolution", "similarity")


def covered_share(evidence: Evidence) -> float:
    """Return the fraction of the crops, at the scan's positions, that the known object covers, 0..1."""
    assert evidence.known is not None
    corners = evidence.positions - evidence.crop // 2
    ends = np.minimum(corners + evidence.crop, evidence.known.shape[::-1])
    sides = np.clip(ends - np.maximum(corners, 0), 0, evidence.crop)
    return float(np.mean(sides.prod(axis=1))) / evidence.crop**2


def count_places(positions: Float[np.ndarray, "n 2"], M: int) -> int:
    """Count the places that crops of side M show without overlap: cells of M x M pixels that contain a position."""
    return len(np.unique(np.floor((positions - positions.min(axis=0)) / M), axis=0))


def _not_comparable(evidence: Evidence) -> list[Finding]:
    """Return the findings if no comparison with a known object is possible; otherwise an empty list."""
    known, shown = evidence.known, evidence.mosaic[evidence.mask]
    if not np.isfinite(shown).all() or not shown.any():
        empty = "0 everywhere" if np.isfinite(shown).all() else "not finite"
        mistake = "the network yields no object: its training diverged, or its weights are damaged"
        why, first = f"the mosaic is {empty}", [Finding("mosaic", "wrong", f"it is {empty}", {}, mistake)]
    elif known is None or not _has_structure(known):
        why = "no object is known" if known is None else "objectGuess is flat, so there is nothing to compare with"
        first = []
    else:
        return []
    return [*first, *(Finding(name, "unknown", why) for name in _NEED_THE_OBJECT)]


def _is_upright_in_place(registration: Registration) -> bool:
    upright = registration.orientation == "upright" and not registration.conjugated
    return _is_clear(registration, LEAST_FIT) and upright and math.hypot(*registration.shift) <= 1


def _cropped(covered: float) -> Finding:
    says = f"objectGuess covers {covered:.0%} of the mosaic; only this part is compared"
    return Finding("object", "unclear", says, {"covered": covered}, "objectGuess is smaller than the scan")


def _elsewhere(
    registration: Registration, by_amplitude: Registration | None, covered: float, places: int
) -> list[Finding]:
    """Return the findings if the known object is not at the scan's positions; a different origin is no mistake."""
    says = f"at the scan's positions, objectGuess covers {covered:.0%} of the mosaic"
    mistake = "it does not cover the scan: its origin differs from that of the positions, or it is cropped"
    orientation = check_orientation(registration, by_amplitude, places, at_its_place=False)
    why = "objectGuess does not cover the scan"
    rest = (orientation if name == "orientation" else Finding(name, "unknown", why) for name in _NEED_THE_OBJECT)
    return [Finding("object", "unclear", says, {"covered": covered}, mistake), *rest]


# ------------------------------------------------------------------------------------------------ probe and photons


@dataclass(frozen=True)
class ProbeStatistics:
    """Statistics of the modulus of a probe (N, N).

    Attributes:
        mean: mean over all pixels.
        largest: largest value.
        masked_mean: sum within the hard mask, divided by the number of *all* pixels.
        mask_mean: mean within the hard mask.
        outside: fraction of the energy outside the hard mask; NaN without energy.
    """

    mean: float
    largest: float
    masked_mean: float
    mask_mean: float
    outside: float


def probe_statistics(probe: Complex[np.ndarray, "N N"]) -> ProbeStatistics:
    """Compute the statistics of a probe. The hard mask is a disk of radius N // 4 about (N - 1) / 2, for even N."""
    N = len(probe)
    modulus = np.abs(probe).astype(np.float64)
    distance = np.arange(N) - N // 2 + 0.5
    mask = np.hypot(distance[:, None], distance) < N // 4
    energy = float((modulus**2).sum())
    return ProbeStatistics(
        mean=float(modulus.mean()),
        largest=float(modulus.max()),
        masked_mean=float((modulus * mask).mean()),
        mask_mean=float(modulus[mask].mean()),
        outside=float((modulus[~mask] ** 2).sum()) / energy if energy else math.nan,
    )


def check_probe(evidence: Evidence) -> Finding:
    """Check that the model's probe is the scan's probe, normalised: mean |mask P| = 1 / probe_scale."""
    raw, used = probe_statistics(evidence.raw_probe), probe_statistics(evidence.probe)
    scale = evidence.probe_scale
    wanted = 1 / scale
    says = f"mean|mask P| = {used.masked_mean:.6g}, 1/probe_scale = {wanted:.6g} (raw: {raw.masked_mean:.6g})"
    numbers = {"raw": raw, "used": used, "expected": wanted}
    alike = _likeness(evidence.raw_probe, evidence.probe)
    numbers["likeness"] = alike
    mistake = _probe_mistake(raw, used, scale)
    if mistake:
        return Finding("probe", "wrong", says, numbers, mistake)
    if alike < 0.98:
        also = "the model was trained with a different probe from the one in this file"
        return Finding("probe", "unclear", f"{says}; likeness {alike:.3f}", numbers, also)
    return Finding("probe", "right", says, numbers)


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two probes, 0..1; 1 if both are flat, where it is undefined."""
    flat = not (_has_structure(one) or _has_structure(other))
    return 1.0 if flat else correlation(one, other, np.ones(one.shape, bool))


def _probe_mistake(raw: ProbeStatistics, used: ProbeStatistics, scale: float) -> str:
    """Return the likely mistake; empty if the mean masked modulus is right and nothing was cut off."""
    if _close(used.masked_mean, 1 / scale):
        if used.outside < 1e-9 and raw.outside > 1e-6:
            return "the mask was applied to the probe; it belongs in the norm only"
        return ""
    mistakes = {
        "the probe was divided by probe_scale twice": _close(used.masked_mean, 1 / scale**2),
        "the raw probe was used, not normalised": _close(used.masked_mean, raw.masked_mean),
        "the raw probe was divided by probe_scale, not normalised": _close(used.masked_mean, raw.masked_mean / scale),
        "normalised, but without probe_scale": _close(used.masked_mean, 1.0),
        "normalised with probe_scale 10, the legacy default": _close(used.masked_mean, 0.1),
        "normalised over the whole frame, without the mask": _close(used.mean, 1 / scale),
        "normalised by the mean over the mask's pixels, not over all pixels": _close(used.mask_mean, 1 / scale),
    }
    fitting = [mistake for mistake, fits in mistakes.items() if fits]
    return fitting[0] if fitting else "it is not normalised as TensorFlow does it"


def check_photons(evidence: Evidence) -> Finding:
    """Check that the model scales patterns to the configured number of photons, and predicts about this number."""
    N = len(evidence.probe)
    photons = (evidence.intensity_scale * N / 2) ** 2
    per_pattern = evidence.measured and evidence.predicted / evidence.measured
    says = (
        f"intensity scale {evidence.intensity_scale:.6g} = {photons:.4g} photons per pattern, {evidence.nphotons:.4g} "
        f"configured; predicted / measured photons {per_pattern:.3f}"
    )
    numbers = {
        "intensity_scale": evidence.intensity_scale,
        "photons": photons,
        "expected_photons": evidence.nphotons,
        "predicted_over_measured": per_pattern,
    }
    if not _close(photons, evidence.nphotons):
        mistake = "the number of photons is not the configured one"
        if _close(photons, evidence.nphotons / 1e4):
            mistake = "the number of photons is 1e4 times too small: 1e5 was used instead of 1e9"
        elif _close(evidence.intensity_scale, math.sqrt(evidence.nphotons)):
            mistake = "the intensity scale was not divided by N / 2"
        return Finding("photons", "wrong", says, numbers, mistake)
    if not _close(evidence.nphotons, DEFAULT_PHOTONS):
        mistake = f"the default, also in TensorFlow, is {DEFAULT_PHOTONS:g}; was another number intended?"
        return Finding("photons", "unclear", says, numbers, mistake)
    if not 0.5 < per_pattern < 2:
        mistake = "the network does not predict the light: it is not trained, or probe and data are scaled differently"
        return Finding("photons", "unclear", says, numbers, mistake)
    return Finding("photons", "right", says, numbers)


def check_fit(evidence: Evidence) -> Iterator[Finding]:
    """Report how much of the patterns' variation the network explains, if this is known. No object is needed."""
    if math.isnan(evidence.explained):
        return
    says = f"the network explains {max(evidence.explained, 0):.0%} of the variation between patterns"
    numbers = {"explained": evidence.explained}
    if evidence.explained > 0:
        yield Finding("fit", "measured", says, numbers)
    else:
        mistake = "the mean of all patterns explains each pattern better: too little training?"
        yield Finding("fit", "unclear", says, numbers, mistake)


def check_brightness(evidence: Evidence) -> Finding:
    """Check how bright the network's object must be to explain the data.

    Normalised patterns have an energy of (N / 2)² on average, in their good pixels. The known object's patches, times
    the model's probe, have another energy. So the network must yield the known amplitude times the square root of the
    ratio of these energies. With a sigmoid, it cannot exceed 1 in the centre.
    """
    assert evidence.known is not None
    N = len(evidence.probe)
    patches = _true_patches(evidence, N)
    beam = np.abs(evidence.probe) ** 2
    inside = _cut(np.ones(evidence.known.shape), evidence.positions[_sample(evidence)], N)
    lit = float((inside * beam).sum(axis=(1, 2)).mean() / max(beam.sum(), 1e-30))
    if lit < LEAST_LIGHT:
        why = f"objectGuess is too small: only {lit:.0%} of the light falls onto it"
        return Finding("brightness", "unknown", why, {"lit": lit})
    light = np.abs(patches * evidence.probe) ** 2
    hidden = 0.0
    if evidence.good_share is not None:  # normalisation uses only good pixels
        detected = np.fft.fftshift(np.abs(np.fft.fft2(patches * evidence.probe, norm="ortho")) ** 2, axes=(1, 2))
        hidden = 1 - float((detected * evidence.good_share).sum() / max(light.sum(), 1e-30))
    energy = float(np.mean(np.sum(light, axis=(1, 2)))) * (1 - hidden)
    factor = N / 2 / math.sqrt(energy) if energy > 0 else math.inf
    brightest = factor * float(np.quantile(np.abs(patches), 0.999))
    says = f"the object must be {factor:.3g} times as bright as objectGuess, up to {brightest:.3g}"
    numbers = {"factor": factor, "brightest": brightest}
    if brightest > 2 and brightest * math.sqrt(1 - hidden) <= 2:
        mistake = f"a sigmoid cannot exceed 1, and the bad pixels hide {hidden:.0%} of the light"
        return Finding("brightness", "unclear", says, numbers, mistake)
    places = count_places(evidence.positions, evidence.crop)
    if not 0.05 <= brightest <= 2 and places < LEAST_PLACES:
        # A few patterns may all be dark, and normalisation then scales them up.
        return Finding("brightness", "unclear", says, numbers, f"{_few(places)} to judge the brightness by")
    if brightest > 2:
        mistake = "a sigmoid cannot exceed 1; was the probe scaled twice, or with too large a probe_scale?"
        return Finding("brightness", "wrong", says, numbers, mistake)
    if brightest < 0.05:
        mistake = "the object would have to be almost black; was the raw probe used?"
        return Finding("brightness", "wrong", says, numbers, mistake)
    if brightest > 1.05:
        mistake = "a sigmoid cannot exceed 1, so the brightest parts will saturate"
        return Finding("brightness", "unclear", says, numbers, mistake)
    return Finding("brightness", "right", says, numbers)


# ------------------------------------------------------------------------------------------------ coordinates

_MATRICES: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "": ((1, 0), (0, 1)),
    "they are negated": ((-1, 0), (0, -1)),
    "x is negated": ((-1, 0), (0, 1)),
    "y is negated": ((1, 0), (0, -1)),
    "x and y are exchanged": ((0, 1), (1, 0)),
    "x and y are exchanged and negated": ((0, -1), (-1, 0)),
    "they are turned by 90 degrees": ((0, -1), (1, 0)),
    "they are turned by -90 degrees": ((0, 1), (-1, 0)),
}
"""Mistake -> matrix: with the mistake, offset = matrix @ position + constant."""


def check_coordinates(evidence: Evidence) -> Finding:
    """Check that the groups were stitched at the scan's positions: with the right signs, axes and unit."""
    spans = np.ptp(evidence.positions, axis=0), np.ptp(evidence.offsets, axis=0)
    numbers: dict[str, Any] = {"position_span": spans[0].tolist(), "offset_span": spans[1].tolist()}
    says = f"positions span {_pixels(spans[0])}, offsets passed to the stitcher {_pixels(spans[1])}"
    if spans[0].max() < 1:
        standing = "there is only one position" if len(evidence.positions) == 1 else "all positions are the same"
        return Finding("coordinates", "unclear", says, numbers, f"{standing}, so axes, signs and unit are not known")
    if spans[1].max() < 0.05 * spans[0].max():
        mistake = "relative coordinates were used instead of global ones"
        return Finding("coordinates", "wrong", says, numbers, mistake)
    if _on_a_line(evidence.positions):
        return _coordinates_on_a_line(evidence, says, numbers)
    matrix, rest = _fit_matrix(evidence.positions, evidence.offsets)
    numbers |= {"matrix": matrix.tolist(), "residual": rest}
    nearest = min(_MATRICES, key=lambda name: float(np.abs(matrix - _MATRICES[name]).max()))
    away = float(np.abs(matrix - _MATRICES[nearest]).max())
    if rest > 0.05:
        return Finding("coordinates", "wrong", says, numbers, _unexplained(rest))
    if away > 0.02:
        mistake = (
            f"they are the positions times {(np.round(matrix, 3) + 0.0).tolist()}: a different unit, or a rotated stage"
        )
        return Finding("coordinates", "wrong", says, numbers, mistake)
    if nearest:
        return Finding("coordinates", "wrong", says, numbers, nearest)
    return Finding("coordinates", "right", f"{says}, same axes and signs", numbers)


def _unexplained(rest: float) -> str:
    return f"{rest:.0%} of their spread is not explained by the positions: other patterns, or a different order"


def _on_a_line(positions: np.ndarray) -> bool:
    """Return whether positions lie on a line, which does not determine a matrix. Two positions always do."""
    along, across = np.linalg.svd(positions - positions.mean(axis=0), compute_uv=False)
    return bool(across < 1e-3 * along)


def _coordinates_on_a_line(evidence: Evidence, says: str, numbers: dict[str, Any]) -> Finding:
    """Check positions on a line. Several matrices fit; the finding is unclear if the right one is among them."""
    p, o = (points - points.mean(axis=0) for points in (evidence.positions, evidence.offsets))
    rests = {
        name: float(np.linalg.norm(o - p @ np.transpose(_MATRICES[name])) / np.linalg.norm(o)) for name in _MATRICES
    }
    numbers["residuals"] = {name or "same axes and signs": rest for name, rest in rests.items()}
    fitting = [name for name, rest in rests.items() if rest < 0.02]
    if "" in fitting:
        mistake = "the positions lie on a line, which does not determine all axes and signs"
        return Finding("coordinates", "unclear", f"{says}, same direction along a line", numbers, mistake)
    if fitting:
        return Finding("coordinates", "wrong", says, numbers, ", or ".join(fitting))
    _, rest = _fit_matrix(evidence.positions, evidence.offsets)
    mistake = (
        _unexplained(rest) if rest > 0.05 else "they lie on a different line: a different unit, or a rotated stage"
    )
    return Finding("coordinates", "wrong", says, numbers, mistake)


def _fit_matrix(positions: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit the matrix from positions to offsets. Return it, and the fraction of the offsets' spread that is left."""
    p, o = positions - positions.mean(axis=0), offsets - offsets.mean(axis=0)
    matrix = np.linalg.lstsq(p, o, rcond=None)[0].T
    return matrix, float(np.linalg.norm(o - p @ matrix.T) / np.linalg.norm(o))


def check_canvas(evidence: Evidence) -> Finding:
    """Check that the mosaic covers the span of the scan plus the crop."""
    M, N = evidence.crop, len(evidence.probe)
    span = np.ptp(evidence.positions, axis=0)
    expected = span + M
    found = np.array(covered_box(evidence.mask))
    side = len(evidence.mosaic)
    numbers = {"side": side, "covered": found.tolist(), "expected": expected.tolist()}
    says = f"canvas {side} x {side}, covered {_pixels(found)}, scan span + {M} = {_pixels(expected)}"
    if (np.abs(found - expected) <= 2.5).all():
        return Finding("canvas", "right", says, numbers)
    if max(found.max(), side) <= N < expected.max() - 2.5:
        mistake = f"{side} x {side}: relative coordinates were used instead of global ones"
    elif (np.abs(found[::-1] - expected) <= 2.5).all():
        mistake = "x and y are exchanged"
    elif (np.abs(found - (span + N)) <= 2.5).all():
        mistake = f"patches were not cropped to their central {M} x {M} pixels"
    elif (found < expected).all():
        mistake = "patches are closer together than the scan's positions: a mean was removed per group, or another unit"
    else:
        mistake = "patches are not at the scan's positions"
    return Finding("canvas", "wrong", says, numbers, mistake)


def covered_box(mask: Bool[np.ndarray, "S S"]) -> tuple[int, int]:
    """Return width and height of the covered area's bounding box, pixels; 0 and 0 if nothing is covered."""
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    return (int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1) if len(columns) else (0, 0)


def expected_count(positions: Float[np.ndarray, "n 2"], M: int, side: int) -> Float[np.ndarray, "S S"]:
    """Count how many crops should cover each pixel of a canvas whose centre is the mean position.

    Args:
        positions: (n, 2), [x, y], pixels. A crop that ends within a pixel covers a fraction of it.
        M: side of a crop, pixels.
        side: S, side of the canvas, pixels.

    Returns:
        (S, S) float64; crops are clipped at the canvas's edge.
    """
    corner = positions - positions.mean(axis=0) + side / 2 - M // 2
    first = np.floor(corner).astype(int)
    # Add a step where a crop begins and one where it ends, each shared by two pixels; cumulative sums give the crops.
    parts = np.stack([first + 1 - corner, corner - first])
    ends = np.clip(np.stack([first, first + 1, first + M, first + M + 1]), 0, side)
    heights = np.concatenate([parts, -parts])
    steps = np.zeros((side + 1, side + 1))
    for column, width in zip(ends[..., 0], heights[..., 0]):
        for row, height in zip(ends[..., 1], heights[..., 1]):
            np.add.at(steps, (row, column), width * height)
    return np.asarray(steps.cumsum(0).cumsum(1)[:side, :side])


def check_placement(evidence: Evidence) -> Finding:
    """Check that patches are in their places: compare the count of patches on each pixel in all orientations."""
    expected = expected_count(evidence.positions, evidence.crop, len(evidence.count))
    scores = {name: _count_correlation(evidence.count, turned(expected, name)) for name in ORIENTATIONS}
    best = max(scores, key=lambda name: scores[name])
    numbers = {"scores": scores}
    if _is_flat(evidence.count) and np.allclose(evidence.count, expected, atol=1e-3 * evidence.count.max()):
        says = f"every covered pixel is covered {evidence.count.max():.3g} times, as the positions require"
        return Finding("placement", "unclear", says, numbers, "this does not show which patch is where")
    says = f"overlaps fit the positions {best} ({scores[best]:.3f}; upright {scores['upright']:.3f})"
    if scores["upright"] > scores[best] - 0.02 and scores["upright"] > 0.8:
        return Finding("placement", "right", says, numbers)
    if scores[best] < 0.8:
        return Finding("placement", "wrong", says, numbers, "patches are not at the scan's positions")
    mistakes = {
        "turned by 180 degrees": "the stitcher moves patches by -offset",
        "transposed": "the stitcher exchanges x and y",
        "flipped left-right": "the stitcher moves patches by -x",
        "flipped up-down": "the stitcher moves patches by -y",
    }
    mistake = mistakes.get(best, "the stitcher, or the canvas after it, is turned")
    return Finding("placement", "wrong", says, numbers, mistake)


def _is_flat(count: np.ndarray) -> bool:
    covered = count[count > 0.01]
    return bool(np.ptp(covered) < 1e-3 * covered.max()) if covered.size else False


def _count_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Correlate two counts over all pixels that are covered in either."""
    either = (one > 0.01) | (other > 0.01)
    return correlation(one.astype(np.complex128), other.astype(np.complex128), either)


# ------------------------------------------------------------------------------------------------ the object


def check_patches(evidence: Evidence) -> Finding:
    """Check that single patches, before stitching, show the object upright at their positions."""
    side = evidence.crop + 1  # odd, so that its centre, about which it is turned, is the patch's index N // 2
    first = len(evidence.probe) // 2 - side // 2
    centre = slice(first, first + side)
    shown = evidence.patches[_sample(evidence)][:, centre, centre]
    true = _true_patches(evidence, side)
    scores = {name: _mean_correlation(turned_back(shown, name), true) for name in ORIENTATIONS}
    negated = {name: _mean_correlation(turned_back(shown, name).conj(), true) for name in ORIENTATIONS}
    return _patches_finding(scores, negated, count_places(evidence.positions, evidence.crop))


def check_orientation(
    registration: Registration,
    by_amplitude: Registration | None = None,
    places: int = LEAST_PLACES,
    *,
    at_its_place: bool = True,
) -> Finding:
    """Check that the mosaic shows the object upright and in the right place.

    Args:
        registration: how the mosaic fits the object.
        by_amplitude: how its amplitude fits the object's. A network learns the amplitude first, so this may decide if
            the complex mosaic does not. None to ignore it.
        places: number of places that the mosaic shows; with fewer than ``LEAST_PLACES``, a mistake is unclear.
        at_its_place: whether object and positions have the same origin, so that the place can be judged too.
    """
    numbers = dataclasses.asdict(registration)
    found = registration
    if (
        not _is_clear(registration, LEAST_FIT)
        and by_amplitude is not None
        and _is_clear(by_amplitude, LEAST_AMPLITUDE_FIT)
    ):
        says = f"judged by the amplitude, because the phase is too weak: {_description(by_amplitude)}"
        numbers |= {"by_amplitude": dataclasses.asdict(by_amplitude)}
        found = by_amplitude
    elif _is_clear(registration, LEAST_FIT):
        says = _description(registration)
    else:
        mistake = "no orientation fits clearly better: too little training, or patches in the wrong places"
        return Finding("orientation", "unclear", _description(registration), numbers, mistake)
    mistake = _orientation_mistake(found)
    if not mistake and at_its_place and math.hypot(*found.shift) > 1:
        if not _fits_better_elsewhere(found):
            mistake = "it fits nearly as well in its place: too little training to decide"
            return Finding("orientation", "unclear", says, numbers, mistake)
        mistake = (
            "it is in the wrong place: a corner instead of a centre, a mean other than the scan's, or another frame"
        )
    if mistake and places < LEAST_PLACES:
        return Finding("orientation", "unclear", says, numbers, f"{_few(places)} to decide whether {mistake}")
    return Finding("orientation", "wrong" if mistake else "right", says, numbers, mistake)


def _few(places: int) -> str:
    return f"the scan shows only {places} {'place' if places == 1 else 'places'}, too few"


def _orientation_mistake(registration: Registration) -> str:
    mistakes = [] if registration.orientation == "upright" else [f"the mosaic is {registration.orientation}"]
    return " and ".join([*mistakes, *(["its phase has the wrong sign"] if registration.conjugated else [])])


def _fits_better_elsewhere(registration: Registration) -> bool:
    """Return whether the best place fits clearly better than the expected one: blurred images also fit nearby."""
    best, in_place = registration.correlation, registration.in_place
    return best - in_place >= LEAST_MARGIN or 1 - best < (1 - in_place) / 2


def check_quality(quality: Quality, N: int, *, shown: bool = True) -> Iterator[Finding]:
    """Report errors, resolution and similarity of the mosaic. Only a phase ramp is judged.

    Args:
        quality: quality of the mosaic at its expected place.
        N: patch side, pixels; a ramp of 2 pi / N per pixel moves a pattern by one pixel.
        shown: whether the mosaic shows the object; otherwise its ramp is meaningless.
    """
    factor = {"scale": abs(quality.scale), "global_phase": float(np.angle(quality.scale))}
    yield Finding(
        "amplitude",
        "measured",
        f"error {quality.amplitude_error:.1%} (rms, scale removed: {abs(quality.scale):.3g})",
        {"error": quality.amplitude_error, **factor},
    )
    off = np.array(quality.ramp) * N / (2 * math.pi)
    says = (
        f"error {quality.phase_error:.3f} rad (rms, global phase removed, ramp not; "
        f"{quality.phase_error_without_ramp:.3f} without the ramp, which is {off[0]:+.2f}, {off[1]:+.2f} detector px)"
    )
    numbers = {
        "error": quality.phase_error,
        "error_without_ramp": quality.phase_error_without_ramp,
        "ramp": quality.ramp,
        "detector_pixels": off.tolist(),
    }
    if shown and np.abs(off).max() > 0.5 and quality.phase_error_without_ramp < 0.7 * quality.phase_error:
        yield Finding("phase", "wrong", says, numbers, "the zero frequency of the patterns is not at N // 2")
    else:
        yield Finding("phase", "measured", says, numbers)
    rings = {"frequencies": quality.frequencies.tolist(), "ring_correlation": quality.ring_correlation.tolist()}
    yield Finding(
        "resolution",
        "unknown" if math.isnan(quality.resolution) else "measured",
        f"{describe_resolution(quality.resolution)} (in {quality.square} x {quality.square} px)",
        {"half_period": quality.resolution, "square": quality.square, **rings},
    )
    yield Finding(
        "similarity",
        "measured",
        f"SSIM of the amplitude {quality.amplitude_ssim:.3f}, of the phase {quality.phase_ssim:.3f}",
        {"amplitude_ssim": quality.amplitude_ssim, "phase_ssim": quality.phase_ssim},
    )


def describe_resolution(half_period: float) -> str:
    """Describe a half period of ``Quality.resolution``, pixels, in words."""
    if math.isnan(half_period):
        return "the covered area is too small for a Fourier ring correlation"
    if math.isinf(half_period):
        return f"not resolved: the Fourier ring correlation never reaches {RESOLVED:g}"
    return f"half period {half_period:.2f} px where the Fourier ring correlation falls below {RESOLVED:g}"


def _patches_finding(scores: Mapping[str, float], negated: Mapping[str, float], places: int) -> Finding:
    numbers = {"scores": dict(scores), "scores_conjugated": dict(negated)}
    either = {name: max(scores[name], negated[name]) for name in scores}
    *_, next_best, found = sorted(either, key=lambda name: either[name])
    score, second = either[found], either[next_best]
    conjugated = negated[found] > scores[found] + LEAST_GAIN
    phase = ", its phase negated" if conjugated else ""
    says = (
        f"patches show the object {found}{phase} ({score:.3f}; next best {second:.3f}; upright {scores['upright']:.3f})"
    )
    if score < LEAST_FIT or score - second < LEAST_MARGIN:
        return Finding("patches", "unclear", says, numbers, "no orientation fits clearly better: too little training?")
    if found == "upright" and not conjugated:
        return Finding("patches", "right", says, numbers)
    orientation = [] if found == "upright" else ["the network's output is turned before it is stitched"]
    mistakes = [*orientation, *(["the phase of the network's output has the wrong sign"] if conjugated else [])]
    mistake = " and ".join(mistakes)
    if places < LEAST_PLACES:
        return Finding("patches", "unclear", says, numbers, f"{_few(places)} to decide whether {mistake}")
    return Finding("patches", "wrong", says, numbers, mistake)


# ------------------------------------------------------------------------------------------------ parts


def _register_amplitude(known: np.ndarray, evidence: Evidence) -> Registration | None:
    """Register the amplitude with the object's; None if one of them is flat."""
    object_, mosaic = (np.abs(image).astype(np.complex64) for image in (known, evidence.mosaic))
    if not (_has_structure(object_) and _has_structure(mosaic)):
        return None
    return register(object_, mosaic, evidence.mask, _expected_place(evidence))


def _next_best(registration: Registration) -> float:
    others = (score for name, score in registration.scores.items() if name != registration.orientation)
    return max(others, default=0.0)


def _is_clear(registration: Registration, least: float) -> bool:
    """Return whether the best orientation fits well, and clearly better than the second best."""
    fit = registration.correlation
    return fit >= least and fit - _next_best(registration) >= LEAST_MARGIN


def _description(registration: Registration) -> str:
    others = f"next best {_next_best(registration):.3f}; upright in place {registration.in_place:.3f}"
    x, y = registration.shift
    return f"{registration.orientation}, {registration.correlation:.3f} ({others}), shift x {x:+.2f}, y {y:+.2f} px"


def _expected_place(evidence: Evidence) -> np.ndarray:
    """Return [x, y] in the object under the mosaic's pixel [0, 0]: the mean position is the canvas's centre."""
    return np.asarray(evidence.positions.mean(axis=0) - len(evidence.mosaic) / 2)


def _sample(evidence: Evidence) -> np.ndarray:
    """Choose the groups whose patches are compared one by one."""
    return np.unique(np.linspace(0, len(evidence.positions) - 1, _SAMPLE).astype(int))


def _true_patches(evidence: Evidence, side: int) -> np.ndarray:
    """Cut the sampled patches out of the known object."""
    assert evidence.known is not None
    return _cut(evidence.known, evidence.positions[_sample(evidence)], side)


def _cut(image: np.ndarray, positions: np.ndarray, side: int) -> np.ndarray:
    """Cut patches out of an image (H, W), to the nearest pixel; zeros beyond its edges."""
    around = np.pad(image, side)
    corner = np.rint(positions).astype(int) - side // 2 + side
    corner = np.clip(corner, 0, np.subtract(around.shape[::-1], side))
    return np.stack([around[y : y + side, x : x + side] for x, y in corner])


def _mean_correlation(shown: np.ndarray, true: np.ndarray) -> float:
    """Average the correlation of patches with their true content; flat patches count as 0."""
    everything = np.ones(shown.shape[1:], bool)
    return float(np.mean([correlation(one, other, everything) for one, other in zip(shown, true)]))


def _has_structure(known: np.ndarray) -> bool:
    return bool(np.std(known) > 1e-3 * np.abs(known).max())


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= _TOLERANCE * abs(other)


def _pixels(sides: np.ndarray) -> str:
    return " x ".join(f"{side:.4g}" for side in sides)


def _to_json(value: Any) -> Any:
    """Convert nested values to types that JSON supports."""
    if isinstance(value, Mapping):
        return {name: _to_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _to_json(dataclasses.asdict(value))
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
