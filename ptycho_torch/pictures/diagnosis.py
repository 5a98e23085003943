"""Draw a diagnosis as one picture: the checked images and positions, with the findings below."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from ptycho_torch.checks.diagnostics import Diagnosis, Evidence, covered_box, expected_count
from ptycho_torch.checks.image_quality import RESOLVED
from ptycho_torch.pictures.result import show
from ptycho_torch.pictures.style import colormap, default_style
from ptycho_torch.scans.atomic_file import write_atomically

COLOURS = {"right": "tab:green", "wrong": "tab:red", "unclear": "tab:orange", "unknown": "0.5", "measured": "tab:blue"}
"""A finding's verdict -> its colour."""
_CHARACTERS = 168
"""Number of characters in a line of findings."""


@default_style()
def draw_diagnosis(evidence: Evidence, diagnosis: Diagnosis, path: str | Path) -> None:
    """Draw evidence and findings into a PNG.

    Args:
        evidence: evidence of the diagnosis.
        diagnosis: findings to show.
        path: path of the picture, ending in ``.png``.

    Raises:
        ValueError: the path has another suffix.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"picture {path}: expected a name that ends in .png")
    lines = _lines(diagnosis)
    text = 0.19 * (len(lines) + 1) + 0.3
    known = diagnosis.aligned is not None
    pictures = 10.8 if known else 7.2
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, pictures + text))
    grid = figure.add_gridspec(
        *((3 if known else 2), 4),
        left=0.035,
        right=0.965,
        bottom=(text + 0.35) / (pictures + text),
        top=1 - 0.4 / (pictures + text),
        wspace=0.32,
        hspace=0.3,
    )
    cells = [figure.add_subplot(grid[row, column]) for row in range(grid.nrows) for column in range(4)]
    _draw_mosaic(cells[:4], evidence, diagnosis)
    _draw_geometry(cells[4:8], evidence, diagnosis)
    if known:
        _draw_comparison(cells[8:], evidence, diagnosis)
    for number, (colour, line) in enumerate(lines):
        height = (text - 0.19 * (number + 1)) / (pictures + text)
        figure.text(0.02, height, line, color=colour, family="monospace", fontsize=9, va="bottom", parse_math=False)
    with write_atomically(path) as file:
        figure.savefig(file, format="png", dpi=90)


def _lines(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Return colour and text of each line of findings."""
    found: list[tuple[str, str]] = []
    *findings, verdict = diagnosis.to_text().splitlines()
    for finding, line in zip(diagnosis.findings, findings):
        pieces = textwrap.wrap(line, _CHARACTERS, subsequent_indent=" " * 22, drop_whitespace=False)
        found += [(COLOURS[finding.verdict], piece) for piece in pieces]
    colour = COLOURS["wrong"] if verdict.startswith("verdict: wrong") else "black"
    return [*found, (colour, verdict)]


def _draw_mosaic(axes: list[Any], evidence: Evidence, diagnosis: Diagnosis) -> None:
    """Draw amplitude and phase, and the probe as given and as used."""
    mask = evidence.mask
    amplitude, phase = (np.where(mask, part, np.nan) for part in (np.abs(evidence.mosaic), np.angle(evidence.mosaic)))
    show(axes[0], amplitude, "mosaic, amplitude", cmap="gray")
    show(axes[1], phase, "mosaic, phase / rad", cmap="twilight", vmin=-np.pi, vmax=np.pi)
    used = diagnosis["probe"].numbers["used"]
    show(axes[2], np.abs(evidence.raw_probe), "probe in the file, modulus", cmap="viridis", vmin=0)
    show(axes[3], np.abs(evidence.probe), f"probe used: mean|mask P| {used.masked_mean:.4g}", cmap="viridis", vmin=0)
    N = len(evidence.probe)
    angle = np.linspace(0, 2 * np.pi, 200)
    for axis in axes[2:]:
        axis.plot((N - 1) / 2 + N // 4 * np.cos(angle), (N - 1) / 2 + N // 4 * np.sin(angle), "w:", linewidth=1)


def _draw_geometry(axes: list[Any], evidence: Evidence, diagnosis: Diagnosis) -> None:
    """Draw positions and offsets, the covered pixels, and the pixels that should be covered."""
    _draw_handed(axes[0], evidence)
    side = len(evidence.count)
    count = np.where(evidence.mask, evidence.count, np.nan)
    width, height = covered_box(evidence.mask)
    show(axes[1], count, f"overlaps: {width} x {height} covered of {side} x {side}", cmap="magma")
    expected = expected_count(evidence.positions, evidence.crop, side)
    show(axes[2], np.where(expected > 0, expected, np.nan), "expected overlaps", cmap="magma")
    span = np.ptp(evidence.positions, axis=0) + evidence.crop
    middle = (evidence.positions.max(axis=0) + evidence.positions.min(axis=0)) / 2 - evidence.positions.mean(axis=0)
    for axis in axes[1:3]:
        x, y = middle + side / 2 - span / 2
        box = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * span
        axis.plot(x + box[:, 0], y + box[:, 1], "--", color="tab:cyan", linewidth=1)
        axis.set(xlim=(-1, side), ylim=(side, -1))
    _draw_scores(axes[3], diagnosis)


def _draw_handed(axis: Any, evidence: Evidence) -> None:
    """Draw positions and offsets, both relative to their mean."""
    positions = evidence.positions - evidence.positions.mean(axis=0)
    offsets = evidence.offsets - evidence.offsets.mean(axis=0)
    axis.scatter(*positions.T, s=6, color="0.7", label="positions of the scan")
    # Each offset has the colour of its position, so a wrong sign or axis shows as turned colours.
    colours = np.arctan2(positions[:, 1], positions[:, 0])
    axis.scatter(*offsets.T, s=4, c=colours, cmap=colormap("hsv", bad="0.85"), label="offsets passed to the stitcher")
    one = int(np.argmax(np.hypot(*positions.T)))
    axis.plot(*positions[one], "x", color="black", label="one of them: its position …")
    axis.plot(*offsets[one], "o", markerfacecolor="none", color="black", label="… and its offset")
    axis.set_title("positions and offsets about their mean / px", fontsize=10)
    axis.set_aspect("equal")
    axis.invert_yaxis()
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncol=2, frameon=False)


def _draw_scores(axis: Any, diagnosis: Diagnosis) -> None:
    """Draw how well overlaps, patches and mosaic fit in every orientation."""
    shown = {"placement": "overlaps", "patches": "single patches", "orientation": "mosaic"}
    scores = {label: diagnosis[name].numbers.get("scores", {}) for name, label in shown.items()}
    scores = {label: found for label, found in scores.items() if found}
    names = list(next(iter(scores.values())))
    rows = np.arange(len(names))
    thickness = 0.8 / len(scores)
    for number, (label, found) in enumerate(scores.items()):
        values = [found[name] for name in names]
        axis.barh(rows + (number - (len(scores) - 1) / 2) * thickness, values, thickness, label=label)
    axis.set_yticks(rows, [name.replace(", ", ",\n") for name in names], fontsize=7)
    # Make it narrower, so that the names do not cover the neighbour's colour bar.
    left, bottom, width, height = axis.get_position().bounds
    axis.set_position((left + 0.25 * width, bottom, 0.75 * width, height))
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_title("fit in each orientation (correlation)", fontsize=10)
    axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.4, -0.06), ncol=3, frameon=False)


def _draw_comparison(axes: list[Any], evidence: Evidence, diagnosis: Diagnosis) -> None:
    """Draw the known object, the phase error, and the correlation at each frequency."""
    quality, known = diagnosis.quality, diagnosis.aligned
    assert quality is not None
    assert known is not None
    mask = evidence.mask & (np.abs(known) > 0)
    amplitude, phase = (np.where(mask, part, np.nan) for part in (np.abs(known), np.angle(known)))
    show(axes[0], amplitude, "object at the mosaic's place, amplitude", cmap="gray")
    show(axes[1], phase, "object at the mosaic's place, phase / rad", cmap="twilight", vmin=-np.pi, vmax=np.pi)
    error = np.angle(evidence.mosaic * quality.scale * known.conj())
    title = f"phase error / rad: {quality.phase_error:.3f} rms"
    show(axes[2], np.where(mask, error, np.nan), title, cmap="twilight", vmin=-np.pi, vmax=np.pi)
    axes[3].plot(quality.frequencies, quality.ring_correlation)
    axes[3].axhline(RESOLVED, color="0.6", linestyle=":")
    axes[3].set(xlim=(0, 0.5), ylim=(0, 1.02), xlabel="cycles per pixel")
    axes[3].tick_params(labelsize=8)
    resolved = f"half period {quality.resolution:.2f} px" if np.isfinite(quality.resolution) else "not resolved"
    axes[3].set_title(f"Fourier ring correlation: {resolved}", fontsize=10)
