"""PtychoPINN in PyTorch, held to the TensorFlow reference by golden artefacts.

Conventions used everywhere: images are (row, column); positions and offsets are [x, y] in pixels, x being the column
axis and y the row axis; an offset is a position, so ``+offset`` moves content by ``+offset``.
"""

from ptycho_torch.scans.scan import Scan, load_scan, save_scan

__all__ = ["Scan", "load_scan", "save_scan"]
