"""Write docs/fault-table.md: ``python -m docs.fault_table``.

The table lists, for every fault, the goldens that catch it, how the port is made to commit it, and the diagnosis of the
first golden.
"""

from __future__ import annotations

from functools import cache
from operator import attrgetter
from pathlib import Path

from golden import Case, Fault
from golden.judge.judgement import judge
from golden.spec.arrays import Arrays
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden
from tests.torch.mutants import committed, run_port

TOP = Path(__file__).resolve().parents[1]
TABLE = TOP / "docs" / "fault-table.md"
CASES = load_cases("golden.ptychopinn")
HEAD = """# What a port that commits a fault is told

Written by `python -m docs.fault_table`. A fault is committed by *its trial*, which runs the port with what the fault
changes; by *a wrong function* in place of a right one of the port (`tests/torch/mutants.py`); or by *its outputs only*,
changed from the right ones. Every case that catches the fault is given them; the diagnosis is that of the first.

| operation | fault | caught by | committed by | diagnosis |
|---|---|---|---|---|
"""


@cache
def opened(name: str) -> tuple[Golden, Arrays, Arrays]:
    """Return a golden, all its inputs, and the port's outputs for them."""
    golden, case = read_golden(golden_path(TOP / "golden" / "fixtures", name)), CASES[name]
    inputs = golden.complete_inputs(case)
    return golden, inputs, run_port(case, inputs, case.parameters)


def diagnosis(case: Case, outputs: Arrays) -> str:
    """Return the diagnosis of a port that returns these outputs; empty if it passes."""
    golden, _, _ = opened(case.name)
    judgement = judge(golden, case.operation.kept(outputs), case.operation.path)
    return "; ".join(cause.sentence for cause in judgement.causes)


def row(operation: str, fault: Fault) -> str:
    cases = [case for case in CASES.values() if case.operation.name == operation and not case.slow]
    catching = [case for case in cases if fault.name in opened(case.name)[0].faults]
    blind = [case.name.split("/")[1] for case in cases if case not in catching]
    wrong = [committed(case, fault, *opened(case.name)[1:]) for case in catching]
    sentences = [diagnosis(case, outputs) for case, (outputs, _) in zip(catching, wrong)]
    assert all(sentences), (operation, fault.name)
    (how,) = {how for _, how in wrong}
    if not blind:
        by = "all"
    elif len(blind) < len(catching):
        by = f"all but {', '.join(blind)}"
    else:
        by = ", ".join(case.name.split("/")[1] for case in catching)
    return f"| {operation} | `{fault.name}` | {by} ({len(catching)}) | {how} | {sentences[0]} |\n"


def read_table() -> list[list[str]]:
    """Return the cells of every row of the written table."""
    rows = [line.split("|") for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip(" `") for cell in cells[1:5]] for cells in rows[1:]]


def main() -> None:
    operations = {case.operation.name: case.operation for case in CASES.values()}
    by_name = attrgetter("name")
    rows = [row(name, fault) for name in sorted(operations) for fault in sorted(operations[name].faults, key=by_name)]
    TABLE.write_text(HEAD + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
