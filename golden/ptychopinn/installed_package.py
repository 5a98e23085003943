"""The installed package of TensorFlow PtychoPINN, ``ptycho``, called by its own names.

Each topic's ``installed.py`` has one function per operation. The function sets the package's global parameters, makes
the call, converts the result to the layout and dtype that the operation declares, and restores the parameters. Results
are checked and never cast silently. A topic's module may also define:

* ``NO_CALL``: function -> why no call of the package returns the operation's outputs;
* ``NEEDS``: function -> names of the package that it needs, and that older releases may lack;
* ``DOUBLE``: the functions that the package computes in float64. It computes all others in float32.

The package computes each operation in one precision and refuses complex128, so the rest of a golden is computed by
``BACKING``. The package, and TensorFlow with it, is imported on first use.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from golden.ptychopinn.imports import absent
from golden.spec.errors import GoldenError
from golden.spec.references import described

BACKING = "golden.ptychopinn.tensorflow"

_PACKAGE = "ptycho"
_MODULES = (
    *("params", "config.config", "probe", "diffsim", "tf_helper", "raw_data", "loader"),
    *("model", "train_pinn", "workflows.components"),
)
"""Modules of the package that topics call."""
_SWITCHES = ("USE_XLA_TRANSLATE", "USE_XLA_COMPILE")
"""Environment variables that affect its calls; without the first, translations have the opposite sign."""


def evaluate(
    operation: str, precision: str, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the package's outputs of ``topic.function``, in the only precision that it supports.

    Raises:
        GoldenError: the package is not installed, lacks a name, returned an unexpected result, or has no such call.
    """
    reason = missing(operation)
    if reason:
        raise GoldenError(f"reference {_PACKAGE}: {operation}: {reason}; {BACKING} computes it instead")
    topic, function = operation.split(".")
    calls = _calls(topic)
    own = "float64" if function in getattr(calls, "DOUBLE", ()) else "float32"
    if precision != own:
        raise GoldenError(f"reference {_PACKAGE}: computes {operation} only in {own}; {BACKING} computes {precision}")
    with _by_itself():
        outputs: dict[str, np.ndarray] = getattr(calls, function)(**inputs, **parameters)
    return outputs


def missing(operation: str) -> str:
    """Return why the package cannot compute an operation; empty if it can."""
    topic, function = operation.split(".")
    calls = _calls(topic)
    reason: str | None = getattr(calls, "NO_CALL", {}).get(function)
    if reason:
        return reason
    if not hasattr(calls, function):
        return f"{_module_of(topic)} has no function for it yet"
    needed = getattr(calls, "NEEDS", {}).get(function)
    return "" if needed is None or _offers(needed) else f"the installed release has no {needed}"


def producer(operation: str) -> str:
    return "tensorflow"


def provenance() -> dict[str, str]:
    """Return the versions of the package and of its platform.

    Raises:
        GoldenError: it is not installed, or packages that it needs are missing; the message names all of them.
    """
    versions = {"reference": _PACKAGE, **version_of(_module(_PACKAGE))}
    _load_all()  # this loads TensorFlow
    loaded = {name: sys.modules[name] for name in ("tensorflow", "keras") if name in sys.modules}
    versions |= {name: str(module.__version__) for name, module in loaded.items()}
    return versions | {
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


@contextmanager
def _by_itself() -> Iterator[None]:
    """Silence the package's output and logs, and hide the environment's switches from it."""
    switches = {name: os.environ.pop(name) for name in _SWITCHES if name in os.environ}
    logged = logging.root.manager.disable
    logging.disable()
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logged)
        os.environ.update(switches)


def _load_all() -> None:
    """Import all of its modules that topics call; missing modules are reported by the calls."""
    folder = Path(_module(_PACKAGE).__file__ or "").resolve().parent
    modules = [f"{_PACKAGE}.{name}" for name in _MODULES]
    lacking = absent(folder, modules)
    if lacking:
        raise GoldenError(
            f"reference {_PACKAGE}: the package in {folder} needs packages that are not installed here: "
            f"{', '.join(lacking)}. 'make confirm' creates an environment with all of them; "
            f"constraints/ptychopinn.txt lists them"
        )
    for name in modules:
        with suppress(_NoSuchModuleError):
            _module(name)


def _module_of(topic: str) -> str:
    return f"golden.ptychopinn.{topic}.installed"


def _calls(topic: str) -> ModuleType | None:
    """Import a topic's calls; None if it has none."""
    try:
        return importlib.import_module(_module_of(topic))
    except ModuleNotFoundError as absent:
        if not _module_of(topic).startswith(absent.name or "?"):
            raise
        return None


# ------------------------------------------------------------------------------------------------ what topics call


@contextmanager
def global_parameters(**values: Any) -> Iterator[None]:
    """Set global parameters of the package for a call; then restore all, even after an error, and remove new ones.

    The package has no call to delete a parameter, so the dictionary of parameters is restored as a whole.
    """
    set_ = offered("params.set")
    tables = [
        (table, dict(table))
        for name, table in vars(_module("ptycho.params")).items()
        if isinstance(table, dict) and not name.startswith("__")
    ]
    try:
        for key, value in values.items():
            set_(key, value)
            if not any(key in table for table, _ in tables):
                raise unexpected("params", "a dictionary that holds what params.set sets", f"none with {key!r}")
        yield
    finally:
        for table, before in tables:
            table.clear()
            table.update(before)


def stored(key: str) -> Any:
    """Return a global parameter of the package."""
    try:
        return offered("params.get")(key)
    except KeyError:
        raise unexpected(f"params.get({key!r})", "a value", "none") from None


def tensor(array: np.ndarray) -> Any:
    """Return a tensor if the package works on tensors, otherwise the array itself."""
    tensorflow = sys.modules.get("tensorflow")
    return array if tensorflow is None else tensorflow.convert_to_tensor(array)


class _NoSuchModuleError(GoldenError):
    """The package has no module of that name."""


def _module(name: str) -> ModuleType:
    try:
        with _by_itself():
            return importlib.import_module(name)
    except ModuleNotFoundError as missed:
        if missed.name == _PACKAGE:
            raise GoldenError(
                f"reference {_PACKAGE}: TensorFlow PtychoPINN, the package {_PACKAGE!r}, is not installed. Put its "
                f"checkout on the path ('make confirm PTYCHOPINN=DIR' does this, and installs its dependencies), or "
                f"use {BACKING}, which does not need it"
            ) from None
        if missed.name and f"{name}.".startswith(f"{missed.name}."):
            problem = unexpected(name.removeprefix(f"{_PACKAGE}."), "a module of that name", "none")
            raise _NoSuchModuleError(str(problem)) from None
        raise GoldenError(f"reference {_PACKAGE}: {name} needs {missed.name!r}, which is not installed here") from None
    except Exception as broken:
        raise GoldenError(
            f"reference {_PACKAGE}: {name} cannot be imported ({type(broken).__name__}: {broken})"
        ) from broken


def _offers(name: str) -> bool:
    path, _, attribute = name.rpartition(".")
    try:
        return hasattr(_module(f"{_PACKAGE}.{path}"), attribute)
    except _NoSuchModuleError:
        return False


def offered(name: str) -> Any:
    """Return ``ptycho.<name>``; ``name`` is ``module.attribute``."""
    path, _, attribute = name.rpartition(".")
    module = _module(f"{_PACKAGE}.{path}")
    if "tensorflow" in sys.modules:
        # Its graph functions keep the N of their first trace, so another N would get a wrong crop.
        sys.modules["tensorflow"].config.run_functions_eagerly(True)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise unexpected(name, "a function or class of that name", "none") from None


def checked(call: str, value: Any, dtype: type, *shape: int | str) -> np.ndarray:
    """Return ``value`` as an array, and refuse another dtype or shape.

    Args:
        call: the call that returned it, for the message.
        value: the returned value.
        dtype: the exact dtype that is expected.
        shape: the expected sizes. A text stands for an unknown size, equal texts for equal sizes.
    """
    array = np.asarray(value)
    sizes: dict[str, int] = {}
    fits = array.ndim == len(shape) and all(
        found == (sizes.setdefault(size, found) if isinstance(size, str) else size)
        for found, size in zip(array.shape, shape)
    )
    if array.dtype != dtype or not fits:
        expected = f"{np.dtype(dtype).name} ({', '.join(map(str, shape))})"
        raise unexpected(call, expected, f"{array.dtype} {array.shape}")
    return array


def unexpected(name: str, expected: str, found: str) -> GoldenError:
    """Return an error that names what was expected of ``ptycho.<name>``, what was found, and the package's version."""
    version = described({"reference": _PACKAGE, **version_of(_module(_PACKAGE))})
    return GoldenError(
        f"{_PACKAGE}.{name}: expected {expected}, found {found}, in {version}. Install the release that the goldens "
        f"were made with, or correct the call in the topic's installed.py"
    )


# ------------------------------------------------------------------------------------------------ which one it is


def version_of(package: ModuleType) -> dict[str, str]:
    """Return the ``version`` of an imported package and the ``commit`` that it was installed from.

    A version that cannot be found is ``unknown``, and a commit is omitted. ``+changed`` after a commit means that the
    package's directory had uncommitted changes.
    """
    file = getattr(package, "__file__", None)
    folder = Path(file).resolve().parent if file else None
    found = _distribution(package.__name__, folder)
    version = found.version if found else getattr(package, "__version__", "unknown")
    commit = (_commit_of_checkout(folder) if folder else "") or _origin(found).get("vcs_info", {}).get("commit_id", "")
    return {"version": str(version)} | ({"commit": commit} if commit else {})


def _distribution(name: str, folder: Path | None) -> Distribution | None:
    """Find the distribution that installed this package, not a package of the same name elsewhere."""
    for found in _distributions(name):
        checkout = Path(unquote(urlsplit(_origin(found).get("url", "")).path) or "/")
        editable = "dir_info" in _origin(found)
        if folder is None or Path(str(found.locate_file(name))).resolve() == folder:
            return found
        if editable and checkout != Path("/") and folder.is_relative_to(checkout.resolve()):
            return found
    return None


def _distributions(name: str) -> Iterator[Distribution]:
    with suppress(PackageNotFoundError):
        yield distribution(name)
    for other in packages_distributions().get(name, []):
        yield distribution(other)


def _origin(found: Distribution | None) -> dict[str, Any]:
    """Read the origin of a distribution, which pip records if it did not come from an index."""
    with suppress(ValueError):
        origin = json.loads((found.read_text("direct_url.json") if found else None) or "{}")
        return origin if isinstance(origin, dict) else {}
    return {}


def _commit_of_checkout(folder: Path) -> str:
    """Return the commit of the clone that tracks the package, not of one that merely contains its directory."""
    with suppress(OSError, subprocess.CalledProcessError):
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ".")
        return commit + ("+changed" if changed else "")
    return ""


def _git(folder: Path, *arguments: str) -> str:
    # A hook sets GIT_DIR and others for its own repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout.strip()
