"""Colour maps that do not depend on the user's matplotlibrc."""

from __future__ import annotations

from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap


def colormap(name: str) -> Colormap:
    """Return one of Matplotlib's colour maps, with at least 256 colours, whatever ``image.lut`` is."""
    found = colormaps[name]
    return found.resampled(256) if isinstance(found, LinearSegmentedColormap) else found
