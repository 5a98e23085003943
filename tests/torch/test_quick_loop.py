"""``pytest -m 'golden and not integration'`` does not import files without goldens, and misses no file with one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import QUICK, may_hold_goldens, pytest_terminal_summary

HERE = Path(__file__).parent


def test_every_collected_golden_is_in_a_file_that_the_quick_loop_collects(request: pytest.FixtureRequest) -> None:
    holding = {item.path for item in request.session.items if item.get_closest_marker("golden")}
    assert all(map(may_hold_goldens, holding)), holding
    assert may_hold_goldens(HERE / "test_goldens.py")
    assert not may_hold_goldens(HERE / "test_losses.py")
    assert not may_hold_goldens(HERE.parent / "golden" / "test_pytest_plugin.py"), "it only mentions goldens"


@pytest.mark.parametrize(
    ("marks", "quick"),
    [
        ("golden", True),
        ("golden and not integration", True),
        ("not golden", False),
        ("golden or integration", False),
        ("integration", False),
        ("", False),
    ],
)
def test_only_runs_of_goldens_alone_are_quick(marks: str, quick: bool) -> None:
    assert (QUICK.match(marks) is not None) is quick


def test_skips_for_one_reason_are_reported_in_one_line() -> None:
    reports = [SimpleNamespace(longrepr=(f"test_{n}.py", n, f"Skipped: {n % 2}")) for n in range(4)]
    terminal: Any = SimpleNamespace(stats={"skipped": reports})
    pytest_terminal_summary(terminal)
    assert [report.longrepr for report in reports] == 2 * [
        ("test_0.py", 0, "Skipped: 0"),
        ("test_1.py", 1, "Skipped: 1"),
    ]
