"""Format the result of the gate: for a terminal, a comment on a pull request, or another program."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from golden.report.text import inert
from golden.review.gate import Review, Weakening

_MOST = 200
"""Most lines of one kind that are shown; the rest are counted."""


def gate_text(found: Review) -> str:
    """Write a line for each check that gets weaker, undeclared ones first."""
    lines = _shortened([f"{one.subject}: {one.said}{_advice(one)}" for one in found.unsaid])
    lines += _shortened([f"{one.subject}: {one.said}; declared: {one.excuse}" for one in _said(found)])
    lines += [f"not compared: {said}" for said in found.uncompared]
    lines += [f"not proved: {said}" for said in found.unproved]
    return "\n".join([*lines, _summary(found), ""])


def weaker_unsaid(found: Iterable[Weakening]) -> list[str]:
    """List what an update weakened without declaring it, for the maintainer who made it."""
    return [f"{one.subject}: {one.said}{_advice(one)}" for one in found if one.words and not one.excuse]


def gate_markdown(found: Review) -> str:
    """Write a comment: a table of undeclared weakenings, and a list of declared ones."""
    lines = [f"### Gate: {_summary(found)}", ""]
    if found.unsaid:
        lines += ["| | gets weaker | to declare it |", "|---|---|---|"]
        rows = [f"| {inert(one.subject)} | {inert(one.said)} | {inert(_words(one))} |" for one in found.unsaid]
        lines += [*_shortened(rows), ""]
    for what, told in (
        ("declared", [f"{one.subject}: {one.said}; {one.excuse}" for one in _said(found)]),
        ("not compared", list(found.uncompared)),
        ("not proved", list(found.unproved)),
    ):
        lines += [f"- {what}: {inert(one)}" for one in _shortened(told)]
    return "\n".join([*lines, ""])


def gate_json(found: Review) -> str:
    """Write the whole result, and whether the gate passed."""
    return json.dumps({"passed": not found.unsaid, "summary": _summary(found), **asdict(found)}, indent=1) + "\n"


def _said(found: Review) -> list[Weakening]:
    return [one for one in found.weakenings if one.excuse]


def _summary(found: Review) -> str:
    goldens = f"{len(found.touched)} golden(s) touched"
    said = f", {len(_said(found))} weakening(s) declared" if _said(found) else ""
    unsaid = f"{len(found.unsaid)} undeclared weakening(s)" if found.unsaid else "no undeclared weakening"
    return f"{unsaid}; {goldens}{said}"


def _words(one: Weakening) -> str:
    return f"--weaken '{' '.join(one.words)}: ...'" if one.words else "cannot be declared; a person decides"


def _advice(one: Weakening) -> str:
    return f" (restore it, or regenerate it with {_words(one)})" if one.words else ""


def _shortened(lines: list[str]) -> list[str]:
    return [*lines[:_MOST], f"... and {len(lines) - _MOST} more"] if len(lines) > _MOST else lines
