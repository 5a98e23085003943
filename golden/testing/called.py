"""Find where in a port to look when a golden fails: what the subject's function calls, with file and line.

This is read from the code of the function and of its helpers in the subject, without running it: the names that they
take from elsewhere. NumPy, Torch and similar libraries, and ``golden``, do not count as the port.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

_NO_PORT = {*sys.stdlib_module_names, "", "golden", "numpy", "torch", "einops", "tensorflow", "jax", "pytest"}
_DEPTH = 3
"""Depth to which helpers of helpers are followed."""
_MOST = 4


def places(function: Callable[..., object], subject: Collection[str]) -> list[str]:
    """List the functions and classes of the port that a subject's function calls; direct calls come first.

    Args:
        function: of the subject.
        subject: names of the subject's modules; their functions are followed, not listed.

    Returns:
        ``name (file:line)`` of each; files below the working directory are relative to it.
    """
    called = dict.fromkeys(_called([function], subject, _DEPTH))
    # Classes that only hold settings are rarely wrong.
    ordered = sorted(called, key=is_dataclass)
    return [f"{one.__qualname__} ({_file(one)}:{line})" for one in ordered if (line := _line(one))]


def where_to_look(found: Sequence[str]) -> list[str]:
    """Return one line that lists places of the port; no line if there are none."""
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return [f"  look in: {', '.join(found[:_MOST])}{more}"] if found else []


def _called(functions: Sequence[object], subject: Collection[str], depth: int) -> Iterator[Any]:
    helpers = []
    for one in functions:
        function = inspect.unwrap(one) if callable(one) else one
        if not isinstance(function, FunctionType):
            continue
        for value in _named(function.__code__, function.__globals__):
            if not (inspect.isroutine(value) or inspect.isclass(value)):
                continue
            module = getattr(value, "__module__", None) or ""
            if module in subject:
                helpers.append(value)
            elif module.partition(".")[0] not in _NO_PORT:
                yield inspect.unwrap(value)
    if helpers and depth:
        yield from _called(helpers, subject, depth - 1)


def _named(code: CodeType, known: dict[str, Any]) -> Iterator[Any]:
    """Yield the values of the names in some code, including attributes of modules, if they can be resolved."""
    modules = [known[name] for name in code.co_names if isinstance(known.get(name), ModuleType)]
    modules += [sys.modules[name] for name in code.co_names if name in sys.modules]  # imported inside the function
    for name in code.co_names:
        if name in known:
            yield known[name]
        else:
            yield from (vars(module)[name] for module in modules if name in vars(module))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant, known)


def _line(value: object) -> int:
    try:
        return inspect.getsourcelines(value)[1]  # type: ignore[arg-type]
    except (OSError, TypeError):
        return 0  # compiled


def _file(value: object) -> str:
    file = inspect.getsourcefile(value) or "?"  # type: ignore[arg-type]
    near = os.path.relpath(file)
    return file if near.startswith("..") else Path(near).as_posix()
