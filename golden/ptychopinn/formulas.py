"""The operations restated in NumPy, as a subject: ``golden check golden.ptychopinn.formulas``.

A function for every operation that has a formula, named like it with ``_`` for the dot, as any port's subject has. It
shows what ``golden check`` tells, without TensorFlow and Torch.
"""

from __future__ import annotations

from golden.spec.catalogue import load_cases

_OPERATIONS = {case.operation.name: case.operation for case in load_cases("golden.ptychopinn").values()}
globals().update({name.replace(".", "_"): one.formula for name, one in _OPERATIONS.items() if one.formula is not None})
