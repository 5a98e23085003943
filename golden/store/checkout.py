"""Find the goldens to use if none are named: those of the checkout that holds the current directory.

The running code may be elsewhere: in a worktree or a second clone, an environment still loads the package that was
installed into it.
"""

from __future__ import annotations

from pathlib import Path

CODE = Path(__file__).resolve().parents[2]
"""The directory above the running package ``golden``: a checkout, or the directory of installed packages."""
_GENERATOR = "generate_golden.py"
"""Only a checkout has this file."""


def checkout_of(place: Path) -> Path | None:
    """Return the checkout of ptycho-golden that holds a directory; None if there is none."""
    for directory in (place.resolve(), *place.resolve().parents):
        if (directory / _GENERATOR).is_file() and (directory / "golden").is_dir():
            return directory
        if (directory / ".git").exists():
            break  # another project
    return None


def choose(named: Path | None, place: Path) -> tuple[Path, str]:
    """Choose the goldens to judge, and remark on the choice if a person may expect another.

    Args:
        named: the directory that was named, if any.
        place: the current directory.

    Returns:
        The directory: the one that was named, else that of the checkout that holds ``place``, else the bundled one.
        And a remark, or an empty text.
    """
    here = checkout_of(place)
    fixtures = named or (here or CODE) / "golden" / "fixtures"
    theirs = checkout_of(fixtures)
    if theirs not in (None, CODE):
        return (
            fixtures,
            f"judging {fixtures} with the code in {CODE}, not that of its own checkout (for that, run 'python -m "
            f"golden' there)",
        )
    return fixtures, "" if named or here else f"judging {fixtures}"
