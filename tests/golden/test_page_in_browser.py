"""The page in a real browser: headless Chromium of the operating system, driven by Playwright.

Without a browser these tests are skipped, and the last lines of the run say so (``-ra``).
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.report.page import Heading, write_page
from golden.review.claims import Claim
from golden.review.difference import differences
from golden.store.golden import Golden
from tests.golden import standin

NO_BROWSER = "the page was not opened in a browser: it needs Chromium and Playwright (pip install -e '.[browser]')"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if BROWSER is None:
    pytest.skip(NO_BROWSER, allow_module_level=True)
api = pytest.importorskip("playwright.sync_api", reason=NO_BROWSER)

MADE = standin.make_golden(standin.CASES[0])
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CASES = ("one/double", "one/negated", "two/negated")
SHOWN = ".case:not([hidden])"
Open = Callable[..., Any]


def changed(case: str) -> tuple[Golden, Golden]:
    before = replace(MADE, case=case)
    y = before.outputs["y"]
    return before, replace(before, outputs={**before.outputs, "y": -y if case.endswith("negated") else 1.5 * y})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page of three cases: two negated, one times 1.5."""
    pairs = {case: changed(case) for case in CASES}
    before, after = ({case: pair[side] for case, pair in pairs.items()} for side in (0, 1))
    claim = Claim("the sign | was wrong", "2026-01-01", "stand-in", CASES)
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(path, differences(before, after), Heading("Goldens", "3 changed", claims=[claim]))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a browser with an empty profile."""
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """Open an empty context: a reviewer's browser that remembers nothing yet."""
    remembered = browser.new_context(viewport={"width": 1400, "height": 900})
    yield remembered
    remembered.close()


@pytest.fixture
def opened(context: Any, file: Path) -> Iterator[Open]:
    """Return a function that opens the page; at the end, require that there were no requests and no errors."""
    said, asked = [], []

    def opening(place: str = "") -> Any:
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{file.as_uri()}{place}")
        return page

    yield opening
    assert not said
    assert all(url.startswith(("file:", "data:")) for url in asked)


def names(page: Any, selector: str = SHOWN) -> list[str]:
    return [str(one.get_attribute("data-name")) for one in page.query_selector_all(selector)]


def test_the_reason_is_at_the_top(opened: Open) -> None:
    page = opened()
    assert page.inner_text(".top").splitlines()[:2] == ["Goldens", "the sign | was wrong"]


def test_keys_step_through_the_cases_and_the_address_follows(opened: Open) -> None:
    page = opened()
    order = names(page)
    visited = []
    for key in ("j", "j", "j", "k"):
        page.keyboard.press(key)
        visited.append(page.evaluate("decodeURIComponent(location.hash)"))
    assert visited == [f"#case/{order[number]}" for number in (0, 1, 2, 1)]
    there = opened(f"#case/{order[2]}")
    assert there.evaluate("document.querySelector('nav [aria-current]').textContent").startswith(order[2])


def test_filters_by_topic_verdict_and_cause(opened: Open) -> None:
    page = opened()
    page.click("[data-cause=\"fault 'negated'\"]")
    assert sorted(names(page)) == ["one/negated", "two/negated"]
    page.click("[data-topic=two]")
    assert names(page) == ["two/negated"]
    assert page.inner_text("#shown") == "1 of 3 cases, 0 reviewed"
    page.click("[data-cause=\"fault 'negated'\"]")
    page.click("[data-topic=two]")
    page.click("[data-kind=breaking]")
    assert len(names(page)) == 3


def test_values_under_the_cursor_in_all_pictures_at_once(opened: Open) -> None:
    page = opened("#case/one/double")
    output = page.query_selector("[id='case/one/double'] .output")
    box = output.query_selector(".first .canvas img").bounding_box()
    row, column = 2, 3
    page.mouse.move(box["x"] + (column + 0.5) * box["width"] / 5, box["y"] + (row + 0.5) * box["height"] / 4)
    told = [one.inner_text() for one in output.query_selector_all(".at")]
    assert len(told) == 6, "amplitude and phase: before, after, difference each"
    assert all(text.startswith(f"[{row}, {column}]") for text in told)
    value = MADE.outputs["y"][row, column]
    shown = [float(text.split("\N{ALMOST EQUAL TO}")[1]) for text in told[:4]]
    scale = 1.5 * float(np.abs(MADE.outputs["y"]).max())
    expected = [abs(value), 1.5 * abs(value), 0.5 * abs(value), float(np.angle(value))]
    np.testing.assert_allclose(shown, expected, atol=scale / 100)
    page.keyboard.press("v")
    page.keyboard.press("ArrowLeft")
    assert output.query_selector(".at").inner_text().startswith(f"[{row}, {column - 1}]")


def test_pictures_are_enlarged_together(opened: Open) -> None:
    page = opened()
    page.keyboard.press("j")

    def widths() -> list[float]:
        return [one.bounding_box()["width"] for one in page.query_selector_all(".output .canvas img")[:3]]

    before = widths()
    page.keyboard.press("+")
    assert widths() == [2 * width for width in before]
    page.keyboard.press("-")
    assert widths() == before


def test_blink_and_slide_show_both_in_one_place(opened: Open) -> None:
    page = opened()
    page.keyboard.press("j")
    page.keyboard.press("f")
    assert page.query_selector(".output.blinking.by-hand")
    page.keyboard.press("s")
    page.keyboard.press("ArrowLeft")
    assert page.query_selector(".output.sliding:not(.blinking)")
    first, second = (page.query_selector(f".sliding .{side} .canvas") for side in ("first", "second"))
    assert first.bounding_box() == second.bounding_box()
    assert first.evaluate("element => element.style.clipPath") == "inset(0px 51% 0px 0px)"
    box = first.bounding_box()
    at = "([x, y]) => document.elementFromPoint(x, y).closest('figure').className"
    sides = [page.evaluate(at, [box["x"] + part * box["width"], box["y"] + box["height"] / 2]) for part in (0.2, 0.8)]
    assert sides == ["first", "second"]
    page.keyboard.press("Escape")
    assert not page.query_selector(".stacked")


def test_marks_and_comments_survive_a_reload_and_are_copied_as_markdown(opened: Open) -> None:
    page = opened()
    for key in ("j", "r", "c"):
        page.keyboard.press(key)
    page.keyboard.type("why 1.5?")
    order = names(page)
    page.reload()
    assert names(page, ".case.is-reviewed") == [order[0]]
    assert page.input_value(".comment textarea >> nth=0") == "why 1.5?"
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()) }")
    page.click("#copy")
    told = page.input_value("#copied textarea")
    assert told.startswith("### Review: Goldens\n\n3 changed\n\n* reason: the sign &#124; was wrong (2026-01-01; ")
    assert f"\n- [x] {order[0]} (breaking)\n  > why 1.5?\n" in told
    page.click("#copied button")
    page.click("#open")
    assert names(page) == order[1:]


def test_changed_values_are_not_reviewed_yet(opened: Open, tmp_path: Path) -> None:
    page = opened()
    page.keyboard.press("j")
    page.keyboard.press("r")
    [name] = names(page, ".case.is-reviewed")
    before, after = changed(name)
    other = replace(after, outputs={**after.outputs, "y": after.outputs["y"] * 7})
    write_page(tmp_path / "other.html", differences({name: before}, {name: other}), Heading("Goldens", "1 changed"))
    page.goto((tmp_path / "other.html").as_uri())
    assert names(page) == [name]
    assert not names(page, ".case.is-reviewed")


def test_the_page_fits_a_narrow_screen(opened: Open) -> None:
    page = opened()
    page.click("#unfold")
    for scheme, width in itertools.product(("light", "dark"), (360, 800)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(19, 21, 25)") == (scheme == "dark")


def test_the_page_can_be_read_without_its_script(browser: Any, file: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(file.as_uri())
    assert "the sign | was wrong" in page.inner_text(".top")
    assert len(names(page)) == 3
    assert page.query_selector_all(".output img")[0].is_visible()
    assert not [one for one in page.query_selector_all(".scripted") if one.is_visible()]
