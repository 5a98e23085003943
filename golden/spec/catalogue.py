"""Find the cases of a package: the tuple ``CASES`` of each ``<topic>/cases.py``."""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import pkgutil
from collections.abc import Iterable

from golden.spec.case import Case
from golden.spec.errors import GoldenError


def load_cases(module: str) -> dict[str, Case]:
    """Return all cases by name, sorted, of a package with a ``<topic>/cases.py`` per topic or of a single module.

    Raises:
        GoldenError: the module cannot be imported, has no cases, or two cases share a name.
    """
    try:
        package = importlib.import_module(module)
        topics = [info.name for info in pkgutil.iter_modules(getattr(package, "__path__", [])) if info.ispkg]
        modules = [package, *(importlib.import_module(f"{module}.{topic}.cases") for topic in topics)]
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
        raise GoldenError(f"cases {module}: no case found; expected a tuple CASES in the module")
    return dict(sorted(cases.items()))


def select(names: Iterable[str], patterns: Iterable[str], left_out: Iterable[str] = ()) -> list[str]:
    """Choose names that match any of the glob patterns, sorted; without patterns, all names.

    Args:
        names: all names.
        patterns: of names to choose.
        left_out: patterns of names to leave out.

    Raises:
        GoldenError: a pattern matches nothing, or nothing is left; the message gives the nearest names.
    """
    available = sorted(names)
    patterns = list(patterns)
    chosen = set(available) if not patterns else {name for pattern in patterns for name in _match(available, pattern)}
    left = sorted(chosen - {name for pattern in left_out for name in _match(available, pattern)})
    if chosen and not left:
        raise GoldenError("no case is left: all selected cases are left out")
    return left


def _match(available: list[str], pattern: str) -> list[str]:
    matching = fnmatch.filter(available, pattern)
    if not matching:
        near = difflib.get_close_matches(pattern, available, n=4, cutoff=0.4)
        hint = f"; nearest: {', '.join(near)}" if near else f"; there are {len(available)} cases"
        raise GoldenError(f"no case matches {pattern!r}{hint}")
    return matching
