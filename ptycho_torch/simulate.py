"""Simulate the patterns of a known object under a known probe.

    python -m ptycho_torch.simulate OUT.npz --preview OUT.png

The forward model is TensorFlow PtychoPINN's; see docs/conventions.md, "Simulation".
"""

from __future__ import annotations

from ptycho_torch.interrupts import guard_loading, run

if __name__ == "__main__":
    guard_loading()  # the imports below take seconds

import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import click
import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ptycho_torch.operators.ground_truth import patches_at
from ptycho_torch.operators.physics import diffraction_amplitude, illuminate, scale_nphotons
from ptycho_torch.operators.torch_defaults import torch_defaults
from ptycho_torch.program import CONTEXT, DRAWING, checking_input, ending, load, stamp
from ptycho_torch.scans.scan import Scan, save_scan
from ptycho_torch.scans.specimen import (
    OBJECTS,
    PROBES,
    ScanKind,
    make_object,
    make_positions,
    make_probe,
    probe_diameter,
)

_AT_A_TIME = 64
"""Number of patterns that are computed together."""

Track = Callable[[range], Iterable[int]]


# ------------------------------------------------------------------------------------------------ forward model


def diffraction_patterns(
    target: Complex[Tensor, "H W"], probe: Complex[Tensor, "N N"], positions: Float[Tensor, "M 2"]
) -> Float[Tensor, "M N N"]:
    """Compute the amplitude on the detector without noise: patches of the object, times the probe, in the far field.

    Args:
        target: (H, W) complex, the object; rows = y, columns = x. It is 0 beyond its edges.
        probe: (N, N) complex; it is not normalised here.
        positions: (M, 2), [x, y] of each patch's index N // 2 in the object, pixels; any fractions.

    Returns:
        (M, N, N) real, zero frequency at [N // 2, N // 2]. The sum of squares equals that of the field.

    Raises:
        ValueError: shapes or values do not fit.
    """
    if probe.ndim != 2 or probe.shape[0] != probe.shape[1] or not probe.is_complex():
        raise ValueError(f"probe: expected complex (N, N), found {probe.dtype} {tuple(probe.shape)}")
    patches = patches_at(target, positions, len(probe))
    return diffraction_amplitude(illuminate(patches[:, None], probe))[:, 0]


# ------------------------------------------------------------------------------------------------ a whole scan


@dataclass(frozen=True)
class Simulation:
    """A simulation holds the settings of a simulated scan.

    Attributes:
        patterns: number of patterns, M.
        N: patch side, pixels.
        scan: arrangement of positions: ``spiral``, ``raster`` or ``jittered`` (``specimen.make_positions``).
        overlap: overlap of neighbours, 1 - step / probe diameter (``specimen.probe_diameter``).
        photons: photons in a pattern, on average.
        noise: draw counts of photons; otherwise amplitudes are exact.
        probe: ``curved``, ``disk`` or the name of a file (``specimen.make_probe``).
        object: ``leaves`` or the name of a file (``specimen.make_object``).
        phase_image: name of a picture for the object's phase, or None.
        seed: seed of all random numbers; with the same NumPy the same seed gives the same scan.

    Raises:
        ValueError: a value is out of its range.
    """

    patterns: int = 1000
    N: int = 64
    scan: ScanKind = "spiral"
    overlap: float = 0.75
    photons: float = 1e6
    noise: bool = True
    probe: str = "curved"
    object: str = "leaves"
    phase_image: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("patterns", 1), ("N", 8), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, found {getattr(self, name)}")
        if not 0 <= self.overlap < 1:
            raise ValueError(
                f"overlap: expected 0 to 1, found {self.overlap}; it is a fraction of the probe's diameter"
            )
        if not 0 < self.photons < 1e15:
            raise ValueError(f"photons: expected a positive number, at most 1e15, found {self.photons}")


@torch_defaults()
def simulate_scan(settings: Simulation, track: Track = lambda starts: starts) -> Scan:
    """Simulate a scan.

    The object is as large as the scan needs. If it is given as an array, the scan is centred on it. The returned probe
    is scaled to the number of photons: apart from noise, ``diffraction`` is the amplitude of object times probe.

    Args:
        settings: settings of the scan.
        track: takes the first pattern of every block and yields them one after the other, for a progress bar.

    Returns:
        The scan, with its object; ``source`` is None.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file does not fit the settings.
    """
    for_object, for_positions, for_noise = np.random.default_rng(settings.seed).spawn(3)
    N = settings.N
    probe = make_probe(settings.probe, N)
    step = (1 - settings.overlap) * probe_diameter(probe)
    positions = make_positions(settings.scan, settings.patterns, step, for_positions)
    width, height = (math.ceil(reach) + N + 1 for reach in positions.max(axis=0))
    target = make_object(settings.object, height, width, for_object, settings.phase_image)
    positions += N // 2 + np.subtract(target.shape[::-1], (width, height)) // 2

    amplitude = np.empty((settings.patterns, N, N), np.float32)
    object_, light, centres = (torch.from_numpy(array) for array in (target, probe, positions))
    for first in track(range(0, settings.patterns, _AT_A_TIME)):
        block = slice(first, first + _AT_A_TIME)
        amplitude[block] = diffraction_patterns(object_, light, centres[block]).numpy()
    scale = np.float32(scale_nphotons(torch.from_numpy(amplitude[:, None]), settings.photons).item())
    if not 0 < scale < math.inf:
        raise ValueError("object: expected it to transmit some light, found none. Is it zero where the probe is?")
    amplitude *= scale
    if settings.noise:
        for first in range(0, settings.patterns, _AT_A_TIME):
            block = slice(first, first + _AT_A_TIME)
            amplitude[block] = np.sqrt(for_noise.poisson(np.square(amplitude[block], dtype=np.float64)))
    return Scan(
        source=None,
        diffraction=amplitude,
        positions=positions,
        start_positions=positions,
        probe=probe * scale,
        scan_index=np.zeros(len(positions), np.int64),
        object_guess=target,
    )


# ------------------------------------------------------------------------------------------------ the program

_FILE = click.Path(path_type=Path, dir_okay=False)


def _describe(settings: Simulation) -> str:
    return json.dumps({"simulated by": "ptycho_torch.simulate", **dataclasses.asdict(settings)})


@click.command(context_settings=CONTEXT)
@click.argument("out", type=_FILE, metavar="OUT.npz")
@click.option("--patterns", type=int, default=Simulation.patterns, help="Number of patterns.")
@click.option("--size", "N", type=int, default=Simulation.N, help="Side of a pattern, pixels.")
@click.option(
    "--scan", type=click.Choice(get_args(ScanKind)), default=Simulation.scan, help="Arrangement of positions."
)
@click.option(
    "--overlap",
    type=float,
    default=Simulation.overlap,
    help="Overlap of neighbours, as a fraction of the probe's diameter.",
)
@click.option("--photons", type=float, default=Simulation.photons, help="Photons per pattern, on average.")
@click.option("--noise/--no-noise", default=Simulation.noise, help="Draw photon counts, or keep exact amplitudes.")
@click.option(
    "--probe",
    default=Simulation.probe,
    metavar="|".join((*PROBES, "FILE")),
    help="Built-in probe, or FILE: .npz or .npy.",
)
@click.option(
    "--object",
    default=Simulation.object,
    metavar="|".join((*OBJECTS, "FILE")),
    help="Built-in object, or FILE: a picture, .npz or .npy.",
)
@click.option("--phase-image", metavar="FILE", help="Picture for the object's phase.  [default: the amplitude's]")
@click.option("--seed", type=int, default=Simulation.seed, help="Seed of all random numbers.")
@click.option("--preview", type=_FILE, metavar="PNG", help="File for a picture of object, scan, probe and patterns.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def main(out: Path, preview: Path | None, overwrite: bool, **options: object) -> None:
    """Simulate a ptychographic scan and write it as PtychoPINN's NPZ, with its object and probe."""
    from rich.console import Console
    from rich.progress import track

    files = {path: stamp(path) for path in (out, preview) if path is not None}
    with checking_input():
        if preview is not None:
            load(*DRAWING)
            from ptycho_torch.pictures.scan import draw_scan
        # Check this before a long simulation, not after it.
        for path, suffix in zip(files, (".npz", ".png")):
            if path.suffix.lower() != suffix or not path.parent.is_dir():
                raise ValueError(f"{path}: expected a name that ends in {suffix}, in a directory that exists")
            if path.exists() and not overwrite:
                raise ValueError(f"{path}: found an existing file; --overwrite replaces it")
    console = Console(stderr=True)

    def kept() -> str:
        written = [str(path) for path, before in files.items() if stamp(path) != before]
        return f"written before: {', '.join(written)}" if written else "nothing was written"

    with ending(kept, lambda line: click.echo(f"Error: {line}", err=True)) as interrupts, checking_input():
        settings = Simulation(**options)  # type: ignore[arg-type]
        scan = simulate_scan(
            settings,
            lambda blocks: track(
                blocks, "simulating", console=console, transient=True, disable=not console.is_terminal
            ),
        )
        interrupts.check()
        save_scan(out, scan, remark=_describe(settings))
        if preview is not None:
            draw_scan(dataclasses.replace(scan, source=out), preview)
    height, width = scan.object_guess.shape if scan.object_guess is not None else (0, 0)
    click.echo(f"{out}: {len(scan)} patterns of {settings.N} x {settings.N}, object {height} x {width}")
    if preview is not None:
        click.echo(f"{preview}: preview")


if __name__ == "__main__":
    run(main)
