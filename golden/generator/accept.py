"""Let a person accept changes one by one, at a plain prompt like that of ``git add -p``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from golden.report.page import Heading, write_page
from golden.report.text import difference_lines
from golden.review.difference import Difference
from golden.spec.errors import GoldenError

_HELP = "y: write this golden; n: leave it as it is; s: show its pictures; q: leave, and write nothing"


def in_terminal() -> bool:
    """Tell whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def accepted(found: Sequence[Difference]) -> list[str]:
    """Ask about each change, on the error stream; return the cases to write, none when the person quits."""
    cases = []
    for number, one in enumerate(found, 1):
        click.echo("\n".join([f"\n[{number}/{len(found)}]", *difference_lines(one)]), err=True)
        answer = _ask(one)
        if answer == "quit":
            return []
        if answer == "yes":
            cases.append(one.case)
    return cases


def _ask(one: Difference) -> str:
    while True:
        given = click.prompt("accept? yes, no, show, quit", default="", show_default=False, err=True).strip().lower()
        answer = next((word for word in ("yes", "no", "show", "quit") if given in (word, word[0])), "")
        if answer == "show":
            _show(one)
        elif answer:
            return answer
        else:
            click.echo(_HELP, err=True)


def _show(one: Difference) -> None:
    """Draw a change as a page, and say where it lies."""
    file = Path(tempfile.mkdtemp(prefix="golden-review-")) / f"{one.case.replace('/', '-')}.html"
    try:
        write_page(file, [one], Heading(one.case, "a change to accept"))
    except GoldenError as problem:
        click.echo(problem, err=True)
    else:
        click.echo(f"  {file.as_uri()}", err=True)
