"""Draw pictures with Matplotlib's own defaults, whatever the user's matplotlibrc says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.colors import Colormap


@contextmanager
def default_style() -> Iterator[None]:
    """Use Matplotlib's defaults, then restore the settings; works as a decorator too."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def colormap(name: str, bad: str) -> Colormap:
    """Return a colour map of at least 256 colours, even if the user's ``image.lut`` is smaller.

    Args:
        name: name of the colour map.
        bad: colour of NaN.
    """
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    found = colormaps[name]
    if isinstance(found, LinearSegmentedColormap):
        found = found.resampled(256)
    return found.with_extremes(bad=bad)
