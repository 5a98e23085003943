"""Ports that commit a fault: one wrong line each, put in place of the right one.

A mutant swaps the code of the port's own functions, so whoever holds a reference to one runs the wrong line. When the
port is rewritten, a mutant whose line is gone says so.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from golden.ptychopinn.net_shift.faults import CONTAINER_ROUTE, MEMORY_MAPPED_ROUTE, TURNS, Place

Edits = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Mutant:
    """A fault of an operation, and the edits that commit it, by the module whose source they change."""

    operation: str
    fault: str
    edits: tuple[tuple[str, Edits], ...]

    def __str__(self) -> str:
        return f"{self.operation}-{self.fault}"


_WINGS = {
    "operators": "probe physics translation merge reassembly formats coordinates ground_truth normalization grouping",
    "training": "taps fit losses batch_order",
    "scans": "scan mapped specimen",
    "files": "bundle archive loss_curve",
    "checks": "diagnostics registration image_quality",
}
_WHERE_MODULES_ARE = {
    "network": "network.decoder",
    "layers": "network.layers",
    "training": "training.keras_rules",
}
_WHERE_MODULES_ARE |= {"weights": "files.tensorflow_weights"}
_WHERE_MODULES_ARE |= {name: f"{wing}.{name}" for wing, names in _WINGS.items() for name in names.split()}


def _module(name: str) -> str:
    """The full name of a module of the port."""
    return f"ptycho_torch.{_WHERE_MODULES_ARE.get(name, name)}"


@contextmanager
def committed(mutant: Mutant) -> Iterator[None]:
    """The port with the wrong lines in place."""
    with ExitStack() as modules:
        for module, edits in mutant.edits:
            modules.enter_context(_altered(module, edits, mutant))
        yield


@contextmanager
def _altered(module: str, edits: Edits, mutant: Mutant) -> Iterator[None]:
    original = importlib.import_module(_module(module))
    source = inspect.getsource(original)
    for right, wrong in edits:
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
            right, wrong = _plain(value), _plain(vars(other).get(key))
            if isinstance(right, types.FunctionType) and isinstance(wrong, types.FunctionType):
                # Torch wraps the step of an optimiser's class when the first is made.
                yield inspect.unwrap(right), inspect.unwrap(wrong)


def _plain(member: Any) -> Any:
    """The function of a class method, a static method or a property."""
    return getattr(member, "__func__", getattr(member, "fget", member))


def _of(operation: str, module: str, **faults: tuple[str, str] | Edits) -> tuple[Mutant, ...]:
    return tuple(
        Mutant(operation, name, ((module, edits if isinstance(edits[0], tuple) else (edits,)),))  # type: ignore[arg-type]
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

_GENERATOR = "draws = np.random.RandomState(0 if sequential_sampling else seed)"
_SEEDS = "seeds = np.arange(min(nsamples, M)) if sequential_sampling else _draw_seeds(draws, M, nsamples)"
_SEED = "return np.arange(M) if count >= M else draws.choice(M, count, replace=False)"
_POINTS = "np.column_stack([x, y])"
_AVAILABLE = "near[:, 1:] if count > K else near"
_MEMBERS = "[draws.choice(available, C, replace=False) for available in near]"
_POOLED = "pool.extend(itertools.combinations(available, C))"
_CHOSEN = "chosen = draws.choice(len(pool), nsamples, replace=len(pool) < nsamples)"

DRAWS: dict[str, tuple[str, str]] = {
    "newer_generator": (_GENERATOR, _GENERATOR.replace("RandomState", "default_rng")),
    "seed_ignored": (_GENERATOR, "draws = np.random.RandomState(0)"),
    "coordinates_mixed": (_POINTS, "np.stack([x, y]).reshape(-1, 2)"),
    "seed_kept_in_group": (_AVAILABLE, "near[:, :K]"),
    "draw_for_all_points": (_SEED, "return draws.choice(M, min(count, M), replace=False)"),
    "seeds_sorted": (_SEED, "return np.arange(M) if count >= M else np.sort(draws.choice(M, count, replace=False))"),
}
"""What groups of both kinds have in common."""

_STACKED = "np.stack([x[nn_indices], y[nn_indices]], axis=1)[:, None]"
_SWAPPED = "np.stack([y[nn_indices], x[nn_indices]], axis=1)[:, None]"
_GATHERED = "_gather(self.diff3d, nn_indices)"
_SCALED = "normalize_data(diffraction),"
_USED = "np.sort(np.random.RandomState(seed).choice(M, wanted, replace=False))"
_CUT = "ground_truth_like_tf(torch.from_numpy(self.objectGuess), offsets, relative, N)"
_START = '**_grouped_positions("coords_start", self.xcoords_start, self.ycoords_start, nn_indices),'
_MEASURED = '_grouped_positions("coords", self.xcoords, self.ycoords, nn_indices)'
_DRAWN_BY = "            self.xcoords,\n            self.ycoords,\n            nsamples,"

_SQUARES = "np.square(diffraction, dtype=np.float64).sum() / (groups * members)"
_FACTOR = "factor = normalization_factor(mean_energy, N)"
_FACTOR_OF = "np.sqrt((N / 2) ** 2 / mean_energy)"
_PER_PATTERN = "np.square(diffraction, dtype=np.float64).sum(axis=(1, 2), keepdims=True)"
_X_FULL = 'np.asarray(np.multiply(diffraction, factor, dtype=np.float32, casting="unsafe"))'

_CUT_AT = "corner = positions.to(torch.float64) - N // 2"
_CUTS = "torch.cat([_cut(object_guess, block, N) for block in torch.split(positions, _AT_A_TIME)])"
_PLACES = 'rearrange(coords, "n 1 xy c -> (n c) xy")'
_REGROUPED = 'return rearrange(patches, "(n c) h w -> n h w c", c=coords.shape[3])'
_AS_TENSORFLOW = "_grouped_patches(object_guess, coords_offsets + coords_relative, N)"


def _regrouped(patches: str) -> str:
    return _REGROUPED.replace("rearrange(patches", f"rearrange({patches}")


PATCHES: dict[str, tuple[str, str]] = {
    "positions_negated": (_CUT_AT, "corner = -positions.to(torch.float64) - N // 2"),
    "xy_swap": (_CUT_AT, "corner = positions.to(torch.float64).flip(1) - N // 2"),
    "corner_at_position": (_CUT_AT, "corner = positions.to(torch.float64)"),
    "off_by_one": (_CUT_AT, f"{_CUT_AT} + 1"),
    "geometric_centre": (_CUT_AT, "corner = positions.to(torch.float64) - (N - 1) / 2"),
    "whole_pixels": (_CUT_AT, "corner = positions.to(torch.float64).round() - N // 2"),
    "floored": (_CUT_AT, "corner = positions.to(torch.float64).floor() - N // 2"),
    "edge_repeated": (".clamp(0, size + 1)", ".clamp(1, size)"),
    "phase_interpolated": (
        _CUTS,
        "torch.polar(_cut(object_guess.abs(), positions, N), _cut(object_guess.angle(), positions, N))",
    ),
    "first_group_for_all": (_PLACES, _PLACES.replace("coords,", "coords[:1].expand_as(coords),")),
    "patch_transposed": (_REGROUPED, _REGROUPED.replace("-> n h w c", "-> n w h c")),
    "conjugated": (_REGROUPED, _regrouped("patches.conj().resolve_conj()")),
    "imaginary_lost": (_REGROUPED, _regrouped("patches.real.to(patches.dtype)")),
    "amplitude_plus_i_phase": (_REGROUPED, _regrouped("torch.complex(patches.abs(), patches.angle())")),
    "column_major_channels": (
        _REGROUPED,
        'return rearrange(patches, "(n r k) h w -> n h w (k r)", n=len(coords), r=round(coords.shape[3] ** 0.5))',
    ),
    "channel_major_order": (_PLACES, _PLACES.replace("(n c)", "(c n)")),
}
"""Patches cut from an object, at whichever positions."""
_GRID = 'return rearrange(grid, "b row column h w -> b (row column) h w")'
_OF_FLAT = 'return rearrange(flat, "(b c) 1 h w -> b c h w", c=C)'
_TO_GRID = 'return rearrange(channel, "b (row column) h w -> b row column h w", row=side)'
_TO_FLAT = 'return rearrange(channel, "b c h w -> (b c) 1 h w")'
_POSITIONS = 'return rearrange(positions, "b 1 xy c -> (b c) xy")'
_BIG = "return N + (G - 1) * offset"
_PADDED = "return big_size(N, G, offset) + max_position_jitter"

_MERGED_AT = "moves = positions_to_flat(positions)"
_RECENTRED = "moves = moves - moves.mean(dim=0)"
_PLACED = "moved = translate(zero_pad(images, (margin, margin, margin, margin)), moves)"
_LAYERS = "[patches.real, patches.imag, mask]"
_MASK_OF_CENTRE = "_centre_mask(patches.real)"
_SUMMED = '"(b c) part h w -> part b h w", "sum", c=members'
_EPSILON = "count + EPSILON"
_EXTRACTED_AT = "translate(repeated, -positions_to_flat(positions))"
_REPEATED = 'repeat(canvas, "b h w -> (b c) 1 h w", c=members)'

MISPLACED: dict[str, str] = {
    "xy_swap": "positions_to_flat(positions.flip(2))",
    "x_sign": "positions_to_flat(positions * positions.new_tensor([[-1.0], [1.0]]))",
    "y_sign": "positions_to_flat(positions * positions.new_tensor([[1.0], [-1.0]]))",
    "first_group_for_all": "positions_to_flat(positions[:1].expand_as(positions))",
    "first_member_for_all": "positions_to_flat(positions[..., :1].expand_as(positions))",
    "column_major_channels": "positions_to_flat(rearrange("
    'positions, "b 1 xy (column row) -> b 1 xy (row column)", row=round(members**0.5)))',
    "channel_major_order": 'rearrange(positions, "b 1 xy c -> (c b) xy")',
}
"""What takes the place of ``positions_to_flat(positions)``."""

_DISK = """(torch.hypot(*torch.meshgrid(
        torch.arange(N) - N // 2 + 0.5, torch.arange(N) - N // 2 + 0.5, indexing="ij")) < N // 4).to(moves.dtype)"""
_IN_FULL = "(margin, padded - N - margin, margin, padded - N - margin)"


def _counted_at(moves: str) -> str:
    """The mask moved by other moves than the patches."""
    padded = "zero_pad(images, (margin, margin, margin, margin))"
    return f"moved = torch.cat([translate({padded}[:, :2], moves), translate({padded}[:, 2:], {moves})], dim=1)"


_TRANSFORM = 'torch.fft.fft2(field, norm="ortho").abs()'
_PATTERN = "return torch.fft.fftshift(amplitude, dim=(-2, -1))"
_ILLUMINATED = "return patches * probe"
_PREDICTED = "return diffraction_amplitude(illuminate(patches, probe)) * scale"
_INTENSITY_SCALE = "return math.sqrt(nphotons) / (N / 2)"
_PHOTON_SCALE = "return torch.sqrt(nphotons / X.square().sum(dim=(-2, -1)).mean())"
_TERM = "return predicted - target * torch.log(predicted)"
_LOSS = "return poisson_term(predicted, target).mean()"
_OBJECT = "patches = torch.polar(amplitude, phase)[:, None]"
_SIMULATED = "X = diffraction_amplitude(illuminate(patches, probe))[:, 0]"
_TRUTH_SCALE = "scale_nphotons(illuminated[:, None], nphotons)"
_TRUTH = f"return Simulation(X, illuminated, phase, {_TRUTH_SCALE})"

DIFFRACTED: dict[str, tuple[str, str]] = {
    "norm_omitted": (_TRANSFORM, _TRANSFORM.replace("ortho", "backward")),
    "norm_twice": (_TRANSFORM, _TRANSFORM.replace("ortho", "forward")),
    "norm_of_one_axis": (_TRANSFORM, f"{_TRANSFORM} * field.shape[-1] ** 0.5"),
    "shift_omitted": (_PATTERN, "return amplitude"),
    "shift_of_rows": (_PATTERN, _PATTERN.replace("(-2, -1)", "-2")),
    "shift_of_batch": (_PATTERN, _PATTERN.replace(", dim=(-2, -1)", "")),
    "inverse_transform": (_TRANSFORM, _TRANSFORM.replace("fft2", "ifft2")),
    "transformed_along_rows": (_TRANSFORM, _TRANSFORM.replace("fft2", "fft")),
    "intensity": (_TRANSFORM, f"{_TRANSFORM}.square()"),
    "root_twice": (_TRANSFORM, f"{_TRANSFORM}.sqrt()"),
    "transposed": (_TRANSFORM, _TRANSFORM.replace("(field,", "(field.mT,")),
    "imaginary_lost": (_TRANSFORM, _TRANSFORM.replace("(field,", "(field.real,")),
}

_CONFIG = "config_params"

_CUT_OUT = "patches_at(target, positions, len(probe))"
_LIT = "illuminate(patches[:, None], probe)"
_RING = "bordered = zero_pad(object_guess, (1, 1, 1, 1))"
_CONTINUED = (
    "bordered = object_guess[torch.arange(-1, object_guess.shape[0] + 1){0}]"
    "[:, torch.arange(-1, object_guess.shape[1] + 1){1}]"
)

_LAST_FIRST = "np.moveaxis(array.reshape(stored), -1, 0)"
_VECTOR = 'vector.load(np.int64 if key == "scan_index" else np.float64)'
_STACK_LOADED = "stack.load(np.float32, arrange, mapped=True, least=0.0)"
_PROBE_LOADED = "probe.load(np.complex64, lambda array: array.reshape(N, N))"


def _cut_at(positions: str) -> tuple[str, str]:
    return _CUT_OUT, _CUT_OUT.replace("positions", positions)


def _cut_from(target: str) -> tuple[str, str]:
    return _CUT_OUT, _CUT_OUT.replace("target", target)


def _lit(field: str) -> tuple[str, str]:
    return _LIT, f"({field})[:, None]"


@dataclass(frozen=True)
class SignLine:
    """A line of the port in which vectors [x, y] pass, the place of a sign.

    Attributes:
        module: where it stands.
        right: its text.
        wrong: what takes its place; ``{}`` stands for the vectors, wrongly turned.
        vectors: the expression that is turned.
        turns: what turns it, by the name of the turn: [x, y] lies on the last axis, or on the one before.
    """

    module: str
    right: str
    wrong: str
    vectors: str
    turns: dict[str, str]

    def turned(self, turn: str) -> tuple[str, str]:
        return self.right, self.wrong.format(self.turns[turn].format(self.vectors))


ROWS_TURNED = {
    "sign": "(-({}))",
    "x_sign": "(({}) * torch.tensor([-1.0, 1.0]))",
    "y_sign": "(({}) * torch.tensor([1.0, -1.0]))",
    "xy_swap": "({}).flip(-1)",
}
COLUMNS_TURNED = {
    "sign": "(-({}))",
    "x_sign": "(({}) * torch.tensor([[-1.0], [1.0]]))",
    "y_sign": "(({}) * torch.tensor([[1.0], [-1.0]]))",
    "xy_swap": "({}).flip(-2)",
}

_MIDDLE = "positions.to(torch.float64).mean(dim=0)"
_CUT_LINE = SignLine(
    "ground_truth",
    _CUT_AT,
    f"corner = {_MIDDLE} + {{}} - N // 2",
    f"positions.to(torch.float64) - {_MIDDLE}",
    ROWS_TURNED,
)
_NETWORK_AND_STITCHER = {
    "merge": SignLine("merge", _MERGED_AT, "moves = {}", "positions_to_flat(positions)", ROWS_TURNED),
    "extraction": SignLine(
        "merge", _EXTRACTED_AT, "translate(repeated, {})", "-positions_to_flat(positions)", ROWS_TURNED
    ),
    "stitching": SignLine("reassembly", _CENTRED, "{}", _CENTRED, ROWS_TURNED),
}
_RECORDED = "-(coords_nn - offsets)"
_DIRECT = "(coords_nn - self.global_offsets)"
_HANDED_OUT = "self.global_offsets[chosen]"

SIGN_LINES: dict[str, dict[str, SignLine]] = {
    "net_shift.container": {
        "cut": _CUT_LINE,
        "record": SignLine("coordinates", _RECORDED, "{}", _RECORDED, COLUMNS_TURNED),
        "offsets": SignLine("coordinates", "return offsets,", "return {},", "offsets", COLUMNS_TURNED),
        "container": SignLine(
            "data_container_bridge",
            _NOMINAL,
            "_tensor({}.numpy(), np.float32)",
            "torch.from_numpy(-relative)",
            COLUMNS_TURNED,
        ),
        **_NETWORK_AND_STITCHER,
    },
    "net_shift.memory_mapped": {
        "cut": _CUT_LINE,
        "direct": SignLine("dataloader", _DIRECT, "{}", _DIRECT, COLUMNS_TURNED),
        "offsets": SignLine("dataloader", _HANDED_OUT, "{}", _HANDED_OUT, COLUMNS_TURNED),
        **_NETWORK_AND_STITCHER,
    },
}
"""Operation -> place -> its line."""
ROUTES = {"net_shift.container": CONTAINER_ROUTE, "net_shift.memory_mapped": MEMORY_MAPPED_ROUTE}


def with_turns(operation: str, *wrong: tuple[Place, str]) -> Mutant:
    """A port that turns vectors wrongly in these places of a route, each in its own way."""
    edits: dict[str, Edits] = {}
    for place, turn in wrong:
        line = SIGN_LINES[operation][place.name]
        edits[line.module] = (*edits.get(line.module, ()), line.turned(turn))
    return Mutant(operation, "_and_".join(f"{place.name}_{turn}" for place, turn in wrong), tuple(edits.items()))


NET_SHIFT = tuple(
    mutant
    for operation, route in ROUTES.items()
    for mutant in (
        *(with_turns(operation, (place, turn)) for place in route for turn in TURNS),
        *(with_turns(operation, (one, "sign"), (other, "sign")) for one, other in itertools.combinations(route, 2)),
    )
)
_WEIGHT = 'rearrange(array, "row column i o -> o i row column") if array.ndim == 4 else array'
_KERNEL = 'rearrange(array, "row column i o -> o i row column")'
_PAIRED = 'zip(_convolutions(model, "amplitude"), _convolutions(model, "phase"), strict=True)'
_PAIR = "return relu(self.conv_2(relu(self.conv_1(images), inplace=True)), inplace=True)"
_WIDE = "wide = self.conv_2(relu(self.conv_1(images), inplace=True))"
_MAX_POOLED = "return relu(max_pool2d(wide, 2), inplace=True)"
_INNER = """centre = self.activation(self.conv(decoded))
        return zero_pad(centre, (decoded.shape[-1] // 2,) * 4)"""
_BORDER = "return silu(self.conv(self.pair(decoded))) * self.mask"
_POLAR = "torch.complex(amplitude * phase.cos(), amplitude * phase.sin())"
_LOSS_OF_BATCH = "return (count - target * count.clamp(min=FEWEST_COUNTS).log()).mean()"

NETWORK: dict[str, dict[str, tuple[str, str] | Edits]] = {
    "weights": {
        "kernels_read_as_oihw": (_KERNEL, "array.reshape(*array.shape[:1:-1], *array.shape[:2])"),
        "kernels_flipped": (_KERNEL, f"{_KERNEL}[..., ::-1, ::-1]"),
        "kernels_transposed": (_KERNEL, _KERNEL.replace("i row column", "i column row")),
        "biases_lost": (_WEIGHT, f"{_KERNEL} if array.ndim == 4 else 0 * array"),
        "decoders_in_turn": (
            "chain.from_iterable(decoders)",
            'chain(_convolutions(model, "amplitude"), _convolutions(model, "phase"))',
        ),
        "decoders_exchanged": (
            _PAIRED,
            'zip(_convolutions(model, "phase"), _convolutions(model, "amplitude"), strict=True)',
        ),
    },
    "layers": {
        "hidden_silu": (
            (_PAIR, _PAIR.replace("relu", "torch.nn.functional.silu")),
            (_WIDE, _WIDE.replace("relu", "torch.nn.functional.silu")),
            (_MAX_POOLED, "return max_pool2d(torch.nn.functional.silu(wide), 2)"),
        ),
        "pooling_averages": (_MAX_POOLED, "return torch.nn.functional.avg_pool2d(relu(wide), 2)"),
        "pooling_one_pixel_early": (_MAX_POOLED, "return relu(max_pool2d(wide, 2, padding=1))[..., :-1, :-1]"),
        "upsampling_bilinear": ('mode="nearest"', 'mode="bilinear"'),
    },
    "network": {
        "phase_without_pi": ("return math.pi * torch.tanh(x)", "return torch.tanh(x)"),
        "activated_after_padding": (
            _INNER,
            "return self.activation(zero_pad(self.conv(decoded), (decoded.shape[-1] // 2,) * 4))",
        ),
        "border_channels_first": (
            ("decoded[:, :-BORDER_CHANNELS]", "decoded[:, BORDER_CHANNELS:]"),
            ("decoded[:, -BORDER_CHANNELS:]", "decoded[:, :BORDER_CHANNELS]"),
        ),
        "border_of_head": (
            (_BORDER, _BORDER.replace("silu", "self.activation")),
            ("self.border = BorderHead", "self._head = activation; self.border = BorderHead"),
            ("decoded = self.up(features)", "decoded = self.up(features); self.border.activation = self._head"),
        ),
        "border_mask_inverted": (_BORDER, _BORDER.replace("self.mask", "(1 - self.mask)")),
        "border_mask_omitted": (_BORDER, _BORDER.removesuffix(" * self.mask")),
    },
    "model": {
        "scale_not_inverted": ("self.encoder(x)", "self.encoder(x * self.intensity_scale)"),
        "amplitude_of_other_activation": (
            "AMPLITUDE_ACTIVATIONS[config.amp_activation]",
            'AMPLITUDE_ACTIVATIONS["sigmoid" if config.amp_activation == "swish" else "swish"]',
        ),
        "amplitude_plus_i_phase": (_POLAR, "torch.complex(amplitude, phase)"),
        "imaginary_lost": (_POLAR, "torch.complex(amplitude * phase.cos(), 0 * phase)"),
        "merge_sign": ("merge_patches(patches, positions,", "merge_patches(patches, -positions,"),
        "merge_xy_swap": ("merge_patches(patches, positions,", "merge_patches(patches, positions.flip(2),"),
        "extraction_sign": ("extract_patches(canvas, positions,", "extract_patches(canvas, -positions,"),
        "probe_mask_toggled": ("masked=config.probe_mask", "masked=not config.probe_mask"),
        "scale_omitted": ("self.diffract(field) * self.intensity_scale", "self.diffract(field)"),
        "channel_major_order": (
            "return diffraction_amplitude(field)",
            "return diffraction_amplitude(field).reshape(field.shape[1], len(field), *field.shape[2:]).transpose(0, 1)",
        ),
    },
    "merge": {
        "count_of_ones": (_MASK_OF_CENTRE, "torch.ones_like(patches.real)"),
        "epsilon_of_stitching": (_EPSILON, "count + 1e-9"),
        "groups_summed": (
            "return total / norm",
            "return total.sum(0, True).expand_as(total) / ((norm - 1e-3).sum(0, True) + 1e-3)",
        ),
    },
    "probe": {
        "raw_probe": (_NORMALISED, "return probe"),
        "probe_scale_twice": ("normalised = probe / norm", "normalised = probe / norm / probe_scale"),
        "probe_conjugated": (_NORMALISED, "return normalised.conj().resolve_conj()"),
    },
    "physics": {
        "fft_norm_omitted": DIFFRACTED["norm_omitted"],
        "fftshift_omitted": DIFFRACTED["shift_omitted"],
    },
    "losses": {
        "loss_summed": (_LOSS_OF_BATCH, _LOSS_OF_BATCH.replace("mean()", "sum()")),
        "loss_summed_per_group": (_LOSS_OF_BATCH, _LOSS_OF_BATCH.replace("mean()", "sum() / len(count)")),
        "log_factorial_included": (
            _LOSS_OF_BATCH,
            _LOSS_OF_BATCH.replace(".log())", ".log() + torch.lgamma(target + 1))"),
        ),
        "loss_of_amplitudes": ("predicted.square(), measured.square()", "predicted, measured"),
    },
}
"""Module -> fault -> the wrong line."""

_TRAINED_AS = "model.parameters(),"
_LEARNING_RATE = "lr=config.learning_rate"
_BETAS = "betas=(config.adam_beta_1, config.adam_beta_2)"
_KERAS_EPSILON = 'group["keras_eps"] / math.sqrt(1 - group["betas"][1] ** group["steps"])'
_STEP = "return super().step(closure)"
_GRADIENTS_IN_ORDER = "found = (gradients[name] for name in tensorflow_order(model))"
_WEIGHTS_IN_ORDER = "return [to_tensorflow_layout(parameters[name]) for name in tensorflow_order(model)]"
_TENSORFLOW_LAYOUT = 'rearrange(array, "o i row column -> row column i o")'
_OTHER_DECODER = """name.replace("amplitude.", "other.").replace("phase.", "amplitude.").replace("other.", "phase.")"""
_UNCORRECTED = """beta_1, beta_2 = group["betas"]
            group["lr"] = group.setdefault("given", group["lr"]) * (
                (1 - beta_1 ** group["steps"]) / math.sqrt(1 - beta_2 ** group["steps"]))"""
_COUNTED_LATE = """beta_1, beta_2 = group["betas"]
            now = math.sqrt(1 - beta_2 ** group["steps"]) / (1 - beta_1 ** group["steps"])
            later = math.sqrt(1 - beta_2 ** (group["steps"] + 1)) / (1 - beta_1 ** (group["steps"] + 1))
            group["lr"] = group.setdefault("given", group["lr"]) * later / now"""
_EPSILON_IN_ROOT = """for group in self.param_groups:
            beta_1, beta_2 = group["betas"]
            rate = group["lr"] * math.sqrt(1 - beta_2 ** group["steps"]) / (1 - beta_1 ** group["steps"])
            for one in group["params"]:
                m, v = self.state[one].setdefault("moments", (torch.zeros_like(one), torch.zeros_like(one)))
                m.lerp_(one.grad, 1 - beta_1)
                v.lerp_(one.grad.square(), 1 - beta_2)
                one.data.sub_(rate * m / (v + group["keras_eps"]).sqrt())
        return None if self.state else super().step(closure)"""


def _decayed(by: float) -> str:
    return f"[one.data.mul_(1 - {by} * group['lr']) for group in self.param_groups for one in group['params']]; {_STEP}"


OPTIMISED: dict[str, tuple[str, str] | Edits] = {
    "ascent": (_LEARNING_RATE, f"maximize=True, {_LEARNING_RATE}"),
    "learning_rate_tenfold": (_LEARNING_RATE, "lr=10 * config.learning_rate"),
    "bias_correction_omitted": ('group["steps"] += 1', f'group["steps"] += 1; {_UNCORRECTED}'),
}
"""Lines of ``training``."""

_PLATEAU_PATIENCE = "max(config.plateau_patience - 1, 0)"
_LEAST_RATE = "min_lr=config.plateau_min_lr"
_LEAST_IMPROVEMENT = "threshold=config.plateau_min_delta"
_PLATEAU_STEP = "self._schedule.step(losses[self._schedule_watches])"
_END_PATIENCE = "EarlyStop(config.early_stop_patience,"
_END_BETTER = "loss + self.min_delta < self.best"


def _afterwards(change: str) -> tuple[str, str]:
    """With a change of what the plateau remembers; ``bad`` epochs and ``best`` are those before."""
    return _PLATEAU_STEP, f"s = self._schedule; bad, best = s.num_bad_epochs, s.best; {_PLATEAU_STEP}; {change}"


EPOCH_ENDS: dict[str, tuple[str, str] | Edits] = {
    "plateau_patience_of_torch": (_PLATEAU_PATIENCE, "config.plateau_patience"),
    "plateau_patience_1": (_PLATEAU_PATIENCE, "max(config.plateau_patience - 2, 0)"),
    "factor_tenth": ("factor=config.plateau_factor", "factor=0.1"),
    "no_lower_limit": (_LEAST_RATE, "min_lr=0.0"),
    "min_lr_of_port": (_LEAST_RATE, "min_lr=5e-5"),
    "reduced_once": (_LEAST_RATE, "min_lr=config.plateau_factor * config.learning_rate"),
    "plateau_on_training": (_PLATEAU_STEP, "self._schedule.step(loss)"),
    "improvement_relative": ('threshold_mode="abs"', 'threshold_mode="rel"'),
    "every_improvement": (_LEAST_IMPROVEMENT, "threshold=0.0"),
    "lowest_is_best": _afterwards("s.best = min(best, val_loss)"),
    "plateau_against_last": _afterwards("s.best = val_loss"),
    "plateau_not_in_a_row": _afterwards("s.num_bad_epochs = bad if s.best < best else s.num_bad_epochs"),
    "patience_not_restarted": _afterwards("s.num_bad_epochs = 0 if s.best < best else bad + 1"),
    "cooldown": ("eps=0", "eps=0, cooldown=1"),
    "reduced_late": (
        _PLATEAU_STEP,
        "[self._schedule.step(one) for one in getattr(self, 'before', [])]; self.before = [val_loss]",
    ),
    "end_on_validation": ("losses[self._stop_watches]", "val_loss"),
    "end_patience_2": (_END_PATIENCE, "EarlyStop(config.early_stop_patience - 1,"),
    "end_patience_4": (_END_PATIENCE, "EarlyStop(config.early_stop_patience + 1,"),
    "never_ends": (_END_PATIENCE, "EarlyStop(100,"),
    "end_least_improvement": ("config.early_stop_min_delta)", "config.plateau_min_delta)"),
    "end_equal_is_better": (_END_BETTER, _END_BETTER.replace("<", "<=")),
    "end_against_last": ("self.waited += 1", "self.waited += 1; self.best = loss"),
    "end_not_in_a_row": ("self.best, self.waited = loss, 0", "self.best = loss"),
}
"""Lines of ``training``."""

_NORMALISED_PROBE = "return normalised"
_EPOCH_ORDER = "np.random.RandomState([seed, epoch]).permutation(n)"
_BATCHES = "EpochBatches(task.order, training.stop, task.config.batch_size, share)"
_HELD_BACK = "last = np.arange(len(task.dataset))[validation]"
_SHUFFLED = "np.random.RandomState(0).permutation(len(task.dataset))"
_STITCHED = "return Mosaic(overlap_ratio(total, count)[0], count[0], count[0] > 0.01)"
_STITCHED_AT = "shift_and_sum(patches[None], offsets[None, :, None, :], M)"


def _seen(order: str) -> tuple[str, str]:
    """The training samples in another order."""
    return _BATCHES, _BATCHES.replace("task.order", f"lambda epoch: {order}")


def _turned_mosaic(turn: str) -> tuple[str, str]:
    turned = "overlap_ratio(total, count)[0]{0}, count[0]{0}, count[0]{0} > 0.01"
    return _STITCHED, f"return Mosaic({turned.format(turn)})"


def _placed_at(offsets: str) -> tuple[str, str]:
    return _STITCHED_AT, _STITCHED_AT.replace("offsets[None, :, None, :]", f"({offsets})[None, :, None, :]")


RUN = (
    *_of(
        "run.training",
        "probe",
        probe_not_normalised=(_NORMALISED_PROBE, "return probe"),
        probe_scaled_twice=(_NORMALISED_PROBE, "return normalised / probe_scale"),
        probe_scale_legacy=(_NORMALISED_PROBE, "return normalised * probe_scale / 10"),
        probe_masked=(_NORMALISED_PROBE, "return torch.where(hard_mask(len(probe)), normalised, 0)"),
        probe_conjugated=(_NORMALISED_PROBE, "return normalised.conj().resolve_conj()"),
        probe_transposed=(_NORMALISED_PROBE, "return normalised.T.contiguous()"),
    ),
    *_of("run.training", "physics", fftshift_missing=DIFFRACTED["shift_omitted"]),
    *_of("run.training", "physics", photons_1e5=(_INTENSITY_SCALE, _INTENSITY_SCALE.replace("nphotons", "1e5"))),
    *_of(
        "run.training",
        "dataloader",
        intensities=(
            (
                "self._patterns.read(indices.numpy().reshape(-1))",
                "self._patterns.read(indices.numpy().reshape(-1)) ** 2",
            ),
            ("self._patterns.read(indices)\n", "self._patterns.read(indices) ** 2\n"),
        ),
    ),
    *_of("run.training", "losses", loss_summed=NETWORK["losses"]["loss_summed"]),
    *_of("run.training", "training", learning_rate_tenth=(_LEARNING_RATE, "lr=config.learning_rate / 10")),
    *_of(
        "run.training",
        "fit",
        first_validate=(
            _seen("task.order(epoch) + len(task.dataset) - training.stop"),
            (_HELD_BACK, "last = np.arange(validation.stop - validation.start)"),
        ),
        shuffled_before_split=(
            _seen(f"{_SHUFFLED}[task.order(epoch)]"),
            (_HELD_BACK, f"last = {_SHUFFLED}[validation]"),
        ),
    ),
    *_of(
        "run.training",
        "batch_order",
        not_shuffled=(_EPOCH_ORDER, "np.arange(n)"),
        order_repeated=(_EPOCH_ORDER, _EPOCH_ORDER.replace("epoch]", "1]")),
        epochs_from_zero=(_EPOCH_ORDER, _EPOCH_ORDER.replace("epoch]", "epoch - 1]")),
        last_batch_dropped=(
            (
                "range(0, self.n, self.batch_size)",
                "range(0, self.n // self.batch_size * self.batch_size or 1, self.batch_size)",
            ),
            ("return math.ceil(self.n / self.batch_size)", "return self.n // self.batch_size or 1"),
        ),
    ),
    *_of(
        "run.reconstruction",
        "reconstruction",
        mosaic_flipped_up_down=_turned_mosaic(".flip(0)"),
        mosaic_flipped_left_right=_turned_mosaic(".flip(1)"),
        mosaic_turned_by_180=_turned_mosaic(".flip(0, 1)"),
        mosaic_transposed=_turned_mosaic(".T"),
        mosaic_transposed_flipped_up_down=_turned_mosaic(".T.flip(0)"),
        mosaic_transposed_flipped_left_right=_turned_mosaic(".T.flip(1)"),
        mosaic_transposed_turned_by_180=_turned_mosaic(".T.flip(0, 1)"),
        offsets_negated=_placed_at("-offsets"),
        x_negated=_placed_at("offsets * torch.tensor([-1, 1])"),
        y_negated=_placed_at("offsets * torch.tensor([1, -1])"),
        xy_swap=_placed_at("offsets.flip(1)"),
        not_cropped=(_STITCHED_AT, _STITCHED_AT.replace(", M)", ", patches.shape[1])")),
    ),
    *_of(
        "run.reconstruction",
        "dataloader",
        relative_as_global=(
            "self.global_offsets = coords_nn.mean(dim=3, keepdim=True)\n",
            "self.global_offsets = (coords_nn - coords_nn.mean(dim=3, keepdim=True)).mean(dim=3, keepdim=True)\n",
        ),
        places_of_other_patterns=("scan.positions[indices]", "scan.positions[np.arange(len(indices))[:, None]]"),
    ),
)
"""Each trains anew, but for what comes after the training; its module is the only one that needs Lightning."""

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
            "np.arange(N) - (N - 1) / 2",
            "np.arange(N) - N // 2",
        ),
        threshold_omitted=("(np.outer(window, window) > 0.5).astype(np.float64)", "np.outer(window, window)"),
        threshold_at_quarter=("np.outer(window, window) > 0.5", "np.outer(window, window) > 0.25"),
        blur_omitted=("(blurred + 1e-9)", "(disk + 1e-9)"),
        blur_twice=("gaussian_filter(disk,", "gaussian_filter(gaussian_filter(disk, 1),"),
        blur_cut_at_three=("truncate=4", "truncate=3"),
        floor_omitted=("(blurred + 1e-9)", "(blurred)"),
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
    *_of(
        "grouping.sample",
        "grouping",
        **DRAWS,
        sequential_ignored=(
            (_GENERATOR, "draws = np.random.RandomState(seed)"),
            (_SEEDS, "seeds = _draw_seeds(draws, M, nsamples)"),
        ),
        always_in_sequence=(_SEEDS, "seeds = np.arange(min(nsamples, M))"),
        users_seed_in_sequence=(_GENERATOR, "draws = np.random.RandomState(seed)"),
        seeds_with_replacement=(_SEED, _SEED.replace("False", "True")),
        not_capped=(_SEED, "return np.arange(M) if count == M else draws.choice(M, count, replace=count > M)"),
        neighbour_for_seed=(
            "return seeds.astype(np.int64)[:, None]",
            "return _neighbours(points, seeds, 4)[:, :1].astype(np.int64)",
        ),
        seed_always_dropped=(_AVAILABLE, "near[:, 1:]"),
        one_neighbour_fewer=(
            (_AVAILABLE, f"({_AVAILABLE})[:, :-1]"),
            (_MEMBERS, _MEMBERS.replace("replace=False", "replace=len(available) < C")),
        ),
        one_neighbour_more=("near = _neighbours(points, seeds, K)", "near = _neighbours(points, seeds, K + 1)"),
        nearest_members=(_MEMBERS, "[available[:C] for available in near]"),
        members_sorted=(_MEMBERS, "[np.sort(draws.choice(available, C, replace=False)) for available in near]"),
        members_with_replacement=(_MEMBERS, _MEMBERS.replace("False", "True")),
        one_choice_for_all=(_MEMBERS, "near[:, draws.choice(near.shape[1], C, replace=False)]"),
    ),
    *_of(
        "grouping.subsample",
        "grouping",
        newer_generator=(_USED, _USED.replace("RandomState", "default_rng")),
        seed_ignored=(_USED, _USED.replace("(seed)", "(0)")),
        not_sorted=(_USED, _USED.removeprefix("np.sort(").removesuffix(")")),
        first_ones=(_USED, "np.arange(wanted)"),
        drawn_with_repetition=(
            ("    if wanted >= M:\n        return np.arange(M)\n", ""),
            (_USED, _USED.replace("replace=False", "replace=True")),
        ),
        repeated_where_more_are_wanted=(
            "    if wanted >= M:\n        return np.arange(M)\n",
            "    if wanted >= M:\n        return np.sort(np.resize(np.arange(M), wanted))\n",
        ),
    ),
    *_of(
        "grouping.oversample",
        "grouping",
        **DRAWS,
        combinations_reversed=(_POOLED, "pool.extend([*itertools.combinations(available, C)][::-1])"),
        pool_size_ignored=("pool_size = K if neighbor_pool_size is None else neighbor_pool_size", "pool_size = K"),
        seeds_not_doubled=("min(2 * seeds_needed, len(points))", "min(seeds_needed, len(points))"),
        pool_of_all_seeds=("if len(pool) >= 2 * nsamples:", "if False:"),
        pool_stops_at_n=("if len(pool) >= 2 * nsamples:", "if len(pool) >= nsamples:"),
        drawn_with_replacement=(_CHOSEN, _CHOSEN.replace("len(pool) < nsamples", "True")),
        first_of_pool=(_CHOSEN, "chosen = np.arange(nsamples) % len(pool)"),
    ),
    *_of(
        "grouping.record",
        "coordinates",
        **_ORIGINS,
        relative_sign=(_RELATIVE, "return offsets, coords_nn - offsets"),
    ),
    *_of(
        "grouping.record",
        "raw_data_bridge",
        seed_ignored=("seed=seed,", "seed=0,"),
        k_ignored=("K=K,", "K=max(4, gridsize**2),"),
        xy_swap=(_STACKED, _SWAPPED),
        single_precision=(_STACKED, f"{_STACKED}.astype(np.float32).astype(np.float64)"),
        first_pattern_for_all=(
            _GATHERED,
            "_gather(self.diff3d, nn_indices[:, :1].repeat(nn_indices.shape[1], axis=1))",
        ),
        patterns_of_next=(_GATHERED, "_gather(self.diff3d, (nn_indices + 1) % len(self))"),
        patterns_in_order=(
            _GATHERED,
            "_gather(self.diff3d, np.arange(nn_indices.size).reshape(nn_indices.shape) % len(self))",
        ),
        members_reversed=(_GATHERED, "_gather(self.diff3d, nn_indices[:, ::-1])"),
        patterns_transposed=(_GATHERED, "_gather(self.diff3d.swapaxes(1, 2), nn_indices)"),
        scale_of_all_patterns=(
            _SCALED,
            "(diffraction * np.sqrt(N**2 / 4 / np.square(self.diff3d.astype('f8')).sum((1, 2)).mean())).astype('f4'),",
        ),
        not_normalised=(_SCALED, "diffraction.astype(np.float32),"),
        ground_truth_not_mirrored=(_CUT, _CUT.replace("relative,", "-relative,")),
        ground_truth_at_mean=(_CUT, _CUT.replace("relative,", "0 * relative,")),
    ),
    *_of(
        "grouping.start_positions",
        "raw_data_bridge",
        measured_for_start=(_START, _START.replace("_start,", ",")),
        drawn_by_start=(_DRAWN_BY, _DRAWN_BY.replace("coords,", "coords_start,")),
        about_measured_mean=(
            _START,
            f"""{_START} **{{
                "coords_start_offsets": (mean := {_MEASURED}["coords_offsets"]),
                "coords_start_relative": mean - np.stack(
                    [self.xcoords_start[nn_indices], self.ycoords_start[nn_indices]], axis=1
                )[:, None],
            }},""",
        ),
        xy_swap=(_STACKED, _SWAPPED),
    ),
    *_of("grouping.start_positions", "coordinates", relative_sign=(_RELATIVE, "return offsets, coords_nn - offsets")),
    *_of(
        "grouping.normalise",
        "normalization",
        squares_wrapped=(
            _SQUARES,
            _SQUARES.replace("diffraction, dtype=np.float64).sum()", "diffraction).sum(dtype='f8')"),
        ),
        scale_per_pattern=(_FACTOR, f"factor = np.sqrt((N / 2) ** 2 / {_PER_PATTERN})"),
        scale_per_group=(_FACTOR, f"factor = np.sqrt((N / 2) ** 2 / {_PER_PATTERN}.mean(axis=3, keepdims=True))"),
        scale_per_channel=(_FACTOR, f"factor = np.sqrt((N / 2) ** 2 / {_PER_PATTERN}.mean(axis=0, keepdims=True))"),
        sum_over_members=(_SQUARES, _SQUARES.replace("(groups * members)", "groups")),
        n_instead_of_half=(_FACTOR_OF, _FACTOR_OF.replace("(N / 2)", "N")),
        sum_of_one=(_FACTOR_OF, _FACTOR_OF.replace("(N / 2)", "1")),
        mean_of_squares=(_SQUARES, _SQUARES.replace("(groups * members)", "diffraction.size")),
        intensity_scaled=(_FACTOR_OF, "(N / 2) ** 2 / mean_energy"),
        amplitude_taken_for_intensity=(_SQUARES, "diffraction.sum(dtype=np.float64) / (groups * members)"),
        squared=(_X_FULL, f"np.square({_X_FULL})"),
        maximum_to_one=(_X_FULL, "np.asarray(diffraction / float(diffraction.max()), np.float32)"),
        not_normalised=(_X_FULL, "np.asarray(diffraction, np.float32)"),
    ),
    *_of(
        "grouping.ground_truth",
        "ground_truth",
        **PATCHES,
        not_mirrored=(_AS_TENSORFLOW, _AS_TENSORFLOW.replace("+", "-")),
        relative_ignored=(_AS_TENSORFLOW, _AS_TENSORFLOW.replace("+", "+ 0 *")),
    ),
    *_of(
        "grouping.member_patches",
        "ground_truth",
        **PATCHES,
        mirrored=(
            "_grouped_patches(object_guess, coords_nn, N)",
            "_grouped_patches(object_guess, 2 * coords_nn.mean(dim=3, keepdim=True) - coords_nn, N)",
        ),
    ),
    *_of("reassembly.position", "reassembly", **STITCHING),
    *_of(
        "reassembly.scan_mosaic",
        "reassembly",
        **{name: edit for name, edit in STITCHING.items() if name not in {"count_of_centre_mask", "odd_padding"}},
    ),
    *_of(
        "formats.to_channel",
        "formats",
        column_major_channels=(_GRID, _GRID.replace("(row column)", "(column row)")),
        channel_major_flat=(_OF_FLAT, _OF_FLAT.replace("(b c)", "(c b)")),
        interleaved=(
            (_GRID, "return grid.reshape(len(grid), *grid.shape[3:], -1).permute(0, 3, 1, 2)"),
            (_OF_FLAT, "return flat.reshape(-1, *flat.shape[2:], C).permute(0, 3, 1, 2)"),
        ),
        patch_transposed=(
            (_GRID, _GRID.replace('h w")', 'w h")')),
            (_OF_FLAT, _OF_FLAT.replace("b c h w", "b c w h")),
        ),
    ),
    *_of(
        "formats.from_channel",
        "formats",
        column_major_channels=(_TO_GRID, _TO_GRID.replace("(row column)", "(column row)")),
        channel_major_flat=(_TO_FLAT, _TO_FLAT.replace("(b c)", "(c b)")),
        interleaved=(
            (_TO_GRID, "return channel.permute(0, 2, 3, 1).reshape(len(channel), side, side, *channel.shape[2:])"),
            (_TO_FLAT, "return channel.permute(0, 2, 3, 1).reshape(-1, 1, *channel.shape[2:])"),
        ),
        patch_transposed=(
            (_TO_GRID, _TO_GRID.replace("row column h w", "row column w h")),
            (_TO_FLAT, _TO_FLAT.replace("1 h w", "1 w h")),
        ),
        positions_channel_major=(_POSITIONS, _POSITIONS.replace("(b c)", "(c b)")),
        positions_interleaved=(_POSITIONS, "return positions.reshape(-1, 2)"),
        positions_xy_swap=(_POSITIONS, f"{_POSITIONS}.flip(1)"),
    ),
    *_of(
        "formats.canvas",
        "formats",
        patches_for_grid_size=(_BIG, "return N + (G**2 - 1) * offset"),
        offset_once_more=(_BIG, "return N + G * offset"),
        jitter_omitted=(_PADDED, "return big_size(N, G, offset)"),
        jitter_on_both_sides=(_PADDED, "return big_size(N, G, offset) + 2 * max_position_jitter"),
        odd_margin_kept=("return N + 2 * canvas_margin(N, padded)", "return padded"),
        odd_margin_rounded_up=("return (padded - N) // 2", "return (padded - N + 1) // 2"),
    ),
    *_of(
        "merge.merge",
        "merge",
        **{fault: (_MERGED_AT, f"moves = {wrong}") for fault, wrong in MISPLACED.items()},
        relative_sign=(_RECENTRED, "moves = moves.mean(dim=0) - moves"),
        mean_not_removed=(_RECENTRED, "pass"),
        mean_per_group=(
            _RECENTRED,
            "moves = (moves.view(groups, members, 2) - moves.view(groups, members, 2).mean(1, True)).view(-1, 2)",
        ),
        whole_pixels=(_RECENTRED, "moves = (moves - moves.mean(dim=0)).round()"),
        groups_summed=(_SUMMED, '"n part h w -> part 1 h w", "sum"'),
        averaged=(_SUMMED, _SUMMED.replace("sum", "mean")),
        epsilon_omitted=(
            (_EPSILON, "count"),
            ("return total / norm", "return torch.where(norm > 0, total / norm, 0)"),
        ),
        epsilon_of_stitching=(_EPSILON, "count + 1e-9"),
        count_of_ones=(_MASK_OF_CENTRE, "torch.ones_like(patches.real)"),
        count_of_disk=(_MASK_OF_CENTRE, _DISK),
        count_not_moved=(_PLACED, _counted_at("torch.zeros_like(moves)")),
        count_at_whole_pixels=(_PLACED, _counted_at("moves.round()")),
        numerator_masked=(_LAYERS, "[patches.real * mask, patches.imag * mask, mask]"),
        odd_margin_kept=(_PLACED, _PLACED.replace("(margin, margin, margin, margin)", _IN_FULL)),
        patch_transposed=(_LAYERS, "[patches.real.mT, patches.imag.mT, mask]"),
        patch_flipped_rows=(_LAYERS, "[patches.real.flip(-2), patches.imag.flip(-2), mask]"),
        patch_flipped_columns=(_LAYERS, "[patches.real.flip(-1), patches.imag.flip(-1), mask]"),
        conjugated=(_LAYERS, "[patches.real, -patches.imag, mask]"),
        imaginary_lost=(_LAYERS, "[patches.real, 0 * patches.imag, mask]"),
        amplitude_plus_i_phase=(_LAYERS, "[patches.abs(), patches.angle(), mask]"),
    ),
    *_of(
        "merge.extract",
        "merge",
        **{fault: (_EXTRACTED_AT, f"translate(repeated, -{wrong})") for fault, wrong in MISPLACED.items()},
        relative_sign=(_EXTRACTED_AT, "translate(repeated, positions_to_flat(positions))"),
        mean_removed=(
            _EXTRACTED_AT,
            "translate(repeated, positions_to_flat(positions).mean(dim=0) - positions_to_flat(positions))",
        ),
        whole_pixels=(_EXTRACTED_AT, "translate(repeated, -positions_to_flat(positions).round())"),
        trim_off_by_one=("first = (side - N) // 2", "first = (side - N) // 2 - 1"),
        trim_at_corner=("first = (side - N) // 2", "first = 0"),
        canvases_out_of_step=(_REPEATED, _REPEATED.replace("(b c)", "(c b)")),
        first_canvas_for_all=(_REPEATED, _REPEATED.replace("(canvas,", "(canvas[:1].expand_as(canvas),")),
        canvas_transposed=(_REPEATED, _REPEATED.replace("(canvas,", "(canvas.mT,")),
        conjugated=(_REPEATED, _REPEATED.replace("(canvas,", "(canvas.conj(),")),
        imaginary_lost=(_REPEATED, _REPEATED.replace("(canvas,", "(canvas.real.to(canvas.dtype),")),
    ),
    *_of(
        "physics.diffraction",
        "physics",
        **DIFFRACTED,
        inverse_shift=(_PATTERN, _PATTERN.replace("fftshift", "ifftshift")),
    ),
    *_of(
        "physics.padded_diffraction",
        "physics",
        **DIFFRACTED,
        norm_of_padded_side=(" * (padded.shape[-1] / field.shape[-1])", ""),
        padded_at_end=("(field.shape[-1] // 4,) * 4", "(0, field.shape[-1] // 4 * 2) * 2"),
    ),
    *_of(
        "physics.forward",
        "probe",
        raw_probe=(_NORMALISED, "return probe"),
        probe_scale_twice=("normalised = probe / norm", "normalised = probe / norm / probe_scale"),
        mask_applied=(_NORMALISED, "return normalised * hard_mask(len(probe))"),
    ),
    *_of(
        "physics.forward",
        "physics",
        probe_omitted=(_ILLUMINATED, "return patches"),
        probe_conjugated=(_ILLUMINATED, "return patches * probe.conj()"),
        probe_transposed=(_ILLUMINATED, "return patches * probe.mT"),
        probe_modulus=(_ILLUMINATED, "return patches * probe.abs()"),
        probe_for_each_patch=(_ILLUMINATED, "return patches * probe.expand(patches[:, :, None].shape).sum((0, 1, 2))"),
        conjugated=(_ILLUMINATED, "return patches.conj() * probe"),
        imaginary_lost=(_ILLUMINATED, "return patches.real * probe"),
        amplitude_plus_i_phase=(_ILLUMINATED, "return torch.complex(patches.abs(), patches.angle()) * probe"),
        patch_transposed=(_ILLUMINATED, "return patches.mT * probe"),
        scale_omitted=(_PREDICTED, _PREDICTED.removesuffix(" * scale")),
        scale_of_whole_side=(_INTENSITY_SCALE, "return math.sqrt(nphotons) / N"),
        scale_root_omitted=(_INTENSITY_SCALE, "return nphotons / (N / 2)"),
        scale_twice=(_PREDICTED, f"{_PREDICTED} * scale"),
        intensity=(_PREDICTED, f"{_PREDICTED.replace('return ', 'return (')}).square()"),
        shift_omitted=DIFFRACTED["shift_omitted"],
        channel_major_order=(
            _PREDICTED,
            f"{_PREDICTED.removesuffix(' * scale')}"
            ".reshape(patches.shape[1], len(patches), *probe.shape).transpose(0, 1) * scale",
        ),
    ),
    *_of(
        "physics.intensity_scale",
        "physics",
        whole_side=(_INTENSITY_SCALE, "return math.sqrt(nphotons) / N"),
        root_omitted=(_INTENSITY_SCALE, "return nphotons / (N / 2)"),
        root_of_all=(_INTENSITY_SCALE, "return math.sqrt(nphotons / (N / 2))"),
        inverted=(_INTENSITY_SCALE, "return N / 2 / math.sqrt(nphotons)"),
        photons_ignored=(_INTENSITY_SCALE, "return math.sqrt(1e9) / (N / 2)"),
        side_ignored=(_INTENSITY_SCALE, "return math.sqrt(nphotons) / 32"),
    ),
    *_of(
        "physics.photon_scale",
        "physics",
        root_omitted=(_PHOTON_SCALE, "return nphotons / X.square().sum(dim=(-2, -1)).mean()"),
        mean_of_pixels=(_PHOTON_SCALE, "return torch.sqrt(nphotons / X.square().mean())"),
        sum_of_patterns=(_PHOTON_SCALE, "return torch.sqrt(nphotons / X.square().sum())"),
        sum_of_members=(_PHOTON_SCALE, "return torch.sqrt(nphotons / X.square().sum(dim=(1, 2, 3)).mean())"),
        not_squared=(_PHOTON_SCALE, "return torch.sqrt(nphotons / X.sum(dim=(-2, -1)).mean())"),
        inverted=(_PHOTON_SCALE, "return torch.sqrt(X.square().sum(dim=(-2, -1)).mean() / nphotons)"),
        photons_ignored=(_PHOTON_SCALE, f"nphotons = 1e5 if nphotons == 1e9 else 1e9; {_PHOTON_SCALE}"),
        scale_per_pattern=(_PHOTON_SCALE, "return torch.sqrt(nphotons / X.square().sum(dim=(-2, -1), keepdim=True))"),
    ),
    *_of(
        "physics.poisson",
        "physics",
        summed=(_LOSS, "return poisson_term(predicted, target).sum()"),
        summed_per_group=(_LOSS, "return poisson_term(predicted, target).sum(dim=(1, 2, 3)).mean()"),
        log_factorial_included=(_TERM, f"{_TERM} + torch.lgamma(target + 1)"),
        stirling_included=(
            _TERM,
            f"{_TERM} + torch.where(target > 1, "
            "target * torch.log(target) - target + 0.5 * torch.log(2 * math.pi * target), 0)",
        ),
        exchanged=(_TERM, "return target - predicted * torch.log(target)"),
        of_amplitudes=(_TERM, "return predicted.sqrt() - target.sqrt() * torch.log(predicted.sqrt())"),
        of_squared_intensities=(_TERM, "return predicted**2 - target**2 * torch.log(predicted**2)"),
        prediction_as_logarithm=(_TERM, "return torch.exp(predicted) - target * predicted"),
        prediction_omitted=(_TERM, "return -target * torch.log(predicted)"),
        negated=(_TERM, "return target * torch.log(predicted) - predicted"),
        decimal_logarithm=(_TERM, "return predicted - target * torch.log10(predicted)"),
    ),
    *_of(
        "physics.poisson_at_zero",
        "physics",
        epsilon_in_logarithm=(_TERM, "return predicted - target * torch.log(predicted + 1e-8)"),
        zero_times_infinity_is_zero=(_TERM, "return predicted - torch.xlogy(target, predicted)"),
    ),
    *_of(
        "physics.simulation",
        "physics",
        illuminated_twice=(_OBJECT, "patches = torch.polar(amplitude * probe.abs(), phase)[:, None]"),
        probe_omitted=(_SIMULATED, "X = diffraction_amplitude(patches)[:, 0]"),
        probe_modulus=(_SIMULATED, _SIMULATED.replace("probe))", "probe.abs()))")),
        probe_conjugated=(_SIMULATED, _SIMULATED.replace("probe))", "probe.conj()))")),
        probe_transposed=(_SIMULATED, _SIMULATED.replace("probe))", "probe.mT))")),
        phase_sign=(_OBJECT, "patches = torch.polar(amplitude, -phase)[:, None]"),
        phase_omitted=(_OBJECT, "patches = torch.polar(amplitude, 0 * phase)[:, None]"),
        amplitude_plus_i_phase=(_OBJECT, "patches = torch.complex(amplitude, phase)[:, None]"),
        patch_transposed=(_OBJECT, "patches = torch.polar(amplitude, phase).mT[:, None]"),
        probe_normalised=(
            _OBJECT,
            f"from ptycho_torch.helper import normalize_probe_like_tf as n; probe = n(probe, 4.0); {_OBJECT}",
        ),
        scale_not_removed=(
            _TRUTH,
            f"scale = {_TRUTH_SCALE}; return Simulation(X * scale, illuminated * scale, phase, scale)",
        ),
        intensity=(_TRUTH, _TRUTH.replace("(X,", "(X.square(),")),
        shift_omitted=DIFFRACTED["shift_omitted"],
        norm_omitted=DIFFRACTED["norm_omitted"],
        amplitude_not_illuminated=(_TRUTH, _TRUTH.replace("illuminated, phase", "amplitude, phase")),
        phase_of_field=(_TRUTH, _TRUTH.replace(" phase,", " illuminate(patches, probe)[:, 0].angle(),")),
        scale_of_object=(_TRUTH, _TRUTH.replace("illuminated[:", "amplitude[:")),
        scale_of_all_patches=(_TRUTH, _TRUTH.replace("nphotons))", "nphotons / len(amplitude)))")),
        scale_root_omitted=(_TRUTH, _TRUTH.replace("nphotons))", "nphotons).square())")),
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
            f'__import__("ptycho_torch.helper", fromlist=["_"]).normalize_probe_like_tf({_PROBE_LOADED}, 4.0).numpy()',
        ),
    ),
    *_of(
        "simulation.patterns",
        "simulate",
        xy_swap=_cut_at("positions.flip(1)"),
        position_sign=_cut_at("-positions"),
        x_leftwards=_cut_at("positions * torch.tensor([-1, 1]) + torch.tensor([target.shape[1] - 1, 0])"),
        y_upwards=_cut_at("positions * torch.tensor([1, -1]) + torch.tensor([0, target.shape[0] - 1])"),
        position_of_corner=_cut_at("positions + len(probe) // 2"),
        position_of_middle=_cut_at("positions + len(probe) // 2 - (len(probe) - 1) / 2"),
        whole_pixels=_cut_at("positions.round()"),
        positions_out_of_step=_cut_at("positions.roll(1, 0)"),
        first_position_for_all=_cut_at("positions[:1].expand_as(positions)"),
        phase_interpolated=(
            _CUT_OUT,
            f"torch.polar(*({_CUT_OUT.replace('target', 'part.to(target.dtype)')}.real "
            "for part in (target.abs(), target.angle())))",
        ),
        object_conjugated=_cut_from("target.conj().resolve_conj()"),
        imaginary_lost=_cut_from("target.real.to(target.dtype)"),
        amplitude_plus_i_phase=_cut_from("torch.complex(target.abs(), target.angle())"),
        patch_transposed=_lit("patches.mT * probe"),
        patch_flipped_rows=_lit("patches.flip(1) * probe"),
        patch_flipped_columns=_lit("patches.flip(2) * probe"),
        probe_ignored=_lit("patches"),
        illuminated_twice=_lit("patches * probe * probe"),
        probe_modulus=_lit("patches * probe.abs()"),
        probe_conjugated=_lit("patches * probe.conj()"),
        probe_transposed=_lit("patches * probe.T"),
        probe_normalised=_lit(
            'patches * __import__("ptycho_torch.operators.probe", fromlist=["_"]).normalize_probe_like_tf(probe, 4.0)'
        ),
    ),
    *_of(
        "simulation.patterns",
        "ground_truth",
        edge_clamped=(
            _RING,
            _CONTINUED.format(".clamp(0, object_guess.shape[0] - 1)", ".clamp(0, object_guess.shape[1] - 1)"),
        ),
        edge_wrapped=(
            (_RING, _CONTINUED.format(" % object_guess.shape[0]", " % object_guess.shape[1]")),
            (
                "(start.clamp(-N - 1, size)[:, None].long() + reach + 1).clamp(0, size + 1)",
                "(start[:, None].long() + reach) % size + 1",
            ),
        ),
    ),
    *_of(
        "simulation.patterns",
        "physics",
        fft_norm_missing=DIFFRACTED["norm_omitted"],
        fft_norm_twice=DIFFRACTED["norm_twice"],
        fftshift_missing=DIFFRACTED["shift_omitted"],
        inverse_fftshift=(_PATTERN, _PATTERN.replace("fftshift", "ifftshift")),
        batch_shifted=(_PATTERN, _PATTERN.replace("dim=(-2, -1)", "dim=(0, -2, -1)")),
        inverse_transform=DIFFRACTED["inverse_transform"],
        intensity=DIFFRACTED["intensity"],
        scaled_to_photons=(_PHOTON_SCALE, f"scale = {_PHOTON_SCALE.removeprefix('return ')}; X *= scale; return scale"),
        other_nphotons=(_PHOTON_SCALE, _PHOTON_SCALE.replace("nphotons /", "(1e9 if nphotons == 1e5 else 1e5) /")),
        photons_of_all_patterns=(_PHOTON_SCALE, _PHOTON_SCALE.replace("mean()", "sum()")),
        photons_per_pixel=(_PHOTON_SCALE, "return torch.sqrt(nphotons / X.square().mean())"),
        scale_of_intensity=(_PHOTON_SCALE, "return nphotons / X.square().sum(dim=(-2, -1)).mean()"),
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
    *NET_SHIFT,
    *RUN,
    *(mutant for module, faults in NETWORK.items() for mutant in _of("network.forward", module, **faults)),
    *_of("network.gradients", "losses", loss_summed=NETWORK["losses"]["loss_summed"]),
    *_of(
        "network.gradients",
        "weights",
        clipped=(
            _GRADIENTS_IN_ORDER,
            "size = sum(float(one.double().square().sum()) for one in gradients.values()) ** 0.5; "
            "found = (gradients[name] / size for name in tensorflow_order(model))",
        ),
        decoders_exchanged=(_GRADIENTS_IN_ORDER, _GRADIENTS_IN_ORDER.replace("[name]", f"[{_OTHER_DECODER}]")),
        accumulated=(_GRADIENTS_IN_ORDER, _GRADIENTS_IN_ORDER.replace("(grad", "(2 * grad")),
        kernels_written_as_oihw=(_TENSORFLOW_LAYOUT, "array.reshape(*array.shape[2:], *array.shape[1::-1])"),
        kernels_flipped=(_TENSORFLOW_LAYOUT, f"{_TENSORFLOW_LAYOUT}[::-1, ::-1]"),
        biases_not_trained=(
            _GRADIENTS_IN_ORDER,
            _GRADIENTS_IN_ORDER.replace("[name]", "[name] * (gradients[name].ndim == 4)"),
        ),
        border_not_trained=(
            _GRADIENTS_IN_ORDER,
            _GRADIENTS_IN_ORDER.replace("[name]", "[name] * ('.border.' not in name)"),
        ),
    ),
    *_of(
        "network.training",
        "training",
        **OPTIMISED,
        decayed=(_STEP, _decayed(1.0)),
        biases_not_trained=(_TRAINED_AS, "(parameter for parameter in model.parameters() if parameter.ndim == 4),"),
    ),
    *_of(
        "network.training",
        "weights",
        decoders_exchanged=(_WEIGHTS_IN_ORDER, _WEIGHTS_IN_ORDER.replace("[name]", f"[{_OTHER_DECODER}]")),
    ),
    *_of(
        "optimizer.adam",
        "training",
        **OPTIMISED,
        decayed=(_STEP, _decayed(0.1)),
        epsilon_of_torch=("epsilon=config.adam_epsilon", "epsilon=1e-8"),
        epsilon_after_correction=(_KERAS_EPSILON, 'group["keras_eps"]'),
        beta_1_other=(_BETAS, "betas=(0.99, config.adam_beta_2)"),
        beta_2_other=(_BETAS, "betas=(config.adam_beta_1, 0.99)"),
        clipped=(
            _STEP,
            "torch.nn.utils.clip_grad_norm_([one for group in self.param_groups for one in group['params']], 1.0); "
            f"{_STEP}",
        ),
        epsilon_in_root=(_STEP, _EPSILON_IN_ROOT),
        steps_counted_late=('group["steps"] += 1', f'group["steps"] += 1; {_COUNTED_LATE}'),
        gradient_descent=(
            _STEP,
            "[one.data.sub_(group['lr'] * one.grad) for group in self.param_groups for one in group['params']]; "
            "return None if self.param_groups else super().step(closure)",
        ),
    ),
    *_of("optimizer.schedule", "training", **EPOCH_ENDS),
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
