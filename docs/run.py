"""Make the pictures and the table of docs/run.md.

python -m docs.run weights weights.h5                     # for --initial_weights of ptycho_torch.train
python -m docs.run tensorflow tensorflow.npz              # needs TensorFlow; uses what make long has computed
python -m docs.run draw trained result tensorflow.npz     # from the output directories of the port's two programs
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click
import numpy as np

from golden.ptychopinn.run import long as long_run
from golden.ptychopinn.run import mosaics
from golden.ptychopinn.simulation.embedded import embedded

DOCS = Path(__file__).resolve().parent
(CASE,) = long_run.CASES
PORT, TENSORFLOW = "port", "TensorFlow"
COLOURS = {PORT: "tab:blue", TENSORFLOW: "tab:orange"}


@click.group()
def main() -> None:
    """Compare the long runs of both frameworks."""


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
def weights(out: Path) -> None:
    """Write the initial weights of both frameworks to OUT."""
    from tests.torch.runs import write_weights

    write_weights(out, CASE.complete_inputs(CASE.draw_inputs(0))["weights"], CASE.parameters)


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
def tensorflow(out: Path) -> None:
    """Write TensorFlow's mosaic and losses to OUT."""
    from golden.ptychopinn.tensorflow import evaluate

    inputs = CASE.complete_inputs(CASE.draw_inputs(0))
    found = evaluate(CASE.operation.name, "float32", inputs, CASE.parameters)
    np.savez_compressed(out, mosaic=found["mosaic"][..., 0], losses=found["epoch_losses"], steps=found["step_losses"])


@main.command()
@click.argument("trained", type=click.Path(exists=True, path_type=Path))
@click.argument("result", type=click.Path(exists=True, path_type=Path))
@click.argument("theirs", type=click.Path(exists=True, path_type=Path))
def draw(trained: Path, result: Path, theirs: Path) -> None:
    """Draw the pictures from TRAINED, RESULT and THEIRS; print the table."""
    curve = json.loads((trained / "losses.json").read_text())
    with (
        np.load(result / "reconstruction.npz", allow_pickle=False) as ours,
        np.load(theirs, allow_pickle=False) as other,
    ):
        found = {PORT: ours["mosaic"], TENSORFLOW: other["mosaic"]}
        mask = ours["count"] > mosaics.COVERED
        losses = {PORT: epochs_of(curve), TENSORFLOW: other["losses"]}
        steps = {PORT: steps_of(curve), TENSORFLOW: other["steps"]}
    inputs = CASE.complete_inputs(CASE.draw_inputs(0))
    centre = inputs["positions"][inputs["inferred"]].mean(axis=0)
    known, inside = mosaics.window(embedded("object"), centre, len(mask))
    mask &= inside
    least = np.array([curve["least_loss"], curve["least_val_loss"]])
    draw_mosaics(known, found, mask)
    draw_losses(losses, steps, least)
    shutil.copyfile(result / "diagnostics.png", DOCS / "run-diagnostics.png")
    click.echo(table(known, found, mask, losses, least, centre))


def epochs_of(curve: dict[str, Any]) -> np.ndarray:
    """Return training and validation losses, (2, epochs)."""
    return np.array([[epoch[name] for epoch in curve["epochs"]] for name in ("loss", "val_loss")])


def steps_of(curve: dict[str, Any]) -> np.ndarray:
    return np.array([loss for epoch in curve["epochs"] for loss in epoch["batch_losses"]])


def like(mosaic: np.ndarray, other: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the mosaic times the complex factor that fits it best to another."""
    a, b = mosaic[mask], other[mask]
    return np.asarray(mosaic * (np.vdot(a, b) / np.vdot(a, a)))


def amplitude_of(image: np.ndarray) -> np.ndarray:
    return np.abs(image).astype(np.complex64)


def draw_mosaics(known: np.ndarray, found: dict[str, np.ndarray], mask: np.ndarray) -> None:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    shown = {"object": known} | {f"{name}, mosaic": like(mosaic, known, mask) for name, mosaic in found.items()}
    ours, theirs = found[PORT], found[TENSORFLOW]  # without a factor, which would hide a difference in amplitude
    apart = ours * theirs.conj() / np.exp(1j * np.angle(np.vdot(theirs[mask], ours[mask])))
    rows, columns = np.nonzero(mask)
    frame = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    figure = Figure(figsize=(12.6, 5.2), layout="constrained")
    axes = figure.subplots(2, 4)
    brightest, turned = (float(np.quantile(np.abs(part(known[mask])), 0.999)) for part in (np.abs, np.angle))
    for part, how, row in (
        (np.abs, {"cmap": "gray", "vmin": 0, "vmax": brightest}, axes[0]),
        (np.angle, {"cmap": "PuOr_r", "vmin": -turned, "vmax": turned}, axes[1]),
    ):
        kind = "amplitude" if part is np.abs else "phase / rad"
        difference = np.abs(ours) - np.abs(theirs) if part is np.abs else np.angle(apart)
        images = {title: (part(image), dict(how)) for title, image in shown.items()}
        largest = float(np.quantile(np.abs(difference[mask]), 0.999))
        images[f"{PORT} - {TENSORFLOW}"] = (difference, {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest})
        for axis, (title, (image, colours)) in zip(row, images.items()):
            colours["cmap"] = colormaps[str(colours["cmap"])].with_extremes(bad="0.85")
            drawn = axis.imshow(np.where(mask, image, np.nan)[frame], interpolation="nearest", **colours)
            axis.set_title(f"{title}: {kind}", fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
            figure.colorbar(drawn, ax=axis, fraction=0.04, pad=0.02).ax.tick_params(labelsize=7)
    figure.savefig(DOCS / "run.png", dpi=100)


def draw_losses(losses: dict[str, np.ndarray], steps: dict[str, np.ndarray], least: np.ndarray) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    epochs, begin = figure.subplots(1, 2, width_ratios=(3, 2))
    for name, both in losses.items():
        for curve, lowest, what, style in zip(both, least, ("training", "validation"), ("-", "--")):
            numbers = np.arange(1, len(curve) + 1)
            epochs.plot(numbers, curve - lowest, style, marker=".", color=COLOURS[name], label=f"{name}, {what}")
    epochs.set_yscale("log")
    epochs.set_yticks([1e4, 2e4, 5e4], ["10 000", "20 000", "50 000"])
    epochs.minorticks_off()
    epochs.set_xticks(range(0, losses[PORT].shape[1] + 1, 5))
    epochs.set_xlabel("epoch")
    epochs.set_ylabel("loss above the least possible")
    epochs.grid(which="both", color="0.92")
    epochs.legend(frameon=False, fontsize=8)
    apart = np.abs(steps[PORT] - steps[TENSORFLOW]) / np.abs(steps[TENSORFLOW])
    begin.plot(np.arange(1, len(apart) + 1), np.maximum(apart, 1e-9), ".", markersize=3, color="0.3")
    begin.set_xscale("log")
    begin.set_yscale("log")
    begin.set_xlabel("step")
    begin.set_ylabel(f"|{PORT} - {TENSORFLOW}| / loss of a batch")
    begin.grid(which="both", color="0.92")
    figure.savefig(DOCS / "run-losses.png", dpi=100)


def table(
    known: np.ndarray,
    found: dict[str, np.ndarray],
    mask: np.ndarray,
    losses: dict[str, np.ndarray],
    least: np.ndarray,
    centre: np.ndarray,
) -> str:
    """Return a table in Markdown, with a column for each framework."""
    from ptycho_torch.checks.image_quality import assess
    from ptycho_torch.checks.registration import correlation, register

    expected = centre - len(mask) / 2
    columns = {}
    for name, mosaic in found.items():
        quality = assess(mosaic, known, mask)
        place = register(amplitude_of(embedded("object")), amplitude_of(mosaic), mask, expected)
        *_, second, best = sorted(place.scores.values())
        columns[name] = {
            "last training loss above the least possible": f"{losses[name][0, -1] - least[0]:.0f}",
            "last validation loss above the least possible": f"{losses[name][1, -1] - least[1]:.0f}",
            "canvas, covered": f"{len(mosaic)}, " + " x ".join(map(str, mosaics.covered_box(mask.astype(float)))),
            "orientation, by the amplitude": f"{place.orientation}, {best:.3f} (next best {second:.3f})",
            "shift": "x {:+.2f}, y {:+.2f} px".format(*place.shift),
            "error of the amplitude, rms": f"{quality.amplitude_error:.1%}",
            "error of the phase, rms": f"{quality.phase_error:.3f} rad",
            "complex correlation, in place": f"{correlation(known, mosaic, mask):.3f}",
            "resolution, half period": f"{quality.resolution:.2f} px",
            "mean phase": f"{np.angle(mosaic[mask].sum()):+.2f} rad",
        }
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    lines += [f"| {row} | {' | '.join(column[row] for column in columns.values())} |" for row in columns[PORT]]
    return "\n".join(lines)


if __name__ == "__main__":
    from ptycho_torch.pictures.style import default_style

    with default_style():
        main()
