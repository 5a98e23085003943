"""Compare the outputs of a port with a golden, apply its declarations, and record failures.

Nothing here writes a golden: the outputs of a port are written to a scratch directory.
"""

from __future__ import annotations

import math
import shlex
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from golden.judge.compare import Comparison, Tolerance, Verdict
from golden.judge.diagnose import Diagnosis
from golden.judge.judgement import Judgement, judge
from golden.judge.proof import Caught
from golden.report.obtained import ENDING
from golden.report.run import WITHIN_SLACK, Check
from golden.report.text import explain_causes, explain_failed
from golden.spec.arrays import Arrays, summarise, whereabouts
from golden.spec.parameters import Parameters
from golden.store.golden import Golden
from golden.store.write import write_outputs
from golden.testing.called import where_to_look
from golden.testing.declarations import Declaration, Ruling, rule
from golden.testing.goldens import OpenGolden
from golden.testing.returned import as_arrays, left_out
from golden.testing.subject import Way

_LARGEST_KEPT = 64 * 2**20
"""Largest output of a wrong shape that is written, in bytes."""
_LINES_OF_AN_ERROR = 20


@np.errstate(all="ignore")  # a port may return infinity, and may have asked NumPy to raise errors
def compared(
    opened: OpenGolden,
    returned: object,
    way: Way | None,
    declaration: Declaration | None,
    scratch: Path | None,
) -> Check:
    """Compare outputs with a golden.

    Args:
        opened: the golden.
        returned: the outputs by name: arrays or tensors in the reference's layout.
        way: the subject's function that computed them; None if a test computed them.
        declaration: of this golden.
        scratch: an existing directory for outputs that fail; None: they are not kept.

    Raises:
        GoldenError: the outputs cannot be compared.
    """
    operation, golden = opened.case.operation, opened.golden
    outputs, absent = as_arrays(returned, golden.outputs), left_out(returned, golden.outputs)
    part = _Part.without(golden, absent)
    judgement = judge(part, operation.kept(outputs), operation.path)
    ruling = rule(declaration, part.faults, judgement)
    check = Check(
        golden.case,
        operation.name,
        {one.output: _told(one, ruling.slack) for one in judgement.comparisons},
        way=way.name if way else "",
        excuse=ruling.excuse,
        contradiction=ruling.contradiction,
        left_out=absent,
    )
    if check.agrees and check.passed:
        return check
    return _explained(check, opened, judgement, ruling, outputs, scratch, way.places() if way else [])


@dataclass(frozen=True)
class _Part:
    """The outputs of a golden that a subject offers, and the faults that show in them."""

    outputs: Arrays
    tolerances: Mapping[str, Tolerance]
    where: Arrays
    faults: Mapping[str, Caught]
    parameters: Parameters

    @classmethod
    def without(cls, golden: Golden, absent: Sequence[str]) -> _Part:
        outputs = {name: array for name, array in golden.outputs.items() if name not in absent}
        shown = {
            name: {output: wrong for output, wrong in caught.outputs.items() if output in outputs}
            for name, caught in golden.faults.items()
        }
        faults = {name: replace(golden.faults[name], outputs=wrong) for name, wrong in shown.items() if wrong}
        return cls(outputs, golden.tolerances, golden.where, faults, golden.parameters)


def broke(opened: OpenGolden, error: BaseException, way: str, declaration: Declaration | None) -> Check:
    """Record that the subject raised an exception instead of returning outputs."""
    ruling = rule(declaration, opened.golden.faults, None)
    last = traceback.format_exception_only(error)[-1].strip()
    lines = "".join(traceback.format_exception(error)).splitlines()[-_LINES_OF_AN_ERROR:]
    return Check(opened.case.name, opened.case.operation.name, {}, lines, way=way, excuse=ruling.excuse, error=last)


def unusable(opened: OpenGolden, problem: str, way: str) -> Check:
    """Record that the value that the subject returned cannot be compared."""
    lines = [f"golden {opened.case.name}: {problem}"]
    return Check(opened.case.name, opened.case.operation.name, {}, lines, way=way, error=problem)


def _told(one: Comparison, slack: float) -> dict[str, object]:
    verdict = one.verdict.label if one.passed or not one.share <= slack else WITHIN_SLACK
    told: dict[str, object] = {"verdict": verdict, "share": one.share if math.isfinite(one.share) else None}
    return {**told, "reason": one.reason} if one.reason else told


def _explained(
    check: Check,
    opened: OpenGolden,
    judgement: Judgement,
    ruling: Ruling,
    outputs: Arrays,
    scratch: Path | None,
    places_of_port: Sequence[str],
) -> Check:
    """Add to a check why its outputs differ, and write the outputs found."""
    operation = opened.case.operation
    places = _whereabouts(opened, judgement, outputs)
    failed = [one for one in judgement.failed if check.outputs[one.output]["verdict"] != WITHIN_SLACK]
    lines = explain_failed(check.case, failed, operation.path, places) if failed else [f"golden {check.case}: agrees"]
    lines += explain_causes(judgement.causes) if judgement.causes else []
    lines += where_to_look(places_of_port)
    lines += [f"  {remark}" for remark in (ruling.contradiction, ruling.remark) if remark]
    file, too_large = _write(check, opened, operation.kept(outputs), scratch) if scratch else (None, [])
    if file:
        lines.append(f"  obtained: {file}" + (f" (without {too_large}: too large)" if too_large else ""))
        lines.append(f"  look again: golden diff {shlex.quote(str(opened.source))} {shlex.quote(str(file))}")
    return replace(
        check,
        lines=lines,
        faults=judgement.resembled,
        diagnoses=[_as_record(one) for one in judgement.causes],
        remarks=places | dict.fromkeys(too_large, "too large to keep"),
        obtained=str(file or ""),
        places=places_of_port,
    )


def _as_record(one: Diagnosis) -> dict[str, object]:
    fault = one.faults[0] if one.faults else one.resembles
    return {"outputs": list(one.outputs), "sentence": one.sentence, "fault": fault}


def _write(check: Check, opened: OpenGolden, obtained: Arrays, scratch: Path) -> tuple[Path, list[str]]:
    """Write the outputs, except large ones of a wrong shape; return the file and the names of those left out."""
    expected = opened.golden.outputs
    kept = {
        name: array
        for name, array in obtained.items()
        if array.nbytes <= _LARGEST_KEPT or (name in expected and expected[name].shape == array.shape)
    }
    way = f"__{check.way}" if check.way else ""
    file = scratch / "golden" / f"{check.case.replace('/', '-')}{way}{ENDING}"
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    write_outputs(file, kept)
    return file, sorted(set(obtained) - set(kept))


def _whereabouts(opened: OpenGolden, judgement: Judgement, whole: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Describe where in the whole array the wrong entries of a summary are."""
    summarised = {output.name for output in opened.case.operation.outputs if output.keep is summarise}
    found = {}
    for name in summarised & {one.output for one in judgement.failed if one.verdict is Verdict.BREAKING}:
        expected, tolerance = opened.golden.outputs[name], opened.golden.tolerances[name]
        with np.errstate(invalid="ignore"):
            difference = np.abs(judgement.outputs[name] - expected)  # type: ignore[operator]
            passed = difference <= tolerance.atol + tolerance.rtol * np.abs(expected)
        if passed.shape != whole[name].shape:  # small arrays have no summary
            found[name] = whereabouts(whole[name].shape, ~passed)
    return found
