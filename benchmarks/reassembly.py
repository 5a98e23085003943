"""Compare reassembly with two other implementations, as ratios within one run.

    make bench          (or: python -m benchmarks.reassembly --help)

* padded: every crop is padded to the canvas and moved there, 32 at a time, as in TensorFlow PtychoPINN, but in Torch.
* corners: each of the four bilinear neighbours of a crop is scattered separately, for both sum and count.
* ours: ``ptycho_torch.operators.reassembly``, sum and count.

Each is timed without gradients; the median of several runs is shown. Peak memory is measured above that of a process
that holds the inputs, and includes the results; it is read from the kernel, so only on Linux.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ptycho_torch.operators.reassembly import shift_and_sum
from ptycho_torch.operators.translation import translate
from tests.memory import resident

N, M = 64, 20
Method = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def geometry(offsets: Tensor) -> tuple[Tensor, int]:
    moves = offsets[0, :, 0] - offsets[0, :, 0].mean(dim=0)
    pad = int(moves.abs().amax().ceil())
    return moves, pad + pad % 2


def crops_of(patches: Tensor) -> Tensor:
    first = N // 2 - M // 2
    return patches[0, :, first : first + M, first : first + M]


def padded(patches: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    moves, pad = geometry(offsets)
    side = M + 2 * pad
    crops, ones = crops_of(patches), torch.ones(32, 1, M, M)
    total, count = patches.new_zeros(1, side, side), torch.zeros(1, side, side)
    for start in range(0, len(crops), 32):
        block, move = crops[start : start + 32, None], moves[start : start + 32]
        margins = (pad, pad, pad, pad)
        total += translate(torch.nn.functional.pad(block, margins), move).sum(dim=0)
        count += translate(torch.nn.functional.pad(ones[: len(block)], margins), move).sum(dim=0)
    return total, count


def corners(patches: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    moves, pad = geometry(offsets)
    side = M + 2 * pad
    crops = crops_of(patches)
    whole = (moves + pad).floor()
    fraction, whole = (moves + pad - whole).float(), whole.long()
    total, count = patches.new_zeros((side + 1) ** 2), torch.zeros((side + 1) ** 2)
    reach = torch.arange(M)
    for dy in (0, 1):
        for dx in (0, 1):
            weight = (fraction[:, 1] if dy else 1 - fraction[:, 1]) * (fraction[:, 0] if dx else 1 - fraction[:, 0])
            rows, columns = whole[:, 1, None] + reach + dy, whole[:, 0, None] + reach + dx
            index = (rows[:, :, None] * (side + 1) + columns[:, None, :]).flatten()
            total.index_add_(0, index, (crops * weight[:, None, None]).flatten())
            count.index_add_(0, index, weight[:, None, None].expand(-1, M, M).flatten())
    shape = (1, side + 1, side + 1)
    return total.view(shape)[:, :side, :side], count.view(shape)[:, :side, :side]


def ours(patches: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    return shift_and_sum(patches, offsets, M)


METHODS: dict[str, Method] = {"padded": padded, "corners": corners, "ours": ours}


def scan(n: int, span: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    patches = torch.randn(1, n, N, N, dtype=torch.complex64, generator=generator)
    return patches, (torch.rand(1, n, 1, 2, dtype=torch.float64, generator=generator) - 0.5) * span


def seconds(method: Method, patches: Tensor, offsets: Tensor, runs: int) -> float:
    method(patches, offsets)
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        method(patches, offsets)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def peak_memory(name: str, n: int, span: float) -> float:
    """Return the peak memory of one call, MB, above that of a process that holds its inputs."""
    command = [sys.executable, "-m", "benchmarks.reassembly", "--measure-peak", json.dumps([name, n, span])]
    # Give every tensor its own pages, returned when freed, so that memory freed earlier is not reused unnoticed.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def measure_peak(name: str, n: int, span: float) -> float:
    patches, offsets = scan(n, span)
    METHODS[name](patches, offsets)  # the first call loads code and data
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before = resident("VmRSS")
    METHODS[name](patches, offsets)
    return (resident("VmHWM") - before) / 2**20


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--patches", multiple=True, type=int, default=(512, 2048, 8192), show_default=True)
@click.option("--span", multiple=True, type=float, default=(100.0, 200.0), show_default=True, help="Pixels.")
@click.option("--runs", default=9, show_default=True, help="Timed runs of a fast method; the padded one takes 1.")
@click.option("--measure-peak", "peak", hidden=True)
@torch.no_grad()
def main(patches: tuple[int, ...], span: tuple[float, ...], runs: int, peak: str | None) -> None:
    """Compare time and peak memory of reassembly, N = 64, M = 20, complex64, as ratios within one run."""
    if peak is not None:
        click.echo(measure_peak(*json.loads(peak)))
        return
    table = Table(box=None, header_style="bold")
    heads = (
        "patches",
        "span px",
        "padded ms",
        "corners ms",
        "ours ms",
        "padded/ours",
        "corners/ours",
        "peak MB, each",
        "crops MB",
        "largest difference",
    )
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    with Console(stderr=True).status("") as status:
        for n in patches:
            for width in span:
                status.update(f"{n} patches over {width:g} pixels")
                data = scan(n, width)
                (a, b), (c, d) = padded(*data), ours(*data)
                difference = max(float((a - c).abs().max() / a.abs().max()), float((b - d).abs().max() / b.max()))
                times = [seconds(METHODS[k], *data, runs if k != "padded" else 1) * 1e3 for k in METHODS]
                peaks = (
                    " / ".join(f"{peak_memory(k, n, width):.1f}" for k in METHODS) if sys.platform == "linux" else "-"
                )
                table.add_row(
                    str(n), f"{width:g}", f"{times[0]:.0f}", f"{times[1]:.2f}", f"{times[2]:.2f}",
                    f"{times[0] / times[2]:.0f} x", f"{times[1] / times[2]:.1f} x", peaks,
                    f"{n * M * M * 8 / 2**20:.1f}", f"{difference:.0e}",
                )  # fmt: skip
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
