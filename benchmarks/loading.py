"""Compare time and memory for loading groups of patterns from a file with those of plain NumPy, within one run.

    make bench          (or: python -m benchmarks.loading --help)

* plain: ``np.load`` of the whole stack, nearest neighbours by SciPy, ``stack[groups]`` for each batch, times a factor.
* mapped: ``load_scan``, ``draw_groups``, ``MemoryMappedDataset`` and ``batches``; everything that a user does,
  including checks of every value and the checksum. With and without two processes that read in advance.

Groups of four patterns of 128 x 128 pixels, 16 groups per batch, each pattern in about four groups, in random order.
The file was just written, so it is read from the system's cache, not from the disk. Each run is a separate process.
Peak memory is measured above that of the imports; it is read from the kernel, so only on Linux. GB/s: patterns of the
batches; x: speed relative to plain.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.spatial import cKDTree

from tests.memory import resident

N, GRID, BATCH = 128, 2, 16


def write_scan(path: Path, patterns: int) -> None:
    """Write noise, a block at a time, with positions of a jittered raster."""
    rng = np.random.default_rng(0)
    stack = np.lib.format.open_memmap(path.with_suffix(".npy"), "w+", np.float32, (patterns, N, N))
    for first in range(0, patterns, 500):
        stack[first : first + 500] = rng.random(stack[first : first + 500].shape, np.float32)
    side = int(np.ceil(np.sqrt(patterns)))
    x, y = np.stack(np.divmod(np.arange(patterns), side)) * 8.0 + rng.random((2, patterns))
    np.savez(path, diff3d=stack, xcoords=x, ycoords=y, probeGuess=np.ones((N, N), np.complex64))
    path.with_suffix(".npy").unlink()


Batches = Iterator[object]


def plain(path: Path, lap: Callable[[str], None]) -> Batches:
    with np.load(path) as archive:
        stack, x, y = archive["diff3d"], archive["xcoords"], archive["ycoords"]
    lap("open")
    rng = np.random.default_rng(0)
    _, near = cKDTree(np.stack([x, y], 1)).query(np.stack([x, y], 1), k=GRID**2 + 1)
    groups = rng.permuted(near[:, 1:], axis=1)[rng.permutation(len(x))]
    factor = np.float32(1.5)
    lap("group")
    return (stack[groups[first : first + BATCH]] * factor for first in range(0, len(groups), BATCH))


def mapped(path: Path, lap: Callable[[str], None], workers: int = 0) -> Batches:
    from ptycho_torch.dataloader import MemoryMappedDataset, batches
    from ptycho_torch.operators.grouping import draw_groups
    from ptycho_torch.scans.scan import load_scan

    scan = load_scan(path)
    lap("open")
    x, y = scan.positions.T
    groups = draw_groups(x, y, len(scan), gridsize=GRID, seed=0)
    lap("group")
    dataset = MemoryMappedDataset(scan, groups)
    lap("scale")
    return iter(batches(dataset, BATCH, shuffle=True, num_workers=workers))


def mapped_ahead(path: Path, lap: Callable[[str], None]) -> Batches:
    return mapped(path, lap, workers=2)


METHODS = {"plain": plain, "mapped": mapped, "mapped, ahead": mapped_ahead}


def run_once(path: Path, name: str) -> dict[str, float]:
    """Return the seconds of each step, the number of groups, and the peak memory above the imports in MiB."""
    import ptycho_torch.dataloader  # before the measurement, which excludes imports

    assert ptycho_torch
    before = resident("VmHWM")
    start, times = time.perf_counter(), {}

    def lap(step: str) -> None:
        nonlocal start
        now = time.perf_counter()
        times[step], start = now - start, now

    count = 0
    for batch in METHODS[name](path, lap):
        count += len(batch)  # type: ignore[arg-type]
    lap("batches")
    times["groups"] = count
    return {**times, "MiB": (resident("VmHWM") - before) / 2**20}


def run(path: Path, name: str) -> dict[str, float]:
    """Run one variant in a separate process."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.loading", "--once", name, str(path)], check=True, capture_output=True
    )
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the shortest time of each step, and the largest memory."""
    return {key: (max if key == "MiB" else min)(one[key] for one in runs) for key in runs[0]}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--patterns", default=10_000, help="Patterns of the timed scan.")
@click.option("--sizes", default="1000,5000,20000", help="Patterns of the scans whose memory is measured.")
@click.option("--repeat", default=3, help="Runs of each method; the fastest counts.")
@click.option("--directory", type=click.Path(path_type=Path, exists=True), help="Directory for temporary scans.")
@click.option("--once", hidden=True)
@click.argument("path", required=False, type=click.Path(path_type=Path))
def main(patterns: int, sizes: str, repeat: int, directory: Path | None, once: str | None, path: Path | None) -> None:
    if once and path:
        click.echo(json.dumps(run_once(path, once)))
        return
    console = Console(width=100)
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        scan = Path(folder) / "scan.npz"
        with console.status(f"writing {patterns} patterns"):
            write_scan(scan, patterns)
        times = {}
        for name in METHODS:
            with console.status(name):
                times[name] = best([run(scan, name) for _ in range(repeat)])
        show_times(console, times, patterns)
        memory = {}
        for size in map(int, sizes.split(",")):
            with console.status(f"memory of {size} patterns"):
                write_scan(scan, size)
                memory[size] = {name: run(scan, name)["MiB"] for name in ("plain", "mapped")}
        show_memory(console, memory)


def show_times(console: Console, times: dict[str, dict[str, float]], patterns: int) -> None:
    table = Table(title=f"{patterns} patterns of {N} x {N}, {patterns} groups of {GRID**2}: seconds")
    steps = ("open", "group", "scale", "batches")
    for title in ("", *steps, "all", "GB/s", "batches x", "all x", "MiB"):
        table.add_column(title, justify="right")
    gigabytes = patterns * GRID**2 * N * N * 4 / 1e9
    reference, whole = times["plain"], sum(times["plain"].get(step, 0) for step in steps)
    for name, one in times.items():
        total = sum(one.get(step, 0) for step in steps)
        table.add_row(
            name,
            *(f"{one[step]:.2f}" if step in one else "" for step in steps),
            f"{total:.2f}",
            f"{gigabytes / one['batches']:.1f}",
            f"{reference['batches'] / one['batches']:.2f}",
            f"{whole / total:.2f}",
            f"{one['MiB']:.0f}",
        )
    console.print(table)


def show_memory(console: Console, memory: dict[int, dict[str, float]]) -> None:
    table = Table(title="peak memory above the imports, MiB")
    for title in ("patterns", "MiB of patterns", *next(iter(memory.values()))):
        table.add_column(title, justify="right")
    for size, found in memory.items():
        table.add_row(str(size), f"{size * N * N * 4 / 2**20:.0f}", *(f"{one:.0f}" for one in found.values()))
    console.print(table)


if __name__ == "__main__":
    main()
