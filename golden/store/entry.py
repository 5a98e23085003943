"""An entry is the JSON file beside a golden: it lists what the golden holds, so that git can show what changed.

Each array takes one line. Its digest decides; its statistics are for people. ``history`` gives the reasons for the
golden's values, newest first. ``confirmed`` names the release of the real package that agreed, if one did
(``golden.store.confirmation``). Margins have two digits, so that rounding changes no line. The entry is also the commit
record of an update (``golden.store.update``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from golden.judge.proof import Caught
from golden.spec.arrays import blocks
from golden.spec.errors import GoldenError
from golden.spec.operation import Label
from golden.store.confirmation import KEY, Record, confirmation, is_record, with_confirmation
from golden.store.contents import parse_json
from golden.store.folder import UnreadableError, read_small
from golden.store.golden import Derived, Golden, cases_with
from golden.store.spoilt import what_happened

FORMAT = "ptycho-golden entry 1"

_SMALL = 32
"""The largest array, in elements, whose values ``as_text`` shows."""

Entry = dict[str, Any]


def entry_path(fixtures: Path, case: str) -> Path:
    return fixtures / f"{case}.json"


def listed_cases(fixtures: Path) -> frozenset[str]:
    """Name the cases that have an entry in a fixtures directory."""
    return cases_with(fixtures, ".json")


def read_entries(fixtures: Path) -> dict[str, Entry]:
    """Read the entries of all goldens, by case.

    Raises:
        GoldenError: one of them is not an entry of this format.
    """
    return {case: read_entry(fixtures, case) for case in sorted(listed_cases(fixtures))}


def read_entry(fixtures: Path, case: str) -> Entry:
    """Read the entry of a golden.

    Raises:
        GoldenError: there is none, or it is not an entry of this format.
    """
    return read_entry_file(entry_path(fixtures, case))


def read_entry_file(path: Path) -> Entry:
    """Read the entry in a file.

    Raises:
        GoldenError: there is none, or it is not an entry of this format.
    """
    try:
        content = read_small(path)
    except FileNotFoundError:
        raise GoldenError(f"entry {path}: no such file. {_ADVICE}") from None
    except UnreadableError as closed:
        raise GoldenError(f"entry {path}: {closed}") from closed
    except GoldenError as broken:
        raise GoldenError(f"entry {path}: {broken}. {_ADVICE}") from broken
    return parse_entry(content, str(path))


def parse_entry(content: bytes, name: str) -> Entry:
    """Read an entry from the bytes of its file; ``name`` is the file's name in messages.

    Raises:
        GoldenError: it is not an entry of this format.
    """
    if spoilt := what_happened(content):
        raise GoldenError(f"entry {name}: {spoilt}")
    try:
        entry = parse_json(content.decode())
    except ValueError as broken:
        raise GoldenError(f"entry {name}: {broken}. {_ADVICE}") from broken
    if not isinstance(entry, dict) or entry.get("format") != FORMAT:
        raise GoldenError(f"entry {name}: expected a JSON object of format {FORMAT!r}. {_ADVICE}")
    if not _can_be_shown(entry):
        raise GoldenError(f"entry {name}: this is not what the generator writes. {_ADVICE}")
    return entry


_ADVICE = "Restore it from version control"


def _can_be_shown(entry: Entry) -> bool:
    """Tell whether all that is displayed of an entry, or bound to a confirmation, is present and printable."""
    history, groups = entry.get("history"), [entry.get("inputs"), entry.get("outputs")]
    if not isinstance(history, list) or not history or not all(isinstance(event, dict) for event in history):
        return False
    if not all(isinstance(entry.get(key, {}), dict) for key in ("picture", "provenance", "parameters")):
        return False
    if any(isinstance(value, (dict, list)) for value in entry.get("parameters", {}).values()):
        return False
    if not all(isinstance(group, dict) and all(isinstance(a, dict) for a in group.values()) for group in groups):
        return False
    if KEY in entry and not is_record(entry[KEY]):
        return False
    arrays = [*entry["inputs"].values(), *entry["outputs"].values()]
    texts = [*entry["outputs"], *(entry.get(key) for key in ("operation", "summary", "content"))]
    texts += [array.get(key) for array in arrays for key in ("shape", "sha256")]
    texts += [*entry.get("picture", {}).values(), *entry.get("provenance", {}).values()]
    texts += [value for key, value in entry.get(KEY, {}).items() if key != "share"]
    for event in history:
        texts += [event.get("date"), event.get("reason"), event.get("before") or "", event.get("after")]
    return all(isinstance(text, str) and text.replace("\n", "").isprintable() for text in texts)


def entry_text(entry: Entry) -> str:
    """Return the text of an entry's file."""
    return _format(entry, "") + "\n"


def make_entry(
    golden: Golden, history: list[Entry], picture: Mapping[str, str], confirmed: Record | None = None
) -> Entry:
    """Make the entry of a golden.

    Args:
        golden: the golden.
        history: its events, newest first.
        picture: the record of its picture (``gallery.picture_entry``); empty if it has none.
        confirmed: the confirmation in the previous entry; it is dropped if it is bound to other values.
    """
    entry = {
        "format": FORMAT,
        "operation": golden.operation,
        "summary": golden.summary,
        "history": history,
        **_describe(golden),
        **({"picture": dict(picture)} if picture else {}),
    }
    return with_confirmation(entry, confirmation(with_confirmation(entry, confirmed)))


def as_text(golden: Golden) -> str:
    """Return a golden as text that git can compare: its entry, with the values of its small arrays."""
    arrays = {f"inputs/{name}": array for name, array in golden.inputs.items()}
    arrays |= {f"outputs/{name}": array for name, array in golden.outputs.items()}
    small = {name: _values(array) for name, array in sorted(arrays.items()) if array.size <= _SMALL}
    head = {"case": golden.case, "operation": golden.operation, "summary": golden.summary, "draw": golden.draw}
    return _format({**head, **_describe(golden), "values": small}, "")


def _values(array: np.ndarray) -> str:
    return np.array2string(array, separator=", ", threshold=_SMALL + 1).replace("\n", "")


def _describe(golden: Golden) -> Entry:
    digests = golden.digests()
    return {
        "content": golden.content_digest(digests),
        "definition": golden.definition,
        "producer": golden.producer,
        "provenance": dict(sorted(golden.provenance.items())),
        "parameters": dict(sorted(golden.parameters.items())),
        "inputs": {
            name: _describe_array(golden, f"inputs/{name}", array, digests)
            for name, array in sorted(golden.inputs.items())
        }
        | {name: _describe_derived(golden, name, derived) for name, derived in sorted(golden.derived.items())},
        "outputs": {name: _describe_output(golden, name, digests) for name in sorted(golden.outputs)},
        "faults": {name: _describe_fault(caught) for name, caught in sorted(golden.faults.items())}
        | {name: {"invisible": reason} for name, reason in sorted(golden.invisible.items())},
    }


def labels_listed(entry: Entry) -> dict[str, Label]:
    """Return the axes and units that an entry lists, by group and name (``outputs/mosaic``)."""
    groups = {group: entry.get(group) for group in ("inputs", "outputs")}
    arrays = {
        f"{group}/{name}": array for group, of in groups.items() if isinstance(of, dict) for name, array in of.items()
    }
    labels = {
        path: Label(of.get("axes", ""), of.get("unit", "")) for path, of in arrays.items() if isinstance(of, dict)
    }
    return {path: label for path, label in labels.items() if label != Label()}


def _describe_label(golden: Golden, path: str) -> Entry:
    label = golden.labels.get(path, Label())
    return {key: text for key, text in (("axes", label.axes), ("unit", label.unit)) if text}


def _describe_derived(golden: Golden, name: str, derived: Derived) -> Entry:
    return {
        "shape": _shape(derived.shape),
        "dtype": np.dtype(derived.dtype).name,
        **_describe_label(golden, f"inputs/{name}"),
        "recipe": True,
        "sha256": derived.sha256,
    }


def _describe_array(golden: Golden, path: str, array: np.ndarray, digests: Mapping[str, str]) -> Entry:
    return {
        "shape": _shape(array.shape),
        "dtype": array.dtype.name,
        **_describe_label(golden, path),
        **statistics(array),
        "sha256": digests[path],
    }


def _describe_output(golden: Golden, name: str, digests: Mapping[str, str]) -> Entry:
    array, where = golden.outputs[name], golden.where.get(name)
    entry = _describe_array(golden, f"outputs/{name}", array, digests)
    digest = entry.pop("sha256")
    if where is not None:
        entry["compared"] = f"{np.count_nonzero(where)} of {where.size}"
        entry["where_sha256"] = digests[f"where/{name}"]
    # If two faults are equally near in two digits, take the first by name: rounding must not choose.
    margins = {fault: _digits(c.outputs[name].share, 2) for fault, c in golden.faults.items() if name in c.outputs}
    if margins:
        nearest = min(sorted(margins), key=margins.__getitem__)
        entry["nearest_fault"], entry["margin"] = nearest, _margin(margins[nearest])
    if array.dtype.kind in "fc":
        for key in ("noise_atol", "noise_rtol", "atol", "rtol"):
            entry[key] = _digits(getattr(golden.tolerances[name], key), 3)
    else:
        entry["tolerance"] = "exact"
    return entry | {"sha256": digest}


def _describe_fault(caught: Caught) -> Entry:
    """Name the output that shows a fault best, and its margin; ``exact`` if no number expresses it."""
    margins = {name: _digits(wrong.share, 2) for name, wrong in caught.outputs.items()}
    clearest = max(sorted(margins), key=margins.__getitem__)
    return {"output": clearest, "margin": _margin(margins[clearest])}


def _margin(tolerances: float) -> float | str:
    return tolerances if math.isfinite(tolerances) else "exact"


def statistics(array: np.ndarray) -> Entry:
    """Summarise an array for people.

    A single text or whole number is given as it is. Other arrays are given by their norm, and by the extrema of a real
    array or the largest modulus of a complex one.
    """
    if array.dtype.kind == "S":
        return {"value": array.item().decode()} if array.ndim == 0 else {"values": array.size}
    if array.size == 0:
        return {}
    if array.ndim == 0 and array.dtype.kind in "iub":
        return {"value": array.item()}
    squares, largest = 0.0, 0.0
    with np.errstate(over="ignore"):
        for _, (block,) in blocks(array):
            modulus = np.abs(block).astype(np.float64)
            squares += float(np.square(modulus).sum())
            largest = max(largest, float(modulus.max()))
    norm = {"norm": _digits(math.sqrt(squares), 6)}
    if array.dtype.kind == "c":
        return norm | {"largest": _digits(largest, 6)}
    return norm | {"min": _digits(float(array.min()), 6), "max": _digits(float(array.max()), 6)}


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _digits(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def _format(value: Any, indent: str) -> str:
    """Write JSON in which a table of tables takes a line per entry and a flat table takes one line."""
    inner = indent + " "
    if isinstance(value, dict) and any(isinstance(v, (dict, list)) for v in value.values()):
        lines = [f"{inner}{json.dumps(k)}: {_format(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        lines = [inner + _format(v, inner) for v in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
