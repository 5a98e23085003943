"""Workers of pytest-xdist share the machine: with a thread each they do not wait for each other in Torch's barriers."""

from __future__ import annotations

import os

import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)
