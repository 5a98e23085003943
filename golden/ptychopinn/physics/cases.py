"""These cases freeze the amplitude of object and probe on the detector, and the term that compares it with data."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.physics import faults, formulas
from golden.ptychopinn.probe.cases import curved_beam
from golden.spec.arrays import Arrays
from golden.spec.case import Case, Drawing
from golden.spec.operation import Input, Operation, Output
from golden.spec.parameters import Parameters
from golden.spec.random_inputs import Draw


def _pixels_of_padded(inputs: Arrays, parameters: Parameters) -> int:
    N = inputs["field"].shape[1]
    return int((N + N // 4 * 2) ** 2)


_FIELD = {"field": Input("(n, N, N, 1) complex64", "image row column channel", "1")}

DIFFRACTION = Operation(
    name="physics.diffraction",
    summary="amplitude on the detector: FFT, |F|^2 / N^2, zero frequency moved to index N // 2, square root",
    inputs=_FIELD,
    outputs=(
        Output(
            "amplitude",
            "(n, N, N, 1) float32; its squares sum to those of the field",
            "image row column channel",
            "1",
            terms=lambda inputs, _: inputs["field"].shape[1] ** 2,
        ),
    ),
    formula=formulas.diffraction,
    faults=faults.DIFFRACTION,
)

PADDED_DIFFRACTION = Operation(
    name="physics.padded_diffraction",
    summary="amplitude on the detector of a field with N // 4 zeros on every side, still divided by the unpadded N",
    inputs=_FIELD,
    outputs=(
        Output("padded", "(n, N + N // 2, N + N // 2, 1) complex64", "image row column channel", "1"),
        Output(
            "amplitude",
            "(n, N + N // 2, N + N // 2, 1) float32",
            "image row column channel",
            "1",
            terms=_pixels_of_padded,
        ),
    ),
    formula=formulas.padded_diffraction,
    faults=faults.PADDED_DIFFRACTION,
)

FORWARD = Operation(
    name="physics.forward",
    summary="the predicted amplitude: diffraction of patch times normalised probe, times the intensity scale",
    inputs={
        "patches": Input("(B, N, N, C) complex64", "group row column member", "1"),
        "probe": Input("(N, N) complex64; as guessed", "row column", "1"),
    },
    outputs=(
        Output(
            "amplitude",
            "(B, N, N, C) float32; the square root of expected counts",
            "group row column member",
            "sqrt(photon)",
            terms=lambda inputs, _: inputs["probe"].size,
        ),
    ),
    parameters={"probe_scale": float, "nphotons": float},
    formula=formulas.forward,
    faults=faults.FORWARD,
)

INTENSITY_SCALE = Operation(
    name="physics.intensity_scale",
    summary="the factor that gives normalised patterns nphotons photons: sqrt(nphotons) / (N / 2)",
    inputs={
        "nphotons": Input("(k,) float64; photons per pattern", "case", "photon"),
        "N": Input("(k,) int64; patch side", "case", "pixel"),
    },
    outputs=(Output("scale", "(k,) float32", "case", "sqrt(photon)"),),
    formula=formulas.intensity_scale,
    faults=faults.INTENSITY_SCALE,
)


def _pixels_of_all(inputs: Arrays, parameters: Parameters) -> int:
    return int(next(iter(inputs.values())).size)


PHOTON_SCALE = Operation(
    name="physics.photon_scale",
    summary="the factor that gives patterns nphotons photons on average: sqrt(nphotons / mean energy of a pattern)",
    inputs={"X": Input("(B, N, N, C) float32; amplitude", "group row column member", "1")},
    outputs=(
        Output("scale", "scalar float32", unit="sqrt(photon)", terms=_pixels_of_all),
        Output(
            "scaled", "(B, N, N, C) float32; scale * X", "group row column member", "sqrt(photon)", terms=_pixels_of_all
        ),
    ),
    parameters={"nphotons": float},
    formula=formulas.photon_scale,
    faults=faults.PHOTON_SCALE,
)

POISSON = Operation(
    name="physics.poisson",
    summary="the Poisson term, without log(target!): predicted - target * log(predicted)",
    inputs={
        "predicted": Input("(B, N, N, C) float32; expected counts, positive", "group row column member", "photon"),
        "target": Input("(B, N, N, C) float32; counts", "group row column member", "photon"),
    },
    outputs=(
        Output("elementwise", "(B, N, N, C) float32", "group row column member", "1", terms=2),
        Output("mean", "scalar float32; over all elements", unit="1", terms=_pixels_of_all),
    ),
    formula=formulas.poisson,
    faults=faults.POISSON,
)

POISSON_AT_ZERO = Operation(
    name="physics.poisson_at_zero",
    summary="where the Poisson term is infinite or undefined, because no count is expected",
    inputs={
        "predicted": Input("(B, N, N, C) float32; expected counts, some 0", "group row column member", "photon"),
        "target": Input("(B, N, N, C) float32; counts, some 0", "group row column member", "photon"),
    },
    outputs=(
        Output("infinite", "(B, N, N, C) bool; +inf: predicted 0, target positive", "group row column member"),
        Output("undefined", "(B, N, N, C) bool; NaN: both 0", "group row column member"),
    ),
    formula=formulas.poisson_at_zero,
    faults=faults.POISSON_AT_ZERO,
)

SIMULATION = Operation(
    name="physics.simulation",
    summary="noise-free patterns of A exp(i phi) under the given probe, and the truth that is kept",
    inputs={
        "amplitude": Input("(n, N, N, 1) float32; A", "image row column channel", "1"),
        "phase": Input("(n, N, N, 1) float32; phi", "image row column channel", "rad"),
        "probe": Input("(N, N) complex64", "row column", "1"),
    },
    outputs=(
        Output(
            "X",
            "(n, N, N, 1) float32; amplitude",
            "image row column channel",
            "1",
            terms=lambda inputs, _: inputs["probe"].size,
        ),
        Output("Y_I", "(n, N, N, 1) float32; A |P|, illuminated", "image row column channel", "1"),
        Output("Y_phi", "(n, N, N, 1) float32; phi, before the illumination", "image row column channel", "rad"),
        Output(
            "intensity_scale", "scalar float32; divided out of X and Y_I", unit="sqrt(photon)", terms=_pixels_of_all
        ),
    ),
    parameters={"nphotons": float},
    formula=formulas.simulation,
    faults=faults.SIMULATION,
)


def fields(n: int, N: int) -> Drawing:
    """Draw fields under an off-centre envelope, so that patterns have structure and no symmetry."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        rows, columns = np.mgrid[:N, :N] / N
        envelope = np.exp(-((columns - 0.45) ** 2 + 1.5 * (rows - 0.6) ** 2) / 0.08)
        envelope = np.round(envelope * 8) / 8
        return {"field": (draw.texture((n, N, N, 1), bits=1) * envelope[None, :, :, None]).astype(np.complex64)}

    return make


def object_and_probe(groups: int, members: int, N: int) -> Drawing:
    """Draw patches near 1 with phase, under a curved beam with a halo."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        patches = 1 + draw.texture((groups, N, N, members)) / 8
        return {"patches": patches.astype(np.complex64), **curved_beam(N)(draw)}

    return make


def photons_and_sides(draw: Draw) -> dict[str, np.ndarray]:
    return {
        "nphotons": np.array([1e9, 1e9, 1e9, 1e5, 3.5e6, 1e9], np.float64),
        "N": np.array([64, 128, 256, 64, 32, 16], np.int64),
    }


def amplitudes(groups: int, members: int, N: int) -> Drawing:
    """Draw patterns of different brightness."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        brightness = draw.multiples(1 / 8, 0.5, 3, (groups, 1, 1, members))
        return {"X": (draw.multiples(1 / 32, 0, 2, (groups, N, N, members)) * brightness).astype(np.float32)}

    return make


def counts(groups: int, members: int, N: int) -> Drawing:
    """Draw expected counts between 0.5 and 24, and counts scattered around them; some are 0."""

    def make(draw: Draw) -> dict[str, np.ndarray]:
        shape = (groups, N, N, members)
        predicted = draw.multiples(1 / 16, 0.5, 24, shape)
        target = np.maximum(0, np.round(predicted + draw.multiples(1 / 4, -5, 5, shape)))
        return {"predicted": predicted.astype(np.float32), "target": target.astype(np.float32)}

    return make


def dark_counts(draw: Draw) -> dict[str, np.ndarray]:
    """Make all four combinations of dark and bright."""
    shape = (2, 4, 4, 1)
    predicted = draw.multiples(1 / 16, 0.5, 24, shape) * draw.integers(0, 2, shape)
    target = draw.integers(1, 20, shape) * draw.integers(0, 2, shape)
    return {"predicted": predicted.astype(np.float32), "target": target.astype(np.float32)}


def object_patches(n: int, N: int) -> Drawing:
    def make(draw: Draw) -> dict[str, np.ndarray]:
        return {
            "amplitude": draw.multiples(1 / 64, 0.25, 1, (n, N, N, 1)).astype(np.float32),
            "phase": draw.multiples(1 / 64, -1.5, 2, (n, N, N, 1)).astype(np.float32),
            **curved_beam(N)(draw),
        }

    return make


_ONE_NUMBER = {"scale": "the output is a single number"}
_MEAN = {"mean": "the output is a single number"}
_INTENSITY_SCALE = {"intensity_scale": "the output is a single number"}

CASES = (
    Case("physics/diffraction_n16", DIFFRACTION, "diffraction amplitude of three small fields", {}, fields(3, 16)),
    Case(
        "physics/diffraction_n64",
        DIFFRACTION,
        "diffraction amplitude at the default N",
        {},
        fields(1, 64),
    ),
    Case(
        "physics/diffraction_n15",
        DIFFRACTION,
        "diffraction amplitude for odd N: fftshift and ifftshift differ",
        {},
        fields(2, 15),
    ),
    Case(
        "physics/padded_diffraction_n16",
        PADDED_DIFFRACTION,
        "diffraction amplitude of two zero-padded fields",
        {},
        fields(2, 16),
    ),
    Case(
        "physics/forward_group1",
        FORWARD,
        "predicted amplitude of two groups of one at the default nphotons",
        {"probe_scale": 4.0, "nphotons": 1e9},
        object_and_probe(2, 1, 32),
    ),
    Case(
        "physics/forward_group4",
        FORWARD,
        "predicted amplitude of two groups of four at other probe_scale and nphotons",
        {"probe_scale": 10.0, "nphotons": 1e5},
        object_and_probe(2, 4, 16),
    ),
    Case(
        "physics/intensity_scale",
        INTENSITY_SCALE,
        "intensity scale for the default and other values of nphotons and N",
        {},
        photons_and_sides,
    ),
    Case(
        "physics/photon_scale_group1",
        PHOTON_SCALE,
        "photon scale of patterns of different brightness",
        {"nphotons": 1e9},
        amplitudes(4, 1, 8),
        _ONE_NUMBER,
    ),
    Case(
        "physics/photon_scale_group4",
        PHOTON_SCALE,
        "photon scale of groups of four: the mean runs over groups and members",
        {"nphotons": 1e5},
        amplitudes(3, 4, 6),
        _ONE_NUMBER,
    ),
    Case("physics/poisson_group1", POISSON, "Poisson loss of groups of one", {}, counts(3, 1, 8), _MEAN),
    Case("physics/poisson_group4", POISSON, "Poisson loss of groups of four", {}, counts(2, 4, 6), _MEAN),
    Case(
        "physics/poisson_at_zero",
        POISSON_AT_ZERO,
        "Poisson loss at dark pixels: the logarithm is not clamped",
        {},
        dark_counts,
    ),
    Case(
        "physics/simulation_n16",
        SIMULATION,
        "simulated patterns of four patches under a curved beam",
        {"nphotons": 1e9},
        object_patches(4, 16),
        _INTENSITY_SCALE,
    ),
    Case(
        "physics/simulation_few_photons",
        SIMULATION,
        "simulated patterns of two patches with few photons: nphotons does not matter without noise",
        {"nphotons": 1e4},
        object_patches(2, 16),
        _INTENSITY_SCALE,
    ),
)
