"""Find in a request's code and settings what decides how much is checked. The code is parsed, never run."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any


def constants(module: str, names: Sequence[str]) -> dict[str, str]:
    """Return the definitions of a module's constants; empty if it cannot be parsed."""
    return {
        target.id: ast.unparse(one.value)
        for one in _parsed(module)
        if isinstance(one, ast.Assign)
        for target in one.targets
        if isinstance(target, ast.Name) and target.id in names
    }


def slow_cases(module: str) -> Counter[str]:
    """Count a module's declarations of ``slow``, which runs a case only on request: by case, if it is named."""
    return Counter(said for top in _parsed(module) for node in ast.walk(top) for said in _slow(node))


def suite_settings(pyproject: str) -> dict[str, str]:
    """Return the settings of pytest in a pyproject.toml; empty if it cannot be parsed."""
    try:
        settings: Any = tomllib.loads(pyproject)
        found = settings.get("tool", {}).get("pytest", {}).get("ini_options", {})
        return {key: str(value) for key, value in found.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}


def _parsed(module: str) -> list[ast.stmt]:
    try:
        return ast.parse(module).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _slow(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        values = [keyword.value for keyword in node.keywords if keyword.arg == "slow"]
        named = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        of = f" for {named[0]}" if named else ""
    elif isinstance(node, ast.arguments):
        pairs = zip([*node.posonlyargs, *node.args][::-1], node.defaults[::-1])
        pairs_by_name = [*pairs, *zip(node.kwonlyargs, node.kw_defaults)]
        values, of = [value for one, value in pairs_by_name if one.arg == "slow" and value is not None], " by default"
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "slow":
        values, of = [node.value] if node.value else [], " by default"
    else:
        return
    yield from (f"slow={text}{of}" for value in values if (text := ast.unparse(value)) != "False")
