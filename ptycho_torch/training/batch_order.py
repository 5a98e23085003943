"""Which samples form a batch, epoch by epoch: drawn from a seed, or read from a file; shared among devices.

The order of an epoch depends on nothing but the seed and the epoch's number. So a training that goes on after an
interruption goes on with the same batches, and another framework can be given them. See docs/conventions.md,
"Training".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int64
from torch.utils.data import Sampler

Order = Callable[[int], Int64[np.ndarray, " n"]]
"""Number of an epoch, from 1 -> all samples, in the order in which they are seen."""


def seeded_order(n: int, seed: int) -> Order:
    """Another order in every epoch: ``numpy.random.RandomState([seed, epoch]).permutation(n)``.

    No release of NumPy changes what the legacy generator draws.

    Args:
        n: samples.
        seed: 0..2**32 - 1.
    """
    return lambda epoch: np.random.RandomState([seed, epoch]).permutation(n)


def listed_order(orders: Int[np.ndarray, "epochs n"]) -> Order:
    """A row for each epoch.

    Raises:
        IndexError: from the order, for an epoch that has no row.
    """
    return lambda epoch: np.asarray(orders[epoch - 1], np.int64)


def read_orders(path: str | Path, n: int, epochs: int) -> Int64[np.ndarray, "epochs n"]:
    """Orders from a ``.npy`` file, for ``listed_order``.

    Args:
        path: of an array (at least epochs, n) of integers, every row of which holds 0..n - 1.
        n: samples.
        epochs: that are wanted.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"batch order {path}: no such file")
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as unreadable:
        raise ValueError(f"batch order {path}: expected a .npy file of integers ({unreadable})") from unreadable
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu" or found.ndim != 2:
        raise ValueError(f"batch order {path}: expected integers (epochs, {n}) in a .npy file, found something else")
    if len(found) < epochs or found.shape[1] != n:
        raise ValueError(
            f"batch order {path}: expected a row of {n} training samples for each of {epochs} epochs, "
            f"found {found.shape}"
        )
    orders: np.ndarray = found[:epochs].astype(np.int64)
    wrong = np.flatnonzero((np.sort(orders, axis=1) != np.arange(n)).any(axis=1))
    if len(wrong):
        raise ValueError(f"batch order {path}: row {wrong[0]}: expected each of 0..{n - 1} once")
    return orders


@dataclass(frozen=True)
class Share:
    """What one of several devices takes of a batch: every ``ranks``-th sample.

    Attributes:
        rank: of the device, from 0.
        ranks: devices.
    """

    rank: int = 0
    ranks: int = 1

    def of(self, batch: list[int]) -> list[int]:
        """The device's samples; a batch that is smaller than there are devices gives it one that counts nothing."""
        return batch[self.rank :: self.ranks] or batch[:1]

    def counted(self, size: int) -> int:
        """How many samples of a batch of this size count as the device's own."""
        return len(range(self.rank, size, self.ranks))

    def weight(self, size: int) -> float:
        """What the mean over the device's samples is multiplied with.

        The mean over devices, which is what they exchange, is then the mean over the samples of the batch.
        """
        return self.counted(size) * self.ranks / size


class EpochBatches(Sampler[list[int]]):
    """The batches of an epoch, as lists of numbers; the last may be smaller.

    Args:
        order: what is seen, and in which order.
        n: samples.
        batch_size: on all devices together.
        share: of each batch, this device's.
    """

    def __init__(self, order: Order, n: int, batch_size: int, share: Share | None = None) -> None:
        self.order = order
        self.n = n
        self.batch_size = batch_size
        self.share = share or Share()
        self.epoch = 1

    def set_epoch(self, finished: int) -> None:
        """Turn to the epoch after ``finished`` ones. Lightning calls it, and counts from 0."""
        self.epoch = finished + 1

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order(self.epoch).tolist()
        for first in range(0, self.n, self.batch_size):
            yield self.share.of(order[first : first + self.batch_size])

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def size(self, batch: int) -> int:
        """Samples of a batch, on all devices together."""
        return min(self.batch_size, self.n - batch * self.batch_size)
