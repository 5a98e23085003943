"""These cases freeze the hard mask, the normalised probe, and the default disk."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.probe import faults, formulas
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.random_inputs import Draw

HARD_MASK = Operation(
    name="probe.hard_mask",
    summary="pixels closer than N // 4 to the mask's centre",
    inputs={},
    outputs=(Output("mask", "(N, N, 1) bool", "row column channel"),),
    parameters={"N": int},
    formula=formulas.hard_mask,
    faults=faults.HARD_MASK,
)

NORMALISE = Operation(
    name="probe.normalise",
    summary="the probe divided by probe_scale times the mean modulus of the masked probe",
    inputs={"probe": Input("(N, N) complex64; the probe as guessed", "row column", "1")},
    outputs=(
        Output(
            "normalised",
            "(N, N, 1) complex64; not masked: the mask enters only the norm",
            "row column channel",
            "1",
            terms=lambda inputs, parameters: inputs["probe"].size,
        ),
    ),
    parameters={"probe_scale": float},
    formula=formulas.normalise,
    faults=faults.NORMALISATION,
)

DEFAULT_DISK = Operation(
    name="probe.default_disk",
    summary="a blurred disk, the probe that is used when there is no guess",
    inputs={},
    # Two blurs of 9 taps.
    outputs=(Output("probe", "(N, N) float64; modulus, about 0 to 1", "row column", "1", terms=18),),
    parameters={"N": int, "default_probe_scale": float},
    precision="float64",
    formula=formulas.default_disk,
    faults=faults.DEFAULT_DISK,
)


def speckled(N: int) -> Drawing:
    """Draw speckle within and well beyond the mask, different on each side, so that there is no symmetry."""
    rows, columns = slice(N // 5, N * 4 // 5), slice(N // 6, N * 7 // 8)
    return lambda draw: {"probe": draw.window((1, N, N), rows, columns, bits=2)[0]}


def curved_beam(N: int) -> Drawing:
    """Draw a wide, off-centre beam with a curved phase and a halo well beyond the mask, like a real probe."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        rows, columns = np.mgrid[:N, :N] / N
        x, y = columns - 0.54, rows - 0.47
        modulus = np.exp(-(x**2 + 1.6 * y**2) / 0.04) + 0.05 * np.exp(-(x**2 + y**2) / 0.3)
        wave = modulus * np.exp(1j * (30 * x**2 + 22 * y**2 + 9 * x * y + 2 * x))
        return {"probe": of_few_bits(wave)}

    return make


def ring_beam(N: int) -> Drawing:
    """Draw the beam of a zone plate with a central stop: a ring across the mask's edge, which affects the norm."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        rows, columns = np.mgrid[:N, :N] / N
        x, y = columns - 0.51, rows - 0.48
        modulus = np.exp(-(((np.sqrt(x**2 + 1.1 * y**2) - 0.26) / 0.02) ** 2))
        return {"probe": of_few_bits(modulus * np.exp(1j * (11 * x**2 - 7 * y**2 + 3 * x)))}

    return make


def of_few_bits(wave: np.ndarray, step: float = 1 / 64) -> np.ndarray:
    """Round to multiples of a power of two, complex64, so that small values become 0 and take no space."""
    return (np.round(wave / step) * step).astype(np.complex64)


def _mask(N: int, summary: str) -> Case:
    return Case(f"probe/hard_mask_n{N}", HARD_MASK, summary, {"N": N})


def _normalised(name: str, summary: str, draw: Drawing, scale: float = 4.0) -> Case:
    return Case(f"probe/normalise_{name}", NORMALISE, summary, {"probe_scale": scale}, draw)


CASES = (
    *(_mask(N, f"hard mask for N = {N}") for N in (16, 32, 64, 128)),
    _mask(63, "hard mask for N = 63, an odd size: its centre is half a pixel off"),
    _normalised("n16_scale4", "normalised probe for N = 16", speckled(16)),
    _normalised(
        "n64_scale4", "normalised probe at the default size and scale, with light outside the mask", speckled(64)
    ),
    _normalised("n64_scale10", "normalised probe with the legacy probe_scale", speckled(64), scale=10.0),
    _normalised("n63_scale4", "normalised probe for N = 63, an odd size", speckled(63)),
    _normalised(
        "n64_beam", "normalised probe as reconstructed from data: curved, off-centre, with a halo", curved_beam(64)
    ),
    _normalised(
        "n128_ring", "normalised probe for N = 128 with a ring of light across the mask's edge", ring_beam(128)
    ),
    *(
        Case(
            f"probe/default_disk_n{N}",
            DEFAULT_DISK,
            f"default disk probe for N = {N}",
            {"N": N, "default_probe_scale": 0.7},
        )
        for N in (32, 64, 128)
    ),
    Case(
        "probe/default_disk_n64_scale1",
        DEFAULT_DISK,
        "default disk probe with a narrower window",
        {"N": 64, "default_probe_scale": 1.0},
    ),
)
