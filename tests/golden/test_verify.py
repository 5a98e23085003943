"""Entries are readable and match the goldens, and ``verify`` reports everything that does not match."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from docs import confirmed
from golden.judge.compare import Tolerance
from golden.ptychopinn.run.cases import SHORT, around_the_middle
from golden.ptychopinn.simulation import embedded
from golden.spec.catalogue import load_cases
from golden.spec.errors import GoldenError
from golden.store.entry import Entry, entry_path, listed_cases, make_entry, read_entries, read_entry
from golden.store.gallery import PAGE, drawn_from
from golden.store.golden import Golden, golden_path, stored_cases
from golden.store.verify import verify
from golden.store.write import write_golden
from tests.golden.conftest import history, write_entry
from tests.golden.standin import CASES, make_golden

REPOSITORY = Path(__file__).resolve().parents[2]
ALL = {case.name: case for case in CASES}
DOUBLE = CASES[0].name


def change_entry(fixtures: Path, change: Callable[[Entry], object]) -> None:
    """Change the entry of ``toy/double``."""
    entry = read_entry(fixtures, DOUBLE)
    change(entry)
    write_entry(fixtures, DOUBLE, entry)


@pytest.mark.parametrize(
    ("directory", "cases"), [("fixtures", "golden.ptychopinn"), ("long_fixtures", "golden.ptychopinn.run.long")]
)
def test_the_committed_goldens_are_sound(directory: str, cases: str) -> None:
    assert verify(REPOSITORY / "golden" / directory, load_cases(cases)) == []


def test_the_readme_says_how_many_of_them_are_confirmed() -> None:
    text = confirmed.README.read_text(encoding="utf-8")
    assert text == confirmed.renewed(text), "rewrite it: python -m docs.confirmed"


def test_the_default_suite_reads_little() -> None:
    """It reads all goldens except slow ones, and only the counts of the short run from the embedded data set."""
    slow = {name for name, case in load_cases("golden.ptychopinn").items() if case.slow}
    fixtures = REPOSITORY / "golden" / "fixtures"
    sizes = {name: golden_path(fixtures, name).stat().st_size for name in stored_cases(fixtures)}
    read = [size for name, size in sizes.items() if name not in slow]
    patterns = around_the_middle(embedded.embedded("positions"), SHORT["scan"])
    needed = {embedded.block_name(block) for block in patterns // embedded.BLOCK} | {"object", "positions", "probe"}
    with zipfile.ZipFile(embedded.FILE) as archive:
        read += [archive.getinfo(f"{name}.npy").compress_size for name in needed]
    assert sum(read) < 4e6
    everything = [*sizes.values(), embedded.FILE.stat().st_size]
    assert max(everything) < 12e6
    assert sum(everything) < 30e6


def test_a_sound_directory_has_no_problem(fixtures: Path) -> None:
    assert verify(fixtures, ALL) == []


def test_one_line_per_array_and_one_changed_element_shows(fixtures: Path) -> None:
    before = entry_path(fixtures, DOUBLE).read_text().splitlines()
    golden = make_golden(CASES[0])
    y = golden.outputs["y"].copy()
    y[2, 3] += np.float32(1e-6)
    changed = make_golden(CASES[0], outputs=golden.outputs | {"y": y})
    write_entry(fixtures, DOUBLE, make_entry(changed, history(changed), read_entry(fixtures, DOUBLE)["picture"]))
    after = entry_path(fixtures, DOUBLE).read_text().splitlines()
    assert len(before) == len(after)
    differing = [line for line, other in zip(after, before) if line != other]
    assert [line.split('"')[1] for line in differing] == ["date", "content", "y"]


def test_a_small_change_of_margins_shows_only_in_the_digest() -> None:
    """Margins that change by a thousandth look the same in an entry."""
    golden = make_golden(CASES[0])
    faults = {
        name: replace(caught, outputs={o: replace(w, share=w.share * 1.001) for o, w in caught.outputs.items()})
        for name, caught in golden.faults.items()
    }
    one, other = (make_entry(made, history(golden), {}) for made in (golden, replace(golden, faults=faults)))
    assert [key for key in one if one[key] != other[key]] == ["content"]


def test_problems_are_named(fixtures: Path) -> None:
    golden_path(fixtures, DOUBLE).unlink()
    assert "case toy/double: no golden; generate it with" in verify(fixtures, ALL)[0]
    assert verify(fixtures, ALL)[1] == "entry toy/double: its golden is missing"
    only = verify(fixtures, {name: case for name, case in ALL.items() if name != "toy/triple"})
    assert any("golden toy/triple: no case declares it" in problem for problem in only)


def test_a_golden_without_an_entry(fixtures: Path) -> None:
    entry_path(fixtures, DOUBLE).unlink()
    page = f"{fixtures / PAGE}: out of step with the entries; "
    golden, said = verify(fixtures, ALL)
    assert golden == "golden toy/double: it has no entry"
    assert said.startswith(page)


def test_a_golden_that_its_entry_does_not_list(fixtures: Path) -> None:
    golden_path(fixtures, DOUBLE).unlink()
    y = make_golden(CASES[0]).outputs["y"] * 2
    write_golden(golden_path(fixtures, DOUBLE), make_golden(CASES[0], outputs={"y": y, "rows": np.array(4)}))
    assert verify(fixtures, ALL) == [
        "golden toy/double: the newest event of its entry's history does not lead to this content",
        "golden toy/double: fault 'negated', output 'y': its kept elements are wrong by 15.5, but the file says 10.3",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{"before": "1" * 16}, {"after": "0" * 16}], "an event of its entry's history does not follow the one before"),
        ([{"before": "1" * 16}], "its entry's history does not begin with its first content: older events are missing"),
        ([{"before": "1" * 16}, {"after": "1" * 16, "date": "2026-01-02"}], "not in the order of their dates"),
        ([{"date": "2026-02-30"}], "event 1 of 1 in its entry's history: '2026-02-30' is not a date"),
        ([{"date": "20260101"}], "'20260101' is not a date; expected YYYY-MM-DD"),
        ([{"after": "no digest at all"}], "before and after must each be the first 16 digits of a digest"),
        ([{"approved": "by the owner"}], "has the unknown keys ['approved'], and lacks []"),
        ([{"reason": " "}], "expected a text for each of ['reason']"),
        ([{"tensorflow": "2.99"}], "names TensorFlow 2.99, no reference; the file says none, stand-in"),
        ([{"reference": "another"}], "names TensorFlow none, another; the file says none, stand-in"),
    ],
)
def test_a_history_that_was_rewritten(fixtures: Path, changes: list[Entry], message: str) -> None:
    def rewrite(entry: Entry) -> None:
        (event,) = entry["history"]
        entry["history"] = [{**event, **change} for change in changes]

    change_entry(fixtures, rewrite)
    (said,) = verify(fixtures, ALL)
    assert message in said


def test_an_entry_with_a_key_that_the_generator_does_not_write(fixtures: Path) -> None:
    change_entry(fixtures, lambda entry: entry.update(approved="yes"))
    assert verify(fixtures, ALL) == ["golden toy/double: its entry has an unknown key 'approved'"]


def forge(fixtures: Path, made: Golden) -> list[str]:
    """Replace ``toy/double`` by a forged golden with a matching entry and picture; return what ``verify`` reports."""
    path, picture = golden_path(fixtures, DOUBLE), read_entry(fixtures, DOUBLE)["picture"]
    path.unlink()
    write_golden(path, made)
    write_entry(fixtures, DOUBLE, make_entry(made, history(made), {**picture, "drawn_from": drawn_from(made)}))
    return verify(fixtures, ALL)


def wider(factor: float, *, noise: bool = False, runs: bool = False, faults: bool = False) -> Golden:
    """Forge a wider tolerance and, if chosen, what it follows from."""
    made = make_golden(CASES[0])
    old = made.tolerances["y"]
    parts = [factor * old.atol, factor * old.rtol, old.noise_atol, old.noise_rtol]
    tolerance = Tolerance(*parts[:2], *(part * factor if noise else part for part in parts[2:]))
    contributed = {name: share * factor if runs else share for name, share in made.noise["y"].items()}
    caught = dict(made.faults)
    if faults:
        caught = {
            name: replace(
                one,
                outputs={key: replace(wrong, share=wrong.share / factor) for key, wrong in one.outputs.items()},
            )
            for name, one in made.faults.items()
        }
    return replace(
        made,
        tolerances={**made.tolerances, "y": tolerance},
        noise={**made.noise, "y": contributed},
        faults=caught,
    )


@pytest.mark.parametrize(
    ("forged", "message"),
    [
        ({}, "is not 8 times its noise"),
        ({"noise": True}, "is more than any run contributed"),
        ({"noise": True, "runs": True}, "is more than 1% of the spread of its values"),
        ({"noise": True, "runs": True, "faults": True}, "so a port with this fault would pass"),
    ],
)
def test_a_tolerance_cannot_be_widened_by_forging_what_it_follows_from(
    fixtures: Path, forged: dict[str, bool], message: str
) -> None:
    assert any(message in problem for problem in forge(fixtures, wider(2.65e14, **forged)))


def test_a_forged_noise_below_rounding(fixtures: Path) -> None:
    told = forge(fixtures, wider(1e-3, noise=True, runs=True, faults=True))
    assert told[0].startswith("golden toy/double: output 'y': its noise of 1e-09 is less than rounding itself")


def test_a_run_that_contributes_more_than_all_noise(fixtures: Path) -> None:
    made = make_golden(CASES[0])
    (said,) = forge(fixtures, replace(made, noise={**made.noise, "y": {"float64": 1.0}}))
    assert "a run contributed" in said


FAULTS = make_golden(CASES[0]).faults


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"faults": {"negated": FAULTS["negated"]}}, "it does not catch the fault 'factor_plus_one', which its case"),
        (
            {"faults": {**FAULTS, "negated": replace(FAULTS["negated"], symptom="nothing is wrong")}},
            "its case declares other texts, axes or units for fault negated",
        ),
        (
            {"faults": {**FAULTS, "other": FAULTS["negated"]}},
            "it names the fault 'other', which its operation does not declare",
        ),
        (
            {"faults": {"negated": FAULTS["negated"]}, "invisible": {"factor_plus_one": "it is", "row_lost": "it is"}},
            "it does not catch the fault 'factor_plus_one', which its case declares visible",
        ),
        ({"where": {}}, "output 'y' has lost its mask"),
        ({"where": {"y": np.zeros((4, 5), bool)}}, "output 'y' is empty: almost anything would match it"),
        (
            {"where": {"y": np.arange(20).reshape(4, 5) < 5}},
            "the mask of output 'y' is not what its operation defines: of 20 elements",
        ),
        ({"expected_constant": {}}, "the outputs that it expects to be constant are not those that its case expects"),
        ({"definition": "0" * 16}, "its case has changed since it was generated"),
        ({"parameters": {"factor": 3.0}}, "its case has changed since it was generated"),
    ],
)
def test_what_a_forger_drops_is_reported(fixtures: Path, changes: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in forge(fixtures, make_golden(CASES[0], **changes)))


def test_a_kept_wrong_output_that_is_nearer_than_stated(fixtures: Path) -> None:
    kept = FAULTS["negated"].outputs["y"]
    for changes, message in (
        ({"share": kept.share / 10}, "tolerances away, but the file says"),
        ({"distance": kept.distance * 10}, "but the file says"),
        ({"values": kept.values[:1], "indices": kept.indices[:1]}, "too few of its elements are kept"),
    ):
        fault = replace(FAULTS["negated"], outputs={"y": replace(kept, **changes)})
        (said,) = forge(fixtures, make_golden(CASES[0], faults={**FAULTS, "negated": fault}))
        assert message in said


def test_a_golden_that_tensorflow_did_not_produce(fixtures: Path) -> None:
    golden_path(fixtures, "toy/double").unlink()
    write_golden(golden_path(fixtures, "toy/double"), make_golden(CASES[0], producer="transcribed"))
    assert verify(fixtures, ALL)[-1] == (
        "golden toy/double: its producer is 'transcribed'; a golden must be produced by TensorFlow"
    )


def test_a_file_that_is_not_a_golden(fixtures: Path) -> None:
    (fixtures / "toy" / "notes.txt").write_text("")
    (fixtures / "notes.json").write_text("")
    assert verify(fixtures, ALL) == [
        f"file {name}: neither a golden (TOPIC/CASE.h5) nor a file beside one"
        for name in ("notes.json", "toy/notes.txt")
    ]


def test_statistics_that_were_edited(fixtures: Path) -> None:
    change_entry(fixtures, lambda entry: entry["outputs"]["y"].update(norm=entry["outputs"]["y"]["norm"] * 1.01))
    assert verify(fixtures, ALL) == ["golden toy/double: the 'outputs' of its entry is out of step with the file"]


def test_a_golden_under_another_name(fixtures: Path) -> None:
    shutil.copy(golden_path(fixtures, "toy/triple"), golden_path(fixtures, DOUBLE))
    assert verify(fixtures, ALL) == ["golden toy/double: the file says that it is toy/triple"]


def test_a_damaged_file_does_not_hide_the_others(fixtures: Path) -> None:
    golden_path(fixtures, DOUBLE).write_bytes(b"")
    golden_path(fixtures, "toy/slow").write_bytes(b"")
    entry_path(fixtures, "toy/ramp").write_bytes(b"")
    problems = verify(fixtures, ALL)
    assert len(problems) == 3
    assert "ramp.json" in problems[0]
    assert all("the file is empty" in problem for problem in problems[1:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "<<<<<<< ours",
        "[" * 100_000,
        '{"format": "a", "format": "b"}',
        "[]",
        '{"format": "other"}',
        '{"format": "ptycho-golden entry 1"}',
    ],
)
def test_a_broken_entry_is_one_clear_error(fixtures: Path, text: str) -> None:
    entry_path(fixtures, DOUBLE).write_text(text)
    advice = "a merge conflict; take all files of one side" if "<" in text else "Restore it from version control"
    with pytest.raises(GoldenError, match=rf"entry .*double.json: .*{advice}"):
        read_entries(fixtures)
    assert len(verify(fixtures, ALL)) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: entry.pop("summary"),
        lambda entry: entry.update(summary="\x1b[31m"),
        lambda entry: entry.update(operation=7),
        lambda entry: entry.update(outputs=[]),
        lambda entry: entry["outputs"].update(y={}),
        lambda entry: entry["outputs"].update(y=None),
        lambda entry: entry.update(history=None),
        lambda entry: entry.update(history=[]),
        lambda entry: entry.update(history=[7]),
        lambda entry: entry["history"][0].pop("date"),
        lambda entry: entry["history"][0].update(reason="\ud800"),
    ],
)
def test_a_spoiled_entry_is_one_clear_error(fixtures: Path, spoil: Callable[[Entry], object]) -> None:
    entry = read_entry(fixtures, DOUBLE)
    spoil(entry)
    entry_path(fixtures, DOUBLE).write_text(json.dumps(entry))
    with pytest.raises(GoldenError, match=r"double.json: this is not what the generator writes"):
        read_entry(fixtures, DOUBLE)
    assert len(verify(fixtures, ALL)) == 1


def test_an_entry_that_is_not_there_is_one_clear_error(fixtures: Path) -> None:
    with pytest.raises(GoldenError, match=r"none.json: no such file"):
        read_entry(fixtures, "toy/none")
    assert listed_cases(fixtures) == set(ALL)


def test_pictures_must_match_their_goldens(fixtures: Path) -> None:
    picture = fixtures / "toy" / "double.png"
    sound = picture.read_bytes()
    picture.write_bytes(sound + b" ")
    assert verify(fixtures, ALL) == ["picture toy/double: not the file that the entry lists"]
    picture.unlink()
    assert verify(fixtures, ALL) == ["picture toy/double: its file is missing"]
    picture.write_bytes(sound)
    (fixtures / "toy" / "ramp.png").write_bytes(sound)
    assert verify(fixtures, ALL) == ["picture toy/ramp: its file is not in the entry"]
    (fixtures / "toy" / "ramp.png").unlink()
    (fixtures / PAGE).write_text("# Goldens\n")
    (said,) = verify(fixtures, ALL)
    assert said.startswith(f"{fixtures / PAGE}: out of step with the entries; ")


def test_a_picture_of_other_values(fixtures: Path) -> None:
    change_entry(fixtures, lambda entry: entry["picture"].update(drawn_from="0" * 64))
    assert verify(fixtures, ALL) == ["picture toy/double: drawn from other values than the golden's"]


def test_an_entry_without_the_picture(fixtures: Path) -> None:
    change_entry(fixtures, lambda entry: entry.pop("picture"))
    told = "picture toy/double: its entry lists none, but the golden has outputs to draw"
    assert verify(fixtures, ALL)[0] == told
    (fixtures / f"{DOUBLE}.png").unlink()
    assert verify(fixtures, ALL)[0] == told


def test_the_page_shows_every_name_and_picture(fixtures: Path) -> None:
    page = (fixtures / PAGE).read_text()
    for case in ALL:
        assert f"[{case}]({case}.json)" in page
        assert (f"![{case}]({case}.png)" in page) == (fixtures / f"{case}.png").exists()
