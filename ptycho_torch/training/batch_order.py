"""Form the batches of each epoch, and distribute their samples over devices.

The order of an epoch depends only on the seed and the epoch's number. So a resumed training sees the same batches, and
another framework can use them too. See docs/conventions.md, "Training".
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
"""Number of an epoch, from 1 -> indices of all samples, in training order."""


def seeded_order(n: int, seed: int) -> Order:
    """Return a new order for every epoch: ``numpy.random.RandomState([seed, epoch]).permutation(n)``.

    NumPy guarantees that this legacy generator draws the same numbers in all releases.

    Args:
        n: number of samples.
        seed: 0..2**32 - 1.
    """
    return lambda epoch: np.random.RandomState([seed, epoch]).permutation(n)


def listed_order(orders: Int[np.ndarray, "epochs n"]) -> Order:
    """Return the order that has a row for each epoch; it raises IndexError for an epoch without one."""
    return lambda epoch: np.asarray(orders[epoch - 1], np.int64)


def read_orders(path: str | Path, n: int, epochs: int) -> Int64[np.ndarray, "epochs n"]:
    """Read orders for ``listed_order`` from a ``.npy`` file.

    Args:
        path: path of an array of integers, (at least ``epochs``, n); each row is a permutation of 0..n - 1.
        n: number of samples.
        epochs: number of rows to read.

    Returns:
        (epochs, n) int64.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read.
        ValueError: the file holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"batch order {path}: no such file")
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)  # so that memory is limited by the size of the file
    except OSError:
        raise  # an error of the operating system is not damage
    except Exception as unreadable:  # NumPy evaluates the header, which may raise many exceptions
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
    """One device's share of a batch: every ``ranks``-th sample.

    Attributes:
        rank: number of the device, from 0.
        ranks: number of devices.
    """

    rank: int = 0
    ranks: int = 1

    def of(self, batch: list[int]) -> list[int]:
        """Return the device's samples of a batch. A device without samples gets one, which does not count."""
        return batch[self.rank :: self.ranks] or batch[:1]

    def counted(self, size: int) -> int:
        """Return the number of samples in a batch of this size that count for the device."""
        return len(range(self.rank, size, self.ranks))

    def weight(self, size: int) -> float:
        """Return the factor for the mean over the device's samples of a batch of this size.

        With this factor, the mean over devices, which they exchange, equals the mean over the samples of the batch.
        """
        return self.counted(size) * self.ranks / size


class EpochBatches(Sampler[list[int]]):
    """Yield the batches of an epoch as lists of sample indices; the last may be smaller.

    Args:
        order: order of the samples, for every epoch.
        n: number of samples.
        batch_size: samples in a batch, over all devices.
        share: this device's share of each batch; None if there is one device.
    """

    def __init__(self, order: Order, n: int, batch_size: int, share: Share | None = None) -> None:
        self.order = order
        self.n = n
        self.batch_size = batch_size
        self.share = share or Share()
        self.epoch = 1

    def set_epoch(self, finished: int) -> None:
        """Set the epoch to the one after ``finished`` epochs. Lightning calls this; it counts from 0."""
        self.epoch = finished + 1

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order(self.epoch).tolist()
        for first in range(0, self.n, self.batch_size):
            yield self.share.of(order[first : first + self.batch_size])

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def size(self, batch: int) -> int:
        """Return the number of samples in a batch, over all devices."""
        return min(self.batch_size, self.n - batch * self.batch_size)
