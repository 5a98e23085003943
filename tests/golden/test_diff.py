"""``golden diff``: what moved between two sets of goldens, and by how much."""

from __future__ import annotations

import errno
import os
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from pytest_regressions.file_regression import FileRegressionFixture

import golden
from golden.cli import main
from golden.judge.compare import Tolerance
from golden.review.difference import differences
from golden.spec.errors import GoldenError
from golden.store import sources as store_sources
from golden.store.entry import read_entry
from golden.store.git import write_blob
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden
from golden.store.write import write_golden
from tests.golden import standin
from tests.golden.conftest import fill, git, write_entry
from tests.golden.corruptions import make_older
from tests.golden.pages import read

DOUBLE = standin.CASES[0]


def diff(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diff", *arguments])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Return two directories. In the second, one golden is negated, one is gone, one is new, and one is damaged."""
    before, after = tmp_path / "before", tmp_path / "after"
    fill(before)
    fill(after)
    rewrite(after, y=lambda y: -y)
    golden_path(after, "toy/triple").unlink()
    golden_path(before, "toy/ramp").unlink()
    golden_path(after, "toy/slow").write_bytes(b"")
    return before, after


def rewrite(directory: Path, y) -> None:
    made = standin.make_golden(DOUBLE)
    golden_path(directory, DOUBLE.name).unlink()
    outputs = {**made.outputs, "y": y(made.outputs["y"])}
    write_golden(golden_path(directory, DOUBLE.name), replace(made, outputs=outputs))


@pytest.mark.parametrize("kind", ["text", "markdown"])
def test_directories(pair: tuple[Path, Path], kind: str, file_regression: FileRegressionFixture) -> None:
    result = diff(*map(str, pair), *(["--markdown"] if kind == "markdown" else []))
    assert result.exit_code == 0, result.output
    told = result.output.replace(str(pair[0].parent), "<directory>")
    file_regression.check(told, extension=".md" if kind == "markdown" else ".txt", encoding="utf-8")
    assert diff(*map(str, pair), "--exit-code").exit_code == 1


def test_the_first_block_of_a_network_that_differs_is_explained(tmp_path: Path) -> None:
    """Outputs are listed in the order of the computation, and later differences are not explained."""
    name = "network/forward_group1"
    stored = Path(golden.__file__).parent / "fixtures" / f"{name}.h5"
    made = read_golden(stored)
    outputs = {key: array if key in ("encoder_1", "encoder_2") else array * 2 for key, array in made.outputs.items()}
    after = tmp_path / "after.h5"
    write_golden(after, replace(made, outputs=outputs))
    told = diff(str(stored), str(after)).output
    assert told.count("compared with the old one: ") == 1
    assert "compared with the old one: first differs after encoder block 3: the old values, but multiplied by" in told
    places = [told.index(f"output {key!r} ") for key in ("encoder_3", "amplitude_up_1", "phase", "object", "loss")]
    assert places == sorted(places)


def test_the_same_content_in_an_older_format(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    fill(before)
    fill(after)
    with h5py.File(golden_path(before, DOUBLE.name), "r+") as file:
        make_older(file)
    assert diff(str(before), str(after)).output == (
        "reason: none recorded in the history of the entries\n  1 golden: toy/double\n\n"
        "toy/double: changed; outputs identical\n"
        "  the same content in another form: ptycho-golden 4, now ptycho-golden 5; axes and units of 2 arrays added\n"
        "\n1 changed (outputs: 1 identical)\n"
    )


def test_equal_directories(pair: tuple[Path, Path]) -> None:
    result = diff(str(pair[0]), str(pair[0]), "--exit-code")
    assert result.exit_code == 0
    assert result.output == "no golden differs\n"


def test_files_and_one_case(pair: tuple[Path, Path]) -> None:
    files = [str(golden_path(directory, "toy/double")) for directory in pair]
    assert diff(*files).output.endswith("1 changed (outputs: 1 breaking)\n")
    assert diff(*map(str, pair), "--only", "toy/tri*").output == "toy/triple: removed\n  three times\n\n1 removed\n"


def test_markdown_is_escaped(pair: tuple[Path, Path]) -> None:
    made = replace(standin.make_golden(DOUBLE), summary="<img src=x> | twice")
    path = golden_path(pair[1], DOUBLE.name)
    path.unlink()
    write_golden(path, made)
    assert "<img" not in diff(*map(str, pair), "--markdown").output


EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    fixtures = tmp_path / "deep" / "fixtures"
    fixtures.parent.mkdir()
    fill(fixtures)
    for step in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        git(*step)
    rewrite(fixtures, y=lambda y: y * np.float32(1.25))
    return fixtures


def test_revisions_are_read_without_a_checkout(clone: Path) -> None:
    told = diff("HEAD", "--fixtures", str(clone)).output
    assert "toy/double: changed; outputs breaking" in told
    assert "the old values, but multiplied by 1.25" in told
    git("commit", "-qam", "second")
    assert diff("HEAD", "--fixtures", str(clone)).output == "no golden differs\n"
    for span in ("HEAD~1..HEAD", "HEAD~1..", "HEAD~1...main"):
        assert diff(span, "--fixtures", str(clone)).output.endswith("1 changed (outputs: 1 breaking)\n"), span


def test_an_ambiguous_name_is_not_called_unknown(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a thousand commits, so that some share their first four digits, and let git speak German."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    commits = "".join(f"commit refs/heads/many\ncommitter a <a@b> {n} +0000\ndata 1\nx\n" for n in range(1000))
    subprocess.run(["git", "fast-import", "--quiet"], input=commits, text=True, check=True)
    names = Counter(name[:4] for name in git("rev-list", "many").split())
    name = names.most_common(1)[0][0]
    assert diff(name, "--fixtures", str(clone)).stderr == (
        f"golden: {name!r}: the names of several commits begin like this; give more digits\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere..HEAD"], "golden: 'nowhere': no such file, directory or revision"),
        (["--output=x"], "No such option"),
        (["nowhere", "neither"], "golden: 'nowhere': no such file, directory or revision"),
        (["deep", "nowhere"], "golden: nowhere: no such file or directory"),
        (["deep/fixtures", "deep/fixtures/toy/double.h5"], "expected two files or two directories"),
        (["deep/fixtures/toy/double.h5"], "expected a second file or directory to compare it with"),
        (["unrelated...HEAD"], "no common ancestor here"),
        (["empty..empty"], "no golden on either side"),
    ],
)
def test_a_side_that_does_not_exist_is_one_clear_error(clone: Path, arguments: list[str], message: str) -> None:
    git("branch", "-q", "empty", git("commit-tree", "-m", "empty", EMPTY_TREE))
    git("branch", "-q", "unrelated", git("commit-tree", "-m", "unrelated", "HEAD^{tree}"))
    result = diff(*arguments, "--fixtures", str(clone))
    assert result.exit_code == 2
    assert message in result.output


def test_what_else_changed(tmp_path: Path, file_regression: FileRegressionFixture) -> None:
    """The definition of a golden and its tolerances are part of a difference, like its outputs."""
    made = standin.make_golden(DOUBLE)
    write_golden(tmp_path / "a.h5", made)
    negated = made.faults["negated"]
    nearly = replace(negated, outputs={"y": replace(negated.outputs["y"], share=1.01 * negated.outputs["y"].share)})
    told = ""
    for change in (
        {
            "summary": "thrice",
            "parameters": {"factor": 3.0},
            "inputs": {"x": made.inputs["x"] + np.complex64(1)},
            "draw": 1,
            "definition": "0" * 16,
            "faults": {name: fault for name, fault in made.faults.items() if name != "negated"},
        },
        {"faults": {**made.faults, "negated": nearly}},
        {"tolerances": made.tolerances | {"y": Tolerance(9, 9, 1, 1)}},
        {"where": {"y": np.zeros((4, 5), bool)}},
        {"expected_constant": {}},
        {"invisible": {"other": "unseen"}},
        {"noise": {"y": {"float64": 2e-6}}},
        {"provenance": {"reference": "another"}},
        {"outputs": made.outputs | {"y": made.outputs["y"] * -1}, "faults": {}},
    ):
        (tmp_path / "b.h5").unlink(missing_ok=True)
        write_golden(tmp_path / "b.h5", replace(made, **change))
        told += f"# changed: {', '.join(change)}\n{diff(str(tmp_path / 'a.h5'), str(tmp_path / 'b.h5')).output}\n"
    file_regression.check(told, encoding="utf-8")


def test_hostile_names_are_escaped(clone: Path) -> None:
    blob = git("rev-parse", "HEAD:deep/fixtures/toy/double.h5")
    names = ["toy/\x1b]0;owned\x07.h5", "toy/two\nlines.h5", "toy/<img src=x onerror=alert(1)>.h5", "toy/`|@team.h5"]
    for name in names:
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},deep/fixtures/{name}")
    git("update-index", "--add", "--cacheinfo", f"120000,{blob},deep/fixtures/toy/link.h5")
    git("update-index", "--add", "--cacheinfo", f"160000,{git('rev-parse', 'HEAD')},deep/fixtures/toy/module.h5")
    git("commit", "-qm", "hostile")
    told = diff("HEAD~1..HEAD", "--fixtures", str(clone)).output
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "two\\nlines" in told
    assert told.count("a symbolic link or a submodule, not a file") == 2
    markdown = diff("HEAD~1..HEAD", "--fixtures", str(clone), "--markdown").output
    assert "<img" not in markdown
    assert "@team" not in markdown.partition("<details>")[0]  # in <pre> it mentions nobody


def with_event(directory: Path, reason: str, **answered: str) -> None:
    """Add an event with a reason to the entry of the golden that ``rewrite`` changed, and set its provenance."""
    entry = read_entry(directory, DOUBLE.name)
    event = {**entry["history"][0], "date": "2026-02-02", "reason": reason, "before": entry["history"][0]["after"]}
    entry |= {"history": [event, *entry["history"]], "provenance": {**entry["provenance"], **answered}}
    write_entry(directory, DOUBLE.name, entry)


def test_it_begins_with_reason_provenance_and_commits(clone: Path) -> None:
    with_event(clone, "scaled on *purpose*", reference="ptycho", tensorflow="2.99", numpy="9")
    git("commit", "-qam", "the second")
    commits = [git("show", "-s", "--format=%h of %cs", "--abbrev=10", name) for name in ("HEAD~1", "HEAD")]
    told = diff("HEAD~1..HEAD", "--fixtures", str(clone)).output
    assert told.startswith(
        "reason: scaled on *purpose*\n"
        "  2026-02-02; ptycho, TensorFlow 2.99, numpy 9; 1 golden: toy/double\n"
        f"before: HEAD~1 = {commits[0]}: first\n"
        f"after: HEAD = {commits[1]}: the second\n\n"
        "toy/double: changed; outputs breaking\n"
    )
    markdown = diff("HEAD~1..HEAD", "--fixtures", str(clone), "--markdown").output
    assert markdown.splitlines()[2] == "**Reason:** scaled on &#42;purpose&#42;<br>"
    diff("HEAD~1..HEAD", "--fixtures", str(clone), "--html", "page.html")
    page = read(Path("page.html").read_text())
    assert page.index("scaled on *purpose*") < page.index("TensorFlow 2.99") < page.index("1 changed")


def test_a_change_without_a_reason(clone: Path) -> None:
    git("commit", "-qam", "second")
    told = diff("HEAD~1..HEAD", "--fixtures", str(clone)).output
    assert told.startswith("reason: none recorded in the history of the entries\n  1 golden: toy/double\n")


def test_the_worst_comes_first(pair: tuple[Path, Path]) -> None:
    triple, ramp = (standin.make_golden(case) for case in standin.CASES[1:3])
    found = differences(
        {"toy/a": triple, "toy/b": triple, "toy/c": ramp},
        {"toy/a": triple, "toy/b": scaled(triple, 1.0 + 1e-4), "toy/c": scaled(ramp, 2.0), "toy/d": "broken"},
    )
    assert [one.case for one in found] == ["toy/d", "toy/c", "toy/b"]


def scaled(made: Golden, factor: float) -> Golden:
    outputs = {
        name: (array * array.dtype.type(factor)).astype(array.dtype) if array.dtype.kind in "fc" else array
        for name, array in made.outputs.items()
    }
    return replace(made, outputs=outputs)


def test_goldens_are_read_case_by_case_until_they_are_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for side in (before, after):
        fill(side)
    for path in sorted(after.glob("toy/*.h5")):
        moved = read_golden(path)
        path.unlink()
        write_golden(path, replace(moved, summary="other words"))
    monkeypatch.setattr(store_sources, "_MOST_HELD", 1)
    told = CliRunner().invoke(main, ["diff", str(before), str(after)]).output
    first, *others = sorted(case.name for case in standin.CASES)
    assert f"{first}: changed" in told
    for case in others:
        assert f"{case}: unreadable" in told
    assert told.count("not read; what differs is larger than 1 bytes. Choose cases with --only") == 2 * len(others)


def test_a_hook_of_another_repository_leads_nowhere_else(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(clone.parents[1] / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(clone.parents[1] / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", "nowhere")
    assert "toy/double: changed; outputs breaking" in diff("HEAD", "--fixtures", str(clone)).output


def test_what_lies_deeper_than_a_topic_is_no_golden_on_either_side(clone: Path) -> None:
    (clone / "toy" / "old").mkdir()
    (clone / ".kept").mkdir()
    for place in ("toy/old/double.h5", ".kept/double.h5", "double.h5"):
        (clone / place).write_bytes((clone / "toy" / "ramp.h5").read_bytes())
    git("add", ".")
    git("commit", "-qm", "second")
    assert diff("HEAD", "--fixtures", str(clone)).output == "no golden differs\n"


def test_a_clone_whose_name_is_not_utf_8(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = clone.parents[1]
    strange = Path(os.fsdecode(os.fsencode(top) + b" \xff"))
    try:
        top.rename(strange)
    except OSError:
        pytest.skip("this file system has no such names")
    monkeypatch.chdir(strange)
    assert diff("HEAD", "--fixtures", "deep/fixtures").output.endswith("1 changed (outputs: 1 breaking)\n")


def test_an_object_that_git_lost_is_told_of_git(clone: Path) -> None:
    blob = git("rev-parse", "HEAD:deep/fixtures/toy/double.h5")
    (clone.parents[1] / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    told = diff("HEAD", "--fixtures", str(clone)).output
    assert f"git does not have the object {blob}" in told
    assert "damaged" not in told


def test_a_full_disk_is_not_told_as_damage(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git cannot write a golden to the temporary directory."""

    def full(directory: Path, blob: str, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store_sources, "write_blob", full)
    result = diff("HEAD", "--fixtures", str(clone))
    assert result.exit_code == 2
    assert result.stderr.startswith("golden: HEAD:deep/fixtures/toy/double.h5: cannot be copied to ")
    assert result.stderr.endswith(": No space left on device\n")


def test_what_git_cannot_write_is_told(clone: Path) -> None:
    with pytest.raises(GoldenError, match=r"^git cat-file blob 0{40}: fatal: "):
        write_blob(clone, 40 * "0", clone / "copy")


def test_a_git_that_cannot_be_run_is_told(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = clone.parents[1] / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    assert diff("HEAD", "--fixtures", str(clone)).stderr.endswith("git is not installed, or not on the PATH\n")
    (programs / "git").write_text("no program")
    (programs / "git").chmod(0o755)
    assert "golden: git cannot be run: [Errno 8] Exec format error" in diff("HEAD", "--fixtures", str(clone)).stderr
