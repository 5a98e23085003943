"""Make the port commit a fault: by the fault's own trial, or by a wrong function in place of the right one.

``committed`` returns the outputs of such a port. Most faults of inputs and parameters run the function that they are
given, so they run the port and need no code here. The functions below commit mistakes that implementations of
PtychoPINN made (docs/faults.md). Each gets the right function, then that function's arguments.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial, wraps
from typing import Any

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor

from golden import Case, Fault
from golden.ptychopinn.merge.formulas import padded_size
from golden.ptychopinn.net_shift.faults import CONTAINER_ROUTE, MEMORY_MAPPED_ROUTE, TURNS, Place, fault_name
from golden.spec.arrays import Arrays
from golden.spec.catalogue import load_cases
from golden.spec.fault import Trial
from golden.spec.parameters import Parameters
from golden.testing.subject import load_subject
from ptycho_torch import model, reconstruction
from ptycho_torch.config_params import DataConfig, ModelConfig, TrainingConfig
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.dataloader import MemoryMappedDataset
from ptycho_torch.files import tensorflow_weights
from ptycho_torch.network import decoder
from ptycho_torch.operators import (
    coordinates,
    formats,
    ground_truth,
    grouping,
    merge,
    normalization,
    physics,
    probe,
    reassembly,
    translation,
)
from ptycho_torch.scans import scan as scans
from ptycho_torch.training import batch_order, keras_rules, losses

SUBJECT = load_subject("tests.torch.subject", {one.operation.name for one in load_cases("golden.ptychopinn").values()})

BY_TRIAL, BY_FUNCTION, BY_OUTPUTS = "its trial", "a wrong function", "its outputs only"
"""Ways to make a port commit a fault. With ``BY_OUTPUTS``, right outputs are changed without running the port again."""

# ------------------------------------------------------------------------------------------------ how


def run_port(case: Case, inputs: Arrays, parameters: Parameters) -> dict[str, np.ndarray]:
    """Return the port's outputs for a case's operation. It gets copies, because the arrays of a trial are read-only."""
    subject: Function = SUBJECT.way(case.operation.name, "").function
    return subject(**{name: array.copy() for name, array in inputs.items()}, **parameters)  # type: ignore[no-any-return]


def committed(case: Case, fault: Fault, inputs: Arrays, right: Arrays) -> tuple[Arrays, str]:
    """Let the port commit a fault.

    Args:
        case: case whose operation has the fault.
        fault: fault to commit.
        inputs: all inputs of the case, including derived ones.
        right: the port's outputs for them.

    Returns:
        The outputs of a port that commits the fault, and the way: ``BY_FUNCTION`` if there is a wrong function for it,
        otherwise ``BY_TRIAL`` if the fault runs the port, otherwise ``BY_OUTPUTS``.
    """
    if (case.operation.name, fault.name) in MUTANTS:
        with replaced(*MUTANTS[case.operation.name, fault.name]):
            return run_port(case, inputs, case.parameters), BY_FUNCTION
    runs = []

    def run(changed: Arrays, parameters: Parameters) -> Arrays:
        runs.append(changed)
        return run_port(case, changed, parameters)

    with np.errstate(divide="ignore", invalid="ignore"):  # a wrong formula may divide by zero
        wrong = fault.commit(Trial(_read_only(inputs), case.parameters, _read_only(right), run))
    return {**right, **{name: np.asarray(array) for name, array in wrong.items()}}, BY_TRIAL if runs else BY_OUTPUTS


def _read_only(arrays: Arrays) -> dict[str, np.ndarray]:
    views = {name: array.view() for name, array in arrays.items()}
    for view in views.values():
        view.flags.writeable = False
    return views


Function = Callable[..., Any]
Replacement = tuple[Function, Function]
"""A function of the port and its replacement, which is called with that function and its arguments."""

MUTANTS: dict[tuple[str, str], tuple[Replacement, ...]] = {}
"""(operation, fault) -> replacements that commit it."""


@contextmanager
def replaced(*replacements: Replacement) -> Iterator[None]:
    """Replace functions of the port in every module that imported them, within a ``with`` block."""
    with ExitStack() as stack:
        for right, wrong in replacements:
            _replace(stack.enter_context(pytest.MonkeyPatch.context()), right, wrong)
        yield


def _replace(patch: pytest.MonkeyPatch, right: Function, wrong: Function) -> None:
    *owners, name = right.__qualname__.split(".")
    owner: Any = sys.modules[right.__module__]
    for part in owners:
        owner = getattr(owner, part)
    current = getattr(owner, name)  # possibly a replacement, if one function gets two mistakes

    @wraps(current)
    def replacement(*arguments: Any, **options: Any) -> Any:
        return wrong(current, *arguments, **options)

    patch.setattr(owner, name, replacement)
    for module in [one for key, one in sys.modules.items() if key.startswith(("ptycho_torch", "tests.torch"))]:
        for alias, value in list(vars(module).items()):
            if value is current:
                patch.setattr(module, alias, replacement)


def instead_of(right: Function, *faults: str) -> Callable[[Function], Function]:
    """Register a wrong function that commits these faults in place of ``right``, each ``"operation: fault"``."""

    def register(wrong: Function) -> Function:
        for fault in faults:
            operation, name = fault.split(": ")
            assert (operation, name) not in MUTANTS, fault
            MUTANTS[operation, name] = ((right, wrong),)
        return wrong

    return register


# ------------------------------------------------------------------------------------------------ probe


def disk(N: int, centre: float) -> Tensor:
    """Return (N, N) bool, true within N // 4 of index ``centre``."""
    distance = torch.arange(N, dtype=torch.float32) - centre
    return torch.hypot(distance[:, None], distance) < N // 4


@instead_of(probe.hard_mask, "probe.hard_mask: centre_on_pixel", "probe.normalise: norm_with_mask_on_pixel")
def mask_centred_on_a_pixel(right, N, device=None):
    return disk(N, N // 2)


@instead_of(probe.hard_mask, "probe.hard_mask: centre_of_array", "probe.normalise: norm_with_mask_of_array")
def mask_centred_on_the_array(right, N, device=None):
    return disk(N, (N - 1) / 2)


@instead_of(probe.hard_mask, "probe.hard_mask: radius_not_rounded", "probe.normalise: norm_with_radius_not_rounded")
def mask_of_a_quarter_of_the_side(right, N, device=None):
    distance = torch.arange(N, dtype=torch.float32) - (N // 2 - 0.5)
    return torch.hypot(distance[:, None], distance) < N / 4


@instead_of(probe.hard_mask, "probe.normalise: norm_of_whole_frame", "physics.forward: norm_of_whole_frame")
def mask_everywhere(right, N, device=None):
    return torch.ones(N, N, dtype=torch.bool)


@instead_of(
    probe.normalize_probe_like_tf,
    "probe.normalise: raw_probe",
    "physics.forward: raw_probe",
    "network.forward: raw_probe",
)
def raw_probe(right, guess, scale):
    return guess


@instead_of(
    probe.normalize_probe_like_tf,
    "probe.normalise: scale_twice",
    "physics.forward: probe_scale_twice",
    "network.forward: probe_scale_twice",
)
def scaled_twice(right, guess, scale):
    return right(guess, scale) / scale


@instead_of(probe.normalize_probe_like_tf, "probe.normalise: mask_applied", "physics.forward: mask_applied")
def masked(right, guess, scale):
    return right(guess, scale) * probe.hard_mask(len(guess))


# ------------------------------------------------------------------------------------------------ coordinates


@instead_of(
    coordinates.relative_coordinates,
    "coordinates.relative: relative_sign",
    "grouping.record: relative_sign",
    "grouping.start_positions: relative_sign",
)
def relative_sign(right, coords):
    offsets, relative = right(coords)
    return offsets, -relative


@instead_of(
    coordinates.relative_coordinates,
    "coordinates.relative: mean_not_removed",
    "coordinates.place_in_group: mean_not_removed",
    "grouping.record: mean_not_removed",
)
def mean_not_removed(right, coords):
    offsets, _ = right(coords)
    return offsets, -coords


@instead_of(
    coordinates.relative_coordinates,
    "coordinates.relative: mean_of_all_groups",
    "coordinates.place_in_group: mean_of_all_groups",
    "grouping.record: mean_of_all_groups",
)
def mean_of_all_groups(right, coords):
    offsets = coords.mean(dim=(0, 3), keepdim=True).repeat(len(coords), 1, 1, 1)
    return offsets, offsets - coords


@instead_of(translation.translate, "coordinates.translate: imaginary_lost")
def moved_real_part(right, images, displacements):
    return right(images.real, displacements).to(images.dtype)


def in_container(change: Callable[[Tensor], Tensor], *faults: str) -> None:
    """Alter the container: ``change`` gets its positions (n, 1, 2, C)."""

    @instead_of(PtychoDataContainerTorch.__init__, *faults)
    def make(right, self, record, probe):
        right(self, record, probe)
        self.coords_nominal = change(self.coords_nominal)


in_container(torch.neg, "coordinates.place_in_group: relative_sign")
in_container(lambda positions: positions.flip(2), "coordinates.place_in_group: xy_swap")
in_container(lambda positions: positions[:1].expand_as(positions), "coordinates.place_in_group: first_group_for_all")


# ------------------------------------------------------------------------------------------------ grouping


@instead_of(grouping._draw_seeds, "grouping.sample: seeds_sorted", "grouping.oversample: seeds_sorted")
def seeds_sorted(right, draws, M, count):
    return np.sort(right(draws, M, count))


@instead_of(grouping.draw_groups, "grouping.oversample: pool_size_ignored")
def pool_size_ignored(right, x, y, nsamples, neighbor_pool_size, **settings):
    return right(x, y, nsamples, **settings)


@instead_of(normalization.normalize_data, "grouping.normalise: not_normalised", "grouping.record: not_normalised")
def not_normalised(right, diffraction):
    return diffraction.astype(np.float32)


@instead_of(normalization.normalize_data, "grouping.normalise: squared")
def squared(right, diffraction):
    return np.square(right(diffraction))


@instead_of(normalization.normalize_data, "grouping.normalise: squares_wrapped")
def squares_wrapped(right, diffraction):
    """Square 16-bit counts in 16 bits."""
    energy = np.square(diffraction).sum(axis=(1, 2), dtype=np.float64).mean()
    return (diffraction * normalization.normalization_factor(energy, len(diffraction[0]))).astype(np.float32)


@instead_of(
    ground_truth.ground_truth_like_tf,
    "grouping.ground_truth: not_mirrored",
    "grouping.record: ground_truth_not_mirrored",
)
def not_mirrored(right, target, offsets, relative, N):
    return right(target, offsets, -relative, N)


@instead_of(ground_truth.ground_truth_at_members, "grouping.member_patches: mirrored")
def mirrored(right, target, coords, N):
    return right(target, 2 * coords.mean(dim=3, keepdim=True) - coords, N)


@instead_of(ground_truth.patches_at, "grouping.ground_truth: xy_swap", "grouping.member_patches: xy_swap")
def cut_at_y_x(right, target, positions, N):
    return right(target, positions.flip(1), N)


@instead_of(
    ground_truth.patches_at,
    "grouping.ground_truth: amplitude_plus_i_phase",
    "grouping.member_patches: amplitude_plus_i_phase",
)
def cut_amplitude_plus_i_phase(right, target, positions, N):
    patches = right(target, positions, N)
    return torch.complex(patches.abs(), patches.angle())


# ------------------------------------------------------------------------------------------------ reassembly


@instead_of(reassembly.overlap_ratio, "reassembly.position: sum_not_divided", "reassembly.scan_mosaic: sum_not_divided")
def sum_not_divided(right, total, count):
    return total


@instead_of(
    reassembly.overlap_ratio, "reassembly.position: epsilon_of_merge", "reassembly.scan_mosaic: epsilon_of_merge"
)
def epsilon_of_merge(right, total, count):
    return total / (count + 1e-3)


@instead_of(reassembly._count, "reassembly.position: count_of_centre_mask")
def count_of_centre_mask(right, canvas, whole, fraction, groups, side, M):
    """The crops of this case are whole patches."""
    return right(canvas, whole + M // 4, fraction, groups, side, M // 2)


# ------------------------------------------------------------------------------------------------ formats


@instead_of(formats.grid_to_channel, "formats.to_channel: column_major_channels")
def columns_of_grid_first(right, grid):
    return right(grid.transpose(1, 2))


@instead_of(formats.channel_to_grid, "formats.from_channel: column_major_channels")
def columns_of_channel_first(right, channel):
    return right(channel).transpose(1, 2)


@instead_of(formats.flat_to_channel, "formats.to_channel: channel_major_flat")
def from_channel_major(right, flat, C):
    return rearrange(flat, "(c b) 1 h w -> b c h w", c=C)


@instead_of(formats.channel_to_flat, "formats.from_channel: channel_major_flat")
def to_channel_major(right, channel):
    return rearrange(channel, "b c h w -> (c b) 1 h w")


@instead_of(
    formats.positions_to_flat,
    "formats.from_channel: positions_channel_major",
    "merge.merge: channel_major_order",
    "merge.extract: channel_major_order",
)
def positions_channel_major(right, positions):
    return rearrange(positions, "b 1 xy c -> (c b) xy")


@instead_of(formats.positions_to_flat, "merge.merge: first_group_for_all", "merge.extract: first_group_for_all")
def first_group_for_all(right, positions):
    return right(positions[:1].expand_as(positions))


@instead_of(formats.big_size, "formats.canvas: patches_for_grid_size")
def patches_for_grid_size(right, N, G, offset):
    return right(N, G**2, offset)


@instead_of(formats.canvas_side, "formats.canvas: odd_margin_kept")
def odd_margin_kept(right, N, padded):
    return padded


# ------------------------------------------------------------------------------------------------ merge


@instead_of(merge.sum_and_norm, "merge.merge: relative_sign", "network.forward: merge_sign")
def merged_at_negated_positions(right, patches, positions, padded):
    return right(patches, -positions, padded)


@instead_of(merge.extract_patches, "merge.extract: relative_sign", "network.forward: extraction_sign")
def extracted_at_negated_positions(right, canvas, positions, N):
    return right(canvas, -positions, N)


@instead_of(merge._centre_mask, "merge.merge: count_of_ones", "network.forward: count_of_ones")
def count_of_ones(right, like):
    return torch.ones_like(right(like))


@instead_of(merge.sum_and_norm, "merge.merge: epsilon_of_stitching", "network.forward: epsilon_of_stitching")
def epsilon_of_stitching(right, patches, positions, padded):
    total, norm = right(patches, positions, padded)
    return total, norm - merge.EPSILON + 1e-9


@instead_of(merge.sum_and_norm, "merge.merge: numerator_masked")
def numerator_masked(right, patches, positions, padded):
    return right(patches * merge._centre_mask(patches.real), positions, padded)


@instead_of(merge.sum_and_norm, "merge.merge: groups_summed")
def groups_summed(right, patches, positions, padded):
    total, norm = right(patches, positions, padded)
    return total.sum(0, keepdim=True), (norm - merge.EPSILON).sum(0, keepdim=True) + merge.EPSILON


@instead_of(merge.trim, "merge.extract: trim_of_configuration")
def trimmed_as_configured(right, canvas, N):
    members = {12: 4, 8: 9}[N]  # as in the goldens that show the fault
    side = canvas.shape[-1]
    first = min((padded_size(N, members) - N) // 2, side - N)
    return canvas[..., first : first + N, first : first + N]


@instead_of(merge.trim, "merge.extract: trim_at_corner")
def trimmed_at_corner(right, canvas, N):
    return canvas[..., :N, :N]


# ------------------------------------------------------------------------------------------------ physics


@instead_of(
    physics.diffraction_amplitude,
    "physics.diffraction: norm_omitted",
    "physics.padded_diffraction: norm_omitted",
    "physics.simulation: norm_omitted",
    "simulation.patterns: fft_norm_missing",
    "network.forward: fft_norm_omitted",
)
def norm_omitted(right, field):
    return right(field) * field.shape[-1]


@instead_of(
    physics.diffraction_amplitude,
    "physics.diffraction: shift_omitted",
    "physics.padded_diffraction: shift_omitted",
    "physics.forward: shift_omitted",
    "physics.simulation: shift_omitted",
    "simulation.patterns: fftshift_missing",
    "network.forward: fftshift_omitted",
)
def shift_omitted(right, field):
    return torch.fft.ifftshift(right(field), dim=(-2, -1))


@instead_of(
    physics.diffraction_amplitude,
    "physics.diffraction: intensity",
    "physics.padded_diffraction: intensity",
    "physics.simulation: intensity",
    "simulation.patterns: intensity",
)
def intensity(right, field):
    return right(field).square()


@instead_of(physics.illuminate, "physics.forward: probe_for_each_patch")
def probe_for_each_patch(right, patches, light):
    return right(patches, light) * patches.shape[:2].numel()


@instead_of(physics.illuminate, "physics.forward: imaginary_lost")
def real_patches(right, patches, light):
    return right(patches.real + 0j, light)


@instead_of(physics.predicted_amplitude, "physics.forward: scale_omitted")
def scale_omitted(right, patches, light, scale):
    return right(patches, light, 1.0)


@instead_of(physics.intensity_scale, "physics.intensity_scale: photons_ignored")
def photons_ignored(right, nphotons, N):
    return right(1e9, N)


@instead_of(physics.scale_nphotons, "physics.photon_scale: photons_ignored")
def other_photons(right, X, nphotons):
    return right(X, 1e5 if nphotons == 1e9 else 1e9)


@instead_of(physics.scale_nphotons, "physics.photon_scale: not_squared")
def scale_of_intensities(right, X, nphotons):
    return right(X.sqrt(), nphotons)


@instead_of(physics.poisson_loss, "physics.poisson: summed")
def summed(right, predicted, target):
    return right(predicted, target) * predicted.numel()


@instead_of(physics.poisson_term, "physics.poisson: of_amplitudes")
def of_amplitudes(right, predicted, target):
    return right(predicted.sqrt(), target.sqrt())


@instead_of(physics.poisson_term, "physics.poisson_at_zero: epsilon_in_logarithm")
def epsilon_in_logarithm(right, predicted, target):
    return right(predicted + 1e-8, target)


@instead_of(physics.simulate, "physics.simulation: illuminated_twice")
def illuminated_twice(right, amplitude, phase, light, nphotons):
    found = right(amplitude, phase, light, nphotons)
    return replace(found, X=right(found.Y_I, phase, light, nphotons).X)


@instead_of(physics.simulate, "physics.simulation: amplitude_not_illuminated")
def amplitude_not_illuminated(right, amplitude, phase, light, nphotons):
    return replace(right(amplitude, phase, light, nphotons), Y_I=amplitude)


# ------------------------------------------------------------------------------------------------ scan


@instead_of(scans.load_scan, "scan.read: xy_swap")
def scan_of_y_x(right, path):
    scan = right(path)
    return replace(scan, positions=scan.positions[:, ::-1], start_positions=scan.start_positions[:, ::-1])


@instead_of(scans.load_scan, "scan.read: squared")
def scan_of_squares(right, path):
    scan = right(path)
    return replace(scan, diffraction=np.square(scan.diffraction))


@instead_of(scans._stack_layout, "scan.read: stack_reshaped")
def stack_reshaped(right, stack, M):
    _, N = right(stack, M)
    return lambda array: array.reshape(M, N, N), N


# ------------------------------------------------------------------------------------------------ network


@instead_of(decoder.BorderHead.__init__, "network.layers: border_width_fixed")
def border_as_wide_as_for_the_smallest(right, self, N, width, outputs):
    right(self, N, width * N // 64, outputs)


@instead_of(decoder.Decoder.__init__, "network.layers: border_always")
def border_whatever_is_configured(right, self, *sizes, probe_big, **options):
    right(self, *sizes, probe_big=True, **options)


@instead_of(tensorflow_weights.tensorflow_order, "network.layers: decoders_in_turn")
def one_decoder_after_the_other(right, model):
    parts = ("encoder", "amplitude", "phase")
    return sorted(right(model), key=lambda name: next(k for k, part in enumerate(parts) if part in name))


@instead_of(model.Combine.forward, "network.forward: amplitude_plus_i_phase")
def amplitude_plus_i_phase(right, self, amplitude, phase):
    return torch.complex(amplitude, phase)


@instead_of(model.Combine.forward, "network.forward: imaginary_lost")
def real_part_of_patches(right, self, amplitude, phase):
    return right(self, amplitude, phase).real + 0j


@instead_of(decoder.phase_activation, "network.forward: phase_without_pi")
def phase_without_pi(right, x):
    return torch.tanh(x)


@instead_of(losses.poisson_objective, "network.gradients: loss_summed", "network.forward: loss_summed")
def loss_summed(right, predicted, measured, good=None):
    return right(predicted, measured, good) * predicted.numel()


@instead_of(tensorflow_weights.to_tensorflow_gradients, "network.gradients: accumulated")
def accumulated(right, network):
    return [2 * gradient for gradient in right(network)]


# ------------------------------------------------------------------------------------------------ training


def with_settings(*faults: str, **settings: float) -> None:
    """Make the optimiser with settings other than the configured ones."""

    @instead_of(keras_rules.adam, *faults)
    def adam(right, network, config):
        return right(network, replace(config, **settings))


with_settings("optimizer.adam: epsilon_of_torch", adam_epsilon=1e-8)


@instead_of(keras_rules.adam, "optimizer.adam: learning_rate_tenfold", "network.training: learning_rate_tenfold")
def learning_rate_tenfold(right, network, config):
    return right(network, replace(config, learning_rate=10 * config.learning_rate))


@instead_of(keras_rules.adam, "optimizer.adam: ascent", "network.training: ascent")
def ascent(right, network, config):
    optimizer = right(network, config)
    optimizer.param_groups[0]["maximize"] = True
    return optimizer


@instead_of(keras_rules.KerasAdam.step, "optimizer.adam: epsilon_after_correction")
def epsilon_after_correction(right, self, closure=None):
    self.param_groups[0]["eps"] = self.param_groups[0]["keras_eps"]
    return torch.optim.Adam.step(self, closure)


@instead_of(keras_rules.validation_split, "optimizer.epoch: first_validate")
def first_validate_of_split(right, n, fraction):
    training, _ = right(n, fraction)
    return slice(n - training.stop, n), slice(0, n - training.stop)


@instead_of(keras_rules.epoch_loss, "optimizer.epoch: mean_over_batches")
def mean_over_batches(right, sums, sizes):
    return float((sums / sizes).mean())


@instead_of(keras_rules.EpochEnd.step, "optimizer.schedule: plateau_on_training")
def plateau_on_training(right, self, *, loss, val_loss):
    return right(self, loss=loss, val_loss=loss)


@instead_of(keras_rules.EpochEnd.step, "optimizer.schedule: end_on_validation")
def end_on_validation(right, self, *, loss, val_loss):
    return right(self, loss=val_loss, val_loss=val_loss)


@instead_of(keras_rules.plateau_schedule, "optimizer.schedule: min_lr_of_port")
def least_rate_of_early_ports(right, optimizer, config):
    return right(optimizer, replace(config, plateau_min_lr=5e-5))


# ------------------------------------------------------------------------------------------------ defaults


def other_default(config: type, fault: str, **default: Any) -> None:
    @instead_of(config.__init__, fault)
    def make(right, self, **given):
        right(self, **default | given)


other_default(ModelConfig, "defaults.model: probe_mask_on", probe_mask=True)
other_default(DataConfig, "defaults.model: probe_scale_legacy", probe_scale=10.0)
other_default(ModelConfig, "defaults.model: object_big_off", object_big=False)
other_default(DataConfig, "defaults.training: nphotons_1e5", nphotons=1e5)
other_default(DataConfig, "defaults.inference: neighbor_count_6", K=6)
other_default(TrainingConfig, "defaults.optimizer: epsilon_of_torch", adam_epsilon=1e-8)
other_default(TrainingConfig, "defaults.schedule: plateau_on_training", plateau_monitor="loss")
other_default(TrainingConfig, "defaults.schedule: min_lr_of_port", plateau_min_lr=5e-5)


# ------------------------------------------------------------------------------------------------ run


@instead_of(batch_order.seeded_order, "run.training: not_shuffled")
def not_shuffled(right, n, seed):
    return lambda epoch: np.arange(n)


@instead_of(batch_order.seeded_order, "run.training: order_repeated")
def order_repeated(right, n, seed):
    return lambda epoch: right(n, seed)(1)


@instead_of(batch_order.seeded_order, "run.training: epochs_from_zero")
def epochs_from_zero(right, n, seed):
    return lambda epoch: right(n, seed)(epoch - 1)


@instead_of(batch_order.EpochBatches.__init__, "run.training: last_batch_dropped")
def last_batch_dropped(right, self, order, n, batch_size, share=None):
    right(self, order, max(n // batch_size, 1) * batch_size, batch_size, share)


@instead_of(grouping.draw_groups, "run.training: first_validate")
def first_validate(right, x, y, nsamples, **settings):
    """Move the first samples to the end, so that they are the twentieth that validates."""
    groups = right(x, y, nsamples, **settings)
    return np.roll(groups, -(len(groups) // 20), axis=0)


@instead_of(grouping.draw_groups, "run.training: shuffled_before_split")
def shuffled_before_split(right, x, y, nsamples, **settings):
    return np.random.RandomState(settings["seed"]).permutation(right(x, y, nsamples, **settings))


@instead_of(reconstruction.stitch, "run.reconstruction: offsets_negated")
def stitched_at_negated_offsets(right, patches, offsets, M):
    return right(patches, -offsets, M)


@instead_of(reconstruction.stitch, "run.reconstruction: not_cropped")
def not_cropped(right, patches, offsets, M):
    return right(patches, offsets, patches.shape[-1])


# ------------------------------------------------------------------------------------------------ signs

ROUTES = {"net_shift.container": CONTAINER_ROUTE, "net_shift.memory_mapped": MEMORY_MAPPED_ROUTE}
Turn = Callable[[Tensor, int], Tensor]
"""A wrong change of vectors with [x, y] on one axis."""


def turned(turn: str) -> Turn:
    """Return the turn of this name (``net_shift.faults.TURNS``)."""

    def change(vectors: Tensor, axis: int) -> Tensor:
        x, y = vectors.unbind(axis)
        wrong = {"sign": (-x, -y), "x_sign": (-x, y), "y_sign": (x, -y), "xy_swap": (y, x)}[turn]
        return torch.stack(wrong, axis)

    return change


def cut(turn, right, target, positions, N):
    middle = positions.mean(dim=0)
    return right(target, middle + turn(positions - middle, 1), N)


def record(turn, right, coords):
    offsets, relative = right(coords)
    return offsets, turn(relative, 2)


def offsets_of_record(turn, right, coords):
    offsets, relative = right(coords)
    return turn(offsets, 2), relative


def container(turn, right, self, *given):
    right(self, *given)
    self.coords_nominal = turn(self.coords_nominal, 2)


def direct(turn, right, self, *given):
    right(self, *given)
    self.coords_nominal = turn(self.coords_nominal, 2)


def offsets_of_dataset(turn, right, self, *given):
    right(self, *given)
    self.global_offsets = turn(self.global_offsets, 2)


def merged(turn, right, patches, positions, padded):
    return right(patches, turn(positions, 2), padded)


def extracted(turn, right, canvas, positions, N):
    return right(canvas, turn(positions, 2), N)


def stitched(turn, right, patches, offsets, M):
    return right(patches, turn(offsets, 3), M)


_SHARED = {
    "cut": (ground_truth.patches_at, cut),
    "merge": (merge.sum_and_norm, merged),
    "extraction": (merge.extract_patches, extracted),
    "stitching": (reassembly.shift_and_sum, stitched),
}
SIGNS: Mapping[str, Mapping[str, tuple[Function, Function]]] = {
    "net_shift.container": {
        **_SHARED,
        "record": (coordinates.relative_coordinates, record),
        "offsets": (coordinates.relative_coordinates, offsets_of_record),
        "container": (PtychoDataContainerTorch.__init__, container),
    },
    "net_shift.memory_mapped": {
        **_SHARED,
        "direct": (MemoryMappedDataset.__init__, direct),
        "offsets": (MemoryMappedDataset.__init__, offsets_of_dataset),
    },
}
"""Route -> place with a sign -> the function of the port, and the way to turn the vectors that pass it."""


def with_turns(operation: str, *wrong: tuple[Place, str]) -> tuple[Replacement, ...]:
    """Return replacements that turn vectors wrongly in these places of a route, each in its own way."""
    chosen = ((*SIGNS[operation][place.name], turn) for place, turn in wrong)
    return tuple((right, partial(function, turned(turn))) for right, function, turn in chosen)


for operation, route in ROUTES.items():
    for place, turn in itertools.product(route, TURNS):
        MUTANTS[operation, fault_name(turn, place)] = with_turns(operation, (place, turn))
    for one, other in itertools.combinations(route, 2):
        MUTANTS[operation, fault_name("sign", one, other)] = with_turns(operation, (one, "sign"), (other, "sign"))
