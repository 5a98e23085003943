"""Accepting changes one by one: a plain prompt, as ``git add -p`` and ``cargo insta review`` have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from golden.diff import Difference
from golden.report import difference_lines, explain_change

_HELP = "y: write this golden; n: leave it as it is; s: show more; q: leave, and write nothing"


def accepted(found: Sequence[Difference], show: Callable[[Difference], None]) -> list[str]:
    """Ask about each change; the cases that may be written, none when the person quits.

    Args:
        found: the changes.
        show: called when a person wants to see more of one.
    """
    cases = []
    for number, one in enumerate(found, 1):
        head, *_ = difference_lines(one)
        click.echo("\n".join([f"\n[{number}/{len(found)}] {head}", *explain_change(one.diagnoses)]))
        answer = _ask(one, show)
        if answer == "q":
            return []
        if answer == "y":
            cases.append(one.case)
    return cases


def _ask(one: Difference, show: Callable[[Difference], None]) -> str:
    while True:
        answer = click.prompt("accept? yes, no, show, quit", default="", show_default=False, prompt_suffix=": ")
        letter = answer.strip().lower()[:1]
        if letter == "s":
            show(one)
        elif letter and letter in "ynq":
            return str(letter)
        else:
            click.echo(_HELP)
