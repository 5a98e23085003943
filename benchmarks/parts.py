"""Show the parts of a training step and an inference of the network, and the speed of each convolution.

    make bench-parts  (or: python -m benchmarks.parts --help)

N = 64, twice the filters, a batch of 16, groups of one, one thread. The first table lists the share of each kind of
operation according to Torch's profiler, in float32 and with the network in bfloat16. Below it are milliseconds of
processor time, which depend little on other load. The second table lists each kind of convolution, forward and
backward, in both precisions and layouts, with its products per second. The last line is the time to read the batches of
an epoch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import click
import torch
from torch import nn
from torch.nn.functional import conv2d
from torch.profiler import ProfilerActivity, profile

from benchmarks.network import BATCH, torch_work

KINDS = {
    "convolutions": ("convolution",),
    "optimiser": ("adam",),
    "conversions, copies, zeros": ("copy_", "fill_", "cat", "contiguous"),
    "activations, pooling, doubling": ("threshold", "clamp", "pool", "upsample", "shuffle", "silu", "tanh", "sigmoid"),
    "moving patches": ("gather", "scatter", "lerp", "pad"),
    "Fourier transform": ("fft",),
}
"""Kind -> parts of the names of its operators; all other operators are the rest."""
VARIANTS = {"float32": "ours", "bfloat16": "bfloat16"}
LAYOUTS = {"last": torch.channels_last, "first": torch.contiguous_format}
Shape = tuple[int, ...]


def kind_of(operator: str) -> str:
    return next((kind for kind, parts in KINDS.items() if any(part in operator for part in parts)), "the rest")


def by_kind(work: Callable[[], object], rounds: int) -> dict[str, float]:
    """Return the share of each kind of operation."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(rounds):
            work()
    taken: Counter[str] = Counter()
    for one in found.key_averages():
        taken[kind_of(one.key)] += one.self_cpu_time_total
    return {kind: spent / taken.total() for kind, spent in taken.items()}


def shapes() -> Counter[tuple[Shape, Shape]]:
    """Return the shapes of images and kernels of each convolution, and its number of occurrences."""
    from ptycho_torch.network import layers

    seen: Counter[tuple[Shape, Shape]] = Counter()
    forward = nn.Conv2d.forward

    def noting(images: torch.Tensor, kernels: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
        seen[tuple(images.shape), tuple(kernels.shape)] += 1
        return conv2d(images, kernels, *rest, **options)

    def noting_too(layer: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        seen[tuple(images.shape), tuple(layer.weight.shape)] += 1
        return forward(layer, images)

    with patch.object(layers, "conv2d", noting), patch.object(nn.Conv2d, "forward", noting_too):
        torch_work("inference", 1, "ours")()
    return seen


def convolution(images: Shape, kernels: Shape, dtype: torch.dtype, layout: torch.memory_format) -> tuple[float, float]:
    """Return milliseconds of processor time, for forward alone and with backward; the best of three."""
    x, weight, back = (
        torch.randn(shape).to(dtype).contiguous(memory_format=layout)
        for shape in (images, kernels, (BATCH, kernels[0], *images[2:]))
    )
    x.requires_grad_(images[1] > 1)  # no gradient is needed for the measured patterns
    weight.requires_grad_()

    def forward() -> None:
        with torch.no_grad():
            conv2d(x, weight, padding=1)

    return best(forward), best(lambda: conv2d(x, weight, padding=1).backward(back))


def best(work: Callable[[], object], rounds: int = 3) -> float:
    work()
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return 1e3 * min(taken)


def reading() -> float:
    """Return the milliseconds for reading the batches of an epoch of 950 patterns."""
    from ptycho_torch.config_params import DataConfig
    from ptycho_torch.dataloader import MemoryMappedDataset, batches
    from ptycho_torch.simulate import Simulation, simulate_scan

    scan = simulate_scan(Simulation(patterns=950, seed=0))
    dataset = MemoryMappedDataset.from_config(scan, DataConfig(n_images=950, subsample_seed=0), seed=0)
    return best(lambda: list(batches(dataset, BATCH, shuffle=True)))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=5, show_default=True, help="Steps that the profiler sees.")
def main(rounds: int) -> None:
    """Time the parts of the network with one thread, in float32 and in bfloat16."""
    from rich.console import Console
    from rich.table import Table

    torch.set_num_threads(1)
    console = Console(width=132)
    table = Table("", "what", "float32", "bfloat16", "x")
    for what in ("training", "inference"):
        works = {name: torch_work(what, 1, variant) for name, variant in VARIANTS.items()}
        for work in works.values():
            work()
        whole, half = (by_kind(work, rounds) for work in works.values())
        for kind in (*KINDS, "the rest"):
            table.add_row(what, kind, *(f"{100 * shares.get(kind, 0):.1f} %" for shares in (whole, half)), "")
        one, other = (best(work, rounds) for work in works.values())
        table.add_row(what, "all, ms", f"{one:.0f}", f"{other:.0f}", f"{one / other:.2f}")
        table.add_section()
    console.print(table)
    table = Table(
        "images", "kernels", "times", *(f"{name}, {layout}" for name in VARIANTS for layout in LAYOUTS), "GFLOP/s"
    )
    for (images, kernels), times in shapes().items():
        taken = [
            convolution(images, kernels, dtype, layout)
            for dtype in (torch.float32, torch.bfloat16)
            for layout in LAYOUTS.values()
        ]
        products = 2 * 9 * images[0] * images[2] * images[3] * kernels[0] * kernels[1] / 1e6
        cells = (f"{forward:.1f} + {both - forward:.1f}" for forward, both in taken)
        table.add_row(
            str(images), str(kernels), str(times), *cells, f"{products / taken[0][0]:.0f}, {products / taken[2][0]:.0f}"
        )
    console.print(table)
    console.print(f"reading the batches of an epoch of 950 patterns: {reading():.0f} ms")


if __name__ == "__main__":
    main()
