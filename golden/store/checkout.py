"""Find the goldens that are meant where nobody names them: those of the checkout that one stands in.

The code that runs may lie elsewhere: beside a worktree or a second clone, an environment still loads what was installed
into it.
"""

from __future__ import annotations

from pathlib import Path

CODE = Path(__file__).resolve().parents[2]
"""The directory above the package ``golden`` that runs: a checkout, or where packages are installed."""
_GENERATOR = "generate_golden.py"
"""Only a checkout has this file."""


def checkout_of(place: Path) -> Path | None:
    """Return the checkout of ptycho-golden that holds a directory; None where there is none."""
    for directory in (place.resolve(), *place.resolve().parents):
        if (directory / _GENERATOR).is_file() and (directory / "golden").is_dir():
            return directory
        if (directory / ".git").exists():
            break  # another project
    return None


def choose(named: Path | None, place: Path) -> tuple[Path, str]:
    """Choose the goldens that are judged, and say so where a person may expect others.

    Args:
        named: the directory that somebody named, if anybody did.
        place: where they stand.

    Returns:
        The directory: where none is named, that of the checkout that holds ``place``, else the bundled one.
        And a remark, or an empty text.
    """
    here = checkout_of(place)
    fixtures = named or (here or CODE) / "golden" / "fixtures"
    theirs = checkout_of(fixtures)
    if theirs not in (None, CODE):
        return (
            fixtures,
            f"judging {fixtures} with the code in {CODE}, not that of its own checkout (there: python -m golden)",
        )
    return fixtures, "" if named or here else f"judging {fixtures}"
