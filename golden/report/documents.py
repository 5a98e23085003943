"""Format the results of the command ``golden`` as JSON for other programs. A number that is not finite is null."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from golden.judge.compare import Comparison
from golden.review.claims import Claim
from golden.review.difference import Difference
from golden.review.margins import margins
from golden.store.entry import Entry
from golden.store.golden import Golden


def list_json(entries: Mapping[str, Entry]) -> str:
    """Write the entries of goldens, by case."""
    return _written({"goldens": dict(entries)})


def show_json(shown: Iterable[tuple[Golden, Entry | None]]) -> str:
    """Write the description of a golden, without its arrays, and its entry if there is one."""
    return _written({"goldens": {golden.case: _described(golden, entry) for golden, entry in shown}})


def verify_json(count: int, problems: Sequence[str]) -> str:
    """Write the number of goldens in a directory, and the problems found."""
    return _written({"sound": not problems, "goldens": count, "problems": list(problems)})


def faults_json(goldens: Iterable[Golden], warned: Sequence[str], problems: Sequence[str]) -> str:
    """Write the margin of each fault of each golden, the nearest first, with warnings and problems."""
    found = [
        asdict(margin) | {"symptom": golden.faults[margin.fault].symptom}
        for golden in goldens
        for margin in margins(golden)
    ]
    return _written({"faults": found, "warnings": list(warned), "problems": list(problems)})


def differences_json(
    found: Sequence[Difference],
    headline: str,
    remarks: Mapping[str, Sequence[str]],
    claims: Sequence[Claim],
    compared: Sequence[str],
) -> str:
    """Write the differences between two sets of goldens, and the reasons from their history."""
    return _written(
        {
            "summary": headline,
            "compared": list(compared),
            "claims": [asdict(claim) for claim in claims],
            "confirmations": {said: list(cases) for said, cases in remarks.items()},
            "differences": [_difference(one) for one in found],
        }
    )


def comparison_json(
    case: str, comparisons: Sequence[Comparison], sentences: Sequence[str], absent: Sequence[str]
) -> str:
    """Write the comparison of a port's outputs with a golden."""
    outputs = {one.output: _outcome(one) for one in comparisons if one.output not in absent}
    return _written({"case": case, "outputs": outputs, "causes": list(sentences), "not_obtained": list(absent)})


def _described(golden: Golden, entry: Entry | None) -> dict[str, Any]:
    arrays = {
        kind: {name: {"shape": list(array.shape), "dtype": array.dtype.name} for name, array in of.items()}
        for kind, of in (("inputs", golden.inputs), ("outputs", golden.outputs))
    }
    return {
        "operation": golden.operation,
        "summary": golden.summary,
        "parameters": dict(golden.parameters),
        "producer": golden.producer,
        "provenance": dict(golden.provenance),
        "content": golden.content_digest(),
        **arrays,
        "tolerances": {name: asdict(tolerance) for name, tolerance in golden.tolerances.items()},
        "faults": [asdict(margin) for margin in margins(golden)],
        "invisible": dict(golden.invisible),
        "entry": entry,
    }


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "case": one.case,
        "kind": one.kind,
        "verdict": one.verdict.label,
        "share": one.share,
        "outputs": {comparison.output: _outcome(comparison) for comparison in one.comparisons},
        "causes": [cause.sentence for cause in one.causes],
        "remarks": list(one.remarks),
    }


def _outcome(one: Comparison) -> dict[str, Any]:
    return {"verdict": one.verdict.label, "share": one.share, "reason": one.reason}


def _written(document: Any) -> str:
    return json.dumps(_plain(document), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Convert a value to JSON types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
