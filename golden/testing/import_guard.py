"""Block the import of modules such as TensorFlow during tests, so that the port cannot use its own reference."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class ImportGuard:
    """Makes the import of some modules fail, and finds those that were imported before.

    It raises only if the module is installed. Otherwise libraries that check for it (``importlib.util.find_spec``) get
    the usual answer.

    Args:
        forbidden: names of top-level modules.
    """

    def __init__(self, forbidden: Sequence[str]) -> None:
        self._forbidden = frozenset(forbidden)
        self._before = frozenset(self._forbidden & set(sys.modules))

    def install(self) -> None:
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def remove(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # type: ignore[arg-type]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse a forbidden module; return None for any other, which the next finder of ``sys.meta_path`` takes."""
        if name.partition(".")[0] in self._forbidden and self._is_installed(name, path, target):
            raise ModuleNotFoundError(
                f"{name!r} must not be imported in this run (golden_forbid_imports): the port is tested without it",
                name=name,
            )
        return None

    def _is_installed(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> bool:
        finders = [finder for finder in sys.meta_path if not isinstance(finder, ImportGuard)]
        return any(finder.find_spec(name, path, target) is not None for finder in finders)

    def intruders(self) -> list[str]:
        """Report the forbidden modules that were imported nevertheless, a sentence each."""
        return [
            f"module {name}: was imported {'before' if name in self._before else 'during'} this run, which forbids it "
            f"(golden_forbid_imports)"
            for name in sorted(self._forbidden & set(sys.modules))
        ]
