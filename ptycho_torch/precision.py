"""Compute the network in bfloat16, which recent processors multiply at least twice as fast as float32.

bfloat16 has the range of float32 and 8 bits of precision. Weights, their gradients and moments, and all physics stay in
float32 (``model.PtychoPINN``). See docs/performance.md.
"""

from __future__ import annotations

import torch

from ptycho_torch.config_params import Precision

FIRST_STEPS = 10
"""Steps at the start of a training that are always computed in float32.

Adam divides the mean of the gradients so far by their mean size. Of a single gradient, this leaves only the sign,
however small the gradient is. Rounding to bfloat16 would change many of these signs.
"""


def autocast(precision: Precision, device: torch.device | str) -> torch.autocast:
    """Return a context in which the network computes in a precision.

    Args:
        precision: ``32-true``, all in float32; or ``bf16-mixed``, convolutions in bfloat16. The names are Lightning's.
        device: device to compute on.
    """
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16-mixed")


def precision_of_step(step: int, precision: Precision) -> Precision:
    """Return the precision of a training step, counted from 0, of a training in ``precision``."""
    return precision if step >= FIRST_STEPS else "32-true"


def has_bfloat16(device: torch.device | str) -> bool:
    """Return whether a device has instructions for bfloat16, so that it need not be emulated.

    If Torch cannot tell, the answer is True.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # an older Torch
        return True
    found = torch.cpu.get_capabilities()
    return any(found.get(name) is True for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def cost_of(precision: Precision, device: torch.device | str) -> str | None:
    """Return a warning if a precision is slow on a device, otherwise None."""
    if precision == "32-true" or has_bfloat16(device):
        return None
    return (
        f"--precision bf16-mixed: this {torch.device(device).type} has no instructions for bfloat16 (on x86: "
        f"AVX512-BF16 or AMX) and emulates them, several times slower than float32 (docs/performance.md). The result "
        f"is the same; --precision 32-true is faster here"
    )
