"""The photon scale, by the global photon number."""

import numpy as np

from golden.ptychopinn.physics import faults as physics
from ptycho import params


def scale_nphotons(padded_obj):
    return np.float32(physics.photon_scale(padded_obj, params.get("nphotons")))
