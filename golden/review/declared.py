"""Find in a request's code and settings what decides how much is checked. The code is parsed, never run."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

_SLOW = "slow"
"""Attribute of a case that runs only on request; it is passed by keyword."""


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
    nodes = _nodes(module)
    handed_on = {
        node.value.id
        for node in nodes
        if isinstance(node, ast.keyword) and node.arg == _SLOW and isinstance(node.value, ast.Name)
    }
    return Counter(said for node in nodes for said in _slow(node, {_SLOW, *handed_on}))


def takes_goldens(module: str) -> bool:
    """Return whether a test module marks a test with ``golden``, or runs the suite's own tests of goldens."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "golden" and ast.unparse(node.value).endswith("mark"))
        or (isinstance(node, ast.ImportFrom) and node.module == "golden.testing")
        for node in _nodes(module)
    )


def suite_settings(pyproject: str) -> dict[str, str]:
    """Return pytest's settings, commands and plugins in a pyproject.toml; empty if it cannot be parsed."""
    try:
        settings: Any = tomllib.loads(pyproject)
        project = settings.get("project", {})
        found = settings.get("tool", {}).get("pytest", {}).get("ini_options", {})
        installed = {key: project.get(key, "none") for key in ("scripts", "entry-points")}
        return {key: str(value) for key, value in {**installed, **found}.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}


def _parsed(module: str) -> list[ast.stmt]:
    try:
        return ast.parse(module).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _nodes(module: str) -> list[ast.AST]:
    return [node for top in _parsed(module) for node in ast.walk(top)]


def _slow(node: ast.AST, names: Collection[str]) -> Iterator[str]:
    """Return what a node sets to make cases slow.

    Args:
        node: node of a module.
        names: names of the parameters that make a case slow.
    """
    found: list[tuple[str | None, ast.expr | None]] = []
    of = " by default"
    if isinstance(node, ast.Call):
        found = [(keyword.arg, keyword.value) for keyword in node.keywords]
        named = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        of = f" for {named[0]}" if named else ""
    elif isinstance(node, ast.arguments):
        pairs = zip([*node.posonlyargs, *node.args][::-1], node.defaults[::-1])
        found = [(one.arg, value) for one, value in (*pairs, *zip(node.kwonlyargs, node.kw_defaults))]
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        found = [(node.target.id, node.value)]
    elif isinstance(node, ast.Constant) and node.value == _SLOW:  # a key of keyword arguments, or of setattr
        yield f"{_SLOW!r} by its name"
    for name, value in found:
        if name in names and value is not None and (text := ast.unparse(value)) != "False":
            yield f"{name}={text}{of}"
