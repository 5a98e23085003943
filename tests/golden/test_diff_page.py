"""``golden diff --html``: what the page shows, and that it runs nothing from a golden."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pytest_regressions.file_regression import FileRegressionFixture

from golden.cli import main
from golden.judge.compare import EXACT, Tolerance
from golden.report.charts import ErrorHistogram
from golden.report.page import Heading, page, write_page
from golden.report.pictures import LARGEST_SIDE, NOT_FINITE, one_per_block
from golden.review.claims import Claim
from golden.review.difference import Change, Difference, differences
from golden.spec.errors import GoldenError
from golden.store.golden import Golden
from golden.store.write import write_golden
from tests.golden import standin
from tests.golden.pages import Tags, pictures, read

MADE = standin.make_golden(standin.CASES[0])
TIMES = "\N{MULTIPLICATION SIGN}"
TOLERANCE = Tolerance(1e-3, 1e-3, 1e-4, 1e-4)


def holding(golden: Golden = MADE, /, **outputs: np.ndarray) -> Golden:
    tolerances = {name: TOLERANCE if array.dtype.kind in "fc" else EXACT for name, array in outputs.items()}
    return replace(golden, outputs=outputs, tolerances=tolerances, where={}, faults={}, noise={})


def named(golden: Golden | str, case: str) -> Golden | str:
    return golden if isinstance(golden, str) else replace(golden, case=case)


def shown(before: Golden | str | None, after: Golden | str | None, case: str = "toy/double") -> str:
    one, other = ({case: golden} if golden is not None else {} for golden in (before, after))
    return page(differences(one, other), Heading("a title", "a headline"))


def test_zeros_that_must_be_exact_are_drawn_without_a_warning() -> None:
    """At 0, a tolerance of 0 gives no limit for the phase. pytest turns warnings into errors."""
    zeros = np.zeros((8, 8), np.complex64)
    before = replace(holding(y=zeros), tolerances={"y": EXACT})
    assert "not equal" not in shown(before, holding(y=zeros))
    assert "64 of 64" in shown(before, holding(y=zeros + np.complex64(np.nan)))


def test_what_a_reviewer_reads(file_regression: FileRegressionFixture) -> None:
    """Outputs that moved, as pictures and in a table, or changed shape or type; cases that are new, gone or broken."""
    y = MADE.outputs["y"]
    table = holding(rate=np.array(b"0.001"), names=np.array([b"a", b"b"]), few=np.array([1.0, 2.0, 3.0]))
    moved = holding(rate=np.array(b"0.01"), names=np.array([b"a", b"c", b"d"]), few=np.array([1.0, 2.5, 3.0]))
    sides = {
        "toy/negated": (MADE, replace(MADE, outputs={**MADE.outputs, "y": -y}, definition="0" * 16)),
        "toy/shape": (MADE, replace(MADE, outputs={**MADE.outputs, "y": np.concatenate([y, y])}, where={})),
        "toy/type": (MADE, replace(MADE, outputs={**MADE.outputs, "y": y.astype(np.complex128)})),
        "toy/table": (table, moved),
        "toy/alike": (holding(y=np.full((5, 5), 0.125)), holding(y=np.full((5, 5), 0.125 + 1e-14))),
        "toy/broken": (MADE, "the file is empty"),
    }
    before, after = ({case: named(pair[side], case) for case, pair in sides.items()} for side in (0, 1))
    before["toy/removed"], after["toy/added"] = named(MADE, "toy/removed"), named(MADE, "toy/added")
    found = differences(before, after)
    found.append(Difference("toy/redefined", Change.REDEFINED, before=MADE, after=MADE))
    found.append(Difference("toy/unlisted", Change.UNLISTED, before=MADE))
    document = page(found, Heading("a title", "a headline"))
    file_regression.check(read(document), encoding="utf-8")
    assert 'data-kind="breaking" data-topic="toy"' in document
    assert 'aria-label="histogram' in document


def test_there_is_a_picture_for_each_side_and_for_their_difference() -> None:
    y = MADE.outputs["y"]
    document = shown(MADE, replace(MADE, outputs={**MADE.outputs, "y": -y}))
    for role in ("before", "after", "difference"):
        assert [picture.shape for picture in pictures(document, role)] == [(4, 5, 4)] * 2
    document = shown(MADE, replace(MADE, outputs={**MADE.outputs, "y": np.concatenate([y, y])}, where={}))
    assert [pictures(document, role)[0].shape[:2] for role in ("before", "after")] == [(4, 5), (8, 5)]
    assert not pictures(document, "difference")
    document = shown(MADE, replace(MADE, outputs={**MADE.outputs, "y": y.astype(np.complex128)}))
    assert pictures(document, "difference"), "the values can be compared"
    assert pictures(shown(None, MADE), "after")
    assert not pictures(shown(None, MADE), "before")
    assert pictures(shown(MADE, None), "before")


def test_before_and_after_are_on_one_scale() -> None:
    ramp = np.arange(20, dtype=np.float32).reshape(4, 5)
    document = shown(holding(y=ramp), holding(y=ramp * 2))
    before, after = (pictures(document, role)[0][..., 0].astype(int) for role in ("before", "after"))
    assert after.max() == 255
    np.testing.assert_allclose(before * 2, after, atol=5)
    assert read(document).count("0 38\n") == 2, "the largest value of both, under both"


def test_the_image_that_differs_most_is_shown() -> None:
    stack = np.ones((3, 8, 6, 2), np.float32)
    changed = stack.copy()
    changed[1, 4, 2, 1] += 1
    document = shown(holding(y=stack), holding(y=changed))
    assert "image 4 of 6, which differs most" in read(document)
    white = pictures(document, "difference")[0]
    assert np.argwhere((white != white[0, 0]).any(-1)).tolist() == [[4, 2]]


def test_a_large_array_shows_the_element_of_a_block_that_differs_most() -> None:
    side = 2 * LARGEST_SIDE + 1
    before = np.zeros((side, 4), np.float32)
    after = before.copy()
    after[601, 3] = 1
    document = shown(holding(y=before), holding(y=after))
    told = f"{side} {TIMES} 4 elements: of each block of 3 {TIMES} 1, the element that differs most is shown"
    assert told in read(document)
    assert np.argwhere(pictures(document, "after")[0][..., 0]).tolist() == [[200, 3]]
    few = np.arange(35).reshape(5, 7)
    assert (few[one_per_block(np.zeros((5, 7)))] == few).all()


def test_not_a_number_has_a_colour_of_its_own() -> None:
    y = MADE.outputs["y"].copy()
    y[1, 2], y[2, 2] = np.nan, np.inf
    document = shown(MADE, replace(MADE, outputs={**MADE.outputs, "y": y}))
    assert "2 not finite" in read(document)
    for picture in pictures(document, "after"):
        assert np.argwhere((picture[..., :3] == NOT_FINITE).all(-1)).tolist() == [[1, 2], [2, 2]]


def test_elements_that_are_not_compared_are_blank() -> None:
    mask = np.ones((4, 5), bool)
    mask[0] = False
    y = np.ones((4, 5), np.float32)
    before = replace(holding(y=y), where={"y": mask})
    document = shown(before, replace(before, outputs={"y": y + 1}))
    assert "5 not compared" in read(document)
    assert (pictures(document, "difference")[0][0, :, 3] == 0).all()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.zeros((0, 5)), np.ones((0, 5))),
        (np.array(np.nan), np.array(1.0)),
        (np.full((4, 4), np.inf), np.full((4, 4), -np.inf)),
        (np.full((5, 9), 5e-324), np.full((5, 9), 1e-323)),
        (np.full((5, 9), 1.7e308), np.full((5, 9), -1.7e308)),
        (np.zeros((4, 4), bool), np.ones((4, 4), bool)),
        (np.zeros((9, 9), np.complex64), np.full((9, 9), np.nan, np.complex64)),
        (np.arange(70.0), np.arange(70.0)[::-1].copy()),
        (np.arange(20, dtype=np.uint8), np.arange(20, dtype=np.uint8)[::-1].copy()),
        (np.zeros((4, 4)), np.array(b"text")),
    ],
)
def test_odd_arrays(before: np.ndarray, after: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from comparing such arrays
        found = differences({"toy/double": holding(y=before)}, {"toy/double": holding(y=after)})
        document = page(found, Heading("a title", "a headline"))
    assert "nan" not in "".join(re.findall(r"<svg.*?</svg>", document, re.DOTALL)).lower()


def test_the_histogram_counts_every_element() -> None:
    errors = ErrorHistogram()
    errors.add(np.array([0, 1e-320, 0.5, 1, 1.0001, 1e300, np.inf]), np.array([0.125, 0.25]))
    _, bars = errors.bars()
    assert (errors.equal, errors.infinite, sum(count for _, count in bars)) == (1, 1, 5)
    assert sum(count for power, count in bars if power >= 0) == 2, "1 is within the tolerance"
    assert errors.floor == (0.125, 0.25)


def test_a_page_has_a_limited_size() -> None:
    many = {f"y{number:03}": np.ones((4, 4)) for number in range(40)}
    scalars = {f"z{number:03}": np.array(number) for number in range(400)}
    document = shown(None, holding(**many, **scalars))
    assert len(pictures(document, "after")) == 24
    assert "and 116 more outputs or elements that are not shown" in read(document)


def test_only_the_first_of_many_cases_is_unfolded() -> None:
    def unfolded(count: int) -> int:
        goldens = {f"toy/{number}": MADE for number in range(count)}
        return page(differences({}, goldens), Heading("a title", "a headline")).count("<details open>")

    assert (unfolded(6), unfolded(7)) == (6, 1)


HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(1)">\' {{ 7*7 }} \u202egnp.exe'


def test_hostile_texts_stay_texts() -> None:
    fault = replace(MADE.faults["negated"], symptom=HOSTILE)
    before = replace(MADE, faults={**MADE.faults, "negated": fault}, summary=HOSTILE)
    outputs = {**MADE.outputs, "y": -MADE.outputs["y"], HOSTILE: np.array(HOSTILE.encode())}
    after = replace(before, outputs=outputs, parameters={HOSTILE: HOSTILE}, summary="x" * 70_000)
    found = differences({HOSTILE: before}, {HOSTILE: after})
    found += [
        Difference("toy/broken", Change.UNREADABLE, notes=(HOSTILE,)),
        Difference("toy/new", Change.NEW, after=before),
    ]
    document = page(
        found,
        Heading(HOSTILE, HOSTILE, claims=[Claim(HOSTILE, HOSTILE, HOSTILE, (HOSTILE,))], compared=(HOSTILE, HOSTILE)),
    )
    assert "\u202e" not in document
    assert "&lt;script&gt;alert(1)" in document
    assert "… (70" in document
    tags = Tags(document).tags
    assert [tag for tag, _ in tags].count("script") == 1
    for tag, attributes in tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcdoc", "action")]
        assert attributes.get("src", "data:image/webp;base64,").startswith("data:image/webp;base64,")
        assert (attributes.get("href") or "#").startswith(("#", "data:,")), tag


def test_only_its_own_style_and_script_may_run() -> None:
    document = shown(MADE, None)
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', document)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        [source] = re.findall(rf"<{tag}>(.*?)</{tag}>", document, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"https?:(?!//www\.w3\.org)", document)


def test_equal_differences_give_equal_bytes(tmp_path: Path) -> None:
    found = differences({"toy/double": MADE}, {"toy/double": holding(y=-MADE.outputs["y"])})
    for name in ("one.html", "other.html"):
        write_page(tmp_path / "new" / name, iter(found), Heading("a title", "a headline"))
    one, other = (path.read_bytes() for path in sorted((tmp_path / "new").iterdir()))
    assert one == other


def test_a_page_that_cannot_be_written_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing to look at" in read(page([], Heading("a title", "no golden differs")))
    (tmp_path / "page.html").mkdir()
    with pytest.raises(GoldenError, match=r"^cannot write .*page\.html: "):
        write_page(tmp_path / "page.html", [], Heading("", ""))
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(GoldenError, match="a page needs Jinja2 and Matplotlib, found no jinja2: pip install"):
        page([], Heading("", ""))


@pytest.mark.parametrize("words", [[], ["--markdown"], ["--json"]])
def test_its_title_names_what_was_compared(tmp_path: Path, words: list[str]) -> None:
    write_golden(tmp_path / "a.h5", MADE)
    write_golden(tmp_path / "b.h5", replace(MADE, summary="thrice"))
    files = [str(tmp_path / name) for name in ("a.h5", "b.h5")]
    CliRunner().invoke(main, ["diff", *files, *words, "--html", str(tmp_path / "page.html")], catch_exceptions=False)
    title = f"Goldens: {files[0]} and {files[1]}"
    assert title in read((tmp_path / "page.html").read_text())


def test_the_command_writes_it_beside_its_text(tmp_path: Path) -> None:
    write_golden(tmp_path / "a.h5", MADE)
    write_golden(tmp_path / "b.h5", replace(MADE, summary="thrice"))
    files = [str(tmp_path / name) for name in ("a.h5", "b.h5")]
    result = CliRunner().invoke(main, ["diff", *files, "--markdown", "--html", str(tmp_path / "page.html")])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("### Goldens: 1 changed (outputs: 1 identical)\n")
    assert "page" not in result.stdout
    assert result.stderr.endswith(f"page: {tmp_path / 'page.html'}\n")
    assert "summary: 'twice', now 'thrice'" in read((tmp_path / "page.html").read_text())
