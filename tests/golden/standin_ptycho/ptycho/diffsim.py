"""The photon scale, from the global number of photons."""

import numpy as np

from golden.ptychopinn.physics.formulas import photons_to_scale
from ptycho import params


def scale_nphotons(padded_obj):
    return np.float32(photons_to_scale(padded_obj, params.get("nphotons")))
