"""Confirmations by the real package are recorded in entries, bound to values, lost with them, and shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from golden.cli import main as golden_main
from golden.judge.compare import Tolerance
from golden.review.difference import Difference
from golden.spec.errors import GoldenError
from golden.store.confirmation import confirmation, release_of, value_of, with_confirmation
from golden.store.entry import Entry, entry_path, make_entry, read_entry
from golden.store.gallery import PAGE
from golden.store.golden import Derived, Golden, golden_path
from golden.store.read import read_golden
from golden.store.update import finish_interrupted, is_under_way, lock
from golden.store.verify import verify
from tests.golden import standin, toy_adapter
from tests.golden.conftest import fill, git, history, write_entry
from tests.golden.standin import make_golden
from tests.golden.test_generate import ALL, InProcess, failing, generate, snapshot
from tests.golden.test_update import moved, stop_after, write

DOUBLE, TRIPLE, RAMP, SLOW = "toy/double", "toy/triple", "toy/ramp", "toy/slow"
CASES = {case.name: case for case in standin.CASES}
RECORD = ("--cross-check", "tests.golden.toy_adapter", "--record")
COMMIT = "0123456789abcdef"


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golden.generator.regenerate.Reference", InProcess)


@pytest.fixture
def recorded(fixtures: Path) -> Path:
    """Return goldens, of which the toy package confirmed those that it can compute."""
    run = generate(fixtures, *RECORD, "--slow")
    assert run.exit_code == 0, run.output
    return fixtures


def another(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """Let the toy package be another release."""
    provenance = toy_adapter.provenance() | changes
    monkeypatch.setattr(toy_adapter, "provenance", lambda: provenance)


def golden(*arguments: str) -> Result:
    return CliRunner().invoke(golden_main, arguments)


def record_of(fixtures: Path, case: str = DOUBLE) -> Mapping[str, Any] | None:
    return read_entry(fixtures, case).get("confirmed")


def change_value(fixtures: Path, case: str = DOUBLE) -> None:
    """Let an entry's record name another value, as a careless merge does."""
    entry = read_entry(fixtures, case)
    entry["confirmed"]["value"] = "0" * 16
    write_entry(fixtures, case, entry)


# ------------------------------------------------------------------------------------------------ recording


def test_agreement_is_recorded_in_the_entry_alone(fixtures: Path) -> None:
    before = snapshot(fixtures)
    lines = entry_path(fixtures, DOUBLE).read_text().splitlines()
    run = generate(fixtures, *RECORD, "--slow")
    assert run.exit_code == 0, run.output
    assert "toy 1.2 (0123456) cannot compute toy.large (no call makes a ramp); not compared: toy/ramp" in run.stdout
    assert "the goldens and toy 0123456: 3 cases compared, all agree within tolerance" in run.stdout
    assert "3 record(s) changed" in run.stdout
    assert run.stdout.endswith("3 of 4 goldens are confirmed by toy 0123456\n")
    changed = {name for name, state in snapshot(fixtures).items() if state != before.get(name)}
    assert changed == {PAGE, "toy/double.json", "toy/slow.json", "toy/triple.json"}
    new = [line for line in entry_path(fixtures, DOUBLE).read_text().splitlines() if line not in lines]
    assert len(new) == 1
    assert len(entry_path(fixtures, DOUBLE).read_text().splitlines()) == len(lines) + 1
    record = record_of(fixtures)
    assert record is not None
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", record["date"])
    assert {**record, "date": ""} == {
        "reference": "toy",
        "commit": COMMIT,
        "tensorflow": "none",
        "date": "",
        "share": 0.0,
        "value": value_of(read_entry(fixtures, DOUBLE)),
    }
    assert verify(fixtures, ALL) == []


def test_the_share_of_the_tolerance_has_two_digits(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_ADAPTER", "rounds otherwise")
    assert generate(fixtures, *RECORD, DOUBLE).exit_code == 0
    record = record_of(fixtures)
    assert record is not None
    assert 0 < record["share"] < 1
    assert record["share"] == float(f"{record['share']:.1e}")


def test_confirmed_goldens_are_checked_again_only_if_they_are_named(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(recorded)
    run = generate(recorded, *RECORD, "--slow")
    assert run.exit_code == 0, run.output
    assert "3 already confirmed by toy 0123456; name them to check them again" in run.stdout
    assert "0 cases compared" in run.stdout
    monkeypatch.setattr("golden.generator.regenerate.today", lambda: "2031-01-01")
    another(monkeypatch, tensorflow="99")
    monkeypatch.setenv("TOY_ADAPTER", "rounds otherwise")
    named = generate(recorded, *RECORD, "toy/*")
    assert "3 cases compared" in named.stdout
    assert "0 record(s) changed" in named.stdout
    assert snapshot(recorded) == before, "another date or another share does not rewrite an entry"


def test_a_damaged_golden_is_not_passed_over(recorded: Path) -> None:
    golden_path(recorded, DOUBLE).write_bytes(b"")
    run = generate(recorded, *RECORD)
    assert run.exit_code == 1
    assert "the file is empty" in run.stdout


def test_another_commit_replaces_the_record(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another(monkeypatch, commit="fedcba9876543210")
    assert generate(recorded, *RECORD, "--except", TRIPLE).exit_code == 0
    record = record_of(recorded)
    assert record is not None
    assert record["commit"] == "fedcba9876543210"
    said = "3 of 4 goldens are confirmed by toy 0123456 (2), toy fedcba9 (1)"
    assert said in golden("list", "--fixtures", str(recorded)).output
    assert f"\n{said}.\n" in (recorded / PAGE).read_text()


def test_an_installed_release_is_named_by_its_version(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another(monkeypatch, commit="")
    assert generate(fixtures, *RECORD).exit_code == 0
    record = record_of(fixtures)
    assert record is not None
    assert record["version"] == "1.2"
    assert "commit" not in record
    assert verify(fixtures, ALL) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"commit": f"{COMMIT}+changed"}, "its checkout has changes that are not in commit 0123456"),
        ({"commit": "", "version": "unknown"}, "it has neither commit nor version"),
    ],
)
def test_a_package_without_a_reproducible_version_is_refused(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], message: str
) -> None:
    before = snapshot(fixtures)
    another(monkeypatch, **changes)
    run = generate(fixtures, *RECORD)
    assert run.exit_code == 2
    assert message in run.stderr
    assert "comparing" not in run.stderr
    assert snapshot(fixtures) == before
    assert generate(fixtures, *RECORD[:2]).exit_code == 0, "a comparison without a record needs no version"


def test_disagreement_records_nothing(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record by another commit is kept if it is for the same value; a record for another value is removed."""
    change_value(recorded, TRIPLE)
    change_value(recorded, SLOW)
    another(monkeypatch, commit="fedcba9876543210")
    monkeypatch.setenv("TOY_ADAPTER", "negated")
    run = generate(recorded, *RECORD)
    assert run.exit_code == 1
    assert "diagnosis: matches fault 'negated'" in run.stdout
    assert "the goldens (expected) and toy fedcba9 (found, 'the port'): 2 case(s) do not agree" in run.stdout
    record = record_of(recorded)
    assert record is not None
    assert record["commit"] == COMMIT
    assert record_of(recorded, TRIPLE) is None
    assert record_of(recorded, SLOW) is not None, "the package was not run for it"


def test_a_case_that_the_package_cannot_compute_is_not_confirmed(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case in (DOUBLE, TRIPLE):
        change_value(recorded, case)
    monkeypatch.setattr(toy_adapter, "missing", lambda operation: "it has no call")
    failing(monkeypatch, GoldenError, 2.0)
    assert generate(recorded, *RECORD).exit_code == 2, "nothing was compared"
    assert record_of(recorded) is record_of(recorded, TRIPLE) is None
    monkeypatch.setattr(toy_adapter, "missing", lambda operation: "")
    run = generate(recorded, *RECORD, DOUBLE, TRIPLE)
    assert run.exit_code == 1
    assert "case toy/double: the reference failed" in run.stdout
    assert record_of(recorded) is None
    assert record_of(recorded, TRIPLE) is not None


def test_the_stored_value_is_confirmed_not_our_reference(fixtures: Path) -> None:
    """Package and reference changed alike: a cross-check agrees, but the package does not compute the golden."""
    assert generate(fixtures, *RECORD[:2], DOUBLE, behaviour="breaking").exit_code == 0
    assert generate(fixtures, *RECORD, DOUBLE, behaviour="breaking").exit_code == 1
    assert record_of(fixtures) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--record"], "--record goes with --cross-check NAME"),
        ([*RECORD, "--update", "--reason", "x"], "--cross-check writes no golden"),
        ([*RECORD, "--fixtures", "no/such"], "no/such: no such directory"),
        ([*RECORD, RAMP], "nothing was compared"),
    ],
)
def test_it_could_not_record(fixtures: Path, arguments: list[str], message: str) -> None:
    before = snapshot(fixtures)
    run = generate(fixtures, *arguments)
    assert run.exit_code == 2
    assert message in run.stderr
    assert snapshot(fixtures) == before


# ------------------------------------------------------------------------------------------------ interrupted


def test_an_interrupted_run_continues(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        failing(patch, KeyboardInterrupt, 5.0)
        run = generate(fixtures, *RECORD, "--slow")
    assert run.exit_code == 130
    assert "interrupted; 1 golden(s) had already been written or recorded" in run.stderr
    assert record_of(fixtures) is not None
    assert verify(fixtures, ALL) == []
    run = generate(fixtures, *RECORD, "--slow")
    assert run.exit_code == 0
    assert "1 already confirmed by toy 0123456" in run.stdout
    assert "2 cases compared" in run.stdout


def test_an_entry_is_the_old_or_the_new_one(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = entry_path(fixtures, DOUBLE).read_bytes()
    with monkeypatch.context() as patch:
        stop_after(patch, 0, KeyboardInterrupt())
        assert generate(fixtures, *RECORD, DOUBLE).exit_code == 130
    assert is_under_way(fixtures), "staged files are left, as after a kill"
    assert entry_path(fixtures, DOUBLE).read_bytes() == before
    assert verify(fixtures, ALL) == []
    finish_interrupted(fixtures)
    assert not is_under_way(fixtures)
    with monkeypatch.context() as patch:
        stop_after(patch, 1, KeyboardInterrupt())  # before the page of all goldens
        assert generate(fixtures, *RECORD, DOUBLE).exit_code == 130
    (said,) = verify(fixtures, ALL)
    assert "out of step with the entries" in said
    assert generate(fixtures, *RECORD, TRIPLE).exit_code == 0
    assert verify(fixtures, ALL) == []


def test_a_second_writer_is_refused(fixtures: Path) -> None:
    with lock(fixtures):
        run = generate(fixtures, *RECORD)
    assert run.exit_code == 2
    assert "another generator is at work here" in run.stderr


# ------------------------------------------------------------------------------------------------ bound to a value


def _other(golden: Golden, group: str) -> dict[str, Any]:
    arrays = dict(getattr(golden, group))
    name = next(name for name in arrays if arrays[name].ndim)
    arrays[name] = arrays[name] + np.float32(1e-6)
    return {group: arrays}


def _louder(golden: Golden) -> dict[str, Any]:
    return {"tolerances": {name: Tolerance(2.0, 2.0, 1.0, 1.0) for name in golden.tolerances}, "noise": {}}


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        (_louder, True),
        (lambda golden: {"faults": {}}, True),
        (lambda golden: {"summary": "in other words", "definition": "another", "invisible": {"a": "b"}}, True),
        (lambda golden: {"where": {}, "provenance": {"reference": "other"}, "draw": 5}, True),
        (lambda golden: _other(golden, "outputs"), False),
        (lambda golden: _other(golden, "inputs"), False),
        (lambda golden: {"parameters": {"factor": 2.5}}, False),
        (lambda golden: {"operation": "toy.other"}, False),
        (lambda golden: {"derived": {"x2": Derived((1,), "<f4", "0" * 64)}}, False),
    ],
)
def test_only_another_value_loses_the_confirmation(change: Callable[[Golden], dict[str, Any]], stays: bool) -> None:
    golden = make_golden(CASES[DOUBLE])
    entry = confirmed_entry(golden)
    assert confirmation(entry) == entry["confirmed"]
    after = replace(golden, **change(golden))
    assert ("confirmed" in make_entry(after, history(after), {}, entry["confirmed"])) is stays


def confirmed_entry(golden: Golden) -> Entry:
    entry = make_entry(golden, history(golden), {})
    release = release_of(toy_adapter.provenance())
    record = release | {"tensorflow": "1", "date": "2026-01-01", "share": 0.1, "value": value_of(entry)}
    return with_confirmation(entry, record)


def test_a_golden_that_moves_keeps_its_confirmation_only_within_noise(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(recorded)
    update = ("--update", "--reason", "r", DOUBLE)
    assert generate(recorded, *update, behaviour="noise").exit_code == 0
    assert snapshot(recorded) == before
    run = generate(recorded, *update, behaviour="breaking")
    assert run.exit_code == 0, run.output
    assert "no longer confirmed (previously by toy 0123456): toy/double\n" in run.stdout
    assert record_of(recorded) is None
    assert "2 of 4 goldens are confirmed by toy 0123456." in (recorded / PAGE).read_text()
    assert verify(recorded, ALL) == []


def test_a_golden_that_is_proved_again_keeps_its_confirmation(recorded: Path) -> None:
    before = read_golden(golden_path(recorded, DOUBLE))
    write(recorded, Difference(DOUBLE, before=before, after=replace(before, summary="in other words")))
    entry = read_entry(recorded, DOUBLE)
    assert entry["summary"] == "in other words"
    assert confirmation(entry) is not None
    write(recorded, moved(recorded, DOUBLE))
    assert record_of(recorded) is None


def test_a_record_of_another_value_is_reported_and_does_not_count(recorded: Path) -> None:
    change_value(recorded)
    (page, said) = sorted(verify(recorded, ALL))
    assert "out of step with the entries" in page
    assert said == (
        "golden toy/double: toy 0123456 confirmed other values, which does not count; confirm it again: "
        "python generate_golden.py --cross-check ... --record toy/double"
    )
    assert re.search(r"toy/double +toy\.scale +- ", golden("list", "--fixtures", str(recorded)).output)
    shown = golden("show", DOUBLE, "--fixtures", str(recorded)).output
    assert "confirmed   no; toy 0123456 confirmed another value\n" in shown
    run = generate(recorded, *RECORD)
    assert "1 cases compared" in run.stdout
    assert verify(recorded, ALL) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: entry.update(confirmed=None),
        lambda entry: entry.update(confirmed=[]),
        lambda entry: entry["confirmed"].pop("value"),
        lambda entry: entry["confirmed"].pop("commit"),
        lambda entry: entry["confirmed"].update(version="1"),
        lambda entry: entry["confirmed"].update(commit=7),
        lambda entry: entry["confirmed"].update(date="\x1b[31m"),
        lambda entry: entry["confirmed"].update(share="0.1"),
        lambda entry: entry["confirmed"].update(share=float("nan")),
        lambda entry: entry["confirmed"].update(share=1.5),
        lambda entry: entry.update(inputs=[]),
        lambda entry: entry.update(parameters={"factor": [2.0]}),
        lambda entry: entry["inputs"]["x"].pop("sha256"),
    ],
)
def test_a_spoiled_record_is_one_clear_error(recorded: Path, spoil: Callable[[Entry], object]) -> None:
    entry = read_entry(recorded, DOUBLE)
    spoil(entry)
    entry_path(recorded, DOUBLE).write_text(json.dumps(entry))
    with pytest.raises(
        GoldenError, match=r"double.json: (this is not what the generator writes|NaN is not valid JSON)"
    ):
        read_entry(recorded, DOUBLE)
    assert len(verify(recorded, ALL)) == 1


# ------------------------------------------------------------------------------------------------ shown


def test_list_and_show(recorded: Path) -> None:
    listed = golden("list", "--fixtures", str(recorded)).output
    assert re.search(r"toy/double +toy\.scale +0123456 ", listed)
    assert re.search(r"toy/ramp +toy\.large +- ", listed)
    assert listed.endswith("3 of 4 goldens are confirmed by toy 0123456\n")
    assert golden("list", RAMP, "--fixtures", str(recorded)).output.endswith("0 of 1 goldens are confirmed\n")
    shown = " ".join(golden("show", DOUBLE, "--fixtures", str(recorded)).output.split())
    assert re.search(rf"confirmed by toy {COMMIT} on 20[-\d]+, with TensorFlow none, at 0 x tolerance ", shown)
    assert "confirmed no inputs" in " ".join(golden("show", RAMP, "--fixtures", str(recorded)).output.split())


def test_a_diff_lists_new_and_lost_confirmations(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before"
    fill(before)
    gained = "confirmed by toy 0123456: toy/double, toy/slow, toy/triple\n"
    told = golden("diff", str(before), str(recorded), "--exit-code")
    assert told.output == f"{gained}no golden differs\n"
    assert told.exit_code == 1
    lost = golden("diff", str(recorded), str(before)).output
    assert lost.startswith("no longer confirmed (previously by toy 0123456): toy/double, toy/slow, toy/triple\n")
    page = tmp_path / "page.html"
    markdown = golden("diff", str(before), str(recorded), "--markdown", "--html", str(page)).output
    assert markdown.startswith("### Goldens: no golden differs\n\nconfirmed by toy 0123456: toy/double, ")
    assert f"<li>{gained.strip()}</li>" in page.read_text()
    files = [str(golden_path(side, DOUBLE)) for side in (before, recorded)]
    assert golden("diff", *files).output.startswith("confirmed by toy 0123456: double\n")
    another(monkeypatch, commit="fedcba9876543210")
    generate(before, *RECORD[:2], "--record", DOUBLE)
    assert (
        "confirmed by toy fedcba9 (previously by toy 0123456): toy/double\n"
        in golden("diff", str(recorded), str(before)).output
    )


def test_a_diff_of_revisions_reads_their_entries(fixtures: Path) -> None:
    git("init", "-q", directory=fixtures)
    git("add", ".", directory=fixtures)
    git("commit", "-q", "-m", "first", directory=fixtures)
    generate(fixtures, *RECORD)
    there = ("--fixtures", str(fixtures))
    assert golden("diff", "HEAD", *there).output.startswith("confirmed by toy 0123456: toy/double, toy/triple\n")
    git("commit", "-q", "-a", "-m", "second", directory=fixtures)
    assert golden("diff", "HEAD^..HEAD", *there).output.startswith("confirmed by toy 0123456: toy/double, ")
    assert golden("diff", "HEAD", *there).output == "no golden differs\n"


def test_an_entry_that_cannot_be_read_is_reported(fixtures: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    fill(before)
    entry_path(fixtures, DOUBLE).write_text("{")
    assert re.match(
        r"entry .*double\.json: .*: toy/double\nno golden", golden("diff", str(before), str(fixtures)).output
    )
