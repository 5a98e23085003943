"""The photon scale."""

from golden.faults import simulation
from ptycho import params


def scale_nphotons(padded_obj):
    return simulation.intensity_scale(padded_obj[..., 0], params.get("nphotons"))
