"""Read the photographs that give test objects their texture, pinned by digest. They are needed only to draw inputs."""

from __future__ import annotations

import hashlib

import numpy as np

from golden.spec.errors import GoldenError

# Both are in the public domain (CC0) and ship inside the scikit-image package.
_SHA256 = {
    "camera": "5cb24482a53416f99052258be2b1ee38cd31c559a70c8a8b321cba231b332e21",
    "coffee": "0ce2b51640b9c95f19617f03eabf40c3f0368589cc1ee1190b70966165ac184f",
}


def photograph(name: str) -> np.ndarray:
    """Return a photograph in grey, (H, W) float64 multiples of 1/256 in [0, 1), row 0 at the top.

    Raises:
        GoldenError: scikit-image is not installed, or its pixels differ from the pinned ones.
    """
    try:
        from skimage import data
    except ModuleNotFoundError:
        raise GoldenError("drawing this case's inputs needs scikit-image: pip install scikit-image") from None
    pixels = np.asarray(getattr(data, name)())
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    if digest != _SHA256[name]:
        raise GoldenError(f"photograph {name!r}: expected SHA-256 {_SHA256[name]}, found {digest}")
    values = pixels.astype(int)
    grey = values if values.ndim == 2 else values @ [1, 2, 1] // 4
    return grey / 256.0
