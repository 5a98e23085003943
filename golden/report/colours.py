"""Colour maps that are the same for everybody, whatever the user's matplotlibrc says."""

from __future__ import annotations

from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap


def colormap(name: str) -> Colormap:
    """Return one of Matplotlib's colour maps, of 256 colours or more, however few ``image.lut`` asks for."""
    found = colormaps[name]
    return found.resampled(256) if isinstance(found, LinearSegmentedColormap) else found
