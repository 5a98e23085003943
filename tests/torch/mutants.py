"""Ports that commit a fault: one wrong line each, put in place of the right one.

A mutant swaps the code of the port's own functions, so whoever holds a reference to one runs the wrong line. When the
port is rewritten, a mutant whose line is gone says so.
"""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Edits = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Mutant:
    """A fault of an operation, and the edits of a module's source that commit it."""

    operation: str
    fault: str
    module: str
    edits: Edits

    def __str__(self) -> str:
        return f"{self.operation}-{self.fault}"


@contextmanager
def committed(mutant: Mutant) -> Iterator[None]:
    """The port with the wrong lines in place."""
    original = importlib.import_module(f"ptycho_torch.{mutant.module}")
    source = inspect.getsource(original)
    for right, wrong in mutant.edits:
        assert source.count(right) == 1, f"{mutant}: expected this once in {original.__name__}: {right!r}"
        source = source.replace(right, wrong)
    altered = types.ModuleType(original.__name__)
    exec(compile(source, f"{original.__file__} ({mutant.fault})", "exec", dont_inherit=True), altered.__dict__)
    pairs = [pair for name in vars(original) for pair in _functions(original, altered, name)]
    kept = [(function, function.__code__, function.__defaults__) for function, _ in pairs]
    try:
        for function, wrong_function in pairs:
            function.__code__, function.__defaults__ = wrong_function.__code__, wrong_function.__defaults__
        yield
    finally:
        for function, code, defaults in kept:
            function.__code__, function.__defaults__ = code, defaults


def _functions(
    original: types.ModuleType, altered: types.ModuleType, name: str
) -> Iterator[tuple[types.FunctionType, types.FunctionType]]:
    one = getattr(original, name)
    if getattr(one, "__module__", None) != original.__name__:
        return
    other = getattr(altered, name)
    if isinstance(one, types.FunctionType):
        yield one, other
    elif isinstance(one, type):
        for key, value in vars(one).items():
            if isinstance(value, types.FunctionType):
                yield value, getattr(other, key)


def _of(operation: str, module: str, **faults: tuple[str, str] | Edits) -> tuple[Mutant, ...]:
    return tuple(
        Mutant(operation, name, module, edits if isinstance(edits[0], tuple) else (edits,))  # type: ignore[arg-type]
        for name, edits in faults.items()
    )


_MEAN = "torch.mean(coords_nn, dim=3, keepdim=True)"
_RELATIVE = "return offsets, -(coords_nn - offsets)"
_ORIGINS = {
    "mean_of_all_groups": (_MEAN, "coords_nn.mean(dim=(0, 3), keepdim=True).expand(len(coords_nn), -1, -1, -1)"),
    "first_member_as_origin": (_MEAN, "coords_nn[..., :1]"),
    "mean_not_removed": (_RELATIVE, "return offsets, -coords_nn"),
}
_NOMINAL = "_tensor(-relative, np.float32)"
_DISPLACEMENTS = "displacements.to(images.dtype).unbind(1)"
_MOVED = "_move(_move(images, dy, 2), dx, 3)"
_PARTS = "torch.cat([images.real, images.imag], dim=1)"
_COMPLEX = "torch.complex(parts[:, :channels], parts[:, channels:])"
_TAKEN = "(source + shift).clamp(0, size + 1)"
_GRID_SAMPLE = """torch.nn.functional.grid_sample(images, torch.stack([
        (2 * (torch.arange(images.shape[3]) - dx[:, None]) / max(images.shape[3] - 1, 1) - 1)[:, None, :].expand(
            -1, images.shape[2], -1),
        (2 * (torch.arange(images.shape[2]) - dy[:, None]) / max(images.shape[2] - 1, 1) - 1)[:, :, None].expand(
            -1, -1, images.shape[3])], dim=-1), align_corners=False)"""
_RENORMALISED = """weight = torch.lerp(*(
        _take(torch.nn.functional.pad(torch.ones_like(images), padding), (source + shift).clamp(0, size + 1), axis)
        for shift in (1, 0)), fraction)
    return torch.lerp(near, far, fraction) / torch.where(weight > 0, weight, 1)"""

_MASK_CENTRE = "torch.arange(N, dtype=torch.float32, device=device) - N // 2 + 0.5"
_MASK = "return distance[:, None] ** 2 + distance[None, :] ** 2 < float(N // 4) ** 2"
_NORM = "torch.where(hard_mask(len(probe), device=probe.device), probe, 0).abs().mean()"
_NORMALISED = "return normalised"


def _radius(centre: str) -> str:
    return (
        f"torch.hypot((torch.arange(len(probe)) - {centre})[:, None].double(), "
        f"(torch.arange(len(probe)) - {centre})[None].double())"
    )


_STACK = "patches.flatten(0, 1), canvas"
_CORNER = "corner = (moves + pad)"
_CENTRED = "moves - moves.mean(dim=1, keepdim=True)"
_FLAT = "offsets.reshape(groups, members, 2)"
_FIRST = "first = patches.shape[-1] // 2 - M // 2"
_RATIO = "return total / (count + 1e-9)"
_COUNTED = "_count(canvas, whole, fraction, groups, side, M)"

STITCHING: dict[str, tuple[str, str]] = {
    "offset_sign": (_CORNER, "corner = (pad - moves)"),
    "xy_swap": (_FLAT, f"{_FLAT}.flip(-1)"),
    "x_sign": (_CORNER, "corner = (moves * moves.new_tensor([-1.0, 1.0]) + pad)"),
    "y_sign": (_CORNER, "corner = (moves * moves.new_tensor([1.0, -1.0]) + pad)"),
    "offsets_out_of_step": (_FLAT, f"{_FLAT}.roll(1, dims=1)"),
    "offsets_collapsed": (_FLAT, f"({_FLAT} * 0)"),
    "mean_not_removed": (_CENTRED, "moves"),
    "mean_per_batch": (
        _CENTRED,
        "torch.cat([half - half.mean(dim=1, keepdim=True) for half in moves.tensor_split(2, dim=1)], dim=1)",
    ),
    "whole_pixels": (_CORNER, "corner = (moves.round() + pad)"),
    "odd_padding": ("pad += pad % 2", "pass"),
    "crop_off_by_one": (_FIRST, f"{_FIRST} - 1"),
    "crop_at_corner": (_FIRST, "first = 0"),
    "crop_omitted": (
        "groups, members = _require_shapes(patches, offsets, M)",
        "groups, members = _require_shapes(patches, offsets, M); M = patches.shape[-1] // 2 * 2",
    ),
    "patch_transposed": (_STACK, "patches.mT.flatten(0, 1), canvas"),
    "patch_flipped_rows": (_STACK, "patches.flip(-2).flatten(0, 1), canvas"),
    "patch_flipped_columns": (_STACK, "patches.flip(-1).flatten(0, 1), canvas"),
    "conjugated": (_STACK, "patches.conj().resolve_conj().flatten(0, 1), canvas"),
    "imaginary_lost": (_STACK, "patches.real.to(patches.dtype).flatten(0, 1), canvas"),
    "amplitude_plus_i_phase": (_STACK, "torch.complex(patches.abs(), patches.angle()).flatten(0, 1), canvas"),
    "sum_not_divided": (_RATIO, "return total"),
    "epsilon_of_merge": (_RATIO, "return total / (count + 1e-3)"),
    "background_not_zero": (_RATIO, "return torch.where(count > 0.01, total / (count + 1e-9), 1)"),
    "at_least_one": (_RATIO, "return total / count.clamp(min=1)"),
    "count_at_whole_pixels": (
        _COUNTED,
        "_count(canvas, corner.detach().round().long(), torch.zeros_like(fraction), groups, side, M)",
    ),
    "count_of_centre_mask": (
        _COUNTED,
        "_count(canvas, whole + patches.shape[-1] // 4, fraction, groups, side, patches.shape[-1] // 2)",
    ),
}

_CONFIG = "config_params"

_CENTRES = "positions.to(torch.float64) - N // 2"
_FIELD = "_far_field(patches * probe)"
_CUT = "cut_patches(target, positions, len(probe))"
_BORDER = "bordered = zero_pad(target, (1, 1, 1, 1))"
_CONTINUED = "bordered = target[torch.arange(-1, height + 1){0}][:, torch.arange(-1, width + 1){1}]"
_SHIFTED = "torch.fft.fftshift(spectrum.abs(), dim=(-2, -1))"
_FFT = 'torch.fft.fft2(field, norm="ortho")'
_SCALE = "return torch.sqrt(nphotons / photons.mean())"

_LAST_FIRST = "np.moveaxis(array.reshape(stored), -1, 0)"
_VECTOR = 'vector.load(np.int64 if key == "scan_index" else np.float64)'
_STACK_LOADED = "stack.load(np.float32, arrange, mapped=True, least=0.0)"
_PROBE_LOADED = "probe.load(np.complex64, lambda array: array.reshape(N, N))"


def _field(lit: str) -> tuple[str, str]:
    return _FIELD, f"_far_field({lit})"


MUTANTS: tuple[Mutant, ...] = (
    *_of(
        "probe.hard_mask",
        "probe",
        centre_on_pixel=(_MASK_CENTRE, _MASK_CENTRE.removesuffix(" + 0.5")),
        centre_of_array=(_MASK_CENTRE, "torch.arange(N, dtype=torch.float32, device=device) - (N - 1) / 2"),
        radius_half=(_MASK, _MASK.replace("N // 4", "N // 2")),
        diameter_quarter=(_MASK, _MASK.replace("N // 4", "N // 8")),
        square=(_MASK, "return (distance[:, None].abs() < N // 4) & (distance[None, :].abs() < N // 4)"),
        inverted=(_MASK, _MASK.replace("<", ">=")),
        soft=(_MASK, "return torch.sigmoid(2.0 * (N // 4 - torch.hypot(distance[:, None], distance[None, :])))"),
    ),
    *_of(
        "probe.normalise",
        "probe",
        other_probe_scale=("norm = probe_scale *", "norm = (4.0 if probe_scale == 10.0 else 10.0) *"),
        scale_twice=("normalised = probe / norm", "normalised = probe / norm / probe_scale"),
        scale_ignored=("normalised = probe / norm", "normalised = probe / norm * probe_scale"),
        raw_probe=(_NORMALISED, "return probe"),
        norm_of_whole_frame=(_NORM, "probe.abs().mean()"),
        norm_of_mask_pixels=(_NORM, "probe[hard_mask(len(probe))].abs().mean()"),
        norm_with_soft_mask=(
            _NORM,
            f"(probe.abs() * torch.sigmoid(2.0 * (len(probe) // 4 - {_radius('len(probe) // 2 + 0.5')}))).mean()",
        ),
        norm_with_mask_on_pixel=(
            _NORM,
            f"(probe.abs() * ({_radius('len(probe) // 2')} < len(probe) // 4)).mean()",
        ),
        norm_with_mask_of_array=(
            _NORM,
            f"(probe.abs() * ({_radius('(len(probe) - 1) / 2')} < len(probe) // 4)).mean()",
        ),
        norm_root_mean_square=(_NORM, _NORM.replace(".abs().mean()", ".abs().square().mean().sqrt()")),
        norm_maximum=(_NORM, _NORM.replace(".mean()", ".max()")),
        norm_of_real_part=(_NORM, _NORM.replace(".abs()", ".real.abs()")),
        mask_applied=(_NORMALISED, "return normalised * hard_mask(len(probe))"),
        conjugated=(_NORMALISED, "return normalised.conj().resolve_conj()"),
        transposed=(_NORMALISED, "return normalised.T"),
        imaginary_lost=(_NORMALISED, "return normalised.real.to(torch.complex64)"),
    ),
    *_of(
        "probe.default_disk",
        "probe",
        window_on_pixel=(
            "torch.arange(N, dtype=torch.float64) - (N - 1) / 2",
            "torch.arange(N, dtype=torch.float64) - N // 2",
        ),
        threshold_omitted=("(torch.outer(window, window) > 0.5).to(torch.float64)", "torch.outer(window, window)"),
        threshold_at_quarter=("torch.outer(window, window) > 0.5", "torch.outer(window, window) > 0.25"),
        blur_omitted=("(blur @ disk @ blur.T + 1e-9)", "(disk + 1e-9)"),
        blur_twice=("blur = _blur_matrix(N)", "blur = _blur_matrix(N) @ _blur_matrix(N)"),
        blur_cut_at_three=("torch.arange(-4, 5)", "torch.arange(-3, 4)"),
        floor_omitted=("(blur @ disk @ blur.T + 1e-9)", "(blur @ disk @ blur.T)"),
        other_disk_scale=(
            "N / (default_probe_scale * math.pi**2)\n    distance",
            "N / ((0.7 if default_probe_scale == 1.0 else 1.0) * math.pi**2)\n    distance",
        ),
    ),
    *_of(
        "coordinates.relative",
        "coordinates",
        **_ORIGINS,
        relative_sign=(_RELATIVE, "return offsets, coords_nn - offsets"),
        xy_swap=(_RELATIVE, "return offsets.flip(2), -(coords_nn - offsets).flip(2)"),
        midrange_as_origin=(_MEAN, "(coords_nn.amax(3, keepdim=True) + coords_nn.amin(3, keepdim=True)) / 2"),
        single_precision=(
            (_MEAN, f"{_MEAN}.float().double()"),
            (_RELATIVE, "return offsets, -(coords_nn - offsets).float().double()"),
        ),
    ),
    *_of(
        "coordinates.translate",
        "translation",
        displacement_sign=(_DISPLACEMENTS, f"(-{_DISPLACEMENTS.removesuffix('.unbind(1)')}).unbind(1)"),
        xy_swap=(f"dx, dy = {_DISPLACEMENTS}", f"dy, dx = {_DISPLACEMENTS}"),
        x_sign=(_MOVED, "_move(_move(images, dy, 2), -dx, 3)"),
        y_sign=(_MOVED, "_move(_move(images, -dy, 2), dx, 3)"),
        floored=(_DISPLACEMENTS, _DISPLACEMENTS.replace(".unbind", ".floor().unbind")),
        truncated=(_DISPLACEMENTS, _DISPLACEMENTS.replace(".unbind", ".trunc().unbind")),
        nearest_neighbour=(_DISPLACEMENTS, _DISPLACEMENTS.replace(".unbind", ".round().unbind")),
        first_displacement_for_all=(_DISPLACEMENTS, "displacements[:1].expand_as(displacements).unbind(1)"),
        edge_clamped=(_TAKEN, "(source + shift).clamp(1, size)"),
        edge_wrapped=((_TAKEN, "((source + shift - 1) % size + 1)"), ("whole.clamp(-size - 1, size + 1)", "whole")),
        edge_renormalised=("return torch.lerp(near, far, fraction)", _RENORMALISED),
        phase_interpolated=(
            (_PARTS, "torch.cat([images.abs(), images.angle()], dim=1)"),
            (_COMPLEX, "torch.polar(parts[:, :channels], parts[:, channels:])"),
        ),
        imaginary_lost=(_COMPLEX, "parts[:, :channels].to(images.dtype)"),
        corners_not_aligned=(_MOVED, _GRID_SAMPLE),
    ),
    *_of("coordinates.place_in_group", "coordinates", **_ORIGINS),
    *_of(
        "coordinates.place_in_group",
        "data_container_bridge",
        relative_sign=(_NOMINAL, "_tensor(relative, np.float32)"),
        xy_swap=(_NOMINAL, "_tensor(-relative[:, :, ::-1], np.float32)"),
        x_sign=(_NOMINAL, "_tensor(-relative * [[-1], [1]], np.float32)"),
        y_sign=(_NOMINAL, "_tensor(-relative * [[1], [-1]], np.float32)"),
        first_group_for_all=(_NOMINAL, "_tensor(-np.repeat(relative[:1], n, axis=0), np.float32)"),
        first_member_for_all=(_NOMINAL, "_tensor(-np.repeat(relative[..., :1], C, axis=3), np.float32)"),
        column_major_channels=(
            _NOMINAL,
            "_tensor(-relative.reshape(n, 1, 2, round(C**0.5), -1).swapaxes(3, 4).reshape(n, 1, 2, C), np.float32)",
        ),
        channel_major_order=(
            _NOMINAL,
            "_tensor(-relative.transpose(3, 0, 1, 2).reshape(n, C, 1, 2).transpose(0, 2, 3, 1), np.float32)",
        ),
        whole_pixels=(_NOMINAL, "_tensor(np.rint(-relative), np.float32)"),
    ),
    *_of(
        "coordinates.place_in_group",
        "translation",
        patch_transposed=(_MOVED, "_move(_move(images.mT, dy, 2), dx, 3)"),
        imaginary_lost=(_COMPLEX, "parts[:, :channels].to(images.dtype)"),
    ),
    *_of("reassembly.position", "reassembly", **STITCHING),
    *_of(
        "reassembly.scan_mosaic",
        "reassembly",
        **{name: edit for name, edit in STITCHING.items() if name not in {"count_of_centre_mask", "odd_padding"}},
    ),
    *_of(
        "scan.read",
        "scan",
        stack_reshaped=(_LAST_FIRST, "array.reshape(shape)"),
        stack_transposed=(_LAST_FIRST, "array.reshape(stored).T"),
        xy_swap=(
            ('[found["xcoords"], found["ycoords"]]', '[found["ycoords"], found["xcoords"]]'),
            ('[found["xcoords_start"], found["ycoords_start"]]', '[found["ycoords_start"], found["xcoords_start"]]'),
        ),
        starts_as_positions=("positions=positions,", "positions=start,"),
        starts_ignored=("start_positions=start,", "start_positions=positions,"),
        single_precision=(_VECTOR, f"{_VECTOR}.astype(np.float32).astype(np.float64)"),
        rooted=(_STACK_LOADED, f"np.sqrt({_STACK_LOADED})"),
        squared=(_STACK_LOADED, f"np.square({_STACK_LOADED})"),
        probe_transposed=(_PROBE_LOADED, f"{_PROBE_LOADED}.T"),
        probe_normalised=(
            _PROBE_LOADED,
            f'__import__("ptycho_torch.probe", fromlist=["_"]).normalize_probe_like_tf({_PROBE_LOADED}, 4.0).numpy()',
        ),
    ),
    *_of(
        "simulation.patterns",
        "simulate",
        xy_swap=(_CENTRES, f"positions.flip(1){_CENTRES.removeprefix('positions')}"),
        position_sign=(_CENTRES, f"-{_CENTRES}"),
        x_leftwards=(_CENTRES, "positions * torch.tensor([-1, 1]) + torch.tensor([width - 1, 0]) - N // 2"),
        y_upwards=(_CENTRES, "positions * torch.tensor([1, -1]) + torch.tensor([0, height - 1]) - N // 2"),
        position_of_corner=(_CENTRES, "positions.to(torch.float64)"),
        position_of_middle=(_CENTRES, "positions.to(torch.float64) - (N - 1) / 2"),
        whole_pixels=(_CENTRES, "positions.to(torch.float64).round() - N // 2"),
        positions_out_of_step=(_CENTRES, f"positions.roll(1, 0){_CENTRES.removeprefix('positions')}"),
        first_position_for_all=(_CENTRES, "positions[:1].expand_as(positions) - N // 2"),
        edge_clamped=(_BORDER, _CONTINUED.format(".clamp(0, height - 1)", ".clamp(0, width - 1)")),
        edge_wrapped=(
            (_BORDER, _CONTINUED.format(" % height", " % width")),
            ("(whole[:, 0, None] + reach).clamp(0, width + 1)", "((whole[:, 0, None] + reach - 1) % width + 1)"),
            ("(whole[:, 1, None] + reach).clamp(0, height + 1)", "((whole[:, 1, None] + reach - 1) % height + 1)"),
        ),
        patch_transposed=_field("patches.mT * probe"),
        patch_flipped_rows=_field("patches.flip(1) * probe"),
        patch_flipped_columns=_field("patches.flip(2) * probe"),
        phase_interpolated=(
            _CUT,
            f"torch.polar(*({_CUT.replace('target', 'part.to(target.dtype)')}.real "
            "for part in (target.abs(), target.angle())))",
        ),
        object_conjugated=(_CUT, _CUT.replace("target", "target.conj().resolve_conj()")),
        imaginary_lost=(_CUT, _CUT.replace("target", "target.real.to(target.dtype)")),
        amplitude_plus_i_phase=(_CUT, _CUT.replace("target", "torch.complex(target.abs(), target.angle())")),
        probe_ignored=_field("patches"),
        illuminated_twice=_field("patches * probe * probe"),
        probe_modulus=_field("patches * probe.abs()"),
        probe_conjugated=_field("patches * probe.conj()"),
        probe_transposed=_field("patches * probe.T"),
        probe_normalised=(
            f"return {_FIELD}",
            "from ptycho_torch.probe import normalize_probe_like_tf\n"
            "    return _far_field(patches * normalize_probe_like_tf(probe, 4.0))",
        ),
        fft_norm_missing=(_FFT, "torch.fft.fft2(field)"),
        fft_norm_twice=(_FFT, 'torch.fft.fft2(field, norm="forward")'),
        fftshift_missing=(_SHIFTED, "spectrum.abs()"),
        inverse_fftshift=(_SHIFTED, _SHIFTED.replace("fftshift", "ifftshift")),
        batch_shifted=(_SHIFTED, "torch.fft.fftshift(spectrum.abs())"),
        inverse_transform=(_FFT, _FFT.replace("fft2", "ifft2")),
        intensity=(_SHIFTED, _SHIFTED.replace("abs()", "abs().square()")),
        scaled_to_photons=(_SCALE, "amplitude *= (scale := (nphotons / photons.mean()).sqrt())\n    return scale"),
        other_nphotons=(_SCALE, _SCALE.replace("nphotons", "(1e9 if nphotons == 1e5 else 1e5)")),
        photons_of_all_patterns=(_SCALE, _SCALE.replace("mean", "sum")),
        photons_per_pixel=("amplitude.square().sum(dim=(-2, -1))", "amplitude.square().mean(dim=(-2, -1))"),
        scale_of_intensity=(_SCALE, "return nphotons / photons.mean()"),
    ),
    *_of(
        "defaults.model",
        _CONFIG,
        object_big_off=("object_big: bool = True", "object_big: bool = False"),
        probe_big_off=("probe_big: bool = True", "probe_big: bool = False"),
        probe_mask_on=("probe_mask: bool = False", "probe_mask: bool = True"),
        probe_scale_legacy=("probe_scale: float = 4.0", "probe_scale: float = 10.0"),
        n_legacy=("N: int = 64", "N: int = 128"),
        gridsize_2=(
            ("grid_size: tuple[int, int] = (1, 1)", "grid_size: tuple[int, int] = (2, 2)"),
            (" C: int = 1", " C: int = 4"),
        ),
    ),
    *_of(
        "defaults.training",
        _CONFIG,
        nphotons_1e5=("nphotons: float = 1e9", "nphotons: float = 1e5"),
        nepochs_legacy=("epochs: int = 50", "epochs: int = 60"),
        neighbor_count_6=("K: int = 4", "K: int = 6"),
        n_subsample_7=("n_subsample: int | None = None", "n_subsample: int | None = 7"),
        intensity_scale_fixed=("intensity_scale_trainable: bool = True", "intensity_scale_trainable: bool = False"),
        mae_loss=("    mae_weight: float = 0.0", "    mae_weight: float = 1.0"),
    ),
    *_of(
        "defaults.inference",
        _CONFIG,
        neighbor_count_6=("K: int = 4", "K: int = 6"),
        output_dir_of_training=('"inference_outputs"', '"training_outputs"'),
    ),
    *_of(
        "defaults.optimizer",
        _CONFIG,
        epsilon_of_torch=("adam_epsilon: float = 1e-7", "adam_epsilon: float = 1e-8"),
        weight_decay_of_adamw=("weight_decay: float | None = None", "weight_decay: float | None = 0.01"),
        clipping_on=("gradient_clip_norm: float | None = None", "gradient_clip_norm: float | None = 1.0"),
    ),
    *_of(
        "defaults.schedule",
        _CONFIG,
        min_lr_of_port=("plateau_min_lr: float = 1e-4", "plateau_min_lr: float = 5e-5"),
        patience_100=("early_stop_patience: int = 3", "early_stop_patience: int = 100"),
        stop_on_validation=('early_stop_monitor: str = "loss"', 'early_stop_monitor: str = "val_loss"'),
        plateau_on_training=('plateau_monitor: str = "val_loss"', 'plateau_monitor: str = "loss"'),
        validation_tenth=("validation_fraction: float = 0.05", "validation_fraction: float = 0.1"),
    ),
)

REFUSED: tuple[Mutant, ...] = (
    *_of(
        "defaults.model",
        _CONFIG,
        activation_silu=('= "sigmoid"', '= "silu"'),
        value_as_text=("n_filters_scale: int = 2", 'n_filters_scale: int = "2"'),
    ),
)
"""Faults that the port cannot commit: its configuration refuses the value."""
