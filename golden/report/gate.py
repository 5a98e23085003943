"""Put what the gate found into words: for a terminal, for a comment on a pull request, for another program."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from golden.report.text import inert
from golden.review.gate import Review, Weakening

_MOST = 200
"""Lines of one kind that are shown; the others are counted."""


def gate_text(found: Review) -> str:
    """Write a line for each thing that gets weaker, those that nothing says first."""
    lines = _shortened([f"{one.subject}: {one.said}{_advice(one)}" for one in found.unsaid])
    lines += _shortened([f"{one.subject}: {one.said}; said: {one.excuse}" for one in _said(found)])
    lines += [f"not compared: {said}" for said in found.uncompared]
    lines += [f"not proved: {said}" for said in found.unproved]
    return "\n".join([*lines, _summary(found), ""])


def weaker_unsaid(found: Iterable[Weakening]) -> list[str]:
    """Say what an update weakened that it might have said, for the person who made it."""
    return [f"{one.subject}: {one.said}{_advice(one)}" for one in found if one.words and not one.excuse]


def gate_markdown(found: Review) -> str:
    """Write a comment: a table of what gets weaker unsaid, and a list of what was said."""
    lines = [f"### Gate: {_summary(found)}", ""]
    if found.unsaid:
        lines += ["| | gets weaker | to say so |", "|---|---|---|"]
        rows = [f"| {inert(one.subject)} | {inert(one.said)} | {inert(_words(one))} |" for one in found.unsaid]
        lines += [*_shortened(rows), ""]
    for what, told in (
        ("said", [f"{one.subject}: {one.said}; {one.excuse}" for one in _said(found)]),
        ("not compared", list(found.uncompared)),
        ("not proved", list(found.unproved)),
    ):
        lines += [f"- {what}: {inert(one)}" for one in _shortened(told)]
    return "\n".join([*lines, ""])


def gate_json(found: Review) -> str:
    """Write all of it, with whether it passed."""
    return json.dumps({"passed": not found.unsaid, "summary": _summary(found), **asdict(found)}, indent=1) + "\n"


def _said(found: Review) -> list[Weakening]:
    return [one for one in found.weakenings if one.excuse]


def _summary(found: Review) -> str:
    goldens = f"{len(found.touched)} golden(s) touched"
    said = f", {len(_said(found))} weaker as their history says" if _said(found) else ""
    unsaid = f"{len(found.unsaid)} thing(s) get weaker unsaid" if found.unsaid else "nothing gets weaker unsaid"
    return f"{unsaid}; {goldens}{said}"


def _words(one: Weakening) -> str:
    return f"--weaken '{' '.join(one.words)}: ...'" if one.words else "no event can; a person decides"


def _advice(one: Weakening) -> str:
    return f" (restore it, or make it anew with {_words(one)})" if one.words else ""


def _shortened(lines: list[str]) -> list[str]:
    return [*lines[:_MOST], f"... and {len(lines) - _MOST} more"] if len(lines) > _MOST else lines
