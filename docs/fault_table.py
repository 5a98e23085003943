"""Writes docs/fault-table.md: ``python -m docs.fault_table``.

For every fault that the port is made to commit: which goldens fail, and what the diagnosis says of the first of them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from golden.judge.judgement import judge
from golden.ptychopinn.defaults.cases import FIELDS
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden
from tests.torch import layouts
from tests.torch.mutants import MUTANTS, REFUSED, Mutant, committed

TOP = Path(__file__).resolve().parents[1]
CASES = load_cases("golden.ptychopinn")
HEAD = """# What a port that commits a fault is told

Written by `python -m docs.fault_table`: the port is made to commit each fault (`tests/torch/mutants.py`), and every
case that catches it is run. The diagnosis is that of the first case.

| operation | fault | caught by | diagnosis |
|---|---|---|---|
"""


@cache
def golden_of(name: str) -> Golden:
    return read_golden(golden_path(TOP / "golden" / "fixtures", name))


def told(name: str) -> str:
    """What the port's answer to one case is told; empty when it passes."""
    golden, case = golden_of(name), CASES[name]
    if case.topic == "defaults":
        table = name.split("/")[1]
        found = layouts.defaults_table(table, FIELDS[table])()
    else:
        subject = getattr(layouts, case.operation.name.replace(".", "_"))
        found = subject(**golden.complete_inputs(case), **case.parameters)
    judgement = judge(golden, case.operation.kept(found), case.operation.path)
    return "; ".join(cause.sentence for cause in judgement.causes)


def row(mutant: Mutant) -> str:
    cases = [case for case in CASES.values() if case.operation.name == mutant.operation and not case.slow]
    blind = [case.name.split("/")[1] for case in cases if mutant.fault not in golden_of(case.name).faults]
    caught = [case.name for case in cases if mutant.fault in golden_of(case.name).faults]
    with committed(mutant):
        sentences = [told(name) for name in caught]
    assert all(sentences), mutant
    if not blind:
        by = "all"
    elif len(blind) < len(caught):
        by = f"all but {', '.join(blind)}"
    else:
        by = ", ".join(name.split("/")[1] for name in caught)
    return f"| {mutant.operation} | `{mutant.fault}` | {by} ({len(caught)}) | {sentences[0]} |\n"


def main() -> None:
    rows = [row(mutant) for mutant in sorted(MUTANTS, key=str)]
    refused = [
        f"| {mutant.operation} | `{mutant.fault}` | all (1) | the port refuses the value itself |\n"
        for mutant in REFUSED
    ]
    (TOP / "docs" / "fault-table.md").write_text(HEAD + "".join(rows + refused), encoding="utf-8")


if __name__ == "__main__":
    main()
