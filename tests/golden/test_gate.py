"""``golden gate``: no golden gets weaker silently."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from golden.cli import main
from golden.review.declared import slow_cases
from golden.review.gate import Weakening, weakenings
from golden.store.confirmation import value_of
from golden.store.entry import Entry, entry_path, make_entry, read_entry
from golden.store.gallery import drawn_from
from golden.store.golden import Golden, golden_path
from golden.store.write import write_golden
from tests.golden import test_verify
from tests.golden.conftest import fill, git, history, write_entry
from tests.golden.standin import CASES, make_golden
from tests.golden.test_generate import InProcess, generate

CASE = CASES[0]
DOUBLE = CASE.name


def gate(fixtures: Path, *arguments: str, span: str = "main") -> Result:
    cases = ("--cases", "tests.golden.standin", "--fixtures", str(fixtures))
    return CliRunner().invoke(main, ["gate", span, *cases, *arguments])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return sound goldens in a repository: they are on the branch ``main``, and another branch is checked out."""
    directory = tmp_path_factory.mktemp("repository")
    fill(directory / "deep" / "fixtures")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        # Without hooks, logs and loose objects, there are fewer files to copy.
        for step in (
            ["init", "-q", "-b", "main", "--template="],
            ["config", "core.logAllRefUpdates", "false"],
            ["add", "."],
            ["commit", "-qm", "first"],
            ["checkout", "-qb", "request"],
            ["repack", "-adq"],
        ):
            git(*step, directory=directory)
    return directory


@pytest.fixture
def clone(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the goldens of a copy of the repository."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(shutil.copytree(repository, tmp_path, dirs_exist_ok=True))
    return tmp_path / "deep" / "fixtures"


def put(fixtures: Path, made: Golden, change: Callable[[list[Entry]], list[Entry]], case: str = DOUBLE) -> None:
    """Replace a golden by a forged one, with a matching entry and picture.

    Args:
        change: makes its history from that of the replaced golden.
    """
    old = read_entry(fixtures, case)
    golden_path(fixtures, case).unlink()
    write_golden(golden_path(fixtures, case), made)
    picture = {**old["picture"], "drawn_from": drawn_from(made)} if "picture" in old else {}
    write_entry(fixtures, case, make_entry(made, change(old["history"]), picture))


def rewritten(made: Golden) -> Callable[[list[Entry]], list[Entry]]:
    """Return a change of the history that lets its newest event lead to this golden, as if it always had."""
    return lambda events: [{**events[0], "after": made.content_digest()[:16]}, *events[1:]]


def told(made: Golden, **event: Any) -> Callable[[list[Entry]], list[Entry]]:
    """Return a change of the history that adds an honest event, which declares no weakening unless ``event`` does."""
    return lambda events: [
        {
            **unsaid(events[0]),
            "reason": "faster",
            "before": events[0]["after"],
            "after": made.content_digest()[:16],
            **event,
        },
        *events,
    ]


def unsaid(event: Entry) -> Entry:
    return {key: value for key, value in event.items() if key != "weakens"}


def wider(factor: float) -> Golden:
    """Return a golden whose tolerance grew, together with everything that it follows from."""
    return test_verify.wider(factor, noise=True, runs=True, faults=True)


def without_faults() -> Golden:
    made = make_golden(CASE)
    hidden = {name: "it cannot show here" for name in made.faults if name != "negated"}
    return replace(made, faults={"negated": made.faults["negated"]}, invisible=hidden)


def without_a_row() -> Golden:
    made = make_golden(CASE)
    return replace(made, where={"y": np.arange(20).reshape(4, 5) > 6})


def other_values() -> Golden:
    made = make_golden(CASE)
    return replace(made, outputs={**made.outputs, "y": made.outputs["y"] * np.float32(1.000001)})


def test_an_unchanged_request_passes(clone: Path) -> None:
    found = gate(clone)
    assert (found.exit_code, found.output) == (0, "no undeclared weakening; 0 golden(s) touched\n")


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize(
    ("made", "message"),
    [
        (wider(2.65e14), "toy/double: the tolerance of 'y' grew by a factor of 2.65e+14"),
        (wider(3), "toy/double: the tolerance of 'y' grew by a factor of 3"),
        (without_faults(), "toy/double: fault 'factor_plus_one' is no longer caught"),
        (without_a_row(), "toy/double: 65.0% of the elements of 'y' are compared, 100.0% before"),
    ],
)
def test_a_weakening_is_reported_even_if_an_event_leads_to_it(
    clone: Path, made: Golden, message: str, committed: bool
) -> None:
    """Four edits that once went unnoticed. Each forges everything that a forger can reach."""
    put(clone, made, told(made))
    if committed:
        git("commit", "-qam", "faster")
    found = gate(clone, span="main...request" if committed else "main")
    assert found.exit_code == 1
    assert message in found.output


def test_a_forged_provenance(clone: Path) -> None:
    made = replace(make_golden(CASE), provenance={"reference": "stand-in", "tensorflow": "2.99"})
    put(clone, made, lambda events: events)
    found = gate(clone)
    assert found.exit_code == 1
    assert "its provenance changed, but its content did not: tensorflow none, now 2.99" in found.output
    assert "the newest event of its entry's history names TensorFlow none" in found.output


def test_a_rewritten_history(clone: Path) -> None:
    entry = read_entry(clone, DOUBLE)
    entry["history"][0]["reason"] = "as agreed"
    write_entry(clone, DOUBLE, entry)
    found = gate(clone)
    assert found.exit_code == 1
    assert "toy/double: its history was rewritten: it does not end with that of the base" in found.output


def test_other_outputs_without_an_event(clone: Path) -> None:
    made = other_values()
    put(clone, made, rewritten(made))
    found = gate(clone)
    assert found.exit_code == 1
    assert "toy/double: its content changed, and no event says why" in found.output


def test_a_golden_that_is_gone_or_lost_its_entry(clone: Path) -> None:
    golden_path(clone, "toy/triple").unlink()
    entry_path(clone, "toy/slow").unlink()
    entry_path(clone, "toy/ramp").write_text("{")
    found = gate(clone)
    assert found.exit_code == 1
    assert "toy/triple: the golden is gone" in found.output
    assert "toy/slow: its entry cannot be read: there is none" in found.output
    assert "ramp.json: Expecting property name" in found.output


def test_a_weakening_that_an_event_declares_passes(clone: Path) -> None:
    made = wider(3)
    put(clone, made, told(made, weakens="tolerance: the FFT of TensorFlow 2.99 rounds otherwise"))
    found = gate(clone)
    assert found.exit_code == 0, found.output
    assert found.output == (
        "toy/double: the tolerance of 'y' grew by a factor of 3; "
        "declared: tolerance: the FFT of TensorFlow 2.99 rounds otherwise\n"
        "no undeclared weakening; 1 golden(s) touched, 1 weakening(s) declared\n"
    )


def test_an_event_must_name_what_gets_weaker_and_be_new(clone: Path) -> None:
    made = without_faults()
    put(clone, made, told(made, weakens="fault negated, which nobody makes"))
    assert gate(clone).exit_code == 1
    wide = wider(3)
    put(clone, wide, lambda events: told(wide, weakens="tolerance")(events[1:]))
    git("commit", "-qam", "said once")
    git("branch", "-f", "main")
    wider_still = wider(9)
    put(clone, wider_still, told(wider_still))
    assert "the tolerance of 'y' grew by a factor of 3" in gate(clone).output


def test_noise_may_grow_by_less_than_a_factor_of_two(clone: Path) -> None:
    made = wider(1.9)
    put(clone, made, told(made))
    assert gate(clone).exit_code == 0


def test_the_generator_records_a_declared_weakening(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golden.generator.regenerate.Reference", InProcess)
    run = generate(clone, "--update", "--redraw", "--reason", "better", "--weaken", "mask: too dark", DOUBLE)
    assert run.exit_code == 0, run.output
    assert read_entry(clone, DOUBLE)["history"][0]["weakens"] == "mask: too dark"
    assert generate(clone, "--weaken", "mask").exit_code == 2


def test_the_generator_reports_what_the_gate_will_require(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golden.generator.regenerate.Reference", InProcess)
    made = replace(wider(0.01), definition="0" * 16)
    put(clone, made, told(made))
    run = generate(clone, "--update", "--reason", "better", DOUBLE)
    assert run.exit_code == 0, run.output
    assert "toy/double: the tolerance of 'y' grew " in run.output
    assert "regenerate it with --weaken 'tolerance: ...')" in run.output


def test_a_change_of_the_gate_or_the_workflow_is_reported(clone: Path) -> None:
    top = clone.parents[1]
    for name, text in (
        ("golden/spec/operation.py", "HEADROOM = 8.0\nK = 0.5\n"),
        ("golden/review/gate.py", "pass\n"),
        (".github/workflows/goldens.yml", "on: push\n"),
    ):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    git("add", ".")
    git("commit", "-qm", "a gate")
    git("branch", "-f", "main")
    (top / "golden/spec/operation.py").write_text("HEADROOM = 80.0\nK = 0.5\nOTHER = 1\n")
    (top / "golden/review/gate.py").write_text("raise SystemExit\n")
    (top / ".github/workflows/goldens.yml").write_text("on: never\n")
    found = gate(clone)
    assert found.exit_code == 1
    assert found.output.splitlines() == [
        "the gate: it judges requests, and this request changes it: golden/review/gate.py, golden/spec/operation.py",
        "the workflow: it judges requests, and this request changes it: .github/workflows/goldens.yml",
        "HEADROOM: was 8.0, is 80.0 (golden/spec/operation.py)",
        "3 undeclared weakening(s); 0 golden(s) touched",
    ]


def test_a_base_with_one_manifest_for_all(clone: Path) -> None:
    entries = {case.name: read_entry(clone, case.name) for case in CASES}
    for name, entry in entries.items():
        entry["history"] = entry["history"][::-1]
        entry_path(clone, name).unlink()
    broken = {**entries, "toy/slow": entries.pop("toy/slow")}
    del broken["toy/slow"]
    (clone / "MANIFEST.json").write_text(json.dumps({"format": "ptycho-golden manifest 1", "cases": broken}))
    git("add", "-A")
    git("commit", "-qm", "one manifest")
    git("branch", "-f", "main")
    git("checkout", "-q", "HEAD~1", "--", str(clone))
    (clone / "MANIFEST.json").unlink()
    made = wider(3)
    put(clone, made, told(made))
    found = gate(clone)
    assert found.exit_code == 1
    assert found.output.splitlines() == [
        "toy/double: the tolerance of 'y' grew by a factor of 3 "
        "(restore it, or regenerate it with --weaken 'tolerance: ...')",
        "not compared: the base has a MANIFEST.json, which has no confirmations, axes or units",
        "not compared: toy/slow: the base has no readable entry",
        "1 undeclared weakening(s); 4 golden(s) touched",
    ]


def test_as_a_comment_and_for_a_program(clone: Path) -> None:
    made = without_faults()
    put(clone, made, told(made, weakens="fault row_lost | <img src=x> @team"))
    markdown = gate(clone, "--markdown")
    assert markdown.exit_code == 1
    assert markdown.output.startswith("### Gate: 3 undeclared weakening(s); 1 golden(s) touched")
    assert "<img" not in markdown.output
    assert "@team" not in markdown.output
    found = json.loads(gate(clone, "--json").output)
    assert (found["passed"], found["touched"]) == (False, [DOUBLE])
    assert {one["subject"] for one in found["weakenings"]} == {DOUBLE}


@pytest.mark.parametrize("span", ["nowhere...HEAD", "nowhere"])
def test_a_revision_that_does_not_exist_is_one_clear_error(clone: Path, span: str) -> None:
    found = gate(clone, span=span)
    assert found.exit_code == 2
    assert "golden: 'nowhere': no such file, directory or revision" in found.output


def compared(change: Callable[[Entry], object], before: Callable[[Entry], object] = lambda entry: None) -> list[str]:
    """Return what the gate says about two entries of the same content."""
    made = make_golden(CASE)
    event = {"date": "2026-01-01", "reason": "first", "tensorflow": "none", "before": None}
    old, new = (make_entry(made, [{**event, "after": made.content_digest()[:16]}], {}) for _ in range(2))
    before(old)
    before(new)
    change(new)
    return [one.said for one in weakenings({DOUBLE: old}, {DOUBLE: new})]


def confirm(entry: Entry) -> None:
    entry["confirmed"] = {
        "reference": "ptycho",
        "commit": "0" * 40,
        "tensorflow": "2.21.0",
        "date": "2026-01-01",
        "share": 0.1,
        "value": value_of(entry),
    }


def test_a_confirmation_that_went() -> None:
    assert compared(lambda entry: entry.pop("confirmed"), confirm) == [
        "no longer confirmed (previously by ptycho 0000000)"
    ]
    assert compared(lambda entry: None, confirm) == []


def test_a_record_of_a_confirmation_that_was_rewritten() -> None:
    (said,) = compared(lambda entry: entry["confirmed"].update(share=0.01), confirm)
    assert said.startswith(
        "the record of its confirmation by ptycho 0000000 was rewritten: share 0.1, now 0.01; restore"
    )
    # A confirmation by another release is a claim, not a weakening.
    assert compared(lambda entry: entry["confirmed"].update(share=0.01, commit="1" * 40), confirm) == []


def test_an_output_that_went_or_is_no_longer_exact() -> None:
    assert compared(lambda entry: entry["outputs"].pop("rows")) == ["output 'rows' is gone"]
    assert compared(lambda entry: entry["outputs"]["rows"].pop("tolerance")) == ["output 'rows' is no longer exact"]


def test_noise_that_grew_alone_and_tolerance_that_grew_at_zero_alone() -> None:
    y = make_entry(make_golden(CASE), [], {})["outputs"]["y"]
    assert compared(lambda entry: entry["outputs"]["y"].update(noise_rtol=3 * y["noise_rtol"] + 1)) != []
    (said,) = compared(lambda entry: entry["outputs"]["y"].update(atol=3 * y["atol"], rtol=0.0))
    assert said == "the tolerance of 'y' grew by a factor of 3"


def test_a_damaged_entry_cannot_be_declared() -> None:
    assert weakenings({}, {DOUBLE: "damaged"}) == [Weakening(DOUBLE, "its entry cannot be read: damaged")]


# ------------------------------------------------------------------------------- what no single request does


def merge_request(clone: Path, made: Golden, **event: Any) -> Result:
    """Request a golden, and merge it whatever the gate says."""
    put(clone, made, told(made, **event))
    found = gate(clone)
    git("commit", "-qam", "asked for")
    git("branch", "-f", "main")
    return found


def test_small_steps_of_a_tolerance_add_up(clone: Path) -> None:
    assert merge_request(clone, wider(1.9)).exit_code == 0
    second = merge_request(clone, wider(3.5))
    assert second.exit_code == 1
    assert (
        "the tolerance of 'y' grew by a factor of 3.5, in steps since 2026-01-01 (restore it, or regenerate it"
        in second.output
    )
    assert "noise" not in second.output
    narrower = wider(3.4)
    put(clone, narrower, told(narrower))
    assert gate(clone).exit_code == 0, "a tolerance that shrinks does not answer for earlier growth"


def test_steps_are_counted_from_the_last_declared_or_refused_one(clone: Path) -> None:
    assert merge_request(clone, wider(1.9)).exit_code == 0
    assert merge_request(clone, wider(3.5), weakens="tolerance: another FFT").exit_code == 0
    assert merge_request(clone, wider(5)).exit_code == 0
    assert merge_request(clone, wider(50)).exit_code == 1, "the gate refuses it, but it is merged"
    assert merge_request(clone, wider(90)).exit_code == 0
    assert merge_request(clone, wider(110)).exit_code == 1


def test_small_steps_of_a_mask_add_up() -> None:
    made = make_golden(CASE)
    first, second, third = (make_entry(made, history(made), {}) for _ in range(3))
    for entry, left in ((first, 100), (second, 96), (third, 92)):
        entry["outputs"]["y"]["compared"] = f"{left} of 100"
    (one,) = weakenings({DOUBLE: second}, {DOUBLE: third}, lambda case: [first])
    assert one.said == "92.0% of the elements of 'y' are compared, 100.0% before, in steps since 2026-01-01"
    assert weakenings({DOUBLE: second}, {DOUBLE: third}, lambda case: []) == []


def test_a_shallow_clone_reports_that_it_cannot_see_steps(clone: Path, tmp_path: Path) -> None:
    merge_request(clone, wider(1.9))
    made = wider(3.5)
    put(clone, made, told(made))
    git("commit", "-qam", "again")
    git("clone", "-q", "--depth", "2", f"file://{tmp_path}", "shallow")
    found = gate(tmp_path / "shallow" / "deep" / "fixtures", span="HEAD~..HEAD")
    assert found.exit_code == 0
    assert "not compared: growth in small steps, over several requests: this clone is shallow" in found.output


# ------------------------------------------------------------------------------- what a request claims


def test_a_new_confirmation_is_a_claim_that_says_how_to_check_it(clone: Path) -> None:
    entry = read_entry(clone, DOUBLE)
    confirm(entry)
    write_entry(clone, DOUBLE, entry)
    git("add", ".")
    for found in (gate(clone), gate(clone, "--markdown")):
        assert found.exit_code == 0
        assert "are said to be confirmed by ptycho 0000000; to check that, install 000" in found.output
        assert f"install {'0' * 40} and run: python generate" in found.output
        assert "--cross-check ptycho --slow --record toy/double" in found.output
    git("commit", "-qam", "confirmed")
    git("branch", "-f", "main")
    assert "are said to be confirmed" not in gate(clone).output


def forged_picture(clone: Path, forge: Callable[[Path], object]) -> Result:
    picture = clone / f"{DOUBLE}.png"
    forge(picture)
    entry = read_entry(clone, DOUBLE)
    entry["picture"]["sha256"] = hashlib.sha256(picture.read_bytes()).hexdigest()
    write_entry(clone, DOUBLE, entry)
    return gate(clone)


def brighter(picture: Path) -> None:
    from PIL import Image, ImageDraw

    image = Image.open(picture).convert("RGB")
    ImageDraw.Draw(image).rectangle((20, 30, 22, 32), fill="white")
    image.save(picture)


def larger(picture: Path) -> None:
    from PIL import Image

    Image.new("RGB", (5, 7)).save(picture)


@pytest.mark.parametrize(
    ("forge", "how"),
    [
        (brighter, " of its "),
        (larger, "it has 5 x 7 pixels, not "),
        (lambda picture: picture.write_bytes(b"\x89PNG\r\n\x1a\nno more"), "it cannot be decoded"),
    ],
)
def test_a_picture_forged_with_its_digest(clone: Path, forge: Callable[[Path], object], how: str) -> None:
    found = forged_picture(clone, forge)
    assert found.exit_code == 1
    (said,) = (line for line in found.output.splitlines() if "picture" in line)
    assert said.startswith(f"toy/double: its picture does not show its data: {how.lstrip()}") or how in said


def test_a_picture_may_be_compressed_differently(clone: Path) -> None:
    from PIL import Image

    assert forged_picture(clone, lambda picture: Image.open(picture).convert("RGB").save(picture)).exit_code == 0


def test_without_pillow_it_reports_that_no_picture_is_compared(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    entry = read_entry(clone, DOUBLE)
    confirm(entry)
    write_entry(clone, DOUBLE, entry)
    assert "not compared: pictures: pictures need Matplotlib and Pillow" in gate(clone).output


# ------------------------------------------------------------------------------- what decides how much is checked


def test_a_suite_that_runs_less_is_reported(clone: Path) -> None:
    top = clone.parents[1]
    cases, settings = top / "tests/golden/standin.py", top / "pyproject.toml"
    cases.parent.mkdir(parents=True)
    cases.write_text('CASES = (Case("probe/a", OP), Case("probe/b", OP, slow=True), make("probe/c", slow=False))\n')
    settings.write_text('[tool.pytest.ini_options]\naddopts = ["-ra"]\n')
    git("add", ".")
    git("commit", "-qm", "cases")
    git("branch", "-f", "main")
    cases.write_text('CASES = (Case("probe/a", OP, slow=True), Case("probe/b", OP, slow=True), make("probe/c"))\n')
    settings.write_text('[tool.pytest.ini_options]\naddopts = ["-ra", "--deselect=tests"]\n')
    (top / "conftest.py").write_text("collect_ignore = ['tests']\n")
    git("add", ".")
    found = gate(clone)
    assert found.exit_code == 1
    assert found.output.splitlines() == [
        "the suite: it judges requests, and this request changes it: conftest.py",
        "addopts: was ['-ra'], is ['-ra', '--deselect=tests'] (pyproject.toml)",
        "tests/golden/standin.py: declares slow=True for probe/a: neither the suite nor a recomputation runs "
        "it unless asked to",
        "3 undeclared weakening(s); 0 golden(s) touched",
    ]


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("pytest.toml", "[pytest]\n", "the suite: it judges requests, and this request changes it: pytest.toml"),
        (
            "tests/golden/conftest.py",
            "pass\n",
            "the suite: it judges requests, and this request changes it: tests/golden/",
        ),
        (
            "tests/torch/subject/probe.py",
            "pass\n",
            "the suite: it judges requests, and this request changes it: tests/torch",
        ),
        (
            "golden/__main__.py",
            "raise SystemExit\n",
            "the gate: it judges requests, and this request changes it: golden/__m",
        ),
        (
            "golden/generator/freeze.py",
            "pass\n",
            "the proof: it judges requests, and this request changes it: golden/gene",
        ),
        (
            "deep/fixtures/.gitattributes",
            "*.json -diff\n",
            "the workflow: it judges requests, and this request changes it: de",
        ),
        (
            "pyproject.toml",
            "[project.scripts]\ngolden = 'a:b'\n",
            "scripts: was none, is {'golden': 'a:b'} (pyproject.toml)",
        ),
        (
            "ptycho_torch/pyproject.toml",
            "[project]\n[project.entry-points.pytest11]\nkind = 'a'\n",
            "entry-points: was none, is {'pytest11': {'kind': 'a'}} (ptycho_torch/pyproject.toml)",
        ),
        ("tests/test_old.py", "", "tests/test_old.py: its tests were removed"),
        (
            "tests/test_parity.py",
            "pass\n",
            "tests/test_parity.py: it checks the port against goldens, and this request changes",
        ),
        (
            "tests/torch/test_new.py",
            "@pytest.mark.golden('probe.normalise')\ndef test(golden): golden.check(1)\n",
            "tests/torch/test_new.py: it checks the port against goldens, and this request changes it",
        ),
    ],
)
def test_other_changes_of_the_checks_are_reported(clone: Path, path: str, text: str, message: str) -> None:
    top = clone.parents[1]
    settings = '[project]\n[tool.pytest.ini_options]\naddopts = ["-ra"]\n'
    files = {
        "pyproject.toml": settings,
        "ptycho_torch/pyproject.toml": "[project]\n",
        "tests/test_old.py": "def test(): assert True\n",
        "tests/test_parity.py": "from golden.testing import test_goldens\n",
    }
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)
    git("add", ".")
    git("commit", "-qm", "a suite")
    git("branch", "-f", "main")
    (top / path).parent.mkdir(parents=True, exist_ok=True)
    (top / path).write_text(settings + text if path == "pyproject.toml" else text)
    (top / "tests/test_gate.py").write_text('TEXT = "@pytest.mark.golden"\n')
    git("add", ".")
    found = gate(clone)
    assert found.exit_code == 1
    told, last = found.output.splitlines()
    assert told.startswith(message)
    assert last == "1 undeclared weakening(s); 0 golden(s) touched"


def test_names_that_only_resemble_watched_ones_are_not_reported(clone: Path) -> None:
    for name in ("golden/specimen.py", "golden/cli.py.orig", "docs/myconftest.py", "x/golden/spec/a.py"):
        (clone.parents[1] / name).parent.mkdir(parents=True, exist_ok=True)
        (clone.parents[1] / name).write_text("pass\n")
    assert gate(clone).exit_code == 0
    (clone.parents[1] / "docs/conftest.py").touch()
    told = "the suite: it judges requests, and this request changes it: docs/conftest.py"
    assert gate(clone).output.splitlines()[0] == told


def test_a_submodule_that_git_is_told_to_ignore_is_reported(clone: Path) -> None:
    """``ignore = all`` hides it from a plain git diff."""
    one, other = (git("commit-tree", "-m", name, "HEAD^{tree}") for name in ("one", "other"))
    place = "tests/torch/subject"
    (clone.parents[1] / ".gitmodules").write_text(f'[submodule "a"]\npath = {place}\nurl = ./a\nignore = all\n')
    git("add", ".")
    for commit in (one, other):
        git("update-index", "--add", "--cacheinfo", f"160000,{commit},{place}")
        git("commit", "-qm", "a submodule")
    found = gate(clone, span="HEAD~1...HEAD")
    assert f"the suite: it judges requests, and this request changes it: {place}" in found.output


def test_a_link_in_the_place_of_a_watched_directory_is_reported(clone: Path) -> None:
    (clone.parents[1] / ".github").symlink_to("deep")
    assert "the workflow: it judges requests, and this request changes it: .github" in gate(clone).output


@pytest.mark.parametrize(
    ("module", "found"),
    [
        ("Case('a', **{'slow': True})", {"'slow' by its name": 1}),
        (
            "def make(name, whole): Case(name, slow=whole)\nmake('a', whole=True)",
            {"slow=whole": 1, "whole=True for a": 1},
        ),
        ("Case('a', slow=False)", {}),
        ("replace(case, slow=whole)", {"slow=whole": 1}),
        ("def make(name, slow=True): pass", {"slow=True by default": 1}),
        ("def make(name, *, slow=False): pass", {}),
        ("class Case:\n    slow: bool = True", {"slow=True by default": 1}),
        ("class Case:\n    slow: bool", {}),
        ("no python", {}),
    ],
)
def test_slow_cases_are_read_from_the_code(module: str, found: dict[str, int]) -> None:
    assert slow_cases(module) == found


# ------------------------------------------------------------------------------- what the user set for git


def test_a_renamed_test_is_gone(clone: Path) -> None:
    parity = clone.parents[1] / "tests/test_parity.py"
    parity.parent.mkdir()
    parity.write_text("from golden.testing import test_goldens\n")
    git("add", ".")
    git("commit", "-qm", "a suite")
    git("branch", "-f", "main")
    git("mv", "tests/test_parity.py", "tests/parity.txt")
    assert "tests/test_parity.py: its tests were removed" in gate(clone).output


def test_a_file_that_git_does_not_track_yet_is_reported(clone: Path) -> None:
    (clone / "conftest.py").write_text("collect_ignore = ['tests']\n")
    assert "this request changes it: deep/fixtures/conftest.py\n" in gate(clone).output


@pytest.mark.parametrize("kind", ["LITERAL", "GLOB", "NOGLOB", "ICASE"])
def test_what_a_program_says_of_paths_hides_no_change(clone: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Emacs's Magit says it to the hooks that it runs."""
    (clone / "conftest.py").write_text("collect_ignore = ['tests']\n")
    git("add", ".")
    monkeypatch.setenv(f"GIT_{kind}_PATHSPECS", "1")
    assert "this request changes it: deep/fixtures/conftest.py\n" in gate(clone).output


def test_signatures_that_git_shows_hide_no_steps(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = clone.parent / "signer"
    signer.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "*--verify*) echo 'Good signature' >&2 ;;\n"
        "*) cat >/dev/null; echo '[GNUPG:] SIG_CREATED ' >&2; echo '-----BEGIN PGP SIGNATURE-----' ;;\n"
        "esac\n"
    )
    signer.chmod(0o755)
    for key, value in (("gpg.program", str(signer)), ("commit.gpgSign", "true"), ("log.showSignature", "true")):
        git("config", key, value)
    assert merge_request(clone, wider(1.9)).exit_code == 0
    assert "Good signature" in git("log", "-1")
    assert "in steps since 2026-01-01" in merge_request(clone, wider(3.5)).output
    told = CliRunner().invoke(main, ["diff", "HEAD~1..HEAD", "--fixtures", str(clone)]).output
    assert f"after: HEAD = {git('rev-parse', '--short=10', 'HEAD')} of 20" in told
