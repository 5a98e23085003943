"""These faults get the hard mask, the probe's normalisation, or the default disk wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.ptychopinn.probe.formulas import default_disk, distance, hard_mask, mask, masked_modulus, normalise
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault
from golden.spec.parameters import Parameters

# ------------------------------------------------------------------------------------------------ conditions

_SAME_CENTRE = "for even N, (N - 1) / 2 and N // 2 - 0.5 are the same"
_EVEN_MASK = Condition(_SAME_CENTRE, lambda _, p: p["N"] % 2 == 0)
_EVEN_PROBE = Condition(_SAME_CENTRE, lambda inputs, _: len(inputs["probe"]) % 2 == 0)
_SAME_RADIUS = "no pixel lies between the radii N // 4 and N / 4"
_MASK_OF_FOURS = Condition(_SAME_RADIUS, lambda _, p: bool((wide_mask(p["N"]) == mask(p["N"])).all()))
_PROBE_OF_FOURS = Condition(
    _SAME_RADIUS, lambda inputs, _: bool((wide_mask(len(inputs["probe"])) == mask(len(inputs["probe"]))).all())
)


# ------------------------------------------------------------------------------------------------ mask


def wide_mask(N: int) -> np.ndarray:
    """Return the mask (N, N) bool with radius N / 4, not rounded down."""
    return distance(N, N // 2 - 0.5) < N / 4


def soft_mask(N: int) -> np.ndarray:
    """Return the hard mask (N, N) with an edge that is blurred by a pixel, as in ports that smooth it."""
    taps = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    blurred = wide_mask(N).astype(np.float64)
    for axis in (0, 1):
        blurred = np.apply_along_axis(np.convolve, axis, blurred, taps, "same")
    return np.asarray(blurred / blurred.max())


def _mask_from(name: str, symptom: str, make: Callable[[int], np.ndarray]) -> Fault:
    return Fault.of_formula(name, symptom, hard_mask, make=make)


HARD_MASK = (
    _mask_from(
        "centre_on_pixel",
        "the mask is centred on index N // 2; expected N // 2 - 0.5",
        lambda N: distance(N, N // 2) < N // 4,
    ),
    _mask_from(
        "centre_of_array",
        "the mask is centred on (N - 1) / 2; expected N // 2 - 0.5",
        lambda N: distance(N, (N - 1) / 2) < N // 4,
    ).invisible_when(_EVEN_MASK),
    _mask_from(
        "radius_half", "the mask's radius is N // 2; expected N // 4", lambda N: distance(N, N // 2 - 0.5) < N // 2
    ),
    _mask_from(
        "diameter_quarter",
        "N // 4 is the mask's diameter; expected its radius",
        lambda N: distance(N, N // 2 - 0.5) < N // 8,
    ),
    _mask_from(
        "radius_not_rounded", "the mask's radius is N / 4; expected N // 4, also for odd N", wide_mask
    ).invisible_when(_MASK_OF_FOURS),
    _mask_from(
        "square",
        "the mask is the central square of side N // 2; expected a disk",
        lambda N: np.maximum(*np.abs(np.mgrid[:N, :N] - N // 2 + 0.5)) < N // 4,
    ),
    _mask_from("inverted", "the mask is True outside the disk; expected True inside", lambda N: ~mask(N)),
    _mask_from("soft", "the mask has a soft edge; expected bool", lambda N: soft_mask(N).astype(np.float32)),
)

# ------------------------------------------------------------------------------------------------ normalisation


def _divided_by(name: str, symptom: str, mean: Callable[[np.ndarray], float]) -> Fault:
    """Replace the mean modulus of the masked probe by ``mean`` of the probe (N, N)."""
    return Fault.of_formula(name, symptom, normalise, mean=mean)


def _other_scale(parameters: Parameters) -> Parameters:
    return {"probe_scale": 4.0 if parameters["probe_scale"] == 10.0 else 10.0}


def _of_probe(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    """Alter the result: ``change`` gets the normalised probe (N, N)."""
    return lambda outputs: {"normalised": change(outputs["normalised"][..., 0]).astype(np.complex64)[..., None].copy()}


NORMALISATION = (
    Fault.of_parameters(
        "other_probe_scale",
        "probe_scale is another default (legacy 10, structured 4); expected the given one",
        _other_scale,
    ),
    Fault(
        "scale_twice",
        "the probe is divided by probe_scale twice; expected once",
        lambda t: {"normalised": (t.outputs["normalised"] / t.parameters["probe_scale"]).astype(np.complex64)},
    ),
    Fault(
        "scale_ignored",
        "the probe is not divided by probe_scale; expected mean masked modulus 1 / probe_scale",
        lambda t: {"normalised": (t.outputs["normalised"] * t.parameters["probe_scale"]).astype(np.complex64)},
    ),
    Fault(
        "raw_probe",
        "the raw probe is returned; expected the normalised one",
        lambda t: {"normalised": t.inputs["probe"][..., None]},
    ),
    _divided_by(
        "norm_of_whole_frame",
        "the norm uses the unmasked probe; expected the hard mask",
        lambda probe: float(np.abs(probe).mean()),
    ),
    _divided_by(
        "norm_of_mask_pixels",
        "the mean runs over the mask's pixels; expected over all N * N",
        lambda probe: float(np.abs(probe)[mask(len(probe))].mean()),
    ),
    _divided_by(
        "norm_with_soft_mask",
        "the norm uses a soft mask; expected the hard mask",
        lambda probe: float((np.abs(probe) * soft_mask(len(probe))).mean()),
    ),
    _divided_by(
        "norm_with_mask_on_pixel",
        "the norm's mask is centred on index N // 2; expected N // 2 - 0.5",
        lambda probe: float((np.abs(probe) * (distance(len(probe), len(probe) // 2) < len(probe) // 4)).mean()),
    ),
    _divided_by(
        "norm_with_mask_of_array",
        "the norm's mask is centred on (N - 1) / 2; expected N // 2 - 0.5",
        lambda probe: float((np.abs(probe) * (distance(len(probe), (len(probe) - 1) / 2) < len(probe) // 4)).mean()),
    ).invisible_when(_EVEN_PROBE),
    _divided_by(
        "norm_with_radius_not_rounded",
        "the radius of the norm's mask is N / 4; expected N // 4, also for odd N",
        lambda probe: float((np.abs(probe) * wide_mask(len(probe))).mean()),
    ).invisible_when(_PROBE_OF_FOURS),
    _divided_by(
        "norm_root_mean_square",
        "the norm is a root mean square; expected the mean modulus",
        lambda probe: float(np.sqrt((masked_modulus(probe) ** 2).mean())),
    ),
    _divided_by(
        "norm_maximum",
        "the norm is the largest modulus; expected the mean modulus",
        lambda probe: float(masked_modulus(probe).max()),
    ),
    _divided_by(
        "norm_of_real_part",
        "the norm uses the real part; expected the modulus",
        lambda probe: float((np.abs(probe.real) * mask(len(probe))).mean()),
    ),
    Fault.of_outputs(
        "mask_applied",
        "the probe is zero outside the mask; expected the mask in the norm only",
        _of_probe(lambda probe: probe * mask(len(probe))),
    ),
    Fault.of_outputs("conjugated", "the probe is complex-conjugated; expected no conjugation", _of_probe(np.conj)),
    Fault.of_outputs("transposed", "the probe is transposed; expected (row, column)", _of_probe(np.transpose)),
    Fault.of_outputs("imaginary_lost", "the imaginary part is lost; expected a complex probe", _of_probe(np.real)),
)

# ------------------------------------------------------------------------------------------------ default disk


def _other_disk(name: str, symptom: str, **parts: Any) -> Fault:
    return Fault.of_formula(name, symptom, default_disk, **parts)


DEFAULT_DISK = (
    _other_disk(
        "window_on_pixel",
        "the window is centred on index N // 2; expected (N - 1) / 2",
        centre=lambda N: N // 2,
    ),
    _other_disk("threshold_omitted", "the window is not thresholded; expected 1 where it exceeds 0.5", threshold=None),
    _other_disk("threshold_at_quarter", "the window's threshold is 0.25; expected 0.5", threshold=0.25),
    _other_disk("blur_omitted", "the disk has a sharp edge; expected a blur of one pixel", blurs=0),
    _other_disk("blur_twice", "the disk is blurred twice; expected once", blurs=2),
    _other_disk("blur_cut_at_three", "the blur is truncated at three standard deviations; expected four", cut_at=3),
    _other_disk("floor_omitted", "1e-9 is not added to the probe; expected no pixel to be zero", floor=0.0),
    Fault.of_parameters(
        "other_disk_scale",
        "default_probe_scale is another value (0.7 by default); expected the given one",
        lambda parameters: {"default_probe_scale": 0.7 if parameters["default_probe_scale"] == 1.0 else 1.0},
    ),
)
