"""Simulate the patterns of a scan with the installed package ``ptycho``."""

from __future__ import annotations

import numpy as np

from golden.ptychopinn.installed_package import checked, global_parameters, offered, tensor, unexpected


def patterns(*, object: np.ndarray, probe: np.ndarray, positions: np.ndarray, nphotons: float) -> dict[str, np.ndarray]:
    """Compute patches, far field and photons, as its simulation from positions does.

    The package's scale has another precision; the golden stores it in single precision.
    """
    n, N = len(positions), len(probe)
    with global_parameters(N=N, gridsize=1, nphotons=nphotons):
        call = "raw_data.get_image_patches"
        patches = offered(call)(object, positions, np.zeros_like(positions), N=N, gridsize=1)
        fields = checked(call, patches, np.complex64, n, N, N, 1) * probe[..., None]
        answer = offered("tf_helper.pad_and_diffract")(tensor(fields), N, N, pad=False)
        scale = np.asarray(offered("diffsim.scale_nphotons")(tensor(np.abs(fields))))
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise unexpected("tf_helper.pad_and_diffract", "a pair (field, amplitude)", type(answer).__name__)
    if scale.ndim or scale.dtype.kind != "f":
        raise unexpected("diffsim.scale_nphotons", "one real number", f"{scale.dtype} {scale.shape}")
    amplitude = checked("tf_helper.pad_and_diffract", answer[1], np.float32, n, N, N, 1)
    return {"amplitude": amplitude, "intensity_scale": scale.astype(np.float32)}
