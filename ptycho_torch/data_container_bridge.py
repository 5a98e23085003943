"""Convert TensorFlow's grouped record to tensors for the model, with the port's sign of positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex64, Float32, Float64, Int64, Num
from torch import Tensor


class PtychoDataContainerTorch:
    """Grouped patterns and positions as tensors.

    The grouped record holds ``coords_relative = -(coords - mean)``. It is negated here, and nowhere else. So everywhere
    in the port an offset is a position: ``+offset`` moves content by ``+offset``, x moves columns, y rows.

    Args:
        grouped_data: arrays by name, as ``RawDataTorch.generate_grouped_data`` returns them: ``X_full`` (n, N, N, C)
            float32, amplitude; ``coords_relative`` (n, 1, 2, C) and ``coords_offsets`` (n, 1, 2, 1), [x, y], pixels;
            ``nn_indices`` (n, C) integer; optionally ``Y`` (n, N, N, C) complex64 and ``coords_start_relative``
            (n, 1, 2, C). Arrays are copied; other keys are ignored.
        probe: (N, N) or (N, N, 1) complex, normalised (``normalize_probe_like_tf``). The container cannot normalise it,
            because it does not know ``probe_scale``.

    Attributes:
        X: (n, N, N, C) float32, normalised amplitude.
        coords_nominal: (n, 1, 2, C) float32, positions relative to the group's mean, pixels.
        coords_true: the same tensor; there are no positions other than the measured ones.
        global_offsets: (n, 1, 2, 1) float64, mean position of each group, pixels.
        local_offsets: (n, 1, 2, C) float64, TensorFlow's array, with its sign; for reference only.
        coords_start_relative: (n, 1, 2, C) float64, the same for the start positions, or None; not used for placement.
        nn_indices: (n, C) int64, index of each member's pattern.
        Y: (n, N, N, C) complex64, ground truth, or None.
        Y_I: (n, N, N, C) float32, modulus of ``Y``; ones without ground truth.
        Y_phi: (n, N, N, C) float32, phase of ``Y``, radians; zeros without ground truth.
        probe: (N, N) complex64.

    Raises:
        KeyError: arrays are missing; the message names all.
        ValueError: an array has another shape or dtype, or a value that is not finite.
    """

    X: Float32[Tensor, "n N N C"]
    coords_nominal: Float32[Tensor, "n 1 2 C"]
    coords_true: Float32[Tensor, "n 1 2 C"]
    global_offsets: Float64[Tensor, "n 1 2 1"]
    local_offsets: Float64[Tensor, "n 1 2 C"]
    coords_start_relative: Float64[Tensor, "n 1 2 C"] | None
    nn_indices: Int64[Tensor, "n C"]
    Y: Complex64[Tensor, "n N N C"] | None
    Y_I: Float32[Tensor, "n N N C"]
    Y_phi: Float32[Tensor, "n N N C"]
    probe: Complex64[Tensor, "N N"]

    def __init__(self, grouped_data: Mapping[str, Any], probe: Num[Tensor, "N N"] | np.ndarray) -> None:
        required = ("X_full", "coords_relative", "coords_offsets", "nn_indices")
        missing = [name for name in required if grouped_data.get(name) is None]
        if missing:
            raise KeyError(f"grouped_data: missing {missing}; expected {list(required)}, optionally 'Y'")
        pattern = _array(grouped_data, "X_full")
        if pattern.ndim != 4 or pattern.shape[1] != pattern.shape[2]:
            raise ValueError(f"grouped_data['X_full']: expected shape (n, N, N, C), found {pattern.shape}")
        if pattern.dtype.newbyteorder("=") != np.float32:
            # Patterns that are not normalised look alike, but have another dtype and another scale.
            raise ValueError(
                f"grouped_data['X_full']: expected float32, as normalize_data makes it, found {pattern.dtype}"
            )
        n, N, _, C = pattern.shape

        self.X = _tensor(_require(grouped_data, "X_full", (n, N, N, C)), np.float32)
        relative = _require(grouped_data, "coords_relative", (n, 1, 2, C))
        self.coords_nominal = _tensor(-relative, np.float32)
        self.coords_true = self.coords_nominal
        self.local_offsets = _tensor(relative, np.float64)
        self.global_offsets = _tensor(_require(grouped_data, "coords_offsets", (n, 1, 2, 1)), np.float64)
        self.coords_start_relative = None
        if grouped_data.get("coords_start_relative") is not None:
            start = _require(grouped_data, "coords_start_relative", (n, 1, 2, C))
            self.coords_start_relative = _tensor(start, np.float64)
        self.nn_indices = _tensor(_require(grouped_data, "nn_indices", (n, C), kinds="iu"), np.int64)
        self.Y = _ground_truth(grouped_data, (n, N, N, C))
        self.Y_I = torch.ones_like(self.X) if self.Y is None else self.Y.abs()
        self.Y_phi = torch.zeros_like(self.X) if self.Y is None else self.Y.angle()
        self.probe = probe.to(torch.complex64) if isinstance(probe, Tensor) else _tensor(probe, np.complex64)
        if self.probe.ndim == 3 and self.probe.shape[-1] == 1:
            self.probe = self.probe[..., 0]
        if self.probe.shape != (N, N):
            raise ValueError(f"probe: expected shape ({N}, {N}), the side of X_full, found {tuple(self.probe.shape)}")
        if not torch.isfinite(torch.view_as_real(self.probe)).all():
            raise ValueError("probe: expected finite numbers, found NaN or infinity")

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        n, N, _, C = self.X.shape
        return f"PtychoDataContainerTorch(n={n}, N={N}, C={C}, ground truth={'yes' if self.Y is not None else 'no'})"


def _array(grouped_data: Mapping[str, Any], name: str) -> np.ndarray:
    return np.asarray(grouped_data[name])


def _require(grouped_data: Mapping[str, Any], name: str, shape: tuple[int, ...], kinds: str = "fiu") -> np.ndarray:
    array = _array(grouped_data, name)
    if array.shape != shape:
        raise ValueError(f"grouped_data[{name!r}]: expected shape {shape} to go with X_full, found {array.shape}")
    if array.dtype.kind not in kinds:
        wanted = "an integer" if kinds == "iu" else "a real"
        raise ValueError(f"grouped_data[{name!r}]: expected {wanted} dtype, found {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"grouped_data[{name!r}]: expected finite numbers, found NaN or infinity")
    return array


def _ground_truth(grouped_data: Mapping[str, Any], shape: tuple[int, ...]) -> Tensor | None:
    if grouped_data.get("Y") is None:
        return None
    array = _array(grouped_data, "Y")
    if array.dtype != np.complex64:
        # A real Y has lost its phase, which a cast would hide.
        raise ValueError(f"grouped_data['Y']: expected complex64, found {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"grouped_data['Y']: expected shape {shape} to go with X_full, found {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("grouped_data['Y']: expected finite numbers, found NaN or infinity")
    return _tensor(array, np.complex64)


def _tensor(array: np.ndarray, dtype: type) -> Tensor:
    """Copy an array of any strides and byte order into a tensor."""
    return torch.from_numpy(np.array(array, dtype, order="C"))
