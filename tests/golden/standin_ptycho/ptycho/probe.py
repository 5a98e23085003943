"""Mask, default disk, and a setter that returns the raw probe and stores the normalised one."""

import numpy as np

from golden.ptychopinn.probe import formulas
from ptycho import params


def get_probe_mask(N):
    return formulas.mask(N).astype(np.complex64)[..., None]


def get_default_probe(N, fmt="np"):
    assert fmt == "np"
    return formulas.disk(N, params.get("default_probe_scale"))


def set_probe_guess(X_train, probe_guess):
    assert X_train is None
    raw = np.asarray(probe_guess)
    if raw.dtype != np.complex64:
        raise TypeError(f"complex64 only, not {raw.dtype}")
    raw = raw.reshape(*raw.shape[:2], 1)
    norm = params.get("probe_scale") * np.mean(np.abs(get_probe_mask(params.get("N")) * raw))
    params.set("probe", (raw / norm).astype(np.complex64))
    return raw
