"""Let a person accept changes one by one, with a key each, as ``git add -p`` does."""

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

_KEYS = "y, n, a, b, s, q, ?"
_HELP = """\
y: write this golden
n: leave this golden as it is
a: write this golden, and all remaining ones with the same cause
b: go back to the previous question
s: show its pictures
q: quit and write nothing (Ctrl-C does the same)"""


def in_terminal() -> bool:
    """Tell whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def accepted(found: Sequence[Difference]) -> list[str]:
    """Ask about each change, on the error stream; return the cases to write, none when the person quits.

    Raises:
        KeyboardInterrupt: the person pressed Ctrl-C, or the terminal was closed.
    """
    answers: list[dict[int, bool]] = []  # of each question: number of the change -> whether to write it
    while True:
        settled = {number: answer for answered in answers for number, answer in answered.items()}
        number = next((number for number in range(len(found)) if number not in settled), None)
        if number is None:
            return [one.case for number, one in enumerate(found) if settled[number]]
        answer = _ask(found[number], f"[{number + 1}/{len(found)}]", can_go_back=bool(answers))
        if answer == "q":
            return []
        if answer == "b":
            answers.pop()
        else:
            alike = _alike(found, number) - settled.keys() if answer == "a" else {number}
            answers.append(dict.fromkeys(alike, answer != "n"))
            if answer == "a":
                click.echo(
                    f"{len(alike)} golden(s) with this cause: {', '.join(sorted(found[number].explanations))}", err=True
                )


def _ask(one: Difference, place: str, can_go_back: bool) -> str:
    """Ask about one change, and return the key that a person presses: one of y, n, a, b, q."""
    click.echo("\n".join([f"\n{place}", *difference_lines(one)]), err=True)
    while True:
        click.echo(f"accept? {_KEYS} ", nl=False, err=True)
        key = click.getchar()
        if key in ("", "\x03", "\x04"):
            raise KeyboardInterrupt
        click.echo(key if key.isprintable() else "", err=True)
        key = key.lower()
        if key == "s":
            _show(one)
        elif key == "a" and not one.explanations:
            click.echo("this change has no known cause, so no other change shares it", err=True)
        elif key == "b" and not can_go_back:
            click.echo("this is the first question", err=True)
        elif key in tuple("ynabq"):
            return key
        else:
            click.echo(_HELP, err=True)


def _alike(found: Sequence[Difference], number: int) -> set[int]:
    return {other for other, one in enumerate(found) if one.explanations == found[number].explanations}


def _show(one: Difference) -> None:
    """Write a page that shows a change, and print its address."""
    file = Path(tempfile.mkdtemp(prefix="golden-review-")) / f"{one.case.replace('/', '-')}.html"
    try:
        write_page(file, [one], Heading(one.case, "a change to accept"))
    except GoldenError as problem:
        click.echo(problem, err=True)
    else:
        click.echo(f"  {file.as_uri()}", err=True)
