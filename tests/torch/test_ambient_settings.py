"""Results and pictures do not depend on the user's settings of Torch, NumPy and Matplotlib."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from golden import Case
from golden.spec.catalogue import load_cases
from golden.store.golden import Golden
from ptycho_torch import (
    diagnose,
    draw_scan,
    gather_evidence,
    inference,
    load_bundle,
    load_scan,
    predict,
    save_scan,
    stitch,
)
from ptycho_torch.dataloader import MemoryMappedDataset
from ptycho_torch.files.bundle import NAME
from ptycho_torch.pictures.diagnosis import draw_diagnosis
from ptycho_torch.pictures.losses import draw_losses
from ptycho_torch.pictures.result import draw_amplitude, draw_phase
from ptycho_torch.simulate import Simulation, simulate_scan
from tests.torch import bundle_fuzzing
from tests.torch.mutants import run_port

CASES = load_cases("golden.ptychopinn")
CREATE_TENSORS = ("network.", "run.", "net_shift.memory_mapped", "probe.hard_mask")
"""Beginnings of the names of operations that create tensors. Torch's settings choose device and dtype of these tensors,
as for all modules of Torch."""
OPERATIONS = sorted(
    {case.operation.name for case in CASES.values() if not case.operation.name.startswith(CREATE_TENSORS)}
)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:  # a failing test must not affect later ones
        torch.set_default_dtype(before)


def smallest_case(operation: str, goldens: dict[str, Golden]) -> Case:
    """Return the case of an operation whose arrays have the fewest bytes."""
    names = [name for name, one in goldens.items() if one.operation == operation]
    return CASES[min(names, key=lambda name: sum(array.nbytes for array in goldens[name].inputs.values()))]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "setting", [lambda: torch.device("meta"), lambda: default_dtype(torch.float64)], ids=["device", "dtype"]
)
def test_the_same_bits(
    operation: str, setting: Callable[[], AbstractContextManager[None]], goldens: dict[str, Golden]
) -> None:
    case = smallest_case(operation, goldens)
    inputs = goldens[case.name].complete_inputs(case)
    usual = run_port(case, inputs, case.parameters)
    with setting():
        found = run_port(case, inputs, case.parameters)
    for name, array in usual.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, err_msg=name)


# ------------------------------------------------------------------------------------------------ from file to picture


SIMULATION = Simulation(patterns=6, seed=3)


def everything(directory: Path) -> dict[str, bytes]:
    """Simulate, read, predict, stitch, diagnose and draw; return all results as bytes."""
    save_scan(directory / "scan.npz", simulate_scan(SIMULATION))
    scan, bundle = load_scan(directory / "scan.npz"), load_bundle(directory)
    prediction = predict(bundle.model, MemoryMappedDataset.from_config(scan, bundle.data, seed=0))
    mosaic = stitch(prediction.patches, prediction.offsets)
    evidence = gather_evidence(scan, bundle, prediction, mosaic)
    diagnosis = diagnose(evidence)
    draw_scan(scan, directory / "scan.png")
    draw_amplitude(evidence.mosaic, directory / "amplitude.png")
    draw_phase(evidence.mosaic, directory / "phase.png")
    draw_diagnosis(evidence, diagnosis, directory / "diagnosis.png")
    draw_losses(bundle.losses, directory / "losses.png")
    return {
        "scan": scan.diffraction.tobytes(),
        "weights": b"".join(tensor.numpy().tobytes() for tensor in bundle.model.state_dict().values()),
        "mosaic": evidence.mosaic.tobytes(),
        "text": diagnosis.to_text().encode(),
        **{path.name: path.read_bytes() for path in sorted(directory.glob("*.png"))},
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a bundle."""
    directory = tmp_path_factory.mktemp("trained")
    (directory / NAME).write_bytes(bundle_fuzzing.sound())
    return directory


PICTURES = {
    "image.origin": "lower",
    "image.cmap": "jet",
    "text.usetex": True,
    "font.size": 30,
    "savefig.dpi": 30,
    "savefig.bbox": "tight",
    "savefig.transparent": True,
    "axes.facecolor": "red",
    "axes.formatter.use_locale": True,
    "lines.linewidth": 9,
}


@contextmanager
def other_settings() -> Iterator[None]:
    with (
        torch.device("meta"),  # tensors on this device have no values
        default_dtype(torch.float64),
        torch.no_grad(),
        matplotlib.rc_context(PICTURES),
        np.printoptions(precision=1, threshold=2, suppress=True, legacy="1.13"),
        np.errstate(all="raise"),
    ):
        yield


def test_results_and_pictures_do_not_depend_on_the_users_settings(trained: Path) -> None:
    expected = everything(trained)
    with other_settings():
        before = torch.get_default_dtype(), dict(matplotlib.rcParams)
        found = everything(trained)
        assert (torch.get_default_dtype(), dict(matplotlib.rcParams)) == before
    assert [name for name in expected if found[name] != expected[name]] == []


def test_a_matplotlibrc_changes_no_colours(tmp_path: Path) -> None:
    """Matplotlib reads ``image.lut`` when it is imported, so this needs another process."""
    code = "from ptycho_torch.pictures.style import colormap; print(colormap('gray', 'red')([0, 0.3, 0.5, 1]).tolist())"
    said = []
    for setting in ("", "image.lut: 4\nimage.origin: lower\n"):
        (tmp_path / "matplotlibrc").write_text(setting)
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        said.append(done.stdout)
    assert said[0] == said[1]


@pytest.mark.parametrize("settings", [b"font.family: \xe9\xff\n", b"image.lut 3\nbackend: none\n"])
def test_a_matplotlibrc_that_is_not_valid_is_not_read(tmp_path: Path, settings: bytes) -> None:
    """The programs neither fail nor warn. They restore the working directory and MPLBACKEND."""
    (tmp_path / "matplotlibrc").write_bytes(settings)
    code = "import os; from ptycho_torch.program import load; load('matplotlib.figure'); print(os.getcwd())"
    environment = os.environ | {"MPLBACKEND": "none"}
    command = [sys.executable, "-c", f"{code}; print(os.environ['MPLBACKEND'])"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout.splitlines(), done.stderr) == ([str(tmp_path.resolve()), "none"], "")


def test_loading_a_bundle_leaves_the_random_numbers_as_they_were(trained: Path) -> None:
    before = torch.get_rng_state()
    load_bundle(trained)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.integration
def test_an_inference_in_a_folder_with_a_matplotlibrc(trained: Path, tmp_path: Path) -> None:
    """The program ignores the folder's matplotlibrc and the variable MPLBACKEND, and loads only what it needs."""
    scan = tmp_path / "scan.npz"
    save_scan(scan, simulate_scan(SIMULATION))
    settings = "text.usetex: True\nimage.origin: lower\nsavefig.dpi: 20\nimage.lut: 3\nfont.family: fantasy\n"
    (tmp_path / "matplotlibrc").write_text(settings)
    arguments = ["--model_path", trained, "--test_data", scan, "--n_images", 6]
    given = [str(one) for one in (*arguments, "--accelerator", "cpu", "--output_dir")]
    assert CliRunner().invoke(inference.main, [*given, str(tmp_path / "usual")]).exit_code == 0
    command = [sys.executable, "-X", "importtime", "-m", "ptycho_torch.inference", *given, str(tmp_path / "other")]
    environment = os.environ | {"MPLBACKEND": "none", "LC_ALL": "C"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"torch", "matplotlib.backend_bases"} <= loaded
    slow = {"lightning", "pytest", "golden"}
    if torch.__version__ >= "2.8":  # for an older Torch, einops loads Torch's compiler
        slow.add("torch._dynamo")
    assert not slow & loaded, "they take seconds"
    written = [
        {path.name: path.read_bytes() for path in (tmp_path / out).iterdir() if path.suffix != ".log"}
        for out in ("usual", "other")
    ]
    assert len(written[0]) >= 6
    assert [name for name in written[0] if written[1].get(name) != written[0][name]] == []
