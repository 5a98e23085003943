"""Compare the stored outputs of a failed run with the golden, later: ``golden diff GOLDEN x.obtained.h5``."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from golden.judge.judgement import Judgement, judge
from golden.report.files import write_whole
from golden.report.page import CaseView, Heading, render, with_comparisons
from golden.report.text import explain_causes, explain_failed, share_text
from golden.spec.arrays import Arrays
from golden.store.golden import Golden

ENDING = ".obtained.h5"
"""Suffix of files with the outputs that a port obtained."""
SIDES = ("expected", "obtained")


def hold(golden: Golden, obtained: Arrays, path: Mapping[str, str]) -> Judgement:
    """Judge the outputs obtained; an output that is not in the file counts as not offered.

    Args:
        golden: the golden.
        obtained: name -> array.
        path: outputs in the order in which they are computed; may be empty.
    """
    return judge(
        golden, {**{name: golden.outputs[name] for name in golden.outputs if name not in obtained}, **obtained}, path
    )


def lines(golden: Golden, judgement: Judgement, absent: list[str]) -> list[str]:
    """Describe the result of the comparison."""
    told = explain_failed(golden.case, judgement.failed, judgement.path)
    told += explain_causes(judgement.causes) if judgement.causes else []
    told = told or [f"golden {golden.case}: agrees ({share_text(judgement.share)})"]
    return told + ([f"  not obtained: {', '.join(absent)}"] if absent else [])


def as_markdown(told: list[str]) -> str:
    return "<pre>" + escape("\n".join(told), quote=False) + "</pre>\n"


def write_obtained(path: Path, golden: Golden, judgement: Judgement, obtained: Arrays) -> None:
    """Write the same page as a failing run.

    Raises:
        GoldenError: the page cannot be made or written.
    """
    comparisons = [one for one in judgement.comparisons if one.output in obtained]
    view = CaseView(
        golden.case,
        judgement.verdict.label,
        summary=golden.summary,
        diagnoses=[(cause.outputs, cause.sentence) for cause in judgement.causes],
    )
    view = with_comparisons(view, golden, obtained, comparisons, SIDES)
    heading = Heading(golden.case, f"{golden.operation}: {judgement.verdict.label}", "" if judgement.passed else "bad")
    write_whole(path, render(heading, [view], SIDES).encode())
