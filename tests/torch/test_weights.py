"""Weights: TensorFlow's order and layout, and the arrays and files that are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from ptycho_torch.files.tensorflow_weights import (
    from_tensorflow_weights,
    read_tensorflow_weights,
    tensorflow_order,
    to_tensorflow_gradients,
    to_tensorflow_weights,
)
from ptycho_torch.model import PtychoPINN
from tests.torch.networks import DEVICES, batch, small_model


def trained_model(C: int, *, device: str, seed: int = 1) -> PtychoPINN:
    """Return a model whose biases are not 0, unlike those of a new model."""
    model = small_model(C, device=device, seed=seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def values(model: PtychoPINN) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_order_of_the_default_network() -> None:
    """Kernel and bias of each layer: the encoder, then amplitude and phase in turn, the centre's convolution last."""
    order = tensorflow_order(small_model())
    assert len(order) == 44
    kernels = order[::2]
    assert [name.removesuffix("weight") + "bias" for name in kernels] == order[1::2]
    up = [f"up.block_{block}.conv_{conv}" for block in (1, 2) for conv in (1, 2)]
    heads = ["border.pair.conv_1", "border.pair.conv_2", "border.conv", "inner.conv"]
    assert [name.removesuffix(".weight") for name in kernels] == [
        *(f"encoder.block_{block}.conv_{conv}" for block in (1, 2, 3) for conv in (1, 2)),
        *(f"{decoder}.{layer}" for layer in up + heads for decoder in ("amplitude", "phase")),
    ]


def test_shapes_in_that_order() -> None:
    """(in, out) of each kernel, for N = 64, groups of one, twice the filters, as TensorFlow lists them."""
    kernels = [array.shape for array in to_tensorflow_weights(small_model(n_filters_scale=2)) if array.ndim == 4]
    decoders = [(256, 128), (128, 128), (128, 64), (64, 64), (4, 64), (64, 64), (64, 1), (60, 1)]
    assert [shape[:2] for shape in kernels] == [(3, 3)] * 22
    assert [shape[2:] for shape in kernels] == [
        *[(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)],
        *(shape for shape in decoders for _ in range(2)),
    ]


@pytest.mark.parametrize(
    ("settings", "arrays"), [({"probe_big": False}, 32), ({"pad_object": False}, 40), ({"N": 256}, 68)]
)
def test_number_of_arrays(settings: dict[str, object], arrays: int) -> None:
    assert len(tensorflow_order(small_model(**settings))) == arrays  # type: ignore[arg-type]


@pytest.mark.parametrize("device", DEVICES)
def test_weights_go_to_tensorflow_and_back(device: str) -> None:
    model, other = trained_model(4, device=device), trained_model(4, device=device, seed=2)
    arrays = to_tensorflow_weights(model)
    name = "encoder.block_1.conv_1.weight"
    assert arrays[0][0, 2, 3, 5] == model.get_parameter(name)[5, 3, 0, 2].item()
    from_tensorflow_weights(other, [array.astype(">f4") for array in arrays])
    assert same(values(model), values(other))
    arrays[0][:] = 7
    assert same(values(model), values(other))


def test_gradients_in_tensorflow_s_order() -> None:
    model, (x, positions) = small_model(), batch()
    with pytest.raises(ValueError, match=r"expected a gradient of every parameter .* none of \['encoder\.block_1"):
        to_tensorflow_gradients(model)
    model(x, positions).amplitude.mean().backward()
    gradients = to_tensorflow_gradients(model)
    assert [g.shape for g in gradients] == [w.shape for w in to_tensorflow_weights(model)]
    np.testing.assert_array_equal(gradients[-1], model.get_parameter("phase.inner.conv.bias").grad)


def misfit(place: int, change: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    arrays = to_tensorflow_weights(small_model())
    arrays[place] = change(arrays[place])
    return arrays


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (misfit(2, lambda a: a.transpose(3, 2, 0, 1)), "2 (encoder.block_1.conv_2.weight): expected shape (3, 3, 32,"),
        (misfit(43, lambda a: a[None]), "43 (phase.inner.conv.bias): expected shape (1,), found (1, 1)"),
        (misfit(1, lambda a: a.astype(np.float64)), "1 (encoder.block_1.conv_1.bias): expected float32, found float64"),
        (misfit(1, lambda a: a.astype(np.int16)), "1 (encoder.block_1.conv_1.bias): expected float32, found int16"),
        (misfit(1, lambda a: a.astype(int)), "1 (encoder.block_1.conv_1.bias): expected float32, found int64"),
        (misfit(1, lambda a: a * np.nan), "1 (encoder.block_1.conv_1.bias): expected finite numbers"),
        (to_tensorflow_weights(small_model())[:-2], "arrays: expected 44, a kernel and a bias per convolution, found"),
    ],
)
def test_arrays_that_are_refused(arrays: list[np.ndarray], message: str) -> None:
    model = small_model(seed=2)
    before = values(model)
    with pytest.raises(ValueError, match=re.escape(message)):
        from_tensorflow_weights(model, arrays)
    assert same(values(model), before)


def test_all_misfits_are_named() -> None:
    arrays = to_tensorflow_weights(small_model())
    with pytest.raises(ValueError, match=r"0 \(encoder.*; 42 \(phase"):
        from_tensorflow_weights(small_model(4), arrays)


def test_arrays_in_an_hdf5_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    arrays = to_tensorflow_weights(small_model())
    with h5py.File(path, "w") as file:
        for place, array in reversed(list(enumerate(arrays))):
            file[f"weights/{place:03}"] = array
        file["other/a"] = 1.0
    read = read_tensorflow_weights(path)
    assert all(np.array_equal(one, other) for one, other in zip(read, arrays, strict=True))
    for group, message in (("none", "expected a group 'none', found other, weights"), ("other", "found a")):
        with pytest.raises(ValueError, match=message):
            read_tensorflow_weights(path, group)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_tensorflow_weights(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(ValueError, match="expected HDF5, found another file"):
        read_tensorflow_weights(tmp_path / "text.h5")


def test_damaged_hdf5_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file["weights/000"] = np.ones(1000)
        file["weights/001"] = h5py.SoftLink("/nowhere")
        file.create_group("weights/002")
    with pytest.raises(
        ValueError, match=rf"{path}: expected arrays in 'weights', found groups or broken links: 001, 002"
    ):
        read_tensorflow_weights(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=f"{path}: the file is truncated or damaged"):
        read_tensorflow_weights(path)


@pytest.mark.parametrize("chunks", [None, (2**10,)])
def test_weights_that_declare_more_than_the_file_holds(tmp_path: Path, chunks: tuple[int, ...] | None) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("weights/000", (2**40,), np.float32, chunks=chunks)
    with pytest.raises(
        ValueError, match=r"w\.h5: expected arrays that the file can hold, found \d+ declared bytes in \d+"
    ):
        read_tensorflow_weights(tmp_path / "w.h5")


def test_reading_takes_no_lock(tmp_path: Path) -> None:
    """Some file systems have no locks, and another program may hold one."""
    fcntl = pytest.importorskip("fcntl")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["weights/000"] = np.arange(3.0)
    with (tmp_path / "w.h5").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (found,) = read_tensorflow_weights(tmp_path / "w.h5")
    np.testing.assert_array_equal(found, [0, 1, 2])
