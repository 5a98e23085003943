"""The embedded data set, a fixed scan that all tests, references and runs share.

It has 1087 diffraction patterns of 64 x 64 pixels. One photograph is the object's amplitude, another its phase. A
curved, astigmatic beam scans it along a jittered Fermat spiral, which fills a rectangle that is wider than tall.
Neighbours overlap by more than 70 %. Counts are Poisson-distributed, with 300,000 photons per pattern.

The drawn data are stored in ``golden/ptychopinn/data``, so that no later release of a library can change them, and they
do not depend on code under test. ``draw`` is the recipe; it needs only NumPy and the photographs of scikit-image. A
test repeats it if scikit-image is installed.

    golden scan OUT.npz                                      writes the scan in PtychoPINN's format
    python -m golden.ptychopinn.simulation.embedded --draw   draws it again into the package
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from golden.ptychopinn.photograph import photograph
from golden.ptychopinn.physics.formulas import amplitude_of
from golden.ptychopinn.simulation.formulas import cut
from golden.spec.arrays import digest_array
from golden.spec.errors import GoldenError

N = 64
PATTERNS = 1087
PHOTONS = 300_000
"""Photons per pattern, on average."""
HEIGHT, WIDTH = 216, 256
"""Size of the object, pixels."""
BLOCK = 100
"""Number of patterns per stored block. The scan begins at its centre, so a small scan reads only the first blocks."""

FILE = Path(__file__).resolve().parents[1] / "data" / "embedded_scan.npz"
DIGESTS = {
    "counts_00": "0e223fd663f4b3720d4360b011fe1d711c047277d6ff83c715019349633cc295",
    "counts_01": "6e739f64862658156aacd897ad6a0ea26cffc785da68b7d4066aa48b52475265",
    "counts_02": "d805c8dee25e26dec72661902caa651bea6f8a8d2ff3635fb2c7cc1e94cea13e",
    "counts_03": "0c2f24e85f8c80f5d9efddce2af6c2d6fcf3d9ef4008dcc9487f05b5643fd300",
    "counts_04": "25a1099eadf73bc17cc56a03ce3e0f5314173193bd0e3cdc4e7c21a5dcaf17c5",
    "counts_05": "814a80161ad12bdc9021de125e73948ec23a364d242487e256e43b3c11dcc24e",
    "counts_06": "d4cbce28bf64bdaef1a18595f11b0ebe9d3c702d57aaa1615c7ee2d418b0fd0d",
    "counts_07": "cae8802920ac836115019a8cd09bf09b4d98015753a486235969902b3b5154a2",
    "counts_08": "b21bf98694b6a495455c07061d188cec60fd231c68a6d95a6d2a2da74d03d436",
    "counts_09": "8d914238c0a178134eca63bd5f2aa234b166c4025cac5cc2f20d0a46eadc05c9",
    "counts_10": "b52ff2ebaef1d4cba74d1aad42c8d6732c90e4bdc71fc8c008ed2d03f0cde315",
    "object": "4a96fa47b863c07adb280a88c4c590703893ea77e4eb6ffdecc158d2c2d05a4b",
    "positions": "0b19e08fad3e452b047801b536ddd5396001524f8c3bee4c3ad07b69eb60afa3",
    "probe": "5d62a16752eb63d3383d494509d825bc88998c556ad4a635b303d2c3b41fc829",
}


def embedded(name: str) -> np.ndarray:
    """Return one of the data set's arrays, read-only. ``embedded_counts`` returns the counts.

    Args:
        name: ``positions`` (1087, 2) float64, [x, y] of a patch's index 32 in the object, multiples of 1/8 pixel;
            ``probe`` (64, 64) complex64, whose square is photons: the field behind the object is ``patch * probe``;
            ``object`` (216, 256) complex64, amplitude at most 1, multiples of 1/256.

    Raises:
        GoldenError: the file is not the one that was drawn.
    """
    return _array(FILE, name)


@cache
def _array(file: Path, name: str) -> np.ndarray:
    try:
        with np.load(file, allow_pickle=False) as archive:
            array: np.ndarray = archive[name]
    except (OSError, ValueError, KeyError) as damage:
        raise GoldenError(f"{file}: cannot be read ({damage}); restore it from version control") from damage
    if digest_array(array) != DIGESTS[name]:
        raise GoldenError(f"{file}: {name!r} does not match its digest; restore it from version control")
    array.flags.writeable = False
    return array


def embedded_counts(patterns: np.ndarray | None = None) -> np.ndarray:
    """Read the photon counts, zero frequency at [32, 32]. All together take 1.3 MB in the file and 9 MB in memory.

    Args:
        patterns: (n,) integer, indices of the patterns; all 1087 by default.

    Returns:
        (n, 64, 64) uint16.

    Raises:
        GoldenError: as for ``embedded``.
    """
    wanted = np.arange(PATTERNS) if patterns is None else patterns
    blocks, inside = np.divmod(wanted, BLOCK)
    counts = np.empty((len(wanted), N, N), np.uint16)
    for block in sorted(set(blocks.tolist())):  # np.unique would import numpy.ma
        here = blocks == block
        counts[here] = embedded(block_name(block))[inside[here]]
    return counts


def block_name(block: int) -> str:
    """Return the name under which the counts of a block, (up to 100, 64, 64) uint16, are stored."""
    return f"counts_{block:02}"


def as_ptychopinn() -> dict[str, np.ndarray]:
    """Return the data set by PtychoPINN's keys; ``diff3d`` is amplitude, the square root of the counts."""
    x, y = embedded("positions").T
    return {
        "diff3d": np.sqrt(embedded_counts(), dtype=np.float32),
        "probeGuess": embedded("probe"),
        "objectGuess": embedded("object"),
        "xcoords": x,
        "ycoords": y,
        "xcoords_start": x,
        "ycoords_start": y,
        "scan_index": np.zeros(len(x), np.int64),
    }


# ------------------------------------------------------------------------------------------------ the recipe


def draw() -> dict[str, np.ndarray]:
    """Draw the data set again; this needs scikit-image for the photographs.

    Object, probe and positions are rounded before use, so the rates, and thus the counts, follow from the stored
    arrays. The legacy ``RandomState`` gives the same numbers in every release of NumPy, but NumPy 1 transforms single
    precision as double, so its rates differ, and thus its counts.
    """
    random = np.random.RandomState(PATTERNS)
    target, positions, probe = _object(), _positions(random), _probe()
    lit = np.concatenate([_rates(target, probe, part).sum(axis=(1, 2)) for part in _parts(positions)])
    probe = (probe * np.sqrt(PHOTONS / lit.mean())).astype(np.complex64)
    counts = np.concatenate([random.poisson(_rates(target, probe, part)) for part in _parts(positions)])
    blocks = np.split(counts.astype(np.uint16), range(BLOCK, PATTERNS, BLOCK))
    named = {block_name(number): block for number, block in enumerate(blocks)}
    return {**named, "object": target, "positions": positions, "probe": probe}


def _rates(target: np.ndarray, probe: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the expected counts at these positions, (n, 64, 64) float64."""
    return np.asarray(amplitude_of(cut(target, positions, N) * probe) ** 2)


def _parts(positions: np.ndarray) -> list[np.ndarray]:
    return np.array_split(positions, 40)


def _object() -> np.ndarray:
    """Take amplitude, 0.25 to 1, from every second pixel of one photograph, and phase, -1 to 1.5, from another."""
    modulus = 0.25 + 0.75 * photograph("camera")[60 : 60 + 2 * HEIGHT : 2, : 2 * WIDTH : 2]
    phase = 2.5 * photograph("coffee")[60 : 60 + HEIGHT, 180 : 180 + WIDTH] - 1
    target: np.ndarray = (np.round(modulus * np.exp(1j * phase) * 256) / 256).astype(np.complex64)
    return target


def _probe() -> np.ndarray:
    """Defocus an elliptical pupil with a soft edge, astigmatism and coma; the probe is about 20 pixels wide."""
    rows, columns = np.mgrid[:N, :N] - N // 2
    x, y = columns / 10.5, rows / 9.5
    radius = np.hypot(x, y)
    pupil = 1 / (1 + np.exp(20 * (radius - 1)))
    waves = 0.85 * radius**2 + 0.12 * (x**2 - y**2) + 0.1 * x * y + 0.09 * (3 * radius**2 - 2) * x
    focus = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(pupil * np.exp(2j * np.pi * waves))))
    probe: np.ndarray = (np.round(focus / np.abs(focus).max() * 4096) / 4096).astype(np.complex64)
    return probe


def _positions(random: np.random.RandomState) -> np.ndarray:
    """Return a Fermat spiral around the object's centre, cut to a rectangle, jittered by up to half a pixel."""
    k = np.arange(3 * PATTERNS)
    radius, turn = 2.8 * np.sqrt(k), k * np.pi * (3 - np.sqrt(5))
    x, y = radius * np.cos(turn), radius * np.sin(turn)
    inside = np.flatnonzero((np.abs(x) < 93) & (np.abs(y) < 73))[:PATTERNS]
    spiral = np.stack([x[inside] + WIDTH / 2, y[inside] + HEIGHT / 2], axis=-1)
    return np.asarray(np.round((spiral + random.uniform(-0.5, 0.5, spiral.shape)) * 8) / 8)


# ------------------------------------------------------------------------------------------------ on disk


def _write(arrays: Mapping[str, np.ndarray]) -> None:
    """Write like ``numpy.savez_compressed``, but with bzip2: a quarter less for counts that are mostly 0 and 1."""
    with zipfile.ZipFile(FILE, "w", zipfile.ZIP_BZIP2) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def main() -> None:
    """Draw the data set again into the package, and print its digests."""
    drawn = draw()
    _write(drawn)
    for name, array in drawn.items():
        print(f'    "{name}": "{digest_array(array)}",')


if __name__ == "__main__":
    if sys.argv[1:] != ["--draw"]:
        raise SystemExit("usage: golden scan OUT.npz writes the scan; --draw draws it again into the package")
    main()
