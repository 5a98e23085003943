"""Short runs of the programs."""

from __future__ import annotations

from typing import Any

from tests.torch.subject.layouts import Outputs


def run_training(**given: Any) -> Outputs:
    from tests.torch.runs import training  # imported here, because it needs the programs' dependencies

    return training(**given)


def run_reconstruction(**given: Any) -> Outputs:
    from tests.torch.runs import reconstruction

    return reconstruction(**given)
