"""These cases freeze the output of every block of the network, the gradients of all weights, and steps of training."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from golden.ptychopinn.network import faults, formulas
from golden.ptychopinn.network.formulas import Structure, entries, split_entries
from golden.spec.arrays import Arrays, axes_of_summary, summarise
from golden.spec.case import Case
from golden.spec.operation import Input, Operation, Output
from golden.spec.parameters import Kind, Parameters
from golden.spec.random_inputs import Draw

INPUTS = {
    "seed": Input("(1,) int64; seed from which the recipe draws the other inputs", "one", "1"),
    "X": Input("(B, N, N, C) float32; normalised amplitude", "group row column member", "1"),
    "coords_relative": Input("(B, 1, 2, C) float32; -(position - group mean)", "group one xy member", "pixel"),
    "probe": Input("(N, N) complex64; as guessed", "row column", "1"),
    "weights": Input(
        "(P,) float32; all layers' kernels (row, column, in, out) and biases, one after the other", "weight", "1"
    ),
}

PARAMETERS: dict[str, Kind] = {
    **dict.fromkeys(("N", "groups", "members", "n_filters_scale"), int),
    "amp_activation": str,
    **dict.fromkeys(("object_big", "probe_big", "pad_object", "probe_mask"), bool),
    "probe_scale": float,
    "nphotons": float,
}

# ------------------------------------------------------------------------------------------------ the recipe


def make_inputs(stored: Arrays, parameters: Parameters) -> dict[str, np.ndarray]:
    """Make patterns, positions, probe and weights of a case from the bits of its seed, by exact arithmetic."""
    return _make(stored, parameters, beam)


def make_training_inputs(stored: Arrays, parameters: Parameters) -> dict[str, np.ndarray]:
    """Make the same for a beam that leaves no pixel dark."""
    return _make(stored, parameters, bright_beam)


def _make(stored: Arrays, parameters: Parameters, light: Callable[[Draw, int], np.ndarray]) -> dict[str, np.ndarray]:
    draw = Draw(f"network {int(stored['seed'][0])}")
    N, members, groups = (parameters[name] for name in ("N", "members", "groups"))
    return {
        "X": patterns(draw, groups, members, N),
        "coords_relative": positions(draw, groups, members),
        "probe": light(draw, N),
        "weights": weights(draw, Structure.of(N, members, parameters)),
    }


def patterns(draw: Draw, groups: int, members: int, N: int) -> np.ndarray:
    """Draw speckle (B, N, N, C) that halves at regular distances from a pixel near the centre."""
    shape = (groups, N, N, members)
    return np.asarray(draw.multiples(1 / 32, 1 / 32, 3, shape) * falloff(N, 32, 30, 8)[..., None], np.float32)


def positions(draw: Draw, groups: int, members: int) -> np.ndarray:
    """Draw positions (B, 1, 2, C) in eighths of pixels, which move exactly; means of groups and of all are not 0."""
    drawn = draw.multiples(1 / 8, -2.5, 2.5, (groups, 1, 2, members))
    return np.asarray(drawn + np.array([[0.875], [-0.375]]), np.float32)


def beam(draw: Draw, N: int) -> np.ndarray:
    """Draw a speckled beam (N, N) with a halo, not centred."""
    return np.asarray(draw.complex((N, N)) * falloff(N, 30, 36, 5) * 16, np.complex64)


def bright_beam(draw: Draw, N: int) -> np.ndarray:
    """Draw weak speckle (N, N) around one bright pixel, so that patterns are dark nowhere.

    The Poisson term weights a pixel by 1 / intensity, so dark pixels would fill the gradients with noise.
    """
    probe = beam(draw, N) / 8
    probe[29 * N // 64, 33 * N // 64] += 100
    return probe.astype(np.complex64)


def falloff(N: int, row: int, column: int, width: int) -> np.ndarray:
    """Return 1 around a pixel, and half as much every ``width`` pixels further, (N, N); distances are for N = 64."""
    unit = N // 64
    rows, columns = np.abs(np.arange(N) - row * unit), np.abs(np.arange(N) - column * unit)
    return np.asarray(0.5 ** (np.maximum(rows[:, None], columns[None]) // (width * unit)))


def weights(draw: Draw, structure: Structure) -> np.ndarray:
    """Draw weights (P,): uniform kernels that keep the scale of values behind ReLU, and biases.

    Amplitudes in the border are small, because the merge divides it by 0.001, and it would dominate the centre.
    """
    parts = []
    for name, shape in structure.shapes().items():
        if len(shape) == 4:
            limit = round(math.sqrt(6 / math.prod(shape[:3])) * 1024) / 1024
            numbers, step = draw.integers(-127, 128, shape), limit / 128
        else:
            numbers, step = draw.integers(-15, 16, shape), 1 / 128
        in_border = name.startswith(("amplitude_border_c", "amplitude_whole_c"))
        # Exact: numbers have 7 bits and steps 11 at most, and float32 has 24.
        parts.append(numbers.astype(np.float32).ravel() * (step / 1024 if in_border else step))
    return np.concatenate(parts)


# ------------------------------------------------------------------------------------------------ forward


_IMAGES, _MEMBERS = "group row column channel", "group row column member"


def _outputs(structure: Structure, keep: Callable[[np.ndarray], np.ndarray] | None) -> tuple[Output, ...]:
    N, s = structure.N, structure.scale

    def tap(name: str, description: str, layer: int = 0, axes: str = _IMAGES, unit: str = "1") -> Output:
        """Count the terms; ``layer`` is the number of channels over which the last convolution before it sums."""
        return Output(name, description, axes_of_summary(axes), unit, terms=9 * layer if layer else 1, keep=keep)

    taps = []
    for block, filters in enumerate(structure.down, 1):
        side = N >> block
        taps.append(
            tap(f"encoder_{block}", f"after encoder block {block}; (B, {side}, {side}, {filters}) float32", filters)
        )
    for decoder in formulas.DECODERS:
        unit = "rad" if decoder == "phase" else "1"
        for block, filters in enumerate(structure.up, 1):
            side = 8 << block
            taps.append(
                tap(
                    f"{decoder}_up_{block}",
                    f"after up block {block} of the {decoder} decoder; (B, {side}, {side}, {filters}) float32",
                    filters,
                )
            )
        image = f"(B, {N}, {N}, {structure.outputs}) float32"
        if structure.pad_object:
            taps.append(
                tap(f"{decoder}_inner", f"after the centre branch of the {decoder}; {image}", 32 * s, unit=unit)
            )
        if structure.has_border:
            taps.append(
                tap(
                    f"{decoder}_border", f"after the border branch of the {decoder}; {image}", structure.last, unit=unit
                )
            )
        taps.append(tap(decoder, f"after the {decoder} decoder; {image}", 32 * s, unit=unit))
    taps.append(
        tap("object_patches", "where amplitude and phase are combined; (B, N, N, C) complex64", 32 * s, _MEMBERS)
    )
    if structure.object_big:
        taps += [
            tap("merged_border", "in the merge, where no member is counted; (B, P, P, 1) complex64, 0 in the centre"),
            tap("merged_centre", "in the merge, where all members are counted; (B, N / 2 - 8, N / 2 - 8, 1) complex64"),
        ]
    return (
        *taps,
        tap("object", "in the object; (B, N, N, 1) complex64"),
        tap("patches", "in the extracted patches; (B * C, N, N, 1) complex64", axes="patch row column channel"),
        tap(
            "illuminated",
            "after illumination by the probe; (B * C, N, N, 1) complex64",
            axes="patch row column channel",
        ),
        Output(
            "predicted_amplitude",
            "on the detector; (B, N, N, C) float32; the square root of expected counts",
            axes_of_summary(_MEMBERS),
            "sqrt(photon)",
            terms=N * N,
            keep=keep,
        ),
        Output("loss", "in the loss; scalar float32; mean Poisson term", unit="1", terms=N * N * structure.members),
    )


def _forward(structure: Structure, *, whole: bool = False) -> Operation:
    return Operation(
        name="network.forward",
        summary="the forward pass from normalised patterns to predicted amplitude and loss, with every block's output",
        inputs=INPUTS,
        outputs=_outputs(structure, None if whole else summarise),
        parameters=PARAMETERS,
        derive=make_inputs,
        formula=formulas.forward,
        faults=tuple(
            fault for fault in faults.FORWARD if fault.name != "epsilon_of_stitching" or structure.fills_border
        ),
        in_order=True,
        kernels_matter=True,
    )


# ------------------------------------------------------------------------------------------------ gradients


def _gradients(structure: Structure, *, whole: bool = False) -> Operation:
    """Order the outputs from the last layer to the first, as gradients are computed."""
    shapes = structure.shapes()
    return Operation(
        name="network.gradients",
        summary="the gradient of the loss with respect to every array of weights",
        inputs=INPUTS,
        outputs=(
            Output(
                "loss",
                "in the loss; scalar float32; mean Poisson term",
                unit="1",
                terms=structure.N**2 * structure.members,
            ),
            *(
                Output(
                    name,
                    f"in the gradient of {name}; {shapes[name]} float32",
                    axes_of_summary("row column in out" if len(shapes[name]) == 4 else "out"),
                    "1",
                    terms=structure.N**2,
                    keep=None if whole else summarise,
                )
                for name in reversed(shapes)
            ),
        ),
        parameters=PARAMETERS,
        derive=make_training_inputs,
        faults=faults.GRADIENTS,
        in_order=True,
        kernels_matter=True,
    )


# ------------------------------------------------------------------------------------------------ training

STEADY = 1000.0
"""Ratio of a gradient to its noise from which Adam's steps are compared, because they divide by its modulus."""


def _steady(structure: Structure) -> Callable[[Arrays, Arrays], np.ndarray]:
    """Find the entries whose gradients exceed their noise 1000 times in every step, or are 0 in every run.

    Only the noise of the smallest of five gradients is measured. So weights that noise in a larger gradient moved by
    1/500 of a step are excluded too.
    """

    def steady(outputs: Arrays, moved: Arrays) -> np.ndarray:
        still = np.max([moved[name] for name in outputs if name.startswith("step_")], axis=0) < 1 / 500
        gradients = split_entries(outputs["least_gradient"], structure)
        noises = split_entries(moved["least_gradient"], structure)
        # In a few runs, noise may miss one entry by chance, but not half of an array.
        clear = [_is_steady(gradients[name], np.maximum(noises[name], np.median(noises[name]))) for name in gradients]
        return np.asarray(np.concatenate(clear) & still)

    return steady


def _is_steady(gradient: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return np.asarray((gradient > STEADY * noise) | (np.maximum(gradient, noise) == 0))


def _training(structure: Structure) -> Operation:
    count = sum(at.size for at in entries(structure).values())
    steady = _steady(structure)
    return Operation(
        name="network.training",
        summary="five steps of Adam on one batch, and how far the weights moved",
        inputs=INPUTS,
        outputs=(
            *(
                Output(
                    f"step_{step}",
                    f"after step {step}; ({count},) float32; change of up to 64 entries of each array of weights, in "
                    f"units of the learning rate",
                    "entry",
                    "1",
                    terms=structure.N**2,
                    steady=steady,
                )
                for step in (1, 2, 5)
            ),
            Output(
                "least_gradient",
                f"in the gradients; ({count},) float32; their smallest modulus in the five steps, relative to the "
                f"largest in their array in the first",
                "entry",
                "1",
                terms=structure.N**2,
                steady=steady,
            ),
        ),
        parameters={**PARAMETERS, "learning_rate": float},
        derive=make_training_inputs,
        faults=faults.TRAINING,
        in_order=True,
        kernels_matter=True,
    )


# ------------------------------------------------------------------------------------------------ layers

LAYERS = Operation(
    name="network.layers",
    summary="the layers that the configuration asks for: the shapes of their kernels, in the order of the weights",
    inputs={},
    outputs=(
        Output(
            "kernels",
            "in the shape of a kernel; (layers, 4) int64; rows, columns, channels in and out",
            "layer axis",
            "1",
        ),
    ),
    parameters={
        **dict.fromkeys(("N", "members", "n_filters_scale"), int),
        **dict.fromkeys(("object_big", "probe_big", "pad_object"), bool),
    },
    formula=formulas.layers,
    faults=faults.LAYERS,
)

# ------------------------------------------------------------------------------------------------ cases

DEFAULTS: Parameters = {
    "N": 64,
    "groups": 2,
    "members": 1,
    "n_filters_scale": 1,
    "amp_activation": "sigmoid",
    "object_big": True,
    "probe_big": True,
    "pad_object": True,
    "probe_mask": False,
    "probe_scale": 4.0,
    "nphotons": 1e9,
}
"""These are TensorFlow's, except ``n_filters_scale``, which is 2 there."""

_GRADIENT_SEEDS = {1: 48, 4: 63}
"""Members of a group -> seed, chosen from 150. With these seeds, no unit is closer to its kink than 6 times the
difference between float32 and float64 (root mean square over its layer). With most seeds, some unit is within one
difference."""
_TRAINING_SEEDS = {1: 42, 4: 32}
"""Members of a group -> seed, chosen from 50 for the largest number of entries that stay steady when inputs move by
their last digit, eight times."""
_LEARNING_RATE = 1e-5
"""A step moves a weight whose gradient is noise as far as any other, but the direction differs between processors. At
1e-4, this switches ReLUs in the next step, which changes the gradients of all layers before them."""

_ONE_NUMBER = {"loss": "the output is a single number"}
_EMPTY_BORDER = {"merged_border": "nothing fills the border, because the network has no border branch"}


def _forward_case(
    name: str,
    summary: str,
    *,
    whole: bool = False,
    **changes: bool | float | str,
) -> Case:
    parameters = {**DEFAULTS, **changes}
    structure = Structure.of(parameters["N"], parameters["members"], parameters)
    return Case(
        f"network/{name}",
        _forward(structure, whole=whole),
        summary,
        parameters,
        lambda draw: {"seed": draw.integers(0, 2**31, (1,))},
        _ONE_NUMBER | ({} if structure.fills_border else _EMPTY_BORDER),
        slow=whole,
    )


def _trained(
    name: str, make: Callable[[Structure], Operation], summary: str, *, members: int, slow: bool = False
) -> Case:
    """Make a case with a chosen seed, for which no ReLU is so near its kink that rounding decides.

    A unit that rounding turns on or off changes the gradients of all layers before it, some by hundreds of tolerances.
    These are too many elements to mask. On another processor, other units would switch, so all must be far from their
    kinks. Even so, steps are compared for four fifths of the gradients, not for all: docs/conventions.md, "Training".
    """
    operation = make(Structure.of(64, members, DEFAULTS))
    training = {"learning_rate": _LEARNING_RATE} if operation.name == "network.training" else {}
    seed = (_TRAINING_SEEDS if training else _GRADIENT_SEEDS)[members]
    single = [name for name, shape in Structure.of(64, members, DEFAULTS).shapes().items() if shape == (1,)]
    constant = {} if training else dict.fromkeys(("loss", *single), "the output is a single number")
    return Case(
        f"network/{name}",
        operation,
        summary,
        {**DEFAULTS, "members": members, **training},
        lambda draw: {"seed": np.array([seed])},
        constant,
        slow=slow,
    )


def _layers_case(name: str, summary: str, **changes: bool | int) -> Case:
    parameters = {name: DEFAULTS[name] for name in LAYERS.parameters} | changes
    return Case(f"network/layers_{name}", LAYERS, summary, parameters)


CASES = (
    _layers_case("group1", "layers by default: one pattern of 64 x 64 pixels", n_filters_scale=2),
    _layers_case("n128", "layers for N = 128, groups of four", N=128, members=4),
    _layers_case("n256", "layers for N = 256, groups of nine, default width", N=256, members=9, n_filters_scale=2),
    _layers_case("no_border", "layers with probe_big off", probe_big=False, members=4),
    _layers_case("unpadded", "layers with pad_object off, groups of four", pad_object=False, members=4, N=128),
    _layers_case("unmerged", "layers with object_big off, groups of four", object_big=False, members=4),
    _forward_case("forward_group1", "forward pass, three groups of one", groups=3),
    _forward_case("forward_group4", "forward pass, two groups of four, default width", members=4, n_filters_scale=2),
    _forward_case(
        "forward_no_border",
        "forward pass with probe_big off, ReLU, the legacy probe_scale and few photons",
        members=4,
        probe_big=False,
        amp_activation="relu",
        probe_scale=10.0,
        nphotons=1e5,
    ),
    _forward_case(
        "forward_unmerged",
        "forward pass with object_big off, probe_mask on and softplus",
        object_big=False,
        probe_mask=True,
        amp_activation="softplus",
    ),
    _forward_case(
        "forward_unpadded", "forward pass with pad_object off and swish", pad_object=False, amp_activation="swish"
    ),
    _forward_case("forward_n128", "forward pass for N = 128, two groups of four", members=4, N=128),
    _forward_case("forward_n256", "forward pass for N = 256, the largest patch", N=256),
    _forward_case(
        "forward_whole", "forward pass of groups of four: every element of every block is stored", members=4, whole=True
    ),
    _trained("gradients_group1", _gradients, "gradients of the loss, two groups of one", members=1),
    _trained("gradients_group4", _gradients, "gradients of the loss, two groups of four", members=4),
    _trained(
        "gradients_whole",
        partial(_gradients, whole=True),
        "gradients of the loss, groups of one: every element is stored",
        members=1,
        slow=True,
    ),
    _trained("training_group1", _training, "five training steps, two groups of one", members=1),
    _trained("training_group4", _training, "five training steps, two groups of four", members=4),
)
