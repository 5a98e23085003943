"""Pictures look the same for everybody: Matplotlib's own defaults draw them, whatever the user's matplotlibrc says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.colors import Colormap


@contextmanager
def default_style() -> Iterator[None]:
    """Draw with Matplotlib's defaults; as a decorator too. Afterwards the settings are what they were."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def colormap(name: str, bad: str) -> Colormap:
    """Return a colour map of 256 colours or more, however few the user's ``image.lut`` asks for.

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
