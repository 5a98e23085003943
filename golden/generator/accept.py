"""Accepting changes one by one: a plain prompt, as ``git add -p`` and ``cargo insta review`` have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from golden.report.text import difference_lines
from golden.review.difference import Difference

_HELP = "y: write this golden; n: leave it as it is; s: show its pictures; q: leave, and write nothing"


def accepted(found: Sequence[Difference], show: Callable[[Difference], None]) -> list[str]:
    """Ask about each change, on the error stream; the cases that may be written, none when the person quits.

    Args:
        found: the changes.
        show: called when a person wants to see more of one.
    """
    cases = []
    for number, one in enumerate(found, 1):
        click.echo("\n".join([f"\n[{number}/{len(found)}]", *difference_lines(one)]), err=True)
        answer = _ask(one, show)
        if answer == "quit":
            return []
        if answer == "yes":
            cases.append(one.case)
    return cases


def _ask(one: Difference, show: Callable[[Difference], None]) -> str:
    while True:
        given = click.prompt("accept? yes, no, show, quit", default="", show_default=False, err=True).strip().lower()
        answer = next((word for word in ("yes", "no", "show", "quit") if given in (word, word[0])), "")
        if answer == "show":
            show(one)
        elif answer:
            return answer
        else:
            click.echo(_HELP, err=True)
