"""What the manifest says of a golden: a text from which a diff can be read.

One line per array. The digests decide; the statistics are for people. ``history`` says why a golden has the values
that it has.
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
from golden.store.golden import Golden
from golden.store.read import parse_json
from golden.store.transaction import finish_interrupted

NAME = "MANIFEST.json"
FORMAT = "ptycho-golden manifest 1"

_SMALL = 32
"""Elements of an array whose values are written out in a text."""

Entry = dict[str, Any]


def read_manifest(fixtures: Path) -> dict[str, Entry]:
    """Case name -> entry; empty where there is no manifest yet.

    Finishes an update that was cut off after its commit.

    Raises:
        GoldenError: it is not a manifest of this format.
    """
    finish_interrupted(fixtures)
    path = fixtures / NAME
    try:
        document = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as broken:
        raise GoldenError(f"manifest {path}: {broken}. Restore it from version control") from broken
    if (
        not isinstance(document, dict)
        or document.get("format") != FORMAT
        or not isinstance(document.get("cases"), dict)
    ):
        raise GoldenError(
            f"manifest {path}: expected format {FORMAT!r} and a table of cases. Restore it from version control"
        )
    cases: dict[str, Entry] = document["cases"]
    broken_entry = next((name for name, entry in cases.items() if not _is_entry(name, entry)), None)
    if broken_entry is not None:
        raise GoldenError(
            f"manifest {path}: the entry of {broken_entry!r} is not what the generator writes. Restore it from version "
            f"control"
        )
    return cases


def _is_entry(name: str, entry: Any) -> bool:
    """Whether what is shown of an entry is there, and can be shown."""
    if not isinstance(entry, dict) or not isinstance(entry.get("history"), list):
        return False
    if not all(isinstance(entry.get(key, {}), dict) for key in ("picture", "provenance")):
        return False
    outputs = entry.get("outputs")
    if not isinstance(outputs, dict) or not all(isinstance(output, dict) for output in outputs.values()):
        return False
    texts = [name, *outputs, *(entry.get(key) for key in ("operation", "summary", "content"))]
    texts += [output.get("shape") for output in outputs.values()]
    texts += [*entry.get("picture", {}).values(), *entry.get("provenance", {}).values()]
    for event in entry["history"]:
        if not isinstance(event, dict):
            return False
        texts += [event.get("date"), event.get("reason"), event.get("before") or "", event.get("after")]
    return all(isinstance(text, str) and text.replace("\n", "").isprintable() for text in texts)


def write_manifest(path: Path, entries: Mapping[str, Entry]) -> None:
    document = {"format": FORMAT, "cases": {name: entries[name] for name in sorted(entries)}}
    path.write_text(_format(document, "") + "\n", encoding="utf-8")


def make_entry(golden: Golden, history: list[Entry], picture: Entry | None = None) -> Entry:
    """What the manifest says of a golden; ``picture`` is what ``gallery.renew`` says of its picture."""
    digests = golden.digests()
    return {
        "operation": golden.operation,
        "summary": golden.summary,
        "parameters": dict(sorted(golden.parameters.items())),
        "content": golden.content_digest(digests),
        "definition": golden.definition,
        "producer": golden.producer,
        "provenance": dict(sorted(golden.provenance.items())),
        "inputs": {name: _describe(array, digests[f"inputs/{name}"]) for name, array in sorted(golden.inputs.items())}
        | {
            name: {"shape": _shape(d.shape), "dtype": d.dtype, "recipe": True, "sha256": d.sha256}
            for name, d in sorted(golden.derived.items())
        },
        "outputs": {name: _describe_output(golden, name, digests) for name in sorted(golden.outputs)},
        "faults": {name: _describe_fault(caught) for name, caught in sorted(golden.faults.items())}
        | {name: {"invisible": reason} for name, reason in sorted(golden.invisible.items())},
        **({"picture": picture} if picture else {}),
        "history": history,
    }


def as_text(golden: Golden) -> str:
    """A golden in the manifest's words, and the values of its small arrays: what a text diff of two goldens needs."""
    entry = make_entry(golden, [])
    del entry["history"]
    arrays = {f"inputs/{name}": array for name, array in golden.inputs.items()}
    arrays |= {f"outputs/{name}": array for name, array in golden.outputs.items()}
    small = {name: _values(array) for name, array in sorted(arrays.items()) if array.size <= _SMALL}
    return _format({"case": golden.case, "draw": golden.draw, **entry, "values": small}, "")


def _values(array: np.ndarray) -> str:
    return np.array2string(array, separator=", ", threshold=_SMALL + 1).replace("\n", "")


def _describe_fault(caught: Caught) -> Entry:
    """Where a fault shows best, and how far outside the tolerance; ``exact`` when no number can say it."""
    return {"output": caught.clearest, "margin": _margin(caught.margin)}


def _margin(tolerances: float) -> float | str:
    return _short(tolerances) if math.isfinite(tolerances) else "exact"


def _describe(array: np.ndarray, digest: str) -> Entry:
    return {"shape": _shape(array.shape), "dtype": array.dtype.name, **statistics(array), "sha256": digest}


def _describe_output(golden: Golden, name: str, digests: Mapping[str, str]) -> Entry:
    array, where = golden.outputs[name], golden.where.get(name)
    entry = _describe(array, digests[f"outputs/{name}"])
    digest = entry.pop("sha256")
    if where is not None:
        entry["compared"] = f"{np.count_nonzero(where)} of {where.size}"
        entry["where_sha256"] = digests[f"where/{name}"]
    tolerance = golden.tolerances[name]
    nearest = [(caught.outputs[name].share, fault) for fault, caught in golden.faults.items() if name in caught.outputs]
    if nearest:
        margin, fault = min(nearest)
        entry["nearest_fault"], entry["margin"] = fault, _margin(margin)
    if array.dtype.kind in "fc":
        for key in ("noise_atol", "noise_rtol", "atol", "rtol"):
            entry[key] = _short(getattr(tolerance, key))
    else:
        entry["tolerance"] = "exact"
    return entry | {"sha256": digest}


def statistics(array: np.ndarray) -> Entry:
    """Numbers that let a reader picture an array: its value when it is one text, else norm, and extrema of a real
    array or largest modulus of a complex one.
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
    norm = {"norm": _short(math.sqrt(squares))}
    if array.dtype.kind == "c":
        return norm | {"largest": _short(largest)}
    return norm | {"min": _short(float(array.min())), "max": _short(float(array.max()))}


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _short(value: float) -> float:
    return float(f"{value:.5e}")


def _format(value: Any, indent: str) -> str:
    """JSON in which a table of tables takes a line per entry and a flat table takes one line."""
    inner = indent + " "
    if isinstance(value, dict) and any(isinstance(v, (dict, list)) for v in value.values()):
        lines = [f"{inner}{json.dumps(k)}: {_format(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        lines = [inner + _format(v, inner) for v in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
