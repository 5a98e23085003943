"""The PyTorch port of PtychoPINN; goldens check it against the TensorFlow reference.

Conventions: images are (row, column); positions and offsets are [x, y] in pixels, where x is the column axis and y the
row axis; an offset is a position, so ``+offset`` moves content by ``+offset``.

Public names are imported on first use, so ``import ptycho_torch`` loads neither Torch nor NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptycho_torch.checks.diagnostics import diagnose
    from ptycho_torch.files.bundle import load_bundle
    from ptycho_torch.pictures.scan import draw_scan
    from ptycho_torch.reconstruction import gather_evidence, predict, stitch
    from ptycho_torch.scans.scan import Scan, load_scan, save_scan
else:  # so that type checkers know the names above and no others

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


_HOMES = {
    "Scan": "scans.scan",
    "diagnose": "checks.diagnostics",
    "draw_scan": "pictures.scan",
    "gather_evidence": "reconstruction",
    "load_bundle": "files.bundle",
    "load_scan": "scans.scan",
    "predict": "reconstruction",
    "save_scan": "scans.scan",
    "stitch": "reconstruction",
}

__all__ = [
    "Scan",
    "diagnose",
    "draw_scan",
    "gather_evidence",
    "load_bundle",
    "load_scan",
    "predict",
    "save_scan",
    "stitch",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
