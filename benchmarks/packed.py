"""Compare time and memory for loading compressed HDF5, as Ptychodus writes it, with those of plain h5py, in one run.

    make bench          (or: python -m benchmarks.packed --help)

* plain: ``file["patterns"][()]``, the square root as float32.
* port: ``load_scan``; every value is checked, and the patterns go to a temporary file, which is mapped.

The patterns are counts of 128 x 128 pixels as uint16, mostly dark, compressed with LZF in h5py's default chunks. Each
run is a separate process. Peak memory is measured above that of the imports; it is read from the kernel, so only on
Linux.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import click
import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

from ptycho_torch.scans.scan import load_scan
from tests.memory import resident

N = 128


def write_scan(path: Path, patterns: int) -> float:
    """Write a scan as Ptychodus does; return the size of the compressed patterns, bytes."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:N, :N] - N // 2
    mean = 200 / (1 + np.hypot(x, y) ** 2 / 20)
    few = rng.poisson(mean, (64, N, N)).astype(np.uint16)
    column, row = np.divmod(np.arange(patterns), 100)
    with h5py.File(path, "w") as file:
        stack = file.create_dataset("patterns", (patterns, N, N), np.uint16, compression="lzf")
        at_once = 4 * stack.chunks[0]
        for first in range(0, patterns, at_once):
            count = min(at_once, patterns - first)
            stack[first : first + count] = few[rng.integers(0, len(few), count)]
        file["probe_position_x_px"], file["probe_position_y_px"] = 64.0 + 3 * column, 64.0 + 3 * row
        file["probe"] = np.ones((1, N, N), complex)
        for name in ("object_pixel_width_m", "object_pixel_height_m"):
            file[name] = 1e-8
        return float(stack.id.get_storage_size())


def load(kind: str, path: str) -> None:
    """Load in one way, and print seconds, bytes of peak memory, and a sum to compare."""
    before, begun = resident("VmHWM"), time.perf_counter()
    if kind == "plain":
        with h5py.File(path) as file:
            patterns = np.sqrt(file["patterns"][()], dtype=np.float32)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            patterns = load_scan(path, measurement="counts").diffraction
    took = time.perf_counter() - begun
    print(json.dumps([took, resident("VmHWM") - before, float(patterns[-1].sum())]))


@click.command()
@click.option("--patterns", multiple=True, type=int, default=(2000, 20000), show_default=True)
@click.option("--load", "asked", nargs=2, hidden=True)
def main(patterns: tuple[int, ...], asked: tuple[str, str] | None) -> None:
    """Time both ways, and print a table."""
    if asked is not None:
        load(*asked)
        return
    table = Table("patterns", "packed", "way", "s", "peak memory, MB")
    with tempfile.TemporaryDirectory() as directory:
        for count in patterns:
            path = Path(directory) / f"{count}.h5"
            packed, sums = write_scan(path, count), set()
            for kind in ("plain", "port"):
                command = [sys.executable, "-m", "benchmarks.packed", "--load", kind, str(path)]
                took, peak, total = json.loads(
                    subprocess.run(command, check=True, capture_output=True, text=True).stdout
                )
                sums.add(total)
                table.add_row(str(count), f"{packed / 1e6:.0f} MB", kind, f"{took:.1f}", f"{peak / 1e6:.0f}")
            assert len(sums) == 1
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
