"""Colour maps that do not depend on the user's matplotlibrc."""

from __future__ import annotations

import os
from contextlib import chdir, nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.colors import Colormap


def colormap(name: str) -> Colormap:
    """Return one of Matplotlib's colour maps, with at least 256 colours, whatever ``image.lut`` is."""
    _load_matplotlib()
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    found = colormaps[name]
    return found.resampled(256) if isinstance(found, LinearSegmentedColormap) else found


def _load_matplotlib() -> None:
    """Import Matplotlib with its own settings: with a faulty matplotlibrc of the user, the import fails."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        return
    package = Path(found.origin).parent
    own = {"MPLBACKEND": "agg", "MATPLOTLIBRC": str(package / "mpl-data" / "matplotlibrc")}
    before = {name: os.environ.get(name) for name in own}
    # A matplotlibrc in the current directory takes precedence over these variables.
    elsewhere = chdir(package) if os.path.isfile("matplotlibrc") else nullcontext()
    try:
        os.environ.update(own)
        with elsewhere:
            import_module("matplotlib")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
