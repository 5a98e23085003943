"""Load a subject: a module with a function per operation, which is checked against the goldens.

The function has the name of the operation, with ``_`` for the dot: ``probe_normalise(*, probe, probe_scale)``. It gets
the golden's inputs and parameters by name, in the reference's layout, and returns the outputs by name. A second way to
compute the same adds ``__`` and a name: ``probe_normalise__hard_mask``. If the subject is a package, all of its modules
are searched.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import pkgutil
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from golden.spec.errors import GoldenError
from golden.testing.called import places

_WAY = "__"
_NEARLY = 0.85
"""From this similarity to the name of an operation (difflib's ratio), a name counts as misspelt."""
_NEARLY_IN_TOPIC = 0.75
"""The same for a function that the subject defines and whose name begins with the topic of an operation."""
_MODULE = r'^"?{}(?:/[^\n,]*)?\.(?:[^/\n,]*\.)?(?:py|so|pyd)"?(?:,|$)'
"""A line in a list of files that is a module of a package, or the package itself if it is one module."""

Function = Callable[..., object]


@dataclass(frozen=True)
class Way:
    """One function of a subject.

    Attributes:
        operation: name of the operation that it computes.
        name: of the way; empty for the plain one.
        function: takes inputs and parameters by name, and returns the outputs by name.
        modules: names of the subject's modules.
    """

    operation: str
    name: str
    function: Function
    modules: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return label(self.operation, self.name)

    def places(self) -> list[str]:
        """List what the function calls in the port, with file and line."""
        return places(self.function, self.modules)


def label(operation: str, way: str) -> str:
    """Return the name of an operation with its way, as reports and declarations write it."""
    return f"{operation}{_WAY}{way}" if way else operation


@dataclass(frozen=True)
class Subject:
    """A subject that is checked against the goldens.

    Attributes:
        name: as the user gave it.
        ways: operation -> the functions that compute it, the plain one first. Only operations that it offers.
        modules: names of its modules.
    """

    name: str
    ways: Mapping[str, tuple[Way, ...]]
    modules: tuple[str, ...]

    def way(self, operation: str, name: str) -> Way:
        return next(way for way in self.ways[operation] if way.name == name)

    def names(self) -> dict[str, list[str]]:
        """Return the names of the ways of each operation."""
        return {operation: [way.name for way in ways] for operation, ways in self.ways.items()}

    @staticmethod
    def of_names(name: str, ways: Mapping[str, Sequence[str]]) -> Subject:
        """Return a subject that knows what it offers, but was not imported and computes nothing."""
        known = {operation: tuple(Way(operation, way, _not_imported) for way in of) for operation, of in ways.items()}
        return Subject(name, known, ())


def _not_imported(**given: object) -> object:
    raise GoldenError("the subject was not imported in this process")


def load_subject(name: str, operations: Collection[str]) -> Subject:
    """Import a subject and find the operations that it offers.

    Args:
        name: of a module or a package, or ``module:attribute`` for any other object.
        operations: all operations that have goldens.

    Raises:
        GoldenError: it cannot be imported, offers no operation, offers one twice, or has a public function whose name
            is nearly that of an operation.
    """
    try:
        subject = pkgutil.resolve_name(name) if ":" in name else importlib.import_module(name)
        parts = list(_parts(subject))
    except (Exception, SystemExit) as broken:
        frames = (frame for frame, _ in traceback.walk_tb(broken.__traceback__))
        met = {frame.f_globals.get("__name__", "").partition(".")[0] for frame in frames}
        told = f"subject {name}: cannot be imported ({type(broken).__name__}: {broken})"
        raise GoldenError("; ".join([told, *_overwritten(sorted(met))])) from broken
    modules = tuple(_name(part) for part in parts)
    known = {operation.replace(".", "_"): operation for operation in operations}
    found: dict[tuple[str, str], Way] = {}
    for part in parts:
        for called, function in _functions(part):
            base, _, way = called.partition(_WAY)
            if base not in known:
                _refuse_nearly(name, called, base, known, own=getattr(function, "__module__", "") == _name(part))
                continue
            one = Way(known[base], way, function, modules)
            if found.setdefault((one.operation, way), one).function is not function:
                raise GoldenError(f"subject {name}: offers {called} twice, the second time in {_name(part)}")
    if not found:
        raise GoldenError(
            f"subject {name}: offers no operation; expected functions named like {', '.join(sorted(known)[:3])}, …"
        )
    ways: dict[str, tuple[Way, ...]] = {}
    for (operation, _), one in sorted(found.items()):
        ways[operation] = (*ways.get(operation, ()), one)
    return Subject(name, ways, modules)


def _parts(subject: object) -> Iterator[object]:
    """Yield the subject and, if it is a package, its modules."""
    yield subject
    for info in pkgutil.walk_packages(getattr(subject, "__path__", []), f"{_name(subject)}."):
        yield importlib.import_module(info.name)


def _functions(part: object) -> Iterator[tuple[str, Function]]:
    for called in dir(part):
        function = getattr(part, called)
        if not called.startswith("_") and callable(function) and not isinstance(function, type):
            yield called, function


def _name(part: object) -> str:
    return part.__name__ if isinstance(part, ModuleType) else type(part).__module__


def _refuse_nearly(subject: str, called: str, base: str, known: Mapping[str, str], own: bool) -> None:
    """Refuse a public function with a misspelt name of an operation: its goldens would be silently left out."""
    topics = tuple(f"{operation.partition('.')[0]}_" for operation in known.values())
    cutoff = _NEARLY_IN_TOPIC if own and base.startswith(topics) else _NEARLY
    near = difflib.get_close_matches(base, known, n=2, cutoff=cutoff)
    if near:
        raise GoldenError(
            f"subject {subject}: no operation is called {called!r}; did you mean {' or '.join(near)}? Begin the "
            f"name of a helper function with '_'"
        )


# ------------------------------------------------------------------------------------------------ where it comes from


def origins(subject: Subject) -> dict[str, str]:
    """Return the packages that a subject uses: name -> version, if known, and directory."""
    told = {}
    for package, names in _installers(_packages(subject)).items():
        version = f"{importlib.metadata.version(names[0])} " if len(names) == 1 else ""
        told[package] = f"{version}from {', '.join(_places(package))}"
    return told


def collisions(subject: Subject) -> list[str]:
    """Report packages whose modules come from two places, or that two distributions installed over each other.

    A place without the package's ``__init__.py`` does not count: a build may put single generated modules there.
    """
    packages = _packages(subject)
    places = {
        package: [place for place in _places(package) if Path(place, package, "__init__.py").is_file()]
        for package in packages
    }
    mixed = [
        f"the modules of package {package!r} come from {len(found)} places: {' and '.join(found)}"
        for package, found in places.items()
        if len(found) > 1
    ]
    return mixed + _overwritten(packages)


def _overwritten(packages: Sequence[str]) -> list[str]:
    """Report packages that two distributions installed into the directory from which they are loaded."""
    told = []
    for package, names in _installers(packages).items():
        places = _places(package)  # empty if the import failed
        roots = {name: str(importlib.metadata.distribution(name).locate_file("")) for name in names}
        holds = [name for name, root in roots.items() if root in places]
        owners = holds if places else [name for name, root in roots.items() if Path(root, package).is_dir()]
        if len(owners) > 1:
            told.append(
                f"package {package!r} was installed by {' and '.join(owners)}: they overwrite each other's modules; "
                f"uninstall both, then install one"
            )
    return told


def _installers(packages: Sequence[str]) -> dict[str, list[str]]:
    """Return the distributions that installed each package, sorted.

    ``importlib.metadata.packages_distributions`` returns them too, but parses the metadata of all distributions, which
    takes ten times as long.
    """
    found: dict[str, set[str]] = {package: set() for package in packages}
    for distribution in importlib.metadata.distributions():
        declared = (distribution.read_text("top_level.txt") or "").split()
        files = "" if declared else distribution.read_text("RECORD") or "\n".join(map(str, distribution.files or ()))
        for package in packages:
            # Few lists contain the name at all, and the pattern takes ten times as long to fail.
            listed = package in files and re.search(_MODULE.format(re.escape(package)), files, re.MULTILINE)
            if package in declared or listed:
                found[package].add(distribution.name)
    return {package: sorted(names) for package, names in found.items()}


def _packages(subject: Subject) -> list[str]:
    """Return the names of the packages that the subject's modules use, without the standard library."""
    used = {module.partition(".")[0] for module in subject.modules}
    for module in (sys.modules[name] for name in subject.modules if name in sys.modules):
        for value in vars(module).values():
            of = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            used |= {of.partition(".")[0]} if isinstance(of, str) else set()
    left_out = sys.stdlib_module_names | set(sys.builtin_module_names) | {"golden", "numpy", "torch"}
    return sorted(name for name in used - left_out if getattr(sys.modules.get(name), "__file__", None))


def _places(package: str) -> list[str]:
    """Return the directories that the loaded modules of a package come from, most modules first."""
    counts: Counter[str] = Counter()
    below = f"{package}."
    for name, module in list(sys.modules.items()):
        if (name == package or name.startswith(below)) and (file := getattr(module, "__file__", None)):
            parts = name.split(".")
            path = Path(file).with_suffix("")
            path = path.parent if path.name == "__init__" else path
            if list(path.parts[-len(parts) :]) == parts:
                counts[str(path.parents[len(parts) - 1])] += 1
    return [place for place, _ in counts.most_common()]
