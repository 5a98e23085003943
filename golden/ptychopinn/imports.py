"""Find the imports of a package's modules by reading their source, without importing them.

Importing a package reports one missing module at a time; its sources show all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

_OPTIONAL = {"ImportError", "ModuleNotFoundError", "Exception"}


def absent(folder: Path, modules: Iterable[str]) -> list[str]:
    """Return the missing packages that modules of a package import, directly or through its other modules.

    Args:
        folder: the package's folder, with its ``__init__.py``.
        modules: full names of its modules; unknown names are skipped.

    Returns:
        Names of packages, sorted. Imports in functions, and imports in a ``try`` that catches their failure, do not
        count.
    """
    needed, seen, left = set(), set(), list(modules)
    while left:
        name = left.pop()
        for part in _with_parents(name):
            file = _file(folder, part)
            if file is not None and part not in seen:
                seen.add(part)
                tree = ast.parse(file.read_text(encoding="utf-8"), file.name)
                left += _imported(tree.body, part if file.name == "__init__.py" else part.rpartition(".")[0])
        if not name.startswith(f"{folder.name}."):
            needed.add(name.partition(".")[0])
    return sorted(name for name in needed - {folder.name} if not _is_installed(name))


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _file(folder: Path, name: str) -> Path | None:
    path = folder.parent.joinpath(*name.split("."))
    files = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((file for file in files if file.is_relative_to(folder) and file.is_file()), None)


def _imported(body: Iterable[ast.AST], package: str) -> Iterator[str]:
    """Yield the full names that statements import; for ``from a import b``, both ``a`` and ``a.b``."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Try) and any(_catches(handler) for handler in node.handlers):
            yield from _imported([*node.orelse, *node.finalbody], package)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imported(node.orelse, package)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imported(ast.iter_child_nodes(node), package)


def _catches(handler: ast.ExceptHandler) -> bool:
    """Return whether a failed import would be caught."""
    return handler.type is None or bool(
        _OPTIONAL & {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # it is loaded, but its origin is unknown
        return True
