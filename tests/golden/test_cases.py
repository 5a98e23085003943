"""Declared cases: draws are reproducible, axes and texts are complete, and the scan golden shows its object upright."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden.ptychopinn.run import long
from golden.ptychopinn.scan.cases import READ
from golden.spec.arrays import digest_array
from golden.spec.case import Case
from golden.spec.catalogue import load_cases, select
from golden.spec.errors import GoldenError
from golden.spec.operation import Label
from golden.spec.random_inputs import Draw
from golden.store.golden import Golden, golden_path, stored_cases
from golden.store.read import read_golden
from tests.golden.standin import CASES, LARGE, SCALE
from tests.torch.orientation import best_orientation

FIXTURES = Path(__file__).resolve().parents[2] / "golden" / "fixtures"


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, case in load_cases("golden.ptychopinn").items()
        if name != "reassembly/scan_photograph" and not case.slow
    ],
)
def test_stored_inputs_are_what_the_case_draws(name: str, goldens: dict[str, Golden]) -> None:
    """Photographs are left out, because drawing them needs scikit-image, which only the generator has."""
    golden = goldens[name]
    drawn = load_cases("golden.ptychopinn")[name].draw_inputs(golden.draw)
    assert set(drawn) == set(golden.inputs)
    for key, array in drawn.items():
        assert digest_array(array) == digest_array(golden.inputs[key]), key


@pytest.mark.parametrize(
    ("content", "fixtures"),
    [("golden.ptychopinn", FIXTURES), ("golden.ptychopinn.run.long", FIXTURES.with_name("long_fixtures"))],
)
def test_every_axis_has_a_name_and_every_number_a_unit(
    content: str, fixtures: Path, goldens: dict[str, Golden]
) -> None:
    cases = load_cases(content)
    for name in stored_cases(fixtures):
        golden = goldens.get(name) or read_golden(golden_path(fixtures, name))
        labels = golden.labels_of(cases[name].operation)
        arrays = {f"inputs/{key}": (np.dtype(d.dtype), d.shape) for key, d in golden.derived.items()}
        arrays |= {f"inputs/{key}": (array.dtype, array.shape) for key, array in golden.inputs.items()}
        arrays |= {f"outputs/{key}": (array.dtype, array.shape) for key, array in golden.outputs.items()}
        for path, (dtype, shape) in arrays.items():
            label = labels.get(path, Label())
            assert len(label.axes.split()) == len(shape), (name, path)
            assert bool(label.unit) == (dtype.kind in "iufc"), (name, path)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((7, 12, 12), "pattern row column"),
        ((7, 12, 12, 1), "pattern row column channel"),
        ((12, 12, 7), "row column pattern"),
    ],
)
def test_the_axes_of_a_stack_follow_its_layout(shape: tuple[int, ...], axes: str) -> None:
    assert READ.labels({"inputs/stack": shape})["inputs/stack"] == Label(axes, "sqrt(photon)")


def test_draws_depend_on_the_seed_alone() -> None:
    assert Draw("a#0").integers(0, 1000, (4,)).tolist() == Draw("a#0").integers(0, 1000, (4,)).tolist()
    assert Draw("a#0").integers(0, 1000, (4,)).tolist() != Draw("a#1").integers(0, 1000, (4,)).tolist()
    # The exact numbers, so that another version of NumPy cannot change them unnoticed.
    assert Draw("a#0").integers(0, 1000, (4,)).tolist() == [411, 251, 3, 378]
    with pytest.raises(ValueError, match="expected low < high, found 3 and 3"):
        Draw("a#0").integers(3, 3, (4,))


def test_draws_are_exact_multiples() -> None:
    values = Draw("x").complex((50,), step=1 / 8)
    assert values.dtype == np.complex64
    assert (values.real * 8 % 1 == 0).all()
    assert -2 <= values.imag.min() < -1
    assert 1 < values.imag.max() < 2


def test_texture_has_one_exponent_and_few_bits() -> None:
    values = Draw("x").texture((40, 50), bits=2)
    assert values.dtype == np.complex64
    for part in (values.real, values.imag):
        assert np.unique(part).tolist() == [-1.75, -1.5, -1.25, -1, 1, 1.25, 1.5, 1.75]
    assert abs(values.mean()) < 0.1


def test_a_window_is_full_and_the_rest_is_empty() -> None:
    values = Draw("x").window((2, 9, 8, 3), slice(1, 6), slice(4, 7))
    assert values.dtype == np.complex64
    rows, columns = np.nonzero(values.all(axis=(0, 3)))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 5, 4, 6)
    assert np.count_nonzero(values) == 2 * 5 * 3 * 3


def test_the_scan_golden_shows_its_object_upright() -> None:
    golden = read_golden(golden_path(FIXTURES, "reassembly/scan_photograph"))
    mosaic = golden.outputs["mosaic"][..., 0]
    side = len(mosaic)
    # The mean position is at the centre of the canvas.
    x, y = np.round(golden.inputs["positions"].mean(axis=0).ravel()).astype(int) - side // 2
    object_ = np.pad(golden.inputs["object"], side)[y + side : y + 2 * side, x + side : x + 2 * side]
    name, correlation = best_orientation(mosaic * golden.where["mosaic"][..., 0], object_)
    assert name == "upright"
    assert correlation > 0.97


def test_an_object_that_is_not_a_case_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.golden.standin.CASES", ((CASES[0],),))
    with pytest.raises(GoldenError, match=r"CASES holds a tuple .*; expected a Case"):
        load_cases("tests.golden.standin")


def test_names_are_checked() -> None:
    with pytest.raises(GoldenError, match="expected 'topic/case'"):
        Case("no topic", SCALE, "", {"factor": 2.0})
    with pytest.raises(GoldenError, match="expected_constant names unknown outputs"):
        Case("toy/x", SCALE, "", {"factor": 2.0}, expected_constant={"w": "why"})
    with pytest.raises(GoldenError, match=r"operation toy.scale takes \['x'\], the case draws \['w'\]"):
        Case("toy/x", SCALE, "", {"factor": 2.0}, lambda draw: {"w": draw.real((3,))}).draw_inputs(0)


def test_a_case_is_declared_slow_by_name_only() -> None:
    """The gate reads from the code which cases are slow."""
    with pytest.raises(TypeError, match="positional arguments"):
        Case("toy/slow", SCALE, "slow", {}, lambda draw: {}, {}, {}, True)  # type: ignore[misc]


def test_parameters_are_what_the_operation_declares() -> None:
    pool = replace(SCALE, parameters={"factor": float, "size": int | None, "fast": bool})
    Case("toy/x", pool, "", {"factor": 2.0, "size": None, "fast": True})
    with pytest.raises(GoldenError) as refused:
        Case("toy/x", pool, "", {"factor": 2, "size": True, "speed": 1})
    assert str(refused.value) == (
        "case toy/x: parameters: 'fast' is missing; 'speed' is unknown; 'factor' is 2 (int), expected float; "
        "'size' is True (bool), expected int | None. Operation toy.scale takes factor: float, size: int | None, "
        "fast: bool"
    )
    with pytest.raises(GoldenError, match=r"'N' is unknown\. Operation toy.large takes no parameters"):
        Case("toy/x", LARGE, "", {"N": 1})
    with pytest.raises(GoldenError, match="parameter 'factor': expected bool, int, float or str, found list"):
        replace(SCALE, parameters={"factor": list})
    with pytest.raises(GoldenError, match=r"the same name for an input and a parameter: \['x'\]"):
        replace(SCALE, parameters={"x": float})


def test_selection_is_by_glob() -> None:
    assert select(["a/x", "a/y", "b/x"], ["a/*", "*/x"]) == ["a/x", "a/y", "b/x"]
    assert select(["b/x", "a/x"], []) == ["a/x", "b/x"]
    with pytest.raises(GoldenError, match="no case matches 'a/z'; nearest: a/"):
        select(["a/x", "a/y", "b/x"], ["a/z"])


NAMES = {"Adam", "Adam's", "K", "N", "Poisson", "Stirling's", "X", "X_full", "Y_I", "Y_phi"}


def unplain(text: str) -> list[str]:
    """Return why a stored text does not fit into a sentence, or into a cell of a Markdown table."""
    found = {
        "longer than 90 characters": len(text) > 90,
        "not printable": not text.isprintable(),
        "has a bar, which ends a cell": "|" in text,
        "begins with a capital letter": text[:1].isupper() and text.split(maxsplit=1)[0] not in NAMES,
        "ends with a full stop": text.endswith("."),
        "has a space too many": text != " ".join(text.split()),
    }
    return [what for what, holds in found.items() if holds]


def test_stored_texts_fit_where_they_are_shown() -> None:
    cases = (*load_cases("golden.ptychopinn").values(), *long.CASES)
    faults = [
        fault
        for operation in {case.operation.name: case.operation for case in cases}.values()
        for fault in operation.faults
    ]
    summaries = [case.summary for case in cases]
    reasons = [
        reason for case in cases for given in (case.expected_constant, case.invisible) for reason in given.values()
    ]
    reasons += [condition.reason for fault in faults for condition in fault.invisible]
    symptoms = [fault.symptom for fault in faults]
    wrong = {text: what for text in (*summaries, *symptoms, *reasons) if (what := unplain(text))}
    assert wrong == {}
    assert [text for text in symptoms if text.count("; expected ") != 1] == []
    assert [text for text in summaries if text.startswith(("a ", "an ", "the "))] == []


@pytest.mark.parametrize("text", ["The end", "ends.", "a | b", "tab\there", "two  spaces", "x" * 91])
def test_texts_that_do_not_fit_are_noticed(text: str) -> None:
    assert unplain(text)
