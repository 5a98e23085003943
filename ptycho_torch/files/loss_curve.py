"""How the losses of a training went, epoch by epoch and step by step; as JSON, and to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """One pass over the training samples.

    Attributes:
        epoch: its number, from 1.
        loss: mean over the training samples, each as it was seen, while the weights moved; what Keras prints.
        val_loss: mean over the validation samples, after the epoch.
        learning_rate: with which it was trained.
        batch_losses: mean over the samples of each batch, in order.
    """

    epoch: int
    loss: float
    val_loss: float
    learning_rate: float
    batch_losses: tuple[float, ...]


@dataclass(frozen=True)
class LossCurve:
    """The losses of a training.

    Attributes:
        least_loss, least_val_loss: what a perfect prediction of the training and the validation samples would leave.
            The Poisson term is far from 0 there, so a loss means little by itself: how far it lies above this does.
        epochs: in order.
        stopped_early: the training loss got no better any more.
        test_loss: of the test file, at the end; None: there is none.
    """

    least_loss: float
    least_val_loss: float
    epochs: tuple[Epoch, ...] = ()
    stopped_early: bool = False
    test_loss: float | None = None

    def to_json(self) -> dict[str, Any]:
        """What ``from_json`` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> LossCurve:
        """The curve from what ``to_json`` gave.

        Raises:
            ValueError: something is missing, or of another kind.
        """
        try:
            epochs = tuple(
                Epoch(
                    int(one["epoch"]),
                    float(one["loss"]),
                    float(one["val_loss"]),
                    float(one["learning_rate"]),
                    tuple(float(loss) for loss in one["batch_losses"]),
                )
                for one in found["epochs"]
            )
            test_loss = found["test_loss"]
            return cls(
                float(found["least_loss"]),
                float(found["least_val_loss"]),
                epochs,
                bool(found["stopped_early"]),
                None if test_loss is None else float(test_loss),
            )
        except (KeyError, TypeError, ValueError) as misfit:
            raise ValueError(f"losses: expected what LossCurve.to_json gives, found another ({misfit!r})") from misfit
