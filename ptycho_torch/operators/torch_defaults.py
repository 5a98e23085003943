"""Torch's defaults say in which dtype and where tensors are made that name neither; results must not depend on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Make tensors in float32 and in host memory, unless they say otherwise; as a decorator too.

    Afterwards Torch's defaults are those of the caller.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)
