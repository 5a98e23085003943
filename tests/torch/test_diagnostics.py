"""The diagnosis finds nothing wrong in a correct result, and it names every mistake."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ptycho_torch.checks.diagnostics import (
    Evidence,
    Finding,
    check_orientation,
    check_photons,
    check_probe,
    covered_box,
    diagnose,
    expected_count,
)
from ptycho_torch.checks.registration import ORIENTATIONS, Registration, turned
from ptycho_torch.operators.ground_truth import patches_at
from ptycho_torch.operators.physics import intensity_scale
from ptycho_torch.operators.probe import normalize_probe_like_tf
from ptycho_torch.pictures.diagnosis import draw_diagnosis
from ptycho_torch.pictures.result import draw_comparison
from ptycho_torch.reconstruction import stitch

N, M = 64, 20


def blurred(random: np.random.RandomState, shape: tuple[int, int], width: float) -> np.ndarray:
    """Return a smooth image without any symmetry, with values 0..1."""
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(shape[1]), np.fft.fftfreq(shape[0])))
    noise = np.fft.fft2(random.standard_normal(shape)) * np.exp(-0.5 * (2 * np.pi * width * frequencies) ** 2)
    image = np.fft.ifft2(noise).real
    return np.asarray((image - image.min()) / np.ptp(image))


def known_object() -> np.ndarray:
    random = np.random.RandomState(1)
    amplitude, phase = 0.3 + 0.5 * blurred(random, (112, 131), 2.5), 2 * blurred(random, (112, 131), 3)
    return (amplitude * np.exp(1j * phase)).astype(np.complex64)


def raw_probe() -> np.ndarray:
    rows, columns = np.mgrid[:N, :N] - N // 2
    spot = np.exp(-((columns - 2) ** 2 / 2 / 9**2 + (rows + 1) ** 2 / 2 / 7**2) + 0.01j * (columns**2 + rows * columns))
    return (40 * spot).astype(np.complex64)


OBJECT, PROBE = known_object(), raw_probe()
POSITIONS = np.random.RandomState(2).rand(90, 2) * (66, 48) + (33.3, 31.6)


def true_patches(positions: np.ndarray = POSITIONS) -> torch.Tensor:
    return patches_at(torch.from_numpy(OBJECT), torch.from_numpy(positions), N)


def evidence(patches: torch.Tensor | None = None, offsets: np.ndarray = POSITIONS, **changed: Any) -> Evidence:
    """Return the evidence of an inference whose network predicts these patches; ``changed`` replaces parts of it."""
    patches = true_patches() if patches is None else patches.contiguous()
    mosaic = stitch(patches, torch.from_numpy(np.ascontiguousarray(offsets)))
    fields: dict[str, Any] = {
        "positions": POSITIONS,
        "offsets": offsets,
        "patches": patches.numpy(),
        "mosaic": mosaic.values.numpy(),
        "count": mosaic.count.numpy(),
        "crop": M,
        "raw_probe": PROBE,
        "probe": normalize_probe_like_tf(PROBE, 4.0).numpy(),
        "probe_scale": 4.0,
        "intensity_scale": intensity_scale(1e9, N),
        "nphotons": 1e9,
        "measured": 150e9,
        "predicted": 149e9,
        "known": OBJECT,
    }
    return Evidence(**{**fields, **changed})


def wrong(given: Evidence) -> dict[str, Finding]:
    return {one.name: one for one in diagnose(given).findings if one.verdict == "wrong"}


# ------------------------------------------------------------------------------------------------ right


def test_true_patches_are_right() -> None:
    diagnosis = diagnose(evidence())
    verdicts = {one.name: one.verdict for one in diagnosis.findings}
    assert set(verdicts.values()) <= {"right", "unclear", "measured"}
    for name in ("probe", "photons", "coordinates", "canvas", "placement", "patches", "orientation"):
        assert verdicts[name] == "right", diagnosis[name]
    assert diagnosis.registration is not None
    assert diagnosis.registration.in_place > 0.99
    assert np.hypot(*diagnosis.registration.shift) < 0.15
    assert diagnosis["amplitude"].numbers["error"] < 0.02
    assert diagnosis["phase"].numbers["error"] < 0.02
    assert diagnosis["resolution"].numbers["half_period"] < 3
    assert diagnosis.verdict.startswith("nothing is wrong")


def test_without_an_object_the_rest_is_judged() -> None:
    for known, why in ((None, "no object is known"), (np.ones_like(OBJECT), "objectGuess is flat")):
        diagnosis = diagnose(evidence(known=known))
        unknown = {one.name for one in diagnosis.findings if one.verdict == "unknown"}
        assert unknown == {"brightness", "patches", "orientation", "amplitude", "phase", "resolution", "similarity"}
        assert why in diagnosis["orientation"].says
        assert diagnosis.verdict.startswith("nothing is wrong with what can be seen; unknown: brightness, patches, ")
        assert diagnosis["placement"].verdict == "right"
        json.dumps(diagnosis.to_json(), allow_nan=False)


def test_global_phase_and_scale_are_not_mistakes() -> None:
    one, other = diagnose(evidence()), diagnose(evidence(true_patches() * (0.4 * np.exp(2j))))
    for name in ("amplitude", "phase"):
        assert other[name].numbers["error"] == pytest.approx(one[name].numbers["error"], rel=1e-3)
    assert other["amplitude"].numbers["scale"] == pytest.approx(2.5 * one["amplitude"].numbers["scale"], rel=1e-3)


# ------------------------------------------------------------------------------------------------ wrong


@pytest.mark.parametrize("orientation", [name for name in ORIENTATIONS if name != "upright"])
def test_a_turned_mosaic_is_named(orientation: str) -> None:
    given = evidence()
    mosaic, count = (turned(array, orientation).copy() for array in (given.mosaic, given.count))
    found = wrong(dataclasses.replace(given, mosaic=mosaic, count=count))
    assert found["orientation"].mistake == f"the mosaic is {orientation}"
    assert "placement" in found
    assert "coordinates" not in found, "the offsets passed to the stitcher are right"
    assert "patches" not in found


@pytest.mark.parametrize("orientation", [name for name in ORIENTATIONS if name != "upright"])
def test_turned_patches_are_named(orientation: str) -> None:
    patches = torch.from_numpy(turned(true_patches(POSITIONS).numpy(), orientation).copy())
    found = wrong(evidence(patches))
    assert f"patches show the object {orientation} (" in found["patches"].says
    assert not {"coordinates", "canvas", "placement"} & set(found)


OTHER_SENSES: Mapping[str, np.ndarray] = {
    "they are negated": -POSITIONS,
    "x is negated": POSITIONS * (-1, 1),
    "y is negated": POSITIONS * (1, -1),
    "x and y are exchanged": POSITIONS[:, ::-1],
    "x and y are exchanged and negated": -POSITIONS[:, ::-1],
    "relative coordinates were used instead of global ones": 0 * POSITIONS,
    "they are the positions times [[1.1, 0.0], [0.0, 1.1]]: a different unit, or a rotated stage": 1.1 * POSITIONS,
}


@pytest.mark.parametrize("mistake", OTHER_SENSES)
def test_coordinates_in_another_sense_are_named(mistake: str) -> None:
    found = wrong(evidence(offsets=OTHER_SENSES[mistake]))
    assert found["coordinates"].mistake == mistake
    assert {"placement", "canvas"} & set(found)


def test_coordinates_of_other_patterns_are_noticed() -> None:
    found = wrong(evidence(offsets=POSITIONS[::-1]))
    assert "other patterns, or a different order" in found["coordinates"].mistake


def test_a_stitcher_that_negates_is_named_though_its_coordinates_are_right() -> None:
    given = dataclasses.replace(evidence(offsets=-POSITIONS), offsets=POSITIONS)
    found = wrong(given)
    assert "coordinates" not in found
    assert found["placement"].mistake == "the stitcher moves patches by -offset"


def test_the_canvas_of_a_patch_is_named() -> None:
    """The symptom that users see: all patches in one place, on a canvas of one patch."""
    mosaic = stitch(true_patches(), torch.zeros(len(POSITIONS), 2, dtype=torch.float64), N)
    given = evidence(mosaic=mosaic.values.numpy(), count=mosaic.count.numpy())
    expected = "64 x 64: relative coordinates were used instead of global ones"
    assert wrong(given)["canvas"].mistake == expected


def test_patches_that_were_not_cropped_are_named() -> None:
    mosaic = stitch(true_patches(), torch.from_numpy(POSITIONS), N)
    found = wrong(evidence(mosaic=mosaic.values.numpy(), count=mosaic.count.numpy()))
    assert found["canvas"].mistake == "patches were not cropped to their central 20 x 20 pixels"


def test_a_mosaic_in_the_wrong_place_is_named() -> None:
    shifted = true_patches(np.add(POSITIONS, (5, -3)))
    found = wrong(evidence(shifted))
    assert found["orientation"].mistake.startswith("it is in the wrong place")
    x, y = found["orientation"].numbers["shift"]
    assert (x, y) == pytest.approx((5, -3), abs=0.15)


def test_a_blurred_mosaic_may_fit_beside_its_place() -> None:
    """After a short training, noise may move a broad maximum by some pixels. A clear maximum elsewhere is a mistake."""
    fit = {
        "orientation": "upright",
        "conjugated": False,
        "shift": (3.9, 3.3),
        "scores": {"upright": 0.85, "transposed": 0.7},
    }
    for found, in_place, verdict in ((0.860, 0.844, "unclear"), (0.86, 0.7, "wrong"), (0.999, 0.99, "wrong")):
        finding = check_orientation(Registration(**fit, correlation=found, in_place=in_place))
        assert finding.verdict == verdict
    assert (
        check_orientation(Registration(**{**fit, "shift": (0.7, -0.7)}, correlation=0.9, in_place=0.7)).verdict
        == "right"
    )


def test_a_negated_phase_is_named() -> None:
    found = wrong(evidence(true_patches().conj().resolve_conj()))
    assert found["orientation"].mistake == "its phase has the wrong sign"
    assert found["patches"].mistake == "the phase of the network's output has the wrong sign"


def test_patterns_off_centre_are_named() -> None:
    ramp = torch.exp(2j * torch.pi * torch.arange(131) / N).to(torch.complex64)
    moved = patches_at(torch.from_numpy(OBJECT) * ramp, torch.from_numpy(POSITIONS), N)
    finding = wrong(evidence(moved))["phase"]
    assert finding.mistake == "the zero frequency of the patterns is not at N // 2"
    assert finding.numbers["detector_pixels"] == pytest.approx([1, 0], abs=0.05)
    assert finding.numbers["error_without_ramp"] < 0.1
    assert finding.numbers["error"] > 1


def probes() -> dict[str, np.ndarray]:
    used = normalize_probe_like_tf(PROBE, 4.0).numpy()
    distance = np.hypot(*np.mgrid[:N, :N] - (N - 1) / 2)
    mask = distance < N // 4
    over_mask = PROBE / (4 * np.abs(PROBE[mask]).mean())
    return {
        "the probe was divided by probe_scale twice": used / 4,
        "the raw probe was used, not normalised": PROBE,
        "the raw probe was divided by probe_scale, not normalised": PROBE / 4,
        "normalised, but without probe_scale": 4 * used,
        "normalised with probe_scale 10, the legacy default": normalize_probe_like_tf(PROBE, 10.0).numpy(),
        "normalised over the whole frame, without the mask": PROBE / (4 * np.abs(PROBE).mean()),
        "normalised by the mean over the mask's pixels, not over all pixels": over_mask,
        "the mask was applied to the probe; it belongs in the norm only": used * mask,
        "it is not normalised as TensorFlow does it": 1.7 * used,
    }


@pytest.mark.parametrize("mistake", probes())
def test_a_wrong_probe_is_named(mistake: str) -> None:
    given = evidence(probe=probes()[mistake])
    assert check_probe(given) == dataclasses.replace(check_probe(given), verdict="wrong", mistake=mistake)


def test_a_flat_probe_is_the_probe_of_the_file() -> None:
    flat = np.ones((N, N), np.complex64)
    assert check_probe(evidence(raw_probe=flat, probe=normalize_probe_like_tf(flat, 4.0).numpy())).verdict == "right"
    other = check_probe(evidence(raw_probe=flat))
    assert (other.verdict, other.mistake) == (
        "unclear",
        "the model was trained with a different probe from the one in this file",
    )


def test_a_probe_scaled_twice_shows_in_the_brightness_too() -> None:
    """It shows even if the probe itself is right and only the forward model scales it again."""
    factor = diagnose(evidence())["brightness"].numbers["factor"]
    twice = diagnose(evidence(probe=normalize_probe_like_tf(PROBE, 16.0).numpy()))["brightness"].numbers["factor"]
    assert twice == pytest.approx(4 * factor)


@pytest.mark.parametrize(
    ("changed", "verdict", "mistake"),
    [
        ({"intensity_scale": intensity_scale(1e5, N)}, "wrong", "1e5 was used instead of 1e9"),
        ({"intensity_scale": 1e9**0.5}, "wrong", "the intensity scale was not divided by N / 2"),
        ({"intensity_scale": 1000.0, "nphotons": 2e9}, "wrong", "is not the configured one"),
        (
            {"intensity_scale": intensity_scale(1e5, N), "nphotons": 1e5},
            "unclear",
            "the default, also in TensorFlow, is 1e+09",
        ),
        ({"predicted": 1e9}, "unclear", "the network does not predict the light"),
    ],
)
def test_wrong_photons_are_named(changed: dict[str, float], verdict: str, mistake: str) -> None:
    finding = check_photons(evidence(**changed))
    assert finding.verdict == verdict
    assert mistake in finding.mistake


def test_an_object_that_is_nearly_real_has_no_sign_of_its_phase() -> None:
    known = np.abs(OBJECT) * np.exp(0.02j * np.angle(OBJECT))
    patches = patches_at(torch.from_numpy(known.astype(np.complex64)), torch.from_numpy(POSITIONS), N)
    for given in (patches, patches.conj().resolve_conj()):
        diagnosis = diagnose(evidence(given, known=known))
        assert diagnosis["patches"].verdict == "right", diagnosis["patches"]
        assert diagnosis["orientation"].verdict == "right", diagnosis["orientation"]


def test_noise_is_not_called_an_orientation() -> None:
    """The mosaic of an untrained network has no orientation, and the diagnosis says that it is unclear."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(90, N, N, dtype=torch.complex64, generator=random)
    diagnosis = diagnose(evidence(noise))
    assert diagnosis["orientation"].verdict == "unclear"
    assert diagnosis["patches"].verdict == "unclear"
    assert diagnosis["placement"].verdict == "right"
    assert diagnosis["similarity"].numbers["amplitude_ssim"] < 0.3


@pytest.mark.parametrize("lopsided", [0.0, 0.02])
def test_a_network_that_has_learnt_nothing_yet_raises_no_false_alarm(lopsided: float) -> None:
    """It predicts one patch, like the probe, for all patterns. With a slope, the patch has an orientation by chance."""
    rows, columns = torch.meshgrid(torch.arange(N) - 30.0, torch.arange(N) - 34.0, indexing="ij")
    patch = torch.exp(-(rows**2 + 1.3 * columns**2) / 400) * torch.exp(1j * lopsided * (columns + 0.4 * rows))
    diagnosis = diagnose(evidence(patch.to(torch.complex64).expand(90, N, N)))
    assert diagnosis["patches"].verdict == "unclear"
    assert diagnosis["orientation"].verdict == "unclear"
    assert diagnosis.verdict == (
        "unclear: patches, orientation: no mistake was found, but the result does not show the object yet"
    )


@pytest.mark.parametrize("orientation", ["upright", "transposed"])
def test_the_amplitude_decides_if_the_phase_is_useless(orientation: str) -> None:
    """After a short training, the amplitude may show the object while the phase does not."""
    given = evidence(true_patches())
    nonsense = np.exp(2j * np.pi * blurred(np.random.RandomState(3), given.mosaic.shape, 6.0))
    mosaic = turned(np.abs(given.mosaic) * nonsense, orientation).astype(np.complex64)
    found = diagnose(dataclasses.replace(given, mosaic=mosaic, count=turned(given.count, orientation).copy()))[
        "orientation"
    ]
    assert found.says.startswith(f"judged by the amplitude, because the phase is too weak: {orientation}, ")
    assert found.numbers["correlation"] < 0.5
    assert (found.verdict, found.mistake) == {
        "upright": ("right", ""),
        "transposed": ("wrong", "the mosaic is transposed"),
    }[orientation]


# ------------------------------------------------------------------------------------------------ another origin

ELSEWHERE: Mapping[str, tuple[np.ndarray, np.ndarray]] = {
    "300 px away": (POSITIONS + np.array([300, 0]), OBJECT),
    "stage coordinates": (POSITIONS + np.array([-5210.3, 17345.8]), OBJECT),
    "centred at 0": (POSITIONS - POSITIONS.mean(axis=0), OBJECT),
    "a cropped guess": (POSITIONS, OBJECT[20:95, 22:105]),
    "another frame": (POSITIONS + np.array([40, 30]), OBJECT),
    "a small guess": (POSITIONS - (60, 45), OBJECT[40:60, 50:70]),
}
"""Positions and objectGuess of a file; the network's patches are right."""


@pytest.mark.parametrize(("positions", "known"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_an_object_of_another_origin_is_not_a_mistake(positions: np.ndarray, known: np.ndarray, tmp_path: Path) -> None:
    given = evidence(offsets=positions, patches=true_patches(), positions=positions, known=known)
    diagnosis = diagnose(given)
    assert "wrong" not in {one.verdict for one in diagnosis.findings}
    assert diagnosis["object"].verdict == "unclear"
    assert "it does not cover the scan: its origin differs from that of the positions" in diagnosis["object"].mistake
    assert "object" in diagnosis.verdict
    for name in ("probe", "coordinates", "canvas", "placement"):
        assert diagnosis[name].verdict == "right", diagnosis[name]
    for name in ("brightness", "patches", "amplitude", "phase", "resolution", "similarity"):
        assert diagnosis[name].verdict == "unknown", diagnosis[name]
        assert "does not cover the scan" in diagnosis[name].says
    if known.shape != (20, 20):
        assert diagnosis["orientation"].verdict == "right", diagnosis["orientation"]
    json.dumps(diagnosis.to_json(), allow_nan=False)
    if known.shape == (20, 20):
        draw_diagnosis(given, diagnosis, tmp_path / "diagnosis.png")


def test_a_turned_mosaic_is_found_with_another_origin_too() -> None:
    given = evidence(offsets=POSITIONS + 300, patches=true_patches(), positions=POSITIONS + 300)
    mosaic, count = (turned(array, "transposed").copy() for array in (given.mosaic, given.count))
    found = wrong(dataclasses.replace(given, mosaic=mosaic, count=count))
    assert found["orientation"].mistake == "the mosaic is transposed"


def test_a_cropped_guess_in_the_right_place_is_compared_where_it_is() -> None:
    known = OBJECT[:, :90]
    diagnosis = diagnose(evidence(known=known))
    assert (diagnosis["object"].verdict, diagnosis["object"].mistake) == (
        "unclear",
        "objectGuess is smaller than the scan",
    )
    assert re.search(r"objectGuess covers [78]\d% of the mosaic; only this part is compared", diagnosis["object"].says)
    assert diagnosis["orientation"].verdict == "right"
    assert diagnosis["amplitude"].numbers["error"] < 0.02
    assert (diagnosis["brightness"].verdict, diagnosis["patches"].verdict) == ("unknown", "right")
    assert "of the light falls onto it" in diagnosis["brightness"].says


# ------------------------------------------------------------------------------------------------ degenerate scans

CENTRE = np.array([65.0, 55.0])
STEPS = np.arange(-30, 31, 6.0)[:, None]
DEGENERATE: Mapping[str, np.ndarray] = {
    "a line along x": CENTRE + STEPS * (1, 0),
    "a line along y": CENTRE + 0.8 * STEPS * (0, 1),
    "a diagonal": CENTRE + 0.7 * STEPS * (1, 1),
    "another diagonal": CENTRE + 0.7 * STEPS * (1, -1),
    "a slanted line": CENTRE + 0.7 * STEPS * (1, 0.3),
    "two positions": CENTRE + np.array([[-8, 3], [8, -3]]),
    "three positions": CENTRE + np.array([[-8, 3], [8, -3], [2, 9]]),
    "one position": CENTRE[None],
    "standing still": np.repeat(CENTRE[None], 9, axis=0),
    "exact tiles": CENTRE + 20 * np.argwhere(np.ones((3, 2)))[:, ::-1] - 20,
    "exact tiles, off the pixels": CENTRE + 20 * np.argwhere(np.ones((3, 3)))[:, ::-1] - 20.3,
    "two tiles": CENTRE + np.array([[0, 0], [20, 0]]),
}


@pytest.mark.parametrize("positions", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("seed", [None, 0])
def test_degenerate_scans_are_unclear_not_wrong(positions: np.ndarray, seed: int | None, tmp_path: Path) -> None:
    """Patches are the true ones, or smooth images of a network that has learnt nothing, which fit somewhere."""
    positions = np.array(positions, np.float64)
    patches = true_patches(positions)
    if seed is not None:
        noise = [blurred(np.random.RandomState(100 * seed + k), (N, N), 5) for k in range(len(positions))]
        patches = torch.from_numpy(np.array(noise) * np.exp(1j * np.array(noise))).to(torch.complex64)
    given = evidence(patches, offsets=positions, positions=positions)
    diagnosis = diagnose(given)
    assert "wrong" not in {one.verdict for one in diagnosis.findings}
    if "coordinates" in {one.name for one in diagnosis.findings if one.verdict == "right"}:
        assert np.linalg.matrix_rank(positions - positions.mean(axis=0), tol=1e-6) == 2
    else:
        assert "nothing is wrong" not in diagnosis.verdict or "unclear: coordinates" in diagnosis.verdict
    if seed is None and len(positions) > 3 and np.ptp(positions) > 1:
        assert diagnosis["orientation"].verdict == "right", diagnosis["orientation"]
    json.dumps(diagnosis.to_json(), allow_nan=False)
    if seed is None and len(positions) in (1, 6):
        draw_diagnosis(given, diagnosis, tmp_path / "diagnosis.png")


@pytest.mark.parametrize(
    ("turn", "mistake"),
    [
        ([[-1, 0], [0, 1]], "they are negated, or x is negated"),
        ([[0, 1], [1, 0]], "x and y are exchanged, or they are turned by 90 degrees"),
        ([[1.1, 0], [0, 1.1]], "they lie on a different line: a different unit, or a rotated stage"),
    ],
)
def test_a_line_shows_some_mistakes(turn: list[list[float]], mistake: str) -> None:
    positions = DEGENERATE["a line along x"]
    offsets = (positions - CENTRE) @ np.array(turn) + CENTRE
    found = wrong(evidence(true_patches(positions), offsets=offsets, positions=positions))
    assert found["coordinates"].mistake == mistake
    found = wrong(evidence(true_patches(positions), offsets=positions[::-1] * (1, 0.5), positions=positions))
    assert found["coordinates"].verdict == "wrong"


def test_a_single_dark_pattern_does_not_blame_the_probe() -> None:
    rows, columns = np.indices(OBJECT.shape)
    hole = np.hypot(rows - CENTRE[1], columns - CENTRE[0]) < 24
    known = np.where(hole, 0.1 * OBJECT, OBJECT).astype(np.complex64)
    for positions in (CENTRE[None], CENTRE + 8 * np.argwhere(np.ones((9, 9))) - 32):
        patches = patches_at(torch.from_numpy(known), torch.from_numpy(positions), N)
        finding = diagnose(evidence(patches, offsets=positions, positions=positions, known=known))["brightness"]
        assert finding.verdict != "wrong"
        assert (finding.numbers["brightest"] > 2) == (len(positions) == 1)


def test_many_places_are_needed_to_call_an_orientation_wrong() -> None:
    """Turned patches are named on a whole scan. A few patterns do not decide, because one alone has a twin image."""
    few = CENTRE + np.array([[-12, 3], [12, -3], [2, 9]])
    for positions, verdict in ((POSITIONS, "wrong"), (few, "unclear")):
        patches = torch.from_numpy(turned(true_patches(positions).numpy(), "turned by 180 degrees").copy())
        diagnosis = diagnose(evidence(patches, offsets=positions, positions=positions))
        assert diagnosis["patches"].verdict == verdict
    assert diagnosis["patches"].mistake.endswith(
        "too few to decide whether the network's output is turned before it is stitched"
    )


# ------------------------------------------------------------------------------------------------ nothing to see


@pytest.mark.parametrize(("value", "empty"), [(0, "0 everywhere"), (np.nan, "not finite"), (np.inf, "not finite")])
def test_a_network_that_makes_no_object_is_named(value: float, empty: str, tmp_path: Path) -> None:
    given = evidence(torch.full((90, N, N), value, dtype=torch.complex64))
    diagnosis = diagnose(given)
    assert diagnosis["mosaic"].verdict == "wrong"
    assert diagnosis["mosaic"].says == f"it is {empty}"
    assert diagnosis.verdict.startswith("wrong: mosaic: the network yields no object")
    json.dumps(diagnosis.to_json(), allow_nan=False)
    draw_diagnosis(given, diagnosis, tmp_path / "diagnosis.png")


def test_without_an_object_patterns_show_what_was_learnt() -> None:
    diagnosis = diagnose(evidence(known=None, explained=-0.4))
    assert diagnosis["fit"].verdict == "unclear"
    assert diagnosis["fit"].says == "the network explains 0% of the variation between patterns"
    assert diagnosis.verdict == "unclear: fit: no mistake was found, but the result does not show the object yet"
    diagnosis = diagnose(evidence(known=None, explained=0.6))
    assert (diagnosis["fit"].verdict, diagnosis["fit"].numbers) == ("measured", {"explained": 0.6})
    assert diagnosis.verdict.startswith("nothing is wrong with what can be seen; unknown: ")
    # If the object is seen upright, a poor fit does not put it in doubt.
    assert diagnose(evidence(explained=-0.4)).verdict.startswith("nothing is wrong; unclear: fit")


def test_what_is_not_resolved_has_no_half_period() -> None:
    noise = torch.randn(90, N, N, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    given = evidence(noise)
    finding = diagnose(given)["resolution"]
    assert finding.says.startswith("not resolved: the Fourier ring correlation never reaches 0.5 (in ")
    assert diagnose(given).to_json()["findings"][-2]["numbers"]["half_period"] is None
    one = diagnose(evidence(noise[:1], offsets=POSITIONS[:1], positions=POSITIONS[:1]))
    assert "half period" not in one["resolution"].says


# ------------------------------------------------------------------------------------------------ parts


def test_expected_overlaps_are_counted() -> None:
    positions = np.array([[10.0, 10.0], [14.0, 11.0], [6.0, 9.0]])
    count = expected_count(positions, 4, 12)
    by_hand = np.zeros((12, 12))
    for x, y in positions.astype(int) - 10 + 6 - 2:
        by_hand[y : y + 4, x : x + 4] += 1
    np.testing.assert_array_equal(count, by_hand)
    assert covered_box(count > 0) == (12, 6)
    # Between pixels, a crop covers fractions of pixels, as in bilinear interpolation.
    half = expected_count(np.array([[0.0, 0.0], [1.0, 0.5]]), 2, 6)
    along_x, along_y = np.zeros((2, 6)), np.zeros((2, 6))
    along_x[0, 1:4], along_x[1, 2:5] = (0.5, 1, 0.5), (0.5, 1, 0.5)
    along_y[0, 1:4], along_y[1, 2:5] = (0.25, 1, 0.75), (0.75, 1, 0.25)
    np.testing.assert_allclose(half, along_y.T @ along_x, atol=1e-12)
    assert covered_box(np.zeros((3, 3), bool)) == (0, 0)


def test_text_json_and_picture(tmp_path: Path) -> None:
    given = evidence(offsets=-POSITIONS)
    diagnosis = diagnose(given)
    *lines, last = diagnosis.to_text().splitlines()
    assert len(lines) == len(diagnosis.findings)
    assert last.startswith("verdict: wrong: coordinates: they are negated (also wrong: placement")
    document = json.loads(json.dumps(diagnosis.to_json(), allow_nan=False))
    assert document["verdict"] == diagnosis.verdict
    assert [one["name"] for one in document["findings"]] == [one.name for one in diagnosis.findings]
    with pytest.raises(KeyError):
        diagnosis["nothing"]
    draw_diagnosis(given, diagnosis, tmp_path / "diagnosis.png")
    with Image.open(tmp_path / "diagnosis.png") as picture:
        colours = picture.convert("RGB").getcolors(2**24)
    red = [number for number, colour in colours if np.abs(np.subtract(colour, (214, 39, 40))).sum() < 100]
    assert sum(red) > 100, "what is wrong is red"
    with pytest.raises(ValueError, match=re.escape("expected a name that ends in .png")):
        draw_diagnosis(given, diagnosis, tmp_path / "diagnosis.jpg")
    assert diagnosis.aligned is not None
    draw_comparison(given.mosaic, diagnosis.aligned, given.mask, tmp_path / "comparison.png")
