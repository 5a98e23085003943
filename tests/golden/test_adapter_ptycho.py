"""The adapter to the installed package ``ptycho``, with a stand-in that has its names, formats and quirks."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from golden.judge.judgement import judge
from golden.ptychopinn import installed_package as ptycho
from golden.ptychopinn.coordinates import installed as coordinates
from golden.ptychopinn.defaults import installed as defaults
from golden.ptychopinn.grouping import installed as grouping
from golden.ptychopinn.installed_package import version_of
from golden.ptychopinn.merge import installed as merge
from golden.ptychopinn.physics import installed as physics
from golden.ptychopinn.probe import installed as probe
from golden.ptychopinn.reassembly import installed as reassembly
from golden.ptychopinn.simulation import installed as simulation
from golden.spec.case import Case
from golden.spec.catalogue import load_cases
from golden.spec.errors import GoldenError
from golden.spec.references import described
from golden.store.golden import Golden
from tests.golden.conftest import git

STANDIN = Path(__file__).parent / "standin_ptycho"
CASES = load_cases("golden.ptychopinn")
TOPICS = {
    name: importlib.import_module(f"golden.ptychopinn.{name}.installed") for name in {c.topic for c in CASES.values()}
}
NO_CALL = {
    f"{topic}.{function}": reason
    for topic, calls in TOPICS.items()
    for function, reason in getattr(calls, "NO_CALL", {}).items()
}
INSTALLED = os.environ.get("PTYCHOPINN")
"""A checkout of the real package. If it is set, and TensorFlow is installed, tests call it instead of the stand-in."""
TRAINED = {
    *("network.layers", "network.forward", "network.gradients", "network.training"),
    *("optimizer.adam", "optimizer.epoch", "optimizer.schedule", "defaults.optimizer", "defaults.schedule"),
    *("run.training", "run.reconstruction"),
}
"""Operations that need the package's model, which the stand-in does not have."""
NO_MODELS = pytest.mark.skipif(INSTALLED is None, reason="the stand-in has no models, and PTYCHOPINN is not set")
EXPRESSIBLE = [
    pytest.param(name, marks=NO_MODELS if case.operation.name in TRAINED else ())
    for name, case in CASES.items()
    if not (case.slow or case.operation.name in NO_CALL)
]
Module = Callable[[str], ModuleType]


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "ptycho"]:
        del sys.modules[name]


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    """Install the stand-in, and return a function that imports its modules by name."""
    if INSTALLED:
        pytest.skip("PTYCHOPINN is set, so the real package is used")
    forget()
    monkeypatch.setattr(ptycho, "packages_distributions", dict)  # it takes a tenth of a second each time
    monkeypatch.syspath_prepend(STANDIN)
    yield lambda name: importlib.import_module(f"ptycho.{name}")
    forget()


@pytest.fixture
def params(standin: Module) -> dict[str, Any]:
    """Return the global parameters of the stand-in."""
    return standin("params").cfg


@pytest.fixture
def package(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Install the real package if there is one, otherwise the stand-in, and return a function that imports modules."""
    if INSTALLED is None:
        return request.getfixturevalue("standin")
    (tmp_path / "ptycho").symlink_to(Path(INSTALLED).resolve() / "ptycho")  # the checkout has other packages too
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: importlib.import_module(f"ptycho.{name}")


def ask(case: Case, golden: Golden) -> dict[str, np.ndarray]:
    operation = case.operation
    inputs = golden.complete_inputs(case)
    return operation.kept(ptycho.evaluate(operation.name, operation.precision, inputs, case.parameters))


@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_the_package_through_the_adapter_gives_the_goldens(
    name: str, package: Module, goldens: dict[str, Golden], capsys: pytest.CaptureFixture[str]
) -> None:
    before = dict(package("params").cfg)
    capsys.readouterr()
    golden = goldens[name]
    judgement = judge(golden, ask(CASES[name], golden))
    assert judgement.passed, judgement.comparisons
    assert package("params").cfg == before
    assert capsys.readouterr().out == "", "the output of the package must be hidden"


def test_only_operations_without_a_call_are_left_to_the_backing_reference(standin: Module) -> None:
    reasons = {case.operation.name: ptycho.missing(case.operation.name) for case in CASES.values()}
    expected = NO_CALL | dict.fromkeys(TRAINED, "the installed release has no model.create_compiled_model")
    assert {name: reason for name, reason in reasons.items() if reason} == expected
    with pytest.raises(
        GoldenError, match=r"defaults\.schedule: the installed .*; golden\.ptychopinn\.tensorflow computes it instead"
    ):
        ptycho.evaluate("defaults.schedule", "float32", {}, {})


def test_every_reason_names_an_operation() -> None:
    cases = [*CASES.values(), *load_cases("golden.ptychopinn.run.long").values()]
    said = {
        f"{topic}.{name}" for topic, calls in TOPICS.items() for name in (*_of(calls, "DOUBLE"), *_of(calls, "NEEDS"))
    }
    assert {*NO_CALL, *said} <= {case.operation.name for case in cases}


def _of(calls: ModuleType, name: str) -> Collection[str]:
    return getattr(calls, name, ())


def test_an_operation_without_a_call_is_named() -> None:
    assert ptycho.missing("probe.later") == "golden.ptychopinn.probe.installed has no function for it yet"
    assert ptycho.missing("later.topic") == "golden.ptychopinn.later.installed has no function for it yet"


def test_other_precisions_are_refused(standin: Module) -> None:
    with pytest.raises(GoldenError, match=r"only in float32; golden\.ptychopinn\.tensorflow computes float64"):
        ptycho.evaluate("probe.hard_mask", "float64", {}, {"N": 16})
    with pytest.raises(TypeError, match="complex64 only"):
        probe.normalise(probe=np.ones((16, 16), np.complex128), probe_scale=4.0)


# ------------------------------------------------------------------------------------------------ parameters


def test_parameters_are_restored_after_an_exception(standin: Module, params: dict[str, Any]) -> None:
    before = dict(params)
    del params["gridsize"]  # so that the adapter adds it
    del before["gridsize"]
    with pytest.raises(ValueError, match="broadcast"):
        probe.normalise(probe=np.ones((16, 12), np.complex64), probe_scale=4.0)
    assert params == before
    assert "probe" not in params


def test_parameters_that_a_call_changes_are_restored(standin: Module, params: dict[str, Any]) -> None:
    params["probe"] = "the user's own"
    probe.normalise(probe=np.ones((16, 16), np.complex64), probe_scale=4.0)
    assert params["probe"] == "the user's own"


def test_parameters_in_another_place_are_noticed(standin: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin("params"), "set", lambda key, value: None)
    monkeypatch.setattr(standin("params"), "cfg", {})
    with pytest.raises(GoldenError, match=r"ptycho\.params: expected a dictionary .*, found none with 'N', in ptycho"):
        probe.hard_mask(N=16)


# ------------------------------------------------------------------------------------------------ what is missing


def test_without_the_package() -> None:
    for ask_it in (ptycho.provenance, lambda: ptycho.evaluate("probe.hard_mask", "float32", {}, {"N": 16})):
        with pytest.raises(GoldenError, match=r"the package 'ptycho', is not installed.*make confirm"):
            ask_it()


def test_without_a_module_of_it(standin: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ptycho.tf_helper", None)
    with pytest.raises(GoldenError, match=r"ptycho\.tf_helper: expected a module of that name, found none"):
        coordinates.translate(images=np.ones((1, 4, 4, 1), "f4"), displacements=np.ones((1, 2), "f4"))


def test_without_its_dependencies(standin: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package_in(tmp_path)
    (tmp_path / "ptycho" / "probe.py").write_text("import no_such_tensorflow\n")
    (tmp_path / "ptycho" / "raw_data.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GoldenError, match=r"ptycho\.probe needs 'no_such_tensorflow', which is not installed here"):
        probe.hard_mask(N=16)
    with pytest.raises(GoldenError, match=r"ptycho\.raw_data cannot be imported \(ZeroDivisionError: "):
        coordinates.relative(coords_nn=np.zeros((2, 1, 2, 4)))


def test_all_missing_dependencies_are_named_at_once(
    standin: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_in(tmp_path)
    (tmp_path / "ptycho" / "probe.py").write_text("from . import params, missing_one\nimport numpy, no_such_yaml\n")
    (tmp_path / "ptycho" / "workflows" / "components.py").write_text("from no_such_pandas.io import a\n")
    (tmp_path / "ptycho" / "raw_data.py").write_text(OPTIONAL)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GoldenError, match=r"not installed here: no_such_pandas, no_such_yaml\. 'make confirm'"):
        ptycho.provenance()


OPTIONAL = """
from typing import TYPE_CHECKING

try:
    import no_such_accelerator
except ImportError:
    no_such_accelerator = None
if TYPE_CHECKING:
    import no_such_types
def later():
    import no_such_plotter
"""


def test_output_of_imports_is_hidden(
    standin: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package_in(tmp_path)
    with (tmp_path / "ptycho" / "tf_helper.py").open("a") as helper:
        helper.write("print('No GPU found')\nimport logging, warnings\n")
        helper.write("logging.error('said')\nwarnings.warn('warned')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert ptycho.provenance()["reference"] == "ptycho"
    assert capsys.readouterr() == ("", "")


def test_environment_variables_do_not_change_it(standin: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_XLA_TRANSLATE", "0")
    seen: list[str | None] = []
    monkeypatch.setattr(standin("probe"), "get_probe_mask", lambda N: seen.append(os.environ.get("USE_XLA_TRANSLATE")))
    with pytest.raises(GoldenError):
        ptycho.evaluate("probe.hard_mask", "float32", {}, {"N": 16})
    assert seen == [None]
    assert os.environ["USE_XLA_TRANSLATE"] == "0"


@pytest.mark.parametrize(
    ("module", "attribute", "value", "message"),
    [
        ("probe", "get_probe_mask", None, r"ptycho\.probe\.get_probe_mask: expected a function .*, found none"),
        (
            "probe",
            "get_probe_mask",
            lambda N: np.ones((N, N), "c8"),
            r"expected complex64 \(16, 16, 1\), found complex64",
        ),
        ("probe", "get_probe_mask", lambda N: np.ones((N, N, 1)), r"found float64 \(16, 16, 1\)"),
        ("probe", "get_probe_mask", lambda N: np.full((N, N, 1), 0.5, "c8"), "expected zeros and ones, found other"),
    ],
)
def test_missing_functions_and_wrong_arrays_are_named(
    standin: Module, monkeypatch: pytest.MonkeyPatch, module: str, attribute: str, value: Any, message: str
) -> None:
    if value is None:
        monkeypatch.delattr(standin(module), attribute)
    else:
        monkeypatch.setattr(standin(module), attribute, value)
    with pytest.raises(GoldenError, match=message) as refused:
        probe.hard_mask(N=16)
    assert "in ptycho 2.4" in str(refused.value)
    assert "or correct the call in the topic's installed.py" in str(refused.value)


def test_wrong_arrays_of_other_calls_are_named(standin: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    coords = np.zeros((2, 1, 2, 4))
    monkeypatch.setattr(standin("raw_data"), "get_relative_coords", lambda coords_nn: coords_nn)
    with pytest.raises(GoldenError, match=r"expected a pair \(offsets, relative\), found ndarray"):
        coordinates.relative(coords_nn=coords)
    monkeypatch.setattr(standin("tf_helper"), "shift_and_sum", lambda *_, M: np.ones((M, M + 2, 1), "c8"))
    with pytest.raises(
        GoldenError, match=r"shift_and_sum: expected complex64 \(S, S, 1\), found complex64 \(8, 10, 1\)"
    ):
        reassembly.position(patches=np.ones((1, 16, 16, 1), "c8"), offsets=np.zeros((1, 1, 2, 1)), M=8)
    monkeypatch.setattr(standin("tf_helper"), "shift_and_sum", lambda *_, **__: np.full((8, 8, 1), 1j, "c8"))
    with pytest.raises(GoldenError, match="expected a real sum of ones, found an imaginary part"):
        reassembly.position(patches=np.ones((1, 16, 16, 1), "c8"), offsets=np.zeros((1, 1, 2, 1)), M=8)


def test_the_global_random_generator_is_restored(package: Module) -> None:
    x, y = np.arange(9.0), np.arange(9.0) % 4
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    drawn = {"gridsize": 2, "K": 4, "nsamples": 3, "seed": 1, "sequential_sampling": False}
    grouping.sample(xcoords=x, ycoords=y, **drawn)
    assert np.random.rand() == expected


def test_wrong_grouped_records_are_named(standin: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = {"xcoords": np.arange(9.0), "ycoords": np.arange(9.0) % 4}
    drawn = {"gridsize": 1, "K": 4, "nsamples": 3, "seed": 1, "sequential_sampling": False}
    record: Any = {"nn_indices": np.zeros((3, 1), np.int32)}
    monkeypatch.setattr(standin("raw_data").RawData, "generate_grouped_data", lambda *_, **__: record)
    with pytest.raises(GoldenError, match=r"'nn_indices': expected int64 \(n, 1\), found int32 \(3, 1\)"):
        grouping.sample(**scan, **drawn)
    record["nn_indices"] = record["nn_indices"].astype(np.int64)
    with pytest.raises(GoldenError, match=r"expected an array 'coords_nn', found only \['nn_indices'\]"):
        grouping.record(**scan, diff3d=np.ones((9, 8, 8), "f4"), object=np.ones((9, 9), "c8"), **drawn)
    record = [1]
    with pytest.raises(GoldenError, match="expected arrays by name, found list"):
        grouping.sample(**scan, **drawn)


def test_a_wrong_merge_is_named(standin: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"patches": np.ones((1, 16, 16, 4), "c8"), "coords_relative": np.zeros((1, 1, 2, 4), "f4")}
    monkeypatch.setattr(standin("tf_helper"), "reassemble_patches", lambda *_, **__: np.ones((1, 30, 30, 1), "c8"))
    with pytest.raises(GoldenError, match=r"expected sums of the real part, .* and a mask, found 0 other sums"):
        merge.merge(**given, padded_size=30)
    monkeypatch.setattr(standin("tf_helper"), "reassemble_patches", lambda *_, **__: np.ones((30, 30, 1), "c8"))
    with pytest.raises(GoldenError, match=r"expected complex64 \(1, P, P, 1\), found complex64 \(30, 30, 1\)"):
        merge.merge(**given, padded_size=30)


def test_a_wrong_diffraction_is_named(standin: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin("tf_helper"), "pad_and_diffract", lambda field, *_, pad: field)
    with pytest.raises(GoldenError, match=r"expected a pair \(field, amplitude\), found ndarray"):
        physics.diffraction(field=np.ones((1, 8, 8, 1), "c8"))


def test_wrong_arrays_of_the_simulation_are_named(standin: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {
        "object": np.ones((20, 20), "c8"),
        "probe": np.ones((8, 8), "c8"),
        "positions": np.full((2, 1, 2, 1), 9.0),
        "nphotons": 1e9,
    }
    with monkeypatch.context() as patch:
        patch.setattr(standin("diffsim"), "scale_nphotons", lambda X: np.ones(2))
        with pytest.raises(GoldenError, match=r"scale_nphotons: expected one real number, found float64 \(2,\)"):
            simulation.patterns(**inputs)
    with monkeypatch.context() as patch:
        patch.setattr(standin("tf_helper"), "pad_and_diffract", lambda X, h, w, pad: X)
        with pytest.raises(GoldenError, match=r"pad_and_diffract: expected a pair \(field, amplitude\), found ndarray"):
            simulation.patterns(**inputs)
    monkeypatch.setattr(standin("raw_data"), "get_image_patches", lambda *_, **__: np.ones((2, 8, 8), "c8"))
    with pytest.raises(GoldenError, match=r"get_image_patches: expected complex64 \(2, 8, 8, 1\), found complex64"):
        simulation.patterns(**inputs)


def test_wrong_configurations_are_named(
    standin: Module, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = standin("config.config")
    del params["offset"]
    with pytest.raises(GoldenError, match=r"params\.get\('offset'\): expected a value, found none"):
        defaults.model()
    monkeypatch.delattr(config, "InferenceConfig")
    assert ptycho.missing("defaults.inference") == "the installed release has no config.config.InferenceConfig"
    monkeypatch.setattr(config, "TrainingConfig", config.ModelConfig)
    with pytest.raises(GoldenError, match=r"TrainingConfig: expected defaults for batch_size, .*, found none"):
        defaults.training()
    monkeypatch.setattr(config, "TrainingConfig", dict)
    with pytest.raises(GoldenError, match="expected a dataclass, found type"):
        defaults.training()


def test_tensorflow_runs_eagerly_and_gets_tensors(standin: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traced function would keep the first N. Here, a fake TensorFlow records its calls."""
    told: list[Any] = []
    tensorflow = ModuleType("tensorflow")
    tensorflow.config = SimpleNamespace(run_functions_eagerly=told.append)  # type: ignore[attr-defined]
    tensorflow.convert_to_tensor = lambda array: told.append(array.dtype.name) or array  # type: ignore[attr-defined]
    tensorflow.__version__ = "2.19.1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    coordinates.translate(images=np.ones((1, 4, 4, 1), np.float32), displacements=np.ones((1, 2), np.float32))
    assert told[0] is True
    assert told[-2:] == ["float32", "float32"]
    assert ptycho.provenance()["tensorflow"] == "2.19.1"


# ------------------------------------------------------------------------------------------------ version


def package_in(directory: Path) -> ModuleType:
    shutil.copytree(STANDIN / "ptycho", directory / "ptycho", ignore=shutil.ignore_patterns("__pycache__"))
    package = ModuleType("ptycho")
    package.__file__ = str(directory / "ptycho" / "__init__.py")
    package.__version__ = "2.4"  # type: ignore[attr-defined]
    return package


def distribution_in(directory: Path, monkeypatch: pytest.MonkeyPatch, version: str, origin: dict[str, Any]) -> None:
    information = directory / f"ptycho-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ptycho\nVersion: {version}\n")
    (information / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(directory)


def test_the_commit_of_its_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = package_in(tmp_path)
    git("init", "-q", directory=tmp_path)
    assert version_of(package) == {"version": "2.4"}, "in a clone, but not tracked"
    git("add", ".", directory=tmp_path)
    git("commit", "-q", "-m", "first", directory=tmp_path)
    commit = git("rev-parse", "HEAD", directory=tmp_path)
    assert version_of(package) == {"version": "2.4", "commit": commit}
    (tmp_path / "ptycho" / "probe.py").write_text("changed = True\n")
    assert version_of(package)["commit"] == f"{commit}+changed"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "of another repository"))  # as a hook does
    assert version_of(package)["commit"] == f"{commit}+changed"
    assert described({"reference": "ptycho", **version_of(package)}) == f"ptycho 2.4 ({commit[:7]}+changed)"


def test_the_version_of_its_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = package_in(tmp_path / "site")
    vcs = {"url": "https://example.org/p.git", "vcs_info": {"vcs": "git", "commit_id": "0123456789"}}
    distribution_in(tmp_path / "site", monkeypatch, "2.5.1", vcs)
    assert version_of(package) == {"version": "2.5.1", "commit": "0123456789"}
    elsewhere = package_in(tmp_path / "elsewhere")
    assert version_of(elsewhere) == {"version": "2.4"}, "another package of that name is installed"


def test_the_version_of_an_editable_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = package_in(tmp_path / "check out")
    origin = {"url": (tmp_path / "check out").as_uri(), "dir_info": {"editable": True}}
    distribution_in(tmp_path / "site", monkeypatch, "2.6", origin)
    assert version_of(package) == {"version": "2.6"}


def test_a_package_without_any_version() -> None:
    assert version_of(ModuleType("ptycho")) == {"version": "unknown"}
