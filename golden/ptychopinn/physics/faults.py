"""These faults get diffraction, illumination, scales, the Poisson term, or the simulation without noise wrong."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from golden.ptychopinn.formats.formulas import channel_major, channel_to_flat, flat_to_channel
from golden.ptychopinn.physics.formulas import (
    amplitude_of,
    diffraction,
    energy,
    exit_wave,
    forward,
    intensity_scale_of,
    object_and_light,
    padded_diffraction,
    photon_scale,
    photons_to_scale,
    poisson,
    poisson_at_zero,
    simulation,
    spectrum,
)
from golden.ptychopinn.probe.formulas import mask, norm, normalised
from golden.spec.arrays import Arrays
from golden.spec.fault import Condition, Fault, Trial

# ------------------------------------------------------------------------------------------------ conditions

_EVEN = Condition(
    "for even N, fftshift and ifftshift are the same", lambda inputs, _: inputs["field"].shape[1] % 2 == 0
)
_ONE_FIELD = Condition("the input has one field", lambda inputs, _: len(inputs["field"]) == 1)
_ONE_PATCH = Condition("each group has one member", lambda inputs, _: inputs["patches"].shape[3] == 1)
_ONE_PATTERN = Condition("each group has one member", lambda inputs, _: inputs["X"].shape[3] == 1)


# ------------------------------------------------------------------------------------------------ diffraction


def _formula(t: Trial) -> Callable[..., Arrays]:
    """Return the formula of the operation at hand."""
    return padded_diffraction if "padded" in t.outputs else diffraction


def _transformed(name: str, symptom: str, make: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Compute another amplitude: ``make`` gets the transformed field; the result is divided by that field's side."""

    def commit(t: Trial) -> Arrays:
        return {"amplitude": _formula(t)(**t.given, detect=make)["amplitude"]}

    return Fault(name, symptom, commit)


def _along_rows_only(field: np.ndarray) -> np.ndarray:
    spectrum = np.abs(np.fft.fft(field.astype(np.complex128), axis=2)) / math.sqrt(field.shape[1])
    return np.fft.fftshift(spectrum, axes=(1, 2))


DIFFRACTION = (
    _transformed(
        "norm_omitted",
        "the FFT is not divided by N; expected F / N",
        lambda f: amplitude_of(f) * f.shape[1],
    ),
    _transformed(
        "norm_twice",
        "the FFT is divided by N twice; expected once",
        lambda f: amplitude_of(f) / f.shape[1],
    ),
    _transformed(
        "norm_of_one_axis",
        "the FFT is divided by sqrt(N); expected by N",
        lambda f: amplitude_of(f) * math.sqrt(f.shape[1]),
    ),
    _transformed("shift_omitted", "the zero frequency is at index 0; expected index N // 2", spectrum),
    _transformed(
        "shift_of_rows",
        "fftshift moves rows only; expected rows and columns",
        lambda f: np.fft.fftshift(spectrum(f), axes=1),
    ),
    _transformed(
        "shift_of_batch",
        "fftshift moves the batch axis too; expected rows and columns only",
        lambda f: np.fft.fftshift(spectrum(f), axes=(0, 1, 2)),
    ).invisible_when(_ONE_FIELD),
    _transformed(
        "inverse_shift",
        "ifftshift is used, one pixel off for odd N; expected fftshift",
        lambda f: np.fft.ifftshift(spectrum(f), axes=(1, 2)),
    ).invisible_when(_EVEN),
    _transformed(
        "inverse_transform",
        "the pattern is point-mirrored, as by an inverse FFT; expected a forward FFT",
        lambda f: amplitude_of(np.conj(f)),
    ),
    _transformed("transformed_along_rows", "only rows are transformed; expected both axes", _along_rows_only),
    _transformed(
        "intensity",
        "the intensity is returned; expected the amplitude",
        lambda f: amplitude_of(f) ** 2,
    ),
    _transformed("root_twice", "the square root is taken twice; expected once", lambda f: np.sqrt(amplitude_of(f))),
    _transformed(
        "transposed", "patterns are transposed; expected (row, column)", lambda f: amplitude_of(f.swapaxes(1, 2))
    ),
    _transformed(
        "imaginary_lost", "the field's imaginary part is lost; expected a complex field", lambda f: amplitude_of(f.real)
    ),
)


def _on_corner(t: Trial) -> Arrays:
    field = t.inputs["field"]
    N = field.shape[1]
    right = np.pad(field, ((0, 0), (0, N // 4 * 2), (0, N // 4 * 2), (0, 0)))
    return {"padded": right}


PADDED_DIFFRACTION = (
    *(fault for fault in DIFFRACTION if fault.name != "inverse_shift"),
    _transformed(
        "norm_of_padded_side",
        "the FFT is divided by the padded side; expected by the unpadded N",
        lambda f: amplitude_of(f) * (f.shape[1] // 3 * 2) / f.shape[1],
    ),
    Fault("padded_at_end", "zeros are added below and to the right only; expected N // 4 on every side", _on_corner),
)

# ------------------------------------------------------------------------------------------------ forward


def _lit_by(name: str, symptom: str, light: Callable[[np.ndarray, float], np.ndarray]) -> Fault:
    """Use another probe: ``light`` gets the guessed probe (N, N) and probe_scale."""
    return Fault.of_formula(name, symptom, forward, light=light)


def _with_patches(name: str, symptom: str, make: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return Fault(name, symptom, lambda t: forward(**t.given | {"patches": make(t.inputs["patches"])}))


def _scaled(name: str, symptom: str, factor: Callable[[Trial], float]) -> Fault:
    """Multiply the right amplitude by a factor."""
    return Fault(name, symptom, lambda t: forward(**t.given, factor=factor(t)))


def _scale(t: Trial) -> float:
    return intensity_scale_of(t.parameters["nphotons"], t.inputs["patches"].shape[1])


def _out_of_step(t: Trial) -> Arrays:
    amplitude, members = t.outputs["amplitude"], t.inputs["patches"].shape[3]
    flat = channel_major(channel_to_flat(amplitude), len(amplitude))
    return {"amplitude": flat_to_channel(flat, members)}


FORWARD = (
    _lit_by("raw_probe", "the probe is used as guessed; expected the normalised one", lambda probe, scale: probe),
    _lit_by(
        "probe_scale_twice",
        "the probe is divided by probe_scale twice; expected once",
        lambda probe, scale: normalised(probe, scale) / scale,
    ),
    _lit_by(
        "norm_of_whole_frame",
        "the probe's norm uses the unmasked probe; expected the hard mask",
        lambda probe, scale: normalised(probe, scale, lambda light: float(np.abs(light).mean())),
    ),
    _lit_by(
        "mask_applied",
        "the probe is zero outside the mask; expected the mask in the norm only",
        lambda probe, scale: normalised(probe, scale) * mask(len(probe)),
    ),
    _lit_by(
        "probe_omitted",
        "patches diffract without the probe; expected patch * probe",
        lambda probe, scale: np.ones(probe.shape),
    ),
    _lit_by(
        "probe_conjugated",
        "the probe is complex-conjugated; expected no conjugation",
        lambda probe, scale: normalised(probe, scale).conj(),
    ),
    _lit_by(
        "probe_transposed",
        "the probe is transposed; expected (row, column)",
        lambda probe, scale: normalised(probe, scale).T,
    ),
    _lit_by(
        "probe_modulus",
        "only the probe's modulus illuminates; expected the complex probe",
        lambda probe, scale: np.abs(normalised(probe, scale)),
    ),
    _scaled(
        "probe_for_each_patch",
        "the probe is broadcast and summed, so amplitudes grow with the batch; expected one probe",
        lambda t: t.inputs["patches"].shape[0] * t.inputs["patches"].shape[3],
    ),
    _with_patches("conjugated", "the object is complex-conjugated; expected no conjugation", np.conj),
    _with_patches("imaginary_lost", "the object's imaginary part is lost; expected complex patches", np.real),
    _with_patches(
        "amplitude_plus_i_phase",
        "patches are amplitude + i * phase; expected amplitude * exp(i * phase)",
        lambda p: np.abs(p) + 1j * np.angle(p),
    ),
    _with_patches("patch_transposed", "patches are transposed; expected (row, column)", lambda p: p.swapaxes(1, 2)),
    _scaled(
        "scale_omitted",
        "predicted amplitudes lack the intensity scale; expected them multiplied by it",
        lambda t: 1 / _scale(t),
    ),
    _scaled(
        "scale_of_whole_side",
        "the intensity scale is sqrt(nphotons) / N; expected sqrt(nphotons) / (N / 2)",
        lambda t: 0.5,
    ),
    _scaled(
        "scale_root_omitted",
        "the intensity scale is nphotons / (N / 2); expected sqrt(nphotons) / (N / 2)",
        lambda t: math.sqrt(t.parameters["nphotons"]),
    ),
    _scaled(
        "scale_twice",
        "the intensity scale is applied twice; expected once",
        _scale,
    ),
    Fault(
        "intensity",
        "counts are predicted; expected amplitudes, their square roots",
        lambda t: {"amplitude": forward(**t.given)["amplitude"] ** 2},
    ),
    Fault.of_formula(
        "shift_omitted",
        "the zero frequency is at index 0; expected index N // 2",
        forward,
        detect=spectrum,
    ),
    Fault("channel_major_order", "patterns are ordered c * B + b; expected b * C + c", _out_of_step).invisible_when(
        _ONE_PATCH
    ),
)

# ------------------------------------------------------------------------------------------------ scales


def _of_table(name: str, symptom: str, make: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Fault:
    """Compute another scale: ``make`` gets photons and sides; the result is rounded to single precision."""
    return Fault(name, symptom, lambda t: {"scale": make(t.inputs["nphotons"], t.inputs["N"]).astype(np.float32)})


INTENSITY_SCALE = (
    _of_table(
        "whole_side",
        "the scale is sqrt(nphotons) / N; expected sqrt(nphotons) / (N / 2)",
        lambda photons, N: np.sqrt(photons) / N,
    ),
    _of_table(
        "root_omitted",
        "the scale is nphotons / (N / 2); expected sqrt(nphotons) / (N / 2)",
        lambda photons, N: photons * 2 / N,
    ),
    _of_table(
        "root_of_all",
        "the scale is sqrt(nphotons / (N / 2)); expected sqrt(nphotons) / (N / 2)",
        lambda photons, N: np.sqrt(photons * 2 / N),
    ),
    _of_table(
        "inverted",
        "the scale is (N / 2) / sqrt(nphotons); expected its inverse",
        lambda photons, N: N / 2 / np.sqrt(photons),
    ),
    _of_table(
        "photons_ignored",
        "the scale is always that of 1e9 photons; expected that of nphotons",
        lambda photons, N: 1e9**0.5 * 2 / N,
    ),
    _of_table(
        "side_ignored",
        "the scale is always that of N = 64; expected that of N",
        lambda photons, N: np.sqrt(photons) / 32,
    ),
)


def _by_scale(name: str, symptom: str, scale: Callable[[np.ndarray, float], float]) -> Fault:
    """Compute another scale: ``scale`` gets amplitudes and photons."""
    return Fault.of_formula(name, symptom, photon_scale, scale=scale)


def _scale_per_pattern(t: Trial) -> Arrays:
    X = t.inputs["X"]
    scale = np.sqrt(t.parameters["nphotons"] / energy(X)).astype(np.float32)
    return {"scale": scale[:, :, None, None], "scaled": X * scale[:, None, None]}


PHOTON_SCALE = (
    _by_scale(
        "root_omitted",
        "no square root is taken; expected sqrt(nphotons / mean energy)",
        lambda X, photons: photons / energy(X).mean(),
    ),
    _by_scale(
        "mean_of_pixels",
        "energies are averaged over pixels; expected the sum over a pattern's pixels",
        lambda X, photons: math.sqrt(photons / (X.astype(np.float64) ** 2).mean()),
    ),
    _by_scale(
        "sum_of_patterns",
        "energies of all patterns are summed; expected their mean",
        lambda X, photons: math.sqrt(photons / energy(X).sum()),
    ),
    _by_scale(
        "sum_of_members",
        "energies of a group's members are summed; expected the mean over groups and members",
        lambda X, photons: math.sqrt(photons / energy(X).sum(axis=1).mean()),
    ).invisible_when(_ONE_PATTERN),
    _by_scale(
        "not_squared",
        "amplitudes are summed; expected their squares",
        lambda X, photons: math.sqrt(photons / X.astype(np.float64).sum(axis=(1, 2)).mean()),
    ),
    _by_scale(
        "inverted",
        "the scale is inverted; expected sqrt(nphotons / mean energy)",
        lambda X, photons: 1 / photons_to_scale(X, photons),
    ),
    _by_scale(
        "photons_ignored",
        "nphotons is another value (1e9 or 1e5); expected the given one",
        lambda X, photons: photons_to_scale(X, 1e5 if photons == 1e9 else 1e9),
    ),
    Fault(
        "scale_per_pattern",
        "each pattern is scaled by its own energy; expected one scale for all",
        _scale_per_pattern,
    ),
)

# ------------------------------------------------------------------------------------------------ Poisson term


def _of_both(name: str, symptom: str, term: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Fault:
    """Compute another loss: ``term`` gets predicted and target intensity, float64, and returns the elementwise term."""
    return Fault.of_formula(name, symptom, poisson, term=term)


def _reduced(name: str, symptom: str, reduce_: Callable[[np.ndarray], float]) -> Fault:
    return Fault(
        name,
        symptom,
        lambda t: {"mean": np.array(reduce_(t.outputs["elementwise"].astype(np.float64)), np.float32)},
    )


_log_factorial = np.vectorize(lambda count: math.lgamma(count + 1))

POISSON = (
    _reduced("summed", "the term is summed; expected the mean over all elements", np.sum),
    _reduced(
        "summed_per_group",
        "the term is summed over each group, then averaged; expected the mean over all elements",
        lambda e: e.sum(axis=(1, 2, 3)).mean(),
    ),
    _of_both(
        "log_factorial_included",
        "log(target!) is added; expected predicted - target * log(predicted)",
        lambda p, t: p - t * np.log(p) + _log_factorial(t),
    ),
    _of_both(
        "stirling_included",
        "Stirling's log(target!) is added; expected predicted - target * log(predicted)",
        lambda p, t: p - t * np.log(p) + np.where(t > 1, t * np.log(t) - t + 0.5 * np.log(2 * np.pi * t), 0),
    ),
    _of_both(
        "exchanged",
        "target and prediction are swapped; expected predicted - target * log(predicted)",
        lambda p, t: t - p * np.log(t),
    ),
    _of_both(
        "of_amplitudes",
        "the term is computed from amplitudes; expected from intensities",
        lambda p, t: np.sqrt(p) - np.sqrt(t) * np.log(np.sqrt(p)),
    ),
    _of_both(
        "of_squared_intensities",
        "intensities are squared as if they were amplitudes; expected no squaring",
        lambda p, t: p**2 - t**2 * np.log(p**2),
    ),
    _of_both(
        "prediction_as_logarithm",
        "the prediction is taken as a logarithm, Torch's default; expected an intensity",
        lambda p, t: np.exp(p) - t * p,
    ),
    _of_both(
        "prediction_omitted",
        "the term is -target * log(predicted); expected predicted - target * log(predicted)",
        lambda p, t: -t * np.log(p),
    ),
    _of_both("negated", "the log-likelihood is returned; expected its negative", lambda p, t: t * np.log(p) - p),
    _of_both(
        "decimal_logarithm", "the logarithm is decimal; expected the natural one", lambda p, t: p - t * np.log10(p)
    ),
)


def _at_zero(name: str, symptom: str, term: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Fault:
    return Fault.of_formula(name, symptom, poisson_at_zero, term=term)


POISSON_AT_ZERO = (
    _at_zero(
        "epsilon_in_logarithm",
        "log(0) is kept finite by an epsilon or clamp; expected +inf, or NaN for target 0",
        lambda p, t: p - t * np.log(p + np.float32(1e-8)),
    ),
    _at_zero(
        "zero_times_infinity_is_zero",
        "0 * log(0) is 0; expected NaN",
        lambda p, t: p - np.where(t == 0, 0, t * np.log(p)),
    ),
)

# ------------------------------------------------------------------------------------------------ simulation


def _object_and_light(t: Trial) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return object_and_light(*(t.inputs[name] for name in ("amplitude", "phase", "probe")))


def _of_field(name: str, symptom: str, make: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> Fault:
    """Compute another field: ``make`` gets amplitude, phase and probe, and returns the field behind the object."""
    return Fault(name, symptom, lambda t: {"X": simulation(**t.given, field=make)["X"]})


def _of_simulation_scale(name: str, symptom: str, make: Callable[[Trial], float]) -> Fault:
    return Fault(name, symptom, lambda t: {"intensity_scale": np.array(make(t), np.float32)})


def _phase_of_field(t: Trial) -> Arrays:
    return {"Y_phi": np.angle(exit_wave(*_object_and_light(t))).astype(np.float32)}


def _probe_normalised(t: Trial) -> Arrays:
    probe = t.inputs["probe"].astype(np.complex128)
    return simulation(**t.given | {"probe": probe / (4.0 * norm(probe))})


def _patch_energy(t: Trial) -> np.ndarray:
    return energy(simulation(**t.given)["Y_I"])


SIMULATION = (
    _of_field(
        "illuminated_twice",
        "the illuminated amplitude is illuminated again; expected A * exp(i * phi) * P",
        lambda a, phi, P: a * np.abs(P) * np.exp(1j * phi) * P,
    ),
    _of_field(
        "probe_omitted",
        "the object diffracts without the probe; expected object * probe",
        lambda a, phi, P: a * np.exp(1j * phi),
    ),
    _of_field(
        "probe_modulus",
        "only the probe's modulus illuminates; expected the complex probe",
        lambda a, phi, P: a * np.exp(1j * phi) * np.abs(P),
    ),
    _of_field(
        "probe_conjugated",
        "the probe is complex-conjugated; expected no conjugation",
        lambda a, phi, P: a * np.exp(1j * phi) * np.conj(P),
    ),
    _of_field(
        "probe_transposed",
        "the probe is transposed; expected (row, column)",
        lambda a, phi, P: a * np.exp(1j * phi) * P.swapaxes(1, 2),
    ),
    _of_field(
        "phase_sign",
        "the object is A * exp(-i * phi); expected A * exp(i * phi)",
        lambda a, phi, P: a * np.exp(-1j * phi) * P,
    ),
    _of_field("phase_omitted", "the object lacks its phase; expected A * exp(i * phi)", lambda a, phi, P: a * P),
    _of_field(
        "amplitude_plus_i_phase",
        "the object is A + i * phi; expected A * exp(i * phi)",
        lambda a, phi, P: (a + 1j * phi) * P,
    ),
    _of_field(
        "patch_transposed",
        "patches are transposed; expected (row, column)",
        lambda a, phi, P: (a * np.exp(1j * phi)).swapaxes(1, 2) * P,
    ),
    Fault(
        "probe_normalised",
        "the probe is normalised first; expected the given probe",
        _probe_normalised,
    ),
    Fault(
        "scale_not_removed",
        "patterns and amplitudes keep the intensity scale; expected them divided by it",
        lambda t: {name: t.outputs[name] * t.outputs["intensity_scale"] for name in ("X", "Y_I")},
    ),
    Fault("intensity", "X is an intensity; expected an amplitude", lambda t: {"X": t.outputs["X"] ** 2}),
    Fault(
        "shift_omitted",
        "the zero frequency is at index 0; expected index N // 2",
        lambda t: {"X": np.fft.ifftshift(t.outputs["X"], axes=(1, 2))},
    ),
    Fault(
        "norm_omitted",
        "the FFT is not divided by N; expected F / N",
        lambda t: {"X": t.outputs["X"] * np.float32(t.outputs["X"].shape[1])},
    ),
    Fault(
        "amplitude_not_illuminated",
        "Y_I is the object's amplitude; expected it times the probe's modulus",
        lambda t: {"Y_I": t.inputs["amplitude"]},
    ),
    Fault(
        "phase_of_field", "Y_phi is the phase of the illuminated field; expected the object's phase", _phase_of_field
    ),
    _of_simulation_scale(
        "scale_of_object",
        "the intensity scale comes from the object alone; expected from the illuminated amplitude",
        lambda t: photons_to_scale(t.inputs["amplitude"], t.parameters["nphotons"]),
    ),
    _of_simulation_scale(
        "scale_of_all_patches",
        "energies of all patches are summed; expected their mean",
        lambda t: math.sqrt(t.parameters["nphotons"] / _patch_energy(t).sum()),
    ),
    _of_simulation_scale(
        "scale_root_omitted",
        "no square root is taken; expected sqrt(nphotons / mean energy)",
        lambda t: t.parameters["nphotons"] / _patch_energy(t).mean(),
    ),
)
