"""docs/ports.md: its subject takes and returns what the operations have, and its declarations are valid."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from golden.spec.catalogue import load_cases
from golden.testing.declarations import read_declarations

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "ports.md").read_text(encoding="utf-8")
CASES = load_cases("golden.ptychopinn")
OPERATIONS = {case.operation.name.replace(".", "_"): case.operation for case in CASES.values()}


def block(first: str) -> str:
    (code,) = re.findall(rf"```\w+\n({re.escape(first)}\n.*?)```", DOCUMENT, re.DOTALL)
    return str(code)


def test_the_subject_takes_and_returns_what_the_operations_have() -> None:
    functions = [one for one in ast.parse(block("# golden_subject.py")).body if isinstance(one, ast.FunctionDef)]
    offered = [one for one in functions if not one.name.startswith("_")]
    assert len(offered) == 5
    for function in offered:
        operation = OPERATIONS[function.name.partition("__")[0]]
        given = {argument.arg for argument in function.args.kwonlyargs}
        assert given == {*operation.inputs, *operation.parameters}, function.name
        (returned,) = (one.value for one in ast.walk(function) if isinstance(one, ast.Return))
        assert isinstance(returned, ast.Dict)
        names = {key.value for key in returned.keys if isinstance(key, ast.Constant)}
        assert names == {output.name for output in operation.outputs}, function.name


def test_the_declarations_are_valid(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text(block("# golden-known.toml"), encoding="utf-8")
    assert len(read_declarations(tmp_path / "known.toml", CASES, None).entries) == 4
