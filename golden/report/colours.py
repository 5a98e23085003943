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
    """Let Matplotlib begin with its own settings, if nobody loaded it: it fails where it does not understand others."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        return
    package = Path(found.origin).parent
    own = {"MPLBACKEND": "agg", "MATPLOTLIBRC": str(package / "mpl-data" / "matplotlibrc")}
    before = {name: os.environ.get(name) for name in own}
    # Matplotlib looks into the current directory first, whatever the variables say.
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
