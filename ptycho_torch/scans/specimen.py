"""Make the object, the probe and the positions of a simulated scan."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ptycho_torch.scans.npz import DAMAGE, FiniteNumbers, Required, look_at, members_of, one_line

ScanKind = Literal["spiral", "raster", "jittered"]
OBJECTS = ("leaves",)
PROBES = ("curved", "disk")
"""Built-in probes; any other name is that of a file."""

_ARRAYS = (".npy", ".npz")


# ------------------------------------------------------------------------------------------------ object


def make_object(
    source: str | Path, height: int, width: int, rng: np.random.Generator, phase_image: str | Path | None = None
) -> np.ndarray:
    """Make an object of at least the size that a scan needs.

    Args:
        source: ``leaves`` for a texture of overlapping disks; or the name of a file. An ``.npz`` (key ``objectGuess``)
            or ``.npy`` holds a complex (H, W) array, which is used unchanged. A picture is cropped and resized to the
            required shape. It becomes amplitude, 0.25 (black) to 1 (white), and phase, -1 to 1.5 rad. White is 255, or
            65535 in a 16-bit grey picture. Floats and 32-bit integers are used unchanged if they lie between 0 (black)
            and 1 (white); otherwise the smallest value is black and the largest is white.
        height: rows that the scan needs, pixels.
        width: columns that the scan needs, pixels.
        rng: random generator, for ``leaves``.
        phase_image: name of another picture for the phase; None to use the same.

    Returns:
        (H, W) complex64; rows = y, columns = x.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file holds no such object, or the object is too small.
    """
    if str(source) == "leaves":
        values = _leaves(height, width, rng)
        return _from_grey(values[0], values[1] if phase_image is None else _grey(Path(phase_image), height, width))
    path = _existing(source, "object", OBJECTS)
    if path.suffix.lower() not in _ARRAYS:
        grey = _grey(path, height, width)
        return _from_grey(grey, grey if phase_image is None else _grey(Path(phase_image), height, width))
    if phase_image is not None:
        raise ValueError(f"object {path}: expected no phase image, because the array has a phase; omit the image")
    target = _array(path, "objectGuess")
    if target.ndim != 2 or target.shape[0] < height or target.shape[1] < width:
        raise ValueError(
            f"object {path}: expected at least {height} rows and {width} columns, to cover the scan, found "
            f"{target.shape}. Use fewer patterns, or more overlap"
        )
    return target.astype(np.complex64)


def _from_grey(brightness: np.ndarray, phase: np.ndarray) -> np.ndarray:
    amplitude = 0.25 + 0.75 * brightness
    return np.asarray(amplitude * np.exp(1j * (2.5 * phase - 1)), np.complex64)


def _leaves(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw disks of all sizes on top of each other, each of one brightness and one phase: (2, H, W) in [0, 1].

    Such *dead leaves* have the statistics of photographs: edges at every scale and in every direction, which a
    reconstruction has to resolve.
    """
    smallest, largest = 3.0, min(height, width) / 3
    count = 40 + height * width // 20
    # The density of radii falls with their cube, so disks of each size cover the same number of pixels.
    radii = 1 / np.sqrt(1 / largest**2 + rng.random(count) * (1 / smallest**2 - 1 / largest**2))
    canvas = np.full((2, height, width), 0.5)
    centres = rng.random((count, 2)) * [height, width]
    tones = rng.random((count, 2))
    for (y, x), radius, tone in zip(centres, radii, tones):
        rows = slice(max(0, int(y - radius)), int(y + radius) + 2)
        columns = slice(max(0, int(x - radius)), int(x + radius) + 2)
        dy, dx = np.ogrid[rows, columns]
        window = canvas[:, rows, columns]
        distance = np.hypot(dy[: window.shape[1]] - y, dx[:, : window.shape[2]] - x)
        cover = np.clip(radius - distance + 0.5, 0, 1)  # edges are one pixel wide
        window += cover * (tone[:, None, None] - window)
    return canvas


def _grey(path: Path, height: int, width: int) -> np.ndarray:
    """Read the brightness of a picture, (H, W) in [0, 1]."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError:
        raise ValueError(f"picture {path}: reading it needs Pillow; pip install pillow") from None
    if not path.is_file():
        raise FileNotFoundError(f"picture {path}: no such file")
    try:
        with Image.open(path) as picture:
            deep = picture.mode[0] in "IF"
            white = 65535 if picture.mode.startswith("I;16") or (picture.mode, picture.format) == ("I", "PNG") else None
            grey = Image.fromarray(np.asarray(picture, np.float32)) if deep else picture.convert("L")
    except Exception as broken:  # each of Pillow's many readers raises its own
        raise ValueError(
            f"picture {path}: expected a picture, .npy or .npz, found another file ({one_line(broken)})"
        ) from broken
    if deep:
        grey = Image.fromarray(_within_0_and_1(path, np.asarray(grey), white))
    fitted = np.asarray(ImageOps.fit(grey, (width, height), Image.Resampling.LANCZOS), np.float64)
    return np.clip(fitted, 0, 1) if deep else fitted / 255  # interpolated floats overshoot at edges


def _within_0_and_1(path: Path, levels: np.ndarray, white: float | None) -> np.ndarray:
    """Scale grey levels of more than 8 bits, (H, W) float32; without a known white, only if they exceed 0 to 1."""
    if white is not None:
        return levels / np.float32(white)
    least, largest = levels.min(), levels.max()
    if not np.isfinite(largest - least):
        raise ValueError(f"picture {path}: expected finite grey levels, found {least} to {largest}")
    if least >= 0 and largest <= 1:
        return levels
    if least == largest:
        raise ValueError(f"picture {path}: expected grey levels from 0 to 1, or at least two, found only {least}")
    return np.asarray((levels - least) / (largest - least))


# ------------------------------------------------------------------------------------------------ probe


def make_probe(source: str | Path, N: int) -> np.ndarray:
    """Make a probe.

    Args:
        source: ``curved`` for a round pupil's beam, out of focus and slightly astigmatic, about a third of the patch
            wide; ``disk`` for a flat disk, a quarter of the patch wide; or the name of a file, ``.npz`` (key
            ``probeGuess``) or ``.npy``.
        N: patch side, pixels.

    Returns:
        (N, N) complex64; rows = y, columns = x.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file holds no probe of that side, or only zeros.
    """
    rows, columns = (np.mgrid[:N, :N] - N // 2) / N
    if str(source) == "curved":
        x, y = columns / 0.16, rows / 0.16
        radius = np.hypot(x, y)
        pupil = 1 / (1 + np.exp(0.3 * N * (radius - 1)))
        waves = N / 64 * (0.85 * radius**2 + 0.12 * (x**2 - y**2) + 0.1 * x * y)
        focus = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(pupil * np.exp(2j * np.pi * waves))))
        return np.asarray(focus / np.abs(focus).max(), np.complex64)
    if str(source) == "disk":
        return np.asarray(1 / (1 + np.exp(N * (np.hypot(rows, columns) - 0.125))), np.complex64)
    path = _existing(source, "probe", PROBES)
    if path.suffix.lower() not in _ARRAYS:
        raise ValueError(f"probe {path}: expected one of {', '.join(PROBES)}, or an .npz or .npy file")
    probe = _array(path, "probeGuess")
    if probe.shape not in {(N, N), (N, N, 1)}:
        raise ValueError(f"probe {path}: expected shape ({N}, {N}), the patch, found {probe.shape}")
    if not probe.any():
        raise ValueError(f"probe {path}: expected some light, found only zeros")
    return probe.reshape(N, N).astype(np.complex64)


def probe_diameter(probe: np.ndarray) -> float:
    """Return the effective diameter of a probe (N, N), pixels.

    It is the diameter of the flat disk whose intensity is spread over the same area. For a Gaussian, it is measured
    where the intensity has fallen to 1 / e**2.
    """
    intensity = np.square(np.abs(probe, dtype=np.float64))
    area = intensity.sum() ** 2 / np.square(intensity).sum()
    return float(2 * np.sqrt(area / np.pi))


# ------------------------------------------------------------------------------------------------ positions


def make_positions(kind: ScanKind, patterns: int, step: float, rng: np.random.Generator) -> np.ndarray:
    """Make the positions of the patches' centres, in the order in which they are measured.

    Args:
        kind: ``spiral`` for Fermat's spiral, irregular everywhere; ``raster`` for the rows of a square; ``jittered``
            for a raster whose points are displaced by up to a quarter of a step.
        patterns: number of positions.
        step: distance of neighbours in a raster, pixels; a spiral also has one point per step**2.
        rng: random generator, for ``jittered``.

    Returns:
        (patterns, 2) float64, [x, y], pixels, from 0.

    Raises:
        ValueError: the kind is unknown.
    """
    if kind == "spiral":
        k = np.arange(patterns)
        radius, turn = step * np.sqrt(k / np.pi), k * np.pi * (3 - math.sqrt(5))
        points = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1)
    elif kind in ("raster", "jittered"):
        columns = math.ceil(math.sqrt(patterns))
        y, x = np.divmod(np.arange(patterns), columns)
        points = np.stack([x, y], axis=-1) * step
        if kind == "jittered":
            points += rng.uniform(-step / 4, step / 4, points.shape)
    else:
        raise ValueError(f"scan: expected one of {get_args(ScanKind)}, found {kind!r}")
    return np.asarray(points - points.min(axis=0))


# ------------------------------------------------------------------------------------------------ files


def _existing(source: str | Path, what: str, built_in: tuple[str, ...]) -> Path:
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"{what} {source}: expected one of {', '.join(built_in)}, or a file; found neither")
    return path


def _array(path: Path, key: str) -> np.ndarray:
    """Read an array of numbers that complex64 can hold from an .npy, or by its key from an .npz."""
    if zipfile.is_zipfile(path):
        array = Required(path, members_of(path))(key, "complex or real").load(np.complex64)
    else:
        try:
            array = np.load(path, allow_pickle=False)
        except DAMAGE as damage:
            raise ValueError(f"{path}: expected an array ({one_line(damage)}); the file is damaged") from damage
        if array.dtype.kind not in "cfiu":
            raise ValueError(f"{path}: expected numbers, found {array.dtype}")
        look_at(array, FiniteNumbers(path, np.complex64))
    return array
