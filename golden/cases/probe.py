"""Probe: the hard mask, the normalised probe, the default disk probe."""

from __future__ import annotations

import numpy as np

from golden.case import Case, Drawing, Operation, Output
from golden.draw import Draw

HARD_MASK = Operation(
    name="probe.hard_mask",
    summary="pixels closer than N // 4 to the mask's centre",
    inputs={},
    outputs=(Output("mask", "(N, N, 1) bool; rows, columns"),),
)

NORMALISE = Operation(
    name="probe.normalise",
    summary="the probe divided by probe_scale times the mean modulus of the masked probe",
    inputs={"probe": "(N, N) complex64; rows, columns; the probe as guessed"},
    outputs=(
        Output(
            "normalised",
            "(N, N, 1) complex64; not masked: the mask enters only the norm",
            terms=lambda inputs, parameters: inputs["probe"].size,
        ),
    ),
)

DEFAULT_DISK = Operation(
    name="probe.default_disk",
    summary="a blurred disk: the probe used when there is no guess",
    inputs={},
    # Two blurs of 9 taps.
    outputs=(Output("probe", "(N, N) float64; rows, columns; modulus, about 0 to 1", terms=18),),
    precision="float64",
)


def speckled(N: int) -> Drawing:
    """Random in every pixel, so there is structure outside the mask, and no symmetry."""
    return lambda draw: {"probe": draw.complex((N, N), step=1 / 16)}


def curved_beam(N: int) -> Drawing:
    """A wide, off-centre beam with a curved phase and a halo well beyond the mask, as a real probe has."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        rows, columns = np.mgrid[:N, :N] / N
        x, y = columns - 0.54, rows - 0.47
        modulus = np.exp(-(x**2 + 1.6 * y**2) / 0.04) + 0.05 * np.exp(-(x**2 + y**2) / 0.3)
        wave = modulus * np.exp(1j * (30 * x**2 + 22 * y**2 + 9 * x * y + 2 * x))
        wave = wave + draw.complex((N, N), step=1 / 16) / 256
        step = 2.0**-12
        return {"probe": (np.round(wave / step) * step).astype(np.complex64)}

    return make


CASES = (
    *(
        Case(f"probe/hard_mask_n{N}", HARD_MASK, f"the mask for N = {N}{note}", {"N": N})
        for N, note in ((16, ""), (32, ""), (64, ""), (128, ""), (63, ", odd: its centre is half a pixel off"))
    ),
    Case("probe/normalise_n16_scale4", NORMALISE, "a small probe", {"probe_scale": 4.0}, speckled(16)),
    Case(
        "probe/normalise_n64_scale4",
        NORMALISE,
        "the default size and scale; structure outside the mask",
        {"probe_scale": 4.0},
        speckled(64),
    ),
    Case("probe/normalise_n64_scale10", NORMALISE, "the legacy scale", {"probe_scale": 10.0}, speckled(64)),
    Case("probe/normalise_n63_scale4", NORMALISE, "an odd size", {"probe_scale": 4.0}, speckled(63)),
    Case(
        "probe/normalise_n64_beam",
        NORMALISE,
        "a curved, off-centre beam with a halo, as reconstructed from data",
        {"probe_scale": 4.0},
        curved_beam(64),
    ),
    Case("probe/normalise_n128_beam", NORMALISE, "the same at twice the size", {"probe_scale": 4.0}, curved_beam(128)),
    *(
        Case(f"probe/default_disk_n{N}", DEFAULT_DISK, f"the disk for N = {N}", {"N": N, "default_probe_scale": 0.7})
        for N in (32, 64, 128)
    ),
    Case("probe/default_disk_n64_scale1", DEFAULT_DISK, "a narrower window", {"N": 64, "default_probe_scale": 1.0}),
)
