"""The manifest: readable, in step with the files, and ``verify`` finds whatever is not."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from golden.ptychopinn.run.cases import SHORT, around_the_middle
from golden.ptychopinn.simulation import embedded
from golden.spec.catalogue import load_cases
from golden.spec.errors import GoldenError
from golden.store.entry import NAME, make_entry, read_manifest, write_manifest
from golden.store.golden import golden_path, stored_cases
from golden.store.read import read_golden
from golden.store.verify import verify
from golden.store.write import write_golden
from tests.golden.conftest import history
from tests.golden.standin import CASES, make_golden

REPOSITORY = Path(__file__).resolve().parents[2]
ALL = {case.name: case for case in CASES}


@pytest.mark.parametrize(
    ("directory", "cases"), [("fixtures", "golden.ptychopinn"), ("long_fixtures", "golden.ptychopinn.run.long")]
)
def test_the_committed_goldens_are_sound(directory: str, cases: str) -> None:
    assert verify(REPOSITORY / "golden" / directory, load_cases(cases)) == []


def test_what_the_default_suite_reads_is_small() -> None:
    """All goldens but the slow ones; of the embedded data set's counts those of the short run."""
    slow = {name for name, case in load_cases("golden.ptychopinn").items() if case.slow}
    fixtures = REPOSITORY / "golden" / "fixtures"
    sizes = {name: golden_path(fixtures, name).stat().st_size for name in stored_cases(fixtures)}
    read = [size for name, size in sizes.items() if name not in slow]
    patterns = around_the_middle(embedded.embedded("positions"), int(SHORT["scan"] or 0))
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
    before = (fixtures / NAME).read_text().splitlines()
    golden = make_golden(CASES[0])
    y = golden.outputs["y"].copy()
    y[2, 3] += np.float32(1e-6)
    changed = make_golden(CASES[0], outputs=golden.outputs | {"y": y})
    entries = read_manifest(fixtures)
    entries["toy/double"] = make_entry(changed, history(changed), entries["toy/double"]["picture"])
    write_manifest(fixtures / NAME, entries)
    after = (fixtures / NAME).read_text().splitlines()
    assert len(before) == len(after)
    differing = [line for line, other in zip(after, before) if line != other]
    assert [line.split('"')[1] for line in differing] == ["content", "y", "date"]


def test_problems_are_named(fixtures: Path) -> None:
    golden_path(fixtures, "toy/double").unlink()
    assert "case toy/double: no golden; make it with" in verify(fixtures, ALL)[0]
    assert verify(fixtures, ALL)[1] == "manifest entry toy/double: its file is missing"
    only = verify(fixtures, {name: case for name, case in ALL.items() if name != "toy/triple"})
    assert any("golden toy/triple: no case declares it" in problem for problem in only)


def test_a_file_that_the_manifest_does_not_know(fixtures: Path) -> None:
    entries = read_manifest(fixtures)
    del entries["toy/double"]
    write_manifest(fixtures / NAME, entries)
    page = f"{fixtures / 'GALLERY.md'}: out of step with the manifest"
    assert verify(fixtures, ALL) == ["golden toy/double: not in the manifest", page]


def test_a_file_written_past_the_manifest(fixtures: Path) -> None:
    golden_path(fixtures, "toy/double").unlink()
    y = make_golden(CASES[0]).outputs["y"] * 2
    write_golden(golden_path(fixtures, "toy/double"), make_golden(CASES[0], outputs={"y": y, "rows": np.array(4)}))
    assert verify(fixtures, ALL) == ["golden toy/double: the manifest's history does not end with this content"]


def test_a_golden_that_tensorflow_did_not_produce(fixtures: Path) -> None:
    golden_path(fixtures, "toy/double").unlink()
    write_golden(golden_path(fixtures, "toy/double"), make_golden(CASES[0], producer="transcribed"))
    assert verify(fixtures, ALL)[-1] == (
        "golden toy/double: its producer is 'transcribed'; a golden must be produced by TensorFlow"
    )


def test_a_file_that_is_no_golden(fixtures: Path) -> None:
    (fixtures / "toy" / "notes.txt").write_text("")
    assert verify(fixtures, ALL) == ["file toy/notes.txt: neither a golden (TOPIC/CASE.h5) nor the manifest"]


def test_statistics_that_were_edited(fixtures: Path) -> None:
    entries = read_manifest(fixtures)
    entries["toy/double"]["outputs"]["y"]["norm"] *= 1.01
    write_manifest(fixtures / NAME, entries)
    assert verify(fixtures, ALL) == ["golden toy/double: the manifest's 'outputs' is out of step with the file"]


def test_a_golden_under_another_name(fixtures: Path) -> None:
    shutil.copy(golden_path(fixtures, "toy/triple"), golden_path(fixtures, "toy/double"))
    assert verify(fixtures, ALL) == ["golden toy/double: the file says that it is toy/triple"]


def test_a_damaged_file_does_not_hide_the_others(fixtures: Path) -> None:
    golden_path(fixtures, "toy/double").write_bytes(b"")
    golden_path(fixtures, "toy/slow").write_bytes(b"")
    problems = verify(fixtures, ALL)
    assert len(problems) == 2
    assert all("the file is empty" in problem for problem in problems)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '{"format": "a", "format": "b"}',
        "[]",
        '{"format": "other", "cases": {}}',
        '{"format": "ptycho-golden manifest 1"}',
    ],
)
def test_a_broken_manifest_is_one_clear_error(fixtures: Path, text: str) -> None:
    (fixtures / NAME).write_text(text)
    with pytest.raises(GoldenError, match=r"manifest .*MANIFEST.json: .*Restore it from version control"):
        read_manifest(fixtures)
    assert len(verify(fixtures, ALL)) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: entry.clear(),
        lambda entry: entry.pop("summary"),
        lambda entry: entry.update(summary="\x1b[31m"),
        lambda entry: entry.update(operation=7),
        lambda entry: entry.update(outputs=[]),
        lambda entry: entry["outputs"].update(y={}),
        lambda entry: entry["outputs"].update(y=None),
        lambda entry: entry.update(history=None),
        lambda entry: entry.update(history=[7]),
        lambda entry: entry["history"][0].pop("date"),
        lambda entry: entry["history"][0].update(reason="\ud800"),
    ],
)
def test_a_spoiled_entry_is_one_clear_error(fixtures: Path, spoil: Callable[[dict], object]) -> None:
    document = json.loads((fixtures / NAME).read_text())
    spoil(document["cases"]["toy/double"])
    (fixtures / NAME).write_text(json.dumps(document))
    with pytest.raises(GoldenError, match=r"manifest .*the entry of 'toy/double' .*Restore it from version control"):
        read_manifest(fixtures)
    assert len(verify(fixtures, ALL)) == 1


def test_manifest_is_plain_json_in_order(fixtures: Path) -> None:
    document = json.loads((fixtures / NAME).read_text())
    assert list(document["cases"]) == sorted(document["cases"])
    assert (
        read_golden(golden_path(fixtures, "toy/double")).content_digest() == document["cases"]["toy/double"]["content"]
    )


def test_pictures_are_held_to_the_goldens(fixtures: Path) -> None:
    picture = fixtures / "toy" / "double.png"
    sound = picture.read_bytes()
    picture.write_bytes(sound + b" ")
    assert verify(fixtures, ALL) == ["picture toy/double: another file than the manifest lists"]
    picture.unlink()
    assert verify(fixtures, ALL) == ["picture toy/double: its file is missing"]
    picture.write_bytes(sound)
    (fixtures / "toy" / "ramp.png").write_bytes(sound)
    assert verify(fixtures, ALL) == ["picture toy/ramp: its file is not in the manifest"]
    (fixtures / "toy" / "ramp.png").unlink()
    (fixtures / "GALLERY.md").write_text("# Gallery\n")
    assert verify(fixtures, ALL) == [f"{fixtures / 'GALLERY.md'}: out of step with the manifest"]


def test_a_picture_of_other_values(fixtures: Path) -> None:
    entries = read_manifest(fixtures)
    entries["toy/double"]["picture"]["drawn_from"] = "0" * 64
    write_manifest(fixtures / NAME, entries)
    assert verify(fixtures, ALL) == ["picture toy/double: drawn from other values than the golden's"]
