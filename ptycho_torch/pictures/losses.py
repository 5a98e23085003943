"""Draw the losses of a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ptycho_torch.files.loss_curve import LossCurve
from ptycho_torch.pictures.style import default_style
from ptycho_torch.scans.atomic_file import write_atomically


@default_style()
def draw_losses(curve: LossCurve, path: str | Path) -> None:
    """Draw the losses into a PNG, each minus the loss of a perfect prediction.

    The Poisson loss of real counts is far from 0, and its leading digits barely change. A training decreases the
    distance from the smallest possible value, which is half the mean deviance.

    Args:
        curve: losses of at least one epoch.
        path: path of the picture, ending in ``.png``.

    Raises:
        ValueError: there is no epoch, or the path has another suffix.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"picture {path}: expected a name that ends in .png")
    if not curve.epochs:
        raise ValueError("losses: expected at least one epoch, found none")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 5.2))
    # Set the margins by hand, because Matplotlib's automatic layout takes longer than the drawing.
    margins = {"left": 0.12, "right": 0.97, "bottom": 0.1, "top": 0.93, "hspace": 0.08}
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1), gridspec_kw=margins)
    epochs = np.array([one.epoch for one in curve.epochs])
    training = np.array([one.loss for one in curve.epochs]) - curve.least_loss
    validation = np.array([one.val_loss for one in curve.epochs]) - curve.least_val_loss
    losses.plot(epochs, training, "o-", color="tab:blue", markersize=4, label="training, mean of the epoch")
    losses.plot(epochs, validation, "s-", color="tab:orange", markersize=4, label="validation, after the epoch")
    if min(training.min(), validation.min()) > 0:
        losses.set_yscale("log")
    losses.set_ylabel("loss above the least possible")
    losses.grid(which="both", color="0.92")
    losses.legend(frameon=False)
    ended = ", stopped early" if curve.stopped_early else ""
    losses.set_title(f"{len(epochs)} epochs{ended}: training {training[-1]:.4g}, validation {validation[-1]:.4g}")
    used = [one.learning_rate for one in curve.epochs]
    rates.step([0, *epochs], [used[0], *used], where="pre", color="tab:green")
    rates.set_yscale("log")
    rates.set_ylabel("learning rate")
    rates.set_xlabel("epoch")
    rates.set_xlim(0, epochs[-1] + 0.5)
    rates.xaxis.set_major_locator(MaxNLocator(integer=True))
    rates.grid(which="both", color="0.92")
    with write_atomically(path) as file:
        figure.savefig(file, format="png", dpi=110)
