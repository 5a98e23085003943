"""The readable twin of the fixtures: a text that says what every golden holds, so that a diff can be read.

One line per array. The digests decide; the statistics are for people. ``history`` says why a golden has the values
that it has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.judge.proof import Caught
from golden.spec.arrays import blocks
from golden.spec.case import GoldenError
from golden.store import gallery
from golden.store.golden import Golden, golden_path, parse_json
from golden.store.guard import read_untrusted
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


def verify(fixtures: Path, cases: frozenset[str]) -> list[str]:
    """Everything that is wrong with a fixtures directory; empty when nothing is.

    Checks that every file reads and matches its digests, that the manifest says what the files say, and that cases,
    files and manifest name each other without exception.
    """
    try:
        entries = read_manifest(fixtures)
    except GoldenError as broken:
        return [str(broken)]
    files = stored_cases(fixtures)
    problems = []
    for name in sorted(cases - files):
        problems.append(
            f"case {name}: no golden; make it with 'python generate_golden.py --update --reason ... {name}'"
        )
    for name in sorted(files - cases):
        problems.append(
            f"golden {name}: no case declares it; remove it with 'python generate_golden.py --update --reason ...'"
        )
    for name in sorted(set(entries) - files):
        problems.append(f"manifest entry {name}: its file is missing")
    problems += [f"file {name}: neither a golden (TOPIC/CASE.h5) nor the manifest" for name in _strays(fixtures)]
    proved = []
    for name, golden in zip(sorted(files), read_untrusted([golden_path(fixtures, name) for name in sorted(files)])):
        if isinstance(golden, str):
            problems.append(golden)
        else:
            problems += _verify_one(golden, name, entries.get(name), fixtures)
            proved.append(replace(golden, inputs={}, outputs={}, where={}))  # one at a time is in memory
    if read_page(fixtures) != gallery.page(entries):
        problems.append(f"{fixtures / gallery.PAGE}: out of step with the manifest")
    return problems + blind_spots(proved)


def read_page(fixtures: Path) -> str:
    """The gallery's page as it lies there; the page of an empty gallery where there is none."""
    try:
        return (fixtures / gallery.PAGE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return gallery.page({})


def _table(value: Any) -> Entry:
    return value if isinstance(value, dict) else {}


def stored_cases(fixtures: Path) -> frozenset[str]:
    """The names of all goldens that lie in a fixtures directory."""
    names = (path.relative_to(fixtures).with_suffix("").as_posix() for path in fixtures.glob("*/*.h5"))
    return frozenset(name for name in names if not name.startswith("."))


def _strays(fixtures: Path) -> list[str]:
    """Files that are neither goldens, nor their pictures, nor the manifest, nor part of an update."""
    files = (path.relative_to(fixtures) for path in fixtures.rglob("*") if path.is_file())
    known = {f"{name}.{kind}" for name in stored_cases(fixtures) for kind in ("h5", "png")} | {NAME, gallery.PAGE}
    return sorted(f.as_posix() for f in files if f.as_posix() not in known and not f.parts[0].startswith("."))


def blind_spots(goldens: Iterable[Golden]) -> list[str]:
    """Goldens that catch nothing, and faults that no golden of their operation catches."""
    problems = []
    caught: dict[str, set[str]] = {}
    declared: dict[str, set[str]] = {}
    for golden in goldens:
        if not golden.faults:
            problems.append(f"golden {golden.case}: catches no fault, so nothing shows that a wrong port would fail it")
        caught.setdefault(golden.operation, set()).update(golden.faults)
        declared.setdefault(golden.operation, set()).update(golden.faults, golden.invisible)
    for operation in sorted(declared):
        problems += [
            f"fault {name!r} of operation {operation}: invisible in every case; add one that shows it"
            for name in sorted(declared[operation] - caught[operation])
        ]
    return problems


def _verify_one(golden: Golden, name: str, entry: Entry | None, fixtures: Path) -> list[str]:
    if golden.case != name:
        return [f"golden {name}: the file says that it is {golden.case}"]
    if entry is None:
        return [f"golden {name}: not in the manifest"]
    history = entry.get("history")
    picture = _table(entry.get("picture"))
    expected = make_entry(golden, history if isinstance(history, list) else [], picture)
    if not expected["history"] or expected["history"][-1].get("after") != expected["content"][:16]:
        return [f"golden {name}: the manifest's history does not end with this content"]
    problems = [
        f"golden {name}: the manifest's {key!r} is out of step with the file"
        for key in expected
        if not _same(entry.get(key), expected[key])
    ]
    return problems + gallery.problems(golden, picture, fixtures)


def _same(found: Any, expected: Any) -> bool:
    """Equal, but for the last digits of statistics, which depend on the machine's order of summation."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and set(found) == set(expected)
            and all(_same(found[k], expected[k]) for k in expected)
        )
    if isinstance(expected, float) and isinstance(found, (int, float)):
        return math.isclose(found, expected, rel_tol=1e-4)
    return type(found) is type(expected) and found == expected


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
