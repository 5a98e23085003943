"""Reports of a run: what people, programs and CI read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from golden.report.run import Check, Run, causes, headline, read_shares, require_ending, write_run
from golden.spec.errors import GoldenError

PASSED = Check("toy/fine", "toy.scale", {"y": {"verdict": "within noise", "share": 0.1}})
TIGHT = Check(
    "toy/tight",
    "toy.scale",
    {"y": {"verdict": "within tolerance", "share": 0.7}, "z": {"verdict": "identical", "share": 0.0}},
)
FAILED = Check(
    "toy/bad",
    "toy.scale",
    {"y": {"verdict": "structural", "share": None}},
    ["golden toy/bad: output 'y' structural", "  <script>expected & found</script>"],
    ["sign", "swap"],
)
VERSIONS = {"Python": "3.11", "NumPy": "2.4"}


def written(path: Path, *checks: Check, problems: tuple[str, ...] = ()) -> str:
    write_run(path, Run(checks, problems, ["test[toy/slow]"], False, VERSIONS))
    return path.read_text()


def test_headline() -> None:
    assert headline(Run([PASSED, TIGHT])) == (
        "2 checked, 3 outputs; most of its tolerance (0.7) is used by toy/tight, output 'y'"
    )
    assert headline(Run([PASSED, FAILED])) == "2 checked, 2 outputs; 1 failed: toy/bad"
    assert headline(Run()) == "no golden was compared"


def test_the_fewest_faults_that_explain_the_failures() -> None:
    def failed(*faults: str) -> Check:
        return Check("toy/bad", "toy.scale", {"y": {"verdict": "breaking", "share": 9.0}}, ["x"], faults)

    run = Run([PASSED, failed("swap", "sign"), failed("sign"), failed("crop"), failed()])
    assert causes(run) == [
        "2 of 4 failed goldens look like fault 'sign'",
        "1 of 4 failed goldens look like fault 'crop'",
        "1 of 4 failed goldens look like no declared fault",
    ]
    assert causes(Run([PASSED])) == []


def test_markdown(tmp_path: Path) -> None:
    text = written(tmp_path / "run.md", FAILED, PASSED, problems=("case toy/x: no golden",))
    assert text.startswith("## Goldens: 2 checked, 2 outputs; 1 failed: toy/bad\n")
    assert "* 1 of 1 failed goldens look like fault 'swap'" in text
    assert "* case toy/x: no golden" in text
    assert "* slow, not run: test[toy/slow]" in text
    assert "<pre>golden toy/bad: output 'y' structural\n  &lt;script&gt;" in text
    assert "| toy/bad | toy.scale | structural | not equal | y |\n| toy/fine |" in text


def test_json_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    document = json.loads(written(path, PASSED, TIGHT, FAILED))
    assert document["versions"] == VERSIONS
    assert read_shares(path) == {"toy/fine": 0.1, "toy/tight": 0.7, "toy/bad": float("inf")}


def test_html_stands_alone_and_is_escaped(tmp_path: Path) -> None:
    picture = tmp_path / "bad.png"
    picture.write_bytes(b"\x89PNG")
    drawn = Check(FAILED.case, FAILED.operation, FAILED.outputs, FAILED.lines, (), str(picture))
    page = written(tmp_path / "run.html", drawn, TIGHT, problems=("a <problem>",))
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "a &lt;problem&gt;" in page
    assert 'src="data:image/png;base64,iVBORw=="' in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert '<td class="warn">within tolerance</td>' in page


def test_a_lost_picture_is_left_out(tmp_path: Path) -> None:
    gone = Check(FAILED.case, FAILED.operation, FAILED.outputs, FAILED.lines, (), str(tmp_path / "gone.png"))
    assert "<img" not in written(tmp_path / "run.html", gone)


def test_it_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    written(tmp_path / "new" / "run.md", PASSED)
    written(tmp_path / "new" / "run.md", FAILED)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run.md"]


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match=r"expected a file that ends in \.md, \.json, \.html"):
        require_ending(Path("run.xml"))
    (tmp_path / "run.md").mkdir()
    with pytest.raises(GoldenError, match="is a directory"):
        require_ending(tmp_path / "run.md")


@pytest.mark.parametrize("text", ["", "{}", '{"format": "other"}', '{"format": "ptycho-golden run 1", "checks": [{}]}'])
def test_what_is_no_report_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(GoldenError, match=r"run\.json: .*; expected what 'pytest --golden-report=FILE\.json' writes"):
        read_shares(tmp_path / "run.json")


def test_only_a_sound_run_is_green() -> None:
    assert Run([PASSED]).green
    assert not Run([]).green
    assert not Run([PASSED, FAILED]).green
    assert not Run([PASSED], status="interrupted").green
    assert not Run([PASSED], ["case toy/x: no golden"]).green
    assert not Run([Check("toy/broken", "toy.scale", {}, ["ZeroDivisionError"])]).green


def test_what_broke_before_it_was_compared_is_told(tmp_path: Path) -> None:
    broken = Check("toy/broken", "toy.scale", {}, ["E  ZeroDivisionError \x1b[31m"])
    text = written(tmp_path / "run.md", broken)
    assert "1 failed: toy/broken" in text
    assert "| toy/broken | toy.scale | error |" in text
    assert "ZeroDivisionError ?[31m" in text
    assert 'class="bad">1 checked' in written(tmp_path / "run.html", broken)


def test_the_worst_of_two_checks_of_a_case_counts(tmp_path: Path) -> None:
    again = Check(TIGHT.case, TIGHT.operation, {"y": {"verdict": "identical", "share": 0.0}})
    written(tmp_path / "run.json", TIGHT, again)
    assert read_shares(tmp_path / "run.json") == {"toy/tight": 0.7}
