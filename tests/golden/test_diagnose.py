"""A diagnosis names the declared fault, otherwise a transform, otherwise the shape of the difference."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from golden.judge import transforms
from golden.judge.compare import EXACT, Tolerance
from golden.judge.diagnose import Diagnosis, diagnose
from golden.judge.judgement import judge
from golden.judge.proof import Caught, Wrong, signed_sums

TOLERANCE = Tolerance(1e-5, 1e-6, 1e-6, 1e-7)
RNG = np.random.default_rng(5)


def stack(*shape: int, kind: str = "c8") -> np.ndarray:
    real = RNG.normal(size=shape)
    return (real + 1j * RNG.normal(size=shape)).astype(kind) if kind.startswith("c") else real.astype(kind)


def causes(
    expected: Mapping[str, np.ndarray],
    found: Mapping[str, Any],
    tolerance: Tolerance = TOLERANCE,
    where: Mapping[str, np.ndarray] | None = None,
    faults: Mapping[str, Caught] | None = None,
    path: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> list[Diagnosis]:
    tolerances = {name: tolerance if array.dtype.kind in "fc" else EXACT for name, array in expected.items()}
    golden = SimpleNamespace(
        outputs=expected, tolerances=tolerances, where=where or {}, faults=faults or {}, parameters=parameters or {}
    )
    judgement = judge(golden, found, path or {})
    return diagnose(golden, found, judgement.comparisons, path or {})


def explain(expected: np.ndarray, found: Any, where: np.ndarray | None = None, **options: Any) -> Diagnosis:
    (one,) = causes({"y": expected}, {"y": found}, where={} if where is None else {"y": where}, **options)
    return one


IMAGES = stack(3, 12, 12, 4)


def rolled(rows: int, columns: int) -> np.ndarray:
    return np.roll(IMAGES, (rows, columns), (1, 2))


@pytest.mark.parametrize("kind", ["f4", "c8"])
@pytest.mark.parametrize(("bits", "name"), [(16, "bfloat16"), (13, "float16")])
def test_values_of_a_narrower_dtype(kind: str, bits: int, name: str) -> None:
    """Values are rounded to the bits of the dtype. Whole numbers do not count, because every dtype has them."""
    right = stack(2, 9, 9, kind=kind)
    parts = np.stack([right.real, right.imag]).astype("f4")
    real, imaginary = (parts.view(np.uint32) & np.uint32(2**32 - 2**bits)).view(np.float32)
    found = (real + 1j * imaginary if kind == "c8" else real).astype(kind)
    assert explain(right, found).sentence.endswith(
        f": all values found are exact in {name}, so something is computed in that precision"
    )
    assert "exact in" not in explain(right, np.round(right)).sentence
    assert "exact in" not in explain(found, right).sentence


def test_single_precision_where_double_is_expected() -> None:
    right = stack(40, kind="f8")
    tight = Tolerance(1e-12, 1e-12, 1e-13, 1e-13)
    assert "exact in float32" in explain(right, right.astype("f4").astype("f8"), tolerance=tight).sentence


def test_reversed_groups_are_recognised_in_every_array() -> None:
    expected = {
        "images": stack(5, 9, 9, 4),
        "offsets": stack(5, 1, 2, 4, kind="f8"),
        "indices": RNG.permutation(20).reshape(5, 4),
    }
    (one,) = causes(expected, {name: array[::-1] for name, array in expected.items()})
    assert one.sentence == "the expected values, but reversed along axis 0 (exactly)"


def test_most_entries_of_an_axis_are_not_named_as_a_place() -> None:
    right = stack(259)
    found = np.where(np.arange(259) % 5, right * np.linspace(2, 3, 259, dtype="f4"), right)
    assert "is scattered over 207 of 259 elements" in explain(right, found).sentence


def test_a_box_of_all_compared_elements_is_not_named() -> None:
    right = stack(1, 6, 6, 1)
    where = np.zeros(right.shape, bool)
    where[:, 1:4, 1:4] = True
    found = right * np.linspace(2, 3, 36, dtype="f4").reshape(right.shape)
    assert "is in every element; typically" in explain(right, found, where).sentence


def test_outputs_that_differ_everywhere_share_a_diagnosis() -> None:
    expected = {"a": stack(4, 9), "b": stack(4, 9), "c": np.arange(9)}
    found = {"a": stack(4, 9), "b": stack(4, 9), "c": np.array([3, 4, 8, 0, 7, 1, 2, 6, 5])}
    (one,) = causes(expected, found)
    assert (one.outputs, one.sentence) == (("a", "b", "c"), "no known fault; the difference is in every element")


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (-IMAGES, "negated"),
        (IMAGES.conj(), "conjugated"),
        (-IMAGES.conj(), "negated and conjugated"),
        (IMAGES.real.astype(np.complex64), "reduced to the real part"),
        (1j * IMAGES.imag, "reduced to the imaginary part"),
        (IMAGES.imag + 1j * IMAGES.real, "with real and imaginary parts exchanged"),
        (np.abs(IMAGES).astype(np.complex64), "replaced by the modulus"),
        (np.abs(IMAGES) + 1j * np.angle(IMAGES), "replaced by modulus + i phase"),
        (IMAGES**2, "squared"),
        (np.sqrt(IMAGES), "replaced by the square root"),
        (np.zeros_like(IMAGES), "replaced by zeros"),
        (IMAGES[:, ::-1], "flipped upside down"),
        (IMAGES[:, :, ::-1], "mirrored left to right"),
        (IMAGES[:, ::-1, ::-1], "turned by 180 degrees"),
        (IMAGES.swapaxes(1, 2), "transposed"),
        (IMAGES.swapaxes(1, 2)[:, ::-1], "turned by 90 degrees"),
        (IMAGES.swapaxes(1, 2)[:, :, ::-1], "turned by 270 degrees"),
        (IMAGES.swapaxes(1, 2)[:, ::-1, ::-1], "transposed along the other diagonal"),
        (IMAGES[:, ::-1].conj(), "flipped upside down and conjugated"),
        (rolled(6, 6), "with the quadrants swapped (fftshift)"),
        (rolled(2, -3), "shifted by +2 rows and -3 columns, wrapped around"),
        (IMAGES * np.float32(0.25), "multiplied by 0.25 (1 / the length of the last axis)"),
        (IMAGES * np.float32(2.5), "multiplied by 2.5"),
        (IMAGES * np.exp(0.7j).astype(np.complex64), "multiplied by a global phase of +0.7 rad"),
        (IMAGES * np.complex64(2j), "multiplied by the complex factor"),
        (IMAGES + np.complex64(0.5), "with the constant 0.5"),
        (IMAGES[..., [0, 2, 1, 3]], "with the channels in the order [0, 2, 1, 3]"),
        (IMAGES[[2, 0, 1]], "with the entries of axis 0 in the order [2, 0, 1]"),
    ],
)
def test_transforms_are_named(found: np.ndarray, name: str) -> None:
    one = explain(IMAGES, found.astype(np.complex64))
    assert one.sentence.startswith(f"the expected values, but {name}")
    assert one.distance < 1e-5
    assert not one.faults


def test_a_shift_that_leaves_zeros_behind() -> None:
    moved = rolled(1, 0)
    moved[:, 0] = 0
    assert explain(IMAGES, moved).transform == "shifted by +1 rows and +0 columns, filled with zeros"


def test_a_cut_from_another_place() -> None:
    canvases = stack(3, 20, 20, 1)
    right, late = canvases[:, 4:16, 4:16], canvases[:, 5:17, 6:18]
    assert (
        explain(right, late).transform
        == "shifted by -1 rows and -2 columns, filled with other content: cut from another place"
    )


@pytest.mark.parametrize(
    ("factor", "named"),
    [
        (0.25, "0.25 (1 / probe_scale)"),
        (2.0, "2 (the square root of probe_scale or half of probe_scale)"),
        (31622.7766, "31622.8 (the square root of nphotons)"),
        (-12.0, "-12 (minus the side N of an image)"),
        (1 / 144, "0.00694444 (1 / the square of the side N of an image)"),
        (3.14159265, "3.14159 (pi)"),
        (0.71, "0.71"),
    ],
)
def test_a_factor_is_named_after_the_setting_that_it_comes_from(factor: float, named: str) -> None:
    images = stack(5, 12, 12, 3, kind="f8")
    parameters = {"probe_scale": 4.0, "nphotons": 1e9, "name": "sigmoid", "object_big": True}
    (one,) = causes({"y": images}, {"y": images * factor}, parameters=parameters)
    assert one.transform == f"multiplied by {named}"


def test_a_single_number_is_explained_by_a_factor_that_means_something() -> None:
    one = np.array(1.7)
    assert explain(one, np.array(1.7 * -1.04737)).sentence == "no known fault; the difference is in the only element"
    assert "multiplied by 4096" in explain(one, np.array(1.7 * 4096)).sentence
    assert (
        "1 / probe_scale" in causes({"y": one}, {"y": np.array(1.7 / 3.3)}, parameters={"probe_scale": 3.3})[0].sentence
    )


def test_a_box_names_what_is_likely_wrong_there() -> None:
    images = stack(2, 64, 64, 1, kind="f8")
    centre, edge = images.copy(), images.copy()
    centre[:, 17:48:5, 16:48] += 1
    edge[:, 60:, 3:50:2] += 1
    assert "its central half (a centre mask" in explain(images, centre).sentence
    assert "along its bottom edge (a crop, a shift" in explain(images, edge).sentence


def test_transforms_of_other_kinds_of_arrays() -> None:
    positions = stack(5, 1, 2, 4, kind="f8")
    assert "entries of axis 2 exchanged (x and y?)" in explain(positions, positions[:, :, ::-1]).sentence
    mask = RNG.random((8, 8, 1)) > 0.5
    assert explain(mask, ~mask).transform == "inverted"
    assert explain(mask, mask[::-1]).transform == "flipped upside down"
    real = stack(9, 9, kind="f4")
    assert explain(real, np.roll(real, (-4, -4), (0, 1))).transform == "with the quadrants swapped (ifftshift)"
    assert explain(np.float64(2.0) * np.ones(()), np.array(8.0)).sentence.startswith(
        "the expected values, but multiplied by 4"
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (IMAGES.astype(np.complex128), "the values are right, but the dtype is complex128 instead of complex64"),
        (IMAGES[None], "the values are right and in order; only the shape differs"),
        (IMAGES.transpose(0, 3, 1, 2), "with the axes in the order [0, 3, 1, 2]: another layout"),
        (IMAGES[:2], "no known fault has this shape and dtype"),
        (
            -IMAGES.astype(np.complex128),
            "the expected values, but negated (exactly); and the dtype is complex128 instead of",
        ),
        (
            IMAGES.real,
            "reduced to the real part (imaginary part lost) (exactly); and the dtype is float32 instead of complex64",
        ),
        (
            np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0))),
            "the values are right, with 1 pixel(s) too many on every side",
        ),
        (IMAGES[:, 2:-2, 2:-2], "the values are right, with 2 pixel(s) too few on every side"),
    ],
)
def test_another_shape_or_dtype(found: np.ndarray, words: str) -> None:
    assert words in explain(IMAGES, found).sentence


def changed(where: np.ndarray, by: np.ndarray | float = 0.1) -> np.ndarray:
    wobble = 1 + 0.5 * np.random.default_rng(1).random((40, 40))
    return np.where(where, FIELD + by * wobble, FIELD).astype(np.float32)


FIELD = np.random.default_rng(2).normal(size=(40, 40)).astype(np.float32)
Y, X = np.mgrid[:40, :40] - 19.5
RADIUS = np.hypot(Y, X)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (changed((X == 3.5) & (Y == -2.5)), "is a single element, at [17, 23]"),
        (changed(np.maximum(abs(X), abs(Y)) > 18), "is only at the border, within 2 pixels of it"),
        (changed(RADIUS > 10), "is only beyond 10.1 pixels from the centre, as if outside a mask"),
        (changed(RADIUS < 8), "is only within 7.9 pixels of the centre, as if inside a mask"),
        (changed(RADIUS > -1, 0.01 * RADIUS**2), "grows with the distance from the centre"),
        (changed(np.random.default_rng(3).random((40, 40)) > 0.7), "is scattered over "),
        (changed((X < 0) & (RADIUS > -1)), "is only in the box [0:40, 0:20] of [40, 40], in 800 of its 800 elements"),
    ],
)
def test_the_shape_of_a_difference(found: np.ndarray, words: str) -> None:
    assert f"no known fault; the difference {words}" in explain(FIELD, found.astype(np.float32)).sentence


def test_a_uniform_offset_with_noise_on_it() -> None:
    wobble = 1 + 0.01 * np.random.default_rng(1).random((40, 40))
    assert "is a uniform offset of modulus 0.1" in explain(FIELD, (FIELD + 0.1 * wobble).astype(np.float32)).sentence


def test_one_channel_only() -> None:
    found = IMAGES.copy()
    found[..., 2] += RNG.random(found.shape[:3])
    assert "is only in entries [2] of axis 3, which has 4" in explain(IMAGES, found).sentence


def test_outside_the_mask_only_values_that_are_not_finite_count() -> None:
    inside = RADIUS < 15
    one = explain(FIELD, np.where(inside, FIELD, np.inf).astype(np.float32), where=inside)
    assert one.sentence.endswith(
        "the finite values agree, but 884 of 1600 elements are not finite, all of them masked; masked elements need "
        "only be finite"
    )
    # Only elements inside the mask decide about a transform.
    assert explain(FIELD, np.where(inside, -FIELD, 1).astype(np.float32), where=inside).transform == "negated"


def fault(values: np.ndarray, symptom: str = "s") -> Caught:
    flat = values.reshape(-1)
    wrong = Wrong(values.shape, values.dtype.str, 1e3, 1.0, np.arange(flat.size), flat, signed_sums(values, None))
    return Caught(symptom, {"y": wrong})


def test_a_declared_fault_comes_first_and_equal_faults_are_named() -> None:
    faults = {"sign": fault(-FIELD, "the port negates; expected it not to"), "other": fault(FIELD + 1)}
    one = explain(FIELD, -FIELD, faults=faults)
    assert one.faults == ("sign",)
    assert one.sentence == "matches fault 'sign' exactly: the port negates; expected it not to"
    twins = explain(FIELD, -FIELD + np.float32(1e-6), faults={**faults, "twin": fault(-FIELD)})
    assert set(twins.faults) == {"sign", "twin"}
    assert "here the same as" in twins.sentence


def test_a_fault_that_is_only_similar_is_not_named() -> None:
    one = explain(FIELD, -FIELD + np.float32(1e-3), faults={"sign": fault(-FIELD)})
    assert not one.faults


def test_a_fault_with_huge_numbers_does_not_match_everything() -> None:
    wrong = FIELD.copy()
    wrong[0, 0] = 1e9
    found = -FIELD
    found[0, 0] = 1e9
    assert explain(FIELD, wrong, faults={"huge": fault(wrong)}).faults == ("huge",)
    assert not explain(FIELD, found, faults={"huge": fault(wrong)}).faults


def test_outputs_that_fail_for_one_reason_share_a_diagnosis() -> None:
    expected = {"a": FIELD, "b": FIELD + 1, "c": FIELD}
    found = {"a": -FIELD, "b": -(FIELD + 1), "c": FIELD}
    assert [one.outputs for one in causes(expected, found)] == [("a", "b")]


def test_agreement_is_not_explained() -> None:
    assert causes({"y": FIELD}, {"y": FIELD}) == []


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    other = stack(*IMAGES.shape)
    monkeypatch.setattr(transforms, "_LEAST_WORK", 0)
    assert "tried" not in explain(IMAGES, other).sentence
    monkeypatch.setattr(transforms, "_PASSES", 0)
    told = explain(IMAGES, other).sentence
    assert told.startswith("no known fault; the difference is in every element; typically ")
    assert told.endswith("; the array is too large to try every transform")
    assert explain(IMAGES, -IMAGES).transform == "negated", "a search that has begun is finished"


@pytest.mark.parametrize("kind", ["f4", "c8", "i8", "b1", "S3"])
@pytest.mark.parametrize("shape", [(), (1,), (2,), (1, 1), (3, 2), (2, 1, 1, 1), (1, 5, 5, 1), (2, 2, 2, 2, 2)])
def test_every_kind_and_shape_is_diagnosed(kind: str, shape: tuple[int, ...]) -> None:
    ones = np.ones(shape, kind)
    zeros = np.zeros(shape, kind)
    for expected, found in ((ones, zeros), (zeros, ones), (ones, ones.reshape(1, *shape))):
        assert explain(expected, found).sentence
    if kind in ("f4", "c8"):
        for strange in (np.nan, np.inf):
            assert explain(ones, np.full(shape, strange, kind)).sentence
    assert explain(ones, np.ones(shape, "f8")).sentence


def test_missing_and_unknown_outputs_are_left_to_the_comparison() -> None:
    assert causes({"y": FIELD}, {"z": FIELD}) == []


def test_a_few_tolerances_are_not_called_a_transform() -> None:
    positive = np.abs(FIELD) + 1
    found = positive.copy()
    found[3, 4] += np.float32(3e-5)
    assert "off by only 2." in explain(positive, found).sentence
    assert "tolerances: rounding" in explain(positive, found).sentence
    assert "multiplied by 1 + 0.0001" not in explain(positive, found).sentence


def test_strange_numbers_do_not_hide_a_transform() -> None:
    found = -FIELD
    found[5, 5] = np.nan
    assert explain(FIELD, found).sentence == (
        "the expected values, but negated (exactly); besides, 1 of 1600 elements is not finite"
    )
    found = FIELD.copy()
    found[5, 5] = np.inf
    assert (
        explain(FIELD, found).sentence
        == "no known fault; the finite values agree, but 1 of 1600 elements is not finite"
    )
    assert "none of the compared values is finite" in explain(FIELD, np.full_like(FIELD, np.nan)).sentence


def test_a_fault_is_not_recognised_by_its_sample_alone() -> None:
    wrong = -FIELD
    few = np.arange(0, wrong.size, 50)
    sums = signed_sums(wrong, None)
    kept = Wrong(wrong.shape, wrong.dtype.str, 1e3, 1.0, few, wrong.reshape(-1)[few], sums)
    faults = {"sign": Caught("s", {"y": kept})}
    assert explain(FIELD, wrong, faults=faults).faults == ("sign",)
    half = np.where(np.arange(wrong.size).reshape(wrong.shape) % 50 == 0, wrong, FIELD)
    assert not explain(FIELD, half.astype(np.float32), faults=faults).faults


def test_a_fault_that_the_other_outputs_contradict_is_only_a_hint() -> None:
    expected = {"a": FIELD, "b": FIELD + 1}
    both = {"a": fault(-FIELD).outputs["y"], "b": fault(-FIELD - 1).outputs["y"]}
    faults = {"sign": Caught("the port negates; expected it not to", both)}
    assert [one.faults for one in causes(expected, {"a": -FIELD, "b": -FIELD - 1}, faults=faults)] == [("sign",)]
    (one,) = causes(expected, {"a": -FIELD, "b": FIELD + 1}, faults=faults)
    assert one.faults == ()
    assert one.transform == "negated"


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e15, 1e30])
def test_any_scale_is_diagnosed(scale: float) -> None:
    expected = (FIELD * scale).astype(np.float32)
    tolerance = Tolerance(1e-6 * scale, 0, 1e-7 * scale, 0)

    def told(found: np.ndarray) -> Diagnosis:
        return explain(expected, found, tolerance=tolerance)

    assert told(np.roll(expected, 3, axis=0)).transform == "shifted by +3 rows and +0 columns, wrapped around"
    assert told(-expected).transform == "negated"
    assert told(expected * np.float32(0.5)).transform == "multiplied by 0.5 (1 / 2)"
    assert told(FIELD).sentence


def test_positions_are_not_images() -> None:
    positions = stack(30, 2, kind="f8")
    assert "entries of axis 1 exchanged (x and y?)" in explain(positions, positions[:, ::-1]).sentence
    assert "with entry 1 of axis 1 negated (y?)" in explain(positions, positions * [1, -1]).sentence
    assert explain(positions, positions[::-1]).transform == "reversed along axis 0"
    assert "shifted by +4 along axis 0, wrapped around" in explain(positions, np.roll(positions, 4, axis=0)).sentence
    offsets = stack(300, 1, 2, 1, kind="f8")
    order = RNG.permutation(300)
    assert "with the entries of axis 0 in the order" in explain(offsets, offsets[order]).sentence


def test_stacks_without_channels() -> None:
    images = stack(5, 12, 12, kind="f4")
    assert explain(images, images[:, :, ::-1]).transform == "mirrored left to right"
    assert explain(images, images.swapaxes(1, 2)).transform == "transposed"
    line = stack(50, kind="f4")
    assert explain(line, line[::-1]).transform == "reversed along axis 0"
    assert "shifted by -7 along axis 0" in explain(line, np.roll(line, -7)).sentence


# ------------------------------------------------------------------------------------------------ outputs in order


def test_of_outputs_in_order_only_the_first_that_differs_is_explained() -> None:
    right = {"b": stack(3, 12, 12, 4), "a": stack(3, 12, 12, 4), "other": stack(5, 5)}
    found = {"b": right["b"].conj(), "a": 2 * right["a"], "other": -right["other"]}
    told = causes(right, found, path={"b": "after block 1", "a": "after block 2"})
    assert {one.outputs: one.sentence for one in told} == {
        ("b",): "first differs after block 1: the expected values, but conjugated (exactly)",
        ("other",): "the expected values, but negated (exactly)",
    }


# ------------------------------------------------------------------------------------------------ resembling a fault

SCATTERED = RNG.permutation(512)[:32]


def sampled(values: np.ndarray) -> dict[str, Caught]:
    """Return a fault of which the golden keeps 32 elements, as it does of any large one."""
    indices = np.sort(SCATTERED)
    wrong = Wrong(
        values.shape, values.dtype.str, 9.0, 9.0, indices, values.reshape(-1)[indices], signed_sums(values, None)
    )
    return {"turned": Caught("it is turned", {"y": wrong})}


def test_a_fault_with_a_residue_of_some_tolerances_is_resembled() -> None:
    """A port that rounds earlier gives this. It is not a match, so a known difference cannot get worse unnoticed."""
    expected = stack(512)
    wrong = expected[RNG.permutation(512)]
    one = explain(expected, wrong * np.float32(1 + 6e-5), faults=sampled(wrong))
    assert (one.faults, one.resembles) == ((), "turned")
    assert one.sentence == "resembles fault 'turned' to within 32 tolerances: it is turned"


def test_a_fault_in_all_but_a_few_elements_is_resembled() -> None:
    """This happens at the edge of a mosaic, where one pixel has no patch."""
    expected = stack(512)
    wrong = expected[RNG.permutation(512)]
    faults, found = sampled(wrong), wrong.copy()
    found[np.sort(SCATTERED)[3]] = 0
    one = explain(expected, found, faults=faults)
    assert one.resembles == "turned"
    assert "except in 3% of the sampled elements" in one.sentence
    found[SCATTERED[:8]] = 0
    assert explain(expected, found, faults=faults).resembles == ""


def test_nothing_resembles_a_fault_of_few_elements() -> None:
    expected = stack(512)
    wrong, other = expected.copy(), expected.copy()
    wrong[SCATTERED[:4]] += 1
    other[SCATTERED[9]] += 1
    assert explain(expected, other, faults=sampled(wrong)).resembles == ""
