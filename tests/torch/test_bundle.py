"""A bundle is read as it was written. Every other archive is refused by name, before it can do harm."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from ptycho_torch.config_params import DataConfig, TrainingConfig
from ptycho_torch.files.archive import ABOUT, TENSORS, pack, read_archive, unpack, write_archive
from ptycho_torch.files.bundle import FORMAT, NAME, Bundle, load_bundle, save_bundle
from ptycho_torch.files.loss_curve import Epoch, LossCurve
from tests.fuzzing import members, zipped
from tests.torch import bundle_fuzzing
from tests.torch.networks import DEVICES, batch, small_model

BIAS = "phase.inner.conv.bias"
CURVE = LossCurve(-3.0, -2.5, (Epoch(1, -1.0, -0.5, 1e-3, (-0.5, -1.5)),), stopped_early=True, test_loss=-1.25)


def a_bundle(C: int = 1, device: str = "cpu") -> Bundle:
    side = round(C**0.5)
    data = DataConfig(C=C, grid_size=(side, side), n_images=1000, subsample_seed=3)
    training = TrainingConfig(train_data_file="/home/someone/secret/scan.npz", output_dir="/tmp/out", epochs=20)
    return Bundle(small_model(C, device=device), data, training, 3, CURVE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_bundle(tmp_path / NAME, a_bundle())
    return tmp_path / NAME


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("C", [1, 4])
def test_a_bundle_goes_to_a_file_and_back(tmp_path: Path, C: int, device: str) -> None:
    given = a_bundle(C, device)
    save_bundle(tmp_path / NAME, given)
    found = load_bundle(tmp_path)
    assert found.model.config == given.model.config
    assert (found.data, found.seed, found.losses) == (given.data, given.seed, given.losses)
    assert found.training == dataclasses.replace(given.training, train_data_file="scan.npz", output_dir="out")
    inputs = batch(2, C, device=device)
    for one, other in zip(given.model(*inputs), found.model.to(device)(*inputs)):
        assert torch.equal(one, other)
    assert torch.equal(found.model.probe, given.model.probe)
    assert found.model.intensity_scale == given.model.intensity_scale
    assert found.versions == given.versions
    assert set(given.versions) == {"python", "ptycho_torch", "torch", "numpy", "lightning"}


def test_the_same_bundle_is_the_same_file_and_contains_no_paths(tmp_path: Path, path: Path) -> None:
    save_bundle(tmp_path / "other.zip", a_bundle())
    assert (tmp_path / "other.zip").read_bytes() == path.read_bytes()
    assert b"someone" not in path.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other.zip", NAME]


def test_what_could_not_be_loaded_is_not_saved(path: Path) -> None:
    before, bundle = path.read_bytes(), a_bundle()
    torch.nn.init.constant_(bundle.model.get_parameter(BIAS), torch.nan)
    with pytest.raises(ValueError, match=f"the model: .*{BIAS}: expected finite numbers"):
        save_bundle(path, bundle)
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError):
        save_bundle(path.parent / "nowhere" / NAME, a_bundle())
    assert list(path.parent.iterdir()) == [path]


def test_a_directory_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError,
        match=r"expected the file wts\.h5\.zip, found none; did the training in this directory finish\?",
    ):
        load_bundle(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_bundle(tmp_path / "none.zip")


# ------------------------------------------------------------------------------------------------ changed bundles


def rewritten(path: Path, about: Callable[[Any], object] = dict, tensors: Callable[[Any], object] = dict) -> None:
    found = members(path.read_bytes())
    document, content = json.loads(found[ABOUT]), load(found[TENSORS])
    about(document)
    tensors(content)
    write(path, {ABOUT: json.dumps(document).encode(), TENSORS: save(content)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a: a.update(format="ptycho_torch bundle 9"),
            "expected the format 'ptycho_torch bundle 1', found 'ptycho_torch bundle 9'",
        ),
        (lambda a: a.pop("format"), "about.json: expected a JSON object with a 'format'"),
        (lambda a: a.pop("model"), "ModelConfig: expected a JSON object, found NoneType"),
        (
            lambda a: a["model"].pop("pad_object"),
            "ModelConfig: missing ['pad_object'], unknown []; the file is from another",
        ),
        (
            lambda a: a["model"].update(run="rm"),
            "ModelConfig: missing [], unknown ['run']; the file is from another version",
        ),
        (
            lambda a: a["model"].update(n_filters_scale="2"),
            "ModelConfig.n_filters_scale: expected <class 'int'>, found '2'",
        ),
        (lambda a: a["model"].update(n_filters_scale=True), "expected <class 'int'>, found True"),
        (lambda a: a["model"].update(amp_activation="tanh"), "ModelConfig.amp_activation: expected"),
        (lambda a: a["data"].update(grid_size=[1, 1, 1]), "DataConfig.grid_size: expected tuple[int, int]"),
        (
            lambda a: a["data"].update(N=10**9),
            "illuminate.probe_parts: expected shape (1000000000, 1000000000, 2), float32",
        ),
        (
            lambda a: a["data"].update(N=128),
            "expected shape (128, 128, 2), float32, real and imaginary part, found (64, 64, 2)",
        ),
        (lambda a: a["data"].update(n_groups=1.5), "DataConfig.n_groups: expected int | None, found 1.5"),
        (lambda a: a["data"].update(nphotons=-1.0), "DataConfig.nphotons: expected a positive number"),
        (lambda a: a["training"].update(batch_size=12), "TrainingConfig.batch_size: expected a power of two"),
        (lambda a: a.update(seed="0"), "seed: expected a whole number, found '0'"),
        (lambda a: a["losses"].pop("epochs"), "losses: expected what LossCurve.to_json returns"),
        (lambda a: a.update(versions=[]), "versions: expected a JSON object, found list"),
        # Shapes are compared before memory is allocated: these weights would take petabytes.
        (
            lambda a: a["model"].update(n_filters_scale=10**6),
            "encoder.block_1.conv_1.weight: expected shape (32000000, 1,",
        ),
    ],
)
def test_a_document_that_does_not_fit_is_refused(path: Path, change: Callable[[Any], object], message: str) -> None:
    rewritten(path, about=change)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_bundle(path)


def test_a_bundle_without_a_precision_was_trained_in_float32(path: Path) -> None:
    rewritten(path, about=lambda a: a["training"].pop("precision"))
    assert load_bundle(path).training == dataclasses.replace(
        a_bundle().training, train_data_file="scan.npz", output_dir="out"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(BIAS), f"{BIAS}: missing"),
        (lambda t: t.update(more=torch.ones(1)), "more: unknown"),
        (lambda t: t.pop("illuminate.probe_parts"), "illuminate.probe_parts: expected shape (64, 64, 2), float32"),
        (lambda t: t["illuminate.probe_parts"].fill_(float("inf")), "probe: expected finite numbers"),
        (lambda t: t.update({BIAS: torch.ones(2)}), f"{BIAS}: expected shape (1,), found (2,)"),
        (lambda t: t.update({BIAS: torch.ones(1).double()}), f"{BIAS}: expected torch.float32, found torch.float64"),
        (lambda t: t[BIAS].fill_(float("nan")), f"{BIAS}: expected finite numbers"),
        (lambda t: t["intensity_scale"].fill_(-1), "intensity_scale: expected a positive number, found -1.0"),
    ],
)
def test_weights_must_fit(path: Path, change: Callable[[Any], object], message: str) -> None:
    rewritten(path, tensors=change)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_bundle(path)


# ------------------------------------------------------------------------------------------------ other archives


class Bomb:
    """Fails the test if it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("unpickled",))


def write(path: Path, found: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    path.write_bytes(zipped(list(found.items()), compression))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"manifest.dill": b"", "autoencoder/model.keras": b""},
            "written by another program, such as TensorFlow PtychoPINN",
        ),
        ({"../../etc/passwd": b"x", ABOUT: b"{}"}, "found '../../etc/passwd', 'about.json'"),
        ({ABOUT: b"{}", TENSORS: b"", "more": b""}, "found 'about.json', 'more', 'tensors.safetensors'"),
        ({}, "found none"),
        ({ABOUT: b"{", TENSORS: b""}, "about.json: expected a JSON object with a 'format'; it is damaged"),
        ({ABOUT: b"[" * 100_000, TENSORS: b""}, "about.json: expected a JSON object"),
        ({ABOUT: b"[]", TENSORS: b""}, "about.json: expected a JSON object"),
        ({ABOUT: json.dumps({"format": FORMAT}).encode(), TENSORS: b"no"}, "tensors.safetensors: expected safetensors"),
        ({ABOUT: json.dumps({"format": FORMAT}).encode(), TENSORS: pickle.dumps(Bomb())}, "expected safetensors"),
    ],
)
def test_other_archives_are_refused(tmp_path: Path, content: dict[str, bytes], message: str) -> None:
    write(tmp_path / NAME, content)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_bundle(tmp_path / NAME)


def test_torch_s_own_files_are_refused_and_not_unpickled(tmp_path: Path) -> None:
    torch.save({"bomb": Bomb()}, tmp_path / NAME)
    with pytest.raises(ValueError, match=r"expected the members about\.json and tensors"):
        load_bundle(tmp_path / NAME)


def test_compressed_members_are_refused_before_they_are_unpacked(tmp_path: Path, path: Path) -> None:
    """So nothing that is read is larger than its file."""
    write(tmp_path / "again.zip", members(path.read_bytes()), zipfile.ZIP_DEFLATED)
    with pytest.raises(
        ValueError, match=r"about\.json: expected it uncompressed, found it compressed; the file was repacked"
    ):
        load_bundle(tmp_path / "again.zip")
    write(tmp_path / "bomb.zip", {ABOUT: b"0" * 50_000_000, TENSORS: b""}, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.zip").stat().st_size < 100_000
    with pytest.raises(ValueError, match="compressed"):
        load_bundle(tmp_path / "bomb.zip")
    write(tmp_path / "long.zip", {ABOUT: b" " * (2**25 + 1), TENSORS: b""})
    with pytest.raises(ValueError, match="expected at most 33554432 bytes, found 33554433"):
        load_bundle(tmp_path / "long.zip")


def test_damage_is_refused(path: Path) -> None:
    whole, expected = path.read_bytes(), a_bundle().model.state_dict()
    places = [30, len(whole) // 2, len(whole) - 30, *range(0, len(whole), len(whole) // 40)]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            found = load_bundle(path).model.state_dict()
        except ValueError:
            continue
        # The damaged byte is not used: it belongs to a time stamp or the like.
        assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items()), place
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"expected a zip archive|cannot be read"):
            load_bundle(path)


# ------------------------------------------------------------------------------------------------ archives


def test_nested_values_there_and_back(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3).T
    value = {
        "a": [1, 2.5, None, True, "text", (1, (shared, float("inf")))],
        0: {1: shared, "empty": {}, "steps": torch.tensor(3)},
        "items": {"tuple": [], "tensor": "no"},
    }
    tensors: dict[str, torch.Tensor] = {}
    write_archive(tmp_path / "a.zip", "kind", {"content": pack(value, tensors)}, tensors)
    about, found = read_archive(tmp_path / "a.zip", "kind")
    again = unpack(about["content"], found)
    assert repr(again) == repr(value)
    assert again[0]["steps"].shape == ()


def test_code_cannot_be_packed() -> None:
    for value in (object(), {"a": [print]}, io.BytesIO(), {1j: 0}):
        with pytest.raises(TypeError, match="expected numbers, strings, tensors and collections of them"):
            pack(value, {})
    with pytest.raises(ValueError, match=r"expected a tensor, items or a tuple, found \['tensor'\]"):
        unpack({"tensor": "00000"}, {})


def test_an_archive_that_cannot_be_written_leaves_the_old_one(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_archive(path, "kind", {"content": object()}, {})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# ------------------------------------------------------------------------------------------------ from elsewhere


@pytest.mark.parametrize("kind", bundle_fuzzing.KINDS)
def test_a_corrupt_bundle_is_refused_or_reads_the_same(kind: str, tmp_path: Path) -> None:
    """``python -m benchmarks.fuzz_bundles`` reads 3,000."""
    outcomes = [bundle_fuzzing.read_one(kind, seed, tmp_path) for seed in range(6)]
    assert not [one for one in outcomes if one.verdict in bundle_fuzzing.BAD]


def test_the_fuzzer_sees_a_silent_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = members(bundle_fuzzing.sound())
    other = zipped([(ABOUT, found[ABOUT].replace(b'"seed": 0', b'"seed": 1')), (TENSORS, found[TENSORS])])
    monkeypatch.setattr(bundle_fuzzing, "corrupt", lambda kind, seed: other)
    assert bundle_fuzzing.read_one("flip", 0, tmp_path).verdict == bundle_fuzzing.SILENT
    assert bundle_fuzzing.read_one("text", 0, tmp_path).verdict == bundle_fuzzing.ANOTHER
    monkeypatch.setattr(bundle_fuzzing, "load_bundle", lambda path: {}["no"])
    assert bundle_fuzzing.read_one("flip", 0, tmp_path).verdict == bundle_fuzzing.WRONG


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a["model"].update(n_filters_scale=10**30),
        lambda a: a["model"].update(n_filters_scale=1e30),
        lambda a: a["model"].update(max_position_jitter=10**9),
        lambda a: a["model"].update(max_position_jitter=-5),
        lambda a: a["losses"].update(least_loss=10**400),
    ],
)
def test_absurd_numbers_are_refused(path: Path, change: Callable[[Any], object]) -> None:
    rewritten(path, about=change)
    with pytest.raises(ValueError, match=r"wts\.h5\.zip: ") as refused:
        load_bundle(path)
    assert str(refused.value).isprintable()


def test_a_repeated_name_is_refused(path: Path) -> None:
    """JSON readers silently keep the last one."""
    found = members(path.read_bytes())
    found[ABOUT] = found[ABOUT].replace(b'"seed": 3', b'"seed": 3, "seed": 4')
    write(path, found)
    with pytest.raises(ValueError, match=r"about\.json: expected a JSON object"):
        load_bundle(path)


def test_an_error_of_the_operating_system_is_passed_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*wts\.h5\.zip'"):
        load_bundle(path)


def test_a_model_of_another_dtype_is_not_saved(tmp_path: Path) -> None:
    bundle = a_bundle()
    bundle.model.double()
    with pytest.raises(ValueError, match=r"the model: .*: expected torch\.float32, found torch\.float64"):
        save_bundle(tmp_path / NAME, bundle)
