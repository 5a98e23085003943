"""Make results independent of Torch's default dtype and device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Set Torch's default dtype to float32 and its default device to the CPU; works as a decorator too.

    Afterwards, the caller's defaults are restored.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    # Inside a device context, Torch calls Python for every operation, so enter one only if it changes the device.
    on_cpu = torch.empty(0).device.type == "cpu"
    try:
        with nullcontext() if on_cpu else torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)
