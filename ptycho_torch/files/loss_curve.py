"""The losses of a training, by epoch and step, with conversion to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """The losses of one pass over the training samples.

    Attributes:
        epoch: number of the epoch, from 1.
        loss: mean over the training samples, each computed with the weights of its step; Keras prints this value.
        val_loss: mean over the validation samples, after the epoch.
        learning_rate: learning rate during the epoch.
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
        least_loss: loss of a perfect prediction of the training samples. Even then, the Poisson term of real counts is
            far from 0, so compare losses by their distance from this value.
        least_val_loss: the same for the validation samples.
        epochs: epochs in order.
        stopped_early: whether training ended because its loss stopped falling.
        test_loss: loss of the test file after training; None without a test file.
    """

    least_loss: float
    least_val_loss: float
    epochs: tuple[Epoch, ...] = ()
    stopped_early: bool = False
    test_loss: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the curve as a dictionary for ``json.dump``; ``from_json`` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> LossCurve:
        """Restore a curve that ``to_json`` returned.

        Raises:
            ValueError: an entry is missing or of another type.
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
        except (KeyError, OverflowError, TypeError, ValueError) as misfit:
            raise ValueError(f"losses: expected what LossCurve.to_json returns, found {misfit!r}") from misfit
