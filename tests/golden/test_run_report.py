"""Reports of a run: what people, programs and CI read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_regressions.data_regression import DataRegressionFixture
from pytest_regressions.file_regression import FileRegressionFixture

from golden.report.run import (
    FORMAT,
    Check,
    Run,
    causes,
    headline,
    read_shares,
    require_report,
    write_failure,
    write_run,
)
from golden.spec.errors import GoldenError
from golden.store.golden import golden_path
from golden.store.read import read_golden
from golden.store.write import write_outputs
from tests.golden.pages import Tags, pictures, read

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
BROKEN = Check("toy/broken", "toy.scale", {}, ["    port(x)", "E   ZeroDivisionError \x1b[31m", "port.py:3: Zero"])
CHECKS = (FAILED, TIGHT, BROKEN, PASSED)
VERSIONS = {"Python": "3.11", "NumPy": "2.4"}


def written(path: Path, *checks: Check, fixtures: Path = Path()) -> str:
    write_run(path, Run(checks, ["case toy/x: a <problem>"], ["test[toy/slow]"], False, VERSIONS), fixtures)
    return path.read_text()


def failed(case: str, obtained: Path) -> Check:
    """Return the check of a port that negates, whose outputs are in a file."""
    sentence = "matches fault 'negated' exactly"
    outputs = {"y": {"verdict": "breaking", "share": 2e5}, "rows": {"verdict": "identical", "share": 0.0}}
    diagnoses = [{"outputs": ["y"], "sentence": sentence}]
    lines = [f"golden {case}: output 'y' breaking", f"  diagnosis: {sentence}"]
    return Check(case, "toy.scale", outputs, lines, ["negated"], diagnoses, {"y": "a note"}, str(obtained))


def test_headline() -> None:
    assert headline(Run([PASSED, TIGHT])) == (
        "2 checked, 3 outputs; closest to its tolerance: toy/tight, output 'y' (0.7 of it)"
    )
    assert headline(Run([PASSED, FAILED])) == "2 checked, 2 outputs; 1 failed: toy/bad"
    assert headline(Run()) == "no golden was compared"


def test_the_fewest_faults_that_explain_the_failures() -> None:
    def failed(name: str, *faults: str, diagnoses: Sequence[Mapping[str, Any]] = ()) -> Check:
        return Check(name, "toy.scale", {"y": {"verdict": "breaking", "share": 9.0}}, ["x"], faults, diagnoses)

    run = Run(
        [PASSED, failed("toy/a", "swap", "sign"), failed("toy/b", "sign"), failed("toy/c", "crop"), failed("toy/d")]
    )
    assert causes(run) == [
        "2 of 4 failed goldens look like fault 'sign'",
        "1 of 4 failed goldens look like fault 'crop'",
        "1 of 4 failed goldens match no known fault",
    ]
    assert causes(Run([PASSED])) == []
    two = [{"outputs": ["y"], "sentence": "", "fault": "swap"}, {"outputs": ["z"], "sentence": "", "fault": "crop"}]
    assert causes(Run([failed("toy/e", diagnoses=two), failed("toy/f", diagnoses=two), failed("toy/g")])) == [
        "2 of 3 failed goldens look like several faults at once, 'crop' and 'swap'",
        "1 of 3 failed goldens match no known fault",
    ]


def test_a_golden_that_is_compared_twice_counts_once_with_its_worst_result() -> None:
    again = Check("toy/bad", "toy.scale", {"y": {"verdict": "identical", "share": 0.0}})
    assert headline(Run([again, FAILED, again])) == "1 checked, 1 outputs; 1 failed: toy/bad"
    assert causes(Run([FAILED, FAILED])) == ["1 of 1 failed goldens look like fault 'swap'"]


def test_markdown(tmp_path: Path, file_regression: FileRegressionFixture) -> None:
    file_regression.check(written(tmp_path / "run.md", *CHECKS), extension=".md", encoding="utf-8")


def test_json(tmp_path: Path, data_regression: DataRegressionFixture) -> None:
    data_regression.check(json.loads(written(tmp_path / "run.json", *CHECKS)))
    assert read_shares(tmp_path / "run.json") == {
        "toy/fine": 0.1,
        "toy/tight": 0.7,
        "toy/bad": float("inf"),
        "toy/broken": float("inf"),
    }


def test_a_page_of_what_was_expected_and_obtained(
    fixtures: Path, tmp_path: Path, file_regression: FileRegressionFixture
) -> None:
    golden = read_golden(golden_path(fixtures, "toy/double"))
    obtained = {**golden.outputs, "y": -golden.outputs["y"]}
    write_outputs(tmp_path / "obtained.h5", obtained)
    check = failed("toy/double", tmp_path / "obtained.h5")
    document = written(tmp_path / "run.html", check, *CHECKS[1:], fixtures=fixtures)
    file_regression.check(read(document), encoding="utf-8")
    assert [tag for tag, _ in Tags(document).tags].count("script") == 1
    write_failure(tmp_path / "one.html", check, golden, obtained)
    for page in (document, (tmp_path / "one.html").read_text()):
        for role in ("expected", "obtained", "difference"):
            assert [picture.shape for picture in pictures(page, role)] == [(4, 5, 4)] * 2
        assert not re.search(r'(?:src|href)="(?!data:|#)', page)


def test_failures_are_grouped_by_cause_the_most_frequent_first(tmp_path: Path) -> None:
    def told(case: str, *faults: str, excuse: str = "") -> Check:
        verdict = {"y": {"verdict": "breaking", "share": 9.0}}
        return Check(case, "toy.scale", verdict, ["E x"], faults, excuse=excuse)

    checks = [told("a/one"), told("b/two", "sign"), told("c/three", "sign"), told("d/four", excuse="on purpose")]
    tags = Tags(written(tmp_path / "run.html", *checks)).tags
    groups = [attributes.get("aria-label") for tag, attributes in tags if attributes.get("class") == "group"]
    groups = [group for group in groups if group]
    assert groups == ["Looks like fault 'sign'", "Matches no known fault", "Differs as declared"]
    cases = [(attributes["data-name"], attributes["data-causes"]) for tag, attributes in tags if tag == "article"]
    assert cases == [
        ("b/two", "fault 'sign'"),
        ("c/three", "fault 'sign'"),
        ("a/one", "no known fault"),
        ("d/four", ""),
    ]


def test_two_checks_of_a_golden_have_two_anchors(fixtures: Path, tmp_path: Path) -> None:
    write_outputs(tmp_path / "obtained.h5", {"y": np.zeros(3)})
    check = failed("toy/double", tmp_path / "obtained.h5")
    tags = Tags(written(tmp_path / "run.html", check, check, fixtures=fixtures)).tags
    places = [attributes["id"] for tag, attributes in tags if tag == "article"]
    assert places == ["case/toy/double", "case/toy/double (2)"]


def test_lost_outputs_are_shown_by_their_lines(fixtures: Path, tmp_path: Path) -> None:
    document = written(tmp_path / "run.html", failed("toy/double", tmp_path / "gone.h5"), fixtures=fixtures)
    assert "gone.h5: no such file" in read(document)
    assert "diagnosis: matches fault 'negated' exactly" in read(document)
    assert "<img" not in document


def test_it_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    written(tmp_path / "new" / "run.md", PASSED)
    written(tmp_path / "new" / "run.md", FAILED)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run.md"]


def test_an_unwritable_report_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match=r"expected a file that ends in \.md, \.json, \.html"):
        require_report(Path("run.xml"))
    (tmp_path / "run.md").mkdir()
    with pytest.raises(GoldenError, match="is a directory"):
        require_report(tmp_path / "run.md")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"format": "other"}',
        '{"format": "ptycho-golden run 2", "checks": [{}]}',
        f'{{"format": "{FORMAT}", "checks": [{{}}]}}',
        f'{{"format": "{FORMAT}", "checks": [{{"case": "a", "operation": "b", "outputs": 3, "lines": []}}]}}',
        f'{{"format": "{FORMAT}", "checks": [], "checks": []}}',
        "[" * 100_000,
        "\ufeff{}",
    ],
)
def test_a_file_that_is_not_a_report_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(GoldenError, match=r"run\.json: .*; expected a file from 'pytest --golden-report=FILE\.json'"):
        read_shares(tmp_path / "run.json")


def test_large_and_special_files_are_not_read(tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    report.symlink_to("/dev/zero")
    with pytest.raises(GoldenError, match=r"run\.json: a symbolic link, not a file; expected"):
        read_shares(report)
    report.unlink()
    report.touch()
    os.truncate(report, 2**42)
    with pytest.raises(GoldenError, match="4398046511104 bytes; at most 16777216 are read; expected"):
        read_shares(report)
    if hasattr(os, "mkfifo"):
        report.unlink()
        os.mkfifo(report)
        with pytest.raises(GoldenError, match="a pipe, a socket or a device, not a file; expected"):
            read_shares(report)


def test_only_a_sound_run_is_green() -> None:
    assert Run([PASSED]).green
    assert not Run([]).green
    assert not Run([PASSED, FAILED]).green
    assert not Run([PASSED], status="interrupted").green
    assert not Run([PASSED], ["case toy/x: no golden"]).green
    assert not Run([BROKEN]).green


def test_the_worst_of_two_checks_of_a_case_counts(tmp_path: Path) -> None:
    again = Check(TIGHT.case, TIGHT.operation, {"y": {"verdict": "identical", "share": 0.0}})
    written(tmp_path / "run.json", TIGHT, again)
    assert read_shares(tmp_path / "run.json") == {"toy/tight": 0.7}
