"""Which goldens a command uses if none are named: in a worktree or a second clone, those of that checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from golden.cli import main
from golden.generate import main as generate
from golden.store.checkout import CODE, checkout_of, choose
from tests.golden.conftest import fill
from tests.golden.standin import CASES

BUNDLED = CODE / "golden" / "fixtures"
OTHER = "not that of its own checkout (for that, run 'python -m golden' there)"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return another checkout with its own goldens, and make one of its directories the current directory."""
    top = tmp_path / "clone"
    (top / "docs").mkdir(parents=True)
    (top / "generate_golden.py").write_text("")
    fill(top / "golden" / "fixtures")
    monkeypatch.chdir(top / "docs")
    return top


def golden(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_a_checkout_is_found_from_anywhere_in_it(checkout: Path) -> None:
    for place in (checkout, checkout / "docs", checkout / "golden" / "fixtures" / "toy"):
        assert checkout_of(place) == checkout
        assert choose(None, place) == (
            checkout / "golden" / "fixtures",
            f"judging {checkout / 'golden' / 'fixtures'} with the code in {CODE}, {OTHER}",
        )


def test_another_project_inside_a_checkout_is_not_a_checkout(checkout: Path) -> None:
    (checkout / "docs" / ".git").mkdir()
    assert checkout_of(checkout / "docs") is None
    assert choose(None, checkout / "docs") == (BUNDLED, f"judging {BUNDLED}")


def test_in_its_own_checkout_nothing_is_printed() -> None:
    assert choose(None, CODE / "docs") == (BUNDLED, "")


def test_a_named_directory_is_judged(checkout: Path, fixtures: Path) -> None:
    assert choose(fixtures, checkout) == (fixtures, "")


@pytest.mark.parametrize("command", [("list",), ("faults",), ("show", "toy/double"), ("gate", "HEAD")])
def test_every_command_judges_the_checkout_of_the_current_directory(checkout: Path, command: tuple[str, ...]) -> None:
    told = golden(*command)
    assert f"judging {checkout / 'golden' / 'fixtures'} with the code in {CODE}" in told.stderr
    if command[0] != "gate":
        assert told.exit_code == 0
        assert "toy/double" in told.stdout
        assert "probe/" not in told.stdout


def test_only_named_files_are_judged(checkout: Path, fixtures: Path) -> None:
    file = str(fixtures / "toy" / "double.h5")
    for command in (("show", file), ("diff", file, file)):
        told = golden(*command)
        assert (told.exit_code, told.stderr) == (0, "")


def test_verify_reports_what_is_gone_from_the_checkout(checkout: Path) -> None:
    there = golden("verify", "--cases", "tests.golden.standin")
    assert there.exit_code == 0
    assert there.stdout.startswith(f"{len(CASES)} goldens: digests match")
    shutil.rmtree(checkout / "golden" / "fixtures" / "toy")
    gone = golden("verify", "--cases", "tests.golden.standin")
    assert gone.exit_code == 1
    assert gone.stdout.count("no golden; generate it with") == len(CASES)


def test_a_checkout_without_goldens_is_an_error(checkout: Path) -> None:
    shutil.rmtree(checkout / "golden" / "fixtures")
    told = golden("verify")
    assert told.exit_code == 2
    assert (
        f"{checkout / 'golden' / 'fixtures'}: no such directory; the goldens of this checkout are missing"
        in told.stderr
    )


def test_the_generator_of_another_checkout_is_refused(checkout: Path) -> None:
    told = CliRunner().invoke(generate, [])
    assert told.exit_code == 2
    assert f"this is the generator of {CODE}, but the current directory is in {checkout}: run python" in told.stderr
