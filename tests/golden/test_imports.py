"""The import rules, checked in fresh processes by their ``sys.modules``.

import-linter checks the same rules in the source; these tests also see imports that are made at run time.
"""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import golden
import ptycho_torch

CODE = """
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
print(*sorted(set({forbidden!r}) & set(sys.modules)))
"""


Process = subprocess.Popen[str]


def start(modules: list[str], forbidden: list[str], path: Path | None = None) -> Process:
    """Start a fresh process that imports ``modules`` and prints which forbidden ones were loaded."""
    code = CODE.format(modules=modules, forbidden=forbidden)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=path)


def intruders(process: Process) -> list[str]:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output.split()


def modules_of(package, *without: str) -> list[str]:
    found = [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    skipped = (f"{package.__name__}.__main__", *without)
    return [package.__name__, *(name for name in found if not name.startswith(skipped))]


def test_tensorflow_is_not_installed_here() -> None:
    run = subprocess.run([sys.executable, "-c", "import tensorflow"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "ModuleNotFoundError" in run.stderr


def test_who_imports_whom() -> None:
    asks_tensorflow = [name for name in modules_of(golden) if name.rpartition(".")[2] in ("reference", "tensorflow")]
    framework = modules_of(golden, *asks_tensorflow)
    assert {"golden.ptychopinn.probe.cases", "golden.ptychopinn.installed_package"} <= set(framework)
    # Side by side: each takes a second or two.
    heavy = ["lightning", "pytorch_lightning", "torchmetrics", "skimage", "matplotlib"]
    light = modules_of(ptycho_torch, "ptycho_torch.training.fit", "ptycho_torch.pictures")
    port = start(light, ["tensorflow", "keras", "golden", *heavy])
    others = start(framework, ["tensorflow", "keras", "ptycho", "torch", "ptycho_torch"])
    doors = start(["golden"], ["numpy", "golden.spec"])
    bare_port = start(["ptycho_torch"], ["torch", "numpy", "scipy", "jaxtyping"])
    programs = start(
        ["golden.generate", "golden.cli"], ["scipy", "matplotlib", "PIL", "jinja2", "torch", "pytest", "skimage"]
    )
    assert intruders(port) == [], (
        "the port imports neither golden nor TensorFlow, and nothing heavy without training.fit and pictures"
    )
    assert intruders(bare_port) == [], "the port's public names are imported when they are used"
    assert intruders(others) == [], "the framework imports neither TensorFlow nor Torch"
    assert intruders(doors) == [], "importing golden loads nothing until a name is used"
    assert intruders(programs) == [], "--help and --list load nothing heavy"


def test_the_public_names_of_golden() -> None:
    assert {getattr(golden, name).__name__ for name in golden.__all__} == set(golden.__all__)
    with pytest.raises(AttributeError, match="module 'golden' has no attribute 'Cases'"):
        _ = golden.Cases


def test_the_framework_does_not_name_ptychopinn() -> None:
    """Not even in texts, which import-linter does not read. Only the entry points name it, as an option's default."""
    wings = [path for path in Path(golden.__file__).parent.glob("*/**/*.py") if "ptychopinn" not in path.parts]
    assert {path.parent.name for path in wings} >= {"spec", "judge", "store", "review", "report", "generator"}
    assert [path.name for path in wings if "ptychopinn" in path.read_text(encoding="utf-8").lower()] == []


def test_the_table_of_old_and_new_names_is_true() -> None:
    """Each module in the last column of "Where things went" exists (``T``, any topic, is ``probe`` here)."""
    text = (Path(__file__).parents[2] / "docs" / "how-to.md").read_text(encoding="utf-8")
    table = text.partition("## Where things went")[2]
    now = " ".join(line.split(" | ")[-1] for line in table.splitlines() if line.startswith("| `"))
    names = [name.replace(".T.", ".probe.") for name in re.findall(r"`((?:golden|ptycho_torch)\.[\w.]+)`", now)]
    assert len(names) > 40
    assert [name for name in names if importlib.util.find_spec(name) is None] == []


def test_a_forbidden_import_is_noticed(tmp_path: Path) -> None:
    """A module that imports TensorFlow at run time is found. TensorFlow is an empty module here."""
    (tmp_path / "tensorflow.py").write_text("nothing = None")
    (tmp_path / "culprit.py").write_text("def run():\n    import tensorflow\nrun()\n")
    assert intruders(start(["culprit"], ["tensorflow"], tmp_path)) == ["tensorflow"]
