"""Compute the hard mask, the normalised probe and the default disk with the installed package ``ptycho``."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, stored, unexpected

DOUBLE = {"default_disk"}


def hard_mask(*, N: int) -> dict[str, np.ndarray]:
    with global_parameters(N=N):
        mask = checked("probe.get_probe_mask", offered("probe.get_probe_mask")(N), np.complex64, N, N, 1)
    inside = mask == 1
    if not (inside | (mask == 0)).all():
        raise unexpected("probe.get_probe_mask", "zeros and ones", "other values: a soft mask?")
    return {"mask": inside}


def normalise(*, probe: np.ndarray, probe_scale: float) -> dict[str, np.ndarray]:
    """Read the stored probe, because the setter returns the raw one."""
    N = len(probe)
    with global_parameters(N=N, gridsize=1, probe_scale=probe_scale):
        offered("probe.set_probe_guess")(None, probe)
        probe_set = stored("probe")
    return {"normalised": checked("params.get('probe')", probe_set, np.complex64, N, N, 1)}


def default_disk(*, N: int, default_probe_scale: float) -> dict[str, np.ndarray]:
    with global_parameters(N=N, default_probe_scale=default_probe_scale):
        disk = offered("probe.get_default_probe")(N, fmt="np")
    return {"probe": checked("probe.get_default_probe", disk, np.float64, N, N)}
