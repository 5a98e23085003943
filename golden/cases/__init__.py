"""The cases, one module per topic, found by importing them. Framework-neutral: NumPy and ``golden.case`` only.

A module offers ``CASES``, a tuple of ``Case``. To add a case of an existing operation, add it to that tuple; see
docs/how-to.md.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import pkgutil
from collections.abc import Iterable

from golden.case import Case, GoldenError


def load_cases(module: str = "golden.cases") -> dict[str, Case]:
    """All cases of a package (one module per topic) or of a single module, by name, sorted.

    Raises:
        GoldenError: the module cannot be imported, has no cases, or two cases share a name.
    """
    try:
        package = importlib.import_module(module)
        names = [f"{module}.{info.name}" for info in pkgutil.iter_modules(getattr(package, "__path__", []))]
        modules = [importlib.import_module(name) for name in names] or [package]
    except GoldenError:
        raise
    except Exception as broken:
        raise GoldenError(f"cases {module}: cannot be imported ({type(broken).__name__}: {broken})") from broken
    cases: dict[str, Case] = {}
    for case in (case for topic in modules for case in getattr(topic, "CASES", ())):
        if not isinstance(case, Case):
            raise GoldenError(f"cases {module}: CASES holds a {type(case).__name__} ({case!r:.80}); expected a Case")
        if case.name in cases:
            raise GoldenError(f"case {case.name}: declared twice")
        cases[case.name] = case
    if not cases:
        raise GoldenError(f"cases {module}: no case found; a cases module offers a tuple CASES")
    return dict(sorted(cases.items()))


def select(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The names that match any of the glob patterns, sorted; all when there is no pattern.

    Raises:
        GoldenError: a pattern matches nothing; the message gives the nearest names.
    """
    available = sorted(names)
    patterns = list(patterns)
    chosen: set[str] = set()
    for pattern in patterns:
        matching = fnmatch.filter(available, pattern)
        if not matching:
            near = difflib.get_close_matches(pattern, available, n=4, cutoff=0.4)
            hint = f"; nearest: {', '.join(near)}" if near else f"; there are {len(available)} cases, see --list"
            raise GoldenError(f"no case matches {pattern!r}{hint}")
        chosen.update(matching)
    return sorted(chosen) if patterns else available
