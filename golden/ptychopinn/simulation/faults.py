"""These faults illuminate the wrong part of the object, use a wrong probe, or compute the pattern wrongly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from golden.ptychopinn.physics.formulas import photons_to_scale
from golden.ptychopinn.probe.formulas import norm
from golden.ptychopinn.simulation.formulas import cut, patterns
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial
from golden.spec.parameters import Parameters

# ------------------------------------------------------------------------------------------------ conditions

_INSIDE = Condition("all patches lie inside the object", lambda inputs, _: _lie_inside(**inputs))
_EVEN = Condition("for even N, fftshift and ifftshift are the same", lambda inputs, _: len(inputs["probe"]) % 2 == 0)
_ODD = Condition("for odd N, (N - 1) / 2 is N // 2", lambda inputs, _: len(inputs["probe"]) % 2 == 1)
_WHOLE = Condition("all positions are whole pixels", lambda inputs, _: not (inputs["positions"] % 1).any())


def _lie_inside(object: np.ndarray, probe: np.ndarray, positions: np.ndarray) -> bool:
    """Return whether the patches at all positions are inside the object."""
    first = positions[:, 0, :, 0] - len(probe) // 2
    height, width = object.shape
    return bool((first >= 0).all() and (first + len(probe) <= [width, height]).all())


def _of_patches(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return Fault.of_formula(name, symptom, patterns, patches=lambda *arguments: change(cut(*arguments)))


def _of_positions(name: str, symptom: str, change: Callable[[np.ndarray, Arrays], np.ndarray]) -> Fault:
    """Alter the positions: ``change`` gets them, (n, 1, 2, 1), and all inputs."""
    return Fault.of_inputs(
        name, symptom, lambda inputs: {"positions": np.asarray(change(inputs["positions"], inputs), np.float64)}
    )


def _of_object(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return Fault.of_inputs(name, symptom, lambda inputs: {"object": change(inputs["object"]).astype(np.complex64)})


def _of_probe(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return Fault.of_inputs(
        name,
        symptom,
        lambda inputs: {"probe": np.ascontiguousarray(change(inputs["probe"])).astype(np.complex64)},
    )


def _of_patterns(name: str, symptom: str, change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Alter the amplitude: ``change`` gets (n, N, N); the intensity scale is computed from the result."""

    def commit(t: Trial) -> Arrays:
        changed = np.ascontiguousarray(change(t.outputs["amplitude"][..., 0]), np.float32)
        scale = photons_to_scale(changed, t.parameters["nphotons"])
        return {"amplitude": changed[..., None], "intensity_scale": np.array(scale, np.float32)}

    return Fault(name, symptom, commit)


def _of_scale(name: str, symptom: str, factor: Callable[[Trial], float]) -> Fault:
    return Fault(
        name, symptom, lambda t: {"intensity_scale": (t.outputs["intensity_scale"] * factor(t)).astype(np.float32)}
    )


def _mirrored(axis: int) -> Callable[[np.ndarray, Arrays], np.ndarray]:
    def change(positions: np.ndarray, inputs: Arrays) -> np.ndarray:
        mirrored = positions.copy()
        mirrored[:, :, axis] = inputs["object"].shape[1 - axis] - 1 - positions[:, :, axis]
        return mirrored

    return change


def _beyond_the_edge(mode: str) -> Callable[[Arrays], Arrays]:
    """Extend the object beyond its edges, where zeros should be."""

    def change(inputs: Arrays) -> Arrays:
        N = len(inputs["probe"])
        continued = np.pad(inputs["object"], N, mode=mode)  # type: ignore[call-overload]
        return {"object": continued, "positions": inputs["positions"] + N}

    return change


def _phase_interpolated(target: np.ndarray, positions: np.ndarray, N: int) -> np.ndarray:
    modulus, phase = (cut(part(target), positions, N).real for part in (np.abs, np.angle))
    return modulus * np.exp(1j * phase)


def _from_the_other_side(amplitude: np.ndarray) -> np.ndarray:
    """Mirror patterns through the zero frequency."""
    first = np.fft.ifftshift(amplitude, axes=(1, 2))
    mirrored = np.roll(np.flip(first, axis=(1, 2)), 1, axis=(1, 2))
    return np.asarray(np.fft.fftshift(mirrored, axes=(1, 2)))


def _other_photons(parameters: Parameters) -> Parameters:
    return {"nphotons": 1e9 if parameters["nphotons"] == 1e5 else 1e5}


PATTERNS = (
    _of_positions(
        "xy_swap",
        "x moves rows and y moves columns; expected x along columns, y along rows",
        lambda positions, _: positions[:, :, ::-1],
    ),
    _of_positions(
        "position_sign",
        "patches are taken at -position (x and y); expected +position",
        lambda positions, _: -positions,
    ),
    _of_positions("x_leftwards", "x is counted from the right edge; expected from the left", _mirrored(0)),
    _of_positions("y_upwards", "y is counted from the bottom edge; expected from the top", _mirrored(1)),
    _of_positions(
        "position_of_corner",
        "index 0 of the patch lies at the position; expected index N // 2",
        lambda positions, inputs: positions + len(inputs["probe"]) // 2,
    ),
    _of_positions(
        "position_of_middle",
        "the patch's middle, (N - 1) / 2, lies at the position; expected index N // 2",
        lambda positions, inputs: positions + len(inputs["probe"]) // 2 - (len(inputs["probe"]) - 1) / 2,
    ).invisible_when(_ODD),
    _of_positions(
        "whole_pixels",
        "patches are cut at whole pixels; expected bilinear interpolation",
        lambda positions, _: np.rint(positions),
    ).invisible_when(_WHOLE),
    _of_positions(
        "positions_out_of_step",
        "each pattern belongs to its neighbour's position; expected pattern i at position i",
        lambda positions, _: np.roll(positions, 1, axis=0),
    ),
    _of_positions(
        "first_position_for_all",
        "all patches are cut at the first position; expected one position per patch",
        lambda positions, _: np.repeat(positions[:1], len(positions), axis=0),
    ),
    Fault.of_inputs(
        "edge_clamped",
        "the object's edge is repeated outside it; expected zeros",
        _beyond_the_edge("edge"),
    ).invisible_when(_INSIDE),
    Fault.of_inputs(
        "edge_wrapped",
        "the object is repeated periodically; expected zeros outside it",
        _beyond_the_edge("wrap"),
    ).invisible_when(_INSIDE),
    _of_patches("patch_transposed", "patches are transposed; expected (row, column)", lambda p: p.swapaxes(1, 2)),
    _of_patches("patch_flipped_rows", "patches are flipped upside down; expected row 0 first", lambda p: p[:, ::-1]),
    _of_patches(
        "patch_flipped_columns", "patches are mirrored left to right; expected column 0 first", lambda p: p[:, :, ::-1]
    ),
    Fault.of_formula(
        "phase_interpolated",
        "modulus and phase are interpolated; expected real and imaginary part",
        patterns,
        patches=_phase_interpolated,
    ).invisible_when(_WHOLE),
    _of_object("object_conjugated", "the object is complex-conjugated; expected no conjugation", np.conj),
    _of_object("imaginary_lost", "the object's imaginary part is lost; expected a complex object", np.real),
    _of_object(
        "amplitude_plus_i_phase",
        "the object is amplitude + i * phase; expected amplitude * exp(i * phase)",
        lambda target: np.abs(target) + 1j * np.angle(target),
    ),
    _of_probe("probe_ignored", "the object diffracts without the probe; expected object * probe", np.ones_like),
    _of_probe("illuminated_twice", "the probe is applied twice; expected once", np.square),
    _of_probe("probe_modulus", "only the probe's modulus illuminates; expected the complex probe", np.abs),
    _of_probe("probe_conjugated", "the probe is complex-conjugated; expected no conjugation", np.conj),
    _of_probe("probe_transposed", "the probe is transposed; expected (row, column)", np.transpose),
    _of_probe(
        "probe_normalised",
        "the probe is normalised first; expected the given probe",
        lambda probe: probe / (4.0 * norm(probe)),
    ),
    _of_patterns("fft_norm_missing", "the FFT is not divided by N; expected F / N", lambda a: a * len(a[0])),
    _of_patterns("fft_norm_twice", "the FFT is divided by N twice; expected once", lambda a: a / len(a[0])),
    _of_patterns(
        "fftshift_missing",
        "the zero frequency is at index 0; expected index N // 2",
        lambda a: np.fft.ifftshift(a, axes=(1, 2)),
    ),
    _of_patterns(
        "inverse_fftshift",
        "ifftshift is used, one pixel off for odd N; expected fftshift",
        lambda a: np.fft.ifftshift(np.fft.ifftshift(a, axes=(1, 2)), axes=(1, 2)),
    ).invisible_when(_EVEN),
    _of_patterns(
        "batch_shifted",
        "fftshift moves the batch axis too; expected rows and columns only",
        lambda a: np.fft.fftshift(a, axes=0),
    ),
    _of_patterns(
        "inverse_transform",
        "the pattern is point-mirrored, as by an inverse FFT; expected a forward FFT",
        _from_the_other_side,
    ),
    _of_patterns("intensity", "patterns are intensities; expected amplitudes, their square roots", np.square),
    Fault.of_outputs(
        "scaled_to_photons",
        "amplitudes are multiplied by the intensity scale; expected unscaled amplitudes",
        lambda outputs: {"amplitude": outputs["amplitude"] * outputs["intensity_scale"]},
    ),
    Fault.of_parameters(
        "other_nphotons",
        "nphotons is another value (1e9 or 1e5); expected the given one",
        _other_photons,
    ),
    _of_scale(
        "photons_of_all_patterns",
        "nphotons is the sum over all patterns; expected the mean of a pattern",
        lambda t: len(t.outputs["amplitude"]) ** -0.5,
    ),
    _of_scale(
        "photons_per_pixel",
        "nphotons is the mean of a pixel; expected the sum over a pattern",
        lambda t: float(len(t.inputs["probe"])),
    ),
    _of_scale(
        "scale_of_intensity",
        "the intensity scale is the factor of intensities; expected its square root, for amplitudes",
        lambda t: float(t.outputs["intensity_scale"]),
    ),
)
