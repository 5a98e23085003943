"""Format results as text: failure messages, terminal tables, Markdown for a pull request. Takes no numeric decision."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape as html_escape
from types import MappingProxyType

import numpy as np
from rich.markup import escape
from rich.table import Table

from golden.judge.compare import Comparison, Verdict
from golden.judge.diagnose import Diagnosis
from golden.judge.proof import Caught
from golden.review.claims import Claim
from golden.review.difference import Change, Difference, verdicts_counted
from golden.review.margins import margins
from golden.spec.arrays import digest_array
from golden.spec.case import Case
from golden.store.confirmation import KEY, confirmation, confirmed_by, is_stale, release_text
from golden.store.entry import Entry, statistics
from golden.store.golden import Golden

_COLOURS = {
    Verdict.IDENTICAL: "green",
    Verdict.WITHIN_NOISE: "green",
    Verdict.WITHIN_TOLERANCE: "yellow",
    Verdict.BREAKING: "red",
    Verdict.STRUCTURAL: "red",
}


def colour_of(verdict: Verdict) -> str:
    """Return the colour that a verdict has in a terminal."""
    return _COLOURS[verdict]


def explain(case: str, comparison: Comparison, sides: tuple[str, str] = ("expected", "found")) -> list[str]:
    """Describe what is wrong with one output: a headline and the details.

    Args:
        case: name of the case.
        comparison: of the output.
        sides: what the two values are called.
    """
    head = f"golden {case}: output '{comparison.output}' {comparison.verdict.label}"
    if comparison.verdict is Verdict.STRUCTURAL:
        return [head, f"  {reason_text(comparison, sides)}"]
    lines = [head if math.isinf(comparison.share) else f"{head} (worst {share_text(comparison.share)})"]
    if comparison.worst is not None:
        worst = comparison.worst
        at = f" at {list(worst.index)}" if worst.index else ""
        values = value_texts(worst.expected, worst.actual)
        detail = f"  {sides[0]} {values[0]}{at}, {sides[1]} {values[1]}"
        if comparison.failing:
            detail += f"; {comparison.failing} of {comparison.compared} compared elements fail{_box(comparison.box)}"
        lines.append(detail)
    if comparison.amplitude_error or comparison.phase_error:  # both are 0 if no finite element moved
        lines.append(
            f"  largest error: amplitude {comparison.amplitude_error:.2g}, phase {comparison.phase_error:.2g} rad"
        )
    return lines


def reason_text(comparison: Comparison, sides: tuple[str, str]) -> str:
    """Return why an output cannot be compared, with the names of the two sides; "" if it can be compared."""
    return comparison.reason.replace("expected", sides[0]).replace("found", sides[1])


def explain_failed(
    case: str,
    failed: Sequence[Comparison],
    path: Mapping[str, str],
    remarks: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Describe what is wrong with a golden's outputs. Of the outputs on a path, explain the first and name the others.

    Args:
        case: name of the case.
        failed: its outputs that failed.
        path: outputs in the order in which they are computed; may be empty.
        remarks: output -> a further remark.
    """
    places = list(path)
    following = sorted((one for one in failed if one.output in path), key=lambda one: places.index(one.output))
    told = [*following[:1], *(one for one in failed if one.output not in path)]
    lines: list[str] = []
    for one in told:
        lines += explain(case, one)
        lines += [f"  {remarks[one.output]}"] if one.output in remarks else []
    if following[1:]:
        rest = shortened([one.output for one in following[1:]], 8)
        lines.append(f"  later outputs, computed from it, fail too: {rest}")
    return lines


def explain_causes(diagnoses: Sequence[Diagnosis]) -> list[str]:
    """Format the diagnoses of one golden; outputs are named if there are several diagnoses."""
    if len(diagnoses) == 1:
        return [f"  diagnosis: {diagnoses[0].sentence}"]
    return [f"  diagnosis of {', '.join(repr(name) for name in one.outputs)}: {one.sentence}" for one in diagnoses]


def explain_change(diagnoses: Sequence[Diagnosis]) -> list[str]:
    """Format the diagnoses of a golden compared with an older one: the reference changed, no port is wrong."""
    return [
        f"  the new answer{_of(one, diagnoses)} compared with the old one: {change_sentence(one)}" for one in diagnoses
    ]


def change_sentence(diagnosis: Diagnosis) -> str:
    """Return a diagnosis's sentence, adapted to an old and a new answer of the reference."""
    return diagnosis.sentence.replace("the expected values", "the old values").replace("the port ", "it ")


def _of(one: Diagnosis, among: Sequence[Diagnosis]) -> str:
    return " in " + ", ".join(repr(name) for name in one.outputs) if len(among) > 1 else ""


def crossing_lines(found: Iterable[Difference]) -> list[str]:
    """Describe where and why two references disagree, and which operations one of them cannot compute."""
    lines: list[str] = []
    unanswered: dict[str, list[str]] = {}
    for one in found:
        if one.change is Change.UNANSWERED:
            unanswered.setdefault(one.notes[0], []).append(one.case)
            continue
        lines += one.notes
        for comparison in one.comparisons:
            if not comparison.passed:
                lines += explain(one.case, comparison)
        if one.causes:
            lines += explain_causes(one.causes)
    return lines + [f"{reason}: {shortened(cases)}" for reason, cases in unanswered.items()]


def common_causes(found: Sequence[Difference]) -> list[str]:
    """Name what explains several changes at once."""
    names = Counter(name for one in found for name in {d.faults[0] if d.faults else d.transform for d in one.causes})
    return [
        f"{count} of {len(found)} changes look like {name!r}"
        for name, count in names.most_common(3)
        if name and count > 1
    ]


def difference_lines(one: Difference) -> list[str]:
    """Describe what differs in one case."""
    lines = [f"{one.case}: {one.kind}" + (f"; outputs {one.verdict.label}" if one.comparisons else "")]
    lines += [f"  {remark}" for remark in one.remarks]
    for comparison in one.comparisons:
        if comparison.verdict > Verdict.WITHIN_NOISE:
            told = explain(one.case, comparison, ("was", "now"))
            lines += [f"  {line.removeprefix(f'golden {one.case}: ')}" for line in told]
    if one.verdict is not Verdict.IDENTICAL and (passed := verdicts_counted(one.comparisons)):
        lines.append(f"  outputs: {passed}")
    lines += drift_lines(one.drifts)
    return lines + [f"  {line}" for line in explain_change(one.causes)]


def drift_lines(drifts: Mapping[str, str]) -> list[str]:
    """Name outputs whose changes follow one rule, even though they are within the tolerance."""
    said: dict[str, list[str]] = {}
    for name, sentence in drifts.items():
        said.setdefault(sentence, []).append(name)
    return [f"  {', '.join(map(repr, names))}: {sentence}" for sentence, names in said.items()]


def claim_texts(claim: Claim) -> tuple[str, str]:
    """Format a claim: the reason; then the date, who answered, and which goldens."""
    count = f"{len(claim.cases)} golden{'s' if len(claim.cases) != 1 else ''}: {shortened(claim.cases)}"
    if not claim.reason:
        return "none recorded in the history of the entries", count
    return claim.reason, "; ".join(filter(None, (claim.date, claim.answered, count)))


def preface_lines(claims: Sequence[Claim], compared: Sequence[str] = ()) -> list[str]:
    """Begin a review: why goldens changed, who answered, when, and which states are compared."""
    lines = []
    for reason, details in map(claim_texts, claims):
        lines += [f"reason: {reason}", f"  {details}"]
    lines += [f"{side}: {told}" for side, told in zip(("before", "after"), compared)]
    return [*lines, ""] if lines else []


def confirmation_lines(changed: Mapping[str, Sequence[str]]) -> list[str]:
    """Format the result of ``confirmations_changed``."""
    return [f"{said}: {shortened(cases)}" for said, cases in changed.items()]


def differences_markdown(
    found: Sequence[Difference],
    headline: str,
    remarks: Sequence[str] = (),
    claims: Sequence[Claim] = (),
    compared: Sequence[str] = (),
) -> str:
    """Return a comment for a pull request: a line per case, and the details folded away.

    Args:
        found: a difference per case.
        headline: a summary.
        remarks: about all cases, a sentence each.
        claims: why they changed.
        compared: the older and the newer state.
    """
    lines = [f"### Goldens: {headline}", ""]
    for reason, details in map(claim_texts, claims):
        lines += [f"**Reason:** {inert(reason)}<br>", inert(details), ""]
    lines += [f"{side}: {inert(told)}<br>" for side, told in zip(("Before", "After"), compared)]
    lines += [""] if compared else []
    for remark in remarks:
        lines += [inert(remark), ""]
    if found:
        lines += ["| case | | outputs | largest change | looks like |", "|---|---|---|---|---|"]
    for one in found:
        label = f"{one.kind}; outputs {one.verdict.label}" if one.comparisons else one.kind
        moved = [c for c in one.comparisons if c.verdict > Verdict.WITHIN_NOISE]
        largest = share_text(one.share) if one.share else "-"
        causes = "; ".join([*map(change_sentence, one.causes), *dict.fromkeys(one.drifts.values())]) or "-"
        names = ", ".join([*(c.output for c in moved), *filter(None, [verdicts_counted(one.comparisons)])]) or "-"
        cells = (f"<code>{inert(one.case)}</code>", *map(inert, (label, names, largest, causes)))
        lines.append("| " + " | ".join(cells) + " |")
    for one in found:
        details = html_escape("\n".join(difference_lines(one)), quote=False)
        summary = f"<summary>{inert(one.case)}</summary>"
        lines += ["", f"<details>{summary}", "", f"<pre>{details}</pre>", "", "</details>"]
    return "\n".join([*lines, ""])


def inert(text: str) -> str:
    """Escape everything that HTML or Markdown would not show as plain text: tags, tables, links, code, mentions."""
    escaped = html_escape(text, quote=False)
    return "".join(f"&#{ord(c)};" if c in "|`*_[]()!@#~\\" else c for c in escaped)


def fault_table(goldens: Iterable[Golden], every: bool) -> Table:
    """Return a table with a line per golden and its nearest fault, or a line per fault if ``every``."""
    heading = "fault" if every else "nearest fault"
    table = _table("case", "output", "noise", "tolerance", heading, "distance", "margin")
    for margin in (margin for golden in goldens for margin in (margins(golden) if every else margins(golden)[:1])):
        exact = margin.tolerance == 0
        table.add_row(
            margin.case,
            margin.output,
            "-" if exact else f"{margin.noise:.1e}",
            "exact" if exact else f"{margin.tolerance:.1e}",
            margin.fault,
            "-" if math.isinf(margin.distance) else f"{margin.distance:.1e}",
            margin_text(margin.margin),
        )
    return table


def shortened(names: Sequence[str], most: int = 4) -> str:
    """Join names in one line; of many, the first few and the number of the rest."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def margin_text(margin: float) -> str:
    return "exact" if math.isinf(margin) else f"{margin:.1e} x"


def faults_headline(goldens: Sequence[Golden], warned: int) -> str:
    """Return in one line how many faults are caught, and the nearest; ``warned`` is the number of warnings."""
    proved = [margin for golden in goldens for margin in margins(golden)]
    if not proved:
        return f"{len(goldens)} goldens catch no fault"
    nearest = min(proved, key=lambda margin: margin.margin)
    distinct = {(golden.operation, name) for golden in goldens for name in golden.faults}
    return (
        f"{len(goldens)} goldens catch {len(distinct)} faults, proved {len(proved)} times; the nearest is "
        f"{margin_text(nearest.margin)} its tolerance away ({nearest.fault} in {nearest.case}); {warned} warning(s)"
    )


def catchers_table(goldens: Iterable[Golden]) -> Table:
    """Return a table with a line per fault: how many cases catch it, the smallest margin, and the symptom."""
    caught: dict[tuple[str, str], list[Caught]] = {}
    cases: dict[str, int] = {}
    for golden in goldens:
        cases[golden.operation] = cases.get(golden.operation, 0) + 1
        for name, fault in golden.faults.items():
            caught.setdefault((golden.operation, name), []).append(fault)
    table = _table("operation", "fault", "caught by", "nearest", "symptom")
    for (operation, name), faults in sorted(caught.items()):
        share = f"{len(faults)} of {cases[operation]}"
        nearest = margin_text(min(fault.margin for fault in faults))
        table.add_row(operation, name, share, nearest, escape(faults[0].symptom))
    return table


def share_text(share: float) -> str:
    """Return a difference in units of the tolerance, or "not equal" if it has no number."""
    return "not equal" if math.isinf(share) else f"{share:.2g} x tolerance"


def value_texts(one: object, other: object) -> tuple[str, str]:
    """Format two values, with enough digits to tell them apart."""
    texts = value_text(one), value_text(other)
    if texts[0] != texts[1] or not (isinstance(one, np.generic) and isinstance(other, np.generic)):
        return texts
    return str(one.item()), str(other.item())


def value_text(value: object) -> str:
    if isinstance(value, (bytes, np.bytes_)):
        return value.decode(errors="replace")
    if isinstance(value, (complex, np.complexfloating)):
        number = complex(value)
        return f"({number.real:.6g}{number.imag:+.6g}j)"
    return f"{value:.7g}" if isinstance(value, (float, np.floating)) else str(value)


def _box(box: tuple[tuple[int, int], ...]) -> str:
    sides = [(low, high) for low, high in box]
    if not sides:
        return ""
    return ", in [" + ", ".join(f"{low}:{high}" for low, high in sides) + "]"


def case_list(cases: Iterable[Case]) -> Table:
    table = _table("case", "operation", "what it shows")
    for case in cases:
        table.add_row(case.name, case.operation.name, escape(case.summary + (" (slow)" if case.slow else "")))
    return table


def golden_list(entries: Mapping[str, Entry]) -> Table:
    """Tabulate goldens from their entries, a line for each."""
    table = _table("case", "operation", "confirmed", "outputs", "what it shows")
    for name, entry in entries.items():
        outputs = entry["outputs"]
        shown = (
            ", ".join(f"{key} {value['shape']}" for key, value in outputs.items())
            if len(outputs) < 5
            else f"{len(outputs)} values"
        )
        record = confirmation(entry)
        by = "-" if record is None else escape(release_text(record))
        table.add_row(name, entry["operation"], by, shown, escape(entry["summary"]))
    return table


def regeneration_table(rows: Iterable[Difference], written: Collection[str]) -> Table:
    """Return a table with a line per case; ``written`` are the cases whose goldens were rewritten."""
    table = _table("case", "verdict", "largest difference", "time")
    for row in rows:
        colour = "yellow" if row.change else _COLOURS[row.verdict]
        label = f"[{colour}]{row.label}[/]" + (" -> written" if row.case in written else "")
        difference = share_text(row.share) if row.share else "0" if row.comparisons else "-"
        table.add_row(row.case, label, difference, f"{row.seconds:.2f} s" if row.seconds else "-")
    return table


def confirmation_text(entry: Entry) -> str:
    """Return which release of the real package confirmed a golden, when, and how closely it agreed."""
    record = confirmation(entry)
    if record is None:
        return f"no; {confirmed_by(entry[KEY])} confirmed another value" if is_stale(entry) else "no"
    with_what = f"with TensorFlow {record['tensorflow']}, at {share_text(record['share'])}"
    return f"by {record['reference']} {record.get('commit') or record['version']} on {record['date']}, {with_what}"


def describe(golden: Golden, entry: Entry | None) -> list[str | Table]:
    """Describe the contents of a golden and of its entry, if any, as parts that Rich prints one below the other."""
    parts: list[str | Table] = [
        f"[bold]{golden.case}[/]  {escape(golden.summary)}",
        f"operation   {golden.operation}",
        "parameters  " + (", ".join(f"{key} = {value!r}" for key, value in golden.parameters.items()) or "none"),
        f"producer    {golden.producer}: " + escape(_provenance(golden)),
        f"content     {golden.content_digest()}",
        *([f"confirmed   {escape(confirmation_text(entry))}"] if entry else []),
    ]
    arrays = _table("inputs", "shape", "dtype", "summary", "sha256")
    for name, array in golden.inputs.items():
        arrays.add_row(name, str(array.shape), _dtype(array), _summary(array), f"{_digest(array)}")
    for name, derived in golden.derived.items():
        arrays.add_row(
            name,
            str(derived.shape),
            np.dtype(derived.dtype).name,
            "derived by the operation's recipe",
            derived.sha256[:12],
        )
    outputs = _table("outputs", "shape", "dtype", "summary", "noise", "tolerance", "sha256")
    for name, array in golden.outputs.items():
        tolerance = golden.tolerances[name]
        floating = array.dtype.kind in "fc"
        line = f"{tolerance.atol:.1e} + {tolerance.rtol:.1e} |e|" if floating else "exact"
        noise = f"{tolerance.noise_atol:.1e} + {tolerance.noise_rtol:.1e} |e|" if floating else "-"
        summary = _summary(array)
        if name in golden.where:
            summary += f", compared at {np.count_nonzero(golden.where[name])} of {array.size}"
        if name in golden.expected_constant:
            summary += f" (constant: {escape(golden.expected_constant[name])})"
        outputs.add_row(name, str(array.shape), _dtype(array), summary, noise, line, _digest(array))
    faults = _table("fault", "output", "margin", "symptom")
    for margin in margins(golden):
        symptom = golden.faults[margin.fault].symptom
        faults.add_row(margin.fault, margin.output, margin_text(margin.margin), escape(symptom))
    for name, reason in sorted(golden.invisible.items()):
        faults.add_row(name, "-", "invisible", escape(reason))
    axes = _table("array", "axes", "unit")
    for path, label in golden.labels.items():
        axes.add_row(path, label.axes, label.unit)
    parts += [arrays if arrays.row_count else "inputs      none", outputs, *([axes] if golden.labels else []), faults]
    return parts + [
        f"history     {event['date']}  {event['before'] or 'new'} -> {event['after']}  {escape(event['reason'])}"
        for event in (entry["history"] if entry else [])
    ]


def _provenance(golden: Golden) -> str:
    """Return who computed a golden, the reference first."""
    first = ("reference", "version", "commit")
    names = [name for name in first if name in golden.provenance]
    names += [name for name in golden.provenance if name not in first]
    return ", ".join(f"{name} {golden.provenance[name]}" for name in names)


def _summary(array: np.ndarray) -> str:
    numbers = statistics(array)
    finite = "" if array.dtype.kind not in "fc" or np.isfinite(array).all() else " NOT FINITE"
    return escape(", ".join(f"{key} {value}" for key, value in numbers.items()) + finite)


def _dtype(array: np.ndarray) -> str:
    return "text" if array.dtype.kind == "S" else array.dtype.name


def _digest(array: np.ndarray) -> str:
    return digest_array(array)[:12]


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")  # wrap a name in a narrow terminal rather than cut it
    return table
