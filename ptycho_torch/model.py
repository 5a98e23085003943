"""The model: from measured patterns to the object, and from there to predicted patterns.

The network computes an image of each patch. The physics computes predicted patterns from these images, and training
compares them with the measured ones. See docs/conventions.md, "Network".
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn.functional import pad as zero_pad

from ptycho_torch.config_params import ModelConfig
from ptycho_torch.network.decoder import AMPLITUDE_ACTIVATIONS, Decoder, phase_activation
from ptycho_torch.network.encoder import Encoder
from ptycho_torch.operators.formats import canvas_margin, padded_size
from ptycho_torch.operators.merge import extract_patches, merge_patches, trim
from ptycho_torch.operators.physics import diffraction_amplitude, illuminate
from ptycho_torch.operators.probe import hard_mask


class Prediction(NamedTuple):
    """The output of the model for a batch.

    Attributes:
        object: (B, N, N) complex, the object around each group's mean position, which is at index N // 2.
        amplitude: (B, C, N, N), predicted amplitude on the detector, square roots of counts.
    """

    object: Complex[Tensor, "B N N"]
    amplitude: Float[Tensor, "B C N N"]


class PtychoPINN(nn.Module):
    """Map normalised patterns to the object and the predicted patterns: the network, and the physics behind it.

    Every step is a submodule, so forward hooks can read its output (``training/taps.py`` lists the steps). As in
    TensorFlow, probe and intensity scale are not trained: they are buffers, saved with the weights and moved with the
    model.

    Under ``torch.autocast``, encoder and decoders compute in its dtype, except for the last convolution and activation
    of each decoder, whose results are the object. These, and the physics after them (canvas, Fourier transform,
    amplitude), stay in the model's own dtype.

    Args:
        config: model configuration; ``C_model``, ``n_filters_scale``, ``amp_activation``, ``object_big``,
            ``pad_object``, ``probe_big``, ``probe_mask``, ``offset`` and ``max_position_jitter`` shape the model.
        probe: (N, N) complex, normalised (``normalize_probe_like_tf``); N is 64, 128 or 256.
        intensity_scale: factor from normalised amplitudes to square roots of counts (``physics.intensity_scale``).

    Raises:
        ValueError: the probe or the factor is invalid, or a setting is not ported.
    """

    intensity_scale: Tensor

    def __init__(self, config: ModelConfig, probe: Complex[Tensor, "N N"], intensity_scale: float) -> None:
        super().__init__()
        _require_known(config)
        N = _require_probe(probe)
        if not 0 < intensity_scale < math.inf:
            raise ValueError(f"intensity_scale: expected a positive number, found {intensity_scale}")
        self.config = config
        self.N = N
        C, s = config.C_model, config.n_filters_scale
        outputs = C if config.object_big else 1
        padded = padded_size(N, _grid_side(C), config.offset, config.max_position_jitter)
        heads = {"pad_object": config.pad_object, "probe_big": config.probe_big}

        self.encoder = Encoder(N, C, s)
        self.amplitude = Decoder(N, outputs, s, AMPLITUDE_ACTIVATIONS[config.amp_activation], **heads)
        self.phase = Decoder(N, outputs, s, phase_activation, **heads)
        self.combine = Combine()
        self.place = Merge(padded) if config.object_big else Pad(padded)
        self.trim = Trim(N)
        self.extract = Extract(N)
        self.illuminate = Illuminate(probe, masked=config.probe_mask)
        self.diffract = Diffract()
        self.register_buffer("intensity_scale", torch.tensor(float(intensity_scale)))
        # Channels come last in memory, though not in the shape, because CPUs convolve this layout without reordering.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "B C N N"], positions: Float[Tensor, "B 1 2 C"]) -> Prediction:
        """Predict the object and the patterns of every group.

        Args:
            x: (B, C, N, N), normalised amplitude: the container's ``X``, channels first.
            positions: (B, 1, 2, C), [x, y], pixels: the container's ``coords_nominal``.

        Raises:
            ValueError: shapes, dtypes or devices do not match the model or each other.
        """
        canvas = self.canvas(x, positions)
        with torch.autocast(x.device.type, enabled=False):
            field = self.illuminate(self.extract(canvas, positions))
            return Prediction(self.trim(canvas), self.diffract(field) * self.intensity_scale)

    def reconstruct(self, x: Float[Tensor, "B C N N"], positions: Float[Tensor, "B 1 2 C"]) -> Complex[Tensor, "B N N"]:
        """Predict the object alone, without its patterns. Arguments and errors are those of ``forward``."""
        return self.trim(self.canvas(x, positions))  # type: ignore[no-any-return]

    def canvas(self, x: Float[Tensor, "B C N N"], positions: Float[Tensor, "B 1 2 C"]) -> Complex[Tensor, "B P P"]:
        """Predict the object of every group on its padded canvas. Arguments and errors are those of ``forward``."""
        self._require(x, positions)
        features = self.encoder(x)
        amplitude, phase = self.amplitude(features), self.phase(features)
        with torch.autocast(x.device.type, enabled=False):
            patches = self.combine(amplitude, phase)
            return self.place(patches, positions)  # type: ignore[no-any-return]

    @property
    def probe(self) -> Complex[Tensor, "N N"]:
        """Return the probe as it was given, (N, N) complex."""
        return self.illuminate.probe

    def extra_repr(self) -> str:
        return f"N={self.N}, C={self.config.C_model}, n_filters_scale={self.config.n_filters_scale}"

    def _require(self, x: Tensor, positions: Tensor) -> None:
        C, N = self.config.C_model, self.N
        if x.ndim != 4 or x.shape[1:] != (C, N, N) or len(x) == 0:
            raise ValueError(f"x: expected shape (B, {C}, {N}, {N}), channels first, found {tuple(x.shape)}")
        own = self.intensity_scale
        if (x.dtype, x.device) != (own.dtype, own.device):
            raise ValueError(f"x: expected {own.dtype} on {own.device} as the model, found {x.dtype} on {x.device}")
        if positions.shape != (len(x), 1, 2, C):
            raise ValueError(
                f"positions: expected shape ({len(x)}, 1, 2, {C}), [x, y] of each patch, found {tuple(positions.shape)}"
            )


class Combine(nn.Module):
    """Combine amplitude and phase into complex patches, ``amplitude exp(i phase)``."""

    def forward(
        self, amplitude: Float[Tensor, "B C N N"], phase: Float[Tensor, "B C N N"]
    ) -> Complex[Tensor, "B C N N"]:
        """Map amplitude and phase (radians), (B, C, N, N) each, to (B, C, N, N)."""
        # Not torch.polar: its gradient is wrong where the amplitude is negative, as it may be in the border.
        return torch.complex(amplitude * phase.cos(), amplitude * phase.sin())


class Merge(nn.Module):
    """Impose the overlap constraint: merge a group's patches into one object (``merge.merge_patches``)."""

    def __init__(self, padded: int) -> None:
        super().__init__()
        self.padded = padded

    def forward(
        self, patches: Complex[Tensor, "B C N N"], positions: Float[Tensor, "B 1 2 C"]
    ) -> Complex[Tensor, "B P P"]:
        """Map patches (B, C, N, N) and positions (B, 1, 2, C) to canvases (B, P, P)."""
        return merge_patches(patches, positions, self.padded)

    def extra_repr(self) -> str:
        return f"padded={self.padded}"


class Pad(nn.Module):
    """Impose no constraint: put the only patch of a group at the centre of the canvas."""

    def __init__(self, padded: int) -> None:
        super().__init__()
        self.padded = padded

    def forward(
        self, patches: Complex[Tensor, "B 1 N N"], positions: Float[Tensor, "B 1 2 C"]
    ) -> Complex[Tensor, "B P P"]:
        """Map patches (B, 1, N, N) to canvases (B, P, P); positions are not used."""
        return zero_pad(patches[:, 0], (canvas_margin(patches.shape[-1], self.padded),) * 4)

    def extra_repr(self) -> str:
        return f"padded={self.padded}"


class Trim(nn.Module):
    """Cut out the central N x N pixels of the canvas."""

    def __init__(self, N: int) -> None:
        super().__init__()
        self.N = N

    def forward(self, canvas: Complex[Tensor, "B P P"]) -> Complex[Tensor, "B N N"]:
        """Map canvases (B, P, P) to objects (B, N, N)."""
        return trim(canvas, self.N)


class Extract(nn.Module):
    """Extract each member's patch of the object (``merge.extract_patches``)."""

    def __init__(self, N: int) -> None:
        super().__init__()
        self.N = N

    def forward(
        self, canvas: Complex[Tensor, "B P P"], positions: Float[Tensor, "B 1 2 C"]
    ) -> Complex[Tensor, "B C N N"]:
        """Map canvases (B, P, P) and positions (B, 1, 2, C) to patches (B, C, N, N)."""
        return extract_patches(canvas, positions, self.N)


class Illuminate(nn.Module):
    """Multiply each patch by the probe and, if ``masked``, by the hard mask.

    The probe is stored as real and imaginary part, because converting a module's dtype drops imaginary parts.
    """

    probe_parts: Tensor
    mask: Tensor | None

    def __init__(self, probe: Complex[Tensor, "N N"], *, masked: bool) -> None:
        super().__init__()
        self.register_buffer("probe_parts", torch.view_as_real(probe.resolve_conj()).clone())
        mask = hard_mask(len(probe), device=probe.device).to(self.probe_parts.dtype) if masked else None
        self.register_buffer("mask", mask, persistent=False)

    @property
    def probe(self) -> Complex[Tensor, "N N"]:
        """Return the probe, (N, N) complex."""
        return torch.view_as_complex(self.probe_parts)

    def forward(self, patches: Complex[Tensor, "B C N N"]) -> Complex[Tensor, "B C N N"]:
        """Map patches (B, C, N, N) to the fields behind the object, (B, C, N, N)."""
        field = illuminate(patches, self.probe)
        return field if self.mask is None else field * self.mask


class Diffract(nn.Module):
    """Compute the field's amplitude on the detector, in units of the normalised data."""

    def forward(self, field: Complex[Tensor, "B C N N"]) -> Float[Tensor, "B C N N"]:
        """Map fields (B, C, N, N) to amplitudes (B, C, N, N)."""
        return diffraction_amplitude(field)


def _require_known(config: ModelConfig) -> None:
    for name, known in (("model_type", "pinn"), ("architecture", "cnn")):
        if getattr(config, name) != known:
            raise ValueError(f"ModelConfig.{name}: expected {known!r}, found {getattr(config, name)!r}")
    if config.gaussian_smoothing_sigma != 0:
        raise ValueError(
            f"ModelConfig.gaussian_smoothing_sigma: expected 0 (none), found {config.gaussian_smoothing_sigma}; "
            f"TensorFlow's smoothing is not ported"
        )


def _require_probe(probe: Tensor) -> int:
    if probe.ndim != 2 or probe.shape[0] != probe.shape[1] or not probe.is_complex():
        raise ValueError(f"probe: expected shape (N, N), complex, found {tuple(probe.shape)}, {probe.dtype}")
    if not torch.isfinite(probe).all():
        raise ValueError("probe: expected finite numbers, found NaN or infinity")
    return len(probe)


def _grid_side(C: int) -> int:
    side = math.isqrt(C)
    if side * side != C:
        raise ValueError(f"ModelConfig.C_model: expected a square number of patches per group, found {C}")
    return side
