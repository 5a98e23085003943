"""The loader of its scripts: it accepts several layouts, requires start positions, draws, and leaves a file behind."""

from pathlib import Path

import numpy as np

from ptycho.raw_data import RawData


def load_data(file_path, n_subsample=None, subsample_seed=None):
    with np.load(file_path) as scan:
        names = ("xcoords", "ycoords", "xcoords_start", "ycoords_start")
        positions = [scan[name] for name in names]
        stack, probe = scan["diff3d" if "diff3d" in scan else "diffraction"], scan["probeGuess"]
    stack = stack[..., 0] if stack.ndim == 4 else stack
    M = len(positions[0])
    diff3d = stack if len(stack) == M else np.moveaxis(stack, -1, 0)
    indices = np.arange(M)
    if n_subsample is not None and n_subsample < M:
        np.random.seed(subsample_seed)
        indices = np.sort(np.random.choice(indices, n_subsample, replace=False))
    Path("drawn.txt").write_text(str(indices))
    drawn = [array[indices] for array in positions]
    record = RawData(*drawn, diff3d[indices], probe, np.zeros(len(indices), int))
    record.sample_indices = indices
    return record
