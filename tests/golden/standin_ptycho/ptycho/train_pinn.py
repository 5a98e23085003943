"""The scale of a model, from the global parameters."""

import numpy as np

from golden.ptychopinn.physics import formulas as physics
from ptycho import params


def calculate_intensity_scale(ptycho_data_container):
    return np.float32(physics.intensity_scale_of(params.get("nphotons"), params.get("N")))
